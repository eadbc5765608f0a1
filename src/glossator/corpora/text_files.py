"""Documents of text files: JSON lines, CSV, TSV, paragraphs; plain or compressed. Errors name file and place."""

from __future__ import annotations

import bz2
import csv
import gzip
import json
import lzma
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from glossator.corpora.documents import Document
from glossator.errors import UserError

LINE_LIMIT = 64 << 20
COMPRESSED = (".gz", ".xz", ".bz2", ".zst")


def whole(path: Path, column: str) -> Iterator[Document]:
    """The file as one document."""
    yield Document(path.name, "".join(line for _, line in lines(path)))


def paragraphs(path: Path, column: str) -> Iterator[Document]:
    """One document a paragraph, which ends at a blank line; each line is one where the file has no blank line."""
    by_line = not _has_blank_line(path)
    begin, part = 0, list[str]()
    for number, line in lines(path):
        if line.strip():
            begin = begin if part else number
            part.append(line)
        if part and (by_line or not line.strip()):
            yield Document(str(begin), "".join(part).strip("\r\n"))
            part = []
    if part:
        yield Document(str(begin), "".join(part).strip("\r\n"))


def _has_blank_line(path: Path) -> bool:
    """Whether a blank line stands between two others."""
    state = 0
    for _, line in lines(path):
        if bool(line.strip()) == (state != 1):
            state += 1
        if state == 3:
            return True
    return False


def json_lines(path: Path, column: str) -> Iterator[Document | None]:
    for number, line in lines(path):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except RecursionError as error:
            raise _no_json(path, number, line, "nested too deeply") from error
        except ValueError as error:
            raise _no_json(path, number, line, getattr(error, "msg", str(error))) from error
        if not isinstance(record, dict) or column not in record:
            found = sorted(map(str, record))[:12] if isinstance(record, dict) else type(record).__name__
            raise UserError(
                f"line {number} of {str(path)!r} has no field `{column}` that holds a string",
                value=found,
                allowed=f'{{"{column}": "...", "id": "..."}}, or another field with --text-column',
            )
        yield from_record(record, column, str(number), f"line {number} of {str(path)!r}")


def _no_json(path: Path, number: int, line: str, why: str) -> UserError:
    return UserError(f"line {number} of {str(path)!r} is not JSON ({why})", value=line[:60])


def from_record(record: dict[str, Any], column: str, name: str, where: str) -> Document | None:
    """A document from a record with an optional `id` and `source`; None if its text is null."""
    text = record[column]
    if text is None:
        return None
    if not isinstance(text, str):
        raise UserError(f"`{column}` holds no string in {where}", value=type(text).__name__, allowed="a string or null")
    given = record.get("id")
    rest = {key: value for key, value in record.items() if key not in ("id", column, "source")}
    return Document(name if given is None else str(given), text, str(record.get("source") or ""), rest)


def comma_separated(path: Path, column: str) -> Iterator[Document | None]:
    return _table(path, column, ",")


def tab_separated(path: Path, column: str) -> Iterator[Document | None]:
    return _table(path, column, "\t")


def _table(path: Path, column: str, delimiter: str) -> Iterator[Document | None]:
    """Rows below a line of column names; a text may hold line breaks within double quotes."""
    csv.field_size_limit(max(csv.field_size_limit(), LINE_LIMIT))
    rows = csv.reader((line for _, line in lines(path)), delimiter=delimiter, strict=True)
    head: list[str] | None = None
    try:
        for cells in rows:
            if not cells:
                continue
            if head is None:
                head = [cell.strip() for cell in cells]
                require_column(head, column, path)
                continue
            if len(cells) != len(head):
                raise UserError(
                    f"line {rows.line_num} of {str(path)!r} has {len(cells)} cells, its first line {len(head)}",
                    value=delimiter.join(cells)[:60],
                    fix="Put double quotes around texts that hold commas, tabs or line breaks",
                )
            record = dict(zip(head, cells, strict=True))
            yield from_record(record, column, str(rows.line_num), f"line {rows.line_num} of {str(path)!r}")
    except csv.Error as error:
        raise UserError(
            f"line {rows.line_num} of {str(path)!r} is not a table row ({error})",
            fix='Put double quotes around texts, and write "" for a quote within them',
        ) from error


def require_column(known: list[str], column: str, path: Path | str) -> None:
    if column not in known:
        raise UserError(
            f"{str(path)!r} has no column `{column}`", value=known[:24], fix="Name the one with the text: --text-column"
        )


def lines(path: Path) -> Iterator[tuple[int, str]]:
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
        raise _damaged(path, error) from error
    except OSError as error:
        if path.suffix.lower() in COMPRESSED and error.errno is None:
            raise _damaged(path, error) from error
        raise UserError("cannot read the corpus", value=str(path), fix=error.strerror or str(error)) from error


def _damaged(path: Path, error: Exception) -> UserError:
    return UserError("the compressed file is damaged or truncated", value=str(path), fix=f"{error}. Fetch it again")


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
    ending = path.suffix.lower()
    if ending == ".gz":
        return cast(BinaryIO, gzip.open(path, "rb"))
    if ending == ".xz":
        return cast(BinaryIO, lzma.open(path, "rb"))
    if ending == ".bz2":
        return cast(BinaryIO, bz2.open(path, "rb"))
    if ending == ".zst":
        import io

        import pyarrow as pa

        # It reads in blocks, and pyarrow's own errors are those of a file that cannot be read.
        return cast(BinaryIO, io.BufferedReader(pa.input_stream(str(path), compression="zstd"), 1 << 20))
    return open(path, "rb")
