"""SASC from a function to ranked, scored names; what cannot be explained is said, not scored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
import pytest
from scipy import sparse

from glossator.corpora.ngrams.extract import NgramSpec
from glossator.corpora.ngrams.held_words import concept_of, word_table
from glossator.corpora.wordnet import general_names, load_wordnet
from glossator.errors import UserError
from glossator.explainers.naming.by_language_model import Bill, LmSpec, name_requests, read_names, tidy
from glossator.explainers.naming.candidates import CandidateSpec, Proposed, without_gaps
from glossator.explainers.naming.classes import stable_order
from glossator.explainers.naming.naming_split import NamingSplit
from glossator.explainers.naming.proposing import Name
from glossator.explainers.naming.selection import readings
from glossator.explainers.naming.task import Responses, Task
from glossator.language_models import Answer, Scripted
from glossator.naming import ReferenceCorpus, SascSpec, explain_module, explain_modules
from glossator.scorers.sigma import RandomNames, in_sigma, report_on
from glossator.scorers.written_texts import ConceptTexts
from glossator.units import Unit

ANIMALS = ("dog", "horse", "cow", "pig", "cat", "sheep", "goat", "rabbit", "wolf", "bear")
OTHERS = ("table", "letter", "road", "house", "minister", "river", "window", "engine", "book", "price")
FRAMES = (
    "Yesterday the {} was seen behind the old barn.",
    "Nobody had told me about this {} before Monday.",
    "We bought a {} at the market in the village.",
    "She wrote that her {} had gone missing again.",
    "A picture of the {} hangs in the long hall.",
    "They spent the whole morning with that {} outside.",
)
BRIEF = SascSpec(candidates=CandidateSpec(lm=LmSpec(samples=2, texts=8)))


@pytest.fixture(scope="module")
def reference() -> ReferenceCorpus:
    documents = [frame.format(word) for word in (*ANIMALS, *OTHERS) for frame in FRAMES]
    return ReferenceCorpus.of(documents, NgramSpec(n=2, fold_case=True, punctuation="none"))


def animals(texts: Sequence[str]) -> list[float]:
    return [float(sum(word.strip(".,") in ANIMALS for word in text.lower().split())) for text in texts]


def rivers(texts: Sequence[str]) -> np.ndarray:
    return np.array([text.lower().count("river") for text in texts])


def test_a_word_is_named_and_scored(reference: ReferenceCorpus) -> None:
    found = explain_module(rivers, reference, spec=BRIEF, reported=2)
    assert found.problem is None and found.best is not None and found.best.name == "river"
    score = found.best.score("sigma.written")
    assert score is not None and score.value is not None and score.low is not None and score.low > 1
    assert score.how["p"] < 0.01
    assert found.top[0][1] == 1.0 and "river" in found.top[0][0].lower()
    assert found.best.explanation.provenance.method == "sasc"


def test_names_of_people_are_scored_beside(reference: ReferenceCorpus) -> None:
    """In the same way: the same name has the same scores, another one lower ones, a phrase of theirs is no error."""
    own = explain_module(rivers, reference, spec=BRIEF, reported=1)
    assert own.given == () and own.best is not None

    def scored(label: str) -> dict[str, float | None]:
        given = {own.unit: label}
        (found,) = explain_modules([rivers], reference, spec=BRIEF, reported=1, given=given)
        return {score.name: score.value for score in found.given}

    assert scored("river") == {score.name: score.value for score in own.best.scores}
    assert scored("table")["sigma.written"] < scored("river")["sigma.written"]  # type: ignore[operator]
    assert set(scored("names of rivers in Europe")) == set(scored("river"))


def test_a_class_is_named_by_its_kinds(reference: ReferenceCorpus) -> None:
    best = explain_module(animals, reference, spec=BRIEF, reported=2).best
    assert best is not None and best.kinds and "class" in best.sources
    assert {"dog", "cow"} <= set(concept_of(best.name, load_wordnet()).members)


def test_the_other_side(reference: ReferenceCorpus) -> None:
    found = explain_module(lambda texts: -rivers(texts), reference, spec=BRIEF, reported=2, polarity="-")
    assert found.best is not None and found.best.name == "river" and found.unit.polarity == "-"


def test_the_same_seed_gives_the_same(reference: ReferenceCorpus) -> None:
    one, two = (explain_module(animals, reference, spec=BRIEF, reported=2, seed=3) for _ in range(2))
    assert one == two


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        (lambda texts: [0.0] * len(texts), "dead"),
        (lambda texts: [2.5] * len(texts), "constant"),
        (lambda texts: [float("nan")] * len(texts), "no finite value"),
        (lambda texts: [1e-200 * ("river" in text) for text in texts], "dead"),
    ],
)
def test_what_cannot_be_explained_is_said(reference: ReferenceCorpus, function: object, problem: str) -> None:
    found = explain_module(function, reference, spec=BRIEF, reported=2)
    assert found.candidates == () and problem in str(found.problem)


async def later(texts: Sequence[str]) -> list[float]:
    return [0.0] * len(texts)


def ends(texts: Sequence[str]) -> list[float]:
    raise SystemExit(3)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda text: float("river" in text.lower()), "given a list of texts"),
        (lambda texts: len(texts), "gave no numbers: 'int'.*one number"),
        (lambda texts: [1.0] * (len(texts) - 1), "gave another shape"),
        (lambda texts: np.zeros((len(texts), 2, 2)), "gave another shape"),
        (lambda texts: [1.7e308 if "river" in text else -1.7e308 for text in texts], "beyond 3e38"),
        (lambda texts: [[1.0] * (1 + i % 2) for i in range(len(texts))], "different lengths"),
        (later, "asynchronous"),
        (ends, "SystemExit: 3.*line"),
    ],
)
def test_a_function_that_answers_otherwise_is_one_sentence(
    reference: ReferenceCorpus, function: object, said: str
) -> None:
    with pytest.raises(UserError, match=said):
        explain_module(function, reference, spec=BRIEF, reported=2)


@pytest.mark.parametrize(
    "function",
    [
        lambda texts: sparse.csr_array(rivers(texts)[:, None].astype(float)),
        lambda texts: (float(value) for value in rivers(texts)),
        lambda texts: [float("river" in texts.pop(0).lower()) for _ in range(len(texts))],
        lambda texts: np.ma.array(rivers(texts).astype(float), mask=["engine" in text for text in texts]),
    ],
)
def test_numbers_in_other_containers(reference: ReferenceCorpus, function: object) -> None:
    best = explain_module(function, reference, reported=0).best
    assert best is not None and best.name == "river"


def test_missing_responses_are_counted_and_never_win(reference: ReferenceCorpus) -> None:
    def odd(texts: Sequence[str]) -> list[float]:
        return [float("nan") if "engine" in text else float("river" in text) for text in texts]

    found = explain_module(odd, reference, spec=BRIEF, reported=2)
    assert found.responses.missing > 0
    assert found.best is not None and found.best.name == "river"
    assert all(np.isfinite(value) for _, value in found.top)


def test_several_outputs(reference: ReferenceCorpus) -> None:
    def both(texts: Sequence[str]) -> np.ndarray:
        return np.stack([rivers(texts), animals(texts)], axis=1)

    with pytest.raises(UserError, match="several outputs"):
        explain_module(both, reference)
    found = explain_modules([both], reference, spec=BRIEF, reported=2)
    assert [each.best.name for each in found if each.best][:1] == ["river"] and len(found) == 2


def test_two_functions_of_one_name_are_refused(reference: ReferenceCorpus) -> None:
    with pytest.raises(UserError, match="same name"):
        explain_modules([rivers, rivers], reference)


def test_parts_do_not_overlap(reference: ReferenceCorpus) -> None:
    dealt, texts = NamingSplit(reference.reference, 2 / 3, 0), reference.ngrams.texts
    assert set(dealt.naming_rows).isdisjoint(dealt.ranking_rows)
    assert len(dealt.naming_rows) + len(dealt.ranking_rows) == len(texts)
    assert 0.55 < len(dealt.naming_rows) / len(texts) < 0.78
    nothing = concept_of("river", load_wordnet())
    assert set(dealt.others(nothing, True)).isdisjoint(dealt.others(nothing, False))
    documents = len(set(reference.held_out(0).groups.tolist()))
    assert 0.3 < documents / (len(FRAMES) * (len(ANIMALS) + len(OTHERS))) < 0.7


def test_some_ngrams_alone_are_dealt_alike(reference: ReferenceCorpus) -> None:
    kept = np.array(["river" not in text.lower() for text in reference.ngrams.texts])
    whole = NamingSplit(reference.reference, 2 / 3, 0)
    quick, anew = whole.only(kept), NamingSplit(reference.reference.only(kept), 2 / 3, 0)
    assert quick.naming.texts == anew.naming.texts
    assert (quick.naming.table.holds != anew.naming.table.holds).nnz == 0
    assert not [text for text in quick.naming.texts if "river" in text.lower()]


def test_words_phrases_and_figures_of_texts() -> None:
    table = word_table(["the wolves ran", "climate change", "on 14 May"], load_wordnet())
    assert {"wolf", "run", "climate change", "number", "may"} - set(table.names) == {"may"}  # "may" is a function word
    assert table.holds[[table.row["wolf"]]].toarray().tolist() == [[1, 0, 0]]


def test_a_concept_holds_its_kinds_and_a_phrase_all_its_words() -> None:
    wordnet = load_wordnet()
    table = word_table(["two dogs", "a table", "the red old engine", "engine"], wordnet)
    held = concept_of("animal", wordnet).held(table)
    assert held[0] > 0.5 and held[1] == 0
    assert concept_of("red engine", wordnet).held(table).tolist() == [0, 0, 1, 0]
    assert not concept_of("zzzqx", wordnet).held(table).any()


# ---- scores


DRAWN = np.linspace(-1, 1, 199)


def test_the_score_is_a_difference_in_sigma_ranked_among_random_names() -> None:
    with_it, without = np.array([3.0, 5.0, 4.0]), np.array([1.0, 1.0, 1.0, 1.0])
    score = in_sigma("x", with_it, without, sigma=2.0, random=DRAWN + 0.5)
    assert score.value == pytest.approx(1.5) and score.n == 7 and score.baselines == {"random_name": pytest.approx(0.5)}
    assert score.how["p"] == pytest.approx(2 / 200)  # one random name in 199 scores 1.5
    assert (score.low, score.high) == (pytest.approx(1.5 - 0.96, abs=0.01), pytest.approx(1.5 + 0.96, abs=0.01))


def test_many_alike_texts_around_a_name_are_no_evidence() -> None:
    score = in_sigma("x", np.full(500, 0.9), np.zeros(500), sigma=1.0, random=DRAWN)
    assert score.how["p"] > 0.05 and score.low is not None and score.low < 0


def test_there_is_no_interval_where_random_names_score_alike_but_for_a_few() -> None:
    score = in_sigma("x", np.ones(5), np.zeros(5), sigma=1.0, random=np.append(np.zeros(196), [40.0, 50.0, 60.0]))
    assert (score.low, score.value, score.high) == (None, 1.0, None) and score.how["p"] == pytest.approx(4 / 200)
    assert "score alike" in score.how["interval"]


def test_too_few_random_names_give_no_interval() -> None:
    score = in_sigma("x", np.ones(5), np.zeros(5), sigma=1.0, random=np.append(DRAWN[:38], np.nan))
    assert score.value == 1.0 and score.low is None and score.high is None and score.how["p"] is None
    assert "fewer than 39" in score.how["interval"]


def test_missing_values_are_left_out_and_counted() -> None:
    score = in_sigma("x", np.array([1.0, np.nan, 1, 1]), np.array([0.0, 0, 0, np.inf]), sigma=1.0)
    assert score.value == pytest.approx(1.0) and score.how["missing"] == 2


@pytest.mark.parametrize(("positive", "sigma"), [([1.0, np.nan, np.nan], 1.0), ([1.0, 1.0, 1.0], 0.0), ([], 1.0)])
def test_no_score_without_texts_or_spread(positive: list[float], sigma: float) -> None:
    score = in_sigma("x", np.array(positive), np.zeros(5), sigma)
    assert score.value is None and score.reason


def word_values(salt: int) -> Callable[[Sequence[str]], np.ndarray]:
    """A module that likes each word as chance has it: texts around one name have that name's value in common."""

    @cache
    def value(word: str) -> float:
        return float(np.random.default_rng(stable_order(word, salt) % 2**32).normal())

    def module(texts: Sequence[str]) -> np.ndarray:
        return np.array([np.mean([0.0, *map(value, text.lower().split())]) for text in texts])

    return module


def test_p_of_random_names_is_uniform_and_their_intervals_cover(reference: ReferenceCorpus) -> None:
    found, covered = [], []
    names, dealt = general_names(load_wordnet()), NamingSplit(reference.reference, 2 / 3, 0)
    tests = ConceptTexts(dealt, reference.held_out(0), 24)
    for salt in range(8):
        ask = word_values(salt)
        values = ask(reference.ngrams.texts)
        task = Task(Unit("m", "output", 0), Responses.of(values), ask, values)
        random = RandomNames(task, tests)
        drawn = np.random.default_rng([7, salt]).choice(len(names), 60, replace=False)
        for row in readings(task, Proposed([Name(names[i]) for i in drawn]), dealt):
            written = report_on(row, task, random, "")[0][1]
            assert written.low is not None and written.high is not None
            found.append(written.how["p"])
            covered.append(written.low <= written.baselines["random_name"] <= written.high)
    p = np.array(found)
    # 480 names, ranked among 8 draws of 199: standard error .012 at .05, .025 at .5.
    assert 0.015 <= (p < 0.05).mean() <= 0.085, (p < 0.05).mean()
    assert all(abs((p < level).mean() - level) < 0.075 for level in (0.25, 0.5, 0.75))
    assert 0.915 <= np.mean(covered) <= 0.985


def test_missing_responses_become_the_mean() -> None:
    values = without_gaps(np.array([1.0, np.nan, 3.0]))
    assert values is not None and values.tolist() == [1, 2, 3]
    assert without_gaps(np.array([np.nan, np.nan])) is None and without_gaps(np.array([2.0, 2.0])) is None


# ---- a scripted language model: it proves that questions are asked and answers are read, nothing about names


def answering(request: object) -> object:
    asked = request.messages[-1].content  # type: ignore[attr-defined]
    if "names" in asked:
        return {"names": ["river", "Water."]}
    if "nothing to do" in asked:
        return {"texts": [f"A table number {i} in the hall." for i in range(8)]}
    word = "river" if '"river"' in asked else "sea"
    return {"texts": [f"The {word} rose by {i} metres." for i in range(8)]}


def test_a_language_model_names_and_writes(reference: ReferenceCorpus) -> None:
    model = Scripted(answering)
    found = explain_module(rivers, reference, spec=BRIEF, reported=2, lm=model)
    assert [candidate.name for candidate in found.candidates] == ["river", "Water"]
    assert found.best is not None
    made_by = found.best.explanation.provenance
    assert made_by.model == model.name and made_by.prompt and made_by.cost["calls"] == 6
    assert found.failures == {}
    score = found.best.score("sigma.written")
    assert score is not None and score.value is not None and score.value > 1
    assert {kind for kind, *_ in found.best.texts} == {"written", "corpus"}


def test_refusals_are_counted_and_give_no_name(reference: ReferenceCorpus) -> None:
    model = Scripted(lambda request: Answer("", failure="refused", finish="refusal"))
    found = explain_module(rivers, reference, spec=BRIEF, reported=2, lm=model)
    assert found.candidates == () and found.problem == "no candidate name was found"
    assert found.failures == {"refused": 2}


def test_texts_that_were_not_written_are_made(reference: ReferenceCorpus) -> None:
    def names_alone(request: object) -> object:
        asked = request.messages[-1].content  # type: ignore[attr-defined]
        return {"names": ["river"]} if "names" in asked else Answer("", failure="refused", finish="refusal")

    found = explain_module(rivers, reference, spec=BRIEF, reported=2, lm=Scripted(names_alone))
    assert found.best is not None and found.best.name == "river" and found.failures == {"refused": 2}
    assert "template" in {kind for kind, *_ in found.best.texts}


def test_samples_of_the_top_ngrams_differ_and_keep_their_order() -> None:
    top = [f"gram {i:02d}" for i in range(60)]
    requests = name_requests(top, LmSpec(), seed=0)
    shown = [[line[2:] for line in r.messages[1].content.splitlines() if line.startswith("- ")] for r in requests]
    assert [len(lines) for lines in shown] == [30] * 5
    assert all(lines == sorted(lines) for lines in shown) and len({tuple(lines) for lines in shown}) == 5
    assert max(line for lines in shown for line in lines) < "gram 50"


@pytest.mark.parametrize(
    ("said", "name"), [("  Theater and drama. ", "Theater and drama"), ("…", ""), ("x" * 200, ""), ("“dogs”", "dogs")]
)
def test_names_are_tidied_not_mangled(said: str, name: str) -> None:
    assert tidy(said) == name


def test_best_names_of_all_answers_come_first() -> None:
    answers = [Answer("", value={"names": ["a1", "a2"]}), Answer("", value={"names": ["b1", "A1"]})]
    assert read_names(answers, Bill()) == ["a1", "b1", "a2"]


def test_a_model_that_says_more_names_than_it_was_asked_for_costs_no_more() -> None:
    assert read_names([Answer("", value={"names": ["a", "b", "c", "d", "e"]})], Bill()) == ["a", "b", "c"]
