"""A clean run that is kept, so that edits can be tried beside it one by one, each chosen by what the last one did."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from glossator.causal.edits import Edit, bind, check_outputs, editing
from glossator.causal.restart import restart_of
from glossator.causal.running import BATCH_TOKENS, batches, log_softmax, next_logits
from glossator.errors import UserError
from glossator.subjects.hooks import keeping, watch
from glossator.windows import TokenWindows


class CleanRun:
    """Next-token log-probabilities of windows, and the residual stream where passes under edits of `sites` start.

    Holds one number for every token and member of the vocabulary, so it is meant for some hundred tokens. Raises
    `UserError` for windows without a valid token, `MissingPower` as `run` does.
    """

    def __init__(
        self, subject: Any, windows: TokenWindows, sites: Sequence[str], *, batch_tokens: int = BATCH_TOKENS
    ) -> None:
        check_outputs(subject)
        if not windows.valid.any():
            raise UserError("no valid tokens to act on", value=f"{len(windows)} windows")
        self.subject, self.windows = subject, windows
        self._middle = restart_of(subject)
        starts = sorted({self._start([subject.site(site)]) for site in sites} - {0})
        self._kept: list[tuple[np.ndarray, torch.Tensor, dict[str, torch.Tensor]]] = []
        for some in batches(windows, None, batch_tokens):
            streams: dict[str, torch.Tensor] = {}
            wanted = [self._middle.stream(layer) for layer in starts] if self._middle else []
            with torch.inference_mode(), watch(subject.model, wanted, keeping(streams)):
                logits = next_logits(subject, windows, some)
            self._kept.append((some, log_softmax(logits), streams))

    def under(self, edits: Sequence[Edit]) -> Iterator[tuple[np.ndarray, torch.Tensor, torch.Tensor]]:
        """Batch by batch (rows, clean log-probabilities, those under the edits), (b, w, V) each."""
        bound = bind(self.subject, edits, self.windows)
        start = self._start([edit.site for edit in bound])
        for some, clean, streams in self._kept:
            begin: Any = contextlib.nullcontext()
            if self._middle is not None and start and self._middle.stream(start).name in streams:
                begin = self._middle.start(start, streams[self._middle.stream(start).name])
            with torch.inference_mode(), begin, editing(self.subject, bound, some):
                logits = next_logits(self.subject, self.windows, some)
            yield some, clean, log_softmax(logits)

    def clean(self) -> Iterator[tuple[np.ndarray, torch.Tensor]]:
        """Batch by batch (rows, clean log-probabilities)."""
        for some, log_probs, _ in self._kept:
            yield some, log_probs

    def _start(self, sites: Sequence[Any]) -> int:
        """The block at which a pass may start whose edits are at these sites, 0 for a whole pass."""
        layers = [None if self._middle is None else self._middle.layer(site) for site in sites]
        return 0 if None in layers else min((layer for layer in layers if layer is not None), default=0)
