"""Whether a study's subject, text and readouts are still those it recorded.

Asked by whatever adds to a study or draws something new from it: old values beside a new model's, or a new text's, are
scores of nothing. Looking at a study asks nothing, and what is no longer there cannot have changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glossator.errors import UserError
from glossator.readouts.base import load_kind, parse_readout

if TYPE_CHECKING:
    from glossator.recording import Recording
    from glossator.recording.spec import RecordingSpec
    from glossator.store.spec import StudySpec
    from glossator.subjects.base import Subject

OTHERWISE = "Restore what was recorded, or make another study: --out FOLDER"


def check_unchanged(spec: StudySpec, recording: Recording, subject: Subject | None = None) -> None:
    """Raise `UserError` that names the first of subject, text and readouts that is there and another one now.

    subject: one that was given in place of what the spec names.
    """
    from glossator.corpora import open_corpus
    from glossator.subjects.loading import fingerprints_of, known_fingerprints

    now = known_fingerprints(spec.subject) if subject is None else fingerprints_of(subject)
    if now is not None:
        check_same(recording.spec, now, spec.subject)
    if recording.inputs.kind == "tokens":  # others were read whole: their recording holds them
        try:
            corpus = open_corpus(spec.corpus, spec.text_column)
        except UserError:  # not there any more
            corpus = None
        if corpus is not None:
            check_same(recording.spec, {"corpus_fingerprint": corpus.fingerprint}, spec.subject)
    for text in spec.all_readouts:
        kind, path, site = parse_readout(text)
        if path.exists():
            one = load_kind(kind, path, site)
            if recording.spec.readouts.get(one.site_name) != one.fingerprint:
                raise UserError("the readout has changed since it was recorded", value=text, fix=OTHERWISE)


def check_finished(spec: StudySpec, folder: Path, subject: Subject | None = None) -> None:
    """The same of a study whose folder may lack its recording, which is then no longer compared."""
    from glossator.recording import open_recording

    if (folder / "recording" / "manifest.json").exists():
        check_unchanged(spec, open_recording(folder / "recording"), subject)


def check_same(recorded: RecordingSpec, now: Mapping[str, Any], subject: str) -> None:
    """Raise `UserError` for the first of these fingerprints that is not the recorded one.

    now: any of `subject_fingerprint`, `vocabulary` and `corpus_fingerprint`; subject: as the user named it.
    """
    then = {"subject_fingerprint": recorded.subject_fingerprint, **recorded.windows}
    named = {
        "vocabulary": ("the subject's tokenizer has", subject),
        "subject_fingerprint": ("the subject has", subject),
        "corpus_fingerprint": ("the text has", recorded.windows.get("corpus")),
    }
    for name, (what, value) in named.items():
        if name in now and name in then and now[name] != then[name]:
            raise UserError(f"{what} changed since it was recorded", value=value, fix=OTHERWISE)
