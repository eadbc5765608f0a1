"""Training a sparse autoencoder on the activations of a site, streamed from the model and resumable.

Only windows of the explain split are trained on, cut as a study of the same text cuts them; how is written beside the
dictionary, so that a study whose test documents it has seen is refused. The files are those of SAELens.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from glossator import __version__
from glossator.corpora import ProbeSet
from glossator.errors import UserError
from glossator.evidence import SPLITS
from glossator.files import plain, read_json, write_bytes, write_json
from glossator.fitting.captured import CUT
from glossator.fitting.top_k import TopK
from glossator.inputs import TokenWindows
from glossator.readouts.formats import load_dictionary
from glossator.readouts.hook_names import hook_of_site

CHECKPOINT, STATE, REPORT = "checkpoint.safetensors", "checkpoint.json", "training.json"
WARM, COOL = 0.05, 0.2
"""Shares of the steps in which the rate rises, and falls to 0 in the end."""


@dataclass(frozen=True)
class TrainSpec:
    """site: where; latents, k: how many there are, and how many are active at a token; tokens: to train on, more than
    once where the text has fewer; batch: tokens in a step; rate: of Adam, by default 1e-3 for 4,096 latents and less
    for more, as the root; dead_after: tokens after which a silent latent is revived, by default a tenth of all;
    auxiliary: weight of its loss; every: steps between checkpoints."""

    site: str
    latents: int = 4096
    k: int = 32
    tokens: int = 1_000_000
    batch: int = 2048
    rate: float | None = None
    dead_after: int | None = None
    auxiliary: float = 1 / 32
    every: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("latents", "k", "tokens", "batch", "every"):
            if getattr(self, name) < 1:
                raise UserError(f"bad {name} of a dictionary", value=getattr(self, name), allowed="1 or more")
        if self.k > self.latents:
            raise UserError("more latents are active than there are", value=self.k, allowed=f"1 to {self.latents}")
        if self.rate is not None and not 0 < self.rate < math.inf:
            raise UserError("bad rate", value=self.rate, allowed="above 0, such as 0.001")

    @property
    def steps(self) -> int:
        return max(1, self.tokens // self.batch)

    @property
    def silence(self) -> int:
        return max(self.batch, self.tokens // 10) if self.dead_after is None else self.dead_after

    def rate_at(self, step: int) -> float:
        peak = 1e-3 * math.sqrt(4096 / self.latents) if self.rate is None else self.rate
        warm, cool = max(1.0, WARM * self.steps), max(1.0, COOL * self.steps)
        return peak * min(1.0, (step + 1) / warm, (self.steps - step) / cool)


def train(
    subject: Any,
    probes: ProbeSet,
    spec: TrainSpec,
    folder: str | Path,
    *,
    note: Callable[[int, float], None] = lambda step, fvu: None,
) -> dict[str, Any]:
    """Train and write `cfg.json`, `sae_weights.safetensors` and `training.json`; returns what the last one holds.

    A run that was stopped goes on after its last checkpoint and ends with the same bytes; a finished one of the same
    spec is read. note: called after each step with its number and the unexplained share of its batch. Raises
    `UserError` for a folder with something else, and for a text without enough windows.
    """
    folder = Path(folder)
    identity = _identity(subject, probes, spec)
    if (folder / REPORT).exists():
        found: dict[str, Any] = read_json(folder / REPORT, "the report of the training", "Train again")
        _check_same(found.get("made"), identity, folder)
        return found
    width = int(subject.site(spec.site).width)
    coder = TopK(width, spec.latents, spec.k, seed=spec.seed, device=subject.device)
    losses = _claimed(coder, identity, folder)
    for step, values in _batches(subject, probes, spec, coder.steps):
        if not torch.isfinite(values).all():
            raise UserError(f"{spec.site} gave values that are not finite", fix="Use dtype float32")
        if step == 0:
            coder.start(values)
        fvu = coder.step(values, spec.rate_at(step), dead_after=spec.silence, auxiliary=spec.auxiliary)
        losses.append(fvu)
        note(step, fvu)
        if coder.steps % spec.every == 0 and coder.steps < spec.steps:
            _checkpoint(coder, losses, folder)
    write_saelens(coder, subject, spec, identity, folder)
    from glossator.fitting.dictionary_measures import measures

    report = {
        "made": identity,
        "steps": coder.steps,
        "fvu_of_batches": losses,
        "dead_share": float((coder.silent >= spec.silence).float().mean()),
        "held_out": measures(load_dictionary(folder, site=spec.site), subject, _rows(probes, "select")),
    }
    write_json(folder / REPORT, plain(report))
    for name in (CHECKPOINT, STATE):
        (folder / name).unlink(missing_ok=True)
    return read_json(folder / REPORT, "the report of the training", "Train again")


def _identity(subject: Any, probes: ProbeSet, spec: TrainSpec) -> dict[str, Any]:
    """What decides every byte of the weights, but the machine."""
    return {
        "subject": subject.name,
        "subject_fingerprint": subject.fingerprint,
        "site": spec.site,
        "text": {key: probes.spec[key] for key in CUT if key in probes.spec},
        "training": plain(spec),
        "glossator": __version__,
    }


def _rows(probes: ProbeSet, split: str) -> TokenWindows:
    return probes.windows.take(np.flatnonzero(probes.split_of_input == SPLITS.index(split)))


def _batches(subject: Any, probes: ProbeSet, spec: TrainSpec, first: int) -> Iterator[tuple[int, torch.Tensor]]:
    """Values (about `batch`, d) from step `first` on: the windows in a seeded order, another one each time round."""
    windows = subject.counted(_rows(probes, "explain"))
    size = max(1, spec.batch // windows.width)
    each = len(windows) // size
    if each < 1:
        raise UserError(
            "the text has fewer windows than a batch",
            value=len(windows),
            allowed=f"{size} or more of the explain split",
        )
    order = np.empty(0, np.int64)
    for step in range(first, spec.steps):
        turn, place = divmod(step, each)
        if not len(order) or place == 0:
            order = np.random.default_rng([spec.seed, 2, turn]).permutation(len(windows))
        some = windows.take(np.sort(order[place * size : (place + 1) * size]))
        values = subject.activations(some.tokens, some.lengths, [spec.site])[spec.site]
        yield step, values[torch.from_numpy(some.valid).to(values.device)].float()


def _checkpoint(coder: TopK, losses: list[float], folder: Path) -> None:
    """One file, so that a run that is killed finds the last whole one."""
    from safetensors.torch import save

    state = {name: tensor.cpu().contiguous() for name, tensor in coder.state().items()}
    write_bytes(folder / CHECKPOINT, save({**state, "losses": torch.tensor(losses, dtype=torch.float64)}))


def _claimed(coder: TopK, identity: dict[str, Any], folder: Path) -> list[float]:
    """The losses of the steps that a stopped run has done, whose weights are taken over; none in a new folder."""
    from safetensors.torch import load_file

    if not (folder / STATE).exists():
        if folder.exists() and any(folder.iterdir()):
            raise UserError(
                "the folder is neither empty nor a training", value=str(folder), fix="Choose another folder"
            )
        write_json(folder / STATE, identity)
        return []
    _check_same(read_json(folder / STATE, "the state of the training", "Delete the folder"), identity, folder)
    if not (folder / CHECKPOINT).exists():
        return []
    state = load_file(folder / CHECKPOINT)
    coder.restore(state)
    losses: list[float] = state["losses"].tolist()
    return losses


def _check_same(held: Any, identity: dict[str, Any], folder: Path) -> None:
    if held != json.loads(json.dumps(plain(identity))):
        raise UserError(
            "the folder holds another training", value=str(folder), fix="Choose another folder, or restore what changed"
        )


def write_saelens(coder: TopK, subject: Any, spec: TrainSpec, identity: dict[str, Any], folder: Path) -> None:
    """The dictionary as SAELens 6 writes a top-k one; ours reads back what else is known."""
    from safetensors.torch import save

    weights = {
        "W_enc": coder.encoder.T,
        "b_enc": coder.encoder_bias,
        "W_dec": coder.decoder,
        "b_dec": coder.decoder_bias,
    }
    write_bytes(folder / "sae_weights.safetensors", save({k: v.cpu().contiguous() for k, v in weights.items()}))
    metadata = {
        "sae_lens_version": "6.0.0",
        "model_name": subject.name,
        "hook_name": hook_of_site(spec.site),
        "glossator": identity,
    }
    config = {
        "architecture": "topk",
        "d_in": coder.decoder.shape[1],
        "d_sae": spec.latents,
        "k": spec.k,
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": True,
        "rescale_acts_by_decoder_norm": False,
        "normalize_activations": "none",
        "reshape_activations": "hook_z" if spec.site.startswith("head.") else "none",
        "metadata": metadata,
    }
    write_json(folder / "cfg.json", plain(config))
