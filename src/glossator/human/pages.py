"""The page of a task set: one self-contained HTML file that keeps answers in the browser and saves them as JSON."""

from __future__ import annotations

from importlib.resources import files as package_files
from typing import Any

from glossator import __version__
from glossator.explorer.bundle import as_script, tasks_alone
from glossator.human.forms import FORMAT
from glossator.human.tasks import (
    TITLES,
    GroupsItem,
    LabellingItem,
    Picture,
    PreferenceItem,
    Shown,
    SimulationItem,
    TaskSet,
    instructions_of,
)


def page(tasks: TaskSet) -> str:
    """The page as text; the same task set gives the same bytes."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    here = package_files("glossator.human") / "templates"
    js, css = tasks_alone()
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string((here / "tasks.html").read_text(encoding="utf-8")).render(
        title=TITLES[tasks.task],
        tasks=tasks,
        data=Markup(as_script(payload(tasks))),
        css=Markup(css),
        js=Markup(js),
        version=__version__,
    )


def payload(tasks: TaskSet) -> dict[str, Any]:
    """The data of the page's script: a screen for each slot."""
    screens: list[dict[str, object]] = []
    for item in tasks.items:
        if isinstance(item, SimulationItem):
            screens += [
                {"slot": slot, "said": [item.explanation], "passages": [_passage(passage)]}
                for slot, passage in zip(item.slots, item.passages, strict=True)
            ]
        elif isinstance(item, PreferenceItem):
            screens.append({"slot": item.id, "said": [item.first, item.second], "passages": _passages(item.passages)})
        elif isinstance(item, LabellingItem):
            screens.append({"slot": item.id, "said": [], "passages": _passages(item.passages)})
        elif isinstance(item, GroupsItem):
            shown = _passages(item.passages)
            screens.append({"slot": item.id, "said": [item.text], "passages": shown, "groups": item.groups})
        else:
            screens.append({"slot": item.id, "said": [item.text], "passages": []})
    names = {"format": FORMAT, "tasks": tasks.id, "study": tasks.study, "task": tasks.task}
    return {
        "names": names,
        "title": TITLES[tasks.task],
        "instructions": [*instructions_of(tasks)],
        "screens": screens,
    }


def _passages(passages: tuple[Shown, ...]) -> list[dict[str, object]]:
    return [_passage(p) for p in passages]


def _passage(passage: Shown) -> dict[str, object]:
    """t: tokens; a: levels, where they may be seen; x: positions left out; of a picture i: the image, g: its grid."""
    if isinstance(passage, Picture):
        return {"i": passage.image, "g": passage.grid, "a": passage.levels}
    shown: dict[str, object] = {"t": passage.tokens, "x": [i for i, counts in enumerate(passage.counts) if not counts]}
    return shown if passage.levels is None else shown | {"a": passage.levels}
