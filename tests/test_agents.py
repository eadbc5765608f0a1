"""Experiments on units with exact truth: what is found, what is claimed, what is written, what replays."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from glossator.agents import (
    Answer,
    Budget,
    Makers,
    Tools,
    Transcript,
    experiment,
    read_transcript,
)
from glossator.agents.answers import Finding
from glossator.agents.budget import Spent
from glossator.agents.errors import ToolError
from glossator.agents.settling import settle
from glossator.errors import UserError
from toy_scenes import CLASSES, VOCABULARY, ToyStudio, dog, toy_unit

STUDIO = Makers(ToyStudio())


def truths(kind, a, b):
    """A rule on concepts and what recovering it means."""
    return {
        "mono": (lambda has: float(a in has), [([a], [])]),
        "or": (lambda has: float(a in has or b in has), sorted([([a], []), ([b], [])])),
        "and": (lambda has: float(a in has and b in has), [(sorted([a, b]), [])]),
        "not": (lambda has: float(a in has and b not in has), [([a], [b])]),
        "contextual": (lambda has: (a in has) * (1.0 if b in has else 0.3), [(sorted([a, b]), [])]),
        "class": (lambda has: float(any("mammal" in CLASSES[c] for c in has)), [(["mammal"], [])]),
    }[kind]


def found(answer):
    return None if answer.rule is None else sorted((sorted(r["all"]), sorted(r["none"])) for r in answer.rule)


@pytest.mark.parametrize("kind", ["mono", "or", "and", "not", "contextual", "class"])
def test_the_scripted_experimenter_recovers_rules_within_100_images(kind):
    right = 0
    for seed in range(4):
        a, b = (str(c) for c in np.random.default_rng([seed, 3]).choice(VOCABULARY, 2, replace=False))
        rule, truth = truths(kind, a, b)
        answer = experiment(toy_unit(rule, seed=seed), STUDIO, budget=Budget(inputs=100), seed=seed)
        assert answer.spent["inputs"] <= 100
        right += found(answer) == truth
    assert right >= 3


def test_nothing_is_claimed_of_units_that_respond_to_nothing():
    claims = sum(
        experiment(toy_unit(lambda has: 0.0, seed=seed), STUDIO, budget=Budget(inputs=100), seed=seed).headline
        is not None
        for seed in range(20)
    )
    assert claims <= 1


def test_a_constant_unit_is_answered_with_a_reason():
    answer = experiment(toy_unit(lambda has: 1.0, noise=0.0), STUDIO)
    assert answer.headline is None and answer.reason


def test_images_of_which_nothing_is_known_are_a_reason():
    class Blind(ToyStudio):
        def contents(self, picture):
            return frozenset()

    answer = experiment(toy_unit(lambda has: float("dog" in has)), Makers(Blind()))
    assert answer.headline is None and answer.reason == "nothing is known of what the strongest images show"


def test_an_answer_says_what_it_rests_on():
    answer = experiment(toy_unit(lambda has: float("dog" in has)), STUDIO, question="What?")
    claim = next(one for one in answer.findings if not one.control)
    assert claim.verdict == "confirmed" and claim.effect > 0.8 and claim.e_above >= 20
    assert any(one.control and one.trials and one.verdict != "confirmed" for one in answer.findings)
    assert answer.headline == "dog" and any("other images were not tried" in limit for limit in answer.limits)
    assert Answer.from_dict(json.loads(json.dumps(answer.as_dict()))) == answer


def test_a_control_that_mostly_succeeds_is_a_limit():
    def policy(tools, conclusion):
        for concept, control in (("dog", False), ("cat", True)):
            name = tools.register_hypothesis(concept, control=control)
            made = [
                [one["id"] for one in tools.text2image([f"{start}{end}" for end in ("ball", "hat", "tree", "book")])]
                for start in (f"{concept}, ", "")
            ]
            tools.test_hypothesis(name, *made)

    animals = {"dog", "cat"}
    answer = experiment(toy_unit(lambda has: float(bool(animals & has))), STUDIO, policy)
    (limit,) = (one for one in answer.limits if "may respond to more" in one)
    assert limit.startswith("the negative control went as predicted in 4 of 4 pairs") and limit.endswith(": cat")
    clean = experiment(toy_unit(lambda has: float("dog" in has)), STUDIO, policy)
    assert not any("may respond to more" in one for one in clean.limits)


def test_what_activates_is_tested_before_what_silences():
    def rule(has):
        return float(("dog" in has and "snow" not in has) or ("car" in has and "night" not in has))

    transcript = Transcript(None)
    answer = experiment(toy_unit(rule), STUDIO, budget=Budget(inputs=400), transcript=transcript)
    controls = {one.id for one in answer.findings if one.control}
    directions = {one.id: one.direction for one in answer.findings}
    tested = [step["request"]["hypothesis"] for step in transcript.steps if step["kind"] == "test"]
    order = [directions[name] for name in dict.fromkeys(tested) if name not in controls]
    assert set(order) == {"activates", "suppresses"} and order == sorted(order)


def test_an_answer_is_printed_with_how_sure_it_is(capsys):
    from glossator.cli.agent import _print

    sure = Finding("h1", "images of dogs", "activates", "confirmed", effect=2.0, successes=17, trials=20, e_above=87.5)
    open_ = Finding("h2", "no response to dogs at night", "suppresses", "inconclusive", successes=6, trials=12)
    control = Finding("h3", "images of cats", "activates", "refuted", control=True, trials=7)
    limits = ("inconclusive: no response to dogs at night", "other images were not tried")
    answer = Answer("u/s/1", "?", "dogs", findings=(control, open_, sure), limits=limits, spent={"inputs": 99})
    _print(answer, Path("a/t.jsonl"))
    printed = capsys.readouterr().out
    assert "17 of 20 pairs as predicted; mean difference 2" in printed
    assert "at least 56 % of such pairs go as predicted (95 % confidence)" in " ".join(printed.split())
    assert printed.index("images of dogs") < printed.index("dogs at night") < printed.index("images of cats")
    assert "failed, as expected: images of cats" in printed and printed.count("no response to dogs at night") == 1
    assert "99 inputs were run" in printed and "other images were not tried" in printed


def test_a_transcript_replays_byte_for_byte_without_the_unit(tmp_path):
    path = tmp_path / "a.jsonl"
    first = experiment(dog(), STUDIO, transcript=Transcript(path), seed=3)
    once = path.read_bytes()

    class Silent(type(dog())):
        def respond(self, items):
            raise AssertionError("a replay asks the unit nothing")

    unit = dog()
    unit.__class__ = Silent
    replayed = Transcript(recorded=read_transcript(path))
    assert experiment(unit, STUDIO, transcript=replayed, seed=3) == first
    assert replayed.text().encode() == once


@pytest.mark.parametrize("kept", [1, 5, 9, -2])
def test_a_killed_experiment_resumes_to_the_same_bytes(tmp_path, kept):
    path = tmp_path / "a.jsonl"
    first = experiment(dog(), STUDIO, transcript=Transcript(path))
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:kept]) + lines[kept][: len(lines[kept]) // 2])  # killed while it wrote
    assert experiment(dog(), STUDIO, transcript=Transcript(path)) == first
    assert path.read_bytes() == whole


def test_another_experiment_is_no_continuation(tmp_path):
    path = tmp_path / "a.jsonl"
    experiment(dog(), STUDIO, transcript=Transcript(path))
    with pytest.raises(UserError, match="another experiment"):
        experiment(dog(), STUDIO, transcript=Transcript(path), seed=1)


def test_a_transcript_of_the_same_unit_with_other_responses_is_no_continuation(tmp_path):
    """The weights or the study were replaced: what follows would be of another unit than what stands there."""
    path = tmp_path / "a.jsonl"
    experiment(dog(), STUDIO, transcript=Transcript(path))
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:6]))
    unit = dog()
    unit.reference = np.asarray(unit.reference) * 2 + 1
    with pytest.raises(UserError, match="differ from the recorded transcript"):
        experiment(unit, STUDIO, transcript=Transcript(path))


def test_a_file_that_is_no_transcript_is_refused(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": 1}\n{"b": 2}\n')
    with pytest.raises(UserError, match="not a step"):
        read_transcript(path)


class Rows:
    def __init__(self):
        self.written = []

    def experiment(self, kind, request, *, prediction=None):
        self.written.append([kind, request, prediction, None])
        return len(self.written) - 1

    def result(self, number, result):
        assert self.written[number][3] is None
        self.written[number][3] = result


def test_predictions_are_registered_before_the_unit_is_run():
    unit, rows, order = dog(), Rows(), []
    ask = unit.respond
    tools = Tools(unit, STUDIO, rows=rows)
    unit.respond = lambda items: order.append(len(rows.written)) or ask(items)
    name = tools.register_hypothesis("dogs")
    made = [one["id"] for one in tools.text2image(["dog, tree", "tree"])]
    tools.test_hypothesis(name, made[:1], made[1:])
    assert order == [1] and rows.written[0][2] and rows.written[0][3]["successes"] == 1


def test_what_was_seen_is_no_test():
    tools = Tools(dog(), STUDIO)
    name = tools.register_hypothesis("dogs")
    made = [one["id"] for one in tools.text2image(["dog, tree", "tree"])]
    tools.call_unit(made[:1])
    with pytest.raises(ToolError, match="run before"):
        tools.test_hypothesis(name, made[:1], made[1:])
    assert tools.ledger.evidence(name)[1] == 0


def test_edits_give_paired_effects_and_their_missing():
    tools = Tools(toy_unit(lambda has: float("dog" in has), noise=0.0), STUDIO)
    made = [one["id"] for one in tools.text2image(["dog, red", "dog, tree"])]
    pairs = tools.edit_images(made, ["remove dog", "remove tree"])
    assert [pair["effect"] for pair in pairs] == [-1.0, 0.0]
    assert all(pair["missing"] == [] for pair in pairs)


def test_budgets_are_hard():
    tools = Tools(dog(), STUDIO, Budget(inputs=10))
    tools.dataset_exemplars(8)
    with pytest.raises(Spent, match="inputs"):
        tools.ordinary_inputs(3)
    assert tools.meter.inputs == 8
    with pytest.raises(UserError, match="not a limit"):
        Budget(inputs=0)


def test_a_value_that_is_no_number_is_missing_and_no_outcome():
    unit = toy_unit(lambda has: 0.0 if "tree" not in has else float("nan"), noise=0.0)
    tools = Tools(unit, STUDIO)
    name = tools.register_hypothesis("trees")
    made = [one["id"] for one in tools.text2image(["tree", "dog"])]
    assert tools.test_hypothesis(name, made[:1], made[1:])["trials"] == 0
    assert tools.call_unit(made)[0]["value"] is None


def test_a_hypothesis_that_is_registered_again_goes_on_with_its_evidence() -> None:
    tools = Tools(dog(), STUDIO, question="What does this unit respond to?")
    first = tools.register_hypothesis("images of dogs")
    assert tools.register_hypothesis(" Images  of dogs") == first
    others = [
        tools.register_hypothesis("images of dogs", "suppresses"),
        tools.register_hypothesis("images of dogs", control=True),
        tools.register_hypothesis("images of cats"),
    ]
    assert len({first, *others}) == 4 == len(tools.ledger.entries)


def test_describers_never_hear_of_hypotheses():
    heard = []

    class Listening(ToyStudio):
        def describe(self, picture, mask):
            heard.append((picture, mask))
            return "a picture"

    tools = Tools(dog(), Makers(Listening()))
    tools.register_hypothesis("secret dogs")
    seen = tools.dataset_exemplars(2)
    tools.describe_images([one["id"] for one in seen])
    assert len(heard) == 2 and "secret" not in repr(heard)


@pytest.mark.parametrize(("works", "tested"), [(0.0, 12), (0.8, 24)])
def test_a_test_goes_on_where_the_evidence_leans_to_it(works, tested):
    tools = Tools(toy_unit(lambda has: float("dog" in has), noise=0.0), STUDIO, Budget(inputs=300))
    name = tools.register_hypothesis("dogs")

    def pairs():
        turn = 0
        while True:
            turn += 1
            good = turn % 5 < 5 * works
            yield ("dog, tree" if good else "cat, tree"), ("tree" if turn % 2 or good else "dog")

    def make(block):
        made = [one["id"] for one in tools.text2image([prompt for pair in block for prompt in pair])]
        return made[::2], made[1::2]

    settle(tools, name, pairs(), make, 12)
    assert tools.ledger.evidence(name)[1] <= tested
    if works:
        assert tools.ledger.settled(name)


def test_pairs_that_turn_out_unfit_do_not_count():
    tools = Tools(toy_unit(lambda has: float("dog" in has), noise=0.0), STUDIO, Budget(inputs=300))
    name, blocks = tools.register_hypothesis("dogs"), []

    def make(block):
        blocks.append(block)
        made = [one["id"] for one in tools.text2image([prompt for pair in block for prompt in pair])]
        return made[:2:2], made[1:2:2]  # one pair of four is fit

    settle(tools, name, iter([("dog", "tree")] * 100), make, 12)
    assert tools.ledger.settled(name) and len(blocks) > 3
