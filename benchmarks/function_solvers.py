"""Who says what a function does by asking it: an experimenter that chooses each question, and one batch of questions.

Both know which families of functions exist (`planted.functions`) and nothing of the one that is asked, have equally
many calls and the same hypotheses; they differ in who chooses the inputs. The answer is code.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np

from benchmarks.function_fitting import fit, jumps
from glossator.planted.functions import Asked, numeric, strings
from glossator.planted.functions.relations import Relation, relations, source_of

CALLS = {"numeric": 120, "string": 24, "relation": 30}
POOL = 150
"""Texts from which the experimenter chooses the next."""
Solver = Callable[[Asked, np.random.Generator, bool], str | None]


def solve_numeric(ask: Asked, rng: np.random.Generator, chooses: bool) -> str | None:
    """A grid, repeats for the noise, then bisection of jumps; in one batch: random points."""
    if not chooses:
        return _fitted(rng.uniform(numeric.LOW, numeric.HIGH, ask.left), ask)
    repeated = rng.uniform(numeric.LOW, numeric.HIGH, 4).repeat(3)
    again = _known(repeated, ask(repeated.tolist()))
    noise = float(np.sqrt(np.mean([np.var(again[1][again[0] == x], ddof=1) for x in np.unique(again[0])])))
    grid = np.linspace(numeric.LOW + 0.7, numeric.HIGH - 0.7, 64)
    x, y = _known(grid, ask(grid.tolist()))
    while ask.left:
        wide = [(low, high) for low, high in jumps(x, y) if high - low > 0.3][: ask.left]
        wide = wide or _gaps(x, min(8, ask.left))
        more = np.array([(low + high) / 2 for low, high in wide])
        added = _known(more, ask(more.tolist()))
        x, y = np.r_[x, added[0]], np.r_[y, added[1]]
    return fit(np.r_[x, again[0]], np.r_[y, again[1]], noise=noise).source


def _fitted(x: np.ndarray, ask: Asked) -> str:
    x, y = _known(x, ask(x.tolist()))
    return fit(x, y).source


def _known(x: np.ndarray, answers: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
    values = np.array([np.nan if a is None else a for a in answers], np.float64)
    return x[np.isfinite(values)], values[np.isfinite(values)]


def _gaps(x: np.ndarray, count: int) -> list[tuple[float, float]]:
    x = np.sort(x)
    widest = np.argsort(-np.diff(x), kind="stable")[:count]
    return [(float(x[i]), float(x[i + 1])) for i in widest.tolist()]


def solve_string(ask: Asked, rng: np.random.Generator, chooses: bool) -> str | None:
    """Of all operations, pairs of them and operations with spared texts, the simplest that agrees most often; the
    experimenter asks next about the text on which those that agree most often differ most."""
    pool = strings.random_texts(rng, POOL)
    texts = pool[:4] if chooses else pool[: ask.left]
    answers = ask(texts)
    left = [
        (one, f) for one in _hypotheses() if _agreement(f := strings.compiled(one.expression), texts, answers) >= 0.5
    ]
    while left and chooses and ask.left:
        ranked = _ranked(left, texts, answers)
        best = [f for hits, _, f in ranked if hits >= ranked[0][0] - 1][:200]
        spread = [len({f(text) for f in best}) for text in pool]
        if max(spread) == 1 and len(texts) >= 12:
            break
        texts.append(pool.pop(int(np.argmax(spread))))
        answers += ask(texts[-1:])
    return _ranked(left, texts, answers)[0][1].source if left else None


def _ranked(left: list[Any], texts: list[str], answers: list[Any]) -> list[tuple[int, strings.Operation, Any]]:
    hits = [(sum(f(t) == a for t, a in zip(texts, answers, strict=True)), one, f) for one, f in left]
    return sorted(hits, key=lambda row: (-row[0], len(row[1].english)))


def _agreement(f: Callable[[str], str], texts: list[str], answers: list[Any]) -> float:
    return sum(f(text) == answer for text, answer in zip(texts[:4], answers[:4], strict=True)) / 4


def _hypotheses() -> list[strings.Operation]:
    single = strings.operations()
    spared = [strings.excepted(one, spared) for one, spared in product(single, strings.EXCEPTIONS)]
    return [
        *single,
        *spared,
        *(strings.after(one, other) for one, other in product(single, single) if one is not other),
    ]


def solve_relation(ask: Asked, rng: np.random.Generator, chooses: bool) -> str | None:
    """The relation, as it is, backwards or in capitals, that agrees most often, without the domain where it fails."""
    known = relations()
    if not chooses:
        words = sorted({word for relation in known for word in relation.pairs})
        asked = rng.choice(words, ask.left, replace=False).tolist()
        answers = dict(zip(asked, ask(asked), strict=True))
        return _related(*_best(known, answers), answers)
    asked = list(dict.fromkeys(str(w) for r in known for w in rng.choice(sorted(r.pairs), 1)))
    answers = dict(zip(asked, ask(asked), strict=True))
    if all(value == "undefined" for value in answers.values()):
        more = [str(rng.choice(sorted(r.pairs))) for r in known][: ask.left]
        answers |= dict(zip(more, ask(more), strict=True))
    relation, _ = _best(known, answers)
    for domain in relation.domains.values():
        some = [w for w in rng.permutation(sorted(domain)).tolist() if w not in answers][:4][: ask.left]
        answers |= dict(zip(some, ask(some), strict=True))
    rest = [w for w in rng.permutation(sorted(relation.pairs)).tolist() if w not in answers][: ask.left]
    answers |= dict(zip(rest, ask(rest), strict=True))
    return _related(*_best(known, answers), answers)


CHANGES: tuple[Callable[[str], str], ...] = (str, lambda word: word[::-1], str.upper)


def _best(known: Sequence[Relation], answers: dict[str, str]) -> tuple[Relation, Callable[[str], str]]:
    pairs = [(relation, change) for relation in known for change in CHANGES]
    return max(pairs, key=lambda p: sum(p[1](p[0].pairs[w]) == a for w, a in answers.items() if w in p[0].pairs))


def _related(relation: Relation, change: Callable[[str], str], answers: dict[str, str]) -> str:
    """The relation as code, less the domains in which most answers were undefined."""
    out: set[str] = set()
    for words in relation.domains.values():
        told = [answers[word] == "undefined" for word in words if word in answers]
        if told and np.mean(told) > 0.5:
            out |= words
    return source_of({word: change(value) for word, value in relation.pairs.items() if word not in out})


SOLVERS: dict[str, Solver] = {"numeric": solve_numeric, "string": solve_string, "relation": solve_relation}
