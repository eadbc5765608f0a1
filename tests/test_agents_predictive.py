"""The predictive protocol: labels judged on prompts that someone else picked, by the unit's responses."""

from __future__ import annotations

import re

import numpy as np
import pytest

from glossator.agents import FunctionUnderTest, SceneStudio
from glossator.agents.authors import (
    LanguageModelAuthor,
    LanguageModelJudge,
    LanguageModelPicker,
    ProgramAuthor,
    ProgramJudge,
    ProgramPicker,
    SceneGrammar,
    TextPool,
    program_of,
)
from glossator.agents.predictive import Label, Written, auc, predictive, preferred, quantiles
from glossator.errors import UserError
from glossator.inputs.tokens import TokenWindows, Vocabulary
from glossator.language_models import Scripted
from glossator.language_models.request import Answer
from glossator.programs import Lexicon, parse_program
from glossator.scenes import SceneImages, random_scenes
from glossator.scenes.pictures import Renderer, pictures_of

NOUNS = ("dog", "cat", "car", "tree")
STUDIO = SceneStudio(Renderer(side=32))
GRAMMAR = SceneGrammar(NOUNS)
BOTH = parse_program('0.0 + 1.0*and(shows("noun:dog"), shows("background:snow"))')
LABELS = {
    "right": Label("dog on snow", BOTH, method="right"),
    "half": Label("dog", method="half"),
    "wrong": Label("vehicles", parse_program('0.0 + 1.0*shows("class:vehicle")'), method="wrong"),
}


def dogs_on_snow() -> FunctionUnderTest:
    def respond(pictures):
        shown = [STUDIO.contents(p) for p in pictures]
        return [float({"dog", "snow background"} <= s) + 0.01 * (p.seed % 7) for s, p in zip(shown, pictures)]  # noqa: B905

    pool = pictures_of(SceneImages.of_scenes(random_scenes(300, 1, among=NOUNS), side=16), range(300))
    return FunctionUnderTest("dogs on snow", "images", respond, pool)


def test_a_right_label_predicts_better_than_half_of_it_and_that_better_than_a_wrong_one() -> None:
    found = predictive(dogs_on_snow(), LABELS, ProgramAuthor(GRAMMAR), ProgramPicker(GRAMMAR), STUDIO.draw, seed=1)
    values = {method: one.auc for method, one in found.items()}
    assert values["right"] == 1.0
    assert values["right"] > values["half"] > values["wrong"]
    assert values["wrong"] < 0.6
    right = found["right"]
    assert right.own is not None and right.own > 0.8
    assert right.most.value > 0.9 and right.least.value < 0.2 and right.most.low <= right.most.value <= right.most.high


def test_all_prompts_are_pooled_and_no_one_is_told_whose_a_label_is() -> None:
    seen: list[tuple[str, int]] = []

    class Spy(ProgramPicker):
        def likelihood(self, label, prompts, seed):
            seen.append((label.method, len(prompts)))
            return super().likelihood(label, prompts, seed)

    predictive(dogs_on_snow(), LABELS, ProgramAuthor(GRAMMAR), Spy(GRAMMAR), STUDIO.draw, seed=1)
    assert seen == [("", 42)] * 3


def test_a_label_that_cannot_be_read_has_a_reason_and_no_number() -> None:
    labels = LABELS | {"mute": Label("no nameable pattern"), "flat": Label("all", parse_program("1.0"))}
    found = predictive(dogs_on_snow(), labels, ProgramAuthor(GRAMMAR), ProgramPicker(GRAMMAR), STUDIO.draw, seed=1)
    for name, why in (("mute", "not understood: nameable, pattern"), ("flat", "nothing in the label")):
        assert found[name].auc is None and why in (found[name].reason or "")
    assert found["right"].auc == 1.0


def test_author_and_picker_are_not_one() -> None:
    class Both(ProgramAuthor, ProgramPicker):
        def __init__(self) -> None:
            ProgramAuthor.__init__(self, GRAMMAR)

    one = Both()
    with pytest.raises(UserError, match="different instances"):
        predictive(dogs_on_snow(), LABELS, one, one, STUDIO.draw)


def test_differences_within_the_silence_of_a_unit_are_ties() -> None:
    reference = np.array([0.0] * 98 + [1.0, 2.0])
    low, high = quantiles(np.array([-5.0, -4.0]), reference), quantiles(np.array([1.5, 3.0]), reference)
    assert auc(low[:1], low[1:]) == 0.5
    assert auc(high, low) == 1.0 and auc(np.array([]), low) is None
    assert high.tolist() == [0.99, 1.0]


@pytest.mark.parametrize(
    ("words", "program"),
    [
        ("dog", 'shows("noun:dog")'),
        ("dogs on snow", 'and(shows("noun:dog"), shows("background:snow"))'),
        ("red cars, or animals at night", 'or(together("noun:car", "colour:red"), '
         'and(shows("class:animal"), shows("light:night")))'),
        ("dogs without a cat", 'and(shows("noun:dog"), not(anywhere(shows("noun:cat"))))'),
        ("dogs with trees on a striped background", 'and(and(shows("noun:dog"), '
         'shows("noun:tree")), shows("background:stripes"))'),
    ],
)  # fmt: skip
def test_words_are_read_as_programs(words: str, program: str) -> None:
    found, why = program_of(Label(words))
    assert found is not None and why is None and str(found.clauses[0].test) == program


def test_words_that_nobody_understands_are_said_and_never_dropped() -> None:
    assert program_of(Label("fluffy dogs in pyjamas")) == (None, "not understood: fluffy, pyjamas")
    labels = LABELS | {"odd": Label("fluffy dogs on snow")}
    found = predictive(dogs_on_snow(), labels, ProgramAuthor(GRAMMAR), ProgramPicker(GRAMMAR), STUDIO.draw)
    assert found["odd"].reason == "no prompts: not understood: fluffy" and found["odd"].auc is None
    assert found["right"].auc == 1.0


def test_preference_does_not_depend_on_the_order() -> None:
    shown = [("a dog on snow", True), ("a dog on grass", False), ("a car on snow", False)]
    judge = ProgramJudge(GRAMMAR)
    for seed in range(6):
        assert preferred(LABELS["right"], LABELS["half"], shown, judge, seed) == 1.0
        assert preferred(LABELS["half"], LABELS["right"], shown, judge, seed) == 0.0
        assert preferred(LABELS["half"], LABELS["half"], shown, judge, seed) == 0.5
    asked = Scripted(lambda request: {"better": "A"})
    orders = {preferred(LABELS["half"], LABELS["right"], shown, LanguageModelJudge(asked), seed) for seed in range(8)}
    assert orders == {0.0, 1.0}  # a judge that always says A says nothing
    assert not any(method in str(asked.asked) for method in ("right", "wrong"))


def test_language_models_write_and_pick_or_give_no_value() -> None:
    def answers(request):
        text = request.messages[-1].content
        if "Write 2" in text:
            return {"activating": ["a dog on snow", "two dogs on snow"], "neutral": ["a car", "a tree on grass"]}
        lines = [line for line in text.splitlines() if line[:1].isdigit()]
        dogs = [int(line.split(".")[0]) for line in lines if "dog" in line]
        others = [int(line.split(".")[0]) for line in lines if "dog" not in line]
        return {"most_likely": dogs[:2], "least_likely": others[:2]}

    author, picker = LanguageModelAuthor(Scripted(answers)), LanguageModelPicker(Scripted(answers), n=2)
    found = predictive(dogs_on_snow(), {"lm": Label("dogs on snow")}, author, picker, STUDIO.draw, n=2)
    assert found["lm"].auc == 1.0 and found["lm"].own == 1.0
    refusing = Scripted(lambda request: Answer("", failure="refused", finish="refusal"))
    assert LanguageModelAuthor(refusing).write(Label("dogs"), 2, 0) == Written(failure="refused")
    found = predictive(dogs_on_snow(), {"lm": Label("dogs on snow")}, author, LanguageModelPicker(refusing, 2),
                       STUDIO.draw, n=2)  # fmt: skip
    assert found["lm"].auc is None and found["lm"].reason == "the picker gave no usable answer"


def test_programs_of_tokens_choose_among_texts() -> None:
    words = ("the", " dog", " ran", "a", " cat", "one", "my", " car")
    vocabulary = Vocabulary("words", tuple(word.encode() for word in words))

    def windows(texts):
        rows = [[words.index(w) for w in re.findall(r" ?[a-z]+", text)] for text in texts]
        lengths, numbers = np.array([len(row) for row in rows], np.int32), np.arange(len(rows))
        tokens = np.array([row + [0] * (3 - len(row)) for row in rows], np.int32)
        return TokenWindows(tokens, lengths, np.arange(3) < lengths[:, None], numbers, numbers, vocabulary)

    pool = TextPool(["the dog ran", "a cat ran", "one dog", "the cat", "my dog", "one car"], windows,
                    Lexicon(vocabulary))  # fmt: skip
    label = Label("dogs", parse_program('0.0 + 1.0*token(" dog")'))
    written = ProgramAuthor(pool).write(label, 3, 0)
    assert set(written.activating) == {"the dog ran", "one dog", "my dog"} and len(written.neutral) == 3
    assert ProgramPicker(pool).likelihood(label, ["a dog", "a cat"], 0).tolist() == [1.0, 0.0]


def test_an_author_writes_of_a_part_without_the_rest() -> None:
    label = Label("dogs off snow", parse_program('0.0 + 1.0*and(shows("noun:dog"), not(shows("background:snow")))'))
    for seed in range(5):
        written = ProgramAuthor(SceneGrammar(("cat", "car")), 120).write(label, 7, seed)
        assert written.failure is None and all("dog" in one and "on snow" not in one for one in written.activating)
