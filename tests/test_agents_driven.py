"""Language models and people behind the loop: what they are told, what they may claim, what is replayed."""

from __future__ import annotations

import json

import pytest

from glossator.agents import (
    Budget,
    FunctionUnderTest,
    Makers,
    SceneStudio,
    Tools,
    Transcript,
    experiment,
    read_transcript,
)
from glossator.agents.driven import LanguageModelPolicy, PersonPolicy, in_short
from glossator.agents.prompts import code_of, example, first_look, round_prompt, system_prompt
from glossator.language_models.request import Request
from glossator.language_models.scripted import Scripted
from glossator.scenes import SceneImages, random_scenes
from glossator.scenes.pictures import Renderer, pictures_of
from toy_scenes import ToyStudio, dog

STUDIO = Makers(ToyStudio())


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
