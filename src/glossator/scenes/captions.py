"""A scene in one plain sentence, in the words that `parse` reads."""

from __future__ import annotations

from glossator.scenes import words
from glossator.scenes.scene import Scene, Thing


def caption(scene: Scene) -> str:
    """What the scene shows: its things, how they stand to each other, background, light and weather.

    A relation is said between two neighbours of the sentence where that is unambiguous, else in a clause of its own; a
    place is said where it is one of those that have a name. Day and clear weather go without saying.
    """
    said: list[str] = []
    told: set[int] = set()
    between = {(r.first, r.second): r.kind for r in scene.relations}
    for i, thing in enumerate(scene.things):
        words_of = phrase(thing)
        if i and (i - 1, i) in between and (i - 1, i) not in {(r, r + 1) for r in told}:
            said[-1] += f" {between.pop((i - 1, i))} {words_of}"
            told.add(i - 1)
        else:
            said.append(words_of)
    sentence = _and(said) or "an empty scene"
    sentence = f"{sentence} {words.BACKGROUNDS[scene.background][0]}"
    if scene.light != "day":
        sentence += f" {words.LIGHT_PHRASES[scene.light][0]}"
    if scene.weather != "clear":
        sentence += f" {words.WEATHER_PHRASES[scene.weather][0]}"
    rest = [f"the {name(scene, first)} {kind} the {name(scene, second)}" for (first, second), kind in between.items()]
    return "; ".join([sentence, *rest])


def name(scene: Scene, i: int) -> str:
    """A thing of the scene as a clause refers to it: by its noun, with its number where others share the noun."""
    thing = scene.things[i]
    same = [j for j, other in enumerate(scene.things) if other.noun == thing.noun]
    ordinal = f"{ORDINALS[same.index(i)]} " if len(same) > 1 else ""
    return ordinal + (thing.noun if thing.count == 1 else words.plural(thing.noun))


ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")


def phrase(thing: Thing) -> str:
    """A thing with its number, size, colour and named place: "two small red dogs on the left"."""
    noun = words.noun(thing.noun)
    adjectives = [] if thing.size == "medium" else [thing.size]
    adjectives += [] if thing.colour is None else [thing.colour]
    if thing.count == 1:
        said = words.article(" ".join([*adjectives, noun.name]))
    else:
        said = " ".join([words.NUMBERS[thing.count - 1], *adjectives, noun.plural])
    for where, place in words.place_phrases().items():
        if place == thing.place:
            return f"{said} {where}"
    return said


def _and(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1] if parts else ""
