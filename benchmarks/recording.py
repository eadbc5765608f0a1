"""What a recording costs beside the model that it records: time, bytes, memory, and the time to draw evidence.

Every number compares runs of the same work in the same process, taken in turns, so that what else the machine does
falls on both sides. Peak memory is measured in processes of its own.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from glossator.inputs import Inputs
from glossator.readouts import BaseReadout, Readout
from glossator.subjects.base import BaseSubject, Site

DEFAULTS: dict[str, Any] = {
    "subject": "smollm2-135m",
    "dtype": "float32",
    "width": 64,
    "tokens": 65_536,
    "runs": 3,
    "sparse_tokens": 65_536,
    "latents": 16_384,
    "k": 32,
    "rss_tokens": 1 << 20,
    "units": 300,
    "seed": 0,
    "only": None,
    "folder": None,
}
QUICK = {"tokens": 4096, "runs": 1, "sparse_tokens": 8192, "rss_tokens": 1 << 15, "units": 50}
PARTS = ("dense", "sparse", "rss")


def run(options: dict[str, Any] | None = None) -> dict[str, Any]:
    """Measure and return overhead_dense, overhead_sparse, bytes_per_posting, rss_growth, evidence_ms_per_unit.

    options: `quick` for a smoke test of a minute whose numbers mean little, `only` for some of dense, sparse and rss,
    `folder` for where the recordings lie meanwhile, and any name of `DEFAULTS`. Ratios are medians of paired runs.
    """
    options = dict(options or {})
    quick = options.pop("quick", False)
    chosen = DEFAULTS | (QUICK if quick else {}) | {name: value for name, value in options.items() if value is not None}
    parts = PARTS if not chosen["only"] else tuple(part for part in PARTS if part in chosen["only"])
    measured: dict[str, Any] = {"options": chosen | {"quick": quick}, "machine": machine()}
    with tempfile.TemporaryDirectory(dir=chosen["folder"]) as folder:
        if {"dense", "sparse"} & set(parts):
            measured |= _with_subject(chosen, parts, Path(folder))
        if "rss" in parts:
            measured |= _rss(chosen, Path(folder))
    return measured


def machine() -> dict[str, Any]:
    """What the numbers depend on."""
    import torch

    return {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    }


def _with_subject(options: dict[str, Any], parts: tuple[str, ...], folder: Path) -> dict[str, Any]:
    from glossator.corpora import make_windows, open_corpus
    from glossator.subjects import load_subject

    subject = load_subject(options["subject"], dtype=options["dtype"])
    corpus = open_corpus("embedded")
    measured: dict[str, Any] = {}
    if "dense" in parts:
        windowed = make_windows(corpus, subject.tokenizer, options["width"], max_tokens=options["tokens"])
        measured |= _dense(options, subject, windowed, folder)
    if "sparse" in parts:
        windowed = make_windows(corpus, subject.tokenizer, options["width"], max_tokens=options["sparse_tokens"])
        measured |= _sparse(options, subject, windowed, folder)
    return measured


def _dense(options: dict[str, Any], subject: Any, windowed: Any, folder: Path) -> dict[str, Any]:
    """All feed-forward neurons of all layers, against the bare forward pass over the same batches."""
    import torch

    from glossator.recording import open_recording, record, recording_spec

    sites = [site.name for site in subject.sites() if site.name.startswith("mlp.")]
    spec = recording_spec(subject, windowed, sites, seed=options["seed"])
    windows, batch = windowed.windows, max(1, spec.batch_tokens // spec.width)

    def bare() -> None:
        with torch.inference_mode():
            for row in range(0, len(windows), batch):
                subject.forward(windows.tokens[row : row + batch], windows.lengths[row : row + batch], sites)

    subject.forward(windows.tokens[:batch], windows.lengths[:batch], sites)
    seconds: dict[str, list[Seconds]] = {"bare": [], "record": []}
    for number in range(options["runs"]):
        target = folder / f"dense-{number}"
        work: dict[str, Callable[[], Any]] = {
            "bare": bare,
            "record": partial(record, spec, subject, windowed, target, progress=False),
        }
        for name in ("bare", "record") if number % 2 == 0 else ("record", "bare"):
            seconds[name].append(seconds_of(work[name]))
        if number:
            _remove(folder / f"dense-{number - 1}")
    recording = open_recording(folder / f"dense-{options['runs'] - 1}")
    evidence, evidence_processor = _evidence_ms(recording, options)
    size = sum(entry["size"] for entry in recording.manifest["files"].values())
    _remove(recording.folder)
    return {
        "overhead_dense": ratio_of(seconds["record"], seconds["bare"]),
        "evidence_ms_per_unit": evidence,
        "dense": {
            "seconds": seconds,
            "overhead_processor": ratio_of(seconds["record"], seconds["bare"], clock=1),
            "evidence_processor_ms_per_unit": evidence_processor,
            "tokens": int(windows.lengths.sum()),
            "units": sum(len(recording.units(site)) for site in sites),
            "tokens_per_second": float(
                windows.lengths.sum() / statistics.median(wall for wall, _ in seconds["record"])
            ),
            "bytes": size,
        },
    }


def _sparse(options: dict[str, Any], subject: Any, windowed: Any, folder: Path) -> dict[str, Any]:
    """A top-k coder on a middle layer."""
    source = f"resid.{len([s for s in subject.sites() if s.name.startswith('resid.')]) // 2}"
    coder = RandomCoder(source, subject.site(source).width, options["latents"], options["k"], options["seed"])
    return with_readout(options, subject, windowed, coder, folder)


def with_readout(options: dict[str, Any], subject: Any, windowed: Any, coder: Readout, folder: Path) -> dict[str, Any]:
    """A sparse readout: encode and index, against encode alone on the same values.

    The model's values are computed once beforehand, so that its forward pass dilutes neither side.
    """
    import torch

    from glossator.recording import open_recording, record, recording_spec

    source, name = coder.reads_at, coder.site_name
    replay = Replay(subject, windowed, source)
    spec = recording_spec(replay, windowed, [name], readouts={name: coder}, seed=options["seed"])
    windows, batch = windowed.windows, max(1, spec.batch_tokens // spec.width)

    def encode() -> None:
        with torch.inference_mode():
            for row in range(0, len(windows), batch):
                values = replay.next(len(windows.tokens[row : row + batch]))
                coder.read(values)

    coder.read(replay.next(batch))
    seconds: dict[str, list[Seconds]] = {"encode": [], "record": []}
    for number in range(options["runs"]):
        target = folder / f"sparse-{number}"
        work: dict[str, Callable[[], Any]] = {
            "encode": encode,
            "record": partial(record, spec, replay, windowed, target, readouts={name: coder}, progress=False),
        }
        for task in ("encode", "record") if number % 2 == 0 else ("record", "encode"):
            seconds[task].append(seconds_of(work[task]))
    recording = open_recording(folder / f"sparse-{options['runs'] - 1}")
    index = [path for path in recording.folder.glob("sparse-0/*.npy")]
    postings = len(np.load(recording.folder / "sparse-0" / "activations.npy", mmap_mode="r"))
    evidence, evidence_processor = _evidence_ms(recording, options)
    return {
        "overhead_sparse": ratio_of(seconds["record"], seconds["encode"]),
        "bytes_per_posting": sum(path.stat().st_size for path in index) / postings,
        "sparse": {
            "seconds": seconds,
            "overhead_processor": ratio_of(seconds["record"], seconds["encode"], clock=1),
            "tokens": int(windows.lengths.sum()),
            "postings": postings,
            "evidence_ms_per_unit": evidence,
            "evidence_processor_ms_per_unit": evidence_processor,
        },
    }


class RandomCoder(BaseReadout):
    """A dictionary with random unit directions: the positive k largest of `latents` projections."""

    sparse = True

    def __init__(self, reads_at: str, width: int, latents: int, k: int, seed: int = 0):
        import torch

        weight = torch.randn((width, latents), generator=torch.Generator().manual_seed(seed))
        self._weight = weight / weight.norm(dim=0)
        self.name, self.reads_at, self.width, self.k = "coder", reads_at, latents, k
        self.fingerprint = f"random-{width}-{latents}-{k}-{seed}"

    def read(self, values: Any) -> tuple[Any, Any]:
        import torch

        return torch.relu(values.float() @ self._weight).topk(self.k, dim=-1, sorted=False)


class Replay(BaseSubject):
    """A subject whose values at one site were computed beforehand."""

    takes = "tokens"

    def __init__(self, subject: Any, windowed: Any, source: str):
        import torch

        windows = windowed.windows
        parts = []
        for row in range(0, len(windows), 32):
            rows = slice(row, row + 32)
            parts.append(subject.activations(windows.tokens[rows], windows.lengths[rows], [source])[source].clone())
        self._values, self._next = torch.cat(parts), 0
        self._subject, self.name, self.fingerprint = subject, subject.name, subject.fingerprint

    def site(self, name: str) -> Site:
        return self._subject.site(name)

    def visit(self, inputs: Inputs, sites: Sequence[str], see: Callable[[str, Any], Any]) -> None:
        """The next windows in order, from the start again after the last."""
        see(sites[0], self.next(len(inputs)))

    def next(self, n: int) -> Any:
        """The values of the next n windows."""
        first = self._next if self._next < len(self._values) else 0
        self._next = first + n
        return self._values[first : self._next]


def _evidence_ms(recording: Any, options: dict[str, Any]) -> tuple[float, float]:
    """Milliseconds to draw a unit's 40 explain, 50 top and 50 random test windows with activations and statistics, on
    the clock and of the processor.

    Means over random units, with warm files.
    """
    from glossator.recording import EvidenceSpec, draw

    spec = EvidenceSpec(
        sampler="top", explain_top=40, calibrate_top=0, calibrate_random=0, select_top=0, select_random=0
    )
    units = list(recording.all_units())
    chosen = np.random.default_rng(options["seed"]).choice(len(units), min(options["units"], len(units)), replace=False)
    for i in chosen:
        draw(recording, units[i], spec)
    clock, processor = seconds_of(lambda: [draw(recording, units[i], spec) for i in chosen])[:2]
    return 1000 * clock / len(chosen), 1000 * processor / len(chosen)


def _rss(options: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Peak memory of recording a 4,096-latent coder and 64 dense units over so many tokens, and over twice as many."""
    peaks = []
    for tokens in (options["rss_tokens"], 2 * options["rss_tokens"]):
        target = folder / f"rss-{tokens}"
        code = f"from benchmarks.memory import main; main({tokens}, {str(target.absolute())!r})"
        checkout = Path(__file__).resolve().parent.parent  # from where the new process can import this package too
        done = subprocess.run([sys.executable, "-c", code], cwd=checkout, capture_output=True, text=True, check=True)
        peaks.append(json.loads(done.stdout.splitlines()[-1])["peak_bytes"])
        _remove(target)
    return {"rss_growth": peaks[1] / peaks[0] - 1, "rss": {"peak_bytes": peaks, "tokens": options["rss_tokens"]}}


Seconds = tuple[float, float]


def seconds_of(work: Callable[[], Any]) -> Seconds:
    """On the clock and on the processor; where other programs run, only the second is steady."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - processor


def ratio_of(above: list[Seconds], below: list[Seconds], clock: int = 0) -> float:
    return statistics.median(a[clock] / b[clock] for a, b in zip(above, below, strict=True))


def _remove(folder: Path) -> None:
    import shutil

    shutil.rmtree(folder, ignore_errors=True)
