"""What a model writes while a unit is steered, beside an unsteered run and a random direction of equal norm.

The push is as hard as a set divergence of the next-token distributions on the prompt, as in the `output-side` scorer.
The random direction moves the residual stream by the same distance: it shows what any such move does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from glossator.errors import UserError

if TYPE_CHECKING:
    from glossator.causal.steering import Push
    from glossator.inputs.tokens import TokenWindows
    from glossator.study.trying import Bench
    from glossator.subjects.transformer import TransformerSubject
    from glossator.units import Unit

MOST_TOKENS = 256
"""Tokens of a prompt."""


@dataclass(frozen=True)
class Written:
    """One continuation. way: none, up, down or random-direction; text: without the prompt; nats: mean divergence of the
    next-token distributions on the prompt; strength: what is added, in units of the unit's activation or, for the
    random direction, of the stream's norm."""

    way: str
    text: str
    strength: float = 0.0
    nats: float = 0.0


@dataclass(frozen=True)
class Steering:
    """Continuations of one prompt. norm: how far the push moves the stream at `site`, a mean over the prompt's tokens;
    why_not: why the divergence that was asked for is not reached, None where it is."""

    unit: Unit
    site: str
    norm: float
    written: tuple[Written, ...]
    why_not: str | None = None


def steer(
    bench: Bench, unit: Unit, prompt: str, nats: float = 1.0, *, new_tokens: int = 24, temperature: float = 0.0,
    seed: int = 0,
) -> Steering:  # fmt: skip
    """Continue a prompt with the unit pushed up and down at every token; nats: how far it moves the next-token
    distributions. Raises `UserError` for a long prompt and a unit that moves nothing, `MissingPower` for a model
    without next-token distributions and units that cannot be acted upon."""
    from glossator.causal.changes import Add
    from glossator.causal.edits import Edit, check_outputs
    from glossator.causal.generating import generate
    from glossator.causal.running import CleanRun
    from glossator.causal.steering import match_divergence, random_directions, shift, unit_push
    from glossator.recording.texts import token_model

    subject = token_model(bench.subject, "steering")
    check_outputs(subject)
    windows = bench.windows([prompt])
    if (length := int(windows.lengths.sum())) > MOST_TOKENS:
        raise UserError("the prompt is too long to steer on", value=f"{length} tokens", allowed=f"up to {MOST_TOKENS}")
    push = unit_push(unit, bench.readouts)
    (random,) = random_directions(subject, push.site, 1, seed)
    clean = CleanRun(subject, windows, [push.site, random.site])
    (matched,) = match_divergence(clean, [push], nats)
    if matched.moves_nothing:
        raise UserError("steering this unit does not change what the model writes", value=unit.short)
    norm = moved(subject, windows, push, matched.strength, random.site)
    ways: list[tuple[str, Push | None, float]] = [
        ("none", None, 0.0), ("up", push, matched.strength), ("down", push.reversed, matched.strength),
        ("random-direction", random, norm),
    ]  # fmt: skip
    written = []
    for name, way, strength in ways:
        edits, reached = [], 0.0
        if way is not None and strength:
            edits = [Edit(way.site, way.part, Add(way.sign * strength))]
            on_prompt = [way.edit(strength, windows.valid)]
            reached = float(shift(clean, [on_prompt], by_document=False, tokens=False).kl[0])
        (text,) = generate(subject, [prompt], edits, new_tokens=new_tokens, temperature=temperature, seed=seed)
        written.append(Written(name, text, strength, reached))
    return Steering(unit, random.site, norm, tuple(written), matched.why_not)


def moved(subject: TransformerSubject, windows: TokenWindows, push: Push, strength: float, site: str) -> float:
    """How far a push moves the values at a site: the mean distance over valid tokens."""
    from glossator.causal.running import run

    def values(edits: Sequence[object]) -> np.ndarray:
        batches = run(subject, windows, edits, sites=[site], outputs=False)  # type: ignore[arg-type]
        parts = [batch.values[site][:, : windows.width].float().cpu().numpy() for batch in batches]
        return np.concatenate([part[:, : windows.width] for part in parts])

    change = values([push.edit(strength, windows.valid)]) - values([])
    return float(np.linalg.norm(change, axis=-1)[windows.valid[:, : change.shape[1]]].mean())
