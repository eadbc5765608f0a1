"""Texts run through a subject give what a recording of the same text gives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from glossator.corpora import make_windows
from glossator.corpora.documents import Corpus, Document
from glossator.errors import MissingPower
from glossator.readouts import BaseReadout
from glossator.recording.texts import site_values, text_windows, unit_activations
from glossator.units import Unit

TEXTS = [
    "The quick brown fox jumps over the lazy dog.",
    "",
    "naïve 日本 text \ud800 with odd characters",
    "In 1987 the cannery employed 400 people. " * 6,
    "a",
]


@pytest.fixture(params=[True, False], ids=["prefix", "no prefix"])
def subject(request, tiny_subject):
    return tiny_subject if request.param else replace(tiny_subject, prefix=())


def test_a_text_is_its_tokens_with_the_units_sign(subject) -> None:
    plus = unit_activations(subject, Unit("tiny", "mlp.1", 7), TEXTS, width=16)
    minus = unit_activations(subject, Unit("tiny", "mlp.1", 7, "-"), TEXTS, width=16)
    for text, (tokens, values), (_, negative) in zip(TEXTS, plus, minus, strict=True):
        assert subject.tokenizer.decode(tokens) == text.encode("utf-8", "replace").decode()
        assert len(tokens) == len(values)
        np.testing.assert_array_equal(values, -negative)
    assert len(plus[1].tokens) == 0
    assert np.count_nonzero(plus[3].activations) > 16


def test_values_are_those_of_a_recordings_windows(subject) -> None:
    texts = [t for t in TEXTS if t and "\ud800" not in t]
    documents = [Document(str(i), text) for i, text in enumerate(texts)]
    corpus = Corpus("three", lambda: iter(documents))
    recorded = make_windows(corpus, subject.tokenizer, 16, min_length=1, fractions=(1.0, 0, 0, 0)).windows
    expected = subject.activations(recorded.tokens, recorded.lengths, ["mlp.0"])["mlp.0"][..., [3, 9]].numpy()
    if subject.leaves_out_first:
        expected[:, 0] = 0
    windows = text_windows(subject, texts, 16)
    found = site_values(subject, "mlp.0", [3, 9], windows)
    by_tokens = {row.tobytes(): i for i, row in enumerate(windows.tokens)}
    rows = [by_tokens[row.tobytes()] for row in recorded.tokens]
    np.testing.assert_allclose(found[rows], expected, atol=1e-6)
    assert windows.valid[0, 0] != subject.leaves_out_first


def test_a_window_is_never_wider_than_the_model_takes(subject) -> None:
    (tokens, values), *_ = unit_activations(subject, Unit("tiny", "mlp.0", 0), ["word " * 90], width=999)
    assert len(tokens) == len(values) > subject.max_width


def test_latents_need_their_dictionary(tiny_subject) -> None:
    class Largest(BaseReadout):
        name, reads_at, width, fingerprint, sparse = "top", "mlp.0", 64, "x", True

        def read(self, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return torch.topk(values, 4, dim=-1)

    unit = Unit("tiny", "top@mlp.0", 5)
    with pytest.raises(MissingPower, match="readout of these units"):
        unit_activations(tiny_subject, unit, TEXTS)
    (_, latent), *_ = unit_activations(tiny_subject, unit, TEXTS, readouts={"top@mlp.0": Largest()})
    (_, neuron), *_ = unit_activations(tiny_subject, Unit("tiny", "mlp.0", 5), TEXTS)
    assert set(np.flatnonzero(latent)) <= set(np.flatnonzero(neuron))
    np.testing.assert_allclose(latent[latent != 0], neuron[latent != 0], atol=1e-6)


def test_no_texts_give_nothing(tiny_subject) -> None:
    assert unit_activations(tiny_subject, Unit("tiny", "mlp.0", 5), []) == []
