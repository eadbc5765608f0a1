"""N-grams are slices of the texts, within documents, counted exactly; words are cut sensibly in any script."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glossator.corpora import Document, open_corpus
from glossator.corpora.ngrams import counting as ngrams_table
from glossator.corpora.ngrams.extract import NgramSpec, extract_ngrams
from glossator.corpora.ngrams.words import folded, is_mark, words
from glossator.errors import UserError

PIECES = st.sampled_from(
    [
        *[
            "the",
            "The",
            "cat",
            "don't",
            "don’t",
            "cafe\u0301",
            "café",
            "3.14",
            "U.S.",
            "a-b",
            ",",
            ".",
            "(",
            "...",
            "#",
        ],
        *["%", "私は", "हिन्दी", "ß", "SS", "😀", "👩\u200d👧", "\u200b", "_x", "é", "\u0301", "'", "İ", "\x07"],
    ]
)
SPACES = st.sampled_from([" ", "", "\n", "\n\n", "  ", "\t", "\u3000", "\r\n"])
TEXTS = st.lists(st.tuples(PIECES, SPACES), min_size=1, max_size=14).map(lambda ps: "".join(a + b for a, b in ps))
CORPORA = st.lists(TEXTS | st.text(max_size=20), min_size=1, max_size=6)
SPECS = st.builds(
    NgramSpec,
    n=st.integers(1, 4),
    min_count=st.integers(1, 2),
    fold_case=st.booleans(),
    punctuation=st.sampled_from(["alone", "within", "none"]),
)


def by_hand(texts: list[str], spec: NgramSpec) -> dict[tuple[str, ...], dict[str, object]]:
    """{folded words and gaps: spellings, documents}: the definition, written as a loop."""
    found: dict[tuple[str, ...], dict[str, object]] = defaultdict(lambda: {"spellings": Counter(), "documents": set()})
    for number, text in enumerate(texts):
        spans = words(text)
        for first in range(len(spans)):
            for length in range(1, min(spec.n, len(spans) - first) + 1):
                part = spans[first : first + length]
                tokens = [text[a:b] for a, b in part]
                gaps = [text[part[i][1] : part[i + 1][0]] for i in range(length - 1)]
                marks = [is_mark(token) for token in tokens]
                if spec.punctuation == "none" and any(marks):
                    continue
                if spec.punctuation == "alone" and length > 1 and any(marks):
                    continue
                if any(ngrams_table._EMPTY_LINE.search(gap) for gap in gaps):
                    continue
                key = tuple(folded(token, spec.fold_case) for token in tokens) + tuple(
                    " " if any(c.isspace() for c in gap) else "" for gap in gaps
                )
                found[key]["spellings"][text[part[0][0] : part[-1][1]]] += 1  # type: ignore[index]
                found[key]["documents"].add(number)  # type: ignore[attr-defined]
    return found


def check_against_hand(texts: list[str], spec: NgramSpec) -> None:
    texts = [text for text in texts if text.strip()]
    expected = {k: v for k, v in by_hand(texts, spec).items() if sum(v["spellings"].values()) >= spec.min_count}
    if not texts or not expected:
        with pytest.raises(UserError):
            extract_ngrams(texts, spec)
        return
    got = extract_ngrams(texts, spec)
    assert len(got) == len(expected)
    assert Counter(zip(got.counts.tolist(), got.document_counts.tolist(), strict=True)) == Counter(
        (sum(v["spellings"].values()), len(v["documents"])) for v in expected.values()
    )
    spelled = defaultdict(list)  # one word "3.14" and the two words "3.1" and "4" are spelled alike
    for entry in expected.values():
        for spelling, count in entry["spellings"].items():
            if count == max(entry["spellings"].values()):
                spelled[spelling].append((sum(entry["spellings"].values()), len(entry["documents"])))
    for row, text in enumerate(got.texts):
        assert texts[got.documents[row]][got.starts[row] : got.ends[row]] == text
        assert (got.counts[row], got.document_counts[row]) in spelled[text]


@settings(deadline=None, max_examples=200)
@given(CORPORA, SPECS)
def test_counts_are_those_of_the_definition(texts: list[str], spec: NgramSpec) -> None:
    check_against_hand(texts, spec)


@settings(deadline=None, max_examples=60)
@given(CORPORA, SPECS, st.integers(1, 12))
def test_a_small_table_changes_nothing(texts: list[str], spec: NgramSpec, rows: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ngrams_table, "TABLE_ROWS", rows)
        patch.setattr(ngrams_table, "_BLOCK_CHARACTERS", 10)
        check_against_hand(texts, spec)


def test_a_small_table_takes_more_passes_and_holds_less(monkeypatch: pytest.MonkeyPatch) -> None:
    documents = [Document(str(i), f"w{i} x{i % 7} y{i % 5} z") for i in range(400)]
    passes, largest = 0, 0

    def read():
        nonlocal passes
        passes += 1
        return iter(documents)

    from glossator.corpora.documents import Corpus

    whole = extract_ngrams(Corpus("c", read), NgramSpec(min_count=2))
    assert passes == 2
    monkeypatch.setattr(ngrams_table, "TABLE_ROWS", 300)
    monkeypatch.setattr(ngrams_table, "_BLOCK_CHARACTERS", 100)
    merge = ngrams_table._Counter._merge

    def watched(self: ngrams_table._Counter) -> None:
        nonlocal largest
        merge(self)
        largest = max(largest, len(self._table.key))

    monkeypatch.setattr(ngrams_table._Counter, "_merge", watched)
    passes = 0
    split = extract_ngrams(Corpus("c", read), NgramSpec(min_count=2))
    assert passes > 4 and largest <= 300
    assert split.texts == whole.texts and split.fingerprint == whole.fingerprint
    assert np.array_equal(split.keys, whole.keys)


@settings(deadline=None, max_examples=100)
@given(CORPORA, SPECS)
def test_locate_finds_every_occurrence_and_no_other(texts: list[str], spec: NgramSpec) -> None:
    texts = [text for text in texts if text.strip()]
    try:
        ngrams = extract_ngrams(texts, spec)
    except UserError:
        return
    counts = np.zeros(len(ngrams), np.int64)
    for text in texts:
        rows, starts, ends = ngrams.locate(text)
        counts += np.bincount(rows, minlength=len(ngrams))
        assert (np.diff(starts) >= 0).all() and (starts < ends).all()
    assert np.array_equal(counts, ngrams.counts)
    assert len(ngrams.locate("zzzz qqqq")[0]) == 0


@settings(deadline=None, max_examples=200)
@given(TEXTS | st.text(max_size=40))
def test_words_leave_out_only_what_cannot_be_seen(text: str) -> None:
    spans = words(text)
    assert all(a < b for a, b in spans) and all(x[1] <= y[0] for x, y in pairwise(spans))
    covered = np.zeros(len(text), dtype=bool)
    for a, b in spans:
        assert not text[a].isspace() and not text[b - 1].isspace()
        covered[a:b] = True
    for character, inside in zip(text, covered, strict=True):
        if not inside:
            assert character.isspace() or unicodedata.category(character) in ("Cf", "Cc", "Mn", "Cs")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don't panic: it's 3.14%!", ["Don't", "panic", ":", "it's", "3.14", "%", "!"]),
        ("the dogs’ well-known bone -- so", ["the", "dogs", "’", "well-known", "bone", "--", "so"]),
        ("The U.S. won, e.g. 1,000.50 at 12:30.", ["The", "U.S.", "won", ",", "e.g.", "1,000.50", "at", "12:30", "."]),
        ("wait... what?!", ["wait", "...", "what", "?", "!"]),
        ("私はコンピュータ。", ["私", "は", "コンピュータ", "。"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("cafe\u0301s, naïve", ["cafe\u0301s", ",", "naïve"]),
        ("#tag @me AT&T snake_case C++", ["#", "tag", "@", "me", "AT", "&", "T", "snake_case", "C", "++"]),
        ("hi👩\u200d👩\u200d👧!👍🏽🇫🇷🇩🇪", ["hi", "👩\u200d👩\u200d👧", "!", "👍🏽", "🇫🇷", "🇩🇪"]),
        ("می\u200cخواهم بروم", ["می\u200cخواهم", "بروم"]),
        ("a\u200bb \ufeffc", ["a", "b", "c"]),
        ("3rd x2 2x4", ["3rd", "x2", "2x4"]),
        ("", []),
    ],
)
def test_words(text: str, expected: list[str]) -> None:
    assert [text[a:b] for a, b in words(text)] == expected


def test_documents_and_empty_lines_are_borders_and_spelling_is_kept() -> None:
    ngrams = extract_ngrams(["New\n York don't", "sleep\n\nwell"], NgramSpec(n=2))
    assert ngrams.texts == ("New", "New\n York", "York", "York don't", "don't", "sleep", "well")
    assert ngrams.corpus_words == 5 and ngrams.corpus_documents == 2


def test_punctuation() -> None:
    def texts(way: str) -> tuple[str, ...]:
        return extract_ngrams(["Yes, we (all) do."], NgramSpec(n=2, punctuation=way)).texts

    assert texts("alone") == ("Yes", ",", "we", "(", "all", ")", "do", ".")
    assert texts("none") == ("Yes", "we", "all", "do")
    assert texts("within") == (
        "Yes", "Yes,", ",", ", we", "we", "we (", "(", "(all", "all", "all)", ")", ") do", "do", "do.", "."
    )  # fmt: skip


def test_spellings_count_together_and_the_commonest_is_shown() -> None:
    apart = extract_ngrams(["The cat", "the cat, the cat"], NgramSpec(n=2))
    together = extract_ngrams(["The cat", "the cat, the cat"], NgramSpec(n=2, fold_case=True))
    assert dict(zip(apart.texts, apart.counts.tolist(), strict=True))["The cat"] == 1
    row = together.texts.index("the cat")
    assert "The cat" not in together.texts
    assert together.counts[row] == 3 and together.document_counts[row] == 2
    assert together.texts[0] == "the" and together.documents[0] == 1  # shown where that spelling first stands


def test_minimum_frequency_most_and_choices_of_rows() -> None:
    texts = ["a b a b a", "b c"]
    assert extract_ngrams(texts, NgramSpec(n=2, min_count=2)).texts == ("a", "a b", "b", "b a")
    assert extract_ngrams(texts, NgramSpec(n=2, most=2)).texts == ("a", "b")
    ngrams = extract_ngrams(texts, NgramSpec(n=2))
    assert ngrams.without(r"\ba\b").texts == ("b", "b c", "c")
    some = ngrams.take(np.array([2, 0]))
    assert some.texts == (ngrams.texts[2], ngrams.texts[0]) and some.fingerprint != ngrams.fingerprint
    assert some.locate("b a")[0].tolist() == [some.texts.index("b"), some.texts.index("a")]


def test_any_iterable_and_any_corpus_give_the_same() -> None:
    texts = ["one two", "two three"]
    expected = extract_ngrams(texts)
    assert extract_ngrams(text for text in texts).fingerprint == expected.fingerprint
    assert extract_ngrams(open_corpus(texts)).fingerprint == expected.fingerprint
    assert extract_ngrams([Document("x", texts[0]), texts[1]]).fingerprint == expected.fingerprint


def test_the_embedded_corpus_has_the_same_ngrams_every_time() -> None:
    texts = [document.text for document in open_corpus("embedded").documents()][::80]
    one, other = extract_ngrams(texts), extract_ngrams(texts)
    assert one.texts == other.texts and np.array_equal(one.keys, other.keys)
    assert len(set(one.texts)) == len(one.texts) > 5000


@pytest.mark.parametrize(
    "wrong", [{"n": 0}, {"n": 99}, {"min_count": 0}, {"punctuation": "all"}, {"most": 0}], ids=lambda w: next(iter(w))
)
def test_settings_that_make_no_sense(wrong: dict[str, object]) -> None:
    with pytest.raises(UserError):
        NgramSpec(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("texts", [[], [" \n"], ["only once"]])
def test_a_corpus_without_ngrams(texts: list[str]) -> None:
    with pytest.raises(UserError):
        extract_ngrams(texts, NgramSpec(min_count=2))
