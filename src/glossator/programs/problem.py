"""What the inducer fits: the explain split's tokens in a row, with activations, weights and document parts.

Random windows represent the population and have weight 1. Top windows weigh more, because users look at them too: all
of them together weigh `top_share` of the random ones. A hash of its number assigns each document to a part: some for
the search (where the gain of a test is judged across them), and one that only decides whether to claim anything. That
part gets its share of the documents in which the unit fires, or a rare unit would be silent there.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from glossator.evidence import Exemplars
from glossator.inputs.tokens import TokenWindows
from glossator.programs.bank import Bank
from glossator.programs.language import Test
from glossator.programs.loops import sums_by_part
from glossator.programs.reading import Reading

PARTS = 4
"""Into so many parts the documents that are searched on are dealt."""
CLAIM, CLAIM_SHARE = -1, 0.1
LEAST_TO_CLAIM = 2
"""At least so many documents are kept for the claim, and as many in which the unit fires."""


@dataclass(frozen=True, eq=False)
class Problem:
    """One unit's explain split, flattened to its valid tokens (T).

    reading: of its windows; target, weight (T,); part (T,): 0, 1, ... to search, `CLAIM` to claim; scale: the power of
    two that the unit's activations were divided by, so that the largest is about 1 and no search depends on how large
    they are; firing_documents: in so many the unit fires.
    """

    windows: TokenWindows
    reading: Reading
    target: np.ndarray
    weight: np.ndarray
    part: np.ndarray
    scale: float
    firing_documents: int

    @property
    def bank(self) -> Bank:
        return self.reading.bank

    @property
    def seen(self) -> np.ndarray:
        return self.reading.seen

    @property
    def flat(self) -> np.ndarray:
        return self.reading.flat

    @property
    def back(self) -> list[np.ndarray]:
        return self.reading.back

    def column(self, test: Test) -> np.ndarray:
        """Truth (T,) of any test, as the executor has it, not to be changed."""
        return self.reading.column(test)

    @cached_property
    def searched(self) -> np.ndarray:
        """Weights (T,), 0 where the claim is judged."""
        return self.weight * (self.part != CLAIM)

    @cached_property
    def folds(self) -> np.ndarray:
        """Weights (T, PARTS) of the parts that are searched on, 0 elsewhere."""
        return self.searched[:, None] * (self.part[:, None] == np.arange(PARTS))

    @cached_property
    def dealt(self) -> np.ndarray:
        """`part` (T,), some part where the claim is judged."""
        return np.maximum(self.part, 0)

    @cached_property
    def _all(self) -> tuple[np.ndarray, np.ndarray]:
        """All places, and one part for them."""
        return np.arange(len(self.target)), np.zeros(len(self.target), np.int64)

    def sums(self, values: np.ndarray, distance: int, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
        """(s,) sum of values (t,) over the token `distance` places back; rows: which of the T places they are of."""
        return np.bincount(self.back[distance][rows], values, minlength=len(self.seen) + 1)[:-1]

    def sums_back(
        self, values: np.ndarray, distances: int, rows: np.ndarray | slice = slice(None), *, by_part: bool
    ) -> np.ndarray:
        """`sums` at distances from 0 on, (s, distances) float32, or in each part that is searched on, (s, distances *
        PARTS); values must then be 0 where the claim is judged. rows: a slice stands for all places."""
        everywhere, one_part = self._all
        places, parts = rows if isinstance(rows, np.ndarray) else everywhere, self.dealt if by_part else one_part
        width = PARTS if by_part else 1
        sums, found = np.empty((len(self.seen) + 1, width)), np.empty((len(self.seen), distances * width), np.float32)
        for distance in range(distances):
            sums_by_part(self.back[distance], parts, places, values, sums, found, width * distance)
        return found


def make_problem(exemplars: Exemplars, bank: Bank, top_share: float, fires_above: float = 0.0) -> Problem:
    """Order the windows by their number (random draw first), weigh them, deal their documents into parts.

    fires_above: the unit's firing threshold.
    """
    in_random = np.asarray(exemplars.in_random)
    order = np.lexsort((exemplars.windows.ids, ~in_random))
    exemplars = exemplars.take(order)
    in_random, windows = in_random[order], exemplars.windows
    valid = np.asarray(windows.valid)
    is_top = exemplars.kinds == "top"
    random_tokens, top_tokens = valid[in_random].sum(), valid[is_top].sum()
    extra = top_share * random_tokens / top_tokens if top_tokens and random_tokens else float(top_tokens > 0)
    weight = in_random * 1.0 + is_top * max(extra, 1.0 if not random_tokens else 0.0)
    documents = np.asarray(windows.documents)
    fires = ((exemplars.activations > fires_above) & valid).any(axis=1)
    firing = np.unique(documents[fires])
    part = parts_of(documents, firing)
    reading = Reading.of(windows, valid & (weight > 0)[:, None], bank)
    flat = reading.flat
    width = windows.width
    target = np.maximum(exemplars.activations.reshape(-1)[flat].astype(np.float64), 0.0)
    scale = 2.0 ** int(np.frexp(target.max(initial=0.0))[1])
    return Problem(
        windows,
        reading,
        target / scale,
        weight[flat // width],
        part[flat // width],
        scale,
        len(firing),
    )


def parts_of(documents: np.ndarray, firing: np.ndarray, claim_share: float = CLAIM_SHARE) -> np.ndarray:
    """The part of each window: documents in the order of a fixed hash (splitmix64) of their numbers, in turn for the
    search; the last ones of those in which the unit fires (their numbers: firing), and of the others, for the claim."""
    distinct, index = np.unique(documents, return_inverse=True)
    z = distinct.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    with np.errstate(over="ignore"):
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    order = np.argsort(z ^ (z >> np.uint64(31)), kind="stable")
    part = np.empty(len(distinct), np.int64)
    part[order] = np.arange(len(distinct)) % PARTS
    fires = np.isin(distinct[order], firing)
    for of_a_kind in (order[fires], order[~fires]):
        kept = max(LEAST_TO_CLAIM, round(claim_share * len(of_a_kind)))
        part[of_a_kind[max(0, len(of_a_kind) - kept) :]] = CLAIM
    return part[index.reshape(-1)]
