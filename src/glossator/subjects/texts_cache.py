"""Per-text values on disk, keyed by content: nothing is computed twice for the same string.

A folder a fingerprint (of the module, not of a corpus), in it shards that are written whole and renamed, each an array
of (hash of the text, values). A killed run leaves whole shards only; what they hold is read by the next one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from glossator.errors import UserError
from glossator.files import read_array, write_array
from glossator.subjects.embedders import Embedder

_NAME = re.compile(r"[A-Za-z0-9._-]{1,80}")


class TextsCache:
    """Rows of numbers by text, for one fingerprint.

    Texts are known by 128 bits of their BLAKE2 hash. All rows have the width and type of the first ones written.
    """

    def __init__(self, folder: str | Path, fingerprint: str):
        if not _NAME.fullmatch(fingerprint) or fingerprint.startswith("."):
            digest = hashlib.blake2b(fingerprint.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
            fingerprint = f"x{digest}"
        self.folder = Path(folder).expanduser() / fingerprint
        self._shards: list[np.ndarray] = []
        self._known: set[Path] = set()
        # Sorted keys with (shard, row) of each, in parts of which each is less than half of the one before.
        self._index: list[tuple[np.ndarray, np.ndarray]] = []
        self.refresh()

    def __len__(self) -> int:
        return len(_merged(self._index)[0]) if self._index else 0

    def refresh(self) -> None:
        """Read what other processes have written meanwhile."""
        fresh = [path for path in sorted(self.folder.glob("*.npy")) if path not in self._known]
        parts = [part for path in fresh if (part := self._opened(path)) is not None]
        if parts:
            self._add(_merged(parts))

    def _opened(self, path: Path) -> tuple[np.ndarray, np.ndarray] | None:
        shard = _read(path)
        if shard is None or (self._shards and shard.dtype != self._shards[0].dtype):
            return None
        where = np.stack([np.full(len(shard), len(self._shards)), np.arange(len(shard))], axis=1)
        self._shards.append(shard)
        self._known.add(path)
        return np.array(shard["key"]), where

    def _add(self, part: tuple[np.ndarray, np.ndarray]) -> None:
        self._index.append(_merged([part]))
        while len(self._index) > 1 and len(self._index[-2][0]) <= 2 * len(self._index[-1][0]):
            last = self._index.pop()
            self._index[-1] = _merged([self._index[-1], last])

    def get(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Which texts are known, bool (n,), and the rows of those that are, (known, width)."""
        return self._get(_keys_of(texts))

    def _get(self, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        where = np.full((len(wanted), 2), -1)
        for keys, places in self._index:
            place = np.minimum(np.searchsorted(keys[:, 0], wanted[:, 0]), len(keys) - 1)
            here = (keys[place] == wanted).all(1)
            where[here] = places[place[here]]
        known = where[:, 0] >= 0
        where = where[known]
        if not len(where):
            return known, np.empty((0, 0))
        first = self._shards[0]["value"]
        rows = np.empty((len(where), first.shape[1]), first.dtype)
        for number in np.unique(where[:, 0]):
            mine = where[:, 0] == number
            rows[mine] = self._shards[number]["value"][where[mine, 1]]
        return known, rows

    def put(self, texts: Sequence[str], values: np.ndarray) -> None:
        """Write rows (n, width) of distinct texts in one shard.

        Raises `UserError` when the width or type differs from what is there: the fingerprint then stands for two
        different modules.
        """
        if len(texts):
            self._put(_keys_of(texts), values)

    def _put(self, keys: np.ndarray, values: np.ndarray) -> None:
        kind = [("key", "<u8", (2,)), ("value", values.dtype.newbyteorder("<"), (values.shape[1],))]
        shard = np.empty(len(keys), dtype=kind)
        if self._shards and shard.dtype != self._shards[0].dtype:
            raise UserError(
                "cached responses of this fingerprint have another shape",
                value=str(self.folder),
                fix="Give the module its own fingerprint, or remove the folder",
            )
        shard["key"], shard["value"] = keys, values
        # Named by its texts: two processes that compute the same shard write the same file.
        path = self.folder / f"{hashlib.blake2b(shard['key'].tobytes(), digest_size=12).hexdigest()}.npy"
        write_array(path, shard)
        if (part := self._opened(path)) is not None:
            self._add(part)

    def through(self, texts: Sequence[str], compute: Callable[[list[str]], np.ndarray]) -> np.ndarray:
        """Rows of all texts: known ones from disk, the others computed in one call and written."""
        keys = _keys_of(texts)
        known, rows = self._get(keys)
        if known.all() and len(known):
            return rows
        row_of: dict[str, int] = {}
        missing = np.flatnonzero(~known)
        place = np.array([row_of.setdefault(texts[i], len(row_of)) for i in missing.tolist()], dtype=np.int64)
        first = missing[np.unique(place, return_index=True)[1]]
        fresh = compute(list(row_of))
        self._put(keys[first], fresh)
        if len(first) == len(texts):
            return fresh
        found = np.empty((len(texts), fresh.shape[1]), fresh.dtype)
        if known.any():
            found[known] = rows
        found[missing] = fresh[place]
        return found


class CachedEmbedder:
    """An embedder that keeps its vectors in a folder: 4 bytes a dimension and 16 a text (1.5 KB for MiniLM)."""

    def __init__(self, embedder: Embedder, folder: str | Path):
        self.embedder = embedder
        self.name, self.fingerprint, self.width = embedder.name, embedder.fingerprint, embedder.width
        self._cache = TextsCache(folder, embedder.fingerprint)

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """(n, width) float32, rows of length 1, in the order of the texts; an empty text is a zero row."""
        if not len(texts):
            return np.empty((0, self.width), np.float32)
        return self._cache.through(texts, self.embedder.embed)

    def __getattr__(self, name: str) -> Any:
        if name == "embedder":
            raise AttributeError(name)
        return getattr(self.embedder, name)


def _keys_of(texts: Sequence[str]) -> np.ndarray:
    digests = b"".join(hashlib.blake2b(t.encode("utf-8", "surrogatepass"), digest_size=16).digest() for t in texts)
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64).reshape(-1, 2)


def _merged(parts: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Sorted distinct keys, and the first place of each."""
    keys = np.concatenate([keys for keys, _ in parts])
    where = np.concatenate([where for _, where in parts])
    order = np.lexsort((keys[:, 1], keys[:, 0]))
    keys, where = keys[order], where[order]
    new = np.ones(len(keys), dtype=bool)
    new[1:] = (keys[1:] != keys[:-1]).any(1)
    return keys[new], where[new]


def _read(path: Path) -> np.ndarray | None:
    """A shard, mapped; None when it is damaged, so that its texts are computed again."""
    try:
        shard = read_array(path, "a shard", "", mapped=True)
    except UserError:
        return None
    whole = shard.ndim == 1 and shard.dtype.names == ("key", "value") and shard.dtype["value"].ndim == 1
    return shard if whole else None
