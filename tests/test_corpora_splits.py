"""No run of 24 tokens stands on both sides of a split: checked by brute force on small random corpora."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glossator.corpora import assign_splits, group_by_shared_runs, make_windows, open_corpus
from glossator.corpora.splits import shared_beginnings
from glossator.errors import UserError
from glossator.evidence import SPLITS
from glossator.inputs.tokens import Vocabulary


class Letters:
    """One token a character, so that tests can plant shared runs exactly."""

    vocabulary = Vocabulary("letters", tuple(bytes([i]) for i in range(128)))

    def encode(self, texts):
        return [np.frombuffer(text.encode("ascii"), np.uint8).astype(np.int32) for text in texts]


def runs(tokens, run):
    return {tuple(tokens[i : i + run]) for i in range(len(tokens) - run + 1)}


def brute_groups(documents, run):
    sets, label = [runs(d, run) for d in documents], list(range(len(documents)))
    for a, b in itertools.combinations(range(len(documents)), 2):
        if sets[a] & sets[b] and label[a] != label[b]:
            low, high = sorted((label[a], label[b]))
            label = [low if x == high else x for x in label]
    return label


@pytest.mark.parametrize("n", range(4, 13))
def test_every_split_has_a_group_where_there_are_enough(n):
    for seed in range(20):
        sizes = np.random.default_rng(seed).integers(100, 3000, n)
        splits = assign_splits(np.arange(n), sizes, [f"d{i}" for i in range(n)], (0.5, 0.1, 0.1, 0.3), seed)
        assert set(splits.tolist()) == {0, 1, 2, 3}
    assert set(assign_splits(np.arange(n), sizes, [f"d{i}" for i in range(n)], (0.5, 0, 0, 0.5), 0).tolist()) == {0, 3}


documents_of_few_letters = st.lists(st.lists(st.integers(0, 2), max_size=30), min_size=1, max_size=8)


@settings(deadline=None, max_examples=200)
@given(documents_of_few_letters, st.integers(1, 9))
def test_groups_agree_with_brute_force(documents, run):
    arrays = [np.array(d, dtype=np.int32) for d in documents]
    assert group_by_shared_runs(arrays, run).tolist() == brute_groups(documents, run)


@st.composite
def corpora_that_share_text(draw):
    """Random documents into which runs of 10 to 40 letters of the others are pasted, some of them chained."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    texts = ["".join(rng.choice(list("abcdefgh"), rng.integers(30, 120))) for _ in range(draw(st.integers(12, 30)))]
    for _ in range(draw(st.integers(0, 12))):
        giver, taker = rng.integers(0, len(texts), 2)
        start, size = rng.integers(0, len(texts[giver])), rng.integers(10, 40)
        place = rng.integers(0, len(texts[taker]))
        texts[taker] = texts[taker][:place] + texts[giver][start : start + size] + texts[taker][place:]
    return texts


@settings(deadline=None, max_examples=60)
@given(corpora_that_share_text(), st.integers(0, 2**32))
def test_no_shared_run_across_splits(texts, seed):
    if len(set(brute_groups([*map(list, texts)], 24))) < 5:
        with pytest.raises(UserError, match="cannot be split"):
            make_windows(open_corpus(texts[:2]), Letters(), 32, seed=seed)
        return
    windowed = make_windows(open_corpus(texts), Letters(), 32, seed=seed)
    assert_no_run_crosses(windowed)


def assert_no_run_crosses(windowed):
    """No run of 24 tokens of the windows of one split, set side by side again, stands in those of another."""
    of_split = [set() for _ in SPLITS]
    for row, split in enumerate(windowed.split_of_group):
        mine = windowed.windows.documents == row
        of_split[split] |= runs(windowed.windows.tokens[mine][windowed.windows.valid[mine]].tolist(), 24)
    for a, b in itertools.combinations(of_split, 2):
        assert not a & b


def brute_beginnings(documents, run):
    def same(a, b):
        return len(list(itertools.takewhile(lambda pair: pair[0] == pair[1], zip(a, b, strict=False))))

    most = [max((same(d, e) for e in documents[:i]), default=0) for i, d in enumerate(documents)]
    return [n if n >= run else 0 for n in most]


@settings(deadline=None, max_examples=200)
@given(st.lists(st.lists(st.integers(0, 1), max_size=12), min_size=1, max_size=9), st.integers(1, 5))
def test_shared_beginnings_agree_with_brute_force(documents, run):
    arrays = [np.array(d, dtype=np.int32) for d in documents]
    assert shared_beginnings(arrays, run).tolist() == brute_beginnings(documents, run)


@pytest.mark.parametrize("length", [30, 64, 100, 700])
def test_texts_that_share_a_system_prompt_are_not_one_group(length):
    rng = np.random.default_rng(0)

    def text(size):
        return "".join(rng.choice(list("abcdefghij"), size))

    prompt, own = text(length), [text(rng.integers(40, 150)) for _ in range(60)]
    own[7], own[8] = own[3], own[4][:30] + "!" + own[4][31:]  # a repeat, and one with another letter in its midst
    windowed = make_windows(open_corpus([prompt + text for text in own]), Letters(), 32)
    assert windowed.spec["groups"] >= 57
    assert windowed.spec["largest_group_share"] < 0.15
    assert windowed.spec["shared_beginnings"]["documents"] == 59
    assert "7" not in windowed.group_ids
    split = dict(zip(windowed.group_ids, windowed.split_of_group.tolist(), strict=True))
    assert split["4"] == split["8"]
    assert_no_run_crosses(windowed)
    assert any("begin as an earlier one does: 59" in note for note in windowed.notes)


def test_23_shared_tokens_do_not_join_and_24_do():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 1000, 60), rng.integers(1000, 2000, 60)
    b[10:33] = a[30:53]
    assert group_by_shared_runs([a, b]).tolist() == [0, 1]
    b[33] = a[53]
    assert group_by_shared_runs([a, b]).tolist() == [0, 0]


def test_shares_are_close_to_the_fractions_and_depend_on_the_seed():
    rng = np.random.default_rng(1)
    sizes = rng.integers(50, 600, 2000)
    names = [str(i) for i in range(2000)]
    fractions = (0.5, 0.1, 0.1, 0.3)
    first = assign_splits(np.arange(2000), sizes, names, fractions, 0)
    shares = np.bincount(first, weights=sizes, minlength=4) / sizes.sum()
    np.testing.assert_allclose(shares, fractions, atol=0.002)
    assert (first == assign_splits(np.arange(2000), sizes, names, fractions, 0)).all()
    assert 0.2 < (first == assign_splits(np.arange(2000), sizes, names, fractions, 1)).mean() < 0.6


def test_one_giant_group_does_not_ruin_the_shares():
    groups = np.concatenate([np.zeros(300, int), np.arange(300, 1000)])
    splits = assign_splits(groups, np.full(1000, 100), [str(i) for i in range(1000)], (0.5, 0.1, 0.1, 0.3), 3)
    assert len(set(splits[:300])) == 1
    np.testing.assert_allclose(np.bincount(splits, minlength=4) / 1000, (0.5, 0.1, 0.1, 0.3), atol=0.01)


def test_a_split_with_fraction_zero_stays_empty():
    splits = assign_splits(np.arange(50), np.full(50, 10), [str(i) for i in range(50)], (0.5, 0, 0, 0.5), 0)
    assert np.bincount(splits, minlength=4).tolist() == [25, 0, 0, 25]


@pytest.mark.slow
def test_a_million_tokens_are_grouped_in_seconds():
    rng = np.random.default_rng(0)
    documents = [rng.integers(0, 49152, 400).astype(np.int32) for _ in range(2500)]
    started = time.perf_counter()
    assert len(np.unique(group_by_shared_runs(documents))) == 2500
    assert time.perf_counter() - started < 10
