"""Studies of images, functions, responses and pooled subjects whose inputs or subject are others by now are refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from glossator.errors import UserError
from glossator.study import StudySpec, run_study
from glossator.subjects import open_subject
from glossator.subjects.functions import FunctionSubject
from glossator.subjects.identity import known_fingerprints
from glossator.subjects.named import pooled_name
from study_cases import write_corpus


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny image model, and a folder of labelled photographs with masks."""
    from transformers import ResNetConfig, ResNetForImageClassification

    place = tmp_path_factory.mktemp("made")
    torch.manual_seed(0)
    config = ResNetConfig(embedding_size=4, hidden_sizes=[4], depths=[1], layer_type="basic", image_size=32)
    ResNetForImageClassification(config).save_pretrained(place / "model")
    said = {"size": 32, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    (place / "model" / "preprocessor_config.json").write_text(json.dumps(said))
    photos = place / "photos"
    (photos / "masks" / "red").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i in range(40):
        pixels, mask = rng.integers(0, 120, (32, 32, 3)).astype(np.uint8), np.zeros((32, 32), np.uint8)
        if i % 2:
            pixels[4:20, 8:24], mask[4:20, 8:24] = (250, 20, 20), 255
            Image.fromarray(mask).save(photos / "masks" / "red" / f"{i:02}.png")
        Image.fromarray(pixels).save(photos / f"{i:02}.png")
    rows = "".join(f"{i:02}.png,{'odd' if i % 2 else 'even'}\n" for i in range(40))
    (photos / "labels.csv").write_text("file,label\n" + rows)
    return place


def other_image(place: Path) -> None:
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(place / "photos" / "00.png")


def other_labels(place: Path) -> None:
    path = place / "photos" / "labels.csv"
    path.write_text(path.read_text().replace("00.png,even", "00.png,odd"))


def other_masks(place: Path) -> None:
    Image.fromarray(np.full((32, 32), 255, np.uint8)).save(place / "photos" / "masks" / "red" / "01.png")


def no_masks(place: Path) -> None:
    shutil.rmtree(place / "photos" / "masks")


def broken_image(place: Path) -> None:
    (place / "photos" / "00.png").write_bytes(b"no image")


def other_preparation(place: Path) -> None:
    path = place / "model" / "preprocessor_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "rescale_factor": 1 / 127.5}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (other_image, "the images have changed"),
        (other_labels, "the images have changed"),
        (other_masks, "the images have changed"),
        (no_masks, "the images have changed"),
        (broken_image, "cannot be read"),
        (other_preparation, "the subject has changed"),
    ],
)
def test_a_study_of_images_does_not_go_on_with_others(
    made: Path, tmp_path: Path, change: Callable[[Path], None], message: str
) -> None:
    place = Path(shutil.copytree(made, tmp_path / "made"))
    spec = StudySpec(
        subject=str(place / "model"), sites=("resnet.encoder.stages.0:mean",), units=(0,), corpus=str(place / "photos")
    )
    run_study(spec, tmp_path / "s", until="record", progress=False)
    run_study(spec, tmp_path / "s", until="record", progress=False)
    change(place)
    with pytest.raises(UserError, match=message):
        run_study(spec, tmp_path / "s", until="record", progress=False)
    shutil.rmtree(place)
    run_study(spec, tmp_path / "s", until="record", progress=False)


CODE = """
WORD = "fox"

def has(text):
    return float(WORD in text)

def respond(texts):
    return [has(text) for text in texts]
"""


def test_a_function_changes_with_what_it_calls(tmp_path: Path) -> None:
    write_corpus(tmp_path / "corpus.jsonl")
    (tmp_path / "respond.py").write_text(CODE)
    name = f"function:{tmp_path / 'respond.py'}:respond"
    spec = StudySpec(
        subject=name, sites=("output",), units="all", explainers=("sasc",), corpus=str(tmp_path / "corpus.jsonl")
    )
    run_study(spec, tmp_path / "s", until="record", progress=False)
    assert known_fingerprints(name) == {"subject_fingerprint": open_subject(name).fingerprint}
    (tmp_path / "respond.py").write_text(CODE.replace("fox", "dog"))
    with pytest.raises(UserError, match="the subject has changed"):
        run_study(spec, tmp_path / "s", progress=False)


def test_texts_and_responses_that_were_replaced_are_noticed(tmp_path: Path) -> None:
    write_corpus(tmp_path / "corpus.jsonl")
    rows = len((tmp_path / "corpus.jsonl").read_text().splitlines())
    np.save(tmp_path / "measured.npy", np.random.default_rng(0).normal(size=(rows, 2)))
    spec = StudySpec(
        subject=f"responses:{tmp_path / 'measured.npy'}", sites=("responses",), units="all",
        corpus=str(tmp_path / "corpus.jsonl"),
    )  # fmt: skip
    run_study(spec, tmp_path / "s", until="record", progress=False)
    text = (tmp_path / "corpus.jsonl").read_text()
    (tmp_path / "corpus.jsonl").write_text(text.replace("fox", "cat"))
    with pytest.raises(UserError, match="the text has changed"):
        run_study(spec, tmp_path / "s", until="record", progress=False)
    (tmp_path / "corpus.jsonl").write_text(text)
    run_study(spec, tmp_path / "s", until="record", progress=False)
    np.save(tmp_path / "measured.npy", np.random.default_rng(1).normal(size=(rows, 2)))
    with pytest.raises(UserError, match="the subject has changed"):
        run_study(spec, tmp_path / "s", until="record", progress=False)


def test_subjects_made_from_others_are_known_without_loading_them(tiny_folder: Path) -> None:
    for name in (
        f"random-weights:{tiny_folder}#3", f"vectors:{tiny_folder}", "random-weights:renders-cnn#1",
        pooled_name(str(tiny_folder), "mlp.0", "mean"),
    ):  # fmt: skip
        known = known_fingerprints(name)
        assert known is not None and known["subject_fingerprint"] == open_subject(name).fingerprint, name
    assert known_fingerprints("function:nowhere.py:f") is None and known_fingerprints("responses:nowhere.npy") is None


def test_a_folder_of_texts_may_have_images_in_it(tiny_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()
    write_corpus(folder / "corpus.jsonl")
    spec = StudySpec(subject=str(tiny_folder), sites=("mlp.0",), units=2, corpus=str(folder), max_tokens=3000, width=32)
    run_study(spec, tmp_path / "s", until="record", progress=False)
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(folder / "figure.png")
    run_study(spec, tmp_path / "s", until="record", progress=False)
    run_study(spec, tmp_path / "other", until="record", progress=False)


def test_a_function_given_in_python_is_known_by_its_code_and_what_it_holds() -> None:
    def counts(word: str) -> FunctionSubject:
        return FunctionSubject(lambda texts: [float(text.count(word)) for text in texts], "counts")

    def lengths(texts: list[str]) -> list[float]:
        return [float(len(text)) for text in texts]

    assert counts("fox").fingerprint == counts("fox").fingerprint
    others = [counts("dog"), FunctionSubject(lengths, "counts"), FunctionSubject(lengths, "lengths")]
    assert len({counts("fox").fingerprint, *(one.fingerprint for one in others)}) == 4
    assert FunctionSubject(lengths, fingerprint="mine").fingerprint == "mine"
