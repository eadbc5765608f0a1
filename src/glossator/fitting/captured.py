"""All values of one site on stored windows, and directions computed from them as if recorded.

A recording of all units of a dense site holds every value of its reference sample. Any direction of that site is one
matrix product away, so its evidence needs no further forward pass. `ProjectedRecording` is such a recording of
directions, and `glossator.recording.draw` draws from it as from any other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from glossator.errors import UserError, near_matches
from glossator.evidence import SPLITS, Split
from glossator.files import fingerprint, plain
from glossator.inputs import Grid, Inputs
from glossator.inputs.tokens import TokenWindows, token_windows
from glossator.readouts.directions import DirectionSet
from glossator.recording import Recording
from glossator.recording.keys import as_stored
from glossator.recording.panel import StoredPanel
from glossator.recording.reader import power_sums

_BLOCK_WINDOWS = 256
CUT = ("corpus", "corpus_fingerprint", "width", "max_tokens", "min_length", "fractions", "seed")
"""What decides which document is in which split."""


@dataclass(frozen=True, eq=False)
class SiteValues:
    """The values of a dense site on the panel of a recording, as stored: float16 on disk, read in blocks.

    splits: those whose windows are here; what is searched with values that lack a split cannot have seen it.
    Raises `UserError` for a site that was not recorded, is sparse, or was not recorded with all its units.
    """

    recording: Recording
    site: str
    splits: tuple[Split, ...] = ("explain", "calibrate", "select", "test")

    def __post_init__(self) -> None:
        if self.site not in self.recording.sites:
            raise UserError(
                "the site was not recorded", value=self.site, allowed=near_matches(self.site, self.recording.sites)
            )
        found = self.recording.sites[self.site]
        if found.kind != "dense":
            raise UserError("directions need a dense site", value=self.site, fix="Record mlp, attn, head or resid")
        if len(found.units) != found.width:
            raise UserError(
                f"the recording holds {len(found.units)} of {found.width} units of {self.site}",
                fix="Directions need all of them; record the site with --units all",
            )

    @property
    def width(self) -> int:
        """d, the number of units of the site."""
        return self.recording.sites[self.site].width

    @property
    def subject(self) -> str:
        return self.recording.spec.subject

    @property
    def text(self) -> dict[str, Any]:
        """How the text was cut and split, if known: what is learned from these values must not be scored on the same
        text split otherwise."""
        return {name: self.recording.spec.windows[name] for name in CUT if name in self.recording.spec.windows}

    @property
    def origin(self) -> dict[str, Any]:
        """The provenance of directions learned from these values."""
        return {"text": self.text, "subject_fingerprint": self.recording.spec.subject_fingerprint}

    @property
    def grid(self) -> Grid:
        """Where in an input the site has values."""
        return self.recording.grid(self.site)

    @cached_property
    def inputs(self) -> Inputs:
        """The inputs whose values are here: those of the recording's panel that are of these splits."""
        return self.recording.inputs.take(self.recording.panel[self._places])

    @property
    def windows(self) -> TokenWindows:
        """The inputs as windows of tokens; raises `MissingPower` where they are of another kind."""
        return token_windows(self.inputs)

    @cached_property
    def valid(self) -> np.ndarray:
        """(n, places) bool, which places of the inputs count."""
        return self.inputs.valid_at(self.grid)

    @cached_property
    def split_of_input(self) -> np.ndarray:
        """int8 (n,): index of `evidence.SPLITS` for each input."""
        return self.recording.split_of_input[self.recording.panel[self._places]]

    def rows(self, split: Split) -> np.ndarray:
        """The inputs of a split, ascending."""
        return np.flatnonzero(self.split_of_input == SPLITS.index(split))

    def tokens(self, split: Split, rows: np.ndarray | None = None) -> np.ndarray:
        """(d, T) float32: all units at the tokens, or other places that count, of a split's inputs (or of these rows),
        in order."""
        rows = self.rows(split) if rows is None else rows
        valid = self.valid[rows]
        if not valid.any():
            what, more = ("tokens", "text") if self.inputs.kind == "tokens" else ("places", "inputs")
            raise UserError(
                f"the recording's reference sample has no {what} of the {split} split", fix=f"Record more {more}"
            )
        found = np.empty((self.width, int(valid.sum())), np.float32)
        end = 0
        panel, scale = self.recording.panel_block(self.site)
        for part in _blocks(len(rows)):
            values = panel[:, self._places[rows[part]]][:, valid[part]] * scale[:, None]
            start, end = end, end + values.shape[1]
            found[:, start:end] = values
        return found

    def project(self, directions: DirectionSet) -> np.ndarray:
        """(k, n, places) float32: the directions' values on all inputs, 0 where not valid."""
        directions.check_fits(self.site, self.width, self.subject)
        valid = self.valid
        found = np.empty((len(directions), *valid.shape), np.float32)
        offset = directions.vectors @ directions.centre
        panel, scale = self.recording.panel_block(self.site)
        for part in _blocks(len(valid)):
            values = panel[:, self._places[part]].reshape(self.width, -1) * scale[:, None]
            found[:, part] = (directions.vectors @ values - offset[:, None]).reshape(
                len(directions), -1, valid.shape[1]
            )
        return np.where(valid, found, np.float32(0))

    @cached_property
    def _places(self) -> np.ndarray:
        """Where these windows stand in the panel."""
        wanted = [SPLITS.index(split) for split in self.splits]
        return np.flatnonzero(np.isin(self.recording.split_of_input[self.recording.panel], wanted))


class ProjectedRecording(Recording):
    """Directions as recorded units of the site `NAME@SITE`: inputs, splits, top inputs and moments are those of the
    stored inputs of the site's own recording."""

    def __init__(self, values: SiteValues, directions: DirectionSet):
        base, name = values.recording, directions.site_name
        projected = values.project(directions)
        spec = replace(base.spec, sites=(name,), units={}, readouts={name: directions.fingerprint})
        grid = {"kind": values.grid.kind, "shape": list(values.grid.shape)}
        site = {"name": name, "source": directions.site, "kind": "dense", "width": len(directions), "start": 0}
        manifest = {
            "spec": plain(spec),
            "windows": len(values.inputs),
            "inputs": base.manifest["inputs"],
            "grids": [grid | {"valid_places": int(values.valid.sum())}],
            "sites": [site | {"grid": grid}],
            "files": base.manifest["files"],
            "fingerprint": fingerprint(
                [base.fingerprint, directions.fingerprint, *(values.splits if values.splits != SPLITS else ())]
            ),
        }
        super().__init__(base.folder, manifest)
        self.directions = directions
        halves, exponents = as_stored(projected)
        top_rows, top_maxima = _top(projected, values.valid, spec.top_k)
        self.__dict__.update(  # what a recording reads from its files at first use
            inputs=values.inputs,
            split_of_input=values.split_of_input,
            panel=np.arange(len(values.inputs)),
        )
        self._dense[values.grid].__dict__.update(
            panel=StoredPanel(halves, exponents),
            exponents=exponents,
            top_rows=top_rows,
            top_maxima=top_maxima,
            sums=np.stack([power_sums(of_one.ravel()) for of_one in projected.astype(np.float64)], axis=1),
        )


def _blocks(n: int) -> Iterator[slice]:
    return (slice(start, min(start + _BLOCK_WINDOWS, n)) for start in range(0, n, _BLOCK_WINDOWS))


def _top(projected: np.ndarray, valid: np.ndarray, top_k: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows int32 and maxima float32 (k, 2, top_k) of the windows with the largest values of either sign, best first,
    lower row first among equals; row -1 where there are fewer windows."""
    rows = np.full((len(projected), 2, top_k), -1, np.int32)
    maxima = np.full(rows.shape, -np.inf, np.float32)
    usable = np.flatnonzero(valid.any(axis=1))
    for side, signed in enumerate((projected, -projected)):
        best = np.where(valid, signed, -np.inf).max(axis=2)[:, usable]
        order = np.argsort(-best, axis=1, kind="stable")[:, :top_k]
        rows[:, side, : order.shape[1]] = usable[order]
        maxima[:, side, : order.shape[1]] = np.take_along_axis(best, order, axis=1)
    return rows, maxima
