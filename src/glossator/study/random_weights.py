"""The baseline of random weights: how much of its mean score the same architecture reaches untrained.

A study of that network lies in the folder `random-weights` of the study: the same inputs, as many units of each site,
the same explainers and observational scorers. Its means are copied into the study. Beside a dictionary that was trained
here stands one that is trained in the same way on the activations of that network, on the study's own text (Heap et al.
2025, arXiv 2501.17727, who found that scores of the two look alike).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from glossator.corpora import ProbeSet
from glossator.errors import UserError
from glossator.files import plain
from glossator.recording.spec import source_of
from glossator.scorers.baselines import RANDOM_WEIGHTS
from glossator.statistics import Estimate
from glossator.store.card import column_of
from glossator.store.folder import RANDOM_DICTIONARIES
from glossator.store.summary import means
from glossator.study.sources import kept_readouts
from glossator.subjects.named import open_subject, random_name

if TYPE_CHECKING:
    from glossator.fitting.train_spec import TrainSpec
    from glossator.readouts.base import Readout
    from glossator.recording import Recording
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


def trainings(readouts: Mapping[str, Readout]) -> dict[str, TrainSpec]:
    """How those of the readouts were trained that were trained here, by `NAME@SITE`."""
    from glossator.fitting.train_spec import TrainSpec

    found = {}
    for name, one in readouts.items():
        if isinstance(training := one.made.get("training"), Mapping):
            given = dict(training)
            site = given.pop("site")
            found[name] = TrainSpec(site if isinstance(site, str) else tuple(site), **given)
    return found


def spec_beside(
    spec: StudySpec, recording: Recording, folder: Path, given: Subject | None, say: Callable[[str], None]
) -> StudySpec:
    """As `spec_of_random`, with the counterparts of the study's dictionaries, which are trained first; given: the
    untrained network, where it has no name."""
    readouts = kept_readouts(recording)
    found: dict[str, str] = {}
    if trainings(readouts):
        network = given or open_subject(random_name(spec.subject, spec.seed), dtype=spec.dtype, device=spec.device)
        found = train_alike(readouts, recording, network, folder, say)
    return spec_of_random(spec, given, trained=found, readouts=found.values())


def train_alike(
    readouts: Mapping[str, Readout], recording: Recording, subject: Any, folder: Path, say: Callable[[str], None]
) -> dict[str, str]:
    """Train the counterparts of dictionaries on the network of random weights and the recording's text, `NAME@SITE` ->
    the readout; one that was stopped goes on."""
    from glossator.fitting.dictionaries import train

    groups = recording.windows.groups
    split_of_group = np.zeros(int(groups.max()) + 1, np.int8)
    split_of_group[groups] = recording.split_of_input
    probes = ProbeSet(recording.windows, [str(i) for i in range(len(split_of_group))], split_of_group,
                      dict(recording.spec.windows))  # fmt: skip
    found = {}
    for name, spec in trainings(readouts).items():
        place = folder / RANDOM_DICTIONARIES / name
        say(f"{name} is trained in the same way on the network of random weights: {spec.steps} steps.")
        train(subject, probes, spec, place)
        found[name] = f"dictionary:{place}@{source_of(name)}"
    return found


def spec_of_random(
    spec: StudySpec,
    given: Subject | None = None,
    *,
    trained: Collection[str] = (),
    readouts: Collection[str] = (),
) -> StudySpec:
    """The spec of the study of the untrained network; given: that network, where it has no name to be loaded by;
    trained: sites of dictionaries that have a counterpart, and readouts: these.

    Raises `UserError` where every site is read by a readout that was made for the trained one.
    """
    sites = tuple(site for site in spec.sites if source_of(site) == site or site in trained)
    if not sites:
        raise UserError(
            f"{RANDOM_WEIGHTS} compares sites of the subject itself and of dictionaries that were trained here, and "
            "there are none",
            value=", ".join(spec.sites),
            fix=f"Study {source_of(spec.sites[0])} as well, or what glossator dictionary train makes, or leave out "
            f"--baseline {RANDOM_WEIGHTS}",
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
        readouts=tuple(readouts),
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
