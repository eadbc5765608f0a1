"""The recording benchmark measures what it says, on small inputs."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.recording import RandomCoder, Replay, run
from recording_fakes import FakeSubject, fake_windows


@pytest.mark.slow
def test_peak_memory_does_not_grow_with_the_corpus():
    measured = run({"only": ["rss"], "rss_tokens": 1 << 13})
    small, large = measured["rss"]["peak_bytes"]
    assert 50e6 < small < 2e9
    assert measured["rss_growth"] == large / small - 1
    assert measured["rss_growth"] < 0.15  # the tokens themselves, and noise


def test_replayed_values_are_those_of_the_subject():
    subject, windowed = FakeSubject(), fake_windows(80)
    replay = Replay(subject, windowed, "mlp.0")
    w = windowed.windows
    for rows in (slice(0, 50), slice(50, 80), slice(0, 50)):
        found = replay.next(len(w.tokens[rows]))
        assert torch.equal(found, subject.activations(w.tokens[rows], w.lengths[rows], ["mlp.0"])["mlp.0"])


def test_random_coder_gives_the_largest_projections():
    x = torch.randn(2, 3, 16, generator=torch.Generator().manual_seed(1))
    values, latents = RandomCoder("mlp.0", 16, 300, 5).read(x)
    assert values.shape == latents.shape == (2, 3, 5)
    assert (values > 0).all() and np.unique(latents[0, 0].numpy()).size == 5


@pytest.mark.slow
@pytest.mark.bench
@pytest.mark.weights
def test_quick_run_reports_every_number():
    measured = run({"quick": True})
    keys = ("overhead_dense", "overhead_sparse", "bytes_per_posting", "rss_growth", "evidence_ms_per_unit")
    assert all(isinstance(measured[key], float) for key in keys)
    assert measured["dense"]["units"] == 30 * 1536
    assert measured["bytes_per_posting"] < 7
