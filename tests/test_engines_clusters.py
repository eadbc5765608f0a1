"""Ray and SLURM make the same bytes as one process, also when a worker is killed; skipped where they are not there."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.single_node_slurm import NoSlurm, single_node_slurm
from glossator.cli import main
from glossator.engines import Job, LocalEngine, carry_out
from glossator.engines.ray import RayEngine
from glossator.engines.slurm import SlurmEngine
from glossator.errors import UserError
from glossator.study import StudySpec, run_study
from glossator.study.jobs import DoShard
from glossator.study.work import shards_in_log
from study_cases import contents, small_spec, write_corpus


@pytest.fixture(scope="module")
def spec(tiny_folder: Path) -> StudySpec:
    write_corpus(tiny_folder.parent / "corpus.jsonl")
    return small_spec(tiny_folder, units=40, max_tokens=3000, scorers=("correlation",))


@pytest.fixture(scope="module")
def whole(spec: StudySpec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clusters") / "whole"
    run_study(spec, folder, progress=False, engine=LocalEngine(1))
    return folder


@pytest.fixture
def visible(monkeypatch: pytest.MonkeyPatch) -> None:
    """What this process imports is imported by those that others start."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))


class KillsOnce:
    """Kills the first process that does job 1."""

    def __call__(self, job: Job) -> None:
        marker = Path(job.folder) / "killed"
        if job.shard == 1 and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        (Path(job.folder) / f"done-{job.shard}").write_text(str(os.getpid()))

    def open(self, job: Job) -> None: ...


def check(engine: Any, spec: StudySpec, whole: Path, folder: Path) -> None:
    """The same bytes, in other processes; one that is killed is replaced."""
    run_study(spec, folder / "s", progress=False, engine=engine)
    assert contents(folder / "s") == contents(whole)
    ran = shards_in_log(folder / "s")
    assert {one.engine for one in ran} == {engine.name}
    assert os.getpid() not in {one.pid for one in ran}
    notes: list[str] = []
    jobs = [Job(str(folder), "explain", shard) for shard in range(3)]
    assert sorted(job.shard for job in carry_out(engine, jobs, KillsOnce(), notes.append)) == [0, 1, 2]
    assert any(note.startswith("explain shard 1 lost its worker") for note in notes)
    run_study(spec, folder / "t", until="record", progress=False)
    with pytest.raises(UserError, match="no such shard to explain: 9"):
        list(carry_out(engine, [Job(str(folder / "t"), "explain", 9)], DoShard(engine.name), print))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_ray(spec: StudySpec, whole: Path, tmp_path: Path, visible: None) -> None:
    ray = pytest.importorskip("ray", reason="ray is not installed (glossator[ray])")
    try:
        check(RayEngine(2), spec, whole, tmp_path)
    finally:
        ray.shutdown()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("cluster", ["local", "slurm"])
def test_slurm(spec: StudySpec, whole: Path, tmp_path: Path, visible: None, cluster: str) -> None:
    pytest.importorskip("submitit", reason="submitit is not installed (glossator[slurm])")
    with contextlib.ExitStack() as stack:
        if cluster == "slurm":
            try:
                stack.enter_context(single_node_slurm())
            except NoSlurm as error:
                pytest.skip(str(error))
        check(SlurmEngine(2, cluster=cluster, time=10, memory=None), spec, whole, tmp_path)


def test_engines_that_are_not_installed_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, engine in (("ray", RayEngine()), ("submitit", SlurmEngine())):
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(UserError, match=rf"needs the package {module}.*glossator\[{engine.name}\]"):
            list(engine.run([Job(str(tmp_path), "explain", 0)], KillsOnce()))


@pytest.mark.parametrize(("engine", "options", "message"), [
    ("slurm", 'partitoin = "a"', "unknown option of the engine slurm: 'partitoin'. Allowed: did you mean partition"),
    ("slurm", "gpus = 'two'", "bad gpus of the engine slurm: 'two'. Allowed: 1 or more"),
    ("slurm", "cluster = 'none'", "unknown cluster of the engine slurm: 'none'. Allowed: local, slurm"),
    ("ray", "address = 3", "bad address of the engine ray: 3. Allowed: a text in quotes"),
])  # fmt: skip
def test_wrong_options_are_said(
    tmp_path: Path, whole: Path, capsys: pytest.CaptureFixture, engine: str, options: str, message: str
) -> None:
    (tmp_path / "options.toml").write_text(options)
    arguments = ["run", str(whole), "--engine", engine, "--engine-options", str(tmp_path / "options.toml")]
    assert main(arguments) == 2
    assert message in capsys.readouterr().err
