"""What is run while a study is looked at: its subject, loaded at the first question and asked one thing at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from glossator.errors import UserError
from glossator.explorer.pages.live import Attempt, Continuation, Rescored, SteeringShown, StrongUnit
from glossator.explorer.pages.neighbours import Written, written_by
from glossator.explorer.pages.outputs import Outputs, OutputTokens
from glossator.explorer.pages.parts import ScoreShown, rounded
from glossator.explorer.pages.windows import WindowShown, as_data_uri, in_steps
from glossator.store.study import Study, unit_of
from glossator.units import Polarity

if TYPE_CHECKING:
    from glossator.study.context import StudyContext
    from glossator.study.trying import Bench


class Runs:
    """study: this thread's connection; context: what inputs are drawn with, None where the recording is not here. Every
    method may be called from any thread."""

    def __init__(self, study: Callable[[], Study], context: Callable[[], StudyContext | None]):
        self._study, self._context = study, context
        self._lock = threading.Lock()
        self._loaded: Bench | None = None
        self._outputs: Outputs | None = None

    def output(self, unit: str) -> OutputTokens:
        """The subject is loaded at the first call."""
        study = self._study()
        found = unit_of(study, unit)
        with self._lock:
            if self._outputs is None:
                bench = self._bench(study)
                self._outputs = Outputs(bench.subject, bench.readouts)
            (tokens,) = self._outputs.of([found])
        return tokens

    def written(self, study: Study, site: str) -> Written | None:
        """What the units of a site write; for neurons the subject is loaded. Raises `MissingPower`."""
        from glossator.study.sources import kept_readouts

        readouts = kept_readouts(study.recording) if study.recording.spec.readouts else {}
        found = written_by(study, site, readouts)
        if found is not None:
            return found
        with self._lock:
            return written_by(study, site, readouts, self._bench(study).subject)

    def attempt(self, unit: str, text: str) -> Attempt:
        """Run the subject on a text; it is loaded at the first call."""
        from glossator.study.trying import tried

        study = self._study()
        found = unit_of(study, unit)
        with self._lock:
            (one,) = tried(self._bench(study), found, [text])
        statistics = study.result(found).statistics or {}
        here = float(abs(one.true[one.counts]).max(initial=0.0))
        largest = max(here, float(statistics.get("maximum") or 0.0)) or 1.0
        window = WindowShown(
            group="your text",
            pieces=[*range(len(one.pieces))],
            true=[step or 0 for step in in_steps(one.true, largest)],
            predicted=None if one.predicted is None else in_steps(one.predicted, largest),
            out=[place for place, counts in enumerate(one.counts.tolist()) if not counts],
        )
        return Attempt(
            found.short,
            study.recording.inputs.kind,
            found.polarity == "±",
            rounded(largest) or 1.0,
            [*one.pieces],
            window,
        )

    def scene(self, unit: str, sentence: str, seed: int) -> Attempt:
        """Draw a scene and run the subject on it."""
        from glossator.study.trying import tried_scene

        study = self._study()
        found = unit_of(study, unit)
        with self._lock:
            one = tried_scene(self._bench(study), found, sentence, seed)
        statistics = study.result(found).statistics or {}
        largest = max(float(abs(one.true).max(initial=0.0)), float(statistics.get("maximum") or 0.0)) or 1.0
        window = WindowShown(
            group=one.picture.scene.caption() if one.picture.scene else sentence,
            pieces=[],
            true=[step or 0 for step in in_steps(one.true, largest)],
            predicted=None if one.predicted is None else in_steps(one.predicted, largest),
            out=[],
            image=as_data_uri(one.picture.pixels),
            grid=[*one.grid.shape],
        )
        return Attempt(
            found.short, "images", found.polarity == "±", rounded(largest) or 1.0, [], window, [*one.picture.missing]
        )

    def steered(self, unit: str, prompt: str, nats: float, tokens: int, temperature: float, seed: int) -> SteeringShown:
        """What the subject writes with the unit pushed up and down, beside an unsteered run and a random direction."""
        from glossator.study.steered import steer

        study = self._study()
        with self._lock:
            found = steer(
                self._bench(study), unit_of(study, unit), prompt, nats, new_tokens=tokens, temperature=temperature,
                seed=seed,
            )  # fmt: skip
        written = [
            Continuation(one.way, one.text, rounded(one.strength) or 0.0, rounded(one.nats) or 0.0)
            for one in found.written
        ]
        return SteeringShown(found.unit.short, found.site, rounded(found.norm) or 0.0, written, found.why_not)

    def strongest(self, site: str, polarity: Polarity, text: str, at: int) -> list[StrongUnit]:
        """The units of a site that are strongest at one token of a text, counted from 0."""
        from glossator.study.trying import strongest

        study = self._study()
        with self._lock:
            found = strongest(self._bench(study), site, polarity, text, at)
        return [
            StrongUnit(one.unit.short, rounded(one.activation) or 0.0, rounded(one.maximum), one.explanation)
            for one in found
        ]

    def _bench(self, study: Study) -> Bench:
        """The subject, loaded once and ready to be run; to be used under the lock, with this thread's study."""
        from glossator.study.sources import check_unchanged
        from glossator.study.trying import Bench

        if self._loaded is None:
            context = self._context()
            if context is None:
                raise UserError("the study is here without its recording, so nothing is run", value=study.folder.name)
            check_unchanged(study.spec, context.recording)
            self._loaded = Bench(context.resources.subject, study.spec.width, study, context)
        self._loaded.study = study
        return self._loaded

    def score(self, unit: str, hypothesis: str, words: bool | None) -> Rescored:
        """Score an explanation of one's own on the test split, as `glossator score UNIT` does."""
        from glossator.study.hypothesis import test_hypothesis

        study = self._study()
        with self._lock:
            tested = test_hypothesis(study, unit_of(study, unit), hypothesis, words=words)
        explained = tested.explanation
        return Rescored(
            tested.unit.short, tested.summary, explained.text, explained.program, [*tested.notes],
            [ScoreShown.of(score) for score in tested.scores],
        )  # fmt: skip
