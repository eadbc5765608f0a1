"""A small language for testing the inducer: 40 topics of 10 made-up words, near each other in the embedding."""

from __future__ import annotations

import numpy as np

from glossator.evidence import Exemplars, ExplainEvidence, UnitStatistics
from glossator.inputs.tokens import TokenWindows, Vocabulary
from glossator.programs import Lexicon
from glossator.units import Unit

SYLLABLES = ("ba", "de", "fi", "go", "hu", "la", "me", "ni", "po", "ru")
WORDS = tuple(f" {a}{b}{c}" for a in SYLLABLES[:4] for b in SYLLABLES for c in SYLLABLES)
VOCABULARY = Vocabulary("made-up", tuple(word.encode() for word in (*WORDS, ",", ".", " the", " The", "ing")))
_rng = np.random.default_rng(7)
_topics = _rng.normal(size=(41, 24))
EMBEDDING = np.array([_topics[min(i // 10, 40)] for i in range(len(VOCABULARY))]) + 0.5 * _rng.normal(
    size=(len(VOCABULARY), 24)
)
LEXICON = Lexicon(VOCABULARY, EMBEDDING.astype(np.float32))
UNIT = Unit("made-up", "site", 0)


def windows_of(seed: int, n: int = 400, width: int = 32) -> TokenWindows:
    """Random text, frequent words more often; two windows a document."""
    rng = np.random.default_rng(seed)
    weights = 1.0 / (5 + np.arange(len(VOCABULARY)) % 97)
    weights[-5:] = 0.1
    tokens = rng.choice(len(VOCABULARY), size=(n, width), p=weights / weights.sum()).astype(np.int32)
    lengths = np.full(n, width, np.int32)
    return TokenWindows(
        tokens, lengths, np.ones((n, width), bool), np.arange(n) // 2 + seed * n, np.arange(n), VOCABULARY
    )


def evidence_of(activations: np.ndarray, windows: TokenWindows) -> ExplainEvidence:
    top = np.argsort(-activations.max(axis=1), kind="stable")[:20]
    kinds = np.full(len(windows), "random", dtype="<U9")
    kinds[top] = "top"
    statistics = UnitStatistics(
        activations.size, float(activations.mean()), float(activations.var()), None, None,
        float(activations.max()), 0.1, float((activations > 0.1).mean()), "above 0.1",
    )  # fmt: skip
    exemplars = Exemplars(windows, activations.astype(np.float32), kinds, np.ones(len(windows), bool))
    return ExplainEvidence(UNIT, exemplars, statistics, "made-up")


def is_in(windows: TokenWindows, *texts: str) -> np.ndarray:
    return np.isin(windows.tokens, [VOCABULARY.ids[text] for text in texts])


def back(truth: np.ndarray, by: int = 1) -> np.ndarray:
    moved = np.zeros_like(truth)
    moved[:, by:] = truth[:, :-by]
    return moved
