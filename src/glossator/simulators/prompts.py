"""Simulator prompts as text: a part shared by all units, a part for each explanation, and the windows.

Pure functions. Tokens are written with `escaped`, so that a token keeps to its line and its column; an explanation is
written on one line. The shared part shows invented neurons, every sentence of which was written for this file: a text
marks the tokens on which its neuron fires, as `{harbour|8}` is the token ` harbour` at level 8; all others are 0.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from glossator.inputs.tokens import TokenWindows
from glossator.language_models import COMPLETION, PROMPT_LOGPROBS, LanguageModel, Message, Request
from glossator.zero_to_ten import END, GREATEST, START, UNKNOWN, escaped

_MARK = re.compile(r"\{([^|{}]+)\|(\d+)\}")
_TOKEN = re.compile(r" ?[^\W\d_]+| ?\d+| ?[^\w\s]")


@dataclass(frozen=True)
class Shown:
    """A worked example: what a neuron responds to, and marked texts."""

    explanation: str
    texts: tuple[str, ...]

    @cached_property
    def records(self) -> tuple[tuple[tuple[str, int], ...], ...]:
        """Each text as (token, level) pairs; a token is a word, a number or a sign with the space before it."""
        return tuple(_record(text) for text in self.texts)


def _record(text: str) -> tuple[tuple[str, int], ...]:
    plain, levels = "", {}
    end = 0
    for mark in _MARK.finditer(text):
        plain += text[end : mark.start()]
        levels[len(plain)] = int(mark[2])
        plain, end = plain + mark[1], mark.end()
    plain += text[end:]
    found = []
    for token in _TOKEN.finditer(plain):
        first = token.start() + token[0].startswith(" ")
        found.append((token[0], levels.get(first, 0)))
    return tuple(found)


SHOWN = (
    Shown(
        "words for water and for what floats on it",
        ("The old {boat|7} left the {harbour|10}.", "She drank {water|4} by the {lake|9}."),
    ),
    Shown(
        "the word that follows a negation such as not",
        ("He did not {wait|10} for us.", "Nobody {called|6} for no {reason|8}."),
    ),
    Shown(
        "numbers and words for amounts",
        ("In {1954|9} he had {some|2} hens.", "{Three|8} cows ate {twenty|10} apples."),
    ),
)
"""Short on purpose: every token of the simulator attends to all of this."""


BRANCH = "\t"
"""Between a text and the level at its last token, when tokens are asked about one at a time."""

_HIDDEN = (2, 1)  # so many first levels of the first and the second record of an example are not told


def pieces_of(windows: TokenWindows) -> list[list[str]]:
    """The tokens of each window as escaped text; bytes that are no complete character stand as \\xNN."""
    texts = windows.vocabulary.texts
    return [
        [escaped(texts[token]) for token in tokens[:length]]
        for tokens, length in zip(windows.tokens.tolist(), windows.lengths.tolist(), strict=True)
    ]


def written(level: int, ten: str) -> str:
    return ten if level == GREATEST else str(level)


def scale(ten: str) -> str:
    """The scale in words; ten: how 10 is written."""
    top = "10, as strongly as it ever does" if ten == "10" else f"9, and {ten} for as strongly as it ever does"
    return f"a level from 0, not at all, to {top}"


def all_at_once_start(ten: str = "10") -> str:
    """Instructions and examples for whole records: lines of a token, a tab and a level or `unknown`."""
    parts = [
        "Each neuron of a language model looks for one thing in a text. A line holds a token, a tab and how strongly "
        f"the neuron fires at it: {scale(ten)}, or {UNKNOWN} where nobody has looked yet. Most levels are 0.\n"
    ]
    for shown in SHOWN:
        parts.append(about(shown.explanation))
        for record, hidden in zip(shown.records, _HIDDEN, strict=True):
            lines = (
                f"{token}\t{UNKNOWN if place < hidden else written(level, ten)}\n"
                for place, (token, level) in enumerate(record)
            )
            parts.append(f"{START}\n{''.join(lines)}{END}\n")
    return "".join(parts)


def about(explanation: str) -> str:
    """The part of a prompt that says what the neuron responds to, up to where a record or a text begins."""
    return f"\nA neuron that looks for: {one_line(explanation)}\n"


def one_line(explanation: str) -> str:
    return escaped(" ".join(explanation.split()))


def unknown_record(pieces: Sequence[str], unknown: str = UNKNOWN) -> str:
    """The record to be simulated: no level is known, and it is not closed."""
    return f"{START}\n" + "".join(f"{piece}\t{unknown}\n" for piece in pieces)


def one_at_a_time_start(ten: str = "10") -> str:
    """Instructions and examples for single tokens: lines of a text, a tab and the level at the text's last token."""
    parts = [
        "Each neuron of a language model looks for one thing in a text. A line holds a text, a tab and how strongly "
        f"the neuron fires at the text's last token: {scale(ten)}. Most levels are 0.\n"
    ]
    for shown in SHOWN:
        parts.append(about(shown.explanation))
        for record in shown.records:
            for end in _ends(record):
                text = "".join(token for token, _ in record[: end + 1])
                parts.append(f"{text}{BRANCH}{written(record[end][1], ten)}\n")
    return "".join(parts)


def _ends(record: Sequence[tuple[str, int]]) -> list[int]:
    """Where an example's text is cut: at every token that fires and after the first of them."""
    fires = [place for place, (_, level) in enumerate(record) if level]
    return sorted({*fires, fires[0] + 1})


def text_so_far(pieces: Sequence[str], end: int) -> str:
    """The text before the level of the token at `end`."""
    return "".join(pieces[: end + 1]) + BRANCH


def written_start(form: str) -> str:
    """Instructions for a model that writes its levels out, as `json` or as `lines`."""
    answer = (
        'Answer in JSON: {"activations": [{"token": the token as given, "activation": its level}, ...]}, every token '
        "once, in the order given."
        if form == "json"
        else "Answer with the tokens as given, every one on a line of its own, in the order given, each followed by a "
        "tab and its level, and nothing else."
    )
    return (
        "Neurons of a language model each look for one thing in a text. You are told what a neuron looks for and get "
        f"the tokens of a text. Say how strongly the neuron fires at each token: {scale('10')}. Most levels are 0. "
        + answer
    )


def written_question(explanation: str, pieces: Sequence[str]) -> str:
    """One window for `written_start`: the tokens one a line, between marks."""
    lines = "".join(f"{piece}\n" for piece in pieces)
    return f"The neuron looks for: {one_line(explanation)}\n\n{len(pieces)} tokens, one a line:\n{START}\n{lines}{END}"


def asked_how_ten_is_written(lm: LanguageModel) -> str:
    """`10` where a served model has it as one token, else `X`; asked once, in a request that the cache keeps.

    Where a tokenizer has no token for it, `1` would be read where 10 was meant.

    Raises nothing: a model that does not say 10 when asked to is taken to have the token.
    """
    if {COMPLETION, PROMPT_LOGPROBS} <= lm.powers:
        (answer,) = lm.ask([Request(prompt="Levels:\t10\t10\n", max_tokens=0, prompt_logprobs=1)])
        texts = [token.text for token in answer.prompt_tokens]
    else:
        question = Message("user", "Reply with the number 10 in digits and nothing else.")
        (answer,) = lm.ask([Request(messages=(question,), max_tokens=4, logprobs=1)])
        texts = [token.text for token in answer.tokens]
    together = "".join(texts)
    return "X" if "10" in together and not any("10" in text for text in texts) else "10"
