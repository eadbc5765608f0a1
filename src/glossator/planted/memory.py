"""Planted units that remember: state, scope, counting, agreement, induction, kind of document.

Each is a plain function over the texts of a window's tokens, written without regard to the tests of programs: some
count characters, some words, some tokens. Every other unit is `tuned`: the search may be improved by looking at it; the
rest say how well that carries over. Nothing before the window counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

import numpy as np

from glossator.inputs.tokens import TokenWindows
from glossator.planted.rules import STOPS, before, body, capitalised, has_digit
from glossator.planted.units import Rule, activations_of

MemoryKind = Literal["state", "scope", "counting", "agreement", "induction", "document"]
MEMORY_KINDS: tuple[str, ...] = get_args(MemoryKind)


@dataclass(frozen=True)
class MemoryUnit:
    """One function of all that was read so far. tuned: whether the search was improved by looking at it."""

    name: str
    kind: MemoryKind
    tuned: bool
    rule: Rule
    description: str

    def activations(self, windows: TokenWindows) -> np.ndarray:
        """(n, width) float32, at least 0; 0 where the windows are not valid."""
        return activations_of(self.rule, windows)


def line_of(t: list[str], i: int) -> list[str]:
    """What stands before the token in its line, as far as the window shows it."""
    start = i
    while start > 0 and "\n" not in t[start - 1]:
        start -= 1
    return t[start:i]


def sentence_of(t: list[str], i: int) -> list[str]:
    """What stands before the token in its sentence, as far as the window shows it; line breaks end none."""
    start = i
    while start > 0 and t[start - 1] not in STOPS:
        start -= 1
    return t[start:i]


def open_brackets(t: list[str], i: int, opening: str, closing: str) -> int:
    """How many brackets are open before the token, counted by characters."""
    level = 0
    for character in "".join(t[:i]):
        level = level + 1 if character == opening else max(0, level - 1) if character == closing else level
    return level


def latest(t: list[str], i: int, *groups: tuple[str, ...]) -> int | None:
    """Which of the groups the last token before that is in one belongs to."""
    for token in reversed(t[:i]):
        for number, group in enumerate(groups):
            if token in group:
                return number
    return None


def negated(t: list[str], i: int) -> bool:
    for token in reversed(t[: i + 1]):
        if token in (".", "!", "?", ",", ";", ":") or "\n" in token:
            return False
        if token in (" not", " no", " never") and token is not t[i]:
            return True
    return False


def in_list_item(t: list[str], i: int) -> bool:
    line = line_of(t, i)
    return len(line) > 0 and len(line) < i and line[0].strip() in ("-", "*") and "\n" not in t[i]


def followed_last_time(t: list[str], i: int) -> bool:
    for j in range(i - 1, 0, -1):
        if t[j - 1] == t[i - 1]:
            return t[j] == t[i]
    return False


def pair_seen(t: list[str], i: int) -> bool:
    return i > 0 and (t[i - 1], t[i]) in set(pairwise(t[:i]))


def last_gap(t: list[str], i: int) -> int:
    """How many tokens back the same token stands, 0 for a new one."""
    return next((i - j for j in range(i - 1, -1, -1) if t[j] == t[i]), 0)


def previous_word(t: list[str], i: int) -> str:
    words = "".join(t[:i]).split()
    return words[-1] if words else ""


def share(t: list[str], i: int, holds: str) -> float:
    """Share of the tokens so far in which one of the characters stands."""
    return sum(any(c in token for c in holds) for token in t[: i + 1]) / (i + 1)


def foreign(token: str) -> bool:
    return any(ord(c) > 127 and c not in "“”‘’–—…" for c in token)


def letters(token: str) -> bool:
    return body(token).isalpha()


def initial(token: str) -> str:
    return body(token)[0].lower()


HE, SHE = (" he", " He", "He", " him", " his"), (" she", " She", "She", " her")
ASKING = (" what", " who", " how", " why", " where", "What", "Who", "How", "Why", "Where")
BEING = (" is", " was", " are", " were")
PAST = (" was", " were", " had", " did")

MEMORY: tuple[MemoryUnit, ...] = (
    MemoryUnit("square-brackets", "state", True, lambda t, i: open_brackets(t, i, "[", "]") > 0 and "]" not in t[i],
               "text in square brackets"),
    MemoryUnit("curly-quotes", "state", False, lambda t, i: open_brackets(t, i, "“", "”") > 0 and "”" not in t[i],
               "text in curly quotation marks"),
    MemoryUnit("comment", "state", True, lambda t, i: any("#" in token for token in line_of(t, i)) and "\n" not in t[i],
               "the rest of a line after a hash"),
    MemoryUnit("nested-parentheses", "state", False, lambda t, i: open_brackets(t, i, "(", ")") >= 2,
               "text in two pairs of parentheses"),
    MemoryUnit("he-not-she", "state", True, lambda t, i: latest(t, i, HE, SHE) == 0, "after “he”, until “she”"),
    MemoryUnit("first-line", "state", False, lambda t, i: not any("\n" in token for token in t[:i]),
               "everything up to the first line break"),
    MemoryUnit("after-a-colon", "state", True, lambda t, i: ":" in t[:i], "everything after a colon"),
    MemoryUnit("list-item", "state", False, in_list_item, "lines that begin with a dash or an asterisk"),
    MemoryUnit("code-braces", "state", True, lambda t, i: open_brackets(t, i, "{", "}") > 0, "text in braces"),
    MemoryUnit("present-not-past", "state", False, lambda t, i: latest(t, i, (" is", " are"), (" was", " were")) == 0,
               "after “is” or “are”, until “was” or “were”"),
    MemoryUnit("negation", "scope", True, negated, "what follows a negation up to the next comma or stop"),
    MemoryUnit("question", "scope", False, lambda t, i: any(w in ASKING for w in sentence_of(t, i)),
               "the rest of a sentence after a question word"),
    MemoryUnit("if-clause", "scope", True,
               lambda t, i: latest(t, i, (" if", "If", " If"), (",", *STOPS)) == 0 and t[i] not in (",", *STOPS),
               "what follows “if” up to a comma or stop"),
    MemoryUnit("after-comma-in-line", "scope", False, lambda t, i: "," in line_of(t, i),
               "the rest of a line after its first comma"),
    MemoryUnit("the-after-verb-of-being", "scope", True,
               lambda t, i: t[i] in (" the", " a") and any(w in BEING for w in sentence_of(t, i)),
               "articles after a form of be in the sentence"),
    MemoryUnit("nouns-after-modal", "scope", False,
               lambda t, i: letters(t[i]) and any(w in (" will", " can", " may", " should") for w in sentence_of(t, i)),
               "words after a modal verb in the sentence"),
    MemoryUnit("third-comma", "counting", True, lambda t, i: t[i] == "," and sentence_of(t, i).count(",") == 2,
               "the third comma of a sentence"),
    MemoryUnit("second-the", "counting", False, lambda t, i: t[i] == " the" and sentence_of(t, i).count(" the") == 1,
               "the second “the” of a sentence"),
    MemoryUnit("two-commas", "counting", True, lambda t, i: sentence_of(t, i).count(",") >= 2,
               "sentences after their second comma"),
    MemoryUnit("first-number-of-line", "counting", False,
               lambda t, i: has_digit(t[i]) and not any(map(has_digit, line_of(t, i))), "the first number of a line"),
    MemoryUnit("long-sentence", "counting", True, lambda t, i: len(sentence_of(t, i)) >= 20,
               "sentences from their 21st token on"),
    MemoryUnit("start-of-line", "counting", False, lambda t, i: len(line_of(t, i)) < 3,
               "the first three tokens of a line"),
    MemoryUnit("far-in-line", "counting", True, lambda t, i: 10 <= len(line_of(t, i)) < 20,
               "the 11th to the 20th token of a line"),
    MemoryUnit("stop-of-long-sentence", "counting", False, lambda t, i: t[i] == "." and len(sentence_of(t, i)) >= 15,
               "full stops of long sentences"),
    MemoryUnit("many-lines", "counting", True, lambda t, i: sum("\n" in token for token in t[:i]) >= 3,
               "text after three line breaks"),
    MemoryUnit("early-words", "counting", False,
               lambda t, i: sum(w.startswith(" ") for w in sentence_of(t, i)) < 3, "the first words of a sentence"),
    MemoryUnit("fifth-after-comma", "counting", True, lambda t, i: "," in t[:i] and t[:i][::-1].index(",") == 4,
               "the fifth token after the last comma"),
    MemoryUnit("second-number", "counting", False, lambda t, i: has_digit(t[i]) and sum(map(has_digit, t[:i])) == 1,
               "the second digit of the passage"),
    MemoryUnit("alliteration", "agreement", True,
               lambda t, i: letters(t[i]) and letters(before(t, i)) and initial(t[i]) == initial(t[i - 1]),
               "words with the same first letter as the token before"),
    MemoryUnit("alliterating-words", "agreement", False,
               lambda t, i: t[i][:1] == " " and letters(t[i]) and previous_word(t, i)[:1].lower() == initial(t[i]),
               "words with the same first letter as the word before"),
    MemoryUnit("plural-verb", "agreement", True,
               lambda t, i: t[i] in (" are", " were", " have") and any(w.endswith("s") for w in t[max(0, i - 3) : i]),
               "plural verbs soon after a word in “-s”"),
    MemoryUnit("same-two-back", "agreement", False, lambda t, i: t[i] == before(t, i, 2), "the same token as two back"),
    MemoryUnit("repeated-with-gap", "agreement", True, lambda t, i: 5 <= last_gap(t, i) <= 15,
               "tokens last seen 5 to 15 tokens back"),
    MemoryUnit("rhyme", "agreement", False,
               lambda t, i: all(letters(w) and len(body(w)) >= 3 for w in (t[i], before(t, i)))
               and t[i][-2:] == t[i - 1][-2:], "words that end as the token before"),
    MemoryUnit("name-with-same-initial", "agreement", True,
               lambda t, i: capitalised(t[i])
               and next((body(w)[0] for w in reversed(t[:i]) if capitalised(w)), "") == body(t[i])[0],
               "capitalised words with the initial of the last one"),
    MemoryUnit("known-word", "agreement", False,
               lambda t, i: letters(t[i]) and body(t[i]).lower() in {body(w).lower() for w in t[:i]},
               "words seen before in any case"),
    MemoryUnit("induction", "induction", True, followed_last_time, "tokens that follow the one before as last time"),
    MemoryUnit("pair-seen", "induction", False, pair_seen, "the second of two tokens seen together before"),
    MemoryUnit("induction-of-words", "induction", True, lambda t, i: letters(t[i]) and followed_last_time(t, i),
               "words that follow the token before as last time"),
    MemoryUnit("not-as-before", "induction", False,
               lambda t, i: i > 0 and t[i - 1] in t[: i - 1] and not followed_last_time(t, i),
               "tokens that follow a known token otherwise than last time"),
    MemoryUnit("code", "document", True, lambda t, i: i >= 8 and share(t, i, "(){}[]=_;") >= 0.2,
               "text with many brackets and operators so far"),
    MemoryUnit("other-script", "document", False, lambda t, i: sum(map(foreign, t[: i + 1])) / (i + 1) >= 0.15,
               "text in another script"),
    MemoryUnit("romance", "document", True,
               lambda t, i: sum(w in (" de", " la", " que", " el", " en", " a", " o") for w in t[: i + 1]) >= 4,
               "text with several Romance function words"),
    MemoryUnit("quoting", "document", False, lambda t, i: sum(w.count('"') for w in t[: i + 1]) >= 2,
               "text with two quotation marks so far"),
    MemoryUnit("figures", "document", True, lambda t, i: sum(map(has_digit, t[: i + 1])) >= 0.25 * (i + 1),
               "text in which a quarter of the tokens have digits"),
    MemoryUnit("narrative", "document", False, lambda t, i: sum(w in PAST for w in t[:i]) >= 2,
               "text with two past auxiliaries so far"),
    MemoryUnit("short-lines", "document", True, lambda t, i: sum("\n" in w for w in t[: i + 1]) / (i + 1) >= 0.1,
               "text in short lines"),
    MemoryUnit("names", "document", False, lambda t, i: i >= 5 and sum(map(capitalised, t[: i + 1])) / (i + 1) >= 0.2,
               "text in which a fifth of the tokens are capitalised words"),
)  # fmt: skip
