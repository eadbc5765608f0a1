"""Tasks for annotators as the label page shows them: without anything that says which unit or method is which."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from glossator.store.study import Study

Task = Literal["simulation", "preference", "labelling", "gibberish", "paraphrase", "readability"]


class Asking(Protocol):
    """Who draws tasks and keeps answers, as `glossator.human.asking` does."""

    def kinds(self, study: Study) -> dict[str, str]: ...

    def draw(self, study: Study, task: str, units: str | None, seed: int) -> dict[str, Any]: ...

    def stored(self, study: Study, tasks: str) -> dict[str, Any]: ...

    def all_stored(self, study: Study) -> Iterator[dict[str, Any]]: ...

    def keep(self, study: Study, given: Mapping[str, Any], replace: bool) -> dict[str, Any]: ...


@dataclass(frozen=True)
class TasksShown:
    """A task set. names: `format`, `tasks` (its id), `study` and `task`, as answers must name them; screens: one for
    each answer: `slot`, texts `said`, and `passages` of tokens `t` with levels `a` and places left out `x`."""

    names: dict[str, str]
    title: str
    instructions: list[str]
    screens: list[dict[str, Any]]


@dataclass(frozen=True)
class TasksListed:
    """tasks: the id of the set; screens: how many answers it asks for."""

    tasks: str
    task: str
    title: str
    screens: int

    @classmethod
    def of(cls, shown: TasksShown) -> TasksListed:
        return cls(shown.names["tasks"], shown.names["task"], shown.title, len(shown.screens))


@dataclass(frozen=True)
class Kept:
    """Answers that lie in the study. new: whether they differ from what lay there; unscored: why they could not be
    scored, None where they were."""

    rater: str
    answered: int
    asked: int
    new: bool
    unscored: str | None = None
