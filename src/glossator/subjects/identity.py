"""The fingerprints of subjects: of those on this machine without loading them, and of loaded ones."""

from __future__ import annotations

from pathlib import Path

from glossator.subjects import fingerprints
from glossator.subjects.aliases import ALIASES
from glossator.subjects.base import Subject
from glossator.subjects.checkpoints import check_config_file
from glossator.subjects.image_models import RENDERS_CNN, fingerprint_of_folder, fingerprint_of_package, takes_images
from glossator.subjects.loading import HUB_ID, given_prefix, is_folder, load_tokenizer
from glossator.subjects.transformer import TransformerSubject
from glossator.subjects.weights import cache_folder, is_complete


def known_fingerprints(name: str) -> dict[str, str] | None:
    """The fingerprints of a subject, as stored in recordings, without loading its model; None if it is not on this
    machine.

    Nothing is downloaded. `subject_fingerprint` is that of the loaded subject, `vocabulary` that of its tokenizer.
    """
    if name == RENDERS_CNN:
        return {"subject_fingerprint": fingerprint_of_package()}
    folder = _folder_here(name)
    if folder is None:
        return None
    check_config_file(folder)
    if takes_images(name):
        return {"subject_fingerprint": fingerprint_of_folder(name, folder)}

    def found() -> dict[str, str]:
        tokenizer = load_tokenizer(name, folder)
        fingerprint = fingerprints.of_folder(folder, tokenizer, given_prefix(name))
        return {"subject_fingerprint": fingerprint, "vocabulary": tokenizer.vocabulary.fingerprint}

    return fingerprints.once(name, [path for path in sorted(folder.iterdir()) if path.is_file()], found)


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
