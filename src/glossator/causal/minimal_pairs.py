"""Minimal pairs: two sentences that differ in one concept and stop where the next token tells them apart.

Each concept has templates and groups of words; two words of one group with different answers make a pair in every
template. A pair is used for a model only if both sentences have the same number of tokens and both answers are one
token, so that values can be carried over position by position. No word is in two word pairs: intervals are over word
pairs, and word pairs that share a word would not be independent. Templated pairs for patching follow Vig et al. 2020,
"Investigating gender bias in language models using causal mediation analysis", and Geiger et al. 2021, "Causal
abstractions of neural networks"; the sentences are our own.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from glossator.errors import UserError, near_matches
from glossator.inputs.tokens import TokenWindows

if TYPE_CHECKING:
    from glossator.subjects.transformer import TransformerSubject

WordPair: TypeAlias = "tuple[str, str]"
"""Two words that are exchanged for one another, in alphabetical order."""


@dataclass(frozen=True)
class Concept:
    """The property in which the two sentences of a pair differ.

    templates: sentences with `{}` where the word stands, cut off before the answer; groups: {word: answer}, words of
    one group may be exchanged for one another.
    """

    name: str
    templates: tuple[str, ...]
    groups: tuple[dict[str, str], ...]

    def sentences(self) -> Iterator[tuple[WordPair, str, str, str, str]]:
        """(words, base, source, base answer, source answer) of every pair, in a fixed order; both ways round."""
        for template in self.templates:
            for group in self.groups:
                for one, other in itertools.permutations(group, 2):
                    if group[one] != group[other]:
                        words = min(one, other), max(one, other)
                        yield words, template.format(one), template.format(other), group[one], group[other]


def _two(answers: tuple[str, str], *words: str) -> tuple[dict[str, str], ...]:
    """Groups of two words each, written `one/other`, with these answers."""
    return tuple(dict(zip(pair.split("/"), answers, strict=True)) for pair in words)


CONCEPTS: dict[str, Concept] = {
    concept.name: concept
    for concept in (
        Concept(
            "number",
            (
                "The {} in the old garden",
                "I have heard that the {} next door",
                "Nobody knows why the {} behind the house",
                "She wrote that the {} from the village",
                "It seems to me that the {} over there",
            ),
            _two(
                (" is", " are"), "dog/dogs", "girl/girls", "boy/boys", "teacher/teachers", "student/students",
                "horse/horses", "tree/trees", "car/cars", "friend/friends", "bird/birds", "farmer/farmers",
                "letter/letters",
            ),
        ),
        Concept(
            "tense",
            (
                "{} the weather in the mountains",
                "{} the old bridge",
                "{} my sister",
                "{} the price of bread",
                "{} the train from the north",
            ),
            _two(
                (" was", " will"), "Yesterday/Tomorrow", "Last week/Next week", "Last year/Next year",
                "Last month/Next month", "Last summer/Next summer", "Last Monday/Next Monday",
            ),
        ),
        Concept(
            "gender",
            (
                "The {} went home early because",
                "The {} was tired, so",
                "The {} said that",
                "The {} closed the door, and then",
                "Nobody saw the {} again until",
            ),
            _two(
                (" he", " she"), "king/queen", "boy/girl", "man/woman", "father/mother", "brother/sister", "uncle/aunt",
                "husband/wife", "son/daughter", "prince/princess", "actor/actress",
            ),
        ),
        Concept(
            "capital",
            (
                "The capital of {} is the city of",
                "The government of {} sits in the city of",
                "We flew to {} and spent a week in",
            ),
            (
                {
                    "France": " Paris", "Italy": " Rome", "Germany": " Berlin", "Japan": " Tokyo", "Russia": " Moscow",
                    "China": " Beijing", "England": " London", "Spain": " Madrid", "Austria": " Vienna",
                    "Greece": " Athens", "Ireland": " Dublin", "Egypt": " Cairo", "Sweden": " Stockholm",
                    "Portugal": " Lisbon", "Iraq": " Baghdad", "Iran": " Tehran", "Cuba": " Havana", "Norway": " Oslo",
                },
            ),
        ),
        Concept(
            "language",
            ("The people of {} speak", "She grew up in {} and her first language is", "A book from {} is written in"),
            (
                {
                    "France": " French", "Italy": " Italian", "Germany": " German", "Japan": " Japanese",
                    "Russia": " Russian", "China": " Chinese", "England": " English", "Spain": " Spanish",
                    "Sweden": " Swedish", "Greece": " Greek", "Poland": " Polish", "Turkey": " Turkish",
                    "Portugal": " Portuguese", "Denmark": " Danish", "Finland": " Finnish", "Norway": " Norwegian",
                },
            ),
        ),
        Concept(
            "colour",
            ("The colour of {} is usually", "Everyone knows that the color of {} is", "In colour, {} is always"),
            (
                {
                    "snow": " white", "grass": " green", "blood": " red", "coal": " black", "gold": " yellow",
                    "milk": " white", "chocolate": " brown", "fire": " red", "silver": " grey", "butter": " yellow",
                    "lemon": " yellow", "ink": " black", "the sky": " blue", "salt": " white", "the sea": " blue",
                },
            ),
        ),
    )
}  # fmt: skip
"""The concepts that come with the package."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """n minimal pairs, ready for a subject.

    base, source: windows of the same lengths; the answer is due after the last token; base_answers, source_answers (n,)
    token ids; where (n, w) bool: from the first token in which the two differ; windows' documents are the pairs of
    words, so that templates around the same words are not taken for independent.
    """

    concept: str
    base: TokenWindows
    source: TokenWindows
    base_answers: np.ndarray
    source_answers: np.ndarray
    where: np.ndarray

    def __len__(self) -> int:
        return len(self.base)

    def take(self, rows: np.ndarray) -> Pairs:
        return Pairs(
            self.concept, self.base.take(rows), self.source.take(rows), self.base_answers[rows],
            self.source_answers[rows], self.where[rows],
        )  # fmt: skip


def concept_named(name: str | Concept) -> Concept:
    """The built-in concept of this name, or the concept that is given; `UserError` for an unknown name."""
    if isinstance(name, Concept):
        return name
    if name not in CONCEPTS:
        raise UserError("unknown concept", value=name, allowed=near_matches(name, CONCEPTS))
    return CONCEPTS[name]


def minimal_pairs(subject: TransformerSubject, concept: str | Concept, n: int | None = None, seed: int = 0) -> Pairs:
    """Pairs of a concept that fit the subject's tokenizer, all of them or a seeded draw of n.

    Raises `UserError` for a template without `{}` and where no pair fits (words of unequal length in tokens, answers of
    several tokens).
    """
    concept = concept_named(concept)
    if bad := [t for t in concept.templates if "{}" not in t]:
        raise UserError("a minimal pair template has no placeholder for the word", value=bad[0], allowed="one `{}`")
    listed = list(concept.sentences())
    fitting = _disjoint(_fitting(subject, listed))
    if not fitting:
        raise UserError(
            "no minimal pair of this concept fits the tokenizer", value=concept.name,
            allowed="sentences of equal token counts, answers of one token",
        )  # fmt: skip
    if n is not None and n < len(fitting):
        chosen = np.random.default_rng(seed).choice(len(fitting), n, replace=False)
        fitting = [fitting[i] for i in sorted(chosen.tolist())]
    words = {name: i for i, name in enumerate(dict.fromkeys(words for words, *_ in listed))}
    documents = np.array([words[pair[0]] for pair in fitting], np.int64)
    base = _windows(subject, [pair[1] for pair in fitting], documents)
    source = _windows(subject, [pair[2] for pair in fitting], documents)
    answers = np.array([pair[3:] for pair in fitting], np.int64)
    differs = (base.tokens != source.tokens) & base.valid
    where = (np.cumsum(differs, axis=1) > 0) & base.valid
    return Pairs(concept.name, base, source, answers[:, 0], answers[:, 1], where)


_Fitting: TypeAlias = "tuple[WordPair, np.ndarray, np.ndarray, int, int]"


def _disjoint(fitting: Sequence[_Fitting]) -> list[_Fitting]:
    """The pairs of word pairs that share no word, taken in their order."""
    partner: dict[str, str] = {}
    for (one, other), *_ in fitting:
        if one not in partner and other not in partner:
            partner |= {one: other, other: one}
    return [pair for pair in fitting if partner.get(pair[0][0]) == pair[0][1]]


def _fitting(subject: TransformerSubject, listed: Sequence[tuple[WordPair, str, str, str, str]]) -> list[_Fitting]:
    """The pairs whose sentences are equally long and whose answers are one token each; equal pairs stand once."""
    texts = list(dict.fromkeys(text for _, *four in listed for text in four))
    ids = dict(zip(texts, (np.asarray(x, np.int32) for x in subject.tokenizer.encode(texts)), strict=True))
    # Some tokenizers put a space before any text; an answer's own token is the one that has it once.
    known = subject.tokenizer.vocabulary.ids
    found: dict[bytes, _Fitting] = {}
    for words, base, source, base_answer, source_answer in listed:
        one, other = ids[base], ids[source]
        answers = known.get(base_answer), known.get(source_answer)
        if len(one) != len(other) or answers[0] is None or answers[1] is None or (one == other).all():
            continue
        found.setdefault(one.tobytes() + b"|" + other.tobytes(), (words, one, other, answers[0], answers[1]))
    return list(found.values())


def _windows(subject: TransformerSubject, tokens: list[np.ndarray], documents: np.ndarray) -> TokenWindows:
    lengths = np.array([len(t) for t in tokens], np.int32)
    padded = np.zeros((len(tokens), int(lengths.max())), np.int32)
    for row, found in enumerate(tokens):
        padded[row, : len(found)] = found
    valid = np.arange(padded.shape[1]) < lengths[:, None]
    return TokenWindows(padded, lengths, valid, documents, np.arange(len(tokens)), subject.tokenizer.vocabulary)
