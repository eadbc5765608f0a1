"""Units, excerpts, explanations and scores as Parquet tables, for data frames and other languages.

    units.parquet  excerpts.parquet  explanations.parquet  scores.parquet

A folder with `units.parquet` and `excerpts.parquet` is read back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from glossator.errors import UserError
from glossator.files import replacing
from glossator.formats.base import OfUnit, Said, SourceOfUnits, excerpt, index_of, number_or_none, text_of

FORMAT = "parquet"
UNITS, EXCERPTS, EXPLANATIONS, SCORES = "units", "excerpts", "explanations", "scores"
SUBJECT = b"glossator.subject"
AT_ONCE = 10_000
COLUMNS: dict[str, dict[str, str]] = {
    UNITS: {
        "site": "string", "index": "int64", "polarity": "string", "status": "string", "density": "double",
        "promoted": "list<string>", "promoted_values": "list<double>", "suppressed": "list<string>",
        "suppressed_values": "list<double>",
    },
    EXCERPTS: {
        "site": "string", "index": "int64", "polarity": "string", "kind": "string", "low": "double", "high": "double",
        "share": "double", "tokens": "list<string>", "values": "list<float>",
    },
    EXPLANATIONS: {
        "site": "string", "index": "int64", "polarity": "string", "method": "string", "rank": "int64", "text": "string",
        "headline": "string", "program": "string", "model": "string", "score": "double", "score_name": "string",
    },
    SCORES: {
        "site": "string", "index": "int64", "polarity": "string", "method": "string", "name": "string",
        "column": "string", "value": "double", "low": "double", "high": "double", "n": "int64", "measure": "string",
        "reason": "string", "baselines": "map<string, double>",
    },
}  # fmt: skip


def is_parquet(folder: Path) -> bool:
    return (folder / f"{UNITS}.parquet").is_file()


def write(folder: Path, subject: str, tables: Mapping[str, Iterable[Mapping[str, Any]]]) -> None:
    """Write the rows of each table in `COLUMNS`, a part of them in memory at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {
        "string": pa.string(), "int64": pa.int64(), "double": pa.float64(), "list<string>": pa.list_(pa.string()),
        "list<double>": pa.list_(pa.float64()), "list<float>": pa.list_(pa.float32()),
        "map<string, double>": pa.map_(pa.string(), pa.float64()),
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in tables.items():
        schema = pa.schema(
            [(column, kinds[kind]) for column, kind in COLUMNS[name].items()], {SUBJECT: subject.encode()}
        )
        with (
            replacing(folder / f"{name}.parquet") as temporary,
            pq.ParquetWriter(temporary, schema, compression="zstd") as writer,
        ):
            for some in _batches(rows):
                columns = {column: [row.get(column) for row in some] for column in COLUMNS[name]}
                writer.write_table(pa.table(columns, schema))


def read(folder: Path) -> SourceOfUnits:
    """What `write` has written, with excerpts and explanations as far as their tables are there."""
    subject, units = _table(folder, UNITS)
    excerpts, said = dict[tuple[str, int], list[Any]](), dict[tuple[str, int], list[Said]]()
    for number, row in enumerate(_table(folder, EXCERPTS)[1]):
        where = f"{folder / EXCERPTS}.parquet, row {number + 1}"
        if row.get("polarity") not in (None, "+"):
            continue
        kind = row.get("kind") if row.get("kind") in ("top", "interval", "random") else "top"
        more = {name: number_or_none(row.get(name), where) for name in ("low", "high", "share")}
        excerpts.setdefault(_key(row, where), []).append(
            excerpt(row.get("tokens"), row.get("values"), where, kind=kind, **more)
        )
    for number, row in enumerate(_table(folder, EXPLANATIONS, optional=True)[1]):
        where = f"{folder / EXPLANATIONS}.parquet, row {number + 1}"
        if row.get("polarity") in (None, "+"):
            score = number_or_none(row.get("score"), where)
            one = Said(
                text_of(row, "text", where),
                row.get("method") or "",
                row.get("model"),
                score,
                row.get("score_name") or "",
            )
            said.setdefault(_key(row, where), []).append(one)
    found = []
    for number, row in enumerate(units):
        where = f"{folder / UNITS}.parquet, row {number + 1}"
        if row.get("polarity") not in (None, "+"):
            continue
        key = _key(row, where)
        found.append(OfUnit(
            *key, tuple(excerpts.get(key, ())), tuple(said.get(key, ())), number_or_none(row.get("density"), where),
            _logits(row, "promoted"), _logits(row, "suppressed"),
        ))  # fmt: skip
    if not found:
        raise UserError("no unit in this folder", value=str(folder))
    return SourceOfUnits(subject, FORMAT, tuple(found))


def _logits(row: Mapping[str, Any], name: str) -> tuple[tuple[str, float], ...]:
    columns = [row.get(of) or [] for of in (name, f"{name}_values")]
    if not all(isinstance(column, list) for column in columns):
        raise UserError(f"{name} is not a list of tokens with their logits", value=f"unit {row.get('index')}")
    return tuple(zip(*columns, strict=False))


def _key(row: Mapping[str, Any], where: str) -> tuple[str, int]:
    return text_of(dict(row), "site", where), index_of(row.get("index"), where)


def _table(folder: Path, name: str, optional: bool = False) -> tuple[str, list[dict[str, Any]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / f"{name}.parquet"
    if optional and not path.exists():
        return "", []
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise UserError("the table cannot be read", value=str(path), fix=str(error)) from error
    subject = (table.schema.metadata or {}).get(SUBJECT, b"imported").decode("utf-8", "replace")
    rows: list[dict[str, Any]] = table.to_pylist()
    return subject, rows


def excerpt_rows(unit: OfUnit, polarity: str) -> Iterator[dict[str, Any]]:
    """The rows of a unit's excerpts."""
    for one in unit.excerpts:
        yield {
            "site": unit.site, "index": unit.index, "polarity": polarity, "kind": one.kind, "low": one.low,
            "high": one.high, "share": one.share, "tokens": [*one.tokens], "values": np.asarray(one.values).tolist(),
        }  # fmt: skip


def _batches(rows: Iterable[Mapping[str, Any]]) -> Iterator[Sequence[Mapping[str, Any]]]:
    some: list[Mapping[str, Any]] = []
    for row in rows:
        some.append(row)
        if len(some) == AT_ONCE:
            yield some
            some = []
    yield some
