"""Running windows under interventions: one set of edits, or many of them beside one clean pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from glossator.causal.divergence import jensen_shannon
from glossator.causal.edits import Edit, bind, check_outputs, editing
from glossator.subjects.hooks import stopping, watch
from glossator.windows import TokenWindows

BATCH_TOKENS = 1024


@dataclass(frozen=True, eq=False)
class Batch:
    """What a run gave for some windows.

    rows (b,): row numbers in the windows; log_probs (b, w, V) float32, the next-token distribution after each window
    position, None when not asked for; values: site -> (b, w, width), after the edits. On padding both may be anything.
    """

    rows: np.ndarray
    log_probs: torch.Tensor | None
    values: dict[str, torch.Tensor] = field(default_factory=dict)


def run(
    subject: Any,
    windows: TokenWindows,
    edits: Sequence[Edit] = (),
    *,
    sites: Sequence[str] = (),
    rows: np.ndarray | None = None,
    outputs: bool = True,
    batch_tokens: int = BATCH_TOKENS,
) -> Iterator[Batch]:
    """Run windows under edits that are all in force at once, batch by batch.

    sites: whose values are wanted; rows: which windows, all by default; without `outputs` the pass ends after the last
    of `sites`. Raises `UserError` for edits that do not fit, windows beyond the model's context, and, asked for
    outputs, `MissingPower` for a model that has no next-token distribution.
    """
    bound = bind(subject, edits, windows)
    if outputs:
        check_outputs(subject)
    wanted = [subject.site(name) for name in sites]
    for some in batches(windows, rows, batch_tokens):
        values: dict[str, torch.Tensor] = {}
        log_probs = None
        watching = watch(subject.model, wanted, values.__setitem__, stop=not outputs)
        with torch.inference_mode(), editing(subject, bound, some), watching, stopping():
            logits = forward(subject, windows, some)
            log_probs = log_softmax(subject, logits, windows.width) if outputs else None
        inside = slice(len(subject.prefix), len(subject.prefix) + windows.width)
        found = {name: values[site.name][:, inside] for name, site in zip(sites, wanted, strict=True)}
        yield Batch(some, log_probs, found)


def run_each(
    subject: Any,
    windows: TokenWindows,
    interventions: Sequence[Sequence[Edit]],
    *,
    rows: np.ndarray | None = None,
    batch_tokens: int = BATCH_TOKENS,
) -> Iterator[tuple[Batch, Iterator[tuple[int, torch.Tensor]]]]:
    """Many interventions beside one clean pass: for each batch of windows the clean outputs, and an iterator of
    (number of the intervention, its log_probs (b, w, V)), which must be used up before the next batch."""
    check_outputs(subject)
    bound = [bind(subject, edits, windows) for edits in interventions]
    for some in batches(windows, rows, batch_tokens):
        with torch.inference_mode():
            clean = log_softmax(subject, forward(subject, windows, some), windows.width)

        def edited(some: np.ndarray = some) -> Iterator[tuple[int, torch.Tensor]]:
            for number, edits in enumerate(bound):
                with torch.inference_mode():
                    with editing(subject, edits, some):
                        logits = forward(subject, windows, some)
                    log_probs = log_softmax(subject, logits, windows.width)
                yield number, log_probs

        yield Batch(some, clean), edited()


def divergences(
    subject: Any,
    windows: TokenWindows,
    interventions: Sequence[Sequence[Edit]],
    *,
    rows: np.ndarray | None = None,
    batch_tokens: int = BATCH_TOKENS,
) -> np.ndarray:
    """Jensen-Shannon divergence, in nats, of the next-token distributions under each intervention from the clean ones:
    float32 (interventions, n, w), where n counts the rows asked for; 0 on padding."""
    chosen = np.arange(len(windows)) if rows is None else np.asarray(rows)
    found = np.zeros((len(interventions), len(chosen), windows.width), np.float32)
    first = 0
    for clean, edited in run_each(subject, windows, interventions, rows=chosen, batch_tokens=batch_tokens):
        end = first + len(clean.rows)
        assert clean.log_probs is not None
        for number, log_probs in edited:
            found[number, first:end] = jensen_shannon(clean.log_probs, log_probs).cpu().numpy()
        first = end
    real = np.arange(windows.width) < windows.lengths[chosen][:, None]
    return np.where(real, found, np.float32(0))


def batches(windows: TokenWindows, rows: np.ndarray | None, batch_tokens: int) -> Iterator[np.ndarray]:
    """Row numbers in their order, so many at a time that `batch_tokens` tokens are run at once."""
    chosen = np.arange(len(windows)) if rows is None else np.asarray(rows)
    step = max(1, batch_tokens // max(1, windows.width))
    for start in range(0, len(chosen), step):
        yield chosen[start : start + step]


def forward(subject: Any, windows: TokenWindows, rows: np.ndarray) -> torch.Tensor:
    """The model's outputs on these rows, prefix and suffix included: logits of a causal model."""
    inputs = subject.model_inputs(windows.tokens[rows], windows.lengths[rows])
    if subject.causal:
        inputs["use_cache"] = False
    return subject.model(**inputs)[0]


def log_softmax(subject: Any, logits: torch.Tensor, width: int) -> torch.Tensor:
    """(b, w, V) float32 (float64 of a float64 model) log-probabilities at the window positions."""
    before = len(subject.prefix)
    inside = logits[:, before : before + width]
    return torch.log_softmax(inside if inside.dtype == torch.float64 else inside.float(), dim=-1)
