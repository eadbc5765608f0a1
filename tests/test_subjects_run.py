"""Running a subject: values, prefix and padding, early stop, several families."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from glossator.errors import UserError
from glossator.subjects import describe_sites, load_subject
from subject_oracles import check_parity, sink_positions
from tiny_models import byte_level_tokenizer, save_tiny

FAMILIES = ["llama", "gpt2", "gpt_neox", "bert"]


@pytest.fixture(scope="module")
def subjects(tmp_path_factory):
    tokenizer = byte_level_tokenizer()
    tokenizer.add_special_tokens({"cls_token": "<|cls|>", "sep_token": "<|sep|>"})
    base = tmp_path_factory.mktemp("families")
    return {family: load_subject(str(save_tiny(base / family, family, tokenizer))) for family in FAMILIES}


def batch(width: int = 9, rows: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    lengths = np.array([width, width - 3, 1, width][:rows], np.int32)
    return rng.integers(1, 318, (rows, width)).astype(np.int32), lengths


@pytest.mark.parametrize("family", FAMILIES)
def test_captured_values_equal_a_recomputation(subjects, family):
    parity = check_parity(subjects[family], *batch())
    assert set(parity) == {"mlp", "head", "attn", "resid"}
    for found in parity.values():
        assert found.scale > 0.1
        assert found.difference < 1e-5 * found.scale


@pytest.mark.parametrize("family", FAMILIES)
def test_padding_and_neighbours_change_nothing(subjects, family):
    """A window alone and unpadded gives what it gives in a padded batch, whatever stands in the padding."""
    subject, (tokens, lengths) = subjects[family], batch()
    sites = ["mlp.1", "head.0", "resid.1"]
    together = subject.activations(tokens, lengths, sites)
    for row, length in enumerate(lengths):
        alone = subject.activations(tokens[row : row + 1, :length], lengths[row : row + 1], sites)
        for site in sites:
            torch.testing.assert_close(together[site][row, :length], alone[site][0], rtol=1e-4, atol=1e-5)
            assert (together[site][row, length:] == 0).all()


def test_prefix_and_suffix_stand_around_each_window(subjects):
    encoder, (tokens, lengths) = subjects["bert"], batch()
    opening, closing = encoder.tokenizer.hub_tokenizer.cls_token_id, encoder.tokenizer.hub_tokenizer.sep_token_id
    assert (encoder.prefix, encoder.suffix, encoder.leaves_out_first) == ((opening,), (closing,), False)
    inputs = encoder.model_inputs(tokens, lengths)
    ids, mask = inputs["input_ids"].numpy(), inputs["attention_mask"].numpy()
    for row, length in enumerate(lengths):
        assert ids[row, : length + 2].tolist() == [opening, *tokens[row, :length].tolist(), closing]
        assert mask[row].sum() == length + 2
    causal = subjects["llama"]
    assert (causal.prefix, causal.suffix) == ((0,), ())
    assert set(causal.model_inputs(tokens, lengths)) == {"input_ids"}


def test_causal_model_without_a_bos_leaves_out_the_first_position(tmp_path):
    tokenizer = byte_level_tokenizer()
    tokenizer.bos_token = None
    subject = load_subject(str(save_tiny(tmp_path / "bare", "llama", tokenizer)))
    assert (subject.prefix, subject.leaves_out_first) == ((), True)


def test_sites_match_plain_model_outputs(tiny_subject):
    """Against `transformers` itself: hidden states and logits from captured pieces."""
    tokens, lengths = batch()
    lengths[:] = tokens.shape[1]
    found = tiny_subject.activations(tokens, lengths, ["resid.0", "model.norm"])
    ids = torch.from_numpy(np.pad(tokens, ((0, 0), (1, 0)))).long()
    with torch.inference_mode():
        plain = tiny_subject.model(input_ids=ids, output_hidden_states=True)
        logits = tiny_subject.model.lm_head(found["model.norm"])
    torch.testing.assert_close(found["resid.0"], plain.hidden_states[1][:, 1:])
    torch.testing.assert_close(logits, plain.logits[:, 1:])


def test_the_pass_ends_after_the_last_site(tiny_subject):
    ran: list[str] = []
    model = tiny_subject.model
    tiny_subject.forward(*batch(), stop_after=["mlp.0", "mlp.1", "resid.0", "head.0"])  # sites are probed once
    watched = ["model.layers.0.mlp.down_proj", "model.layers.1", "lm_head"]
    handles = [
        model.get_submodule(name).register_forward_hook(lambda *_, name=name: ran.append(name)) for name in watched
    ]
    try:
        tiny_subject.activations(*batch(), ["mlp.0"])
        assert ran == []
        tiny_subject.forward(*batch(), stop_after=["resid.0", "mlp.0"])
        assert ran == watched[:1]
        tiny_subject.activations(*batch(), ["mlp.1", "mlp.0"])
        assert ran == [watched[0]] * 2
        tiny_subject.forward(*batch())
        assert ran == [watched[0]] * 2 + watched
    finally:
        for handle in handles:
            handle.remove()


def test_only_what_is_asked_comes_back_and_no_sites_is_fine(tiny_subject):
    assert set(tiny_subject.activations(*batch(), ["mlp.1", "head.0"])) == {"mlp.1", "head.0"}
    assert tiny_subject.activations(*batch(), []) == {}


def test_embedding_is_float32_and_as_long_as_the_vocabulary(tiny_subject):
    embedding = tiny_subject.embedding()
    assert embedding.dtype == np.float32
    assert embedding.shape == (len(tiny_subject.tokenizer.vocabulary), 32)


def test_bfloat16_is_close_to_float32(tiny_folder, tiny_subject):
    half = load_subject(str(tiny_folder), dtype="bfloat16")
    tokens, lengths = batch()
    found, exact = (s.activations(tokens, lengths, ["mlp.0"])["mlp.0"] for s in (half, tiny_subject))
    assert found.dtype == torch.bfloat16
    assert (found.float() - exact).abs().max() < 0.05 * exact.abs().max()
    assert half.fingerprint == tiny_subject.fingerprint


def test_sinks_are_found_where_the_norm_is_massive(tiny_subject):
    from glossator.subjects import edit

    tokens, lengths = batch()
    assert not sink_positions(tiny_subject, tokens, lengths).any()

    def inflate(values: torch.Tensor) -> torch.Tensor:
        values = values.clone()
        values[0, 1 + 2] *= 1000
        values[2, 1 + 5] *= 1000
        return values

    with edit(tiny_subject.model, "resid.1", inflate):
        found = sink_positions(tiny_subject, tokens, lengths)
    assert np.argwhere(found).tolist() == [[0, 2]]


def test_clear_errors(tiny_folder, tiny_subject, tmp_path):
    with pytest.raises(UserError, match="float32, bfloat16"):
        load_subject(str(tiny_folder), dtype="int3")
    with pytest.raises(UserError, match="cannot use this device"):
        load_subject(str(tiny_folder), device="toaster")
    with pytest.raises(UserError, match=r"no config\.json"):
        load_subject(str(tmp_path))
    with pytest.raises(UserError, match="at most 63"):
        tiny_subject.activations(np.ones((1, 64), np.int32), np.array([64]), ["mlp.0"])


def test_damaged_folder_is_one_clear_error(tmp_path):
    folder = save_tiny(tmp_path / "damaged", "llama", byte_level_tokenizer())
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(UserError, match="cannot load this model"):
        load_subject(str(folder))
    (folder / "config.json").write_text("{")
    with pytest.raises(UserError, match="cannot"):
        load_subject(str(folder))


def test_smollm2_is_converted_right(smollm2):
    """Real text is predicted well, so the weights are where they belong, and windows hold no attention sink."""
    text = (
        "The capital of France is Paris. The Eiffel Tower stands on the left bank of the river Seine, and every year"
        " millions of people from all over the world come to see it."
    )
    tokens = smollm2.tokenizer.encode([text])[0][None]
    lengths = np.array([tokens.shape[1]])
    with torch.inference_mode():
        inputs = smollm2.model_inputs(tokens, lengths)["input_ids"]
        logits = smollm2.model(input_ids=inputs).logits[0]
        before = len(smollm2.prefix)
        loss = torch.nn.functional.cross_entropy(logits[before:-1], inputs[0, before + 1 :])
    assert loss < 2.5
    assert getattr(smollm2.model.config, "quantization_config", None) is None
    parity = check_parity(smollm2, tokens, lengths)
    assert all(found.difference < 1e-5 * found.scale for found in parity.values())


def test_prefix_of_smollm2_draws_the_attention_sink_off_the_windows(smollm2):
    """Windows that open with a line break take the sink behind <|endoftext|> alone, and not behind our prefix."""
    opening = ["\n", ".", ",", " (", ":", "The", " authoritative"]
    tokens = np.stack(
        [smollm2.tokenizer.encode([text + " and then the ship left the old harbour"])[0][:8] for text in opening]
    )
    lengths = np.full(len(tokens), 8)
    assert not sink_positions(smollm2, tokens, lengths, factor=5).any()
    separator = dataclasses.replace(smollm2, prefix=(0,))
    found = sink_positions(separator, tokens, lengths, factor=5)
    assert found[:, 0].sum() >= 2
    assert not found[:, 2:].any()


def test_minilm_puts_like_sentences_together(minilm):
    tokens = minilm.tokenizer.encode(["a cat sits on the mat", "a kitten rests on a rug", "shares fell on monday"])
    width = max(map(len, tokens))
    lengths = np.array([len(t) for t in tokens])
    padded = np.stack([np.pad(t, (0, width - len(t))) for t in tokens])
    values = minilm.activations(padded, lengths, ["resid.5"])["resid.5"].numpy()
    means = values.sum(1) / lengths[:, None]
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    near, far = means[0] @ means[1], means[0] @ means[2]
    assert near > 0.5 > 0.3 > far


def test_unreachable_hub_is_one_clear_error(monkeypatch):
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    def unreachable(*_: object, **__: object) -> None:
        raise LocalEntryNotFoundError("no connection")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", unreachable)
    for use in (load_subject, describe_sites):
        with pytest.raises(UserError, match=r"cannot get this model from the hub: 'owner/model'.*no connection"):
            use("owner/model")


def test_hub_model_is_asked_for_what_is_needed_only(tiny_folder, monkeypatch):
    import huggingface_hub

    asked: list[list[str]] = []

    def serve(name: str, allow_patterns: list[str], ignore_patterns: list[str]) -> str:
        asked.append(allow_patterns)
        return str(tiny_folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", serve)
    assert load_subject("owner/model").name == "model"
    assert len(asked) == 1
    assert "*.safetensors" in asked[0]
    assert "*.bin" not in asked[0]
    assert describe_sites("owner/model")[0].name == "mlp.0"
    assert asked[1] == ["config.json"]


def test_a_feed_forward_on_all_tokens_in_one_row_is_handed_out_by_window():
    """OPT flattens (rows, positions): values, edits and their positions are those of each window all the same."""
    from causal_cases import subject_of
    from glossator.subjects import edit

    subject, (tokens, lengths) = subject_of("opt"), batch()
    for name, width in (("mlp.1", 64), ("model.decoder.layers.1.fc1", 64)):
        together = subject.activations(tokens, lengths, [name])[name]
        assert together.shape == (4, 9, width)
        alone = subject.activations(tokens[1:2, :6], lengths[1:2], [name])[name]
        torch.testing.assert_close(together[1, :6], alone[0], rtol=1e-4, atol=1e-5)
    seen = []
    with edit(subject.model, subject.site("mlp.1"), lambda values: seen.append(values.shape) or values * 2):
        doubled = subject.activations(tokens, lengths, ["mlp.1"])["mlp.1"]
    assert seen == [(4, 10, 64)]
    torch.testing.assert_close(doubled, subject.activations(tokens, lengths, ["mlp.1"])["mlp.1"] * 2)


def test_modules_whose_values_are_no_tokens_own_are_refused(tiny_subject):
    """Shared layers run several times, tables of positions have no rows, several streams are no one stream."""
    from families import family_subject

    for family, module, why in (
        ("albert", "encoder.albert_layer_groups.0.albert_layers.0.ffn_output", "runs 2 times"),
        ("bert", "embeddings.position_embeddings", r"\(1, 8, 32\)"),
        ("gemma3n_text", "resid.1", r"\(4, 3, 7, 32\)"),
    ):
        with pytest.raises(UserError, match=f"no values per token.*{why}"):
            family_subject(family).site(module)


def test_windows_of_several_lengths_where_padding_counts():
    """FNet mixes all positions, padding included: windows run by length, and give what each gives alone."""
    from families import family_subject

    subject, (tokens, lengths) = family_subject("fnet"), batch()
    assert subject.runs_by_length
    together = subject.activations(tokens, lengths, ["resid.1"])["resid.1"]
    for row, length in enumerate(lengths):
        alone = subject.activations(tokens[row : row + 1, :length], lengths[row : row + 1], ["resid.1"])["resid.1"]
        torch.testing.assert_close(together[row, :length], alone[0], rtol=1e-4, atol=1e-5)
        assert (together[row, length:] == 0).all()


def test_a_model_that_sees_ahead_is_not_run_as_a_causal_one():
    import dataclasses

    from families import family_subject

    ahead = dataclasses.replace(family_subject("bert"), causal=True, suffix=())
    with pytest.raises(UserError, match="not a causal language model"):
        ahead.activations(*batch(), ["resid.0"])


def test_values_are_those_of_the_moment_that_a_module_gave_them():
    """Falcon goes on computing in the tensor that its feed-forward gave."""
    from families import family_subject

    subject, (tokens, lengths) = family_subject("falcon"), batch()
    found = subject.activations(
        tokens, lengths, ["transformer.h.0.mlp", "transformer.h.0.mlp.dense_4h_to_h", "resid.1"]
    )
    torch.testing.assert_close(found["transformer.h.0.mlp"], found["transformer.h.0.mlp.dense_4h_to_h"])
