"""What many modules answer to many n-grams, in one pass: deduplicated, sorted by length, in chunks, from a cache.

Read-outs of one embedder share its vectors. Chunks are cut from the whole list before anything is looked up, and are
written to the cache whole, so that a run that was killed goes on at its last chunk and ends with the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from glossator.corpora.ngrams.extract import Ngrams
from glossator.errors import UserError
from glossator.recording.responses_rank import Moments, TopK
from glossator.subjects.embedders import Embedder
from glossator.subjects.modules import EmbedderModule, as_module, as_numbers
from glossator.subjects.texts_cache import CachedEmbedder, TextsCache

CHUNK = 8192
KEPT_BYTES = 1 << 30


@dataclass(frozen=True)
class UnitResponses:
    """One column of a module over all n-grams.

    top, bottom: (row, value) of its largest and smallest values, extreme first, equal values by row; empty where there
    is a problem (no finite value, dead, constant: said in words). mean, sigma over the finite values, sigma in the
    module's own unit; None where there is none. count: finite values; missing: NaN; infinite: inf; low, high: range.
    """

    name: str
    module: str
    column: int
    top: tuple[tuple[int, float], ...]
    bottom: tuple[tuple[int, float], ...]
    mean: float | None
    sigma: float | None
    low: float | None
    high: float | None
    count: int
    missing: int
    infinite: int
    problem: str | None = None


@dataclass(frozen=True, eq=False)
class Responses:
    """Answers of all units to all n-grams.

    values: float64 (n, units), NaN where missing or infinite, None when they were not kept.
    """

    units: tuple[UnitResponses, ...]
    texts: tuple[str, ...]
    values: np.ndarray | None

    def __getitem__(self, name: str) -> UnitResponses:
        """The unit of this name; raises `UserError` when there is none or more than one."""
        found = [unit for unit in self.units if unit.name == name]
        if len(found) != 1:
            raise UserError(f"{len(found)} units have this name", value=name)
        return found[0]

    @property
    def problems(self) -> dict[str, str]:
        """Why units are not ranked, by name."""
        return {unit.name: unit.problem for unit in self.units if unit.problem}


def respond(
    modules: Sequence[Any] | Any,
    texts: Ngrams | Sequence[str],
    *,
    k: int = 75,
    cache: str | Path | None = None,
    keep_values: bool | None = None,
    chunk: int = CHUNK,
    progress: bool = False,
) -> Responses:
    """Run modules over n-grams.

    modules: a module or several, any callables among them; k: n-grams kept at either end; cache: a folder for
    responses of modules that have a fingerprint and for vectors of embedders; keep_values: hold all values (by
    default when they take less than 1 GiB). Raises `UserError` for a module that does not answer with numbers.
    """
    faces = [as_module(m) for m in (modules if isinstance(modules, (list, tuple)) else [modules])]
    strings = texts.texts if isinstance(texts, Ngrams) else tuple(texts)
    if not faces or not strings:
        raise UserError("nothing to run", value=f"{len(faces)} modules, {len(strings)} texts", allowed="1 or more each")
    collected = Collected(faces, len(strings), k, keep_values)
    sources = _Sources(faces, cache)
    for rows in _bar(_chunks(strings, chunk), len(strings), progress):
        part = [strings[row] for row in rows]
        distinct = list(dict.fromkeys(part))
        place = None
        if len(distinct) < len(part):
            row_of = {text: i for i, text in enumerate(distinct)}
            place = np.array([row_of[text] for text in part])
        for number, values in sources.answers(distinct):
            collected.add(number, rows, values if place is None else values[place])
    return collected.finish(strings)


def _chunks(strings: Sequence[str], size: int) -> list[np.ndarray]:
    """Rows by length of the string; repeats of a string stand together."""
    first: dict[str, int] = {}
    firsts = np.array([first.setdefault(text, row) for row, text in enumerate(strings)], dtype=np.int64)
    lengths = np.array([len(text) for text in strings], dtype=np.int64)
    order = np.lexsort((np.arange(len(strings)), firsts, lengths))
    return [order[i : i + size] for i in range(0, len(order), size)]


def _bar(chunks: list[np.ndarray], total: int, progress: bool) -> Iterator[np.ndarray]:
    from tqdm import tqdm

    with tqdm(total=total, unit=" texts", disable=not progress, leave=False) as bar:
        for rows in chunks:
            yield rows
            bar.update(len(rows))


class _Sources:
    """Where answers come from: one embedder a group of modules, one cache a fingerprint."""

    def __init__(self, modules: Sequence[Any], cache: str | Path | None):
        self.modules = modules
        self.embedders: dict[str, Embedder] = {}
        self.caches: dict[int, TextsCache] = {}
        for number, module in enumerate(modules):
            if isinstance(module, EmbedderModule):
                known = module.embedder.fingerprint
                if known not in self.embedders:
                    bare = cache is None or isinstance(module.embedder, CachedEmbedder)
                    self.embedders[known] = module.embedder if bare else CachedEmbedder(module.embedder, str(cache))
            elif cache is not None and getattr(module, "fingerprint", None):
                self.caches[number] = TextsCache(cache, module.fingerprint)

    def answers(self, texts: list[str]) -> Iterator[tuple[int, np.ndarray]]:
        """(number of the module, its values (n, units)), each embedder run once."""
        vectors = {known: embedder.embed(texts) for known, embedder in self.embedders.items()}
        for number, module in enumerate(self.modules):
            if isinstance(module, EmbedderModule):
                yield number, module.read(vectors[module.embedder.fingerprint])
                continue

            def compute(part: list[str], module: Any = module) -> np.ndarray:
                return as_numbers(module(part), len(part), module.name)

            store = self.caches.get(number)
            yield number, store.through(texts, compute) if store is not None else compute(texts)


class Collected:
    """Top, bottom, moments and values of all units as chunks come in."""

    def __init__(self, modules: Sequence[Any], n: int, k: int, keep_values: bool | None):
        if k < 1:
            raise UserError("k ranks nothing", value=k, allowed="1 or more")
        self.modules, self.n, self.k, self.keep = modules, n, min(k, n), keep_values
        self._of: dict[int, tuple[TopK, TopK, Moments, np.ndarray | None]] = {}
        self._kept_bytes = 0

    def add(self, number: int, rows: np.ndarray, values: np.ndarray) -> None:
        """Values (len(rows), units) of one module."""
        units = values.shape[1]
        if number not in self._of:
            size = self.n * units * 8
            keep = self.keep if self.keep is not None else self._kept_bytes + size <= KEPT_BYTES
            self._kept_bytes += size
            held = np.full((self.n, units), np.nan) if keep else None
            self._of[number] = (TopK(units, self.k), TopK(units, self.k), Moments(units), held)
        top, bottom, moments, held = self._of[number]
        if len(moments.count) != units:
            raise UserError(
                f"module {self.modules[number].name!r} gave different numbers of units",
                value=[len(moments.count), units],
            )
        top.add(rows, values)
        bottom.add(rows, -values)
        moments.add(values)
        if held is not None:
            held[rows] = np.where(np.isfinite(values), values, np.nan)

    def finish(self, strings: tuple[str, ...]) -> Responses:
        units: list[UnitResponses] = []
        for number, module in enumerate(self.modules):
            top, bottom, moments, _ = self._of[number]
            given = getattr(module, "units", None)
            names = list(given) if given is not None else [str(i) for i in range(len(moments.count))]
            alone = given is None and len(names) == 1
            if len(names) != len(moments.count):
                raise UserError(
                    f"module {module.name!r} names another number of units than it has",
                    value=len(names),
                    allowed=str(len(moments.count)),
                )
            for column, name in enumerate(names):
                problem = moments.problem(column)
                known = moments.count[column] > 0
                units.append(
                    UnitResponses(
                        name=module.name if alone else f"{module.name}/{name}",
                        module=module.name,
                        column=column,
                        top=() if problem else _pairs(top, column, 1),
                        bottom=() if problem else _pairs(bottom, column, -1),
                        mean=float(moments.mean[column]) if known else None,
                        sigma=float(moments.sigma[column]) if known else None,
                        low=float(moments.low[column]) if known else None,
                        high=float(moments.high[column]) if known else None,
                        count=int(moments.count[column]),
                        missing=int(moments.missing[column]),
                        infinite=int(moments.infinite[column]),
                        problem=problem,
                    )
                )
        held = [values for *_, values in (self._of[number] for number in range(len(self.modules)))]
        whole = None if any(v is None for v in held) else np.concatenate([v for v in held if v is not None], axis=1)
        return Responses(tuple(units), strings, whole)


def _pairs(top: TopK, unit: int, sign: int) -> tuple[tuple[int, float], ...]:
    return tuple(
        (int(row), sign * float(value)) for row, value in zip(top.rows[unit], top.values[unit], strict=True) if row >= 0
    )
