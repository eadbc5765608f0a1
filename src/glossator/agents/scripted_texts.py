"""The scripted experimenter for texts: no language model, and every claim tested on texts written for the test.

1. Hypotheses are the modes of a program found in the explain split, and single words (`agents.proposals`).
2. The context is taken away from exemplars: does the word alone do it, and if not, how many words before it are needed?
3. Registered tests on new texts: words of the class that were seen at no peak, against near misses, each pair in the
same
   place; for a unit that needs its context, the same word in an exemplar's context and in a neutral one.
4. Near misses are the negative control: they are predicted to fail, and where they do not, the class is too narrow.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import cycle
from typing import Any

import numpy as np

from glossator.agents.answers import Conclusion
from glossator.agents.budget import Spent
from glossator.agents.makers import CARRIERS
from glossator.agents.proposals import proposals
from glossator.agents.settling import is_confirmed, settle
from glossator.agents.tools import Tools
from glossator.agents.under_test import TokenUnderTest
from glossator.agents.workbench import short
from glossator.headlines.classes import listed, without_examples
from glossator.programs import Token

EXEMPLARS, ORDINARY, PAIRS, CONTROL_PAIRS = 24, 16, 16, 8
NEEDED_BEFORE = (1, 2, 4, 8)
SWEEP, LEAST_OF, MOST_OF = 12, 0.25, 0.75
SCREENED = 12
NAMED = 3
"""So many words of a list are said."""

Pair = tuple[str, str]
Claim = tuple[dict[str, Any], str, bool]
"""A proposal, its hypothesis, and whether it is tested in the contexts of exemplars only."""


def scripted_texts(tools: Tools, conclusion: Conclusion) -> None:
    _Experimenter(tools, conclusion).run()


class _Experimenter:
    def __init__(self, tools: Tools, conclusion: Conclusion):
        self.tools, self.conclusion = tools, conclusion
        self.rng = np.random.default_rng([tools.seed, 11])
        self.used: set[str] = set()

    def run(self) -> None:
        tools = self.tools
        exemplars = tools.dataset_exemplars(max(4, min(EXEMPLARS, tools.meter.budget.inputs // 6)))
        ordinary = tools.ordinary_inputs(max(2, min(ORDINARY, tools.meter.budget.inputs // 12)))
        self.ordinary = [" ".join(one["text"].replace(">>", "").replace("<<", "").split()[:8])
                         for one in ordinary if one.get("text")]  # fmt: skip
        self.contexts = [
            _cut(one["text"]) for one in exemplars if one.get("text") and one["value"] >= tools.ledger.level
        ]
        if not self.contexts:
            self.conclusion.reason = "no exemplar is above the unit's level"
            return
        told = tools.step("tool", {"tool": "propose", "arguments": {}}, self._propose)
        self.proposed = [one for one in told if "name" in one]
        if not self.proposed:
            self.conclusion.reason = told[0]["reason"] if told else "nothing to propose for this unit"
            return
        claims: list[Claim] = []
        try:
            self._screen()
            alone = self._alone()
            classes = [one for one in self.proposed if not one["single"]]
            for one in classes:
                one["in_context"] = not alone
                if one["kind"] == "word" and len(one["seen"]) + len(one["unseen"]) > 1:
                    self._narrow(one)
            self._test(classes, claims, alone)
            control = self._control()
            if control is not None:
                settle(tools, control[0], control[1], self._make, CONTROL_PAIRS)
            if not any(
                is_confirmed(tools, name) for _, name, _ in claims
            ):  # perhaps a word of a class, and not the class
                known = {word for one in classes for word in one["seen"]}
                single = [one | {"near": [w for w in one["near"] if w not in known]} for one in self.proposed
                          if one["single"]]  # fmt: skip
                self._test(single, claims, alone)
        except Spent as limit:
            self.conclusion.limits.append(f"stopped early: {limit}")
        self._conclude(claims)

    def _test(self, proposed: list[dict[str, Any]], claims: list[Claim], alone: bool) -> None:
        """Register hypotheses that differ from one another, and test them."""
        new: list[Claim] = []
        for one in proposed:
            if one["test"] not in [other["test"] for other, _, _ in [*claims, *new]]:
                new += self._register(one, alone)
        claims += new
        for one, name, in_context in new:
            settle(self.tools, name, self._pairs(one, in_context), self._make, PAIRS)

    def _screen(self) -> None:
        """Keep the beginnings of texts in which the unit is silent, so that it can only respond to what follows."""
        openings = [*(carrier.replace(" {}", "") for carrier in CARRIERS), *dict.fromkeys(filter(None, self.ordinary))]
        contexts = list(dict.fromkeys(context for context, _ in self.contexts if context.strip()))[:SCREENED]
        told = self.tools.call_unit(self._write([*openings, *contexts]))
        silent = [one["value"] is not None and one["value"] < self.tools.ledger.level for one in told]
        self.openings = [text for text, fine in zip(openings, silent, strict=False) if fine] or openings
        fine = {text for text, is_so in zip(contexts, silent[len(openings) :], strict=True) if is_so}
        self.quiet = [(context, word) for context, word in self.contexts if context in fine]

    def _propose(self) -> list[dict[str, Any]]:
        unit = self.tools.unit
        return proposals(unit, self.tools.seed) if isinstance(unit, TokenUnderTest) else []

    # What the context does.

    def _alone(self) -> bool:
        """Whether the words at peaks do it in neutral sentences; else says how many words before are needed."""
        tools, chosen = self.tools, (self.quiet or self.contexts)[:6]
        neutral = [self._neutral(word) for _, word in chosen]
        told = tools.call_unit(self._write(neutral))
        works = [one["value"] is not None and one["value"] >= tools.ledger.level for one in told]
        if sum(works) * 2 >= len(works):
            return True
        for k in NEEDED_BEFORE:
            texts = [" ".join([self._opening(), *context.split()[-k:]]) + word for context, word in chosen]
            told = tools.call_unit(self._write(texts))
            works = [one["value"] is not None and one["value"] >= tools.ledger.level for one in told]
            if sum(works) * 2 >= len(works):
                words = "the word" if k == 1 else f"the {k} words"
                self.conclusion.limits.append(f"its words alone are not enough; {words} before them are needed")
                return False
        self.conclusion.limits.append("its words need more than 8 words of context, which is not described further")
        return False

    def _narrow(self, one: dict[str, Any]) -> None:
        """Try words of a class one by one, alone and else in contexts of exemplars: where only some of them work, those
        are the hypothesis and not the class."""
        words = self._mixed(one["seen"], one["unseen"])[:SWEEP]
        works = self._sweep(words, False)
        one["in_context"] = bool(self.quiet) and len(works) < LEAST_OF * len(words)
        if one["in_context"]:
            works = self._sweep(words, True) or works
        if not works or len(works) >= MOST_OF * len(words):
            return
        tried = [w for w in words if w not in works]
        test = Token(tuple(sorted(works)))
        said = _written(works)
        near = [word for word in (*tried, *one["near"]) if _written([word])[0].lower() not in map(str.lower, said)]
        one |= {"seen": works, "unseen": [], "near": near, "test": str(test)}
        kind = without_examples(one["name"])
        one["name"] = f"{listed(said, NAMED)} ({kind})" if kind else listed(said, NAMED)

    def _sweep(self, words: list[str], in_context: bool) -> list[str]:
        level = self.tools.ledger.level
        places = [self.quiet[i % len(self.quiet)][0] if in_context else self._neutral("") for i in range(len(words))]
        told = self.tools.call_unit(self._write([p + _after_space(p, w) for p, w in zip(places, words, strict=True)]))
        return [w for w, one in zip(words, told, strict=True) if one["value"] is not None and one["value"] >= level]

    # Hypotheses.

    def _register(self, one: dict[str, Any], alone: bool) -> list[Claim]:
        tools = self.tools
        if one["kind"] == "other" or not (one["seen"] or one["unseen"]) or (not one["near"] and one["kind"] == "word"):
            self.conclusion.limits.append(f"untested: {one['name']} (no texts can be written for it)")
            return []
        if one["direction"] == "suppresses":
            said = f"suppressed: {one['name']}"
            return [(one, tools.register_hypothesis(said, "suppresses", f"1.0*{one['test']}"), False)]
        program = f"1.0*{one['test']}"
        in_context = one.get("in_context", not alone)
        said = f"{one['name']}, in the contexts of exemplars" if in_context else one["name"]
        return [(one, tools.register_hypothesis(said, "activates", program), in_context)]

    def _control(self) -> tuple[str, Iterator[Pair]] | None:
        near = next((one for one in self.proposed if len(one["near"]) > 8), None)
        if near is None:
            return None
        words = near["near"]
        said = f"near misses, such as {listed(_written(words)[:NAMED])}"
        return self.tools.register_hypothesis(said, control=True), self._word_pairs(
            words[::2], words[1::2], in_context=False
        )

    # Texts.

    def _pairs(self, one: dict[str, Any], in_context: bool) -> Iterator[Pair]:
        words = self._mixed(one["unseen"], one["seen"])
        if one["kind"] == "after":
            return self._after_pairs(one, words or one["seen"])
        return self._word_pairs(words, one["near"], in_context)

    @staticmethod
    def _mixed(unseen: list[str], seen: list[str]) -> list[str]:
        """Words that no exemplar showed first, then both in turns, so that a class is tested and not its samples."""
        mixed: list[str] = []
        for place in range(max(len(unseen), len(seen))):
            mixed += [*unseen[place : place + 1], *seen[place : place + 1]]
        return mixed

    def _word_pairs(self, words: list[str], others: list[str], in_context: bool) -> Iterator[Pair]:
        """A word of the class and a near miss in the same place: by turns a neutral sentence and an exemplar's
        context."""
        contexts = cycle([context for context, _ in self.quiet] or self.openings)
        for turn, (word, other) in enumerate(zip(cycle(words), cycle(others or [" thing"]), strict=False)):
            if turn > 4 * PAIRS:
                return
            place = next(contexts) if in_context or turn % 2 else self._neutral("")
            yield place + _after_space(place, word), place + _after_space(place, other)

    def _after_pairs(self, one: dict[str, Any], words: list[str]) -> Iterator[Pair]:
        before = self._mixed(one["before_unseen"], one["before_seen"])
        others = one["before_near"]
        for turn, (word, first, other) in enumerate(zip(cycle(words), cycle(before), cycle(others), strict=False)):
            if turn > 4 * PAIRS:
                return
            place = self._neutral("")
            yield place + first + _after_space("x", word), place + other + _after_space("x", word)

    def _make(self, block: list[Pair]) -> tuple[list[str], list[str]]:
        """Ids of texts that were not run before; a pair that stood before is left out."""
        new = []
        for pair in block:
            if pair[0] != pair[1] and not self.used & set(pair):
                self.used |= set(pair)
                new.append(pair)
        ids = self._write([text for pair in new for text in pair])
        pairs = [(a, b) for a, b in zip(ids[::2], ids[1::2], strict=True)
                 if not self.tools.items.ran(a) and not self.tools.items.ran(b)]  # fmt: skip
        return [a for a, _ in pairs], [b for _, b in pairs]

    def _write(self, texts: list[str]) -> list[str]:
        self.used |= set(texts)
        return [self.tools.items.text(text) for text in texts]

    def _opening(self) -> str:
        return str(self.rng.choice(self.openings))

    def _neutral(self, word: str) -> str:
        opening = self._opening()
        return opening + _after_space(opening, word) if word else opening

    # The answer.

    def _conclude(self, claims: list[Claim]) -> None:
        fine = [(one, name) for one, name, _ in claims if is_confirmed(self.tools, name)]
        clauses = []
        for one, name in fine:
            effect = self.tools.ledger.entries[name].effect
            sign = "-" if one["direction"] == "suppresses" else "+"
            clauses.append(f"{sign} {abs(short(effect or 0.0))}*{one['test']}")
        named = [one["name"] for one, _ in fine if one["direction"] == "activates"]
        if any(in_context for one, name, in_context in claims if (one, name) in fine):
            self.conclusion.limits.append(
                "its words alone are not enough: they were tested in the contexts of exemplars"
            )
        if not named:
            self.conclusion.reason = self.conclusion.reason or "no hypothesis was confirmed on new texts"
            return
        self.conclusion.headline = " or ".join(dict.fromkeys(named))
        self.conclusion.program = " ".join(["0.0", *clauses])
        self.conclusion.limits.append(
            "tested at the last word of short texts; later words and long texts were not tried"
        )


def _written(words: Iterable[str]) -> list[str]:
    """Words without the space before them, each once in whatever case."""
    said: dict[str, str] = {}
    for word in words:
        said.setdefault(word.strip().lower(), word.strip())
    return list(said.values())


def _cut(marked: str) -> Pair:
    """Of a text with >> and << around its strongest token: what stands before, and the token."""
    before, _, rest = marked.partition(">>")
    return before, rest.partition("<<")[0]


def _after_space(place: str, word: str) -> str:
    """A word as it stands after other text."""
    return word if not place or word[:1] in " \n" or not word[:1].isalnum() else f" {word}"
