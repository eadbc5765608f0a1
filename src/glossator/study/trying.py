"""A unit on your own text or scene: its activation at each token or cell, beside its explanation's prediction.

Texts are treated as the study treats documents (`glossator.recording.texts`): the same tokens, prefix, width of windows
and positions left out, so that numbers can be compared with the recorded ones.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from glossator.errors import MissingPower, UserError, near_matches
from glossator.inputs import WHOLE, Grid, Inputs, Texts
from glossator.inputs.tokens import TokenWindows
from glossator.store.results import Chosen
from glossator.store.study import Study, open_study, unit_of
from glossator.study.context import StudyContext
from glossator.units import Unit

if TYPE_CHECKING:
    from glossator.scenes.pictures import Picture
    from glossator.subjects.base import Subject


@dataclass(frozen=True, eq=False)
class TriedText:
    """One text. pieces: its tokens (t,) as they can be printed, or the text itself where it has one value; counts (t,)
    bool, False where a recording leaves a position out; true (t,) the unit's activations, of its side; predicted (t,),
    NaN where there is none, or None where there is none at all; windows: how many it was cut into, each of which begins
    anew."""

    text: str
    pieces: tuple[str, ...]
    counts: np.ndarray
    true: np.ndarray
    predicted: np.ndarray | None
    windows: int

    @property
    def peak_at(self) -> int:
        """The token at which the unit is strongest."""
        return int(np.argmax(np.where(self.counts, self.true, -np.inf)))


@dataclass(frozen=True, eq=False)
class TriedScene:
    """A scene. picture: with what was asked and is not in it; grid: the places; true (places,): the unit's activations,
    of its polarity; predicted (places,), None where there is no prediction."""

    picture: Picture
    grid: Grid
    true: np.ndarray
    predicted: np.ndarray | None


@dataclass(frozen=True)
class Strong:
    """A unit at one token. maximum: its largest recorded activation, None where it is not recorded; explanation: what
    the study says of it, None where it says nothing."""

    unit: Unit
    activation: float
    maximum: float | None = None
    explanation: str | None = None


class Bench:
    """The subject of a study, or another one, ready to be run on texts.

    study: None for a subject alone, about which nothing is predicted; context: of the study.
    """

    def __init__(self, subject: Subject, width: int, study: Study | None = None, context: StudyContext | None = None):
        self.subject, self.width, self.study, self.context = subject, width, study, context

    @cached_property
    def readouts(self) -> Mapping[str, Any]:
        from glossator.study.sources import kept_readouts

        return {} if self.study is None else kept_readouts(self.study.recording)

    def windows(self, texts: Sequence[str]) -> TokenWindows:
        from glossator.recording.texts import text_windows

        windows = text_windows(self.subject, texts, self.width)
        empty = sorted(set(range(len(texts))) - set(windows.documents.tolist()))
        if empty or not texts:
            raise UserError("a text has no token", value=texts[empty[0]] if texts else "", fix="Pass a text")
        return windows

    def values(self, site: str, indices: Sequence[int], inputs: Inputs) -> np.ndarray:
        """(inputs, places, units) signed activations."""
        from glossator.recording.texts import site_values

        return site_values(self.subject, site, indices, inputs, self.readouts)

    def width_of(self, site: str) -> int:
        """How many units a site has; `UserError` for a site that the subject lacks."""
        if site in self.readouts:
            return int(self.readouts[site].width)
        return int(self.subject.site(site).width or 0)

    def explanation(self, unit: Unit) -> Chosen | None:
        if self.study is None or unit not in self.study:
            return None
        return self.study.result(unit).best()

    def predicted(self, unit: Unit, inputs: Inputs, grid: Grid | None = None) -> np.ndarray | None:
        """(inputs, places) what the unit's best explanation predicts; None where nothing can be said without a language
        model that is not asked here."""
        chosen = self.explanation(unit)
        if chosen is None or self.context is None:
            return None
        try:
            return self.context.simulator.simulate(chosen.explanation(unit), inputs, grid).expected
        except MissingPower:
            return None


@contextlib.contextmanager
def bench_for(study: Study | str | Path) -> Iterator[Bench]:
    """The subject of a finished study, loaded; `UserError` when it is another one than was recorded."""
    from glossator.study.sources import check_unchanged

    with contextlib.nullcontext(study) if isinstance(study, Study) else open_study(study) as opened:
        check_unchanged(opened.spec, opened.recording)
        context = StudyContext.to_show(opened)
        yield Bench(context.resources.subject, opened.spec.width, opened, context)


def try_text(study: Study | str | Path, unit: Unit | str, texts: Sequence[str] | str) -> list[TriedText]:
    """What a unit of a finished study does on texts of one's own, beside what its best explanation predicts.

    unit: its name or the end of it; texts: one or several. Loads and runs the subject. It is `glossator try UNIT TEXT`.
    """
    with bench_for(study) as bench:
        assert bench.study is not None
        return tried(bench, unit_of(bench.study, unit), [texts] if isinstance(texts, str) else texts)


def tried(bench: Bench, unit: Unit, texts: Sequence[str]) -> list[TriedText]:
    width = bench.width_of(unit.site)
    if not 0 <= unit.index < width:
        raise UserError(f"no such unit at {unit.site}", value=unit.index, allowed=f"0 to {width - 1}")
    if bench.subject.takes == "texts":
        return _whole(bench, unit, texts)
    windows = bench.windows(texts)
    true = bench.values(unit.site, [unit.index], windows)[:, :, 0] * np.float32(unit.sign)
    predicted, names = bench.predicted(unit, windows), windows.vocabulary.texts
    found = []
    for number, text in enumerate(texts):
        rows = np.flatnonzero(windows.documents == number)
        real = np.arange(windows.width) < windows.lengths[rows][:, None]
        pieces = tuple(names[token] for token in windows.tokens[rows][real].tolist())
        said = None if predicted is None else np.where(windows.valid[rows], predicted[rows], np.nan)[real]
        found.append(TriedText(text, pieces, windows.valid[rows][real], true[rows][real], said, len(rows)))
    return found


def _whole(bench: Bench, unit: Unit, texts: Sequence[str]) -> list[TriedText]:
    """Of a subject with one value for a text."""
    if empty := [text for text in texts if not text.strip()]:
        raise UserError("an empty text", value=empty[0], fix="Pass a text")
    inputs = Texts.of(texts)
    true = bench.values(unit.site, [unit.index], inputs)[:, :, 0] * np.float32(unit.sign)
    predicted, counts = bench.predicted(unit, inputs, WHOLE), np.ones(1, bool)
    return [
        TriedText(text, (text,), counts, true[i], None if predicted is None else predicted[i], 1)
        for i, text in enumerate(texts)
    ]


def tried_scene(bench: Bench, unit: Unit, sentence: str, seed: int = 0) -> TriedScene:
    """What a unit of a study of images does on the scene that a sentence describes, of the study's own size; the same
    seed draws the same scene."""
    from glossator.agents.under_test import inputs_of
    from glossator.inputs import Images
    from glossator.scenes.pictures import Renderer
    from glossator.subjects.base import grid_of

    assert bench.study is not None
    recorded = bench.study.recording.inputs
    if not isinstance(recorded, Images):
        raise UserError("this study is not of images", value=recorded.kind, fix="Try a text")
    (picture,) = Renderer(side=recorded.pixels.shape[1]).draw([sentence], seed)
    inputs = inputs_of([picture])
    grid = grid_of(bench.subject.site(unit.site.rpartition("@")[2]), inputs)
    true = bench.values(unit.site, [unit.index], inputs)[0, :, 0] * np.float32(unit.sign)
    predicted = bench.predicted(unit, inputs, grid)
    return TriedScene(picture, grid, true, None if predicted is None else predicted[0])


def strongest(bench: Bench, site: str, polarity: Any, text: str, at: int, most: int = 10) -> list[Strong]:
    """The units of a site that are strongest at one token of a text, by activation on their side, largest first.

    at: the token, counted from 0 over the whole text.
    """
    windows = bench.windows([text])
    row, column = divmod(at, windows.width)
    if not 0 <= at < int(windows.lengths.sum()):
        raise UserError("no such token", value=at, allowed=f"0 to {int(windows.lengths.sum()) - 1}")
    if not windows.valid[row, column]:
        raise UserError("recordings exclude this position", value=at, fix="Choose another token")
    width = bench.width_of(site)
    signed = Unit(getattr(bench.subject, "name", ""), site, 0, polarity)
    values = bench.values(site, range(width), windows)[row, column] * np.float32(signed.sign)
    order = np.argsort(-values, kind="stable")[:most]
    return [_strong(bench, replace(signed, index=int(i)), float(values[i])) for i in order]


def _strong(bench: Bench, unit: Unit, activation: float) -> Strong:
    if bench.study is None or unit not in bench.study:
        return Strong(unit, activation)
    result = bench.study.result(unit)
    maximum = None if result.statistics is None else float(result.statistics["maximum"])
    best = result.best()
    return Strong(unit, activation, maximum, None if best is None else best.text)


def token_at(pieces: Sequence[str], at: str) -> int:
    """The place of a token: its number, or the first token with this text, blank space aside."""
    if at.lstrip("-").isdigit():
        place = int(at)
        if not 0 <= place < len(pieces):
            raise UserError("no such token", value=at, allowed=f"0 to {len(pieces) - 1}")
        return place
    for place, piece in enumerate(pieces):
        if piece == at or piece.strip() == at.strip():
            return place
    raise UserError("no such token in the text", value=at, allowed=near_matches(at, [p.strip() for p in pieces]))
