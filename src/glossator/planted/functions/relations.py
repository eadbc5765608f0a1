"""Functions from a word to a related word, with a domain for which the relation does not hold.

The idea is FIND's (Schwettmann et al. 2023); the facts are common knowledge, written out here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from glossator.planted.functions.base import TextFunction, Variant

UNDEFINED = "undefined"
_COUNTRIES = """
France Paris Europe; Germany Berlin Europe; Italy Rome Europe; Spain Madrid Europe; Portugal Lisbon Europe;
Poland Warsaw Europe; Greece Athens Europe; Norway Oslo Europe; Sweden Stockholm Europe; Austria Vienna Europe;
Hungary Budapest Europe; Ireland Dublin Europe; Japan Tokyo Asia; China Beijing Asia; Thailand Bangkok Asia;
Vietnam Hanoi Asia; Iran Tehran Asia; Iraq Baghdad Asia; Nepal Kathmandu Asia; Mongolia Ulaanbaatar Asia;
Egypt Cairo Africa; Kenya Nairobi Africa; Ghana Accra Africa; Morocco Rabat Africa; Senegal Dakar Africa;
Ethiopia Addis-Ababa Africa; Uganda Kampala Africa; Peru Lima America; Chile Santiago America; Cuba Havana America;
Canada Ottawa America; Colombia Bogota America; Venezuela Caracas America; Uruguay Montevideo America"""
_ANIMALS = """dog puppy mammal land; cat kitten mammal land; cow calf mammal land; horse foal mammal land;
sheep lamb mammal land; goat kid mammal land; pig piglet mammal land; lion cub mammal land; whale calf mammal water;
seal pup mammal water; deer fawn mammal land; rabbit bunny mammal land; duck duckling bird water;
goose gosling bird water; chicken chick bird land; eagle eaglet bird air; owl owlet bird air; swan cygnet bird water;
frog tadpole amphibian water; butterfly caterpillar insect air; fly maggot insect air; eel elver fish water;
kangaroo joey mammal land; bear cub mammal land"""
_VERBS = """
go went; see saw; take took; give gave; come came; find found; run ran; write wrote; speak spoke; break broke;
eat ate; drink drank; sing sang; swim swam; buy bought; bring brought; think thought; teach taught; catch caught;
keep kept; sleep slept; feel felt; leave left; make made; know knew; grow grew; fly flew; drive drove; ride rode"""
_OPPOSITES = """
hot cold; big small; long short; high low; fast slow; old new; rich poor; wet dry; hard soft; light dark;
full empty; good bad; strong weak; early late; loud quiet; clean dirty; heavy light; open closed; thick thin;
wide narrow; deep shallow; true false; happy sad; young old"""
_ELEMENTS = """
hydrogen H gas; helium He gas; carbon C solid; nitrogen N gas; oxygen O gas; neon Ne gas; sodium Na solid;
iron Fe solid; copper Cu solid; silver Ag solid; gold Au solid; mercury Hg liquid; lead Pb solid; tin Sn solid;
chlorine Cl gas; calcium Ca solid; potassium K solid; zinc Zn solid; bromine Br liquid; argon Ar gas; sulphur S solid"""

_OF_COUNTRIES = (("capital", 1, "the capital of the country"), ("continent", 2, "the continent of the country"))
_OF_ANIMALS = (("young", 1, "the young of the animal"), ("class", 2, "the class of the animal"),
               ("habitat", 3, "where the animal lives"))  # fmt: skip
_OF_ELEMENTS = (("symbol", 1, "the symbol of the element"),
                ("state", 2, "whether the element is solid, liquid or gas"))  # fmt: skip


@dataclass(frozen=True)
class Relation:
    """pairs: word -> related word; domains: name -> the words in it, which a function may leave out."""

    name: str
    english: str
    pairs: dict[str, str]
    domains: dict[str, frozenset[str]]


def _rows(table: str) -> list[list[str]]:
    return [row.split() for row in table.split(";")]


def _domains(rows: list[list[str]], column: int, naming: str) -> dict[str, frozenset[str]]:
    values = dict.fromkeys(row[column] for row in rows)
    return {naming.format(value): frozenset(row[0] for row in rows if row[column] == value) for value in values}


@cache
def relations() -> tuple[Relation, ...]:
    """All relations."""
    found = []
    for table, columns, naming, domain in (
        (_COUNTRIES, _OF_COUNTRIES, "countries of {}", 2),
        (_ANIMALS, _OF_ANIMALS, "{}s", 2),
        (_ELEMENTS, _OF_ELEMENTS, "elements that are {}", 2),
    ):
        rows = _rows(table)
        for name, column, english in columns:
            # An exception must not be the relation's own value, which would show in every answer.
            by = domain if domain != column else 0
            named = _domains(rows, by, naming) if by else _initials([row[0] for row in rows])
            found.append(Relation(name, english, {row[0]: row[column] for row in rows}, named))
    for name, english, table in (
        ("past", "the past tense of the verb", _VERBS),
        ("opposite", "the opposite", _OPPOSITES),
    ):
        pairs = {row[0]: row[1] for row in _rows(table)}
        found.append(Relation(name, english, pairs, _initials(list(pairs))))
        back = {value: key for key, value in pairs.items()}
        found.append(Relation(f"{name}, inverse", f"the word whose {name} it is", back, _initials(list(back))))
    return tuple(found)


def _initials(words: list[str]) -> dict[str, frozenset[str]]:
    halves = {"words that begin with a to f": "abcdef", "words that begin with s to z": "stuvwxyz"}
    return {name: frozenset(w for w in words if w[0].lower() in letters) for name, letters in halves.items()}


def source_of(pairs: dict[str, str]) -> str:
    """A function that looks its argument up, and answers `undefined` to anything else."""
    return f"def f(x):\n    return {pairs!r}.get(x, {UNDEFINED!r})\n"


def relation_function(variant: Variant, seed: int, number: int) -> TextFunction:
    """Function `number` of a seed; composed: one relation after another; corrupted: undefined in one domain."""
    rng = np.random.default_rng([seed, number, 3])
    known = relations()
    relation = known[number % len(known)]
    parts: tuple[str, ...] = (relation.name,)
    pairs, english, elsewhere = relation.pairs, relation.english, None
    if variant == "corrupted":
        left_out = {name: words for name, words in relation.domains.items() if 2 <= len(words) <= len(pairs) - 3}
        name = sorted(left_out)[int(rng.integers(len(left_out)))]
        words = left_out[name]
        pairs = {word: value for word, value in pairs.items() if word not in words}
        english = f"{english}, undefined for {name}"
        elsewhere = (words.__contains__, name)
    elif variant == "composed":
        pairs = {word: value[::-1] if number % 2 else value.upper() for word, value in pairs.items()}
        parts = (relation.name, "backwards" if number % 2 else "in capitals")
        english = f"{english}, {parts[1]}"
    return TextFunction(
        f"relation-{variant}-{number}", "relation", variant, source_of(pairs), english, parts, seed,
        noise=0.1 if variant == "noise" else 0.0, elsewhere=elsewhere,
    )  # fmt: skip
