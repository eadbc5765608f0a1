"""The benchmark of the store: it runs, and building takes memory that hardly grows with the study."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.store import _apart, run, write_shards
from glossator.store.results import packed


def test_it_measures_what_it_says() -> None:
    found = run({"units": 40, "before_units": 20, "asked": 3})
    for name in ("build_s", "peak_mb", "unit_ms", "search_ms", "add_scores_ms", "file_mb"):
        assert found[name] > 0, name
    for name in ("build_s", "peak_mb", "unit_ms", "search_ms", "file_mb", "extrapolated_build_s"):
        assert found["before"][name] > 0, name


@pytest.mark.slow
def test_memory_does_not_grow_with_the_results(tmp_path: Path) -> None:
    """A unit's results are about 60 KB as objects; of each, less than 5 KB may stay until the end."""
    peaks = []
    for units in (3_000, 15_000):
        write_shards(tmp_path / str(units) / "shards", units, 0, packed)
        peaks.append(_apart("benchmarks.store", "build", tmp_path / str(units), {})["peak_mb"])
    assert peaks[1] - peaks[0] < 12_000 * 5e3 / 1e6
