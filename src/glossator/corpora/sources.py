"""Where documents come from: the packaged corpus, JSONL, text files, folders, Parquet, or any iterable.

Every reader refuses bad input with one error that names the file and the place in it.
"""

from __future__ import annotations

import gzip
import json
import lzma
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from glossator.corpora.documents import Corpus, Document
from glossator.errors import UserError

EMBEDDED = "embedded"
LINE_LIMIT = 64 << 20
_EMBEDDED_FILE = Path(__file__).resolve().parent.parent / "data" / "corpus.jsonl.xz"
_TEXT_SUFFIXES = (".txt", ".md", ".rst")
_ALLOWED = (
    f"'{EMBEDDED}', a .jsonl file (also .jsonl.gz, .jsonl.xz), a {', '.join(_TEXT_SUFFIXES)} file, a .parquet file, "
    "a folder of those, or in Python any iterable of texts"
)


def open_corpus(spec: str | Path | Iterable[str | Document]) -> Corpus:
    """Open a corpus by what it is.

    spec: `"embedded"`; the path of a JSONL file (field `text`, optional `id` and `source`), of a text file (one
    document), of a Parquet file (column `text`) or of a folder of such files; or an iterable of texts or documents,
    which is held in memory. Raises `UserError` for a missing path or an unknown kind of file at once, and for bad
    content when it is read.
    """
    if isinstance(spec, (str, Path)):
        return _open_path(spec)
    documents = tuple(_as_document(item, number) for number, item in enumerate(spec))
    return Corpus("iterable", lambda: iter(documents))


def _as_document(item: object, number: int) -> Document:
    if isinstance(item, Document):
        return item
    if isinstance(item, str):
        return Document(str(number), item)
    raise UserError(f"item {number} of the corpus is no text", value=type(item).__name__, allowed="str or Document")


def _open_path(spec: str | Path) -> Corpus:
    if spec == EMBEDDED:
        return Corpus(EMBEDDED, lambda: _read_jsonl(_EMBEDDED_FILE))
    path = Path(spec).expanduser()
    if not path.exists():
        raise UserError("no such corpus", value=str(spec), allowed=_ALLOWED, fix="Check the path")
    if path.is_dir():
        return Corpus(path.name, lambda: _read_folder(path))
    reader = _reader_for(path)
    if reader is None:
        raise UserError("unknown kind of corpus file", value=str(spec), allowed=_ALLOWED)
    return Corpus(path.name, lambda: reader(path))


def _reader_for(path: Path) -> Callable[[Path], Iterator[Document]] | None:
    name = path.name.lower()
    if name.endswith((".jsonl", ".jsonl.gz", ".jsonl.xz")):
        return _read_jsonl
    if name.endswith(_TEXT_SUFFIXES):
        return _read_text
    return _read_parquet if name.endswith(".parquet") else None


def _read_folder(folder: Path) -> Iterator[Document]:
    """Every readable file below the folder, sorted by path; hidden files are left out; ids start with the path."""
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        reader = _reader_for(path)
        if reader is None or any(part.startswith(".") for part in inside.parts) or not path.is_file():
            continue
        for document in reader(path):
            name = str(inside) if reader is _read_text else f"{inside}:{document.id}"
            yield Document(name, document.text, document.source, document.meta)


def _read_text(path: Path) -> Iterator[Document]:
    yield Document(path.name, "".join(line for _, line in _lines(path)))


def _read_jsonl(path: Path) -> Iterator[Document]:
    for number, line in _lines(path):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            why = getattr(error, "msg", "nested too deeply")
            raise UserError(f"line {number} of {str(path)!r} is not JSON ({why})", value=line[:60]) from error
        yield _from_record(record, number, path)


def _from_record(record: Any, number: int, path: Path) -> Document:
    if not isinstance(record, dict) or not isinstance(record.get("text"), str):
        found = sorted(map(str, record))[:12] if isinstance(record, dict) else type(record).__name__
        raise UserError(
            f"line {number} of {str(path)!r} has no field `text` that holds a string",
            value=found,
            allowed='{"text": "...", "id": "..."}',
        )
    rest = {key: value for key, value in record.items() if key not in ("id", "text", "source")}
    return Document(str(record.get("id", number)), record["text"], str(record.get("source", "")), rest)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """(number, text) of each line, decoded as UTF-8; a byte-order mark at the start is dropped."""
    offset = 0
    try:
        with _open_bytes(path) as handle:
            number = 0
            while raw := handle.readline(LINE_LIMIT + 1):
                number += 1
                if len(raw) > LINE_LIMIT:
                    raise UserError(
                        f"line {number} of {str(path)!r} is longer than {LINE_LIMIT >> 20} MiB",
                        fix="Cut the text into documents first",
                    )
                yield number, _decode(raw, path, number, offset)
                offset += len(raw)
    except (EOFError, lzma.LZMAError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(
            "the compressed file is damaged or cut off", value=str(path), fix=f"{error}. Fetch it again"
        ) from error
    except OSError as error:
        raise UserError("cannot read the corpus", value=str(path), fix=error.strerror or str(error)) from error


def _decode(raw: bytes, path: Path, number: int, offset: int) -> str:
    if offset == 0 and raw.startswith(b"\xef\xbb\xbf"):
        raw, offset = raw[3:], 3
    nul = raw.find(b"\0")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        bad, what = error.start, "is not UTF-8"
    else:
        if nul < 0:
            return text
        bad, what = nul, "is binary (it has a NUL byte)"
    if 0 <= nul < bad:
        bad, what = nul, "is binary (it has a NUL byte)"
    raise UserError(
        f"{str(path)!r} {what}: byte {offset + bad}, line {number}",
        allowed="text in UTF-8",
        fix="Convert it, for example with iconv",
    )


def _open_bytes(path: Path) -> BinaryIO:
    if path.suffix.lower() == ".gz":
        return cast(BinaryIO, gzip.open(path, "rb"))
    if path.suffix.lower() == ".xz":
        return cast(BinaryIO, lzma.open(path, "rb"))
    return open(path, "rb")


def _read_parquet(path: Path) -> Iterator[Document]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise UserError(
            "Parquet needs the package pyarrow", value=str(path), fix="Install pyarrow, or give JSONL"
        ) from error
    try:
        with pq.ParquetFile(path) as table:
            columns = table.schema_arrow.names
            if "text" not in columns:
                raise UserError(
                    f"{str(path)!r} has no column `text`", value=columns, fix="Rename the column that holds the text"
                )
            kind = table.schema_arrow.field("text").type
            if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
                raise UserError(f"the column `text` of {str(path)!r} does not hold strings", value=str(kind))
            wanted = [name for name in ("id", "text", "source") if name in columns]
            row = 0
            for batch in table.iter_batches(batch_size=1024, columns=wanted):
                for record in batch.to_pylist():
                    row += 1
                    if record["text"] is not None:
                        name = record.get("id")
                        yield Document(
                            str(row if name is None else name), record["text"], str(record.get("source") or "")
                        )
    except (pa.ArrowException, OSError) as error:
        raise UserError("not a readable Parquet file", value=str(path), fix=str(error).splitlines()[0]) from error
