"""Levels written out by a model without log-probabilities: JSON, one item per token, or plain lines.

No distribution comes from one answer; several samples give one, and their mean. An answer that does not list the very
tokens that were asked about is missing, not zero: levels at the wrong places would be worse than none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from glossator.errors import MissingPower, UserError
from glossator.explanations import Explanation
from glossator.files import fingerprint
from glossator.inputs import Grid, Inputs, token_windows
from glossator.language_models import CHAT, Answer, LanguageModel, Message, Request
from glossator.simulators import Simulation, Simulator
from glossator.simulators.prompts import pieces_of, written_question, written_start
from glossator.simulators.reading import Reading, mean_reading, parse_json, parse_lines, simulation_of

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "activations": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"token": {"type": "string"}, "activation": {"type": "number"}},
                "required": ["token", "activation"],
                "additionalProperties": False,
            },
        }
    },
    "required": ["activations"],
    "additionalProperties": False,
}
FORMS = {"json": 24, "lines": 12}
"""How levels are written, and the tokens that one of them may take: `{"token": " harbour", "activation": 10}, `."""


class JsonSimulator(Simulator):
    """Scale 0..10. samples: answers to each window; temperature: 0 for one sample, else 1, unless given.

    form: `json`, or `lines` of a token, a tab and a level, which take a third of the tokens and which small models
    can keep to.
    """

    def __init__(self, lm: LanguageModel, *, samples: int = 1, temperature: float | None = None, form: str = "json"):
        if form not in FORMS:
            raise UserError("unknown form of a sampled simulation", value=form, allowed=", ".join(FORMS))
        if samples < 1:
            raise UserError("a simulation needs an answer", value=samples, allowed="samples of 1 or more")
        if CHAT not in lm.powers:
            raise MissingPower(f"{lm.name} does not chat", value="lm-json", fix="Use the simulator lm-all-at-once")
        self.lm, self.samples, self.form = lm, samples, form
        self.temperature = (0.0 if samples == 1 else 1.0) if temperature is None else temperature

    @property
    def prompt(self) -> str:
        """16 hexadecimal digits that change with the wording of the prompt."""
        return fingerprint([written_start(self.form), written_question("", [""]), SCHEMA])

    def simulate(self, explanation: Explanation, inputs: Inputs, grid: Grid | None = None) -> Simulation:
        """Expected levels (n, width); NaN where an answer could not be read."""
        windows = token_windows(inputs, grid)
        pieces = pieces_of(windows)
        asked = [(row, sample) for row in range(len(pieces)) for sample in range(self.samples) if pieces[row]]
        answers = self.lm.ask([self.request(explanation.text, pieces[row], sample) for row, sample in asked])
        by_row: list[list[list[Reading]]] = [[] for _ in pieces]
        for (row, _), answer in zip(asked, answers, strict=True):
            by_row[row].append(read_answer(answer, pieces[row], self.form))
        return simulation_of([[mean_reading(some) for some in zip(*of_row, strict=True)] for of_row in by_row], windows)

    def request(self, explanation: str, pieces: Sequence[str], sample: int = 0) -> Request:
        """The question about one window."""
        return Request(
            messages=(
                Message("system", written_start(self.form)),
                Message("user", written_question(explanation, pieces)),
            ),
            max_tokens=64 + FORMS[self.form] * len(pieces),
            temperature=self.temperature,
            schema=SCHEMA if self.form == "json" else None,
            sample=sample,
        )


def read_answer(answer: Answer, pieces: Sequence[str], form: str = "json") -> list[Reading]:
    """The readings of one window's answer; a failed answer makes all of them missing, with its reason."""
    if answer.failure is not None:
        return [Reading(None, reason=answer.failure)] * len(pieces)
    return parse_json(answer.value, pieces) if form == "json" else parse_lines(answer.text, pieces)
