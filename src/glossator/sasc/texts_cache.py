"""Numbers of texts on disk, by content: what a module or an embedder once gave for a string is not computed again.

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

from glossator.embedders import Embedder
from glossator.errors import UserError
from glossator.files import write_array

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
        self._shards: dict[Path, np.ndarray] = {}
        self._keys = np.empty((0, 2), np.uint64)
        self._where = np.empty((0, 2), np.int64)
        self._order: list[Path] = []
        self.refresh()

    def __len__(self) -> int:
        return len(self._keys)

    def refresh(self) -> None:
        """Take in what other processes have written meanwhile."""
        for path in sorted(self.folder.glob("*.npy")):
            if path not in self._shards and (shard := _read(path)) is not None:
                self._take_in(path, shard)

    def _take_in(self, path: Path, shard: np.ndarray) -> None:
        if self._order and shard.dtype != self._shards[self._order[0]].dtype:
            return
        where = np.stack([np.full(len(shard), len(self._order)), np.arange(len(shard))], axis=1)
        self._shards[path] = shard
        self._order.append(path)
        keys = np.concatenate([self._keys, np.asarray(shard["key"])])
        where = np.concatenate([self._where, where])
        order = np.lexsort((keys[:, 1], keys[:, 0]))
        keys, where = keys[order], where[order]
        new = np.ones(len(keys), dtype=bool)
        new[1:] = (keys[1:] != keys[:-1]).any(1)
        self._keys, self._where = keys[new], where[new]

    def get(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Which texts are known, bool (n,), and the rows of those that are, (known, width)."""
        if not len(self._keys) or not len(texts):
            return np.zeros(len(texts), dtype=bool), np.empty((0, 0))
        wanted = _keys_of(texts)
        place = np.minimum(np.searchsorted(self._keys[:, 0], wanted[:, 0]), len(self._keys) - 1)
        known = (self._keys[place] == wanted).all(1)
        where = self._where[place[known]]
        first = self._shards[self._order[0]]["value"]
        rows = np.empty((len(where), first.shape[1]), first.dtype)
        for number in np.unique(where[:, 0]):
            mine = where[:, 0] == number
            rows[mine] = self._shards[self._order[number]]["value"][where[mine, 1]]
        return known, rows

    def put(self, texts: Sequence[str], values: np.ndarray) -> None:
        """Write rows (n, width) of distinct texts in one shard.

        Raises `UserError` when the width or type differs from what is there: the fingerprint then stands for two
        different modules.
        """
        if not len(texts):
            return
        shard = np.empty(
            len(texts), dtype=[("key", "<u8", (2,)), ("value", values.dtype.newbyteorder("<"), (values.shape[1],))]
        )
        if self._order and shard.dtype != self._shards[self._order[0]].dtype:
            raise UserError(
                "cached responses of this fingerprint have another shape",
                value=str(self.folder),
                fix="Give the module a fingerprint of its own, or remove the folder",
            )
        shard["key"], shard["value"] = _keys_of(texts), values
        # Named by its texts: two processes that compute the same shard write the same file.
        path = self.folder / f"{hashlib.blake2b(shard['key'].tobytes(), digest_size=12).hexdigest()}.npy"
        write_array(path, shard)
        if (written := _read(path)) is not None:
            self._take_in(path, written)

    def through(self, texts: Sequence[str], compute: Callable[[list[str]], np.ndarray]) -> np.ndarray:
        """Rows of all texts: known ones from disk, the others computed in one call and written."""
        known, rows = self.get(texts)
        if known.all() and len(known):
            return rows
        missing = [text for text, there in zip(texts, known, strict=True) if not there]
        distinct = list(dict.fromkeys(missing))
        fresh = compute(distinct)
        self.put(distinct, fresh)
        if not known.any() and len(distinct) == len(texts):
            return fresh
        row_of = {text: row for row, text in enumerate(distinct)}
        found = np.empty((len(texts), fresh.shape[1]), fresh.dtype)
        if known.any():
            found[known] = rows
        found[~known] = fresh[[row_of[text] for text in missing]]
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


def _read(path: Path) -> np.ndarray | None:
    """A shard, mapped; None when it is damaged, so that its texts are computed again."""
    try:
        shard = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    whole = shard.ndim == 1 and shard.dtype.names == ("key", "value") and shard.dtype["value"].ndim == 1
    return shard if whole else None
