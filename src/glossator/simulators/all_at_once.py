"""One prompt per window (Bills et al. 2023, their second simulator): every level in it is `unknown`, and the likely
alternatives to each are read from the log-probabilities of the prompt.

Needs a model that gives prompt log-probabilities: in-process, or a server that has them (vLLM).
"""

from __future__ import annotations

from glossator.errors import MissingPower
from glossator.explanations import Explanation
from glossator.files import fingerprint
from glossator.inputs import Grid, Inputs, token_windows
from glossator.language_models import COMPLETION, PROMPT_LOGPROBS, LanguageModel, Request
from glossator.simulators import Simulation, Simulator
from glossator.simulators.in_process_reading import InProcessReader, in_process_model
from glossator.simulators.prompts import about, all_at_once_start, asked_how_ten_is_written, pieces_of, unknown_record
from glossator.simulators.reading import Reading, level_words, parse_echo, simulation_of
from glossator.zero_to_ten import UNKNOWN


class AllAtOnceSimulator(Simulator):
    """Scale 0..10 with a distribution at every token.

    ten: how the model is to write the highest level; None finds out: `10` where the model's tokenizer has it as one
    token, else `X`. unknown: what stands for a level not told; where a tokenizer has no border between a tab and a
    word, a sign such as `?` has one. top: alternatives asked of a server at each place; most allow 20.
    """

    def __init__(self, lm: LanguageModel, *, ten: str | None = None, unknown: str = UNKNOWN, top: int = 20):
        self.lm, self.unknown, self.top = lm, unknown, top
        model = in_process_model(lm)
        self.in_process = None
        if model is not None:
            self.in_process = InProcessReader(lm, model, single=False, unknown=unknown, ten=ten)
        elif not {COMPLETION, PROMPT_LOGPROBS} <= lm.powers:
            raise MissingPower(
                f"{lm.name} gives no log-probabilities of a prompt",
                value="lm-all-at-once",
                allowed="inprocess:MODEL, http://HOST:PORT/v1?kind=vllm#MODEL",
                fix="Use the simulator lm-one-at-a-time (log-probabilities of answers) or lm-json (none)",
            )
        self._ten = self.in_process.ten if self.in_process else ten

    @property
    def prompt(self) -> str:
        """16 hexadecimal digits that change with the wording of the prompt."""
        return fingerprint(all_at_once_start(self._known_ten) + about("") + unknown_record([""], self.unknown))

    @property
    def _known_ten(self) -> str:
        if self._ten is None:
            self._ten = asked_how_ten_is_written(self.lm)
        return self._ten

    def simulate(self, explanation: Explanation, inputs: Inputs, grid: Grid | None = None) -> Simulation:
        """Expected levels (n, width); NaN where a server's answer could not be read."""
        windows = token_windows(inputs, grid)
        if self.in_process is not None:
            return self.in_process.simulate(explanation.text, windows)
        pieces = pieces_of(windows)
        requests = [
            Request(prompt=prompt, max_tokens=0, prompt_logprobs=self.top)
            for prompt in (self.text(explanation.text, of_window) for of_window in pieces)
        ]
        words = level_words(self._known_ten)
        readings = []
        for answer, of_window in zip(self.lm.ask(requests), pieces, strict=True):
            if answer.failure is not None:
                readings.append([Reading(None, reason=answer.failure)] * len(of_window))
            else:
                readings.append(parse_echo(answer.prompt_tokens, len(of_window), words, unknown=self.unknown))
        return simulation_of(readings, windows)

    def text(self, explanation: str, pieces: list[str]) -> str:
        """The whole prompt for one window."""
        return all_at_once_start(self._known_ten) + about(explanation) + unknown_record(pieces, self.unknown)
