"""The fingerprints of subjects: of those on this machine without loading them, and of loaded ones."""

from __future__ import annotations

from pathlib import Path

from glossator import registry
from glossator.subjects import fingerprints
from glossator.subjects.aliases import ALIASES
from glossator.subjects.base import Subject
from glossator.subjects.checkpoints import check_config_file
from glossator.subjects.embedders import TokenVectors
from glossator.subjects.image_models import RENDERS_CNN, fingerprint_of_folder, fingerprint_of_package, takes_images
from glossator.subjects.loading import HUB_ID, given_prefix, is_folder, load_tokenizer
from glossator.subjects.measured import fingerprint_of_responses, load_responses
from glossator.subjects.named import (
    FUNCTION,
    OWN_TEXT,
    POOLED,
    RANDOM,
    RESPONSES,
    VECTORS,
    fingerprint_of_function,
    open_subject,
    parse_random,
    readout_of_pooled,
)
from glossator.subjects.random_weights import fingerprint_of_random
from glossator.subjects.text_readouts import fingerprint_of_pooled, fingerprint_of_read, fingerprint_of_vectors
from glossator.subjects.transformer import TransformerSubject
from glossator.subjects.weights import cache_folder, is_complete


def known_fingerprints(name: str) -> dict[str, str] | None:
    """The fingerprints of a subject, as stored in recordings, without loading its model; None if it is not on this
    machine.

    Nothing is downloaded or imported. `subject_fingerprint` is that of the loaded subject, `vocabulary` that of its
    tokenizer.
    """
    if name == RENDERS_CNN:
        return {"subject_fingerprint": fingerprint_of_package()}
    if (found := _of_prefixed(name)) is not None:
        return found
    folder = _folder_here(name)
    if folder is None:
        return None
    check_config_file(folder)
    if takes_images(name):
        return {"subject_fingerprint": fingerprint_of_folder(name, folder)}

    def of_folder() -> dict[str, str]:
        tokenizer = load_tokenizer(name, folder)
        fingerprint = fingerprints.of_folder(folder, tokenizer, given_prefix(name))
        return {"subject_fingerprint": fingerprint, "vocabulary": tokenizer.vocabulary.fingerprint}

    return fingerprints.once(name, [path for path in sorted(folder.iterdir()) if path.is_file()], of_folder)


def _of_prefixed(name: str) -> dict[str, str] | None:
    """Of a subject that is named by what it is made from; None for others, and where that is not here."""
    made: str | None = None
    if name.startswith(FUNCTION):
        made = fingerprint_of_function(name)
    elif name.startswith(RESPONSES):
        if (path := Path(name.removeprefix(RESPONSES)).expanduser()).is_file():
            made = fingerprint_of_responses(load_responses(path), path.stem)
    elif name.startswith(OWN_TEXT):
        if Path(name.partition(":")[2].partition("#")[0]).expanduser().exists():
            return fingerprints_of(open_subject(name))
    elif name.startswith(RANDOM):
        inner, seed = parse_random(name)
        if (known := known_fingerprints(inner)) is not None:
            return known | {"subject_fingerprint": fingerprint_of_random(known["subject_fingerprint"], seed)}
    elif name.startswith(VECTORS):
        if (known := known_fingerprints(name.removeprefix(VECTORS))) is not None:
            made = fingerprint_of_vectors(TokenVectors.fingerprint_of(known["subject_fingerprint"]))
    elif name.startswith(POOLED):
        made = _of_pooled(name)
    return None if made is None else {"subject_fingerprint": made}


def _of_pooled(name: str) -> str | None:
    inner, *_, site, pool = name.removeprefix(POOLED).split("#")
    known, named, readout = known_fingerprints(inner), readout_of_pooled(name), None
    if named is not None:
        if not named[1].exists():
            return None
        readout = registry.load("readouts", named[0])(named[1], site=named[2])
    if known is None:
        return None
    if not inner.startswith(VECTORS):
        return fingerprint_of_pooled(known["subject_fingerprint"], readout, site, pool)
    return (
        known["subject_fingerprint"] if readout is None else fingerprint_of_read(known["subject_fingerprint"], readout)
    )


def fingerprints_of(subject: Subject) -> dict[str, str]:
    """The same of a loaded subject; of one that takes no tokens without a vocabulary."""
    found = {"subject_fingerprint": subject.fingerprint}
    if isinstance(subject, TransformerSubject):
        found["vocabulary"] = subject.tokenizer.vocabulary.fingerprint
    return found


def _folder_here(name: str) -> Path | None:
    """The folder of a subject that is on this machine with its weights; None for any other."""
    if name in ALIASES:
        folder = cache_folder() / "weights" / name
        return folder if is_complete(folder, ALIASES[name]) else None
    if is_folder(name):
        folder = Path(name).expanduser()
    elif HUB_ID.fullmatch(name):
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import LocalEntryNotFoundError

        try:
            folder = Path(snapshot_download(name, local_files_only=True))
        except (LocalEntryNotFoundError, OSError, ValueError):
            return None
    else:
        return None
    weights = [*folder.glob("*.safetensors"), *folder.glob("*.bin")]
    return folder if weights and (folder / "config.json").is_file() else None
