"""From a language model's answers to numbers: pure functions, independent of the backend.

The rule of the field (Bills et al. 2023, code of their simulators): of the alternatives at a position only those that
are exactly a level from 0 to 10 count; their probabilities are made to sum to 1 and the prediction is the mean.
Where that code says 0 because nothing could be read, a reading here has no value and a reason.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from glossator.inputs.tokens import TokenWindows
from glossator.language_models import TokenLogprob
from glossator.language_models.judging import is_answered
from glossator.simulators import ZERO_TO_TEN, Distribution, Simulation
from glossator.zero_to_ten import GREATEST, START, UNKNOWN

LEVELS = tuple(range(GREATEST + 1))
LEAST_OF_BEGUN = 0.01
NO_LEVEL = "none of the likeliest tokens is a level"
NO_PLACE = "the model's tokens have no border between a tab and the level"


@dataclass(frozen=True)
class Reading:
    """The prediction at one token. expected: None when there is none, and reason says why; probabilities: level ->
    probability, empty if a number was said without any."""

    expected: float | None
    probabilities: Mapping[int, float] = field(default_factory=dict)
    reason: str | None = None


def level_words(ten: str = "10") -> dict[str, int]:
    """The tokens of the levels: token -> level. ten: how 10 is written, for models that split `10` into two tokens."""
    return {**{str(level): level for level in range(GREATEST)}, ten: GREATEST}


def parse_top_logprobs(top: Mapping[str, float], words: Mapping[str, int] | None = None) -> dict[int, float]:
    """Level -> probability, of those alternatives (token -> log-probability) that are exactly a level."""
    words = level_words() if words is None else words
    found = {words[token]: math.exp(min(logprob, 0.0)) for token, logprob in top.items() if token in words}
    return dict(sorted(found.items()))


def expected_value(levels: Mapping[int, float]) -> tuple[dict[int, float], float | None]:
    """The probabilities made to sum to 1, and the mean level; ({}, None) where they sum to 0 or one is NaN."""
    total = sum(levels.values())
    if not total > 0:
        return {}, None
    shares = {level: p / total for level, p in levels.items()}
    return shares, sum(level * share for level, share in shares.items())


def read_top(top: Mapping[str, float], words: Mapping[str, int] | None = None) -> Reading:
    """The reading at a position from the alternatives there."""
    shares, expected = expected_value(parse_top_logprobs(top, words))
    return Reading(expected, shares, NO_LEVEL if expected is None else None)


def read_answer(top: Mapping[str, float], words: Mapping[str, int] | None = None, *, begun: bool = False) -> Reading:
    """The same at the first token of an answer, which need not be a level: where the levels are far down the list of
    alternatives, what the model begins with is something else (its thoughts, say). begun: a raw prompt led up to the
    level, so that a small share of the probability will do."""
    known = level_words() if words is None else words
    if any(math.isnan(value) for token, value in top.items() if token in known):
        return Reading(None, reason=NO_LEVEL)
    if begun and sum(parse_top_logprobs(top, known).values()) >= LEAST_OF_BEGUN:
        return read_top(top, known)
    return read_top(top, known) if is_answered(top, known.__contains__) else Reading(None, reason=NO_LEVEL)


def parse_echo(
    prompt: Sequence[TokenLogprob],
    lines: int,
    words: Mapping[str, int] | None = None,
    *,
    start: str = START,
    unknown: str = UNKNOWN,
) -> list[Reading]:
    """Readings of the last record of an echoed prompt, whose lines are a token, a tab and `unknown`.

    What was likely in place of `unknown` is the prediction. lines: how many the record has; when the prompt shows
    another number of them, no line can be trusted and all are missing. A line whose level does not begin a token of
    the model is missing alone.
    """
    texts = [token.text for token in prompt]
    joined = "".join(texts)
    begin = joined.rfind(f"{start}\n")
    if begin < 0:
        return [Reading(None, reason="the prompt's last record was not found")] * lines
    readings: list[Reading] = []
    offset = 0
    for place, text in enumerate(texts):
        tabs = text.count("\t") if offset >= begin else 0
        offset += len(text)
        if not tabs:
            continue
        after = texts[place + 1] if place + 1 < len(texts) else ""
        whole = text.endswith("\t") and after and (unknown.startswith(after) or after.startswith(unknown))
        readings += [Reading(None, reason=NO_PLACE)] * (tabs - 1)
        readings.append(read_top(prompt[place + 1].top, words) if whole else Reading(None, reason=NO_PLACE))
    if len(readings) != lines:
        return [Reading(None, reason="the prompt's tokens do not show the record line by line")] * lines
    return readings


def parse_json(value: Any, tokens: Sequence[str]) -> list[Reading]:
    """Readings of `{"activations": [{"token": ..., "activation": ...}, ...]}`, parsed; tokens: those asked about.

    Another number of tokens, or other tokens, make all of them missing: levels would stand at the wrong places. White
    space round a token does not matter. A level outside 0 to 10 is missing alone.
    """
    items = value.get("activations") if isinstance(value, Mapping) else None
    if not isinstance(items, Sequence) or isinstance(items, str):
        return [Reading(None, reason="the answer has no list of activations")] * len(tokens)
    if len(items) != len(tokens):
        return [Reading(None, reason="the answer has the wrong number of tokens")] * len(tokens)
    if not all(
        isinstance(item, Mapping) and str(item.get("token", "")).strip() == token.strip()
        for item, token in zip(items, tokens, strict=True)
    ):
        return [Reading(None, reason="the answer has other tokens")] * len(tokens)
    return [_said(item.get("activation")) for item in items]


def parse_lines(text: str, tokens: Sequence[str], end: str = "\n") -> list[Reading]:
    """Readings of an answer that repeats each token with a tab and its level; end: what ends a line.

    The same rules as for `parse_json`; text after the last line is left out.
    """
    rows = [row.rsplit("\t", 1) for row in text.split(end)]
    pairs = [(row[0].strip("\n"), row[1]) for row in rows if len(row) == 2]
    items = [{"token": token, "activation": _number(level)} for token, level in pairs]
    return parse_json({"activations": items}, tokens)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _said(level: Any) -> Reading:
    if isinstance(level, bool) or not isinstance(level, int | float) or not math.isfinite(level):
        return Reading(None, reason="the answer's level is not a number")
    if not 0 <= level <= GREATEST:
        return Reading(None, reason="the answer's level is outside 0 to 10")
    return Reading(float(level))


def mean_reading(samples: Sequence[Reading]) -> Reading:
    """Several samples of one token: the mean of those that said a level; with two or more of them, the share of each
    whole level as its probability."""
    said = [reading.expected for reading in samples if reading.expected is not None]
    if not said:
        return samples[0]
    if len(said) == 1:
        return Reading(said[0])
    counts = Counter(min(max(round(level), 0), GREATEST) for level in said)
    return Reading(sum(said) / len(said), {level: n / len(said) for level, n in sorted(counts.items())})


def simulation_of(readings: Sequence[Sequence[Reading]], windows: TokenWindows) -> Simulation:
    """One simulation from the readings of each window's tokens; a token without a prediction is NaN and counted.

    The distribution is filled in when every token read has one.
    """
    expected = np.zeros(windows.tokens.shape, np.float64)
    probabilities = np.zeros((*windows.tokens.shape, len(LEVELS)), np.float64)
    probabilities[..., 0] = 1.0  # padding
    missing: Counter[str] = Counter()
    has_all = True
    for row, of_window in enumerate(readings):
        for place, reading in enumerate(of_window):
            if reading.expected is None:
                expected[row, place] = probabilities[row, place] = np.nan
                missing[reading.reason or "no reason given"] += bool(windows.valid[row, place])
                continue
            expected[row, place] = reading.expected
            has_all &= bool(reading.probabilities)
            probabilities[row, place] = 0.0
            for level, share in reading.probabilities.items():
                probabilities[row, place, level] = share
    distribution = None
    if has_all:
        values = np.broadcast_to(np.array(LEVELS, np.float64), probabilities.shape)
        distribution = Distribution(values, probabilities)
    counted = {reason: n for reason, n in sorted(missing.items()) if n}
    return Simulation(expected, ZERO_TO_TEN, distribution, missing=counted)
