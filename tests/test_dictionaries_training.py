"""Training a sparse autoencoder: exact gradients, planted atoms, resuming, what is measured and written."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from glossator.cli import main
from glossator.corpora import make_windows, open_corpus
from glossator.errors import UserError
from glossator.evidence import SPLITS
from glossator.files import plain
from glossator.fitting.coder import Batch
from glossator.fitting.dictionaries import train
from glossator.fitting.dictionary_measures import recovered
from glossator.fitting.dictionary_writing import write_dictionary
from glossator.fitting.top_k import START, TopK
from glossator.fitting.train_spec import TrainSpec
from glossator.readouts.formats import load_dictionary
from glossator.subjects import edit, load_subject
from study_cases import write_corpus


@pytest.mark.parametrize("across", [False, True])
def test_gradients_are_those_of_the_loss(monkeypatch: pytest.MonkeyPatch, across: bool) -> None:
    """Also those of the loss of dead latents and of a transcoder, against automatic differentiation."""
    generator = torch.Generator().manual_seed(3)
    width, latents, k, dead = 12, 40, 4, torch.arange(5, 25)
    settings = {"written": 7, "skip": True} if across else {}
    coder = TopK(width, latents, k, dead_after=50, **settings)
    x = torch.randn(64, width, generator=generator)
    batch = Batch.of(x, torch.randn(64, 7, generator=generator) if across else None)
    coder.start(batch)
    if across:
        coder.decoder.normal_(generator=generator)
        coder.skip.normal_(generator=generator)
    x, y = coder.scaled(batch)
    own = {name: tensor.clone().requires_grad_() for name, tensor in coder.parameters().items()}
    before = (x if across else x - own["decoder_bias"]) @ own["encoder"].T + own["encoder_bias"]
    top, numbers = before.topk(k)
    error = torch.zeros(64, latents).scatter(1, numbers, torch.relu(top)) @ own["decoder"] + own["decoder_bias"] - y
    if across:
        error = error + x @ own["skip"].T
    variance = (y - y.mean(0)).square().sum()
    most, number = before[:, dead].topk(width // 2)
    most = most + (torch.relu(most) - most).detach()  # straight through
    left = torch.zeros(64, len(dead)).scatter(1, number, most) @ own["decoder"][dead] + error.detach()
    loss = error.square().sum() / variance
    (loss + left.square().sum() / variance / 32).backward()
    got: dict[str, torch.Tensor] = {}
    monkeypatch.setattr(coder, "adam", lambda grads, rate: got.update(grads))
    coder.silent[dead] = 100
    assert coder.step(batch, 1e-3) == pytest.approx(float(loss.detach()))
    assert set(got) == set(own)
    for name, grad in got.items():
        torch.testing.assert_close(grad, own[name].grad, rtol=1e-4, atol=1e-6)


def test_dead_latents_come_back() -> None:
    generator = torch.Generator().manual_seed(1)
    atoms = torch.nn.functional.normalize(torch.randn(48, 32, generator=generator), dim=1)

    def batch() -> Batch:
        on = torch.rand(512, 48, generator=generator) < 0.06
        return Batch.of((torch.rand(512, 48, generator=generator) * on) @ atoms)

    def trained(auxiliary: float) -> tuple[float, float]:
        coder = TopK(32, 96, 4, dead_after=5_000, auxiliary=auxiliary)
        coder.start(batch())
        coder.encoder_bias[48:] = -1.0  # half of them are dead from the beginning
        for step in range(400):
            coder.step(batch(), 1e-2 * min(1, (400 - step) / 100))
        found = ((atoms @ coder.decoder.T).max(1).values > 0.9).float().mean()
        assert torch.allclose(coder.decoder.norm(dim=1), torch.ones(96), atol=1e-5)
        return float(found), len(coder.dead) / 96

    alone, still_dead = trained(0.0)
    revived, dead = trained(1 / 32)
    assert still_dead >= 0.5 and dead <= 0.35
    assert revived >= 0.85 and revived >= alone


def test_short_rows_of_the_encoder_turn_in_time() -> None:
    """In steps that are too few to turn rows of norm 1, more is explained."""
    generator = torch.Generator().manual_seed(2)
    atoms = torch.nn.functional.normalize(torch.randn(200, 64, generator=generator), dim=1)

    def unexplained(norm: float) -> float:
        coder, draws = TopK(64, 400, 8, seed=1), torch.Generator().manual_seed(3)
        for step in range(60):
            on = torch.rand(256, 200, generator=draws) < 0.04
            batch = Batch.of((torch.rand(256, 200, generator=draws) * on) @ atoms)
            if step == 0:
                coder.start(batch)
                coder.encoder *= norm / coder.encoder.norm(dim=1, keepdim=True)
            left = coder.step(batch, 5e-3 * min(1, (60 - step) / 20))
        return left

    assert unexplained(START) < 0.95 * unexplained(1.0)


@pytest.fixture(scope="module")
def world(tiny_folder: Path):
    subject = load_subject(str(tiny_folder))
    corpus = write_corpus(tiny_folder.parent / "corpus.jsonl")
    return subject, make_windows(open_corpus(str(corpus)), subject.tokenizer, 32, max_tokens=12_000)


SPEC = TrainSpec("resid.1", latents=64, k=4, tokens=40 * 512, batch=512, every=7)


def test_a_stopped_training_goes_on_to_the_same_bytes(world, tmp_path: Path) -> None:
    subject, probes = world
    whole = train(subject, probes, SPEC, tmp_path / "a")

    def stop(step: int, fvu: float) -> None:
        if step == 24:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(subject, probes, SPEC, tmp_path / "b", note=stop)
    assert not (tmp_path / "b" / "cfg.json").exists()
    steps: list[int] = []
    again = train(subject, probes, SPEC, tmp_path / "b", note=lambda step, _: steps.append(step))
    assert steps == list(range(21, 40))
    assert again == whole and len(whole["fvu_of_batches"]) == 40
    names = sorted(p.name for p in (tmp_path / "a").iterdir())
    assert names == ["cfg.json", "sae_weights.safetensors", "training.json"]
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name
    assert train(subject, probes, SPEC, tmp_path / "a", note=lambda *_: pytest.fail("trained again")) == whole


def cross_entropy(subject, windows, change) -> float:
    """Of the next token within each window, with the site changed at the window's own tokens."""
    first = len(subject.prefix)

    def at_the_window(values: torch.Tensor) -> torch.Tensor:
        changed, real = values.clone(), torch.from_numpy(np.arange(windows.width) < windows.lengths[:, None])
        changed[:, first:][real] = change(values[:, first:][real])
        return changed

    with torch.inference_mode(), edit(subject.model, subject.site("resid.1"), at_the_window):
        logits = subject.model(**subject.pass_inputs(windows.tokens, windows.lengths))[0][:, first:]
    nats = -torch.log_softmax(logits[:, :-1], -1).gather(-1, torch.from_numpy(windows.tokens[:, 1:]).long()[..., None])
    scored = windows.valid[:, :-1] & (np.arange(windows.width - 1) < windows.lengths[:, None] - 1)
    return float(nats[..., 0][torch.from_numpy(scored)].double().mean())


def test_the_share_of_the_loss_that_is_recovered() -> None:
    assert recovered({"clean": 3.0, "spliced": 4.0, "zero": 8.0}) == (pytest.approx(0.8), None)
    for zero in (2.0, 3.00003):  # of a network of random weights the loss is the same whatever the site holds
        share, reason = recovered({"clean": 3.0, "spliced": 2.99, "zero": zero})
        assert share is None and "raises the loss by" in reason


def test_what_is_measured_is_true_on_held_out_text(world, tmp_path: Path) -> None:
    subject, probes = world
    found = train(subject, probes, SPEC, tmp_path / "a")
    first, last = found["fvu_of_batches"][0], found["fvu_of_batches"][-1]
    held = found["held_out"]
    assert 0 < last < 0.7 * first and held["l0"] == pytest.approx(4, abs=0.5)
    coder = load_dictionary(tmp_path / "a")
    windows = subject.counted(probes.windows.take(np.flatnonzero(probes.split_of_input == SPLITS.index("select"))))
    windows = windows.take(np.arange(min(128, len(windows))))
    values = subject.activations(windows.tokens, windows.lengths, ["resid.1"])["resid.1"][windows.valid]
    error = (values - coder.reconstructed(values)).square().sum()
    assert held["fvu"] == pytest.approx(float(error / (values - values.mean(0)).square().sum()), rel=1e-3)
    for name, change in (("clean", lambda x: x), ("spliced", coder.reconstructed), ("zero", torch.zeros_like)):
        assert held["loss"][name] == pytest.approx(cross_entropy(subject, windows, change), rel=1e-4), name
    assert coder.made["subject_fingerprint"] == subject.fingerprint and coder.reads_at == "resid.1"


def test_other_trainings_and_folders_are_refused(world, tmp_path: Path) -> None:
    subject, probes = world
    train(subject, probes, SPEC, tmp_path / "a")
    with pytest.raises(UserError, match="another training"):
        train(subject, probes, TrainSpec("resid.1", 64, 3, 40 * 512, 512), tmp_path / "a")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "letter.txt").write_text("dear")
    with pytest.raises(UserError, match="neither empty nor a training"):
        train(subject, probes, SPEC, tmp_path / "b")
    with pytest.raises(UserError, match="more latents are active"):
        TrainSpec("resid.1", 4, 5)
    with pytest.raises(UserError, match="fewer windows than a batch"):
        train(subject, probes, TrainSpec("resid.1", 64, 4, 1 << 20, 1 << 20), tmp_path / "c")
    with pytest.raises(UserError, match="no such site"):
        train(subject, probes, TrainSpec("resid.9", 64, 4), tmp_path / "d")
    assert not (tmp_path / "d").exists()
    with pytest.raises(UserError, match="bad seed"):
        TrainSpec("resid.1", 64, 4, seed=10**20)
    assert TrainSpec("x", 16384).rate_at(300) == pytest.approx(5e-4)


def test_settings_that_were_refused_do_not_hold_the_folder(world, tmp_path: Path) -> None:
    subject, probes = world
    with pytest.raises(UserError, match="fewer windows than a batch"):
        train(subject, probes, TrainSpec("resid.1", 64, 4, 1 << 20, 1 << 20), tmp_path / "a")
    assert train(subject, probes, SPEC, tmp_path / "a") == train(subject, probes, SPEC, tmp_path / "b")


def test_a_model_of_images_is_refused() -> None:
    assert main(["dictionary", "train", "--subject", "renders-cnn", "--site", "layers.4", "--out", "d"]) == 2


def test_a_transcoder_that_writes_at_a_module_is_read_back_as_such(tmp_path: Path) -> None:
    spec = TrainSpec("mlp-in.1", 16, 4, kind="jumprelu", writes_at="model.layers.1.post_attention_layernorm")
    made = spec.coder(8, 8, "cpu").dictionary(
        name="t", reads_at=spec.sites[0], writes_at=spec.writes_at, subject="tiny",
        made={"site": spec.sites[0], "training": plain(spec)},
    )  # fmt: skip
    write_dictionary(made, tmp_path)
    assert load_dictionary(tmp_path).writes_at == "model.layers.1.post_attention_layernorm"


def test_train_then_run(tiny_folder: Path, tmp_path: Path, capsys) -> None:
    corpus = str(write_corpus(tiny_folder.parent / "corpus.jsonl"))
    text = ["--corpus", corpus, "--tokens", "8000", "--width", "32"]
    what = ["--subject", str(tiny_folder), "--site", "mlp-out.1", "--latents", "48", "--k", "3"]
    assert main(["dictionary", "train", *what, *text, "--train-tokens", "20000", "--batch", "512", "--json",
                 "--out", str(tmp_path / "sae")]) == 0  # fmt: skip
    told = json.loads(capsys.readouterr().out)
    assert told["steps"] == 39 and told["held_out"]["fvu"] > 0 and told["held_out"]["loss"]["clean"] > 0
    config = json.loads((tmp_path / "sae" / "cfg.json").read_text())
    assert config["metadata"]["hook_name"] == "blocks.1.hook_mlp_out"
    run = ["run", "--dictionary", str(tmp_path / "sae"), "--subject", str(tiny_folder), "--units", "4", "--quiet"]
    how = ["--explainer", "token-list", "--scorer", "correlation", "--corpus", corpus]
    assert main([*run, *how, "--tokens", "7000", "--out", str(tmp_path / "s")]) == 2
    assert "test split would contain documents" in capsys.readouterr().err
    assert main([*run, *how, "--out", str(tmp_path / "s")]) == 0  # cut as it was for the training
    shutil.rmtree(tmp_path / "sae")
