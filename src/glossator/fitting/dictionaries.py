"""Training a dictionary on the activations of a site, streamed from the model and resumable.

Every kind of dictionary is trained by this one loop (`fitting.train_spec` names them). Only windows of the explain
split are trained on, cut as a study of the same text cuts them; how is written beside the dictionary, so that a study
whose test documents it has seen is refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from glossator import __version__
from glossator.corpora import ProbeSet
from glossator.errors import UserError
from glossator.evidence import SPLITS
from glossator.files import plain, read_json, write_bytes, write_json
from glossator.fitting.captured import CUT
from glossator.fitting.coder import Batch, Coder
from glossator.fitting.dictionary_writing import write_dictionary
from glossator.fitting.train_spec import TrainSpec
from glossator.inputs import TokenWindows
from glossator.readouts.formats import load_dictionary
from glossator.subjects.base import known_width

if TYPE_CHECKING:
    from glossator.subjects.transformer import TransformerSubject

CHECKPOINT, STATE, REPORT = "checkpoint.safetensors", "checkpoint.json", "training.json"
CURVES = ("fvu_of_batches", "l0_of_batches", "dead_share_of_batches")
"""What a report says of each step."""
NAMES = {"factors": "factors", "nmf": "nmf", "ica": "ica", "pca": "pca"}
"""Of dictionaries that are neither autoencoders nor transcoders."""
MEMORY = 1 << 30
"""Bytes of values that are kept for the next reading of the text."""


def train(
    subject: TransformerSubject,
    probes: ProbeSet,
    spec: TrainSpec,
    folder: str | Path,
    *,
    note: Callable[[int, float | None], None] = lambda step, fvu: None,
) -> dict[str, Any]:
    """Train and write the dictionary (`fitting.dictionary_writing`) and `training.json`; returns what the last one
    holds.

    A run that was stopped goes on after its last checkpoint and ends with the same bytes; a finished one of the same
    spec is read. note: called after each step with its number and the unexplained share of its batch, None for
    components. Raises `UserError` for a folder with something else, and for a text without enough windows.
    """
    folder = Path(folder)
    identity = _identity(subject, probes, spec)
    if (folder / REPORT).exists():
        found: dict[str, Any] = read_json(folder / REPORT, "the report of the training", "Train again")
        _check_same(found.get("made"), identity, folder)
        return found
    width, written = _widths(subject, spec)
    coder = spec.coder(width, written, subject.device)
    curves = _claimed(coder, identity, folder)
    for step, batch, last in batches(subject, probes, spec, coder):
        if not (torch.isfinite(batch.values).all() and torch.isfinite(batch.targets).all()):
            raise UserError(f"{', '.join(spec.sites)} gave values that are not finite", fix="Use dtype float32")
        if step == 0:
            coder.start(batch)
        fvu = coder.step(batch, spec.rate_at(step))
        dead = len(coder.dead) / len(coder.silent)
        curves.append([np.nan if value is None else value for value in (fvu, coder.l0, dead)])
        note(step, fvu)
        if coder.steps % spec.every == 0 and not last:
            _checkpoint(coder, curves, folder)
    name = NAMES.get(spec.kind) or ("sae" if spec.writes_at is None else "transcoder")
    sites: dict[str, Any] = {"reads_at": spec.sites[0], "writes_at": spec.writes_at or spec.sites[0]}
    sites |= {"sites": spec.sites} if len(spec.sites) > 1 else {}
    write_dictionary(coder.dictionary(name=name, subject=subject.name, made=identity, **sites), folder)
    report = {
        "made": identity,
        "steps": coder.steps,
        **{name: [None if np.isnan(one) else one for one in curve]
           for name, curve in zip(CURVES, zip(*curves, strict=True), strict=True)},
        "dead_share": len(coder.dead) / len(coder.silent),
        "held_out": _held_out(folder, subject, probes, spec),
    }  # fmt: skip
    write_json(folder / REPORT, plain(report))
    for name in (CHECKPOINT, STATE):
        (folder / name).unlink(missing_ok=True)
    return read_json(folder / REPORT, "the report of the training", "Train again")


def _widths(subject: TransformerSubject, spec: TrainSpec) -> tuple[int, int | None]:
    """Of what is read, and of what a transcoder writes."""
    widths = {name: known_width(subject.site(name)) for name in spec.sites}
    if len(set(widths.values())) > 1:
        raise UserError("the sites have different widths", value=widths, fix="Choose sites of one width")
    written = None if spec.writes_at is None else known_width(subject.site(spec.writes_at))
    return widths[spec.sites[0]], written


def _held_out(folder: Path, subject: TransformerSubject, probes: ProbeSet, spec: TrainSpec) -> dict[str, Any]:
    """What is measured on the select split: of several sites, each by itself and what is the mean over them."""
    from glossator.fitting.dictionary_measures import measures

    windows = _rows(probes, "select")
    found = {site: measures(load_dictionary(folder, site=site), subject, windows) for site in spec.sites}
    first = found[spec.sites[0]]
    if len(found) == 1:
        return first
    means = {name: _mean([one[name] for one in found.values()]) for name in ("fvu", "l0", "silent_share")}
    return {"tokens": first["tokens"], **means, "loss": None, "loss_recovered": None, "by_site": found,
            "reason": "one site is replaced at a time, see by_site"}  # fmt: skip


def _identity(subject: TransformerSubject, probes: ProbeSet, spec: TrainSpec) -> dict[str, Any]:
    """What decides every byte of the weights, but the machine."""
    return {
        "subject": subject.name,
        "subject_fingerprint": subject.fingerprint,
        "site": spec.site if isinstance(spec.site, str) else list(spec.sites),
        "text": {key: probes.spec[key] for key in CUT if key in probes.spec},
        "training": plain(spec),
        "glossator": __version__,
    }


def _rows(probes: ProbeSet, split: str) -> TokenWindows:
    return probes.windows.take(np.flatnonzero(probes.split_of_input == SPLITS.index(split)))


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if len(known) == len(values) else None


def batches(
    subject: TransformerSubject, probes: ProbeSet, spec: TrainSpec, coder: Coder
) -> Iterator[tuple[int, Batch, bool]]:
    """The step, about `batch` tokens, and whether they are the last, from where the coder stands: the windows in a
    seeded order, another one each time round."""
    windows = subject.counted(_rows(probes, "explain"))
    size = max(1, spec.batch // (windows.width * len(spec.sites)))
    each = len(windows) // size
    if each < 1:
        raise UserError(
            "the text has fewer windows than a batch",
            value=len(windows),
            allowed=f"{size} or more of the explain split",
        )
    steps = min(spec.steps, each) if coder.one_pass else spec.steps
    source = _Values(subject, windows, spec, size, again=steps > each)
    worth = _balance(windows) if spec.kind == "factors" else np.ones(int(windows.tokens.max()) + 1, np.float32)
    order, turn = source.order, 0
    for step in range(coder.steps, steps):
        if step // each != turn:
            turn = step // each
            order = np.random.default_rng([spec.seed, 2, turn]).permutation(len(windows))
        rows = np.sort(order[step % each * size : (step % each + 1) * size])
        at = source.of(rows)
        values = torch.cat([at[name] for name in spec.sites])
        some = windows.take(rows)
        weights = torch.from_numpy(worth[some.tokens[some.valid]]).to(values.device).repeat(len(spec.sites))
        targets = values if spec.writes_at is None else at[spec.writes_at]
        yield step, Batch(values, targets, weights), step + 1 == steps


class _Values:
    """The values of windows at the sites that are trained on. What is read more than once is kept in memory if it fits:
    as it was computed for the first reading, so that a resumed run has the same numbers."""

    def __init__(self, subject: TransformerSubject, windows: TokenWindows, spec: TrainSpec, size: int, *, again: bool):
        self.subject, self.windows, self.size = subject, windows, size
        self.sites = [*spec.sites, *([spec.writes_at] if spec.writes_at else [])]
        self.order = np.random.default_rng([spec.seed, 2, 0]).permutation(len(windows))
        self.place = np.empty(len(windows), np.int64)
        self.place[self.order] = np.arange(len(windows)) // size
        widths = sum(known_width(subject.site(name)) for name in self.sites)
        self.keep = again and int(windows.valid.sum()) * widths * 4 <= MEMORY
        self.kept: dict[int, dict[str, torch.Tensor]] = {}

    def of(self, rows: np.ndarray) -> dict[str, torch.Tensor]:
        """site -> (tokens, width) float32, window by window; rows ascending."""
        if not self.keep:
            return {name: torch.cat(parts) for name, parts in self._computed(rows).items()}
        for place in np.unique(self.place[rows]):
            first = np.sort(self.order[place * self.size : (place + 1) * self.size])
            if int(first[0]) not in self.kept:
                found = self._computed(first)
                self.kept |= {int(row): {name: found[name][i] for name in found} for i, row in enumerate(first)}
        return {name: torch.cat([self.kept[int(row)][name] for row in rows]) for name in self.sites}

    def _computed(self, rows: np.ndarray) -> dict[str, list[torch.Tensor]]:
        """By site and window, (tokens of the window, width)."""
        some = self.windows.take(rows)
        found = self.subject.activations(some.tokens, some.lengths, self.sites)
        masks = [torch.from_numpy(valid) for valid in some.valid]
        return {
            name: [one[mask.to(one.device)].float() for one, mask in zip(values, masks, strict=True)]
            for name, values in found.items()
        }


def _balance(windows: TokenWindows) -> np.ndarray:
    """float32 (vocabulary,): how much a token counts, the inverse root of its occurrences, 1 on average over the
    text."""
    counts = np.bincount(windows.tokens[windows.valid], minlength=int(windows.tokens.max()) + 1)
    worth = 1 / np.sqrt(np.maximum(counts, 1))
    return (worth * counts.sum() / max(float((worth * counts).sum()), 1e-12)).astype(np.float32)


def _checkpoint(coder: Coder, curves: list[list[float]], folder: Path) -> None:
    """One file, so that a run that is killed finds the last whole one."""
    from safetensors.torch import save

    state = {name: tensor.cpu().contiguous() for name, tensor in coder.state().items()}
    write_bytes(folder / CHECKPOINT, save({**state, "curves": torch.tensor(curves, dtype=torch.float64)}))


def _claimed(coder: Coder, identity: dict[str, Any], folder: Path) -> list[list[float]]:
    """What was noted of the steps that a stopped run has done (`CURVES`), whose weights are taken over; nothing in a
    new folder, or where no step was kept."""
    from safetensors.torch import load_file

    if not (folder / STATE).exists() and folder.exists() and any(folder.iterdir()):
        raise UserError("the folder is neither empty nor a training", value=str(folder), fix="Choose another folder")
    if not (folder / CHECKPOINT).exists():
        write_json(folder / STATE, identity)
        return []
    _check_same(read_json(folder / STATE, "the state of the training", "Delete the folder"), identity, folder)
    state = load_file(folder / CHECKPOINT)
    coder.restore(state)
    if "losses" in state:  # of an earlier version, which noted nothing else
        return [[loss, np.nan, np.nan] for loss in state["losses"].tolist()]
    curves: list[list[float]] = state["curves"].tolist()
    return curves


def _check_same(held: Any, identity: dict[str, Any], folder: Path) -> None:
    if held != json.loads(json.dumps(plain(identity))):
        raise UserError(
            "the folder holds another training", value=str(folder), fix="Choose another folder, or restore what changed"
        )
