"""Oracles of subjects: values from hooks computed anew by hand from the model's own weights and outputs; positions that
take an attention sink."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from glossator.errors import UserError
from glossator.subjects.hooks import capture
from glossator.subjects.sites import SiteInfo, find_blocks
from glossator.subjects.transformer import TransformerSubject


def _times_weight(module: nn.Module, values: torch.Tensor) -> torch.Tensor:
    """values @ W + b by hand; `Conv1D` keeps its weight transposed."""
    weight = module.weight if hasattr(module, "nf") else module.weight.T
    product = torch.einsum("bti,io->bto", values.double(), weight.double())
    bias = getattr(module, "bias", None)
    return product if bias is None else product + bias.double()


class Parity(NamedTuple):
    """Largest absolute difference found, and the largest magnitude among the numbers compared."""

    difference: float
    scale: float


def check_parity(subject: TransformerSubject, tokens: np.ndarray, lengths: np.ndarray) -> dict[str, Parity]:
    """Largest absolute difference per site kind between captured values and a recomputation, over all layers.

    `mlp` and `head`: captured values times the projection's weight against the projection's own output; `attn`:
    against the same product times the factor behind it, where nothing else stands between; `resid`: against the model's
    `hidden_states` (the last layer, which the model norms, is left out). What remains is rounding: in float32 a
    difference below 1e-5 of the scale.
    """
    sites = subject.sites()
    by_name = {site.name: site for site in sites}
    outputs = {
        s.name: SiteInfo(f"{s.module}:out", s.width, s.kind, s.module, "output") for s in sites if s.side == "input"
    }
    inputs = subject.pass_inputs(tokens, lengths)
    with torch.inference_mode(), capture(subject.model, [*sites, *outputs.values()]) as values:
        result = subject.model(**inputs, output_hidden_states=True)
        worst: dict[str, Parity] = {}

        def note(kind: str, one: torch.Tensor, other: torch.Tensor) -> None:
            known = worst.get(kind, Parity(0.0, 0.0))
            difference, scale = float((one.double() - other.double()).abs().max()), float(other.abs().max())
            worst[kind] = Parity(max(known.difference, difference), max(known.scale, scale))

        for name, output in outputs.items():
            module = subject.model.get_submodule(output.module)
            by_hand = _times_weight(module, values[name])
            note(name.partition(".")[0], by_hand, values[output.name])
            attention = name.replace("head.", "attn.")
            if attention != name and attention in by_name and by_name[attention].module == output.module:
                scale = by_name[attention].scale
                note("attn", by_hand if scale is None else by_hand * by_hand.new_tensor(scale), values[attention])
        found = find_blocks(subject.model, subject.model.config)
        layers = 0 if found is None else len(found[1])
        for layer in range(layers - 1):
            note("resid", values[f"resid.{layer}"], result.hidden_states[layer + 1])
    return worst


def sink_positions(
    subject: TransformerSubject,
    tokens: np.ndarray,
    lengths: np.ndarray,
    *,
    site: str | None = None,
    factor: float = 10.0,
) -> np.ndarray:
    """Positions that take an attention sink, so that their values say nothing about their token: bool (b, w).

    A few tokens get a residual norm a hundred times that of the others from the middle layers on (Sun et al. 2024,
    "Massive Activations in Large Language Models"). A prefix is meant to draw them off the windows; this checks
    that it does: True where the norm exceeds `factor` times the median of the real positions, False on padding.
    site: the residual site looked at, the middle block's output by default. Raises `UserError` for a model without
    residual sites.
    """
    if site is None:
        streams = [s.name for s in subject.sites() if s.name.startswith("resid.")]
        if not streams:
            raise UserError("no residual sites found in", value=subject.name, fix="Pass a module as `site`")
        site = streams[len(streams) // 2]
    norms = subject.activations(tokens, lengths, [site])[site].float().norm(dim=-1).cpu().numpy()
    real = np.arange(tokens.shape[1]) < np.asarray(lengths)[:, None]
    return real & (norms > factor * np.median(norms[real])) if real.any() else np.zeros_like(real)
