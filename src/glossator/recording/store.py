"""The recording's files: arrays written in chunks, folders that appear whole or not at all, and their checks.

A shard is a folder written under a hidden name and renamed when complete; the manifest of the recording is written
last. Killing the process at any moment therefore leaves whole shards, and hidden leftovers that are removed.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import shutil
import struct
import tokenize
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from glossator.errors import UserError
from glossator.files import ONE_HEADER, write_json
from glossator.recording.disk import BLOCK, LargeFile, read_at

PART = ".part"
PANEL, PIECE = "panel.npy", "panel_piece.npy"
SHARD = "shard.json"

Checksums: TypeAlias = dict[Path, int]
"""CRC-32 of files, from when they were written."""


@dataclass(frozen=True)
class Shard:
    """A finished shard: its folder, and the window rows that it holds."""

    folder: Path
    first: int
    end: int


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn a full or read-only disk into a `UserError` that names the folder."""
    try:
        yield
    except OSError as error:
        raise UserError(
            "cannot write the recording",
            value=str(path),
            fix=f"{error.strerror or error}; free space or choose another folder, then record again to resume",
        ) from error


LARGE = 8 << 20  # bytes from which a file goes past the page cache
DIRECT_READ = 128 << 10  # bytes from which a read does


def header_of(dtype: Any, shape: tuple[int, ...]) -> bytes:
    """The header of a `.npy` file: NumPy's own, filled up to a whole block, so that the values start at one."""
    made = io.BytesIO()
    header = {"descr": np.lib.format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(made, header)
    start = len(np.lib.format.magic(1, 0)) + 2
    text = made.getvalue()[start:].rstrip()
    return np.lib.format.magic(1, 0) + struct.pack("<H", BLOCK - start) + text.ljust(BLOCK - start - 1) + b"\n"


class ArrayWriter:
    """A `.npy` file written piece by piece, in order; its checksum is put in `checksums` when it is closed."""

    def __init__(self, path: Path, dtype: Any, shape: tuple[int, ...], checksums: Checksums):
        self.path, self.dtype, self._shape = path, np.dtype(dtype), shape
        self._left = math.prod(shape) * self.dtype.itemsize
        self._crc, self._checksums = 0, checksums
        self._file: Any = LargeFile(path) if self._left >= LARGE else open(path, "wb")  # noqa: SIM115 - see `close`
        self._pass_on(header_of(self.dtype, shape))

    def _pass_on(self, data: bytes | memoryview) -> None:
        self._crc = zlib.crc32(data, self._crc)
        self._file.write(data)

    def write(self, piece: np.ndarray) -> None:
        data = np.ascontiguousarray(piece, dtype=self.dtype)
        self._left -= data.nbytes
        if data.nbytes:
            self._pass_on(data.reshape(-1).view(np.uint8).data)

    @property
    def closed(self) -> bool:
        return self._file.closed

    def abandon(self) -> None:
        """Close the file as it is, unused."""
        if isinstance(self._file, LargeFile):
            self._file.abandon()
        else:
            self._file.close()

    def close(self) -> None:
        self._file.close()
        if self._left:
            raise RuntimeError(f"{self.path.name}: {-self._left} bytes more than its shape {self._shape}")
        self._checksums[self.path] = self._crc

    def __enter__(self) -> ArrayWriter:
        return self

    def __exit__(self, kind: Any, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self.abandon()


def save(path: Path, array: np.ndarray, checksums: Checksums) -> None:
    with ArrayWriter(path, array.dtype, array.shape, checksums) as writer:
        writer.write(array)


def offsets_of(counts: np.ndarray) -> np.ndarray:
    """int64 (n + 1,): where each of n lists of these lengths starts, and where the last one ends."""
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


class ArrayReader:
    """Rows of a `.npy` file by plain reads: unlike a memory map it does not grow the resident memory."""

    def __init__(self, path: Path):
        self.path = path
        with reading(path), open(path, "rb") as file, ONE_HEADER:
            version = np.lib.format.read_magic(file)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            self.shape, _, self.dtype = read(file)
            self._start = file.tell()
        self._row = int(np.prod(self.shape[1:], dtype=np.int64)) * self.dtype.itemsize

    def read(self, first: int, end: int) -> np.ndarray:
        array = np.empty((end - first, *self.shape[1:]), self.dtype)
        self.read_into(first, array)
        return array

    def read_into(self, first: int, array: np.ndarray) -> None:
        """Fill a contiguous array with the rows from `first` on."""
        view, start = array.reshape(-1).view(np.uint8), self._start + int(first) * self._row
        with reading(self.path):
            if len(view) >= DIRECT_READ:
                done = read_at(self.path, start, view)
            else:
                with open(self.path, "rb") as file:
                    file.seek(start)
                    done = file.readinto(view.data)
        if done < len(view):
            raise damaged(self.path, "it is cut short")

    def all(self) -> np.ndarray:
        return self.read(0, self.shape[0])


PARSING = (ValueError, LookupError, TypeError, AttributeError, RecursionError, EOFError, SyntaxError, OverflowError,
           tokenize.TokenError)  # fmt: skip
"""What reading JSON or the header of an array raises where they do not hold what they should."""


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn an error while reading a file into a `UserError`; only a file with wrong contents is called damaged."""
    try:
        yield
    except FileNotFoundError as error:
        raise damaged(path, "it is missing") from error
    except OSError as error:
        raise UserError(
            "a file of the recording cannot be read",
            value=str(path),
            fix=f"{error.strerror or error}. It may be intact: check permissions and the disk, then try again",
        ) from error
    except PARSING as error:
        raise damaged(path, f"{type(error).__name__}: {error}") from error


def damaged(path: Path, why: str) -> UserError:
    """The error for a file that has changed since it was written; only its shard or, once finished, the recording is
    lost."""
    shard = next((parent for parent in path.parents if parent.parent.name == "shards"), None)
    whole = next((parent for parent in path.parents if (parent / "manifest.json").exists()), path.parent)
    return UserError(
        f"a file of the recording is damaged ({why})",
        value=str(path),
        fix=f"Delete {'the shard' if shard else 'the recording'} {shard or whole} and record again",
    )


def hidden_folder(final: Path) -> Path:
    """An empty folder beside `final` to fill before `show_folder`."""
    hidden = final.with_name(f".{final.name}{PART}")
    shutil.rmtree(hidden, ignore_errors=True)
    hidden.mkdir(parents=True)
    return hidden


def show_shard(hidden: Path, shard: Shard, checksums: Checksums) -> None:
    """Sync a filled folder, say in it what it holds, and rename it to that of the shard."""
    files = sorted(p for p in hidden.rglob("*") if p.is_file())
    sync(files)
    held = {p.relative_to(hidden).as_posix(): {"size": p.stat().st_size, "crc32": checksums[p]} for p in files}
    write_json(hidden / SHARD, {"first": shard.first, "end": shard.end, "files": held})
    os.rename(hidden, shard.folder)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """A context that only one process can be in at a time, if the file system has locks; others wait."""
    with open(path, "w") as file:
        with contextlib.suppress(ImportError, OSError):
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def sync(files: Iterable[Path]) -> None:
    """Wait until the files are on the disk."""
    for path in files:
        with open(path, "rb") as file:
            os.fsync(file.fileno())


def open_shard(folder: Path) -> Shard:
    """A shard of an earlier run; `UserError` when a file of it, or its part of a panel, is not as it was written.

    All of it is read.
    """
    with reading(folder / SHARD):
        held = json.loads((folder / SHARD).read_text("utf-8"))
        shard = Shard(folder, int(held["first"]), int(held["end"]))
        files = [(folder / name, int(entry["size"]), f"{entry['crc32']:08x}") for name, entry in held["files"].items()]
    for path, size, checksum in files:
        check_size(path, size)
        with reading(path):
            found = crc32_of(path)
        if found != checksum:
            raise damaged(path, "its checksum is wrong")
    for piece in sorted(folder.glob(f"*/{PIECE}")):
        _check_piece(piece, folder.parent.parent / piece.parent.name / PANEL)
    return shard


def _check_piece(piece: Path, panel: Path) -> None:
    """Compare a shard's values in a panel with their checksums; see `panel.piece_of`."""
    first, count, *checksums = ArrayReader(piece).all().tolist()
    with reading(panel), ONE_HEADER:
        values = np.load(panel, mmap_mode="r", allow_pickle=False)
    with reading(panel):
        found = [zlib.crc32(values[unit, first : first + count].tobytes()) for unit in range(len(checksums))]
    if found != checksums:
        raise damaged(piece.with_name(PANEL), "its checksum is wrong")


def check_size(path: Path, size: int) -> None:
    with reading(path):
        found = path.stat().st_size
    if found != size:
        raise damaged(path, f"{found} bytes, not {size}")


def crc32_of(path: Path) -> str:
    """Checksum of a file: finds damage at several GB/s; it is no protection against forgery."""
    value = 0
    with open(path, "rb") as file:
        while block := file.read(1 << 22):
            value = zlib.crc32(block, value)
    return f"{value:08x}"


SAMPLED = 16  # blocks of a file that are looked at when a recording is opened


def sample_of(path: Path) -> str:
    """Checksum of some blocks of a file, spread over it, its first and last among them: of all of a small file."""
    size, value = path.stat().st_size, 0
    starts = sorted({int(start) for start in np.linspace(0, max(size - BLOCK, 0), SAMPLED)})
    with open(path, "rb") as file:
        for start in starts:
            file.seek(start)
            value = zlib.crc32(file.read(BLOCK), value)
    return f"{value:08x}"


def describe_files(folder: Path, known: Checksums) -> dict[str, dict[str, Any]]:
    """{relative path: {size, crc32, sample}} of every file of a finished recording, for its manifest; known: some
    checksums."""
    names = [p.relative_to(folder) for p in sorted(folder.rglob("*")) if p.is_file()]
    names = [n for n in names if n.name not in ("manifest.json", "plan.json")]
    names = [n for n in names if not any(part.startswith(".") or part == "shards" for part in n.parts)]
    return {
        name.as_posix(): {
            "size": (path := folder / name).stat().st_size,
            "crc32": f"{known[path]:08x}" if path in known else crc32_of(path),
            "sample": sample_of(path),
        }
        for name in names
    }
