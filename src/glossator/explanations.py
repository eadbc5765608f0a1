"""An explanation: a headline with its modes, a sentence, a program, and how it was made."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from glossator.files import digest_of
from glossator.units import Unit

if TYPE_CHECKING:
    from glossator.programs import Program


@dataclass(frozen=True)
class Provenance:
    """How an explanation was made; two with the same fields are the same explanation.

    method: registered name; settings: the method's own spec; evidence: fingerprint of the explain split it saw;
    seed; model, prompt: name and hash, for methods that use a language model; cost: calls, tokens, money, seconds.
    """

    method: str
    settings: dict[str, Any] = field(default_factory=dict)
    evidence: str = ""
    seed: int = 0
    model: str | None = None
    prompt: str | None = None
    cost: dict[str, float] = field(default_factory=dict)


UNNAMEABLE = "no nameable pattern"
WEAK = "weakly explained"
MOST_WORDS = 6
"""A headline that a language model gives has no more; it is asked for at least two."""


def in_both_words(text: str, beside: str) -> str:
    """A language model's words with the name of the class that they stand for."""
    return f"{text} (the program: {beside})" if beside else text


@dataclass(frozen=True)
class Headline:
    """What a unit responds to in a few plain words, and the class of tokens that they name.

    program: one clause of strength 1 whose test is true or false, so that executing it gives 1 on the class and 0
    elsewhere; one that names what the unit makes likely to come next has no clause but an output side; neither where
    nothing was found that has a name; None for the words of a language model alone. weak: the class says little about
    where the unit is strongest, and readers are told so. beside: the class's own name where a language model put words
    of its own in its place, and these are not known to say the same; readers see both.
    """

    text: str
    program: Program | None = None
    weak: bool = False
    beside: str = ""

    @property
    def named(self) -> bool:
        """Whether it names anything at all."""
        return self.program is None or bool(self.program.clauses or self.program.output)

    @property
    def said(self) -> str:
        """The words, with the name of their class where readers are to see both."""
        return in_both_words(self.text, self.beside)

    def __str__(self) -> str:
        return f"{WEAK}: {self.said}" if self.weak and self.named else self.said


@dataclass(frozen=True)
class Mode:
    """One of a unit's unrelated reasons to fire.

    share: of the unit's activation, how much falls on the tokens of this class and of no mode before; strength: its
    mean activation there, so that `strength * headline.program` predicts the unit where this mode holds.
    """

    headline: Headline
    share: float
    strength: float


@dataclass(frozen=True)
class Peaks:
    """Where a unit is strongest, finer than a class can say it.

    words: written words at its highest peaks in the explain split, those with most of it first; program: strengths of
    single words and of words before, in units of the activation, fitted to peaks and not to all tokens.
    """

    words: tuple[str, ...]
    program: Program


@dataclass(frozen=True)
class Explanation:
    """What a unit responds to. `text` is English; `program`, when there is one, can be executed on tokens.

    headline: None from a method that gives none; one that looked for a name and found none says `UNNAMEABLE`. modes:
    the reasons to fire, the one that accounts for most of the strong activation first; the headline is that of the
    first. peaks: where it is strongest. rank: 0 for the method's best
    candidate, then 1, 2, ...; an explainer that finds nothing better than its baseline returns no explanation and the
    study stores the status `abstained`.
    """

    unit: Unit
    text: str
    provenance: Provenance
    program: Program | None = None
    rank: int = 0
    headline: Headline | None = None
    modes: tuple[Mode, ...] = ()
    peaks: Peaks | None = None

    @cached_property
    def fingerprint(self) -> str:
        """Changes with anything in it."""
        return digest_of(repr(self))
