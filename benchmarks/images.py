"""What recording images costs beside the model that sees them: the overhead, and images a second; how fast scenes are
rendered.

The floor (`bare`) is the subject's pass over the same batches, on as many threads, ended after the same last site. It
gives the model a few images at a time, which is faster on a CPU; `plain` is the same pass with a whole batch at once;
`loop` is what somebody writes who calls the model on one batch after the other, on torch's own threads, with the number
of images a batch of `IN_A_LOOP` that was quickest. All take turns in one process, so that what else the machine does
falls on every side.
"""

from __future__ import annotations

import tempfile
import time
import unittest.mock
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.recording import Seconds, machine, ratio_of, seconds_of

DEFAULTS: dict[str, Any] = {
    "subject": "efficientnet-lite0",
    "sites": "blocks.4.depthwise,blocks.10.depthwise,head",
    "images": 512,
    "side": 224,
    "runs": 3,
    "renders": 512,
    "seed": 0,
}
QUICK = {"images": 48, "runs": 1, "renders": 24}
IN_A_LOOP = (1, 2, 4, 8, 16, 32)
TRIED = 128
"""Images on which the number is chosen."""
AT_ONCE = 8
"""Scenes that a process renders before it takes the next."""


def run(options: dict[str, Any] | None = None) -> dict[str, Any]:
    """Measure and return `overhead_images` on the clock, `overhead_processor`, `overhead_plain` (beside a pass of whole
    batches), `overhead_loop` (beside the quickest loop, of `loop_batch` images), `images_per_second`, and
    `renders_per_second` by one process a core.

    options: `quick`, and any name of `DEFAULTS`. The images are coarse noise; the cost does not depend on what they
    show. Ratios are medians of paired runs.
    """
    import torch

    from glossator.corpora import probe_set
    from glossator.engines import one_core_pool
    from glossator.inputs import Images
    from glossator.recording import record, recording_spec
    from glossator.recording.recorder import planned
    from glossator.recording.streams import streams_of
    from glossator.subjects import open_subject

    options = dict(options or {})
    quick = options.pop("quick", False)
    chosen = DEFAULTS | (QUICK if quick else {}) | {name: value for name, value in options.items() if value is not None}
    n, side, sites = chosen["images"], chosen["side"], chosen["sites"].split(",")
    subject: Any = open_subject(chosen["subject"])
    rng = np.random.default_rng(chosen["seed"])
    coarse = rng.integers(0, 256, (n, -(-side // 8), -(-side // 8), 3)).astype(np.uint8)
    probes = probe_set(Images.of(coarse.repeat(8, 1).repeat(8, 2)[:, :side, :side]), seed=chosen["seed"])
    spec = recording_spec(subject, probes, sites, seed=chosen["seed"])
    plan = planned(spec, subject, probes.inputs, {})
    batches = [(row, min(row + plan.batch, n)) for row in range(0, n, plan.batch)]

    def one(batch: tuple[int, int]) -> None:
        first, end = batch
        for start in range(first, end, subject.batch):
            rows = np.arange(start, min(start + subject.batch, end))
            with torch.inference_mode():
                subject.visit(probes.inputs.take(rows), sites, _see_nothing)

    def bare() -> None:
        with one_core_pool(streams_of(subject, plan)) as pool:
            list(pool.map(one, batches))

    def plain() -> None:
        with unittest.mock.patch("glossator.subjects.vision.CPU_PIXELS", plan.batch * side**2):
            bare()

    def loop(at_once: int, images: int = n) -> None:
        with unittest.mock.patch("glossator.subjects.vision.CPU_PIXELS", at_once * side**2), torch.inference_mode():
            for first in range(0, images, at_once):
                subject.visit(probes.inputs.take(np.arange(first, min(first + at_once, images))), sites, _see_nothing)

    one(batches[0])
    loop_batch = min(IN_A_LOOP, key=lambda at_once: seconds_of(partial(loop, at_once, min(n, TRIED)))[0])
    seconds: dict[str, list[Seconds]] = {"bare": [], "plain": [], "loop": [], "record": []}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(chosen["runs"]):
            target = Path(folder) / str(number)
            recording = partial(record, spec, subject, probes, target, progress=False)
            work: dict[str, Callable[[], Any]] = {
                "bare": bare,
                "plain": plain,
                "loop": partial(loop, loop_batch),
                "record": recording,
            }
            for name in list(work) if number % 2 == 0 else reversed(work):
                seconds[name].append(seconds_of(work[name]))
    return {
        "overhead_images": ratio_of(seconds["record"], seconds["bare"]),
        "overhead_processor": ratio_of(seconds["record"], seconds["bare"], clock=1),
        "overhead_plain": ratio_of(seconds["record"], seconds["plain"]),
        "overhead_loop": ratio_of(seconds["record"], seconds["loop"]),
        "loop_batch": loop_batch,
        "images_per_second": n / float(np.median([wall for wall, _ in seconds["record"]])),
        **rendering(chosen["renders"], chosen["seed"]),
        "units": sum(subject.site(site).width for site in sites),
        "seconds": seconds,
        "options": chosen | {"quick": quick},
        "machine": machine(),
    }


def _see_nothing(site: str, values: Any) -> None: ...


def rendering(number: int, seed: int) -> dict[str, float]:
    """Random scenes rendered a second by one process a core, and a second of one core's processor time."""
    from glossator.corpora.image_sets import open_images
    from glossator.engines import in_parallel
    from glossator.inputs import Images

    images = open_images(f"renders:{number}", seed=seed).inputs
    assert isinstance(images, Images)

    def render(rows: np.ndarray) -> float:
        started = time.process_time()
        images.pixels[rows]
        return time.process_time() - started

    images.pixels[:2]  # sprites are read once
    started = time.perf_counter()
    busy = sum(in_parallel(render, np.array_split(np.arange(number), max(1, number // AT_ONCE))))
    return {
        "renders_per_second": number / (time.perf_counter() - started),
        "renders_per_core_second": number / busy,
    }
