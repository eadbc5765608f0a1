"""Programs over images in plain English: what a unit responds to, strongest first."""

from __future__ import annotations

from collections.abc import Iterable

from glossator.inputs.annotations import Concept
from glossator.programs.base import Test
from glossator.programs.language import And, Not, Or, Program
from glossator.programs.scene.atoms import COLOURS, POSITIONS, STATISTICS, Anywhere, Beside, Looks, Shows, Together
from glossator.scenes.scene import RELATIONS
from glossator.scenes.words import (
    BACKGROUNDS,
    LIGHT_PHRASES,
    NUMBERS,
    WEATHER_PHRASES,
    background_name,
    plural,
)

STRONG = 0.4
"""A clause is strong from this share of the strongest clause's strength on; a bias counts from there on as well."""
PHRASES: dict[str, dict[str, tuple[str, tuple[str, ...]]]] = {
    "background": BACKGROUNDS, "light": LIGHT_PHRASES, "weather": WEATHER_PHRASES,
}  # fmt: skip
"""Settings of scenes, in the order in which they are said, and the phrases of captions for them."""
SEVERAL = tuple(f"count:{name}" for name in (*NUMBERS[1:], "many"))
TIMES = {NUMBERS[1]: "twice"}
LIGHT = {"day": "daytime scenes", "dim": "dim light"}
WEATHER = {"rain": "rain", "snow": "falling snow", "fog": "fog", "clear": "clear weather"}
AT = {"left": "on", "right": "on", "centre": "in"}
MOSTLY = 0.5
"""Where a concept has to cover this share of a place, it is said."""


def sentence(program: Program, *, whole: bool = False) -> str:
    """The program in one sentence. whole: it is about whole images, so that a colour and a noun that both are there
    need not be those of one thing."""

    def to(tests: Iterable[Test]) -> str:
        """Each phrase with its own "to": a phrase may hold an "and", or end with where its things are."""
        said = [f"to {phrase}" for phrase in dict.fromkeys(noun(test, whole=whole) for test in tests)]
        return said[0] if len(said) == 1 else f"{', '.join(said[:-1])} and {said[-1]}"

    clauses = sorted((c for c in program.clauses if c.strength), key=lambda c: -abs(c.strength))
    more = [c for c in clauses if c.strength > 0]
    less = [c.test for c in clauses if c.strength < 0]
    strongest = max((c.strength for c in more), default=0.0)
    strong = [c.test for c in more if c.strength >= STRONG * strongest]
    weak = [c.test for c in more if c.strength < STRONG * strongest]
    parts = []
    if program.bias > 0 and program.bias >= STRONG * strongest:
        parts.append("to all images" if whole else "everywhere")
    parts += [f"{'most ' if weak or parts else ''}{to(strong)}"] if strong else []
    parts += [f"also {to(weak)}"] if weak else []
    parts += [f"less {to(less)}"] if less else []
    return f"Responds {'; '.join(parts)}." if parts else "Never."


def noun(test: Test, *, whole: bool = False) -> str:
    """A plural noun phrase for the places, or images, of which a test is true. whole: as in `sentence`."""
    match test:
        case Shows(concepts, _):
            return ("mostly " if _is_mostly(test) else "") + _named(concepts)
        case Together(concepts):
            return _conjunction(tuple(Shows((text,)) for text in concepts), whole=False)
        case Looks(statistic, _):
            return f"{statistic} areas" if statistic in COLOURS else STATISTICS[statistic]
        case And(tests):
            return _conjunction(tests, whole)
        case Or(tests):
            return _either(noun(one, whole=whole) for one in tests)
        case Not(inner):
            return f"anything but {noun(inner, whole=whole)}"
        case Anywhere(inner):
            return noun(inner, whole=whole) if _is_setting(inner) else f"images with {noun(inner, whole=whole)}"
        case Beside(inner, _):
            return f"{noun(inner, whole=whole)} and their surroundings"
    return str(test)


def _conjunction(tests: tuple[Test, ...], whole: bool) -> str:
    """Things with their colour and size first, then what is with them, where they are, and where they are not:
    "large red dogs with a ball at the top of the image on grass, except at night"."""
    rest = [test for test in tests if not isinstance(test, Not)]
    things = [test for test in rest if not _is_place(test) and not _is_setting(_inside(test))]
    qualities = [] if whole else [test for test in things if _kind(test) in ("size", "colour")]
    others = sorted((test for test in things if test not in qualities), key=_order)
    places = [test for test in rest if _is_place(test)]
    settings = sorted((t for t in rest if _is_setting(_inside(t))), key=lambda t: [*PHRASES].index(_kind(_inside(t))))
    if qualities:
        described = others.pop(0) if others and _kind(others[0]) in ("noun", "class") else None
        adjectives = [
            _quality(one) for kind in ("size", "colour") for one in map(_concept, qualities) if one.kind == kind
        ]
        head = " ".join([*adjectives, "things" if described is None else noun(described)])
    else:
        first = next(iter([*others, *places, *settings]), None)
        head = "anything" if first is None else noun(first, whole=whole)
        others, places, settings = ([t for t in some if t is not first] for some in (others, places, settings))
    said = [beside(test, whole=whole) for test in (*others, *places, *settings)]
    absent = [test.test for test in tests if isinstance(test, Not)]
    away = [one for one in absent if _is_place(one) or _is_setting(_inside(one))]
    said += [_without(one, whole) for one in absent if one not in away]
    excepted = " and ".join(f"except {where}" for one in away for where in _wheres(one))
    return " ".join([head, *said, *([excepted] if excepted else [])])


def _order(test: Test) -> tuple[bool, bool]:
    """Nouns first, then other concepts; then how it looks, and what is anywhere."""
    return isinstance(test, Looks | Anywhere), _kind(test) not in ("noun", "class")


def beside(test: Test, *, whole: bool = False) -> str:
    """What follows a noun where this is true as well: "with trees", "at night"."""
    if _is_place(test) or _is_setting(_inside(test)):
        return _either(_wheres(test))
    if isinstance(test, Anywhere):
        return f"in images with {noun(test.test, whole=whole)}"
    return f"with {noun(test, whole=whole)}"


def _without(test: Test, whole: bool) -> str:
    if isinstance(test, Anywhere):
        return f"in images without {noun(test.test, whole=whole)}"
    return f"without {noun(test, whole=whole)}"


def _wheres(test: Test) -> list[str]:
    """Where things are: "on grass", "at night", "at the top of the image"; several where any of them is enough."""
    test = _inside(test)
    if isinstance(test, Looks):
        return [f"{AT.get(test.statistic, 'at')} {STATISTICS[test.statistic]}"]
    assert isinstance(test, Shows)
    return [PHRASES[one.kind][one.name][0] for one in map(Concept.of, test.concepts)]


def _inside(test: Test) -> Test:
    """What is said of the scene holds everywhere in it."""
    return test.test if isinstance(test, Anywhere) and _is_setting(test.test) else test


def _is_setting(test: Test) -> bool:
    """Whether it is about the scene that things are in, and not about a thing."""
    return (
        isinstance(test, Shows)
        and not _is_mostly(test)
        and all(one.name in PHRASES.get(one.kind, {}) for one in map(Concept.of, test.concepts))
    )


def _is_place(test: Test) -> bool:
    return isinstance(test, Looks) and test.statistic in POSITIONS


def _is_mostly(test: Shows) -> bool:
    return test.least is not None and test.least >= MOSTLY


def _kind(test: Test) -> str:
    """The kind of the one concept that it shows; of settings, which may be several, that of the first."""
    if not isinstance(test, Shows) or _is_mostly(test) or (len(test.concepts) > 1 and not _is_setting(test)):
        return ""
    return _concept(test).kind


def _concept(test: Test) -> Concept:
    assert isinstance(test, Shows)
    return Concept.of(test.concepts[0])


def _named(concepts: Iterable[str]) -> str:
    """Concepts of which any is enough; those of a kind share their noun: "large or red things"."""
    concepts = list(concepts)
    if {*SEVERAL} <= {*concepts}:
        concepts = ["count:several", *(one for one in concepts if one not in SEVERAL)]
    found = [Concept.of(text) for text in concepts]
    said = [named(one) for one in found if one.kind not in ("size", "colour", "background")]
    grounds = [background_name(one.name).removesuffix(" background") for one in found if one.kind == "background"]
    qualities = [_quality(one) for one in found if one.kind in ("size", "colour")]
    said += [f"{_either(some)} {what}" for some, what in ((grounds, "backgrounds"), (qualities, "things")) if some]
    return _either(said)


def _quality(concept: Concept) -> str:
    return "medium-sized" if concept.name == "medium" else concept.name


def named(concept: Concept) -> str:
    """One concept as a plural noun phrase."""
    name = concept.name
    match concept.kind:
        case "noun" | "class":
            return plural(name)
        case "colour" | "size":
            return f"{_quality(concept)} things"
        case "count":
            return "single objects" if name == NUMBERS[0] else f"things shown {TIMES.get(name, f'{name} times')}"
        case "background":
            return plural(background_name(name))
        case "light":
            return LIGHT.get(name, f"{name} scenes")
        case "weather":
            return WEATHER.get(name, name)
        case "relation":
            between = next((f" {one} " for one in RELATIONS if f" {one} " in name), None)
            return name if between is None else between.join(map(plural, name.split(between, 1)))
        case "label":
            return f"images labelled “{name}”"


def _either(phrases: Iterable[str]) -> str:
    said = list(dict.fromkeys(phrases))
    return said[0] if len(said) == 1 else f"{', '.join(said[:-1])} or {said[-1]}"
