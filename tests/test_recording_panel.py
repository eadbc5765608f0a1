"""The panel's values are stored as they come: units whose exponents grow later, places side by side, few inputs at
once, and pieces in any order."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from glossator.recording import dense, open_recording, record, recorder, recording_spec, verify
from glossator.recording.panel import HEADROOM, PanelFile, begun_with, joined, piece_of, runs_above
from glossator.units import Unit
from recording_fakes import FakeSubject, as_of_format, fake_windows, truth

SILENT, GROWING, LEAPING, TINY = 3, 4, 5, 6


class Growing(FakeSubject):
    """One unit is silent at first, one grows by more than the headroom, one by far more and twice, one is tiny."""

    def activations(self, tokens, lengths, sites):
        found = super().activations(tokens, lengths, sites)
        late = torch.as_tensor(tokens[:, :1].astype(np.int64) % 7 == 3)  # some windows, wherever a batch begins
        later = torch.as_tensor(tokens[:, :1].astype(np.int64) % 7 == 4)
        for x in found.values():
            x[..., SILENT] *= late
            x[..., GROWING] *= torch.where(late, 2.0 ** (HEADROOM + 3), 1.0)
            x[..., LEAPING] *= torch.where(later, 2.0**25, torch.where(late, 2.0**14, 1.0))
            x[..., TINY] *= 2.0**-70
        return found


def probes():
    """Windows of which the first change nothing."""
    made = fake_windows()
    first = made.windows.tokens[:8, 0]
    first[np.isin(first % 7, (3, 4))] += 2
    return made


def made(folder, subject=None, **chosen):
    subject, windowed = subject or Growing(), probes()
    spec = recording_spec(subject, windowed, ["mlp.0"], **({"batch_tokens": 5 * 16, "panel_windows": 60} | chosen))
    return record(spec, subject, windowed, folder, progress=False)


@pytest.mark.parametrize("in_place", [0, 1 << 20])
def test_units_that_grow_are_stored_with_the_exponent_of_the_end(tmp_path, monkeypatch, in_place):
    monkeypatch.setattr(dense, "IN_PLACE_BYTES", in_place)
    recording = made(tmp_path / "r")
    found = np.load(tmp_path / "r" / "dense" / "panel_begun.npy") != np.load(tmp_path / "r" / "dense" / "exponents.npy")
    assert {GROWING, LEAPING} <= set(np.flatnonzero(found)) and TINY not in np.flatnonzero(found)
    assert len(np.load(tmp_path / "r" / "dense" / "panel_runs.npy"))
    true = truth(Growing(), probes(), "mlp.0").rounded[recording.panel]
    for index in range(24):
        largest = np.abs(true[..., index]).max()
        got = recording.panel_values(Unit("fake", "mlp.0", index))
        assert np.abs(got - true[..., index]).max() <= largest * 2.0 ** -(29 - HEADROOM)
        kept = np.abs(true[..., index]) >= largest * 2.0 ** -(28 - HEADROOM)
        assert np.array_equal(got[kept], true[..., index][kept])
    block, scale = open_recording(tmp_path / "r").panel_block("mlp.0")
    each = [recording.panel_halves(Unit("fake", "mlp.0", index)) for index in range(24)]
    assert np.array_equal(block, each)
    assert np.array_equal(block[LEAPING] * scale[LEAPING], recording.panel_values(Unit("fake", "mlp.0", LEAPING)))
    verify(recording)


def test_where_shards_end_changes_no_byte(tmp_path, monkeypatch):
    whole = made(tmp_path / "whole")
    for number, (in_place, seconds) in enumerate([(0, 0.0), (0, 5.0), (1 << 20, 0.0), (200, 0.0)]):
        monkeypatch.setattr(dense, "IN_PLACE_BYTES", in_place)
        monkeypatch.setattr(recorder, "SHARD_SECONDS", seconds)
        assert made(tmp_path / str(number)).fingerprint == whole.fingerprint


def test_a_recording_of_the_format_before_is_read_alike(tmp_path):
    recording, dense_files = made(tmp_path / "r"), tmp_path / "r" / "dense"
    expected = np.array(recording.panel_block("mlp.0")[0])
    panel = dense_files / "panel.npy"
    assert not np.array_equal(np.load(panel), expected)
    panel.unlink()  # the recording goes on reading the one that it has open
    np.save(panel, expected)
    later = ["dense/panel_begun.npy", "dense/panel_runs.npy"]
    as_of_format(tmp_path / "r", "glossator-recording/4", later, "dense/panel.npy")
    old = open_recording(tmp_path / "r")
    verify(old)
    for unit in recording.all_units():
        assert np.array_equal(old.panel_values(unit), recording.panel_values(unit))


def test_the_panel_cannot_be_changed(tmp_path):
    recording = made(tmp_path / "r")
    for values in (recording.panel_block("mlp.0")[0], recording.panel_halves(Unit("fake", "mlp.0", GROWING))):
        with pytest.raises(ValueError, match="read-only"):
            values[:] = 0


class SideBySide(Growing):
    """As image models hand on their maps: the places of a unit side by side."""

    def activations(self, tokens, lengths, sites):
        found = super().activations(tokens, lengths, sites)
        return {name: x.transpose(1, 2).contiguous().transpose(1, 2) for name, x in found.items()}


@pytest.mark.parametrize("units", [None, [1, SILENT, LEAPING, 20]])
def test_places_side_by_side_are_recorded_alike(tmp_path, units):
    a, b = (made(tmp_path / str(i), s, units={"mlp.0": units}) for i, s in enumerate((Growing(), SideBySide())))
    for unit in a.all_units():
        assert np.array_equal(a.panel_values(unit), b.panel_values(unit))
        assert np.array_equal(a.top_rows(unit), b.top_rows(unit))
        one, other = a.moments(unit), b.moments(unit)
        assert (one.mean, one.variance) == pytest.approx((other.mean, other.variance), rel=1e-4)


def test_a_subject_that_runs_few_inputs_at_once_is_given_as_many(tmp_path):
    class Few(Growing):
        batch = 2
        given = ()

        def activations(self, tokens, lengths, sites):
            self.given = (*self.given, len(tokens))
            return super().activations(tokens, lengths, sites)

    subject = Few()
    few, all_at_once = made(tmp_path / "few", subject), made(tmp_path / "all")
    assert max(subject.given[1:]) == 2 and sum(subject.given[1:]) == 100
    for unit in few.all_units():
        assert np.array_equal(few.panel_values(unit), all_at_once.panel_values(unit))
        assert few.moments(unit).mean == pytest.approx(all_at_once.moments(unit).mean, rel=1e-4)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_pieces_of_a_panel_give_its_bytes_and_its_checksum(tmp_path_factory, data):
    counts = data.draw(st.lists(st.integers(0, 5), min_size=1, max_size=4))
    units, width, inputs = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 4)), sum(counts)
    values = np.random.default_rng(data.draw(st.integers(0, 9))).normal(size=(units, inputs, width)).astype(np.float16)
    path = tmp_path_factory.mktemp("panel") / "panel.npy"
    file = PanelFile(path, units, inputs, width)
    firsts = np.cumsum([0, *counts])
    pieces = [piece_of(units, first, count) for first, count in zip(firsts[:-1], counts, strict=True)]
    for number in data.draw(st.permutations(range(len(counts)))):
        first, count = int(firsts[number]), counts[number]
        rows = np.ascontiguousarray(values[:, first : first + count]).reshape(-1, width)
        at_once = data.draw(st.integers(1, 7))
        for start in range(0, len(rows), at_once):
            file.write(pieces[number], start, rows[start : start + at_once])
    assert np.array_equal(np.load(path), values)
    assert file.checksum(pieces) == zlib.crc32(path.read_bytes())
    file.close()


@given(st.integers(0, 99), st.integers(1, 6), st.lists(st.integers(0, 6), min_size=1, max_size=4))
def test_runs_of_shards_are_those_of_the_whole(seed, units, counts):
    rng = np.random.default_rng(seed)
    begun = rng.integers(-3, 3, units).astype(np.int16)
    exponents = begun + rng.choice([0, 0, 1, 2], (sum(counts), units)).astype(np.int16)
    ends = np.cumsum(counts)
    runs = joined([runs_above(exponents[e - n : e], begun, int(e - n)) for n, e in zip(counts, ends, strict=True)])
    assert np.array_equal(runs, runs_above(exponents, begun, 0))
    rebuilt = np.tile(begun, (len(exponents), 1))
    for unit, first, end, exponent in runs:
        rebuilt[first:end, unit] = exponent
    assert np.array_equal(rebuilt, exponents)


def test_silent_units_begin_with_the_least_exponent():
    begun = begun_with(np.array([4.0, 0.0, 2.0**-30], np.float32))
    assert begun[1] == begun_with(np.zeros(1, np.float32))[0] < begun[2] < begun[0]


def test_no_unit_is_lost_that_is_silent_at_first_and_small_afterwards(tmp_path):
    class Small(Growing):
        def activations(self, tokens, lengths, sites):
            found = super().activations(tokens, lengths, sites)
            for x in found.values():
                x[..., SILENT] *= 2.0**-60
            return found

    unit = Unit("fake", "mlp.0", SILENT)
    small, plain = (made(tmp_path / str(i), s) for i, s in enumerate((Small(), Growing())))
    assert np.array_equal(small.panel_values(unit), plain.panel_values(unit) * np.float32(2.0**-60))
    assert small.panel_values(unit).any()
