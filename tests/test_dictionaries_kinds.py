"""Every kind of dictionary that is trained: what was planted is found, codes are optimal, files say what is read
back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from glossator.cli import main
from glossator.corpora import make_windows, open_corpus
from glossator.errors import UserError
from glossator.evidence import SPLITS
from glossator.fitting import dictionaries
from glossator.fitting.coder import Batch
from glossator.fitting.dictionaries import train
from glossator.fitting.jump_relu import BANDWIDTH, JumpRelu
from glossator.fitting.train_spec import TrainSpec
from glossator.readouts.dictionary import Dictionary
from glossator.readouts.formats import load_dictionary
from glossator.readouts.sparse_code import sparse_code
from glossator.subjects import load_subject
from study_cases import write_corpus


def planted(seed: int = 0) -> tuple[torch.Tensor, Callable[[], torch.Tensor]]:
    """48 atoms in 32 dimensions, and values of which each holds about two of them."""
    generator = torch.Generator().manual_seed(seed)
    atoms = torch.nn.functional.normalize(torch.randn(48, 32, generator=generator), dim=1)

    def values() -> torch.Tensor:
        on = torch.rand(512, 48, generator=generator) < 0.05
        noise = 0.02 * torch.randn(512, 32, generator=generator)
        return ((0.5 + torch.rand(512, 48, generator=generator)) * on) @ atoms + noise

    return atoms, values


def fitted(spec: TrainSpec, values: Callable[[], torch.Tensor], width: int = 32) -> Dictionary:
    coder = spec.coder(width, None, "cpu")
    for step in range(spec.steps):
        batch = Batch.of(values())
        if step == 0:
            coder.start(batch)
        coder.step(batch, spec.rate_at(step))
    return coder.dictionary(name="made", reads_at="resid.1", writes_at="resid.1")


@pytest.mark.parametrize(
    "spec",
    [
        TrainSpec("resid.1", 64, 3, 40 * 512, 512, kind="factors"),
        TrainSpec("resid.1", 64, 3, 600 * 512, 512, 5e-3, kind="jumprelu"),
        TrainSpec("resid.1", 64, 3, 600 * 512, 512, 5e-3, kind="top-k"),
    ],
    ids=lambda spec: spec.kind,
)
def test_planted_atoms_are_recovered(spec: TrainSpec) -> None:
    atoms, values = planted()
    made = fitted(spec, values)
    torch.testing.assert_close(made.decoder.norm(dim=1), torch.ones(64), rtol=0, atol=1e-5)
    assert ((atoms @ made.decoder.T).max(1).values > 0.9).float().mean() >= 0.9
    x = values()
    left = (made.reconstructed(x) - x).square().sum() / (x - x.mean(0)).square().sum()
    l0 = float((made.encode(x) != 0).float().sum(1).mean())
    assert left < (0.25 if spec.kind == "top-k" else 0.1) and 1.5 < l0 < 5
    if spec.kind == "jumprelu":
        assert l0 == pytest.approx(3, rel=0.2)


def test_sparse_codes_are_the_best_there_are() -> None:
    """By the conditions of Karush, Kuhn and Tucker."""
    generator = torch.Generator().manual_seed(2)
    atoms = torch.nn.functional.normalize(torch.randn(40, 16, generator=generator), dim=1)
    x, bias = torch.randn(30, 16, generator=generator), torch.full((40,), -0.2)
    code = sparse_code(x, atoms, bias)
    for steps, most in ((100, 1e-2), (500, 1e-4)):
        found = sparse_code(x, atoms, bias, steps=steps)
        slope = (x - found @ atoms) @ atoms.T + bias
        assert (found >= 0).all() and 0.05 < (found > 0).float().mean() < 0.5
        assert slope[found > 0].abs().max() < most and slope[found == 0].max() < most
    assert (sparse_code(torch.zeros(2, 16), atoms, bias) == 0).all()
    made = Dictionary(
        name="made", reads_at="resid.1", writes_at="resid.1", encoder=atoms, encoder_bias=bias, decoder=atoms,
        decoder_bias=torch.zeros(16), activation="sparse-code",
    )  # fmt: skip
    torch.testing.assert_close(made.encode(x), code)
    torch.testing.assert_close(made.latents(x, [3, 7]), code[:, [3, 7]])


def test_occurrence_balances_what_atoms_are_taken_for() -> None:
    """One value makes up nearly all tokens; weighed by its occurrence it does not draw the atoms."""
    generator = torch.Generator().manual_seed(4)
    rare = torch.nn.functional.normalize(torch.randn(20, 16, generator=generator), dim=1)
    common = torch.nn.functional.normalize(torch.randn(1, 16, generator=generator), dim=1)
    number = torch.cat([torch.arange(20).repeat(2), torch.full((960,), 20)])
    values = torch.cat([rare, common])[number] + 0.1 * torch.randn(1000, 16, generator=generator)
    counts = torch.bincount(number)[number].float()

    def share(weights: torch.Tensor) -> float:
        coder = TrainSpec("x", 12, 1, 1000 * 20, 1000, kind="factors", penalty=0.2).coder(16, None, "cpu")
        batch = Batch(values, values, weights / weights.mean())
        coder.start(batch)
        for _ in range(20):
            coder.step(batch, 0.0)
        atoms = coder.dictionary(name="made", reads_at="x", writes_at="x").decoder
        return float((rare @ atoms.T).max(1).values.mean())

    assert share(counts**-0.5) > share(torch.ones(1000)) + 0.05


def test_weights_of_tokens_are_inverse_roots_of_their_counts(world) -> None:
    subject, probes = world
    windows = subject.counted(probes.windows)
    worth = dictionaries._balance(windows)
    tokens = windows.tokens[windows.valid]
    counts = np.bincount(tokens)
    often, seldom = int(counts.argmax()), int(np.argmin(np.where(counts > 0, counts, 1 << 30)))
    assert counts[often] > 3 * counts[seldom]
    assert worth[seldom] / worth[often] == pytest.approx(np.sqrt(counts[often] / counts[seldom]), rel=1e-5)
    assert worth[tokens].mean() == pytest.approx(1.0, rel=1e-4)


def test_components_are_principal_and_independent() -> None:
    generator = torch.Generator().manual_seed(5)
    mixing = torch.randn(6, 16, generator=generator)
    centre = torch.randn(16, generator=generator)
    x = torch.empty(0)

    def values() -> torch.Tensor:
        nonlocal x
        sources = -torch.log1p(-torch.rand(2048, 6, generator=generator))  # exponential: skewed, sparse
        x = sources @ mixing + centre
        x[:, 0] += 1e-3 * torch.randn(2048, generator=generator)
        return x

    principal = fitted(TrainSpec("x", 6, 1, 4 * 2048, 2048, kind="pca"), values, 16)
    rows = torch.linalg.svd(x - x.mean(0))[2][:6]
    subspace = rows.T @ rows
    torch.testing.assert_close(principal.decoder @ subspace, principal.decoder, rtol=0, atol=1e-3)
    torch.testing.assert_close(principal.decoder @ principal.decoder.T, torch.eye(6), rtol=0, atol=1e-5)
    torch.testing.assert_close(principal.reconstructed(x), x, rtol=0, atol=2e-2)
    assert not principal.sparse and principal.read(x).shape == (2048, 6) and (principal.read(x) < 0).any()
    independent = fitted(TrainSpec("x", 6, 1, 4 * 2048, 2048, kind="ica"), values, 16)
    cosines = torch.nn.functional.normalize(mixing, dim=1) @ independent.decoder.T
    assert cosines.max(1).values.min() > 0.97  # the sign too: skewness is positive
    torch.testing.assert_close(independent.reconstructed(x), x, rtol=0, atol=2e-2)
    with pytest.raises(UserError, match="more components than the site is wide"):
        TrainSpec("x", 17, 1, kind="pca").coder(16, None, "cpu")


def test_nmf_keeps_the_signs_that_values_have() -> None:
    generator = torch.Generator().manual_seed(6)
    atoms = torch.rand(5, 12, generator=generator) * (torch.rand(5, 12, generator=generator) < 0.4)

    def values() -> torch.Tensor:
        return torch.rand(256, 5, generator=generator) @ atoms

    spec = TrainSpec("x", 5, 1, 60 * 256, 256, kind="nmf")
    made = fitted(spec, values, 12)
    x = values()
    assert (made.decoder >= 0).all()
    assert float((made.reconstructed(x) - x).square().sum() / (x - x.mean(0)).square().sum()) < 0.05
    signed = fitted(spec, lambda: values() - 0.3, 12)
    assert (signed.decoder < 0).any() and (signed.encode(values() - 0.3) >= 0).all()


def test_thresholds_learn_by_straight_through_estimators() -> None:
    """The derivative of L0 in a threshold is minus the density of pre-activations there (Rajamanoharan et al.)."""
    coder = JumpRelu(4, 3, 1, penalty=2.0, auxiliary=0.0)
    x = torch.randn(4096, 4, generator=torch.Generator().manual_seed(0))
    coder.start(Batch.of(x))
    got: dict[str, torch.Tensor] = {}
    coder.adam = lambda grads, rate: got.update(grads)  # type: ignore[method-assign]
    coder.step(Batch.of(x), 1e-3)
    values = coder.scaled(Batch.of(x))[0] - coder.decoder_bias
    before, threshold = values @ coder.encoder.T + coder.encoder_bias, coder.log_threshold.exp()
    on, near = before > threshold, ((before - threshold).abs() < BANDWIDTH / 2) / BANDWIDTH
    error = (before * on) @ coder.decoder - values
    l0 = on.float().sum() / len(x)
    of_error = -(2 * error @ coder.decoder.T * near * threshold).sum(0) / (values - values.mean(0)).square().sum()
    of_count = -2 * 2.0 * (l0 / coder.k - 1) / coder.k * near.sum(0) / len(x)
    torch.testing.assert_close(got["log_threshold"], (of_error + of_count) * threshold, rtol=1e-3, atol=1e-6)


@pytest.fixture(scope="module")
def world(tiny_folder: Path):
    subject = load_subject(str(tiny_folder))
    corpus = write_corpus(tiny_folder.parent / "corpus.jsonl")
    return subject, make_windows(open_corpus(str(corpus)), subject.tokenizer, 32, max_tokens=8_000)


SPECS = {
    "jumprelu": TrainSpec("resid.1", 48, 4, 24 * 512, 512, kind="jumprelu", every=7),
    "transcoder": TrainSpec("mlp-in.1", 48, 4, 24 * 512, 512, every=7, writes_at="mlp-out.1"),
    "skip-transcoder": TrainSpec(
        "mlp-in.1", 48, 4, 24 * 512, 512, every=7, kind="jumprelu", writes_at="mlp-out.1", skip=True
    ),
    "factors": TrainSpec(("resid.0", "resid.1"), 40, 4, 24 * 512, 512, kind="factors", every=7),
    "nmf": TrainSpec("resid.1", 12, 4, 24 * 512, 512, kind="nmf", every=7),
    "pca": TrainSpec("resid.1", 12, 4, 24 * 512, 512, kind="pca", every=3),
    "ica": TrainSpec("resid.1", 12, 4, 24 * 512, 512, kind="ica", every=3),
}


@pytest.mark.parametrize("kind", SPECS)
def test_every_kind_resumes_to_the_same_bytes_and_is_measured(kind: str, world, tmp_path: Path) -> None:
    subject, probes = world
    spec = SPECS[kind]
    whole = train(subject, probes, spec, tmp_path / "a")
    stop_at = 5 if kind in ("pca", "ica") else 17

    def stop(step: int, fvu: float | None) -> None:
        if step == stop_at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(subject, probes, spec, tmp_path / "b", note=stop)
    assert train(subject, probes, spec, tmp_path / "b") == whole
    for file in sorted(p.name for p in (tmp_path / "a").iterdir()):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes(), file
    saelens = kind in ("jumprelu", "skip-transcoder")
    assert (tmp_path / "a" / ("cfg.json" if saelens else "dictionary.json")).exists()
    site = spec.sites[-1]
    made = load_dictionary(tmp_path / "a", site=None if len(spec.sites) == 1 else site)
    assert made.reads_at == site and made.writes_at == (spec.writes_at or site)
    windows = subject.counted(probes.windows.take(np.flatnonzero(probes.split_of_input == SPLITS.index("select"))))
    windows = windows.take(np.arange(min(128, len(windows))))
    found = subject.activations(windows.tokens, windows.lengths, [site, str(made.writes_at)])
    x, y = found[site][windows.valid], found[str(made.writes_at)][windows.valid]
    held = whole["held_out"] if len(spec.sites) == 1 else whole["held_out"]["by_site"][site]
    left = float((y - made.reconstructed(x)).square().sum() / (y - y.mean(0)).square().sum())
    assert held["fvu"] == pytest.approx(left, rel=1e-3) and 0 < left < 1
    assert held["l0"] == pytest.approx(float((made.encode(x) != 0).float().sum(1).mean()), rel=1e-3)
    assert held["loss"]["clean"] > 0 and held["loss"]["spliced"] > 0 and "loss_recovered" in held
    assert made.made["subject_fingerprint"] == subject.fingerprint


def test_factors_of_several_layers_are_read_at_one_of_them(world, tmp_path: Path, capsys) -> None:
    subject, probes = world
    train(subject, probes, SPECS["factors"], tmp_path / "f")
    with pytest.raises(UserError, match=r"several sites.*resid\.0, resid\.1"):
        load_dictionary(tmp_path / "f")
    with pytest.raises(UserError, match="several sites"):
        load_dictionary(tmp_path / "f", site="resid.2")
    first, second = (load_dictionary(tmp_path / "f", site=site) for site in ("resid.0", "resid.1"))
    assert first.site_name == "factors@resid.0" and first.fingerprint != second.fingerprint
    second.save(tmp_path / "copy")
    assert load_dictionary(tmp_path / "copy").fingerprint == second.fingerprint


def test_specs_that_mean_nothing_are_refused() -> None:
    for given, words in (
        ({"kind": "lasso"}, "unknown kind"),
        ({"site": ("resid.0", "resid.1")}, "trained on one site"),
        ({"site": ("resid.0", "resid.0"), "kind": "nmf"}, "each once"),
        ({"kind": "pca", "writes_at": "mlp-out.1"}, "no transcoder"),
        ({"writes_at": "resid.1"}, "writes where it reads"),
        ({"skip": True}, "only a transcoder"),
        ({"penalty": -1.0}, "bad penalty"),
    ):
        with pytest.raises(UserError, match=words):
            TrainSpec(**({"site": "resid.1", "latents": 8, "k": 2} | given))


def test_the_command_trains_every_kind(tiny_folder: Path, tmp_path: Path, capsys) -> None:
    corpus = str(write_corpus(tiny_folder.parent / "corpus.jsonl"))
    common = ["--subject", str(tiny_folder), "--corpus", corpus, "--tokens", "8000", "--width", "32", "--batch", "512"]
    common += ["--train-tokens", "4096", "--json"]
    for name, flags in {
        "t": ["--site", "mlp-in.1", "--write-site", "mlp-out.1", "--latents", "48", "--k", "3", "--kind", "jumprelu"],
        "f": ["--site", "resid.0", "--site", "resid.1", "--latents", "24", "--kind", "factors"],
        "p": ["--site", "resid.1", "--kind", "pca"],
    }.items():
        assert main(["dictionary", "train", *common, *flags, "--out", str(tmp_path / name)]) == 0
        assert json.loads(capsys.readouterr().out)["held_out"]["fvu"] > 0
    assert load_dictionary(tmp_path / "p").width == 32
    assert main(["dictionary", "train", *common, "--site", "resid.1", "--kind", "x", "--out", str(tmp_path / "x")]) == 2
    assert "unknown kind" in capsys.readouterr().err and not (tmp_path / "x").exists()
