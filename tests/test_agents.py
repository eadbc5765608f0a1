"""Experiments on units with exact truth: what is found, what is claimed, what is written, what replays."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from glossator.agents import (
    Answer,
    Budget,
    FunctionUnderTest,
    Makers,
    SceneStudio,
    Tools,
    Transcript,
    experiment,
    read_transcript,
)
from glossator.agents.answers import Finding
from glossator.agents.budget import Spent
from glossator.agents.driven import LanguageModelPolicy, PersonPolicy, in_short
from glossator.agents.errors import ToolError
from glossator.agents.prompts import code_of, example, first_look, round_prompt, system_prompt
from glossator.agents.settling import settle
from glossator.errors import UserError
from glossator.language_models.request import Request
from glossator.language_models.scripted import Scripted
from glossator.scenes import SceneImages, random_scenes
from glossator.scenes.pictures import Renderer, pictures_of
from glossator.statistics.sequential import RankBet, rate_above, rate_at_least, rate_below, rejected
from toy_scenes import CLASSES, VOCABULARY, ToyStudio, toy_unit

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


def dog(seed=0):
    return toy_unit(lambda has: float("dog" in has and "snow" not in has), seed=seed)


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
    with pytest.raises(UserError, match="others than in the recorded transcript"):
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


GOOD = """I look first.
```python
best = dataset_exemplars(4)
log_experiment("the best have: " + ", ".join(best[0]["contents"]))
```"""
TEST = """```python
h = register_hypothesis("images of dog")
c = register_hypothesis("images of tree", control=True)
beside = ["car", "bus", "pear", "hat", "owl", "cat", "book", "cow"]
for name, concept in ((h, "dog"), (c, "tree")):
    made = [one["id"] for one in text2image([concept + ", ball, " + x for x in beside])]
    bare = [one["id"] for one in text2image(["ball, " + x for x in beside])]
    log_experiment(concept + " " + str(test_hypothesis(name, made, bare)["successes"]))
```"""
END = '```python\nfinal_answer("dogs", limits=["snow was not tried"])\n```'


def test_a_language_model_drives_the_loop_and_replays(tmp_path):
    path, replies = tmp_path / "a.jsonl", [GOOD, "no code here", "```python\n1 / 0\n```", TEST, END]
    answer = experiment(dog(), STUDIO, LanguageModelPolicy(Scripted(replies)), transcript=Transcript(path))
    assert answer.headline == "dogs" and "snow was not tried" in answer.limits
    assert [one.verdict for one in answer.findings] == ["confirmed", "refuted"]
    assert answer.spent["rounds"] == 5
    replayed = Transcript(recorded=read_transcript(path))
    again = experiment(dog(), STUDIO, LanguageModelPolicy(Scripted([])), transcript=replayed)
    assert again == answer and replayed.text().encode() == path.read_bytes()


def test_only_what_is_logged_reaches_later_prompts():
    look = '```python\nx = dataset_exemplars(3)\nprint("unlogged-9931", x)\n```'
    replies = [look, "```python\nfinal_answer(None)\n```"]
    transcript = Transcript()
    experiment(dog(), STUDIO, LanguageModelPolicy(Scripted(replies)), transcript=transcript)
    asked = [step["request"]["prompt"] for step in transcript.steps if step["kind"] == "ask"]
    assert "unlogged-9931" in json.dumps(transcript.steps) and "unlogged-9931" not in asked[1]
    tools = Tools(dog(), STUDIO, question="What does this unit respond to?")
    first_look(tools)
    assert "Strongest recorded inputs" in asked[0] and tools.log[0]["text"] in asked[0]
    tools.log_experiment(asked[1].split("\n2. ")[1].split("\n")[0])
    assert "logged nothing" in tools.log[1]["text"]
    tools.meter.rounds, tools.meter.inputs = 2, tools.meter.inputs + 3
    assert round_prompt(tools) == asked[1]  # the same log, the same bytes


def test_a_claim_without_evidence_is_refused():
    claim = '```python\nfinal_answer("cats")\n```'
    untested = '```python\nregister_hypothesis("cats")\nfinal_answer("cats")\n```'
    transcript = Transcript()
    policy = LanguageModelPolicy(Scripted([claim, untested, "```python\nfinal_answer(None)\n```"]))
    answer = experiment(dog(), STUDIO, policy, transcript=transcript)
    errors = [step["result"]["error"] for step in transcript.steps if step["kind"] == "code"]
    assert "none is registered" in errors[0] and "h1 is untested" in errors[1]
    assert answer.headline is None and answer.reason == "the policy claims nothing"
    assert {"no hypothesis was confirmed on new inputs", "no negative control was tested"} <= set(answer.limits)


def test_a_claim_without_a_negative_control_is_refused_and_the_prompt_says_what_is_missing():
    lonely = TEST.replace('c = register_hypothesis("images of tree", control=True)', 'c = ""').replace(
        '((h, "dog"), (c, "tree"))', '((h, "dog"),)'
    )
    control = TEST.replace('h = register_hypothesis("images of dog")', 'h = ""').replace(
        '((h, "dog"), (c, "tree"))', '((c, "tree"),)'
    )
    transcript = Transcript()
    policy = LanguageModelPolicy(Scripted([lonely, END, control, END]))
    answer = experiment(dog(), STUDIO, policy, transcript=transcript)
    errors = [step["result"]["error"] for step in transcript.steps if step["kind"] == "code"]
    asked = [step["request"]["prompt"] for step in transcript.steps if step["kind"] == "ask"]
    assert "no negative control was tested" in errors[1] and "a claim needs one" in asked[1]
    assert "Next: give final_answer" in asked[3] and answer.headline == "dogs"


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


def test_a_model_is_shown_how_to_answer_once_something_is_confirmed() -> None:
    replies, seen = iter([TEST, END]), []

    def reply(request: Request) -> str:
        seen.append([message.content for message in request.messages if message.role == "assistant"])
        return next(replies)

    answer = experiment(dog(), STUDIO, LanguageModelPolicy(Scripted(reply)))
    assert answer.headline == "dogs" and [len(one) for one in seen] == [1, 2]
    assert "final_answer" not in seen[0][0] and "final_answer" in seen[1][1]


def test_a_failure_is_told_in_short() -> None:
    raised = 'Traceback (most recent call last):\n  File "x", line 2, in <module>\n    go(1)\n    ~~^^^\nValueError: no'
    assert in_short(raised) == '  File "x", line 2, in <module>\n    go(1)\nValueError: no'


def test_a_model_that_repeats_itself_is_asked_at_a_temperature() -> None:
    """Until it says something new; each such reply is another sample."""
    asked: list[tuple[float, int]] = []

    def reply(request: Request) -> str:
        asked.append((request.temperature, request.sample))
        return "hm" if request.sample < 2 else "```python\nfinal_answer(None)\n```"

    answer = experiment(dog(), STUDIO, LanguageModelPolicy(Scripted(reply)), Budget(rounds=9))
    assert asked == [(0.0, 0), (0.0, 0), (0.7, 1), (0.7, 2)]
    assert answer.headline is None


def test_rounds_end_a_model_that_never_answers():
    answer = experiment(dog(), STUDIO, LanguageModelPolicy(Scripted(["hm"] * 9)), Budget(rounds=3))
    assert answer.headline is None and "rounds" in answer.reason and answer.spent["rounds"] == 3


def test_a_person_has_the_same_tools():
    typed, shown = iter(["print(len(dataset_exemplars(3)))", "final_answer(None)"]), []
    answer = experiment(dog(), STUDIO, PersonPolicy(lambda: next(typed), shown.append))
    assert answer.headline is None and "3\n" in shown and "def call_unit" in shown[0]
    assert shown[1].startswith("Question:") and not shown[1].endswith("block.")


def test_the_prompt_is_made_from_the_docstrings():
    tools = Tools(dog(), STUDIO)
    prompt = system_prompt(tools)
    for name in tools.names:
        assert f"def {name}(" in prompt and getattr(Tools, name).__doc__.split("\n")[0] in prompt
    assert "search_corpus" not in prompt and "(self" not in prompt


def test_code_is_read_from_replies():
    assert code_of("a\n```python\nx = 1\n```\nb\n```py\ny = 2\n```") == "x = 1\n\ny = 2"
    assert code_of("```python\nx = 1") == "x = 1" and code_of("none") is None
    assert code_of(" log_experiment('x') ") == "log_experiment('x')" and code_of("I log (twice) what I see") is None


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


# E-values, by simulation.


def test_false_alarms_stay_below_alpha_under_optional_stopping():
    rng, alarms, runs = np.random.default_rng(0), 0, 2000
    for _ in range(runs):
        good = np.cumsum(rng.random(80) < 0.5)
        alarms += any(rate_above(int(s), n) >= 20 for n, s in enumerate(good, 1))
    assert alarms / runs <= 0.05


def test_rates_are_told_apart():
    rng = np.random.default_rng(1)
    good = np.cumsum(rng.random((200, 40)) < 0.85, axis=1)
    assert np.mean([rate_above(int(row[-1]), 40) >= 20 for row in good]) > 0.95
    assert rate_below(0, 7) == rate_above(7, 7) >= 20 > rate_above(6, 6)
    assert rate_above(0, 0) == 1


def test_the_rate_that_is_reached_at_least_is_too_high_for_few_under_optional_stopping():
    rng, above, runs = np.random.default_rng(3), 0, 300
    for _ in range(runs):
        good = np.cumsum(rng.random(40) < 0.8)
        above += max(rate_at_least(int(s), n) for n, s in enumerate(good, 1)) > 0.8
    assert above / runs <= 0.05
    assert 0.56 < rate_at_least(17, 20) < 0.57 and rate_at_least(0, 8) == rate_at_least(0, 0) == 0
    assert rate_above(12, 12, rate_at_least(12, 12)) == pytest.approx(20, rel=1e-3)


def test_ranks_bet_against_larger_values_alone():
    rng, alarms = np.random.default_rng(2), 0
    for seed in range(400):
        bet, reference = None, rng.exponential(size=60).round(1)  # with ties
        bet = RankBet(reference, seed)
        alarms += any(bet.see(value) >= 20 for value in rng.exponential(size=40).round(1))
    assert alarms / 400 <= 0.05
    bet = RankBet(rng.normal(size=200))
    assert [bet.see(10.0 + i) for i in range(5)][-1] > 20


def test_many_at_once():
    assert rejected([100, 1, 45], 0.05) == [True, False, True]  # 3 / (0.05 * 2) = 30
    assert rejected([25, 1, 1], 0.05) == [False, False, False]
    assert rejected([], 0.05) == []


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


def test_a_reply_that_adds_nothing_is_told_so_and_the_next_step_is_named():
    again = '```python\nlog_experiment("dogs, perhaps")\n```'
    tests = (
        '```python\nh = register_hypothesis("dogs")\n'
        'p = [i["id"] for i in text2image([f"{t} on {w}" for t in ("a dog", "a tree") for w in ("grass", "snow")])]\n'
        "log_experiment(str(test_hypothesis(h, p[:2], p[2:])))\n```"
    )
    transcript = Transcript()
    policy = LanguageModelPolicy(Scripted([again, again, "```python\nregister_hypothesis('x')\n```", tests, "hm"]))
    experiment(dog(), STUDIO, policy, Budget(rounds=5), transcript=transcript)
    asked = [step["request"]["prompt"] for step in transcript.steps if step["kind"] == "ask"]
    assert "the log holds exactly this already" in asked[2] and "Next: register" in asked[1]
    assert "hypotheses of 0 pairs" in asked[3] and "This is the last reply" in asked[4]


@pytest.mark.parametrize("takes", ["texts", "images"])
def test_the_example_of_a_prompt_does_what_it_shows(takes):
    """Its code runs as it stands, and confirms what it says it confirms."""
    colours = ("red", "green", "yellow", "grey")
    studio = SceneStudio(Renderer(side=16))
    if takes == "texts":
        pool = [f"{word} {i}" for i in range(60) for word in ("red", *"abcdefg")]
        unit = FunctionUnderTest("?", "texts", lambda found: [any(c in t for c in colours) for t in found], pool)
    else:
        scenes = SceneImages.of_scenes(random_scenes(80, among=("dog", "tree", "car", "owl", "bus", "hut")), side=16)
        pool = pictures_of(scenes, range(80))
        unit = FunctionUnderTest("?", "images", lambda found: ["dog" in studio.contents(p) for p in found], pool)
    replies = [reply for _, reply in example(Tools(unit, Makers(studio)))]
    answer = experiment(unit, Makers(studio), LanguageModelPolicy(Scripted(replies)))
    assert answer.headline == ("dogs" if takes == "images" else "names of colours")
    told = [(one.verdict, one.successes, one.trials, one.control) for one in answer.findings]
    assert told == [("confirmed", 8, 8, False), ("refuted", 0, 8, True)]
