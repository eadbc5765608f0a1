"""Whether an answer names a keyphrase: by the pattern written for it, and, apart from that, by WordNet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.sasc_keyphrases import Keyphrase
from glossator.corpora.ngrams.held_words import names_in
from glossator.corpora.wordnet import WordNet


def named(names: Sequence[str], keyphrase: Keyphrase) -> bool:
    """Whether any of these names holds an accepted name of the keyphrase as whole words."""
    return any(keyphrase.named_by(name) for name in names)


def named_by_wordnet(name: str, phrase: str, wordnet: WordNet) -> bool:
    """Whether a content word of the name and one of the phrase (or the whole of both) are the same word, share a
    meaning, are derived from one another, or mean things one step apart."""
    ours, theirs = ({wordnet.base(text), *names_in(text, wordnet)} for text in (name, phrase))
    if ours & theirs:
        return True
    meanings = [{m.number for word in words for m in wordnet.meanings(word)[:3]} for words in (ours, theirs)]
    around = set(meanings[0])
    for number in meanings[0]:
        around |= set(wordnet.synsets[number].related("@", "+", "&", "\\"))
    back = set(meanings[1])
    for number in meanings[1]:
        back |= set(wordnet.synsets[number].related("@", "+", "&", "\\"))
    return bool(around & meanings[1] or back & meanings[0])


def agreement(pairs: Sequence[tuple[bool, bool]]) -> dict[str, Any]:
    """Of two judges: share of equal verdicts, Cohen's kappa (None where one of them is always of one mind), counts."""
    n = len(pairs)
    if not n:
        return {"agreement": None, "kappa": None, "n": 0}
    same = sum(a == b for a, b in pairs) / n
    first, second = (sum(pair[side] for pair in pairs) / n for side in (0, 1))
    chance = first * second + (1 - first) * (1 - second)
    both, only_first, only_second = (sum(p == v for p in pairs) for v in ((True, True), (True, False), (False, True)))
    return {
        "agreement": same,
        "kappa": (same - chance) / (1 - chance) if chance < 1 else None,
        "n": n,
        "both": both,
        "only_the_pattern": only_first,
        "only_the_second": only_second,
    }
