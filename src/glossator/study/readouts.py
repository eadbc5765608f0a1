"""Readouts of a study: loaded from where the spec says, and copied into the study.

A study holds a copy of its readouts, so that its units can be read and acted upon wherever the study lies.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glossator.errors import UserError
from glossator.readouts.base import load_kind, parse_readout
from glossator.recording.spec import source_of

if TYPE_CHECKING:
    from glossator.readouts.base import Readout
    from glossator.recording import Recording
    from glossator.store.spec import StudySpec

FOLDER = "readouts"
EARLIER = "directions"
"""Where studies of earlier versions keep their directions, without the name of a kind."""


def given_readouts(spec: StudySpec) -> dict[str, Readout]:
    """The readouts that the spec names, by their `NAME@SITE`; raises `UserError` for one that cannot be read or is not
    among the sites, and for a site `NAME@SITE` without its readout."""
    found: dict[str, Readout] = {}
    for text in spec.all_readouts:
        kind, path, site = parse_readout(text)
        one = load_kind(kind, path, site)
        if one.site_name in found:
            raise UserError("two readouts have the same name and site", value=one.site_name)
        found[one.site_name] = one
    for name in found:
        if name not in spec.sites:
            raise UserError(
                "a readout of a site that is not studied", value=name, allowed=", ".join(spec.sites), fix="Add its site"
            )
    for name in spec.sites:
        if name != source_of(name) and name not in found:
            raise UserError(
                "the readout of this site is missing",
                value=name,
                fix="Pass --readout KIND:PATH@SITE, or --directions FOLDER",
            )
    return found


def check_text(readouts: Mapping[str, Readout], cut: Mapping[str, Any]) -> None:
    """Refuse text whose test split would hold documents that readouts were searched or fitted on.

    cut: how the study's text was cut. The same text cut in the same way has the same splits; of another text nothing
    is known.
    """
    flags = {"max_tokens": "--tokens", "width": "--width", "seed": "--seed"}
    for name, one in readouts.items():
        known: Any = one.made.get("text")
        if not isinstance(known, Mapping) or known.get("corpus_fingerprint") != cut.get("corpus_fingerprint"):
            continue
        others = {key: value for key, value in known.items() if key != "corpus" and value != cut.get(key)}
        if others:
            same = (f"{flags.get(key, key)} {'all' if value is None else value}" for key, value in others.items())
            raise UserError(
                "the test split would contain documents that this readout was found on",
                value=name,
                fix=f"Split the text as it was split for it: {' '.join(same)}",
            )


def check_made_from(readouts: Mapping[str, Readout], fingerprint: str) -> None:
    """Refuse readouts that were learnt from a subject of this name that was another one, as far as they say."""
    for name, one in readouts.items():
        if one.made.get("subject_fingerprint", fingerprint) != fingerprint:
            raise UserError("the subject has changed since this readout was made", value=name, fix="Make it again")


def keep_readouts(spec: StudySpec, readouts: Mapping[str, Readout], folder: Path) -> None:
    """Write copies into the study, each below the name of its kind."""
    kinds = [parse_readout(text).kind for text in spec.all_readouts]
    for kind, (name, one) in zip(kinds, readouts.items(), strict=True):
        place = folder / FOLDER / kind / name
        place.mkdir(parents=True, exist_ok=True)
        one.save(place)


def places_of_readouts(study: Path) -> Iterator[tuple[str, Path]]:
    """(kind, folder) of each readout that a study keeps, also one of an earlier version."""
    yield from ((place.parent.name, place) for place in sorted((study / FOLDER).glob("*/*")))
    yield from (("directions", place) for place in sorted((study / EARLIER).glob("*")))


def kept_readouts(recording: Recording) -> dict[str, Readout]:
    """What a study's recording was made with; `UserError` when it is not there any more, or is another one."""
    folder, found = recording.folder.parent, {}
    kept = {place.name: (kind, place) for kind, place in places_of_readouts(folder)}
    for name, recorded in recording.spec.readouts.items():
        if name not in kept:
            raise UserError("the study does not keep this readout any more", value=name, fix=f"Put it back in {folder}")
        kind, place = kept[name]
        one = load_kind(kind, place, source_of(name))
        if one.fingerprint != recorded:
            raise UserError("the readout differs from the one recorded", value=str(place))
        found[name] = one
    return found
