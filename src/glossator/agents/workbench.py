"""What the tools of an experiment stand on: the unit, ids of inputs, budget, transcript, and checks of what is given.

Inputs stay on the host; a policy holds their ids. Every use is checked before anything is done, counted against the
budget and written to the transcript.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from glossator.agents.answers import Answer
from glossator.agents.budget import Budget, Meter
from glossator.agents.errors import ToolError
from glossator.agents.items import Items
from glossator.agents.ledger import Ledger
from glossator.agents.makers import Makers, Studio
from glossator.agents.transcript import Transcript, line_of
from glossator.agents.under_test import Response, Seen, UnderTest
from glossator.errors import UserError

MOST_AT_ONCE, LONGEST, QUANTILES = 64, 2000, (0.5, 0.9, 0.99, 0.999)


class Rows(Protocol):
    """Where experiments are registered, such as the `experiments` table of a study."""

    def experiment(self, kind: str, request: Any, *, prediction: Any = None) -> int: ...

    def result(self, experiment: int, result: Any) -> None: ...


def started(question: str, policy: str, seed: int, budget: Budget) -> dict[str, Any]:
    """What the first step of a transcript says besides the unit."""
    limits = {name: getattr(budget, name) for name in ("inputs", "rounds", "calls")}
    return {"question": question, "policy": policy, "seed": seed, "budget": limits}


class Workbench:
    """One unit in one experiment, and all that was made, run and written down."""

    def __init__(
        self,
        unit: UnderTest,
        makers: Makers | None = None,
        budget: Budget | None = None,
        seed: int = 0,
        *,
        question: str = "",
        policy: str = "",
        transcript: Transcript | None = None,
        rows: Rows | None = None,
    ):
        self.unit, self.makers, self.seed = unit, Makers() if makers is None else makers, seed
        self.question, self.policy, self.rows = question, policy, rows
        self.meter = Meter(Budget() if budget is None else budget)
        self.transcript = Transcript() if transcript is None else transcript
        self.items = Items(unit, self.makers.studio)
        self.log: list[dict[str, Any]] = []
        self.final: dict[str, Any] | None = None
        reference = np.sort(np.asarray(unit.reference, float))
        self.reference = reference[np.isfinite(reference)]
        if not len(self.reference):
            raise ToolError("the unit has no responses to ordinary inputs to compare with")
        self.ledger = Ledger(self.reference)
        quantiles = {str(q): short(float(np.quantile(self.reference, q))) for q in QUANTILES}
        facts = {"quantiles": quantiles, "level": short(self.ledger.level), "silent": short(self.ledger.silent)}
        asked = {"unit": unit.name, "takes": unit.takes} | started(question, policy, seed, self.meter.budget)
        if line_of(self.step("start", asked, lambda: facts)) != line_of(facts):
            raise UserError(
                "the unit's own responses differ from the recorded transcript", value=unit.name,
                fix="Its study or its weights have changed: use another --out",
            )  # fmt: skip

    def step(self, kind: str, request: Any, do: Callable[[], Any]) -> Any:
        return self.transcript.step(kind, request, do)

    @property
    def studio(self) -> Studio:
        """Who draws; `ToolError` where nothing does."""
        if self.makers.studio is None:
            raise ToolError("there is nothing here that draws images")
        return self.makers.studio

    def _spend_seen(self, n: int) -> int:
        n = a_count(n)
        self.meter.spend(calls=1, inputs=n)
        return n

    def _seen(self, tool: str, arguments: dict[str, Any], look: Callable[[], list[Seen]]) -> list[dict[str, Any]]:
        seen: list[Seen] = []

        def told() -> list[dict[str, Any]]:
            seen.extend(look())
            return [self._response(one.response) | self.items.content(one.item) for one in seen]

        found = self.step("tool", {"tool": tool, "arguments": arguments}, told)
        ids = []
        for place, entry in enumerate(found):
            recipe = (tool, arguments["n"], self.seed, place)
            name = self.items.seen(entry, seen[place] if seen else None, recipe)
            self.items.note(name, entry)
            ids.append(name)
        return [self._told(one) for one in ids]

    def _run(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        """Run the unit; what is not a number is a missing value with a reason."""
        responses = self.unit.respond([self.items.item(one) for one in ids])
        for one, response in zip(ids, responses, strict=True):
            self.items.keep_mask(one, response.mask)
        texts = [self.items.text_of(one) if self.unit.takes == "texts" else "" for one in ids]
        return [self._response(response, text) for response, text in zip(responses, texts, strict=True)]

    def _response(self, response: Response, text: str = "") -> dict[str, Any]:
        """text: the input itself, where the response does not show it."""
        if not math.isfinite(response.value):
            return {"value": None, "percentile": None, "reason": "the unit's value is not a number"}
        # The reference is sorted; ties count half.
        low, high = (np.searchsorted(self.reference, response.value, side) for side in ("left", "right"))
        told: dict[str, Any] = {
            "value": short(response.value),
            "percentile": round(50 * (low + high) / len(self.reference), 2),
        }
        if response.cells is not None:
            told["cells"] = ["".join("01"[int(cell)] for cell in row) for row in response.cells]
        return told | ({"text": response.marked or text} if response.marked or text else {})

    def _told(self, name: str) -> dict[str, Any]:
        return {"id": name} | self.items.told(name)

    @staticmethod
    def _drawn(picture: Any) -> dict[str, Any]:
        told = {name: getattr(picture, name, None) for name in ("prompt", "seed", "backend")}
        return told | {"missing": [str(one) for one in getattr(picture, "missing", ())]}

    def _pictures(
        self, made: list[dict[str, Any]], pictures: list[Any], recipes: list[tuple[Any, ...]]
    ) -> list[dict[str, Any]]:
        found = []
        for place, told in enumerate(made):
            name = self.items.picture(pictures[place] if pictures else None, recipes[place])
            found.append({"id": name, "prompt": told["prompt"], "missing": told["missing"]})
        return found

    def _ids(self, inputs: Any) -> list[str]:
        given = some_texts(inputs, "inputs", least=0)
        return [one if one in self.items else self._new_text(one) for one in given]

    def _new_text(self, text: str) -> str:
        if self.unit.takes != "texts":
            raise ToolError(f"no such image: {text[:80]!r}; give ids such as i1")
        return self.items.text(text)

    def end(self, answer: Answer) -> None:
        """Write the answer as the last step."""
        self.step("answer", None, answer.as_dict)


def short(value: float) -> float:
    """Six digits: what a transcript holds, and what policies compute with."""
    return float(f"{value:.6g}")


def a_text(value: Any, name: str, *, empty: bool = False, most: int = LONGEST) -> str:
    if not isinstance(value, str) or len(value) > most or not (empty or value.strip()):
        raise ToolError(f"{name} must be a text of 1 to {most} characters")
    return value.encode("utf-8", "replace").decode()


def some_texts(value: Any, name: str, least: int = 1) -> list[str]:
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list | tuple) or not least <= len(value) <= MOST_AT_ONCE:
        raise ToolError(f"{name} must be a list of {least} to {MOST_AT_ONCE} texts")
    return [a_text(one, name) for one in value]


def a_count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MOST_AT_ONCE:
        raise ToolError(f"n must be a whole number from 1 to {MOST_AT_ONCE}")
    return value
