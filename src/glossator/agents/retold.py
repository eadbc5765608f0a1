"""The inputs of an experiment that has been, by id: what stood behind each step of a transcript, and its pictures, made
again by the studio that drew them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from glossator.agents.errors import ToolError
from glossator.agents.items import Items
from glossator.agents.under_test import UnderTest

SEEN = ("dataset_exemplars", "ordinary_inputs", "search_corpus")
DRAWN = ("text2image", "edit_images")
WRITTEN = ("generate_text", "edit_text")


@dataclass
class Retold:
    """inputs: of each id what is known of it (`value`, `percentile`, `text`, `prompt`, `contents`, `cells`), in the
    order in which they came up; made: by the number of a step, the ids that it made or ran."""

    inputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    made: dict[int, list[str]] = field(default_factory=dict)
    recipes: dict[str, tuple[Any, ...]] = field(default_factory=dict)


def retold(steps: Sequence[dict[str, Any]]) -> Retold:
    """What the steps of a transcript were about."""
    return _Reader(steps).found


def pictures(told: Retold, unit: UnderTest, studio: Any) -> dict[str, Any]:
    """The pictures of an experiment on images by id; those that cannot be made again are left out.

    unit: whose exemplars are shown again; it is run on nothing. studio: who drew the others.
    """
    items, found = Items(unit, studio), {}
    for name, recipe in told.recipes.items():
        items.picture(None, recipe)
        try:
            found[name] = items.item(name)
        except (ToolError, LookupError, AttributeError):  # another recording, or no studio
            continue
    return found


class _Reader:
    def __init__(self, steps: Sequence[dict[str, Any]]):
        self.found, self._by_text, self._pairs = Retold(), dict[str, str](), list[list[str]]()
        self.letter, self.seed = "t", 0
        for step in steps:
            read = getattr(self, f"_{step['kind']}", None)
            if read is not None:
                read(step, step["request"], step["result"])

    def _start(self, step: dict[str, Any], request: dict[str, Any], result: Any) -> None:
        self.letter, self.seed = ("i" if request["takes"] == "images" else "t"), request["seed"]

    def _tool(self, step: dict[str, Any], request: dict[str, Any], result: Any) -> None:
        tool, given = request["tool"], request["arguments"]
        if tool in SEEN:
            names = [
                self._new(one.get("whole"), (tool, given["n"], self.seed, place)) for place, one in enumerate(result)
            ]
            self._note(names, result)
        elif tool in DRAWN:
            names = []
            for place, one in enumerate(result):
                recipe: tuple[Any, ...] = ("draw", tuple(given.get("prompts", ())), request["seed"], place)
                if tool == "edit_images":
                    recipe = ("edit", tuple(given["images"]), tuple(given["instructions"]), request["seed"], place)
                names.append(self._new(None, recipe))
                self.found.inputs[names[-1]] = {"prompt": one["prompt"], "missing": one["missing"]}
        elif tool in WRITTEN:
            names = [self._new(one if isinstance(one, str) else one["text"]) for one in result]
        elif tool == "call_unit":
            ids = [*dict.fromkeys(given["inputs"])]
            names = [one for one in ids if "percentile" not in self.found.inputs.get(one, {})]
            self._note(names, result)
        else:
            return
        self.found.made[step["step"]] = names

    def _prediction(self, step: dict[str, Any], request: dict[str, Any], result: Any) -> None:
        self._pairs = request["pairs"]

    def _test(self, step: dict[str, Any], request: dict[str, Any], result: Any) -> None:
        names = [pair[side] for side in (0, 1) for pair in self._pairs]
        self._note(names, result["inputs"])
        self.found.made[step["step"]] = names

    def _new(self, text: str | None = None, recipe: tuple[Any, ...] = ()) -> str:
        """The id of an input; the same text has one."""
        if text is not None and text in self._by_text:
            return self._by_text[text]
        name = f"{self.letter}{len(self.found.inputs) + 1}"
        self.found.inputs[name] = {} if text is None else {"text": text}
        if text is not None:
            self._by_text[text] = name
        if self.letter == "i":
            self.found.recipes[name] = recipe
        return name

    def _note(self, names: Sequence[str], told: Sequence[dict[str, Any]]) -> None:
        for name, one in zip(names, told, strict=True):
            known = self.found.inputs.setdefault(name, {})
            known |= {"text": one["whole"]} if "whole" in one and "text" not in one else {}
            known |= {key: value for key, value in one.items() if key not in ("whole", "id")}
