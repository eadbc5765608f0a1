"""Levels read from an in-process model: whole records or single tokens, with a shared prompt prefix.

Both layouts share this code, so they differ only in what stands between the tokens. If both sides share a tokenizer,
whole records cost about 4 simulator tokens per subject token (the token, a tab, `unknown`, a line break). Single tokens
cost 2: the text runs once, and at each of its tokens there is a branch of one tab, invisible to everything else, at
which the level is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from glossator.inputs.tokens import TokenWindows
from glossator.language_models import LanguageModel
from glossator.simulators import ZERO_TO_TEN, Distribution, Simulation
from glossator.simulators.piece_tokens import PieceTokens, answer_ids, beginning, how_ten_is_written
from glossator.simulators.prompts import (
    BRANCH,
    about,
    all_at_once_start,
    one_at_a_time_start,
    pieces_of,
)
from glossator.simulators.reading import LEVELS, level_words
from glossator.simulators.shared_prefix import Asked, SharedPrefix, shares_prefixes
from glossator.zero_to_ten import START

if TYPE_CHECKING:
    from glossator.language_models.in_process import InProcess


def in_process_model(lm: LanguageModel) -> InProcess | None:
    """The `transformers` model in this process behind `lm`, whatever cache and ledger are around it; None without."""
    if lm.in_process is None:
        return None
    from glossator.language_models.in_process import InProcess

    return lm.in_process if isinstance(lm.in_process, InProcess) else None


def takes_branches(lm: LanguageModel) -> bool:
    """Whether questions about single tokens can branch off one text: in this process, with a model that takes masks."""
    model = in_process_model(lm)
    return model is not None and shares_prefixes(model)


class InProcessReader:
    """Simulates with one model and one layout; what all units share is computed at the first call and kept."""

    def __init__(self, lm: LanguageModel, model: InProcess, *, single: bool, unknown: str, ten: str | None = None):
        self.lm, self.model, self.single = lm, model, single
        self.tokens = PieceTokens(model.tokenizer)
        self.ten = how_ten_is_written(self.tokens) if ten is None else ten
        self.answers = answer_ids(self.tokens, level_words(self.ten))
        self._after = self._plain(BRANCH) if single else self._plain("\t")
        self._rest = self._plain(unknown) + self._plain("\n")
        self._prefix: SharedPrefix | None = None

    @property
    def can_read(self) -> bool:
        """Whether the layout can be had: branches need a model that takes masks."""
        return not self.single or shares_prefixes(self.model)

    @property
    def prefix(self) -> SharedPrefix:
        if self._prefix is None:
            text = one_at_a_time_start(self.ten) if self.single else all_at_once_start(self.ten)
            self._prefix = self._charged(SharedPrefix(self.model, beginning(self.model, text)), 0)
        return self._prefix

    def simulate(self, explanation: str, windows: TokenWindows) -> Simulation:
        """Every token of the windows, in one pass over them; nothing is ever missing."""
        prefix = self._charged(self.prefix.then(self._middle(explanation)), len(self.prefix.ids))
        asked = [self.layout(pieces) for pieces in pieces_of(windows)]
        self.lm.charge(sum(len(text.ids) for text in asked) + (0 if prefix.is_shared else len(asked) * len(prefix.ids)))
        return simulation_of_logits(prefix.logits(asked, self.answers), windows)

    def tokens_of(self, explanation: str, windows: TokenWindows) -> int:
        """How many tokens `simulate` will compute, beside the beginning that all explanations share."""
        middle, of_windows = len(self._middle(explanation)), [len(self.layout(p).ids) for p in pieces_of(windows)]
        if shares_prefixes(self.model):
            return middle + sum(of_windows)
        return sum(of_windows) + len(of_windows) * (middle + len(self.prefix.ids))

    def _middle(self, explanation: str) -> list[int]:
        return self._plain(about(explanation) + ("" if self.single else f"{START}\n"))

    def layout(self, pieces: Sequence[str]) -> Asked:
        """One window as it is run."""
        ids, counts = self.tokens.many(pieces)
        return self._branches(ids, counts) if self.single else self._lines(ids, counts)

    def _lines(self, ids: np.ndarray, counts: np.ndarray) -> Asked:
        tail = np.array(self._after + self._rest, np.int64)
        found = np.empty(len(ids) + len(counts) * len(tail), np.int64)
        ends = np.cumsum(counts + len(tail))
        tails = (ends - len(tail))[:, None] + np.arange(len(tail))
        found[tails] = tail
        found[np.setdiff1d(np.arange(len(found)), tails)] = ids
        return Asked(found, tails[:, len(self._after) - 1])

    def _branches(self, ids: np.ndarray, counts: np.ndarray) -> Asked:
        """First the text, then the branches, one after the other."""
        k, n, main = len(self._after), len(counts), len(ids)
        last = np.cumsum(counts) - 1  # the place of each token's end in the text
        positions = np.concatenate([np.arange(main), (last[:, None] + 1 + np.arange(k)).ravel()])
        branch = np.repeat(np.arange(n), k)
        step = np.tile(np.arange(k), n)
        sees = np.zeros((main + n * k, main + n * k), bool)
        sees[:main, :main] = np.tri(main, dtype=bool)
        sees[main:, :main] = np.arange(main) <= last[branch][:, None]
        sees[main:, main:] = (branch[:, None] == branch) & (step[:, None] >= step)
        read = main + np.arange(1, n + 1) * k - 1
        return Asked(np.concatenate([ids, np.tile(self._after, n)]), read, positions, sees)

    def _plain(self, text: str) -> list[int]:
        return list(self.tokens(text))

    def _charged(self, prefix: SharedPrefix, already: int) -> SharedPrefix:
        self.lm.charge(len(prefix.ids) - already if prefix.is_shared else 0)
        return prefix


def simulation_of_logits(logits: Sequence[np.ndarray], windows: TokenWindows) -> Simulation:
    """Expected levels and their distributions from logits of the 11 levels (t, 11) at the tokens of each window."""
    shares = np.zeros((*windows.tokens.shape, len(LEVELS)), np.float64)
    shares[..., 0] = 1.0  # padding
    for row, values in enumerate(logits):
        if len(values):
            numbers = np.where(np.isfinite(values).all(axis=1, keepdims=True), values, np.nan)
            p = np.exp(numbers - numbers.max(axis=1, keepdims=True))
            shares[row, : len(values)] = p / p.sum(axis=1, keepdims=True)
    levels = np.array(LEVELS, np.float64)
    expected = shares @ levels
    unread = int((np.isnan(expected) & windows.valid).sum())
    missing = {"the outputs of the model are NaN": unread} if unread else {}
    distribution = None if unread else Distribution(np.broadcast_to(levels, shares.shape), shares)
    return Simulation(expected, ZERO_TO_TEN, distribution, missing=missing)
