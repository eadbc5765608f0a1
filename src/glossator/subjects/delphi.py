"""Latents that EleutherAI's delphi has cached, as a subject: recorded, explained and scored without the model.

`delphi:FOLDER` is the `latents` folder of a run, or the run's own; each hookpoint in it is a sparse site. Files are
`START_END.safetensors` with `locations` (n, 3) of row, position and latent minus START, `activations` (n,), `tokens`
(rows, positions), and a `config.json` that names the model. Its tokenizer is needed, or another given as
`delphi:FOLDER#TOKENIZER`. Nothing can be run again, so whatever needs new inputs raises `MissingPower`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from glossator.errors import UserError
from glossator.files import fingerprint, read_json
from glossator.formats.base import Said
from glossator.formats.delphi import read_explanations
from glossator.inputs import Inputs, TokenWindows, token_windows
from glossator.subjects.base import BaseSubject, OutputSite, Power, Site, Values

_ENDS = 1 << 20


@dataclass(frozen=True, eq=False)
class _Shard:
    """One file: first latent, and the entry with which each row begins, int64 (rows + 1,)."""

    path: Path
    first: int
    offsets: np.ndarray

    def entries(self, begin: int, end: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Row, position, latent and activation of all entries of these rows."""
        from safetensors import safe_open

        first, last = int(self.offsets[begin]), int(self.offsets[end])
        if first == last:  # of which safetensors makes no slice
            nothing = np.empty(0, np.int64)
            return nothing, nothing, nothing, np.empty(0, np.float32)
        with safe_open(self.path, framework="np") as file:
            places = file.get_slice("locations")[first:last].astype(np.int64)
            values = file.get_slice("activations")[first:last].astype(np.float32)
        return places[:, 0], places[:, 1], places[:, 2] + self.first, values


class DelphiSubject(BaseSubject):
    """Cached latents. tokens int32 (rows, positions); raises `UserError` for files that are not such a cache."""

    powers: frozenset[Power] = frozenset()
    takes = "tokens"
    leaves_out = "special tokens, and the first token of each cached row, on which attention sinks fall"
    in_memory = False

    def __init__(self, folder: Path, tokenizer: str | None = None):
        from glossator.subjects.loading import load_tokenizer

        self.folder = folder / "latents" if (folder / "latents").is_dir() else folder
        places = sorted(p for p in self.folder.glob("*/") if next(p.glob("*_*.safetensors"), None) is not None)
        if not places:
            raise UserError(
                "no cached latents here", value=str(folder), allowed="the folder `latents` of a run of delphi"
            )
        self._files = {place.name: sorted(place.glob("*_*.safetensors"), key=_first_latent) for place in places}
        config = read_json(places[0] / "config.json", "the cache's config", "Get it again")
        named = tokenizer or config.get("model_name")
        if not isinstance(named, str) or not named:
            raise UserError(
                "the cache does not name its model",
                value=str(folder),
                fix="Name its tokenizer: delphi:FOLDER#TOKENIZER",
            )
        self.name = f"delphi-{named.rstrip('/').rpartition('/')[2]}"
        self.tokenizer = load_tokenizer(named)
        self.tokens = self._read_tokens()
        self.fingerprint = fingerprint(["delphi", named, [_digest(f) for fs in self._files.values() for f in fs]])
        self._shards: dict[str, list[_Shard]] = {}

    @cached_property
    def _said(self) -> dict[tuple[str, int], tuple[Said, ...]]:
        return read_explanations(self.folder.parent)

    def said(self, site: str, index: int) -> tuple[Said, ...]:
        return self._said.get((site, index), ())

    def sites(self) -> list[Site]:
        return [self.site(name) for name in self._files]

    def site(self, name: str) -> Site:
        if name not in self._files:
            return super().site(name)
        width = 1 + max(_last_latent(file) for file in self._files[name])
        return OutputSite(name, width, None, "sparse")

    def windows(self, width: int, max_tokens: int | None = None) -> TokenWindows:
        """The cached rows cut into windows of `width` tokens, each row a document; max_tokens: of so many in all."""
        rows, positions = self.tokens.shape
        parts = -(-positions // width)
        if max_tokens is not None:
            rows = max(1, min(rows, max_tokens // positions))
        padded = np.zeros((rows, parts * width), np.int32)
        padded[:, :positions] = self.tokens[:rows]
        lengths = np.tile(np.minimum(positions - width * np.arange(parts), width), rows).astype(np.int32)
        return TokenWindows(
            tokens=padded.reshape(-1, width),
            lengths=lengths,
            valid=np.arange(width) < lengths[:, None],
            documents=np.repeat(np.arange(rows, dtype=np.int64), parts),
            ids=np.arange(rows * parts, dtype=np.int64),
            vocabulary=self.tokenizer.vocabulary,
        )

    def counted(self, inputs: Inputs) -> TokenWindows:
        windows = token_windows(inputs)
        special = np.isin(windows.tokens, np.fromiter(windows.vocabulary.special, np.int64))
        valid = windows.valid & ~special
        valid[self._place(windows)[1] == 0, 0] = False
        return replace(windows, valid=valid)

    def visit(self, inputs: Inputs, sites: Sequence[str], see: Callable[[str, Values], Any]) -> None:
        """For each site the activations and numbers of active latents, both (windows, width, k), padded with zeros."""
        import torch

        windows = token_windows(inputs)
        rows, starts = self._place(windows)
        begin, end = int(rows.min()), int(rows.max()) + 1
        shape = (len(windows), windows.width)
        window_of = np.full((end - begin, -(-self.tokens.shape[1] // windows.width)), -1)
        window_of[rows - begin, starts // windows.width] = np.arange(len(windows))
        for site in sites:
            found = [shard.entries(begin, end) for shard in self._of(site)]
            row, position, latent, value = (np.concatenate([part[i] for part in found]) for i in range(4))
            window = window_of[row - begin, position // windows.width]
            place = window * windows.width + position % windows.width
            order = np.argsort(place, kind="stable")
            order = order[np.searchsorted(place[order], 0) :]  # of rows that are not asked for
            place, latent, value = place[order], latent[order], value[order]
            counts = np.bincount(place, minlength=shape[0] * shape[1])
            rank = np.arange(len(place)) - (np.cumsum(counts) - counts)[place]
            values = np.zeros((counts.size, max(1, int(counts.max()))), np.float32)
            numbers = np.zeros(values.shape, np.int64)
            values[place, rank], numbers[place, rank] = value, latent
            see(site, tuple(torch.from_numpy(a.reshape(*shape, -1)) for a in (values, numbers)))

    def _place(self, windows: TokenWindows) -> tuple[np.ndarray, np.ndarray]:
        """The row of each window, and the position in it at which the window begins."""
        parts = -(-self.tokens.shape[1] // windows.width)
        rows, starts = windows.ids // parts, windows.ids % parts * windows.width
        if len(rows) and (rows.min() < 0 or rows.max() >= len(self.tokens)):
            raise UserError("a window is not of this cache", value=int(windows.ids.max()))
        return rows, starts

    def _of(self, site: str) -> list[_Shard]:
        """The files of a site with where each row begins, read once."""
        if site not in self._shards:
            self._shards[site] = [self._opened(file) for file in self._files[site]]
        return self._shards[site]

    def _opened(self, file: Path) -> _Shard:
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(file, framework="np") as opened:
                places, values = opened.get_tensor("locations"), opened.get_slice("activations")
                size = values.get_shape()
        except (SafetensorError, OSError, ValueError) as error:
            raise UserError("the cache cannot be read", value=str(file), fix=f"It is damaged: {error}") from error
        if places.ndim != 2 or places.shape[1] != 3 or size != [len(places)]:
            raise UserError("the cache has a wrong shape", value=f"{file}: {places.shape} and {size}")
        row = places[:, 0].astype(np.int64)
        most = places.max(axis=0).astype(np.int64) if len(places) else np.zeros(3, np.int64)
        last = [*self.tokens.shape, _last_latent(file) - _first_latent(file) + 1]
        if (most >= last).any():
            raise UserError("the cache holds places that it has no tokens or latents for", value=str(file))
        if (np.diff(row) < 0).any():
            raise UserError("the rows of the cache are not in order", value=str(file))
        return _Shard(file, _first_latent(file), np.searchsorted(row, np.arange(len(self.tokens) + 1)))

    def _read_tokens(self) -> np.ndarray:
        from safetensors import SafetensorError, safe_open

        found: np.ndarray | None = None
        for files in self._files.values():
            try:
                with safe_open(files[0], framework="np") as file:
                    tokens = file.get_tensor("tokens").astype(np.int32)
            except (SafetensorError, OSError, ValueError) as error:
                raise UserError("the cache holds no tokens", value=str(files[0]), fix=f"{error}") from error
            if found is not None and not np.array_equal(found, tokens):
                raise UserError("the hookpoints of the cache are of different texts", value=str(self.folder))
            found = tokens
        assert found is not None
        known = len(self.tokenizer.vocabulary)
        if found.ndim != 2 or not found.size or found.min() < 0 or found.max() >= known:
            raise UserError(
                "the tokens of the cache are not of this tokenizer", value=self.name, allowed=f"0 to {known - 1}"
            )
        return found


def _first_latent(file: Path) -> int:
    return _ends(file)[0]


def _last_latent(file: Path) -> int:
    return _ends(file)[1]


def _ends(file: Path) -> tuple[int, int]:
    first, _, last = file.stem.partition("_")
    if not first.isdigit() or not last.isdigit():
        raise UserError("a file of the cache has another name", value=str(file), allowed="START_END.safetensors")
    return int(first), int(last)


def _digest(file: Path) -> list[Any]:
    """What tells a file from another one without reading all of it: name, size, both ends."""
    digest, size = hashlib.sha256(), file.stat().st_size
    with open(file, "rb") as handle:
        digest.update(handle.read(_ENDS))
        handle.seek(max(0, size - _ENDS))
        digest.update(handle.read(_ENDS))
    return [f"{file.parent.name}/{file.name}", size, digest.hexdigest()]
