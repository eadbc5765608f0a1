"""A finished recording, read with NumPy alone: memory maps and bulk gathers, no Python object per window."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from glossator.errors import UserError, near_matches
from glossator.files import ONE_HEADER, read_json
from glossator.inputs import Grid, Inputs, TokenWindows, Vocabulary, token_windows
from glossator.recording.keys import powers
from glossator.recording.packing import PackedPositions
from glossator.recording.panel import StoredPanel
from glossator.recording.postings import OfUnit, Postings
from glossator.recording.saved_inputs import AGAIN, load_inputs
from glossator.recording.spec import RecordingSpec
from glossator.recording.store import reading
from glossator.units import Unit


@dataclass(frozen=True)
class Moments:
    """Exact moments over the valid tokens, signed by the unit's polarity.

    count: valid tokens; mean; variance (divided by count); skewness and kurtosis (without -3), None for a constant.
    """

    count: int
    mean: float
    variance: float
    skewness: float | None
    kurtosis: float | None


@dataclass(frozen=True, eq=False)
class RecordedSite:
    """One site. units int32: recorded unit numbers; width: all units; grid: where in an input they have values; start:
    first column of a dense site among those of its grid."""

    name: str
    source: str
    kind: Literal["dense", "sparse"]
    width: int
    units: np.ndarray
    grid: Grid
    start: int


class DenseFiles:
    """The dense values of one grid, mapped; see `dense_merge` for what they hold.

    read: the array of a name, mapped; begun: whether the exponents that units began with are among them.
    """

    def __init__(self, read: Callable[..., np.ndarray], begun: bool):
        self._read, self._begun = read, begun

    exponents = cached_property(lambda self: self._read("exponents"))
    top_rows = cached_property(lambda self: self._read("top_rows"))
    top_maxima = cached_property(lambda self: self._read("top_maxima"))
    extra_offsets = cached_property(lambda self: self._read("extra_offsets"))
    extra_rows = cached_property(lambda self: self._read("extra_rows"))
    extra_values = cached_property(lambda self: self._read("extra_values"))
    sums = cached_property(lambda self: self._read("sums"))

    @cached_property
    def panel(self) -> StoredPanel:
        if not self._begun:
            return StoredPanel(self._read("panel"), self.exponents)
        values = self._read("panel", mode="c")
        return StoredPanel(values, self.exponents, self._read("panel_begun"), self._read("panel_runs"))


def dense_folder(number: int) -> str:
    """The name of the folder with the dense values of the grid of this number."""
    return f"dense-{number}" if number else "dense"


class Recording:
    """The activations of units over a set of inputs. Values are multiplied by the unit's sign unless a method says
    otherwise."""

    def __init__(self, folder: Path, manifest: dict[str, Any]):
        self.folder = folder
        self.manifest = manifest
        self.fingerprint: str = manifest["fingerprint"]
        self.spec = _read_spec(manifest["spec"])
        self.sites: dict[str, RecordedSite] = {}
        for entry in manifest["sites"]:
            chosen = self.spec.units.get(entry["name"])
            units = np.arange(entry["width"]) if chosen is None else np.unique(chosen)
            grid = _grid(entry["grid"])
            self.sites[entry["name"]] = RecordedSite(**{**entry, "grid": grid}, units=units.astype(np.int32))
        self._valid_places = {_grid(entry): int(entry["valid_places"]) for entry in manifest["grids"]}
        folders = {grid: dense_folder(number) for number, grid in enumerate(self._valid_places)}
        self._dense = {
            grid: DenseFiles(partial(self._map_in, name), f"{name}/panel_begun.npy" in manifest["files"])
            for grid, name in folders.items()
        }
        sparse = [name for name, site in self.sites.items() if site.kind == "sparse"]
        self._sparse_folders = {name: folder / f"sparse-{i}" for i, name in enumerate(sparse)}
        self._postings: dict[str, Postings] = {}

    # the inputs

    @cached_property
    def inputs(self) -> Inputs:
        """All inputs; places that are padding or were left out (see spec.leaves_out) do not count."""
        return load_inputs(self.manifest["inputs"], self.folder / "windows", partial(self._map_in, "windows"))

    @property
    def windows(self) -> TokenWindows:
        """The inputs as windows of tokens; raises `MissingPower` where they are of another kind."""
        return token_windows(self.inputs)

    def grid(self, site: str) -> Grid:
        """Where in an input the units of a site have values."""
        return self._site(site).grid

    def valid(self, site: str) -> np.ndarray:
        """(n, places) bool, the places of each input that count at a site."""
        return self._valid_at(self._site(site).grid)

    def valid_places(self, site: str) -> int:
        """How many places count in all inputs."""
        return self._valid_places[self._site(site).grid]

    @cached_property
    def _valid_of_grid(self) -> dict[Grid, np.ndarray]:
        return {}

    def _valid_at(self, grid: Grid) -> np.ndarray:
        if grid not in self._valid_of_grid:
            self._valid_of_grid[grid] = self.inputs.valid_at(grid)
        return self._valid_of_grid[grid]

    @property
    def vocabulary(self) -> Vocabulary:
        return self.windows.vocabulary

    @cached_property
    def split_of_input(self) -> np.ndarray:
        """int8 (n,): index of `evidence.SPLITS` for each input."""
        return self._map("windows/split.npy")

    @cached_property
    def group_ids(self) -> list[str]:
        path = self.folder / "windows" / "documents.json"
        return [str(name) for name in read_json(path, "a file of the recording", AGAIN, list)]

    @cached_property
    def embedding(self) -> np.ndarray | None:
        """The subject's static token embedding float16 (vocabulary, d), up to a power of two, when it has one."""
        return self._map("embedding.npy") if "embedding.npy" in self.manifest["files"] else None

    # units

    def units(self, site: str) -> np.ndarray:
        """The recorded unit numbers of a site, int32, ascending."""
        return self._site(site).units

    def all_units(self, polarity: Literal["+", "-"] = "+") -> Iterator[Unit]:
        for site in self.sites.values():
            for index in site.units.tolist():
                yield Unit(self.spec.subject, site.name, index, polarity)

    @cached_property
    def panel(self) -> np.ndarray:
        """int64, ascending: the window rows stored for every dense unit, a seeded random sample of all windows."""
        return self._map("windows/panel.npy")

    def panel_values(self, unit: Unit) -> np.ndarray:
        """float32 (panel inputs, places); 0 where not valid."""
        site, place = self._find(unit)
        if site.kind == "sparse":
            return self._sparse(site).values(place, self.panel) * unit.sign
        return self._panel(site, place).astype(np.float32) * self._scale(unit)

    def panel_halves(self, unit: Unit) -> np.ndarray:
        """`panel_values` of a dense unit as the float16 that is stored, not multiplied by the power of its exponent."""
        site, place = self._find(unit)
        if site.kind == "sparse":
            raise no_panel(site.name)
        values = self._panel(site, place)
        return values if unit.sign > 0 else -values

    def panel_block(self, site: str) -> tuple[np.ndarray, np.ndarray]:
        """Many units of a dense site at once: float16 memory map (units, panel windows, width), not signed, and the
        powers of two by which its units are to be multiplied, float32 (units,)."""
        found = self._site(site)
        if found.kind == "sparse":
            raise no_panel(site)
        columns = slice(found.start, found.start + len(found.units))
        dense = self._dense[found.grid]
        return dense.panel.of(columns), powers(dense.exponents[columns])

    def exponent(self, unit: Unit) -> int:
        """The power of two by which the unit's stored float16 values are multiplied."""
        site, place = self._find(unit)
        if site.kind == "sparse":
            return int(self._sparse(site).exponents[place])
        return int(self._dense[site.grid].exponents[site.start + place])

    def _panel(self, site: RecordedSite, place: int) -> np.ndarray:
        column = site.start + place
        return self._dense[site.grid].panel.of(slice(column, column + 1))[0]

    def _scale(self, unit: Unit) -> np.float32:
        return np.float32(powers(self.exponent(unit)) * unit.sign)

    def top_rows(self, unit: Unit) -> np.ndarray:
        """int64: the rows of the unit's windows by largest signed valid value, descending; at most `spec.top_k`.

        Sparse sites list only windows in which the unit has a value of its polarity.
        """
        site, place = self._find(unit)
        if site.kind == "sparse":
            return self._sparse(site).top(place, unit.sign, self.spec.top_k)[0]
        rows = self._dense[site.grid].top_rows[site.start + place, 0 if unit.sign > 0 else 1]
        return rows[rows >= 0].astype(np.int64)

    def top_block(self, site: str, sign: int) -> np.ndarray | None:
        """`top_rows` of many units of a dense site at once, int32 memory map (units, k), -1 where there is none; None
        for a sparse site."""
        found = self._site(site)
        if found.kind == "sparse":
            return None
        columns = slice(found.start, found.start + len(found.units))
        return np.asarray(self._dense[found.grid].top_rows[columns, 0 if sign > 0 else 1])

    def top_maxima(self, unit: Unit) -> np.ndarray:
        """float32: the largest valid value of each window of `top_rows`, before rounding to float16 (dense sites)."""
        site, place = self._find(unit)
        if site.kind == "sparse":
            return self._sparse(site).top(place, unit.sign, self.spec.top_k)[1]
        column, side, dense = site.start + place, 0 if unit.sign > 0 else 1, self._dense[site.grid]
        return np.asarray(dense.top_maxima[column, side][dense.top_rows[column, side] >= 0])

    def top(self, unit: Unit) -> tuple[np.ndarray, np.ndarray]:
        """rows int64 (k,) and values float32 (k, width) of the exact top windows of this polarity, best first."""
        rows = self.top_rows(unit)
        return rows, self.values(unit, rows)

    def values(self, unit: Unit, rows: np.ndarray) -> np.ndarray:
        """float32 (rows, width); for a dense unit the rows must be of its panel or its top windows, either side."""
        site, place = self._find(unit)
        if site.kind == "sparse":
            return self._sparse(site).values(place, rows) * np.float32(unit.sign)
        column, dense = site.start + place, self._dense[site.grid]
        slots = self._panel_slots[rows]
        values = self._panel(site, place)[slots]  # slot -1 reads a panel row that is overwritten below
        missing = np.flatnonzero(slots < 0)
        if len(missing):
            first, end = dense.extra_offsets[column : column + 2]
            have, wanted = dense.extra_rows[first:end], rows[missing]
            found = np.searchsorted(have, wanted)
            if not len(have) or found.max() == len(have) or (have[found] != wanted).any():
                raise UserError(
                    f"values of {unit} were not stored for some of these inputs",
                    allowed="reference sample and top inputs",
                )
            values[missing] = dense.extra_values[first:end][found]
        return values.astype(np.float32) * self._scale(unit)

    def moments(self, unit: Unit) -> Moments:
        site, place = self._find(unit)
        count = self.valid_places(unit.site)
        if site.kind == "sparse":
            sums = power_sums(self._sparse(site).of(place).activations.astype(np.float64))
        else:
            sums = self._dense[site.grid].sums[:, site.start + place]
        return moments(count, sums, unit.sign)

    def postings(self, unit: Unit) -> tuple[np.ndarray, np.ndarray]:
        """positions uint32 (row * width + column, ascending) and float32 activations of a sparse unit, signed."""
        own = self._of(unit)
        return own.positions, own.activations * np.float32(unit.sign)

    def posting_halves(self, unit: Unit) -> tuple[np.ndarray, np.ndarray]:
        """`postings` with the float16 that is stored, not multiplied by the power of the unit's exponent."""
        own = self._of(unit)
        return own.positions, own.halves if unit.sign > 0 else -own.halves

    def firing_rows(self, unit: Unit) -> np.ndarray:
        """int64: all windows in which a sparse unit has a value of its polarity, ascending."""
        return self._of(unit).maxima(unit.sign)[0]

    # plumbing

    def _of(self, unit: Unit) -> OfUnit:
        """The postings of a sparse unit."""
        site, place = self._find(unit)
        if site.kind != "sparse":
            raise UserError("a dense site has no postings", value=unit.site, fix="Read panel_values or top instead")
        return self._sparse(site).of(place)

    def _site(self, name: str) -> RecordedSite:
        if name not in self.sites:
            raise UserError("the site was not recorded", value=name, allowed=near_matches(name, self.sites))
        return self.sites[name]

    def _find(self, unit: Unit) -> tuple[RecordedSite, int]:
        site = self._site(unit.site)
        place = unit.index if len(site.units) == site.width else int(np.searchsorted(site.units, unit.index))
        if not (0 <= place < len(site.units) and site.units[place] == unit.index):
            some = f"{site.units[0]} to {site.units[-1]}" + ("" if len(site.units) == site.width else " (not all)")
            raise UserError("the unit was not recorded", value=str(unit), allowed=f"{site.name}: {some}")
        return site, place

    def _sparse(self, site: RecordedSite) -> Postings:
        if site.name not in self._postings:
            folder = self._sparse_folders[site.name].name
            offsets, activations, exponents = (
                self._map(f"{folder}/{name}.npy") for name in ("offsets", "activations", "exponents")
            )
            positions: np.ndarray | PackedPositions
            if f"{folder}/gaps.npy" in self.manifest["files"]:
                gaps, bits = self._map(f"{folder}/gaps.npy"), self._map(f"{folder}/bits.npy")
                positions = PackedPositions(gaps, bits, offsets)
            else:
                positions = self._map(f"{folder}/positions.npy")
            self._postings[site.name] = Postings(offsets, positions, activations, exponents, site.grid.places)
        return self._postings[site.name]

    def _map_in(self, folder: str, name: str, mode: Literal["r", "c"] = "r") -> np.ndarray:
        return self._map(f"{folder}/{name}.npy", mode)

    def _map(self, name: str, mode: Literal["r", "c"] = "r") -> np.ndarray:
        path = self.folder / name
        with reading(path), ONE_HEADER:
            return np.asarray(np.load(path, mmap_mode=mode, allow_pickle=False))

    @cached_property
    def _panel_slots(self) -> np.ndarray:
        slots = np.full(self.manifest["windows"], -1, np.int64)
        slots[self.panel] = np.arange(len(self.panel))
        return slots


def no_panel(site: str) -> UserError:
    return UserError("a sparse site has no stored reference sample", value=site, fix="Read its postings instead")


def _grid(entry: dict[str, Any]) -> Grid:
    return Grid(entry["kind"], tuple(entry["shape"]))


def power_sums(x: np.ndarray) -> np.ndarray:
    """Sums of x, x^2, x^3, x^4 over values (n,) in their own type: (4,)."""
    square = x * x
    return np.array([x.sum(), square.sum(), (square * x).sum(), (square * square).sum()])


def moments(count: int, sums: np.ndarray, sign: int = 1) -> Moments:
    """Moments from the sums of x, x^2, x^3, x^4 over `count` values."""
    m1, m2, m3, m4 = (sums / max(count, 1)).tolist()
    variance = m2 - m1**2
    if variance <= 1e-12 * m2:
        return Moments(count, sign * m1, max(variance, 0.0), None, None)
    third = m3 - 3 * m1 * m2 + 2 * m1**3
    fourth = m4 - 4 * m1 * m3 + 6 * m1**2 * m2 - 3 * m1**4
    return Moments(count, sign * m1, variance, sign * third / variance**1.5, fourth / variance**2)


def _read_spec(stored: dict[str, Any]) -> RecordingSpec:
    if "encoders" in stored:  # as readouts were called
        stored = {**stored, "readouts": stored["encoders"]}
    values = {f.name: stored[f.name] for f in fields(RecordingSpec)}
    if not isinstance(values["windows"], dict) or not isinstance(values["readouts"], dict):
        raise TypeError("windows and readouts must be tables")
    values["sites"] = tuple(values["sites"])
    values["units"] = {site: None if units is None else tuple(units) for site, units in values["units"].items()}
    return RecordingSpec(**values)
