"""Corpora are read the same from every kind of file, and bad input is one clear error."""

from __future__ import annotations

import gzip
import json
import lzma
from pathlib import Path

import pytest

from glossator.corpora import Document, open_corpus, text_files
from glossator.errors import UserError

TEXTS = ["One text.", "Zwei Sätze. Und noch einer.", "三つ目\nの文"]


def texts_of(spec) -> list[str]:
    return [document.text for document in open_corpus(spec).documents()]


def write_jsonl(path: Path, records: list) -> Path:
    data = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records).encode()
    opener = {".gz": gzip.open, ".xz": lzma.open}.get(path.suffix, open)
    with opener(path, "wb") as handle:
        handle.write(data)
    return path


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.jsonl.xz"])
def test_jsonl_plain_and_compressed(tmp_path, name):
    path = write_jsonl(tmp_path / name, [{"text": text, "id": i, "kind": "x"} for i, text in enumerate(TEXTS)])
    documents = list(open_corpus(path).documents())
    assert [d.text for d in documents] == TEXTS
    assert [d.id for d in documents] == ["0", "1", "2"]
    assert documents[0].meta == {"kind": "x"}


def test_every_kind_of_file_gives_the_same_texts(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"text": [*TEXTS, None], "n": [1, 2, 3, 4]}), tmp_path / "a.parquet")
    folder = tmp_path / "folder"
    (folder / "deep").mkdir(parents=True)
    (folder / "1.txt").write_text(TEXTS[0], encoding="utf-8")
    (folder / "2.md").write_bytes(b"\xef\xbb\xbf" + TEXTS[1].encode())
    (folder / "deep" / "3.txt").write_text(TEXTS[2], encoding="utf-8")
    (folder / ".hidden.txt").write_text("hidden", encoding="utf-8")
    (folder / "picture.png").write_bytes(b"\x89PNG\0\0")
    assert texts_of(tmp_path / "a.parquet") == texts_of(folder) == texts_of(TEXTS) == TEXTS
    assert [d.id for d in open_corpus(folder).documents()] == ["1.txt", "2.md", "deep/3.txt"]


def test_an_iterator_is_read_once_and_kept():
    corpus = open_corpus(Document(str(i), text) for i, text in enumerate(TEXTS))
    assert [d.text for d in corpus.documents()] == [d.text for d in corpus.documents()] == TEXTS


def test_the_fingerprint_follows_the_content(tmp_path):
    as_file = open_corpus(write_jsonl(tmp_path / "a.jsonl", [{"text": t, "id": str(i)} for i, t in enumerate(TEXTS)]))
    assert as_file.fingerprint == open_corpus(TEXTS).fingerprint
    assert as_file.fingerprint != open_corpus(TEXTS[::-1]).fingerprint
    assert open_corpus(["ab", "c"]).fingerprint != open_corpus(["a", "bc"]).fingerprint


def test_blank_documents_are_left_out():
    assert texts_of(["  \n", "x", ""]) == ["x"]


def refused(spec, *parts: str) -> None:
    with pytest.raises(UserError) as caught:
        texts_of(spec)
    for part in parts:
        assert part in str(caught.value)


def test_missing_path_and_unknown_kind(tmp_path):
    refused(str(tmp_path / "no.jsonl"), "no such corpus", "no.jsonl", "embedded")
    (tmp_path / "a.docx").write_bytes(b"x")
    refused(tmp_path / "a.docx", "unknown kind", ".jsonl")
    refused([3], "item 0", "int")


def test_empty_corpora(tmp_path):
    (tmp_path / "empty.txt").write_bytes(b"")
    refused(tmp_path / "empty.txt", "no text")
    (tmp_path / "folder").mkdir()
    refused(tmp_path / "folder", "no text")
    refused(write_jsonl(tmp_path / "blank.jsonl", [{"text": " "}]), "no text")
    refused([], "no text")


def test_binary_and_badly_encoded_files_name_the_byte(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"fine\nnot\0fine")
    refused(path, "binary", "byte 8", "line 2")
    path.write_bytes(b"fine\ncaf\xe9 bar")
    refused(path, "not UTF-8", "byte 8", "line 2")
    path.write_bytes(b"\xef\xbb\xbfab\xff")
    refused(path, "not UTF-8", "byte 5")
    path.write_bytes(b"a\xff\0")
    refused(path, "not UTF-8", "byte 1")


def test_a_huge_line(tmp_path, monkeypatch):
    monkeypatch.setattr(text_files, "LINE_LIMIT", 1 << 20)
    path = tmp_path / "a.txt"
    path.write_bytes(b"short\n" + b"x" * (1 << 20))
    assert [len(text) for text in texts_of(path)] == [5, 1 << 20]
    path.write_bytes(b"short\n" + b"x" * ((1 << 20) + 1))
    refused(path, "line 2", "longer than 1 MiB")


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        (b"{not json", ("line 2", "not JSON")),
        (b"[" * 200_000, ("line 2", "not JSON")),
        (b'{"body": "x"}', ("line 2", "`text`", "body")),
        (b'{"text": 3}', ("line 2", "`text` holds no string", "int")),
        (b"[1]", ("line 2", "`text`", "list")),
        (b'{"text": "a\\ud800b"}', ("surrogate", "character 1")),
    ],
)
def test_bad_lines_of_jsonl_name_their_number(tmp_path, line, parts):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "fine"}\n' + line + b"\n")
    refused(path, *parts)


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.jsonl.xz"])
def test_truncated_compressed_files(tmp_path, name):
    path = write_jsonl(tmp_path / name, [{"text": str(i) * 50} for i in range(2000)])
    path.write_bytes(path.read_bytes()[:-20])
    refused(path, "damaged or truncated")
    path.write_bytes(b"not compressed at all")
    refused(path, "damaged or truncated")


def test_bad_parquet(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"body": ["x"], "n": [1]}), path)
    refused(path, "no column `text`", "body")
    pq.write_table(pa.table({"text": [1]}), path)
    refused(path, "does not hold strings", "int64")
    path.write_bytes(b"PAR1 and nothing else")
    refused(path, "not a readable Parquet file")


def test_a_text_file_is_cut_into_paragraphs_or_into_lines(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("\n\nOne\ntwo.\n \t\n\nThree.\n\n", encoding="utf-8")
    assert [(d.id, d.text) for d in open_corpus(path).documents()] == [("3", "One\ntwo."), ("7", "Three.")]
    path.write_bytes(b"One\r\ntwo.\r\n\r\nThree.")
    assert texts_of(path) == ["One\r\ntwo.", "Three."]
    path.write_text("One.\nTwo.\n\n")
    assert texts_of(path) == ["One.", "Two."]


TABLE = 'id,body,n\na,"One, ""two""\nthree",1\nb,,2\nc,Four,3\n'


def test_tables_of_text_with_a_named_column(tmp_path):
    (tmp_path / "a.csv").write_text(TABLE)
    (tmp_path / "a.tsv").write_text("n\tbody\n1\tOne, two\n\n2\tFour\n")
    found = list(open_corpus(tmp_path / "a.csv", "body").documents())
    assert [(d.id, d.text, d.meta) for d in found] == [
        ("a", 'One, "two"\nthree', {"n": "1"}),
        ("c", "Four", {"n": "3"}),
    ]
    assert [d.text for d in open_corpus(tmp_path / "a.tsv", "body").documents()] == ["One, two", "Four"]
    refused(tmp_path / "a.csv", "no column `text`", "body", "--text-column")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("text,n\nfine,1\none, two,1\n", ("line 3", "3 cells", "double quotes")),
        ('text\nfine\n"never closed\n', ("line 3", "not a table row")),
        ('text\n"a" b\n', ("line 2", "not a table row")),
        ("", ("no text",)),
        ("text\n", ("no text",)),
    ],
)
def test_bad_tables_name_the_line(tmp_path, text, parts):
    (tmp_path / "a.csv").write_text(text)
    refused(tmp_path / "a.csv", *parts)


@pytest.mark.parametrize("ending", [".gz", ".xz", ".bz2", ".zst"])
def test_compressed_text_and_tables(tmp_path, ending):
    import pyarrow as pa

    path = tmp_path / f"a.csv{ending}"
    codec = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}.get(ending)
    data = ("text\n" + "\n".join(f"text number {i}" for i in range(5000))).encode()
    if codec is None:
        path.write_bytes(lzma.compress(data))
    else:
        with pa.output_stream(str(path), compression=codec) as out:
            out.write(data)
    assert len(texts_of(path)) == 5000
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    refused(path, "damaged or truncated")
    path.write_bytes(b"\x00 not compressed at all" + whole)
    refused(path, "damaged or truncated")


def saved(folder: Path, tables: list) -> Path:
    """A folder as `Dataset.save_to_disk` writes it: Arrow streams, and state.json with their order."""
    import pyarrow as pa

    folder.mkdir(parents=True)
    names = [f"data-{i:05d}-of-{len(tables):05d}.arrow" for i in range(len(tables))]
    for name, table in zip(names, tables, strict=True):
        with pa.OSFile(str(folder / name), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": name} for name in names[::-1]]}))
    (folder / "dataset_info.json").write_text("{}")
    return folder


def test_datasets_saved_to_disk(tmp_path):
    import pyarrow as pa

    tables = [pa.table({"text": [text, None], "n": [1, 2]}) for text in TEXTS]
    one = saved(tmp_path / "one", tables)
    (one / "cache-0123.arrow").write_bytes(b"left behind")
    assert texts_of(one) == TEXTS[::-1]
    saved(tmp_path / "both" / "train", tables[:2])
    saved(tmp_path / "both" / "test", tables[2:])
    corpus = open_corpus(tmp_path / "both")
    assert [d.text for d in corpus.documents()] == [TEXTS[2], TEXTS[1], TEXTS[0]]
    assert corpus.left_out == {"null": 3}
    (one / "data-00001-of-00003.arrow").unlink()
    refused(one, "missing", "data-00001")
    (one / "state.json").write_text("{")
    refused(one, "state.json is damaged")


@pytest.mark.parametrize("kind", ["string", "large_string", "string_view", "dictionary"])
def test_arrow_files_of_every_kind_of_string(tmp_path, kind):
    import pyarrow as pa

    types = {"string": pa.string(), "large_string": pa.large_string(), "string_view": pa.string_view()}
    column = pa.array(TEXTS, types.get(kind, pa.string()))
    table = pa.table({"text": column.dictionary_encode() if kind == "dictionary" else column})
    with pa.OSFile(str(tmp_path / "a.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    assert texts_of(tmp_path / "a.arrow") == TEXTS


class Frame:
    """A table as pandas and polars have them: iterating gives the names of columns."""

    def __init__(self, **columns):
        self._columns = columns
        self.columns = list(columns)

    def __iter__(self):
        return iter(self.columns)

    def __getitem__(self, name):
        return self._columns[name]


def test_python_objects():
    import numpy as np
    import pyarrow as pa

    named = [{"body": t, "id": f"x{i}"} for i, t in enumerate(TEXTS)]
    columns = {"body": TEXTS, "id": ["x0", "x1", "x2"]}
    for given in (named, iter(named), columns, pa.table(columns), Frame(**columns), Frame(**columns, n=np.arange(3))):
        found = list(open_corpus(given, "body").documents())
        assert [(d.id, d.text) for d in found] == [("x0", TEXTS[0]), ("x1", TEXTS[1]), ("x2", TEXTS[2])]
    for given in (TEXTS, tuple(TEXTS), np.array(TEXTS), iter(TEXTS), dict(enumerate(TEXTS)), open_corpus(TEXTS)):
        assert texts_of(given) == TEXTS
    splits = {"train": Frame(text=TEXTS[:2]), "test": Frame(text=TEXTS[2:])}
    assert [d.id for d in open_corpus(splits).documents()] == ["train:0", "train:1", "test:0"]


def test_rows_without_text_are_counted(tmp_path):
    missing = [None, {"text": None}, {"text": float("nan")}, "x", " ", {"text": ""}]
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in ({"text": "x"}, {"text": None}, {"text": " "})))
    for corpus, expected in ((open_corpus(missing), (3, 2)), (open_corpus(path), (1, 1))):
        assert [d.text for d in corpus.documents()] == ["x"]
        assert corpus.left_out == dict(zip(("null", "blank"), expected, strict=True)) == corpus.left_out
        assert f"left out because their text is null: {expected[0]}." in "\n".join(corpus.notes)
    refused([None, ""], "no text", "1 blank, 1 null")


@pytest.mark.parametrize(
    ("given", "parts"),
    [
        ([{"body": "x"}], ("item 0", "no `text`", "body")),
        ([{"text": 3}], ("`text` holds no string", "int")),
        ([b"x"], ("item 0", "bytes")),
        (3, ("not text", "int")),
        ({"text": ["a", "b"], "id": ["x"]}, ("different lengths",)),
        (Frame(body=["x"]), ("no column `text`", "body")),
        ({}, ("no column `text`",)),
    ],
)
def test_bad_python_objects(given, parts):
    refused(given, *parts)


def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path):
    import os

    os.mkfifo(tmp_path / "pipe.txt")
    refused(tmp_path / "pipe.txt", "pipe or a device")
    refused(tmp_path, "pipe or a device", "pipe.txt")
    refused("/dev/zero", "pipe or a device")
    (tmp_path / "pipe.txt").unlink()
    (tmp_path / "gone.txt").symlink_to(tmp_path / "nowhere")
    refused(tmp_path, "broken link", "gone.txt")
    refused(tmp_path / ("x" * 300 + ".txt"), "cannot read the corpus")
    refused("a\0b.txt", "cannot read the corpus")


def test_folders_that_hold_themselves_are_read_once(tmp_path):
    (tmp_path / "a.txt").write_text("one text")
    (tmp_path / "again").symlink_to(tmp_path)
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "up").symlink_to(tmp_path)
    assert texts_of(tmp_path) == ["one text"]
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert texts_of(tmp_path) == ["one text"]


def test_unreadable_folders_are_not_left_out_in_silence(tmp_path, monkeypatch):
    import os

    (tmp_path / "a.txt").write_text("one text")
    (tmp_path / "closed").mkdir()
    scan = os.scandir

    def refusing(folder):
        if Path(folder).name == "closed":  # root, who runs tests, may read everything
            raise PermissionError(13, "Permission denied")
        return scan(folder)

    monkeypatch.setattr(os, "scandir", refusing)
    refused(tmp_path, "cannot read a folder", "closed", "Permission denied")


def test_names_that_are_not_utf8_are_written_out(tmp_path):
    import os

    with open(os.fsencode(tmp_path) + b"/caf\xe9.txt", "w") as out:
        out.write("one text")
    assert [d.id for d in open_corpus(tmp_path).documents()] == ["caf\\udce9.txt"]
    (tmp_path / "a.jsonl").write_text('{"text": "x", "id": "a\\ud800"}')
    assert [d.id for d in open_corpus(tmp_path / "a.jsonl").documents()] == ["a\\ud800"]


def test_bytes_in_parquet_and_arrow_that_are_not_utf8(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    bad = pa.array([b"fine", b"caf\xe9"]).view(pa.string())
    pq.write_table(pa.table({"text": bad}), tmp_path / "a.parquet")
    refused(tmp_path / "a.parquet", "not UTF-8", "rows 1 to 2", "index 1")


def test_pickles_are_not_opened(tmp_path):
    import pickle

    class Runs:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    for name in ("a.pkl", "a.jsonl", "a.parquet", "a.arrow", "a.csv", "a.txt"):
        path = tmp_path / name
        path.write_bytes(pickle.dumps(Runs()))
        refused(path)
    assert not (tmp_path / "ran").exists()


def test_numbers_too_long_for_json(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "x", "n": ' + "1" * 5000 + "}")
    refused(tmp_path / "a.jsonl", "line 1", "not JSON", "4300")
