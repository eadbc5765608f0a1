"""Names found by asking the module: classes by their members, phrases by their parts, and neither without grounds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from glossator.corpora.ngrams.extract import NgramSpec
from glossator.corpora.wordnet import general_names, load_wordnet
from glossator.explainers.naming.members import classes_of, loud_words
from glossator.explainers.naming.proposing import ComposingSpec, composed, loudest, parts_of
from glossator.naming import ReferenceCorpus, SascSpec, explain_module, explain_modules
from glossator.subjects.functions import FunctionSubject

CLASSES = {
    "animal": "dog cat horse cow pig sheep goat lion tiger bear wolf fox rabbit mouse elephant",
    "color": "red blue green yellow orange purple pink brown black white gray violet crimson scarlet turquoise",
    "country": "france germany italy spain portugal china japan india brazil mexico canada russia egypt kenya sweden",
    "professional": "doctor lawyer teacher nurse engineer carpenter plumber baker tailor butcher farmer pilot dentist "
    "architect accountant",
    "musical instrument": "piano guitar violin flute drum trumpet cello harp clarinet trombone organ banjo oboe tuba",
    "body part": "arm leg hand foot head nose ear eye mouth finger knee elbow shoulder neck toe",
    "food": "bread cheese rice meat butter soup cake pasta sausage egg salad sugar pizza sandwich pie",
    "month": "january february march april june july august september october november december",
}
SPEC = SascSpec()


@pytest.fixture(scope="module")
def reference() -> ReferenceCorpus:
    examples = [example for synset in load_wordnet().synsets for example in synset.examples if len(example.split()) > 3]
    return ReferenceCorpus.of(examples[::8], NgramSpec(n=2, fold_case=True, punctuation="none"))


def counting(words: str) -> Callable[[Sequence[str]], np.ndarray]:
    counted = frozenset(words.split())

    def count(texts: Sequence[str]) -> np.ndarray:
        return np.array([sum(word.strip(".,:;") in counted for word in text.lower().split()) for text in texts], float)

    return count


def test_modules_that_count_members_are_named_by_their_class(reference: ReferenceCorpus) -> None:
    modules = [FunctionSubject(counting(words), name) for name, words in CLASSES.items()]
    for found in explain_modules(modules, reference, spec=SPEC, reported=0):
        best = found.best
        assert best is not None and found.unit.subject in best.name and "members" in best.sources and best.kinds


def test_a_class_is_scored_on_other_members_than_it_was_ranked_by(reference: ReferenceCorpus) -> None:
    best = explain_module(counting(CLASSES["animal"]), reference, reported=1).best
    assert best is not None and best.name == "animal"
    score = best.score("sigma.written")
    assert score is not None and score.value is not None and score.how["p"] < 0.05
    texts = score.how["shown"]
    assert [text.split(":")[0] for text in texts] == ["with it"] * 3 + ["without it"] * 3
    responses = [float(text.rpartition(" ")[2]) for text in texts]
    assert responses[0] >= 1 > responses[3] and responses[:3] == sorted(responses[:3], reverse=True)
    shown = {text.split()[-1] for kind, text, _ in best.texts if kind == "template" and text.startswith("a text about")}
    assert shown and shown < set(CLASSES["animal"].split())


def test_one_word_is_no_class(reference: ReferenceCorpus) -> None:
    best = explain_module(counting("river rivers"), reference, spec=SPEC, reported=0).best
    assert best is not None and best.name == "river" and not best.kinds


def test_loud_words_are_few_and_alike() -> None:
    names = [*(f"w{i}" for i in range(200)), "two words"]
    values = np.zeros(201)
    values[:5] = 1.0
    values[200] = 2.0
    assert loud_words(names, values) == names[:5]
    values[0] = 9.0
    assert loud_words(names, values) == []
    assert loud_words(names, np.zeros(201)) == [] and loud_words(names, np.full(201, np.nan)) == []


def test_a_vast_class_is_not_named_where_two_others_cover_the_words() -> None:
    (name, members), *_ = classes_of(CLASSES["professional"].split(), load_wordnet())
    assert name == "professional or skilled worker" and {"doctor", "carpenter"} <= set(members)


@pytest.mark.parametrize(
    ("words", "name"),
    [("gun sword knife rifle spear bomb pistol bow dagger cannon", "weapon"),
     ("chair table sofa desk bed bookcase", "furniture"),
     ("rain snow storm wind fog hail thunder cloud sunshine frost", "weather"),
     ("big small large huge tiny little enormous vast immense", "size")],
)  # fmt: skip
def test_a_class_is_no_wider_than_its_words(words: str, name: str) -> None:
    (found, _), *_ = classes_of(words.split(), load_wordnet())
    assert found == name


@pytest.mark.parametrize(
    ("words", "name"),
    [("gun pistol rifle cannon shotgun revolver sword spear bow", "weapon"),
     ("diameter width thickness radius length height", "dimension"),
     ("engraving mosaic watercolor statue sculpture carving", "art"),
     ("monarch lincoln charles edward george napoleon king", "representative")],
)  # fmt: skip
def test_a_class_is_not_named_by_a_member_that_leaves_out_others(words: str, name: str) -> None:
    (found, _), *_ = classes_of(words.split(), load_wordnet())
    assert found == name


def test_half_of_a_class_is_that_class_and_assorted_words_are_none() -> None:
    words = CLASSES["musical instrument"].split()
    assert all(classes_of(half, load_wordnet())[0][0] == "musical instrument" for half in (words[::2], words[1::2]))
    assorted = ["happiness", "window", "tuesday", "engine", "lemon", "purple", "decide", "soon"]
    assert classes_of(assorted, load_wordnet()) == []


def nearness(phrase: str) -> Callable[[Sequence[str]], np.ndarray]:
    """A module that likes texts with all words of a phrase, and the better the less else there is."""
    wanted = frozenset(phrase.split())

    def near(texts: Sequence[str]) -> np.ndarray:
        said = [frozenset(word.strip(".,:;") for word in text.lower().split()) for text in texts]
        return np.array([len(wanted & words) ** 2 / np.sqrt(1 + len(words)) for words in said])

    return near


def test_a_phrase_is_put_together_from_its_parts(reference: ReferenceCorpus) -> None:
    found = explain_module(nearness("angry farmer"), reference, spec=SPEC, reported=0)
    assert found.best is not None and set(found.best.name.split()) == {"angry", "farmer"}
    assert "composed" in found.best.sources


def test_words_that_add_up_are_no_phrase(reference: ReferenceCorpus) -> None:
    found = explain_module(counting("river engine"), reference, spec=SPEC, reported=0)
    assert not [c.name for c in found.candidates if {"river", "engine"} <= set(c.name.split())]


def test_parts_repeat_no_word_often_and_phrases_none() -> None:
    spec = ComposingSpec(parts=3, repeats=1, beam=2, steps=2, phrases=2)
    parts = parts_of(["train", "passenger train", "missing", "late", "more"], spec)
    assert parts == ["train", "missing", "late"]
    found = composed(parts, nearness("missing train late"), spec)
    assert all(len(set(text.split())) == len(text.split()) for text in found)
    assert set(list(found)[2].split()) == {"missing", "train", "late"}
    assert loudest(["a", "b", "c"], np.array([1.0, np.nan, 2.0]), 5) == ["c", "a"]


def test_a_module_need_not_be_asked_about_the_vocabulary(reference: ReferenceCorpus) -> None:
    from dataclasses import replace

    asked: list[str] = []

    def river(texts: Sequence[str]) -> list[float]:
        asked.extend(texts)
        return [float("river" in text) for text in texts]

    spec = replace(SPEC, candidates=replace(SPEC.candidates, composing=ComposingSpec(names=0)))
    found = explain_module(river, reference, spec=spec, reported=0)
    assert found.best is not None and found.best.name == "river"
    assert len(set(asked) & set(general_names(load_wordnet()))) < 12_000
