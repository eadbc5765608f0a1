"""Numbers that the code of Bills et al. 2023 (PyPI `automated-interpretability` 0.0.24) gives, reproduced.

They were made by running that code. Conventions that differ on purpose are listed in docs/bills.md. The numbers of
their simulators' answers are in test_simulators_lm_reading.py.
"""

from __future__ import annotations

import numpy as np
import pytest

from glossator.explainers.answers import remove_final_period
from glossator.inputs.tokens import TokenWindows, Vocabulary
from glossator.scorers.explained_variance import absolute_of, centred_of, uncentred_of
from glossator.scorers.threshold import balanced_accuracy
from glossator.simulators.calibration import fit_calibration
from glossator.statistics import pearson
from glossator.zero_to_ten import format_records, largest, non_zero_share, snipped, zero_to_ten

EXACT = {"rel": 1e-9, "abs": 1e-9}
FIRST = (["a", " cat", "\n", "sat"], [-0.3, 2.0, 0.19, 1.0])
SECOND = (["b", "c"], [0.0, 0.5])
RECORDS = [FIRST, SECOND]


# activations on the scale from 0 to 10


def test_the_largest_activation() -> None:
    assert largest([activations for _, activations in RECORDS]) == 2.0


def test_normalised_activations() -> None:
    assert zero_to_ten([-0.3, 2, 0.19, 1, 0.2, 0.3999, 2.5], 2.0).tolist() == [0, 10, 0, 5, 1, 1, 10]
    assert zero_to_ten([1, 2], 0).tolist() == [0, 0]


def test_the_largest_is_a_nine_where_ten_times_it_by_it_rounds_down() -> None:
    assert zero_to_ten([0.8338663238334605, 0.5], 0.8338663238334605).tolist() == [9, 5]
    assert zero_to_ten([0.84, 2.0, 0.8338663238334605], 0.8338663238334605).tolist() == [10, 10, 9]


def test_the_share_above_zero() -> None:
    assert non_zero_share(RECORDS, 2.0) == 0.5


def test_records_without_zeros() -> None:
    expected = "\n<start>\n cat\t10\nsat\t5\n<end>\n<start>\nc\t2\n<end>\n"
    assert format_records(RECORDS, 2.0, omit_zeros=True) == expected


def test_records_without_a_token_are_an_empty_line() -> None:
    silent = (["a", "b"], [0.0, 0.09])
    assert format_records([silent], 1.0, omit_zeros=True) == "\n<start>\n\n<end>\n"
    expected = "\n<start>\n\n<end>\n<start>\nc\t5\n<end>\n<start>\n\n<end>\n"
    assert format_records([silent, SECOND, silent], 1.0, omit_zeros=True, shown_from=[0, 0, 0]) == expected
    assert format_records([([], [])], 1.0) == format_records([], 1.0) == "\n<start>\n\n<end>\n"


def test_records_whose_levels_are_told_from_somewhere_on() -> None:
    expected = "\n<start>\na\tunknown\n cat\tunknown\n\n\t0\nsat\t5\n<end>\n<start>\nb\t0\nc\t2\n<end>\n"
    assert format_records(RECORDS, 2.0, shown_from=[2, 0]) == expected


# answers


def test_a_full_stop() -> None:
    assert remove_final_period("x. ") == "x"


# scores


def correlation(truth: list[float], predicted: list[float]) -> float | None:
    y, p = np.array(truth, float), np.array(predicted, float)
    return pearson(y, p, np.zeros(len(y), int), 1).value


def fraction(measure, truth: list[float], predicted: list[float]) -> float | None:
    y, p = np.array(truth, float), np.array(predicted, float)
    return measure(y, p, np.zeros(len(y), int), 1).value


def test_scores_of_two_sequences() -> None:
    truth, predicted = [0, 1, 0, 3], [0, 2, 1, 8]
    assert correlation(truth, predicted) == pytest.approx(0.9837387536759293, **EXACT)
    assert fraction(uncentred_of, truth, predicted) == pytest.approx(-1.7, **EXACT)
    assert fraction(absolute_of, truth, predicted) == pytest.approx(-0.75, **EXACT)


def test_what_is_undefined_is_missing_where_theirs_is_nan_or_minus_infinity() -> None:
    truth, predicted = [0, 0, 0], [0, 1, 2]
    assert correlation(truth, predicted) is None
    assert correlation(predicted, truth) is None
    assert fraction(uncentred_of, truth, predicted) is None
    assert fraction(absolute_of, truth, predicted) is None


def test_measures_of_the_same_name_elsewhere() -> None:
    truth, predicted = [0, 2, 2, 2], [0, 1, 1, 2]
    assert correlation(truth, predicted) == pytest.approx(np.sqrt(2 / 3), **EXACT)  # .816497 in both
    assert fraction(uncentred_of, truth, predicted) == pytest.approx(1 - 1 / 6, **EXACT)  # theirs, .8333
    assert fraction(centred_of, truth, predicted) == pytest.approx(1 / 3, **EXACT)  # Transluce's, .3333
    assert fraction(absolute_of, truth, predicted) == pytest.approx(2 / 3, **EXACT)  # theirs, .6667


TRUE = [[0.0, 1.0, 3.0], [0.5, 0.1]]
SIMULATED = [[0.0, 2.0, 8.0], [3.0, 0.0]]


@pytest.mark.parametrize(
    ("name", "at", "pooled", "by_sequence"),
    [
        (
            "uncalibrated",
            [0.0, 1.0, 5.0, 10.0],
            (0.9629916451602939, -2.1442495126705654, -0.8695652173913044),
            (0.9958705948858223, 1.0),
        ),
        (
            "linear",
            [-0.015277777777777835, 0.3444444444444444, 1.7833333333333332, 3.5819444444444444],
            (0.9629916451602941, 0.9573180636777128, 0.754830917874396),
            (0.9958705948858223, 1.0),
        ),
        (
            "percentile-matching",
            [0.1, 0.3, 1.8, 3.0],
            (0.9573441213439988, 0.9502923976608187, 0.7608695652173912),
            (0.978883465889473, 1.0),
        ),
    ],
)
def test_calibrated_scores(
    name: str, at: list[float], pooled: tuple[float, float, float], by_sequence: tuple[float, float]
) -> None:
    simulated, true = np.concatenate(SIMULATED), np.concatenate(TRUE)
    fitted = fit_calibration(name, simulated, true)
    assert fitted.apply(np.array([0.0, 1.0, 5.0, 10.0])) == pytest.approx(at, **EXACT)
    predicted = fitted.apply(simulated).tolist()
    found = (
        correlation(true.tolist(), predicted),
        fraction(uncentred_of, true.tolist(), predicted),
        fraction(absolute_of, true.tolist(), predicted),
    )
    assert found == pytest.approx(pooled, **EXACT)
    each = [correlation(y, fitted.apply(np.array(s)).tolist()) for y, s in zip(TRUE, SIMULATED, strict=True)]
    assert each == pytest.approx(by_sequence, **EXACT)


def test_balanced_accuracy_of_four_answers() -> None:
    said, true = np.array([True, True, False, False]), np.array([True, False, False, False])
    hits, false_alarms = (said & true).sum(), (said & ~true).sum()
    found = balanced_accuracy(hits, false_alarms, int(true.sum()), int((~true).sum()))
    assert float(found) == pytest.approx(5 / 6, **EXACT)


def marked(texts: list[bytes], activations: list[float], threshold: float) -> str:
    tokens = np.arange(len(texts), dtype=np.int32)[None]
    vocabulary, one = Vocabulary("few", tuple(texts)), np.array([0])
    windows = TokenWindows(tokens, np.array([len(texts)]), tokens >= 0, one, one, vocabulary)
    return windows.marked(0, np.array(activations) >= threshold)


def test_marks_around_runs_of_tokens() -> None:
    """As in the code of semantic regexes (arXiv 2510.06378): one pair of marks around neighbouring tokens. The scorers
    of PyPI `automated-interpretability` give each token its own, `a<< b>><< c>>`; here they differ on purpose."""
    assert marked([b"I", b" ran", b" fast"], [0, 9, 8], 3) == "I<< ran fast>>"
    assert marked([b"a", b" b", b" c"], [1, 10, 3], 0.3 * 10) == "a<< b c>>"
    assert marked([b"a", b" b", b" c"], [3, 1, 10], 0.3 * 10) == "<<a>> b<< c>>"


def test_the_tokens_around_the_largest_activation() -> None:
    """As `snip` in the code of semantic regexes; near an end there are as many tokens as elsewhere."""
    letters = list("abcdefgh")
    for values, text, levels in (
        ([0, 0, 0, 0, 0, 9, 0, 0], "defg", [0, 0, 9, 0]),
        ([9, 0, 0, 0, 0, 1, 0, 0], "abcd", [9, 0, 0, 0]),
        ([0, 0, 0, 1, 0, 0, 0, 9], "efgh", [0, 0, 0, 9]),
        ([0, 9, 0, 0, 0, 9, 0, 0], "abcd", [0, 9, 0, 0]),
    ):
        tokens, activations = snipped((letters, np.array(values, float)), 4)
        assert ("".join(tokens), list(activations)) == (text, levels)
    assert snipped((letters, [0.0] * 8), 64) == (letters, [0.0] * 8)
    assert snipped(([], np.empty(0)), 4)[0] == []
