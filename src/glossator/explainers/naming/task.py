"""One unit to name, how to ask it, and the texts that names come from.

The texts are prepared once and shared by any number of units; what ranks names is kept apart from what proposes them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from glossator.corpora.ngrams.held_words import WordTable, word_table
from glossator.corpora.wordnet import WordNet, load_wordnet
from glossator.errors import UserError
from glossator.explainers.naming.classes import Classes, word_classes
from glossator.explainers.naming.space import Space, Vocabulary, open_vocabulary
from glossator.recording.texts import responses
from glossator.subjects.base import Subject
from glossator.subjects.embedders import Embedder
from glossator.units import Unit


@dataclass(frozen=True, eq=False)
class Reference:
    """Texts (n-grams, as a rule) that units are run on, with the space that names are looked for in, None for none."""

    texts: tuple[str, ...]
    wordnet: WordNet
    space: Space | None

    @classmethod
    def of(
        cls,
        texts: Sequence[str],
        *,
        embedder: Embedder | None = None,
        vocabulary: Vocabulary | None = None,
        wordnet: WordNet | None = None,
    ) -> Reference:
        """Prepare a reference. embedder: of the space for naming; without one, names come from the texts and WordNet
        alone."""
        wordnet = wordnet or load_wordnet()
        space = None
        if embedder is not None:
            space = Space.of(embedder.embed(texts), vocabulary or open_vocabulary(embedder, wordnet))
        return cls(tuple(texts), wordnet, space)

    @cached_property
    def table(self) -> WordTable:
        return word_table(self.texts, self.wordnet)

    @cached_property
    def classes(self) -> Classes:
        return word_classes(self.table, self.wordnet)

    def only(self, rows: np.ndarray) -> Reference:
        """The same with these texts (bool or row numbers) alone; what is known of the others is dropped."""
        rows = np.arange(len(self.texts))[rows]
        if not len(rows):
            raise UserError("no text left for naming", fix="Leave out less, or give more text")
        space = None if self.space is None else self.space.only(rows)
        made = Reference(tuple(self.texts[row] for row in rows.tolist()), self.wordnet, space)
        made.__dict__.update(table=self.table.only(rows), classes=self.classes.only(rows))
        return made

    @cached_property
    def fingerprint(self) -> str:
        """16 hexadecimal digits of the texts in order: the evidence that names come from."""
        return hashlib.sha256("\0".join(self.texts).encode("utf-8", "replace")).hexdigest()[:16]


@dataclass(frozen=True)
class Responses:
    """A unit's responses to many texts: count of those that are numbers, how many are missing, their mean and standard
    deviation (divisor n), None if there is none; problem: why the unit cannot be named, None when it can."""

    count: int
    missing: int
    mean: float | None
    sigma: float | None
    problem: str | None

    @classmethod
    def of(cls, values: np.ndarray) -> Responses:
        """Summarise values (n,) as they come from a subject. Constant means: to within 8 roundings of a float32."""
        known = values[np.isfinite(values)].astype(np.float64)
        missing, problem = len(values) - len(known), None
        if not len(known):
            return cls(0, missing, None, None, "no finite value")
        low, high, mean = float(known.min()), float(known.max()), float(known.mean())
        if low == high == 0:
            problem = "dead: 0 on every n-gram"
        elif high - low <= 8 * np.finfo(np.float32).eps * max(abs(low), abs(high)):
            problem = f"constant: {mean:.6g} on every n-gram"
        return cls(len(known), missing, mean, float(known.std()), problem)


@dataclass(frozen=True, eq=False)
class Task:
    """One unit to name. ask: texts to its responses, times the sign of its polarity, NaN where it has none; values
    (n,): responses to the reference's texts, signed alike; named (m,): those to the names of the general
    vocabulary, None if they were not asked for."""

    unit: Unit
    responses: Responses
    ask: Callable[[Sequence[str]], np.ndarray]
    values: np.ndarray
    named: np.ndarray | None = None

    @cached_property
    def order(self) -> np.ndarray:
        """Texts by response, largest first; those without one are left out."""
        rows = np.flatnonzero(np.isfinite(self.values))
        return rows[np.argsort(-self.values[rows], kind="stable")]

    @cached_property
    def loudest(self) -> np.ndarray:
        """Those of these texts whose response is above the median of all, or above the mean if half of them tie at the
        largest."""
        values = self.values[self.order]
        if not len(values):
            return self.order
        middle = np.median(values)
        return self.order[values > (middle if middle < values[0] else values.mean())]


def asker(subject: Subject, unit: Unit) -> Callable[[Sequence[str]], np.ndarray]:
    """A function from texts to a unit's signed responses, float64 (n,)."""
    return lambda texts: unit.sign * responses(subject, unit.site, [unit.index], texts)[:, 0].astype(np.float64)
