"""The words that scenes are made of: nouns with their classes and aliases, colours, numbers, backgrounds, light."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from glossator.errors import UserError, near_matches

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (214, 32, 38),
    "orange": (247, 134, 22),
    "yellow": (250, 212, 36),
    "green": (52, 160, 62),
    "blue": (38, 92, 214),
    "purple": (134, 54, 186),
    "pink": (246, 128, 180),
    "brown": (128, 82, 44),
    "black": (44, 44, 48),
    "grey": (140, 142, 146),
    "white": (244, 244, 244),
}
"""Names of colours, and what things are tinted with."""
COLOUR_ALIASES = {"gray": "grey", "golden": "yellow", "violet": "purple", "scarlet": "red", "crimson": "red"}

NUMBERS = ("one", "two", "three", "four", "five", "six")
NUMBER_ALIASES = {
    **{word: i + 1 for i, word in enumerate(NUMBERS)},
    **{str(i): i for i in range(1, 7)},
    **{"a": 1, "an": 1, "the": 1, "single": 1, "a pair of": 2, "pair of": 2, "couple of": 2, "a couple of": 2},
    **{"a few": 3, "several": 4, "some": 3, "many": 6, "half a dozen": 6},
}
SIZE_ALIASES = {
    **{"small": "small", "little": "small", "tiny": "small", "medium": "medium", "medium-sized": "medium"},
    **{"large": "large", "big": "large", "huge": "large", "giant": "large"},
}

BACKGROUNDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "plain white": ("on a plain white background", ("on plain white", "on a white background", "on white")),
    "plain grey": ("on a plain grey background", ("on plain grey", "on a grey background", "on grey")),
    "plain black": ("on a plain black background", ("on plain black", "on a black background", "on black")),
    "grass": ("on grass", ("on the grass", "in the grass", "on a lawn", "in a meadow", "in a field", "in a park")),
    "desert": ("in the desert", ("in a desert", "on sand", "on the sand")),
    "snow": ("on snow", ("on the snow", "in the snow", "in a snowy landscape", "in snow")),
    "dirt": ("on dirt", ("on the dirt", "on earth", "on soil", "on bare ground", "in the dirt", "in dirt")),
    "jungle": ("in the jungle", ("in a jungle", "in the forest", "in a forest", "in the woods")),
    "mountain": ("in the mountains", ("in a mountain landscape", "in front of mountains", "before mountains")),
    "beach": ("on the beach", ("on a beach", "at the beach", "by the sea", "at the seaside")),
    "water": ("in the water", ("on water", "in water", "on the water", "in the sea", "on the sea", "under water")),
    "sky": ("in the sky", ("in the air", "against the sky", "in a blue sky")),
    "city": ("in the city", ("in a city", "in a town", "in town", "before a skyline")),
    "room": ("in a room", ("indoors", "in the room", "in a house", "at home")),
    "brick wall": ("in front of a brick wall", ("before a brick wall", "against a brick wall", "on bricks")),
    "wood": ("on wood", ("on a wooden table", "on a table", "on planks", "on a wooden floor", "on wooden planks")),
    "stripes": ("on stripes", ("on a striped background", "on striped ground", "in front of stripes")),
    "checkerboard": ("on a checkerboard", ("on a chequered background", "on a chessboard")),
    "dots": ("on polka dots", ("on dots", "on a dotted background", "on a polka dot background")),
}  # fmt: skip
"""Backgrounds: the phrase that captions use, and what else is understood."""
BACKGROUND_ADJECTIVES = {"stripes": "striped", "dots": "dotted", "wood": "wooden"}
"""What stands before "background" where that is not the name itself."""

LIGHT_PHRASES = {
    "day": ("by day", ("in daylight", "during the day", "in the daytime", "in bright light")),
    "sunset": ("at sunset", ("at dusk", "in the evening", "at sunrise", "at dawn", "in the evening light")),
    "night": ("at night", ("by night", "in the night", "in the dark", "in darkness", "during the night")),
    "dim": ("in dim light", ("in low light", "in twilight", "in dim lighting")),
}
WEATHER_PHRASES = {
    "clear": ("in clear weather", ("clear weather", "in good weather", "in fine weather")),
    "rain": (
        "in the rain",
        ("rain", "rainy weather", "in rain", "while it rains", "while it is raining", "in rainy weather", "raining"),
    ),
    "snow": (
        "while it snows",
        (
            "falling snow",
            "snowy weather",
            "in falling snow",
            "while it is snowing",
            "in a snowstorm",
            "snowing",
            "in snowfall",
        ),
    ),
    "fog": ("in fog", ("fog", "foggy weather", "in the fog", "in mist", "in the mist", "in foggy weather", "in haze")),
}
RELATION_PHRASES = {
    "next to": ("beside", "near", "by", "and next to"),
    "above": ("over", "on top of", "on"),
    "below": ("under", "beneath", "underneath"),
    "in front of": ("before",),
    "behind": ("in back of",),
    "left of": ("to the left of", "on the left of"),
    "right of": ("to the right of", "on the right of"),
}
PLACES = {
    "at the top left": (0.25, 0.25),
    "at the top right": (0.75, 0.25),
    "at the bottom left": (0.25, 0.75),
    "at the bottom right": (0.75, 0.75),
    "in the centre": (0.5, 0.5),
    "on the left": (0.25, 0.5),
    "on the right": (0.75, 0.5),
    "at the top": (0.5, 0.25),
    "at the bottom": (0.5, 0.75),
}
"""The places of an image that have a name, as shares of its width and height."""


@dataclass(frozen=True)
class Noun:
    """A noun, the icon that it is drawn as, its classes from the narrowest on, and what else it is called."""

    name: str
    icon: str
    classes: tuple[str, ...]
    aliases: tuple[str, ...]

    @property
    def plural(self) -> str:
        return plural(self.name)


@cache
def nouns() -> dict[str, Noun]:
    """The vocabulary of `nouns.txt`, by name."""
    parents: dict[str, str] = {}
    found: dict[str, tuple[str, str, tuple[str, ...]]] = {}
    kind = ""
    for line in files("glossator.scenes").joinpath("nouns.txt").read_text(encoding="utf-8").splitlines():
        if " < " in line:
            kind, _, parent = line.partition(" < ")
            parents[kind] = parent
            continue
        line, _, aliases = line.partition(" = ")
        name, _, icon = line.partition(" <- ")
        known = tuple(alias for alias in aliases.split(", ") if alias)
        found[name] = (kind, icon or name.replace(" ", "-"), known)
    return {name: Noun(name, icon, tuple(_upwards(kind, parents)), of) for name, (kind, icon, of) in found.items()}


def _upwards(kind: str, parents: dict[str, str]) -> Iterator[str]:
    yield kind
    while kind in parents:
        kind = parents[kind]
        yield kind


@cache
def classes() -> dict[str, tuple[str, ...]]:
    """Each class and the nouns in it, in the order of the vocabulary."""
    members: dict[str, list[str]] = {}
    for one in nouns().values():
        for kind in one.classes:
            members.setdefault(kind, []).append(one.name)
    return {kind: tuple(of) for kind, of in sorted(members.items())}


def classes_above(name: str) -> tuple[str, ...]:
    """The classes that a noun, or a class, is in."""
    if name in nouns():
        return nouns()[name].classes
    chains = [nouns()[member].classes for member in classes().get(name, ())]
    return chains[0][chains[0].index(name) + 1 :] if chains else ()


def noun(name: str) -> Noun:
    """A noun of the vocabulary; raises `UserError`, with the nearest ones, for a name that is none."""
    if name not in nouns():
        raise UserError("this noun is not in the vocabulary", value=name, allowed=near_matches(name, nouns()))
    return nouns()[name]


NO_PLURAL = """grapes, blueberries, cherries, peas, chips, pancakes, skis, scales, gloves, socks, shorts, jeans,
glasses, sunglasses, scissors, headphones, piano keys, dice, fish, sheep, deer, moose, bison, shrimp, squid, sushi,
bacon, corn, pufferfish, jellyfish, coral, broccoli, popcorn, spaghetti, fire, lightning, garlic, electronics, clothing,
furniture, stationery, nature, food, equipment"""
"""Nouns and classes that are written alike for one and for several."""
IRREGULAR = """mouse mice, goose geese, wolf wolves, potato potatoes, tomato tomatoes, mango mangoes,
mosquito mosquitoes, tornado tornadoes, volcano volcanoes, leaf leaves, scarf scarves,
knife knives, die dice, buffalo buffaloes"""
HEADS = ("bow", "statue", "loaf", "cup", "glass")
"""Of nouns like "cup of tea", the word that takes the ending."""


@cache
def _endings() -> dict[str, str]:
    unchanged = {word: word for word in re.split(r",\s+", NO_PLURAL)}
    return unchanged | {one: many for one, many in (pair.split() for pair in re.split(r",\s+", IRREGULAR))}


def plural(name: str) -> str:
    """A noun or class in the plural."""
    head, rest = name.partition(" ")[::2]
    if head in HEADS and rest:
        return f"{plural(head)} {'and arrows' if rest == 'and arrow' else rest}"
    for ending, changed in _endings().items():
        if name == ending or name.endswith((f" {ending}", f"-{ending}")):
            return name.removesuffix(ending) + changed
    if re.search(r"(s|x|z|ch|sh)$", name):
        return name + "es"
    if re.search(r"[^aeiou]y$", name):
        return name[:-1] + "ies"
    return name + "s"


def background_name(name: str) -> str:
    """A background as a noun phrase: "striped background"."""
    return f"{BACKGROUND_ADJECTIVES.get(name, name)} background"


def article(word: str) -> str:
    """A word with its indefinite article."""
    an = word[0] in "aeio" or word.startswith(("umb", "hour"))
    return f"{'an' if an else 'a'} {word}"
