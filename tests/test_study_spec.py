"""Specs: what a TOML file or flags may say, which units that means, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from glossator.cli.spec_options import read_spec, read_units
from glossator.errors import UserError
from glossator.files import plain
from glossator.recording.samplers import EvidenceSpec
from glossator.store.spec import make_spec
from glossator.study import StudySpec, load_spec

BASE = {"subject": "smollm2-135m", "sites": ["mlp.12"]}

TOML = """
subject = "smollm2-135m"
sites = ["mlp.5", "mlp.12"]
units = [345, 3]
max_tokens = "all"
explainers = ["token-list", "lookup"]
[evidence]
test_top = 7
explain_random = "all"
[options.token-list]
n = 20
"""


def test_a_spec_is_read_from_toml(tmp_path: Path) -> None:
    path = tmp_path / "spec.toml"
    path.write_text(TOML)
    spec = load_spec(path)
    assert spec.sites == ("mlp.5", "mlp.12")
    assert spec.units == (345, 3)
    assert spec.max_tokens is None
    assert spec.evidence.test_top == 7
    assert spec.evidence.explain_random is None
    assert spec.options == {"token-list": {"n": 20}}


def test_a_spec_survives_json() -> None:
    spec = make_spec({**BASE, "units": [1, 2], "evidence": {"test_top": 7}, "options": {"correlation": {}}})
    again = make_spec(json.loads(json.dumps(plain(spec))))
    assert again == spec
    assert again.fingerprint == spec.fingerprint


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"subjects": "x"}, "subjects"),
        ({"units": "some"}, "some"),
        ({"units": 0}, "no unit"),
        ({"units": []}, "no unit"),
        ({"units": True}, "True"),
        ({"explainers": ["prgram"]}, "did you mean program?"),
        ({"scorers": ["corelation"]}, "did you mean correlation"),
        ({"polarities": ["up"]}, "polarities"),
        ({"calibration": "none"}, "calibration"),
        ({"sites": []}, "sites"),
        ({"sites": ["mlp.1", "mlp.1"]}, "twice"),
        ({"width": 0}, "width"),
        ({"width": "64"}, "width"),
        ({"max_tokens": 10}, "below one window"),
        ({"evidence": {"tops": 3}}, "tops"),
        ({"evidence": {"test_top": "many"}}, "many"),
        ({"evidence": {"test_top": "all"}}, "all"),
        ({"evidence": 3}, "table"),
        ({"options": {"nobody": {}}}, "nobody"),
        ({"options": {"program": 3}}, "tables"),
        ({"corpus": 3}, "corpus"),
    ],
)
def test_bad_specs_are_refused(values: dict, said: str) -> None:
    with pytest.raises(UserError) as error:
        make_spec({**BASE, **values})
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: StudySpec("s", ("a",), width="64"), "bad width: '64'. Allowed: 1 to 1048576"),
        (lambda: StudySpec("s", ("a",), seed=-1), "bad seed: -1. Allowed: 0 to"),
        (lambda: StudySpec("s", ("a",), candidates=True), "bad candidates: True"),
        (lambda: StudySpec("s", ("a",), max_tokens="some"), "bad max_tokens: 'some'."),
        (lambda: StudySpec("s", ("a",), lm=3), "bad lm: 3. Allowed: a text in quotes"),
        (lambda: EvidenceSpec(test_top=-1), "bad test_top in [evidence]: -1. Allowed: 0 or more"),
        (lambda: EvidenceSpec(sampler="tpo"), "unknown sampler in [evidence]: 'tpo'. Allowed: did you mean top"),
    ],
)
def test_a_spec_is_checked_in_python_as_in_a_file(make: Callable[[], object], said: str) -> None:
    with pytest.raises(UserError) as error:
        make()
    assert said in str(error.value)
    assert isinstance(StudySpec("s", ["a"]).sites, tuple)


@pytest.mark.parametrize("text", ["subject = ", "subject = 3\nsites = ['a']", "sites = ['a']", "\x00"])
def test_bad_files_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "spec.toml"
    path.write_text(text)
    with pytest.raises(UserError):
        load_spec(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No such file"):
        load_spec(tmp_path / "none.toml")


def test_units_are_drawn_by_the_seed() -> None:
    spec = StudySpec("s", ("a", "b"), units=10)
    first = spec.indices("a", 1000)
    assert first == spec.indices("a", 1000)
    assert len(set(first)) == 10
    assert list(first) == sorted(first)
    assert first != spec.indices("b", 1000)
    assert first != StudySpec("s", ("a", "b"), units=10, seed=1).indices("a", 1000)


def test_units_that_do_not_exist_are_refused() -> None:
    with pytest.raises(UserError, match="0 to 99"):
        StudySpec("s", ("a",), units=(3, 100)).indices("a", 100)
    with pytest.raises(UserError, match="at most 100"):
        StudySpec("s", ("a",), units=101).indices("a", 100)
    assert StudySpec("s", ("a",), units="all").indices("a", 100) is None
    assert StudySpec("s", ("a",), units=(7, 3, 7)).indices("a", 100) == (3, 7)


@pytest.mark.parametrize(("text", "units"), [("64", 64), ("all", "all"), ("3,17,40-42", [3, 17, 40, 41, 42])])
def test_units_on_the_command_line(text: str, units: object) -> None:
    assert read_units(text) == units


@pytest.mark.parametrize("text", ["-3", "9-3", "x", "3,x", "3,", ""])
def test_bad_units_on_the_command_line(text: str) -> None:
    with pytest.raises(UserError):
        read_units(text)


def test_flags_stand_above_the_file(tmp_path: Path) -> None:
    path = tmp_path / "spec.toml"
    path.write_text(TOML)
    spec, folder = read_spec(str(path), tmp_path / "out", units="5", tokens="1000", side="both", site=["mlp.1,mlp.2"])
    assert (spec.units, spec.max_tokens, spec.polarities, spec.sites) == (5, 1000, ("+", "-"), ("mlp.1", "mlp.2"))
    assert spec.evidence.test_top == 7
    assert folder == tmp_path / "out"


def test_a_unit_is_a_spec() -> None:
    spec, folder = read_spec("smollm2-135m/mlp.12/345-", None)
    assert (spec.subject, spec.sites, spec.units, spec.polarities) == ("smollm2-135m", ("mlp.12",), (345,), ("-",))
    assert folder.name == f"smollm2-135m-mlp.12-{spec.fingerprint[:8]}"
