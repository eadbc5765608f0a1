"""Evidence built by hand, with a known rule behind the activations, for the tests of scorers and explainers."""

from __future__ import annotations

import numpy as np

from glossator.evidence import Evidence, Exemplars, ExplainEvidence, UnitStatistics
from glossator.explanations import Explanation, Provenance
from glossator.inputs.tokens import TokenWindows, Vocabulary
from glossator.programs import Clause, Lexicon, Program, Table, Token
from glossator.units import Unit

UNIT = Unit("toy", "mlp.0", 1)
WORDS = tuple(f" w{i}" for i in range(300))
VOCABULARY = Vocabulary("toy", tuple(w.encode() for w in WORDS))
LEXICON = Lexicon.for_windows(VOCABULARY, None)
THRESHOLD = 0.5


def windows_of(
    tokens: np.ndarray, documents: np.ndarray | None = None, lengths: np.ndarray | None = None
) -> TokenWindows:
    """Windows of these tokens (n, width), one document each unless said otherwise; padding is not valid."""
    n, width = tokens.shape
    lengths = np.full(n, width, np.int32) if lengths is None else np.asarray(lengths, np.int32)
    documents = np.arange(n) if documents is None else np.asarray(documents)
    valid = np.arange(width) < lengths[:, None]
    return TokenWindows(tokens.astype(np.int32), lengths, valid, documents.astype(np.int64), np.arange(n), VOCABULARY)


def exemplars_of(windows: TokenWindows, activations: np.ndarray, kinds) -> Exemplars:
    activations = np.where(windows.valid, activations, 0).astype(np.float32)
    kinds = np.full(len(windows), kinds) if isinstance(kinds, str) else np.asarray(kinds)
    return Exemplars(windows, activations, kinds)


def statistics_of(exemplars: Exemplars, threshold: float = THRESHOLD) -> UnitStatistics:
    values = exemplars.activations[exemplars.windows.valid].astype(float)
    rate = float((values > threshold).mean())
    return UnitStatistics(len(values), values.mean(), values.var(), 0.0, 0.0, values.max(), threshold, rate, "fixed")


def evidence_of(explain, calibrate, test, *, select=None, status="ok", reason="") -> Evidence:
    given = ExplainEvidence(UNIT, explain, statistics_of(explain), "fingerprint")
    select = calibrate if select is None else select
    return Evidence(UNIT, given, calibrate, select, test, statistics_of(test), status, reason)


class TokenWorld:
    """A unit that fires on some tokens with a strength each, plus noise; words are drawn with a long tail."""

    def __init__(self, seed: int = 0, noise: float = 0.1, width: int = 64, firing: int = 12):
        self.rng = np.random.default_rng(seed)
        self.noise, self.width = noise, width
        weights = 1 / np.arange(2, 2 + len(WORDS))
        self.probabilities = weights / weights.sum()
        self.strengths = np.zeros(len(WORDS))
        self.strengths[self.rng.choice(len(WORDS), firing, replace=False)] = self.rng.uniform(1, 4, firing)

    def draw(self, top: int, random: int, first_document: int = 0, per_document: int = 1) -> Exemplars:
        """`random` windows as they come and the `top` of ten times as many by their largest activation."""
        pool = top * 10
        tokens = self.rng.choice(len(WORDS), (pool + random, self.width), p=self.probabilities)
        values = self.strengths[tokens] + self.noise * self.rng.normal(size=tokens.shape)
        best = np.argsort(-values[:pool].max(axis=1))[:top]
        rows = np.concatenate([best, np.arange(pool, pool + random)]).astype(int)
        documents = first_document + np.arange(len(rows)) // per_document
        windows = windows_of(tokens[rows], documents, self.rng.integers(self.width // 2, self.width + 1, len(rows)))
        return exemplars_of(windows, values[rows], ["top"] * top + ["random"] * random)

    def evidence(self, test: int = 30, explain_random: int = 200) -> Evidence:
        return evidence_of(
            self.draw(40, explain_random), self.draw(20, 20, 1000), self.draw(test, test, 2000, per_document=2)
        )

    def truth(self, scale: float = 1.0) -> Explanation:
        """The rule itself as an explanation."""
        firing = np.flatnonzero(self.strengths)
        return explanation_of(*(Clause(self.strengths[i] * scale, Token((WORDS[i],))) for i in firing))


def explanation_of(*clauses: Clause, bias: float = 0.0, method: str = "by-hand") -> Explanation:
    return Explanation(UNIT, "by hand", Provenance(method), Program(bias, clauses))


def table_of(values: dict[int, float], default: float = 0.0) -> Explanation:
    """A lookup explanation from token ids to values."""
    return explanation_of(Clause(1.0, Table(tuple((WORDS[i], v) for i, v in values.items()), default)))
