"""Programs over images in plain English: what a unit responds to, strongest first."""

from __future__ import annotations

from collections.abc import Iterable

from glossator.inputs.annotations import Concept
from glossator.programs.base import Test
from glossator.programs.language import And, Not, Or, Program
from glossator.programs.scene.atoms import COLOURS, STATISTICS, Anywhere, Beside, Looks, Shows, Together
from glossator.scenes.words import NUMBERS, background_name, plural

STRONG = 0.4
"""A clause is strong from this share of the strongest clause's strength on; a bias counts from there on as well."""
SETTINGS = ("background", "light", "weather")
SEVERAL = tuple(f"count:{name}" for name in (*NUMBERS[1:], "many"))
WEATHER = {"rain": "rain", "snow": "falling snow", "fog": "fog", "clear": "clear weather"}


def sentence(program: Program) -> str:
    """The program in one sentence."""
    clauses = sorted((c for c in program.clauses if c.strength), key=lambda c: -abs(c.strength))
    more = [c for c in clauses if c.strength > 0]
    less = [c.test for c in clauses if c.strength < 0]
    strongest = max((c.strength for c in more), default=0.0)
    strong = [c.test for c in more if c.strength >= STRONG * strongest]
    weak = [c.test for c in more if c.strength < STRONG * strongest]
    parts = []
    if program.bias > 0 and program.bias >= STRONG * strongest:
        parts.append("everywhere")
    parts += [f"{'most ' if weak or parts else ''}to {listed(strong)}"] if strong else []
    parts += [f"also to {listed(weak)}"] if weak else []
    parts += [f"less to {listed(less)}"] if less else []
    return f"Responds {'; '.join(parts)}." if parts else "Never."


def listed(tests: Iterable[Test]) -> str:
    """Noun phrases as one list."""
    said = list(dict.fromkeys(map(noun, tests)))
    return said[0] if len(said) == 1 else f"{', '.join(said[:-1])} and {said[-1]}"


def noun(test: Test) -> str:
    """A plural noun phrase for the places, or images, of which a test is true."""
    match test:
        case Shows(concepts, least):
            amount = "" if least is None or least < 0.5 else "mostly "
            if {*SEVERAL} <= {*concepts}:
                concepts = ("count:several", *(one for one in concepts if one not in SEVERAL))
            return amount + _either(named(Concept.of(text)) for text in concepts)
        case Together(concepts):
            return _described([Concept.of(text) for text in concepts])
        case Looks(statistic, _):
            return _looks(statistic)
        case And(tests):
            return _conjunction(tests)
        case Or(tests):
            return _either(map(noun, tests))
        case Not(inner):
            return f"anything but {noun(inner)}"
        case Anywhere(inner):
            return noun(inner) if _is_setting(inner) else f"images with {noun(inner)}"
        case Beside(inner, _):
            return f"{noun(inner)} and their surroundings"
    return str(test)


def _conjunction(tests: tuple[Test, ...]) -> str:
    shown = [Concept.of(t.concepts[0]) for t in tests if isinstance(t, Shows) and len(t.concepts) == 1]
    if len(shown) == len(tests) and any(c.kind in ("colour", "size") for c in shown):
        return _described(shown)
    rest = sorted(tests, key=lambda t: (isinstance(t, Not), isinstance(t, Anywhere), _is_setting(t)))
    head, *others = rest
    return " ".join([noun(head), *map(_beside, others)])


def _beside(test: Test) -> str:
    match test:
        case Anywhere(inner) if _is_setting(inner):
            return f"in {noun(inner)}"
        case Not(Anywhere(inner)) if _is_setting(inner):
            return f"outside {noun(inner)}"
        case Shows() if _is_setting(test):
            return f"in {noun(test)}"
        case Not(inner) if _is_setting(inner):
            return f"outside {noun(inner)}"
        case Not(Anywhere(inner)):
            return f"in images without {noun(inner)}"
        case Not(inner):
            return f"without {noun(inner)}"
        case Anywhere(inner):
            return f"in images with {noun(inner)}"
    return f"with {noun(test)}"


def _is_setting(test: Test) -> bool:
    """Whether it is about the scene that things are in, and not about a thing."""
    return isinstance(test, Shows) and all(Concept.of(text).kind in SETTINGS for text in test.concepts)


def _described(concepts: list[Concept]) -> str:
    """Adjectives before their noun: "large red dogs"; other concepts joined."""
    adjectives = [c.name for kind in ("size", "colour") for c in concepts if c.kind == kind]
    nouns = [named(c) for c in concepts if c.kind not in ("size", "colour")]
    return " ".join([*adjectives, " with ".join(nouns) or "things"])


def named(concept: Concept) -> str:
    """One concept as a plural noun phrase."""
    name = concept.name
    match concept.kind:
        case "noun" | "class":
            return plural(name)
        case "colour" | "size":
            return f"{name} things"
        case "count":
            return "single things" if name == NUMBERS[0] else f"{name} things of one kind"
        case "background":
            return plural(background_name(name))
        case "light":
            return f"{name} scenes" if name != "dim" else "dim light"
        case "weather":
            return WEATHER.get(name, name)
        case "label":
            return f"images labelled “{name}”"
    return name


def _looks(statistic: str) -> str:
    return f"{statistic} areas" if statistic in COLOURS else STATISTICS[statistic]


def _either(phrases: Iterable[str]) -> str:
    said = list(dict.fromkeys(phrases))
    return said[0] if len(said) == 1 else f"{', '.join(said[:-1])} or {said[-1]}"
