"""Dictionaries of other packages: read as they are written, refused in a sentence, kept by a study, acted upon."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from causal_cases import subject_of, tiny_windows
from dictionary_cases import (
    LAYOUTS,
    D,
    K,
    N,
    arrays,
    save_bare,
    save_circuit_tracer,
    save_dictionary_learning,
    save_gemma_scope,
    save_saelens,
    save_sparsify,
)
from glossator.causal.acting import part_of
from glossator.causal.changes import Add, Set
from glossator.causal.edits import Edit
from glossator.causal.generating import generate
from glossator.causal.output_effects import by_clamping, by_weights
from glossator.causal.patching import part_values, site_values
from glossator.causal.running import divergences, run
from glossator.cli import main
from glossator.errors import MissingPower, UserError
from glossator.readouts import direction_set, load_readout
from glossator.readouts.dictionary import Dictionary
from glossator.readouts.formats import load_dictionary
from glossator.readouts.hook_names import same_model
from glossator.readouts.parts import Direction, Units
from glossator.store.study import open_study
from glossator.study.sources import kept_readouts
from glossator.subjects import load_subject
from glossator.subjects.token_weights import logit_strengths
from glossator.units import Unit
from study_cases import write_corpus

X = np.random.default_rng(9).normal(size=(30, D)).astype(np.float32)


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_is_read_as_its_package_does(name: str, tmp_path: Path) -> None:
    layout, a = LAYOUTS[name], arrays()
    found = load_dictionary(layout.save(tmp_path / "d"), site=layout.site)
    assert (found.reads_at, found.writes_at, found.width) == (layout.reads, layout.writes, N)
    x, expected = torch.from_numpy(X), layout.encoded(a, X)
    assert 1 < (expected != 0).sum(-1).mean() < N
    np.testing.assert_allclose(found.encode(x).numpy(), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.latents(x, [7, 2]).numpy(), expected[:, [7, 2]], rtol=1e-4, atol=1e-5)
    rows = a["W_dec"] / (np.linalg.norm(a["W_dec"], axis=1, keepdims=True) if layout.unit_decoder else 1)
    written = expected @ rows + a["b_dec"] + (X @ a["W_skip"].T if layout.skip else 0)
    np.testing.assert_allclose(found.reconstructed(x).numpy(), written, rtol=1e-4, atol=1e-5)
    again = load_dictionary(found.save(tmp_path / "kept"), site=found.reads_at)
    assert again.fingerprint == found.fingerprint and torch.equal(again.encode(x), found.encode(x))


@pytest.mark.slow
def test_the_packages_themselves_agree(tmp_path: Path) -> None:
    from benchmarks.dictionaries import INTERPRETER, parity

    found = parity(os.environ.get(INTERPRETER), tmp_path)
    if found["parity_max_error"] is None:
        pytest.skip(found["parity_reason"])
    assert {row["package"] for row in found["parity"]} >= {"saelens", "sparsify"} and len(found["parity"]) >= 18
    assert found["parity_max_error"] <= 1e-5 and all(row["active"] > 1 for row in found["parity"])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["top-k", "jumprelu", "jumprelu transcoder", "jumprelu skip transcoder"])
def test_saelens_reads_what_is_trained_here(kind: str, tiny_folder: Path, tmp_path: Path) -> None:
    from benchmarks.dictionaries import INTERPRETER

    if not (python := os.environ.get(INTERPRETER)):
        pytest.skip(f"{INTERPRETER} names no interpreter with sae-lens")
    out, corpus = tmp_path / "sae", str(write_corpus(tiny_folder.parent / "corpus.jsonl"))
    flags = ["--tokens", "6000", "--width", "32", "--train-tokens", "8000", "--batch", "512", "--latents", "64"]
    flags += ["--k", "4", "--kind"]
    flags += [kind.split()[0], "--site", *("mlp-in.1 --write-site mlp-out.1" if "trans" in kind else "resid.1").split()]
    flags += ["--skip"] if "skip" in kind else []
    assert main(["dictionary", "train", "--subject", str(tiny_folder), "--corpus", corpus, *flags,
                 "--out", str(out)]) == 0  # fmt: skip
    save_file({"x": X}, tmp_path / "x.st")
    code = (
        "import sys, torch; from sae_lens import SAE; from safetensors.torch import load_file, save_file\n"
        "sae = SAE.load_from_disk(sys.argv[1]); x = load_file(sys.argv[2])['x']\n"
        "with torch.no_grad(): found = {'encoded': sae.encode(x), 'decoded': sae(x)}\n"
        "save_file(found, sys.argv[3])"
    )
    theirs = tmp_path / "theirs.st"
    subprocess.run([python, "-W", "ignore", "-c", code, str(out), str(tmp_path / "x.st"), str(theirs)], check=True)
    told, ours, x = load_file(theirs), load_dictionary(out), torch.from_numpy(X)
    np.testing.assert_allclose(ours.encode(x).numpy(), told["encoded"], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(ours.reconstructed(x).numpy(), told["decoded"], rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_the_benchmark_measures(tiny_folder: Path) -> None:
    from benchmarks.dictionaries import run as measure

    options = {
        "subject": str(tiny_folder),
        "site": "resid.0",
        "latents": 96,
        "k": 4,
        "tokens": 4096,
        "units": 20,
        "width": 32,
        "train_site": "resid.1",
        "train_latents": 64,
        "train_text": 4096,
        "train_tokens": 8192,
        "train_batch": 512,
        "explain_site": "resid.1",
    }
    found = measure({"quick": True, **options})
    assert found["overhead_sparse"] > 0 and 2 < found["bytes_per_posting"] < 6 and found["evidence_ms_per_unit"] > 0
    assert (found["parity_max_error"] is None) == ("parity_reason" in found)
    assert found["atoms_recovered"] == found["planted"]["factors"] >= 0.8
    assert found["training"]["ours"]["fvu"] < 0.9 and (found["fvu_ratio"] is None) == ("training_reason" in found)
    assert found["units_per_minute"] > 0 and found["explaining"]["units"] == 8
    assert 0 <= found["voxels_null_explained"] <= found["voxels_found"] <= 1


def test_normalization_is_undone_behind_the_decoder(tmp_path: Path) -> None:
    a, x = arrays(), torch.from_numpy(X)
    layer = load_dictionary(save_saelens(tmp_path / "a", "standard", normalize_activations="layer_norm"))
    mean, size = X.mean(-1, keepdims=True), X.std(-1, keepdims=True, ddof=1)
    acts = np.maximum(((X - mean) / (size + 1e-5) - a["b_dec"]) @ a["W_enc"] + a["b_enc"], 0)
    np.testing.assert_allclose(layer.encode(x).numpy(), acts, rtol=1e-4, atol=1e-5)
    written = (acts @ a["W_dec"] + a["b_dec"]) * size + mean
    np.testing.assert_allclose(layer.reconstructed(x).numpy(), written, rtol=1e-4, atol=1e-4)
    part = layer.part(3)
    changed = part.write(x, part.read(x) + 2.0)
    np.testing.assert_allclose((changed - x).numpy(), 2.0 * size * a["W_dec"][3], rtol=1e-3, atol=1e-4)
    norm = load_dictionary(save_saelens(tmp_path / "b", "standard", normalize_activations="constant_norm_rescale"))
    scaled = X * np.sqrt(D) / np.linalg.norm(X, axis=-1, keepdims=True)
    acts = np.maximum((scaled - a["b_dec"]) @ a["W_enc"] + a["b_enc"], 0)
    np.testing.assert_allclose(norm.encode(x).numpy(), acts, rtol=1e-4, atol=1e-5)
    folded = load_dictionary(save_saelens(tmp_path / "c", "standard", normalize_activations="expected_average_only_in"))
    assert any("expected_average_only_in" in note for note in folded.notes)


def test_settings_of_saelens(tmp_path: Path) -> None:
    a, x = arrays(), torch.from_numpy(X)
    not_centred = load_dictionary(save_saelens(tmp_path / "a", "standard", apply_b_dec_to_input=False))
    expected = np.maximum(X @ a["W_enc"] + a["b_enc"], 0)
    np.testing.assert_allclose(not_centred.encode(x).numpy(), expected, rtol=1e-4, atol=1e-5)
    rescaled = load_dictionary(save_saelens(tmp_path / "b", rescale_acts_by_decoder_norm=True))
    norms = np.linalg.norm(a["W_dec"], axis=1)
    before = np.maximum((X - a["b_dec"]) @ a["W_enc"] + a["b_enc"], 0) * norms
    expected = np.where(before >= np.sort(before, axis=-1)[:, -K, None], before, 0)
    np.testing.assert_allclose(rescaled.encode(x).numpy(), expected, rtol=1e-4, atol=1e-5)
    written = (expected / norms) @ a["W_dec"] + a["b_dec"]
    np.testing.assert_allclose(rescaled.reconstructed(x).numpy(), written, rtol=1e-4, atol=1e-4)


def test_sites_are_found_stated_and_checked(tmp_path: Path) -> None:
    found = load_dictionary(save_saelens(tmp_path / "a"))
    assert found.site_name == "sae@resid.0" and found.model == "tiny"
    assert found.notes == ("a: resid.0, from 'blocks.0.hook_resid_post'",)
    assert load_dictionary(tmp_path / "a", site="resid.0").notes == ()
    with pytest.raises(UserError, match=r"made for another site: 'resid.0'. Allowed: resid.1"):
        load_dictionary(tmp_path / "a", site="resid.1")
    unknown = save_saelens(tmp_path / "b", metadata={"hook_name": "blocks.0.hook_resid_mid"})
    with pytest.raises(UserError, match=r"not known \(blocks.0.hook_resid_mid\).*PATH@SITE"):
        load_dictionary(unknown)
    path = "model.layers.0.post_attention_layernorm.input"
    assert load_dictionary(unknown, site=path).reads_at == path
    half = save_saelens(tmp_path / "c", "transcoder", metadata={"hook_name": "blocks.1.mlp.hook_in"})
    guessed = load_dictionary(half)
    assert guessed.writes_at == "mlp-out.1" and any("taken to write at mlp-out.1" in note for note in guessed.notes)
    folder = save_circuit_tracer(tmp_path / "set", feature_input_hook="ln2.hook_normalized")
    with pytest.raises(UserError, match="input of that norm"):
        load_dictionary(folder, site="mlp-in.1")
    before = load_dictionary(folder, site=path.replace("layers.0", "layers.1"))
    assert before.normalization == "constant-norm" and before.writes_at == "mlp-out.1"
    with pytest.raises(UserError, match=r"needs a layer.*layers 0 to 1"):
        load_dictionary(folder)
    scope = save_gemma_scope(tmp_path / "gemma-scope-2b-pt-transcoders" / "layer_7" / "width_16k" / "average_l0_9")
    norm = load_dictionary(scope)
    assert norm.reads_at == "model.layers.7.pre_feedforward_layernorm.input" and norm.writes_at == "mlp-out.7"


def spoil(folder: Path, what: str) -> Path:
    """A dictionary of SAELens with one thing wrong."""
    save_saelens(folder, "standard")
    config = json.loads((folder / "cfg.json").read_text())
    if what == "architecture":
        config["architecture"] = "temporal"
    elif what == "activation":
        config["activation_fn"] = "tanh-relu"
    elif what == "head":
        config["metadata"]["hook_head_index"] = 3
    elif what == "norm":
        config["normalize_activations"] = "batch_norm"
    elif what == "weights":
        (folder / "sae_weights.safetensors").unlink()
    elif what == "damaged":
        (folder / "sae_weights.safetensors").write_bytes(b"no tensors")
    elif what == "config":
        (folder / "cfg.json").write_text("{")
        return folder
    elif what == "jump":
        config["architecture"] = "jumprelu"
    elif what == "k":
        config |= {"architecture": "topk", "k": 0}
    (folder / "cfg.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("architecture", "unknown architecture of a dictionary: 'temporal'"), ("activation", "'tanh-relu'"),
        ("head", "a single head"), ("norm", "unknown normalize_activations: 'batch_norm'"),
        ("weights", "weights are missing"), ("damaged", "cannot be read"), ("config", "config is damaged"),
        ("jump", "lacks a tensor: 'threshold'.*W_enc"), ("k", "bad k of a top-k dictionary: 0. Allowed: 1 to 48"),
    ],
)  # fmt: skip
def test_bad_files_are_refused_in_a_sentence(what: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=words):
        load_dictionary(spoil(tmp_path / "d", what))


class Evil:
    def __reduce__(self) -> tuple:
        return (os.mkdir, ("ran",))


def test_no_code_of_a_file_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = save_dictionary_learning(tmp_path / "d")
    torch.save({"encoder.weight": Evil()}, folder / "ae.pt")
    with pytest.raises(UserError, match="without running what the file holds"):
        load_dictionary(folder)
    (folder / "ae.pt").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(UserError, match="without running what the file holds"):
        load_dictionary(folder)
    assert not (tmp_path / "ran").exists()


def test_other_refusals(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for path, words in (
        (tmp_path / "none", "no dictionary here"),
        (tmp_path / "empty", "no dictionary here"),
        (save_dictionary_learning(tmp_path / "a", config=False), "top-k or batch-top-k"),
        (save_dictionary_learning(tmp_path / "b", dict_class="Novel"), "unknown class of a dictionary: 'Novel'"),
        (save_sparsify(tmp_path / "c" / "layers.0", signed=True), "signed latents"),
        (save_sparsify(tmp_path / "e" / "layers.0", activation="softmax"), "unknown activation"),
        (save_bare(tmp_path / "f", False), "site of the dictionary is not known"),
        (save_bare(tmp_path / "g"), "site of the dictionary is not known"),
    ):
        with pytest.raises(UserError, match=words):
            load_dictionary(path)
    found = load_dictionary(save_saelens(tmp_path / "h"))
    with pytest.raises(UserError, match=r"does not have the width of resid.0: 32. Allowed: 576"):
        found.check_fits("resid.0", 576)
    with pytest.raises(UserError, match=r"another model: 'tiny'. Allowed: gpt2"):
        found.check_fits("resid.0", D, "gpt2")
    found.check_fits("resid.0", D, "tiny")
    numbers = arrays()
    numbers["W_enc"][0, 0] = np.nan
    tensors = {name: torch.from_numpy(numbers[key]) for name, key in (("encoder_bias", "b_enc"), ("decoder", "W_dec"))}
    with pytest.raises(UserError, match="not finite: 'encoder'"):
        Dictionary(name="sae", reads_at="resid.0", writes_at="resid.0", encoder=torch.from_numpy(numbers["W_enc"]).T,
                   decoder_bias=torch.zeros(D), **tensors)  # fmt: skip


def test_names_of_models() -> None:
    assert same_model("google/gemma-2-2b", "gemma-2-2b") and same_model("gpt2-small", "gpt2")
    assert not same_model("gpt2-small", "smollm2-135m") and not same_model("pythia-70m", "pythia-160m")


def transcoder(path: Path) -> Dictionary:
    return load_dictionary(save_saelens(path, "skip_transcoder"))


def test_a_transcoder_is_read_at_one_site_and_written_at_another(tmp_path: Path) -> None:
    subject, coder = subject_of("llama"), transcoder(tmp_path / "t")
    windows = tiny_windows(subject, 6, 9)
    readouts = {coder.site_name: coder}
    site, part = part_of(Unit(subject.name, coder.site_name, 5), readouts)
    assert (site, coder.reads_at) == ("mlp-out.1", "mlp-in.1")
    at = site_values(subject, windows, ["mlp-in.1", "mlp-out.1"])
    real = np.arange(windows.width) < windows.lengths[:, None]
    true = coder.encode(torch.from_numpy(at["mlp-in.1"])).numpy()[..., 5]
    np.testing.assert_allclose(
        part_values(subject, windows, site, part)[..., 0][real], true[real], rtol=1e-4, atol=1e-5
    )
    row = coder.decoder[5].numpy()
    for change, moved in ((Set(3.0), 3.0 - true), (Add(0.5), np.full_like(true, 0.5))):
        batches = list(run(subject, windows, [Edit(site, part, change)], sites=[site], outputs=False))
        found = np.concatenate([batch.values[site].numpy() for batch in batches])
        np.testing.assert_allclose((found - at[site])[real], (moved[..., None] * row)[real], rtol=1e-3, atol=1e-4)
    edits = [[Edit(site, part, Set(3.0))]]
    whole, restarted = (divergences(subject, windows, edits, restart=r) for r in (False, True))
    assert whole[0][real].min() > 0
    np.testing.assert_allclose(restarted, whole, rtol=1e-3, atol=1e-6)


def test_what_an_earlier_edit_changes_is_seen(tmp_path: Path) -> None:
    """A latent of layer 1 is what the edited stream makes it."""
    subject, coder = subject_of("llama"), transcoder(tmp_path / "t")
    windows = tiny_windows(subject, 3, 7)
    site, part = part_of(Unit(subject.name, coder.site_name, 5), {coder.site_name: coder})
    earlier = Edit("resid.0", Units(3), Set(4.0))
    (changed,) = run(subject, windows, [earlier], sites=["mlp-in.1", site], outputs=False)
    both = [earlier, Edit(site, part, Set(0.0))]
    (found,) = run(subject, windows, both, sites=[site], outputs=False)
    active = coder.encode(changed.values["mlp-in.1"])[..., 5, None]
    real = torch.from_numpy(np.arange(windows.width) < windows.lengths[:, None])
    torch.testing.assert_close(
        found.values[site][real], (changed.values[site] - active * coder.decoder[5])[real], rtol=1e-3, atol=1e-4
    )


@pytest.mark.parametrize("architecture", ["jumprelu", "transcoder"])
def test_a_study_of_latents(architecture: str, tiny_folder: Path, tmp_path: Path, capsys) -> None:
    write_corpus(tiny_folder.parent / "corpus.jsonl")
    folder = save_saelens(tmp_path / "d", architecture)
    text = ["--corpus", str(tiny_folder.parent / "corpus.jsonl"), "--tokens", "6000", "--width", "32"]
    how = ["--explainer", "token-list", "--explainer", "output-weights", "--explainer", "output-effect"]
    how += ["--scorer", "correlation", "--scorer", "ablation", "--scorer", "output-side", "--card", "both"]
    where = ["--subject", str(tiny_folder), "--out", str(tmp_path / "s"), "--units", "4"]
    assert main(["run", "--dictionary", str(folder), *where, *text, *how]) == 0
    shutil.rmtree(folder)
    with open_study(tmp_path / "s") as study:
        ((site, kept),) = kept_readouts(study.recording).items()
        assert study.recording.sites[site].kind == "sparse" and study.recording.sites[site].width == N
        subject, results = load_subject(str(tiny_folder)), list(study.results())
        windows = study.recording.inputs
        values = subject.activations(windows.tokens, windows.lengths, [kept.reads_at])[kept.reads_at]
        expected = kept.encode(values).numpy()
        for result in results:
            stored = study.recording.values(result.unit, np.arange(len(windows)))
            np.testing.assert_allclose(
                stored, np.where(windows.valid, expected[..., result.unit.index], 0), rtol=2e-3, atol=1e-4
            )
        scores = [s for r in results for e in r.explanations for s in e.scores]
        assert {s.name for s in scores if s.value is not None} >= {"correlation.top-and-random", "ablation"}
        assert not [r.unit for r in results if r.status == "failed"]
    log = (tmp_path / "s" / "log.txt") if (tmp_path / "s" / "log.txt").exists() else None
    said = capsys.readouterr()
    told = said.out + said.err + ("" if log is None else log.read_text())
    assert f"{kept.reads_at}, from" in told


def test_a_dictionary_of_another_model_or_width_stops_a_study(tiny_folder: Path, tmp_path: Path, capsys) -> None:
    write_corpus(tiny_folder.parent / "corpus.jsonl")
    meta = {"hook_name": "blocks.0.hook_resid_post", "model_name": "gpt2-small"}
    other = save_saelens(tmp_path / "a", metadata=meta)
    neurons = save_saelens(tmp_path / "b", metadata={"hook_name": "blocks.0.mlp.hook_post"})
    beyond = save_saelens(tmp_path / "c", metadata={"hook_name": "blocks.9.hook_resid_post"})
    base = ["run", "--subject", str(tiny_folder), "--corpus", str(tiny_folder.parent / "corpus.jsonl")]
    for folder, words in (
        (other, "made for another model: 'gpt2-small'"),
        (neurons, "does not have the width of mlp.0: 32. Allowed: 64"),
        (beyond, "no such site: 'resid.9'"),
    ):
        assert main([*base, "--dictionary", str(folder), "--out", str(tmp_path / "s")]) == 2
        assert words in " ".join(capsys.readouterr().err.split())
        assert not (tmp_path / "s").exists()
    named = load_readout(f"dictionary:{other}@resid.0")
    assert named.site_name == "sae@resid.0"


@pytest.mark.parametrize("every", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_the_dictionary_of_the_document(
    every: bool, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its Python makes a dictionary that its commands study, here of the tiny model; some take long."""
    import shlex

    from test_project_blocks import commands_of
    from test_project_docs import ROOT, blocks

    corpus = write_corpus(tiny_folder.parent / "corpus.jsonl")
    monkeypatch.chdir(tmp_path)
    names = {"smollm2-135m": str(tiny_folder), "blocks.12": "blocks.1", "resid.12": "resid.1"}

    def small(text: str) -> str:
        for name, other in names.items():
            text = text.replace(name, other)
        return text.replace('"model_name": "' + str(tiny_folder), '"model_name": "' + tiny_folder.name)

    namespace: dict[str, object] = {"__name__": "example"}
    text = small((ROOT / "docs" / "dictionaries.md").read_text())
    for block in blocks(text, "python"):
        exec(compile(block, "dictionaries.md", "exec"), namespace)
    assert namespace["sae"].k == 32 and (namespace["numbers"][0] == 7).any()
    for command in commands_of("docs/dictionaries.md"):
        words = shlex.split(small(command))[1:]
        if not every and (words[0] == "classify" or "random-weights" in words):
            continue
        less = (
            ["--corpus", str(corpus), "--tokens", "6000", "--width", "32"] if words[0] in ("run", "dictionary") else []
        )
        less += ["--train-tokens", "8000", "--batch", "512"] if words[0] == "dictionary" else []
        less += ["--units", "4"] if words[0] == "run" else []
        less += ["--per-label", "10", "--longest", "16", "--corpus", str(corpus)] if words[0] == "classify" else []
        assert main([*words, *less]) == 0
    with open_study(tmp_path / "studies" / "trained") as study:
        assert study.recording.sites["sae@resid.1"].width == 4096
    with open_study(tmp_path / "studies" / "latents") as study:
        assert study.spec.sites == ("sae@resid.1",) and len(list(study.results())) == 4


@pytest.mark.parametrize("family", ["llama", "gemma2"])
def test_text_is_generated_under_a_changed_latent(family: str, tmp_path: Path) -> None:
    """Of a transcoder: adding to a latent is adding its row where it writes, and its value is that of each step."""
    subject, coder = subject_of(family), transcoder(tmp_path / "t")
    site, part = part_of(Unit(subject.name, coder.site_name, 5), {coder.site_name: coder})
    row, prompts = coder.decoder[5].numpy(), ["The quick brown fox", "In 1987"]

    def written(change, by) -> list[str]:
        return generate(subject, prompts, [Edit(site, by, change)], new_tokens=8, temperature=0)

    along = written(Add(9.0 * float(np.linalg.norm(row))), Direction(row))
    assert written(Add(9.0), part) == along != generate(subject, prompts, new_tokens=8, temperature=0)
    assert written(Set(9.0), part) != written(Set(0.0), part)


def test_padding_of_zeros_stays_finite(tmp_path: Path) -> None:
    for name in ("constant_norm_rescale", "layer_norm"):
        found = load_dictionary(save_saelens(tmp_path / name, "standard", normalize_activations=name))
        assert torch.isfinite(found.read(torch.zeros(2, D))[0]).all()


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_the_output_side_of_a_latent_is_that_of_its_row(family: str, tmp_path: Path) -> None:
    """By weights; by clamping, the difference between two values of the latent."""
    subject = subject_of(family)
    autoencoder = load_dictionary(save_saelens(tmp_path / "a", metadata={"hook_name": "blocks.1.hook_resid_post"}))
    neurons = direction_set("joy", "mlp.1", np.eye(subject.site("mlp.1").width)[[3, 8]])
    readouts = {one.site_name: one for one in (transcoder(tmp_path / "t"), autoencoder, neurons)}
    for site in ("transcoder@mlp-in.1", "sae@resid.1"):
        rows = readouts[site].decoder
        found = by_weights(subject, [Unit(subject.name, site, i, "-") for i in (5, 9)], readouts)
        np.testing.assert_allclose(found, -logit_strengths(subject, rows[[5, 9]].numpy()), rtol=1e-4, atol=1e-5)
    as_directions = by_weights(subject, [Unit(subject.name, "joy@mlp.1", i) for i in range(2)], readouts)
    as_neurons = by_weights(subject, [Unit(subject.name, "mlp.1", i) for i in (3, 8)])
    np.testing.assert_allclose(as_directions, as_neurons, rtol=1e-4, atol=1e-5)
    unit, windows = Unit(subject.name, "transcoder@mlp-in.1", 5), tiny_windows(subject, 4, 8)
    assert np.nanmax(np.abs(by_clamping(subject, unit, windows, 6.0, 0.0, readouts))) > 0.01
    assert np.nanmax(np.abs(by_clamping(subject, unit, windows, 6.0, 6.0, readouts))) == pytest.approx(0, abs=1e-5)
    with pytest.raises(MissingPower, match="needs the readout"):
        by_weights(subject, [unit])


def test_a_saved_dictionary_with_other_weights_is_refused(tmp_path: Path) -> None:
    load_dictionary(save_saelens(tmp_path / "sae")).save(tmp_path / "own")
    place = tmp_path / "own" / "dictionary.safetensors"
    tensors = load_file(place)
    save_file(tensors | {"decoder": 2 * tensors["decoder"]}, place)
    with pytest.raises(UserError, match="not those that were saved"):
        load_dictionary(tmp_path / "own")


@pytest.mark.parametrize("odd", [True, [1], {"a": 1}, 10**30])
def test_values_of_another_kind_are_no_traceback(odd: object, tmp_path: Path) -> None:
    folders = [save_saelens(tmp_path / "sae"), save_sparsify(tmp_path / "run" / "layers.0")]
    folders.append(load_dictionary(folders[0]).save(tmp_path / "own"))
    for folder, name in zip(folders, ("cfg.json", "cfg.json", "dictionary.json"), strict=True):
        stored = json.loads((folder / name).read_text())
        for key in (*stored, "metadata", "normalize_activations", "activation", "sites", "notes"):
            (folder / name).write_text(json.dumps({**stored, key: odd}))
            with contextlib.suppress(UserError):
                load_dictionary(folder)
