"""The scale from 0 to 10 and the records that are written on it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from glossator.inputs.tokens import Vocabulary
from glossator.zero_to_ten import escaped, format_records, largest, non_zero_share, zero_to_ten

FLOATS = st.floats(-1e6, 1e6, width=32)


@given(arrays(np.float32, (5,), elements=FLOATS))
def test_levels_are_whole_tenths_rounded_down(values: np.ndarray) -> None:
    top = largest([values])
    levels = zero_to_ten(values, top)
    assert levels.min() >= 0 and levels.max() <= 10
    if top > 0:
        assert (levels[values == top] == 10).all()
        below = (values > 0) & (values < top)
        exact = 10 * values[below].astype(np.float64) / top
        assert (levels[below] <= exact).all() and (exact - levels[below] < 1).all()
    else:
        assert not levels.any()


def test_only_the_largest_is_a_ten_and_small_ones_vanish() -> None:
    assert zero_to_ten([9.99, 10.0, 0.999, 1.0, 11.0], 10.0).tolist() == [9, 10, 0, 1, 10]


@pytest.mark.parametrize("broken", [float("nan"), float("inf"), float("-inf")])
def test_what_is_not_finite_sets_no_scale(broken: float) -> None:
    assert largest([[1.0, broken, 2.0]]) == 2.0
    assert zero_to_ten([broken], 2.0).tolist() == [10 if broken == float("inf") else 0]


def test_the_largest_of_nothing_is_zero() -> None:
    assert largest([]) == 0.0
    assert largest([[], [-1.0]]) == 0.0
    assert non_zero_share([], 1.0) == 0.0
    assert largest(np.array([[1.0, 3.0], [2.0, -5.0]])) == 3.0


def test_zeros_cannot_be_left_out_of_what_is_hidden() -> None:
    with pytest.raises(ValueError, match="hidden"):
        format_records([(["a"], [1.0])], 1.0, omit_zeros=True, shown_from=[1])


def test_what_is_infinite_is_a_ten_on_any_scale() -> None:
    assert zero_to_ten([np.inf, 1.0, -np.inf], np.inf).tolist() == [10, 0, 0]
    assert zero_to_ten([1.7e308, 1.0], 1.7e308).tolist() == [10, 0]


def test_every_token_keeps_to_its_line() -> None:
    cut = "é".encode()
    vocabulary = Vocabulary(
        "v", (b" a", b"\n\n", b"\t", cut[:1], cut[1:], cut, "\u2028".encode(), b"\r", "日".encode())
    )
    shown = [escaped(text) for text in vocabulary.texts]
    assert shown == [" a", "\\n\\n", "\\t", "\\xc3", "\\xa9", "é", "\\u2028", "\\r", "日"]
    record = format_records([(shown, np.zeros(len(shown)))], 1.0)
    assert all(line.count("\t") == 1 for line in record.strip().splitlines()[1:-1])


@given(st.text())
def test_visible_text_has_one_line_and_no_tab(text: str) -> None:
    shown = escaped(text)
    assert len(shown.splitlines()) <= 1
    assert "\t" not in shown
    shown.encode("utf-8")


@given(st.text(alphabet=st.characters(categories=["L", "N", "P", "S"])))
def test_printable_text_is_left_alone(text: str) -> None:
    assert escaped(text) == text
