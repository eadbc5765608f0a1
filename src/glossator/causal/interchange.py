"""Interchange on minimal pairs: does the answer flip when a part is carried over from source to base?

Interchange intervention accuracy is the share of pairs whose answer becomes the source's (Geiger et al. 2021, "Causal
abstractions of neural networks"). A single unit rarely achieves this, so the relative change in the log-probability
difference of the answers stands beside it (Wang et al. 2022, "Interpretability in the wild"). Only pairs that the model
answers correctly for both sentences count.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from glossator.causal.changes import Splice
from glossator.causal.edits import Edit, check_outputs
from glossator.causal.minimal_pairs import Pairs
from glossator.errors import UserError
from glossator.readouts.parts import Part
from glossator.statistics import Resampled, document_index, ratio, sums_by, undefined

if TYPE_CHECKING:
    from glossator.subjects.transformer import TransformerSubject


@dataclass(frozen=True, eq=False)
class Interchanged:
    """log p(source answer) - log p(base answer) of each pair, (n,) each: on the base, on the source, and on the base
    with the part carried over."""

    pairs: Pairs
    base: np.ndarray
    source: np.ndarray
    patched: np.ndarray

    @cached_property
    def known(self) -> np.ndarray:
        """Which pairs (n,) the model answers correctly on both sides."""
        return (self.base < 0) & (self.source > 0)

    def effect(self) -> Resampled:
        """Share of the way from the base's to the source's difference, over all known pairs together: 1 for a part that
        carries all of it, 0 for one that carries nothing, below 0 for one that works against it."""
        return self._ratio(self.patched - self.base, self.source - self.base)

    def accuracy(self) -> Resampled:
        """Share of the known pairs whose answer becomes the source's."""
        return self._ratio(self.patched > 0, np.ones(len(self.pairs)), (0.0, 1.0))

    def _ratio(
        self, top: np.ndarray, bottom: np.ndarray, bounds: tuple[float, float] = (-math.inf, math.inf)
    ) -> Resampled:
        """Over the known pairs and their words alone: the others say nothing and are no part of n."""
        if not self.known.any():
            return Resampled(0, undefined, self._reason)
        index, documents = document_index(self.pairs.base.documents[self.known])
        sums = sums_by(index, documents, top[self.known], bottom[self.known])
        return ratio(sums[:, 0], sums[:, 1], reason=self._reason, bounds=bounds)

    @property
    def _reason(self) -> str:
        return f"the model answers none of the {len(self.pairs)} minimal pairs of {self.pairs.concept} rightly"


def interchange(subject: TransformerSubject, pairs: Pairs, site: str, parts: Sequence[Part]) -> list[Interchanged]:
    """Each part carried over from source to base alone, from the first token in which the two differ.

    Raises `UserError` where there is no pair.
    """
    from glossator.causal.patching import outputs, parts_values
    from glossator.causal.running import run_each

    check_outputs(subject)
    if not len(pairs):
        raise UserError("no minimal pairs to interchange", value=pairs.concept)
    on_source = _differences(outputs(subject, pairs.source), pairs)
    values = parts_values(subject, pairs.source, site, parts)
    edits = [[Edit(site, part, Splice(of_part), pairs.where)] for part, of_part in zip(parts, values, strict=True)]
    on_base, patched = np.zeros(len(pairs)), np.zeros((len(parts), len(pairs)))
    for clean, edited in run_each(subject, pairs.base, edits):
        some = pairs.take(clean.rows)
        last = some.base.lengths.astype(np.int64) - 1
        rows = np.arange(len(last))
        assert clean.log_probs is not None
        on_base[clean.rows] = _differences(clean.log_probs[rows, last], some)
        for number, log_probs in edited:
            patched[number, clean.rows] = _differences(log_probs[rows, last], some)
    return [Interchanged(pairs, on_base, on_source, moved) for moved in patched]


def _differences(log_probs: Any, pairs: Pairs) -> np.ndarray:
    """(n, V) at the last tokens -> (n,) float64."""
    rows = np.arange(len(pairs))
    found = log_probs[rows, pairs.source_answers] - log_probs[rows, pairs.base_answers]
    return np.asarray(found.double().cpu().numpy())
