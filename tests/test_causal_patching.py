"""Interchange: a whole site reproduces the source; a path carries what runs along it and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from causal_cases import planted_subject, subject_of, tiny_windows
from glossator.causal import Head, Units, patch, path_patch
from glossator.causal.patching import between
from glossator.errors import UserError


@pytest.fixture(scope="module")
def subject():
    return subject_of("llama", double=True)


def pairs(subject, **options):
    base = tiny_windows(subject, seed=1, **options)
    source = tiny_windows(subject, seed=2, **options)
    real = np.arange(base.width) < base.lengths[:, None]
    return base, replace(source, tokens=source.tokens * real, lengths=base.lengths, valid=base.valid)


@pytest.mark.parametrize("family", ["llama", "gpt2", "gpt_neox"])
def test_patching_the_whole_stream_reproduces_the_source(family):
    subject = subject_of(family, double=True)
    base, source = pairs(subject)
    for site in ("resid.0", "resid.1"):
        found = patch(subject, base, source, site, read="all")
        real = torch.from_numpy(base.valid)
        torch.testing.assert_close(found.patched[real], found.source[real], rtol=0, atol=1e-9)
        assert not torch.allclose(found.patched[real], found.base[real])


def test_a_part_or_some_positions_lie_between(subject):
    base, source = pairs(subject, short=False)
    one = patch(subject, base, source, "mlp.0", Units(3))
    whole = patch(subject, base, source, "mlp.0")
    assert 0 < (one.patched - one.base).abs().max() < (whole.patched - whole.base).abs().max()
    first = np.zeros(base.tokens.shape, bool)
    first[:, 0] = True
    found = patch(subject, base, source, "resid.1", where=first, read="all")
    torch.testing.assert_close(found.patched[:, 1:], found.base[:, 1:], rtol=0, atol=1e-12)
    torch.testing.assert_close(found.patched[:, 0], found.source[:, 0], rtol=0, atol=1e-9)


def test_the_last_token_of_short_windows_is_read(subject):
    base, source = pairs(subject)
    last, every = patch(subject, base, source, "mlp.1"), patch(subject, base, source, "mlp.1", read="all")
    for row, length in enumerate(base.lengths):
        torch.testing.assert_close(last.patched[row], every.patched[row, length - 1])


def test_nothing_changes_when_source_is_base(subject):
    base, _ = pairs(subject)
    for found in (
        patch(subject, base, base, "head.0", Head(1)),
        path_patch(subject, base, base, "head.0", "mlp.1", sender_part=Head(1)),
    ):
        torch.testing.assert_close(found.patched, found.base, rtol=0, atol=1e-12)


def test_a_path_with_nothing_on_it_carries_nothing():
    """In the planted model attention writes nothing, so no head is reached and the second feed-forward writes none."""
    subject = planted_subject()
    base, source = pairs(subject)
    whole = patch(subject, base, source, "mlp.0", read="all")
    assert not torch.allclose(whole.patched, whole.base)
    for receiver in ("head.1", "mlp.1"):
        found = path_patch(subject, base, source, "mlp.0", receiver, read="all")
        torch.testing.assert_close(found.patched, found.base, rtol=0, atol=1e-12)


def test_the_direct_path_and_the_paths_through_others(subject):
    """From the first feed-forward to the second one directly, by plain algebra on the model's own modules: only its
    input's share of the stream changes, the attention between keeps its value on the base."""
    base, source = pairs(subject, short=False)
    assert between(subject, "mlp.0", "mlp.1") == ["attn.1"]
    found = path_patch(subject, base, source, "mlp.0", "mlp.1", read="all")
    model, kept = subject.model, {}

    def ids(windows):
        return torch.from_numpy(np.pad(windows.tokens, ((0, 0), (1, 0))).astype(np.int64))

    def keep(name):
        return lambda module, args, output: kept.__setitem__(name, output)

    names = ["model.layers.0.mlp", "model.layers.1.mlp", "model.layers.1"]
    handles = [model.get_submodule(n).register_forward_hook(keep(n)) for n in names]
    handles.append(
        model.model.layers[1].mlp.register_forward_pre_hook(lambda module, args: kept.__setitem__("in", args[0]))
    )
    handles.append(
        model.model.layers[1].post_attention_layernorm.register_forward_pre_hook(
            lambda module, args: kept.__setitem__("stream", args[0])
        )
    )
    with torch.inference_mode():
        model(ids(source))
        sent = kept["model.layers.0.mlp"]
        model(ids(base))
    for handle in handles:
        handle.remove()
    with torch.inference_mode():
        moved = kept["stream"] + sent - kept["model.layers.0.mlp"]
        moved[:, 0] = kept["stream"][:, 0]
        layer = model.model.layers[1]
        end = kept["model.layers.1"] - kept["model.layers.1.mlp"] + layer.mlp(layer.post_attention_layernorm(moved))
        expected = model.lm_head(model.model.norm(end))[:, 1:].log_softmax(-1)
    torch.testing.assert_close(found.patched, expected, rtol=0, atol=1e-9)
    free = path_patch(subject, base, source, "mlp.0", "mlp.1", frozen=(), read="all")
    assert not torch.allclose(free.patched, found.patched)


def test_what_is_held_between():
    subject = subject_of("llama")
    assert between(subject, "head.0", "head.1") == ["mlp.0"]
    assert between(subject, "head.0", "resid.1") == ["mlp.0", "attn.1", "mlp.1"]
    with pytest.raises(UserError, match="must come before"):
        between(subject, "mlp.1", "head.1")
    with pytest.raises(UserError, match="aliased sites"):
        between(subject, "model.embed_tokens", "head.1")


def test_pairs_must_fit(subject):
    base, source = pairs(subject)
    with pytest.raises(UserError, match="windows must have the same lengths"):
        patch(subject, base, source.take(np.arange(3)), "mlp.0")
    with pytest.raises(UserError, match="windows must have the same lengths"):
        patch(subject, base, tiny_windows(subject, short=False), "mlp.0")
