"""Labelled texts: a column of texts and one of labels, the embedded corpus by what its documents are, or mail."""

from __future__ import annotations

import csv
import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from glossator.corpora.sources import open_corpus
from glossator.corpora.spam_assassin import spam_assassin
from glossator.corpora.splits import group_by_most_runs
from glossator.errors import UserError
from glossator.files import digest_of

EMBEDDED = ("embedded:kind", "embedded:source")
MAIL = "spam-assassin"
LEAST = 10
"""Texts of a label, or it is left out."""
RUN = 8
"""Texts of which one has half of the other's runs of so many words are alike."""


@dataclass(frozen=True, eq=False)
class LabelledTexts:
    """texts; labels int64 (n,): numbers of `names`, the labels in alphabetical order; groups int64 (n,): texts that
    stay on one side of a split, since they are alike or have the same value of a column; left_out: labels that too
    few texts have, with how many."""

    texts: tuple[str, ...]
    labels: np.ndarray
    names: tuple[str, ...]
    groups: np.ndarray
    left_out: Mapping[str, int]

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def content(self) -> str:
        """32 hexadecimal digits that change with the texts, their labels and groups."""
        return digest_of("\0".join(self.texts), "\0".join(self.names), self.labels, self.groups)


def open_labelled(
    source: str | Path,
    *,
    text: str = "text",
    label: str = "label",
    group: str | None = None,
    most: int | None = None,
    seed: int = 0,
) -> LabelledTexts:
    """Read JSON lines, CSV, TSV or Parquet; `embedded:kind` and `embedded:source`; `spam-assassin`.

    text, label, group: columns; most: texts of a label, drawn by the seed where there are more. Raises `UserError` for
    a missing column, and for fewer than two labels with at least `LEAST` texts. Rows without a text or a label are left
    out; one without a group is a group of its own.
    """
    named = str(source).startswith("embedded")
    if str(source) == MAIL:
        rows = [(text, label, _alike(group)) for text, label, group in spam_assassin()]
    else:
        rows = list(_embedded(str(source)) if named else _read(Path(source), text, label, group))
    counts = Counter(name for _, name, _ in rows)
    names = tuple(sorted(name for name, count in counts.items() if count >= LEAST))
    if len(names) < 2:
        raise UserError(
            f"fewer than two labels have {LEAST} texts or more",
            value=", ".join(f"{name} {count}" for name, count in counts.most_common(6)) or "no rows",
            fix="Choose another column with --label-column",
        )
    kept = [row for row in rows if counts[row[1]] >= LEAST]
    rng = np.random.default_rng([seed, 7])
    chosen = [
        place
        for name in names
        for place in rng.permutation([i for i, row in enumerate(kept) if row[1] == name])[:most].tolist()
    ]
    some = [kept[place] for place in sorted(chosen)]
    texts = tuple(row[0] for row in some)
    return LabelledTexts(
        texts,
        np.array([names.index(row[1]) for row in some], np.int64),
        names,
        _groups(texts, [row[2] for row in some]),
        {name: count for name, count in sorted(counts.items()) if count < LEAST},
    )


def _groups(texts: tuple[str, ...], keys: list[str]) -> np.ndarray:
    """A number for each text, the same for what shares a key or is alike."""
    number: dict[str, int] = {}
    words = [
        np.array([number.setdefault(word, len(number)) for word in text.lower().split()], np.int64) for text in texts
    ]
    alike, place = group_by_most_runs(words, RUN), {key: i for i, key in reversed(list(enumerate(keys)))}
    same = [place[key] for key in keys]
    exactly: dict[str, int] = {}
    copies = [exactly.setdefault(_alike(text), row) for row, text in enumerate(texts)]
    rows, n = np.arange(len(texts)), len(texts)
    links = (np.concatenate([rows, rows, rows]), np.concatenate([alike, same, copies]))
    graph = coo_array((np.ones(3 * n), links), shape=(n, n))
    return np.asarray(connected_components(graph, directed=False)[1], np.int64)


Row = tuple[str, str, str]
"""Text, label, group."""


def _embedded(source: str) -> Iterator[Row]:
    if source not in EMBEDDED:
        raise UserError("no such labels of the embedded corpus", value=source, allowed=", ".join(EMBEDDED))
    for document in open_corpus("embedded").documents():
        name = document.meta["kind"] if source == EMBEDDED[0] else document.source
        yield document.text, str(name), _alike(document.text)


def _read(path: Path, text: str, label: str, group: str | None) -> Iterator[Row]:
    if not path.is_file():
        raise UserError(
            "no such file of labelled texts", value=str(path), allowed=f"a file, {', '.join(EMBEDDED)}, or {MAIL}"
        )
    reader = {".jsonl": _json_lines, ".csv": _table, ".tsv": _table, ".parquet": _parquet}.get(path.suffix)
    if reader is None:
        raise UserError("unknown kind of file", value=path.name, allowed=".jsonl, .csv, .tsv, .parquet")
    for number, record in enumerate(reader(path), start=1):
        for name in (text, label, *([group] if group else [])):
            if name not in record:
                known = ", ".join(map(str, record)) or "none"
                raise UserError(f"row {number} of {path.name} has no column of this name", value=name, allowed=known)
        content, name = _written(record[text]), _written(record[label])
        together = _written(record[group]) if group else ""
        if content and name:
            yield content, name, f"={together}" if together else _alike(content)


def _written(value: Any) -> str:
    """A value of a table as it is written, also as a number of a column that has gaps; empty where it is missing."""
    if value is None or value != value or isinstance(value, list | dict):
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return "" if not str(value).strip() else str(value)


def _json_lines(path: Path) -> Iterator[dict[str, Any]]:
    number = 0
    with path.open(encoding="utf-8-sig") as lines:
        try:
            for line in lines:
                number += 1
                if line.strip():
                    record = json.loads(line)
                    if not isinstance(record, dict):
                        raise ValueError("no object")
                    yield record
        except (ValueError, RecursionError) as error:
            raise UserError(f"line {number} of {path.name} is no JSON object", value=str(error)[:80]) from error


def _table(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        try:
            yield from csv.DictReader(file, delimiter="\t" if path.suffix == ".tsv" else ",")
        except (csv.Error, UnicodeDecodeError) as error:
            raise UserError("the table cannot be read", value=path.name, fix=str(error)) from error


def _parquet(path: Path) -> Iterator[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as table:
            for batch in table.iter_batches(batch_size=1024):
                yield from batch.to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise UserError("the Parquet file cannot be read", value=path.name, fix=str(error)) from error


def _alike(text: str) -> str:
    return hashlib.sha256(" ".join(text.lower().split()).encode("utf-8", "replace")).hexdigest()
