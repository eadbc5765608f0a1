"""The process whose peak memory the recording benchmark measures."""

from __future__ import annotations

import contextlib
import json
import resource
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from glossator.inputs import Inputs, token_windows
from glossator.subjects.base import BaseSubject, OutputSite

WIDTH, UNITS, LATENTS, K, VOCABULARY = 64, 64, 4096, 32, 256


def main(tokens: int, folder: str) -> None:
    """Record `tokens` random tokens into `folder` and write the peak resident bytes as JSON to standard output."""
    from benchmarks.recording import RandomCoder
    from glossator.corpora import ProbeSet
    from glossator.inputs.tokens import TokenWindows, Vocabulary
    from glossator.recording import record, recording_spec

    n = tokens // WIDTH
    ids = np.random.default_rng(0).integers(0, VOCABULARY, (n, WIDTH)).astype(np.int32)
    documents = np.arange(n, dtype=np.int64)
    windows = TokenWindows(
        tokens=ids,
        lengths=np.full(n, WIDTH, np.int32),
        valid=np.ones((n, WIDTH), bool),
        documents=documents,
        ids=documents,
        vocabulary=Vocabulary("bytes", tuple(bytes([i]) for i in range(VOCABULARY))),
    )
    windowed = ProbeSet(windows, [str(i) for i in range(n)], (documents % 4).astype(np.int8), {"tokens": tokens})
    coder = RandomCoder("table", UNITS, LATENTS, K)
    spec = recording_spec(
        TokenTable(), windowed, ["table", "coder@table"], readouts={"coder@table": coder}, panel_bytes=8 << 20
    )
    record(spec, TokenTable(), windowed, folder, readouts={"coder@table": coder}, progress=False)
    sys.stdout.write(json.dumps({"peak_bytes": peak_bytes()}) + "\n")


def peak_bytes() -> int:
    """The largest resident memory of this program; on Linux not counting what it was before it became this program."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


@contextlib.contextmanager
def peak_together(every: float = 0.25) -> Iterator[list[int]]:
    """Within, the memory of this program and of those it starts is looked at so often, pages that they share counted
    once; afterwards the list holds the most bytes that were seen, or that this program alone has had."""
    peak, over = [peak_bytes()], threading.Event()

    def look() -> None:
        while not over.wait(every):
            peak[0] = max(peak[0], sum(map(_own_share, ["self", *_children()])))

    watching = threading.Thread(target=look)
    watching.start()
    try:
        yield peak
    finally:
        over.set()
        watching.join()
        peak[0] = max(peak[0], peak_bytes())


def _children() -> list[str]:
    """Numbers of the processes that this one has started; none where the system does not say."""
    found: list[str] = []
    for path in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):  # of a thread that has ended
            found += path.read_text().split()
    return found


def _own_share(process: str) -> int:
    """Bytes of a process, of shared pages its share; 0 where the system does not say, and when it has ended."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


class TokenTable(BaseSubject):
    """A subject with one site: a random vector a token, and no model."""

    name = "table"
    fingerprint = "0" * 16
    takes = "tokens"

    def __init__(self) -> None:
        import torch

        self._table = torch.randn((VOCABULARY, UNITS), generator=torch.Generator().manual_seed(0))

    def sites(self) -> list[OutputSite]:
        return [OutputSite("table", UNITS, grid=None)]

    def visit(self, inputs: Inputs, sites: Sequence[str], see: Callable[[str, Any], Any]) -> None:
        import torch

        see("table", self._table[torch.from_numpy(token_windows(inputs).tokens).long()])
