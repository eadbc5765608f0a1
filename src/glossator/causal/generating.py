"""Generation under intervention: the model continues prompts with edits in place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from glossator.causal.changes import Splice
from glossator.causal.edits import Edit, bind, check_outputs, seeing_sources
from glossator.errors import UserError
from glossator.inputs.tokens import TokenWindows
from glossator.subjects.generation import draw_token, end_tokens
from glossator.subjects.hooks import edit as hooked
from glossator.subjects.trial import agrees, tried_once

if TYPE_CHECKING:
    from glossator.subjects.transformer import TransformerSubject


def generate(
    subject: TransformerSubject,
    prompts: Sequence[str],
    edits: Sequence[Edit] = (),
    *,
    new_tokens: int = 20,
    temperature: float = 1.0,
    seed: int = 0,
    prompt_too: bool = True,
) -> list[str]:
    """Continue each prompt by `new_tokens` tokens, or until the model ends the text.

    Edits must be the same at every position (no `where`, no `Splice`) and act on what is generated, with `prompt_too`
    on the prompt as well, and on the subject's prefix only where `borders` is set. temperature 0 takes the likeliest
    token. A prompt's text depends on its own number and the seed, not on the prompts beside it.
    Raises `UserError` for prompts that with `new_tokens` go beyond the model's context.
    """
    check_outputs(subject)
    for one in edits:
        if one.where is not None or isinstance(one.change, Splice):
            raise UserError("generation needs edits that are the same at every position", value=one.site)
    if new_tokens < 1 or temperature < 0:
        raise UserError("bad settings for generation", value=f"new_tokens {new_tokens}, temperature {temperature:g}",
                        allowed="new_tokens 1 or more, temperature 0 or more")  # fmt: skip
    encoded = [np.asarray(ids, np.int64) for ids in subject.tokenizer.encode(list(prompts))]
    longest = max((len(ids) for ids in encoded), default=0) + new_tokens
    if subject.max_width is not None and longest > subject.max_width:
        raise UserError("a prompt and its continuation exceed the model's context", value=f"{longest} tokens",
                        allowed=f"at most {subject.max_width}")  # fmt: skip
    found = [""] * len(encoded)
    by_length: dict[int, list[int]] = {}
    for number, ids in enumerate(encoded):
        if not len(ids) and not subject.prefix:
            raise UserError("an empty prompt for a model without a prefix", value=number, fix="Give at least one token")
        by_length.setdefault(len(ids), []).append(number)
    for numbers in by_length.values():
        tokens = np.stack([encoded[i] for i in numbers])
        rngs = [np.random.default_rng([seed, i]) for i in numbers]
        written = _continue(subject, tokens, edits, new_tokens, temperature, rngs, prompt_too)
        for number, ids in zip(numbers, written, strict=True):
            found[number] = subject.tokenizer.vocabulary.join(ids)
    return found


def _continue(
    subject: TransformerSubject,
    prompts: np.ndarray,
    edits: Sequence[Edit],
    new_tokens: int,
    temperature: float,
    rngs: Sequence[np.random.Generator],
    prompt_too: bool,
) -> list[np.ndarray]:
    """Prompts (b, t) of one length -> the tokens that follow each, cut before the end of the text."""
    rows, before = np.arange(len(prompts)), len(subject.prefix)
    ends = sorted(end_tokens(subject.model))
    inputs = torch.tensor([[*subject.prefix, *prompt] for prompt in prompts.tolist()], device=subject.device)
    keeps, position, cache = _keeps_its_past(subject), 0, None
    seen: dict[str, torch.Tensor] = {}
    written: list[np.ndarray] = []
    done = np.zeros(len(prompts), bool)
    first_edited = before if prompt_too else before + prompts.shape[1]

    def hook(bound: Any) -> Any:
        def change(tensor: torch.Tensor) -> torch.Tensor:
            part = bound.part_at(seen, slice(None))
            new = part.write(tensor, bound.change.apply(part.read(tensor), rows))
            keep = max(0, first_edited - position)
            if bound.borders and prompt_too:
                keep = 0
            return torch.cat([tensor[:, :keep], new[:, keep:]], dim=1) if keep else new

        return change

    nothing = np.zeros((len(prompts), 1), np.int32)
    windows = TokenWindows(nothing, nothing[:, 0] + 1, nothing == 0, nothing[:, 0], nothing[:, 0],
                           subject.tokenizer.vocabulary)  # fmt: skip
    bound = bind(subject, edits, windows)
    with torch.inference_mode():
        while len(written) < new_tokens and not done.all():
            kept = {"past_key_values": cache, "use_cache": True} if keeps else {"use_cache": False}
            with _hooked(subject, bound, hook), seeing_sources(subject, bound, seen):
                out = subject.model(input_ids=inputs, **kept)
            if keeps:
                position, cache = position + inputs.shape[1], out.past_key_values
            known = out.logits[:, -1, : len(subject.tokenizer.vocabulary)]  # what is behind pads the output matrix
            drawn = [draw_token(row, temperature, rng) for row, rng in zip(known, rngs, strict=True)]
            chosen = np.array(drawn, np.int64)
            written.append(chosen)
            done |= np.isin(chosen, ends)
            new = torch.from_numpy(chosen).to(subject.device)[:, None]
            inputs = new if keeps else torch.cat([inputs, new], dim=1)
    texts = np.stack(written, axis=1)
    return [row[: int(np.isin(row, ends).argmax())] if np.isin(row, ends).any() else row for row in texts]


def _keeps_its_past(subject: TransformerSubject) -> bool:
    """Whether tokens given one by one, with the keys and values of those before them, get what a whole pass gives.
    Recurrent models hand their state on otherwise: they read the whole text each time."""
    model = subject.model

    def trial() -> bool:
        ids = torch.arange(3, 10, device=subject.device)[None] % len(subject.tokenizer.vocabulary)
        whole, found, cache = model(input_ids=ids, use_cache=False).logits[:, 4:], [], None
        for start, end in ((0, 5), (5, 6), (6, 7)):
            out = model(input_ids=ids[:, start:end], past_key_values=cache, use_cache=True)
            cache = out.past_key_values
            found.append(out.logits[:, -1:])
        return cache is not None and agrees(torch.cat(found, 1), whole)

    return tried_once(model, "keeps its past", trial, False)


def _hooked(subject: TransformerSubject, bound: Sequence[Any], hook: Any) -> Any:
    import contextlib

    stack = contextlib.ExitStack()
    for one in bound:
        stack.enter_context(hooked(subject.model, one.site, hook(one)))
    return stack
