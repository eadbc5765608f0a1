"""Studies from text to report: statuses, ranking, baselines, and the same bytes however often a run is killed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from explorer_cases import units_of
from glossator.errors import UserError
from glossator.store.find import describe, find_studies
from glossator.store.folder import LOG
from glossator.study import Study, open_study, run_study
from glossator.study.grow import claimed
from study_cases import contents, register, small_spec, write_corpus

BASELINES = {"lookup", "token-list", "mismatched"}


@pytest.fixture(scope="module")
def subject(tiny_folder: Path) -> Path:
    write_corpus(tiny_folder.parent / "corpus.jsonl")
    return tiny_folder


@pytest.fixture(scope="module")
def finished(subject: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("studies") / "whole"
    run(subject, folder)
    return folder


def run(model: Path, folder: Path, **changes: object) -> Study:
    study = run_study(small_spec(model, **changes), folder, progress=False)
    assert study is not None
    return study


def test_a_study_is_complete(finished: Path) -> None:
    names = {p.name for p in finished.iterdir()}
    assert names == {"manifest.json", "recording", "report.html", LOG, "spec.json", "study.sqlite"}
    with open_study(finished) as study:
        assert study.counts == {"ok": 5, "insufficient": 0, "abstained": 0, "failed": 0}
        for result in study.results():
            (chosen,) = result.explanations
            assert chosen.bits is not None
            assert result.statistics["count"] == study.recording.valid_places(result.unit.site)
            for score in chosen.scores:
                assert score.how["split"] == "test"
                assert set(score.baselines) == BASELINES
                assert score.value is None or score.n > 1
            assert {s.name.partition(".")[0] for s in chosen.scores} == {"correlation", "detection"}


def test_a_baseline_of_the_same_length_ties_with_a_token_list(finished: Path) -> None:
    """The explainer is the null here, so neither can be far ahead; another unit's explanation is far behind."""
    with open_study(finished) as study:
        for result in study.results():
            score = result.explanations[0].scores[0]
            assert abs(score.value - score.baselines["token-list"]) < 0.1
            assert score.value > score.baselines["mismatched"] + 0.1


def test_a_finished_study_is_opened_and_not_touched(subject: Path, finished: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in finished.rglob("*")}
    with run(subject, finished) as study:
        assert sum(study.counts.values()) == 5
    assert {p: p.stat().st_mtime_ns for p in finished.rglob("*")} == before


def test_stages_one_by_one_end_with_the_same_bytes(subject: Path, finished: Path, tmp_path: Path) -> None:
    spec = small_spec(subject)
    assert run_study(spec, tmp_path / "s", until="record", progress=False) is None
    assert not (tmp_path / "s" / "work").exists()
    assert run_study(spec, tmp_path / "s", until="explain", progress=False) is None
    assert describe(tmp_path / "s")["state"] == "unfinished"
    run(subject, tmp_path / "s").close()
    assert contents(tmp_path / "s") == contents(finished)


class Killed(BaseException):
    """Stands for the end of the process: no handler catches it."""


def test_a_run_that_stops_at_any_write_goes_on_to_the_same_bytes(
    subject: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace, writes = os.replace, [0, 10**9]

    def counted(source: object, target: object) -> None:
        writes[0] += 1
        if writes[0] == writes[1]:
            raise Killed
        replace(source, target)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "replace", counted)
    few = {"units": 2, "scorers": ("correlation",)}
    run(subject, tmp_path / "whole", **few).close()
    total = writes[0]
    assert total >= 7
    for stop in range(1, total + 1):
        writes[:] = [0, stop]
        folder = tmp_path / f"stop-{stop}"
        with pytest.raises(Killed):
            run(subject, folder, **few)
        assert not (folder / "manifest.json").exists()
        run(subject, folder, **few).close()
        assert contents(folder) == contents(tmp_path / "whole"), f"stopped at write {stop} of {total}"


@pytest.mark.slow
@pytest.mark.parametrize(("explainer", "times"), [("token-list", 6), ("program", 4)])
def test_kill_9_at_random_moments(subject: Path, tmp_path: Path, explainer: str, times: int) -> None:
    whole = tmp_path / "whole"
    begin = time.perf_counter()
    subprocess.run(command(subject, whole, explainer), check=True, capture_output=True)
    seconds = time.perf_counter() - begin
    rng, killed = random.Random(7), 0
    for attempt in range(times):
        folder = tmp_path / f"killed-{attempt}"
        process = subprocess.Popen(
            command(subject, folder, explainer), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(seconds * rng.uniform(0.3, 1.0))
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
        subprocess.run(command(subject, folder, explainer), check=True, capture_output=True)
        assert contents(folder) == contents(whole)
    assert killed >= times // 2


def command(subject: Path, folder: Path, explainer: str = "token-list") -> list[str]:
    code = (
        "import sys; sys.path.insert(0, sys.argv[4]); from pathlib import Path; from study_cases import small_spec;"
        "from glossator.study import run_study; spec = small_spec(Path(sys.argv[1]), explainers=(sys.argv[3],));"
        "run_study(spec, sys.argv[2], progress=False)"
    )
    return [sys.executable, "-c", code, str(subject), str(folder), explainer, str(Path(__file__).parent)]


def test_one_failing_unit_spoils_no_other(subject: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, "explainers", fragile="Fragile")
    with run(subject, tmp_path / "s", explainers=("fragile",), units=(2, 3, 4, 5)) as study:
        results = {r.unit.index: r for r in study.results()}
    assert [results[i].status for i in (2, 3, 4, 5)] == ["failed", "ok", "failed", "ok"]
    assert results[2].reason == "fragile: ZeroDivisionError: an even unit"
    assert results[2].explanations == ()
    assert results[3].explanations[0].scores


def test_a_second_method_covers_for_one_that_fails(
    subject: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(monkeypatch, "explainers", fragile="Fragile")
    with run(subject, tmp_path / "s", explainers=("fragile", "lookup"), units=(2,)) as study:
        (result,) = study.results()
    assert result.status == "ok"
    assert "an even unit" in result.reason
    assert [e.method for e in result.explanations] == ["lookup"]


def test_silence_is_abstaining(subject: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, "explainers", silent="Silent")
    with run(subject, tmp_path / "s", explainers=("silent",), units=2) as study:
        assert study.counts["abstained"] == 2
        assert "silent" in next(study.results()).reason
    assert [unit["page"]["status"] for unit in units_of(tmp_path / "s" / "report.html")] == ["abstained"] * 2


def test_too_little_evidence_is_insufficient(subject: Path, tmp_path: Path) -> None:
    from dataclasses import replace

    evidence = replace(small_spec(subject).evidence, min_firing_windows=10_000)
    with run(subject, tmp_path / "s", evidence=evidence, units=2) as study:
        assert study.counts["insufficient"] == 2
        result = next(study.results())
    assert result.explanations == ()
    assert "10000 needed" in result.reason
    assert result.statistics is not None


def test_a_failing_scorer_is_a_failure_and_no_score(
    subject: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(monkeypatch, "scorers", broken="BrokenScorer")
    with run(subject, tmp_path / "s", scorers=("broken",), units=2) as study:
        assert study.counts["failed"] == 2
        result = next(study.results())
    assert result.reason == "scoring: KeyError: 'no such thing'"
    assert result.explanations
    assert result.explanations[0].scores == ()


def test_candidates_are_ranked_on_the_select_split(
    subject: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(monkeypatch, "explainers", ranked="Ranked")
    with run(subject, tmp_path / "s", explainers=("ranked",), units=3) as study:
        for result in study.results():
            many, one, words = result.explanations
            assert [e.rank for e in result.explanations] == [0, 1, 2]
            assert many.select > one.select
            assert (many.provenance["settings"]["n"], words.select, words.text) == (12, None, "in words alone")
            assert many.scores
            assert one.scores == words.scores == ()


def test_what_cannot_be_simulated_has_a_reason(subject: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, "explainers", wordy="Wordy")
    with run(subject, tmp_path / "s", explainers=("wordy",), units=1) as study:
        (result,) = study.results()
        (chosen,) = result.explanations
        assert chosen.provenance["cost"] == {"calls": 1.0}
    assert chosen.provenance["cost"] == {"calls": 1}
    assert {s.value for s in chosen.scores} == {None}
    assert all("no program" in s.reason for s in chosen.scores)
    assert " s\n" in (tmp_path / "s" / LOG).read_text()


def test_a_lone_unit_has_no_other(subject: Path, tmp_path: Path) -> None:
    with run(subject, tmp_path / "s", units=(7,)) as study:
        (result,) = study.results()
    assert set(result.explanations[0].scores[0].baselines) == BASELINES - {"mismatched"}


def test_both_sides_are_studied_apart(subject: Path, tmp_path: Path) -> None:
    with run(subject, tmp_path / "s", units=2, polarities=("+", "-")) as study:
        names = study.names()
        texts = [r.explanations[0].text for r in study.results()]
    assert len(names) == 4
    assert [n.endswith("-") for n in names] == [False, False, True, True]
    assert len(set(texts)) == 4


def test_a_folder_of_another_study_is_refused(subject: Path, finished: Path) -> None:
    before = contents(finished)
    with pytest.raises(UserError, match=r"another study \(they differ in seed, units\)"):
        run(subject, finished, units=4, seed=3)
    assert contents(finished) == before


def test_a_folder_of_something_else_is_refused(subject: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(UserError, match="neither empty nor a study"):
        run(subject, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_two_processes_do_not_work_on_one_study(subject: Path, tmp_path: Path) -> None:
    with claimed(small_spec(subject), tmp_path / "s"):
        done = subprocess.run(command(subject, tmp_path / "s"), capture_output=True, text=True, check=False)
    assert "another process is working on this study" in done.stderr
    run(subject, tmp_path / "s").close()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"subject": "nobody"}, "unknown subject"),
        ({"sites": ("mlp.7",)}, "mlp.0 to mlp.1"),
        ({"sites": ("model.nowhere",)}, "no such site"),
        ({"units": (64,)}, "0 to 63"),
        ({"units": 65}, "at most 64"),
        ({"corpus": "/no/such/corpus.jsonl"}, "no such corpus"),
        ({"width": 4096}, "too wide"),
        ({"options": {"token-list": {"tokens": 3}}}, "unknown option of token-list"),
        ({"options": {"token-list": {"n": 0}}}, "at least one token"),
    ],
)
def test_bad_input_leaves_nothing_behind(subject: Path, tmp_path: Path, changes: dict, said: str) -> None:
    with pytest.raises(UserError) as error:
        run(subject, tmp_path / "deep" / "s", **changes)
    assert said in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_below_a_file_is_refused(subject: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is a file"):
        run(subject, tmp_path / "file" / "s")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_refused(subject: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match="read-only"):
        run(subject, tmp_path / "s")


def test_a_folder_that_cannot_be_made_is_refused(
    subject: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(UserError, match="read-only"):
        run(subject, tmp_path / "s")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_one_error_and_the_run_goes_on_later(
    subject: Path, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from glossator.study.work import Work

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("glossator.files.os.fsync", full)
        with pytest.raises(UserError, match="No space left"):
            run(subject, tmp_path / "s")
    assert isinstance(Work(tmp_path / "s"), Work)
    run(subject, tmp_path / "s").close()
    assert contents(tmp_path / "s") == contents(finished)


def test_a_damaged_shard_is_named(subject: Path, tmp_path: Path) -> None:
    run_study(small_spec(subject), tmp_path / "s", until="explain", progress=False)
    shard = tmp_path / "s" / "work" / "explain" / "00000.jsonl"
    shard.write_text("{")
    with pytest.raises(UserError, match=r"00000\.jsonl"):
        run(subject, tmp_path / "s")


def test_studies_are_found_wherever_they_are(finished: Path, tmp_path: Path) -> None:
    (tmp_path / "spec.json").write_text('{"not": "a study"}')
    assert find_studies(finished.parent) == [finished]
    assert find_studies(finished) == [finished]
    assert find_studies(tmp_path) == []
    entry = describe(finished)
    assert entry["state"] == "finished"
    assert entry["units"]["ok"] == 5
