"""Directions as units of a study: read from where the spec says, and kept in the study beside their recording.

A study holds a copy of its directions, so that its units can be acted upon wherever the study lies.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glossator.errors import UserError
from glossator.readouts.directions import DirectionSet, load_directions
from glossator.recording.spec import source_of

if TYPE_CHECKING:
    from glossator.recording import Recording
    from glossator.study.spec import StudySpec

FOLDER = "directions"


def given_sets(spec: StudySpec) -> dict[str, DirectionSet]:
    """The sets in the folders of the spec, by their `NAME@SITE`; raises `UserError` for a folder without one, for a set
    that is not among the sites, and for a site `NAME@SITE` without its set."""
    found: dict[str, DirectionSet] = {}
    for folder in spec.directions:
        one = load_directions(folder)
        if one.site_name in found:
            raise UserError("two sets of directions have the same name and site", value=one.site_name)
        found[one.site_name] = one
    for name in found:
        if name not in spec.sites:
            raise UserError(
                "directions of a site that is not studied",
                value=name,
                allowed=", ".join(spec.sites),
                fix="Add its site",
            )
    for name in spec.sites:
        if name != source_of(name) and name not in found:
            raise UserError("the directions of this site are not given", value=name, fix="Give --directions FOLDER")
    return found


def check_text(sets: Mapping[str, DirectionSet], cut: Mapping[str, Any]) -> None:
    """Refuse text whose test split would hold documents that directions were searched or fitted on.

    cut: how the study's text was cut. The same text cut in the same way has the same splits; of another text nothing
    is known.
    """
    flags = {"max_tokens": "--tokens", "width": "--width", "seed": "--seed"}
    for name, one in sets.items():
        known: Any = one.made.get("text")
        if not isinstance(known, Mapping) or known.get("corpus_fingerprint") != cut.get("corpus_fingerprint"):
            continue
        others = {key: value for key, value in known.items() if key != "corpus" and value != cut.get(key)}
        if others:
            same = (f"{flags.get(key, key)} {'all' if value is None else value}" for key, value in others.items())
            raise UserError(
                "the test split would hold documents that these directions were found on",
                value=name,
                fix=f"Cut the text as it was cut for them: {' '.join(same)}",
            )


def check_made_from(sets: Mapping[str, DirectionSet], fingerprint: str) -> None:
    """Refuse directions that were learnt from a subject of this name that was another one, as far as they say."""
    for name, one in sets.items():
        if one.made.get("subject_fingerprint", fingerprint) != fingerprint:
            raise UserError(
                "the subject has changed since these directions were made", value=name, fix="Make them again from it"
            )


def keep_sets(sets: Mapping[str, DirectionSet], folder: Path) -> None:
    """Write copies into the study."""
    for name, one in sets.items():
        one.save(folder / FOLDER / name)


def kept_sets(recording: Recording) -> dict[str, DirectionSet]:
    """The sets that a study's recording was made with; `UserError` when they are not there any more, or are others."""
    folder = recording.folder.parent / FOLDER
    found = {}
    for name, recorded in recording.spec.encoders.items():
        one = load_directions(folder / name)
        if one.fingerprint != recorded:
            raise UserError("the directions are not those that were recorded", value=str(folder / name))
        found[name] = one
    return found
