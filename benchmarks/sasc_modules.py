"""Modules of text whose answer is known: near to a keyphrase, or counting the words of a class or of a list.

The first kind is the SASC paper's (Singh et al. 2023, section 4): minus the distance of a text's vector to the
keyphrase's. Answers of the second kind are judged by the patterns that stand here, as those of keyphrases are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np

from benchmarks.sasc_keyphrases import Keyphrase
from glossator.corpora.ngrams.words import words
from glossator.corpora.wordnet import WordNet
from glossator.subjects.embedders import Embedder
from glossator.subjects.text_readouts import Nearness


@dataclass(frozen=True)
class Lexicon(Keyphrase):
    """A class of words. listed: the words, or the one noun whose hyponyms they are; how: count them, or their share."""

    listed: str = ""
    how: Literal["count", "mean"] = "count"

    def words(self, wordnet: WordNet) -> frozenset[str]:
        """Single words with their inflections; below a noun, those that mostly mean something below it."""
        if not self.listed.startswith("below:"):
            return frozenset(self.listed.split())
        noun = self.listed.removeprefix("below:")
        below = set(wordnet.below(wordnet.meanings(noun, "n")[0].number))
        found = set()
        for word in {word.lower() for number in below for word in wordnet.synsets[number].words}:
            shares = wordnet.shares(word)
            if " " not in word and sum(shares[number] for number in below if number in shares) >= 0.5:
                found |= set(wordnet.forms(word))
        return frozenset(found)

    def responses(self, wordnet: WordNet) -> Callable[[Sequence[str]], np.ndarray]:
        """The module: texts to (n,)."""
        counted = self.words(wordnet)

        def module(texts: Sequence[str]) -> np.ndarray:
            found = np.array([sum(form in counted for form in forms_of(text)) for text in texts], dtype=np.float64)
            if self.how == "mean":
                found /= np.maximum([len(forms_of(text)) for text in texts], 1)
            return found

        return module


@cache
def forms_of(text: str) -> tuple[str, ...]:
    low = text.lower()
    return tuple(low[a:b] for a, b in words(low))


def near_keyphrases(keyphrases: Sequence[Keyphrase], embedder: Embedder) -> Nearness:
    """All keyphrase modules at once: texts' vectors to (n, keyphrases)."""
    return Nearness(embedder.embed([keyphrase.phrase for keyphrase in keyphrases]))


class Remembering:
    """An embedder that runs each text once while it lives, and keeps its vector in memory."""

    def __init__(self, embedder: Embedder):
        self.embedder, self.name, self.width = embedder, embedder.name, embedder.width
        self.fingerprint = embedder.fingerprint
        self._vectors: dict[str, np.ndarray] = {}

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        new = [text for text in dict.fromkeys(texts) if text not in self._vectors]
        if new:
            self._vectors.update(zip(new, self.embedder.embed(new), strict=True))
        return (
            np.stack([self._vectors[text] for text in texts]) if len(texts) else np.empty((0, self.width), np.float32)
        )

    def learn(self, texts: Sequence[str], vectors: np.ndarray) -> None:
        """Take in vectors that are known already."""
        self._vectors.update(zip(texts, vectors, strict=True))

    @property
    def texts(self) -> int:
        return len(self._vectors)


def _lexicons(rows: Sequence[tuple[str, str, str, Literal["count", "mean"]]]) -> tuple[Lexicon, ...]:
    return tuple(
        Lexicon(name, accepted.replace("~", r"(?:s|es|d|ed|ing|er|ers|ly)?"), "lexicon", listed, how)
        for name, accepted, listed, how in rows
    )


LEXICONS = _lexicons(
    [
        ("animals", "animal~|creature~|beast~|fauna|mammal~|vertebrate~|organism~", "below:animal", "count"),
        ("food", "food~|foodstuff~|meal~|dish~|nutriment|edible~", "below:food", "count"),
        ("vehicles", "vehicle~|conveyance~|transport~|craft", "below:vehicle", "count"),
        ("clothing", "cloth~|clothing|garment~|apparel|dress|wear", "below:clothing", "mean"),
        ("body parts", "body part~|body|anatomy|organ~", "below:body part", "count"),
        ("illness", "illness~|disease~|sick|sickness~|disorder~|medical", "below:illness", "count"),
        ("buildings", "building~|edifice~|structure~|construction~", "below:building", "count"),
        ("plants", "plant~|flora|vegetation", "below:plant life", "mean"),
        ("relatives", "relative~|relation~|kin|kinsman|famil(?:y|ies)|parent~", "below:relative", "count"),
        ("weapons", "weapon~|arm|arms|weaponry", "below:weapon", "count"),
        ("drinks", "drink~|beverage~|drinkable~", "below:beverage", "mean"),
        ("metals", "metal~|metallic|element~", "below:metallic element", "count"),
        (
            "months", "month~|calendar month|date~",
            "january february march april june july august september october november december", "count",
        ),
        (
            "number words", "number~|numeral~|digit~|integer~|figure~",
            "one two three four five six seven eight nine ten eleven twelve twenty thirty hundred thousand", "count",
        ),
        ("planets", "planet~|planetary|solar system", "mercury venus earth mars jupiter saturn uranus neptune", "mean"),
        (
            "sports", "sport~|game~|athletics?|athletic",
            "football soccer baseball basketball hockey golf tennis cricket volleyball rugby boxing wrestling", "count",
        ),
        (
            "schools",
            "school~|educat(?:ion|e|ional)|university|universities|college~|academ(?:y|ic)|study|student~",
            "school schools university universities college colleges academy student students teacher", "count",
        ),
        (
            "courts", "court~|judge~|judicial|judiciary|law|laws|legal|lawyer~|justice|trial~|tribunal~",
            "court courts judge judges jury trial verdict lawyer attorney prosecutor defendant plaintiff", "mean",
        ),
    ]
)  # fmt: skip
"""18 lexicon modules, for the figures."""

DEVELOPMENT_LEXICONS = _lexicons(
    [
        ("furniture", "furniture|furnishing~", "below:furniture", "count"),
        ("birds", "bird~|avian|fowl", "below:bird", "count"),
        ("occupations", "worker~|occupation~|job~|profession~|professional|person", "below:worker", "count"),
        ("feelings", "feel~|feeling~|emotion~|emotional", "below:feeling", "count"),
        ("containers", "container~|vessel~|receptacle~", "below:container", "mean"),
        ("weekdays", "day|days|weekday~|week~", "monday tuesday wednesday thursday friday saturday sunday", "count"),
        (
            "colours", "colou?r~|chromatic|hue",
            "red orange yellow green blue purple brown pink black white grey gray", "count",
        ),
        (
            "directions", "direction~|compass point~|cardinal",
            "north south east west northern southern eastern western", "mean",
        ),
    ]
)  # fmt: skip
"""8 lexicon modules, for choosing settings."""
