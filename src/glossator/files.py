"""Crash-safe writing: an interrupted process never leaves a half-written file behind.

A file is written under a temporary name in the same folder and renamed; a folder is complete when its
`manifest.json`, which is written last, is there.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import platform
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from glossator.errors import UserError

ONE_HEADER = threading.Lock()
"""Held while the header of an array is read. NumPy parses it as Python, and Python 3.11 fails at times (`SystemError`:
recursion depth mismatch) where several threads do so at once."""
if hasattr(os, "register_at_fork"):  # a process that is forked while another thread holds it gets it free
    os.register_at_fork(after_in_child=ONE_HEADER._at_fork_reinit)  # type: ignore[attr-defined]


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is synced and renamed over `path`, else removed.

    Raises `UserError` when the disk is full or read-only.
    """
    temporary = path.with_name(f".{path.name}.{platform.node()}-{os.getpid()}.part")  # hosts may share the folder
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with open(temporary, "rb+") as handle:
            os.fsync(handle.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise UserError(
            "cannot write", value=str(path), fix=f"{error.strerror or error}; free space or choose another folder"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


_locks: dict[str, threading.Lock] = {}


@contextlib.contextmanager
def alone(folder: Path, what: str) -> Iterator[None]:
    """Within, no other thread or process is at `what` in this folder; others wait. Raises `UserError` where the folder
    cannot be written."""
    path = folder / f".{what}.lock"
    with _locks.setdefault(str(path.absolute()), threading.Lock()):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = open(path, "a", encoding="utf-8")  # noqa: SIM115 - closed below, which gives the lock back
        except OSError as error:
            raise UserError(f"the {what} cannot be written", value=str(folder), fix=error.strerror or None) from error
        with lock:
            with contextlib.suppress(ImportError, OSError):  # a system or a file system without locks
                import fcntl

                fcntl.lockf(lock, fcntl.LOCK_EX)
            yield


def write_bytes(path: Path, data: bytes) -> None:
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_json(path: Path, value: Any) -> None:
    write_bytes(path, (json.dumps(value, indent=1, ensure_ascii=False, sort_keys=True) + "\n").encode())


def read_json(path: Path, what: str, fix: str, kind: type | tuple[type, ...] = dict) -> Any:
    """Read a JSON file; if it is damaged, `UserError` says `what` it should be and the `fix`."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read {what}", value=str(path), fix=error.strerror or str(error)) from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{what} is damaged ({error})", value=str(path), fix=fix) from error
    if not isinstance(value, kind):
        raise UserError(f"{what} is damaged (it holds a {type(value).__name__})", value=str(path), fix=fix)
    return value


def read_array(path: Path, what: str, fix: str, *, mapped: bool = False) -> np.ndarray:
    """Read the array of a .npy file; if it is damaged, `UserError` says `what` it should be and the `fix`. No pickle is
    opened."""
    try:
        with ONE_HEADER:
            value = np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
    except FileNotFoundError as error:
        raise UserError(f"{what} is not there", value=str(path), fix=fix) from error
    except Exception as error:  # whatever the parser of the header raises: ValueError, EOFError, TokenError, ...
        raise UserError(f"{what} is damaged ({error})", value=str(path), fix=fix) from error
    if not isinstance(value, np.ndarray):
        raise UserError(f"{what} cannot be read (it holds several arrays)", value=str(path), fix=fix)
    return value


def write_array(path: Path, array: np.ndarray) -> None:
    with replacing(path) as temporary, open(temporary, "wb") as handle:
        np.save(handle, np.ascontiguousarray(array), allow_pickle=False)


def sqlite_trouble(error: BaseException) -> str | None:
    """What to do about an intact database that is in use, full or protected; None if it is damaged or the cause is
    unknown."""
    name = getattr(error, "sqlite_errorname", "") or ""
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_PROTOCOL")):
        return "Another program has it open: wait for it to end, then run again"
    if name.startswith(("SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_SHMSIZE", "SQLITE_NOMEM", "SQLITE_TOOBIG")):
        return "Free space, then run again; what it holds is whole"
    if name.startswith(("SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_READONLY", "SQLITE_AUTH")):
        return "Check the permissions of the file and of its folder, then run again; what it holds is whole"
    if name.startswith(("SQLITE_IOERR", "SQLITE_INTERRUPT")):
        return "The disk did not answer as it should: check it and its free space, then run again"
    return None


def sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as handle:
        while block := handle.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def plain(value: Any) -> Any:
    """Convert a value to what JSON can hold: dataclasses become dicts, tuples lists, numpy scalars numbers."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, (set, frozenset)):
        return sorted(plain(v) for v in value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Path):
        return str(value)
    return value


def digest_of(*parts: bytes | str | np.ndarray) -> str:
    """32 hexadecimal digits that change when any of these parts changes."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        data = np.ascontiguousarray(data).tobytes() if isinstance(data, np.ndarray) else data
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()


def canonical(value: Any) -> str:
    """The one way to write a value as JSON."""
    return json.dumps(plain(value), sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def fingerprint(value: Any) -> str:
    """16 hexadecimal digits that change when the value (a spec, a dict, a list) changes: its provenance."""
    return fingerprint_of(canonical(value))


def fingerprint_of(written: str) -> str:
    """The fingerprint of a value that is written already, as `canonical` does."""
    return hashlib.sha256(written.encode()).hexdigest()[:16]
