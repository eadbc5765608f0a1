"""The SASC benchmark: what stands in its lists, what its settings leave out, and that all of it runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.sasc_judges import agreement, named, named_by_wordnet
from benchmarks.sasc_keyphrases import DEVELOPMENT, REPORTED, Keyphrase
from benchmarks.sasc_modules import DEVELOPMENT_LEXICONS, LEXICONS, Remembering
from benchmarks.sasc_phrases import DEVELOPMENT_PHRASES, PHRASES
from benchmarks.sasc_settings import SLICES, Corpora, noisy
from glossator.corpora.wordnet import general_names, load_wordnet
from glossator.errors import UserError
from glossator.language_models import Budget, Request, Scripted

EVERY = [*REPORTED, *DEVELOPMENT]
PHRASE_SETS = [*PHRASES, *DEVELOPMENT_PHRASES]


def test_there_are_enough_keyphrases_of_several_kinds_and_none_is_in_both_lists() -> None:
    assert len(REPORTED) >= 60
    assert {k.kind for k in REPORTED} == {"concrete", "abstract", "action", "event", "topic"}
    words = [{k.phrase for k in group} for group in (REPORTED, DEVELOPMENT)]
    assert len(words[0]) == len(REPORTED) and words[0].isdisjoint(words[1])
    assert {k.phrase for k in LEXICONS}.isdisjoint(k.phrase for k in DEVELOPMENT_LEXICONS)


@pytest.mark.parametrize("keyphrase", EVERY, ids=lambda k: k.phrase)
def test_a_keyphrase_names_itself_and_little_else(keyphrase: Keyphrase) -> None:
    assert named([keyphrase.phrase], keyphrase) and keyphrase.leak.search(keyphrase.phrase)
    accepted = [k.phrase for k in EVERY if k is not keyphrase and named([k.phrase], keyphrase)]
    assert len(accepted) <= 2, accepted


def test_phrases_name_themselves_and_no_single_name_of_the_vocabulary_does() -> None:
    names = general_names(load_wordnet())
    assert len({k.phrase for k in PHRASE_SETS}) == len(PHRASE_SETS) and min(len(PHRASES), len(DEVELOPMENT_PHRASES)) > 35
    assert {k.kind for k in PHRASES} == {k.kind for k in DEVELOPMENT_PHRASES} >= {"stance", "tone", "grammar and form"}
    for keyphrase in PHRASE_SETS:
        assert keyphrase.named_by(keyphrase.phrase) and keyphrase.leak.search(keyphrase.phrase), keyphrase.phrase
        assert len(keyphrase.parts) > 1 and not [name for name in names if keyphrase.named_by(name)], keyphrase.phrase


def test_a_phrase_is_named_by_all_of_its_parts_in_any_order() -> None:
    (angry,) = (k for k in DEVELOPMENT_PHRASES if k.phrase == "angry letter")
    assert named(["letters of anger"], angry) and named(["Furious letter"], angry)
    assert not named(["letter"], angry) and not named(["anger"], angry) and not named(["angry", "letter"], angry)
    assert all(angry.leak.search(text) for text in ("so angry", "the letter", "irate"))


def test_names_are_judged_by_whole_words() -> None:
    (war,) = (k for k in REPORTED if k.phrase == "war")
    assert named(["the war of 1812"], war) and not named(["warm software", "award"], war)
    assert not named([], war)


def test_leaks_are_found_inside_longer_words() -> None:
    (river,) = (k for k in REPORTED if k.phrase == "river")
    assert all(river.leak.search(text) for text in ("riverbank", "two rivers", "a Stream of"))
    assert river.leak.search("the driver") is not None  # harsher than needed, on purpose
    assert river.leak.search("deep water") is None


@pytest.mark.parametrize(
    ("name", "phrase", "same"),
    [("stream", "river", True), ("swim", "swimming", True), ("wealthy", "wealth", True), ("dog", "river", False),
     ("climate", "climate change", True), ("automobile", "car", True), ("qqq", "car", False)],
)  # fmt: skip
def test_the_second_judge(name: str, phrase: str, same: bool) -> None:
    assert named_by_wordnet(name, phrase, load_wordnet()) is same


def test_agreement_of_judges() -> None:
    found = agreement([(True, True), (True, False), (False, False), (False, False)])
    assert found["agreement"] == 0.75 and found["kappa"] == pytest.approx(0.5)
    assert agreement([(True, True)])["kappa"] is None and agreement([])["agreement"] is None


def test_lexicon_modules_count_or_average() -> None:
    wordnet = load_wordnet()
    by_name = {lexicon.phrase: lexicon for lexicon in LEXICONS}
    animals, months = by_name["animals"].responses(wordnet), by_name["planets"].responses(wordnet)
    assert animals(["Two dogs and a Horse", "a wooden table"]).tolist() == [2, 0]
    assert months(["Mars and Venus", "nothing"]).tolist() == [pytest.approx(2 / 3), 0]
    assert all(len(lexicon.words(wordnet)) >= 7 for lexicon in (*LEXICONS, *DEVELOPMENT_LEXICONS))


def test_noise_is_of_the_top_responses_and_drawn_for_each_module() -> None:
    values = np.linspace(0, 1, 5000)
    noise = noisy(values, 0, "a") - values
    assert noise.std() == pytest.approx(3 * np.sort(values)[-100:].std(), rel=0.05)
    assert not np.array_equal(noise, noisy(values, 0, "b") - values)
    assert np.array_equal(noise, noisy(values, 0, "a") - values)


@pytest.fixture(scope="module")
def corpora() -> Corpora:
    return Corpora.of(None, every=40, min_count=1)


def test_settings_leave_out_what_they_say(corpora: Corpora) -> None:
    texts = np.array(corpora.reference.texts)
    keyphrase = next(k for k in REPORTED if k.phrase == "religion")
    kept = corpora.leak_free(keyphrase)
    assert 0 < (~kept).sum() < len(texts) / 10
    assert not [text for text in texts[kept] if re.search(r"religio", text, re.IGNORECASE)]
    assert [text for text in texts[~kept] if "religio" in text.lower()]
    assert len(corpora.slices) == len(SLICES)
    assert all(0 < part.mean() < 0.6 for part in corpora.slices)


class Letters:
    name, fingerprint, width = "letters", "0" * 16, 4

    def __init__(self) -> None:
        self.seen: list[str] = []

    def embed(self, texts):
        self.seen += texts
        return np.array([[len(t), 1, 0, 0] for t in texts], dtype=np.float32)


def test_texts_are_embedded_once() -> None:
    inner = Letters()
    remembering = Remembering(inner)
    first = remembering.embed(["a", "bb", "a"])
    second = remembering.embed(["bb", "ccc"])
    assert inner.seen == ["a", "bb", "ccc"] and remembering.texts == 3
    remembering.learn(["dddd"], np.ones((1, 4), np.float32))
    assert remembering.embed(["dddd"]).tolist() == [[1, 1, 1, 1]] and len(inner.seen) == 3
    assert first[:, 0].tolist() == [1, 2, 1] and second[:, 0].tolist() == [2, 3]


def _named_river(request: Request) -> dict[str, list[str]]:
    asked = request.messages[-1].content
    return {"names": ["river"]} if "names" in asked else {"texts": ["a wide river", "a river bed", "two rivers"]}


MODEL = Scripted(_named_river)
"""It says "river" whatever it is shown: enough to see that its answers are judged, and judged wrong where they are."""


@pytest.mark.parametrize(
    ("option", "value"),
    [("keyphrases", 0), ("keyphrases", "x"), ("seeds", 0), ("seeds", True), ("every", 0), ("min_count", 1.5),
     ("settings", "foo"), ("settings", ["default", "foo"]), ("spec", 3), ("shoe", 43)],
)  # fmt: skip
def test_options_that_cannot_be_are_refused_before_anything_is_run(option: str, value: Any) -> None:
    from benchmarks.sasc import run

    with pytest.raises(UserError):
        run({option: value, "quick": True})


def test_a_language_model_is_opened_before_anything_is_run_and_may_have_a_budget(tmp_path: Path) -> None:
    from benchmarks.sasc import DEFAULTS, opened, run

    with pytest.raises(UserError, match="unknown form of a language model"):
        run({"lm": "opnai:gpt"})
    assert opened(DEFAULTS) is None
    cost = {"budget": "100 tokens", "lm_cache": str(tmp_path / "answers.sqlite")}
    model = opened(DEFAULTS | cost | {"lm": f"scripted:{__name__}:MODEL"})
    assert model is not None and model.cache is not None and model.ledger.budget == Budget(tokens=100)


@pytest.mark.slow
def test_the_benchmark_runs(minilm: object, smollm2: object) -> None:
    from benchmarks.sasc import run

    result = run({"quick": True, "speed": False, "lm": f"scripted:{__name__}:MODEL"})
    settings = {"default", "restricted", "noisy", "leak_free"}
    for group in ("recovery", "single_names", "lexicons"):
        assert set(result[group]) == settings
        for setting in result[group].values():
            assert 0 <= setting["llm_free"]["value"] <= 1 and setting["llm_free"]["n"] == 6
            assert all(set(kind) == {"llm_free", "nearest_name"} for kind in setting["by_kind"].values())
    for setting in settings:
        assert result["recovery"][setting]["nearest_name"]["value"] == 0
        assert result["recovery"][setting]["llm_free"]["value"] >= 0.5
        assert result["single_names"][setting]["llm_free"]["value"] >= 0.5
    assert result["judge"]["n"] == 24
    right = sum(named(["river"], k) for k in (REPORTED[round(i)] for i in np.linspace(0, len(REPORTED) - 1, 6)))
    assert result["single_names"]["default"]["lm"]["value"] == pytest.approx(right / 6)
    assert result["recovery"]["default"]["lm"]["value"] == 0
