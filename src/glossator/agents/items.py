"""Inputs of an experiment by id. They stay on the host; those of a replayed experiment are made again only if
needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from glossator.agents.errors import ToolError
from glossator.agents.under_test import Seen, UnderTest


@dataclass(eq=False)
class Item:
    """text: None for images; made: the picture, or None until it is needed; recipe: how it is made; told: what the unit
    responded, None before it was run."""

    text: str | None = None
    made: Any = None
    recipe: tuple[Any, ...] = ()
    told: dict[str, Any] | None = None
    mask: np.ndarray | None = field(default=None)


class Items:
    """All inputs of one experiment."""

    def __init__(self, unit: UnderTest, studio: Any):
        self.unit, self.studio = unit, studio
        self._items: dict[str, Item] = {}
        self._texts: dict[str, str] = {}
        self._steps: dict[tuple[Any, ...], list[tuple[Any, np.ndarray | None]]] = {}
        """What was made again, by step: one picture is asked for after the other, and a step makes them together."""

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, name: str) -> bool:
        return name in self._items

    def _add(self, item: Item) -> str:
        letter = "i" if item.text is None else "t"
        name = f"{letter}{len(self._items) + 1}"
        self._items[name] = item
        return name

    def text(self, text: str) -> str:
        """The id of a text; the same text has one id."""
        if text not in self._texts:
            self._texts[text] = self._add(Item(text))
        return self._texts[text]

    def picture(self, made: Any, recipe: tuple[Any, ...]) -> str:
        return self._add(Item(None, made, recipe))

    def seen(self, told: dict[str, Any], seen: Seen | None, recipe: tuple[Any, ...]) -> str:
        """A recorded input, which the unit has been run on."""
        if self.unit.takes == "texts":
            return self.text(told["whole"])
        name = self.picture(None if seen is None else seen.item, recipe)
        self._items[name].mask = None if seen is None else seen.response.mask
        return name

    def content(self, item: Any) -> dict[str, Any]:
        """What a transcript holds of a recorded input."""
        if self.unit.takes == "texts":
            return {"whole": item}
        return {"contents": sorted(self.studio.contents(item))} if self.studio is not None else {}

    def ran(self, name: str) -> bool:
        return self._items[name].told is not None

    def note(self, name: str, told: dict[str, Any]) -> None:
        self._items[name].told = {key: value for key, value in told.items() if key not in ("whole", "id", "cells")}

    def told(self, name: str) -> dict[str, Any]:
        return dict(self._items[name].told or {})

    def text_of(self, name: str) -> str:
        text = self._items[name].text
        if text is None:
            raise ToolError(f"{name} is an image, not a text")
        return text

    def name_of(self, name: str) -> str:
        """A text itself, or how a picture was asked for."""
        item = self._items[name]
        return item.text if item.text is not None else str(getattr(self.item(name), "prompt", "") or name)

    def item(self, name: str) -> Any:
        """The input itself; a picture of a replayed step is made again from its recipe."""
        item = self._items[name]
        if item.text is not None:
            return item.text
        if item.made is None:
            step, place = item.recipe[:-1], item.recipe[-1]
            if step not in self._steps:
                self._steps[step] = self._made_again(step)
            item.made, mask = self._steps[step][place]
            item.mask = item.mask if mask is None else mask
        return item.made

    def _made_again(self, step: tuple[Any, ...]) -> list[tuple[Any, np.ndarray | None]]:
        """The pictures of one step, with the masks of those that were recorded."""
        kind, *arguments, seed = step
        if kind == "draw":
            return [(one, None) for one in self.studio.draw(list(arguments[0]), seed)]
        if kind == "edit":
            ids, instructions = arguments
            pictures = [self.item(name) for name in ids]
            return [(one, None) for one in self.studio.edit(pictures, list(instructions), seed)]
        (n,) = arguments
        seen = self.unit.exemplars(n) if kind == "dataset_exemplars" else self.unit.ordinary(n, seed)
        return [(one.item, one.response.mask) for one in seen]

    def mask(self, name: str) -> np.ndarray | None:
        self.item(name)
        return self._items[name].mask

    def keep_mask(self, name: str, mask: np.ndarray | None) -> None:
        self._items[name].mask = mask

    def contents(self, name: str) -> frozenset[str]:
        """The concepts in a picture, or the words of a text."""
        if self._items[name].text is not None:
            return frozenset(self.text_of(name).lower().split())
        if self.studio is None:
            raise ToolError("nothing here knows what is in a picture")
        return frozenset(self.studio.contents(self.item(name)))

    def all(self) -> Sequence[str]:
        return tuple(self._items)
