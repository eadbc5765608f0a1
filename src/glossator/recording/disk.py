"""Large files that bypass the page cache, if the system can.

A recording writes many gigabytes once and reads them once. Through the page cache each of them first has to find room
in memory, which costs more processor time than the model's forward pass leaves over, and pushes out everything else.
"""

from __future__ import annotations

import errno
import mmap
import os
import threading
from pathlib import Path

import numpy as np

BLOCK = 4096  # places in the file, in memory and all lengths are multiples of it
_BUFFER = 8 << 20
_DIRECT: int = getattr(os, "O_DIRECT", 0)


class LargeFile:
    """A file written in order, in blocks of `_BUFFER` bytes."""

    def __init__(self, path: Path):
        self._file = _open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        self._memory = mmap.mmap(-1, _BUFFER)
        self._buffer = np.frombuffer(self._memory, np.uint8)
        self._filled = self._size = 0
        self.closed = False

    def write(self, data: bytes | memoryview) -> None:
        array, start = np.frombuffer(data, np.uint8), 0
        while start < len(array):
            part = array[start : start + _BUFFER - self._filled]
            self._buffer[self._filled : self._filled + len(part)] = part
            self._filled += len(part)
            start += len(part)
            if self._filled == _BUFFER:
                self._flush()

    def _flush(self) -> None:
        """Write the buffer, up to the end of its last block; what is too much is cut off in the end."""
        whole, done = -(-self._filled // BLOCK) * BLOCK, 0
        while done < whole:
            try:
                done += os.write(self._file, self._buffer[done:whole].data)
            except OSError as error:
                if error.errno != errno.EINVAL or not _buffered(self._file):
                    raise
        self._size += self._filled
        self._filled = 0

    def close(self) -> None:
        if self.closed:
            return
        try:
            if self._filled:
                self._flush()
                os.truncate(self._file, self._size)
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Close the file as it is."""
        if not self.closed:
            self.closed = True
            os.close(self._file)


def read_at(path: Path, start: int, out: np.ndarray) -> int:
    """Fill an array uint8 (n,) with the file's bytes from `start` on; returns how many there were."""
    file = _open(path, os.O_RDONLY)
    try:
        buffer, done = _reading_buffer(), 0
        while done < len(out):
            skip = (start + done) % BLOCK
            wanted = min(_BUFFER, -(-(skip + len(out) - done) // BLOCK) * BLOCK)
            try:
                got = os.preadv(file, [buffer[:wanted].data], start + done - skip) - skip
            except OSError as error:
                if error.errno != errno.EINVAL or not _buffered(file):
                    raise
                continue
            if got <= 0:
                break
            got = min(got, len(out) - done)
            out[done : done + got] = buffer[skip : skip + got]
            done += got
        return done
    finally:
        os.close(file)


_of_thread = threading.local()


def _reading_buffer() -> np.ndarray:
    if not hasattr(_of_thread, "memory"):
        _of_thread.memory = mmap.mmap(-1, _BUFFER)
    return np.frombuffer(_of_thread.memory, np.uint8)


def _open(path: Path, flags: int) -> int:
    try:
        return os.open(path, flags | _DIRECT, 0o666)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system without it
            raise
        return os.open(path, flags, 0o666)


def _buffered(file: int) -> bool:
    """Go on through the page cache; False when the file already does."""
    if not _DIRECT:
        return False
    import fcntl

    flags = fcntl.fcntl(file, fcntl.F_GETFL)
    fcntl.fcntl(file, fcntl.F_SETFL, flags & ~_DIRECT)
    return bool(flags & _DIRECT)
