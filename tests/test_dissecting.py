"""Dissecting a site: planted detectors are found and lost in a random basis, and concepts have directions."""

from __future__ import annotations

import numpy as np
import pytest
from typer.testing import CliRunner

from glossator.cli import app
from glossator.corpora import probe_set
from glossator.errors import UserError
from glossator.explainers import explain_one
from glossator.explainers.dissection import DissectionExplainer
from glossator.fitting import ProjectedRecording, SiteValues, concept_directions, dissect, rotated_directions
from glossator.fitting.dissecting import random_rotation
from glossator.inputs import Concept, Grid
from glossator.readouts.directions import load_directions
from glossator.recording import EvidenceSpec, draw, record, recording_spec
from glossator.scenes import Scene, SceneImages, Thing
from glossator.subjects.functions import FunctionSubject
from glossator.units import Unit

GRID, SIDE, WIDTH = Grid("cells", (8, 8)), 64, 16
SEEN = [Concept("noun", "dog"), Concept("noun", "cat"), Concept("colour", "red"), Concept("background", "snow")]


@pytest.fixture(scope="module")
def values(tmp_path_factory) -> SiteValues:
    """Four units see a concept each, two share the noun "car" between them, the others are noise."""
    rng = np.random.default_rng(0)
    scenes = []
    for seed in range(500):
        noun = str(rng.choice(["dog", "cat", "car", "tree", "chair", "key", "apple", "balloon"]))
        colour = str(rng.choice(["red", "blue", "green", "yellow", "pink", "black"]))
        background = str(rng.choice(["snow", *["grass"] * 20]))
        scenes.append(Scene((Thing(noun, colour, "small"),), background=background, seed=seed))
    images = SceneImages.of_scenes(scenes, side=SIDE)
    rows = {image.tobytes(): row for row, image in enumerate(np.asarray(images.pixels))}
    known = [images.annotations.coverage(np.arange(500), c, GRID) for c in (*SEEN, Concept("noun", "car"))]
    units = rng.normal(0, 0.1, (500, 64, WIDTH)).astype(np.float32)
    for i in range(4):
        units[..., i] += known[i]
    common = rng.normal(0, 1, (500, 64)).astype(np.float32)
    units[..., 4], units[..., 5] = common + known[4], -common + known[4]

    def respond(pixels: np.ndarray) -> np.ndarray:
        return units[[rows[image.tobytes()] for image in pixels]].reshape(-1, 8, 8, WIDTH)

    subject = FunctionSubject(respond, "planted", takes="images", grid=GRID)
    probes = probe_set(images)
    folder = tmp_path_factory.mktemp("dissecting") / "r"
    return SiteValues(
        record(recording_spec(subject, probes, ["output"]), subject, probes, folder, progress=False), "output"
    )


def test_detectors_are_found_and_lost_in_a_random_basis(values):
    own = dissect(values)
    assert {i: str(concept) for i, (concept, _) in own.detectors.items() if i < 3} == {
        0: "noun:dog", 1: "noun:cat", 2: "colour:red"
    }  # fmt: skip
    rotation = random_rotation(WIDTH, 1)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(WIDTH), atol=1e-5)
    rotated = dissect(values, rotation)
    assert np.mean([iou for _, iou in rotated.best[:4]]) < 0.6 * np.mean([iou for _, iou in own.best[:4]])
    assert own.as_dict()["detectors"] == len(own.detectors) and own.as_dict()["units"] == WIDTH


def test_a_site_says_the_same_as_the_explainer_of_each_unit(values):
    own = dissect(values)
    for index in range(3):
        evidence = draw(values.recording, Unit("planted", "output", index), EvidenceSpec()).explain
        (best, *_) = explain_one(DissectionExplainer(), evidence, n=1)
        assert str(own.best[index][0]) in str(best.program)
        assert best.provenance.settings["iou"] == pytest.approx(own.best[index][1], abs=0.01)


def test_rotated_units_are_units_like_any_other(values):
    rotation = rotated_directions("rotated", values, seed=2)
    assert len(rotation) == WIDTH and rotation.largest_cosine() < 1e-4
    recording = ProjectedRecording(values, rotation)
    evidence = draw(recording, rotation.unit(3), EvidenceSpec())
    assert evidence.explain.exemplars.grid == GRID and evidence.status == "ok"
    own, scale = values.recording.panel_block("output")
    expected = np.einsum("d,dnp->np", rotation.vectors[3] * scale, own.astype(np.float32))
    np.testing.assert_allclose(recording.panel_values(rotation.unit(3)), expected, atol=2e-2)


def test_a_combination_of_units_is_found_where_no_single_one_tells(values):
    made = concept_directions("concepts", values, [Concept("noun", "car"), Concept("noun", "dog")])
    car, dog = made.made["concepts"]
    # small things cover their cells in part, so that no mask of cells comes near an IoU of 1
    assert car["concept"] == "noun:car" and car["iou"] > 0.25 and car["unit_iou"] < car["iou"] / 2
    assert dog["unit"] == 0 and dog["iou"] > 0.25 and abs(dog["unit_iou"] - dog["iou"]) < 0.1
    together = np.abs(made.vectors[0])
    assert set(np.argsort(-together)[:2]) == {4, 5}
    best = explain_one(
        DissectionExplainer(), draw(ProjectedRecording(values, made), made.unit(0), EvidenceSpec()).explain
    )
    assert '"noun:car"' in str(best[0].program)


def test_concepts_that_cannot_be_fitted_are_refused(values):
    with pytest.raises(UserError, match="too few images show this concept"):
        concept_directions("concepts", values, [Concept("noun", "whale")])


def test_commands(values, tmp_path):
    folder, runner = str(values.recording.folder), CliRunner()
    told = runner.invoke(app, ["dissect", folder, "--site", "output", "--rotations", "1", "--json"])
    assert told.exit_code == 0 and '"concept": "noun:dog"' in told.stdout
    shown = runner.invoke(app, ["dissect", folder, "--site", "output", "--rotations", "1"])
    assert shown.exit_code == 0 and "random 1" in shown.stdout and "output/0" in shown.stdout
    out = tmp_path / "dog"
    options = ["--recording", folder, "--site", "output", "--concept", "noun:dog", "--out", str(out)]
    made = runner.invoke(app, ["directions", "make", "concepts", *options])
    assert made.exit_code == 0 and "noun:dog" in made.stdout, made.output
    assert load_directions(out).made["concepts"][0]["concept"] == "noun:dog"
    wrong = runner.invoke(app, ["directions", "make", "concepts", *options[:-3], "dog", *options[-2:]])
    assert wrong.exit_code != 0


def test_recording_images_is_said(tmp_path):
    out = tmp_path / "cnn"
    options = ["--subject", "renders-cnn", "--site", "layers.4", "--units", "4", "--inputs", "renders:24", "--quiet"]
    told = CliRunner().invoke(app, ["record", *options, "--out", str(out)])
    assert told.exit_code == 0 and "4 units of layers.4 on 24 images" in told.stdout, told.output
