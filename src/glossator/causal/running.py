"""Running windows under interventions: one set of edits, or many of them beside one clean pass."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch

from glossator.causal.divergence import Reference, as_float
from glossator.causal.edits import BoundEdit, Edit, bind, check_outputs, editing
from glossator.causal.restart import Restart, restart_of
from glossator.errors import MissingPower, UserError
from glossator.inputs.tokens import TokenWindows
from glossator.subjects.hooks import keeping, stopping, watch
from glossator.subjects.sites import SiteInfo

if TYPE_CHECKING:
    from glossator.subjects.transformer import TransformerSubject

BATCH_TOKENS = 512

CleanPasses: TypeAlias = dict[int, tuple[torch.Tensor, dict[str, torch.Tensor]]]
"""By the number of the batch, what a clean pass gave: logits (b, w, V), and the residual stream where edited passes
start."""


@dataclass(frozen=True, eq=False)
class Batch:
    """The results of a run on some windows.

    rows (b,): row numbers in the windows; log_probs (b, w, V) float32, the next-token distribution after each window
    position, None when not asked for; values: site -> (b, w, width), after the edits. On padding both may be anything.
    """

    rows: np.ndarray
    log_probs: torch.Tensor | None
    values: dict[str, torch.Tensor] = field(default_factory=dict)


def run(
    subject: TransformerSubject,
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
    inside = slice(len(subject.prefix), len(subject.prefix) + windows.width)
    for some in batches(windows, rows, batch_tokens):
        values: dict[str, torch.Tensor] = {}
        log_probs = None
        watching = watch(subject.model, wanted, keeping(values), stop=not outputs)
        with torch.inference_mode(), editing(subject, bound, some), watching, stopping():
            log_probs = log_softmax(next_logits(subject, windows, some)) if outputs else None
            if not outputs:
                forward(subject, windows, some)
        found = {name: values[site.name][:, inside] for name, site in zip(sites, wanted, strict=True)}
        yield Batch(some, log_probs, found)


def run_each(
    subject: TransformerSubject,
    windows: TokenWindows,
    interventions: Sequence[Sequence[Edit]],
    *,
    rows: np.ndarray | None = None,
    batch_tokens: int = BATCH_TOKENS,
    restart: bool = True,
) -> Iterator[tuple[Batch, Iterator[tuple[int, torch.Tensor]]]]:
    """Many interventions beside one clean pass: for each batch of windows the clean outputs, and an iterator of
    (number of the intervention, its log_probs (b, w, V)), which must be used up before the next batch.

    Edited passes start at the first layer that they change (see `glossator.causal.restart`); without `restart`, or in
    a model that cannot be started in the middle, each is a whole pass.
    """
    bound = [bind(subject, edits, windows) for edits in interventions]
    for some, clean, edited in _each(subject, windows, bound, rows, batch_tokens, restart):
        yield Batch(some, log_softmax(clean)), ((number, log_softmax(logits)) for number, logits in edited)


def divergences(
    subject: TransformerSubject,
    windows: TokenWindows,
    interventions: Sequence[Sequence[Edit]],
    *,
    rows: np.ndarray | None = None,
    batch_tokens: int = BATCH_TOKENS,
    restart: bool = True,
    clean_passes: CleanPasses | None = None,
) -> np.ndarray:
    """Jensen-Shannon divergence, in nats, of the next-token distributions under each intervention from the clean ones:
    float32 (interventions, n, w), where n counts the rows asked for; 0 on padding. As `run_each`.

    clean_passes: what earlier calls with the same subject, windows, rows and batches kept of theirs; none is run where
    all that is needed is there.
    """
    chosen = np.arange(len(windows)) if rows is None else np.asarray(rows)
    found = np.zeros((len(interventions), len(chosen), windows.width), np.float32)
    first = 0
    bound = [bind(subject, edits, windows) for edits in interventions]
    passes = _each(subject, windows, bound, chosen, batch_tokens, restart, clean_passes)
    for some, clean, edited in passes:
        with torch.inference_mode():
            reference = Reference(clean, windows.lengths[some])
        for number, logits in edited:
            with torch.inference_mode():
                found[number, first : first + len(some)] = reference.divergence(logits).cpu().numpy()
        first += len(some)
    return found


class CleanRun:
    """Clean passes over windows, kept so that edits can be tried one after another, each depending on the effect of the
    last.

    sites: of the edits that are to come; the residual stream where passes under these start is kept as well. Holds one
    number for every token and member of the vocabulary, so it is meant for some hundred tokens. Raises `UserError` for
    windows without a valid token, `MissingPower` as `run` does.
    """

    def __init__(
        self,
        subject: TransformerSubject,
        windows: TokenWindows,
        sites: Sequence[str],
        *,
        batch_tokens: int = BATCH_TOKENS,
    ) -> None:
        check_outputs(subject)
        if not windows.valid.any():
            raise UserError("no valid tokens to intervene on", value=f"{len(windows)} windows")
        self.subject, self.windows, self._batch_tokens, self._passes = subject, windows, batch_tokens, CleanPasses()
        middle = restart_of(subject)
        starts = [_start(middle, [subject.site(site)]) for site in sites]
        self._streams = [middle.stream(layer) for layer in sorted({s for s in starts if s})] if middle else []
        for _ in self._beside([]):
            pass

    def under(self, edits: Sequence[Edit]) -> Iterator[tuple[np.ndarray, torch.Tensor, torch.Tensor]]:
        """Batch by batch (rows, clean log-probabilities, those under the edits), (b, w, V) each."""
        for some, clean, edited in self._beside([bind(self.subject, edits, self.windows)]):
            ((_, logits),) = edited
            yield some, log_softmax(clean), log_softmax(logits)

    def clean(self) -> Iterator[tuple[np.ndarray, torch.Tensor]]:
        """Batch by batch (rows, clean log-probabilities)."""
        for some, clean, _ in self._beside([]):
            yield some, log_softmax(clean)

    def _beside(self, bound: Sequence[Sequence[BoundEdit]]) -> Any:
        return _each(self.subject, self.windows, bound, None, self._batch_tokens, True, self._passes, self._streams)


def _each(
    subject: TransformerSubject,
    windows: TokenWindows,
    bound: Sequence[Sequence[BoundEdit]],
    rows: np.ndarray | None,
    batch_tokens: int,
    restart: bool,
    kept: CleanPasses | None = None,
    streams_too: Sequence[SiteInfo] = (),
) -> Iterator[tuple[np.ndarray, torch.Tensor, Iterator[tuple[int, torch.Tensor]]]]:
    """For each batch: rows, clean logits (b, w, V), and an iterator of (number, edited logits)."""
    check_outputs(subject)
    middle = restart_of(subject) if restart else None
    starts = [_start(middle, [site for edit in edits for site in edit.sites]) for edits in bound]
    own = [middle.stream(layer) for layer in sorted({s for s in starts if s})] if middle else []
    wanted = list({site.name: site for site in (*streams_too, *own)}.values())
    for batch, some in enumerate(batches(windows, rows, batch_tokens)):
        clean, streams = (kept or {}).get(batch, (None, {}))
        if clean is None or any(site.name not in streams for site in wanted):
            streams = dict(streams)
            with torch.inference_mode(), watch(subject.model, wanted, keeping(streams)):
                clean = next_logits(subject, windows, some)
            if kept is not None:
                kept[batch] = clean, streams

        def edited(some: np.ndarray = some, streams: dict[str, torch.Tensor] = streams) -> Any:
            for number, (edits, start) in enumerate(zip(bound, starts, strict=True)):
                begin: Any = contextlib.nullcontext()
                if middle is not None and start:
                    begin = middle.start(start, streams[middle.stream(start).name])
                with torch.inference_mode(), begin, editing(subject, edits, some):
                    logits = next_logits(subject, windows, some)
                yield number, logits

        yield some, clean, edited()


def _start(middle: Restart | None, sites: Sequence[SiteInfo]) -> int:
    """The block at which a pass under edits of these sites may start, 0 for a whole pass."""
    layers = [middle.layer(site) if middle else None for site in sites]
    return min((layer for layer in layers if layer is not None), default=0) if None not in layers else 0


def batches(windows: TokenWindows, rows: np.ndarray | None, batch_tokens: int) -> Iterator[np.ndarray]:
    """Row numbers in order, in batches of about `batch_tokens` tokens."""
    chosen = np.arange(len(windows)) if rows is None else np.asarray(rows)
    step = max(1, batch_tokens // max(1, windows.width))
    for start in range(0, len(chosen), step):
        yield chosen[start : start + step]


def forward(subject: TransformerSubject, windows: TokenWindows, rows: np.ndarray) -> torch.Tensor:
    """The model's outputs on these rows, prefix and suffix included: logits of a causal model."""
    return subject.model(**subject.pass_inputs(windows.tokens[rows], windows.lengths[rows]))[0]


def next_logits(subject: TransformerSubject, windows: TokenWindows, rows: np.ndarray) -> torch.Tensor:
    """Logits (b, w, V) after each window position; `MissingPower` where they are not numbers at a token of a window."""
    first = len(subject.prefix)
    logits = forward(subject, windows, rows)[:, first : first + windows.width]
    inside = np.arange(windows.width) < windows.lengths[rows][:, None]
    if not torch.isfinite(logits.amax(-1)[torch.from_numpy(inside).to(logits.device)]).all():
        raise MissingPower(
            "the subject's outputs are not finite", value=subject.name, fix="Use dtype float32, or check its weights"
        )
    return logits


def log_softmax(logits: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return torch.log_softmax(as_float(logits), dim=-1)
