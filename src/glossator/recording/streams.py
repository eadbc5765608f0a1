"""Batches in streams: each on one core, in any order, with a bar of how far they are."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch

from glossator.inputs import Inputs, TokenWindows
from glossator.recording.spec import Plan

if TYPE_CHECKING:
    from glossator.subjects.base import Subject

BatchT = TypeVar("BatchT")
MOST_STREAMS = 8


def streams_of(subject: Subject, plan: Plan) -> int:
    """How many batches are run at once, each on one core, which is faster than one batch on all of them.

    One where order matters (the lists of sparse sites), and where the subject does not run in several threads.
    """
    in_any_order = all(site.kind == "dense" for site in plan.sites)
    return min(MOST_STREAMS, torch.get_num_threads()) if subject.concurrent and in_any_order else 1


def in_streams(
    pool: ThreadPoolExecutor, run: Callable[[BatchT], None], begin: Callable[[], BatchT | None]
) -> Iterator[BatchT]:
    """Run what `begin` gives, as many at once as the pool has threads, until it gives None while none runs; yield each
    when it is done. A stream alone runs here, on all cores."""
    streams = pool._max_workers
    running: dict[Future[None], BatchT] = {}
    try:
        while True:
            while len(running) < streams and (batch := begin()) is not None:
                if streams == 1:
                    run(batch)
                    yield batch
                else:
                    running[pool.submit(run, batch)] = batch
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                future.result()
                yield running.pop(future)
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
