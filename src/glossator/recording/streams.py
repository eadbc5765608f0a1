"""Batches in streams: each on one core, in any order, with a bar of how far they are."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import torch

from glossator.inputs import Inputs, TokenWindows
from glossator.recording.spec import Plan

if TYPE_CHECKING:
    from glossator.subjects.base import Subject

MOST_STREAMS = 8


def streams_of(subject: Subject, plan: Plan) -> int:
    """How many batches are run at once, each on one core, which is faster than one batch on all of them.

    One where order matters (the lists of sparse sites), and where the subject does not run in several threads.
    """
    in_any_order = all(site.kind == "dense" for site in plan.sites)
    return min(MOST_STREAMS, torch.get_num_threads()) if subject.concurrent and in_any_order else 1


def in_streams(
    pool: ThreadPoolExecutor, run: Callable[[int, int, int], None], batches: list[tuple[int, int]], seconds: float
) -> Iterator[tuple[int, int]]:
    """Run batches, (first, end) each, in order, until all are done or so much time has passed; yield those that are
    done. After that time no stream is left without a last batch while others still run. A stream alone runs here, on
    all cores."""
    waiting, over, begun = deque(enumerate(batches)), time.monotonic() + seconds, 0
    streams = pool._max_workers
    running: dict[Future[None], tuple[int, int]] = {}
    if streams == 1:  # here, where operations use all cores
        while waiting:
            number, batch = waiting.popleft()
            run(number, *batch)
            yield batch
            if time.monotonic() > over:
                return
        return
    try:
        while waiting or running:
            while waiting and len(running) < streams:
                number, batch = waiting.popleft()
                running[pool.submit(run, number, *batch)] = batch
                begun += 1
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                future.result()
                yield running.pop(future)
            if time.monotonic() > over:
                waiting = deque(islice(waiting, -begun % streams))
    finally:
        wait(running)


class Bar:
    """A progress bar in tokens, or in inputs of another kind, on stderr, with rate and time left."""

    def __init__(self, inputs: Inputs, shown: bool | None):
        from tqdm import tqdm

        shown = sys.stderr.isatty() if shown is None else shown
        is_text = isinstance(inputs, TokenWindows)
        self._sizes = inputs.lengths if isinstance(inputs, TokenWindows) else np.ones(len(inputs), np.int64)
        unit, total = "tok" if is_text else "input", int(self._sizes.sum())
        self._bar = tqdm(total=total, unit=unit, unit_scale=True, desc="recording", disable=not shown, file=sys.stderr)

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def advance(self, first: int, end: int, *, earlier: bool = False) -> None:
        """Inputs done just now, or in an earlier run, which say nothing about the rate."""
        size = int(self._sizes[first:end].sum())
        if earlier and not self._bar.disable:
            self._bar.initial += size
        self._bar.update(size)
