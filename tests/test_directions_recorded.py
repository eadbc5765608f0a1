"""Directions in the ordinary pipeline: recorded through a dense encoder, or computed from what was recorded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from glossator.errors import UserError
from glossator.fitting import ProjectedRecording, SiteValues
from glossator.readouts import DirectionSet, direction_set
from glossator.recording import EvidenceSpec, Recording, draw, record, recording_spec
from glossator.recording.texts import site_values
from glossator.units import Unit
from recording_fakes import FakeDictionary, FakeSubject, fake_windows, truth

N, WIDTH = 120, 24


def make(folder: Path, sites=("mlp.0",), readouts=None, **settings) -> Recording:
    subject, windowed = FakeSubject(leaves_out_first=True), fake_windows(N)
    spec = recording_spec(subject, windowed, sites, readouts=readouts, **{"top_k": 30, "batch_tokens": 160, **settings})
    return record(spec, subject, windowed, folder, readouts=readouts, progress=False)


def directions(n: int = 5, site: str = "mlp.0", width: int = WIDTH) -> DirectionSet:
    rng = np.random.default_rng(0)
    return direction_set("dirs", site, rng.normal(size=(n, width)), rng.normal(size=width), subject="fake")


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    return make(tmp_path_factory.mktemp("r") / "plain")


@pytest.mark.parametrize("polarity", ["+", "-"])
def test_a_neuron_as_a_direction_has_the_evidence_of_the_neuron(recording: Recording, polarity) -> None:
    every = direction_set("same", "mlp.0", np.eye(WIDTH), subject="fake")
    projected = ProjectedRecording(SiteValues(recording, "mlp.0"), every)
    spec = EvidenceSpec(sampler="near-miss", min_firing_windows=0)
    for index in (0, 7, WIDTH - 1):
        ours = draw(projected, every.unit(index, polarity), spec)
        theirs = draw(recording, Unit("fake", "mlp.0", index, polarity), spec)
        for split in ("calibrate", "select", "test"):
            a, b = getattr(ours, split), getattr(theirs, split)
            assert (a.windows.ids == b.windows.ids).all() and (a.kinds == b.kinds).all()
            assert (a.activations == b.activations).all()
        assert (ours.explain.exemplars.activations == theirs.explain.exemplars.activations).all()
        a, b = ours.explain.statistics, theirs.explain.statistics
        assert replace(a, maximum=b.maximum) == b  # values come as float16, maxima before they are rounded
        assert a.maximum == pytest.approx(b.maximum, rel=1e-3)
        assert ours.statistics.mean == pytest.approx(theirs.statistics.mean, rel=1e-3, abs=1e-3)
        assert ours.explain.fingerprint != theirs.explain.fingerprint


def test_recorded_values_are_those_of_the_vectors(tmp_path: Path) -> None:
    chosen = directions()
    recording = make(tmp_path / "r", ("mlp.0", chosen.site_name), {chosen.site_name: chosen})
    exact = truth(FakeSubject(leaves_out_first=True), fake_windows(N), "mlp.0")
    wanted = np.where(exact.valid[..., None], chosen.values(exact.exact), 0)
    assert recording.sites[chosen.site_name].kind == "dense" and recording.spec.readouts
    for index in range(len(chosen)):
        unit = chosen.unit(index, "-")
        np.testing.assert_allclose(recording.panel_values(unit), -wanted[..., index], atol=5e-3)
        maxima = np.where(exact.valid, -wanted[..., index], -np.inf).max(axis=1)
        assert recording.top_rows(unit)[:10].tolist() == np.argsort(-maxima, kind="stable")[:10].tolist()
        counted = wanted[exact.valid][:, index]
        assert recording.moments(unit).mean == pytest.approx(-counted.mean(), abs=1e-4)
    evidence = draw(recording, chosen.unit(0), EvidenceSpec(min_firing_windows=1))
    assert evidence.status == "ok" and len(evidence.explain.exemplars)


def test_recording_and_computing_agree(tmp_path: Path, recording: Recording) -> None:
    chosen = directions()
    recorded = make(tmp_path / "r", (chosen.site_name,), {chosen.site_name: chosen})
    projected = ProjectedRecording(SiteValues(recording, "mlp.0"), chosen)
    for index in range(len(chosen)):
        unit = chosen.unit(index)
        np.testing.assert_allclose(projected.panel_values(unit), recorded.panel_values(unit), atol=2e-2)
        assert projected.moments(unit).variance == pytest.approx(recorded.moments(unit).variance, rel=1e-2)
        assert len(set(projected.top_rows(unit)[:20]) & set(recorded.top_rows(unit)[:20])) >= 18


def test_dense_sites_are_recorded_with_the_same_bytes_beside_directions(tmp_path: Path, recording: Recording) -> None:
    chosen = directions()
    both = make(tmp_path / "r", ("mlp.0", chosen.site_name), {chosen.site_name: chosen})
    for one, other in zip(both.panel_block("mlp.0"), recording.panel_block("mlp.0"), strict=True):
        assert (one == other).all()
    unit = Unit("fake", "mlp.0", 3)
    assert (both.top_rows(unit) == recording.top_rows(unit)).all() and both.moments(unit) == recording.moments(unit)


def test_directions_on_texts_that_are_no_part_of_a_recording() -> None:
    chosen, windows = directions(), fake_windows(12).windows
    found = site_values(FakeSubject(), chosen.site_name, [0, 3], windows, {chosen.site_name: chosen})
    exact = truth(FakeSubject(), fake_windows(12), "mlp.0")
    wanted = np.where(exact.valid[..., None], chosen.values(exact.exact), 0)[..., [0, 3]]
    np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_what_directions_cannot_be_read_from(tmp_path: Path, recording: Recording) -> None:
    some = make(tmp_path / "some", units={"mlp.0": [0, 1, 2]})
    with pytest.raises(UserError, match="holds 3 of 24 units"):
        SiteValues(some, "mlp.0")
    sparse = make(tmp_path / "sparse", ("relu.0", "sae@resid.0"), {"sae@resid.0": FakeDictionary(name="sae")})
    with pytest.raises(UserError, match="dense site"):
        SiteValues(sparse, "relu.0")
    with pytest.raises(UserError, match="was not recorded"):
        SiteValues(recording, "mlp.1")
    wrong = directions(width=WIDTH + 1)
    with pytest.raises(UserError, match="width"):
        make(tmp_path / "wide", (wrong.site_name,), {wrong.site_name: wrong})


def test_windows_outside_the_panel_are_left_out(tmp_path: Path) -> None:
    part = make(tmp_path / "r", panel_windows=60)
    values = SiteValues(part, "mlp.0")
    projected = ProjectedRecording(values, directions())
    assert len(projected.windows) == 60 and (projected.windows.ids == part.windows.ids[part.panel]).all()
    evidence = draw(projected, directions().unit(0), EvidenceSpec(min_firing_windows=0))
    assert set(evidence.test.windows.ids) <= set(part.windows.ids[part.panel])
