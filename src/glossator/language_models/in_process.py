"""A language model in this process: `transformers` weights, no server, no key.

Answers do not depend on what else is asked in the same call, as far as sums of floats in another order allow: each
sample draws from a generator seeded by its own request.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from glossator.errors import MissingPower, UserError
from glossator.files import fingerprint
from glossator.language_models.in_process_cache import KeptBeginning
from glossator.language_models.in_process_generation import Row, generate, token_logprob
from glossator.language_models.in_process_head import Head
from glossator.language_models.in_process_prompts import PromptTokens, opening
from glossator.language_models.request import (
    CHAT,
    COMPLETION,
    LOGPROBS,
    PROMPT_LOGPROBS,
    Answer,
    LanguageModel,
    Request,
    TokenLogprob,
    Usage,
)
from glossator.subjects.generation import end_tokens
from glossator.subjects.positions import limit_of
from glossator.subjects.tokenizer import FastTextTokenizer

if TYPE_CHECKING:
    from glossator.subjects import TransformerSubject

_LOGITS_AT_ONCE = 512  # positions whose whole vocabulary is held in memory


class InProcess(LanguageModel):
    """Answers with a `transformers` causal model.

    name stands in provenance and should tell weights apart; seed: of all sampling; batch_tokens: prompt and answer
    tokens computed together, which bounds the memory; chat_template: a Jinja template instead of the tokenizer's own.
    An answer in JSON is begun for the model (`in_process_prompts.opening`) and not held to its schema any further:
    whoever asks checks it.
    """

    powers = frozenset({CHAT, COMPLETION, LOGPROBS, PROMPT_LOGPROBS})

    @property
    def in_process(self) -> InProcess:
        return self

    def __init__(
        self,
        model: Any,
        tokenizer: FastTextTokenizer,
        name: str,
        *,
        seed: int = 0,
        batch_tokens: int = 16_384,
        chat_template: str | None = None,
    ):
        self.model, self.tokenizer, self.name = model, tokenizer, name
        self.seed, self.batch_tokens = seed, batch_tokens
        self.head = Head(model, len(tokenizer.vocabulary))
        self.prompts = PromptTokens(tokenizer, chat_template)
        self.context = limit_of(model)
        self.takes_masks: bool | None = None  # not tried yet
        self._end = _end_tokens(model, tokenizer)
        self._kept = KeptBeginning()

    @classmethod
    def of_subject(cls, subject: TransformerSubject, **options: Any) -> InProcess:
        """The model under study itself as a language model: its weights are held once."""
        if not subject.causal:
            raise UserError("an encoder cannot generate answers", value=subject.name, allowed="a causal language model")
        _ = subject.runs_by_length  # asking refuses a model that sees ahead
        kind = str(subject.dtype).removeprefix("torch.")
        name = f"inprocess:{subject.name}@{subject.fingerprint[:8]}" + ("" if kind == "float32" else f":{kind}")
        return cls(subject.model, subject.tokenizer, name, **options)

    @property
    def device(self) -> torch.device:
        return self.model.get_input_embeddings().weight.device

    def ask(self, requests: Sequence[Request]) -> list[Answer]:
        """One answer to each request, in order, computed in batches of like length.

        A prompt that does not fit the model fails; an answer that does not is cut short. Raises `MissingPower` for
        requests with images.
        """
        for request in requests:
            if missing := request.needs - self.powers:
                raise MissingPower(f"{self.name} cannot do this", value=", ".join(sorted(missing)))
        prompts = [self.prompts.ids(request) for request in requests]
        failures = [self._why_not(ids) for ids in prompts]
        rows = [self._row(request, ids) for request, ids in zip(requests, prompts, strict=True)]
        prompt_tokens: list[tuple[TokenLogprob, ...]] = [()] * len(rows)
        if rows and all(ids == prompts[0] for ids in prompts):
            before = self.prompts.before_last(requests[0], prompts[0])
            for row in rows:
                row.before = before
        usable = [i for i, failure in enumerate(failures) if failure is None]
        with torch.inference_mode():
            for i in usable:
                if requests[i].prompt_logprobs:
                    prompt_tokens[i] = self._prompt_logprobs(prompts[i], requests[i].prompt_logprobs)
            for batch in self._batches([rows[i] for i in usable if rows[i].max_tokens > 0]):
                generate(self.head, batch, self.tokenizer.vocabulary, self._end, self._kept)
        return [_answer(row, top, failure) for row, top, failure in zip(rows, prompt_tokens, failures, strict=True)]

    def _why_not(self, ids: list[int]) -> str | None:
        if not ids:
            return "the prompt is empty"
        if self.context is not None and len(ids) >= self.context:
            return f"the prompt has {len(ids)} tokens, the model takes {self.context}"
        return None

    def _row(self, request: Request, ids: list[int]) -> Row:
        room = request.max_tokens if self.context is None else min(request.max_tokens, self.context - len(ids))
        turns = [(m.role, m.content) for m in request.messages]
        asked = {"messages": turns, "prompt": request.prompt, "sample": request.sample, "seed": self.seed}
        return Row(
            ids,
            max(room, 0),
            request.temperature,
            request.top_p,
            tuple(stop.encode() for stop in request.stop if stop),
            request.logprobs,
            np.random.default_rng(int(fingerprint(asked), 16)),
            opening(request).encode(),
        )

    def _batches(self, rows: list[Row]) -> list[list[Row]]:
        """Rows by length, as many together as `batch_tokens` allows."""
        batches: list[list[Row]] = []
        width = 0
        for row in sorted(rows, key=lambda row: len(row.ids)):
            longest = max(width, len(row.ids) + row.max_tokens)
            if not batches or (len(batches[-1]) + 1) * longest > self.batch_tokens:
                batches.append([])
                longest = len(row.ids) + row.max_tokens
            batches[-1].append(row)
            width = longest
        return batches

    def _prompt_logprobs(self, ids: list[int], top: int) -> tuple[TokenLogprob, ...]:
        """Each token of a prompt given those before it."""
        vocabulary = self.tokenizer.vocabulary
        states = self.head.states(input_ids=torch.tensor([ids], device=self.device), use_cache=False)[0]
        found = [TokenLogprob(vocabulary.texts[ids[0]], None)]
        for start in range(0, len(ids) - 1, _LOGITS_AT_ONCE):
            stop = min(start + _LOGITS_AT_ONCE, len(ids) - 1)
            logprobs = torch.log_softmax(self.head.logits(states[start:stop]), -1)
            found += [token_logprob(logprobs[i - start], ids[i + 1], top, vocabulary) for i in range(start, stop)]
        return tuple(found)


def open_in_process(name: str, *, dtype: str = "float32", device: str = "cpu", **options: Any) -> InProcess:
    """The language model of an alias (`smollm2-135m`), a local folder or a hub id; options: those of `InProcess`.

    Raises `UserError` for a name that cannot be had and for an encoder.
    """
    from glossator.subjects import load_subject

    return InProcess.of_subject(load_subject(name, dtype=dtype, device=device), **options)


def _end_tokens(model: Any, tokenizer: FastTextTokenizer) -> frozenset[int]:
    """Where an answer ends: what configs and tokenizer call the end, and at any special token, which is no text."""
    own = tokenizer.hub_tokenizer.eos_token_id
    return end_tokens(model) | tokenizer.vocabulary.special | (frozenset() if own is None else {own})


def _answer(row: Row, prompt_tokens: tuple[TokenLogprob, ...], failure: str | None) -> Answer:
    if failure is None and (row.finish == "error" or any(t.logprob != t.logprob for t in prompt_tokens)):
        failure = "the outputs of the model are NaN"
    if failure is not None:
        return Answer("", finish="error", failure=failure)
    return Answer(
        row.text.decode("utf-8", "replace"),
        tokens=tuple(row.tokens),
        prompt_tokens=prompt_tokens,
        usage=Usage(1, len(row.ids), row.written, 0.0),
        finish=row.finish or ("length" if row.max_tokens == 0 else "stop"),
    )
