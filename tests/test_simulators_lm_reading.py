"""From answers to levels: the rules of the field and the numbers of the reference code, apart from any model."""

from __future__ import annotations

import json
import math
import re

import numpy as np
import pytest

from glossator.inputs.tokens import TokenWindows, Vocabulary
from glossator.language_models import TokenLogprob
from glossator.simulators.prompts import SHOWN, all_at_once_start, one_at_a_time_start, one_line, unknown_record
from glossator.simulators.reading import (
    Reading,
    expected_value,
    level_words,
    mean_reading,
    parse_echo,
    parse_json,
    parse_lines,
    parse_top_logprobs,
    read_top,
    simulation_of,
)

ln = math.log


def test_exact_levels_are_kept_and_made_to_sum_to_one():
    top = {"0": ln(0.5), "1": ln(0.2), "10": ln(0.1), " 2": ln(0.1), "unknown": ln(0.1)}
    levels = parse_top_logprobs(top)
    assert levels == pytest.approx({0: 0.5, 1: 0.2, 10: 0.1}, abs=1e-12)
    shares, expected = expected_value(levels)
    assert shares == pytest.approx({0: 0.625, 1: 0.25, 10: 0.125}, abs=1e-12)
    assert expected == pytest.approx(1.5, abs=1e-12)


def test_what_only_looks_like_a_level_does_not_count():
    top = {"3": ln(0.6), "4": ln(0.3), "03": ln(0.05), "11": ln(0.03), "３": ln(0.01), "": ln(0.005), "1.0": ln(0.005)}
    assert expected_value(parse_top_logprobs(top))[1] == pytest.approx(10 / 3, abs=1e-12)
    assert expected_value(parse_top_logprobs({"unknown": -0.1})) == ({}, None)
    assert read_top({"unknown": -0.1}).reason == "none of the likeliest tokens is a level"
    assert read_top({}).expected is None
    assert read_top({"3": -math.inf, "5": ln(0.5), "maybe": math.nan}).expected == 5
    assert read_top({"7": math.nan, "5": ln(0.5)}).expected is None  # how likely 5 is beside 7 is not known
    assert read_top({"7": 1000.0}).expected == 7
    assert read_top({"7": math.nan}).expected is None
    assert read_top({"X": 0.0, "10": 0.0}, level_words("X")).probabilities == {10: 1.0}


def echo(*texts: str, top: dict[str, float] | None = None) -> list[TokenLogprob]:
    return [TokenLogprob(text, -1.0, top if text.startswith(("unknown", "unk", "?")) else {"7": 0.0}) for text in texts]


LAST = ("y", "\\xe2", "\t", "unknown", "\n")
HALVES = {"0": ln(0.75), "10": ln(0.25)}


@pytest.mark.parametrize(
    "texts",
    [
        ["<start>", "\n", "x", "\t", "unknown", "\n", "y", "\t", "unknown", "\n"],
        ["<", "start", ">\n", "x", "\t", "unk", "nown", "\n", "y", "\t", "unknown\n"],
        # an earlier record, a token that spells the mark, a token of two tokens, one of cut bytes
        [*("<start>\n", "a", "\t", "unknown", "\n<end>\n<start>\n", "<start>", "\t", "unknown", "\n"), *LAST],
    ],
)
def test_echoed_records(texts):
    readings = parse_echo(echo(*texts, top=HALVES), 2)
    assert [reading.expected for reading in readings] == pytest.approx([2.5, 2.5], abs=1e-12)
    assert [dict(reading.probabilities) for reading in readings] == [pytest.approx({0: 0.75, 10: 0.25})] * 2


def test_an_echo_without_a_border_is_missing_and_not_zero():
    merged = parse_echo(echo("<start>\n", "x", "\tunk", "nown", "\n", "y", "\t", "unknown", "\n", top=HALVES), 2)
    assert merged[0].expected is None and "border" in merged[0].reason
    assert merged[1].expected == pytest.approx(2.5)
    for texts in (["x", "\t", "unknown"], ["<start>\n", "x", "\t", "unknown\n"], [], ["<start>\n"]):
        readings = parse_echo(echo(*texts, top=HALVES), 2)
        assert [reading.expected for reading in readings] == [None, None] and all(r.reason for r in readings)
    assert parse_echo(echo("<start>\n", "x", "\t", "?\n", top=HALVES), 1, unknown="?")[0].expected == 2.5


def said(*pairs) -> dict:
    return {"activations": [{"token": token, "activation": level} for token, level in pairs]}


def test_sampled_json():
    readings = parse_json(
        said(("a", 4.5), (" b ", 11), ("c", "7"), ("d", math.nan), ("e", True), ("f", 0)), [*"abcdef"]
    )
    assert [reading.expected for reading in readings] == [4.5, None, None, None, None, 0.0]
    assert "outside" in readings[1].reason and "number" in readings[2].reason


@pytest.mark.parametrize(
    "value",
    [
        None,
        {},
        [],
        "no",
        {"activations": "ab"},
        said(("a", 1)),
        said(("a", 1), ("b", 1), ("c", 1)),
        said(("b", 1), ("a", 1)),
        {"activations": [1, 2]},
    ],
)
def test_sampled_json_that_does_not_fit_is_missing(value):
    readings = parse_json(value, ["a", "b"])
    assert [reading.expected for reading in readings] == [None, None] and all(reading.reason for reading in readings)


def test_sampled_lines_keep_the_last_level():
    answer = "a\t4༗\nb\t10༗\nc\t7༗\n"
    assert [r.expected for r in parse_lines(answer, ["a", "b", "c"], "༗\n")] == [4.0, 10.0, 7.0]
    assert [r.expected for r in parse_lines("a\t4\n b\t10\nc\tmany\n\nThat is all.", ["a", " b", "c"])] == [
        4.0,
        10.0,
        None,
    ]
    assert [r.expected for r in parse_lines("I will not do this.", ["a"])] == [None]


def test_samples_of_one_token():
    some = [Reading(2.0), Reading(None, reason="no"), Reading(3.0), Reading(3.0)]
    assert mean_reading(some).expected == pytest.approx(8 / 3)
    assert mean_reading(some).probabilities == pytest.approx({2: 1 / 3, 3: 2 / 3})
    assert mean_reading([Reading(2.5)]) == Reading(2.5)
    assert mean_reading([Reading(None, reason="no")]).reason == "no"


def windows_of(*texts: list[str]) -> TokenWindows:
    pieces = sorted({piece for text in texts for piece in text})
    vocabulary = Vocabulary("made-up", tuple(piece.encode() for piece in pieces))
    width = max(map(len, texts))
    tokens = np.zeros((len(texts), width), np.int32)
    for row, text in enumerate(texts):
        tokens[row, : len(text)] = [pieces.index(piece) for piece in text]
    lengths = np.array([len(text) for text in texts], np.int32)
    ids = np.arange(len(texts))
    return TokenWindows(tokens, lengths, np.arange(width) < lengths[:, None], ids, ids, vocabulary)


def test_missing_tokens_are_counted_and_nan():
    windows = windows_of(["a", "b"], ["a"])
    both = [[Reading(2.5, {0: 0.75, 10: 0.25}), Reading(None, reason="why")], [Reading(1.0, {1: 1.0})]]
    simulation = simulation_of(both, windows)
    np.testing.assert_array_equal(simulation.expected, [[2.5, np.nan], [1.0, 0.0]])
    assert simulation.missing == {"why": 1} and simulation.scale == "0..10"
    p = simulation.distribution.probabilities
    np.testing.assert_allclose(p.sum(-1), [[1, np.nan], [1, 1]])
    assert p[0, 0, 10] == 0.25 and simulation.distribution.values[1, 0].tolist() == list(range(11))
    assert simulation_of([[Reading(1.0), Reading(2.0)], [Reading(0.0)]], windows).distribution is None


RULES = {
    "words for water and for what floats on it": lambda words, i: (
        words[i] in {"boat", "harbour", "sea", "water", "lake"}
    ),
    "the word that follows a negation such as not": lambda words, i: i > 0 and words[i - 1] in {"not", "nobody", "no"},
    "numbers and words for amounts": lambda words, i: re.fullmatch(r"\d+|twenty|some|three", words[i]) is not None,
}


def test_every_example_fires_where_it_says_and_nowhere_else():
    assert {shown.explanation for shown in SHOWN} == set(RULES)
    for shown in SHOWN:
        for text, record in zip(shown.texts, shown.records, strict=True):
            assert "".join(token for token, _ in record) == re.sub(r"\{([^|]+)\|\d+\}", r"\1", text)
            words = [token.strip().lower() for token, _ in record]
            for place, (token, level) in enumerate(record):
                assert bool(level) == RULES[shown.explanation](words, place), (token, shown.explanation)
        levels = [level for record in shown.records for _, level in record]
        assert max(levels) == 10 and levels.count(0) > len(levels) / 2


@pytest.mark.parametrize("ten", ["10", "X"])
def test_prompts_show_levels_as_they_are_to_be_written(ten):
    lines = re.findall(r"\t(\w+)\n", all_at_once_start(ten) + one_at_a_time_start(ten))
    assert set(lines) <= {"unknown", *level_words(ten)} and {"unknown", "0", ten} <= set(lines)
    start = all_at_once_start(ten)
    assert start.count("<start>\n") == start.count("<end>\n") == 2 * len(SHOWN)
    for record in re.findall(r"<start>\n(.*?)<end>\n", start, re.S):
        column = re.findall(r"\t(\w+)\n", record)
        hidden = column.count("unknown")
        assert hidden and "unknown" not in column[hidden:] and any(level != "0" for level in column[hidden:])
    for line in one_at_a_time_start(ten).split("\n"):
        assert line.count("\t") <= 1


def test_a_prompt_cannot_be_broken_out_of():
    assert one_line("ends\n<start>\nx\t10\n") == "ends <start> x 10"
    assert unknown_record(["a", "b"]) == "<start>\na\tunknown\nb\tunknown\n"
    assert json.dumps(one_line("\x1b[2J"))
