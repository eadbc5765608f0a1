"""The language models of a study: opened once, their answers kept with it, every request counted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from glossator.errors import UserError
from glossator.language_models.asking import OpenModel
from glossator.language_models.cache import AnswerCache
from glossator.language_models.ledger import Ledger
from glossator.language_models.opening import open_language_model
from glossator.study.costs import Meter, Metered
from glossator.study.names import ANSWERS
from glossator.study.spec import StudySpec

IN_THIS_PROCESS = ("inprocess:", "scripted:")
AT_ONCE = 8
"""Units that are worked on together where a server answers: while one is computed on, others wait for answers."""


@dataclass(frozen=True, eq=False)
class Access:
    """How language models are reached; no part of a study's identity.

    cache: where answers are kept, None for a file in the study's folder; ledger: what may be spent, at which prices,
    and what was spent in this process; offline: answers come from the cache alone, and one that it lacks ends the run.
    """

    cache: Path | None = None
    ledger: Ledger = field(default_factory=Ledger)
    offline: bool = False


class StudyModels:
    """The models that a spec names, opened at first use, with one file of answers.

    meter: counts requests for the study's costs; at_once: how many units may be worked on at a time.
    """

    def __init__(self, names: Sequence[str] = (), access: Access | None = None, folder: Path | None = None):
        self.access = access or Access()
        self.meter = Meter()
        self._names = tuple(names)
        self._open: dict[str, Metered] = {}
        path = self.access.cache or (None if folder is None else folder / ANSWERS)
        self._cache = None if path is None or not names else AnswerCache(path)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    @property
    def at_once(self) -> int:
        return AT_ONCE if any(not name.startswith(IN_THIS_PROCESS) for name in self._names) else 1

    def open(self, name: str) -> Metered:
        if name not in self._open:
            opened = open_language_model(
                name, cache=self._cache, ledger=self.access.ledger, offline=self.access.offline
            )
            self._open[name] = Metered(opened, self.meter)
        return self._open[name]

    def for_showing(self) -> StudyModels:
        """The same models, which answer from the file alone, are not counted, and have no answer where it has none;
        no models where one cannot be opened."""
        shown = StudyModels(self._names, replace(self.access, offline=True))
        shown._cache = self._cache
        try:
            for name in self._names:
                shown._open[name] = Metered(_offline(self.open(name).model), shown.meter, showing=True)
        except UserError:
            return StudyModels()
        return shown

    def close(self) -> None:
        """Close the file of answers, which is one whole file then."""
        if self._cache is not None:
            self._cache.close()

    def __enter__(self) -> StudyModels:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _offline(model: OpenModel) -> OpenModel:
    found = OpenModel(model.inner, cache=model.cache, offline=True)
    found.powers = model.powers
    return found


def models_to_show(spec: StudySpec, folder: Path) -> StudyModels:
    """The models of a finished study, for showing it: nothing is sent."""
    return StudyModels(spec.language_models, Access(offline=True), folder).for_showing()
