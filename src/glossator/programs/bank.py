"""The bank: every token-local test available to the inducer, with its truth on the texts of the vocabulary.

Rows are tests, columns are distinct token texts; the matrix is sparse, so that one product with the
per-text sums of any residual tells how much every test would explain.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse

from glossator.engines import cores_to_use
from glossator.programs.atoms import Contains, Like, Prefix, Shape, Spelled, Suffix, Token, Word
from glossator.programs.bits import LEVEL_BITS, test_bits
from glossator.programs.language import After, Test
from glossator.programs.lexicon import Lexicon
from glossator.programs.shapes import CONTEXT_SHAPES, SHAPES
from glossator.programs.words import WORD_CLASSES, english_of

FLOORS = (0.125, 0.25, 0.375)
"""How near is near: the floors at which meaning neighbourhoods are offered."""
WIDEST = 1500
"""Neighbourhoods of more texts than this are too vague to be offered."""
SEEDS = 6000
SEEDS_AT_ONCE, PRODUCTS = 500, 4
"""Seeds compared with all texts in one product, which takes some 100 MB, and products at a time."""
LEAST_TEXTS = 8
"""A prefix or suffix that fewer texts share is not offered: naming the texts costs no more."""
BITS_A_CHARACTER = 4.0
"""How dear a character of English is against a bit: programs are limited in both."""
JOINT_BITS = 5.5
"""What a literal, a seed or a spelling saves by sharing a clause with others of its kind and strength."""


Offer = Callable[..., None]
"""Called with a test, the columns of which it is true, and its truth on them where that is not 1."""


@dataclass(frozen=True, eq=False)
class Bank:
    """types (k,) canonical token ids; column_of (V + 1,) the column of each id, k where it has none; tests (F,);
    truth (F, k) sparse; costs (F,) of adding a test, in bits and characters of English; simple (F,) bool:
    tests that are also combined with others (literals, spellings, shapes, word classes); readings: the
    `reading.Reading` of the last windows.
    """

    lexicon: Lexicon
    types: np.ndarray
    column_of: np.ndarray
    tests: tuple[Test, ...]
    truth: sparse.csr_matrix
    costs: np.ndarray
    simple: np.ndarray
    readings: dict[str, Any] = field(default_factory=dict, repr=False)

    @cached_property
    def row_of(self) -> dict[Test, int]:
        return {test: row for row, test in enumerate(self.tests)}

    @cached_property
    def anchors(self) -> np.ndarray:
        """(F,) bool: tests that are worth remembering, the simple ones and signs that tokens of code have in common."""
        signs = [isinstance(t, Contains) and len(t.text) == 1 and not t.text.isalnum() for t in self.tests]
        return self.simple | np.array(signs)

    def vector(self, row: int) -> np.ndarray:
        """Truth of one test on every type: (k,) float32."""
        dense = np.zeros(len(self.types), np.float32)
        start, end = self.truth.indptr[row], self.truth.indptr[row + 1]
        dense[self.truth.indices[start:end]] = self.truth.data[start:end]
        return dense


def build_bank(lexicon: Lexicon, counts: np.ndarray) -> Bank:
    """Offer tests on all texts of the vocabulary; counts (V + 1,) of canonical ids choose the seeds of meaning."""
    ordinary = np.ones(len(lexicon), bool)
    ordinary[[i for i in lexicon.vocabulary.special if i < len(lexicon)]] = False
    types = np.flatnonzero((lexicon.canonical[:-1] == np.arange(len(lexicon))) & ordinary)
    column_of = np.full(len(lexicon) + 1, len(types), np.int64)
    column_of[types] = np.arange(len(types))
    seen = counts[types]
    tests: list[Test] = []
    rows: list[np.ndarray] = []
    values: list[np.ndarray] = []

    def offer(test: Test, members: np.ndarray, truth: np.ndarray | None = None) -> None:
        tests.append(test)
        rows.append(members)
        values.append(np.ones(len(members), np.float32) if truth is None else truth)

    texts = [lexicon.vocabulary.texts[i] for i in types]
    for column, text in enumerate(texts):
        offer(Token((text,)), np.array([column]))
    lowered = [lexicon.lowered[i] for i in types]
    for word, members in _groups(lowered).items():
        if len(members) > 1 and word:
            offer(Spelled((word,)), members)
    for name in SHAPES:
        if name not in CONTEXT_SHAPES:
            _offer_class(offer, Shape(name), lexicon, types)
    for name in WORD_CLASSES:
        _offer_class(offer, Word(name), lexicon, types)
    simple = len(tests)
    bodies = [lexicon.bodies[i] for i in types]
    for size in (1, 2, 3, 4):
        long_enough = [(c, b) for c, b in enumerate(bodies) if len(b) >= size]
        for kind, part in ((Prefix, slice(None, size)), (Suffix, slice(-size, None))):
            for text, members in _groups_of((c, b[part]) for c, b in long_enough).items():
                if len(members) >= LEAST_TEXTS and not text.isspace() and "\ufffd" not in text:
                    offer(kind(text), members)
    _offer_contained(offer, bodies)
    _offer_meanings(offer, lexicon, types, seen, lowered)

    indptr = np.concatenate([[0], np.cumsum([len(r) for r in rows])])
    truth = sparse.csr_matrix(
        (np.concatenate(values).astype(np.float32), np.concatenate(rows).astype(np.int32), indptr),
        shape=(len(tests), len(types)),
    )
    costs = np.array([cost(test, lexicon) for test in tests], np.float32)
    return Bank(
        lexicon,
        types,
        column_of,
        tuple(tests),
        truth,
        costs,
        np.arange(len(tests)) < simple,
    )


def cost(test: Test, lexicon: Lexicon) -> float:
    """What a clause of this test adds to a program that has clauses of its kind: bits, and characters of English."""
    literal = test.test if isinstance(test, After) else test
    joint = JOINT_BITS if isinstance(literal, (Token, Spelled, Like)) else 0.0
    return LEVEL_BITS + test_bits(test, lexicon) - joint + BITS_A_CHARACTER * characters(test)


def characters(test: Test) -> int:
    """About how long the English of a test is, beside others of its kind."""
    match test:
        case Token(texts) | Spelled(texts) | Like(texts, _):
            return sum(len(text) + 1 for text in texts)
        case Prefix(text) | Suffix(text) | Contains(text):
            return len(text) + 3
        case Shape(name):
            return len(SHAPES[name].english) + 2
        case Word(name):
            return len(english_of(name)) + 2
        case After(Token() | Spelled() | Like() as inner):
            return characters(inner) + 2
    return sum(map(characters, test.parts)) + 16


def _groups(keys: list[str]) -> dict[str, np.ndarray]:
    return _groups_of(enumerate(keys))


def _groups_of(pairs: Iterable[tuple[int, str]]) -> dict[str, np.ndarray]:
    found: dict[str, list[int]] = {}
    for column, key in pairs:
        found.setdefault(key, []).append(column)
    return {key: np.array(members) for key, members in found.items()}


def _offer_class(offer: Offer, test: Test, lexicon: Lexicon, types: np.ndarray) -> None:
    members = np.flatnonzero(lexicon.truths(test)[types])
    if 2 <= len(members) < len(types):
        offer(test, members)


def _offer_contained(offer: Offer, bodies: list[str]) -> None:
    """Characters and pairs of characters anywhere in a token: single ones always, pairs where common."""
    pairs = Counter(pair for b in bodies for pair in {b[i : i + 2] for i in range(len(b) - 1)})
    common = {pair for pair, n in pairs.items() if n >= 4 * LEAST_TEXTS and "\ufffd" not in pair}
    found: dict[str, list[int]] = {}
    for column, body in enumerate(bodies):
        for part in set(body) | ({body[i : i + 2] for i in range(len(body) - 1)} & common):
            if part != "\ufffd":
                found.setdefault(part, []).append(column)
    for text in sorted(found):
        if len(found[text]) >= LEAST_TEXTS:
            offer(Contains(text), np.array(found[text]))


def _offer_meanings(offer: Offer, lexicon: Lexicon, types: np.ndarray, seen: np.ndarray, lowered: list[str]) -> None:
    """Neighbourhoods of the most frequent words, one seed for each spelling."""
    if lexicon.directions is None:
        return
    order = [c for c in np.argsort(-seen, kind="stable") if len(lowered[c]) > 1 and lowered[c].isalpha()]
    first: dict[str, int] = {}
    for column in order:
        first.setdefault(lowered[column], column)
    seeds = np.array(list(first.values())[:SEEDS], np.int64)
    directions = lexicon.directions[types]

    def around(some: np.ndarray) -> list[tuple[Like, np.ndarray, np.ndarray]]:
        found = []
        for seed, cosines in zip(some, directions[some] @ directions.T, strict=True):
            text = (lexicon.vocabulary.texts[types[seed]],)
            near = np.flatnonzero(cosines > min(FLOORS))
            for floor in FLOORS:
                truth = Like.ramp(cosines[near], floor)
                holds = truth > 0
                if 2 <= holds.sum() <= WIDEST:
                    found.append((Like(text, floor), near[holds], truth[holds]))
        return found

    with ThreadPoolExecutor(min(cores_to_use(), PRODUCTS)) as pool:
        for found in pool.map(around, np.split(seeds, range(SEEDS_AT_ONCE, len(seeds), SEEDS_AT_ONCE))):
            for offered in found:
                offer(*offered)
