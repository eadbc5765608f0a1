"""Replacing many units of a layer at once by their predictions: how much of the model's loss is recovered.

    (L_ablated - L_predicted) / (L_ablated - L_true)

L is the model's mean next-token cross-entropy with the true activations, with the calibrated predictions in their
place, and with mean or zero ablation. 1: the predictions do as well as the activations; 0: no better than the ablation;
below 0: worse. It scores a set of explanations, so it is a function and not a scorer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from glossator.causal.acting import InPlace
from glossator.errors import UserError
from glossator.evidence import Evidence, Split
from glossator.explanations import Explanation
from glossator.inputs.tokens import TokenWindows
from glossator.readouts.base import Readout
from glossator.scorers.ablation_trial import AblationTrial
from glossator.scorers.lab import Lab
from glossator.scores import Score
from glossator.statistics import Resampled, compare, document_index, ratio, sums_by
from glossator.units import Unit

if TYPE_CHECKING:
    from glossator.subjects.transformer import TransformerSubject

MISMATCHED = "mismatched"
BASELINES = ("mean-ablated", "zero-ablated")


def replacement(
    explained: Sequence[tuple[Unit, Explanation, Evidence]],
    lab: Lab,
    *,
    windows: int = 32,
    tokens: int | None = None,
    split: Split = "test",
    readouts: Mapping[str, Readout] | None = None,
) -> list[Score]:
    """`replacement.mean-ablated` and `replacement.zero-ablated` of these units together, intervals over documents.

    explained: units of one site, each once, with the explanation to use and evidence of the same random windows; units
    that are not named keep their true activations. windows, tokens, readouts: as in `AblationScorer`. The baseline
    gives every unit the explanation of the next one, calibrated anew. Raises `UserError` for units that cannot be put
    together.
    """
    trials = [
        AblationTrial(unit, e, lab.for_unit({}), split, windows, tokens, readouts or {}) for unit, _, e in explained
    ]
    _check([unit for unit, _, _ in explained], trials)
    for trial in trials:
        if trial.why_not is not None:
            raise UserError(f"a unit cannot be replaced: {trial.why_not}", value=str(trial.unit), fix="Leave it out")
    shared, subject = trials[0].windows, trials[0].subject
    explanations = [explanation for _, explanation, _ in explained]
    of_others = [*explanations[1:], *explanations[:1]]
    runs = {
        "predicted": [t.spliced(t.own, e) for t, e in zip(trials, explanations, strict=True)],
        "mean-ablated": [InPlace(t.unit, t.own.mean) for t in trials],
        "zero-ablated": [InPlace(t.unit, 0.0) for t in trials],
    }
    if len(trials) > 1:
        runs[MISMATCHED] = [t.spliced(t.own, e) for t, e in zip(trials, of_others, strict=True)]
    losses = token_losses(subject, shared, runs, readouts)
    return [_score(baseline, losses, shared, trials, lab) for baseline in BASELINES]


def token_losses(
    subject: TransformerSubject,
    windows: TokenWindows,
    runs: Mapping[str, Sequence[InPlace]],
    readouts: Mapping[str, Readout] | None = None,
) -> dict[str, np.ndarray]:
    """Next-token cross-entropy in nats, (t,) float64 in the order of `scored_tokens`: `true`, and each of the runs, in
    which all of its replacements are in force together."""
    import torch

    from glossator.causal.running import run_each

    names, counts = list(runs), scored_tokens(windows)
    interventions = [[one.edit(windows, readouts) for one in runs[name]] for name in names]
    found: dict[str, list[np.ndarray]] = {name: [] for name in ("true", *names)}
    for clean, edited in run_each(subject, windows, interventions):
        following = torch.from_numpy(windows.tokens[clean.rows, 1:].astype(np.int64))[..., None]
        mask = torch.from_numpy(counts[clean.rows][:, :-1])

        def keep(name: str, log_probs: torch.Tensor, following: Any = following, mask: Any = mask) -> None:
            of_next = log_probs[:, :-1].gather(-1, following.to(log_probs.device))[..., 0]
            found[name].append(-of_next[mask.to(of_next.device)].double().cpu().numpy())

        assert clean.log_probs is not None
        keep("true", clean.log_probs)
        for number, log_probs in edited:
            keep(names[number], log_probs)
    return {name: np.concatenate(parts) for name, parts in found.items()}


def scored_tokens(windows: TokenWindows) -> np.ndarray:
    """bool (n, w): valid tokens that a token of the same window follows."""
    return windows.valid & (np.arange(windows.width) < windows.lengths[:, None] - 1)


def share_explained(
    true: np.ndarray, predicted: np.ndarray, ablated: np.ndarray, index: np.ndarray, documents: int
) -> Resampled:
    """(L_ablated - L_predicted) / (L_ablated - L_true) over tokens (t,) of documents index (t,)."""
    sums = sums_by(index, documents, ablated - predicted, ablated - true)
    return ratio(sums[:, 0], sums[:, 1], reason="ablating these units does not raise the loss")


def _score(
    baseline: str, losses: Mapping[str, np.ndarray], windows: TokenWindows, trials: Sequence[AblationTrial], lab: Lab
) -> Score:
    index, documents = document_index(np.repeat(windows.documents, scored_tokens(windows).sum(axis=1)))

    def share(name: str) -> Resampled:
        return share_explained(losses["true"], losses[name], losses[baseline], index, documents)

    baselines = {MISMATCHED: share(MISMATCHED) if MISMATCHED in losses else None}
    found, values, margins = compare(share("predicted"), baselines, level=lab.level)
    how = {
        **{
            key: value for key, value in trials[0].how.items() if key in ("split", "windows", "calibration", "interval")
        },
        "site": trials[0].unit.site,
        "units": len(trials),
        "tokens": len(index),
        "loss": {name: float(values.mean()) for name, values in losses.items()},
        "seed": lab.seed,
    }
    if found.no_interval is not None:
        how["no_interval"] = found.no_interval
    return Score(
        f"replacement.{baseline}", found.value, "share of the loss", found.low, found.high, found.n, "causal", values,
        found.reason, how, margins,
    )  # fmt: skip


def _check(units: Sequence[Unit], trials: Sequence[AblationTrial]) -> None:
    if not units:
        raise UserError("no units to replace", allowed="one or more explained units of a site")
    if len({unit.site for unit in units}) > 1:
        raise UserError("units of several sites", value=sorted({u.site for u in units}), allowed="units of one site")
    if len({unit.index for unit in units}) < len(units):
        raise UserError("a unit is listed twice", allowed="each unit of the site once, with one polarity")
    first = trials[0].windows.ids
    if any(not np.array_equal(trial.windows.ids, first) for trial in trials):
        raise UserError("the units share no random windows", fix="Draw their evidence with the same EvidenceSpec")
