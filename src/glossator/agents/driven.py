"""Policies that write code round by round: a language model, with or without vision, and a person with the same
tools."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from glossator.agents.answers import Conclusion
from glossator.agents.gate import Limits, Ran
from glossator.agents.prompts import REPLY, block, code_of, example, first_look, round_prompt, system_prompt
from glossator.agents.sandbox import open_sandbox
from glossator.agents.tools import Tools
from glossator.language_models.request import IMAGES, LanguageModel, Message, Request

REPLY_TOKENS, SHOWN_IMAGES = 1500, 12
STUCK = 0.7
"""Temperature of the reply after one that said what an earlier one had said: at 0 a small model says it for ever."""
END_OF_BLOCK = "\n```\n"
"""What comes after the one block of code that is asked for is not waited for."""


@dataclass(frozen=True)
class Told:
    """What stands before every prompt of an experiment. example: prompts and replies about another unit; settled:
    whether there is something to answer, which is what its last reply does."""

    system: str
    example: Sequence[tuple[str, str]]
    settled: bool = False


class CodePolicy:
    """Rounds of: ask for code, run it in the sandbox, log what failed. `ask` and `show` are a subclass's."""

    name = "code"

    def __init__(self, sandbox: str = "monty", limits: Limits | None = None):
        self.sandbox, self.limits = sandbox, limits

    def ask(self, told: Told, prompt: str, images: list[bytes], stuck: int) -> dict[str, Any]:
        """`{text, tokens, money, failure}`; stuck: how many replies in a row said what an earlier one had said."""
        raise NotImplementedError

    def show(self, ran: Ran) -> None:
        """Where someone watches."""

    @property
    def sees(self) -> bool:
        return False

    def __call__(self, tools: Tools, conclusion: Conclusion) -> None:
        limits = self.limits or Limits(memory=tools.meter.budget.memory)
        functions = {name: getattr(tools, name) for name in tools.names}
        system, shown_before = system_prompt(tools), example(tools)
        with open_sandbox(self.sandbox, limits) as sandbox:
            first_look(tools)
            said: set[str] = set()
            stuck = 0
            while True:
                tools.meter.spend(rounds=1)
                number, logged = tools.meter.rounds, len(tools.log)
                prompt = round_prompt(tools)
                shown = (
                    [i for entry in tools.log for i in entry["images"]][-SHOWN_IMAGES:]
                    if self.sees and tools.unit.takes == "images"
                    else []
                )
                told_before = Told(system, shown_before, tools.why_no_claim is None)
                reply = self._reply(tools, told_before, prompt, shown, stuck)
                tools.meter.spend(tokens=reply["tokens"], money=reply["money"])
                if reply["failure"] is not None:
                    conclusion.reason = f"no usable reply: {reply['failure']}"
                    return
                code = code_of(reply["text"])
                stuck = stuck + 1 if str(code) in said else 0
                said.add(str(code))
                if code is None:
                    tools.log_experiment(f"Reply {number} held no Python code, so nothing was done.")
                    continue
                ran = sandbox.run(code, functions)
                told = tools.step("code", {"code": code}, partial(dict, output=ran.output, error=ran.error))
                self.show(ran)
                if told["error"] is not None:
                    lost = " Its variables are gone." if ran.fresh else ""
                    tools.log_experiment(f"The code of reply {number} failed.{lost} {in_short(told['error'])}")
                elif len(tools.log) == logged:
                    tools.log_experiment(f"The code of reply {number} logged nothing, so nothing is known of it.")

    def _reply(self, tools: Tools, told: Told, prompt: str, shown: list[str], stuck: int) -> dict[str, Any]:
        def ask() -> dict[str, Any]:
            return self.ask(told, prompt, [png(tools.items.item(name)) for name in shown], stuck)

        reply: dict[str, Any] = tools.step("ask", {"prompt": prompt, "images": shown}, ask)
        return reply


class LanguageModelPolicy(CodePolicy):
    """A language model of `language_models`; any two are exchanged by their spec. One with vision sees logged
    images."""

    def __init__(self, lm: LanguageModel, sandbox: str = "monty", limits: Limits | None = None):
        super().__init__(sandbox, limits)
        self.lm, self.name = lm, f"lm {lm.name}"

    @property
    def sees(self) -> bool:
        return IMAGES in self.lm.powers

    def ask(self, told: Told, prompt: str, images: list[bytes], stuck: int) -> dict[str, Any]:
        # A small model repeats what the last example did, and would answer before anything is known.
        fitting = told.example if told.settled else told.example[:-1]
        before = [m for asked, said in fitting for m in (Message("user", asked), Message("assistant", said))]
        messages = (Message("system", told.system), *before, Message("user", prompt, tuple(images)))
        drawn: dict[str, Any] = {"temperature": STUCK, "sample": stuck} if stuck else {}
        answer = self.lm.ask([Request(messages, max_tokens=REPLY_TOKENS, stop=(END_OF_BLOCK,), **drawn)])[0]
        used = answer.usage
        return {
            "text": answer.text,
            "tokens": used.prompt_tokens + used.completion_tokens,
            "money": used.money or 0.0,
            "failure": answer.why_unusable(cut_off_counts=True),
        }


class PersonPolicy(CodePolicy):
    """A person: sees the same prompt, writes the same code, and sees what it prints."""

    name = "person"

    def __init__(
        self, read: Callable[[], str], write: Callable[[str], Any], sandbox: str = "monty", limits: Limits | None = None
    ):
        """read: the next piece of code; write: shows a text."""
        super().__init__(sandbox, limits)
        self.read, self.write, self._told = read, write, False

    def ask(self, told: Told, prompt: str, images: list[bytes], stuck: int) -> dict[str, Any]:
        if not self._told:
            self.write(
                "\n\n".join([told.system, "# An experiment on another unit", *(t for e in told.example for t in e)])
            )
            self._told = True
        self.write(prompt.removesuffix(REPLY))
        return {"text": block(self.read()), "tokens": 0, "money": 0.0, "failure": None}

    def show(self, ran: Ran) -> None:
        self.write(ran.output + (f"\n{ran.error}" if ran.error else ""))


def in_short(error: str) -> str:
    """A traceback without its first line and the marks below the others."""
    lines = [line for line in error.splitlines() if line.strip(" ~^") and not line.startswith("Traceback ")]
    return "\n".join(lines)[-600:]


def png(picture: Any) -> bytes:
    """A picture as a PNG file."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(picture.pixels).save(file, "PNG")
    return file.getvalue()
