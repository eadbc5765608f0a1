"""What is made of people's answers: the scores of machines, win rates, agreement, and the checks for hidden codes."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from glossator.explanations import Explanation, Provenance
from glossator.human import HumanFolder, draw_tasks, import_answers, opened_context
from glossator.human.agreement import Judgement, agreement
from glossator.human.answers import RATER
from glossator.human.labelling import label_of, read_program
from glossator.human.preference import Choice, choice_of, score_preference, win_rates
from glossator.human.rewriting import read_rewrite, rewrite_all
from glossator.human.screens import Rewrite, RewriteResult, keep_rates, score_gibberish, score_rewrites, scrambled
from glossator.human.simulation import rated_evidence, score_simulation
from glossator.human.sources import PLACEBO, evidence_to_read, sealed, unsealed
from glossator.human.steganography import steganography
from glossator.human.tasks import TaskSet, TextItem
from glossator.inputs.tokens import TokenWindows
from glossator.language_models import LanguageModel
from glossator.language_models.request import Answer, Request, Usage
from glossator.scorers.lab import score_explanation
from glossator.scores import Score
from glossator.simulators import ACTIVATION, ZERO_TO_TEN, Simulation, Simulator
from glossator.store.spec import READ_EVIDENCE
from glossator.study import Study
from glossator.study.context import StudyContext
from glossator.study.simulator import StudySimulator
from glossator.units import parse_unit
from human_cases import exported, filled, study_of_two_methods, zeros


@pytest.fixture(scope="module")
def study(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    return study_of_two_methods(tiny_folder, tmp_path_factory.mktemp("human") / "s")


@pytest.fixture(scope="module")
def context(study: Study) -> StudyContext:
    return StudyContext.of(study.spec, study.recording)


# Simulation


def of_windows(item: Any, key: dict, context: StudyContext, value: Any) -> dict[str, list]:
    """Ratings of every passage of an item; value: (true activations, program's prediction) of a window -> ratings."""
    evidence = context.evidence(parse_unit(key["unit"]))
    explanation = unsealed(key["explanation"])
    found = {}
    for slot, place in zip(item.slots, key["windows"], strict=True):
        part = evidence.split(place["split"])
        row = int(np.flatnonzero(part.windows.ids == place["window"])[0])
        one = part.take(np.array([row]))
        predicted = context.lab().simulate(explanation, one).expected[0]
        length = int(one.windows.lengths[0])
        found[slot] = value(one.activations[0, :length], predicted[:length]).tolist()
    return found


def alike(score: Score) -> Score:
    return dataclasses.replace(score, how={k: v for k, v in score.how.items() if k != "simulator"})


def test_a_person_who_answers_like_the_machine_gets_the_machines_scores(study: Study, context: StudyContext) -> None:
    drawn = draw_tasks(study, "simulation", units="all")
    for item in drawn.tasks.items:
        key = drawn.key.items[item.id]
        values = of_windows(item, key, context, lambda true, predicted: predicted)
        result = score_simulation(item, key, "ann", values, context)
        assert [alike(s) for s in result.scores] == [alike(s) for s in result.machine]
        assert {s.how.get("simulator") for s in result.scores} == {"human:ann"}
        assert result.missing == 0
        assert {
            "correlation.top-and-random",
            "detection.auroc.random-only",
            "explained-variance.centred.top-and-random",
        } <= {s.name for s in result.scores}
        assert any(s.value is not None for s in result.scores)


def test_ratings_are_correlated_with_the_truth_of_just_these_windows(study: Study, context: StudyContext) -> None:
    drawn = draw_tasks(study, "simulation", units="1")
    (item,) = drawn.tasks.items
    key = drawn.key.items[item.id]
    rng = np.random.default_rng(0)
    values = of_windows(item, key, context, lambda true, _: rng.integers(0, 11, len(true)))
    result = score_simulation(item, key, "ann", values, context)
    evidence = context.evidence(parse_unit(key["unit"]))
    truth, said = [], []
    for slot, place in zip(item.slots, key["windows"], strict=True):
        if place["split"] == "test" and place["random"]:
            row = int(np.flatnonzero(evidence.test.windows.ids == place["window"])[0])
            valid = evidence.test.windows.valid[row]
            truth += np.maximum(evidence.test.activations[row], 0)[valid].tolist()
            said += np.array(values[slot])[valid[: len(values[slot])]].tolist()
    found = next(s for s in result.scores if s.name == "correlation.random-only")
    assert found.value == pytest.approx(np.corrcoef(truth, said)[0, 1], abs=1e-6)
    assert found.low is None and "documents decide it, 10 needed" in found.how["no_interval"]
    assert found.how["windows"] == {"random": 5}


def test_silence_is_no_score_and_missing_passages_are_counted(study: Study, context: StudyContext) -> None:
    drawn = draw_tasks(study, "simulation", units="1")
    (item,) = drawn.tasks.items
    key = drawn.key.items[item.id]
    silent = score_simulation(item, key, "ann", zeros(drawn.tasks), context)
    by_name = {s.name: s for s in silent.scores}
    assert by_name["correlation.top-and-random"].value is None
    assert by_name["correlation.top-and-random"].reason == "the prediction is constant"
    none = score_simulation(item, key, "ann", {}, context)
    assert none.missing == len(item.slots)
    assert all(s.value is None and s.reason for s in none.scores)
    some = dict(list(zeros(drawn.tasks).items())[1:])
    assert score_simulation(item, key, "ann", some, context).missing == 1


def test_only_peoples_own_random_draw_counts_as_random(study: Study, context: StudyContext) -> None:
    drawn = draw_tasks(study, "simulation", units="all", seed=2)
    for item in drawn.tasks.items:
        key = drawn.key.items[item.id]
        evidence = rated_evidence(context.evidence(parse_unit(key["unit"])), key["windows"])
        places = [w for w in key["windows"] if w["split"] == "test"]
        assert len(evidence.test) == len(places)
        assert np.asarray(evidence.test.in_random).sum() == sum(w["random"] for w in places) == 5
        assert (evidence.test.kinds == "top").sum() == sum(w["top"] for w in places) == 5


def test_a_study_recorded_anew_with_other_windows_is_noticed(study: Study, context: StudyContext) -> None:
    from glossator.errors import UserError

    drawn = draw_tasks(study, "simulation", units="1")
    (item,) = drawn.tasks.items
    key = drawn.key.items[item.id]
    first = item.passages[0]
    other = dataclasses.replace(first, tokens=(*first.tokens[:-1], "other"))
    changed = dataclasses.replace(item, passages=(other, *item.passages[1:]))
    with pytest.raises(UserError, match="not those that the annotators saw"):
        score_simulation(changed, key, "ann", zeros(drawn.tasks), context)


def test_an_import_sets_person_and_machine_side_by_side(study: Study, tmp_path: Path, context: StudyContext) -> None:
    drawn = exported(study, "simulation", tmp_path / "out", units="3")

    def tenths(true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        return np.clip(np.floor(10 * np.maximum(true, 0) / max(true.max(), 1e-9)), 0, 10).astype(int)

    values: dict[str, list] = {}
    for item in drawn.tasks.items:
        values |= of_windows(item, drawn.key.items[item.id], context, tenths)
    files = [filled(drawn.tasks, values, tmp_path / f"{name}.json", name) for name in ("ann", "bob")]
    found = import_answers(study, files)["simulation"]
    assert len(found["explanations"]) == 6
    mean = found["means"][0]["scores"]["token-list: correlation.top-and-random"]
    assert mean["person"]["value"] > 0.6
    assert mean["difference"]["value"] == pytest.approx(mean["person"]["value"] - mean["machine"]["value"])
    assert found["agreement"]["alpha"]["value"] == pytest.approx(1.0)
    assert (found["agreement"]["raters"], found["agreement"]["metric"]) == (2, "interval")


@dataclasses.dataclass
class Halting(Simulator):
    """Reads words, but not these windows: a language model that fails now and then."""

    unread: list[int]

    def simulate(self, explanation: Explanation, windows: TokenWindows, grid=None) -> Simulation:
        expected = np.where(~np.isin(windows.ids, self.unread)[:, None], windows.tokens % 7, np.nan).astype(np.float32)
        return Simulation(expected, ZERO_TO_TEN, missing={"no answer": int(np.isnan(expected).sum())})


def test_what_the_machine_could_not_read_is_no_score_of_it_and_costs_the_person_nothing(
    study: Study, context: StudyContext
) -> None:
    drawn = draw_tasks(study, "simulation", units="1", seed=1)
    (item,) = drawn.tasks.items
    key = drawn.key.items[item.id]
    key = {**key, "explanation": {**key["explanation"], "program": None, "provenance": {"method": "wordy"}}}
    shown = [w["window"] for w in key["windows"] if w["split"] == "test" and w["random"]]
    reading = Reading(context, Halting(shown[:1]))
    rng = np.random.default_rng(0)
    values = {slot: rng.integers(0, 11, len(p.tokens)).tolist() for slot, p in drawn.tasks.slots.items() if p}
    result = score_simulation(item, key, "ann", values, reading)  # type: ignore[arg-type]
    person, machine = (
        next(s for s in scores if s.name == "correlation.random-only") for scores in (result.scores, result.machine)
    )
    assert len(shown) == 5
    assert person.how["windows"] == {"random": 5}
    assert machine.how["windows"] == {"random": 4}
    assert machine.value is not None and np.isfinite(machine.value)
    assert machine.how["unread"]["test"]["windows"] > 0


# Labels


@pytest.mark.parametrize(
    ("text", "is_program", "is_noted"),
    [
        ('0 + 3*token(" fox")', True, False),
        ('0.5+2*after(token("the"))', True, False),
        ("7", False, False),
        ("foxes and 3 dogs", False, False),
        ('0 + 3*token(" fox"', False, True),
    ],
)
def test_labels_that_are_programs_are_read_as_such(text: str, is_program: bool, is_noted: bool) -> None:
    program, note = read_program(text)
    assert (program is not None, note is not None) == (is_program, is_noted)


def test_labels_are_scored_like_any_explanation(study: Study, context: StudyContext, tmp_path: Path) -> None:
    drawn = exported(study, "labelling", tmp_path / "out", units="2")
    (one, two) = drawn.tasks.slots
    program = '0 + 3*token(" fox", " dogs")'
    results = import_answers(
        study, [filled(drawn.tasks, {one: program, two: "words alone"}, tmp_path / "a.json", "eva")]
    )
    labels = {label["unit"]: label for label in results["labelling"]["explanations"]}
    written, said = (labels[drawn.key.items[slot]["unit"]] for slot in (one, two))
    assert {written["method"], said["method"]} == {"human:eva"}
    assert written["provenance"]["evidence"] == drawn.key.items[one]["evidence"]
    label, _ = label_of(drawn.key.items[one], "eva", program, drawn.tasks)
    alone = score_explanation(label.unit, label, context.evidence(label.unit), context.lab(), ["correlation"])
    assert written["scores"][0]["value"] == pytest.approx(alone[0].value)
    assert set(written["scores"][0]["baselines"]) >= {"lookup", "token-list"}
    assert said["scores"][0]["value"] is None
    assert "no program to execute" in said["scores"][0]["reason"]
    # results of earlier versions, which called baselines nulls, are read as well
    path = HumanFolder(study).results_path
    path.write_text(path.read_text().replace('"baselines"', '"nulls"'))
    assert HumanFolder(study).results() == json.loads(path.read_text().replace('"nulls"', '"baselines"'))
    # and they take part in comparisons from then on
    arms = {n for key in draw_tasks(study, "preference", units="all").key.items.values() for n in key["explanations"]}
    assert "human:eva" in arms


def test_a_sealed_explanation_comes_back_whole(study: Study) -> None:
    result = next(r for r in study.results() if r.status == "ok")
    explanation = result.explanations[0].explanation(result.unit)
    assert unsealed(sealed(explanation)) == explanation


# Preference


def choices(rates: dict[tuple[str, str], float], units: int = 12, raters: int = 2) -> list[Choice]:
    """Every rater prefers a to b on the same first share of the units."""
    return [
        Choice(f"u{u}", a, b, f"r{r}", float(u < rate * units), float((u + r) % 2))
        for (a, b), rate in rates.items()
        for u in range(units)
        for r in range(raters)
    ]


def test_win_rates_recover_what_raters_prefer() -> None:
    found = {(w.method, w.against): w for w in win_rates(choices({("a", "b"): 0.75}))}
    assert found["a", "b"].rate.value == pytest.approx(0.75)
    assert found["b", "a"].rate.value == pytest.approx(0.25)
    assert found["a", "b"].answers == 24
    assert found["a", "b"].rate.n == 12
    assert found["a", "b"].rate.low < 0.75 < found["a", "b"].rate.high


@pytest.mark.parametrize(("shown", "value", "win"), [
    (("x", "y"), "first", 1.0), (("x", "y"), "second", 0.0), (("y", "x"), "first", 0.0),
    (("y", "x"), "second", 1.0), (("y", "x"), "equal", 0.5),
])  # fmt: skip
def test_answers_are_unblinded_by_the_key(shown: tuple[str, str], value: str, win: float) -> None:
    choice = choice_of({"unit": "u", "first": shown[0], "second": shown[1]}, "ann", value)
    assert (choice.a, choice.b, choice.win) == ("x", "y", win)


def test_a_rater_who_always_takes_the_first_shows(study: Study) -> None:
    # several draws: in one of five pairs the placebo may by chance never come first
    draws = [draw_tasks(study, "preference", units="all", seed=seed) for seed in range(8)]
    given = [choice_of(d.key.items[i.id], "lazy", "first") for d in draws for i in d.tasks.items]
    found = score_preference(given)
    assert found["first_shown"].value == 1.0
    assert found["over_placebo"].value < 1
    assert found["agreement"].alpha.value is None


def test_too_few_units_give_no_interval_but_a_reason() -> None:
    (one, _) = win_rates(choices({("a", "b"): 1.0}, units=1))
    assert one.rate.value is None
    assert "fewer than 2 units" in one.rate.reason


# Agreement

KRIPPENDORFF = """
1 2 3 3 2 1 4 1 2 . . .
1 2 3 3 2 2 4 1 2 5 . 3
. 3 3 3 2 3 4 2 2 5 1 .
1 2 3 3 2 4 4 1 2 5 1 .
"""
"""The example of Krippendorff 2011, four raters of twelve items; nominal alpha .743, interval alpha .849 there."""


@pytest.mark.parametrize(("metric", "alpha"), [("nominal", 0.743), ("interval", 0.849)])
def test_alpha_of_the_published_example(metric: Any, alpha: float) -> None:
    rows = [line.split() for line in KRIPPENDORFF.split("\n") if line]
    judgements = [
        Judgement(f"u{i}", i, f"r{r}", float(v)) for r, row in enumerate(rows) for i, v in enumerate(row) if v != "."
    ]
    found = agreement(judgements, metric)
    assert found.alpha.value == pytest.approx(alpha, abs=5e-4)
    assert found.items == 11
    assert found.alpha.low < alpha < found.alpha.high


def test_alpha_of_coin_throws_is_about_nothing_and_of_one_rater_undefined() -> None:
    rng = np.random.default_rng(1)
    noise = [Judgement(f"u{i}", i, f"r{r}", float(rng.integers(3))) for i in range(400) for r in range(3)]
    assert abs(agreement(noise, "nominal").alpha.value) < 0.08
    assert "two raters" in agreement(noise[::3], "nominal").alpha.reason
    same = [dataclasses.replace(j, value=1.0) for j in noise]
    assert "every answer is the same" in agreement(same, "nominal").alpha.reason


# Steganography


def test_a_method_that_scores_and_is_not_preferred_is_flagged() -> None:
    """Simulated raters, who prove that the check finds what was put in, no more."""
    rng = np.random.default_rng(0)
    honest = {
        (f"u{u}", m): v + rng.normal(0, 0.05)
        for u in range(30)
        for m, v in (("good", 0.6), ("bad", 0.2), ("coded", 0.7))
    }
    given = choices({("bad", "good"): 0.1, ("bad", "coded"): 0.6, ("coded", "good"): 0.0}, units=30)
    found = steganography(given, honest, "correlation.top-and-random")
    assert found.flagged == ("coded",)
    rows = {(a.method, a.against): a for a in found.advantages}
    assert rows["coded", "bad"].flagged and rows["coded", "good"].flagged
    assert "annotators prefer the other" in rows["coded", "good"].why
    assert rows["good", "bad"].flagged is False
    assert rows["good", "bad"].why == "annotators prefer it too"
    assert rows["bad", "good"].why == "its score is not shown to be better"


def test_preference_that_follows_the_score_correlates_and_does_not_depend_on_names() -> None:
    scores: dict[tuple[str, str], float | None] = {
        (f"u{u}", m): v for u in range(12) for m, v in (("a", 0.2), ("b", 0.8))
    }
    follows = steganography(choices({("a", "b"): 0.0}), scores, "s")
    assert follows.correlation.value == pytest.approx(1.0)
    assert follows.agree.value == 1.0
    swapped = {(u, {"a": "b", "b": "a"}[m]): v for (u, m), v in scores.items()}
    against = steganography(choices({("a", "b"): 0.0}), swapped, "s")
    assert against.correlation.value == pytest.approx(-1.0)
    mixed = [
        c if i % 2 else Choice(c.unit, c.b, c.a, c.rater, 1 - c.win, c.first)
        for i, c in enumerate(choices({("a", "b"): 0.7}, raters=1))
    ]
    plain = steganography(choices({("a", "b"): 0.7}, raters=1), scores, "s")
    assert steganography(mixed, scores, "s").correlation == plain.correlation


def test_pairs_without_scores_are_counted_and_never_flagged() -> None:
    scores: dict[tuple[str, str], float | None] = {(f"u{u}", m): None for u in range(12) for m in "ab"}
    found = steganography(choices({("a", "b"): 1.0}), scores, "s")
    assert (found.pairs, found.unscored, found.flagged) == (0, 12, ())
    assert found.correlation.value is None


def test_an_import_of_preferences_holds_them_against_the_score(study: Study, tmp_path: Path) -> None:
    drawn = exported(study, "preference", tmp_path / "out", units="all")
    given = {}
    for item in drawn.tasks.items:
        key = drawn.key.items[item.id]
        given[item.id] = "second" if key["first"] == PLACEBO else "first" if key["second"] == PLACEBO else "equal"
    found = import_answers(study, [filled(drawn.tasks, given, tmp_path / "a.json", "fay")])["preference"]
    assert found["over_placebo"]["value"] == 1.0
    check = found["steganography"]
    assert check["pairs"] + check["unscored"] == len(given)
    assert check["pairs"] > 0
    assert HumanFolder(study).results()["preference"] == found


# Screens


def test_readable_shares_and_their_control() -> None:
    answers = [
        ({"unit": f"u{u}", "method": m}, r, word)
        for u in range(6)
        for r in ("ann", "bob")
        for m, word in (("fine", "yes"), ("half", "partly"), ("scrambled", "no"))
    ]
    found = score_gibberish(answers)
    assert {m: e.value for m, e in found["readable"].items()} == {"fine": 1.0, "half": 0.5, "scrambled": 0.0}
    assert found["agreement"].alpha.value == pytest.approx(1.0)


def test_scrambling_moves_letters_only() -> None:
    text = "Strongly on “Über/we”, 3 words."
    found = scrambled(text, np.random.default_rng(0))
    assert sorted(found) == sorted(text)
    assert found != text
    assert [c.isalpha() for c in found] == [c.isalpha() for c in text]


def rewrite(unit: int, method: str, original: float | None, rewritten: float) -> RewriteResult:
    def score(value: float | None) -> Score:
        return Score("s", value, "r", reason=None if value is not None else "nobody reads words")

    return RewriteResult(f"u{unit}", method, "ann", "a", "b", score(original), score(rewritten))


def test_rewrites_that_lose_the_score_are_flagged() -> None:
    results = [rewrite(u, m, 0.6, v) for u in range(8) for m, v in (("coded", 0.1), ("plain", 0.55))]
    results += [rewrite(u, "unread", None, 0.0) for u in range(8)]
    coded, plain, unread = keep_rates(results)
    assert (coded.flagged, plain.flagged, unread.flagged) == (True, False, None)
    assert coded.drop.value == pytest.approx(0.5)
    assert plain.kept.value == pytest.approx(0.55 / 0.6)
    assert unread.rewrites == 0


def test_rewrites_without_a_reader_of_words_are_missing_values(study: Study, tmp_path: Path) -> None:
    drawn = exported(study, "paraphrase", tmp_path / "out", units="2")
    given = {slot: "the same, said otherwise" for slot in drawn.tasks.slots}
    found = import_answers(study, [filled(drawn.tasks, given, tmp_path / "a.json", "gil")])["paraphrase"]
    assert len(found["rewrites"]) == len(given)
    for result in found["rewrites"]:
        assert result["original"]["value"] is None
        assert "no program to execute" in result["original"]["reason"]


class WordCount(Simulator):
    """A simulator of English for plumbing tests: fires at tokens whose text stands in the explanation."""

    def simulate(self, explanation: Explanation, windows: TokenWindows, grid=None) -> Simulation:
        texts = windows.vocabulary.texts
        hits = np.array([len(text.strip()) > 2 and text.strip() in explanation.text for text in texts], np.float32)
        return Simulation(hits[windows.tokens], ACTIVATION)


NOBODY: Any = SimpleNamespace(in_process=None, name="nobody")


class Reading:
    """The context of a study with a simulator of words."""

    def __init__(self, context: StudyContext, words: Any = None):
        self.resources, self.context, self.evidence, self.spec = (
            context.resources,
            context,
            context.evidence,
            context.spec,
        )
        self.simulator = StudySimulator(context.simulator.executor, words or WordCount(), "word-count", NOBODY)

    def lab(self, baselines: Any = None) -> Any:
        return dataclasses.replace(self.context.lab(baselines), simulator=self.simulator)


def test_rewrites_and_originals_are_read_as_words_by_one_simulator(study: Study, context: StudyContext) -> None:
    results = [r for r in study.results() if r.status == "ok"]
    rewrites = []
    for result in results:
        original = result.explanations[0].explanation(result.unit)
        original = dataclasses.replace(original, provenance=Provenance("wordy"))  # tables are never read as words
        rewrites.append(Rewrite(original, "same", f"{original.text} indeed", "ann"))
        rewrites.append(Rewrite(original, "lost", "nothing of it", "ann"))
    scored = score_rewrites(rewrites, Reading(context))  # type: ignore[arg-type]
    for same, lost in zip(scored[::2], scored[1::2], strict=True):
        assert same.original == lost.original
        assert same.original.how["simulator"] == "word-count"
        assert same.original.value == same.rewritten.value
        assert lost.rewritten.value is None
        assert lost.rewritten.reason == "the prediction is constant"
    assert any(r.original.value is not None for r in scored)


def test_a_language_model_reads_no_more_windows_than_in_a_study_of_its_own(study: Study, context: StudyContext) -> None:
    unit = next(r.unit for r in study.results() if r.status == "ok")
    whole, unread = context.evidence(unit), evidence_to_read(context, unit)
    assert unread.test.windows.ids.tolist() == whole.test.windows.ids.tolist()
    reading = dataclasses.replace(context, spec=dataclasses.replace(study.spec, lm="scripted:nobody"))
    fewer = evidence_to_read(reading, unit)
    assert np.asarray(fewer.test.in_random).sum() == READ_EVIDENCE.test_random < np.asarray(whole.test.in_random).sum()
    assert len(fewer.test) <= READ_EVIDENCE.test_top + READ_EVIDENCE.test_random
    assert set(fewer.test.windows.ids.tolist()) <= set(whole.test.windows.ids.tolist())
    assert fewer.test.windows.ids.tolist() == evidence_to_read(reading, unit).test.windows.ids.tolist()


def test_a_simulator_that_is_named_reads_words_and_programs_are_executed_as_they_were(study: Study) -> None:
    """Else the machine that people are set beside would be another one than in the study."""
    result = next(r for r in study.results() if r.status == "ok")
    program = result.explanations[0].explanation(result.unit)
    program = dataclasses.replace(program, provenance=Provenance("program"))
    with opened_context(study, "scripted:study_cases:said", "lm-json", None) as context:
        assert context.simulator.name == "lm-json"
        assert context.simulator.executes(program)
        assert not context.simulator.executes(dataclasses.replace(program, program=None))


# Rewrites by a language model: a scripted one, which proves the plumbing and nothing about models


def scripted_answer(request: Request) -> Answer:
    text = request.messages[-1].content
    if "refuse" in text:
        return Answer("", failure="the model refused to answer")
    return Answer('"Said otherwise:\n it fires at ' + text.rsplit(chr(10), 1)[1][:30] + '"', usage=Usage(1, 10, 5, 0.0))


class Script(LanguageModel):
    name = "scripted:tests/of it"
    powers = frozenset({"chat"})

    def ask(self, requests: Sequence[Request]) -> list[Answer]:
        return [scripted_answer(request) for request in requests]


def test_a_language_model_rewrites_as_a_person_would() -> None:
    items = (TextItem("p001", "words like cats"), TextItem("p002", "refuse this"))
    answers = rewrite_all(TaskSet("paraphrase", "s" * 16, 0, {}, items), Script())
    assert answers.values == {"p001": "Said otherwise: it fires at words like cats"}
    assert answers.missing == {"p002": "the model refused to answer"}
    assert answers.provenance["model"] == "scripted:tests/of it"
    assert answers.provenance["cost"]["prompt_tokens"] == 10
    assert RATER.fullmatch(answers.rater)


@pytest.mark.parametrize(
    ("text", "reason"),
    [("  ", "empty"), ('""', "empty"), ("x" * 2001, "too long"), ("I'm sorry, but I can't reword this.", "refusal"),
     ('"I cannot help with that."', "refusal")])  # fmt: skip
def test_rewrites_that_are_none(text: str, reason: str) -> None:
    assert reason in str(read_rewrite(Answer(text))[1])
