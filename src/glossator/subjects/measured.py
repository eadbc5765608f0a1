"""Imported measurements as a subject: responses recorded elsewhere, from voxels, people, or a model no longer
available.

Nothing can be run again, so whatever needs new inputs raises `MissingPower`; methods that use recorded values work.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from glossator.errors import UserError
from glossator.files import fingerprint as fingerprint_of
from glossator.inputs import WHOLE, Grid, Inputs
from glossator.subjects.base import BaseSubject, OutputSite, Power, Site, Values, check_takes

SITE = "responses"


class MeasuredSubject(BaseSubject):
    """Responses (n, units), or (n, places, units) on a grid, of `n` inputs, which are asked for by their ids.

    Raises `UserError` where there is not one row for each input, and for responses that are not finite.
    """

    powers: frozenset[Power] = frozenset()

    def __init__(self, inputs: Inputs, responses: np.ndarray, name: str, *, site: str = SITE, grid: Grid = WHOLE):
        values = np.asarray(responses, np.float32)
        values = values.reshape(len(values), 1, -1) if values.ndim == 2 and grid == WHOLE else values
        if values.ndim != 3 or values.shape[:2] != (len(inputs), grid.places):
            raise UserError(
                "the responses do not fit the inputs",
                value=tuple(np.shape(responses)),
                allowed=f"one row for each of {len(inputs)} inputs, {grid.places} places",
            )
        if not np.isfinite(values).all():
            raise UserError("the responses are not all finite", fix="Leave out inputs without a response")
        self.name, self.takes, self.grid = name, inputs.kind, grid
        self.fingerprint = fingerprint_of_responses(values, name, site)
        self._values, self._site = values, OutputSite(site, values.shape[2], grid)
        self._row = {int(i): row for row, i in enumerate(inputs.ids)}

    def sites(self) -> list[Site]:
        return [self._site]

    def visit(self, inputs: Inputs, sites: Sequence[str], see: Callable[[str, Values], Any]) -> None:
        """The measured responses; raises `UserError` for inputs that were not measured."""
        import torch

        check_takes(self, inputs)
        try:
            rows = [self._row[int(i)] for i in inputs.ids]
        except KeyError as error:
            raise UserError("an input has no measured response", value=error.args[0]) from error
        for site in sites:
            see(self.site(site).name, torch.from_numpy(self._values[rows]))


def fingerprint_of_responses(values: np.ndarray, name: str, site: str = SITE) -> str:
    """The fingerprint of a subject of these responses."""
    return fingerprint_of(["measured", name, site, np.asarray(values, np.float32).tobytes().hex()])


def load_responses(path: str | Path) -> np.ndarray:
    """Responses (n, units) from `.npy`, `.npz` (one array) or Parquet (one numeric column for each unit)."""
    path = Path(path)
    try:
        if path.suffix == ".npy":
            return np.asarray(np.load(path, allow_pickle=False))
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                names = list(arrays)
                if len(names) != 1:
                    raise UserError("which of these arrays holds the responses?", value=", ".join(names))
                return np.asarray(arrays[names[0]])
        if path.suffix == ".parquet":
            import pyarrow.parquet as parquet

            table = parquet.read_table(path)
            return np.stack([column.to_numpy() for column in table.columns], axis=1)
    except (OSError, ValueError) as error:
        raise UserError("the responses cannot be read", value=str(path), fix=str(error)) from error
    raise UserError("unknown kind of response file", value=str(path), allowed=".npy, .npz or .parquet")
