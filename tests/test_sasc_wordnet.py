"""The packaged WordNet: forms to words, words to meanings, meanings to what is above and below them."""

from __future__ import annotations

from pathlib import Path

import pytest

from glossator.corpora.wordnet import FILE, WordNet, load_wordnet
from glossator.errors import UserError


@pytest.fixture(scope="module")
def wordnet() -> WordNet:
    return load_wordnet()


def test_the_file_is_small_and_common_words_are_in_it(wordnet: WordNet) -> None:
    assert FILE.stat().st_size < 2.5e6
    assert (FILE.parent / "NOTICE.wordnet").read_text().count("Princeton University") >= 3
    assert [w for w in ("dog", "freedom", "run", "happy", "climate change", "Paris") if w not in wordnet] == []


@pytest.mark.parametrize(
    ("form", "lemma"),
    [("wolves", "wolf"), ("ran", "run"), ("stopped", "stop"), ("children", "child"), ("parties", "party"),
     ("taxes", "tax"), ("feet", "foot"), ("swimming", "swimming"), ("news", "news"), ("qqq", "qqq")],
)  # fmt: skip
def test_forms_have_lemmas(wordnet: WordNet, form: str, lemma: str) -> None:
    assert wordnet.base(form) == lemma


def test_inflections(wordnet: WordNet) -> None:
    assert {"child", "children"} <= set(wordnet.forms("child")) and "childs" not in wordnet.forms("child")
    assert {"take off", "took off", "taking off"} <= set(wordnet.forms("take off"))
    assert not [form for form in wordnet.forms("take off") if "pains" in form]
    assert {"climate change", "climate changes"} <= set(wordnet.forms("climate change"))


def test_above_and_below(wordnet: WordNet) -> None:
    dog = wordnet.meanings("dog")[0]
    animal = wordnet.meanings("animal")[0]
    above = wordnet.above(dog.number)
    assert above[dog.number] == 0 and animal.number in above
    assert dog.number in wordnet.below(animal.number)
    assert dog.number not in wordnet.below(wordnet.meanings("plant", "n")[0].number)


def test_relations_point_to_synsets_that_are_there(wordnet: WordNet) -> None:
    last = len(wordnet.synsets)
    assert all(0 <= number < last for synset in wordnet.synsets for _, number in synset.relations)
    assert all(synset.number == place for place, synset in enumerate(wordnet.synsets))


def test_the_share_of_meanings_sums_to_one(wordnet: WordNet) -> None:
    shares = wordnet.shares("bank")
    assert sum(shares.values()) == pytest.approx(1) and max(shares.values()) > 0.3


def test_a_damaged_file_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "x.xz").write_bytes(b"no archive")
    with pytest.raises(UserError, match="WordNet"):
        WordNet(tmp_path / "x.xz")
