"""Packed positions: every list comes back, whatever its gaps, and recordings of the format before are read alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glossator.files import canonical, fingerprint, fingerprint_of
from glossator.recording import draw, open_recording, verify
from glossator.recording.packing import PackedPositions, pack
from glossator.recording.store import offsets_of
from glossator.units import Unit
from recording_fakes import as_of_format
from test_recording_resume import SITES, record_it

lists = st.lists(st.sets(st.integers(0, 2**32 - 1) | st.integers(0, 40), max_size=30).map(sorted), max_size=8)


@given(lists)
@settings(max_examples=200, deadline=None)
def test_every_list_comes_back(units):
    counts = np.array([len(unit) for unit in units], np.int64)
    gaps, bits = pack(np.array([position for unit in units for position in unit], np.uint32), counts)
    packed = PackedPositions(gaps, bits, offsets_of(counts))
    for number in [*range(len(units)), *range(len(units))[::-1]]:
        assert packed.of(number).tolist() == units[number] and packed.of(number).dtype == np.uint32
    assert len(gaps) <= sum(-(-len(unit) * int(b) // 8) for unit, b in zip(units, bits, strict=True))


def test_many_even_gaps_take_few_bits():
    positions = np.concatenate([np.arange(0, 64_000, 64), np.arange(5, 1005)]).astype(np.uint32)
    gaps, bits = pack(positions, np.array([1000, 1000]))
    assert bits.tolist() == [6, 3] and len(gaps) == 750 + 375


def test_a_recording_of_the_format_before_is_read_alike(tmp_path: Path):
    recording = record_it(tmp_path / "r")
    units = [Unit(recording.spec.subject, SITES[2], int(i)) for i in recording.units(SITES[2])]
    expected = [recording.postings(unit) for unit in units]
    assert any(len(positions) for positions, _ in expected)
    before = tmp_path / "r" / "sparse-0" / "positions.npy"
    np.save(before, np.concatenate([positions for positions, _ in expected]).astype(np.uint32))
    later = ["sparse-0/gaps.npy", "sparse-0/bits.npy"]
    as_of_format(tmp_path / "r", "glossator-recording/3", later, "sparse-0/positions.npy")
    old = open_recording(tmp_path / "r")
    verify(old)
    for unit, (positions, activations) in zip(units, expected, strict=True):
        np.testing.assert_array_equal(old.postings(unit)[0], positions)
        np.testing.assert_array_equal(old.postings(unit)[1], activations)
        np.testing.assert_array_equal(old.top_rows(unit), recording.top_rows(unit))


def test_kept_positions_cannot_be_changed(tmp_path: Path):
    recording = record_it(tmp_path / "r")
    positions, _ = recording.postings(Unit(recording.spec.subject, SITES[2], int(recording.units(SITES[2])[0])))
    with pytest.raises(ValueError, match="read-only"):
        positions[:] = 0


def test_units_read_in_turn_are_as_read_alone(tmp_path: Path):
    recording = record_it(tmp_path / "r")
    site, rows = SITES[2], np.arange(0, len(recording.inputs), 3)
    units = [Unit(recording.spec.subject, site, int(i), sign) for i in recording.units(site)[:6] for sign in "+-"]

    def read(of, unit):
        top = of.top_rows(unit)
        np.testing.assert_array_equal(of.values(unit, top).max(axis=1, initial=-np.inf), of.top_maxima(unit))
        return [top, of.top_maxima(unit), of.firing_rows(unit), of.values(unit, rows), *of.postings(unit)]

    alone = [read(open_recording(tmp_path / "r"), unit) for unit in units]
    assert any(len(found[0]) for found in alone)
    for number in (*range(len(units)), *range(len(units))[::-1], 0, len(units) - 1):
        for found, expected in zip(read(recording, units[number]), alone[number], strict=True):
            np.testing.assert_array_equal(found, expected)
            assert found.dtype == expected.dtype
    with pytest.raises(ValueError, match="read-only"):
        recording.firing_rows(units[0])[:] = 0


def test_the_fingerprint_of_evidence_is_of_its_origin_and_content(tmp_path: Path):
    recording = record_it(tmp_path / "r")
    units = [Unit(recording.spec.subject, site, int(recording.units(site)[i])) for site in SITES for i in (0, 1)]
    first = [draw(recording, unit).explain.fingerprint for unit in units]
    assert len(set(first)) == len(units)
    assert [draw(open_recording(tmp_path / "r"), unit).explain.fingerprint for unit in units] == first
    written = [recording.spec.subject_fingerprint, {"a": 1}, [None, 0.5], "é"]
    assert fingerprint_of(f"[{','.join(map(canonical, written))}]") == fingerprint(written)
