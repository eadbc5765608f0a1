"""One token at a time (Bills et al. 2023, their first simulator): the text up to a token, and the level at that token
read from the log-probabilities of the answer's first token.

A server gets one request per token. An in-process model runs once per window: the text runs once, and the question at
each token is a branch off it, which gives the same numbers (see `in_process_reading`).
"""

from __future__ import annotations

from glossator.errors import MissingPower
from glossator.explanations import Explanation
from glossator.files import fingerprint
from glossator.inputs import Grid, Inputs, token_windows
from glossator.language_models import CHAT, COMPLETION, LOGPROBS, LanguageModel, Message, Request
from glossator.simulators import Simulation, Simulator
from glossator.simulators.in_process_reading import InProcessReader, in_process_model
from glossator.simulators.prompts import about, asked_how_ten_is_written, one_at_a_time_start, pieces_of, text_so_far
from glossator.simulators.reading import Reading, level_words, read_answer, simulation_of

NUMBER_ALONE = "\nAnswer with the level at the end of the last line and nothing else."


class OneAtATimeSimulator(Simulator):
    """Scale 0..10 with a distribution at every token.

    ten, top: as for `AllAtOnceSimulator`. Models that continue from a prompt are given one; of chat models the level is
    asked in a message.
    """

    def __init__(self, lm: LanguageModel, *, ten: str | None = None, top: int = 20):
        self.lm, self.top, self._ten = lm, top, ten
        model = in_process_model(lm)
        self.in_process = None
        if model is not None:
            reader = InProcessReader(lm, model, single=True, unknown="", ten=ten)
            self._ten = reader.ten
            self.in_process = reader if reader.can_read else None
        if LOGPROBS not in lm.powers or not {CHAT, COMPLETION} & lm.powers:
            raise MissingPower(
                f"{lm.name} gives no log-probabilities of its answers",
                value="lm-one-at-a-time",
                allowed="openai:MODEL, inprocess:MODEL, http://HOST:PORT/v1?kind=vllm#MODEL",
                fix="Use the simulator lm-json, which needs none",
            )

    @property
    def prompt(self) -> str:
        """16 hexadecimal digits that change with the wording of the prompt."""
        return fingerprint(one_at_a_time_start(self._known_ten) + about("") + NUMBER_ALONE)

    @property
    def _known_ten(self) -> str:
        if self._ten is None:
            self._ten = asked_how_ten_is_written(self.lm)
        return self._ten

    def simulate(self, explanation: Explanation, inputs: Inputs, grid: Grid | None = None) -> Simulation:
        """Expected levels (n, width); NaN where an answer could not be read."""
        windows = token_windows(inputs, grid)
        if self.in_process is not None:
            return self.in_process.simulate(explanation.text, windows)
        pieces = pieces_of(windows)
        # Tokens that are left out are never scored: no call is spent on them.
        places = [
            (row, end)
            for row, of_window in enumerate(pieces)
            for end in range(len(of_window))
            if windows.valid[row, end]
        ]
        answers = self.lm.ask([self.request(explanation.text, pieces[row], end) for row, end in places])
        words = level_words(self._known_ten)
        readings = [[Reading(0.0, {0: 1.0}) for _ in of_window] for of_window in pieces]
        for (row, end), answer in zip(places, answers, strict=True):
            if answer.failure is not None:
                readings[row][end] = Reading(None, reason=answer.failure)
            elif not answer.tokens:
                readings[row][end] = Reading(None, reason="the answer came without log-probabilities")
            else:
                readings[row][end] = read_answer(answer.tokens[0].top, words, begun=COMPLETION in self.lm.powers)
        return simulation_of(readings, windows)

    def request(self, explanation: str, pieces: list[str], end: int) -> Request:
        """The question about one token."""
        start, question = one_at_a_time_start(self._known_ten), about(explanation) + text_so_far(pieces, end)
        if COMPLETION in self.lm.powers:
            return Request(prompt=start + question, max_tokens=1, logprobs=self.top)
        messages = (Message("system", start + NUMBER_ALONE), Message("user", question))
        return Request(messages=messages, max_tokens=1, logprobs=self.top)
