"""Files that other tools' own code wrote (`scripts/peer_files.py`): read, written, read again; studies of them."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from glossator.explorer.pages.unit import unit_page
from glossator.explorer.pages.windows import unit_windows
from glossator.formats import OfUnit, Said, neuronpedia, open_units, openai
from glossator.formats.delphi import read_explanations, write_cache
from glossator.study import run_study
from glossator.study.context import StudyContext
from glossator.study.incoming import spec_of
from glossator.study.outgoing import write_study
from glossator.subjects.delphi import DelphiSubject

ROOT = Path(__file__).resolve().parent
PEERS = ROOT / "golden" / "peers"
BULK, BATCH = PEERS / "neuronpedia", PEERS / "saedashboard" / "batch-0.json"
INTERPRETER = "GLOSSATOR_PEERS_PYTHON"


def same(one: OfUnit, other: OfUnit) -> None:
    assert (one.site, one.index) == (other.site, other.index)
    assert (one.density, one.promoted, one.suppressed) == (other.density, other.promoted, other.suppressed)
    assert len(one.excerpts) == len(other.excerpts) > 0
    for a, b in zip(one.excerpts, other.excerpts, strict=True):
        assert (a.tokens, a.kind, a.low, a.high, a.share) == (b.tokens, b.kind, b.low, b.high, b.share)
        np.testing.assert_allclose(a.values, b.values, rtol=1e-5)


def rows(path: Path) -> list[dict[str, Any]]:
    text = gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()
    return [json.loads(line) for line in text.splitlines()]


def test_a_batch_of_saedashboard_is_its_export_to_neuronpedia() -> None:
    batch, bulk = open_units(BATCH), open_units(BULK)
    assert (batch.subject, batch.format, bulk.format) == ("tiny", "saedashboard", "neuronpedia")
    assert [(unit.site, unit.index) for unit in bulk.units] == [("0-res-tiny", 1), ("0-res-tiny", 3)]
    for one, other in zip(batch.units, bulk.units, strict=True):
        same(one, other)
    given = json.loads(BATCH.read_text())["features"][0]
    unit = batch.units[0]
    assert unit.density == given["frac_nonzero"] and unit.promoted[0] == (given["pos_str"][0], given["pos_values"][0])
    kinds = [one["bin_min"] == -1 for one in given["activations"]]
    assert [one.kind == "top" for one in unit.excerpts] == kinds and sum(kinds) == 20


def test_the_bulk_layout_is_written_as_they_write_it(tmp_path: Path) -> None:
    source = open_units(BULK)
    neuronpedia.write_bulk(tmp_path, source.subject, source.units)
    theirs = {path.relative_to(BULK): rows(path) for path in BULK.rglob("*.jsonl*")}
    assert len(theirs) == 6
    for path, expected in theirs.items():
        ours = rows(tmp_path / path)
        assert len(ours) == len(expected) and {frozenset(row) for row in ours} == {frozenset(row) for row in expected}
        kinds = {name: type(value) for row in expected for name, value in row.items() if value is not None}
        for name, value in ((name, value) for row in ours for name, value in row.items() if value is not None):
            known = kinds.get(name, type(value))
            assert isinstance(value, known) or {known, type(value)} <= {int, float, str}, (path, name)
    for one, other in zip(source.units, open_units(tmp_path).units, strict=True):
        same(one, other)


def test_neuron_records_come_through_with_all_their_fields(tmp_path: Path) -> None:
    source = open_units(PEERS / "openai", "gpt2-xl")
    (unit,) = source.units
    assert (unit.site, unit.index, unit.statistics) == ("mlp.5", 131, {"mean": 0.0625})
    assert [sum(one.kind == kind for one in unit.excerpts) for kind in ("top", "random", "interval")] == [20, 8, 4]
    assert unit.said == (Said("names of months", "", None, 0.75, "ev_correlation_score"),)
    tops = [one for one in unit.excerpts if one.kind == "top"]
    simulated = {("mlp.5", 131): [openai.scored(unit.said[0], tops[:1], [np.full(16, 0.5)])]}
    openai.write(tmp_path, source.units, simulated)
    optional = {"dfa_values", "dfa_target_index"}
    for path in (PEERS / "openai").rglob("*.json*"):
        ours, theirs = (json.loads((base / path.relative_to(PEERS / "openai")).read_text()) for base in (
            tmp_path, PEERS / "openai"))  # fmt: skip
        assert of_classes(ours) <= of_classes(theirs) and {name for name, _ in of_classes(ours)} == {
            name for name, _ in of_classes(theirs)
        }
        missing = {field for name, field in of_classes(theirs) - of_classes(ours)}
        assert missing <= optional
    (again,) = open_units(tmp_path, "gpt2-xl").units
    assert again.said == unit.said and again.statistics == unit.statistics
    kept = [one for one in unit.excerpts if one.kind != "interval"]  # it has no place for intervals without boundaries
    assert [one.tokens for one in again.excerpts] == [one.tokens for one in kept]


def of_classes(value: Any) -> set[tuple[str, str]]:
    """(class, field) of every object in a JSON value that names its class."""
    if isinstance(value, list):
        return {pair for one in value for pair in of_classes(one)}
    if not isinstance(value, dict):
        return set()
    own = {(value["dataclass_name"], name) for name in value} if "dataclass_name" in value else set()
    return own | {pair for one in value.values() for pair in of_classes(one)}


def test_a_cache_of_delphi_is_read_and_written_to_the_same_entries(tiny_folder: Path, tmp_path: Path) -> None:
    subject = DelphiSubject(PEERS / "delphi", str(tiny_folder))
    site = subject.site("layers.1")
    assert (site.name, site.width, subject.tokens.shape) == ("layers.1", 12, (24, 20))
    tokens, latents = subject.tokens[..., None], np.arange(12)
    expected = ((tokens * 7 + latents * 3) % 11 == 0) * (1 + (tokens + latents) % 4 / 4)
    found: dict[str, Any] = {}
    subject.visit(subject.windows(20), ["layers.1"], found.__setitem__)
    values, numbers = (one.numpy() for one in found["layers.1"])
    dense = np.stack([np.where(numbers == i, values, 0).sum(-1) for i in range(12)], -1)
    np.testing.assert_array_equal(dense, expected.astype(np.float32))
    said = read_explanations(PEERS / "delphi")
    assert said["layers.1", 5] == (Said("tokens of one kind", "delphi"),)
    assert [one.text for one in said["layers.1", 7]] == ["one", "two"]

    places = {i: np.argwhere(expected[..., i] > 0) for i in range(12)}
    write_cache(tmp_path, "layers.1", "tiny", subject.tokens, {
        i: (where, expected[..., i][tuple(where.T)]) for i, where in places.items()}, 12)  # fmt: skip
    ours, theirs = (entries(base / "latents" / "layers.1") for base in (tmp_path, PEERS / "delphi"))
    assert ours == theirs and len(ours) > 100
    kinds = [{name: (array.dtype, array.ndim) for name, array in load_file(next((base / "latents" / "layers.1").glob(
        "*.safetensors"))).items()} for base in (tmp_path, PEERS / "delphi")]  # fmt: skip
    assert kinds[0] == kinds[1]


def entries(folder: Path) -> set[tuple[int, int, int, float]]:
    """(row, position, latent, activation) of a hookpoint's files."""
    found = set()
    for path in folder.glob("*.safetensors"):
        stored, first = load_file(path), int(path.stem.split("_")[0])
        for (row, position, latent), value in zip(
            stored["locations"].tolist(), stored["activations"].tolist(), strict=True
        ):
            found.add((row, position, latent + first, value))
    return found


@pytest.mark.parametrize("name", ["neuronpedia", "saedashboard", "openai", "delphi"])
def test_they_become_studies_with_pages_that_go_out_again(name: str, tiny_folder: Path, tmp_path: Path) -> None:
    path = BATCH if name == "saedashboard" else PEERS / name
    more = {"delphi": {"model": str(tiny_folder), "units": [5, 2]}, "openai": {"model": "gpt2-xl"}}
    study = run_study(spec_of(path, **more.get(name, {})), tmp_path / "s", progress=False)
    assert study is not None and sum(study.counts.values()) == (1 if name == "openai" else 2)
    assert study.counts["failed"] == 0 and (study.counts["insufficient"] == 0 or name == "delphi")  # it has few rows
    context = StudyContext.to_show(study)
    for result in study.results():
        page, windows = unit_page(study, result.unit), unit_windows(result, context)
        assert windows.windows and any(group.kind == "top" for group in windows.groups)
        assert page.statistics and page.unit == result.unit.short
    if name != "delphi":
        write_study(study, tmp_path / "out", "parquet")
        back = open_units(tmp_path / "out")
        assert {unit.index for unit in back.units} == {unit.index for unit in open_units(path, "gpt2-xl").units}


@pytest.mark.slow
def test_their_own_readers_read_what_is_written(tiny_folder: Path, tmp_path: Path) -> None:
    """Needs an interpreter with their packages, which want other versions than the lock."""
    if not (python := os.environ.get(INTERPRETER)):
        pytest.skip(f"{INTERPRETER} names no interpreter with delphi and automated-interpretability")
    (unit,) = open_units(PEERS / "openai", "gpt2-xl").units
    openai.write(tmp_path / "openai", [unit], {("mlp.5", 131): [openai.scored(unit.said[0], [], [])]})
    subject = DelphiSubject(PEERS / "delphi", str(tiny_folder))
    where = np.array([[0, 3], [4, 7]])
    write_cache(tmp_path / "delphi", "layers.1", "tiny", subject.tokens, {9: (where, np.array([0.5, 1.5]))}, 12)
    command = [python, "-W", "ignore", str(ROOT.parent / "scripts" / "peer_files.py"), "--read", str(tmp_path)]
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["delphi"] == [[9, 2, 2.0]]
    record = next(one for one in told["openai"] if one["class"] == "NeuronRecord")
    assert record["neuron"] == 131 and record["random"] == 8 and len(record["top"]) == 20
    assert {one["class"] for one in told["openai"]} == {"NeuronRecord", "NeuronSimulationResults"}
