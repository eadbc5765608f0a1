"""Planted units as the scorers meet them: as evidence from the embedded corpus, as a subject that can be run on new
texts, and beside one another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from glossator.evidence import SPLITS, Evidence, Exemplars, ExplainEvidence, Split, UnitStatistics
from glossator.inputs import Inputs, TokenWindows, token_windows
from glossator.planted.units import PlantedUnit
from glossator.programs import Lexicon
from glossator.scorers.other_units import GivenOthers
from glossator.subjects.base import BaseSubject, OutputSite
from glossator.units import Unit

SITE = "planted"
THRESHOLD = 1e-6
RULE = "above 0"
TOP = {"explain": 40, "calibrate": 20, "select": 20, "test": 50}
RANDOM = {"explain": 400, "calibrate": 60, "select": 60, "test": 150}
LEAST_FIRING = 12
"""Test windows in which a unit must fire to be used."""


@dataclass(frozen=True, eq=False)
class PlantedWorld:
    """tokenizer and lexicon of a real subject; windows by split; units, and their activations (n, width) by split."""

    tokenizer: Any
    lexicon: Lexicon
    windows: dict[Split, TokenWindows]
    units: tuple[PlantedUnit, ...]
    activations: dict[Split, list[np.ndarray]]
    seed: int = 0

    @classmethod
    def of(
        cls, units: Sequence[PlantedUnit], subject: str = "smollm2-135m", tokens: int = 150_000, width: int = 32,
        seed: int = 0,
    ) -> PlantedWorld:  # fmt: skip
        """The embedded corpus under a subject's tokenizer; the subject itself is not run."""
        from glossator.corpora import make_windows, open_corpus
        from glossator.subjects import load_subject

        loaded = load_subject(subject)
        windowed = make_windows(open_corpus("embedded"), loaded.tokenizer, width, max_tokens=tokens, seed=seed)
        lexicon = Lexicon.for_windows(windowed.windows.vocabulary, loaded.embedding())
        windows: dict[Split, TokenWindows] = {
            split: windowed.windows.take(windowed.split_of_input == number) for number, split in _numbered()
        }
        return cls.over(units, windows, loaded.tokenizer, lexicon, seed)

    @classmethod
    def over(
        cls, units: Sequence[PlantedUnit], windows: dict[Split, TokenWindows], tokenizer: Any, lexicon: Lexicon,
        seed: int = 0,
    ) -> PlantedWorld:  # fmt: skip
        """Over given windows; units that fire in too few test windows, or in too few not, are left out."""
        tested = [unit.activations(windows["test"]) for unit in units]
        kept = [i for i, values in enumerate(tested) if _usable(values)]
        activations = {
            split: [tested[i] if split == "test" else units[i].activations(part) for i in kept]
            for split, part in windows.items()
        }
        return cls(tokenizer, lexicon, windows, tuple(units[i] for i in kept), activations, seed)

    def unit(self, number: int) -> Unit:
        return Unit("planted", SITE, number)

    def evidence(self, number: int) -> Evidence:
        """Top windows of the unit and the same random windows for every unit, in each split."""
        unit, drawn = self.unit(number), {split: self._draw(number, split) for split in self.windows}
        explain = drawn["explain"]
        given = ExplainEvidence(unit, explain, _statistics(explain), f"planted-{number}")
        return Evidence(unit, given, drawn["calibrate"], drawn["select"], drawn["test"], _statistics(drawn["test"]))

    @cached_property
    def subject(self) -> PlantedSubject:
        return PlantedSubject(self.tokenizer, self.units)

    @cached_property
    def others(self) -> GivenOthers:
        by_unit = {self.unit(i): values for i, values in enumerate(self.activations["test"])}
        return GivenOthers(by_unit, self.windows["test"].ids)

    def _draw(self, number: int, split: Split) -> Exemplars:
        windows, values = self.windows[split], self.activations[split][number]
        rng = np.random.default_rng([self.seed, SPLITS.index(split)])
        random = rng.choice(len(windows), min(RANDOM[split], len(windows)), replace=False)
        maxima = values.max(axis=1)
        best = np.argsort(-maxima, kind="stable")[: TOP[split]]
        top = best[maxima[best] > THRESHOLD]
        rows = np.union1d(random, top)
        kinds = np.where(np.isin(rows, top), "top", "random")
        return Exemplars(windows.take(rows), values[rows], kinds, np.isin(rows, random))


class PlantedSubject(BaseSubject):
    """Planted units as a subject: windows of tokens in, one value for each unit and token out."""

    name, fingerprint, takes = "planted", "planted", "tokens"
    max_width = None

    def __init__(self, tokenizer: Any, units: Sequence[PlantedUnit]):
        self.tokenizer, self.units = tokenizer, tuple(units)

    def sites(self) -> list[OutputSite]:
        return [OutputSite("planted", len(self.units), grid=None)]

    def visit(self, inputs: Inputs, sites: Sequence[str], see: Callable[[str, Any], Any]) -> None:
        import torch

        windows = token_windows(inputs)
        see("planted", torch.from_numpy(np.stack([unit.activations(windows) for unit in self.units], axis=-1)))


def _numbered() -> list[tuple[int, Split]]:
    return [(0, "explain"), (1, "calibrate"), (2, "select"), (3, "test")]


def _usable(values: np.ndarray) -> bool:
    fires = (values > THRESHOLD).any(axis=1)
    return min(int(fires.sum()), int((~fires).sum())) >= LEAST_FIRING


def _statistics(exemplars: Exemplars) -> UnitStatistics:
    values = exemplars.of("random").activations[exemplars.of("random").windows.valid].astype(np.float64)
    rate = float((values > THRESHOLD).mean())
    largest = float(exemplars.activations.max())
    return UnitStatistics(
        values.size, float(values.mean()), float(values.var()), None, None, largest, THRESHOLD, rate, RULE
    )
