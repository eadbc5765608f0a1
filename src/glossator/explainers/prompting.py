"""How explainers ask a language model: a prompt with worked examples, as a chat or as plain text to continue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from glossator.errors import MissingPower, UserError
from glossator.explainers.answers import HEADLINE, Outcome, outcome_of
from glossator.files import fingerprint
from glossator.language_models import CHAT, COMPLETION, LanguageModel, Message, Request
from glossator.language_models.projection import rough_tokens

Form = Literal["auto", "chat", "completion"]
FORMS: tuple[Form, ...] = ("auto", "chat", "completion")


@dataclass(frozen=True)
class Turn:
    """A question, the words that its answer begins with, and the answer to a worked example, with its headline."""

    question: str
    lead: str
    answer: str = ""
    headline: str = ""

    @property
    def opening(self) -> str:
        return f"{self.question}\n{self.lead}"

    @property
    def whole_answer(self) -> str:
        return f"{self.answer}\n{HEADLINE} {self.headline}" if self.headline else self.answer


@dataclass(frozen=True)
class Prompt:
    """The parts of a question to a language model.

    In a chat the system text, and each worked example as a pair of turns; the lead closes the question. Where the model
    only continues from a text, all follow one another and the lead is the last line, so that its next words answer.
    """

    system: str
    examples: tuple[Turn, ...]
    turn: Turn

    @property
    def lines(self) -> int:
        """How many lines an answer has that is like those of the worked examples."""
        return 2 if any(example.headline for example in self.examples) else 1

    def request(self, form: Form, *, max_tokens: int, temperature: float, sample: int = 0, lines: int = 1) -> Request:
        """One sample's request; lines: how many lines of a plain continuation can be the answer (0: any)."""
        if form == "chat":
            return Request(self.messages, max_tokens=max_tokens, temperature=temperature, sample=sample)
        stop = ("\n",) if lines == 1 else ("\n\n",)
        return Request(prompt=self.text, max_tokens=max_tokens, temperature=temperature, stop=stop, sample=sample)

    @property
    def messages(self) -> tuple[Message, ...]:
        found = [Message("system", self.system)]
        for example in self.examples:
            found += [_user(example), Message("assistant", example.whole_answer)]
        return (*found, _user(self.turn))

    @property
    def text(self) -> str:
        shown = [
            f"{turn.opening}{'' if turn.lead.endswith(chr(10)) else ' '}{turn.whole_answer}" for turn in self.examples
        ]
        return "\n\n".join([self.system, *shown, self.turn.opening])

    @property
    def rough_tokens(self) -> int:
        """About how many tokens the prompt has, rather too many than too few."""
        marks = 8 * (2 + 2 * len(self.examples))  # what a chat template puts around each turn
        return rough_tokens(self.text) + marks


def _user(turn: Turn) -> Message:
    return Message("user", turn.opening.rstrip("\n"))


def form_for(lm: LanguageModel, wanted: Form) -> Form:
    """Chat or completion; `auto` is chat if the model can. Raises `MissingPower` if the model cannot do it."""
    if wanted not in FORMS:
        raise UserError("unknown form of a prompt", value=wanted, allowed=", ".join(FORMS))
    form: Form = ("chat" if CHAT in lm.powers else "completion") if wanted == "auto" else wanted
    if (CHAT if form == "chat" else COMPLETION) not in lm.powers:
        raise MissingPower(f"{lm.name} cannot answer in this form", value=form, allowed=", ".join(sorted(lm.powers)))
    return form


def room_for(lm: LanguageModel, context: int | None, max_tokens: int) -> int | None:
    """How many tokens a prompt may have; None if the model names no limit and none is given."""
    limit = context if context is not None else lm.context
    return None if limit is None else int(limit) - max_tokens


def ask(
    lm: LanguageModel,
    prompts: Sequence[Prompt | None],
    form: Form,
    samples: int,
    temperature: float,
    max_tokens: int,
) -> list[Outcome]:
    """The outcome of `samples` answers to each prompt, all requested at once; empty where there is no prompt.

    At temperature 0 one answer is asked for.
    """
    form = form_for(lm, form)
    samples = samples if temperature > 0 else 1  # the others would be the same
    requests = [
        prompt.request(form, max_tokens=max_tokens, temperature=temperature, sample=sample, lines=prompt.lines)
        for prompt in prompts
        if prompt is not None
        for sample in range(samples)
    ]
    answers = iter(lm.ask(requests) if requests else [])
    return [
        Outcome()
        if prompt is None
        else outcome_of([next(answers) for _ in range(samples)], [example.answer for example in prompt.examples])
        for prompt in prompts
    ]


def fingerprint_of(*words: object) -> str:
    """16 hexadecimal digits of a prompt's own words, without what is shown of a unit."""
    return fingerprint(list(words))
