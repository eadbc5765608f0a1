"""Where documents come from: the packaged corpus, a file, a folder of files, or a Python object."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from glossator.corpora import tables, text_files
from glossator.corpora.documents import Corpus, Document
from glossator.errors import UserError

EMBEDDED = "embedded"
TEXT = "text"
IN_MEMORY = "texts:"
"""Stands before the fingerprint of texts that were given as a Python object, where a study names its corpus."""
_EMBEDDED_FILE = Path(__file__).resolve().parent.parent / "data" / "corpus.jsonl.xz"
_TEXT_SUFFIXES = (".txt", ".md", ".rst")
_ALLOWED = (
    f"'{EMBEDDED}', a file of JSON lines (.jsonl), CSV or TSV, text ({', '.join(_TEXT_SUFFIXES)}), each also with "
    f"{', '.join(text_files.COMPRESSED)}, Parquet or Arrow, a folder of those, or in Python any iterable of texts"
)
_IMAGES = "for image models renders:N, a folder of images, or an array of pixels (.npy, .npz)"
Reader = Callable[[Path, str], Iterator[Document | None]]


def open_corpus(spec: str | Path | Corpus | Iterable[Any], text_column: str | None = None) -> Corpus:
    """Open a corpus.

    spec: `"embedded"`; the path of a file, where JSON lines, CSV, TSV, Parquet and Arrow have one document per row
    (optional fields `id` and `source`) and a text file one a paragraph; the path of a folder of such files, where a
    text file is one document, or of a dataset saved with `save_to_disk`; in Python a `Corpus`, an iterable of texts,
    dicts or documents, or a table with columns, which are held in memory. text_column: which field holds the text
    (`text`). Rows whose text is null or blank are left out and counted. Raises `UserError` for a missing path or an
    unknown kind of file at once, and for bad content when it is read.
    """
    column = TEXT if text_column is None else text_column
    if isinstance(spec, Corpus):
        return spec
    if isinstance(spec, (str, Path)):
        return _open_path(spec, column)
    if not hasattr(spec, "__iter__") and not tables.has_columns(spec):
        raise UserError("the corpus is not text", value=type(spec).__name__, allowed=_ALLOWED)
    documents = tuple(tables.from_objects(spec, column))
    return Corpus("iterable", lambda: iter(documents))


def _open_path(spec: str | Path, column: str) -> Corpus:
    if spec == EMBEDDED:
        return Corpus(EMBEDDED, lambda: text_files.json_lines(_EMBEDDED_FILE, TEXT))
    if str(spec).startswith(IN_MEMORY):
        raise UserError(
            "the study's texts were passed in Python and are needed again", value=str(spec), fix="Pass corpus="
        )
    path = Path(spec).expanduser()
    try:
        mode = path.stat().st_mode
    except FileNotFoundError as error:
        raise UserError(
            "no such corpus", value=str(spec), allowed=f"{_ALLOWED}; {_IMAGES}", fix="Check the path"
        ) from error
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise UserError("cannot read the corpus", value=str(spec), fix=why) from error
    if stat.S_ISDIR(mode):
        return Corpus(path.resolve().name, lambda: _folder(path, column))
    if not stat.S_ISREG(mode):
        raise UserError(
            "the corpus must be a file or a folder, not a pipe or a device, which cannot be read twice",
            value=str(spec),
            fix="Write the texts to a file first",
        )
    reader = _reader_for(path)
    if reader is None:
        raise UserError("unknown kind of corpus file", value=str(spec), allowed=_ALLOWED)
    reader = text_files.paragraphs if reader is text_files.whole else reader
    return Corpus(path.name, lambda: reader(path, column))


_READERS: dict[tuple[str, ...], Reader] = {
    (".jsonl", ".ndjson"): text_files.json_lines,
    (".csv",): text_files.comma_separated,
    (".tsv",): text_files.tab_separated,
    _TEXT_SUFFIXES: text_files.whole,
}


def _reader_for(path: Path) -> Reader | None:
    name = path.name.lower()
    if name.endswith(".parquet"):
        return tables.parquet
    if name.endswith(".arrow"):
        return tables.arrow
    for ending in text_files.COMPRESSED:
        name = name.removesuffix(ending)
    return next((reader for endings, reader in _READERS.items() if name.endswith(endings)), None)


def _folder(folder: Path, column: str) -> Iterator[Document | None]:
    """Every readable file below the folder, sorted by path; hidden files are left out; ids start with the path."""
    for path in _files(folder, set()):
        inside, reader = str(path.relative_to(folder)), _reader_for(path)
        for document in reader(path, column) if reader else ():
            if document is None:
                yield None
                continue
            name = inside if reader is text_files.whole else f"{inside}:{document.id}"
            yield Document(name, document.text, document.source, document.meta)


def _files(folder: Path, seen: set[tuple[int, int]]) -> Iterator[Path]:
    """Files below a folder, sorted, links followed, each folder once; of a saved dataset those that it lists."""
    try:
        about = folder.stat()
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise UserError(
            "cannot read a folder of the corpus", value=str(folder), fix=f"{error.strerror}; allow it, or move it away"
        ) from error
    if (about.st_dev, about.st_ino) in seen:
        return
    seen.add((about.st_dev, about.st_ino))
    if (saved := tables.saved_files(folder)) is not None:
        yield from saved
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        path = folder / entry.name
        if path.is_dir():
            yield from _files(path, seen)
        elif path.is_file():
            yield path
        elif _reader_for(path):
            raise UserError(
                "the corpus contains an entry that is not a file (a broken link, a pipe or a device)",
                value=str(path),
                fix="Remove it",
            )
