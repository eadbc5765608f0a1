"""The explainers that read records: prompts, answers, failures. The language models here are scripted: they prove that
questions and answers travel as they should, and nothing about the quality of explanations."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glossator.errors import MissingPower, UserError
from glossator.evidence import ExplainEvidence
from glossator.explainers import Abstained, explain_one
from glossator.explainers.answers import clean, outcome_of, remove_final_period
from glossator.explainers.bills import BillsExplainer
from glossator.explainers.bills_prompt import EXAMPLES, SPARSE, bills_prompt, fitting_layout, layouts, top_records
from glossator.inputs.tokens import Vocabulary
from glossator.language_models import CHAT, COMPLETION, Answer, Usage
from glossator.language_models.scripted import Scripted
from glossator.units import Unit
from glossator.zero_to_ten import non_zero_share
from scorer_cases import UNIT, evidence_of, exemplars_of, statistics_of, windows_of

GOLDEN = Path(__file__).parent / "golden"
PIECES = (b" the", b" cat", b" sat", b"\n", b"\xc3", b"\xa9", b"\t", b" on", b" mat", b"<start>")


def evidence_with(values: np.ndarray, tokens: np.ndarray | None = None, kinds="top") -> ExplainEvidence:
    tokens = np.arange(values.size).reshape(values.shape) % len(PIECES) if tokens is None else tokens
    windows = replace(windows_of(tokens), vocabulary=Vocabulary("ten", PIECES))
    exemplars = exemplars_of(windows, values, kinds)
    return ExplainEvidence(UNIT, exemplars, statistics_of(exemplars), "abc")


def one_hot(*places: int, width: int = 10, rows: int = 1) -> np.ndarray:
    values = np.zeros((rows, width))
    values[:, list(places)] = 4.0
    return values


# the prompt


def test_the_chat_prompt_as_a_whole() -> None:
    values = np.array([[0.0, 8.0, 4.0, 0.79, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], [0.0, 2.0, -3.0, 0, 0, 0, 0, 0, 0, 0]])
    prompt = bills_prompt(top_records(evidence_with(values).exemplars, 5))
    shown = "\n\n".join(f"[{message.role}]\n{message.content}" for message in prompt.messages) + "\n"
    assert shown == (GOLDEN / "bills_chat.txt").read_text(encoding="utf-8")


def test_a_completion_prompt_is_one_text_that_ends_with_the_lead() -> None:
    prompt = bills_prompt(top_records(evidence_with(one_hot(1, 2, 3)).exemplars, 5))
    request = prompt.request("completion", max_tokens=60, temperature=1.0, lines=prompt.lines)
    assert request.prompt is not None and request.prompt.endswith("In one phrase, unit 4 is active at")
    assert request.stop == ("\n\n",)
    assert [request.prompt.count(example.explanation) for example in EXAMPLES] == [1, 1, 1]


def test_zeros_are_left_out_in_a_second_showing_below_a_fifth_only() -> None:
    for active, repeated in ((1, True), (2, False), (3, False)):
        evidence = evidence_with(one_hot(*range(active)))
        records = top_records(evidence.exemplars, 5)
        assert (non_zero_share(records, 4.0) < SPARSE) == repeated
        assert ("without the tokens at 0" in bills_prompt(records).turn.question) == repeated


def test_the_most_active_windows_are_shown_whatever_their_kind() -> None:
    values = np.array([[1.0, 0], [3.0, 0], [0.0, -9], [2.0, 0]])
    evidence = evidence_with(values, kinds=["random", "quantile", "random", "top"])
    assert [float(activations.max()) for _, activations in top_records(evidence.exemplars, 9)] == [3.0, 2.0, 1.0]
    assert len(top_records(evidence.exemplars, 2)) == 2


def test_what_is_not_valid_is_shown_as_silent() -> None:
    values = np.array([[9.0, 1.0, 2.0, 0.0]])
    evidence = evidence_with(values)
    evidence.exemplars.windows.valid[0, 0] = False
    ((_, activations),) = top_records(evidence.exemplars, 1)
    assert activations.tolist() == [0.0, 1.0, 2.0, 0.0]


def test_odd_tokens_stay_on_their_line() -> None:
    ((tokens, _),) = top_records(evidence_with(one_hot(0)).exemplars, 1)
    assert tokens == [" the", " cat", " sat", "\\n", "\\xc3", "\\xa9", "\\t", " on", " mat", "<start>"]


def test_layouts_lose_examples_first_and_the_unit_itself_last() -> None:
    ways = list(layouts(3))
    assert ways[0].records == 3 and ways[0].examples == tuple(len(e.records) for e in EXAMPLES)
    assert ways[-1].records == 1 and not any(ways[-1].examples)
    sizes = [(way.records, sum(way.examples)) for way in ways]
    assert all(later[0] <= earlier[0] and later[1] <= earlier[1] for earlier, later in itertools.pairwise(sizes))
    assert [way.records for way in ways if sum(way.examples) > 1] == [3] * 5


def test_fewer_worked_examples_are_shown_where_that_is_asked_for() -> None:
    for examples in range(len(EXAMPLES) + 1):
        lm = Scripted(["cats"])
        (found,) = explain_one(BillsExplainer(lm, examples=examples), evidence_with(one_hot(1)), n=1)
        assert len(lm.asked[0].messages) == 2 + 2 * examples
        assert sum(map(bool, found.provenance.settings["examples"])) == examples
    for bad in (-1, 4, 1.5):
        with pytest.raises(UserError, match="worked examples"):
            BillsExplainer(Scripted([]), examples=bad)
    assert [sum(way.examples) for way in layouts(1, 0)] == [0, 0]


def test_the_fullest_prompt_that_fits_is_taken() -> None:
    records = top_records(evidence_with(np.full((4, 10), 2.0)).exemplars, 4)
    whole = bills_prompt(records).rough_tokens
    assert fitting_layout(records, None) == fitting_layout(records, whole) == next(layouts(4))
    smaller = fitting_layout(records, whole - 1)
    assert smaller is not None and smaller.records == 4 and sum(smaller.examples) == 5
    assert fitting_layout(records, 40) is None


# what comes of the answers


def test_samples_are_asked_together_merged_and_counted() -> None:
    lm = Scripted(["Names of cats.", "names of cats", "I cannot help with that.", "furry  animals", " Names of cats "])
    found = explain_one(BillsExplainer(lm), evidence_with(one_hot(1)), n=5)
    assert [e.text for e in found] == ["Names of cats", "furry  animals"]
    assert [e.rank for e in found] == [0, 1]
    first = found[0].provenance
    assert first.settings["votes"] == 3
    assert first.settings["samples"] == {"asked": 5, "failed": {"a refusal": 1}}
    assert (first.method, first.model, first.evidence) == ("bills", "scripted:here", "abc")
    assert first.prompt is not None and len(first.prompt) == 16
    assert [request.sample for request in lm.asked] == [0, 1, 2, 3, 4]
    assert len({request.messages for request in lm.asked}) == 1
    assert {request.temperature for request in lm.asked} == {1.0}
    assert sum(e.provenance.cost["calls"] for e in found) == 5


def test_a_copy_of_a_worked_example_is_marked() -> None:
    lm = Scripted([f"{EXAMPLES[1].explanation.upper()}.", "cats"])
    copy, own = explain_one(BillsExplainer(lm), evidence_with(one_hot(1)), n=2)
    assert copy.provenance.settings["copied"] and not own.provenance.settings["copied"]


def test_what_more_samples_than_explanations_cost_is_counted() -> None:
    lm = Scripted(["cats", "dogs", "birds"])
    (only,) = explain_one(BillsExplainer(lm, samples=3), evidence_with(one_hot(1)), n=1)
    assert only.text == "cats" and only.provenance.cost["calls"] == 3


def test_at_temperature_zero_one_sample_says_it_all() -> None:
    lm = Scripted(["cats"])
    assert len(explain_one(BillsExplainer(lm, temperature=0.0), evidence_with(one_hot(1)), n=5)) == 1


def test_all_units_go_out_in_one_call_and_fail_apart() -> None:
    batches = []

    class Counting(Scripted):
        def ask(self, requests):
            batches.append(len(requests))
            return super().ask(requests)

    def answer(request):
        return "" if " mat\t10" in request.messages[-1].content else "something"

    shown = [
        replace(evidence_with(one_hot(1)), unit=Unit("toy", "mlp.0", 1)),
        replace(evidence_with(one_hot(8)), unit=Unit("toy", "mlp.0", 2)),
        replace(evidence_with(np.full((2, 10), -1.0)), unit=Unit("toy", "mlp.0", 3)),
        replace(evidence_with(one_hot(2)), unit=Unit("toy", "mlp.0", 4, "-")),
    ]
    explainer = BillsExplainer(Counting(answer))
    good, failed, silent, negative = explainer.explain(shown, n=3, seed=0)
    assert batches == [9]
    assert [e.text for e in good] == ["something"] and good[0].unit.index == 1
    assert failed == Abstained("bills: none of 3 answers can be used: the answer is empty (3)", failed=True)
    assert silent == Abstained("the unit is never active in the explain split")
    assert negative[0].unit.polarity == "-"
    with pytest.raises(UserError, match="answer is empty"):
        explain_one(explainer, shown[1], n=3)


def test_failures_of_the_server_are_reasons() -> None:
    lm = Scripted([Answer("", failure="HTTP 500 after 4 tries", finish="error")] * 2)
    (answer,) = BillsExplainer(lm).explain([evidence_with(one_hot(1))], n=2, seed=0)
    assert answer.failed and "HTTP 500 after 4 tries (2)" in answer.reason


def test_a_model_that_only_completes_gets_plain_text() -> None:
    lm = Scripted([" cats"], powers={COMPLETION})
    (found,) = explain_one(BillsExplainer(lm), evidence_with(one_hot(1)), n=1)
    assert found.text == "cats" and lm.asked[0].prompt is not None
    assert found.provenance.settings["form"] == "completion"
    with pytest.raises(MissingPower):
        BillsExplainer(Scripted([], powers={CHAT}), form="completion")


def test_a_prompt_that_cannot_fit_fails_without_a_call() -> None:
    lm = Scripted([])
    (answer,) = BillsExplainer(lm, context=100).explain([evidence_with(one_hot(1))], n=1, seed=0)
    assert answer == Abstained("bills: not even one record fits into 20 tokens of scripted:here", failed=True)
    assert lm.asked == []


@pytest.mark.parametrize("settings", [{"records": 0}, {"samples": 0}, {"max_tokens": 0}, {"form": "letter"}])
def test_settings_that_make_no_sense(settings: dict) -> None:
    with pytest.raises(UserError):
        BillsExplainer(Scripted([]), **settings)


def test_the_same_evidence_makes_the_same_questions() -> None:
    asked = []
    for _ in range(2):
        lm = Scripted(lambda request: f"thing {request.sample}")
        explain_one(BillsExplainer(lm), evidence_with(one_hot(1, 2)), n=3)
        asked.append(lm.asked)
    assert asked[0] == asked[1]


def test_only_the_explain_split_is_shown() -> None:
    def part(token: int):
        windows = windows_of(np.full((3, 8), token))
        return exemplars_of(windows, np.ones((3, 8)), "top")

    evidence = evidence_of(part(1), part(2), part(3), select=part(4))
    lm = Scripted(["x y"])
    explain_one(BillsExplainer(lm), evidence.explain, n=1)
    text = lm.asked[0].messages[-1].content
    assert " w1\t" in text and not any(f" w{token}\t" in text for token in (2, 3, 4))


# cleaning


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ("words about rain.", "words about rain"),
        ("\n\n  words about rain  \n\nUnit 5 is active at dogs.", "words about rain"),
        ('"words about rain."', "words about rain"),
        ("“words about rain”.", "words about rain"),
        ("**Answer:** words about rain", "words about rain"),
        ("**words about rain**", "words about rain"),
        ("Explanation: words about rain", "words about rain"),
        ("Here is the explanation:\nwords about rain", "words about rain"),
        ("1. words about rain\n2. words about snow", "words about rain"),
        ("- words about rain", "words about rain"),
        ("In one phrase, unit 4 is active at words about rain.", "words about rain"),
        ("This unit seems to be active on: words about rain", "words about rain"),
        ('the word "not" after "do"', 'the word "not" after "do"'),
        ('"do" before "not"', '"do" before "not"'),
        ("“dog”", "“dog”"),
        ("names of U.S. states, e.g. Ohio etc.", "names of U.S. states, e.g. Ohio etc."),
        ("the U.S.", "the U.S."),
        ("3.5 and other numbers", "3.5 and other numbers"),
        ("sorry, and other words of regret", "sorry, and other words of regret"),
        ("don't, can't and won't", "don't, can't and won't"),
        ("naïve Ünïcode 日本", "naïve Ünïcode 日本"),
        ("**kwargs in Python", "**kwargs in Python"),
        ("*args and **kwargs in Python", "*args and **kwargs in Python"),
        ("__init__ and other names with underscores", "__init__ and other names with underscores"),
    ],
)
def test_cleaning_keeps_the_words(said: str, text: str) -> None:
    assert clean(Answer(said)) == (text, None)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("", "the answer is empty"),
        (" \n\t\n", "the answer is empty"),
        ("I'm sorry, but I can’t help with that.", "a refusal"),
        ("As an AI language model, I ...", "a refusal"),
        ("...", "no words in the answer"),
        ("10", "no words in the answer"),
        ("In one phrase, unit 4 is active at", "no words in the answer"),
        (" cat\t10", "the answer repeats the records"),
        ("<start>", "the answer repeats the records"),
    ],
)
def test_what_is_no_explanation_has_a_reason(said: str, reason: str) -> None:
    assert clean(Answer(said)) == ("", reason)


@pytest.mark.parametrize("failure", [None, "the answer was cut off at max_tokens"])
def test_of_an_answer_that_was_cut_short_what_is_whole_counts(failure: str | None) -> None:
    def cut(text: str) -> tuple[str, str | None]:
        return clean(Answer(text, finish="length", failure=failure))

    assert cut("words about rain\nand then some mo") == ("words about rain", None)
    assert cut("words about rain. It may als") == ("words about rain", None)
    assert cut("words about rain. Or snow. It may als") == ("words about rain. Or snow", None)
    assert cut("words about rain, snow, and hai") == ("", "the answer was cut off at max_tokens")
    assert cut("")[1] is not None


@given(st.text(max_size=80), st.sampled_from(["stop", "length", "refusal"]))
def test_any_answer_is_an_explanation_or_a_reason(said: str, finish: str) -> None:
    text, reason = clean(Answer(said, finish=finish))
    assert bool(text) == (reason is None)
    assert "\n" not in text and "\t" not in text
    words = set("".join(c if c.isalnum() else " " for c in text).split())
    assert words <= set("".join(c if c.isalnum() else " " for c in said).split())


def test_a_full_stop_is_not_part_of_the_text() -> None:
    assert [remove_final_period(t) for t in ("x. ", "a.m.", "", ".", "end...")] == ["x", "a.m.", "", "", "end..."]


def test_costs_of_merged_and_failed_answers_add_up() -> None:
    answers = [Answer("a b", usage=Usage(1, 10, 2, 0.5)), Answer("", usage=Usage(1, 10, 0, 0.25))]
    answers += [Answer("A B.", usage=Usage(1, 10, 2, 0.5)), Answer("c", usage=Usage(1, 10, 1, None))]
    outcome = outcome_of(answers)
    assert [(f.text, f.votes) for f in outcome.found] == [("a b", 2), ("c", 1)]
    assert outcome.found[0].usage == Usage(3, 30, 4, 1.25)
    assert outcome.usage.money is None and outcome.usage.calls == 4
