"""The tools of an experiment: everything that a policy can do to find out what a unit responds to.

Inputs stay on the host; a policy holds their ids. Every use is checked before anything is done, counted against the
budget and written to the transcript. The docstrings of the tools are what language models and people read
(`glossator.agents.prompts`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from glossator.agents.answers import Answer, Direction
from glossator.agents.budget import Budget, Meter
from glossator.agents.errors import ToolError
from glossator.agents.items import Items
from glossator.agents.ledger import Ledger
from glossator.agents.makers import Makers, Studio
from glossator.agents.transcript import Transcript
from glossator.agents.under_test import Response, Seen, UnderTest

MOST_AT_ONCE, LONGEST, QUANTILES = 64, 2000, (0.5, 0.9, 0.99, 0.999)
COMMON = ("dataset_exemplars", "ordinary_inputs", "call_unit", "register_hypothesis", "test_hypothesis",
          "log_experiment", "final_answer")  # fmt: skip
PREDICTED: dict[Direction, str] = {
    "activates": "first above the level and the second",
    "suppresses": "first below the level, second above it",
    "weakens": "first less than three quarters of the second, which is above the level",
}
OF_TEXTS = ("search_corpus", "generate_text", "edit_text")
OF_IMAGES = ("text2image", "edit_images", "describe_images", "summarize_images")


class Rows(Protocol):
    """Where experiments are registered, such as the `experiments` table of a study."""

    def experiment(self, kind: str, request: Any, *, prediction: Any = None) -> int: ...

    def result(self, experiment: int, result: Any) -> None: ...


class Finished(Exception):
    """The policy gave its final answer."""


class Tools:
    """The tools for one unit in one experiment."""

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
        self.step(
            "start",
            {"unit": unit.name, "takes": unit.takes, "question": question, "policy": policy, "seed": seed,
             "budget": {name: getattr(self.meter.budget, name) for name in ("inputs", "rounds", "calls")}},
            lambda: {"quantiles": quantiles, "level": short(self.ledger.level), "silent": short(self.ledger.silent)},
        )  # fmt: skip

    @property
    def names(self) -> tuple[str, ...]:
        """The tools for this kind of unit."""
        return (*COMMON, *(OF_TEXTS if self.unit.takes == "texts" else OF_IMAGES))

    def step(self, kind: str, request: Any, do: Callable[[], Any]) -> Any:
        return self.transcript.step(kind, request, do)

    # Tools: their docstrings are the prompt.

    def dataset_exemplars(self, n: int = 15) -> list[dict[str, Any]]:
        """The n recorded inputs to which the unit responds most, largest first: `[{id, value, percentile, text}]`.

        In `text`, >> and << stand around the token where the unit is strongest; images have `contents` instead, and the
        part that drives the unit is known by its mask to describe_images.
        """
        n = self._spend_seen(n)
        return self._seen("dataset_exemplars", {"n": n}, lambda: self.unit.exemplars(n))

    def ordinary_inputs(self, n: int = 15) -> list[dict[str, Any]]:
        """n random recorded inputs with the unit's responses, to compare with."""
        n = self._spend_seen(n)
        return self._seen("ordinary_inputs", {"n": n}, lambda: self.unit.ordinary(n, self.seed))

    def search_corpus(self, text: str, n: int = 10) -> list[dict[str, Any]]:
        """Recorded inputs that contain a text, strongest first; none of them is used to score explanations."""
        text, n = _text(text, "text"), self._spend_seen(n)
        search = getattr(self.unit, "search", None)
        if search is None:
            raise ToolError("this unit has no corpus to search")
        return self._seen("search_corpus", {"text": text, "n": n}, lambda: search(text, n))

    def call_unit(self, inputs: Sequence[str]) -> list[dict[str, Any]]:
        """Run the unit on inputs, given by ids, or texts themselves for a unit of texts.

        Returns `[{id, value, percentile, text}]`; the percentile is among the unit's responses to ordinary inputs. An
        input that was run before is answered from memory.
        """
        ids = self._ids(inputs)
        new = [one for one in dict.fromkeys(ids) if not self.items.ran(one)]
        self.meter.spend(calls=1, inputs=len(new))
        found = self.step("tool", {"tool": "call_unit", "arguments": {"inputs": ids}}, lambda: self._run(new))
        for one, told in zip(new, found, strict=True):
            self.items.note(one, told)
        return [self._told(one) for one in ids]

    def generate_text(self, about: str, n: int = 5) -> list[dict[str, Any]]:
        """Write n texts that contain or end with `about`: `[{id, text}]`. They are not yet run."""
        about, n = _text(about, "about"), _count(n)
        self.meter.spend(calls=1)
        number = len(self.items)
        made = self.step(
            "tool",
            {"tool": "generate_text", "arguments": {"about": about, "n": n}},
            lambda: [{"text": text[:LONGEST]} for text in self.makers.writer.write(about, n, self.seed + number)],
        )
        return [{"id": self.items.text(one["text"]), "text": one["text"]} for one in made]

    def edit_text(self, inputs: Sequence[str], old: str, new: str) -> list[dict[str, Any]]:
        """Replace a text by another in some inputs, run both, and return pairs: `[{original, edited, before, after,
        effect}]`. An input in which `old` does not occur is an error, never an unchanged pair."""
        old, new, ids = _text(old, "old"), _text(new, "new", empty=True), self._ids(inputs)
        for one in ids:
            if old not in self.items.text_of(one):
                raise ToolError(f"{one} does not contain {old!r}")
        request = {"tool": "edit_text", "arguments": {"inputs": ids, "old": old, "new": new}}
        texts = self.step("tool", request, lambda: [self.items.text_of(one).replace(old, new) for one in ids])
        return self._pairs(ids, [self.items.text(text) for text in texts])

    def text2image(self, prompts: Sequence[str]) -> list[dict[str, Any]]:
        """Draw one image for each prompt: `[{id, prompt, missing}]`. They are not yet run; `missing` lists what was
        asked and is not in the image."""
        prompts = _texts(prompts, "prompts")
        studio = self.studio
        self.meter.spend(calls=1)
        seed = self.seed * 100_003 + len(self.items)
        pictures: list[Any] = []

        def draw() -> list[dict[str, Any]]:
            pictures.extend(studio.draw(prompts, seed))
            return [self._drawn(picture) for picture in pictures]

        made = self.step("tool", {"tool": "text2image", "arguments": {"prompts": prompts}, "seed": seed}, draw)
        recipes: list[tuple[Any, ...]] = [("draw", tuple(prompts), seed, i) for i in range(len(prompts))]
        return self._pictures(made, pictures, recipes)

    def edit_images(self, images: Sequence[str], instructions: Sequence[str]) -> list[dict[str, Any]]:
        """Edit each image as its instruction says (one for all, or one each), run both, and return pairs: `[{original,
        edited, missing, before, after, effect}]`. What the instruction does not name stays as it is."""
        ids, instructions = self._ids(images), _texts(instructions, "instructions")
        if len(instructions) == 1:
            instructions = instructions * len(ids)
        if len(instructions) != len(ids):
            raise ToolError(f"{len(instructions)} instructions for {len(ids)} images; give one, or one for each")
        studio = self.studio
        self.meter.spend(calls=1)
        seed = self.seed * 100_003 + len(self.items)
        pictures: list[Any] = []

        def edit() -> list[dict[str, Any]]:
            pictures.extend(studio.edit([self.items.item(one) for one in ids], instructions, seed))
            return [self._drawn(picture) for picture in pictures]

        request = {"tool": "edit_images", "arguments": {"images": ids, "instructions": instructions}, "seed": seed}
        made = self.step("tool", request, edit)
        recipes: list[tuple[Any, ...]] = [("edit", tuple(ids), tuple(instructions), seed, i) for i in range(len(ids))]
        edited = self._pictures(made, pictures, recipes)
        pairs = self._pairs(ids, [one["id"] for one in edited])
        return [pair | {"missing": one["missing"]} for pair, one in zip(pairs, edited, strict=True)]

    def describe_images(self, images: Sequence[str]) -> list[dict[str, Any]]:
        """What is where the unit is active in each image, by a describer that knows of no hypothesis: `[{id,
        text}]`."""
        ids = self._ids(images)
        studio = self.studio
        self.meter.spend(calls=1)

        def describe() -> list[dict[str, Any]]:
            return [{"id": i, "text": str(studio.describe(self.items.item(i), self.items.mask(i)))} for i in ids]

        found: list[dict[str, Any]] = self.step(
            "tool", {"tool": "describe_images", "arguments": {"images": ids}}, describe
        )
        return found

    def summarize_images(self, images: Sequence[str]) -> dict[str, Any]:
        """What these images have in common where the unit is active: concepts with the number of images that hold
        them."""
        told = [self.items.contents(one) for one in self._ids(images)]
        self.meter.spend(calls=1)
        counts: dict[str, int] = {}
        for concept in sorted(concept for contents in told for concept in contents):
            counts[concept] = counts.get(concept, 0) + 1
        common = sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))[:20]
        request = {"tool": "summarize_images", "arguments": {"images": list(images)}}
        found: dict[str, Any] = self.step("tool", request, lambda: {"images": len(told), "common": dict(common)})
        return found

    def register_hypothesis(
        self, statement: str, direction: Direction = "activates", program: str | None = None, control: bool = False
    ) -> str:
        """Register a hypothesis before testing it; returns its id.

        direction: "activates", "suppresses", or "weakens" for what leaves less than three quarters of the response;
        program: as text, if it can be said as one; control: whether it is a negative control, which you expect to fail.
        Register at least one.
        """
        statement = _text(statement, "statement")
        if direction not in PREDICTED:
            raise ToolError(f"direction must be one of {', '.join(PREDICTED)}")
        program, control = None if program is None else _text(program, "program"), bool(control)
        self.meter.spend(calls=1)
        request = {"statement": statement, "direction": direction, "program": program, "control": control}
        name = self.ledger.add(statement, direction, program, control)
        self.step("hypothesis", request, lambda: name)
        return name

    def test_hypothesis(self, hypothesis: str, with_it: Sequence[str], without_it: Sequence[str]) -> dict[str, Any]:
        """Test a registered hypothesis on new pairs: inputs that have what it names, each beside a matched one that has
        not. None may have been run before. The prediction is registered before the unit is run.

        A pair goes as predicted if the first exceeds the unit's level and the second (suppressing: falls below the
        level that the second exceeds; weakening: has less than three quarters of the second's response). Returns
        `{successes, trials, e_above, e_below, effect}` of all pairs so far; 1/e is a bound on the chance of such
        evidence for (against) if it were false (true), however you choose when to stop.
        """
        if hypothesis not in self.ledger.entries:
            raise ToolError(f"no such hypothesis: {str(hypothesis)[:80]!r}; registered: {list(self.ledger.entries)}")
        entry = self.ledger.entries[hypothesis]
        first, second = self._ids(with_it), self._ids(without_it)
        if len(first) != len(second) or not first:
            raise ToolError(f"pairs need as many inputs with as without: {len(first)} and {len(second)}")
        both = [*first, *second]
        if len(set(both)) < len(both):
            raise ToolError("an input stands in two pairs")
        old = [one for one in both if self.items.ran(one)]
        if old:
            raise ToolError(f"these were run before, so their outcome is no prediction: {old[:8]}")
        self.meter.spend(calls=1, inputs=len(both))
        pairs = [[a, b] for a, b in zip(first, second, strict=True)]
        predicted = PREDICTED[entry.direction]
        row: list[int] = []
        request = {"hypothesis": hypothesis, "predicted": predicted, "pairs": pairs}
        self.step("prediction", request, lambda: self._register(row, request, entry.statement))

        def run() -> dict[str, Any]:
            told = self._run(both)
            return self._tested(hypothesis, told, row, request)

        found = self.step("test", {"hypothesis": hypothesis}, run)
        for one, told in zip(both, found["inputs"], strict=True):
            self.items.note(one, told)
        entry.values.extend(_outcomes(found["inputs"]))
        return {name: found[name] for name in ("successes", "trials", "e_above", "e_below", "effect")}

    def log_experiment(self, text: str, images: Sequence[str] = ()) -> None:
        """Write to the log. Later prompts hold the log and the hypotheses, and nothing else of what you saw; images are
        shown again to models that can see."""
        text, ids = _text(text, "text", most=4 * LONGEST), self._ids(images)
        if any(entry == {"text": text, "images": ids} for entry in self.log):
            raise ToolError("the log holds exactly this already; do something that is not in it")
        self.meter.spend(calls=1)
        self.step("log", {"text": text, "images": ids}, lambda: None)
        self.log.append({"text": text, "images": ids})

    def final_answer(self, headline: str, program: str | None = None, limits: Sequence[str] = ()) -> None:
        """End the experiment with a headline of two to six words, a program if there is one, and what was not
        tested."""
        self.final = {
            "headline": _text(headline, "headline"),
            "program": None if program is None else _text(program, "program"),
            "limits": _texts(limits, "limits", least=0),
        }
        raise Finished

    # What the tools share.

    @property
    def studio(self) -> Studio:
        """Who draws; `ToolError` where nothing does."""
        if self.makers.studio is None:
            raise ToolError("there is nothing here that draws images")
        return self.makers.studio

    def _spend_seen(self, n: int) -> int:
        n = _count(n)
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

    def _pairs(self, first: Sequence[str], second: Sequence[str]) -> list[dict[str, Any]]:
        told = {one["id"]: one for one in self.call_unit([*first, *second])}
        found = []
        for a, b in zip(first, second, strict=True):
            before, after = told[a]["value"], told[b]["value"]
            effect = None if before is None or after is None else short(after - before)
            found.append({"original": a, "edited": b, "before": before, "after": after, "effect": effect})
        return found

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

    def _register(self, row: list[int], request: dict[str, Any], statement: str) -> None:
        if self.rows is not None:
            asked = {"statement": statement, "pairs": [[self.items.name_of(i) for i in p] for p in request["pairs"]]}
            row.append(self.rows.experiment("agent-test", asked, prediction=request["predicted"]))

    def _tested(
        self, hypothesis: str, told: list[dict[str, Any]], row: list[int], request: dict[str, Any]
    ) -> dict[str, Any]:
        entry = self.ledger.entries[hypothesis]
        so_far = replace(entry, values=[*entry.values, *_outcomes(told)])
        good, count, above, below = so_far.evidence(self.ledger.level, self.ledger.silent)
        found = {"inputs": told, "successes": good, "trials": count, "e_above": short(above), "e_below": short(below),
                 "effect": None if so_far.effect is None else short(so_far.effect)}  # fmt: skip
        if self.rows is not None:
            if not row:  # killed between the prediction and the test: that row stays without a result
                self._register(row, request, entry.statement)
            self.rows.result(row[0], found)
        return found

    def _ids(self, inputs: Any) -> list[str]:
        given = _texts(inputs, "inputs", least=0)
        return [one if one in self.items else self._new_text(one) for one in given]

    def _new_text(self, text: str) -> str:
        if self.unit.takes != "texts":
            raise ToolError(f"no such image: {text[:80]!r}; give ids such as i1")
        return self.items.text(text)

    def end(self, answer: Answer) -> None:
        """Write the answer as the last step."""
        self.step("answer", None, answer.as_dict)


def _outcomes(told: list[dict[str, Any]]) -> list[tuple[float, float]]:
    """Values of pairs, those with it first in the list; a missing value is no outcome."""
    pairs = zip(told[: len(told) // 2], told[len(told) // 2 :], strict=True)
    return [(a["value"], b["value"]) for a, b in pairs if a["value"] is not None and b["value"] is not None]


def short(value: float) -> float:
    """Six digits: what a transcript holds, and what policies compute with."""
    return float(f"{value:.6g}")


def _text(value: Any, name: str, *, empty: bool = False, most: int = LONGEST) -> str:
    if not isinstance(value, str) or len(value) > most or not (empty or value.strip()):
        raise ToolError(f"{name} must be a text of 1 to {most} characters")
    return value.encode("utf-8", "replace").decode()


def _texts(value: Any, name: str, least: int = 1) -> list[str]:
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list | tuple) or not least <= len(value) <= MOST_AT_ONCE:
        raise ToolError(f"{name} must be a list of {least} to {MOST_AT_ONCE} texts")
    return [_text(one, name) for one in value]


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MOST_AT_ONCE:
        raise ToolError(f"n must be a whole number from 1 to {MOST_AT_ONCE}")
    return value
