"""Executing a program on windows: the free simulator.

Total: any program runs on any windows and gives finite numbers; unknown texts and tokens match nothing. Parts that
depend on the token alone are evaluated once per vocabulary entry and gathered; context takes a few shifts.
"""

from __future__ import annotations

import numpy as np

from glossator.inputs.tokens import TokenWindows
from glossator.programs.language import (
    After,
    And,
    Between,
    Not,
    Or,
    Position,
    Program,
    Repeated,
    Sequence,
    Shape,
    Test,
    Within,
    is_local,
)  # fmt: skip
from glossator.programs.lexicon import Lexicon


def execute(program: Program, windows: TokenWindows, lexicon: Lexicon) -> np.ndarray:
    """The program's value at every token: (n, width) float32, at least 0, and 0 where the windows are not valid."""
    ids = lexicon.ids(windows)
    local = np.full(len(lexicon) + 1, program.bias, dtype=np.float32)
    for clause in program.clauses:
        if is_local(clause.test):
            local += np.float32(clause.strength) * lexicon.truths(clause.test)
    values = local[ids]
    for clause in program.clauses:
        if not is_local(clause.test):
            values += np.float32(clause.strength) * _truth(clause.test, ids, lexicon)
    np.maximum(values, 0.0, out=values)
    values[~windows.valid] = 0.0
    return values


def truth(test: Test, windows: TokenWindows, lexicon: Lexicon) -> np.ndarray:
    """The truth of a test at every token: (n, width) float32; padding is not masked."""
    return truth_at(test, lexicon.ids(windows), lexicon)


def truth_at(test: Test, ids: np.ndarray, lexicon: Lexicon) -> np.ndarray:
    """`truth` for windows given as the lexicon's rows (n, width), see `Lexicon.ids`."""
    return _truth(test, ids, lexicon).astype(np.float32)


def _truth(test: Test, ids: np.ndarray, lexicon: Lexicon) -> np.ndarray:
    """Bool where every part is yes or no, float32 otherwise."""
    if is_local(test):
        return lexicon.truths(test)[ids]
    match test:
        case And(tests):
            return _least([_truth(t, ids, lexicon) for t in tests])
        case Or(tests):
            found = [_truth(t, ids, lexicon) for t in tests]
            result = found[0]
            for other in found[1:]:
                result = np.maximum(result, other)
            return result
        case Not(inner):
            found_inner = _truth(inner, ids, lexicon)
            return ~found_inner if found_inner.dtype == bool else np.float32(1.0) - found_inner
        case After(inner):
            return shift(_truth(inner, ids, lexicon), 1)
        case Within(inner, k):
            return shift(_greatest_of_last(_truth(inner, ids, lexicon), k), 1)
        case Sequence(tests):
            last = len(tests) - 1
            return _least([shift(_truth(t, ids, lexicon), last - i) for i, t in enumerate(tests)])
        case Between(opening, closing):
            return _between(_truth(opening, ids, lexicon) >= 0.5, _truth(closing, ids, lexicon) >= 0.5)
        case Position(low, high):
            columns = np.arange(ids.shape[1])
            inside = (columns >= low) & (columns <= (ids.shape[1] if high is None else high))
            return np.broadcast_to(inside, ids.shape)
        case Repeated(within):
            gap = distance_to_same(ids, unknown=len(lexicon))
            return (gap > 0) & (gap <= (ids.shape[1] if within is None else within))
        case Shape("continues-word"):
            return lexicon.truths(test)[ids] & shift(lexicon.ends_word[ids], 1)
    raise TypeError(f"no rule to execute {type(test).__name__}")


def shift(values: np.ndarray, by: int) -> np.ndarray:
    """Each row moved `by` places to the right, 0 (False) coming in from the left."""
    if by == 0:
        return values
    moved = np.zeros_like(values)
    if by < values.shape[1]:
        moved[:, by:] = values[:, :-by]
    return moved


def _least(found: list[np.ndarray]) -> np.ndarray:
    result = found[0]
    for other in found[1:]:
        result = np.minimum(result, other)
    return result


def _greatest_of_last(values: np.ndarray, k: int) -> np.ndarray:
    """The greatest of the k values that end at each place, by doubling."""
    k = min(k, max(values.shape[1], 1))
    reach = 1
    while reach * 2 <= k:
        values = np.maximum(values, shift(values, reach))
        reach *= 2
    return np.maximum(values, shift(values, k - reach))


def _between(opens: np.ndarray, closes: np.ndarray) -> np.ndarray:
    inside = np.zeros_like(opens)
    state = np.zeros(len(opens), dtype=bool)
    for column in range(opens.shape[1]):
        opening, closing = opens[:, column], closes[:, column]
        inside[:, column] = state & ~closing
        state = np.where(opening & closing, ~state, (state | opening) & ~closing)
    return inside


def distance_to_same(ids: np.ndarray, unknown: int = -1) -> np.ndarray:
    """(n, width) int: how many tokens back the same id stands in its row, 0 where it is new or `unknown`."""
    order = np.argsort(ids, axis=1, kind="stable")
    ordered = np.take_along_axis(ids, order, axis=1)
    gap = np.zeros_like(order)
    gap[:, 1:] = np.where(ordered[:, 1:] == ordered[:, :-1], order[:, 1:] - order[:, :-1], 0)
    gap[ordered == unknown] = 0
    result = np.zeros_like(gap)
    np.put_along_axis(result, order, gap, axis=1)
    return result
