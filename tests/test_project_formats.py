"""The file formats that the document describes are the ones that are written."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from glossator.programs.parser import _READERS
from glossator.recording import record, recording_spec
from glossator.recording.opening import FORMAT as RECORDING_FORMAT
from glossator.store.database import DATABASE
from glossator.store.schema import INDICES, create
from glossator.store.study import FORMAT as STUDY_FORMAT
from recording_fakes import FakeSubject, fake_windows

FORMATS = (Path(__file__).resolve().parent.parent / "docs" / "formats.md").read_text()
TYPES = {"int8", "int16", "uint8", "int32", "uint32", "int64", "float16", "float32", "float64", "bool"}


def section(title: str) -> str:
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", FORMATS, re.DOTALL | re.MULTILINE)
    assert found, f"docs/formats.md has no section {title}"
    return found[1]


def rows(text: str) -> list[list[str]]:
    """The cells of a table's rows, without its head."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of a dense and a sparse site in which no panel holds all windows, so that every file has content."""
    subject, windowed = FakeSubject(), fake_windows()
    spec = recording_spec(subject, windowed, ["mlp.0", "relu.0"], top_k=5, panel_windows=20)
    target = tmp_path_factory.mktemp("formats") / "recording"
    record(spec, subject, windowed, target)
    return target


def test_the_files_of_a_recording_are_those_described(folder: Path) -> None:
    described = {
        name
        for row in rows(section("Recording folder"))
        for name in re.findall(r"`([\w/.-]+)`", row[0])
        if "only where" not in row[-1]
    }
    written = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert {re.sub(r"sparse-\d+", "sparse-N", name) for name in written} == described


def test_the_arrays_of_a_recording_have_the_described_types(folder: Path) -> None:
    checked = 0
    for row in rows(section("Recording folder")):
        if "only where" in row[-1]:
            continue
        names = re.findall(r"`([\w/.-]+\.npy)`", row[0])
        types = [word for word in re.findall(r"\w+", row[1]) if word in TYPES]
        assert len(types) == len(names), row
        for name, kind in zip(names, types, strict=True):
            assert np.load(folder / name.replace("sparse-N", "sparse-0")).dtype == kind, name
            checked += 1
    assert checked > 15


@pytest.fixture(scope="module")
def tables() -> dict[str, list[str]]:
    """{table: its columns} of an empty study."""
    connection = sqlite3.connect(":memory:")
    create(connection)
    connection.executescript(INDICES)
    names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    own = [name for name in names if not re.match(r"explanation_text_|sqlite_", name)]
    return {name: [row[1] for row in connection.execute(f"PRAGMA table_info({name})")] for name in own}


def test_the_tables_of_a_study_are_those_described(tables: dict[str, list[str]]) -> None:
    text = section("Study folder").partition("### Tables")[2]
    described = {row[0].strip("`"): re.findall(r"`(\w+)`", row[2].partition(";")[0]) for row in rows(text)}
    assert described == tables


def test_the_query_in_the_document_is_valid() -> None:
    connection = sqlite3.connect(":memory:")
    create(connection)
    for query in re.findall(r"```sql\n(.*?)```", FORMATS, re.DOTALL):
        assert connection.execute(query).fetchall() == []


def test_formats_are_named_by_their_version() -> None:
    assert f"`{RECORDING_FORMAT}`" in section("Recording folder")
    assert f"`{STUDY_FORMAT}`" in section("Study folder")
    assert f"`{DATABASE}`" in section("Study folder")


def test_every_test_of_the_language_is_described() -> None:
    documents = Path(__file__).resolve().parent.parent / "docs"
    language = (documents / "programs.md").read_text() + (documents / "image-programs.md").read_text()
    assert [name for name in _READERS if not re.search(rf"`{name}\(", language)] == []
