"""A finished study gets more units: its own results stay as they are, and a killed run goes on."""

from __future__ import annotations

import itertools
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from glossator.errors import UserError
from glossator.study import StudySpec, open_study, run_study
from glossator.study.results import UnitResult
from study_cases import contents, small_spec, write_corpus


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
    for name in set(after) - set(before):
        assert [e.text for e in after[name].explanations] == [e.text for e in fresh[name].explanations]
        assert after[name].statistics == fresh[name].statistics
    assert not (folder / "work").exists()
    with pytest.raises(UserError, match="with more units"):
        run_study(spec_of(model, few), folder, progress=False)
    run_study(spec_of(model, many), folder, progress=False)


def test_a_run_that_stops_at_any_write_goes_on_to_the_same_bytes(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = [0, 10**9]

    def counted(original: object) -> object:
        def call(*args: object, **more: object) -> None:
            calls[0] += 1
            if calls[0] == calls[1]:
                raise Killed
            original(*args, **more)  # type: ignore[operator]

        return call

    def add(folder: Path) -> None:
        run_study(spec_of(model, 3), folder, progress=False)

    run_study(spec_of(model, 2), tmp_path / "few", progress=False)
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
    for stop in np.unique(np.linspace(1, total, 14).astype(int)).tolist():
        folder = copy()
        calls[:] = [0, stop]
        with pytest.raises(Killed):
            add(folder)
        calls[:] = [0, 10**9]
        add(folder)
        assert contents(folder) == contents(whole), f"stopped at call {stop} of {total}"


def test_what_cannot_be_added_is_said(model: Path, tmp_path: Path) -> None:
    run_study(spec_of(model, 2), tmp_path / "s", until="explain", progress=False)
    with pytest.raises(UserError, match="finished study only"):
        run_study(spec_of(model, 3), tmp_path / "s", progress=False)
    with pytest.raises(UserError, match="differ in units"):
        run_study(spec_of(model, (1, 2)), tmp_path / "s", progress=False)


def test_a_larger_draw_holds_a_smaller_one(model: Path) -> None:
    for site in ("mlp.0", "resid.3"):
        draws = [set(spec_of(model, n).indices(site, 300) or ()) for n in (1, 5, 64, 65, 200, 300)]
        assert [len(draw) for draw in draws] == [1, 5, 64, 65, 200, 300]
        assert all(a < b for a, b in itertools.pairwise(draws))
    assert json.dumps(spec_of(model, 3).indices("mlp.0", 3)) == "[0, 1, 2]"
