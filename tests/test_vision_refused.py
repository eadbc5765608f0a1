"""Image models and images that would give wrong numbers: refused, or read as they were meant."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn

from glossator.errors import UserError
from glossator.inputs import Images
from glossator.inputs.image_files import FilePixels, mask_of_file
from glossator.subjects import image_subject, open_subject
from glossator.subjects.image_models import takes_images
from glossator.subjects.preparing import preparation_of

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3)).astype(np.uint8)
HALVES = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}


@pytest.fixture(scope="module")
def vit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import ViTConfig, ViTForImageClassification

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("vit")
    config = ViTConfig(
        image_size=32, patch_size=8, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2
    )
    ViTForImageClassification(config).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(HALVES))
    return folder


def changed(vit: Path, folder: Path, prefix: str = "", **config: object) -> str:
    shutil.copytree(vit, folder)
    weights = {prefix + key: value for key, value in load_file(vit / "model.safetensors").items()}
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    (folder / "config.json").write_text(json.dumps(json.loads((vit / "config.json").read_text()) | config))
    return str(folder)


def test_checkpoints_that_do_not_fit_are_refused(vit: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="lacks weights that the model uses"):
        open_subject(changed(vit, tmp_path / "renamed", "_orig_mod."))
    with pytest.raises(UserError, match=r"would leave out.*layers.1"):
        open_subject(changed(vit, tmp_path / "fewer", num_hidden_layers=1))
    with pytest.raises(UserError, match=r"would leave out.*bias"):
        open_subject(changed(vit, tmp_path / "biases", qkv_bias=False))
    with pytest.raises(UserError, match=r"other shapes.*\(24, 16\) instead of \(20, 16\)"):
        open_subject(changed(vit, tmp_path / "narrow", intermediate_size=20))
    with pytest.raises(UserError, match="not square"):
        open_subject(changed(vit, tmp_path / "wide", image_size=[32, 16]))


@pytest.mark.parametrize(
    ("said", "low", "high"),
    [
        ({}, -1, 1),
        ({"do_rescale": False}, -1, 509),
        ({"do_normalize": False}, 0, 1),
        ({"do_normalize": False, "do_rescale": False}, 0, 255),
        ({"do_normalize": False, "rescale_factor": 1 / 127.5, "rescale_offset": True}, -1, 1),
        ({"rescale_factor": 0.00392156862745098}, -1, 1),
        ({"rescale_factor": 1 / 127.5}, -1, 3),
        ({"image_mean": 0.5, "image_std": [0.25]}, -2, 2),
    ],
)
def test_images_are_scaled_as_the_file_says(said: dict[str, object], low: float, high: float) -> None:
    ends = np.array([0, 255], np.uint8)[:, None, None, None].repeat(8, 1).repeat(8, 2).repeat(3, 3)
    found = preparation_of({**HALVES, **said}, 8)(ends)
    np.testing.assert_allclose([found[0].min(), found[1].max()], [low, high], atol=1e-4)


def test_the_order_of_channels_may_be_turned() -> None:
    plain, turned = (preparation_of({**HALVES, "do_flip_channel_order": flip}, 32)(PIXELS) for flip in (False, True))
    torch.testing.assert_close(turned, plain.flip(1))


@pytest.mark.parametrize(
    "said", [{"image_std": [0, 1, 1]}, {"image_mean": None}, {"image_mean": [0.5, 0.5]}, {"rescale_factor": 0}]
)
def test_what_images_cannot_be_scaled_by_is_said(said: dict[str, object]) -> None:
    with pytest.raises(UserError):
        preparation_of({**HALVES, **said}, 8)


def test_what_a_file_does_not_say_is_what_its_image_processor_does(vit: Path, tmp_path: Path) -> None:
    shutil.copytree(vit, tmp_path / "m")
    place = tmp_path / "m" / "preprocessor_config.json"
    place.write_text(json.dumps({"image_processor_type": "CLIPImageProcessor"}))
    prepare = open_subject(str(tmp_path / "m")).prepare
    assert prepare.mean == pytest.approx((0.48145466, 0.4578275, 0.40821073))
    for damaged in ("{", "[]"):
        place.write_text(damaged)
        with pytest.raises(UserError, match="is damaged"):
            open_subject(str(tmp_path / "m"))


class Normalized(nn.Module):
    def __init__(self, norm: nn.Module):
        super().__init__()
        self.first, self.norm = nn.Conv2d(3, 4, 3, 2, 1), norm

    def forward(self, images):
        return self.norm(self.first(images)).mean((2, 3))


class Random(Normalized):
    def forward(self, images):
        return super().forward(images + torch.rand_like(images))


def test_models_whose_values_depend_on_the_batch_or_on_chance_are_refused() -> None:
    for model in (Normalized(nn.BatchNorm2d(4, track_running_stats=False)), Random(nn.Identity())):
        with pytest.raises(UserError, match="depends on the images beside it, or on chance"):
            image_subject(model, side=32)
    for norm in (nn.BatchNorm2d(4), nn.InstanceNorm2d(4), nn.GroupNorm(2, 4)):
        assert image_subject(Normalized(norm), side=32).sites()


def test_a_model_that_cannot_be_run_is_no_traceback() -> None:
    with pytest.raises(UserError, match="cannot be run on images as they are prepared"):
        image_subject(nn.Sequential(nn.Conv2d(1, 4, 3)), side=32)


class Several(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.act, self.loss = nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(inplace=True), nn.Identity()

    def forward(self, images):
        maps = self.act(self.first(images))
        self.loss(maps.sum())
        return {"logits": maps.mean((2, 3)), "maps": maps}


def test_numbers_and_dictionaries_that_modules_give_and_values_changed_in_place() -> None:
    subject = image_subject(Several(), side=32)
    assert [site.name for site in subject.sites()] == ["first", "act"]
    found: dict[str, torch.Tensor] = {}
    inputs = Images.of(PIXELS)
    subject.visit(inputs, ["first", "act"], lambda name, values: found.update({name: values.clone()}))
    assert (found["first"] < 0).any()
    torch.testing.assert_close(found["first"].relu(), found["act"])
    np.testing.assert_allclose(subject.outputs(inputs), found["act"].mean(1), atol=1e-5)


class Table(nn.Module):
    """Hands on one row, however many images there are, once it has been measured."""

    rows = 2

    def __init__(self):
        super().__init__()
        self.first, self.same = nn.Conv2d(3, 4, 3, 2, 1), nn.Identity()

    def forward(self, images):
        self.same(self.first(images)[: self.rows])
        return images.mean((1, 2, 3))[:, None]


def test_a_site_that_lacks_a_row_of_an_image_is_refused() -> None:
    model = Table()
    subject = image_subject(model, side=32)
    assert "same" in [site.name for site in subject.sites()]
    with pytest.raises(UserError, match="does not have a row for each image"):
        subject.visit(Images.of(PIXELS), ["same"], lambda *_: None)


def test_fingerprints_tell_models_apart_that_have_the_same_weights() -> None:
    def made(act: nn.Module, prepare: object = None) -> str:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(3, 4, 3), act)
        return image_subject(model, prepare, name="same", side=32).fingerprint  # type: ignore[arg-type]

    def scaled(by: float):
        return lambda pixels: torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / by

    found = [
        made(nn.ReLU()), made(nn.GELU()), made(nn.LeakyReLU(0.1)), made(nn.LeakyReLU(0.2)),
        made(nn.ReLU(), scaled(255.0)), made(nn.ReLU(), scaled(127.0)),
    ]  # fmt: skip
    assert len(set(found)) == len(found)
    assert made(nn.ReLU(), scaled(255.0)) == found[4] and made(nn.LeakyReLU(0.2)) == found[3]


class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.passes = nn.Conv2d(3, 4, 3), 0

    def forward(self, images):
        self.passes += 1
        return self.first(images)


def test_what_passes_write_changes_no_model() -> None:
    subject = image_subject(Counting(), side=32)
    subject.check_unchanged()


def test_image_models_of_transformers_are_known_by_their_config(tmp_path: Path) -> None:
    for kind, expected in {
        "vit": True, "beit": True, "dinov3_vit": True, "clip_vision_model": True, "gpt2": False, "bert": False,
        "imagegpt": False, "mllama": False,
    }.items():  # fmt: skip
        (tmp_path / kind).mkdir()
        more = {"text_config": {}} if kind == "mllama" else {}
        (tmp_path / kind / "config.json").write_text(json.dumps({"model_type": kind, "vocab_size": 10, **more}))
        assert takes_images(str(tmp_path / kind)) is expected, kind


def test_pixels_of_sixteen_bits_are_scaled_and_of_thirty_two_refused(tmp_path: Path) -> None:
    grey = PIXELS[0, :, :, 0]
    Image.fromarray(grey).save(tmp_path / "8.png")
    for name in ("16.png", "16.tif"):
        Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / name)
    whole, *others = (FilePixels([tmp_path / name], 32).image(0) for name in ("8.png", "16.png", "16.tif"))
    for one in others:
        np.testing.assert_array_equal(one, whole)
    for name, pixels in {"whole.tif": grey.astype(np.int32), "real.tif": grey / np.float32(255)}.items():
        Image.fromarray(pixels).save(tmp_path / name)
        with pytest.raises(UserError, match="32 bits"):
            FilePixels([tmp_path / name], 32).image(0)
        np.testing.assert_array_equal(mask_of_file(tmp_path / name, 32), grey > 0)
    np.testing.assert_array_equal(mask_of_file(tmp_path / "16.png", 32), grey > 0)
