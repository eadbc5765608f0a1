"""Results of the parts of a long benchmark, kept beside its data, so that one that was stopped goes on where it was."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import glossator
from glossator.files import fingerprint, plain, read_json, write_json


def kept(folder: Path, name: str, settings: Any, make: Callable[[], Any]) -> Any:
    """What `make()` gives, as JSON has it; made once for these settings and this code."""
    path = folder / f"{name}-{fingerprint([plain(settings), code()])}.json"
    if not path.exists():
        write_json(path, {"result": plain(make())})
    return read_json(path, "a part of the benchmark", "Delete it")["result"]


@cache
def code() -> str:
    """A fingerprint of the package and the benchmarks: no figure of other code passes for one of this code."""
    digest = hashlib.sha256()
    for root in (Path(glossator.__file__).parent, Path(__file__).parent):
        for path in sorted(root.rglob("*.py")):
            digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
