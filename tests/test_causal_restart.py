"""Passes that start in the middle: the same outputs as whole passes, in models of several families."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch

from causal_cases import subject_of, tiny_windows
from glossator.causal import Add, Direction, Edit, Head, Set, Splice, Units, Whole, divergences, run_each
from glossator.causal.edits import bind, editing
from glossator.causal.restart import restart_of

CAUSAL = ["llama", "gpt2", "gpt_neox", "opt", "qwen3", "gemma2"]


def interventions(subject, windows):
    rng = np.random.default_rng(0)
    width = subject.site("mlp.1").width
    return [
        [Edit("mlp.1", Units(3), Splice(rng.normal(size=(len(windows), windows.width, 1)) * 3))],
        [Edit("mlp.0", Units([1, 5]), Set(2.0))],
        [Edit("resid.0", Direction(rng.normal(size=32)), Add(3.0))],
        [Edit("resid.1", Whole(), Add(rng.normal(size=32)))],
        [Edit("head.1", Head(2), Set(0.0)), Edit("mlp.1", Units(width - 1), Add(4.0))],
        [Edit("attn.1", Whole(), Set(0.0))],
    ]


@pytest.mark.parametrize("family", CAUSAL)
def test_a_restart_gives_what_the_whole_pass_gives(family):
    subject = subject_of(family)
    windows = tiny_windows(subject)
    assert restart_of(subject) is not None
    edits = interventions(subject, windows)
    found = {}
    for restart in (True, False):
        for batch, edited in run_each(subject, windows, edits, restart=restart):
            found[restart] = [batch.log_probs, *(log_probs for _, log_probs in edited)]
    for ours, whole in zip(found[True], found[False], strict=True):
        torch.testing.assert_close(ours, whole, rtol=1e-5, atol=1e-5)
    assert sum(not torch.allclose(found[True][0], changed) for changed in found[True][1:]) == 6


@pytest.mark.parametrize("family", CAUSAL)
def test_the_blocks_below_are_not_run(family):
    subject = subject_of(family)
    windows = tiny_windows(subject)
    subject.sites()  # asks the model by passes of its own, once
    blocks, runs = restart_of(subject).blocks, [0, 0]
    handles = [
        module.register_forward_hook(lambda *_, number=number: runs.__setitem__(number, runs[number] + 1))
        for number, block in enumerate(blocks)
        for module in [next(m for name, m in block.named_modules() if "norm" in name or "ln_" in name)]
    ]
    divergences(subject, windows, [[Edit("mlp.1", Units(0), Set(1.0))]] * 3)
    for handle in handles:
        handle.remove()
    assert runs[1] == 4 * runs[0]


def test_nothing_is_left_behind():
    subject = subject_of("llama")
    windows = tiny_windows(subject)
    restart = restart_of(subject)
    with pytest.raises(ZeroDivisionError), restart.start(1, torch.zeros(1)):
        raise ZeroDivisionError
    divergences(subject, windows, [[Edit("mlp.1", Units(0), Set(1.0))]])
    assert not any("forward" in block.__dict__ for block in restart.blocks)
    assert sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in subject.model.modules()) == 0


def test_a_model_whose_blocks_share_more_than_the_stream_is_run_as_a_whole():
    """A block that reads what an earlier one left behind gives other outputs when that one is skipped."""
    subject = subject_of("llama")
    blocks = subject.model.model.layers
    left = {}
    first = blocks[0].register_forward_hook(lambda _, args, output: left.__setitem__("values", args[0]))
    second = blocks[1].register_forward_hook(lambda _, args, output: output + left.pop("values", 0.0) * 2)
    windows = tiny_windows(subject)
    edits = [[Edit("mlp.1", Units(0), Set(3.0))]]
    try:
        assert restart_of(subject) is None
        fallback = divergences(subject, windows, edits)
        np.testing.assert_array_equal(fallback, divergences(subject, windows, edits, restart=False))
        assert fallback.sum() > 0
    finally:
        first.remove()
        second.remove()


def test_where_a_change_can_first_be_seen():
    subject = subject_of("llama")
    restart = restart_of(subject)
    layers = {name: restart.layer(subject.site(name)) for name in ("mlp.0", "head.1", "resid.0", "resid.1")}
    assert layers == {"mlp.0": 0, "head.1": 1, "resid.0": 1, "resid.1": 2}
    assert restart.layer(subject.site("model.embed_tokens")) is None


def test_other_threads_are_not_touched():
    """A pass that another thread runs through the model meanwhile is neither edited nor begun in the middle."""
    subject = subject_of("llama")
    windows = tiny_windows(subject)
    alone = next(batch.log_probs for batch, _ in run_each(subject, windows, []))
    restart, rows = restart_of(subject), np.arange(len(windows))
    bound = bind(subject, [Edit("mlp.0", Units(0), Set(9.0))], windows)
    found = {}

    def other():
        found["other"] = next(batch.log_probs for batch, _ in run_each(subject, windows, []))

    with restart.start(2, torch.zeros(len(windows), windows.width + 1, 32)), editing(subject, bound, rows):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join(5)
        assert not thread.is_alive()
    torch.testing.assert_close(found["other"], alone, rtol=0, atol=0)
