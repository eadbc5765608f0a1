"""What to record, and how it is sharded: pure planning, without model or disk.

The spec holds everything that can change the recorded bytes (batch sizes too, since sums of floats depend on them), so
its fingerprint is the recording's provenance. Shard boundaries change nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from glossator.errors import UserError
from glossator.inputs import Grid
from glossator.specs import Takes, check_fields

if TYPE_CHECKING:
    from glossator.corpora import ProbeSet
    from glossator.readouts.base import Readout
    from glossator.subjects.base import Subject

MOST_TOKENS = 2**32
MOST_BATCHES_IN_A_SHARD = 32
MOST_PARTS = 16
"""A recording is cut into at most so many parts that may be recorded apart. A part alone keeps more values than after
the others, whose strongest windows are known."""
SPARSE_PANEL = 4096  # windows, where nothing is stored densely


Positive = Annotated[int, Takes(least=1)]


@dataclass(frozen=True)
class RecordingSpec:
    """Which units of which subject are recorded over which inputs.

    sites: names; `NAME@SITE` puts the readout called NAME on the values of SITE; units: per site the recorded
    unit numbers, None or absent for all; windows: the probe set's own spec; width: tokens in a window, of other
    inputs as how many tokens one counts when batches are cut; readouts: fingerprint of each readout; top_k: inputs kept
    per unit and polarity (dense sites); panel_windows: inputs stored for every dense unit, None for as many as fit in
    panel_bytes; batch_tokens: tokens in one forward pass; shard_bytes: float16 values of dense units held in memory
    until a shard is written; leaves_out: which places do not count, in words.
    """

    subject: str
    subject_fingerprint: str
    sites: tuple[str, ...]
    width: Positive
    windows: dict[str, Any] = field(default_factory=dict)
    units: dict[str, tuple[int, ...] | None] = field(default_factory=dict)
    readouts: dict[str, str] = field(default_factory=dict)
    top_k: Positive = 200
    panel_bytes: Positive = 2 << 30
    panel_windows: Annotated[int | None, Takes(least=1)] = None
    dtype: str = "float32"
    seed: int = 0
    batch_tokens: Positive = 2048
    shard_bytes: Positive = 1 << 30
    leaves_out: str = "padding"

    def __post_init__(self) -> None:
        if not self.sites:
            raise UserError("no site to record", fix="Name at least one, for example mlp.5")
        if len(set(self.sites)) != len(self.sites):
            raise UserError("a site is listed twice", value=", ".join(self.sites))
        check_fields(self)
        if unknown := set(self.units) - set(self.sites):
            raise UserError(
                "units of a site that is not recorded", value=sorted(unknown), allowed=", ".join(self.sites)
            )


def recording_spec(
    subject: Subject,
    probes: ProbeSet,
    sites: Sequence[str],
    *,
    readouts: Mapping[str, Readout] | None = None,
    units: Mapping[str, Sequence[int] | None] | None = None,
    **settings: Any,
) -> RecordingSpec:
    """The spec that records these sites of a loaded subject over these inputs; settings: other fields of the spec."""
    return RecordingSpec(
        subject=subject.name,
        subject_fingerprint=subject.fingerprint,
        sites=tuple(sites),
        width=probes.inputs.weight,
        windows=dict(probes.spec),
        units={s: None if u is None else tuple(int(i) for i in u) for s, u in (units or {}).items()},
        readouts={name: readout.fingerprint for name, readout in (readouts or {}).items()},
        dtype=str(subject.dtype).removeprefix("torch."),
        leaves_out=subject.leaves_out,
        **settings,
    )


@dataclass(frozen=True, eq=False)
class SitePlan:
    """One recorded site. source: the captured site; units int32: the recorded unit numbers, ascending; width: of the
    source or of its readout; grid: the places at which its units have values; start: its first column on the common
    axis of all dense units of this grid (0 for sparse sites)."""

    name: str
    source: str
    kind: Literal["dense", "sparse"]
    width: int
    units: np.ndarray
    grid: Grid
    start: int = 0

    @property
    def all_units(self) -> bool:
        return len(self.units) == self.width

    @property
    def columns(self) -> slice:
        return slice(self.start, self.start + len(self.units))


@dataclass(frozen=True, eq=False)
class Plan:
    """How a recording is divided into parts, shards and batches. windows: how many inputs there are; batch: inputs in a
    forward pass; most_batches: as many as a shard may hold; panel int64: the rows of inputs stored for every dense
    unit, ascending; part: inputs in a part.

    Parts may be recorded by different processes. Sums are added up within a part, then over the parts, so that the
    recording has the same bytes wherever that was.
    """

    sites: tuple[SitePlan, ...]
    windows: int
    batch: int
    most_batches: int
    panel: np.ndarray
    part: int

    @property
    def parts(self) -> list[tuple[int, int]]:
        """The rows of each part, from and to before."""
        return [(row, min(row + self.part, self.windows)) for row in range(0, self.windows, self.part)]

    @property
    def dense_units(self) -> int:
        return sum(len(site.units) for site in self.sites if site.kind == "dense")

    @property
    def dense_grids(self) -> tuple[Grid, ...]:
        """The grids of dense sites, in the order in which they first come."""
        return tuple(dict.fromkeys(site.grid for site in self.sites if site.kind == "dense"))

    def dense_on(self, grid: Grid) -> Plan:
        """The plan of the dense sites of one grid."""
        return replace(self, sites=tuple(s for s in self.sites if s.kind == "dense" and s.grid == grid))

    def batches(self, first: int, before: int | None = None) -> list[tuple[int, int]]:
        """(first, end) window rows of the batches that a shard may hold which starts at row `first`, up to `before`. No
        shard is in two parts."""
        end = min(first + self.most_batches * self.batch, before or self.windows, self.end_of_part(first))
        return [(row, min(row + self.batch, end)) for row in range(first, end, self.batch)]

    def end_of_part(self, row: int) -> int:
        """Where the part ends that holds this row."""
        return min((row // self.part + 1) * self.part, self.windows)

    def batches_in(self, first: int, end: int) -> int:
        """The number of batches in these rows."""
        return -(-(end - first) // self.batch)

    def panel_in(self, first: int, end: int) -> np.ndarray:
        """The panel's window rows from `first` to before `end`, ascending."""
        return self.panel[(self.panel >= first) & (self.panel < end)]


def plan_sites(
    spec: RecordingSpec, sources: Mapping[str, tuple[int, str, Grid]], encoded: Mapping[str, tuple[int, str]]
) -> tuple[SitePlan, ...]:
    """Resolve the sites; sources: source site -> (width, dense or sparse, grid); encoded: NAME@SITE -> two of these."""
    sites: list[SitePlan] = []
    columns: dict[Grid, int] = {}
    for name in spec.sites:
        source = source_of(name)
        width, kind, grid = sources[source]
        width, kind = encoded.get(name, (width, kind))
        chosen = spec.units.get(name)
        units = np.arange(width, dtype=np.int32) if chosen is None else np.unique(np.asarray(chosen, dtype=np.int32))
        if not len(units) or units[0] < 0 or units[-1] >= width:
            bad = [int(u) for u in units if not 0 <= u < width]
            raise UserError(f"no such unit at {name}", value=bad or "none", allowed=f"0 to {width - 1}")
        dense = kind == "dense"
        start = columns.get(grid, 0) if dense else 0
        sites.append(SitePlan(name, source, "dense" if dense else "sparse", width, units, grid, start))
        columns[grid] = start + len(units) if dense else columns.get(grid, 0)
    return tuple(sites)


def source_of(name: str) -> str:
    """The captured site of `NAME@SITE`, or the name itself."""
    return name.rpartition("@")[2]


def make_plan(spec: RecordingSpec, sites: tuple[SitePlan, ...], windows: int) -> Plan:
    """Cut `windows` inputs into batches and shards and draw the panel."""
    if windows < 1:
        raise UserError("no input to record")
    places = windows * max(site.grid.places for site in sites)
    if places >= MOST_TOKENS:
        raise UserError("too many values per unit for one recording", value=places, allowed=f"fewer than {MOST_TOKENS}")
    batch = max(1, spec.batch_tokens // spec.width)
    window_bytes = 2 * sum(len(site.units) * site.grid.places for site in sites if site.kind == "dense")
    fitting = MOST_BATCHES_IN_A_SHARD if not window_bytes else spec.shard_bytes // (window_bytes * batch)
    most = min(MOST_BATCHES_IN_A_SHARD, max(1, fitting), -(-windows // batch))
    room = SPARSE_PANEL if not window_bytes else max(1, spec.panel_bytes // window_bytes)
    size = min(windows, room if spec.panel_windows is None else spec.panel_windows)
    panel = np.sort(np.random.default_rng([spec.seed, 1]).choice(windows, size, replace=False)).astype(np.int64)
    shards_in_part = -(-windows // (MOST_PARTS * MOST_BATCHES_IN_A_SHARD * batch))
    return Plan(sites, windows, batch, most, panel, shards_in_part * MOST_BATCHES_IN_A_SHARD * batch)
