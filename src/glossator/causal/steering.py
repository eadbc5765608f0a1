"""Steering: pushing a unit up or down at every token, so hard that the next-token distributions move by a set amount.

Units differ in the effect of a push of 1, and a hard enough push of anything changes everything. So effects are
compared at one mean Kullback-Leibler divergence from the clean distributions (as in Paulo et al. 2024, "Automatically
interpreting millions of features in large language models", section on intervention scoring). A bracketed search on the
logarithms of strength and divergence finds the strength; the divergence of a weak push has slope 2 there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from glossator.causal.acting import part_of
from glossator.causal.changes import Add
from glossator.causal.edits import Edit
from glossator.errors import UserError
from glossator.inputs.tokens import TokenWindows
from glossator.readouts.base import Readout
from glossator.readouts.parts import Direction, Part
from glossator.statistics import document_index
from glossator.subjects.base import known_width
from glossator.units import Unit

if TYPE_CHECKING:
    import torch

    from glossator.causal.running import CleanRun
    from glossator.subjects.transformer import TransformerSubject

TOLERANCE = 0.05
MOST_TRIES = 14
_STEEPEST, _FIRST_LEAP = 64.0, 1e4  # how far one step of the search may go, and the first one
_NOTHING = 1e-10  # nats; a mean divergence below it is the rounding of float32


@dataclass(frozen=True, eq=False)
class Push:
    """Adds a strength to a part of a site at every token; sign -1 reverses it."""

    site: str
    part: Part
    sign: int = 1

    def edit(self, strength: float, where: np.ndarray) -> Edit:
        return Edit(self.site, self.part, Add(self.sign * strength), where)

    @property
    def reversed(self) -> Push:
        return Push(self.site, self.part, -self.sign)


@dataclass(frozen=True)
class Matched:
    """The strength of a push that reaches a given divergence. strength: as found; kl: mean divergence there, in nats;
    why_not: why the target was not met, None when it was; tries: how many strengths were run."""

    strength: float
    kl: float
    tries: int
    why_not: str | None = None

    @property
    def moves_nothing(self) -> bool:
        """Whether no strength that was tried changed the outputs at all."""
        return self.why_not is not None and self.kl < _NOTHING


@dataclass(frozen=True, eq=False)
class Shift:
    """The changes that interventions make to the log-probability of every token of the vocabulary.

    clean (V,): mean log-probability without any, NaN for tokens that only the tokenizer knows; sums (interventions,
    documents, V) float32: changes summed over the valid tokens of each document; counts (documents,): how many tokens
    those are; kl (interventions,): mean KL(under the intervention || clean) in nats.
    """

    clean: np.ndarray
    sums: np.ndarray
    counts: np.ndarray
    kl: np.ndarray


def unit_push(unit: Unit, readouts: Mapping[str, Readout] | None = None) -> Push:
    """The push of a unit towards its own polarity; readouts: as for `part_of`."""
    site, part = part_of(unit, readouts)
    return Push(site, part, unit.sign)


def random_units(
    subject: TransformerSubject, site: str, n: int, seed: int, readouts: Mapping[str, Readout] | None = None
) -> dict[int, Push]:
    """Pushes of n seeded units of the site, by their index; site may be the NAME@SITE of a member of `readouts`."""
    width = readouts[site].width if readouts and site in readouts else known_width(subject.site(site))
    drawn = np.random.default_rng([seed, width]).permutation(width)[:n].tolist()
    return {i: unit_push(Unit(subject.name, site, i), readouts) for i in drawn}


def random_directions(subject: TransformerSubject, site: str, n: int, seed: int) -> list[Push]:
    """Pushes along n seeded random directions where the site's units write: the residual stream after their layer, or
    the site itself where it is part of the stream already. Matched in divergence they need no norm of their own."""
    site = site.rpartition("@")[2]
    kind, _, layer = site.partition(".")
    inside = kind in ("mlp", "head", "attn") and any(s.name == f"resid.{layer}" for s in subject.sites())
    place = f"resid.{layer}" if inside else site
    width = known_width(subject.site(place))
    vectors = np.random.default_rng([seed, width, 1]).normal(size=(n, width))
    return [Push(place, Direction(vector)) for vector in vectors]


def first_windows(windows: TokenWindows, most: int, width: int) -> TokenWindows:
    """The first `most` windows by their id, and the first `width` tokens of each: the same for all units that share
    the windows."""
    some = windows.take(np.argsort(windows.ids, kind="stable")[:most])
    return replace(
        some, tokens=some.tokens[:, :width], lengths=np.minimum(some.lengths, width), valid=some.valid[:, :width]
    )


def shift(
    clean: CleanRun, interventions: Sequence[Sequence[Edit]], *, by_document: bool = True, tokens: bool = True
) -> Shift:
    """The effect of each intervention on the outputs, compared with a clean run on its windows.

    Without `by_document` all windows are one document; without `tokens` only divergences are computed, and `clean` and
    `sums` are empty.
    """
    windows = clean.windows
    index, documents = document_index(windows.documents) if by_document else (np.zeros(len(windows), np.int64), 1)
    size = len(clean.subject.tokenizer.vocabulary) if tokens else 0
    clean_sum, sums = np.zeros(size), np.zeros((len(interventions), documents, size), np.float32)
    divergence = np.zeros(len(interventions))
    if tokens:
        for rows, log_probs in clean.clean():
            mask = _valid(windows, rows, log_probs)
            there = min(size, log_probs.shape[-1])
            clean_sum[:there] += (log_probs[..., :there] * mask).sum(dim=(0, 1)).double().cpu().numpy()
            clean_sum[there:] = np.nan
    for number, edits in enumerate(interventions):
        for rows, before, log_probs in clean.under(edits):
            change = (log_probs - before) * _valid(windows, rows, log_probs)
            divergence[number] += float((log_probs.exp() * change).sum())
            if tokens:
                there = min(size, change.shape[-1])
                np.add.at(sums[number, :, :there], index[rows], change[..., :there].sum(dim=1).cpu().numpy())
    counts = np.bincount(index, weights=windows.valid.sum(axis=1), minlength=documents)
    return Shift(clean_sum / counts.sum(), sums, counts, np.maximum(divergence / counts.sum(), 0.0))


def match_divergence(
    clean: CleanRun,
    pushes: Sequence[Push],
    target: float,
    *,
    start: float = 1.0,
    tolerance: float = TOLERANCE,
    tries: int = MOST_TRIES,
) -> list[Matched]:
    """For each push the strength at which the mean of KL(steered || clean) over the valid tokens is `target` nats.

    A push that cannot reach the target within `tolerance` (a share) comes back with its nearest strength and the
    reason. start: the first strength tried; a push begins where the one before it at the same site ended.
    """
    if not target > 0:
        raise UserError("the steering divergence must be above 0", value=target, allowed="nats, such as 0.1")
    found: list[Matched] = []
    begin = {push.site: start for push in pushes}
    for push in pushes:
        search = _Search(target, begin[push.site])
        while len(search.tried) < tries and not search.done(tolerance):
            edits = [push.edit(search.next, clean.windows.valid)]
            search.told(float(shift(clean, [edits], by_document=False, tokens=False).kl[0]))
        found.append(search.result(tolerance))
        if found[-1].why_not is None:
            begin[push.site] = found[-1].strength
    return found


class _Search:
    """The strength of one push: outwards until the target is enclosed, then inwards."""

    def __init__(self, target: float, start: float):
        self.target, self.next = target, start
        self.tried: list[tuple[float, float]] = []
        self.stopped = False

    def done(self, tolerance: float) -> bool:
        return self.stopped or (bool(self.tried) and abs(self.best[1] / self.target - 1) <= tolerance)

    @property
    def best(self) -> tuple[float, float]:
        return min(self.tried, key=lambda t: abs(math.log(max(t[1], _NOTHING) / self.target)))

    def told(self, kl: float) -> None:
        if not math.isfinite(kl):
            kl = math.inf
        self.tried.append((self.next, kl))
        below = max((t for t in self.tried if t[1] < self.target), default=None)
        above = min((t for t in self.tried if t[1] >= self.target and (below is None or t[0] > below[0])), default=None)
        if below is None:
            assert above is not None
            self.next = above[0] * max(_slope_two(above[1], self.target), 1 / _STEEPEST)
        elif above is None:
            leap = _FIRST_LEAP if len(self.tried) == 1 else _STEEPEST
            self.next = below[0] * min(max(1.1 * _slope_two(below[1], self.target), 1.1), leap)
            self.stopped = self.next > 1e12
        else:
            self.next = _between(below, above, self.target, len(self.tried) % 3 == 0)
            self.stopped = above[0] / below[0] < 1 + 1e-6

    def result(self, tolerance: float) -> Matched:
        strength, kl = self.best
        if abs(kl / self.target - 1) <= tolerance:
            return Matched(strength, kl, len(self.tried))
        if max(tried for _, tried in self.tried) < _NOTHING:
            why = f"no push up to {max(s for s, _ in self.tried):.3g} changes the outputs"
        else:
            why = f"no steering strength changes the outputs by {self.target:g} nats; {kl:.3g} at {strength:.3g}"
        return Matched(strength, kl, len(self.tried), why)


def _slope_two(kl: float, target: float) -> float:
    """The factor on the strength if divergence grew with its square."""
    return math.sqrt(target / max(kl, _NOTHING)) if math.isfinite(kl) else 0.0


def _between(below: tuple[float, float], above: tuple[float, float], target: float, middle: bool) -> float:
    """A strength inside the bracket: by the line through both ends in logarithms, or the middle."""
    low, high = math.log(below[0]), math.log(above[0])
    share = 0.5
    if not middle and math.isfinite(above[1]):
        bottom, top = math.log(max(below[1], _NOTHING)), math.log(above[1])
        share = min(max((math.log(target) - bottom) / max(top - bottom, 1e-12), 0.05), 0.95)
    return math.exp(low + share * (high - low))


def _valid(windows: TokenWindows, rows: np.ndarray, like: torch.Tensor) -> torch.Tensor:
    import torch

    return torch.from_numpy(windows.valid[rows]).to(like.device).unsqueeze(-1)
