"""The predictive protocol: does a label say what activates the unit, to someone who knows nothing but the label?

An author writes prompts for each label that should activate the unit, and neutral ones. The prompts of all methods are
pooled; another instance, the picker, says for each label which of them are likely to activate the unit. Only then is
the unit run. Neither author nor picker is told which method a label is of, or anything of the unit (Shaham et al. 2024,
*A multimodal automated interpretability agent*, of which this is the evaluation).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from glossator.agents.under_test import UnderTest
from glossator.errors import UserError
from glossator.explanations import Explanation
from glossator.inputs import WHOLE, Grid
from glossator.programs import Program
from glossator.statistics import Estimate, mean_over_units

PROMPTS = 7
"""Prompts of each sort that an author writes, and that a picker picks."""


@dataclass(frozen=True)
class Label:
    """What a method says of a unit. headline: in words; program: executable, None for words alone; grid: where a
    program over images is executed, the unit's; method: whose it is, which authors and pickers are not told."""

    headline: str
    program: Program | None = None
    grid: Grid = WHOLE
    method: str = ""

    @classmethod
    def of(cls, explanation: Explanation, grid: Grid = WHOLE) -> Label:
        """An explanation's headline, or else its text, with its program."""
        headline = explanation.headline
        said = explanation.text if headline is None or not headline.named else headline.text
        program = explanation.program or (headline.program if headline is not None else None)
        return cls(said, program, grid, explanation.provenance.method)


@dataclass(frozen=True)
class Written:
    """Prompts for one label: some that should activate the unit, and neutral ones. failure: why there are none."""

    activating: tuple[str, ...] = ()
    neutral: tuple[str, ...] = ()
    failure: str | None = None


class Author(Protocol):
    """Writes prompts from a label alone."""

    name: str

    def write(self, label: Label, n: int, seed: int) -> Written:
        """n prompts of each sort."""
        ...


class Picker(Protocol):
    """Says from a label alone how likely prompts are to activate the unit."""

    name: str

    def likelihood(self, label: Label, prompts: Sequence[str], seed: int) -> np.ndarray:
        """(prompts,) float64, larger for more likely; NaN for all of them if no answer can be had."""
        ...


class Judge(Protocol):
    """Says which of two labels fits what is shown better."""

    name: str

    def prefers(self, first: Label, second: Label, shown: Sequence[tuple[str, bool]], seed: int) -> float | None:
        """1.0 for the first, 0.0 for the second, 0.5 for neither, None if no answer can be had. shown: inputs, as
        prompts or texts, and whether the unit is active in each."""
        ...


@dataclass(frozen=True)
class Predicted:
    """What one label is worth, by this protocol.

    most, least: mean activation of the prompts that were picked as most and as least likely, with intervals over
    prompts; activating, neutral: of the label's own prompts; auc: how often a prompt picked as most likely gives a
    larger response than one picked as least likely, where responses are quantiles of the unit's ordinary ones, so that
    differences within its silence are ties (a wrong label may fall below one half: what others wrote rightly is in the
    pool, and it calls that unlikely); gap: mean difference of these quantiles; own: share of the most likely ones
    that were written for this label; reason: why there are no numbers.
    """

    label: Label
    most: Estimate
    least: Estimate
    activating: Estimate
    neutral: Estimate
    auc: float | None
    gap: float | None
    own: float | None
    reason: str | None = None


def predictive(
    unit: UnderTest,
    labels: Mapping[str, Label],
    author: Author,
    picker: Picker,
    draw: Callable[[Sequence[str], int], Sequence[Any]] | None = None,
    *,
    n: int = PROMPTS,
    seed: int = 0,
) -> dict[str, Predicted]:
    """Judge the labels that several methods give to one unit.

    labels: by method; draw: from prompts and a seed to the unit's inputs (`Studio.draw`), None where prompts are
    inputs; with three methods and n of 7, 42 prompts are pooled. A label for which no prompts can be written or picked
    has no numbers but a reason; its absence changes nothing for others but the size of the pool. Raises `UserError` if
    author and picker are one instance.
    """
    if author is picker:
        raise UserError("author and picker must be different instances", value=author.name)
    if unit.takes == "images" and draw is None:
        raise UserError("prompts for a unit of images must be drawn", fix="Give draw=SceneStudio().draw")
    blind = {method: replace(label, method="") for method, label in labels.items()}
    written = {method: author.write(label, n, _seed(seed, method, 0)) for method, label in blind.items()}
    # Sorted, so that the place of a prompt in the pool tells nothing of its author.
    pool = sorted({prompt for one in written.values() for prompt in (*one.activating, *one.neutral)})
    items = list(draw(pool, _seed(seed, "pool", 1))) if draw is not None else pool
    values = np.array([response.value for response in unit.respond(items)], np.float64)
    failed = [getattr(item, "failure", None) is not None for item in items]
    values[np.array(failed, bool) | ~np.isfinite(values)] = np.nan
    reference = np.sort(np.asarray(unit.reference, np.float64))
    results = {}
    for method, label in labels.items():
        if (why := written[method].failure) is not None:
            results[method] = _missing(label, f"no prompts: {why}")
            continue
        likely = picker.likelihood(blind[method], pool, _seed(seed, method, 2))
        if not np.isfinite(likely).all() or len(likely) != len(pool):
            results[method] = _missing(label, "the picker gave no usable answer")
            continue
        rng = np.random.default_rng(_seed(seed, method, 3))
        results[method] = _judged(label, written[method], pool, values, reference, likely, n, rng)
    return results


def preferred(
    first: Label, second: Label, shown: Sequence[tuple[str, bool]], judge: Judge, seed: int = 0
) -> float | None:
    """The blinded two-way preference: 1.0 for the first label, 0.0 for the second, 0.5 for neither, None where the
    judge gives no answer. The judge sees both labels without their methods, in random order."""
    swapped = bool(np.random.default_rng([seed, 5]).integers(2))
    one, other = (replace(label, method="") for label in ((second, first) if swapped else (first, second)))
    found = judge.prefers(one, other, shown, _seed(seed, "judge", 4))
    return found if found is None or not swapped else 1.0 - found


def quantiles(values: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Where responses lie among sorted ordinary ones, 0 to 1, ties counting half; NaN stays."""
    low, high = (np.searchsorted(reference, values, side) for side in ("left", "right"))
    return np.where(np.isfinite(values), (low + high) / (2 * max(len(reference), 1)), np.nan)


def auc(high: np.ndarray, low: np.ndarray) -> float | None:
    """How often a value of the first is larger than one of the second, ties half; None without values of both."""
    high, low = high[np.isfinite(high)], low[np.isfinite(low)]
    if not len(high) or not len(low):
        return None
    return float((np.sign(high[:, None] - low[None]) / 2 + 0.5).mean())


def _judged(
    label: Label, written: Written, pool: list[str], values: np.ndarray, reference: np.ndarray, likely: np.ndarray,
    n: int, rng: np.random.Generator,
) -> Predicted:  # fmt: skip
    order = np.lexsort((rng.permutation(len(pool)), -likely))
    most, least = order[:n], order[::-1][:n]
    place = {prompt: i for i, prompt in enumerate(pool)}
    own, other = ([place[p] for p in some] for some in (written.activating, written.neutral))
    levels = quantiles(values, reference)
    high, low = levels[most][np.isfinite(levels[most])], levels[least][np.isfinite(levels[least])]
    gap = float(high.mean() - low.mean()) if len(high) and len(low) else None
    return Predicted(
        label, _mean(values[most]), _mean(values[least]), _mean(values[own]), _mean(values[other]), auc(high, low), gap,
        float(np.isin(most, own).mean()), None if gap is not None else "the unit gave no numbers for these prompts",
    )  # fmt: skip


def _mean(values: np.ndarray) -> Estimate:
    return mean_over_units(values[np.isfinite(values)].tolist())


def _missing(label: Label, reason: str) -> Predicted:
    nothing = Estimate(None, n=0, reason=reason)
    return Predicted(label, nothing, nothing, nothing, nothing, None, None, None, reason)


def _seed(seed: int, name: str, role: int) -> int:
    """A seed for one role in one label's trial, which does not depend on the other labels."""
    return int(np.random.SeedSequence([seed, role, *name.encode()]).generate_state(1)[0])
