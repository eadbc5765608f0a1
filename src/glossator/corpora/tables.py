"""Documents of Parquet and Arrow files, such as `datasets` writes with `save_to_disk`, and of objects with columns."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from glossator.corpora.documents import Document
from glossator.corpora.text_files import from_record, require_column
from glossator.errors import UserError

STATE = "state.json"
"""Lists the Arrow files of a folder that `Dataset.save_to_disk` wrote, in their order."""
_BATCH = 1024


def parquet(path: Path, column: str) -> Iterator[Document | None]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as table:
            wanted = _wanted(table.schema_arrow, column, path)
            yield from _documents(table.iter_batches(batch_size=_BATCH, columns=wanted), column, path)
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, "Parquet", error) from error


def arrow(path: Path, column: str) -> Iterator[Document | None]:
    """An Arrow file, written as a stream (as `datasets` does) or as a file."""
    import pyarrow as pa

    try:
        with pa.memory_map(str(path)) as source:
            if source.read(6) == b"ARROW1":
                file = pa.ipc.open_file(source)
                batches: Iterable[Any] = (file.get_batch(i) for i in range(file.num_record_batches))
                schema = file.schema
            else:
                source.seek(0)
                batches = stream = pa.ipc.open_stream(source)
                schema = stream.schema
            wanted = _wanted(schema, column, path)
            small = (b.slice(i, _BATCH).select(wanted) for b in batches for i in range(0, b.num_rows, _BATCH))
            yield from _documents(small, column, path)
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, "Arrow", error) from error


def saved_files(folder: Path) -> list[Path] | None:
    """The Arrow files of a folder that `Dataset.save_to_disk` wrote; None if it is none."""
    state = folder / STATE
    if not state.is_file():
        return None
    try:
        names = [entry["filename"] for entry in json.loads(state.read_text("utf-8"))["_data_files"]]
        found = [folder / Path(name).name for name in names]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError("the folder's state.json is damaged", value=str(state), fix="Save the dataset again") from error
    if missing := [path.name for path in found if not path.is_file()]:
        raise UserError("a file of the saved dataset is missing", value=missing[0], fix=f"Look in {folder}")
    return found


def _wanted(schema: Any, column: str, path: Path) -> list[str]:
    """The columns to read; `UserError` when there is no such column of strings, or two of one name."""
    import pyarrow as pa

    names = schema.names
    require_column(names, column, path)
    if names.count(column) > 1:
        raise UserError(f"{str(path)!r} has several columns `{column}`", fix="Rename all but one")
    kind = schema.field(column).type
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    if not any(is_text(kind) for is_text in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)):
        raise UserError(f"the column `{column}` of {str(path)!r} does not hold strings", value=str(kind))
    return [column, *(name for name in ("id", "source") if names.count(name) == 1 and name != column)]


def _documents(batches: Iterable[Any], column: str, path: Path) -> Iterator[Document | None]:
    import pyarrow as pa

    row = 0
    for batch in batches:
        try:
            batch.validate(full=True)  # else damaged offsets are followed to anywhere in memory
        except pa.ArrowInvalid as error:
            if "UTF8" not in str(error):
                raise
            raise UserError(
                f"{str(path)!r} is not UTF-8 within its rows {row + 1} to {row + batch.num_rows}",
                value=str(error).splitlines()[0],
                allowed="text in UTF-8",
                fix="Repair the text where it was written",
            ) from error
        for record in batch.to_pylist():
            row += 1
            yield from_record(record, column, str(row), f"row {row} of {str(path)!r}")


def _unreadable(path: Path, kind: str, error: Exception) -> UserError:
    return UserError(f"not a readable {kind} file", value=str(path), fix=(str(error).splitlines() or [""])[0])


def from_objects(given: Any, column: str) -> Iterator[Document | None]:
    """Documents of a Python object: texts, documents, records or None in any iterable; a mapping from names to texts;
    anything with columns (`datasets`, pandas, polars, pyarrow), or a mapping from names of splits to such."""
    if isinstance(given, Mapping) and given and all(isinstance(value, str) for value in given.values()):
        yield from (Document(str(name), text) for name, text in given.items())
    elif isinstance(given, Mapping) and given and all(has_columns(value) for value in given.values()):
        for split, value in given.items():
            for document in from_objects(value, column):
                yield document and Document(f"{split}:{document.id}", document.text, document.source, document.meta)
    elif isinstance(given, Mapping) or has_columns(given):
        names = list(given) if isinstance(given, Mapping) else _columns(given)
        require_column([str(name) for name in names], column, type(given).__name__)
        wanted = [column, *(name for name in ("id", "source") if name in names and name != column)]
        columns = [_values(given[name]) for name in wanted]
        if len({len(values) for values in columns}) > 1:
            raise UserError("the corpus has columns of different lengths", value=wanted)
        for number, row in enumerate(zip(*columns, strict=True)):
            yield _from_item(dict(zip(wanted, row, strict=True)), number, column)
    else:
        yield from (_from_item(item, number, column) for number, item in enumerate(given))


def has_columns(given: Any) -> bool:
    """Whether the object is a table that knows the names of its columns."""
    return not isinstance(given, Mapping) and bool(_columns(given))


def _columns(given: Any) -> list[str]:
    names = getattr(given, "column_names", None)
    names = getattr(given, "columns", None) if names is None else names
    named = list(names) if isinstance(names, Iterable) and not isinstance(names, str) else []
    return named if all(isinstance(name, str) for name in named) else []


def _values(column: Any) -> list[Any]:
    read = getattr(column, "to_pylist", None) or getattr(column, "tolist", None)
    return list(column) if read is None else list(read())


def _from_item(item: Any, number: int, column: str) -> Document | None:
    where = f"item {number} of the corpus"
    if isinstance(item, Document):
        return item
    if isinstance(item, str):
        return Document(str(number), str(item))
    if isinstance(item, Mapping):
        if column not in item:
            raise UserError(f"{where} has no `{column}`", value=sorted(map(str, item))[:12], fix="Name text_column=")
        text = None if _is_missing(item[column]) else item[column]
        return from_record({**item, column: text}, column, str(number), where)
    if _is_missing(item):
        return None
    raise UserError(f"{where} is no text", value=type(item).__name__, allowed="str, a dict with a text, or Document")


def _is_missing(value: Any) -> bool:
    """None, or what pandas writes for it."""
    return value is None or type(value).__name__ == "NAType" or (isinstance(value, float) and value != value)
