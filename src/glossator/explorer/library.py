"""The studies that are served, by name, and what is asked of two of them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from glossator.errors import UserError, near_matches
from glossator.explorer.opened import Annotated, OpenedStudy, StudyListed
from glossator.explorer.pages.compare import Comparison, Side, compare
from glossator.explorer.pages.parts import slug
from glossator.explorer.pages.study import version_of
from glossator.explorer.pages.tasks import Asking
from glossator.scorers.baselines import RANDOM_WEIGHTS as RANDOM_FOLDER

KEPT_COMPARISONS = 32


class Library:
    """The studies that are served, by name; of studies with an untrained network its study too."""

    def __init__(
        self, folders: Sequence[Path], annotated: Annotated = lambda study: None, asking: Asking | None = None
    ):
        self.studies: dict[str, OpenedStudy] = {}
        self._compared: OrderedDict[Any, tuple[Any, Comparison]] = OrderedDict()
        self._comparing = threading.Lock()
        self._annotated, self._asking = annotated, asking
        for folder in folders:
            self._add(slug(folder.resolve().name), folder)
            if (folder / RANDOM_FOLDER / "manifest.json").is_file():
                self._add(f"{slug(folder.resolve().name)}.{RANDOM_FOLDER}", folder / RANDOM_FOLDER)

    def _add(self, name: str, folder: Path) -> None:
        unique, number = name, 2
        while unique in self.studies or unique == "compare":
            unique, number = f"{name}-{number}", number + 1
        self.studies[unique] = OpenedStudy(unique, folder, self._annotated, self._asking)

    def __getitem__(self, name: str) -> OpenedStudy:
        if name not in self.studies:
            raise NoSuchStudy("no such study here", value=name, allowed=near_matches(name, self.studies))
        return self.studies[name]

    def listed(self) -> list[StudyListed]:
        return [one.listed() for one in self.studies.values()]

    def compare(
        self, a: tuple[str, str | None, str | None], b: tuple[str, str | None, str | None], score: str | None
    ) -> Comparison:
        """a, b: study, method, site; None for the best method of each unit, and for all sites."""
        ours, theirs = (Side(self[name].study, method, site) for name, method, site in (a, b))
        versions = version_of(ours.study), version_of(theirs.study)
        with self._comparing:
            known = self._compared.get((a, b, score))
            if known is None or known[0] != versions:
                known = self._compared[a, b, score] = (versions, compare(ours, theirs, score))
                while len(self._compared) > KEPT_COMPARISONS:
                    self._compared.popitem(last=False)
        return known[1]


class NoSuchStudy(UserError):
    """A study that is not served."""
