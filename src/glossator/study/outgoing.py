"""A study in formats of other context: its units with the test split's excerpts, and what was found of them.

What a format has no place for is left out and said: Neuronpedia and OpenAI know tokens and one polarity, delphi knows
whole sparse recordings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from glossator import __version__
from glossator.errors import MissingPower, UserError
from glossator.evidence import Exemplars
from glossator.formats import Excerpt, OfUnit, Said, delphi, neuronpedia, openai, parquet
from glossator.formats.base import Kind
from glossator.inputs import TokenWindows
from glossator.statistics import evenly
from glossator.store.results import UnitResult
from glossator.store.study import Study
from glossator.study.context import StudyContext
from glossator.units import Unit

Format = Literal["neuronpedia", "neuronpedia-upload", "openai", "delphi", "parquet"]
FORMATS: tuple[Format, ...] = get_args(Format)
TOP, RANDOM, INTERVALS, OF_INTERVAL = 20, 20, 5, 5
"""Excerpts of a unit, as many as the formats' own tools write."""


@dataclass(frozen=True)
class Written:
    """folder: where; units: how many; notes: what was left out."""

    folder: Path
    units: int
    notes: tuple[str, ...]


def write_study(study: Study, folder: Path, format: Format, say: Callable[[int], Any] = id) -> Written:
    """Write a study in another format below a folder, which must be new or empty; say: is told how many units are done.

    Raises `UserError` for a study without its recording, and for what the format cannot hold at all.
    """
    if format not in FORMATS:
        raise UserError("unknown format", value=format, allowed=", ".join(FORMATS))
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError("there is something already", value=str(folder), fix="Choose another folder")
    context = StudyContext.to_show(study)
    if not isinstance(context.recording.inputs, TokenWindows):
        raise MissingPower(
            "these formats hold tokens", value=context.recording.inputs.kind, allowed="a study of tokens"
        )
    negative = sum(1 for (name,) in study.query("SELECT name FROM units WHERE polarity = '-'"))
    notes = [f"{negative:,} units of the negative polarity, which the format does not know"] if negative else []
    ((twice,),) = study.query(
        """SELECT count(*) FROM units AS one WHERE polarity = '±' AND EXISTS
        (SELECT 1 FROM units WHERE name = substr(one.name, 1, length(one.name) - 1))"""
    )
    if twice:
        notes.append(f"{twice:,} signed units of which the positive polarity is written")
    subject = study.manifest["subject"]
    if format == "parquet":
        count = _parquet(study, context, folder, say)
        return Written(folder, count, ())
    if format == "delphi":
        return _delphi(study, context, folder, notes, say)
    units = _units(study, context, say)
    if format == "openai":
        count, scored = 0, dict[tuple[str, int], list[dict[str, Any]]]()
        for result, unit in units:
            scored[unit.site, unit.index] = _simulated(result, unit, context)
            count += openai.write(folder, [unit], scored)
            scored.clear()
        return Written(folder, count, tuple(notes))
    about = f"Written by glossator {__version__} from a study with the fingerprint {study.manifest['fingerprint']}"
    every = [unit for _, unit in units]
    if format == "neuronpedia":
        return Written(folder, neuronpedia.write_bulk(folder, subject, every, about), tuple(notes))
    count = neuronpedia.write_uploads(folder, subject, every)
    if len(every) > count:
        notes.append(f"{len(every) - count:,} units without an excerpt, which the API does not take")
    return Written(folder, count, tuple(notes))


def _units(study: Study, context: StudyContext, say: Callable[[int], Any]) -> Iterator[tuple[UnitResult, OfUnit]]:
    """Units of the positive polarity, with signed ones that have no positive one beside them."""
    for done, result in enumerate(study.results(), 1):
        if _stands_for_it(study, result.unit):
            yield result, unit_of_study(result, context)
        say(done)


def _stands_for_it(study: Study, unit: Unit) -> bool:
    """Whether this is the polarity of a unit that formats without polarities hold."""
    return unit.polarity == "+" or (unit.polarity == "±" and replace(unit, polarity="+") not in study)


def unit_of_study(result: UnitResult, context: StudyContext) -> OfUnit:
    """A unit as the formats know it; its excerpts are of the test split."""
    excerpts = () if result.statistics is None else tuple(_excerpts(context.evidence(result.unit).test))
    statistics = result.statistics or {}
    return OfUnit(
        result.unit.site,
        result.unit.index,
        excerpts,
        tuple(_said(result)),
        density=statistics.get("firing_rate"),
        statistics={name: statistics[name] for name in openai.MOMENTS if statistics.get(name) is not None},
    )


def _said(result: UnitResult) -> Iterator[Said]:
    """The first explanation of each method, the unit's best one first: headline and sentence."""
    first = sorted((e for e in result.explanations if e.rank == 0), key=lambda e: e is not result.best())
    for chosen in first:
        parts = (chosen.in_short, chosen.sentence) if chosen.named else (chosen.text,)
        scores = {score.name: score.value for score in chosen.scores if score.value is not None}
        name = next((n for n in ("correlation.top-and-random", *scores) if n in scores), "")
        text = ". ".join(part.rstrip(".") for part in parts if part)
        yield Said(text, f"glossator_{chosen.method}", chosen.provenance["model"], scores.get(name), name)


def _excerpts(test: Exemplars) -> Iterator[Excerpt]:
    """Largest, spread over intervals of equal width from 0 to the largest, and at random."""
    windows, maxima = test.windows, test.maxima
    random = np.flatnonzero(np.asarray(test.in_random, bool))
    shown = np.flatnonzero(test.kinds == "top")[:TOP]
    for row in shown:
        yield _excerpt(test, windows, int(row), "top")
    high = float(maxima.max(initial=0.0))
    edges = np.linspace(0, high, INTERVALS + 1) if high > 0 else np.empty(0)
    for low, up in zip(edges[-2::-1], edges[:0:-1], strict=True):
        inside = (maxima > low) & (maxima <= up)
        share = float(inside[random].mean()) if len(random) else None
        found = np.setdiff1d(np.flatnonzero(inside), shown)
        if len(found):
            for row in found[evenly(len(found), OF_INTERVAL)]:
                yield _excerpt(test, windows, int(row), "interval", low=float(low), high=float(up), share=share)
    for row in np.setdiff1d(random, shown)[:RANDOM]:
        yield _excerpt(test, windows, int(row), "random")


def _excerpt(test: Exemplars, windows: TokenWindows, row: int, kind: Kind, **more: float | None) -> Excerpt:
    length = int(windows.lengths[row])
    texts = tuple(windows.vocabulary.texts[token] for token in windows.tokens[row, :length].tolist())
    counts = windows.valid[row, :length]
    return Excerpt(texts, np.where(counts, test.activations[row, :length], 0).astype(np.float32), kind, **more)


def _simulated(result: UnitResult, unit: OfUnit, context: StudyContext) -> list[dict[str, Any]]:
    """Explanations with their predictions on the excerpts that scored them, as far as they can be simulated here."""
    if result.statistics is None:
        return []
    test, found = context.evidence(result.unit).test, []
    top = np.flatnonzero(test.kinds == "top")[:TOP]
    shown = np.concatenate([top, np.setdiff1d(np.flatnonzero(np.asarray(test.in_random, bool)), top)[:RANDOM]])
    some, excerpts = test.take(shown), [_excerpt(test, test.windows, int(row), "top") for row in shown]
    by_method = {said.method: said for said in unit.said}
    for chosen in (e for e in result.explanations if e.rank == 0):
        try:
            expected = context.lab().simulate(chosen.explanation(result.unit), some).expected
        except MissingPower:  # words that nobody here reads
            continue
        predicted = [np.nan_to_num(expected[row, : len(one.tokens)]) for row, one in enumerate(excerpts)]
        found.append(openai.scored(by_method[f"glossator_{chosen.method}"], excerpts, predicted))
    return found


def _parquet(study: Study, context: StudyContext, folder: Path, say: Callable[[int], Any]) -> int:
    """All polarities, explanations and scores; each table is one walk through the study."""

    def named(result: UnitResult) -> dict[str, Any]:
        unit = result.unit
        return {"site": unit.site, "index": unit.index, "polarity": unit.polarity}

    def units() -> Iterator[Mapping[str, Any]]:
        for result in study.results():
            yield {**named(result), "status": result.status, "density": (result.statistics or {}).get("firing_rate")}

    def excerpts() -> Iterator[Mapping[str, Any]]:
        for done, result in enumerate(study.results(), 1):
            yield from parquet.excerpt_rows(unit_of_study(result, context), result.unit.polarity)
            say(done)

    def explanations() -> Iterator[Mapping[str, Any]]:
        for result in study.results():
            for e in result.explanations:
                headline = None if e.headline is None else e.headline.said
                yield {**named(result), "method": e.method, "rank": e.rank, "text": e.text, "headline": headline,
                       "program": e.program, "model": e.provenance["model"], "score": e.select,
                       "score_name": "r on the select split"}  # fmt: skip

    def scores() -> Iterator[Mapping[str, Any]]:
        for result in study.results():
            for e in result.explanations:
                for s in e.scores:
                    yield {**named(result), "method": e.method, "name": s.name, "column": s.column, "value": s.value,
                           "low": s.low, "high": s.high, "n": s.n, "measure": s.measure, "reason": s.reason,
                           "baselines": [*s.baselines.items()]}  # fmt: skip

    tables = {"units": units(), "excerpts": excerpts(), "explanations": explanations(), "scores": scores()}
    parquet.write(folder, study.manifest["subject"], tables)
    return study.size


def _delphi(study: Study, context: StudyContext, folder: Path, notes: list[str], say: Callable[[int], Any]) -> Written:
    """Whole windows of all sparse sites with the latents that are studied, and the best explanations."""
    recording = context.recording
    sparse = [name for name, site in recording.sites.items() if site.kind == "sparse"]
    if not sparse or recording.spec.windows.get("alone"):
        raise UserError(
            "delphi's cache holds every value of sparse latents, and this study has none recorded in full",
            value=", ".join(recording.sites), fix="Use --format neuronpedia or parquet",
        )  # fmt: skip
    if left := [name for name in recording.sites if name not in sparse]:
        notes.append(f"sites that are not sparse: {', '.join(left)}")
    windows = recording.windows
    whole = np.flatnonzero(windows.lengths == windows.width)
    if len(whole) < len(windows):
        notes.append(f"{len(windows) - len(whole):,} windows that are shorter than {windows.width} tokens")
    place_of = np.full(len(windows), -1)
    place_of[whole] = np.arange(len(whole))
    units = {(u.unit.site, u.unit.index): u for u in study.results() if _stands_for_it(study, u.unit)}
    for site in sparse:
        entries = {}
        for (own, index), result in units.items():
            if own == site:
                positions, values = recording.postings(result.unit)
                row, column = np.divmod(positions.astype(np.int64), windows.width)
                kept = place_of[row] >= 0
                entries[index] = (np.column_stack([place_of[row[kept]], column[kept]]), values[kept])
        delphi.write_cache(
            folder, site, study.spec.subject, windows.tokens[whole], entries, recording.sites[site].width
        )
    best = ((r.unit.site, r.unit.index, next(_said(r)).text) for r in units.values() if r.best() is not None)
    delphi.write_explanations(folder, best)
    say(len(units))
    return Written(folder, len(units), tuple(notes))
