"""Explanations from lists of tokens, and what weights say of tokens. The language models here are scripted: they prove
what is asked and what becomes of answers, and nothing about the quality of explanations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from glossator.errors import MissingPower, UserError
from glossator.explainers import explain_one
from glossator.explainers.token_space import SOURCES, TokenSpaceExplainer, quoted, token_space_prompt
from glossator.language_models.scripted import Scripted
from glossator.subjects import load_subject
from glossator.subjects.token_weights import gain_of, input_strengths, output_strengths
from glossator.units import Unit
from recording_fakes import NoModel
from scorer_cases import TokenWorld
from tiny_models import byte_level_tokenizer, save_tiny

PLAIN = ("gpt2", "gpt_neox", "opt")
GATED = ("llama", "qwen3", "gemma2")


@pytest.fixture(scope="module")
def subjects(tmp_path_factory: pytest.TempPathFactory):
    """Random models of several families, by name, loaded at first use."""
    folder, loaded = tmp_path_factory.mktemp("families"), {}

    def of(family: str):
        if family not in loaded:
            loaded[family] = load_subject(str(save_tiny(folder / family, family, byte_level_tokenizer())))
        return loaded[family]

    return of


# weights


def test_strengths_of_gpt2_are_the_published_formulas(subjects) -> None:
    subject, n = subjects("gpt2"), 5
    model = subject.model.transformer
    size = len(subject.tokenizer.vocabulary)
    wte, block = model.wte.weight[:size], model.h[1]
    expected_in = wte @ torch.diag(block.ln_2.weight) @ block.mlp.c_fc.weight[:, n]
    expected_out = block.mlp.c_proj.weight[n] @ torch.diag(model.ln_f.weight) @ wte.T
    np.testing.assert_allclose(input_strengths(subject, "mlp.1", [n])[:, 0], expected_in, atol=1e-5)
    np.testing.assert_allclose(output_strengths(subject, "mlp.1", [n])[:, 0], expected_out, atol=1e-5)


@pytest.mark.parametrize("family", PLAIN)
def test_plain_feed_forwards_need_no_names(subjects, family: str) -> None:
    subject = subjects(family)
    modules = dict(subject.model.named_modules())
    reader = {"gpt2": "h.0.mlp.c_fc", "gpt_neox": "layers.0.mlp.dense_h_to_4h", "opt": "layers.0.fc1"}[family]
    norm = {"gpt2": "h.0.ln_2", "gpt_neox": "0.post_attention_layernorm", "opt": "0.final_layer_norm"}[family]
    weight = next(m for name, m in modules.items() if name.endswith(reader)).weight
    gain = next(m for name, m in modules.items() if name.endswith(norm)).weight
    weight = weight.T if family == "gpt2" else weight
    embedding = subject.model.get_input_embeddings().weight[: len(subject.tokenizer.vocabulary)]
    expected = embedding @ (gain * weight[[3, 60]]).T
    np.testing.assert_allclose(input_strengths(subject, "mlp.0", [3, 60]), expected, atol=1e-5)


@pytest.mark.parametrize("family", GATED)
def test_gated_feed_forwards_give_their_own_activation(subjects, family: str) -> None:
    subject = subjects(family)
    block = subject.model.model.layers[1]
    norm = block.pre_feedforward_layernorm if family == "gemma2" else block.post_attention_layernorm
    read = norm(subject.model.get_input_embeddings().weight[: len(subject.tokenizer.vocabulary)])
    expected = block.mlp.act_fn(block.mlp.gate_proj(read)) * block.mlp.up_proj(read)
    np.testing.assert_allclose(input_strengths(subject, "mlp.1", [0, 63]), expected[:, [0, 63]], atol=1e-5)


def test_a_norm_that_stores_its_gain_less_one(subjects) -> None:
    norm = subjects("gemma2").model.model.norm
    np.testing.assert_allclose(gain_of(norm, 32), 1 + norm.weight, atol=1e-5)


def test_what_has_no_such_weights_says_so(subjects) -> None:
    with pytest.raises(MissingPower, match="neurons only"):
        input_strengths(subjects("llama"), "resid.0", [0])
    with pytest.raises(MissingPower, match=r"unembedding|depends on the token"):
        output_strengths(subjects("bert"), "mlp.0", [0])
    with pytest.raises(MissingPower, match="no weights"):
        output_strengths(NoModel(), "mlp.0", [0])


def test_a_neuron_that_writes_one_token_is_read_as_that_token(subjects) -> None:
    subject, token = subjects("llama"), 200
    down = subject.model.model.layers[1].mlp.down_proj.weight
    kept = down[:, 9].clone()
    head = subject.model.get_output_embeddings().weight
    with torch.no_grad():
        down[:, 9] = head[token] / subject.model.model.norm.weight
    try:
        strengths = output_strengths(subject, "mlp.1", [9])[:, 0]
    finally:
        with torch.no_grad():
            down[:, 9] = kept
    assert int(strengths.argmax()) == token


# lists and prompts


def test_the_best_tokens_of_the_table_come_first() -> None:
    world = TokenWorld(noise=0.01)
    evidence = world.evidence().explain
    lm = Scripted(["made-up words", "Made-up words."])
    explainer = TokenSpaceExplainer(lm, tokens=5)
    ((listed),) = explainer.token_lists([evidence])
    strongest = {f" w{i}" for i in np.argsort(-world.strengths)[:7]}
    assert len(listed) == 5 and set(listed) <= strongest
    (found,) = explain_one(explainer, evidence, n=2)
    assert found.text == "made-up words" and found.provenance.settings["votes"] == 2
    assert ", ".join(f'"{token}"' for token in listed) in lm.asked[0].messages[-1].content
    assert found.provenance.evidence == evidence.fingerprint


def test_a_unit_that_is_active_at_nothing_is_abstained_from() -> None:
    evidence = TokenWorld().evidence().explain
    silent = replace(evidence.exemplars, activations=-np.ones_like(evidence.exemplars.activations))
    lm = Scripted([])
    assert explain_one(TokenSpaceExplainer(lm), replace(evidence, exemplars=silent)) == []
    assert lm.asked == []


def test_both_sides_of_a_neuron_by_its_weights(subjects) -> None:
    subject = subjects("gpt2")
    evidence = TokenWorld().evidence().explain
    units = [Unit("gpt2", "mlp.0", 4), Unit("gpt2", "mlp.1", 4), Unit("gpt2", "mlp.0", 4, "-")]
    shown = [replace(evidence, unit=unit) for unit in units]
    explainer = TokenSpaceExplainer(Scripted(lambda _: "x y"), source="input-weights", subject=subject, tokens=7)
    plus, other, minus = explainer.token_lists(shown)
    strengths = input_strengths(subject, "mlp.0", [4])[:, 0]
    texts = subject.tokenizer.vocabulary.texts
    special = subject.tokenizer.vocabulary.special
    expected = [texts[i] for i in np.argsort(-strengths, kind="stable") if i not in special]
    assert plus == list(dict.fromkeys(expected))[:7]
    assert minus == list(dict.fromkeys(reversed(expected)))[:7]
    assert other != plus
    assert [len(found) for found in explainer.explain(shown, n=1, seed=0)] == [1, 1, 1]
    (found,) = explain_one(explainer, shown[0], n=1)
    assert found.provenance.evidence == ""  # it looked at no text


def test_what_favours_a_next_token_is_a_claim_about_the_token_before(subjects) -> None:
    lm = Scripted(["names of months"])
    explainer = TokenSpaceExplainer(lm, source="output-weights", subject=subjects("gpt2"))
    (found,) = explain_one(explainer, replace(TokenWorld().evidence().explain, unit=Unit("gpt2", "mlp.0", 4)), n=1)
    assert found.text == "what comes right before names of months"
    assert lm.asked[0].messages[-1].content.endswith("In one phrase, unit 4 makes likely")


def test_weights_need_a_subject_and_sources_a_name() -> None:
    with pytest.raises(MissingPower, match="subject"):
        TokenSpaceExplainer(Scripted([]), source="input-weights")
    with pytest.raises(UserError, match="source"):
        TokenSpaceExplainer(Scripted([]), source="weights")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="tokens"):
        TokenSpaceExplainer(Scripted([]), tokens=0)


def test_fewer_tokens_where_not_all_fit() -> None:
    evidence = TokenWorld().evidence().explain
    lm = Scripted(["x y", "x y"])
    explain_one(TokenSpaceExplainer(lm), evidence, n=1)
    whole = len(lm.asked[0].messages[-1].content)
    room = token_space_prompt("activations", [" w0", " w1"]).rough_tokens
    explain_one(TokenSpaceExplainer(lm, context=room + 80), evidence, n=1)
    assert len(lm.asked[1].messages[-1].content) < whole
    (answer,) = TokenSpaceExplainer(lm, context=100).explain([evidence], n=1, seed=0)
    assert answer.failed and "not even one token" in answer.reason


def test_tokens_cannot_break_out_of_their_list() -> None:
    shown = {'"': '"\\""', "\n": '"\\n"', " a": '" a"', "\\xc3": '"\\\\xc3"', "\u2028": '"\\u2028"'}
    assert {token: quoted(token) for token in shown} == shown


def test_each_source_has_its_own_prompt() -> None:
    prompts = {source: token_space_prompt(source, [" a"]) for source in SOURCES}
    assert len({prompt.text for prompt in prompts.values()}) == len(SOURCES)
    assert all(prompt.system == prompts["activations"].system for prompt in prompts.values())
