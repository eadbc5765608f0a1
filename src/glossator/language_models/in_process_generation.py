"""Batched generation: many rows at a time, each with its own seed, stops and length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from glossator.inputs.tokens import Vocabulary
from glossator.language_models.in_process_cache import KeptBeginning, goes_on, new_cache, shared
from glossator.language_models.in_process_head import Head
from glossator.language_models.request import TokenLogprob
from glossator.subjects.generation import draw_token


@dataclass(eq=False)
class Row:
    """One answer as it grows. ids: the prompt's; rng: the row's own, so that neighbours in a batch change nothing;
    text: what the prompt holds of the answer already; before: how many of the ids a next prompt may start with."""

    ids: list[int]
    max_tokens: int
    temperature: float
    top_p: float
    stop: tuple[bytes, ...]
    logprobs: int
    rng: np.random.Generator
    text: bytes = b""
    before: int = 0
    tokens: list[TokenLogprob] = field(default_factory=list)
    written: int = 0
    finish: str = ""
    _starts: list[int] = field(default_factory=list)

    def take(self, logits: torch.Tensor, vocabulary: Vocabulary, end: frozenset[int]) -> int:
        """Choose the next token from logits (V,), write it, and end the row where it ends."""
        if not bool(torch.isfinite(logits).any()) or bool(torch.isnan(logits).any()):
            self.finish = "error"
            return 0
        token = draw_token(logits, self.temperature, self.rng, self.top_p)
        self.written += 1
        if token in end:
            self.finish = "stop"
            return token
        if self.logprobs:
            self.tokens.append(token_logprob(torch.log_softmax(logits, -1), token, self.logprobs, vocabulary))
            self._starts.append(len(self.text))
        before = len(self.text)
        self.text += vocabulary.pieces[token]
        self._cut_at_stop(before)
        if not self.finish and self.written >= self.max_tokens:
            self.finish = "length"
        return token

    def _cut_at_stop(self, before: int) -> None:
        """End at the earliest stop that the newest token, written from `before` on, completed."""
        found = []
        for stop in self.stop:
            at = self.text.find(stop, max(0, before - len(stop) + 1))
            if at >= 0:
                found.append(at)
        if found:
            self.text, self.finish = self.text[: min(found)], "stop"
            self.tokens = [t for t, start in zip(self.tokens, self._starts, strict=True) if start < min(found)]


def token_logprob(logprobs: torch.Tensor, token: int, top: int, vocabulary: Vocabulary) -> TokenLogprob:
    """The token with its log-probability and the `top` most likely ones; logprobs (V,)."""
    values, ids = logprobs.topk(min(top, len(logprobs)))
    found: dict[str, float] = {}
    for other, value in zip(ids.tolist(), values.tolist(), strict=True):
        found.setdefault(vocabulary.texts[other], value)  # two tokens of one text: the likelier
    return TokenLogprob(vocabulary.texts[token], float(logprobs[token]), found)


def generate(head: Head, rows: Sequence[Row], vocabulary: Vocabulary, end: frozenset[int], kept: KeptBeginning) -> None:
    """Write the answers of all rows, as one batch, into the rows; every row has at least one token to write.

    What all prompts start with is computed once and `kept`, and a prompt that several rows have is computed once.
    """
    if not rows:
        return
    if not goes_on(head):
        _generate_whole(head, rows, vocabulary, end)
        return
    device = head.model.get_input_embeddings().weight.device
    prompts, prompt_of_row = _distinct(rows)
    common = common_prefix(prompts) if len(prompts) > 1 else rows[0].before
    beginning = kept.cache(head, prompts[0][:common], device) if common >= 8 else None
    if beginning is None:
        cache, common = new_cache(head.model), 0
    else:
        cache = shared(beginning, len(prompts), head.model)
    longest = max(map(len, prompts)) - common
    rest = np.zeros((len(prompts), longest), np.int64)
    seen = np.ones((len(prompts), common + longest + max(row.max_tokens for row in rows)), np.int64)
    for i, prompt in enumerate(prompts):
        padding = longest - (len(prompt) - common)
        rest[i, padding:] = prompt[common:]
        seen[i, common : common + padding] = 0
    ids, mask = torch.from_numpy(rest).to(device), torch.from_numpy(seen).to(device)
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    padded, length, alive = bool((seen == 0).any()), common, list(rows)
    while alive:
        width = ids.shape[1]
        states = head.states(
            input_ids=ids,
            attention_mask=mask[:, : length + width] if padded or common else None,
            position_ids=positions[:, length : length + width],
            past_key_values=cache,
            use_cache=True,
        )
        length += width
        logits = head.logits(states[:, -1])
        if len(logits) < len(alive):  # the first pass: from here on the samples of one prompt go apart
            index = torch.tensor(prompt_of_row, device=device)
            cache.batch_select_indices(index)
            logits, mask, positions = logits[index], mask[index], positions[index]
        chosen = [row.take(logits[i], vocabulary, end) for i, row in enumerate(alive)]
        going = [i for i, row in enumerate(alive) if not row.finish]
        alive = [alive[i] for i in going]
        ids = torch.tensor([[chosen[i]] for i in going], dtype=torch.long, device=device)
        if alive and len(going) < len(mask):
            index = torch.tensor(going, device=device)
            cache.batch_select_indices(index)
            mask, positions = mask[index], positions[index]


def _generate_whole(head: Head, rows: Sequence[Row], vocabulary: Vocabulary, end: frozenset[int]) -> None:
    """As `generate`, for models that cannot go on from a cache: each token comes from a pass over all text before it.

    Padding stands behind the text, where a causal model cannot see it.
    """
    device = head.model.get_input_embeddings().weight.device
    alive, texts = list(rows), [list(row.ids) for row in rows]
    while alive:
        ids = np.zeros((len(texts), max(map(len, texts))), np.int64)
        for text, row in zip(texts, ids, strict=True):
            row[: len(text)] = text
        states = head.states(input_ids=torch.from_numpy(ids).to(device), use_cache=False)
        last = torch.tensor([len(text) - 1 for text in texts], device=states.device)
        logits = head.logits(states[torch.arange(len(texts), device=states.device), last])
        chosen = [row.take(logits[i], vocabulary, end) for i, row in enumerate(alive)]
        going = [i for i, row in enumerate(alive) if not row.finish]
        texts = [[*texts[i], chosen[i]] for i in going]
        alive = [alive[i] for i in going]


def _distinct(rows: Sequence[Row]) -> tuple[list[list[int]], list[int]]:
    """The different prompts, in order, and which of them each row has."""
    number: dict[tuple[int, ...], int] = {}
    of_row = [number.setdefault(tuple(row.ids), len(number)) for row in rows]
    return [list(ids) for ids in number], of_row


def common_prefix(prompts: Sequence[list[int]]) -> int:
    """How many first tokens all prompts share, short of the last token of the shortest."""
    first, last = min(prompts), max(prompts)
    most = min(len(prompt) for prompt in prompts) - 1
    return next((i for i in range(most) if first[i] != last[i]), most)
