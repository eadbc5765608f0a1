"""Planted units for headlines: one to three reasons to fire, written as word lists and rules of their own.

Nothing here comes from the classes that headlines are made of. A reason says which tokens it holds for, reading nothing
after them, and which words a right headline would use for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from glossator.inputs.tokens import TokenWindows
from glossator.planted.units import decoded

Holds = Callable[[list[str], int], bool]


@dataclass(frozen=True)
class Reason:
    """kind; said: a right headline has one of these in it; holds: (texts of the window's tokens, place)."""

    kind: str
    name: str
    said: tuple[str, ...]
    holds: Holds


@dataclass(frozen=True)
class Case:
    name: str
    reasons: tuple[Reason, ...]

    def truths(self, windows: TokenWindows) -> np.ndarray:
        """(reasons, n, width) bool."""
        texts = decoded(windows.vocabulary)
        found = np.zeros((len(self.reasons), *windows.tokens.shape), bool)
        for row, (tokens, length) in enumerate(zip(windows.tokens.tolist(), windows.lengths.tolist(), strict=True)):
            words = [texts[token] for token in tokens[:length]]
            for number, reason in enumerate(self.reasons):
                found[number, row, :length] = [reason.holds(words, place) for place in range(length)]
        return found

    def activations(self, truths: np.ndarray, windows: TokenWindows, rng: np.random.Generator) -> np.ndarray:
        """Between 0.5 and 1.5 where a reason holds, nine times of ten; elsewhere weak noise at one token in fifty."""
        shape = truths.shape[1:]
        fires = truths.any(axis=0) & (rng.random(shape) < 0.9)
        noise = np.where(rng.random(shape) < 0.02, 0.3 * rng.random(shape), 0.0)
        values = np.where(fires, 0.5 + rng.random(shape), noise)
        return np.where(windows.valid, values, 0.0).astype(np.float32)


def _words(*lists: str) -> Holds:
    members = frozenset(" ".join(lists).split())
    return lambda words, i: words[i].strip(" ").lower() in members


def _matches(pattern: str) -> Holds:
    compiled = re.compile(pattern)
    return lambda words, i: compiled.search(words[i]) is not None


def _after(holds: Holds, also: Holds = lambda words, i: True) -> Holds:
    return lambda words, i: i > 0 and holds(words, i - 1) and also(words, i)


A_WORD = _matches(r"^ ?[A-Za-z]+$")
POSSESSIVES = _words("my your his her its our their")

REASONS = (
    Reason("time", "months", ("month",), _words(
        "january february march april may june july august september october november december")),
    Reason("time", "weekdays", ("weekday", "days of"), _words(
        "monday tuesday wednesday thursday friday saturday sunday")),
    Reason("time", "time units", ("time", "period"), _words(
        "second seconds minute minutes hour hours day days week weeks month months year years century centuries")),
    Reason("pronouns", "first person plural", ("first-person", "we"), _words("we us our ours ourselves")),
    Reason("pronouns", "second person", ("second-person", "you"), _words("you your yours yourself")),
    Reason("pronouns", "reflexives", ("reflexive", "self"), _words(
        "myself yourself himself herself itself ourselves yourselves themselves")),
    Reason("function words", "prepositions", ("preposition",), _words(
        "of in to for on with at by from into through during over under between against about without within")),
    Reason("function words", "modal verbs", ("modal",), _words("can could may might must shall should will would")),
    Reason("function words", "demonstratives", ("demonstrative",), _words("this that these those")),
    Reason("function words", "articles", ("article", "the", "determiner"), _words("the a an")),
    Reason("meaning", "animals", ("animal", "mammal", "bird"), _words(
        "dog dogs cat cats horse horses cow cows sheep pig pigs bird birds fish bear bears lion wolf mouse mice rabbit "
        "deer duck elephant monkey snake tiger goat fox frog chicken goose eagle whale bee ant insect insects turkey "
        "camel donkey lamb kitten puppy worm spider turtle crab shark bat rat rats oyster animal animals puppies")),
    Reason("meaning", "body parts", ("body",), _words(
        "head face eye eyes ear ears nose mouth arm arms hand hands finger fingers leg legs foot feet knee skin bone "
        "bones heart brain blood chest neck shoulder shoulders stomach tongue teeth hair back")),
    Reason("meaning", "colours", ("colour",), _words(
        "red orange yellow green blue purple pink brown black white grey gray")),
    Reason("meaning", "family", ("famil", "relative", "people"), _words(
        "mother father parents son daughter brother sister husband wife uncle aunt cousin child children mom dad "
        "grandmother grandfather family families parent sisters brothers sons daughters aunt niece nephew baby")),
    Reason("grammar", "-ing verbs", ("-ing",), _matches(
        r"^ (?!during|nothing|something|anything|everything|morning|evening|spring|string|bring)[a-z]{2,}ing$")),
    Reason("grammar", "comparatives", ("comparative",), _words(
        "more less better worse greater larger smaller bigger higher lower older younger longer shorter faster "
        "stronger")),
    Reason("grammar", "forms of be", ("forms of be", "auxiliar"), _words("am is are was were be been being")),
    Reason("numbers", "digits", ("digit", "number"), _matches(r"^[0-9]$")),
    Reason("numbers", "number words", ("number",), _words(
        "one two three four five six seven eight nine ten eleven twelve twenty thirty hundred thousand million")),
    Reason("marks", "commas", ("comma",), _matches(r"^,$")),
    Reason("marks", "question marks", ("question mark",), _matches(r"\?")),
    Reason("marks", "colons", ("colon",), _matches(r"^[^;]*:[^;]*$")),
    Reason("code", "closing brackets", ("closing bracket",), _matches(r"[)\]}]")),
    Reason("code", "underscores", ("underscore",), _matches(r"_")),
    Reason("code", "line breaks", ("line break", "blank space"), _matches(r"\n")),
    Reason("code", "equals signs", ("equals",), _matches(r"=")),
    Reason("spelling", "words in -ly", ("-ly",), _matches(r"[a-z]ly$")),
    Reason("spelling", "words in -tion", ("tion", "-ion"), _matches(r"[a-z]tion$")),
    Reason("spelling", "single capital letters", ("capital letter",), _matches(r"^ ?[A-Z]$")),
    Reason("context", "after possessives", ("after possessive",), _after(POSSESSIVES, A_WORD)),
    Reason("context", "after the", ("after “the”", "after article", "after the"), _after(_words("the"), A_WORD)),
    Reason("context", "after modal verbs", ("after modal",), _after(
        _words("can could may might must shall should will would"), A_WORD)),
    Reason("words", "by", ("by",), _words("by")),
    Reason("words", "because", ("because",), _words("because")),
    Reason("words", "not", ("not", "negation"), _words("not")),
)  # fmt: skip
SIZES = (1,) * 20 + (2,) * 12 + (3,) * 8


def cases(seed: int = 0) -> tuple[Case, ...]:
    """40 units of 1, 2 and 3 reasons, those of one unit of different kinds; every reason stands in at least one."""
    rng = np.random.default_rng([seed, 40])
    order: list[Reason] = []
    found = []
    for size in SIZES:
        chosen: list[Reason] = []
        while len(chosen) < size:
            if not order:
                order = [REASONS[i] for i in rng.permutation(len(REASONS))]
            reason = next((r for r in order if r.kind not in [c.kind for c in chosen]), None)
            if reason is None:
                order += [REASONS[i] for i in rng.permutation(len(REASONS))]
                continue
            order.remove(reason)
            chosen.append(reason)
        found.append(Case(" + ".join(reason.name for reason in chosen), tuple(chosen)))
    return tuple(found)
