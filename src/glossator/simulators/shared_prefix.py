"""Efficient in-process prompting: the common prefix of many texts is computed once, and logits only where a level is
read and only of the levels.

Results equal those of a plain pass over the whole prompt, up to the order of floating-point sums. Models whose layers
do not keep all tokens (sliding windows, recurrent state), or that do not accept a custom mask, get whole prompts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from glossator.errors import MODEL_FAILS, MissingPower
from glossator.language_models.in_process import InProcess
from glossator.language_models.in_process_attention import beginning
from glossator.language_models.in_process_cache import can_share, goes_on, new_cache, shared

QUERIES_AT_ONCE = 4096
"""Tokens in one pass, prefix not counted."""


@dataclass(frozen=True, eq=False)
class Asked:
    """One text to run after a prefix. ids (q,) token ids; positions (q,) from 0 at the end of the prefix, equal ones
    where branches go apart; sees (q, q) bool: which of these tokens each one attends to, itself included; None if
    every token sees all before it; read (t,) the places in ids whose states are wanted."""

    ids: np.ndarray
    read: np.ndarray
    positions: np.ndarray | None = None
    sees: np.ndarray | None = None


class SharedPrefix:
    """A beginning of token ids and its keys and values; see `states`."""

    def __init__(self, lm: InProcess, ids: Sequence[int]):
        self.lm, self.ids = lm, list(ids)
        self._cache: Any = new_cache(lm.model) if shares_prefixes(lm) else None
        if self.is_shared:
            self._extend(self.ids, 0)

    @property
    def is_shared(self) -> bool:
        return self._cache is not None

    def then(self, ids: Sequence[int]) -> SharedPrefix:
        """A longer prefix; this one stays, and is not computed again."""
        found = SharedPrefix.__new__(SharedPrefix)
        found.lm, found.ids = self.lm, [*self.ids, *ids]
        found._cache = None if self._cache is None else shared(self._cache, 1, self.lm.model)
        if found._cache is not None:
            found._extend(list(ids), len(self.ids))
        return found

    def logits(self, asked: Sequence[Asked], answers: Sequence[int]) -> list[np.ndarray]:
        """Logits of the answers at the wanted places of each text: (t, answers) float64.

        Raises `MissingPower` for a text that does not fit the model behind the prefix.
        """
        self._refuse_what_does_not_fit(asked)
        wanted = torch.tensor(list(answers), device=self.lm.device)
        found: list[np.ndarray] = [np.empty(0)] * len(asked)
        for batch in self._batches(asked):
            with torch.inference_mode():
                states = self._states([asked[i] for i in batch])
                rows = np.repeat(np.arange(len(batch)), [len(asked[i].read) for i in batch])
                places = np.concatenate([asked[i].read for i in batch])
                at = torch.from_numpy(rows), torch.from_numpy(places.astype(np.int64))
                logits = self.lm.head.logits(states[at], wanted).double().cpu().numpy()
            ends = np.cumsum([len(asked[i].read) for i in batch])[:-1]
            for i, of_text in zip(batch, np.split(logits, ends), strict=True):
                found[i] = of_text
        return found

    def _refuse_what_does_not_fit(self, asked: Sequence[Asked]) -> None:
        last = max((len(a.ids) if a.positions is None else int(a.positions.max()) + 1 for a in asked), default=0)
        if self.lm.context is not None and len(self.ids) + last > self.lm.context:
            raise MissingPower(
                f"windows too wide for {self.lm.name}",
                value=f"{len(self.ids)} tokens of the prompt and {last} of the window",
                allowed=f"{self.lm.context} together",
                fix="Use narrower windows, or a simulator with a longer context",
            )

    def _extend(self, ids: list[int], done: int) -> None:
        if not ids:
            return
        device = self.lm.device
        with torch.inference_mode():
            self.lm.head.states(
                input_ids=torch.tensor([ids], device=device),
                attention_mask=_causal(len(ids), done, device)[None, None],
                position_ids=torch.arange(done, done + len(ids), device=device)[None],
                past_key_values=self._cache,
                use_cache=True,
            )

    def _batches(self, asked: Sequence[Asked]) -> list[list[int]]:
        """Texts of like length together, as many as are computed at once; the same for the same texts."""
        order = sorted(range(len(asked)), key=lambda i: len(asked[i].ids))
        batches: list[list[int]] = []
        for i in order:
            width = len(asked[i].ids)
            most = min(QUERIES_AT_ONCE // width, self.lm.batch_tokens // (len(self.ids) + width)) if width else 1
            if not batches or len(batches[-1]) >= max(most, 1):
                batches.append([])
            batches[-1].append(i)
        return batches

    def _states(self, batch: list[Asked]) -> torch.Tensor:
        """States of the texts' tokens (rows, longest, d), prefix left out."""
        device, before = self.lm.device, len(self.ids)
        width = max(len(asked.ids) for asked in batch)
        ids = np.zeros((len(batch), width), np.int64)
        positions = np.tile(np.arange(width), (len(batch), 1))
        for row, asked in enumerate(batch):
            ids[row, : len(asked.ids)] = asked.ids
            if asked.positions is not None:
                positions[row, : len(asked.ids)] = asked.positions
        if self._cache is None:
            return self._whole(ids)
        with beginning(self.lm.model, self._cache) as cache:
            return self.lm.head.states(
                input_ids=torch.from_numpy(ids).to(device),
                attention_mask=self._mask(batch, width),
                position_ids=torch.from_numpy(positions + before).to(device),
                past_key_values=cache,
                use_cache=True,
            )

    def _mask(self, batch: list[Asked], width: int) -> torch.Tensor | None:
        """What is added to the scores among each row's tokens, (rows, 1, width, width); None if all are causal.

        Padding stands at the end and is seen by nothing before it.
        """
        if all(asked.sees is None for asked in batch):
            return None
        sees = np.tile(np.tri(width, dtype=bool), (len(batch), 1, 1))
        for row, asked in enumerate(batch):
            if asked.sees is not None:
                n = len(asked.ids)
                sees[row, :n, :n] = asked.sees
        added = torch.zeros(sees.shape, dtype=self.lm.model.dtype)
        return added.masked_fill_(torch.from_numpy(~sees), float("-inf"))[:, None].to(self.lm.device)

    def _whole(self, ids: np.ndarray) -> torch.Tensor:
        """The plain way: every row with its prefix, causal; for texts without branches."""
        start = np.tile(np.array(self.ids, np.int64), (len(ids), 1))
        whole = torch.from_numpy(np.concatenate([start, ids], axis=1)).to(self.lm.device)
        return self.lm.head.states(input_ids=whole, use_cache=False)[:, len(self.ids) :]


def _causal(width: int, before: int, device: Any) -> torch.Tensor:
    """(width, before + width) bool: all that stands before, and up to itself."""
    return torch.ones((width, before + width), dtype=torch.bool, device=device).tril(before)


def shares_prefixes(lm: InProcess) -> bool:
    """Whether texts can continue from one kept prefix, with branches; otherwise whole prompts are run."""
    return goes_on(lm.head) and can_share(new_cache(lm.model)) and takes_masks(lm)


def takes_masks(lm: InProcess) -> bool:
    """Whether the model respects a custom mask, positions and a kept prefix; tried once, on five tokens."""
    if lm.takes_masks is None:
        with torch.inference_mode():
            lm.takes_masks = _try_masks(lm)
    return lm.takes_masks


def _try_masks(lm: InProcess) -> bool:
    """Two branches from one beginning in one pass, against each of them alone."""
    some = min(lm.head.size, 16)
    start, main, left, right = ([k % some] for k in (3, 5, 7, 11))
    alone = [lm.head.states(input_ids=torch.tensor([start + main + end], device=lm.device)) for end in (left, right)]
    found = SharedPrefix.__new__(SharedPrefix)
    found.lm, found.ids, found._cache = lm, start, new_cache(lm.model)
    sees = np.array([[True, False, False], [True, True, False], [True, False, True]])
    asked = Asked(np.array(main + left + right), np.arange(3), np.array([0, 1, 1]), sees)
    try:
        found._extend(start, 0)
        states = found._states([asked])[0]
    except MODEL_FAILS:
        return False
    wanted = torch.stack([alone[0][0, 1], alone[0][0, 2], alone[1][0, 2]])
    return torch.allclose(states, wanted, rtol=2e-2, atol=2e-2 * float(wanted.abs().max()))
