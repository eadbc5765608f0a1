"""Latents have all that neurons have: programs and headlines, judged scores, interventions through decoder and encoder,
replacement of the whole site, the output side, and a dictionary of a random network beside them."""

from __future__ import annotations

import math
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

from causal_cases import subject_of, tiny_windows
from dictionary_cases import save_saelens
from glossator.causal import Add, Edit, Reconstruction, Scale, Set, run
from glossator.corpora import make_windows, open_corpus
from glossator.errors import UserError
from glossator.fitting.dictionaries import train
from glossator.fitting.train_spec import TrainSpec
from glossator.language_models import Answer, Request, TokenLogprob
from glossator.readouts.formats import load_dictionary
from glossator.store.study import open_study
from glossator.study import run_study
from glossator.study.random_weights import beside_random_weights
from glossator.subjects import load_subject
from study_cases import small_spec, write_corpus


def judge(request: Request) -> Answer:
    """Says yes to some texts and no to others: plumbing alone."""
    chance = (zlib.crc32(request.messages[-1].content.encode()) % 97 + 1) / 99
    top = {"yes": math.log(chance), "no": math.log(1 - chance)}
    best = max(top, key=top.__getitem__)
    return Answer(best, tokens=(TokenLogprob(best, top[best], top),))


@pytest.fixture(scope="module")
def corpus(tiny_folder: Path) -> Path:
    return write_corpus(tiny_folder.parent / "corpus.jsonl")


@pytest.fixture(scope="module")
def trained(tiny_folder: Path, corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A top-k autoencoder, a JumpReLU transcoder, factors and principal components of the tiny model."""
    subject, folder = load_subject(str(tiny_folder)), tmp_path_factory.mktemp("dictionaries")
    probes = make_windows(open_corpus(str(corpus)), subject.tokenizer, 32, max_tokens=6_000)
    of = {"tokens": 12 * 512, "batch": 512}
    specs = {
        "sae": TrainSpec("resid.1", 48, 4, **of),
        "transcoder": TrainSpec("mlp-in.1", 48, 4, kind="jumprelu", writes_at="mlp-out.1", **of),
        "factors": TrainSpec("resid.1", 24, 4, kind="factors", **of),
        "pca": TrainSpec("resid.1", 8, 4, kind="pca", **of),
    }
    for name, spec in specs.items():
        train(subject, probes, spec, folder / name)
    return {name: folder / name for name in specs}


SITES = {"sae": "sae@resid.1", "transcoder": "transcoder@mlp-in.1", "factors": "factors@resid.1", "pca": "pca@resid.1"}


@pytest.mark.parametrize("name", SITES)
def test_explained_scored_judged_and_intervened_on(
    name: str, trained: dict[str, Path], tiny_folder: Path, corpus: Path, tmp_path: Path
) -> None:
    """One study with programs, headlines, detection and fuzzing by a judge, and causal scores."""
    scorers = ("correlation", "headline", "lm-detection", "fuzzing", "ablation")
    spec = small_spec(
        tiny_folder, sites=(SITES[name],), units=3, readouts=(f"dictionary:{trained[name]}",), card="both",
        explainers=("program",), scorers=scorers, polarities=("+", "-") if name == "pca" else ("+",),
        lm="scripted:test_dictionaries_latents:judge",
    )  # fmt: skip
    study = run_study(spec, tmp_path / "s", progress=False)
    assert study is not None
    results = list(study.results())
    assert {r.unit.site for r in results} == {SITES[name]} and not [r for r in results if r.status == "failed"]
    assert {r.unit.polarity for r in results} == ({"+", "-"} if name == "pca" else {"+"})
    explained = [e for r in results for e in r.explanations]
    programs = [e for e in explained if e.provenance["method"] == "program"]
    assert programs and all(e.headline and e.program for e in programs)
    scored = [s for e in explained for s in e.scores]
    assert {s.name.partition(".")[0] for s in scored} >= {"lm-detection", *scorers}
    known = {s.name.partition(".")[0] for s in scored if s.value is not None}
    assert known >= {"correlation", "headline", "fuzzing", "ablation"}
    assert all(s.reason for s in scored if s.value is None)


@pytest.mark.parametrize("name", SITES)
def test_set_ablate_and_steer_through_the_decoder(name: str, trained: dict[str, Path], tiny_folder: Path) -> None:
    """What is written moves by the change of the latent times its row, and by nothing else."""
    subject, made = load_subject(str(tiny_folder)), load_dictionary(trained[name])
    site, windows = str(made.writes_at), tiny_windows(load_subject(str(tiny_folder)), 4, 8, short=False)

    def values(at: str, *edits: Edit) -> torch.Tensor:
        return torch.cat([batch.values[at] for batch in run(subject, windows, edits, sites=[at], outputs=False)])

    before, activity = values(site), made.encode(values(made.reads_at))
    number = int(activity.abs().sum((0, 1)).argmax())
    part, row = made.part(number), made.decoder[number]
    for change, difference in (
        (Set(2.0), 2.0 - activity[..., number]),
        (Set(0.0), -activity[..., number]),
        (Add(3.0), torch.full(activity.shape[:2], 3.0)),
        (Scale(-1.0), -2 * activity[..., number]),
    ):
        expected = before + difference[..., None] * row
        torch.testing.assert_close(values(site, Edit(site, part, change)), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", SITES)
def test_the_site_is_replaced_by_the_dictionary(name: str, trained: dict[str, Path], tiny_folder: Path) -> None:
    subject, made = load_subject(str(tiny_folder)), load_dictionary(trained[name])
    site, windows = str(made.writes_at), tiny_windows(subject, 4, 8, short=False)
    some = np.zeros((4, 8), bool)
    some[:, ::2] = True

    def values(at: str, *edits: Edit) -> torch.Tensor:
        return torch.cat([batch.values[at] for batch in run(subject, windows, edits, sites=[at], outputs=False)])

    before, read = values(site), values(made.reads_at)
    whole = values(site, Edit(site, Reconstruction(made), Set(1.0)))
    torch.testing.assert_close(whole, made.reconstructed(read), rtol=1e-4, atol=1e-4)
    half = values(site, Edit(site, Reconstruction(made), Set(0.5), where=some))
    torch.testing.assert_close(half[:, 1::2], before[:, 1::2])
    torch.testing.assert_close(half[:, ::2], (before + whole)[:, ::2] / 2, rtol=1e-4, atol=1e-4)
    with pytest.raises(UserError, match="writes another width"):
        values("mlp.1", Edit("mlp.1", Reconstruction(made), Set(1.0)))


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_an_encoder_intervention_is_one_of_what_is_read(family: str, tmp_path: Path) -> None:
    """The site moves along the encoder's row alone, and the pre-activation as far as it should."""
    subject = subject_of(family)
    made = load_dictionary(save_saelens(tmp_path / "a", "standard"))
    windows = tiny_windows(subject, 3, 8, short=False)
    part = made.encoder_part(5)

    def read(*edits: Edit) -> torch.Tensor:
        return torch.cat([b.values["resid.0"] for b in run(subject, windows, edits, sites=["resid.0"], outputs=False)])

    before, after = read(), read(Edit("resid.0", part, Add(1.5)))
    row = made.encoder[5]
    moved = (after - before) @ row / row.norm()
    torch.testing.assert_close(moved, torch.full_like(moved, 1.5), rtol=1e-3, atol=1e-3)
    away = (after - before) - ((after - before) @ row / row.square().sum())[..., None] * row
    torch.testing.assert_close(away, torch.zeros_like(away), rtol=0, atol=1e-3)
    silent = read(Edit("resid.0", part, Set(-1.0)))
    assert (made.encode(silent)[..., 5] == 0).all()


def test_a_dictionary_of_the_random_network_stands_beside(
    trained: dict[str, Path], tiny_folder: Path, corpus: Path, tmp_path: Path
) -> None:
    """Trained in the same way on the same text; its mean is copied, and a second run finds it there."""
    how = {"explainers": ("token-list",), "scorers": ("correlation",), "units": 4,
           "baselines": ("lookup", "token-list", "mismatched", "random-weights")}  # fmt: skip
    spec = small_spec(tiny_folder, sites=(SITES["sae"],), readouts=(f"dictionary:{trained['sae']}",), **how)
    study = run_study(spec, tmp_path / "s", progress=False)
    assert study is not None
    beside = [one for one in beside_random_weights(study) if one.score == study.ranked_by]
    assert [one.site for one in beside] == [SITES["sae"]] and beside[0].units == 4
    place = tmp_path / "s" / "random-weights-dictionaries" / SITES["sae"]
    made, ours = load_dictionary(place), load_dictionary(trained["sae"])
    assert made.made["training"] == ours.made["training"] and made.made["text"] == ours.made["text"]
    assert made.made["subject_fingerprint"] != ours.made["subject_fingerprint"]
    with open_study(tmp_path / "s" / "random-weights") as random:
        assert random.spec.sites == (SITES["sae"],)
        (recorded,) = random.recording.spec.readouts.values()
        assert recorded == load_dictionary(place).fingerprint
    foreign = save_saelens(tmp_path / "foreign", metadata={"hook_name": "blocks.1.hook_resid_post"})
    spec = small_spec(tiny_folder, sites=("sae@resid.1",), readouts=(f"dictionary:{foreign}",), **how)
    with pytest.raises(UserError, match="dictionaries that were trained here"):
        run_study(spec, tmp_path / "t", progress=False)
    assert not (tmp_path / "t").exists()
