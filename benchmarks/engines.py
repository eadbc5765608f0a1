"""The same study by every engine: the same bytes, also when workers are killed; what a second worker gains; overhead.

The study is recorded once. Seconds are those of explaining and scoring, from the first job to the last.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import multiprocessing
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.recording import machine
from benchmarks.single_node_slurm import NoSlurm, single_node_slurm
from glossator.engines import Done, Engine, Job, LocalEngine, Task, carry_out
from glossator.engines.ray import RayEngine
from glossator.engines.slurm import SlurmEngine
from glossator.errors import UserError
from glossator.study import StudySpec, run_study
from glossator.study.work import shards_in_log

DEFAULTS: dict[str, Any] = {
    "subject": "smollm2-135m",
    "site": "mlp.12",
    "units": 512,
    "tokens": 65_536,
    "kills": 10,
    "empty_jobs": 20,
    "engines": "local-2,kills,ray,slurm",
    "runs": 2,
    "seed": 0,
    "folder": None,
}
QUICK = {"units": 40, "tokens": 4096, "kills": 2, "empty_jobs": 4, "runs": 1}
REFERENCE, BESIDE = "local-1", "local-2"
"""The first makes the study first, whatever others are asked for: theirs must have its bytes. Both make it `runs` times
in turn (1, 2, 2, 1, ...), and the quickest of each counts, as other programs can only make it slower. Others make it
once."""
ENGINES = re.compile(r"local-[1-9]\d*|kills|ray|slurm")
UNITS_A_KILL = 32
"""A study of fewer units is killed less often, and made more often: a shard is given up after a few kills."""
FILES = ("manifest.json", "spec.json", "study.sqlite", "report.html", "recording/manifest.json")


def run(options: dict[str, Any] | None = None) -> dict[str, Any]:
    """same_bytes: by engine, whether it made the study that one worker makes, None where it is not installed;
    kills_survived: after how many SIGKILLs of workers the bytes were the same; speed_up_2: seconds of one worker over
    those of two; speed_up_2_alone: the same by processor time (of the process that hands out, and of the worker that
    did most), in which other programs do not count; overhead_ms: by engine, milliseconds that a job takes that has
    nothing to do.

    options: `quick` for a smoke test, `engines` for some of those of `DEFAULTS`, and any other of its names.
    """
    options = dict(options or {})
    chosen = DEFAULTS | (QUICK if options.pop("quick", False) else {}) | options
    names = [name for name in str(chosen["engines"]).split(",") if name]
    if unknown := [name for name in names if not ENGINES.fullmatch(name)]:
        raise UserError(
            "no such engine", value=",".join(unknown), allowed="local-N, kills, ray or slurm, with commas between"
        )
    found: dict[str, Any] = {"options": chosen, "machine": machine(), "same_bytes": {}, "overhead_ms": {}, "notes": {}}
    seconds = found["seconds"] = {}
    with tempfile.TemporaryDirectory(dir=chosen["folder"]) as folder, _visible():
        bench = _Bench(chosen, Path(folder))
        for name in dict.fromkeys((REFERENCE, *names)):
            if name == "kills":
                found["kills_survived"] = _killed(bench, chosen)
                continue
            with _engine(name) as (engine, note):
                found["notes"][name] = note
                same = None if engine is None else bench.same(name, engine)
                if engine is not None and name == BESIDE:
                    for _ in range(chosen["runs"] - 1):
                        same = all([same, bench.same(name, engine), bench.same(REFERENCE, LocalEngine(1))])
                if name != REFERENCE:
                    found["same_bytes"][name] = same
                if engine is not None:
                    seconds |= {REFERENCE: bench.seconds[REFERENCE], name: bench.seconds[name]}
                    found["overhead_ms"][name] = _overhead(engine, Path(folder), chosen["empty_jobs"])
    if BESIDE in seconds:
        found["speed_up_2"] = bench.seconds[REFERENCE]["all"] / seconds[BESIDE]["all"]
        found["speed_up_2_alone"] = bench.seconds[REFERENCE]["processor"] / seconds[BESIDE]["processor"]
    return found


@dataclass
class _Bench:
    """A recorded study, copied for every engine; the first one, `REFERENCE`, says what the bytes are."""

    options: dict[str, Any]
    folder: Path
    seconds: dict[str, dict[str, float]] = field(default_factory=dict)
    _digests: dict[str, str] | None = None

    def __post_init__(self) -> None:
        chosen = self.options
        self.spec = StudySpec(
            subject=chosen["subject"],
            sites=(chosen["site"],),
            units=chosen["units"],
            max_tokens=chosen["tokens"],
            seed=chosen["seed"],
        )
        run_study(self.spec, self.folder / "recorded", until="record", progress=False)

    def same(self, name: str, engine: Engine) -> bool:
        """Whether the engine makes the study with the bytes of the first one."""
        place, timed = self.folder / name, _Timed(engine)
        shutil.copytree(self.folder / "recorded", place)
        run_study(self.spec, place, progress=False, engine=timed)
        ran = shards_in_log(place)
        by_worker: dict[str, dict[int, float]] = {}  # each stage has workers of its own
        for one in ran:
            own = by_worker.setdefault(one.stage, {})
            own[one.pid] = own.get(one.pid, 0.0) + one.seconds
        most = sum(max(own.values()) for own in by_worker.values()) / sum(one.seconds for one in ran)
        took = {
            "all": timed.seconds,
            "in_shards": sum(one.seconds for one in ran),
            "processor": timed.here + most * timed.in_workers,
        }
        self.seconds[name] = min(took, self.seconds.get(name, took), key=lambda one: one["all"])
        digests = {file: hashlib.sha256((place / file).read_bytes()).hexdigest() for file in FILES}
        self._digests = self._digests or digests
        shutil.rmtree(place)
        return digests == self._digests


@dataclass
class _Timed:
    """An engine with clocks: all that passes, processor seconds of this process and of those that it starts."""

    engine: Engine
    seconds: float = 0.0
    here: float = 0.0
    in_workers: float = 0.0

    @property
    def name(self) -> str:
        return self.engine.name

    def run(self, jobs: Sequence[Job], task: Task, *, again: bool = False) -> Generator[Done, None, None]:
        began, before = time.perf_counter(), os.times()
        yield from self.engine.run(jobs, task, again=again)
        now = os.times()
        self.seconds += time.perf_counter() - began
        self.here += now.user + now.system - before.user - before.system
        self.in_workers += now.children_user + now.children_system - before.children_user - before.children_system


@contextlib.contextmanager
def _engine(name: str) -> Iterator[tuple[Engine | None, str]]:
    """The engine of this name and what it is here; None with a reason where it cannot be tried."""
    if name.startswith("local-"):
        yield LocalEngine(int(name.removeprefix("local-"))), "processes on this machine"
    elif importlib.util.find_spec("ray" if name == "ray" else "submitit") is None:
        yield None, "not installed"
    elif name == "ray":
        import ray

        try:
            yield RayEngine(2), f"Ray {ray.__version__}, started on this machine"
        finally:
            ray.shutdown()
    else:
        try:
            with single_node_slurm() as version:
                yield SlurmEngine(2), f"{version}, one real node on the loopback address"
        except NoSlurm as error:
            yield SlurmEngine(2, cluster="local"), f"no SLURM, submitit's local executor in its place: {error}"


def _killed(bench: _Bench, options: dict[str, Any]) -> int:
    """How many kills of workers at random moments were survived with the same bytes."""
    rng, survived = random.Random(options["seed"]), 0
    expected = bench.seconds.get("local-2", {"all": 10.0})["all"]
    while survived < options["kills"]:
        kills = min(options["kills"] - survived, max(1, options["units"] // UNITS_A_KILL))
        moments = sorted(rng.uniform(0, expected) for _ in range(kills))
        killed, over = [0], threading.Event()
        killer = threading.Thread(target=_kill, args=(moments, rng, killed, over))
        killer.start()
        try:
            same = bench.same(f"kills-{survived}", LocalEngine(2))
        finally:
            over.set()
            killer.join()
        if not same:
            return 0
        survived += killed[0]
    return survived


def _kill(moments: list[float], rng: random.Random, killed: list[int], over: threading.Event) -> None:
    """Kill a worker at each of these moments after the first one is there."""
    while not _workers():
        if over.wait(0.01):
            return
    began = time.monotonic()
    for moment in moments:
        if over.wait(max(0.0, began + moment - time.monotonic())):
            return
        if workers := _workers():
            with contextlib.suppress(ProcessLookupError):
                os.kill(rng.choice(workers), signal.SIGKILL)
                killed[0] += 1


def _workers() -> list[int]:
    """Numbers of the processes that this one has forked. `active_children` would take note of their ends before the
    engine does."""
    children = tuple(multiprocessing.process._children)  # type: ignore[attr-defined]
    return [child.pid for child in children if child.pid]


class Nothing:
    """A task that takes no time."""

    def __call__(self, job: Job) -> None: ...

    def open(self, job: Job) -> None: ...


def _overhead(engine: Engine, folder: Path, number: int) -> float:
    """Milliseconds a job, of jobs that have nothing to do, handed out together."""
    jobs = [Job(str(folder / "nothing"), "explain", shard) for shard in range(number)]
    began = time.perf_counter()
    done = list(carry_out(engine, jobs, Nothing(), lambda _: None))
    assert len(done) == number
    return (time.perf_counter() - began) / number * 1000


@contextlib.contextmanager
def _visible() -> Iterator[None]:
    """Within, processes that others start import what this one imports."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(place for place in sys.path if place)
    try:
        yield
    finally:
        os.environ.pop("PYTHONPATH") if before is None else os.environ.update(PYTHONPATH=before)
