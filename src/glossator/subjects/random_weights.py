"""A subject built again from its architecture with freshly initialised weights: what training has nothing to do with.

`random-weights:NAME#SEED` names it like any other subject.
"""

from __future__ import annotations

import copy
from dataclasses import replace

import torch
from torch import nn

from glossator.errors import MissingPower
from glossator.files import fingerprint
from glossator.subjects.base import Power, Subject, check_power
from glossator.subjects.fingerprints import of_model
from glossator.subjects.transformer import TransformerSubject
from glossator.subjects.vision import VisionSubject


def with_random_weights(subject: Subject, seed: int = 0) -> TransformerSubject | VisionSubject:
    """The same architecture, tokenizer and sites with weights drawn as before training, embeddings too.

    A model of `transformers` is initialised as its class does it; any other module by `reset_parameters` of its parts,
    and what these leave as it was is drawn from a normal distribution of its mean and standard deviation. The subject
    itself stays as it is. Raises `MissingPower` for a subject without weights.
    """
    check_power(subject, Power.WEIGHTS, "the baseline random-weights")
    if not isinstance(subject, TransformerSubject | VisionSubject):
        raise MissingPower("the baseline random-weights needs a language, text or image model", value=subject.name)
    given = subject.model
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = _initialised(given)
    fresh = fresh.to(device=subject.device, dtype=subject.dtype).eval().requires_grad_(False)
    made = fingerprint_of_random(subject.fingerprint, seed)
    if isinstance(subject, VisionSubject):
        return replace(subject, model=fresh, fingerprint="" if subject.in_memory else made)
    if subject.in_memory:
        made = of_model(fresh, subject.tokenizer)
    return replace(subject, model=fresh, fingerprint=made)


def fingerprint_of_random(subject: str, seed: int) -> str:
    """Of a saved subject with this fingerprint, with random weights."""
    return fingerprint([subject, "random weights", seed])


def _initialised(model: nn.Module) -> nn.Module:
    from transformers import PreTrainedModel

    if isinstance(model, PreTrainedModel):
        fresh: nn.Module = type(model)(copy.deepcopy(model.config))
        return fresh
    fresh = copy.deepcopy(model).to("cpu")
    before = {name: parameter.detach().clone() for name, parameter in fresh.named_parameters()}
    for module in fresh.modules():
        if callable(reset := getattr(module, "reset_parameters", None)):
            reset()
    with torch.no_grad():
        for name, parameter in fresh.named_parameters():
            if torch.equal(parameter, before[name]) and parameter.numel() > 1 and parameter.is_floating_point():
                parameter.copy_(before[name].mean() + before[name].std() * torch.randn(parameter.shape))
    return fresh
