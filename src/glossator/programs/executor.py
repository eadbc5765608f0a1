"""Executing a program on windows: the free simulator.

Total: any program runs on any windows and gives finite numbers; unknown texts and tokens match nothing. Parts that
depend on the token alone are evaluated once per vocabulary entry and gathered; context takes a few shifts and running
sums (`states`).
"""

from __future__ import annotations

import numpy as np

from glossator.inputs.tokens import TokenWindows
from glossator.programs import states
from glossator.programs.language import (
    After,
    Agrees,
    And,
    Between,
    Count,
    Induction,
    Not,
    Or,
    Position,
    Program,
    Repeated,
    Same,
    Sequence,
    Shape,
    Share,
    Test,
    Within,
    is_local,
)
from glossator.programs.lexicon import AtHand, Lexicon
from glossator.programs.states import greatest_of_last, shift

ROUNDING = 1e-9
"""A share that is reached exactly must not be missed by rounding: 11 of 20 are 0.55."""


def execute(program: Program, windows: TokenWindows, lexicon: Lexicon) -> np.ndarray:
    """The program's value at every token: (n, width) float32, at least 0, and 0 where the windows are not valid."""
    ids = lexicon.ids(windows)
    asked = lexicon.over(ids)
    local = np.full(len(lexicon) + 1, program.bias, dtype=np.float32)
    for clause in program.clauses:
        if is_local(clause.test):
            local += np.float32(clause.strength) * asked.truths(clause.test)
    values = local[ids]
    for clause in program.clauses:
        if not is_local(clause.test):
            values += np.float32(clause.strength) * _truth(clause.test, ids, asked)
    np.maximum(values, 0.0, out=values)
    values[~windows.valid] = 0.0
    return values


def truth(test: Test, windows: TokenWindows, lexicon: Lexicon) -> np.ndarray:
    """The truth of a test at every token: (n, width) float32; padding is not masked."""
    return truth_at(test, lexicon.ids(windows), lexicon)


def truth_at(test: Test, ids: np.ndarray, lexicon: Lexicon) -> np.ndarray:
    """`truth` for windows given as the lexicon's rows (n, width), see `Lexicon.ids`."""
    return _truth(test, ids, lexicon.over(ids)).astype(np.float32)


def _truth(test: Test, ids: np.ndarray, lexicon: Lexicon | AtHand) -> np.ndarray:
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
            return shift(greatest_of_last(_truth(inner, ids, lexicon), k), 1)
        case Sequence(tests):
            last = len(tests) - 1
            return _least([shift(_truth(t, ids, lexicon), last - i) for i, t in enumerate(tests)])
        case Between(opening, closing, depth):
            opens, closes = _holds(opening, ids, lexicon), _holds(closing, ids, lexicon)
            return states.between(opens, closes) if depth is None else states.nested(opens, closes, depth)
        case Position(low, high, since):
            places = np.broadcast_to(np.arange(ids.shape[1], dtype=np.int32), ids.shape)
            return in_range(places if since is None else places - 1 - _last(since, ids, lexicon), low, high)
        case Count(inner, low, high, since):
            start = None if since is None else _last(since, ids, lexicon)
            return in_range(states.counted(_holds(inner, ids, lexicon), start), low, high)
        case Share(inner, least):
            needed = least * np.arange(1.0, ids.shape[1] + 1) - ROUNDING
            return states.running(_holds(inner, ids, lexicon)) >= needed
        case Repeated(within):
            return states.same(keys_of("token", ids, lexicon), 1, within)
        case Same(aspect, low, high):
            return states.same(keys_of(aspect, ids, lexicon), low, high)
        case Agrees(aspect, inner):
            return states.agrees(keys_of(aspect, ids, lexicon), _last(inner, ids, lexicon))
        case Induction(n):
            return states.follows_as_before(keys_of("token", ids, lexicon), n)
        case Shape("continues-word"):
            return lexicon.truths(test)[ids] & shift(lexicon.ends_word[ids], 1)
    raise TypeError(f"no rule to execute {type(test).__name__}")


def _holds(test: Test, ids: np.ndarray, lexicon: Lexicon | AtHand) -> np.ndarray:
    return _truth(test, ids, lexicon) >= 0.5


def _last(test: Test, ids: np.ndarray, lexicon: Lexicon | AtHand) -> np.ndarray:
    return states.last_before(_holds(test, ids, lexicon))


def in_range(values: np.ndarray, low: int, high: int | None) -> np.ndarray:
    """Whether values lie in low..high, both included; no high means no upper end."""
    return values >= low if high is None else (values >= low) & (values <= high)


def keys_of(aspect: str, ids: np.ndarray, lexicon: Lexicon | AtHand) -> np.ndarray:
    """What tokens are compared by, -1 for what they lack."""
    if aspect == "pair":
        return states.pairs(lexicon.aspect("token")[ids])
    return lexicon.aspect(aspect)[ids]


def _least(found: list[np.ndarray]) -> np.ndarray:
    result = found[0]
    for other in found[1:]:
        result = np.minimum(result, other)
    return result
