"""What a finished study offers for tasks: its units, their explanations, and windows as passages.

Every draw is seeded by a seed *and* a secret of the study, so the page and this code together do not reveal which
explanation is whose.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from glossator.errors import UserError, near_matches
from glossator.evidence import Evidence, Exemplars
from glossator.explanations import Explanation, Provenance
from glossator.explorer.pages.experiment import smaller
from glossator.explorer.pages.windows import as_data_uri
from glossator.files import fingerprint, plain
from glossator.human.tasks import SCALE, Drawn, Key, Passage, Picture, Shown, TaskSet
from glossator.inputs import WHOLE
from glossator.programs import parse_program
from glossator.store.spec import READ_EVIDENCE
from glossator.study import Study, UnitResult
from glossator.study.context import StudyContext
from glossator.terminal import visible
from glossator.units import Unit, parse_unit

PLACEBO = "other-unit"
"""The arm that holds another unit's explanation: people who attend prefer the unit's own."""


@dataclass(frozen=True, eq=False)
class Source:
    """A study opened for asking annotators.

    labels: human explanations that were imported before, by unit; secret: what only the study's owner knows; chances:
    how likely each of the drawn units was to be drawn, where that differs.
    """

    study: Study
    context: StudyContext
    identity: str
    secret: str
    seed: int
    labels: Mapping[Unit, Sequence[Explanation]] = field(default_factory=dict)
    chances: dict[Unit, float] = field(default_factory=dict)

    @cached_property
    def results(self) -> dict[Unit, UnitResult]:
        return {result.unit: result for result in self.study.results()}

    def rng(self, *names: object) -> np.random.Generator:
        """The same for the same study, seed and names; not to be had without the study."""
        return np.random.default_rng([self.seed, int(fingerprint([self.secret, *map(str, names)]), 16)])

    def arms(self, unit: Unit) -> dict[str, Explanation]:
        """The unit's explanations by who made them: first candidates of its methods, human labels, the placebo.

        A study of one method has its second candidate as well, named `METHOD#2`, so that there is something to compare.
        """
        result = self.results[unit]
        firsts = [c for c in result.explanations if c.rank == 0]
        found = {c.method: c.explanation(unit) for c in firsts}
        if len(firsts) == 1:
            seconds = (c for c in result.explanations if c.rank == 1)
            found |= {f"{c.method}#2": c.explanation(unit) for c in seconds}
        for label in self.labels.get(unit, ()):
            found.setdefault(label.provenance.method, label)
        if firsts and (other := self._placebo(unit, firsts[0].method)) is not None:
            found[PLACEBO] = replace(other, unit=unit)
        return found

    def _placebo(self, unit: Unit, method: str) -> Explanation | None:
        """The method's explanation of another unit of the same site and polarity, never one with the same words."""
        own = {e.text for e in self.results[unit].explanations}
        others = [
            (other, chosen)
            for other, result in self.results.items()
            if other != unit and (other.site, other.polarity) == (unit.site, unit.polarity)
            if (chosen := result.best(method)) is not None and chosen.text not in own
        ]
        if not others:
            return None
        other, chosen = others[int(self.rng("placebo", unit).integers(len(others)))]
        return chosen.explanation(other)

    def units(
        self, wanted: str | None, default: int, *, explained: bool, size: Callable[[Unit], float] | None = None
    ) -> list[Unit]:
        """The units that are asked about, in the study's order.

        wanted: `all`, a number to draw at random, or names (or their ends) between commas; None for `default` of them.
        explained: only those with an explanation; otherwise all that have evidence. size: units are drawn with
        probabilities in proportion to it, which `chances` then holds.
        """
        usable = ("ok",) if explained else ("ok", "abstained")
        eligible = [unit for unit, result in self.results.items() if result.status in usable]
        if not eligible:
            raise UserError("the study has no unit for a task", value=str(self.study.folder))
        if wanted is None or wanted.isdigit():
            count = default if wanted is None else int(wanted)
            if wanted is not None and not 1 <= count <= len(eligible):
                raise UserError(
                    "the study has fewer units with what the task needs", value=count, allowed=f"1 to {len(eligible)}"
                )
            count = min(count, len(eligible))
            if size is None:
                drawn = self.rng("units").choice(len(eligible), count, replace=False)
                return [eligible[i] for i in sorted(drawn.tolist())]
            chances = inclusion(np.array([size(unit) for unit in eligible]), count)
            chosen = [eligible[i] for i in systematic(chances, self.rng("units"))]
            self.chances.update((unit, float(chances[eligible.index(unit)])) for unit in chosen)
            return chosen
        return eligible if wanted == "all" else self._named(wanted, eligible)

    def _named(self, wanted: str, eligible: Sequence[Unit]) -> list[Unit]:
        names = {str(unit): unit for unit in eligible}
        found = []
        for part in filter(None, map(str.strip, wanted.split(","))):
            fitting = [n for n in names if n == part] or [n for n in names if n.endswith(f"/{part}")]
            if len(fitting) != 1:
                what = "several units end like this" if fitting else "no such unit with evidence in the study"
                raise UserError(what, value=part, allowed=near_matches(part, fitting or names))
            found.append(names[fitting[0]])
        if not found or len(set(found)) != len(found):
            raise UserError("units are missing or listed twice", value=wanted)
        return found

    def drawn(self, task: str, settings: Mapping[str, Any], items: Iterable[tuple[Any, dict[str, Any]]]) -> Drawn:
        """A task set from items with their sealed halves; their order and their ids tell nothing."""
        pairs = list(items)
        if not pairs:
            raise UserError(
                f"nothing to export: no unit of the study has what {task} needs", value=str(self.study.folder)
            )
        order = self.rng("order", task).permutation(len(pairs))
        named = [
            (replace(pairs[place][0], id=f"{task[0]}{n:03d}"), pairs[place][1]) for n, place in enumerate(order, 1)
        ]
        public = {name: value for name, value in plain(settings).items() if name != "methods"}
        tasks = TaskSet(task, self.identity, self.seed, public, tuple(item for item, _ in named))
        salt = fingerprint([self.secret, tasks.id])
        return Drawn(tasks, Key(salt, plain(settings), {item.id: plain(sealed) for item, sealed in named}))


def inclusion(sizes: np.ndarray, count: int) -> np.ndarray:
    """Chances of being drawn in proportion to sizes, none above 1, that sum to `count`."""
    chances = np.ones(len(sizes))
    if count >= len(sizes):
        return chances
    certain = np.zeros(len(sizes), bool)
    while True:
        left = count - certain.sum()
        chances = np.where(certain, 1.0, left * sizes / sizes[~certain].sum())
        if not (chances > 1).any():
            return chances
        certain |= chances > 1


def systematic(chances: np.ndarray, rng: np.random.Generator) -> list[int]:
    """A draw with these chances, ascending: evenly spaced points on their running sum, in random order (Madow 1949)."""
    order = rng.permutation(len(chances))
    ends = np.cumsum(chances[order])
    points = np.arange(round(float(ends[-1]))) + rng.random()
    return sorted(order[np.minimum(np.searchsorted(ends, points), len(ends) - 1)].tolist())


def shown_of(exemplars: Exemplars) -> tuple[Shown, ...]:
    """Inputs with their activations, as passages or as pictures."""
    return pictures_of(exemplars) if exemplars.inputs.kind == "images" else passages_of(exemplars, levels=True)


def pictures_of(exemplars: Exemplars) -> tuple[Picture, ...]:
    """Images, small, with the activations of their cells as 0..10 of the largest in all of them."""
    steps, grid = _levels(exemplars), (1, 1) if exemplars.grid == WHOLE else exemplars.grid.shape[:2]
    found = []
    for row in range(len(exemplars)):
        image = exemplars.inputs.show(row).image
        assert image is not None
        found.append(Picture(as_data_uri(smaller(image)), (grid[0], grid[1]), tuple(steps[row].tolist())))
    return tuple(found)


def _levels(exemplars: Exemplars) -> np.ndarray:
    """Activations (n, places) as 0..10 of the largest in all of them, rounded down as in Bills et al. 2023."""
    firing = np.where(exemplars.valid, np.maximum(exemplars.activations, 0.0), 0.0)
    largest = float(firing.max(initial=0.0)) or 1.0
    return np.floor(np.minimum(firing / largest, 1.0) * SCALE).astype(int)


def passages_of(exemplars: Exemplars, *, levels: bool) -> tuple[Passage, ...]:
    """Windows as passages; levels: whether activations are shown."""
    windows, texts = exemplars.windows, exemplars.windows.vocabulary.texts
    steps = _levels(exemplars)
    return tuple(
        Passage(
            tuple(visible(texts[token]) for token in windows.tokens[row, :length].tolist()),
            tuple(bool(v) for v in windows.valid[row, :length]),
            tuple(steps[row, :length].tolist()) if levels else None,
        )
        for row, length in enumerate(windows.lengths.tolist())
    )


def drawn_rows(exemplars: Exemplars, top: int, random: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(top rows, random rows): draws from the split's top windows and from its random draw; a row may be in both.

    Each is a simple random sample of what models are scored on, so that human scores estimate the same quantity.
    """
    usable = exemplars.valid.any(axis=1)
    tops = np.flatnonzero((exemplars.kinds == "top") & usable)
    randoms = np.flatnonzero(np.asarray(exemplars.in_random) & usable)
    return _sample(tops, top, rng), _sample(randoms, random, rng)


def shown_exemplars(exemplars: Exemplars, top: int, random: int, rng: np.random.Generator) -> Exemplars:
    """The windows where the unit fires most, then some random others, as an explainer would lay them out.

    As in drawing evidence, a window is a top one by this number of top windows, and random by this random draw.
    """
    tops = np.flatnonzero((exemplars.kinds == "top") & exemplars.valid.any(axis=1))[:top]
    _, randoms = drawn_rows(exemplars, 0, random, rng)
    rows = np.concatenate([tops, np.setdiff1d(randoms, tops)]).astype(np.int64)
    kinds = np.where(np.isin(rows, tops), "top", "random").astype(exemplars.kinds.dtype)
    return replace(exemplars.take(rows), kinds=kinds, in_random=np.isin(rows, randoms))


def _sample(rows: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    return np.sort(rng.choice(rows, min(count, len(rows)), replace=False))


def evidence_to_read(context: StudyContext, unit: Unit) -> Evidence:
    """The evidence, with no more test and calibrate windows than a study with a language model draws, where one reads.

    A study that executes programs scores them on all windows it has; to have as many read would take hours.
    """
    evidence, spec = context.evidence(unit), READ_EVIDENCE
    if context.spec.lm is None:
        return evidence
    rng = np.random.default_rng([context.spec.seed, int(fingerprint(str(unit)), 16)])
    test = shown_exemplars(evidence.test, spec.test_top, spec.test_random or 0, rng)
    calibrate = shown_exemplars(evidence.calibrate, spec.calibrate_top, spec.calibrate_random or 0, rng)
    return replace(evidence, test=test, calibrate=calibrate)


def sealed(explanation: Explanation) -> dict[str, Any]:
    """An explanation as the key keeps it; `unsealed` is the inverse."""
    program = None if explanation.program is None else str(explanation.program)
    return {
        "unit": str(explanation.unit),
        "text": explanation.text,
        "program": program,
        "rank": explanation.rank,
        "provenance": plain(explanation.provenance),
    }


def unsealed(stored: Mapping[str, Any]) -> Explanation:
    program = None if stored["program"] is None else parse_program(stored["program"])
    provenance = Provenance(**stored["provenance"])
    return Explanation(parse_unit(stored["unit"]), stored["text"], provenance, program, stored["rank"])
