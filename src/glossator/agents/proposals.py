"""What a unit of tokens might respond to, from its explain split: the modes of a program found there, and words for
them.

Each proposal comes with words to experiment with: members of its class seen at peaks, members that were not, and near
misses that are close in meaning or spelling and outside the class.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from glossator.agents.under_test import TokenUnderTest
from glossator.explainers import Abstained
from glossator.explainers.program import ProgramExplainer
from glossator.programs import After, And, Lexicon, Test, Token
from glossator.programs.language import is_local

MODES, WORDS = 3, 24


def proposals(unit: TokenUnderTest, seed: int) -> list[dict[str, Any]]:
    """`[{name, test, kind, direction, single, seen, unseen, near, before_seen, ...}]`, the mode that accounts for
    most first; `{reason}` alone where no program can be claimed. single: one word beside the classes; kind: "word",
    "after" (the test is of the token before), or "other", which no experiment here can make inputs for. suppressing:
    tests with a negative strength in the program, said the same way."""
    lexicon = unit.lexicon
    if lexicon is None:
        return []
    explanation = unit.explanation
    if explanation is None:
        found = ProgramExplainer(lexicon=lexicon).explain([unit.evidence], n=1, seed=seed)[0]
        if isinstance(found, Abstained):
            return [{"reason": found.reason}]
        explanation = found[0]
    words = peak_words(unit)
    told = []
    for mode in explanation.modes[:MODES]:
        if mode.headline.program is not None and mode.headline.program.clauses:
            test = mode.headline.program.clauses[0].test
            told.append(_told(mode.headline.text, test, lexicon, words, "activates"))
    if explanation.program is not None:
        tests = [clause.test for clause in explanation.program.clauses if clause.strength < 0]
        told += [_told(str(test), test, lexicon, words, "suppresses") for test in tests[:1] if _kind(test) == "after"]
    top = [word for word, count in words.most_common(3) if count >= 0.3 * sum(words.values())]
    for word in top:  # one word may say it as well as a class
        if not any(one["seen"] == [word] for one in told):
            said = _told(f"“{word.strip() or word}”", _spellings(word, lexicon), lexicon, words, "activates")
            told.append(said | {"single": True})
    return told


def peak_words(unit: TokenUnderTest, most: int = 40) -> Counter[str]:
    """Tokens at which the strongest inputs peak."""
    return Counter(seen.response.at for seen in unit.exemplars(most) if seen.response.at)


def _spellings(word: str, lexicon: Lexicon) -> Test:
    texts = [t for t in (word, word.lower(), word.capitalize()) if t in lexicon.vocabulary.texts]
    return Token(tuple(dict.fromkeys(texts or [word])))


def _kind(test: Test) -> str:
    if is_local(test):
        return "word"
    if isinstance(test, After) and is_local(test.test):
        return "after"
    if isinstance(test, And) and all(_kind(one) in ("word", "after") for one in test.tests):
        return "after"
    return "other"


def _told(name: str, test: Test, lexicon: Lexicon, words: Counter[str], direction: str) -> dict[str, Any]:
    kind = _kind(test)
    told: dict[str, Any] = {"name": name, "test": str(test), "kind": kind, "direction": direction, "single": False}
    now, before = _parts(test)
    plain = _plain_words(lexicon)
    for part, label in ((now, ""), (before, "before_")):
        if part is None:
            told |= {f"{label}seen": [], f"{label}unseen": [], f"{label}near": []}
            continue
        truth = lexicon.truths(part)[: len(lexicon)] > 0.5
        members = [i for i in plain if truth[i]]
        texts = lexicon.vocabulary.texts
        ids = {text: i for i, text in enumerate(texts)}
        seen = [w for w, _ in words.most_common() if not label and w in ids and truth[ids[w]]]
        unseen = [texts[i] for i in members if texts[i] not in seen][:WORDS]
        told |= {f"{label}seen": seen[:WORDS], f"{label}unseen": unseen}
        told[f"{label}near"] = _near(seen or unseen, truth, plain, lexicon)
    if kind == "other":
        return told
    if now is None:
        told["seen"] = [w for w, _ in words.most_common(WORDS)]
    return told


def _parts(test: Test) -> tuple[Test | None, Test | None]:
    """The test of the token itself, and of the one before."""
    if is_local(test):
        return test, None
    if isinstance(test, After):
        return None, test.test
    if isinstance(test, And):
        now = [one for one in test.tests if is_local(one)]
        before = [one.test for one in test.tests if isinstance(one, After)]
        return _all(now), _all(before)
    return None, None


def _all(tests: list[Test]) -> Test | None:
    return None if not tests else tests[0] if len(tests) == 1 else And(tuple(tests))


def _plain_words(lexicon: Lexicon) -> list[int]:
    """Tokens that are whole words after a space, in the order of the vocabulary, which begins with common ones."""
    texts = lexicon.vocabulary.texts
    special = set(lexicon.vocabulary.special)
    return [
        i for i, t in enumerate(texts) if t.startswith(" ") and t[1:].isalpha() and t.isascii() and i not in special
    ]


def _near(members: list[str], truth: np.ndarray, plain: list[int], lexicon: Lexicon) -> list[str]:
    """Words outside the class that are closest to its members in meaning, or common ones where there are no vectors."""
    texts = lexicon.vocabulary.texts
    close = lexicon.similarity(tuple(members[:8])) if members and lexicon.directions is not None else None
    outside = [i for i in plain if not truth[i] and len(texts[i]) > 3]
    own = {m.strip().lower() for m in members}
    outside = [i for i in outside if texts[i].strip().lower() not in own]
    if close is not None:
        outside = sorted(outside, key=lambda i: -float(close[i]))
    return [texts[i] for i in outside[:WORDS]]
