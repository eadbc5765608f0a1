"""How good a dictionary is on text that it was not trained on: what it explains, how many latents it takes, and what
the model loses when the site is replaced by it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from glossator.causal.changes import Set
from glossator.causal.edits import Edit
from glossator.causal.running import run_each
from glossator.inputs import TokenWindows
from glossator.readouts.dictionary import Dictionary
from glossator.readouts.parts import Reconstruction, Whole
from glossator.subjects.base import Power

if TYPE_CHECKING:
    from glossator.subjects.transformer import TransformerSubject

MOST_WINDOWS = 128
MOST_COMPONENTS = 2048
"""Width of a site up to which its principal components are computed."""
LEAST_LOST = 0.01
"""Nats that setting the site to 0 has to cost."""
BATCH = 16


def measures(dictionary: Dictionary, subject: TransformerSubject, windows: TokenWindows) -> dict[str, Any]:
    """On the first windows: fvu, the fraction of variance unexplained; l0, latents active at a token; silent_share, of
    latents that are active nowhere here; density: see `densities`; components_fvu: see `unexplained`; loss: next-token
    cross-entropy in nats as it is, with the site replaced by its reconstruction, and by 0; loss_recovered: (zero -
    spliced) / (zero - clean), or None with a reason.

    Of a transcoder the variance and the replaced site are those of the site that it writes.
    """
    windows = subject.counted(windows.take(np.arange(min(MOST_WINDOWS, len(windows)))))
    error, count, l0 = 0.0, 0, 0
    total, squares = 0.0, 0.0
    fires = torch.zeros(dictionary.width, dtype=torch.int64)
    products: torch.Tensor | float = 0.0
    read_at, write_at = dictionary.reads_at, str(dictionary.writes_at)
    with torch.inference_mode():
        for first in range(0, len(windows), BATCH):
            some = windows.take(np.arange(first, min(first + BATCH, len(windows))))
            found = subject.activations(some.tokens, some.lengths, list(dict.fromkeys((read_at, write_at))))
            valid = torch.from_numpy(some.valid)
            values, targets = (found[name][valid.to(found[name].device)].float() for name in (read_at, write_at))
            activations, numbers = dictionary.active(values)
            error += float((targets - dictionary.decode(activations, numbers, values)).double().square().sum())
            total, squares = total + targets.double().sum(0), squares + float(targets.double().square().sum())
            products = products + targets.double().T @ targets.double() if targets.shape[1] <= MOST_COMPONENTS else 0.0
            count, l0 = count + len(values), l0 + int((activations != 0).sum())
            fires += torch.bincount(numbers[activations != 0].cpu(), minlength=dictionary.width)
    variance = squares - float((torch.as_tensor(total) ** 2).sum()) / max(count, 1)
    measured: dict[str, Any] = {
        "tokens": count,
        "fvu": error / variance if variance > 0 else None,
        "l0": l0 / count if count else None,
        "silent_share": float((fires == 0).float().mean()) if count else None,
        "density": densities(fires.numpy(), count) if dictionary.sparse else None,
        "components_fvu": unexplained(products, torch.as_tensor(total), count, round(l0 / max(count, 1))),
        "loss": None,
        "loss_recovered": None,
        "reason": "the subject has no next-token distribution",
    }
    if not count:
        measured["reason"] = "the select split has no tokens"
    elif Power.OUTPUTS in subject.powers:
        measured["loss"] = _losses(dictionary, subject, windows)
        measured["loss_recovered"], measured["reason"] = recovered(measured["loss"])
    return measured


def densities(fires: np.ndarray, tokens: int) -> dict[str, Any]:
    """How often latents fire, as a histogram over log10 of the share of tokens: edges and counts; silent ones apart."""
    shares = np.log10(fires[fires > 0] / max(tokens, 1))
    edges = np.arange(4 * int(np.floor(-np.log10(max(tokens, 1)))), 1) / 4
    edges = edges if len(edges) > 1 else np.array([-0.25, 0.0])
    counts = np.histogram(np.clip(shares, edges[0], edges[-1]), edges)[0]
    return {"edges": edges.tolist(), "counts": counts.tolist(), "silent": int((fires == 0).sum())}


def unexplained(products: torch.Tensor | float, total: torch.Tensor, count: int, components: int) -> float | None:
    """What as many principal components of these very tokens leave unexplained as latents are active at a token: the
    least that any fixed subspace of that size leaves. None for a width above `MOST_COMPONENTS`."""
    if not isinstance(products, torch.Tensor) or not count:
        return None
    covariance = products / count - torch.outer(total, total) / count**2
    variances = torch.linalg.eigvalsh(covariance.cpu()).clamp(min=0).flip(0)
    whole = float(variances.sum())
    return float(variances[components:].sum()) / whole if whole > 0 else None


def recovered(loss: Mapping[str, float]) -> tuple[float | None, str | None]:
    """The share of the loss that the dictionary keeps from being lost, or why there is none."""
    lost = loss["zero"] - loss["clean"]
    if lost < LEAST_LOST:
        return None, f"setting the site to 0 raises the loss by {lost:.4f} nats, and {LEAST_LOST} are needed to compare"
    return (loss["zero"] - loss["spliced"]) / lost, None


def _losses(dictionary: Dictionary, subject: TransformerSubject, windows: TokenWindows) -> dict[str, float]:
    site = str(dictionary.writes_at)
    edits = [[Edit(site, Reconstruction(dictionary), Set(1.0))], [Edit(site, Whole(), Set(0.0))]]
    names = ["spliced", "zero"]
    sums = dict.fromkeys(("clean", *names), 0.0)
    scored = windows.valid & (np.arange(windows.width) < windows.lengths[:, None] - 1)
    for clean, edited in run_each(subject, windows, edits):
        following = torch.from_numpy(windows.tokens[clean.rows, 1:].astype(np.int64))[..., None]
        mask = torch.from_numpy(scored[clean.rows][:, :-1])

        def nats(log_probs: torch.Tensor, following: Any = following, mask: Any = mask) -> float:
            of_next = log_probs[:, :-1].gather(-1, following.to(log_probs.device))[..., 0].cpu()
            return -float(of_next[mask].double().sum())

        assert clean.log_probs is not None
        sums["clean"] += nats(clean.log_probs)
        for number, log_probs in edited:
            sums[names[number]] += nats(log_probs)
    return {name: value / max(1, int(scored.sum())) for name, value in sums.items()}
