"""Small models for the tests of interventions: random ones of several families, and one whose mechanism is planted."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from glossator.subjects import FastTextTokenizer, Subject
from glossator.windows import TokenWindows
from tiny_models import byte_level_tokenizer, tiny_model


@lru_cache(maxsize=1)
def _tokenizer() -> FastTextTokenizer:
    return FastTextTokenizer(byte_level_tokenizer(), "tiny")


def subject_of(family: str, *, prefix: tuple[int, ...] = (0,), double: bool = False) -> Subject:
    """A random model of a family as a subject, made anew; float64 where rounding must not matter."""
    model = tiny_model(family)
    model = model.double() if double else model
    causal = hasattr(model, "lm_head") or hasattr(model, "embed_out")
    return Subject(f"tiny-{family}", model.requires_grad_(False), _tokenizer(), family, causal, prefix)


def tiny_windows(subject: Subject, n: int = 5, width: int = 12, seed: int = 0, short: bool = True) -> TokenWindows:
    """Windows of random tokens, a document each, some shorter than the others."""
    rng = np.random.default_rng(seed)
    tokens = rng.integers(1, 300, (n, width)).astype(np.int32)
    lengths = np.full(n, width, np.int32)
    if short:
        lengths[1::2] = rng.integers(width // 2, width, len(lengths[1::2]))
    valid = np.arange(width) < lengths[:, None]
    numbers = np.arange(n, dtype=np.int64)
    return TokenWindows(tokens * valid, lengths, valid, numbers, numbers, subject.tokenizer.vocabulary)
