"""What is shared by the units of one reference and one seed: which texts name, which rank, which names stand beside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from glossator.corpora.ngrams.held_words import Concept, WordTable
from glossator.corpora.wordnet import general_names
from glossator.explainers.naming.classes import other_names, stable_order
from glossator.explainers.naming.task import Reference

OTHERS = 12
"""Names drawn at random for written negatives: so many for ranking, and so many others for reporting."""

KINDS = 6
"""Kinds of a class that phrases are made around: so many for ranking, and so many others for reporting."""


@dataclass(frozen=True, eq=False)
class NamingSplit:
    """Splits the reference's texts: names are proposed from a part (`naming_share`) and ranked on the others."""

    reference: Reference
    naming_share: float
    seed: int

    @cached_property
    def _place(self) -> np.ndarray:
        return places(self.reference.texts, ("n-grams", self.seed))

    @cached_property
    def naming_rows(self) -> np.ndarray:
        return np.flatnonzero(self._place < self.naming_share)

    @cached_property
    def ranking_rows(self) -> np.ndarray:
        return np.flatnonzero(self._place >= self.naming_share)

    @cached_property
    def naming(self) -> Reference:
        return self.reference.only(self.naming_rows)

    @cached_property
    def ranking(self) -> WordTable:
        return self.reference.table.only(self.ranking_rows)

    def only(self, kept: np.ndarray) -> NamingSplit:
        """The split restricted to these n-grams (bool), each in the same part as before; faster if few are left out."""
        made = NamingSplit(self.reference.only(kept), self.naming_share, self.seed)
        made.__dict__["_place"] = self._place[kept]
        made.__dict__["naming"] = self.naming.only(kept[self.naming_rows])
        made.__dict__["_others"] = self._others
        return made

    def kinds(self, concept: Concept, reporting: bool) -> list[str]:
        """Kinds of a class for phrases, those that the corpus speaks of first; those for reporting are others."""
        row, counts = self.reference.table.row, self.reference.table.counts
        known = [kind for kind in concept.kinds if kind in row and counts[row[kind]]]
        known.sort(key=lambda kind: -int(counts[row[kind]]))
        return list(dict.fromkeys((*known, *concept.kinds)))[: 2 * KINDS][int(reporting) :: 2]

    def nearness(self, names: Sequence[str]) -> dict[str, np.ndarray]:
        """Cosines with the ranking n-grams of those names that the vocabulary has, or that are put together from its
        names; empty without a space."""
        space = self.reference.space
        if space is None:
            return {}
        row = space.vocabulary.row
        rows = {n: [row[n]] if n in row else [row[word] for word in n.split() if word in row] for n in names}
        known = [name for name, its in rows.items() if its]
        if not known:
            return {}
        vectors = np.stack([space.names[rows[name]].sum(0) for name in known])
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return dict(zip(known, vectors @ self._ranking_vectors.T, strict=True))

    @cached_property
    def _ranking_vectors(self) -> np.ndarray:
        assert self.reference.space is not None
        return self.reference.space.ngrams[self.ranking_rows]

    @cached_property
    def _others(self) -> list[str]:
        nothing = Concept("", {})
        return other_names(nothing, general_names(self.reference.wordnet), 4 * OTHERS, ("others", self.seed))

    def others(self, concept: Concept, reporting: bool) -> list[str]:
        """Random names that do not stand for the concept; those for reporting are not those for ranking."""
        half = self._others[2 * OTHERS :] if reporting else self._others[: 2 * OTHERS]
        return [name for name in half if concept.members.get(name, 0.0) == 0 and name != concept.name][:OTHERS]


def places(texts: tuple[str, ...] | list[str], salt: object) -> np.ndarray:
    """A number in [0, 1) for each text, the same for the same text (case aside) and salt."""
    return np.array([stable_order(text.lower(), salt) for text in texts], dtype=np.float64) / 2.0**64
