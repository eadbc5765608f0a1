"""What a recording says is what the units did: panel, exact top windows, moments and postings against brute force."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from glossator.engines import one_core_pool
from glossator.errors import UserError
from glossator.recording import EvidenceSpec, Recording, draw, open_recording, record, recording_spec, verify
from glossator.recording.disk import BLOCK
from glossator.units import Unit
from recording_fakes import FakeDictionary, FakeSubject, fake_windows, to_eleven_digits, truth

SMALL = dict(batch_tokens=5 * 16, shard_bytes=5 * 5 * 16 * 2 * 41, top_k=9)  # a few shards of a few batches


def make(folder, subject=None, windowed=None, sites=("mlp.0", "mlp.1"), readouts=None, **settings) -> Recording:
    subject, windowed = subject or FakeSubject(), windowed or fake_windows()
    spec = recording_spec(subject, windowed, sites, readouts=readouts, **{**SMALL, **settings})
    return record(spec, subject, windowed, folder, readouts=readouts, progress=False)


@pytest.mark.parametrize("panel_windows", [1, 30, None])
@pytest.mark.parametrize("leaves_out_first", [False, True])
def test_top_windows_are_exact_for_both_polarities(tmp_path, panel_windows, leaves_out_first):
    subject, windowed = FakeSubject(leaves_out_first), fake_windows()
    recording = make(tmp_path / "r", subject, windowed, panel_windows=panel_windows)
    for site in ("mlp.0", "mlp.1"):
        true = truth(subject, windowed, site)
        for unit in [*range(0, 17, 4), 16]:
            for polarity, sign in (("+", 1), ("-", -1)):
                signed = np.where(true.valid, sign * true.exact[..., unit], -np.inf).max(axis=1)
                some = true.valid.any(axis=1)
                best = np.lexsort((np.arange(len(signed)), -signed))[: min(9, some.sum())]
                rows, values = recording.top(Unit("fake", site, unit, polarity))
                assert rows.tolist() == best.tolist()
                assert np.array_equal(values, sign * true.rounded[best, :, unit])
                assert np.array_equal(recording.top_maxima(Unit("fake", site, unit, polarity)), signed[best])


def test_fewer_windows_than_top_k_are_all_kept(tmp_path):
    subject, windowed = FakeSubject(), fake_windows(7)
    recording = make(tmp_path / "r", subject, windowed, top_k=20, panel_windows=2)
    rows, values = recording.top(Unit("fake", "mlp.0", 3))
    assert sorted(rows.tolist()) == list(range(7))
    assert np.array_equal(values, truth(subject, windowed, "mlp.0").rounded[rows, :, 3])


def test_equal_maxima_go_to_the_lower_rows(tmp_path):
    class Constant(FakeSubject):
        def activations(self, tokens, lengths, sites):
            return {site: torch.full((*tokens.shape, self.site(site).width), -0.0) for site in sites}

    recording = make(tmp_path / "r", Constant())
    for polarity in "+-":
        assert recording.top_rows(Unit("fake", "mlp.0", 3, polarity)).tolist() == list(range(9))
    assert recording.moments(Unit("fake", "mlp.0", 3)).skewness is None


def test_panel_is_a_sample_of_whole_windows(tmp_path):
    subject, windowed = FakeSubject(), fake_windows()
    recording = make(tmp_path / "r", subject, windowed, panel_windows=30)
    assert len(set(recording.panel.tolist())) == 30
    true = truth(subject, windowed, "mlp.1").rounded[recording.panel]
    assert np.array_equal(recording.panel_values(Unit("fake", "mlp.1", 5)), true[..., 5])
    assert np.array_equal(recording.panel_values(Unit("fake", "mlp.1", 5, "-")), -true[..., 5])
    halves, scale = recording.panel_block("mlp.1")
    assert np.array_equal(halves * scale[:, None, None], true.transpose(2, 0, 1))
    assert make(tmp_path / "s", subject, windowed, panel_windows=30, seed=1).panel.tolist() != recording.panel.tolist()


def test_panel_holds_as_many_windows_as_its_bytes_allow(tmp_path):
    recording = make(tmp_path / "r", panel_bytes=10 * 16 * 2 * (24 + 17) + 5)
    assert len(recording.panel) == 10
    assert len(make(tmp_path / "all").panel) == 100


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_moments_are_those_of_all_valid_tokens(tmp_path, dtype):
    subject, windowed = FakeSubject(dtype=dtype), fake_windows()
    recording = make(tmp_path / "r", subject, windowed, panel_windows=5)
    true = truth(subject, windowed, "mlp.0")
    x = true.exact[true.valid][:, 6].astype(np.float64)
    z = (x - x.mean()) / x.std()
    for polarity, sign in (("+", 1), ("-", -1)):
        found = recording.moments(Unit("fake", "mlp.0", 6, polarity))
        assert found.count == len(x)
        assert [found.mean, found.variance, found.skewness, found.kurtosis] == pytest.approx(
            [sign * x.mean(), x.var(), sign * (z**3).mean(), (z**4).mean()], rel=1e-4
        )


def test_a_choice_of_units_is_recorded_under_their_own_numbers(tmp_path):
    subject, windowed = FakeSubject(), fake_windows()
    recording = make(
        tmp_path / "r", subject, windowed, ("mlp.0", "relu.0"), units={"mlp.0": [20, 3], "relu.0": [39, 2]}
    )
    assert recording.units("mlp.0").tolist() == [3, 20]
    assert np.array_equal(
        recording.panel_values(Unit("fake", "mlp.0", 20)),
        truth(subject, windowed, "mlp.0").rounded[recording.panel][..., 20],
    )
    assert np.array_equal(
        recording.values(Unit("fake", "relu.0", 39), np.arange(100)),
        truth(subject, windowed, "relu.0").rounded[..., 39],
    )
    with pytest.raises(UserError, match="was not recorded"):
        recording.moments(Unit("fake", "mlp.0", 4))


@pytest.mark.parametrize("settings", [{}, {"batch_tokens": 400, "shard_bytes": 1 << 30}])
def test_postings_are_every_value_of_a_sparse_site(tmp_path, settings):
    subject, windowed = FakeSubject(leaves_out_first=True), fake_windows()
    dictionary = FakeDictionary()
    sites = ("relu.0", "sae:x@resid.0", "mlp.0")
    recording = make(tmp_path / "r", subject, windowed, sites, {"sae:x@resid.0": dictionary}, **settings)
    relu = truth(subject, windowed, "relu.0").rounded
    resid = truth(subject, windowed, "resid.0")
    values, latents = (a.numpy() for a in dictionary.read(torch.from_numpy(resid.exact)))
    dense = np.zeros((*resid.valid.shape, 64), np.float32)
    np.put_along_axis(dense, latents, np.where(resid.valid[..., None], to_eleven_digits(values), 0), axis=2)
    total = 0
    for site, true in (("relu.0", relu), ("sae:x@resid.0", dense)):
        for index in range(true.shape[2]):
            unit = Unit("fake", site, index)
            positions, activations = recording.postings(unit)
            assert positions.dtype == np.uint32 and activations.dtype == np.float32
            row, column = np.nonzero(true[..., index])
            assert positions.tolist() == (row * 16 + column).tolist()
            assert np.array_equal(activations, true[row, column, index])
            rows, top = recording.top(unit)
            order = np.argsort(-true[..., index].max(axis=1), kind="stable")[: len(rows)]
            assert rows.tolist() == order.tolist() and np.array_equal(top, true[order, :, index])
            assert recording.moments(unit).mean == pytest.approx(
                true[resid.valid][:, index].mean(dtype=np.float64), rel=1e-6
            )
            total += len(row)
    size = sum(p.stat().st_size for p in (tmp_path / "r").glob("sparse-*/[pa]*.npy"))
    assert size <= 6 * total + 4 * BLOCK


def test_windows_and_splits_and_words_come_back(tmp_path):
    subject, windowed = FakeSubject(leaves_out_first=True), fake_windows()
    recording = make(tmp_path / "r", subject, windowed)
    again = open_recording(tmp_path / "r")
    verify(again)
    w = windowed.windows
    for name in ("tokens", "lengths", "documents", "ids"):
        assert np.array_equal(getattr(again.windows, name), getattr(w, name))
    assert np.array_equal(again.windows.valid, w.valid & (np.arange(16) > 0))
    assert "attention sinks" in again.spec.leaves_out
    assert np.array_equal(again.split_of_input, windowed.split_of_input)
    assert again.vocabulary.fingerprint == w.vocabulary.fingerprint
    assert again.group_ids == windowed.group_ids
    embedding = again.embedding.astype(np.float32)
    assert embedding / embedding.max() == pytest.approx(subject.embedding() / subject.embedding().max(), rel=1e-3)
    assert again.spec == recording.spec and again.fingerprint == recording.fingerprint


def test_a_finished_recording_is_opened_and_not_made_again(tmp_path):
    make(tmp_path / "r")
    subject = FakeSubject()
    make(tmp_path / "r", subject)
    assert subject.passes == 0
    with pytest.raises(UserError, match="another spec"):
        make(tmp_path / "r", top_k=3)


@pytest.mark.parametrize("power", [-40, -24, 17, 40])
@pytest.mark.parametrize("which", ["all", "one"])
def test_units_times_a_power_of_two_are_recorded_as_their_twins(tmp_path, power, which):
    class Scaled(FakeSubject):
        def activations(self, tokens, lengths, sites):
            found = super().activations(tokens, lengths, sites)
            part = slice(None) if which == "all" else slice(5, 6)
            for values in found.values():
                values[..., part] *= 2.0**power
            return found

    sites = ("mlp.0", "relu.0")
    twins = make(tmp_path / "plain", sites=sites), make(tmp_path / "scaled", Scaled(), sites=sites)
    for site, index in (("mlp.0", 5), ("mlp.0", 6), ("relu.0", 5), ("relu.0", 6)):
        for polarity in "+-" if site == "mlp.0" else "+":
            unit, scale = Unit("fake", site, index, polarity), 2.0 ** (power if which == "all" or index == 5 else 0)
            (rows, values), (rows_of_twin, values_of_twin) = (recording.top(unit) for recording in twins)
            assert rows.tolist() == rows_of_twin.tolist()
            assert np.array_equal(values * scale, values_of_twin)
            assert np.array_equal(twins[0].panel_values(unit) * scale, twins[1].panel_values(unit))
            a, b = (recording.moments(unit) for recording in twins)
            assert (a.mean * scale, a.variance * scale**2) == (b.mean, b.variance)
            assert (a.skewness, a.kurtosis) == pytest.approx((b.skewness, b.kurtosis), rel=1e-12)
            a, b = (draw(recording, unit, EvidenceSpec(min_firing_windows=1)) for recording in twins)
            assert np.array_equal(a.test.activations * scale, b.test.activations)
            assert (a.statistics.firing_rate, a.status, a.reason) == (b.statistics.firing_rate, b.status, b.reason)
            assert a.statistics.firing_threshold * scale == b.statistics.firing_threshold
            assert {q: x * scale for q, x in a.statistics.quantiles.items()} == b.statistics.quantiles


@pytest.mark.parametrize("site", ["mlp.0", "relu.0", "sae:x@resid.0"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused_where_they_count(tmp_path, site, value):
    class Broken(FakeSubject):
        where = 0

        def activations(self, tokens, lengths, sites):
            found = super().activations(tokens, lengths, sites)
            for values in found.values():
                values[3, self.where] = value
            return found

    class Thresholded(FakeDictionary):
        def read(self, values):
            found, latents = super().read(values)
            return torch.where(found > 0.5, found, 0).nan_to_num(0, 0), latents

    readouts = {"sae:x@resid.0": Thresholded()} if "@" in site else {}
    with pytest.raises(UserError, match=rf"{site.rpartition('@')[2]} gave values that are not finite"):
        make(tmp_path / "r", Broken(), sites=(site,), readouts=readouts)
    Broken.where = -1  # padding in the window of every batch: long ones are full
    short = fake_windows()
    short.windows.valid[:, -1] = False
    assert len(make(tmp_path / "s", Broken(), short, sites=(site,), readouts=readouts).panel)


def test_values_that_are_not_finite_are_an_error_and_leave_no_recording(tmp_path):
    class Broken(FakeSubject):
        def activations(self, tokens, lengths, sites):
            return {
                name: x.index_fill_(2, torch.tensor([5]), torch.nan)
                for name, x in super().activations(tokens, lengths, sites).items()
            }

    with pytest.raises(UserError, match=r"mlp\.0 gave values that are not finite"):
        make(tmp_path / "r", Broken())
    with pytest.raises(UserError, match="not finished"):
        open_recording(tmp_path / "r")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"units": {"mlp.0": [24]}}, "no such unit at mlp.0"),
        ({"units": {"mlp.9": [1]}}, "not recorded"),
        ({"top_k": 0}, "bad top_k"),
        ({"sites": ("mlp.0", "mlp.0")}, "listed twice"),
        ({"sites": ()}, "no site"),
    ],
)
def test_settings_that_make_no_sense_are_one_clear_error(tmp_path, settings, message):
    with pytest.raises(UserError, match=message):
        make(tmp_path / "r", **settings)
    assert not (tmp_path / "r").exists()


def test_threads_of_a_pool_stay_on_one_core():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        with one_core_pool(2) as pool:
            assert torch.get_num_threads() == 2
            assert [pool.submit(torch.get_num_threads).result() for _ in range(4)] == [1] * 4
    finally:
        torch.set_num_threads(before)
