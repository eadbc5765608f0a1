"""A scripted reader: it looks an explanation up in a table of programs, executes the program on the texts of the
prompt, and answers as an ideal reader of that explanation would; or always the same, or by chance.

What it proves: that prompts hold what they should, that items are built and answers read as they should be, that the
arithmetic of scores is right, and how well a scorer tells explanations apart when its reader makes no mistake. What it
does not prove: that any real model reads explanations well. An explanation that is not in its table it cannot read,
and answers "no" to all of it.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from benchmarks.reader_prompts import Asked, take_apart, without_marks
from glossator.inputs.tokens import TokenWindows
from glossator.language_models import (
    CHAT,
    COMPLETION,
    JSON_SCHEMA,
    LOGPROBS,
    NOTHING_USED,
    PROMPT_LOGPROBS,
    Answer,
    LanguageModel,
    Request,
    TokenLogprob,
    Usage,
)
from glossator.programs import Lexicon, Program, execute
from glossator.scorers.program_texts import program_texts

Manner = Literal["ideal", "constant", "random"]
SURE = 0.98
"""The probability with which the ideal reader says what it is sure of."""
UNEXPECTED, EXPLAINED = -8.0, 3.0
"""Log-probability of any token, and what is added where the explanation says that the unit is active."""


@dataclass(frozen=True, eq=False)
class Read:
    """One text as read under one explanation: tokens (t,); values (t,) of the program, 1 at its strongest; marked (t,)
    bool."""

    tokens: np.ndarray
    values: np.ndarray
    marked: np.ndarray

    @property
    def anywhere(self) -> float:
        """The largest value, and a little of the mean so that texts that fit throughout come first."""
        return 0.8 * float(self.values.max()) + 0.2 * float(self.values.mean()) if len(self.values) else 0.0

    @property
    def at_marks(self) -> float:
        return float(self.values[self.marked].mean()) if self.marked.any() else 0.0


class ProgramReader(LanguageModel):
    """A language model for the scorers' questions.

    tokenizer: cuts texts into tokens, has `encode(texts)` and `vocabulary`; programs: by the text of the explanation;
    pool: windows that it writes texts from; manner: ideal, constant (always yes, always the first) or random; noise:
    standard deviation of what is added to the logit of each answer.
    """

    def __init__(
        self,
        tokenizer: Any,
        lexicon: Lexicon,
        programs: Mapping[str, Program],
        pool: TokenWindows,
        *,
        manner: Manner = "ideal",
        noise: float = 0.0,
        powers: frozenset[str] = frozenset({CHAT, COMPLETION, JSON_SCHEMA, LOGPROBS, PROMPT_LOGPROBS}),
        seed: int = 0,
    ):
        self.name = f"scripted:program-reader/{manner}" + (f"/noise-{noise:g}" if noise else "")
        self.powers = powers
        self.tokenizer, self.lexicon, self.programs, self.pool = tokenizer, lexicon, dict(programs), pool
        self.manner, self.noise, self.seed = manner, noise, seed
        self._strongest: dict[str, float] = {}

    def ask(self, requests: Sequence[Request]) -> list[Answer]:
        asked = [take_apart(request) for request in requests]
        reads = self._read_all([a for a in asked if a is not None])
        answers, start = [], 0
        for a in asked:
            if a is None:
                answers.append(Answer("", failure="a question that this reader does not know", finish="refusal"))
                continue
            end = start + len(a.texts)
            answers.append(self._answer(a, reads[start:end]))
            start = end
        return self._with_usage(requests, answers)

    # reading

    def _read_all(self, asked: Sequence[Asked]) -> list[Read]:
        """All texts of all questions in order; each program is executed once, on all texts it is asked about."""
        wanted = [(a.explanation, *without_marks(text)) for a in asked for text in a.texts]
        encoded = self.tokenizer.encode([text for _, text, _ in wanted])
        values: list[np.ndarray] = [np.zeros(len(tokens)) for tokens in encoded]
        for explanation in {e for e, _, _ in wanted if e in self.programs}:
            assert explanation is not None
            places = [i for i, (e, _, _) in enumerate(wanted) if e == explanation]
            found = self._execute(explanation, [encoded[i] for i in places])
            for row, i in enumerate(places):
                values[i] = found[row, : len(encoded[i])]
        return [
            Read(tokens, value, self._marked(tokens, stretches))
            for tokens, value, (_, _, stretches) in zip(encoded, values, wanted, strict=True)
        ]

    def _execute(self, explanation: str, texts: Sequence[np.ndarray]) -> np.ndarray:
        program = self.programs[explanation]
        if explanation not in self._strongest:
            self._strongest[explanation] = float(execute(program, self.pool, self.lexicon).max()) or 1.0
        lengths = np.array([len(tokens) for tokens in texts], np.int32)
        tokens = np.zeros((len(texts), max(int(lengths.max(initial=0)), 1)), np.int32)
        for row, ids in enumerate(texts):
            tokens[row, : len(ids)] = ids
        valid = np.arange(tokens.shape[1]) < lengths[:, None]
        numbers = np.arange(len(texts), dtype=np.int64)
        windows = TokenWindows(tokens, lengths, valid, numbers, numbers, self.tokenizer.vocabulary)
        return np.minimum(execute(program, windows, self.lexicon) / self._strongest[explanation], 1.0)

    def _marked(self, tokens: np.ndarray, stretches: Sequence[tuple[int, int]]) -> np.ndarray:
        """Which tokens lie in a marked stretch of the text's bytes, at least with one of their own."""
        ends = np.cumsum([len(self.tokenizer.vocabulary.pieces[t]) for t in tokens.tolist()], dtype=int)
        starts = np.concatenate([[0], ends[:-1]]).astype(int)
        marked = np.zeros(len(tokens), bool)
        for first, last in stretches:
            marked |= (starts < last) & (ends > first)
        return marked

    # answering

    def _answer(self, asked: Asked, reads: Sequence[Read]) -> Answer:
        rng = np.random.default_rng([self.seed, zlib.crc32(repr(asked).encode("utf-8", "replace"))])
        if asked.kind == "continue":
            return self._likelihoods(asked, reads[0], rng)
        if asked.kind == "write":
            return self._written(asked, rng)
        if asked.kind in ("intruder", "alone"):
            place = self._intruder(asked, reads, rng)
            return _one_word({str(place + 1): 1.0}) if asked.one_word else _as_json({"intruder": place + 1})
        chances = [self._noisy(self._chance_of_yes(asked, read, rng), rng) for read in reads]
        if asked.one_word:
            return _one_word({"yes": chances[0], "no": 1 - chances[0]})
        return _as_json({"answers": [chance > 0.5 for chance in chances]})

    def _chance_of_yes(self, asked: Asked, read: Read, rng: np.random.Generator) -> float:
        """Yes where the program fires in the text, or at most of what is marked; the surer the stronger it fires."""
        if self.manner == "constant":
            return SURE
        if self.manner == "random":
            return float(rng.random())
        if asked.kind == "fuzz":
            return 1 - SURE + (2 * SURE - 1) * read.at_marks
        return 1 - SURE if read.anywhere <= 0 else 0.5 + (SURE - 0.5) * read.anywhere

    def _noisy(self, chance: float, rng: np.random.Generator) -> float:
        if not self.noise:
            return chance
        logit = math.log(chance / (1 - chance)) + self.noise * float(rng.normal())
        return 1 / (1 + math.exp(-logit))

    def _intruder(self, asked: Asked, reads: Sequence[Read], rng: np.random.Generator) -> int:
        """The text whose marks fit the explanation least; without one, whose marked tokens the others share least."""
        if self.manner == "constant":
            return 0
        if self.manner == "random":
            return int(rng.integers(len(reads)))
        if asked.kind == "intruder":
            fits = [read.at_marks + 1e-3 * read.anywhere for read in reads]
        else:
            marked = [set(read.tokens[read.marked].tolist()) for read in reads]
            fits = [sum(bool(own & other) for other in marked) - 1.0 for own in marked]
        return int(np.argmin(np.array(fits) + self.noise * rng.normal(size=len(fits))))

    def _likelihoods(self, asked: Asked, read: Read, rng: np.random.Generator) -> Answer:
        """A prompt as one token without a log-probability, then those of the text."""
        gains = EXPLAINED * read.values if self.manner == "ideal" else np.zeros(len(read.tokens))
        if self.manner == "random":
            gains = rng.normal(size=len(read.tokens))
        gains = gains + self.noise * rng.normal(size=len(gains))
        texts = self.tokenizer.vocabulary.texts
        tokens = (
            TokenLogprob(texts[token], UNEXPECTED + gain)
            for token, gain in zip(read.tokens.tolist(), gains.tolist(), strict=True)
        )
        return Answer("", prompt_tokens=(TokenLogprob("...", None), *tokens))

    def _written(self, asked: Asked, rng: np.random.Generator) -> Answer:
        """Texts that the program fires at and near misses; texts by chance where the explanation cannot be read."""
        n, program = asked.n, self.programs.get(asked.explanation or "")
        if self.manner == "constant":
            return _as_json({"active": [self.pool.text(0)] * n, "silent": [self.pool.text(0)] * n})
        if self.manner == "random" or program is None:
            texts = [self.pool.text(int(row)) for row in rng.choice(len(self.pool), 2 * n, replace=False)]
            return _as_json({"active": texts[:n], "silent": texts[n:]})
        cut = 1e-6
        written = program_texts(program, self.pool, self.lexicon, n, cut, rng)
        if not written.active or not written.silent:
            return Answer("", failure="no text tells this explanation from its negation", finish="refusal")
        return _as_json(
            {kind: [texts[i % len(texts)] for i in range(n)]
             for kind, texts in (("active", written.active), ("silent", written.silent))}
        )  # fmt: skip

    def _with_usage(self, requests: Sequence[Request], answers: Sequence[Answer]) -> list[Answer]:
        """What the answers would cost, in the tokens of this reader's tokenizer; no money."""
        asked = [r.prompt if r.prompt is not None else "\n".join(m.content for m in r.messages) for r in requests]
        sizes = [len(tokens) for tokens in self.tokenizer.encode([*asked, *(a.text for a in answers)])]
        return [
            Answer(a.text, a.value, a.tokens, a.prompt_tokens, Usage(1, prompt, completion, 0.0), a.finish, a.failure)
            if a.failure is None
            else Answer(a.text, failure=a.failure, finish=a.finish, usage=NOTHING_USED)
            for a, prompt, completion in zip(answers, sizes[: len(asked)], sizes[len(asked) :], strict=True)
        ]


def _as_json(value: dict[str, Any]) -> Answer:
    return Answer(json.dumps(value, ensure_ascii=False), value)


def _one_word(chances: Mapping[str, float]) -> Answer:
    top = {word: math.log(max(chance, 1e-12)) for word, chance in chances.items()}
    best = max(top, key=top.__getitem__)
    return Answer(best, tokens=(TokenLogprob(best, top[best], top),))
