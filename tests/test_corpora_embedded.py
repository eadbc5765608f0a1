"""The packaged corpus is what its datasheet says, small enough to ship, and clean."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from pathlib import Path

import pytest

from glossator.corpora import group_by_shared_runs, make_windows, open_corpus, sources

ROOT = Path(__file__).resolve().parent.parent
DATASHEET = (ROOT / "docs" / "datasheet.md").read_text(encoding="utf-8")
NOTICE = (sources._EMBEDDED_FILE.parent / "NOTICE").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def documents():
    return list(open_corpus("embedded").documents())


def table(pattern: str) -> dict[str, list[int]]:
    rows = re.findall(pattern, DATASHEET, re.MULTILINE)
    return {name: [int(number.replace(",", "")) for number in numbers] for name, *numbers in rows}


def test_the_file_is_the_one_the_datasheet_describes():
    data = sources._EMBEDDED_FILE.read_bytes()
    assert len(data) <= 4_000_000
    assert hashlib.sha256(data).hexdigest() in DATASHEET


def test_document_counts_agree_with_the_datasheet(documents):
    said = {name: counts[0] for name, counts in table(r"^\| `([\w-]+)` \|.*\| ([\d,]+) \| ([\d,]+) \|.*%").items()}
    assert Counter(document.source for document in documents) == said
    assert f"{len(documents):,} documents" in DATASHEET


def test_the_tables_add_up():
    total = int(re.search(r"([\d,]+) tokens of the SmolLM2", DATASHEET)[1].replace(",", ""))
    by_source = table(r"^\| `([\w-]+)` \|.*\| ([\d,]+) \| ([\d,]+) \|.*%")
    by_kind = table(r"^\| `([\w*-]+)`[^|]*\| ([\d,]+) \| [\d.]+ % \|$")
    assert total >= 1_000_000
    assert sum(counts[1] for counts in by_source.values()) == total == sum(counts[0] for counts in by_kind.values())
    assert max(counts[1] for counts in by_source.values()) < 0.25 * total


def test_every_source_has_its_notice(documents):
    for source in {document.source for document in documents}:
        assert re.search(rf"^{re.escape(source)}\b", NOTICE, re.MULTILINE), source


def test_documents_are_distinct_texts_of_readable_length(documents):
    assert (
        len({document.id for document in documents}) == len({document.text for document in documents}) == len(documents)
    )
    assert all(60 <= len(document.text) <= 6400 for document in documents)
    assert all(document.meta["kind"] for document in documents)


@pytest.mark.weights
def test_tokens_and_independence_with_the_real_tokenizer(documents, smollm2):
    tokens = smollm2.tokenizer.encode([document.text for document in documents])
    total = int(re.search(r"([\d,]+) tokens of the SmolLM2", DATASHEET)[1].replace(",", ""))
    assert sum(map(len, tokens)) == total
    assert len(set(group_by_shared_runs(tokens).tolist())) == len(documents)


@pytest.mark.weights
def test_windows_of_the_embedded_corpus_with_the_real_tokenizer(smollm2):
    windowed = make_windows(open_corpus("embedded"), smollm2.tokenizer, 64, max_tokens=65_536, seed=0)
    assert 65_536 - 64 < windowed.windows.lengths.sum() <= 65_536
    assert windowed.spec["largest_group_share"] < 0.02
    assert abs(windowed.spec["shares"]["test"] - 0.3) < 0.02
