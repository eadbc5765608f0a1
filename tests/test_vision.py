"""Image models as subjects: sites found on the cells of images, values, outputs, interventions, names."""

from __future__ import annotations

import sys
import threading
import types

import numpy as np
import pytest
import torch
from torch import nn

from glossator.causal.changes import Set
from glossator.causal.edits import Edit
from glossator.causal.images import class_effects, edited_outputs
from glossator.corpora import probe_set
from glossator.errors import MissingPower, UserError
from glossator.inputs import WHOLE, Grid, Images
from glossator.readouts.parts import Units
from glossator.recording import record, recording_spec
from glossator.subjects import describe_sites, image_subject, load_subject, open_subject
from glossator.subjects.base import Power
from glossator.subjects.efficientnet import EfficientNetLite0, renamed
from glossator.subjects.identity import known_fingerprints
from glossator.subjects.image_models import imagenet_classes, takes_images
from glossator.subjects.preparing import Preparation, square
from glossator.subjects.random_weights import with_random_weights
from glossator.units import Unit


class TinyCNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.BatchNorm2d(6), nn.ReLU())
        self.second = nn.Conv2d(6, 8, 3, 2, 1)
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        return self.head(torch.relu(self.second(self.first(x))).mean((2, 3)))


def tiny() -> nn.Module:
    torch.manual_seed(0)
    return TinyCNN()


def pictures(n: int = 12, side: int = 32) -> Images:
    return Images.of(np.random.default_rng(0).integers(0, 256, (n, side, side, 3)).astype(np.uint8))


def values_at(subject, inputs, *sites):
    found = {}
    subject.visit(inputs, sites, lambda name, values: found.update({name: values.clone().float().numpy()}))
    return found


def test_sites_are_the_modules_with_maps_or_vectors():
    subject = image_subject(tiny(), side=32)
    grids = {site.name: (site.width, str(site.grid)) for site in subject.sites()}
    assert grids == {
        "first": (6, "cells 16 x 16"), "first.0": (6, "cells 16 x 16"), "first.1": (6, "cells 16 x 16"),
        "second": (8, "cells 8 x 8"), "head": (5, "whole"),
    }  # fmt: skip
    assert subject.powers >= {Power.RUN, Power.OUTPUTS, Power.INTERVENE, Power.GRADIENT, Power.WEIGHTS}


def test_values_are_those_of_the_modules_by_cell():
    model, inputs = tiny(), pictures()
    subject = image_subject(model, side=32)
    found = values_at(subject, inputs, "first", "second", "second:max", "second:mean", "head")
    with torch.inference_mode():
        first = model.first(Preparation(32)(inputs.pixels))
        second = model.second(first)
        logits = model.head(torch.relu(second).mean((2, 3)))
    np.testing.assert_allclose(found["first"], first.permute(0, 2, 3, 1).reshape(12, 256, 6), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found["second"][:, 8 * 3 + 5], second[:, :, 3, 5], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found["second:max"][:, 0], second.amax((2, 3)), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found["second:mean"][:, 0], second.mean((2, 3)), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found["head"][:, 0], logits, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(subject.outputs(inputs), logits, rtol=1e-5, atol=1e-6)


def test_more_images_than_one_pass_takes(monkeypatch):
    model, inputs = tiny(), pictures()
    whole = values_at(image_subject(model, side=32), inputs, "first", "second:max", "head")
    monkeypatch.setattr("glossator.subjects.vision.CPU_PIXELS", 5 * 32**2)
    subject = image_subject(model, side=32)
    assert subject.batch == 5
    passes = []
    handle = model.register_forward_pre_hook(lambda _, args: passes.append(len(args[0])))
    in_turn = values_at(subject, inputs, "first", "second:max", "head")
    handle.remove()
    assert passes == [5, 5, 2]
    for name, values in whole.items():
        np.testing.assert_allclose(in_turn[name], values, rtol=1e-5, atol=1e-6)


def test_wrong_sites_sizes_and_preparations_are_refused():
    subject = image_subject(tiny(), side=32)
    for name in ("third", "head:max", "second:median"):
        with pytest.raises(UserError, match="no such site"):
            subject.site(name)
    with pytest.raises(UserError, match="square"):
        subject.outputs(Images.of(np.zeros((2, 32, 48, 3), np.uint8)))
    keeps_its_size = image_subject(tiny(), lambda pixels: torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255, side=32)
    with pytest.raises(UserError, match="does not fit its grid"):
        values_at(keeps_its_size, pictures(2, side=64), "first")
    with pytest.raises(UserError, match="row for each image"):
        image_subject(tiny(), lambda pixels: torch.zeros(len(pixels) + 1, 3, 32, 32), side=32).sites()
    with pytest.raises(UserError, match="names of the classes"):
        image_subject(tiny(), side=32, classes=("a", "b"))


def vit(labels: int = 4):
    from transformers import ViTConfig, ViTForImageClassification

    torch.manual_seed(0)
    return ViTForImageClassification(ViTConfig(
        image_size=32, patch_size=8, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
        num_labels=labels,
    )).eval()  # fmt: skip


def test_tokens_of_patches_are_cells_and_the_class_token_is_none():
    model, inputs = vit(), pictures()
    subject = image_subject(model, side=32)
    tokens = {site.name: site for site in subject.sites() if site.order == "tokens"}
    layer = next(name for name in tokens if name.endswith(".1"))
    assert tokens[layer].grid == Grid("cells", (4, 4)) and tokens[layer].prefix == 1 and tokens[layer].width == 16
    with torch.inference_mode():
        hidden = model(Preparation(32)(inputs.pixels), output_hidden_states=True).hidden_states[-1]
    np.testing.assert_allclose(values_at(subject, inputs, layer)[layer], hidden[:, 1:], rtol=1e-4, atol=1e-5)
    assert subject.outputs(inputs).shape == (12, 4) and subject.class_name(2) == "LABEL_2"


def test_residual_networks_of_transformers():
    from transformers import ResNetConfig, ResNetForImageClassification

    torch.manual_seed(0)
    config = ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", num_labels=3)
    subject = image_subject(ResNetForImageClassification(config), side=32)
    last = [site for site in subject.sites() if site.grid.kind == "cells"][-1]
    assert last.width == 16 and subject.outputs(pictures()).shape == (12, 3)
    assert values_at(subject, pictures(), last.name)[last.name].shape == (12, last.grid.places, 16)


@pytest.mark.parametrize(("make", "site"), [(tiny, "second"), (vit, "vit.layers.0")])
def test_an_edit_changes_what_follows_and_nothing_else(make, site):
    model, inputs = make(), pictures()
    subject = image_subject(model, side=32)
    site = next(s.name for s in subject.sites() if s.name == site or s.name.endswith("layer.0"))
    clean = subject.outputs(inputs)
    kept = values_at(subject, inputs, site)[site]
    where = np.zeros(kept.shape[:2], bool)
    where[:, 3] = True
    with subject.edited(subject.site(site), lambda values: torch.zeros_like(values)):
        zeroed = subject.outputs(inputs)
    held = edited_outputs(subject, inputs, [Edit(site, Units(2), Set(9.0), where)])
    assert not np.allclose(zeroed, clean) and not np.allclose(held, clean)
    np.testing.assert_array_equal(subject.outputs(inputs), clean)
    itself = edited_outputs(subject, inputs, [Edit(site, Units(2), Set(9.0), np.zeros_like(where))])
    np.testing.assert_allclose(itself, clean, rtol=1e-5, atol=1e-6)


def test_class_effects_are_those_of_the_weights():
    """The last channel feeds the logits through a mean and one matrix, so that the effect is known."""
    model, inputs = tiny(), pictures()
    subject = image_subject(model, side=32)
    values = np.maximum(values_at(subject, inputs, "second")["second"][:, :, 3], 0).mean(1)
    expected = (2.0 - values)[:, None] * model.head.weight[:, 3].detach().numpy()[None]
    found = class_effects(subject, Unit("TinyCNN", "second", 3), inputs, 2.0)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)
    with pytest.raises(MissingPower, match="pooled"):
        class_effects(subject, Unit("TinyCNN", "second:max", 3), inputs, 2.0)


def test_other_threads_are_not_edited():
    subject, inputs = image_subject(tiny(), side=32), pictures()
    clean, found = subject.outputs(inputs), []
    with subject.edited(subject.site("second"), lambda values: values * 0):
        thread = threading.Thread(target=lambda: found.append(subject.outputs(inputs)))
        thread.start()
        thread.join()
    np.testing.assert_array_equal(found[0], clean)


def test_a_changed_model_is_noticed_and_random_weights_differ():
    subject = image_subject(tiny(), side=32)
    random = with_random_weights(subject, 1)
    assert random.fingerprint != subject.fingerprint and random.sites() == subject.sites()
    assert with_random_weights(subject, 1).fingerprint == random.fingerprint
    subject.check_unchanged()
    with torch.no_grad():
        subject.model.head.bias += 1
    with pytest.raises(UserError, match="changed"):
        subject.check_unchanged()


def test_recording_holds_cells_and_pooled_values(tmp_path):
    subject, inputs = image_subject(tiny(), side=32), pictures(80)
    probes = probe_set(inputs)
    sites = ["second", "second:max", "head"]
    made = record(recording_spec(subject, probes, sites), subject, probes, tmp_path / "r", progress=False)
    truth = values_at(subject, inputs, *sites)
    for name in sites:
        unit = Unit(subject.name, name, 1)
        held = truth[name][made.panel][:, :, 1]
        np.testing.assert_allclose(made.values(unit, made.panel), held, rtol=2e-3, atol=1e-3)
    assert made.moments(Unit(subject.name, "second:max", 1)).count == 80


def test_folders_of_transformers_say_how_images_are_prepared(tmp_path):
    model = vit()
    model.save_pretrained(tmp_path / "m")
    with pytest.raises(UserError, match="how images are prepared"):
        open_subject(str(tmp_path / "m"))
    (tmp_path / "m" / "preprocessor_config.json").write_text(
        '{"image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.2, 0.3], "size": {"height": 32, "width": 32}}'
    )
    subject, inputs = open_subject(str(tmp_path / "m")), pictures()
    prepared = Preparation(32, (0.4, 0.5, 0.6), (0.2, 0.2, 0.3))(inputs.pixels)
    with torch.inference_mode():
        np.testing.assert_allclose(subject.outputs(inputs), model(prepared).logits, rtol=1e-4, atol=1e-5)
    assert known_fingerprints(str(tmp_path / "m")) == {"subject_fingerprint": subject.fingerprint}
    assert [site.name for site in describe_sites(str(tmp_path / "m"))] == [site.name for site in subject.sites()]
    with pytest.raises(UserError, match="takes images"):
        load_subject(str(tmp_path / "m"))


def test_models_of_timm(monkeypatch):
    assert takes_images("timm:tiny")
    made = types.ModuleType("timm")
    facts = {"input_size": (3, 32, 32), "mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
    made.create_model = lambda name, pretrained: {"tiny": tiny}[name]()
    made.data = types.SimpleNamespace(resolve_model_data_config=lambda model: facts)
    monkeypatch.setitem(sys.modules, "timm", made)
    subject = open_subject("timm:tiny")
    expected = image_subject(tiny(), side=32).outputs(pictures())
    np.testing.assert_allclose(subject.outputs(pictures()), expected, rtol=1e-6)
    with pytest.raises(UserError, match="cannot open"):
        open_subject("timm:none")
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(UserError, match="not installed"):
        open_subject("timm:tiny")


def test_preparation_scales_and_square_crops_the_centre():
    pixels = np.full((1, 20, 20, 3), 127, np.uint8)
    np.testing.assert_allclose(Preparation(40, (127 / 255,) * 3, (128 / 255,) * 3)(pixels), 0, atol=1e-5)
    image = np.zeros((20, 60, 3), np.uint8)
    image[:, 20:40] = 200
    assert (square(image, 10) == 200).all()


def test_efficientnet_is_known_without_its_weights():
    sites = {site.name: site for site in describe_sites("efficientnet-lite0")}
    assert (sites["head"].width, sites["head"].grid) == (1280, Grid("cells", (7, 7)))
    assert (sites["blocks.5.depthwise"].width, sites["blocks.5.depthwise"].grid) == (240, Grid("cells", (14, 14)))
    assert (sites["classifier"].width, sites["classifier"].grid) == (1000, WHOLE)
    assert takes_images("efficientnet-lite0") and not takes_images("minilm")
    names = imagenet_classes()
    assert len(set(names)) == 1000 and names[281] == "tabby" and names[967] == "espresso"


def test_the_published_names_of_weights_are_those_of_the_modules():
    own = EfficientNetLite0().state_dict()
    inner = {"expand.0": "_expand_conv", "expand.1": "_bn0", "depthwise.0": "_depthwise_conv", "depthwise.1": "_bn1",
             "project.0": "_project_conv", "project.1": "_bn2"}  # fmt: skip
    outer = {"stem.0": "_conv_stem", "stem.1": "_bn0", "head.0": "_conv_head", "head.1": "_bn1"}
    published = {}
    for name, tensor in own.items():
        parts = name.split(".")
        if parts[0] == "blocks":
            published[f"_blocks.{parts[1]}.{inner['.'.join(parts[2:4])]}.{parts[4]}"] = tensor
        else:
            published[name.replace("classifier", "_fc") if parts[0] == "classifier" else
                      f"{outer['.'.join(parts[:2])]}.{parts[2]}"] = tensor  # fmt: skip
    assert renamed(published).keys() == own.keys()


@pytest.mark.weights
def test_efficientnet_sees_a_ball_and_a_bowl():
    """Drawn, so that no photograph is needed: an orange disc on green, and a brown one in a white one."""
    subject = open_subject("efficientnet-lite0")
    assert known_fingerprints("efficientnet-lite0") == {"subject_fingerprint": subject.fingerprint}
    rows, columns = np.mgrid[:224, :224]
    away = np.hypot(rows - 112, columns - 112)
    ball, bowl = np.full((224, 224, 3), (90, 160, 60), np.uint8), np.full((224, 224, 3), 235, np.uint8)
    ball[away < 60], bowl[away < 80], bowl[away < 62] = (255, 140, 0), (250, 250, 250), (70, 38, 16)
    order = np.argsort(-subject.outputs(Images.of(np.stack([ball, bowl]))), axis=1)
    assert subject.class_name(order[0, 0]) == "ping-pong ball"
    assert "consomme" in [subject.class_name(i) for i in order[1, :3]]


def test_the_network_of_the_package_recognises_nouns_in_new_scenes():
    from glossator.fitting.renders_cnn import accuracy
    from glossator.subjects.renders_cnn import WEIGHTS, renders_cnn

    assert WEIGHTS.stat().st_size < 1_000_000
    held_out = accuracy(renders_cnn(), 600, seed=777)
    assert held_out["noun"] > 0.92 and held_out["background"] > 0.9, held_out  # 600 scenes: two points either way


def test_the_network_of_the_package_is_a_subject_of_scenes():
    from glossator.scenes import Scene, SceneImages, Thing

    nouns = ("banana", "bus", "umbrella", "pizza")
    scenes = SceneImages.of_scenes([Scene((Thing(noun, size="large"),), background="grass", seed=3) for noun in nouns])
    subject = open_subject("renders-cnn")
    assert known_fingerprints("renders-cnn") == {"subject_fingerprint": subject.fingerprint}
    assert [subject.class_name(i) for i in subject.outputs(scenes).argmax(1)] == list(nouns)
    assert str(describe_sites("renders-cnn")[-4].grid) == "cells 12 x 12"
    random = open_subject("random-weights:renders-cnn#1")
    assert not np.allclose(random.outputs(scenes), subject.outputs(scenes))


def test_training_lowers_the_loss_and_its_weights_fit(tmp_path):
    from glossator.fitting.renders_cnn import halves, train
    from glossator.subjects.renders_cnn import renders_cnn

    said: list[str] = []
    model = train(256, epochs=6, say=said.append)
    losses = [float(line.split("loss ")[1].split(",")[0]) for line in said if "loss" in line]
    assert losses[-1] < losses[0]
    assert halves(model).keys() == halves(renders_cnn()).keys()
