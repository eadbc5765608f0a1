"""Classes of tokens that have a plain name: what a headline can say.

Each is a test that is true or false, its name in plural words, and how clear that name is to a reader who knows nothing
of the unit: a class that one can picture ("months") is clearer than a vague one ("states and conditions").
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from glossator.programs.closed_classes import CLOSED
from glossator.programs.language import (
    After,
    And,
    Between,
    Contains,
    Induction,
    Or,
    Prefix,
    Repeated,
    Shape,
    Share,
    Spelled,
    Suffix,
    Test,
    Word,
)
from glossator.programs.words import SUPERSENSES, finer_classes

PICTURED, PLAIN, VAGUE, EMPTY = 1.0, 0.9, 0.6, 0.3
"""How clear a name is."""


@dataclass(frozen=True)
class Named:
    """test: true or false of a token; name: plural words; clear: from 0 to 1; covers: whether its words have something
    in common beside their spelling, so that it can say what a list of them is ("“we” and “us” (first-person words)");
    length: words that the name counts for, None for as many as it has."""

    test: Test
    name: str
    clear: float = PICTURED
    covers: bool = True
    length: int | None = None


_OF_CLOSED = {
    "ends of sentence": "sentence ends",
    "commas and semicolons": "commas and semicolons",
    "auxiliaries": "auxiliary verbs",
    "modals": "modal verbs",
    "coordinators": "coordinating conjunctions",
    "first names": "",
    "cities": "",
}
"""Names of closed classes as a headline says them, where they differ; classes without one are said by finer ones."""
_VAGUE = {
    "determiners", "quantifiers", "hedges", "particles", "pronouns", "relative words", "conjunctions", "intensifiers",
    "people", "positive words", "negative words",
    "adj.all", "adj.pert", "adv.all", "noun.act", "noun.artifact", "noun.attribute", "noun.cognition",
    "noun.communication", "noun.group", "noun.object", "noun.person", "noun.relation", "noun.state", "noun.location",
    "verb.change", "verb.contact", "verb.social", "verb.stative", "verb.possession", "verb.cognition", "verb.creation",
    "singular nouns", "plural nouns", "past-tense verbs", "verbs in the base form", "third-person verbs",
    "verbs in -ing", "materials and substances", "possessions", "equipment", "units and numbers", "social groups",
}  # fmt: skip
_EMPTY = frozenset({"noun.Tops", "adj.ppl", "noun.motive", "noun.quantity", "noun.process", "instruments and devices"})
PIECES = "word continuations"
CAPITALS = Shape("capitalised")
PEOPLE_AND_PLACES = ("first names of people", "surnames", "names of places", "towns and cities", "proper names")

SHAPED: dict[str, tuple[str, float]] = {
    "capitalised": ("capitalised words", VAGUE),
    "uppercase": ("words in capitals", PICTURED),
    "mixed-case": ("words in mixed case", PLAIN),
    "letter-single": ("single letters", PICTURED),
    "letter-capital": ("single capital letters", PICTURED),
    "digit": ("digits", PICTURED),
    "number": ("numbers", PICTURED),
    "letters-digits": ("letters mixed with digits", PICTURED),
    "punctuation": ("punctuation", PLAIN),
    "punctuation-or-symbol": ("punctuation and symbols", VAGUE),
    "symbol": ("symbols", PLAIN),
    "whitespace": ("blank space", PLAIN),
    "newline": ("line breaks", PICTURED),
    "long": ("long words", VAGUE),
    "accented": ("accented letters", PICTURED),
    "cyrillic": ("Cyrillic letters", PICTURED),
    "greek": ("Greek letters", PICTURED),
    "cjk": ("Chinese, Japanese or Korean text", PICTURED),
    "arabic": ("Arabic letters", PICTURED),
    "partial-character": ("pieces of non-English characters", PLAIN),
}
MARKS: dict[str, tuple[str, ...]] = {
    "commas": (",",),
    "full stops": (".",),
    "colons": (":",),
    "semicolons": (";",),
    "question marks": ("?",),
    "exclamation marks": ("!",),
    "quotation marks": ('"', "“", "”", "«", "»"),
    "apostrophes": ("'", "’"),
    "hyphens": ("-", "–", "—"),
    "underscores": ("_",),
    "slashes": ("/",),
    "backslashes": ("\\",),
    "brackets": ("(", ")", "[", "]", "{", "}"),
    "opening brackets": ("(", "[", "{"),
    "closing brackets": (")", "]", "}"),
    "round brackets": ("(", ")"),
    "square brackets": ("[", "]"),
    "curly braces": ("{", "}"),
    "equals signs": ("=",),
    "arithmetic operators": ("+", "*", "/", "%", "-="),
    "comparison signs": ("<", ">", "==", "!="),
    "angle brackets": ("<", ">"),
    "percent signs": ("%",),
    "asterisks": ("*",),
    "currency signs": ("$", "€", "£", "¥"),
    "hash signs": ("#",),
    "vertical bars": ("|",),
    "ampersands": ("&",),
    "plus signs": ("+",),
    "at signs": ("@",),
    "ellipses": ("...", "…"),
}
"""Tokens without a letter or digit that hold one of these."""
ENDINGS = (
    "ing", "ed", "ly", "er", "est", "tion", "ion", "ment", "ness", "ity", "able", "ible", "al", "ous", "ive", "ful",
    "less", "ic", "ism", "ist", "ize", "ate", "ance", "ence", "ship", "ology", "en", "ry", "age", "th", "ish",
)  # fmt: skip
BEGINNINGS = ("un", "re", "in", "dis", "pre", "over", "under", "inter", "non", "sub", "anti", "multi", "micro", "auto")
FOREIGN = (
    "le la les des et est un une du que dans pour qui sur avec par der das und ist nicht von mit ein eine den dem zu "
    "el los las por con para del se su och att det som är av till för nie się jest że il di che non per gli della dos "
    "da em uma het een van"
)
"""Common short words of other European languages that English does not have."""
VERBS = ("past-tense verbs", "verbs in -ing", "third-person verbs", "verbs in the base form")
SUCH_AS = " such as "
INDENT = Or((Prefix("\n  "), Prefix("   ")))


def nameable() -> Iterator[Named]:
    """Classes of the token itself, whatever the vocabulary."""
    for name in CLOSED:
        said = _OF_CLOSED.get(name, name)
        if said and name not in MARKS:
            yield Named(Word(name), said, VAGUE if name in _VAGUE else PICTURED)
    for name, said in SUPERSENSES.items():
        yield Named(Word(name), said, _clear(name, PLAIN))
    for name in finer_classes():
        if name in PEOPLE_AND_PLACES:
            yield Named(And((CAPITALS, Word(name))), name, PLAIN)
        else:
            yield Named(Word(name), name, _clear(name, PICTURED))
    for tense in VERBS:
        for name, said in SUPERSENSES.items():
            if name.startswith("verb."):
                yield Named(And((Word(tense), Word(name))), said.replace("verbs", tense, 1), PLAIN)
    for shape, (said, clear) in SHAPED.items():
        yield Named(Shape(shape), said, clear, covers=False)
    for said, marks in MARKS.items():
        parts: tuple[Test, ...] = tuple(Contains(mark) for mark in marks)
        holds = parts[0] if len(parts) == 1 else Or(parts)
        yield Named(holds, said, covers=False)
    for ending in ENDINGS:
        yield Named(Suffix(ending), f"words ending in -{ending}", PLAIN, covers=False)
    for beginning in BEGINNINGS:
        yield Named(Prefix(beginning), f"words starting with {beginning}-", PLAIN, covers=False)
    yield Named(INDENT, "indentation", covers=False)


def standing() -> Iterator[Named]:
    """Classes by what stands before, whatever the token is. Those named "tokens ..." also say where others stand."""
    yield Named(Shape("continues-word"), PIECES, (VAGUE + EMPTY) / 2, covers=False)
    yield Named(After(Shape("newline")), "starts of lines", covers=False)
    yield Named(After(Word("ends of sentence")), "starts of sentences", covers=False)
    yield Named(Repeated(), "repeated tokens", VAGUE, covers=False)
    yield Named(Induction(), "repeats of an earlier phrase", PLAIN, covers=False)
    for place, test in PLACES.items():
        yield Named(test, f"tokens {place}", VAGUE, covers=False)


PLACES: dict[str, Test] = {
    "in code": Share(Or(tuple(map(Contains, "()[]{}=_;<>|"))), 0.2),
    "in non-English text": Share(Or((Shape("non-ascii"), Spelled(tuple(FOREIGN.split())))), 0.12),
    "in quotation marks": Or((Between(Contains('"'), Contains('"')), Between(Contains("“"), Contains("”")))),
    "in brackets": Or((Between(Contains("("), Contains(")")), Between(Contains("["), Contains("]")))),
}
"""Where a token may stand, as what follows the name of a class says it."""


def word(text: str) -> Named:
    """One word in any spelling."""
    return Named(Spelled((text,)), f"“{text}”")


def listed(words: Sequence[str], most: int | None = None) -> str:
    """Words as words: “a”, “b” and “c”; after so many, how many more there are."""
    said = [f"“{word}”" for word in words[:most]] + (
        [f"{len(words) - most} more"] if most and len(words) > most else []
    )
    return said[0] if len(said) == 1 else f"{', '.join(said[:-1])} and {said[-1]}"


def with_examples(name: str, words: Sequence[str]) -> str:
    """A class with some of its words, which stand before where they are: "words such as “the” after verbs"."""
    place = next((f" {one}" for one in PLACES if name.endswith(f" {one}")), "")
    head, after, what = name.removesuffix(place).partition(" after ")
    return f"{head}{SUCH_AS}{listed(words)}{after}{what}{place}"


def without_examples(name: str) -> str:
    """The class that a name is about, where it gives examples or says what its words are; "" for words alone."""
    head, such_as, _ = name.partition(SUCH_AS)
    before, _, bracket = head.partition(" (")
    return before if such_as or "“" not in name else bracket.removesuffix(")")


def _clear(name: str, otherwise: float) -> float:
    return VAGUE if name in _VAGUE else EMPTY if name in _EMPTY else otherwise
