"""The embedder against a plain pass, units of subjects as modules, and n-grams answered where they stand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.sasc_speed import PlainTransformers, documents_of
from glossator.corpora.ngrams.extract import NgramSpec, extract_ngrams
from glossator.errors import UserError
from glossator.explanations import UNNAMEABLE, Explanation, Headline, Provenance
from glossator.inputs import Texts
from glossator.programs import Program
from glossator.readouts import BaseReadout
from glossator.readouts.directions import direction_set
from glossator.recording.responses_in_text import responses_in_text
from glossator.scorers import sigma
from glossator.scorers.lab import Lab
from glossator.scorers.sigma import SigmaScorer
from glossator.subjects import load_subject
from glossator.subjects.embedders import SentenceEmbedder, load_embedder
from glossator.subjects.text_readouts import EmbedderSubject, Nearness, PooledSubject
from glossator.units import Unit
from tiny_models import save_tiny, wordpiece_tokenizer

DOCUMENTS = [
    "The fox was running, and the dog doesn’t mind. 😀 naïve foxes\n\nThe end of it (or not).",
    "In 1987 the cannery employed 400 people; now there were twelve, and the fox was running again and again.",
    "running",
]


@pytest.fixture(scope="module")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("subjects") / "tiny-bert", "bert", wordpiece_tokenizer())


@pytest.fixture(scope="module")
def embedder(tiny_encoder: Path) -> SentenceEmbedder:
    return load_embedder(str(tiny_encoder))


def plainly(folder: Path, text: str, longest: int = 254) -> np.ndarray:
    """One text alone: tokens with [CLS] and [SEP], mean of the last hidden states, length 1."""
    subject = load_subject(str(folder))
    ids = subject.tokenizer.encode([text])[0][:longest]
    if not len(ids):
        return np.zeros(32, np.float32)
    with torch.inference_mode():
        states = subject.model(torch.tensor([[2, *ids.tolist(), 3]])).last_hidden_state[0]
    return torch.nn.functional.normalize(states.mean(0), dim=0).numpy()


# ---------------------------------------------------------------- the embedder


@pytest.mark.parametrize("batch_tokens", [64, 2048])
def test_vectors_are_those_of_each_text_alone(tiny_encoder: Path, batch_tokens: int) -> None:
    embedder = load_embedder(str(tiny_encoder), batch_tokens=max(batch_tokens, 256))
    embedder.batch_tokens = batch_tokens
    texts = ["the fox", "", "running foxes, the", "the", "the fox", "  ", "was " * 30, "the " * 90, "[SEP]", "x"]
    vectors = embedder.embed(texts)
    assert vectors.dtype == np.float32 and vectors.shape == (10, 32) and embedder.width == 32
    for text, vector in zip(texts, vectors, strict=True):
        np.testing.assert_allclose(vector, plainly(tiny_encoder, text, embedder.longest), atol=1e-6)
    assert not vectors[1].any() and not vectors[5].any()
    np.testing.assert_allclose(np.linalg.norm(np.delete(vectors, [1, 5], 0), axis=1), 1, atol=1e-6)
    assert np.array_equal(vectors[0], vectors[4])
    assert embedder.longest == 62 and embedder.embed([]).shape == (0, 32)


def test_texts_with_the_same_tokens_run_once_and_lengths_are_not_mixed(tiny_encoder: Path) -> None:
    embedder = load_embedder(str(tiny_encoder), batch_tokens=256)
    embedder.embed(["the"] * 500 + ["The", "THE"])
    assert embedder.padded_tokens == 3
    embedder.padded_tokens = 0
    words = ["the", "fox", "run", ",", ".", "was"]
    texts = [f"{a} {b}" for a in words for b in words]
    texts += [f"{a} {b} {c}" for a in words for b in words for c in words]
    embedder.embed(texts)
    assert embedder.padded_tokens == 36 * 4 + 216 * 5


def test_several_threads_give_the_same_bytes_as_one(tiny_encoder: Path) -> None:
    texts = documents_of(300, 0)[0].split()
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            embedder = load_embedder(str(tiny_encoder), batch_tokens=256)
            embedder.batch_tokens = 16
            found.append(embedder.embed(texts))
    finally:
        torch.set_num_threads(before)
    assert len(texts) > 30 and np.array_equal(found[0], found[1]) and np.array_equal(found[0], found[2])


def test_the_fingerprint_is_that_of_the_weights(tiny_encoder: Path, tmp_path: Path) -> None:
    one = load_embedder(str(tiny_encoder))
    assert one.fingerprint == load_embedder(str(tiny_encoder)).fingerprint
    other = save_tiny(tmp_path / "tiny-bert", "bert", wordpiece_tokenizer())
    assert load_embedder(str(other)).fingerprint == one.fingerprint
    subject = load_subject(str(tiny_encoder))
    with torch.no_grad():
        subject.model.get_input_embeddings().weight[0, 0] += 1
    subject.model.save_pretrained(other)
    assert load_embedder(str(other)).fingerprint != one.fingerprint
    assert SentenceEmbedder(subject, max_tokens=16).fingerprint != SentenceEmbedder(subject).fingerprint


def test_what_is_no_embedder(tiny_folder: Path, tiny_encoder: Path) -> None:
    with pytest.raises(UserError, match="not a text embedder"):
        load_embedder("smollm2-135m")
    with pytest.raises(UserError, match="not an encoder"):
        load_embedder(str(tiny_folder))
    with pytest.raises(UserError):
        load_embedder("no such thing")
    with pytest.raises(UserError, match="bad batch sizes"):
        load_embedder(str(tiny_encoder), batch_tokens=3)


def test_minilm_is_sentence_transformers(minilm) -> None:
    embedder = SentenceEmbedder(minilm)
    texts = ["a dog", "a puppy", "the stock market", "Naïve café!", "[SEP] spelled out is text", "word " * 400, "🦊"]
    texts += documents_of(500, 1)
    vectors = embedder.embed(texts)
    plain = PlainTransformers("minilm", 16).embed(texts)
    rows = [row for row in range(len(texts)) if row != 4]  # a plain tokenizer reads [SEP] as a border
    np.testing.assert_allclose(vectors[rows], plain[rows], atol=2e-6)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.3
    assert embedder.width == 384 and embedder.longest == 254


# ---------------------------------------------------------------- units of subjects


class TwoLargest(BaseReadout):
    """A sparse readout: of each token the two largest of the site's values."""

    name, reads_at, width, sparse, fingerprint = "two", "mlp.1", 64, True, "two largest"

    def read(self, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return tuple(torch.relu(values.float()).topk(2, dim=-1))


def test_units_of_readouts_pool_their_tokens_too(tiny_subject) -> None:
    """`sigma` reads directions and sparse latents of a model in texts."""
    texts, neurons = ["The fox runs", "bbb"], PooledSubject(tiny_subject, "mlp.1", "max")
    directions = direction_set("pair", "mlp.1", np.eye(64, dtype=np.float32)[[3, 7]])
    readouts = {one.site_name: one for one in (directions, TwoLargest())}
    lab = Lab(open_subject=lambda: tiny_subject, open_readouts=lambda: readouts)
    found = SigmaScorer()._of_texts("pair@mlp.1", lab).answers(texts)
    np.testing.assert_allclose(found, neurons.answers(texts)[:, [3, 7]], atol=1e-6)
    latents = SigmaScorer()._of_texts("two@mlp.1", lab).answers(texts)
    largest = neurons.answers(texts).max(axis=1)
    np.testing.assert_allclose(latents.max(axis=1), np.maximum(largest, 0), atol=1e-6)


def test_sigma_tests_the_headline_of_an_explanation_that_has_one() -> None:
    unit, how = Unit("fake", "mlp.0", 0), Provenance("program")
    sentence, nothing = "Fires on “river”; less on “a”", Headline(UNNAMEABLE, Program(0.0, ()))
    tested = {
        "rivers": Explanation(unit, sentence, how, headline=Headline("rivers")),
        sentence: Explanation(unit, sentence, how, headline=nothing),
        "a river": Explanation(unit, "a  river", how),
    }
    assert all(sigma._words(explanation) == words for words, explanation in tested.items())


@pytest.mark.parametrize("pool", ["mean", "max", "last"])
def test_units_of_a_subject_pool_their_tokens(tiny_subject, pool: str) -> None:
    module = PooledSubject(tiny_subject, "mlp.1", pool, batch_tokens=32)
    texts = ["The fox", "", "a", "The fox runs", "b" * 150]
    values = module.answers(texts)[:, [3, 0, 63]]
    assert module.site("mlp.1").width == 64 and np.isnan(values[1]).all()
    for text, row in zip(texts, values, strict=True):
        ids = tiny_subject.tokenizer.encode([text])[0]
        parts = [ids[i : i + module.longest] for i in range(0, len(ids), module.longest)]
        if not parts:
            continue
        known = np.concatenate(
            [
                tiny_subject.activations(part[None], np.array([len(part)]), ["mlp.1"])["mlp.1"][0][:, [3, 0, 63]]
                for part in parts
            ]
        )
        expected = {"mean": known.mean(0), "max": known.max(0), "last": known[-1]}[pool]
        np.testing.assert_allclose(row, expected, atol=1e-5)
    assert len(tiny_subject.tokenizer.encode(["b" * 150])[0]) > module.longest


def test_pooled_subjects_know_themselves(tiny_subject) -> None:
    def made(*arguments) -> str:
        return PooledSubject(tiny_subject, *arguments).fingerprint

    assert len({made("mlp.1"), made("mlp.0"), made("mlp.1", "max")}) == 3 and made("mlp.1") == made("mlp.1")
    for wrong in (("mlp.9",), ("mlp.1", "median")):
        with pytest.raises(UserError):
            PooledSubject(tiny_subject, *wrong)


def test_a_first_position_that_takes_the_sink_is_left_out(tiny_subject) -> None:
    from dataclasses import replace

    bare = replace(tiny_subject, prefix=())
    assert bare.leaves_out_first
    module = PooledSubject(bare, "mlp.0", "max")
    values = module.answers(["a", "ab"])[:, [1, 2]]
    assert module.counted(Texts.of(["a", "ab"])).counts.tolist() == [False, True]
    assert np.isnan(values[0]).all()
    tokens = bare.tokenizer.encode(["ab"])[0]
    alone = bare.activations(tokens[None], np.array([len(tokens)]), ["mlp.0"])["mlp.0"][0, 1:]
    np.testing.assert_allclose(values[1], alone.max(0).values[[1, 2]], atol=1e-6)


# ---------------------------------------------------------------- n-grams where they stand


def in_text_by_hand(module, tokenizer, token_values, documents, ngrams, pool, width) -> np.ndarray:
    """The definition: windows of a document one by one, every occurrence on its own."""
    sums = [[] for _ in range(len(ngrams))]
    overlap = width // 4
    for text in documents:
        encoding = tokenizer.backend.encode(text, add_special_tokens=False)
        ids = np.array(encoding.ids, np.int32)
        values = None
        start = 0
        while values is None or len(values) < len(ids):
            part = token_values([ids[start : start + width]])[0]
            values = part if values is None else np.concatenate([values, part[overlap:]])
            start += width - overlap
        values = module(values)
        for row, a, b in zip(*ngrams.locate(text), strict=True):
            mine = [i for i, (x, y) in enumerate(encoding.offsets) if x < b and y > a]
            if mine:
                here = values[mine].astype(np.float64)
                sums[row].append({"mean": here.mean(0), "max": here.max(0), "last": here[-1]}[pool])
    return np.array([np.mean(s, axis=0) if s else np.full(values.shape[1], np.nan) for s in sums])


@pytest.mark.parametrize("pool", ["mean", "max", "last"])
@pytest.mark.parametrize("width", [8, 60])
def test_in_text_is_its_definition(tiny_subject, embedder: SentenceEmbedder, pool: str, width: int) -> None:
    ngrams = extract_ngrams(DOCUMENTS, NgramSpec(n=3))
    unit = PooledSubject(tiny_subject, "mlp.1")
    got = responses_in_text(unit, DOCUMENTS, ngrams, pool=pool, width=width)
    expected = in_text_by_hand(
        lambda v: v, tiny_subject.tokenizer, unit.token_values, DOCUMENTS, ngrams, pool, min(width, unit.longest)
    )
    np.testing.assert_allclose(got, expected, atol=1e-5)
    read = Nearness(np.eye(32)[:3])
    got = responses_in_text(EmbedderSubject(embedder, read), DOCUMENTS, ngrams, pool=pool, width=width)
    expected = in_text_by_hand(
        read, embedder.tokenizer, embedder.token_vectors, DOCUMENTS, ngrams, pool, min(width, embedder.longest)
    )
    assert np.isfinite(expected).any()
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_in_text_ngrams_that_do_not_stand_there_are_missing(tiny_subject) -> None:
    ngrams = extract_ngrams(DOCUMENTS)
    found = responses_in_text(PooledSubject(tiny_subject, "mlp.1"), DOCUMENTS[2:], ngrams)
    assert np.isfinite(found).all(axis=1).sum() == 1 and found.shape == (len(ngrams), 64)


def test_in_text_does_not_depend_on_how_documents_are_blocked(tiny_subject, monkeypatch: pytest.MonkeyPatch) -> None:
    from glossator.recording import responses_in_text as module

    ngrams = extract_ngrams(DOCUMENTS)
    unit = PooledSubject(tiny_subject, "mlp.1", "max")
    whole = responses_in_text(unit, DOCUMENTS, ngrams, pool="max")
    for name in ("_BLOCK_TOKENS", "_BLOCK_VALUES"):
        monkeypatch.setattr(module, name, 5)
    np.testing.assert_allclose(responses_in_text(unit, DOCUMENTS, ngrams, pool="max"), whole, atol=1e-6)


# ---------------------------------------------------------------- what it costs


@pytest.mark.bench
@pytest.mark.slow
def test_the_stage_costs_little_more_than_the_plain_pass(minilm) -> None:
    from benchmarks.sasc_speed import ngram_ratios

    measured = ngram_ratios({"words": 2000})
    assert measured["ngram_ratio_1"] < 1.1 and measured["ngram_ratio_50"] < 1.3
    tokens = measured["ngrams"]["padded_tokens"]
    assert tokens["stage_50"] <= 1.02 * tokens["plain"] <= tokens["transformers"]
    assert measured["ngrams"]["largest_difference_to_transformers"] < 1e-5


@pytest.mark.slow
def test_the_benchmark_measures_on_a_small_corpus(minilm) -> None:
    from benchmarks.sasc_speed import ngram_ratios

    measured = ngram_ratios({"quick": True, "words": 40, "modules": 3})
    assert measured["ngram_ratio_1"] > 0 and measured["ngram_ratio_50"] > 0
    assert measured["ngrams"]["strings"] > 100 and measured["ngrams"]["modules"] == 3
