"""Activation patching: what in a source input makes the difference when only one part is carried over to a base input.

Activation patching inserts a part's values on the source into the run on the base (Geiger et al. 2021, "Causal
abstractions of neural networks", interchange interventions). Path patching carries them over along one path only: all
other blocks between sender and receiver keep their values on the base (Goldowsky-Dill et al. 2023, "Localizing model
behavior with path patching").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from glossator.causal.changes import Splice
from glossator.causal.divergence import as_float
from glossator.causal.edits import Edit, check_outputs
from glossator.causal.running import BATCH_TOKENS, run
from glossator.errors import UserError
from glossator.inputs.tokens import TokenWindows
from glossator.readouts.parts import Part, Whole, read_from, seeing

if TYPE_CHECKING:
    from glossator.subjects.transformer import TransformerSubject

Read = Literal["last", "all"]


@dataclass(frozen=True, eq=False)
class Patched:
    """Next-token log-probabilities of the base, of the source, and of the base under the patch.

    Each (n, V) at the last token of the window, or (n, w, V) at all of them.
    """

    base: torch.Tensor
    source: torch.Tensor
    patched: torch.Tensor


def patch(
    subject: TransformerSubject,
    base: TokenWindows,
    source: TokenWindows,
    site: str,
    part: Part | None = None,
    *,
    where: np.ndarray | None = None,
    read: Read = "last",
    batch_tokens: int = BATCH_TOKENS,
) -> Patched:
    """Activation patching: run `base` with a part of a site set to its values on `source`, position by position.

    part: the whole site by default; where: bool (n, w), which positions, all by default. Raises `UserError` unless
    base and source are pairs of windows of the same lengths.
    """
    _check_pairs(subject, base, source)
    part = Whole() if part is None else part
    values = part_values(subject, source, site, part, batch_tokens=batch_tokens)
    edits = [Edit(site, part, Splice(values), where)]
    return Patched(
        outputs(subject, base, (), read, batch_tokens),
        outputs(subject, source, (), read, batch_tokens),
        outputs(subject, base, edits, read, batch_tokens),
    )


def path_patch(
    subject: TransformerSubject,
    base: TokenWindows,
    source: TokenWindows,
    sender: str,
    receiver: str,
    *,
    sender_part: Part | None = None,
    receiver_part: Part | None = None,
    where: np.ndarray | None = None,
    frozen: Sequence[str] | None = None,
    read: Read = "last",
    batch_tokens: int = BATCH_TOKENS,
) -> Patched:
    """The effect of the sender's change from base to source that reaches the outputs through the receiver alone.

    The base is run with the sender as on the source and every other attention and feed-forward from the sender's layer
    to the receiver's held at its value on the base; what the receiver becomes then is set in a second run of the base,
    in which all that follows is free. frozen: the sites held, in place of these.
    """
    _check_pairs(subject, base, source)
    sent = Whole() if sender_part is None else sender_part
    received = Whole() if receiver_part is None else receiver_part
    held = between(subject, sender, receiver) if frozen is None else list(frozen)
    edits = [Edit(sender, sent, Splice(part_values(subject, source, sender, sent, batch_tokens=batch_tokens)), where)]
    on_base = site_values(subject, base, held, batch_tokens=batch_tokens)
    edits += [Edit(site, Whole(), Splice(on_base[site])) for site in held]
    reached = part_values(subject, base, receiver, received, edits, batch_tokens=batch_tokens)
    return Patched(
        outputs(subject, base, (), read, batch_tokens),
        outputs(subject, source, (), read, batch_tokens),
        outputs(subject, base, [Edit(receiver, received, Splice(reached))], read, batch_tokens),
    )


def between(subject: TransformerSubject, sender: str, receiver: str) -> list[str]:
    """The attention and feed-forward sites that path patching holds: of the sender's layer to the receiver's, without
    the two themselves and what lies before the one or after the other inside their own blocks."""
    first, last = _place(sender), _place(receiver)
    if first >= last:
        raise UserError("the sender must come before the receiver", value=f"{sender}, {receiver}")
    names = {site.name for site in subject.sites()}
    layers = range(first[0], last[0] + 1)
    every = [f"{kind}.{layer}" for layer in layers for kind in ("attn", "mlp")]
    return [name for name in every if name in names and first < _place(name) < last]


_ORDER = {"head": 0, "attn": 0, "mlp": 1, "resid": 2}


def _place(site: str) -> tuple[int, int]:
    """(layer, order inside the block) of an aliased site; a head and its attention are one place."""
    kind, _, layer = site.partition(".")
    if kind not in _ORDER or not layer.isdigit():
        raise UserError("path patching needs aliased sites, or `frozen`", value=site, allowed=", ".join(_ORDER))
    return int(layer), _ORDER[kind]


def part_values(
    subject: TransformerSubject,
    windows: TokenWindows,
    site: str,
    part: Part,
    edits: Sequence[Edit] = (),
    *,
    batch_tokens: int = BATCH_TOKENS,
) -> np.ndarray:
    """The numbers (n, w, k) of a part in a run, under edits if there are any; 0 on padding."""
    return parts_values(subject, windows, site, [part], edits, batch_tokens=batch_tokens)[0]


def parts_values(
    subject: TransformerSubject,
    windows: TokenWindows,
    site: str,
    parts: Sequence[Part],
    edits: Sequence[Edit] = (),
    *,
    batch_tokens: int = BATCH_TOKENS,
) -> list[np.ndarray]:
    """As `part_values`, several parts of a site from one run."""
    bound = [part.bound(subject.site(site)) for part in parts]
    found: list[list[np.ndarray]] = [[] for _ in parts]
    sources = [read_from(part) or site for part in parts]
    wanted = list(dict.fromkeys([site, *sources]))
    for batch in run(subject, windows, edits, sites=wanted, outputs=False, batch_tokens=batch_tokens):
        for values, part, source in zip(found, bound, sources, strict=True):
            values.append(as_float(seeing(part, batch.values[source]).read(batch.values[site])).cpu().numpy())
    real = np.arange(windows.width) < windows.lengths[:, None]
    return [np.where(real[:, :, None], np.concatenate(values), 0) for values in found]


def site_values(
    subject: TransformerSubject, windows: TokenWindows, sites: Sequence[str], *, batch_tokens: int = BATCH_TOKENS
) -> dict[str, np.ndarray]:
    """All values (n, w, width) of several sites in one clean run."""
    if not sites:
        return {}
    batches = list(run(subject, windows, sites=sites, outputs=False, batch_tokens=batch_tokens))
    return {site: np.concatenate([as_float(b.values[site]).cpu().numpy() for b in batches]) for site in sites}


def outputs(
    subject: TransformerSubject,
    windows: TokenWindows,
    edits: Sequence[Edit] = (),
    read: Read = "last",
    batch_tokens: int = BATCH_TOKENS,
) -> torch.Tensor:
    """Log-probabilities under edits: (n, V) after the last token of each window, or (n, w, V) after every token."""
    found = []
    for batch in run(subject, windows, edits, batch_tokens=batch_tokens):
        assert batch.log_probs is not None
        last = torch.from_numpy(windows.lengths[batch.rows].astype(np.int64) - 1)
        found.append(batch.log_probs[torch.arange(len(last)), last] if read == "last" else batch.log_probs)
    return torch.cat(found)


def _check_pairs(subject: TransformerSubject, base: TokenWindows, source: TokenWindows) -> None:
    check_outputs(subject)
    if base.tokens.shape != source.tokens.shape or (base.lengths != source.lengths).any():
        raise UserError(
            "base and source windows must have the same lengths",
            value=f"{base.tokens.shape}, {source.tokens.shape}",
            fix="Use minimal pairs with equal numbers of tokens",
        )
