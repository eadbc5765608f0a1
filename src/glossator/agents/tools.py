"""The tools of an experiment: everything that a policy can do to find out what a unit responds to.

The docstrings of the tools are what language models and people read (`glossator.agents.prompts`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from glossator.agents.answers import Direction
from glossator.agents.errors import ToolError
from glossator.agents.workbench import LONGEST, Workbench, a_count, a_text, short, some_texts

COMMON = ("dataset_exemplars", "ordinary_inputs", "call_unit", "register_hypothesis", "test_hypothesis",
          "log_experiment", "final_answer")  # fmt: skip
PREDICTED: dict[Direction, str] = {
    "activates": "the first exceeds the unit's level and the second",
    "suppresses": "the first stays below the unit's level, the second exceeds it",
    "weakens": "the first has less than three quarters of the response to the second, which exceeds the unit's level",
}
OF_TEXTS = ("search_corpus", "generate_text", "edit_text")
OF_IMAGES = ("text2image", "edit_images", "describe_images", "summarize_images")


class Finished(Exception):
    """The policy gave its final answer."""


class Tools(Workbench):
    """The tools for one unit in one experiment."""

    @property
    def names(self) -> tuple[str, ...]:
        """The tools for this kind of unit."""
        return (*COMMON, *(OF_TEXTS if self.unit.takes == "texts" else OF_IMAGES))

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
        text, n = a_text(text, "text"), self._spend_seen(n)
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
        about, n = a_text(about, "about"), a_count(n)
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
        old, new, ids = a_text(old, "old"), a_text(new, "new", empty=True), self._ids(inputs)
        for one in ids:
            if old not in self.items.text_of(one):
                raise ToolError(f"{one} does not contain {old!r}")
        request = {"tool": "edit_text", "arguments": {"inputs": ids, "old": old, "new": new}}
        texts = self.step("tool", request, lambda: [self.items.text_of(one).replace(old, new) for one in ids])
        return self._pairs(ids, [self.items.text(text) for text in texts])

    def text2image(self, prompts: Sequence[str]) -> list[dict[str, Any]]:
        """Draw one image for each prompt: `[{id, prompt, missing}]`. They are not yet run; `missing` lists what was
        asked and is not in the image."""
        prompts = some_texts(prompts, "prompts")
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
        ids, instructions = self._ids(images), some_texts(instructions, "instructions")
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
        """Register a hypothesis before testing it; returns its id. What was registered before keeps its id and pairs.

        direction: "activates", "suppresses", or "weakens" for what leaves less than three quarters of the response;
        program: as text, if it can be said as one; control: whether it is a negative control, which you expect to fail.
        Register at least one.
        """
        statement = a_text(statement, "statement")
        if direction not in PREDICTED:
            raise ToolError(f"direction must be one of {', '.join(PREDICTED)}")
        program, control = None if program is None else a_text(program, "program"), bool(control)
        self.meter.spend(calls=1)
        if (before := self.ledger.known(statement, direction, program, control)) is not None:
            return before
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
            twice = next(one for one in both if both.count(one) > 1)
            raise ToolError(
                f"{twice} stands in two pairs, or on both sides: make inputs from different words or scenes"
            )
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
        text, ids = a_text(text, "text", most=4 * LONGEST), self._ids(images)
        if any(entry == {"text": text, "images": ids} for entry in self.log):
            raise ToolError("the log holds exactly this already; do something that is not in it")
        self.meter.spend(calls=1)
        self.step("log", {"text": text, "images": ids}, lambda: None)
        self.log.append({"text": text, "images": ids})

    def final_answer(self, headline: str | None, program: str | None = None, limits: Sequence[str] = ()) -> None:
        """End the experiment with a headline of two to six words, a program if there is one, and what was not tested.

        A headline needs a confirmed hypothesis, which it may put in other words, and a negative control that was
        tested; without them give None.
        """
        if headline is not None and (missing := self.why_no_claim) is not None:
            raise ToolError(missing)
        self.final = {
            "headline": None if headline is None else a_text(headline, "headline"),
            "program": None if program is None else a_text(program, "program"),
            "limits": some_texts(limits, "limits", least=0),
        }
        raise Finished

    @property
    def why_no_claim(self) -> str | None:
        """Why nothing can be claimed yet."""
        findings = self.ledger.findings()
        claims = [one for one in findings if not one.control]
        if not any(one.verdict == "confirmed" for one in claims):
            known = ", ".join(f"{one.id} is {one.verdict}" for one in claims) or "none is registered"
            return (
                f"no hypothesis is confirmed ({known}), so there is nothing to claim: test others, or end with "
                "final_answer(None)"
            )
        if self.meter.left >= 2 and not any(one.control and one.trials for one in findings):
            return (
                "no negative control was tested: register what should leave the unit silent with control=True, and "
                "test it on new pairs"
            )
        return None

    def _pairs(self, first: Sequence[str], second: Sequence[str]) -> list[dict[str, Any]]:
        told = {one["id"]: one for one in self.call_unit([*first, *second])}
        found = []
        for a, b in zip(first, second, strict=True):
            before, after = told[a]["value"], told[b]["value"]
            effect = None if before is None or after is None else short(after - before)
            found.append({"original": a, "edited": b, "before": before, "after": after, "effect": effect})
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


def _outcomes(told: list[dict[str, Any]]) -> list[tuple[float, float]]:
    """Values of pairs, those with it first in the list; a missing value is no outcome."""
    pairs = zip(told[: len(told) // 2], told[len(told) // 2 :], strict=True)
    return [(a["value"], b["value"]) for a, b in pairs if a["value"] is not None and b["value"] is not None]
