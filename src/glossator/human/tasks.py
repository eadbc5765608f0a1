"""Task sets as plain data, without anything that gives the answer away, and their keys.

The public part, a `TaskSet`, goes on a page; the sealed part, its `Key`, which maps each item to its unit, method and
window, stays in the study (`glossator.human.folder`). A *slot* is the place of one answer: an item, or one passage of a
simulation item.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from glossator.errors import UserError, near_matches
from glossator.files import fingerprint, plain

FORMAT = "glossator-tasks/1"
SCALE = 10
"""Activations and ratings are whole numbers from 0 to this, as in Bills et al. 2023."""

Task = Literal["simulation", "preference", "labelling", "gibberish", "paraphrase", "readability"]
PREFERENCES = ("first", "second", "equal")
READINGS = ("yes", "partly", "no")
PLACES = ("1", "2", "3", "4", "5")
"""Numbers of the groups of a readability item."""


@dataclass(frozen=True)
class Passage:
    """One window as annotators see it.

    tokens: printable texts; counts: False where a position is left out (not rated, not shown as firing); levels:
    activations as 0..10 of the largest one shown in the item, None if people are to guess them.
    """

    tokens: tuple[str, ...]
    counts: tuple[bool, ...]
    levels: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Picture:
    """One image as annotators see it, in the place of a passage.

    image: a PNG as a data URI; grid: rows and columns of its cells, one of each where the unit has one value for the
    whole; levels: activations of the cells as 0..10 of the largest one shown in the item.
    """

    image: str
    grid: tuple[int, int]
    levels: tuple[int, ...]


Shown = Passage | Picture


@dataclass(frozen=True)
class SimulationItem:
    """Given the explanation, how strongly does the unit fire at each token? No passage has levels."""

    id: str
    explanation: str
    passages: tuple[Passage, ...]

    @property
    def slots(self) -> tuple[str, ...]:
        return tuple(f"{self.id}.{number:02d}" for number in range(1, len(self.passages) + 1))


@dataclass(frozen=True)
class _WholeItem:
    """An item with one answer."""

    id: str

    @property
    def slots(self) -> tuple[str, ...]:
        return (self.id,)


@dataclass(frozen=True)
class PreferenceItem(_WholeItem):
    """Which of two explanations says better what the unit does in the passages?"""

    first: str
    second: str
    passages: tuple[Shown, ...]


@dataclass(frozen=True)
class LabellingItem(_WholeItem):
    """What does the unit respond to? The passages are of the explain split."""

    passages: tuple[Shown, ...]


@dataclass(frozen=True)
class TextItem(_WholeItem):
    """A text to be judged (gibberish: is it readable English?) or to be said in other words (paraphrase)."""

    text: str


@dataclass(frozen=True)
class GroupsItem(_WholeItem):
    """Which group of passages is of the unit that the text describes? groups: how many there are, of equal size, one
    after the other in `passages`."""

    text: str
    passages: tuple[Passage, ...]
    groups: int

    @property
    def grouped(self) -> list[tuple[Passage, ...]]:
        size = len(self.passages) // self.groups
        return [self.passages[start : start + size] for start in range(0, len(self.passages), size)]


Item = SimulationItem | PreferenceItem | LabellingItem | TextItem | GroupsItem
ITEMS: dict[str, type[Any]] = {
    "simulation": SimulationItem,
    "preference": PreferenceItem,
    "labelling": LabellingItem,
    "gibberish": TextItem,
    "paraphrase": TextItem,
    "readability": GroupsItem,
}
TASKS = tuple(ITEMS)


@dataclass(frozen=True)
class TaskSet:
    """Items of one task, drawn from one study.

    study: what `glossator.human.folder.study_id` says of it; seed and settings: how the items were drawn.
    """

    task: str
    study: str
    seed: int
    settings: Mapping[str, Any] = field(default_factory=dict)
    items: tuple[Any, ...] = ()

    @cached_property
    def id(self) -> str:
        """16 hexadecimal digits that change with any word of it."""
        return fingerprint({"format": FORMAT, **plain(self)})

    @cached_property
    def slots(self) -> dict[str, Passage | None]:
        """Every place for an answer, in order, with the passage that is rated there."""
        found: dict[str, Passage | None] = {}
        for item in self.items:
            rated = item.passages if isinstance(item, SimulationItem) else [None]
            found.update(zip(item.slots, rated, strict=True))
        return found


@dataclass(frozen=True)
class Key:
    """The sealed half of a task set. salt: so that its digest, which is public, cannot be guessed at; settings: with
    the names of methods, which are not public; items: which unit, method and windows each item is, by its id."""

    salt: str
    settings: dict[str, Any]
    items: dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Drawn:
    """A task set and its key."""

    tasks: TaskSet
    key: Key


def check_task(task: str) -> str:
    """The name itself; `UserError` when there is no such task."""
    if task not in ITEMS:
        raise UserError("unknown task", value=task, allowed=near_matches(task, TASKS))
    return task


def to_plain(tasks: TaskSet) -> dict[str, Any]:
    return {"format": FORMAT, "id": tasks.id, **plain(tasks)}


def from_plain(stored: Mapping[str, Any]) -> TaskSet:
    """The inverse of `to_plain`; `UserError` when the content no longer fits its id."""
    kind = ITEMS[check_task(stored["task"])]
    found = TaskSet(
        stored["task"],
        stored["study"],
        stored["seed"],
        dict(stored["settings"]),
        tuple(kind(**{name: _thawed(name, value) for name, value in item.items()}) for item in stored["items"]),
    )
    if found.id != stored["id"]:
        raise UserError("a task set was changed after its export", value=stored["id"], fix="Export it again")
    return found


def _thawed(name: str, value: Any) -> Any:
    if name != "passages":
        return value
    return tuple(map(_thawed_passage, value))


def _thawed_passage(p: Mapping[str, Any]) -> Shown:
    if "image" in p:
        return Picture(p["image"], (p["grid"][0], p["grid"][1]), tuple(p["levels"]))
    return Passage(tuple(p["tokens"]), tuple(p["counts"]), None if p["levels"] is None else tuple(p["levels"]))


TITLES = {
    "simulation": "How strongly does it fire?",
    "preference": "Which explanation is better?",
    "labelling": "What does it respond to?",
    "gibberish": "Is this readable English?",
    "paraphrase": "Put it in other words",
    "readability": "Which unit is described?",
}

INSTRUCTIONS: dict[str, tuple[str, ...]] = {
    "simulation": (
        "A unit of a language model assigns a number to each token of a text: 0 when it is silent, up to 10 when it "
        "fires at its strongest.",
        "You see an explanation of what the unit responds to. Rate every token of the passage from that explanation "
        "alone. Most units are silent on most tokens.",
        "The unit reads from left to right: at each token it knows what came before, not what comes after.",
        "Grey tokens need no rating.",
    ),
    "preference": (
        "The passages show where a unit of a language model fires: a stronger colour or a larger number means that it "
        "fires more. In some passages it may not fire at all.",
        "You see two explanations of the unit, in random order. Choose the one that would better help you predict "
        "where the unit fires and where it does not.",
        "Choose 'equal' if neither is better, even if both are bad.",
    ),
    "labelling": (
        "The passages show where a unit of a language model fires: a stronger colour or a larger number means that it "
        "fires more. The passages in which it fires most come first, then random ones.",
        "Write one sentence about what it responds to, so that somebody who has not seen the passages could predict "
        "where it fires in other text, and where it stays silent.",
        'If you know the program language, you may write a program instead, for example: 0 + 3*token(" cat", " cats").',
        "Leave the answer empty if you see no pattern.",
    ),
    "gibberish": (
        "Each text is meant to describe something. You need not know what: judge the language alone.",
        "yes: it is meaningful English. partly: parts of it are. no: it is not.",
        "Quoted parts of words, symbols and numbers are fine as long as the sentence around them makes sense.",
    ),
    "paraphrase": (
        "Rewrite each text in your own words without changing its meaning: add nothing and leave nothing out.",
        "Keep quoted words and symbols unchanged; change the words around them and their order.",
    ),
    "readability": (
        "You see the description of one unit of a language model, and five groups of passages. Each group is of one "
        "unit: a stronger colour or a larger number means that this unit fires more.",
        "Choose the group whose unit is the one described. One of them is; if you cannot tell, guess.",
        "A description may name several unrelated things, separated by semicolons: the unit fires at each of them.",
    ),
}
"""The same on the page and in the form."""

WITH_PICTURES: dict[str, tuple[str, ...]] = {
    "preference": (
        "The pictures show where a unit of an image model fires: it is silent where they are dark. In some it may not "
        "fire at all.",
        *INSTRUCTIONS["preference"][1:],
    ),
    "labelling": (
        "The pictures show where a unit of an image model fires: it is silent where they are dark. The pictures in "
        "which it fires most come first, then random ones.",
        "Write a few words about what it responds to, such as 'red dogs or cats' or 'animals on grass', so that "
        "somebody who has not seen the pictures could predict where it fires in others.",
        "Leave the answer empty if you see no pattern.",
    ),
    "gibberish": INSTRUCTIONS["gibberish"],
}
"""The tasks that can be asked about units of images, and their instructions."""


def instructions_of(tasks: TaskSet) -> tuple[str, ...]:
    pictured = any(isinstance(one, Picture) for item in tasks.items for one in getattr(item, "passages", ()))
    return (WITH_PICTURES if pictured else INSTRUCTIONS)[tasks.task]
