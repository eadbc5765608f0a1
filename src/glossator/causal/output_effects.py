"""A unit's effect on the next token: from its weights through the unembedding, or from clamping it.

These are VocabProj and TokenChange of Gur-Arieh et al. 2025, "Enhancing automated interpretability with output-centric
feature descriptions". Both give one number per token of the vocabulary, in standard deviations over the vocabulary.
They are compared with random directions of the residual stream, whose top token stands out as well, because an
unembedding has outlier tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from glossator.causal.acting import part_of
from glossator.causal.steering import shift, unit_push
from glossator.inputs.tokens import TokenWindows, Vocabulary
from glossator.readouts.base import Readout
from glossator.readouts.parts import row_of
from glossator.units import Unit

if TYPE_CHECKING:
    from glossator.subjects.transformer import TransformerSubject

RANDOM_DIRECTIONS = 300
CHANCE = 0.05
"""A token is named when it stands out more than the most favoured token of all but this share of random directions."""


@dataclass(frozen=True, eq=False)
class Standing:
    """strengths (V,): how far each token stands out, in standard deviations over the vocabulary, NaN for tokens that
    do not count (special and empty ones); chance: what a random direction's most favoured token reaches."""

    strengths: np.ndarray
    chance: float

    def named(self, sign: int, most: int) -> np.ndarray:
        """The tokens that stand out beyond chance on one side, the furthest first, up to a limit."""
        signed = np.nan_to_num(self.strengths * sign, nan=-np.inf)
        order = np.argsort(-signed, kind="stable")[:most]
        return order[signed[order] > self.chance]


def by_weights(
    subject: TransformerSubject, units: Sequence[Unit], readouts: Mapping[str, Readout] | None = None
) -> np.ndarray:
    """How much each unit's write vector raises each token's logit, signed by polarity: float32 (V, units).

    The write vector of a unit of a readout is what it writes at its site (`readouts.parts.row_of`), carried into the
    stream as units of that site are.
    """
    from glossator.subjects.token_weights import logit_strengths, written

    into_stream: dict[str, np.ndarray] = {}

    def vector(unit: Unit) -> np.ndarray:
        if "@" not in unit.site:
            return written(subject, unit.site, [unit.index])
        site, part = part_of(unit, readouts)
        row = row_of(part)
        if site not in into_stream:
            into_stream[site] = written(subject, site, range(len(row)))
        return (row @ into_stream[site])[None]

    return logit_strengths(subject, np.concatenate([vector(unit) * unit.sign for unit in units]))


def by_clamping(
    subject: TransformerSubject,
    unit: Unit,
    windows: TokenWindows,
    high: float,
    mean: float,
    readouts: Mapping[str, Readout] | None = None,
) -> np.ndarray:
    """Mean change of every token's log-probability when the unit is held at `high` against being held at its `mean`:
    (V,) float64, over all valid tokens of the windows; NaN for tokens that only the tokenizer knows.

    high and mean are signed by polarity, as recorded; readouts: as for `part_of`. At one token, log-probability is
    logit up to a number that is the same for the whole vocabulary, so `standing` makes nothing of the difference.
    """
    from glossator.causal.changes import Set
    from glossator.causal.edits import Edit
    from glossator.causal.running import CleanRun

    push = unit_push(unit, readouts)
    held = [[Edit(push.site, push.part, Set(unit.sign * value), windows.valid)] for value in (high, mean)]
    found = shift(CleanRun(subject, windows, [push.site]), held, by_document=False)
    change = (found.sums[0, 0] - found.sums[1, 0]).astype(np.float64) / found.counts.sum()
    return np.where(np.isfinite(found.clean), change, np.nan)


def standing(subject: TransformerSubject, effects: np.ndarray, chance: float | None = None) -> list[Standing]:
    """Effects (V, units) as standard deviations over the vocabulary, each beside chance, which may be known."""
    chance = chance_of_standing_out(subject) if chance is None else chance
    return [Standing(column, chance) for column in standardised(effects, subject.tokenizer.vocabulary).T]


def standardised(effects: np.ndarray, vocabulary: Vocabulary) -> np.ndarray:
    """(V, units) less the mean of the tokens that count, over their standard deviation; NaN for the other tokens and
    for effects that are the same for all tokens."""
    counts = countable(vocabulary)
    counts[len(effects) :] = False  # tokens that only the tokenizer knows
    effects = np.pad(effects, ((0, len(counts) - len(effects)), (0, 0)))
    values = np.where(counts[:, None], effects.astype(np.float64), np.nan)
    spread = np.nanstd(values, axis=0)
    centred = values - np.nanmean(values, axis=0)
    flat = spread <= 1e-7 * np.nanmax(np.abs(values), axis=0, initial=0.0)
    return np.divide(centred, spread, out=np.full(values.shape, np.nan), where=~flat)


def countable(vocabulary: Vocabulary) -> np.ndarray:
    """Which tokens can be named: bool (V,), neither special nor empty, and the first with their text."""
    return np.array([
        bool(piece) and i not in vocabulary.special and vocabulary.ids[vocabulary.texts[i]] == i
        for i, piece in enumerate(vocabulary.pieces)
    ])  # fmt: skip


def chance_of_standing_out(subject: TransformerSubject, directions: int = RANDOM_DIRECTIONS, seed: int = 0) -> float:
    """What the most favoured token of a random direction of the residual stream reaches, in standard deviations: the
    quantile of 1 - `CHANCE` over seeded directions."""
    from glossator.subjects.token_weights import logit_strengths

    width = subject.model.get_input_embeddings().weight.shape[1]
    vectors = np.random.default_rng([seed, width]).normal(size=(directions, width))
    found = standardised(logit_strengths(subject, vectors), subject.tokenizer.vocabulary)
    return float(np.quantile(np.nanmax(found, axis=0), 1 - CHANCE))
