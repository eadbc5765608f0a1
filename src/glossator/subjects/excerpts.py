"""Units of other tools' files as a subject: what they did on the excerpts that a file holds, and nothing else.

A unit is known on its own excerpts alone. What it does on another unit's text is unknown and counts nowhere; the
recording is looked at unit by unit (`glossator.recording.alone`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from glossator.errors import UserError
from glossator.files import digest_of
from glossator.formats import Excerpt, OfUnit, Said, open_units
from glossator.inputs import Inputs, TokenWindows, Vocabulary, token_windows
from glossator.subjects.base import BaseSubject, OutputSite, Power, Site, Values

WIDEST = 1024
"""Tokens of an excerpt that are kept, around its largest activation."""
SPECIAL = frozenset({"<bos>", "<|endoftext|>", "<s>", "<|begin_of_text|>", "<pad>", "[CLS]", "<|im_start|>"})


class ExcerptsSubject(BaseSubject):
    """What a file holds.

    rows: (unit, excerpt), those of a unit together, the largest first and random ones last. Raises `UserError` for a
    file of no known format.
    """

    powers: frozenset[Power] = frozenset()
    takes = "tokens"
    leaves_out = "special tokens at the beginning of an excerpt"
    in_memory = False

    def __init__(self, path: Path, subject: str | None = None):
        self.source = open_units(path, subject)
        self.name = f"{self.source.format}-{self.source.subject.rstrip('/').rpartition('/')[2]}"
        self.units = {(unit.site, unit.index): unit for unit in self.source.units}
        self.rows = [(unit, _cut(one)) for unit in self.source.units for one in _ordered(unit)]
        if not self.rows:
            raise UserError("the file holds no activations", value=str(path), fix="Import the excerpts as well")

        self.fingerprint = self._digest()

    def _digest(self) -> str:
        parts: list[Any] = [self.name]
        for unit, one in self.rows:
            parts += [f"{unit.site}/{unit.index} {one.kind}", "\0".join(one.tokens), one.values]
        return digest_of(*parts)[:16]

    @cached_property
    def texts(self) -> list[str]:
        """The texts of all tokens, sorted."""
        return sorted({token for _, one in self.rows for token in one.tokens})

    @cached_property
    def vocabulary(self) -> Vocabulary:
        special = frozenset(number for number, text in enumerate(self.texts) if text in SPECIAL)
        return Vocabulary(self.name, tuple(text.encode("utf-8", "surrogatepass") for text in self.texts), special)

    def sites(self) -> list[Site]:
        return [self.site(name) for name in dict.fromkeys(site for site, _ in self.units)]

    def site(self, name: str) -> Site:
        indices = [index for site, index in self.units if site == name]
        if not indices:
            return super().site(name)
        return OutputSite(name, 1 + max(indices), None, "sparse")

    def said(self, site: str, index: int) -> tuple[Said, ...]:
        """What the file says of a unit."""
        return self.units[site, index].said if (site, index) in self.units else ()

    def dense(self, site: str) -> bool:
        """Whether its units are rarely silent, so that firing is judged by quantiles and not by being above 0."""
        values = np.concatenate([one.values for unit, one in self.rows if unit.site == site])
        return bool((values < 0).any() or (values == 0).mean() < 0.5)

    def counted(self, inputs: Inputs) -> TokenWindows:
        windows = token_windows(inputs)
        first = np.isin(windows.tokens[:, 0], np.fromiter(windows.vocabulary.special, np.int64))
        valid = windows.valid.copy()
        valid[first & (windows.lengths > 1), 0] = False
        return replace(windows, valid=valid)

    def visit(self, inputs: Inputs, sites: Sequence[str], see: Callable[[str, Values], Any]) -> None:
        """Activations and numbers of the units whose excerpts these are, both (windows, width, 1)."""
        import torch

        windows = token_windows(inputs)
        for site in sites:
            values = np.zeros((len(windows), windows.width, 1), np.float32)
            numbers = np.zeros(values.shape, np.int64)
            for row, number in enumerate(windows.ids.tolist()):
                unit, one = self.rows[number]
                if unit.site == site:
                    values[row, : len(one.values), 0] = one.values
                    numbers[row] = unit.index
            see(site, (torch.from_numpy(values), torch.from_numpy(numbers)))


KINDS = ("top", "interval", "random")


def _ordered(unit: OfUnit) -> list[Excerpt]:
    """The largest first, then by interval, then random ones."""
    return sorted(unit.excerpts, key=lambda one: (KINDS.index(one.kind), -one.largest))


def _cut(one: Excerpt) -> Excerpt:
    if len(one.tokens) <= WIDEST:
        return one
    start = min(max(0, int(np.argmax(one.values)) - WIDEST // 2), len(one.tokens) - WIDEST)
    part = slice(start, start + WIDEST)
    return Excerpt(one.tokens[part], one.values[part], one.kind, one.low, one.high, one.share)
