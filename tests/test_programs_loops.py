"""The compiled sums of the search against NumPy's, bit for bit."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from glossator.engines.compiling import _compile
from glossator.programs import gains, loops, problem
from glossator.programs.bank import build_bank
from glossator.programs.inducer import search
from glossator.programs.loops import masses_and_squares, products, sums_below, sums_by_part
from inducer_cases import LEXICON, WORDS, evidence_of, is_in, windows_of

LOOPS = ("_products", "_masses_and_squares", "sums_below", "sums_by_part")


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 40), st.integers(1, 60))
def test_products_add_in_order(seed, rows, seen):
    rng = np.random.default_rng(seed)
    dense = rng.random((rows, seen)) * (rng.random((rows, seen)) < rng.random((rows, 1)))
    dense = dense.astype(np.float32)
    truth = sparse.csr_matrix(dense)
    values = rng.normal(size=(seen, 8)).astype(np.float32)
    assert np.array_equal(products(truth, values), in_order(dense, values))
    counts = np.ascontiguousarray(np.abs(values[:, :2]))
    masses, squares = masses_and_squares(truth, counts)
    assert np.array_equal(masses, in_order(dense, counts))
    assert np.array_equal(squares, in_order(dense**2, counts))


def in_order(truth: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Their product, column after column."""
    found = np.zeros((len(truth), values.shape[1]), np.float32)
    for column, row in zip(truth.T, values, strict=True):
        found += column[:, None] * row
    return found


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 300), st.integers(1, 30))
def test_running_sums_have_the_bits_of_numpy(seed, places, size):
    rng = np.random.default_rng(seed)
    numbers, part = rng.integers(0, size, places), rng.integers(0, 4, places)
    values, weights = rng.normal(size=places), rng.random(places)
    sums, masses = np.full((size + 1, 4), np.nan), np.full(size + 1, np.nan)
    sums_below(numbers, part, values, weights, sums, masses)
    by_bin = np.bincount(numbers * 4 + part, values, minlength=4 * size).reshape(size, 4)
    assert np.array_equal(sums, np.concatenate([np.zeros((1, 4)), by_bin.cumsum(0)]))
    assert np.array_equal(masses, np.append(0, np.bincount(numbers, weights, minlength=size).cumsum()))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 300), st.integers(1, 30))
def test_sums_by_part_have_the_bits_of_numpy(seed, places, seen):
    rng = np.random.default_rng(seed)
    tokens, part = rng.integers(0, seen + 1, places), rng.integers(0, 4, places)
    some = np.flatnonzero(rng.random(places) < 0.5)
    values, found = rng.normal(size=len(some)), np.full((seen, 12), np.nan, np.float32)
    sums_by_part(tokens, part, some, values, np.full((seen + 1, 4), np.nan), found, 4)
    by_bin = np.bincount(tokens[some] * 4 + part[some], values, minlength=4 * (seen + 1)).reshape(-1, 4)
    assert np.array_equal(found[:, 4:8], by_bin[:-1].astype(np.float32))
    assert np.isnan(found[:, :4]).all() and np.isnan(found[:, 8:]).all()


def test_a_search_needs_no_more_than_was_loaded(monkeypatch):
    made = {name: _compile(getattr(loops, name).__wrapped__) for name in LOOPS}
    for name, loop in made.items():
        for module in (loops, gains, problem):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, loop)
    loops.load()
    seen = windows_of(1, 600)
    bank = build_bank(LEXICON, np.bincount(seen.tokens.reshape(-1), minlength=len(LEXICON) + 1))
    made_of = problem.make_problem(evidence_of(is_in(seen, WORDS[43]) * 2.0, seen).exemplars, bank, 0.01)
    assert search(made_of, most=5, least_gain=1e-4).singles
    assert {name: len(loop.signatures) for name, loop in made.items()} == dict.fromkeys(LOOPS, 1)
