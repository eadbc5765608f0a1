"""What programs know about the tokens of a vocabulary: texts, spelling, word classes and similarity in meaning.

Everything that depends on the token alone is computed once for the whole vocabulary, so executing a program on windows
is one gather; nearness in meaning, which costs most, only for the tokens of the windows at hand. Row V of every vector
represents tokens outside the vocabulary.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np

from glossator.inputs.tokens import TokenWindows, Vocabulary
from glossator.programs.base import walk
from glossator.programs.closed_classes import CLOSED
from glossator.programs.language import (
    And,
    Contains,
    Like,
    Not,
    Or,
    Prefix,
    Shape,
    Spelled,
    Suffix,
    Table,
    Test,
    Token,
    Word,
)  # fmt: skip
from glossator.programs.meaning import meaning_directions
from glossator.programs.shapes import SHAPES, ends_word
from glossator.programs.words import members

CACHE_BYTES = 96 << 20
"""How much memory kept vectors may take before the least recently used are dropped."""

KINDS = ("lowercase", "capitalised", "uppercase", "letters", "number", "punctuation", "symbol", "whitespace")
"""Shapes that tell kinds of tokens apart, the first that holds."""


Key: TypeAlias = Test | tuple[Test | tuple[str, ...], bool]
"""A test, or a test or seeds and whether only the rows at hand were compared."""
WINDOWS_AT_ONCE = 4096


class Lexicon:
    """A vocabulary, optionally with static embeddings and token counts.

    vocabulary: V pieces; embedding: (V, d) floats or None, then `Like` is 0 everywhere and `missing` says so;
    counts: (V,) how often each token was seen or None, used to price token literals in `bits`.
    Raises `ValueError` when a shape does not fit the vocabulary.
    """

    def __init__(
        self, vocabulary: Vocabulary, embedding: np.ndarray | None = None, counts: np.ndarray | None = None
    ) -> None:
        size = len(vocabulary)
        if embedding is not None and (embedding.ndim != 2 or len(embedding) < size):
            raise ValueError(f"embedding of shape {embedding.shape} does not cover a vocabulary of {size} tokens")
        if counts is not None and counts.shape != (size,):
            raise ValueError(f"counts of shape {counts.shape} do not fit a vocabulary of {size} tokens")
        self.vocabulary = vocabulary
        self.counts = counts
        self.missing: tuple[str, ...] = () if embedding is not None else ("embedding: every Like is 0",)
        self._raw = None if embedding is None else embedding[:size]
        self._kept: OrderedDict[Key, np.ndarray] = OrderedDict()
        self._kept_bytes = 0
        self._translations: dict[str, np.ndarray] = {}
        self._aspects: dict[str, np.ndarray] = {}
        self._windows: TokenWindows | None = None

    @classmethod
    def for_windows(
        cls, vocabulary: Vocabulary, embedding: np.ndarray | None, windows: TokenWindows | None = None
    ) -> Lexicon:
        """The lexicon for windows over this vocabulary; windows: those that it is mostly asked of, see `over`."""
        found = cls(vocabulary, embedding)
        found._windows = windows
        return found

    def __len__(self) -> int:
        return len(self.vocabulary)

    @cached_property
    def total_count(self) -> float:
        """Sum of the token counts, 0 where none are known."""
        return 0.0 if self.counts is None else float(self.counts.sum())

    # --- texts ---------------------------------------------------------------------------------------------------

    @cached_property
    def canonical(self) -> np.ndarray:
        """(V + 1,) int32: the lowest token id with the same text, so that equal texts are one token; V stays V."""
        ids = self.vocabulary.ids
        return np.array([*(ids[text] for text in self.vocabulary.texts), len(self)], dtype=np.int32)

    @cached_property
    def bodies(self) -> tuple[str, ...]:
        """Token texts without one leading space; bytes that are no complete character are the replacement character."""
        return tuple(text[1:] if text[:1] == " " else text for text in self._decoded)

    @cached_property
    def _decoded(self) -> tuple[str, ...]:
        return tuple(piece.decode("utf-8", "replace") for piece in self.vocabulary.pieces)

    @cached_property
    def lowered(self) -> tuple[str, ...]:
        return tuple(body.lower() for body in self.bodies)

    @cached_property
    def _spellings(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for row, word in enumerate(self.lowered):
            found.setdefault(word, []).append(row)
        return found

    @cached_property
    def ends_word(self) -> np.ndarray:
        """(V + 1,) bool: a letter or digit after this token continues the same word."""
        return np.array([*(ends_word(body) for body in self.bodies), False])

    @cached_property
    def _fragments(self) -> np.ndarray:
        """(V + 1,) bool: up to three lower-case letters without a space before ("ant", "ale"): pieces, not words."""
        pairs = zip(self.vocabulary.texts, self.bodies, strict=True)
        return np.array([*(len(body) < 4 and body.islower() and text[:1] != " " for text, body in pairs), False])

    @cached_property
    def _starts(self) -> tuple[list[str], np.ndarray]:
        order = sorted(range(len(self)), key=self.bodies.__getitem__)
        return [self.bodies[i] for i in order], np.array(order, dtype=np.int64)

    @cached_property
    def _ends(self) -> tuple[list[str], np.ndarray]:
        backwards = [body[::-1] for body in self.bodies]
        order = sorted(range(len(self)), key=backwards.__getitem__)
        return [backwards[i] for i in order], np.array(order, dtype=np.int64)

    def aspect(self, name: str) -> np.ndarray:
        """(V + 1,) int32 number of what two tokens can have in common, -1 for tokens without it.

        token: the exact text; word: the text in lower case without its leading space; initial: a word's first letter,
        ending: the last two letters of a word of three or more, both in lower case; kind: the first shape of `KINDS`.
        """
        if name not in self._aspects:
            self._aspects[name] = self._aspect(name)
        return self._aspects[name]

    def _aspect(self, name: str) -> np.ndarray:
        if name == "token":
            return np.array([*self.canonical[:-1], -1], np.int32)
        if name == "kind":
            keys = np.full(len(self) + 1, -1, np.int32)
            for number, shape in reversed(list(enumerate(KINDS))):
                keys[self.truths(Shape(shape))] = number
            return keys
        part = {"word": lambda w: w, "initial": _initial, "ending": _ending}[name]
        numbers: dict[str, int] = {"": -1}
        return np.array([*(numbers.setdefault(part(w), len(numbers)) for w in self.lowered), -1], np.int32)

    def ids(self, windows: TokenWindows) -> np.ndarray:
        """(n, width) int32 rows of this lexicon's vectors: canonical token ids, V for what the vocabulary lacks.

        Windows over another vocabulary are read by the texts of their tokens.
        """
        tokens = np.asarray(windows.tokens)
        size = len(windows.vocabulary)
        tokens = np.where((tokens >= 0) & (tokens < size), tokens, size)
        return self._translation(windows.vocabulary)[tokens]

    def _translation(self, vocabulary: Vocabulary) -> np.ndarray:
        if vocabulary is self.vocabulary:
            return self.canonical
        key = vocabulary.fingerprint
        if key == self.vocabulary.fingerprint:
            return self.canonical
        if key not in self._translations:
            known = self.vocabulary.ids
            rows = [known.get(text, len(self)) for text in vocabulary.texts]
            self._translations[key] = np.array([*rows, len(self)], dtype=np.int32)
        return self._translations[key]

    # --- meaning -------------------------------------------------------------------------------------------------

    @cached_property
    def directions(self) -> np.ndarray | None:
        """(V, d) float32 of length 1 (or 0 for special tokens): embeddings made fit for comparing meanings."""
        return None if self._raw is None else meaning_directions(self._raw, self.vocabulary.special)

    def similarity(self, seeds: tuple[str, ...]) -> np.ndarray | None:
        """(V + 1,) float32 cosine of every token to the seed nearest to it; None without embedding or known seed."""
        return self._similarity(seeds, False)

    def _similarity(self, seeds: tuple[str, ...], at_hand: bool) -> np.ndarray | None:
        rows = [self.vocabulary.ids[s] for s in seeds if s in self.vocabulary.ids]
        if self.directions is None or not rows:
            return None
        kept = self._recall((seeds, at_hand))
        if kept is not None:
            return kept
        compared, directions = self._directions_at_hand if at_hand else (slice(0, -1), self.directions)
        cosines = np.zeros(len(self) + 1, dtype=np.float32)
        cosines[compared] = (directions @ self.directions[rows].T).max(axis=1)
        return self._keep((seeds, at_hand), cosines)

    @cached_property
    def _at_hand(self) -> np.ndarray:
        """(V + 1,) bool: rows that stand in the windows that this lexicon is for."""
        assert self._windows is not None
        found = np.zeros(len(self) + 1, bool)
        windows = len(self._windows)
        for rows in np.split(np.arange(windows), range(WINDOWS_AT_ONCE, windows, WINDOWS_AT_ONCE)):
            found[self.ids(self._windows.take(rows))] = True
        found[-1] = True
        return found

    @cached_property
    def _directions_at_hand(self) -> tuple[np.ndarray, np.ndarray]:
        """Such rows, and their directions."""
        rows = np.flatnonzero(self._at_hand[:-1])
        assert self.directions is not None
        return rows, self.directions[rows]

    def over(self, ids: np.ndarray) -> Lexicon | AtHand:
        """What to ask of these rows (any shape): this lexicon or, where all of them stand in the windows that it is
        for, what compares the meanings of such rows alone: a vocabulary has many times as many.

        Cosines may differ in their last digit between the two.
        """
        if self._windows is None or self.directions is None or not self._at_hand[ids].all():
            return self
        return AtHand(self)

    def warm(self) -> None:
        """Make what executing programs on the windows that this lexicon is for needs, before processes share it."""
        if self._windows is not None and self.directions is not None:
            self._directions_at_hand  # noqa: B018

    def nearest(self, seeds: tuple[str, ...], n: int = 10) -> list[tuple[str, float]]:
        """The n tokens closest in meaning to the seeds, seeds included, best first; empty without an embedding."""
        cosines = self.similarity(seeds)
        if cosines is None:
            return []
        best = np.argsort(-cosines[:-1], kind="stable")[:n]
        return [(self.vocabulary.texts[i], float(cosines[i])) for i in best]

    # --- tests that look at the token alone ----------------------------------------------------------------------

    def truths(self, test: Test) -> np.ndarray:
        """(V + 1,) bool or float32 truth of a token-local test for every token; row V: for unknown tokens.

        Raises `ValueError` for a test that needs context.
        """
        return self._truths(test, False)

    def _truths(self, test: Test, at_hand: bool) -> np.ndarray:
        kept = self._recall(test)
        if kept is not None:
            return kept
        if not at_hand or not any(isinstance(part, Like) for part in walk(test)):
            return self._keep(test, self._compute(test, False))
        kept = self._recall((test, at_hand))
        return kept if kept is not None else self._keep((test, at_hand), self._compute(test, at_hand))

    def _compute(self, test: Test, at_hand: bool) -> np.ndarray:
        match test:
            case Token(texts):
                return self._rows([self.vocabulary.ids[t] for t in texts if t in self.vocabulary.ids])
            case Spelled(words):
                return self._rows([row for word in words for row in self._spellings.get(word, ())])
            case Like(seeds, floor):
                cosines = self._similarity(seeds, at_hand)
                if cosines is None:
                    return np.zeros(len(self) + 1, dtype=np.float32)
                truth = Like.ramp(cosines, floor)
                truth[-1] = 0.0
                return truth
            case Prefix(text):
                return self._rows(_run(*self._starts, text))
            case Suffix(text):
                return self._rows(_run(*self._ends, text[::-1]))
            case Contains(text):
                return np.array([text in body for body in (*self.bodies, "")])
            case Shape(name):
                return np.array([*map(SHAPES[name].holds, self._decoded, self.bodies), False])
            case Word(name):
                found = self._rows([row for form in members(name) for row in self._spellings.get(form, ())])
                return found if name in CLOSED else found & ~self._fragments
            case Table(values, default):
                truth = np.full(len(self) + 1, default, dtype=np.float32)
                known = [(self.vocabulary.ids[t], v) for t, v in values if t in self.vocabulary.ids]
                truth[[row for row, _ in known]] = [value for _, value in known]
                return truth
            case And(tests):
                return _fold(np.minimum, [self._truths(t, at_hand) for t in tests])
            case Or(tests):
                return _fold(np.maximum, [self._truths(t, at_hand) for t in tests])
            case Not(inner):
                truth = self._truths(inner, at_hand)
                return ~truth if truth.dtype == bool else np.float32(1.0) - truth
        raise ValueError(f"{type(test).__name__} needs context, not the token alone")

    def _rows(self, rows: list[int] | np.ndarray) -> np.ndarray:
        truth = np.zeros(len(self) + 1, dtype=bool)
        truth[rows] = True
        return truth

    # --- keeping -------------------------------------------------------------------------------------------------

    def _recall(self, key: Key) -> np.ndarray | None:
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
        return found

    def _keep(self, key: Key, vector: np.ndarray) -> np.ndarray:
        vector.flags.writeable = False
        self._kept[key] = vector
        self._kept_bytes += vector.nbytes
        while self._kept_bytes > CACHE_BYTES and len(self._kept) > 1:
            self._kept_bytes -= self._kept.popitem(last=False)[1].nbytes
        return vector


@dataclass(frozen=True)
class AtHand:
    """A lexicon whose answers are right for the rows at hand alone (`Lexicon.over`)."""

    lexicon: Lexicon

    def truths(self, test: Test) -> np.ndarray:
        return self.lexicon._truths(test, True)

    def aspect(self, name: str) -> np.ndarray:
        return self.lexicon.aspect(name)

    @property
    def ends_word(self) -> np.ndarray:
        return self.lexicon.ends_word


def _run(texts: list[str], order: np.ndarray, start: str) -> np.ndarray:
    """Rows of the sorted texts that begin with `start`."""
    first = bisect_left(texts, start)
    last = bisect_left(texts, True, lo=first, key=lambda text: not text.startswith(start))
    return order[first:last]


def _fold(reduce: np.ufunc, truths: list[np.ndarray]) -> np.ndarray:
    result = truths[0]
    for truth in truths[1:]:
        result = reduce(result, truth)
    return result.copy()


def _initial(word: str) -> str:
    return word[:1] if word[:1].isalpha() else ""


def _ending(word: str) -> str:
    return word[-2:] if len(word) > 2 and word.isalpha() else ""
