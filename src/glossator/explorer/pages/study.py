"""The page of a study: what was recorded and asked, what it cost, and how scores are distributed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from glossator import __version__
from glossator.errors import UserError
from glossator.explorer.pages.experiments import experiment_list
from glossator.explorer.pages.parts import all_rounded, rounded
from glossator.language_models.costs import in_words
from glossator.scores import Column
from glossator.statistics import Estimate
from glossator.store.card import COLUMNS, QUESTIONS, columns_of, why_empty
from glossator.store.folder import places_of_readouts
from glossator.store.ranking import DEFAULT_SCORES, RATE
from glossator.store.study import Study
from glossator.store.summary import agreement_of_columns, mean_of, told, units_of_sites, values_of
from glossator.store.topics import KEPT_TOPICS

if TYPE_CHECKING:
    from glossator.recording import Recording

BINS = 40
VOXELS = "voxels"
"""The kind of readouts that are encoding models, and their page."""


@dataclass(frozen=True)
class Site:
    site: str
    polarity: str
    units: int


@dataclass(frozen=True)
class CostShown:
    stage: str
    model: str
    requests: int
    failures: int
    words: str


@dataclass(frozen=True)
class EstimateShown:
    """A number over units with its interval; value None with a reason."""

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    reason: str | None = None

    @classmethod
    def of(cls, estimate: Estimate) -> EstimateShown:
        value, low, high = all_rounded((estimate.value, estimate.low, estimate.high))
        return cls(value, low, high, estimate.n, estimate.reason)


@dataclass(frozen=True)
class StudyPage:
    """What a study is. counts: units by status; methods: of the units' best explanations; scores: all names by column;
    main: the score that stands for each column; told: scores whose distributions are shown first; questions: what each
    column asks; why_empty: why it is empty where it is; rate: of false discoveries, at which units are called above a
    baseline; version: changes with the study's file; experiments: how many it has; pages: others that it has something
    for; asks: tasks for annotators with their titles; people: what annotators answered, None where nobody was
    asked."""

    name: str
    subject: str
    units: int
    counts: dict[str, int]
    sites: list[Site]
    methods: list[str]
    main: dict[str, str | None]
    ranked_by: str | None
    told: list[str]
    scores: dict[str, Column]
    questions: dict[str, str]
    why_empty: dict[str, str]
    rate: float
    facts: list[tuple[str, str]]
    costs: list[CostShown]
    version: str
    experiments: int = 0
    asks: dict[str, str] = field(default_factory=dict)
    pages: list[str] = field(default_factory=list)
    people: dict[str, Any] | None = None


def study_page(
    study: Study, people: Mapping[str, Any] | None = None, asks: Mapping[str, str] | None = None
) -> StudyPage:
    """Read without a look at single units, so that it takes no longer for many.

    people: what annotators answered over all units, as `glossator.human.report` prepares it; asks: what they can be
    asked, by kind of task.
    """
    with study.snapshot():
        names = study.score_names
        main: dict[str, str | None] = {column: study.default_score(column) for column in COLUMNS}
        first = [name for name in (study.ranked_by, main["causal"], *DEFAULT_SCORES) if name in names]
        counts = study.counts
        return StudyPage(
            name=study.folder.name,
            subject=study.manifest["subject"],
            units=sum(counts.values()),
            counts=counts,
            sites=[Site(site, polarity, n) for (site, polarity), n in units_of_sites(study).items()],
            methods=study.methods,
            main=main,
            ranked_by=study.ranked_by,
            told=[*dict.fromkeys((*first, *told(study)))],
            scores=names,
            questions={column: QUESTIONS[column] for column in COLUMNS},
            why_empty={column: why_empty(column, study.spec.card) for column in COLUMNS},
            rate=RATE,
            facts=facts(study),
            costs=[CostShown(c.stage, c.model, c.requests, c.failures, in_words(c.usage)) for c in study.costs],
            version=version_of(study),
            experiments=experiment_list(study, limit=1).total,
            asks=dict(asks or {}),
            pages=pages_of(study),
            people=None if people is None else {name: value for name, value in people.items() if name != "units"},
        )


def pages_of(study: Study) -> list[str]:
    """Of readouts where it keeps any, of voxels where some of these are encoding models, or topics were found."""
    kinds = {kind == VOXELS for kind, _ in places_of_readouts(study.folder)}
    voxels = True in kinds or (study.folder / KEPT_TOPICS).is_file()
    return [name for name, there in (("readouts", False in kinds), (VOXELS, voxels)) if there]


def version_of(study: Study) -> str:
    """Changes whenever the study's file does."""
    stat = study.path.stat()
    return f"{stat.st_ino:x}-{stat.st_mtime_ns:x}-{stat.st_size:x}"


def recording_of(study: Study) -> Recording | None:
    """What the study was made from; None where it is not there, as when a study was sent without it."""
    try:
        return study.recording
    except UserError:
        return None


def facts(study: Study) -> list[tuple[str, str]]:
    """How the study was made, as pairs of words."""
    spec, recording = study.spec, recording_of(study)
    units = "all" if spec.units == "all" else f"{spec.units} at random" if isinstance(spec.units, int) else "listed"
    methods = f"{', '.join(spec.explainers)}; at most {spec.candidates} candidates each, ranked on the select split"
    read = f"; words are read by {', '.join(spec.language_models)}" if spec.language_models else ""
    found = [
        ("Subject", f"{study.manifest['subject']} ({spec.dtype})"),
        ("Sites", f"{', '.join(spec.sites)}; units of each: {units}"),
        *([] if recording is None else of_recording(recording, spec.width)),
        ("Explainers", methods),
        ("Simulation", f"programs, lists and tables of tokens are executed{read}"),
        ("Card", f"{' and '.join(columns_of(spec.card))}; {', '.join(spec.scorers)}"),
        ("Scores", "on the test split, which no explainer saw; 95 % intervals over documents"),
    ]
    made = f"spec {spec.fingerprint}, seed {spec.seed}"
    if recording is not None:
        made += f", recording {recording.fingerprint}"
    return [*found, ("Provenance", f"{made}; shown with glossator {__version__}")]


def of_recording(recording: Recording, width: int) -> list[tuple[str, str]]:
    """What was read, and how it is split."""
    text, kind = recording.spec.windows, recording.inputs.kind
    read, groups = f"{len(recording.inputs):,} {kind}", "groups"
    if kind == "tokens":
        places = recording.valid_places(next(iter(recording.sites)))
        read, groups = f"{places:,} tokens in {len(recording.inputs):,} windows of {width}", "documents"
    shares = "; ".join(f"{name} {share:.0%}" for name, share in text.get("shares", {}).items())
    return [
        ("Inputs", f"{text.get('corpus', '?')}: {read}, {len(recording.group_ids):,} {groups}"),
        ("Splits", f"{shares} of the {kind}, whole {groups}"),
        ("Left out", recording.spec.leaves_out),
    ]


@dataclass(frozen=True)
class Spread:
    """How the values of some units are distributed. name: of the baseline, empty for the explanations; mean: over
    units; quantiles: 5, 25, 50, 75 and 95 %; bins: units in each of the bins between the ends of the axis; over: how
    far the explanations are above it, paired by unit; above: units called above it, of how many that were tested."""

    name: str
    n: int
    mean: EstimateShown
    quantiles: list[float | None]
    bins: list[int]
    over: EstimateShown | None = None
    above: tuple[int, int] | None = None


@dataclass(frozen=True)
class SpreadOfGroup:
    """One method at one site. random_weights: the mean that the same architecture reaches untrained, None where it was
    not asked; units: how many the site has, with the score or without."""

    site: str
    polarity: str
    method: str
    units: int
    rows: list[Spread]
    random_weights: EstimateShown | None = None


@dataclass(frozen=True)
class Distribution:
    """One score by site and method, beside its baselines, on one axis from low to high; bins: how many each row has."""

    score: str
    column: Column
    measure: str
    low: float
    high: float
    groups: list[SpreadOfGroup]


def distribution(study: Study, score: str) -> Distribution:
    """Raises `UserError` where no explanation has the score."""
    with study.snapshot():
        if score not in (names := study.score_names):
            from glossator.errors import near_matches

            raise UserError("the study has no such score", value=score, allowed=near_matches(score, names))
        found, units, random = values_of(study, score), units_of_sites(study), of_random_weights(study, score)
    means = [mean_of(v, units) for v in found]
    ends = [end for mean in means for e in (mean.value, *mean.baselines.values()) for end in (e.low, e.high)]
    values = [v for group in found for row in (group.value, *group.baselines.values()) for v in row]
    drawn = [v for v in (*values, *ends) if v is not None]
    low, high = (float(min(0.0, *drawn)), float(max(1.0, *drawn))) if drawn else (0.0, 1.0)
    low, high = np.floor(low * 10) / 10, np.ceil(high * 10) / 10
    groups = []
    for v, mean in zip(found, means, strict=True):
        rows = [spread("", v.value, EstimateShown.of(mean.value), low, high)]
        for name, value in mean.baselines.items():
            over = EstimateShown.of(mean.over[name])
            row = spread(name, v.baselines[name], EstimateShown.of(value), low, high)
            rows.append(Spread(row.name, row.n, row.mean, row.quantiles, row.bins, over, mean.above.get(name)))
        groups.append(
            SpreadOfGroup(v.site, v.polarity, v.method, mean.units, rows, random.get((v.site, v.polarity, v.method)))
        )
    measure = found[0].measure if found else ""
    return Distribution(score, names[score], measure, float(low), float(high), groups)


def spread(name: str, values: Iterable[float | None], mean: EstimateShown, low: float, high: float) -> Spread:
    known = np.array([value for value in values if value is not None])
    counts = np.histogram(known, BINS, (low, high))[0] if len(known) else np.zeros(BINS, int)
    quantiles = np.quantile(known, (0.05, 0.25, 0.5, 0.75, 0.95)).tolist() if len(known) else []
    return Spread(name, len(known), mean, [rounded(q) for q in quantiles], counts.tolist())


def of_random_weights(study: Study, score: str) -> dict[tuple[str, str, str], EstimateShown]:
    """The means of the untrained network by site, polarity and method; empty where it was not asked."""
    from glossator.study.random_weights import KEY

    rows: list[dict[str, Any]] = [
        one for (text,) in study.query("SELECT value FROM meta WHERE key = ?", KEY) for one in json.loads(text)
    ]
    return {
        (one["site"], one["polarity"], one["method"]): EstimateShown.of(Estimate(**one["value"]))
        for one in rows
        if one["score"] == score
    }


def agreement(study: Study) -> EstimateShown | None:
    """Rank correlation over units of the two columns; None where there are not two."""
    found = agreement_of_columns(study)
    return None if found is None else EstimateShown.of(found)
