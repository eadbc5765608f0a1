"""A chunk's maxima, exponents, float16 values and power sums: the compiled loop and the operations of torch against
NumPy."""

from __future__ import annotations

import numba
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from glossator.engines.compiling import _compile, compiled
from glossator.recording import chunks
from glossator.recording.chunks import Bench, Target, take_in
from glossator.recording.keys import LEAST, TOP, exponents_of, rounded

LEFT_OVER = 7.0
MAGNITUDES = [
    (0, torch.float32),
    (100, torch.float32),
    (-95, torch.float32),
    (-140, torch.float32),  # without all their digits
    (0, torch.bfloat16),
    (100, torch.bfloat16),
    (0, torch.float16),
]
"""Powers of two around which values are drawn, by their type."""


def target(n: int, places: int, units: int) -> Target:
    """Views into larger arrays with what was left over, as a room's are."""
    return Target(
        torch.full((n + 1, units + 2, places), LEFT_OVER, dtype=torch.float16)[1:, 1:-1],
        torch.full((2, n + 1, units + 2), LEFT_OVER)[:, 1:, 1:-1],
        torch.full((n + 1, units + 2), 7, dtype=torch.int16)[1:, 1:-1],
    )


def by_torch(values, valid, chosen, begun, into, bench):
    side_by_side = bool(valid.all()) and not values.is_contiguous() and values.transpose(1, 2).is_contiguous()
    x = values if chosen is None else values.index_select(2, chosen)
    x = x.transpose(1, 2).contiguous() if side_by_side else x
    return chunks._by_torch(x, valid, begun, into, bench, side_by_side)


@settings(max_examples=150, deadline=None)
@given(st.data())
@pytest.mark.parametrize("way", [take_in, by_torch])
def test_a_chunk_is_what_numpy_makes_of_it(way, data):
    n, places, units = (data.draw(st.integers(1, most)) for most in (3, 5, 70))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    middle, dtype = data.draw(st.sampled_from(MAGNITUDES))
    scale = 2.0 ** (middle + rng.integers(-12, 12, units)) * rng.integers(0, 2, units)
    values = torch.from_numpy((rng.normal(size=(n, places, units)) * scale).astype(np.float32)).to(dtype)
    valid = rng.random((n, places)) < data.draw(st.sampled_from([0.0, 0.5, 1.0]))
    values[torch.from_numpy(~valid)] = torch.nan
    if data.draw(st.booleans()):
        values = values.transpose(1, 2).contiguous().transpose(1, 2)
    chosen = torch.arange(0, units, 2) if data.draw(st.booleans()) else None
    kept = values.float().numpy()[..., :: 1 if chosen is None else 2]
    begun = (middle + rng.integers(-30, 5, kept.shape[2])).clip(LEAST - TOP).astype(np.int16)
    into = target(*kept.shape)

    found = way(values, valid, chosen, begun, into, Bench())
    exact = np.where(valid[:, :, None], kept, 0).astype(np.float64)
    exponents = into.exponents.numpy()
    own = np.maximum(exponents_of(np.abs(exact).max(1).astype(np.float32)), begun)
    for_each_input = way is take_in and (values.is_contiguous() or not valid.all())
    assert np.array_equal(exponents, own if for_each_input else np.broadcast_to(own.max(0), own.shape))
    expected = rounded(exact.transpose(0, 2, 1), exponents[:, :, None])
    assert np.array_equal(into.raw.numpy(), expected)
    for sign, maxima in zip((1, -1), into.maxima.numpy(), strict=True):
        assert np.array_equal(maxima, np.where(valid[:, :, None], sign * kept, -np.inf).max(1))
    for power, sums in enumerate(found, start=1):
        size = (np.abs(exact) ** power).sum((0, 1))
        below_float32 = valid.sum() * 2.0 ** (power * exponents.max(0) - 149.0)
        assert (np.abs(sums - (exact**power).sum((0, 1))) <= 1e-5 * size + below_float32).all()


@pytest.mark.parametrize("way", [take_in, by_torch])
@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_told_where_it_counts(way, wrong):
    values, valid = torch.ones(2, 4, 33), np.ones((2, 4), bool)
    valid[1, 2] = False
    values[1, 2, 5] = wrong
    none = np.full(33, -100, np.int16)
    assert way(values, valid, None, none, target(2, 4, 33), Bench()) is not None
    values[0, 3, 32] = wrong
    assert way(values, valid, None, none, target(2, 4, 33), Bench()) is None
    assert way(torch.full((2, 4, 33), wrong), valid, None, none, target(2, 4, 33), Bench()) is None


def test_nothing_beside_the_target_is_touched():
    into = target(2, 4, 33)
    sums = take_in(torch.zeros(2, 4, 33), np.ones((2, 4), bool), None, np.zeros(33, np.int16), into, Bench())
    assert sums is not None and not sums.any()
    for part, left, axis in zip(into, (LEFT_OVER, LEFT_OVER, 7), (1, 2, 1), strict=True):
        whole = part._base.movedim(axis, 0)
        assert not part.any()
        assert (whole[[0, -1]] == left).all()


def test_it_is_compiled_once(monkeypatch):
    loop = _compile(chunks._measure.__wrapped__)
    monkeypatch.setattr(chunks, "_measure", loop)
    n, places, units = 3, 4, 8
    valid = np.ones((n, 2 * places), bool)
    valid[0, 0] = False  # or places side by side would be left to torch
    valid.flags.writeable = False
    begun = np.zeros((units, 2), np.int16)[:, 0]
    for values in (torch.ones(n, places, units), torch.ones(n, places, units, dtype=torch.float16).mT.contiguous().mT):
        for chosen in (None, torch.arange(units)):
            take_in(values, valid[:, ::2], chosen, begun, target(n, places, units), Bench())
    assert len(loop.signatures) == 1


def test_it_is_compiled_where_nothing_can_be_kept(monkeypatch):
    monkeypatch.setattr("numba.core.caching.CacheImpl._locator_classes", [])
    with pytest.raises(RuntimeError, match="no locator"):
        numba.njit(cache=True)(lambda x: x)
    assert compiled(lambda x: x > 1)(2)
