"""Named word classes: closed classes of English listed here, WordNet's supersenses and finer ones from packaged files.

Every class is a set of lower-case word forms; a token belongs to it if its text, in lower case and without its leading
space, is in the set. The names double as the English of the class.
"""

from __future__ import annotations

import json
import lzma
from functools import cache
from importlib.resources import files

from glossator.programs.closed_classes import CLOSED

SUPERSENSES: dict[str, str] = {
    "adj.all": "adjectives",
    "adj.pert": "relational adjectives",
    "adj.ppl": "participles used as adjectives",
    "adv.all": "adverbs",
    "noun.Tops": "very general nouns",
    "noun.act": "acts and activities",
    "noun.animal": "animals",
    "noun.artifact": "man-made things",
    "noun.attribute": "qualities",
    "noun.body": "words of the body",
    "noun.cognition": "ideas and knowledge",
    "noun.communication": "things said or written",
    "noun.event": "events",
    "noun.feeling": "feelings",
    "noun.food": "foods",
    "noun.group": "groups",
    "noun.location": "places",
    "noun.motive": "motives",
    "noun.object": "natural objects",
    "noun.person": "kinds of people",
    "noun.phenomenon": "natural phenomena",
    "noun.plant": "plants",
    "noun.possession": "property and money",
    "noun.process": "processes",
    "noun.quantity": "quantities",
    "noun.relation": "relations",
    "noun.shape": "shapes",
    "noun.state": "states and conditions",
    "noun.substance": "substances",
    "noun.time": "times",
    "verb.body": "verbs of bodily care",
    "verb.change": "verbs of change",
    "verb.cognition": "verbs of thinking",
    "verb.communication": "verbs of telling and asking",
    "verb.competition": "verbs of fighting",
    "verb.consumption": "verbs of eating and using",
    "verb.contact": "verbs of touching and hitting",
    "verb.creation": "verbs of making",
    "verb.emotion": "verbs of feeling",
    "verb.motion": "verbs of motion",
    "verb.perception": "verbs of perceiving",
    "verb.possession": "verbs of having and giving",
    "verb.social": "verbs of social acts",
    "verb.stative": "verbs of being",
    "verb.weather": "verbs of weather",
}
"""WordNet's lexicographer files and what their words are."""

WORD_CLASSES: dict[str, str] = {
    **{name: name for name in CLOSED},
    **SUPERSENSES,
}
"""Name of every class and the plural words that stand for it in an explanation."""


@cache
def finer_classes() -> dict[str, frozenset[str]]:
    """Parts of speech by word type, names of people and places, and narrower classes of WordNet, by their English.

    Headlines name them and any program may use them; the search for programs keeps to `WORD_CLASSES`.
    """
    return _packaged("classes.json.xz")


def is_class(name: str) -> bool:
    return name in WORD_CLASSES or name in finer_classes()


def english_of(name: str) -> str:
    """The plural words that stand for a class in an explanation."""
    return WORD_CLASSES.get(name, name)


@cache
def _supersenses() -> dict[str, frozenset[str]]:
    return _packaged("lexicon.json.xz")


def _packaged(name: str) -> dict[str, frozenset[str]]:
    data = json.loads(lzma.decompress((files("glossator.programs") / name).read_bytes()))
    return {name: frozenset(forms.split()) for name, forms in data["classes"].items()}


@cache
def members(name: str) -> frozenset[str]:
    """The lower-case word forms of a class."""
    if name in CLOSED:
        return frozenset(CLOSED[name].split())
    return _supersenses()[name] if name in SUPERSENSES else finer_classes()[name]
