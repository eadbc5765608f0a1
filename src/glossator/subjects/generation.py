"""Shared by everything that generates text: where a text ends, and how the next token is drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch


def end_tokens(model: Any) -> frozenset[int]:
    """The ids that end a text, by the model's generation settings and its config; chat models may name several."""
    named = [getattr(c, "eos_token_id", None) for c in (getattr(model, "generation_config", None), model.config)]
    each = (value if isinstance(value, list | tuple) else [value] for value in named)
    return frozenset(i for ids in each for i in ids if isinstance(i, int))


def draw_token(logits: torch.Tensor, temperature: float, rng: np.random.Generator, top_p: float = 1.0) -> int:
    """The next token by logits (V,): the likeliest at temperature 0, otherwise a draw.

    It is drawn by adding Gumbel noise to the logits and taking the largest, so a different order of floating-point
    sums, some 1e-6 of a logit, matters only between two practically tied tokens. A draw from cumulative probabilities
    would depend on the sum over the whole vocabulary.
    """
    if temperature <= 0:
        return int(logits.argmax())
    scores = logits.double().cpu().numpy() / temperature
    noise = rng.gumbel(size=len(scores))
    if top_p < 1:
        p = np.exp(scores - scores.max())
        order = np.argsort(-p, kind="stable")
        left_out = order[int(np.searchsorted(np.cumsum(p[order]), top_p * p.sum())) + 1 :]
        scores[left_out] = -np.inf
    return int(np.argmax(scores + noise))
