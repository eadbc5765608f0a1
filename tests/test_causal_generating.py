"""Generation under intervention: the same as the model's own when nothing is changed, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from causal_cases import subject_of
from glossator.causal import Add, Direction, Edit, Set, Splice, Units, generate
from glossator.errors import UserError

PROMPTS = ["The quick brown fox", "In 1987", "def add(a, b):", "In 1988"]


@pytest.fixture(scope="module")
def subject():
    return subject_of("llama")


def test_greedy_generation_is_that_of_the_model(subject):
    found = generate(subject, PROMPTS, new_tokens=8, temperature=0)
    for prompt, text in zip(PROMPTS, found, strict=True):
        ids = torch.tensor([[*subject.prefix, *subject.tokenizer.encode([prompt])[0].tolist()]])
        with torch.inference_mode():
            for _ in range(8):
                logits = subject.model(ids, use_cache=False).logits[0, -1, : len(subject.tokenizer.vocabulary)]
                ids = torch.cat([ids, logits.argmax().reshape(1, 1)], dim=1)
        assert text == subject.tokenizer.vocabulary.join(ids[0, -8:].numpy())


def by_whole_passes(subject, prompt, edits, n, prompt_too):
    """Greedy generation without a cache, the edit written out on a whole pass for each token; unit and value are those
    of the one edit."""
    from glossator.subjects import edit

    ids = torch.tensor([[*subject.prefix, *subject.tokenizer.encode([prompt])[0].tolist()]])
    first = len(subject.prefix) if prompt_too else ids.shape[1]

    def push(tensor):
        moved = tensor.clone().reshape(1, -1, tensor.shape[-1])
        moved[:, first:, edits[0].part.indices[0]] = edits[0].change.v
        return moved.reshape(tensor.shape)

    start = ids.shape[1]
    with torch.inference_mode(), edit(subject.model, "mlp.0", push):
        for _ in range(n):
            logits = subject.model(ids, use_cache=False).logits[0, -1, : len(subject.tokenizer.vocabulary)]
            ids = torch.cat([ids, logits.argmax().reshape(1, 1)], dim=1)
    return subject.tokenizer.vocabulary.join(ids[0, start:].numpy())


@pytest.mark.parametrize("prompt_too", [True, False])
def test_an_edit_acts_at_every_step(subject, prompt_too):
    edits = [Edit("mlp.0", Units(3), Set(40.0))]
    found = generate(subject, PROMPTS, edits, new_tokens=6, temperature=0, prompt_too=prompt_too)
    assert found == [by_whole_passes(subject, prompt, edits, 6, prompt_too) for prompt in PROMPTS]
    assert found != generate(subject, PROMPTS, new_tokens=6, temperature=0)


@pytest.mark.parametrize("index", [0, 50])
@pytest.mark.parametrize("prompt_too", [True, False])
def test_a_model_that_runs_all_tokens_in_one_row_is_edited_at_the_same_positions(index, prompt_too):
    subject = subject_of("opt")
    for value in (1e3, -1e3):
        edits = [Edit("mlp.0", Units(index), Set(value))]
        found = generate(subject, PROMPTS, edits, new_tokens=5, temperature=0, prompt_too=prompt_too)
        assert found == [by_whole_passes(subject, prompt, edits, 5, prompt_too) for prompt in PROMPTS]


def test_sampling_is_seeded_and_does_not_depend_on_neighbours(subject):
    edits = [Edit("resid.0", Direction(np.ones(32)), Add(2.0))]
    together = generate(subject, PROMPTS, edits, new_tokens=6, seed=3)
    assert together == generate(subject, PROMPTS, edits, new_tokens=6, seed=3)
    assert together != generate(subject, PROMPTS, edits, new_tokens=6, seed=4)
    assert generate(subject, PROMPTS[:2], edits, new_tokens=6, seed=3) == together[:2]


@pytest.mark.parametrize("where", ["config", "generation_config"])
def test_a_text_ends_where_the_model_ends_it(where: str):
    subject = subject_of("llama")
    first = generate(subject, ["In 1987"], new_tokens=6, temperature=0)[0]
    tokens = subject.tokenizer.encode([first])[0]
    with torch.inference_mode():
        ids = torch.tensor([[*subject.prefix, *subject.tokenizer.encode(["In 1987"])[0].tolist()]])
        end = int(subject.model(ids).logits[0, -1, :320].argmax())
    # chat models name several ends, and name them in their generation settings alone
    getattr(subject.model, where).eos_token_id = end if where == "config" else [319 - (end == 319), end]
    assert len(tokens) > 0
    assert generate(subject, ["In 1987"], new_tokens=6, temperature=0) == [""]


def test_what_generation_refuses(subject):
    with pytest.raises(UserError, match="exceed the model's context"):
        generate(subject, ["In 1987"], new_tokens=64)
    with pytest.raises(UserError, match="the same at every position"):
        generate(subject, ["In"], [Edit("mlp.0", Units(0), Splice(np.zeros((1, 1))))])
    with pytest.raises(UserError, match="the same at every position"):
        generate(subject, ["In"], [Edit("mlp.0", Units(0), Set(0.0), where=np.ones((1, 1), bool))])
    with pytest.raises(UserError, match="bad settings"):
        generate(subject, ["In"], new_tokens=0)
    with pytest.raises(UserError, match="empty prompt"):
        generate(subject_of("llama", prefix=()), [""])
    assert generate(subject, [], new_tokens=3) == []


@pytest.mark.parametrize("family", ["mamba", "rwkv", "openai-gpt"])
def test_models_without_keys_and_values_read_the_whole_text(family):
    from families import family_subject

    subject = family_subject(family)
    (text,) = generate(subject, ["It rained"], new_tokens=5, temperature=0.0)
    ids = [0, *subject.tokenizer.encode(["It rained"])[0].tolist()]
    start = len(ids)
    for _ in range(5):
        with torch.inference_mode():
            ids.append(int(subject.model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1].argmax()))
    assert text == subject.tokenizer.vocabulary.join(np.array(ids[start:]))
