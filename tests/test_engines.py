"""The same bytes from every engine, any number of workers, and workers that are killed."""

from __future__ import annotations

import multiprocessing
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from benchmarks.engines import run as benchmark
from glossator import registry
from glossator.cli import main
from glossator.engines import Job, LocalEngine, ahead, carry_out, compiled, each_in_parallel, in_parallel, processes
from glossator.engines.base import TRIES
from glossator.engines.processes import fresh, spread
from glossator.errors import UserError
from glossator.explainers import Explainer
from glossator.store.folder import LOG
from glossator.study import StudySpec, run_study
from glossator.study import jobs as jobs_of_study
from glossator.study.jobs import BY_HAND, DoShard
from glossator.study.stages import explain_units
from glossator.study.work import shards_in_log
from study_cases import contents, lm_spec, register, register_lm_methods, small_spec, write_corpus

UNITS = 40  # three shards


@pytest.fixture(scope="module")
def spec(tiny_folder: Path) -> StudySpec:
    write_corpus(tiny_folder.parent / "corpus.jsonl")
    return small_spec(tiny_folder, units=UNITS, max_tokens=3000, scorers=("correlation",))


@pytest.fixture(scope="module")
def whole(spec: StudySpec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study, made by one process."""
    folder = tmp_path_factory.mktemp("engines") / "whole"
    run_study(spec, folder, progress=False, engine=LocalEngine(1))
    return folder


def test_two_workers_make_the_same_bytes_and_say_where(spec: StudySpec, whole: Path, tmp_path: Path) -> None:
    run_study(spec, tmp_path / "two", progress=False, engine=LocalEngine(2))
    assert contents(tmp_path / "two") == contents(whole)
    for folder, most in ((whole, {1}), (tmp_path / "two", {2})):
        ran = shards_in_log(folder)
        assert [(one.stage, one.shard) for one in sorted(ran, key=lambda r: (r.stage, r.shard))] == [
            (stage, shard) for stage in ("explain", "score") for shard in range(3)
        ]
        assert {one.engine for one in ran} == {"local"}
        assert {len({one.pid for one in ran if one.stage == stage}) for stage in ("explain", "score")} <= most
        assert sum(one.units for one in ran) == 2 * UNITS


def test_workers_run_the_subject(spec: StudySpec, tmp_path: Path) -> None:
    """Forked ones share its weights; a fresh one, and one by hand, loads them."""
    acts = replace(spec, units=9, card="both", scorers=("correlation", "ablation"))
    run_study(acts, tmp_path / "one", progress=False, engine=LocalEngine(1))
    run_study(acts, tmp_path / "two", progress=False, engine=LocalEngine(2))
    folder = tmp_path / "fresh"
    run_study(acts, folder, until="explain", progress=False)
    todo = [Job(str(folder), "score", shard) for shard in (0, 2)]
    assert all(reply.error is reply.lost is None for _, reply in spread(todo, 1, lambda: fresh(DoShard("local"))))
    assert main(["work", str(folder), "score", "1"]) == 0
    run_study(acts, folder, progress=False)
    assert contents(tmp_path / "two") == contents(tmp_path / "one") == contents(folder)
    scored = [one for one in shards_in_log(tmp_path / "two") if one.stage == "score"]
    assert [one.units for one in sorted(scored, key=lambda r: r.shard)] == [4, 4, 1]
    assert os.getpid() not in {one.pid for one in scored}


def test_shards_are_done_by_hand_in_any_order_and_twice(
    spec: StudySpec, whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    folder = tmp_path / "s"
    run_study(spec, folder, until="record", progress=False)
    done = folder / "work" / "explain" / "00002.jsonl"
    assert main(["work", str(folder), "score", "0"]) == 2
    assert "not all units are explained yet" in capsys.readouterr().err
    assert main(["work", str(folder), "explain", "2"]) == 0
    first = done.read_bytes()
    assert main(["work", str(folder), "explain", "2"]) == 0
    done.unlink()
    for shard in (2, 0, 1):
        assert main(["work", str(folder), "explain", str(shard)]) == 0
    assert done.read_bytes() == first
    assert main(["work", str(folder), "score", "1"]) == 0
    run_study(spec, folder, progress=False)
    assert contents(folder) == contents(whole)
    by_hand = [(one.stage, one.shard) for one in shards_in_log(folder) if one.engine == BY_HAND]
    assert sorted(by_hand) == [("explain", 0), ("explain", 1), ("explain", 2), ("score", 1)]


class Elsewhere:
    """Stands for a cluster, in two processes of this machine."""

    name = "elsewhere"

    def run(self, jobs: Sequence[Job], task: Any, *, again: bool = False) -> Any:
        return LocalEngine(2).run(jobs, task, again=again)


def test_parts_of_a_recording_are_jobs_too(
    spec: StudySpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr("glossator.recording.spec.MOST_BATCHES_IN_A_SHARD", 1)
    run_study(spec, tmp_path / "one", until="record", progress=False, engine=LocalEngine(1))
    run_study(spec, tmp_path / "two", until="record", progress=False, engine=Elsewhere())
    ran = shards_in_log(tmp_path / "two")
    assert [(one.stage, one.engine) for one in ran] == [("record", "elsewhere")] * len(ran) and len(ran) > 1
    by_hand = tmp_path / "hand"
    run_study(spec, by_hand, until="begin", progress=False)
    assert not (by_hand / "recording").exists()
    for shard in (1, 1, 0):
        assert main(["work", str(by_hand), "record", str(shard)]) == 0
    assert main(["work", str(by_hand), "record", str(len(ran))]) == 2
    assert "no such part of the recording" in capsys.readouterr().err
    run_study(spec, by_hand, until="record", progress=False)
    recorded = [contents(tmp_path / name / "recording") for name in ("one", "two", "hand")]
    assert recorded[0] == recorded[1] == recorded[2]
    assert main(["work", str(by_hand), "record", "0"]) == 2
    assert "there is nothing to record" in capsys.readouterr().err


@pytest.mark.parametrize(("arguments", "message"), [
    (["explain", "3"], "no such shard to explain: 3. Allowed: 0 to 2"),
    (["explain", "-1"], "no such shard"),
    (["explian", "0"], "no such stage: 'explian'. Allowed: did you mean explain?"),
    (["record", "0"], "this study is recorded: there is nothing to record"),
])  # fmt: skip
def test_unknown_work_is_said(
    spec: StudySpec, tmp_path: Path, capsys: pytest.CaptureFixture, arguments: list[str], message: str
) -> None:
    run_study(spec, tmp_path / "s", until="record", progress=False)
    before = contents(tmp_path / "s")
    assert main(["work", str(tmp_path / "s"), "--", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert {name for name in contents(tmp_path / "s") if not name.endswith(".log")} == set(before)


def test_where_there_is_nothing_to_work_on(
    spec: StudySpec, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match="this study is finished"):
        DoShard()(Job(str(whole), "explain", 0))
    with pytest.raises(UserError, match="no study in this folder"):
        DoShard()(Job(str(tmp_path), "explain", 0))
    assert not list(tmp_path.iterdir())
    register_lm_methods(monkeypatch)
    asks = lm_spec(Path(spec.subject), units=1, max_tokens=3000, candidates=1)
    run_study(asks, tmp_path / "lm", until="record", progress=False)
    with pytest.raises(UserError, match="one process keeps count"):
        DoShard()(Job(str(tmp_path / "lm"), "explain", 0))


def test_a_language_model_is_asked_by_the_process_that_keeps_count(
    spec: StudySpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    register_lm_methods(monkeypatch)
    asks = lm_spec(Path(spec.subject), units=9, max_tokens=3000, candidates=1, scorers=("correlation",))
    run_study(asks, tmp_path / "two", progress=False, engine=LocalEngine(2))
    assert "To explain, a language model is asked: that is done by this process" in capsys.readouterr().err
    assert {one.pid for one in shards_in_log(tmp_path / "two")} == {os.getpid()}
    run_study(asks, tmp_path / "one", progress=False)
    assert contents(tmp_path / "two") == contents(tmp_path / "one")


def test_a_worker_that_is_late_leaves_a_finished_study_alone(
    spec: StudySpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "s"
    run_study(spec, folder, until="record", progress=False)

    def and_others_finish(units: Any, tools: Any) -> list:
        monkeypatch.setattr(jobs_of_study, "explain_units", explain_units)
        found = explain_units(units, tools)
        run_study(spec, folder, progress=False)
        return found

    monkeypatch.setattr(jobs_of_study, "explain_units", and_others_finish)
    DoShard()(Job(str(folder), "explain", 1))
    assert not (folder / "work").exists()


class Mortal(Explainer):
    """Kills its process with the first question about some units, before and after others are answered."""

    def explain(self, evidence: Any, *, n: int, seed: int) -> list:
        from glossator.explainers.token_list import TokenListExplainer

        for index in [one.unit.index for one in evidence]:
            marker = Path(os.environ["MARKERS"]) / str(index)
            if index % 11 == 5 and multiprocessing.parent_process() and not marker.exists():
                marker.touch()
                os.kill(os.getpid(), signal.SIGKILL)
        return TokenListExplainer().explain(evidence)


def test_killed_workers_change_no_byte(spec: StudySpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, "explainers", mortal="Mortal")
    monkeypatch.setitem(registry.BUILT_IN["explainers"], "mortal", "test_engines:Mortal")
    monkeypatch.setenv("MARKERS", str(tmp_path / "markers"))
    (tmp_path / "markers").mkdir()
    mortal = replace(spec, explainers=("mortal",))
    run_study(mortal, tmp_path / "whole", progress=False, engine=LocalEngine(1))
    assert not list((tmp_path / "markers").iterdir())
    run_study(mortal, tmp_path / "s", progress=False, engine=LocalEngine(2))
    killed = len(list((tmp_path / "markers").iterdir()))
    assert killed >= 2
    assert contents(tmp_path / "s") == contents(tmp_path / "whole")
    assert (tmp_path / "s" / LOG).read_text().count("lost its worker (SIGKILL)") == killed


class Dies:
    """A task whose job 1 kills its worker, and whose job 2 fails."""

    def __call__(self, job: Job) -> None:
        if job.shard == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        if job.shard == 2:
            raise UserError("it cannot be done", value=job.shard, fix="Leave it")

    def open(self, job: Job) -> None: ...


def jobs(folder: Path, shards: Sequence[int]) -> list[Job]:
    return [Job(str(folder), "explain", shard) for shard in shards]


def test_a_job_that_loses_every_worker_is_given_up_with_its_log(tmp_path: Path) -> None:
    notes: list[str] = []
    with pytest.raises(UserError, match=rf"explain shard 1 lost its worker {TRIES} times") as caught:
        list(carry_out(LocalEngine(2), jobs(tmp_path, [0, 1, 3]), Dies(), notes.append))
    assert str(tmp_path / "work" / "explain" / "00001.log") in str(caught.value)
    assert len(notes) == TRIES
    assert not multiprocessing.active_children()


def test_what_a_job_raises_comes_back_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        list(carry_out(LocalEngine(2), jobs(tmp_path, [0, 2, 3]), Dies(), print))
    assert str(caught.value) == "it cannot be done: 2. Leave it."
    assert "in __call__" in caught.value.__notes__[0]
    assert 'raise UserError("it cannot be done"' in (tmp_path / "work" / "explain" / "00002.log").read_text()


def kill_the_first(item: int) -> int:
    marker = Path(os.environ["MARKER"])
    if item == 3 and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return item * item


def test_in_parallel_gives_the_work_of_the_dead_to_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARKER", str(tmp_path / "marker"))
    assert in_parallel(kill_the_first, range(7), workers=2) == [0, 1, 4, 9, 16, 25, 36]
    with pytest.raises(UserError, match="died"):
        in_parallel(lambda item: os.kill(os.getpid(), signal.SIGKILL), [1, 2], workers=2)


def test_results_come_in_order_and_as_soon_as_they_are_there(tmp_path: Path) -> None:
    def wait_for_the_first(item: int) -> int:
        while item == 1 and not (tmp_path / "seen").exists():
            time.sleep(0.01)
        return item

    got = []
    for result in each_in_parallel(wait_for_the_first, range(5), workers=2):
        (tmp_path / "seen").touch()
        got.append(result)
    assert got == [*range(5)]


def makers(number: int) -> Iterator[int]:
    """So many numbers of the process that makes them."""
    for _ in range(number):
        yield os.getpid()


def test_items_are_made_ahead_by_another_process() -> None:
    assert list(ahead(iter(range(9)))) == [*range(9)]
    here, there = os.getpid(), {*islice(ahead(makers(9)), processes.FIRST, None)}
    assert list(ahead(makers(1))) == [here] and len(there) == 1 and here not in there


def test_items_are_made_here_where_no_process_can_be_forked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "can_fork", lambda: False)
    assert {*ahead(makers(9))} == {os.getpid()}


def test_what_is_raised_ahead_is_raised_here() -> None:
    def items() -> Iterator[int]:
        yield from range(5)
        raise UserError("no sixth")

    got: list[int] = []
    with pytest.raises(UserError, match="no sixth"):
        got.extend(ahead(items()))
    assert got == [*range(5)]


def test_when_the_process_that_is_ahead_dies_the_rest_is_made_here() -> None:
    here = os.getpid()

    def items() -> Iterator[tuple[int, int]]:
        for number in range(9):
            if number == 5 and os.getpid() != here:
                os.kill(os.getpid(), signal.SIGKILL)
            yield number, os.getpid()

    numbers, makers = zip(*ahead(items()), strict=True)
    assert numbers == (*range(9),)
    assert [maker == here for maker in makers] == [True] * 2 + [False] * 3 + [True] * 4


def test_who_is_ahead_ends_with_who_reads() -> None:
    def items() -> Iterator[tuple[int, bytes]]:
        while True:
            yield os.getpid(), bytes(1 << 20)

    reading = ahead(items())
    *_, (pid, _) = islice(reading, processes.FIRST + 1)
    assert pid != os.getpid()
    reading.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_fresh_processes_do_what_forked_ones_do(spec: StudySpec, whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "s"
    run_study(spec, folder, until="record", progress=False)
    replies = dict(spread(jobs(folder, [2, 0, 1, 7]), 2, lambda: fresh(DoShard("local"))))
    errors = {job.shard: str(reply.error or reply.lost) for job, reply in replies.items() if reply.value is not None}
    assert not errors
    assert str(replies[jobs(folder, [7])[0]].error).startswith("no such shard to explain: 7")
    run_study(spec, folder, progress=False)
    assert contents(folder) == contents(whole)
    assert len({one.pid for one in shards_in_log(folder) if one.stage == "explain"} - {os.getpid()}) == 2


def test_the_command_line_names_engines(spec: StudySpec, whole: Path, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "options.toml").write_text('partition = "short"')
    study = str(whole)
    assert main(["run", study, "--engine", "lokal"]) == 2
    assert "unknown engine: 'lokal'" in capsys.readouterr().err
    assert main(["run", study, "--engine-options", str(tmp_path / "options.toml")]) == 2
    assert "unknown option of the engine local: 'partition'. Allowed: none" in capsys.readouterr().err
    assert main(["run", study, "--workers", "0"]) == 2
    assert main(["show", study, "--costs"]) == 0
    assert "score: " in capsys.readouterr().out
    assert main(["show", str(tmp_path), "--costs"]) == 2


@pytest.mark.parametrize("engines", ["slurn", "local-0", "local-2,ray2", "local-"])
def test_the_benchmark_refuses_engines_that_there_are_not(engines: str) -> None:
    with pytest.raises(UserError, match="no such engine"):
        benchmark({"engines": engines})


PAGES = """
import resource, sys, threading
from glossator.engines import keep_freed_memory

def again() -> None:
    for _ in range(20):
        held = b"x" * (40 << 20)  # more than half of a heap
        held = held, b"x" * (40 << 20)

first = threading.Thread(target=again)
if sys.argv[1] == "kept late":
    first.start()
    first.join()
if sys.argv[1].startswith("kept"):
    keep_freed_memory()
worker = threading.Thread(target=again)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
worker.start()
worker.join()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc's allocator")
def test_freed_memory_is_used_again_in_threads_unless_the_user_decides_otherwise() -> None:
    def faults(how: str, **environment: str) -> int:
        own = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
        command = [sys.executable, "-c", PAGES, how]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=own | environment)
        return int(done.stdout)

    kept, as_it_was = faults("kept"), faults("as it was")
    assert 5 * kept < as_it_was
    assert 5 * faults("kept late") < as_it_was
    assert 5 * kept < faults("kept", MALLOC_ARENA_MAX="4")


def test_a_loop_is_compiled_anew_where_what_was_kept_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    from numba.core.caching import IndexDataCacheFile

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(IndexDataCacheFile, "save", full)
    assert compiled(_one_more)(1) == 2


def _one_more(x: int) -> int:
    return x + 1
