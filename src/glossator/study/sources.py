"""What a study was made from: its readouts, of which it keeps a copy, so that its units can be read and intervened on
wherever the study lies, and whether subject, text and readouts are still those that it recorded.

Whatever adds to a study or draws something new from it asks that: old values beside a new model's, or a new text's, are
scores of nothing. Looking at a study asks nothing, and what is no longer there cannot have changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glossator import registry
from glossator.corpora import Corpus, ProbeSet, open_corpus, probe_set
from glossator.corpora.image_sets import RENDERS, is_images, open_images
from glossator.corpora.sources import EMBEDDED
from glossator.errors import UserError
from glossator.files import read_json, write_bytes, write_json
from glossator.inputs import Texts
from glossator.readouts.base import load_kind, parse_readout
from glossator.recording.spec import source_of
from glossator.store.folder import READOUT_LOGS, READOUTS, places_of_readouts
from glossator.subjects.image_models import takes_images
from glossator.subjects.named import (
    FUNCTION,
    OWN_TEXT,
    POOLED,
    RANDOM,
    RESPONSES,
    parse_random,
    pooled_name,
    readout_of_pooled,
)

if TYPE_CHECKING:
    from glossator.readouts.base import Readout
    from glossator.recording import Recording
    from glossator.recording.spec import RecordingSpec
    from glossator.store.results import UnitResult
    from glossator.store.spec import StudySpec
    from glossator.subjects.base import Subject

REFUSED = "refused.json"


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
    """Write copies into the study, each below the name of its kind, with the log of how it was made."""
    parsed = [parse_readout(text) for text in spec.all_readouts]
    given = [(kind, path, one) for (kind, path, _), one in zip(parsed, readouts.values(), strict=True)]
    if (pooled := readout_of_pooled(spec.subject)) is not None:
        kind, path, site = pooled
        given.append((kind, path, load_kind(kind, path, site)))
    for kind, path, one in given:
        place = folder / READOUTS / kind / one.site_name
        place.mkdir(parents=True, exist_ok=True)
        one.save(place)
        beside = path if path.is_dir() else path.parent
        for log in READOUT_LOGS if beside.resolve() != place.resolve() else ():
            if (beside / log).is_file():
                write_bytes(place / log, (beside / log).read_bytes())
        refused = {str(index): reason for index in range(one.width) if (reason := one.refused(index)) is not None}
        if refused:
            write_json(place / REFUSED, refused)


def refused_units(study: Path) -> dict[str, dict[str, str]]:
    """By site `NAME@SITE`, why its readout refuses units, by their index: known without opening the readout."""
    places = ((place.name, place / REFUSED) for _, place in places_of_readouts(study))
    return {
        name: read_json(file, "the list of refused units", "Make the study again")
        for name, file in places if file.exists()
    }  # fmt: skip


def kept_of_pooled(name: str, study: Path) -> Path | None:
    """The study's own copy of the readout that a pooled subject has; None without one."""
    if (pooled := readout_of_pooled(name)) is None:
        return None
    kind, _, site = pooled
    places = (place for of, place in places_of_readouts(study) if of == kind and source_of(place.name) == site)
    return next(places, None)


def opened_as(name: str, study: Path) -> str:
    """The name that a study's subject is opened by: with the study's own copy of a readout, wherever it was made."""
    place, pooled = kept_of_pooled(name, study), readout_of_pooled(name)
    if place is None or pooled is None:
        return name
    subject, _, site, pool = name.removeprefix(POOLED).split("#")
    return pooled_name(subject, site, pool, (pooled[0], str(place)))


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


OTHERWISE = "Restore what was recorded, or make another study: --out FOLDER"


def check_unchanged(spec: StudySpec, recording: Recording, subject: Subject | None = None) -> None:
    """Raise `UserError` that names the first of subject, text and readouts that is there and another one now.

    subject: one that was given in place of what the spec names.
    """
    from glossator.subjects.identity import fingerprints_of, known_fingerprints

    now = known_fingerprints(spec.subject) if subject is None else fingerprints_of(subject)
    if now is not None:
        check_same(recording.spec, now, spec.subject)
    if (given := _inputs_now(spec, recording.inputs.kind)) is not None:
        check_same(recording.spec, {"corpus_fingerprint": given}, spec.subject, recording.inputs.kind)
    for text in spec.all_readouts:
        kind, path, site = parse_readout(text)
        if path.exists():
            one = load_kind(kind, path, site)
            if recording.spec.readouts.get(one.site_name) != one.fingerprint:
                raise UserError("the readout has changed since it was recorded", value=text, fix=OTHERWISE)


def _inputs_now(spec: StudySpec, kind: str) -> str | None:
    """The fingerprint of the text or images that the spec names; None where they are not there any more, were given in
    Python, come with the subject, or are drawn from the seed."""
    if spec.subject.startswith(OWN_TEXT) or spec.corpus.partition(":")[0] == RENDERS:
        return None
    if spec.corpus != EMBEDDED and not Path(spec.corpus).expanduser().exists():
        return None
    named = named_inputs(spec, kind)
    if kind != "tokens" and isinstance(named, Corpus):
        named = texts_of(named, spec)
    return str(named.spec["corpus_fingerprint"]) if isinstance(named, ProbeSet) else named.fingerprint


def named_inputs(spec: StudySpec, kind: str | None = None) -> Corpus | ProbeSet:
    """What the spec names: a set of images, else a corpus of texts. kind: what the subject takes, None where that is
    not known yet; a folder of texts may have images beside them."""
    of_texts = kind not in (None, "images") and Path(spec.corpus).expanduser().is_dir()
    if is_images(spec.corpus) and not of_texts:
        return open_images(spec.corpus, seed=spec.seed)
    return open_corpus(spec.corpus, spec.text_column)


def kind_taken(name: str) -> str | None:
    """What a subject of this name takes, as far as that shows before it is opened."""
    if name.startswith(RANDOM):
        return kind_taken(parse_random(name)[0])
    if takes_images(name):
        return "images"
    return None if name.startswith((FUNCTION, RESPONSES)) else "tokens"


def texts_of(corpus: Corpus, spec: StudySpec) -> ProbeSet:
    """Each document of a corpus as one text."""
    documents = list(corpus.documents())
    inputs, ids = Texts.of([d.text for d in documents]), [d.id for d in documents]
    return probe_set(inputs, ids, seed=spec.seed, name=corpus.name)


def check_finished(spec: StudySpec, folder: Path, subject: Subject | None = None) -> None:
    """The same of a study whose folder may lack its recording, which is then no longer compared."""
    from glossator.recording import open_recording
    from glossator.store.study import open_study

    if (folder / "recording" / "manifest.json").exists():
        check_unchanged(spec, open_recording(folder / "recording"), subject)
    if (folder / "manifest.json").exists():
        with open_study(folder) as study:
            check_methods(spec, study.results)


def check_methods(spec: StudySpec, explained: Callable[[], Iterable[UnitResult]]) -> None:
    """Raise `UserError` where the files of a method hold something else now than when these units were explained."""
    methods = {
        name: registry.load("explainers", name).content_of(spec.options.get(name, {})) for name in spec.explainers
    }
    now = {name: content for name, content in methods.items() if content is not None}
    for result in explained() if now else ():
        for explanation in result.explanations:
            settings = explanation.provenance["settings"]
            content = now.pop(explanation.method, None)
            if content is not None and settings.get("content", content) != content:
                raise UserError(
                    "a file has changed since units of this study were explained from it", value=settings.get("file"),
                    fix=OTHERWISE,
                )  # fmt: skip
        if not now:
            return


def check_same(recorded: RecordingSpec, now: Mapping[str, Any], subject: str, inputs: str = "text") -> None:
    """Raise `UserError` for the first of these fingerprints that is not the recorded one.

    now: any of `subject_fingerprint`, `vocabulary` and `corpus_fingerprint`; subject: as the user named it; inputs:
    their kind.
    """
    then = {"subject_fingerprint": recorded.subject_fingerprint, **recorded.windows}
    named = {
        "vocabulary": ("the subject's tokenizer has", subject),
        "subject_fingerprint": ("the subject has", subject),
        "corpus_fingerprint": (
            "the images have" if inputs == "images" else "the text has",
            recorded.windows.get("corpus"),
        ),
    }
    for name, (what, value) in named.items():
        if name in now and name in then and now[name] != then[name]:
            raise UserError(f"{what} changed since it was recorded", value=value, fix=OTHERWISE)
