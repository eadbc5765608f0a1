"""The page of a study's directions and dictionaries: how they were found or trained, how alike their units are and how
often these fire, each beside its control."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from glossator.errors import UserError
from glossator.explorer.pages.parts import rounded
from glossator.explorer.pages.study import VOXELS, EstimateShown
from glossator.files import read_json
from glossator.readouts.base import load_kind
from glossator.recording.spec import source_of
from glossator.scores import range_of
from glossator.statistics import mean_over_units
from glossator.store.folder import RANDOM_DICTIONARIES, SEARCH, TRAINING, places_of_readouts
from glossator.store.study import Study

if TYPE_CHECKING:
    from glossator.readouts.base import Readout

MOST_STEPS = 400
"""Points of a curve; of longer trainings each is the mean of some steps."""
BINS, MOST_WORK, MOST_COMPARED = 40, 1e10, 2048
"""Of similarities: bins of the histogram; multiplications; units that are compared with all."""


@dataclass(frozen=True)
class HistogramOf:
    """edges (bins + 1,), counts (bins,); n: how many there are, with those outside; of: what they are."""

    edges: list[float]
    counts: list[int]
    n: int
    of: str = ""


@dataclass(frozen=True)
class Training:
    """steps: numbers of steps, of the curves fvu, l0 and dead_share, which are of training batches; held: what was
    measured on text that was not trained on; density: of all latents there, over log10 of the share of tokens; reason:
    why something in held is missing."""

    steps: list[int]
    fvu: list[float | None]
    l0: list[float | None]
    dead_share: list[float | None]
    held: dict[str, float | None]
    density: HistogramOf | None
    silent: int | None
    reason: str


@dataclass(frozen=True)
class Round:
    """select: the score of the explanation on the select split, at the beginning of the round; text: the explanation,
    None where there was none; before, after: the correlation with its simulation on the explain and the select split
    before and after the steps."""

    select: float | None
    text: str | None
    before: dict[str, float | None]
    after: dict[str, float | None]


@dataclass(frozen=True)
class Kept:
    """A direction: from which start and round it comes, its unit where the study has it, its score on the test
    split."""

    start: int
    round: int
    unit: str | None
    text: str | None
    select: float | None
    test: float | None
    baselines: dict[str, float | None]


@dataclass(frozen=True)
class Control:
    name: str
    mean: EstimateShown
    values: list[float | None]


@dataclass(frozen=True)
class Search:
    """paths: the rounds of each start; kept: best first; groups: test scores of the kept directions and of controls."""

    score: str
    paths: list[list[Round]]
    kept: list[Kept]
    groups: list[Control]
    restarted: int


@dataclass(frozen=True)
class Similarity:
    """The largest |cosine| of each unit with another one, by what they write; random: of as many random directions
    in as many dimensions; pair: the two that are most alike."""

    units: HistogramOf
    random: HistogramOf
    largest: float
    pair: list[int]


@dataclass(frozen=True)
class ReadoutShown:
    """width: units that it has; studied: how many are in the study; facts: how it was made; beside: the training of its
    counterpart on the network with random weights; density: of the studied units; wrong: why it could not be read."""

    site: str
    kind: str
    reads_at: str
    writes_at: str | None
    width: int
    studied: int
    facts: list[tuple[str, str]]
    training: Training | None = None
    beside: Training | None = None
    search: Search | None = None
    similarity: Similarity | None = None
    density: HistogramOf | None = None
    wrong: str = ""


@dataclass(frozen=True)
class ReadoutsPage:
    """score: the one that ranks units, whose distribution by site stands beside."""

    readouts: list[ReadoutShown] = field(default_factory=list)
    score: str | None = None


def readouts_page(study: Study) -> ReadoutsPage:
    """Reads the readouts that the study keeps; of one that is damaged it says so."""
    found = [_shown(study, kind, place) for kind, place in places_of_readouts(study.folder) if kind != VOXELS]
    return ReadoutsPage(found, study.ranked_by)


def _shown(study: Study, kind: str, place: Path) -> ReadoutShown:
    rows = study.query('SELECT DISTINCT "index" FROM units WHERE site = ?', place.name)
    try:
        one = load_kind(kind, place, source_of(place.name))
        made = one.made if isinstance(one.made, Mapping) else {}
        return ReadoutShown(
            place.name, kind, one.reads_at, one.writes_at, one.width, len(rows), _facts(one, made),
            training=_training(place),
            beside=_training(study.folder / RANDOM_DICTIONARIES / place.name),
            search=_search(study, place),
            similarity=similarity(_rows(one)),
            density=_density(study, place.name),
        )  # fmt: skip
    except UserError as error:
        return ReadoutShown(place.name, kind, source_of(place.name), None, 0, len(rows), [], wrong=str(error))


def _facts(one: Readout, made: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What the readout says of itself, in words."""
    told: dict[str, Any] = {"reads": one.reads_at}
    if one.writes_at not in (None, one.reads_at):
        told["writes"] = one.writes_at
    for name in ("activation", "k"):
        if (value := getattr(one, name, None)) is not None:
            told[name] = value
    for name in ("method", "training", "settings", "variance", "positive", "negative", "held_out_accuracy", "seed"):
        value = made.get(name)
        if isinstance(value, Mapping):
            told |= {str(k): v for k, v in value.items() if v is not None and k not in ("sites", "site", "k")}
        elif isinstance(value, list):
            told[name] = ", ".join(f"{v:.3g}" if isinstance(v, float) else str(v) for v in value[:10])
        elif value is not None:
            told[name] = value
    facts = [(name.replace("_", " "), str(value)) for name, value in told.items()]
    return [*facts, *(("note", str(note)) for note in one.notes)]


def _training(place: Path) -> Training | None:
    log = _log(place / TRAINING)
    if log is None:
        return None
    steps, (fvu, l0, dead) = thin([_numbers(log.get(f"{name}_of_batches")) for name in ("fvu", "l0", "dead_share")])
    held = _table(log.get("held_out"))
    density, names = _table(held.get("density")), ("fvu", "l0", "silent_share", "loss_recovered", "components_fvu")
    edges, counts = _numbers(density.get("edges")), _numbers(density.get("counts"))
    shown = None
    if len(edges) == len(counts) + 1 and counts:
        n = int(sum(count or 0 for count in counts))
        shown = HistogramOf([edge or 0.0 for edge in edges], [int(count or 0) for count in counts], n)
    measured = {name: _number(held.get(name)) for name in names}
    losses = {f"loss, {name}": _number(value) for name, value in _table(held.get("loss")).items()}
    silent = _number(density.get("silent"))
    return Training(
        steps, fvu, l0, dead, {**measured, **losses, "dead_share": _number(log.get("dead_share"))}, shown,
        None if silent is None else int(silent), str(held.get("reason") or ""),
    )  # fmt: skip


Curve = list[float | None]


def thin(curves: Sequence[Curve], most: int = MOST_STEPS) -> tuple[list[int], list[Curve]]:
    """Steps counted from 1, and each curve at them: means of equal stretches where there are more than `most`."""
    length = max(map(len, curves), default=0)
    edges = np.unique(np.linspace(0, length, min(most, length) + 1).astype(int)) if length else np.zeros(1, int)
    found: list[Curve] = []
    for curve in curves:
        values = np.array([np.nan if value is None else value for value in curve] or [np.nan] * length)
        parts = [values[a:b][np.isfinite(values[a:b])] for a, b in pairwise(edges.tolist())]
        found.append([rounded(float(part.mean())) if len(part) else None for part in parts])
    return edges[1:].tolist(), found


def _search(study: Study, place: Path) -> Search | None:
    log = _log(place / SEARCH)
    if log is None:
        return None
    of_index = {
        index: name
        for name, index in study.query('SELECT name, "index" FROM units WHERE site = ? ORDER BY id DESC', place.name)
    }
    subject = f"{study.manifest['subject']}/"
    kept = []
    for index, one in enumerate(map(_table, _list(log.get("kept")))):
        name = of_index.get(index)
        baselines = {str(k): _number(v) for k, v in _table(one.get("baselines")).items()}
        numbers = (_number(one.get("select")), _number(one.get("test")))
        where = (int(_number(one.get("start")) or 0), int(_number(one.get("round")) or 0))
        kept.append(
            Kept(
                *where,
                None if name is None else str(name).removeprefix(subject),
                _text(one.get("text")),
                *numbers,
                baselines,
            )
        )
    paths = [[_round(_table(one)) for one in _list(path)] for path in _list(log.get("paths"))]
    values = {"found": [one.test for one in kept]} | {
        str(name): _numbers(group) for name, group in _table(log.get("controls")).items()
    }
    bounds = range_of("Pearson r")  # what a search for directions is scored by
    groups = [
        Control(name, EstimateShown.of(mean_over_units(group, bounds=bounds)), group)
        for name, group in values.items()
        if group
    ]
    return Search(str(log.get("score", "")), paths, kept, groups, int(_number(log.get("restarted")) or 0))


def _round(one: Mapping[str, Any]) -> Round:
    before, after = ({str(k): _number(v) for k, v in _table(one.get(side)).items()} for side in ("before", "after"))
    return Round(_number(one.get("select")), _text(one.get("text")), before, after)


def _rows(one: Readout) -> np.ndarray | None:
    """What the units write, (units, d); None where it is not known."""
    if (vectors := getattr(one, "vectors", None)) is not None:
        return np.asarray(vectors, np.float32)
    if (decoder := getattr(one, "decoder_rows", None)) is not None:
        return np.asarray(decoder(range(one.width)).float().cpu().numpy(), np.float32)
    return None


def similarity(rows: np.ndarray | None, seed: int = 0) -> Similarity | None:
    """Of all units, or of a random sample of them with all where there are very many; None for fewer than two."""
    if rows is None or len(rows) < 2:
        return None
    n, width = rows.shape
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    rows = rows / np.where(lengths > 0, lengths, 1)
    rng = np.random.default_rng(seed)
    size = min(n, MOST_COMPARED, max(2, int(MOST_WORK / (n * width))))
    chosen = np.sort(rng.choice(n, size, replace=False))
    largest, partner = _nearest(rows, chosen)
    drawn = rng.normal(size=rows.shape).astype(np.float32)
    by_chance, _ = _nearest(drawn / np.linalg.norm(drawn, axis=1, keepdims=True), chosen)
    edges = np.linspace(0, 1, BINS + 1)
    own, control = (
        HistogramOf(edges.tolist(), np.histogram(np.clip(values, 0, 1), edges)[0].tolist(), len(values), name)
        for values, name in ((largest, "units"), (by_chance, "random directions"))
    )
    at = int(largest.argmax())
    pair = sorted((int(chosen[at]), int(partner[at])))
    return Similarity(own, control, rounded(float(largest[at])) or 0.0, pair)


def _nearest(rows: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The largest |cosine| of each of some rows of length 1 with another row, and which that is."""
    largest, partner = np.empty(len(chosen), np.float32), np.empty(len(chosen), np.int64)
    for first in range(0, len(chosen), 256):
        some = chosen[first : first + 256]
        cosine = np.abs(rows[some] @ rows.T)
        cosine[np.arange(len(some)), some] = -1
        partner[first : first + 256] = cosine.argmax(axis=1)
        largest[first : first + 256] = cosine.max(axis=1)
    return largest, partner


def _density(study: Study, site: str) -> HistogramOf | None:
    """Over log10 of the share of random places at which units fire; those that never do are in n alone."""
    rows = study.query("SELECT density FROM units WHERE site = ? AND density IS NOT NULL", site)
    if not rows:
        return None
    shares = np.array([share for (share,) in rows])
    fires = np.log10(shares[shares > 0])
    low = math.floor(4 * float(fires.min(initial=-1.0))) / 4
    edges = np.arange(round(4 * low), 1) / 4
    return HistogramOf(edges.tolist(), np.histogram(fires, edges)[0].tolist(), len(shares), "units of the study")


def _log(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    found: dict[str, Any] = read_json(path, "the log beside the readout", "Make the readout again")
    return found


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else []


def _number(value: Any) -> float | None:
    known = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return rounded(float(value)) if known else None


def _numbers(values: Any) -> list[float | None]:
    return [_number(value) for value in _list(values)]


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
