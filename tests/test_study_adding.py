"""Rows that are added to a finished study: q-values and default scores follow, damage is still found, a killed writer
leaves what was committed."""

from __future__ import annotations

import json
import os
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from glossator.errors import UserError
from glossator.scores import Margin, Score
from glossator.statistics import q_values
from glossator.store.adding import add_scores, adding
from glossator.store.database import DATABASE
from glossator.study import Study, UnitResult, open_study
from glossator.study.verify import verify_study
from glossator.units import Unit
from study_cases import register
from test_study_card import unit_with
from test_study_store import SPEC, stored, write_study

P = [0.001, 0.04, 0.03, 0.9]
RESULTS = [unit_with(i, p, 0.1 * (i + 2)) for i, p in enumerate(P)]


def judged(value: float, p: float | None = None) -> Score:
    margins = {} if p is None else {"lookup": Margin(value - 0.5, 0.0, 0.4, p)}
    how = {"items": 12, "judge": "made up"}
    return Score("embedding.auroc", value, "AUROC", 0.5, 0.9, 7, baselines={"lookup": 0.5}, how=how, margins=margins)


def units(study: Study) -> list[Unit]:
    return [row.unit for row in study.page()]


def score_named(study: Study, unit: Unit, name: str) -> Score:
    return next(s for s in study.result(unit).explanations[0].scores if s.name == name)


def test_added_scores_are_there_with_their_q_values(tmp_path: Path) -> None:
    with stored(tmp_path, RESULTS) as study:
        file = (tmp_path / DATABASE).stat().st_ino
        before, all_units = list(study.results()), units(study)
        add_scores(
            study, [(unit, "token-list", judged(0.6 + p / 10, p)) for unit, p in zip(all_units[:3], P, strict=False)]
        )
        found = [score_named(study, unit, "embedding.auroc") for unit in all_units[:3]]
        assert [s.margins["lookup"].q for s in found] == q_values(P[:3])
        assert found[0].how == {"items": 12, "judge": "made up"} and found[0].baselines == {"lookup": 0.5}
        add_scores(study, [(all_units[3], "token-list", judged(0.9, P[3]))])
        assert [score_named(study, u, "embedding.auroc").margins["lookup"].q for u in all_units] == q_values(P)
        kept = [tuple(s for s in r.explanations[0].scores if s.name != "embedding.auroc") for r in study.results()]
        assert kept == [r.explanations[0].scores for r in before]
    assert (tmp_path / DATABASE).stat().st_ino == file
    with open_study(tmp_path) as study:
        assert [row.q for row in study.page()] == q_values(P)  # of the score that ranks them, as before
        assert [c.wrong for c in verify_study(tmp_path) if c.file == DATABASE or "inside" in c.file] == ["", ""]


def test_units_are_ranked_anew_where_a_better_known_score_comes(tmp_path: Path) -> None:
    lone = [replace(r, explanations=(replace(r.explanations[0], scores=(judged(0.5 + i / 10),)),))
            for i, r in enumerate(RESULTS)]  # fmt: skip
    with stored(tmp_path, lone) as study:
        assert study.ranked_by == "embedding.auroc"
        assert [row.unit.index for row in study.page("best")] == [3, 2, 1, 0]
        new = [(r.unit, "token-list", r.explanations[0].scores[0]) for r in RESULTS[:3]]
        add_scores(study, [(u, m, replace(s, value=0.9 - (s.value or 0))) for u, m, s in new])
        assert study.ranked_by == "correlation.top-and-random"
        assert [row.unit.index for row in study.page("best")] == [0, 1, 2]
        assert [row.score is None for row in study.page()] == [False, False, False, True]


def test_a_score_is_added_once_and_to_what_is_there(tmp_path: Path) -> None:
    with stored(tmp_path, RESULTS) as study:
        unit = units(study)[0]
        for wrong, said in [
            ((unit, "token-list", RESULTS[0].explanations[0].scores[0]), "has this score: 'correlation.top-and-random"),
            ((unit, "program", judged(0.5)), "no such explanation: 'program of toy/mlp.0/0'"),
            ((replace(unit, index=77), "token-list", judged(0.5)), "toy/mlp.0/77"),
        ]:
            with pytest.raises(UserError, match=said):
                add_scores(study, [(unit, "token-list", judged(0.7)), wrong])
        assert list(study.results()) == list(open_study(tmp_path).results())
        assert not study.query("SELECT 1 FROM scores WHERE name = 'embedding.auroc'")


def test_scores_under_another_spec_say_so(tmp_path: Path) -> None:
    other = replace(SPEC, seed=5)
    with stored(tmp_path, RESULTS) as study:
        add_scores(study, [(units(study)[0], "token-list", judged(0.7))], other)
        assert score_named(study, units(study)[0], "embedding.auroc").how["spec"] == other.fingerprint
        assert study.query("SELECT count(*) FROM specs") == [(2,)]


def test_damage_is_found_after_adding(tmp_path: Path) -> None:
    with stored(tmp_path, RESULTS) as study:
        add_scores(study, [(units(study)[0], "token-list", judged(0.7))])
    data = bytearray((tmp_path / DATABASE).read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / DATABASE).write_bytes(data)
    with pytest.raises(UserError, match="checksum"):
        open_study(tmp_path)


def in_another_process(do) -> int:
    """The exit status of a process that does this and ends at once."""
    child = os.fork()
    if child == 0:
        try:
            do()
        finally:
            os._exit(9)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_writer_that_is_killed_leaves_what_was_committed(tmp_path: Path) -> None:
    write_study(tmp_path, RESULTS)

    def killed() -> None:
        with adding(open_study(tmp_path)) as more:
            more.scores([(RESULTS[0].unit, "token-list", judged(0.7))])
            more.connection.execute("PRAGMA cache_size = 1")
            more.connection.execute("BEGIN")
            more.connection.execute("UPDATE explanations SET text = text || hex(randomblob(5000))")
            os._exit(9)

    assert in_another_process(killed) == 9
    assert (tmp_path / f"{DATABASE}-journal").exists()
    assert json.loads((tmp_path / "manifest.json").read_text())["files"][DATABASE]["adding"]
    with open_study(tmp_path) as study:
        assert score_named(study, RESULTS[0].unit, "embedding.auroc").value == 0.7
        assert [e.text for r in study.results() for e in r.explanations] == ["cats and kittens"] * 4
    assert "adding" not in json.loads((tmp_path / "manifest.json").read_text())["files"][DATABASE]
    assert not (tmp_path / f"{DATABASE}-journal").exists()


def test_damage_is_not_taken_for_what_a_killed_writer_left(tmp_path: Path) -> None:
    write_study(tmp_path, RESULTS)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    manifest["files"][DATABASE]["adding"] = True
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    data = bytearray((tmp_path / DATABASE).read_bytes())
    data[4096 : 4096 * 20] = b"\xff" * 4096 * 19
    (tmp_path / DATABASE).write_bytes(data)
    with pytest.raises(UserError, match="damaged"):
        open_study(tmp_path)


def test_one_process_adds_at_a_time(tmp_path: Path) -> None:
    with stored(tmp_path, RESULTS) as study, adding(study) as more:

        def other() -> None:
            try:
                add_scores(Study(tmp_path, study.manifest), [])
            except UserError as error:
                os._exit(7 if "another process" in str(error) else 8)

        assert in_another_process(other) == 7
        more.scores([(units(study)[0], "token-list", judged(0.7))])
    assert open_study(tmp_path).query("SELECT 1 FROM scores WHERE name = 'embedding.auroc'")


def test_experiments_are_registered_before_they_have_a_result(tmp_path: Path) -> None:
    with stored(tmp_path, RESULTS) as study:
        unit = units(study)[1]
        with adding(study) as more:
            first = more.experiment("edit", {"remove": " cat"}, unit=unit, prediction={"change": "down"})
            second = more.experiment("survey", ["a", 1])
            more.result(first, {"change": -0.4})
            with pytest.raises(UserError, match="awaits a result: 1"):
                more.result(first, {"change": 0.4})
            with pytest.raises(UserError, match="awaits a result: 9"):
                more.result(9, {})
            with pytest.raises(UserError, match=r"toy/mlp\.0/77"):
                more.experiment("edit", {}, unit=replace(unit, index=77))
            for column in ("prediction", "request", "kind", "unit"):
                with pytest.raises(sqlite3.IntegrityError, match="cannot be changed"):
                    more.connection.execute(f"UPDATE experiments SET {column} = '1'")
            with pytest.raises(sqlite3.IntegrityError, match="has a result"):
                more.connection.execute("UPDATE experiments SET result = '1' WHERE id = 1")
        assert second > first
        assert study.experiments(unit) == [(first, "edit", {"remove": " cat"}, {"change": "down"}, {"change": -0.4})]
        assert study.experiments() == [(second, "survey", ["a", 1], None, None)]


def test_what_was_added_outlives_the_file(tmp_path: Path) -> None:
    """As when the study grows, and its file is made anew from results."""
    other = replace(SPEC, seed=5)
    with stored(tmp_path, RESULTS[:3]) as study:
        unit = units(study)[2]
        with adding(study) as more:
            more.scores([(unit, "token-list", judged(0.7))], other)
            more.experiment("edit", {"remove": " cat"}, unit=unit)
            more.experiment("survey", [])
        results = list(study.results())
    with stored(tmp_path, [RESULTS[3], *results]) as study:
        assert study.experiments(unit) == [(1, "edit", {"remove": " cat"}, None, None)]
        assert study.experiments() == [(2, "survey", [], None, None)]
        assert {f for (f,) in study.query("SELECT fingerprint FROM specs")} == {SPEC.fingerprint, other.fingerprint}
        assert score_named(study, unit, "embedding.auroc") == results[2].explanations[0].scores[-1]


def test_an_older_study_takes_more_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import lzma
    import shutil

    register(monkeypatch, "scorers", acting="Acting")
    old = Path(__file__).parent / "golden" / "study-3"
    shutil.copy(old / "manifest.json", tmp_path)
    (tmp_path / DATABASE).write_bytes(lzma.decompress((old / "study.sqlite.xz").read_bytes()))
    with open_study(tmp_path) as study:
        before = list(study.results())
        add_scores(study, [(before[0].unit, "program", judged(0.7))])
        assert not study.migrated
        assert list(study.results())[1:] == before[1:]
    with open_study(tmp_path) as study:
        assert not study.migrated
        best = study.result(before[0].unit).best("program")
        assert best is not None and best.scores[-1].name == "embedding.auroc"


def test_pages_hold_every_unit_once(tmp_path: Path) -> None:
    values = [0.3, 0.1, 0.3, None, 0.2, 0.3]
    results: list[UnitResult] = []
    for i, value in enumerate(values):
        result = unit_with(i, 0.01 * (i + 1), value or 0.0)
        if value is None:
            lacking = Score("correlation.top-and-random", None, "Pearson r", reason="constant")
            result = replace(result, explanations=(replace(result.explanations[0], scores=(lacking,)),))
        results.append(result)
    with stored(tmp_path, results) as study:
        for order, expected in {
            "place": [0, 1, 2, 3, 4, 5], "best": [0, 2, 5, 4, 1], "worst": [1, 4, 5, 2, 0], "causal": [],
        }.items():  # fmt: skip
            found, last = [], None
            while page := study.page(order, after=last, limit=2):
                found += [row.unit.index for row in page]
                last = page[-1]
            assert found == expected
        assert [row.unit.index for row in study.page(where={"site": "mlp.0", "status": "ok"}, limit=3)] == [0, 1, 2]
        assert study.page(where={"method": "program"}) == []
        assert study.page("best", limit=1)[0].text == "cats and kittens"
        for wrong in ({"order_by": "size"}, {"where": {"name": "x"}}, {"order_by": "best", "after": study.page()[3]}):
            with pytest.raises(UserError):
                study.page(**wrong)


def test_a_unit_is_found_by_the_end_of_its_name(tmp_path: Path) -> None:
    results = [replace(RESULTS[0], unit=Unit("toy", site, index)) for site in ("mlp.0", "mlp.10") for index in (1, 11)]
    with stored(tmp_path, results) as study:
        assert study.named("mlp.0/1") == ["toy/mlp.0/1"]
        assert study.named("toy/mlp.10/11") == ["toy/mlp.10/11"]
        assert study.named("11") == ["toy/mlp.0/11", "toy/mlp.10/11"]
        assert study.named("0/1") == study.named("lp.0/1") == study.named("mlp.0") == study.named("") == []
        assert study.named("mlp.0/1-") == []
