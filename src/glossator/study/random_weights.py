"""The baseline of random weights: how much of its mean score the same architecture reaches untrained.

A study of that network lies in the folder `random-weights` of the study: the same inputs, as many units of each site,
the same explainers and observational scorers. Its means are copied into the study.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from glossator.errors import UserError
from glossator.files import plain
from glossator.recording.spec import source_of
from glossator.scorers.baselines import RANDOM_WEIGHTS
from glossator.statistics import Estimate
from glossator.store.card import column_of
from glossator.store.summary import means
from glossator.subjects.named import random_name

if TYPE_CHECKING:
    from glossator.store.spec import StudySpec
    from glossator.store.study import Study
    from glossator.subjects.base import Subject

FOLDER = RANDOM_WEIGHTS
KEY = "random weights"
"""The row of `meta` that holds the means."""


@dataclass(frozen=True)
class RandomMean:
    """One mean over the units of a site of the untrained network.

    value: the mean with its interval over units, and n, how many of `units` have the score; share: the value as a share
    of the study's own mean, None where that is not above 0 or either is missing.
    """

    site: str
    polarity: str
    method: str
    score: str
    units: int
    value: Estimate
    share: float | None = None

    def __str__(self) -> str:
        where = f"{self.site}{'' if self.polarity == '+' else ' (−)'}, {self.method}, {self.score}"
        if self.value.value is None:
            return f"Random weights, {where}: – ({self.value.reason}; {self.value.n} of {self.units} units)"
        interval = "" if self.value.low is None else f" [{self.value.low:.2f}, {self.value.high:.2f}]"
        share = "" if self.share is None else f", {100 * self.share:.0f} % of the mean score"
        return (
            f"Random weights, {where}: {self.value.value:.2f}{interval}{share} "
            f"({self.value.n} of {self.units} units have a score)"
        ).replace("-0.", "−0.")


def spec_of_random(spec: StudySpec, given: Subject | None = None) -> StudySpec:
    """The spec of the study of the untrained network; given: that network, where it has no name to be loaded by.

    Raises `UserError` where every site is read by a readout, which was made for the trained one.
    """
    sites = tuple(site for site in spec.sites if source_of(site) == site)
    if not sites:
        raise UserError(
            f"{RANDOM_WEIGHTS} compares sites of the subject itself, and these are all read by readouts",
            value=", ".join(spec.sites),
            fix=f"Study a site such as {source_of(spec.sites[0])} as well, or leave out --baseline {RANDOM_WEIGHTS}",
        )
    scorers = tuple(name for name in spec.scorers if column_of(name) == "observational")
    if not scorers:
        raise UserError(f"{RANDOM_WEIGHTS} compares observational scores, and none is asked for", fix="--card both")
    kept = {name: options for name, options in spec.options.items() if name not in {*spec.scorers} - {*scorers}}
    return replace(
        spec,
        subject=random_name(spec.subject, spec.seed) if given is None else given.name,
        sites=sites,
        card="observational",
        scorers=scorers,
        options=kept,
        directions=(),
        readouts=(),
        baselines=tuple(name for name in spec.baselines if name != RANDOM_WEIGHTS),
    )


def as_fact(random: Study) -> str:
    """The means of the untrained network's study, as the study keeps them."""
    return json.dumps(plain(means(random)), ensure_ascii=False, sort_keys=True)


def beside_random_weights(study: Study) -> list[RandomMean]:
    """How far units of the untrained network get, beside the study's own means; empty where it was not asked."""
    rows = study.query("SELECT value FROM meta WHERE key = ?", KEY)
    if not rows:
        return []
    own = {(m.site, m.polarity, m.method, m.score): m.value.value for m in means(study)}
    found = []
    for one in json.loads(rows[0][0]):
        value = Estimate(**one["value"])
        beside = own.get((one["site"], one["polarity"], one["method"], one["score"]))
        known = beside is not None and beside > 0 and value.value is not None
        share = value.value / beside if known else None  # type: ignore[operator]
        found.append(RandomMean(one["site"], one["polarity"], one["method"], one["score"], one["units"], value, share))
    return found


def means_of_random(study: Study) -> list[str]:
    """A line for each site, polarity and method: the mean of the score that ranks the study's units."""
    return [str(one) for one in beside_random_weights(study) if one.score == study.ranked_by]
