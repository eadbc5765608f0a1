"""Corpora are read the same from every kind of file, and bad input is one clear error."""

from __future__ import annotations

import gzip
import json
import lzma
from pathlib import Path

import pytest

from glossator.corpora import Document, open_corpus, sources
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
    monkeypatch.setattr(sources, "LINE_LIMIT", 1 << 20)
    path = tmp_path / "a.txt"
    path.write_bytes(b"short\n" + b"x" * (1 << 20))
    assert len(texts_of(path)[0]) == 6 + (1 << 20)
    path.write_bytes(b"short\n" + b"x" * ((1 << 20) + 1))
    refused(path, "line 2", "longer than 1 MiB")


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        (b"{not json", ("line 2", "not JSON")),
        (b"[" * 200_000, ("line 2", "not JSON")),
        (b'{"body": "x"}', ("line 2", "`text`", "body")),
        (b'{"text": 3}', ("line 2", "`text`")),
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
    refused(path, "damaged or cut off")
    path.write_bytes(b"not compressed at all")
    refused(path, "damaged or cut off")


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
