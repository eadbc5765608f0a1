"""Functions as subjects: any callable from inputs to numbers, any `torch` module with how its inputs are made."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from glossator.errors import UserError
from glossator.files import fingerprint as fingerprint_of
from glossator.inputs import WHOLE, Grid, Images, Inputs, Texts
from glossator.subjects.base import BaseSubject, OutputSite, Site, Values, check_takes

OUTPUT = "output"
"""The one site of a function."""
TAKES = ("texts", "images", "stimuli")


class FunctionSubject(BaseSubject):
    """A function as a subject with one site, `output`, whose units are the numbers that it gives.

    function: a list of texts, or images (n, height, width, 3) uint8, to (n,) or (n, units) numbers, or, with a grid of
    cells, to (n, rows, columns, units); one that fails, or gives anything else, is a `UserError` that says where.
    fingerprint: changes when the function does, by default
    of its name alone, so that a recording of another function under the same name is not told apart.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        name: str | None = None,
        *,
        takes: str = "texts",
        grid: Grid = WHOLE,
        fingerprint: str | None = None,
    ):
        if not callable(function):
            raise UserError("a function subject must be callable", value=type(function).__name__)
        if takes not in TAKES:
            raise UserError("a function takes no such inputs", value=takes, allowed=", ".join(TAKES))
        self.function, self.takes, self.grid = function, takes, grid
        self.name = name or str(getattr(function, "__name__", type(function).__name__))
        self.fingerprint = fingerprint or fingerprint_of(["function", self.name, takes])
        self._units: int | None = None

    def sites(self) -> list[Site]:
        return [OutputSite(OUTPUT, self._units, self.grid)]

    def visit(self, inputs: Inputs, sites: Sequence[str], see: Callable[[str, Values], Any]) -> None:
        import torch

        check_takes(self, inputs)
        for site in sites:
            see(self.site(site).name, torch.from_numpy(self.values(inputs)))

    def values(self, inputs: Inputs) -> np.ndarray:
        """float32 (n, places, units)."""
        found = as_values(called(self.function, _given(inputs), self.name), len(inputs), self.grid, self.name)
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
        self.name, self.fingerprint = name, fingerprint or of_module(module)
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
        raise UserError(
            f"the function {name!r} failed", value=what, fix=f"See line {last.lineno} of {last.filename}"
        ) from error


def as_values(output: Any, n: int, grid: Grid, name: str) -> np.ndarray:
    """What a function gave as float32 (n, places, units); `UserError` for another shape and for numbers that are not
    finite."""
    if hasattr(output, "detach"):
        output = output.detach().float().cpu().numpy()
    try:
        values = np.asarray(output, dtype=np.float32)
    except (ValueError, TypeError) as error:
        raise UserError(f"the function {name!r} gave no numbers", value=type(output).__name__) from error
    if grid == WHOLE and values.ndim == 1:
        values = values[:, None]
    if values.ndim == 1 + len(grid.shape) and grid != WHOLE:
        values = values[..., None]
    expected = (n, *grid.shape)
    if values.ndim != len(expected) + 1 or values.shape[:-1] != expected or not values.shape[-1]:
        shape = ", ".join(map(str, expected))
        allowed = f"({shape}) or ({shape}, units)"
        raise UserError(f"the function {name!r} gave another shape", value=tuple(np.shape(output)), allowed=allowed)
    if not np.isfinite(values).all():
        raise UserError(f"the function {name!r} gave values that are not finite", fix="Give a number for every input")
    return np.ascontiguousarray(values.reshape(n, grid.places, -1))
