"""Windows never cross a document, repeats are kept once, and the same seed gives the same windows."""

from __future__ import annotations

import numpy as np
import pytest

from glossator.corpora import Document, make_windows, open_corpus
from glossator.errors import UserError
from glossator.evidence import SPLITS
from glossator.inputs.tokens import Vocabulary


class Letters:
    """One token a character."""

    vocabulary = Vocabulary("letters", tuple(bytes([i]) for i in range(128)))

    def encode(self, texts):
        return [np.frombuffer(text.encode("ascii"), np.uint8).astype(np.int32) for text in texts]


def random_texts(n, seed=0, low=5, high=300):
    rng = np.random.default_rng(seed)
    return ["".join(rng.choice(list("abcdefghijklmnop"), rng.integers(low, high))) for _ in range(n)]


def test_windows_are_the_documents_cut_in_order():
    texts = random_texts(60)
    windowed = make_windows(open_corpus(texts), Letters(), 32, min_length=8, seed=5)
    found: dict[str, str] = {}
    for row in range(len(windowed.windows)):
        name = windowed.group_ids[windowed.windows.documents[row]]
        found[name] = found.get(name, "") + windowed.windows.text(row)
    wanted = {
        str(i): text[: len(text) // 32 * 32 + (len(text) % 32 if len(text) % 32 >= 8 else 0)]
        for i, text in enumerate(texts)
    }
    assert found == {name: text for name, text in wanted.items() if text}


def test_shapes_and_padding():
    windows = make_windows(open_corpus(random_texts(40)), Letters(), 20).windows
    assert windows.tokens.dtype == np.int32 and windows.tokens.shape == (len(windows), 20)
    assert (windows.valid == (np.arange(20) < windows.lengths[:, None])).all()
    assert (windows.tokens[~windows.valid] == 0).all() and (windows.lengths >= 8).all()
    assert windows.ids.tolist() == list(range(len(windows)))
    assert (np.diff(windows.documents) >= 0).all()


def test_repeated_windows_are_kept_once_and_repeated_documents_leave():
    texts = random_texts(30, low=64, high=65)
    windowed = make_windows(open_corpus(texts + texts), Letters(), 32)
    assert len(windowed.windows) == 60 and len(windowed.group_ids) == 30
    assert len({row.tobytes() for row in windowed.windows.tokens}) == 60


def test_a_short_window_is_no_repeat_of_its_zero_padded_twin():
    texts = ["\0" * 4 + "abcd", "\0" * 4 + "abcd\0\0", *random_texts(10)]
    windowed = make_windows(open_corpus([Document(str(i), t) for i, t in enumerate(texts)]), Letters(), 16)
    assert {"0", "1"} <= set(windowed.group_ids)


@pytest.mark.parametrize("limit", [32, 100, 1000, 3000])
def test_max_tokens_is_reached_and_not_passed(limit):
    windowed = make_windows(open_corpus(random_texts(200)), Letters(), 16, max_tokens=limit, fractions=(1, 0, 0, 0))
    assert limit - 16 < windowed.windows.lengths.sum() <= limit
    assert windowed.spec["tokens"] == windowed.windows.lengths.sum()


def test_max_tokens_takes_the_first_documents_of_the_full_order():
    corpus = open_corpus(random_texts(100))
    few, everything = (make_windows(corpus, Letters(), 16, max_tokens=m, seed=2) for m in (2000, None))
    assert (few.windows.tokens == everything.windows.tokens[: len(few.windows)]).all()
    more = make_windows(corpus, Letters(), 16, max_tokens=10**9, seed=2)
    assert (more.windows.tokens == everything.windows.tokens).all()


def test_the_same_seed_gives_the_same_windows_and_splits():
    corpus = open_corpus(random_texts(100))
    a, b, c = (make_windows(corpus, Letters(), 16, max_tokens=5000, seed=seed) for seed in (1, 1, 2))
    assert (a.windows.tokens == b.windows.tokens).all() and (a.split_of_group == b.split_of_group).all()
    assert a.spec == b.spec and a.fingerprint == b.fingerprint != c.fingerprint
    assert a.group_ids != c.group_ids


def test_all_splits_have_their_share():
    windowed = make_windows(open_corpus(random_texts(400)), Letters(), 32)
    assert windowed.split_of_input.shape == (len(windowed.windows),)
    for split, wanted in zip(SPLITS, (0.5, 0.1, 0.1, 0.3), strict=True):
        assert abs(windowed.spec["shares"][split] - wanted) < 0.02


@pytest.mark.parametrize(
    ("settings", "part"),
    [
        ({"width": 4}, "window settings"),
        ({"width": 32, "min_length": 0}, "window settings"),
        ({"width": 32, "max_tokens": 31}, "max_tokens"),
        ({"width": 32, "fractions": (0.5, 0.5)}, "fractions"),
        ({"width": 32, "fractions": (0.5, 0.5, 0.5, -0.5)}, "fractions"),
    ],
)
def test_senseless_settings_are_refused(settings, part):
    with pytest.raises(UserError, match=part):
        make_windows(open_corpus(random_texts(10)), Letters(), **settings)


def test_a_corpus_that_cannot_be_split_or_cut_is_refused():
    with pytest.raises(UserError, match="cannot be split"):
        make_windows(open_corpus(random_texts(1, low=200)), Letters(), 32)
    with pytest.raises(UserError, match="no window"):
        make_windows(open_corpus(["abc", "def"]), Letters(), 32)
