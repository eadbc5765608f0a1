"""Experiments on units of image models: the renderer as studio, channels as units."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from glossator.agents import Budget, FunctionUnderTest, Makers, SceneStudio, experiment
from glossator.agents.scene_studio import settings, vocabulary
from glossator.agents.under_test import inputs_of
from glossator.cli import main
from glossator.programs import parse_program
from glossator.programs.running import run
from glossator.scenes import SceneImages
from glossator.scenes.pictures import Renderer, pictures_of
from glossator.scenes.sampling import random_scenes
from glossator.scenes.words import COLOURS, nouns

STUDIO = SceneStudio(Renderer(side=32))
SAMPLE = ["dog", "ice cream", "red", *settings(), *list(nouns())[::40]]


@pytest.mark.parametrize("concept", SAMPLE)
def test_what_is_asked_for_is_there_and_nothing_else(concept: str) -> None:
    (drawn,) = STUDIO.draw([STUDIO.prompt([concept])], 1)
    assert STUDIO.contents(drawn) == {concept} | ({"balloon"} if concept in COLOURS else set())


def test_names_of_concepts_are_used_once() -> None:
    assert len(set(vocabulary())) == len(vocabulary())


@pytest.mark.parametrize("concept", ["beach background", "cat", "night light", "rainy weather", "red"])
def test_removals_and_additions_change_one_concept(concept: str) -> None:
    everything = ["dog", "cat", "night light", "rainy weather", "beach background", "red"]
    (full,) = STUDIO.draw([STUDIO.prompt(everything)], 3)
    assert STUDIO.contents(full) == set(everything)
    (without,) = STUDIO.edit([full], [STUDIO.removal(concept, full)], 0)
    assert STUDIO.contents(without) == set(everything) - {concept}
    (again,) = STUDIO.edit([without], [STUDIO.addition(concept, without)], 0)
    assert concept in STUDIO.contents(again) and not again.missing


def test_rules_are_programs_that_say_what_the_rule_says() -> None:
    text = STUDIO.program([{"all": ["night light", "dog"], "none": ["snow background"]}])
    assert text is not None
    prompts = [STUDIO.prompt(c) for c in (["dog"], ["dog", "night light"], ["dog", "night light", "snow background"])]
    images = inputs_of(STUDIO.draw(prompts, 5))
    assert isinstance(images, SceneImages)
    from glossator.inputs import WHOLE

    assert run(parse_program(text), images, WHOLE, None).ravel().tolist() == [0.0, 1.0, 0.0]


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"all": ["dog"]}, "dogs"),
        ({"all": ["grass background", "night light"]}, "grass backgrounds at night"),
        ({"all": ["rainy weather", "dog", "red"], "none": ["cat", "wooden background"]},
         "red dogs in the rain without cats except on wood"),
        ({"all": ["dog next to cat"], "less": {"night light": 0.5}}, "dogs next to cats (less at night)"),
        ({"all": ["animal", "car"], "less": {"tree": 0.5, "foggy weather": 0.4}},
         "animals with cars (less with trees or in fog)"),
    ],
)  # fmt: skip
def test_rules_are_said_in_english(rule: dict[str, object], said: str) -> None:
    assert STUDIO.said(rule) == said


def test_a_planted_rule_over_scenes_is_recovered() -> None:
    pool = pictures_of(
        SceneImages.of_scenes(random_scenes(400, 1, among=("dog", "cat", "car", "tree")), side=16), range(400)
    )

    def respond(pictures):
        return [float("dog" in STUDIO.contents(p)) + 0.01 * (p.seed % 7) for p in pictures]

    unit = FunctionUnderTest("dogs", "images", respond, pool)
    answer = experiment(unit, Makers(STUDIO), budget=Budget(inputs=150), seed=0)
    assert answer.headline == "dogs"
    assert parse_program(answer.program or "").language == "scene"


def test_a_channel_is_explained_from_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from glossator.store.spec import StudySpec
    from glossator.study import run_study

    monkeypatch.chdir(tmp_path)
    spec = StudySpec(subject="renders-cnn", sites=("layers",), units=(3, 7), corpus="renders:300")
    run_study(spec, tmp_path / "study")
    capsys.readouterr()
    assert main(["agent", "--unit", "study#layers/3", "--inputs", "60", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["spent"]["inputs"] <= 60 and (tmp_path / answer["page"]).read_text().startswith("<!doctype html>")
    assert answer["headline"] is None or np.isfinite(answer["findings"][0]["e_above"])
    again = ["agent", "--unit", "study#layers/3", "--inputs", "60", "--out"]
    assert main([*again, answer["transcript"]]) == 0
    for other, words in (
        (["--unit", "study#layers/7"], "unit"),
        (["--inputs", "61"], "budget"),
        (["--calls", "9"], "budget"),
        (["Why?"], "question"),
    ):
        capsys.readouterr()
        assert main([*again, answer["transcript"], *other]) == 2
        assert f"of another experiment ({words})" in " ".join(capsys.readouterr().err.split())


def test_what_is_no_scene_is_refused_and_places_of_images_are_called_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image

    from glossator.store.spec import StudySpec
    from glossator.study import run_study

    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    scenes = SceneImages.of_scenes(random_scenes(250, 2, among=("dog", "car")), side=48)
    for i, pixels in enumerate(np.asarray(scenes.pixels)):
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{i}.png")
    labels = [f"{i}.png,{scene.things[0].noun}\n" for i, scene in enumerate(scenes.scenes)]
    (tmp_path / "photos" / "labels.csv").write_text("file,label\n" + "".join(labels))
    run_study(StudySpec(subject="renders-cnn", sites=("layers",), units=(3,), corpus="photos"), tmp_path / "study")
    capsys.readouterr()
    assert main(["agent", "--unit", "study#layers/3"]) == 2
    assert "these are no rendered scenes" in " ".join(capsys.readouterr().err.split())
    assert main(["score", "layers/3", "--study", "study", "--program", 'shows("label:owl")']) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "on held-out images" in printed and "holds at no cell of the calibrate split" in printed


def test_a_study_is_made_for_a_unit_of_either_polarity(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys.modules["glossator.cli.agent"], "RENDERS", "renders:200")
    for unit in ("renders-cnn/noun/3", "renders-cnn/noun/3-"):
        assert main(["agent", "--unit", unit, "--inputs", "20", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["unit"] == unit
