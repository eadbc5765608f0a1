"""Functions as subjects: a callable from inputs to numbers, or a `torch` module with an input function."""

from __future__ import annotations

import inspect
import math
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from glossator.errors import UserError
from glossator.files import fingerprint as fingerprint_of
from glossator.inputs import WHOLE, Grid, Images, Inputs, Texts
from glossator.subjects.base import BaseSubject, OutputSite, Site, Values, check_takes
from glossator.subjects.fingerprints import of_code

OUTPUT = "output"
"""The one site of a function."""
TAKES = ("texts", "images", "stimuli")
GIVEN = "It is given a list of texts (or images) and returns one number, or one row of numbers, for each"
REMEMBERED = 256 << 20
"""Bytes of answers to texts that a function subject keeps at most."""


class FunctionSubject(BaseSubject):
    """A function as a subject with one site, whose units are the numbers that it gives.

    function: a list of texts, or images (n, height, width, 3) uint8, to (n,) or (n, units) numbers, or, with a grid of
    cells, to (n, rows, columns, units); one that fails, or gives anything else, is a `UserError` that says where.
    A number that is not finite is no response: a text to which some unit has none does not count in a recording, and is
    left out of what is computed from responses. Texts are run once, `batch` at a time, and remembered while the subject
    lives. fingerprint: changes when the function does; by default of its source, or code, and the plain values that it
    holds, so give one where these change and the function does not (a cache), or the function and not these (a file).
    """

    def __init__(
        self,
        function: Callable[..., Any],
        name: str | None = None,
        *,
        takes: str = "texts",
        grid: Grid = WHOLE,
        fingerprint: str | None = None,
        batch: int = 1024,
        site: str = OUTPUT,
    ):
        if not callable(function):
            raise UserError("a function subject must be callable", value=type(function).__name__)
        if takes not in TAKES:
            raise UserError("a function cannot take such inputs", value=takes, allowed=", ".join(TAKES))
        if batch < 1:
            raise UserError("bad batch size", value=batch, allowed="1 or more")
        self.function, self.takes, self.grid, self._at_once = function, takes, grid, batch
        self.name = name or str(getattr(function, "__name__", type(function).__name__))
        self.fingerprint = fingerprint or fingerprint_of(["function", self.name, takes, of_code(function)])
        self._site = site
        self._units: int | None = None
        self._remembered: dict[str, np.ndarray] = {}

    def sites(self) -> list[Site]:
        return [OutputSite(self._site, self._units, self.grid)]

    def refused(self, index: int) -> str | None:
        """Why a unit is not explained, None where nothing speaks against it."""
        return None

    def visit(self, inputs: Inputs, sites: Sequence[str], see: Callable[[str, Values], Any]) -> None:
        import torch

        check_takes(self, inputs)
        for site in sites:
            see(self.site(site).name, torch.from_numpy(self.values(inputs)))

    def values(self, inputs: Inputs) -> np.ndarray:
        """float32 (n, places, units), NaN where a text has no response."""
        if isinstance(inputs, Texts) and self.grid == WHOLE:
            return self.answers(inputs.texts)[:, None]
        found = self._run(_given(inputs), len(inputs))
        if not np.isfinite(found).all():
            raise UserError(
                f"the function {self.name!r} returned values that are not finite", allowed="numbers at each place"
            )
        return found

    def answers(self, texts: Sequence[str]) -> np.ndarray:
        """float32 (n, units) of texts, NaN where there is no response."""
        known = self._remembered
        new = sorted({text: None for text in texts if text not in known}, key=len)
        fresh: dict[str, np.ndarray] = {}
        for start in range(0, len(new), self._at_once):
            part = new[start : start + self._at_once]
            values = self._run(list(part), len(part))[:, 0]
            fresh.update(zip(part, np.where(np.isfinite(values), values, np.float32(np.nan)), strict=True))
        if len(known) + len(fresh) <= REMEMBERED // (64 + 4 * (self._units or 0)):
            known.update(fresh)
        rows = [fresh[text] if text in fresh else known[text] for text in texts]
        return np.stack(rows) if rows else np.empty((0, self._units or 1), np.float32)

    def counted(self, inputs: Inputs) -> Inputs:
        if not isinstance(inputs, Texts) or self.grid != WHOLE:
            return inputs
        known = np.isfinite(self.answers(inputs.texts))
        if not known.any(axis=0).all():
            silent = np.flatnonzero(~known.any(axis=0)).tolist()
            raise UserError(f"the function {self.name!r} has no response to any text", value=f"units {silent[:5]}")
        return inputs.counting(inputs.counts & known.all(axis=1))

    def _run(self, given: Any, n: int) -> np.ndarray:
        found = as_values(called(self.function, given, self.name), n, self.grid, self.name)
        if self._units not in (None, found.shape[2]):
            shapes = [self._units, found.shape[2]]
            raise UserError(f"the function {self.name!r} returned different numbers of units", value=shapes)
        self._units = found.shape[2]
        return found


class ModuleSubject(BaseSubject):
    """A `torch` module as a subject: the outputs of its submodules, by their dotted names, are its sites.

    prepare: inputs of the kind that it takes to what the module is called with (a tensor, or a tuple of arguments).
    sites: name -> grid of each site whose units are wanted: with `cells`, an output (n, units, rows, columns) as of a
    convolution; with `whole`, (n, units); with None, tokens, (n, positions, units). Raises `UserError` for a name that
    the module does not have and for an output of another shape.
    """

    def __init__(
        self,
        module: Any,
        prepare: Callable[[Inputs], Any],
        sites: Mapping[str, Grid | None],
        name: str,
        *,
        takes: str = "images",
        fingerprint: str | None = None,
    ):
        from glossator.subjects.fingerprints import of_module

        known = dict(module.named_modules())
        for site in sites:
            if site not in known:
                raise UserError("the module has no such part", value=site, allowed=", ".join(list(known)[1:20]))
        self.module, self.prepare, self.grids, self.takes = module.eval(), prepare, dict(sites), takes
        self.name, self.fingerprint = name, fingerprint or of_module(module, prepare)
        self._widths: dict[str, int] = {}

    def sites(self) -> list[Site]:
        return [self.site(name) for name in self.grids]

    def site(self, name: str) -> OutputSite:
        if name not in self.grids:
            raise UserError("no such site", value=name, allowed=", ".join(self.grids))
        return OutputSite(name, self._widths.get(name), self.grids[name])

    def visit(self, inputs: Inputs, sites: Sequence[str], see: Callable[[str, Values], Any]) -> None:
        import torch

        check_takes(self, inputs)
        parts = dict(self.module.named_modules())

        def hook(name: str) -> Callable[..., None]:
            def after(_: Any, __: Any, output: Any) -> None:
                values = self._by_place(name, output[0] if isinstance(output, tuple) else output, len(inputs))
                self._widths[name] = values.shape[2]
                see(name, values)

            return after

        handles = [parts[name].register_forward_hook(hook(name)) for name in sites]
        try:
            with torch.inference_mode():
                given = self.prepare(inputs)
                self.module(*given) if isinstance(given, tuple) else self.module(given)
        finally:
            for handle in handles:
                handle.remove()

    def _by_place(self, name: str, values: Any, n: int) -> Any:
        """(n, places, units) of an output."""
        grid, shape = self.grids[name], tuple(values.shape)
        if grid is None and len(shape) == 3:
            return values
        if grid is not None and grid.kind == "whole" and len(shape) == 2:
            return values[:, None]
        if grid is not None and grid.kind == "cells" and len(shape) == 4 and shape[2:] == grid.shape:
            return values.flatten(2).transpose(1, 2)
        allowed = f"{grid or 'tokens'} of {n} inputs"
        raise UserError(f"the output of {name} does not fit its grid", value=shape, allowed=allowed)


def _given(inputs: Inputs) -> Any:
    """What a function is called with, as its own copy."""
    if isinstance(inputs, Texts):
        return list(inputs.texts)
    assert isinstance(inputs, Images)
    return np.array(inputs.pixels)


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
        raise UserError(f"the function {name!r} failed", value=what, fix=fix) from error


def as_values(output: Any, n: int, grid: Grid, name: str) -> np.ndarray:
    """What a function gave as float32 (n, places, units), NaN where it gave None or masked a number.

    Raises `UserError` for anything but one number, or one row of numbers, a place, and for numbers that float32 cannot
    hold.
    """
    expected = (n, *grid.shape)
    shape = ", ".join(map(str, expected))
    allowed = f"({shape}) or ({shape}, units) numbers"

    def refused(what: str, value: Any) -> UserError:
        return UserError(f"the function {name!r} gave {what}", value=value, allowed=allowed, fix=GIVEN)

    if np.ma.isMaskedArray(output):
        output = np.ma.filled(output.astype(np.float64), np.nan)
    if hasattr(output, "toarray"):
        output = output.toarray()
    if hasattr(output, "detach"):
        output = output.detach().double().cpu().numpy()
    elif not isinstance(output, np.ndarray):
        output = _array_of(output, name, refused)
    try:
        values = output.astype(np.float64) if output.dtype.kind == "O" else output  # None becomes NaN
    except (ValueError, TypeError) as error:
        raise refused("no numbers", type(output.ravel()[0]).__name__) from error
    if values.dtype.kind not in "fiub":
        raise refused("no numbers", f"values of type {values.dtype}")
    if values.ndim == len(expected):
        values = values[..., None]
    if values.shape[:-1] != expected or not values.shape[-1]:
        raise refused("another shape", tuple(output.shape))
    with np.errstate(over="ignore"):
        found = np.ascontiguousarray(values.reshape(n, grid.places, -1), np.float32)
    if (np.isinf(found) & np.isfinite(values.reshape(found.shape))).any():
        raise UserError(
            f"the function {name!r} returned numbers beyond 3e38", allowed="what float32 holds", fix="Scale them"
        )
    return found


def _array_of(output: Any, name: str, refused: Callable[[str, Any], UserError]) -> np.ndarray:
    if inspect.iscoroutine(output):
        output.close()
        raise UserError(
            f"the function {name!r} is asynchronous", allowed="a plain function", fix="Wrap it in asyncio.run"
        )
    if isinstance(output, (str, bytes, dict)) or not hasattr(output, "__iter__"):
        raise refused("no numbers", type(output).__name__)
    rows = [row.detach().cpu().numpy() if hasattr(row, "detach") else row for row in output]
    try:
        return np.array([math.nan if row is None else row for row in rows])
    except ValueError as error:
        raise UserError(f"the function {name!r} returned rows of different lengths", allowed=GIVEN) from error
