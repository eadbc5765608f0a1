"""Modules: black boxes from text to numbers, and the wrappers that make them of functions, embedders and units.

Any callable from a list of strings to n numbers, or to a row of numbers each, is a module; `as_module` gives it a name.
"""

from __future__ import annotations

import inspect
import math
import traceback
from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol, get_args, runtime_checkable

import numpy as np

from glossator.errors import UserError
from glossator.files import fingerprint
from glossator.subjects.embedders import Embedder

GIVEN = "It is given a list of texts and returns one number, or one row of numbers, for each"


@runtime_checkable
class Module(Protocol):
    """A batch of strings in, (n,) or (n, units) numbers out: NumPy, torch or a list; NaN where it has no answer.

    name stands in results; fingerprint changes when what the module computes changes, and is the key of its cached
    responses; without one (None) nothing is cached.
    """

    name: str
    fingerprint: str | None

    def __call__(self, texts: Sequence[str]) -> Any: ...


class FunctionModule:
    """Any callable as a module.

    fingerprint: give one to have responses cached; it must change whenever the function does, which no one but you
    can know. batch: most strings that the function is called with. units: names of its columns.
    """

    def __init__(
        self,
        function: Callable[[list[str]], Any],
        name: str | None = None,
        *,
        fingerprint: str | None = None,
        batch: int = 1024,
        units: Sequence[str] | None = None,
    ):
        if not callable(function):
            raise UserError("a module must be callable", value=type(function).__name__, allowed="texts -> numbers")
        if batch < 1:
            raise UserError("not a size of a batch", value=batch, allowed="1 or more")
        self.function, self.batch, self.units = function, batch, units
        self.name = name or str(getattr(function, "__name__", type(function).__name__))
        self.fingerprint = fingerprint

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        return in_batches(self.function, texts, self.batch, self.name)


class EmbedderModule:
    """A read-out of an embedder: `function` takes vectors (n, width) and gives (n,) or (n, units).

    Modules on one embedder share its pass: see `glossator.recording.responses`. Since the vectors are what is cached, a
    read-out needs no fingerprint of its own.
    """

    fingerprint: str | None = None

    def __init__(
        self,
        embedder: Embedder,
        function: Callable[[np.ndarray], Any],
        name: str | None = None,
        *,
        units: Sequence[str] | None = None,
    ):
        self.embedder, self.function, self.units = embedder, function, units
        self.name = name or str(getattr(function, "__name__", type(function).__name__))

    def read(self, vectors: np.ndarray) -> np.ndarray:
        """(n, units) from vectors (n, width)."""
        return as_numbers(called(self.function, vectors, self.name), len(vectors), self.name)

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        return self.read(self.embedder.embed(texts))


class Nearness:
    """Minus the Euclidean distance of each vector to each of `points` (k, width): (n, k).

    The synthetic modules of the SASC paper are these, with the vectors of keyphrases as points.
    """

    def __init__(self, points: np.ndarray):
        self.points = np.atleast_2d(np.asarray(points, dtype=np.float32))
        self._squares = (self.points**2).sum(1)

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        squares = (vectors**2).sum(1)[:, None] + self._squares - 2 * (vectors @ self.points.T)
        return -np.sqrt(np.maximum(squares, 0))


Pool = Literal["mean", "max", "last"]


class SubjectModule:
    """Units of a subject's site, pooled over the tokens of a text: (n, len(indices)).

    pool: "mean", "max" or "last" token. Texts longer than the subject takes are run in parts. A text without a token,
    or of one token where the subject's first position takes the attention sink, has no value (NaN).
    """

    def __init__(
        self, subject: Any, site: str, indices: Sequence[int] | int, pool: Pool = "mean", *, batch_tokens: int = 2048
    ):
        self.indices = np.atleast_1d(np.asarray(indices, dtype=np.int64))
        self.width = subject.site(site).width
        if pool not in get_args(Pool):
            raise UserError("unknown way to pool tokens", value=pool, allowed=", ".join(get_args(Pool)))
        if len(self.indices) == 0 or self.indices.min() < 0 or self.indices.max() >= self.width:
            raise UserError(
                f"no such unit of {site}", value=self.indices.tolist()[:5], allowed=f"0 to {self.width - 1}"
            )
        self.subject, self.site, self.pool, self.batch_tokens = subject, site, pool, batch_tokens
        self.tokenizer = subject.tokenizer
        self.longest = int(subject.max_width or 1 << 20)
        self.units = [str(i) for i in self.indices]
        self.name = f"{subject.name}/{site}"
        self.fingerprint: str | None = fingerprint(
            {"subject": subject.fingerprint, "site": site, "indices": self.indices.tolist(), "pool": pool}
        )

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        tokens = self.tokenizer.encode(list(texts))
        step = self.longest
        parts = [(row, ids[i : i + step]) for row, ids in enumerate(tokens) for i in range(0, len(ids), step)]
        found = np.full((len(texts), len(self.indices)), np.nan, np.float32)
        values: list[list[np.ndarray]] = [[] for _ in texts]
        for (row, _), rows in zip(parts, self.token_values([ids for _, ids in parts]), strict=True):
            values[row].append(rows)
        for row, pieces in enumerate(values):
            if sum(map(len, pieces)):
                found[row] = pooled(np.concatenate(pieces), self.pool)
        return found

    def token_values(self, windows: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Values of the units at each token of these windows of token ids: float32 (tokens, units).

        Where the first position takes the attention sink it is left out: its row is NaN if other tokens follow, and a
        window of that one token has no rows.
        """
        import torch

        found = [np.empty((0, len(self.indices)), np.float32)] * len(windows)
        lengths = np.array([len(ids) for ids in windows], dtype=np.int32)
        order = np.argsort(lengths, kind="stable")
        order = order[np.searchsorted(lengths[order], 1) :]
        columns = torch.from_numpy(self.indices)
        start = 0
        while start < len(order):
            # Windows of one length need no attention mask, and values are the same whatever they stand beside.
            length = int(lengths[order[start]])
            end = min(
                start + max(1, self.batch_tokens // length), int(np.searchsorted(lengths[order], length, side="right"))
            )
            rows = order[start:end]
            block = np.stack([np.asarray(windows[row], dtype=np.int32) for row in rows])
            values = self.subject.activations(block, lengths[rows], [self.site])[self.site]
            chosen = values.index_select(2, columns.to(values.device)).float().cpu().numpy()
            if self.subject.leaves_out_first:
                chosen[:, 0] = np.nan
            for row, piece in zip(rows, chosen, strict=True):
                found[row] = piece if length > 1 or not self.subject.leaves_out_first else piece[:0]
            start = end
        return found


def pooled(values: np.ndarray, pool: Pool) -> np.ndarray:
    """(units,) from values at tokens (tokens, units); tokens with NaN, which are left out, do not count."""
    known = values[~np.isnan(values).all(1)]
    if not len(known):
        return np.full(values.shape[1], np.nan, np.float32)
    if pool == "last":
        return known[-1]
    return known.mean(0) if pool == "mean" else known.max(0)


def as_module(module: Any, name: str | None = None) -> Any:
    """The module itself, or a callable made one."""
    if isinstance(module, Module):
        return module
    return FunctionModule(module, name)


def in_batches(function: Callable[[list[str]], Any], texts: Sequence[str], batch: int, name: str) -> np.ndarray:
    """(n, units) of a function that is called with at most `batch` texts at a time."""
    parts = []
    for start in range(0, len(texts), batch):
        part = list(texts[start : start + batch])
        n = len(part)  # what is given may be changed by the function
        parts.append(as_numbers(called(function, part, name), n, name))
    if len({part.shape[1] for part in parts}) > 1:
        shapes = sorted({part.shape[1] for part in parts})
        raise UserError(f"module {name!r} gave different numbers of units in two batches", value=shapes)
    return np.concatenate(parts) if parts else np.empty((0, 1))


def called(function: Callable[[Any], Any], given: Any, name: str) -> Any:
    """What a user's function gives; `UserError` that names the line where it failed."""
    try:
        return function(given)
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        places = traceback.extract_tb(error.__traceback__)
        last = next((at for at in reversed(places) if not at.filename.startswith("<")), places[-1])
        what = f"{type(error).__name__}: {error}".removesuffix(": ")
        fix = f"See line {last.lineno} of {last.filename}"
        if isinstance(error, (AttributeError, TypeError)) and "list" in str(error):
            fix += f". {GIVEN}"
        raise UserError(f"module {name!r} failed", value=what, fix=fix) from error


def as_numbers(output: Any, n: int, name: str) -> np.ndarray:
    """What a module gave as (n, units), float32 or float64.

    Raises `UserError` for anything but one number, or one row of numbers, a text. NaN and inf are let through: they
    are counted and left out of rankings later.
    """
    if np.ma.isMaskedArray(output):
        output = np.ma.filled(output.astype(np.float64), np.nan)
    if hasattr(output, "toarray"):
        output = output.toarray()
    if hasattr(output, "detach"):
        output = output.detach().cpu()
        output = (output.float() if output.dtype.is_floating_point and output.dtype.itemsize < 4 else output).numpy()
    elif not isinstance(output, np.ndarray):
        output = _from_items(output, name)
    try:
        values = np.asarray(output)
        if values.dtype.kind == "O":
            values = values.astype(np.float64)  # None becomes NaN
    except (ValueError, TypeError) as error:
        raise _refused(name, n, type(output).__name__) from error
    if values.dtype.kind not in "fiub":
        raise _refused(name, n, f"values of type {values.dtype}")
    if values.ndim == 1:
        values = values[:, None]
    if values.ndim != 2 or len(values) != n or values.shape[1] == 0:
        raise _refused(name, n, f"shape {tuple(np.asarray(output).shape)}")
    wide = values.dtype.kind != "f" or values.dtype.itemsize > 4
    return np.ascontiguousarray(values, dtype=np.float64 if wide else np.float32)


def _from_items(output: Any, name: str) -> np.ndarray:
    if inspect.iscoroutine(output):
        output.close()
        raise UserError(f"module {name!r} is asynchronous", allowed="a plain function", fix="Wrap it in asyncio.run")
    if isinstance(output, (str, bytes, dict)) or not hasattr(output, "__iter__"):
        kind = type(output).__name__
        raise UserError(f"module {name!r} gave no numbers", value=kind, allowed="one number or row a text", fix=GIVEN)
    rows = [row.detach().cpu().numpy() if hasattr(row, "detach") else row for row in output]
    rows = [math.nan if row is None else row for row in rows]
    try:
        return np.array(rows)
    except ValueError as error:
        raise UserError(
            f"module {name!r} gave rows of different lengths", allowed="one number or row a text"
        ) from error


def _refused(name: str, n: int, value: str) -> UserError:
    return UserError(
        f"module {name!r} does not answer its {n} texts",
        value=value,
        allowed=f"shape ({n},) or ({n}, units), numbers",
        fix=GIVEN,
    )
