"""Models in memory as subjects: of `transformers`, and any module that takes token ids."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import transformers
from torch import nn
from transformers import AutoConfig

from glossator.errors import MissingPower, UserError
from glossator.study import StudySpec, run_study
from glossator.subjects import load_subject
from tiny_models import byte_level_tokenizer, tiny_model

SIZE = 320


class Block(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.norm, self.up, self.down = nn.LayerNorm(width), nn.Linear(width, 64), nn.Linear(64, width)
        self.mix = nn.Linear(width, width)

    def forward(self, x):
        before = torch.cumsum(x, 1) / torch.arange(1, x.shape[1] + 1, device=x.device)[None, :, None]
        x = x + self.mix(before)
        return x + self.down(torch.relu(self.up(self.norm(x))))


class Plain(nn.Module):
    """No config, no keyword, a bare tensor of logits: what a course on deep learning writes."""

    def __init__(self, width: int = 32, logits: bool = True):
        super().__init__()
        torch.manual_seed(0)
        self.embed = nn.Embedding(SIZE, width)
        self.blocks = nn.ModuleList([Block(width) for _ in range(2)])
        self.scale = nn.Parameter(torch.ones(width))
        self.out = nn.Linear(width, SIZE if logits else width)

    def forward(self, ids):
        x = self.embed(ids) * self.scale
        for block in self.blocks:
            x = block(x)
        return self.out(x)


class BothSides(Plain):
    def forward(self, ids):
        x = self.embed(ids)
        return self.out(x + x.mean(1, keepdim=True))


def windows(seed: int = 0):
    rng = np.random.default_rng(seed)
    return rng.integers(1, 300, (3, 7)).astype(np.int32), np.array([7, 4, 7], np.int32)


def test_a_transformers_model_is_the_subject_its_folder_is(tiny_folder, tiny_subject):
    model = transformers.AutoModelForCausalLM.from_pretrained(tiny_folder, dtype=torch.float32).train()
    tokenizer = byte_level_tokenizer()
    subject = load_subject(model, tokenizer, name="mine")
    assert (subject.name, subject.causal, subject.prefix) == ("mine", True, tiny_subject.prefix)
    assert subject.model is model
    assert not model.training
    assert subject.sites() == tiny_subject.sites()
    for site in ("mlp.1", "resid.0", "head.1", "model.norm"):
        one, two = (s.activations(*windows(), [site])[site] for s in (subject, tiny_subject))
        assert torch.equal(one, two)
    assert tokenizer("<|endoftext|>").input_ids == [0]  # its own copy takes special tokens for text


def test_an_encoder_in_memory():
    sizes = {"d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64}
    heads = {"encoder_attention_heads": 4, "decoder_attention_heads": 4, "max_position_embeddings": 64}
    config = AutoConfig.for_model("bart", vocab_size=330, pad_token_id=1, **sizes, **heads)
    model = transformers.BartForConditionalGeneration(config)
    with pytest.raises(UserError, match=r"encoder-decoder.*get_encoder"):
        load_subject(model, byte_level_tokenizer())
    subject = load_subject(model.get_encoder(), byte_level_tokenizer())
    assert not subject.causal
    assert subject.site("resid.1").width == 32
    assert subject.activations(*windows(), ["mlp.1"])["mlp.1"].shape == (3, 7, 64)


def test_a_plain_module_is_a_subject():
    module = Plain()
    subject = load_subject(module, byte_level_tokenizer().backend_tokenizer, name="plain")
    assert subject.causal
    assert {site.name for site in subject.sites()} >= {"mlp.0", "mlp.1", "resid.0", "resid.1"}
    tokens, lengths = windows()
    found = subject.activations(tokens, lengths, ["mlp.1", "resid.0", "blocks.0.mix"])
    ids = torch.from_numpy(tokens).long()
    with torch.no_grad():
        x = module.embed(ids) * module.scale
        assert torch.allclose(found["resid.0"][0], module.blocks[0](x)[0], atol=1e-6)
    assert found["mlp.1"].shape == (3, 7, 64)
    alone = subject.activations(tokens[1:2, :4], lengths[1:2], ["mlp.1"])["mlp.1"]
    assert torch.allclose(found["mlp.1"][1, :4], alone[0], atol=1e-5)
    assert subject.embedding().shape == (len(subject.tokenizer.vocabulary), 32)


@pytest.mark.parametrize("make", [lambda: tiny_model("llama").model, lambda: Plain(logits=False)])
def test_a_model_without_its_head_has_no_outputs_to_act_on(make):
    from glossator.causal.edits import check_outputs

    subject = load_subject(make(), byte_level_tokenizer())
    assert subject.causal
    assert subject.activations(*windows(), ["mlp.0"])["mlp.0"].shape == (3, 7, 64)
    with pytest.raises(MissingPower, match="no next-token distribution"):
        check_outputs(subject)


def test_a_module_that_sees_both_sides_is_run_without_padding():
    subject = load_subject(BothSides(), byte_level_tokenizer(), name="both")
    assert not subject.causal
    tokens, lengths = windows()
    together = subject.activations(tokens, lengths, ["out"])["out"]
    alone = subject.activations(tokens[1:2, :4], lengths[1:2], ["out"])["out"]
    assert torch.allclose(together[1, :4], alone[0], atol=1e-5)


class NoEmbedding(nn.Module):
    def forward(self, ids):
        return ids


class Pooled(Plain):
    def forward(self, ids):
        return super().forward(ids).mean(1)


class Broken(Plain):
    def forward(self, ids):
        raise KeyError("pixels")


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (NoEmbedding(), "no token embedding"),
        (Pooled(), "cannot run this model on token ids.*not .rows, positions"),
        (Broken(), "cannot run this model on token ids.*pixels"),
    ],
)
def test_modules_that_cannot_be_subjects_are_one_sentence(module, message):
    with pytest.raises(UserError, match=message) as found:
        load_subject(module, byte_level_tokenizer())
    assert "\n" not in str(found.value)


def test_models_without_their_weights_or_tokenizer():
    with torch.device("meta"):
        empty = Plain()
    with pytest.raises(UserError, match=r"missing .meta tensors.*embed"):
        load_subject(empty, byte_level_tokenizer())
    with pytest.raises(UserError, match="needs its tokenizer"):
        load_subject(Plain())
    with pytest.raises(UserError, match="keeps its dtype and device"):
        load_subject(Plain(), byte_level_tokenizer(), dtype="bfloat16")


def test_a_token_that_the_model_has_no_embedding_for():
    tokenizer = byte_level_tokenizer()
    tokenizer.add_tokens(["zebra"])
    size = len(tokenizer)
    model = tiny_model("llama", vocab_size=size - 1)
    subject = load_subject(model, tokenizer)
    tokens = subject.tokenizer.encode(["a zebra"])[0][None]
    with pytest.raises(UserError, match=f"no embedding: \"{size - 1} 'zebra'\".*0 to {size - 2}"):
        subject.activations(tokens, np.array([tokens.shape[1]]), ["mlp.0"])
    model.config.pad_token_id = tokenizer.bos_token_id = size - 1
    subject = load_subject(model, tokenizer)
    assert subject.prefix == ()
    padded = np.zeros((1, 3), np.int32)
    assert subject.activations(padded, np.array([2]), ["mlp.0"])["mlp.0"].shape == (1, 3, 64)


TEXTS = [f"{a} {b} {c} {d}, and {b} {a} {n}." for n, (a, b, c, d) in enumerate(
    np.random.default_rng(0).choice(["fox", "dog", "river", "seven", "cannery", "lazy", "in", "400", "def"], (400, 4))
)]  # fmt: skip


@pytest.mark.parametrize("make", [lambda: tiny_model("llama"), Plain])
def test_a_study_of_a_model_in_memory(tmp_path, make):
    def study(subject):
        return run_study(spec, tmp_path / "s", progress=False, corpus=TEXTS, subject=subject)

    model, tokenizer = make(), byte_level_tokenizer()
    subject = load_subject(model, tokenizer, name="mine")
    scorers = ("correlation", "ablation")
    spec = StudySpec("mine", ("mlp.1",), (0, 1), width=16, max_tokens=6000, explainers=("lookup",), scorers=scorers)
    found = study(subject)
    assert found.recording.spec.subject == "mine"
    results = list(found.results())
    assert {result.unit.subject for result in results} == {"mine"}
    named = {score.name.partition(".")[0] for result in results for score in result.best().scores}
    assert named == set(scorers)
    assert study(load_subject(make(), tokenizer, name="mine")) is not None
    with torch.no_grad():
        next(model.parameters())[..., 5] += 1
    with pytest.raises(UserError, match="the model has changed since it was loaded"):
        study(subject)
    changed, other = load_subject(model, tokenizer, name="mine"), load_subject(Plain(), tokenizer)
    with pytest.raises(UserError, match="the subject has changed since"):
        study(changed)
    with pytest.raises(UserError, match="names a different subject"):
        study(other)
