"""A finished study gets more units: its own results stay as they are, and a killed run goes on."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from glossator.errors import UserError
from glossator.language_models import CHAT, JSON_SCHEMA
from glossator.language_models.costs import Cost, total
from glossator.language_models.ledger import Ledger
from glossator.language_models.scripted import Scripted
from glossator.recording.store import crc32_of
from glossator.store.database import DATABASE
from glossator.store.results import UnitResult, unscored
from glossator.study import StudySpec, open_study, run_study
from glossator.study.models import Access
from lm_server import serve
from study_cases import contents, lm_spec, register, register_lm_methods, small_spec, write_corpus
from test_study_server import FEW, levels


class Killed(BaseException):
    """Stands for the end of the process: no handler catches it."""


@pytest.fixture(scope="module")
def model(tiny_folder: Path) -> Path:
    write_corpus(tiny_folder.parent / "corpus.jsonl")
    return tiny_folder


def spec_of(model: Path, units: object) -> StudySpec:
    return small_spec(model, units=units, sites=("mlp.0", "mlp.1"), max_tokens=3000, scorers=("correlation",))


def results(folder: Path) -> dict[str, UnitResult]:
    with open_study(folder) as study:
        return {str(result.unit): result for result in study.results()}


@pytest.mark.parametrize(("few", "many"), [(2, 4), ((3, 5), (5, 3, 1)), (2, "all")])
def test_more_units_are_added_and_the_others_stay(model: Path, tmp_path: Path, few: object, many: object) -> None:
    folder = tmp_path / "s"
    run_study(spec_of(model, few), folder, progress=False)
    before = results(folder)
    run_study(spec_of(model, many), folder, progress=False)
    after = results(folder)
    assert set(before) < set(after)
    assert {name: after[name] for name in before} == before
    whole = tmp_path / "whole"
    run_study(spec_of(model, many), whole, progress=False)
    fresh = results(whole)
    assert list(after) == list(fresh)
    assert {name: after[name] for name in set(after) - set(before)} == {n: fresh[n] for n in set(fresh) - set(before)}
    assert not (folder / "work").exists()
    with pytest.raises(UserError, match="with more units"):
        run_study(spec_of(model, few), folder, progress=False)
    run_study(spec_of(model, many), folder, progress=False)


@pytest.mark.parametrize("lm", [False, True])
def test_a_run_that_stops_at_any_write_goes_on_to_the_same_bytes(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lm: bool
) -> None:
    """More units are added, and with a language model more scorers as well, each with the same answers."""
    calls = [0, 10**9]
    few, many = spec_of(model, 2), spec_of(model, 3)
    if lm:
        register_lm_methods(monkeypatch)
        settings = {"sites": ("mlp.0",), "max_tokens": 3000, "candidates": 1, "evidence": FEW}
        few = lm_spec(model, units=2, scorers=("correlation",), **settings)
        many = lm_spec(model, units=3, scorers=("correlation", "judging"), **settings)

    def counted(original: object) -> object:
        def call(*args: object, **more: object) -> None:
            calls[0] += 1
            if calls[0] == calls[1]:
                raise Killed
            original(*args, **more)  # type: ignore[operator]

        return call

    def add(folder: Path) -> None:
        run_study(many, folder, progress=False)

    run_study(few, tmp_path / "few", progress=False)
    for name in ("replace", "rename", "unlink"):
        monkeypatch.setattr(os, name, counted(getattr(os, name)))
    copies = [0]

    def copy() -> Path:
        copies[0] += 1
        return Path(shutil.copytree(tmp_path / "few", tmp_path / f"copy-{copies[0]}"))

    whole = copy()
    calls[:] = [0, 10**9]
    add(whole)
    total = calls[0]
    for stop in np.unique(np.linspace(1, total, 8 if lm else 14).astype(int)).tolist():
        folder = copy()
        calls[:] = [0, stop]
        with pytest.raises(Killed):
            add(folder)
        calls[:] = [0, 10**9]
        add(folder)
        assert contents(folder) == contents(whole), f"stopped at call {stop} of {total}"


SCORERS = ("correlation", "detection", "judging")


@pytest.mark.parametrize("more", [
    {"units": 5}, {"scorers": SCORERS}, {"units": 5, "scorers": SCORERS},
    {"units": 5, "explainers": ("drawing", "asking", "program")}, {"units": (9, 3, 20, 5), "few": (9, 3)},
])  # fmt: skip
def test_a_grown_study_is_one_made_at_once(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: dict, capsys: pytest.CaptureFixture
) -> None:
    """Units, explanations, scores and the ledger; and only what is new is asked."""
    register_lm_methods(monkeypatch)
    register(monkeypatch, "explainers", drawing="Drawing")
    more = {**more}
    settings = {"polarities": ("+", "-"), "max_tokens": 3000, "candidates": 2, "scorers": SCORERS[:2], "evidence": FEW}
    few = lm_spec(model, **{**settings, "units": more.pop("few", 3), "explainers": more.get("explainers", ("asking",))})
    many = replace(few, **more)
    run_study(few, tmp_path / "s", progress=False)
    before, costs = results(tmp_path / "s"), costs_of(tmp_path / "s")
    capsys.readouterr()
    grown = Ledger()
    run_study(many, tmp_path / "s", progress=False, access=Access(ledger=grown))
    said = capsys.readouterr().err
    run_study(many, tmp_path / "whole", progress=False)
    after, whole = results(tmp_path / "s"), results(tmp_path / "whole")
    assert list(after) == list(whole)
    assert after == whole
    for name, result in before.items():
        if "scorers" in more:
            assert unscored(after[name]) == unscored(result)
            for old, new in zip(result.explanations, after[name].explanations, strict=True):
                assert set(s.name for s in old.scores) <= set(s.name for s in new.scores)
                assert old.scores == tuple(s for s in new.scores if s.name in {o.name for o in old.scores})
        else:
            assert after[name] == result
    assert costs_of(tmp_path / "s") == costs_of(tmp_path / "whole")
    new = total(costs_of(tmp_path / "whole")).calls - total(costs).calls
    assert grown.total().calls == new > 0
    foreseen = int(said.partition("about ")[2].partition(" call")[0].replace(",", ""))
    assert new / 2 <= foreseen <= new * 2, (new, foreseen)
    left = len(after) if "scorers" in more else len(after) - len(before)
    assert said.startswith(f"Estimated cost for {left} unit")
    assert contents(tmp_path / "s") == contents(tmp_path / "whole")


def costs_of(folder: Path) -> list[Cost]:
    with open_study(folder) as study:
        return study.costs


def test_the_causal_column_of_more_units_is_that_of_a_study_made_at_once(model: Path, tmp_path: Path) -> None:
    """Its random units are drawn among those before it, of which there are enough here."""
    few = replace(spec_of(model, 6), sites=("mlp.0",), card="both", scorers=("correlation", "ablation"))
    many = replace(few, units=8)
    run_study(few, tmp_path / "s", progress=False)
    run_study(many, tmp_path / "s", progress=False)
    run_study(many, tmp_path / "whole", progress=False)
    assert contents(tmp_path / "s") == contents(tmp_path / "whole")


def test_bills_over_http_grows_by_what_is_new(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "a key")
    with serve(Scripted(levels, powers=frozenset({CHAT, JSON_SCHEMA}))) as server:
        lm = server.spec("kind=openai&key_variable=SOME_KEY")
        few = small_spec(model, lm=lm, units=2, evidence=FEW, explainers=("bills",), candidates=1,
                         scorers=("correlation",))  # fmt: skip
        many = replace(few, units=4, scorers=("correlation", "lm-detection"))
        run_study(few, tmp_path / "s", progress=False)
        first = len(server.bodies)
        with pytest.raises(UserError, match="budget is reached"):
            run_study(many, tmp_path / "s", progress=False, access=Access(ledger=Ledger("2000 tokens")))
        run_study(many, tmp_path / "s", progress=False)
        asked = len(server.bodies)
        shutil.copytree(tmp_path / "s", tmp_path / "asks-nobody", ignore=shutil.ignore_patterns("[!a]*"))
        run_study(many, tmp_path / "asks-nobody", progress=False)
        assert len(server.bodies) == asked > first
    assert results(tmp_path / "s") == results(tmp_path / "asks-nobody")
    assert costs_of(tmp_path / "s") == costs_of(tmp_path / "asks-nobody")


def test_growing_may_be_asked_to_grow_further_before_it_is_done(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register_lm_methods(monkeypatch)
    spec = lm_spec(model, units=2, max_tokens=3000, candidates=1, scorers=("correlation",), evidence=FEW)
    run_study(spec, tmp_path / "s", progress=False)
    run_study(replace(spec, units=4), tmp_path / "s", until="explain", progress=False)
    many = replace(spec, units=7, scorers=("correlation", "judging"))
    run_study(many, tmp_path / "s", progress=False)
    run_study(many, tmp_path / "whole", progress=False)
    assert contents(tmp_path / "s") == contents(tmp_path / "whole")


def test_a_study_that_does_not_know_what_each_request_cost_is_made_anew(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register_lm_methods(monkeypatch)
    spec = lm_spec(model, units=1, max_tokens=3000, candidates=1, scorers=("correlation",), evidence=FEW)
    run_study(spec, tmp_path / "s", progress=False)
    database = tmp_path / "s" / DATABASE
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.executescript("DELETE FROM requests; VACUUM;")
    manifest = json.loads((tmp_path / "s" / "manifest.json").read_text())
    manifest["files"][DATABASE] = {"size": database.stat().st_size, "crc32": crc32_of(database)}
    (tmp_path / "s" / "manifest.json").write_text(json.dumps(manifest))
    assert results(tmp_path / "s")
    with pytest.raises(UserError, match="--lm-cache"):
        run_study(replace(spec, units=2), tmp_path / "s", progress=False)


def test_random_weights_are_added_to_a_finished_study(model: Path, tmp_path: Path) -> None:
    few, folder = spec_of(model, 3), tmp_path / "s"
    asks = replace(few, baselines=(*few.baselines, "random-weights"))
    run_study(few, folder, progress=False)
    run_study(asks, folder, progress=False)
    run_study(asks, tmp_path / "whole", progress=False)
    assert contents(folder) == contents(tmp_path / "whole")
    with pytest.raises(UserError, match="differ in baselines"):
        run_study(few, folder, progress=False)


def test_what_cannot_be_added_is_said(model: Path, tmp_path: Path) -> None:
    run_study(spec_of(model, 2), tmp_path / "s", until="explain", progress=False)
    with pytest.raises(UserError, match="to a finished study"):
        run_study(spec_of(model, 3), tmp_path / "s", progress=False)
    with pytest.raises(UserError, match="differ in units"):
        run_study(spec_of(model, (1, 2)), tmp_path / "s", progress=False)


def test_a_larger_draw_holds_a_smaller_one(model: Path) -> None:
    for site in ("mlp.0", "resid.3"):
        draws = [set(spec_of(model, n).indices(site, 300) or ()) for n in (1, 5, 64, 65, 200, 300)]
        assert [len(draw) for draw in draws] == [1, 5, 64, 65, 200, 300]
        assert all(a < b for a, b in itertools.pairwise(draws))
    assert json.dumps(spec_of(model, 3).indices("mlp.0", 3)) == "[0, 1, 2]"
