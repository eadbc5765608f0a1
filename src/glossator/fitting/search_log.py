"""What a search for directions did, for who looks at it later: the path of every start, what was kept, and how random
directions and principal components are explained beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from glossator.explainers import Explainer
from glossator.fitting.captured import ProjectedRecording, SiteValues
from glossator.fitting.comparison import SCORE, Scored, explain_and_score
from glossator.fitting.finding import Found
from glossator.fitting.sources import principal_directions, random_directions
from glossator.scorers.lab import Lab

SEARCH = "search.json"


def search_log(found: Found, scored: Sequence[Scored], controls: Mapping[str, Sequence[Scored]]) -> dict[str, Any]:
    """paths: for each start its rounds, with the score on the select split, what was said, and the correlations with
    the held simulation before and after the steps; kept: for each direction where it comes from and its test score;
    controls: test scores by group, 0 where the explainer abstained."""
    paths = [
        [
            {
                "select": one.select[start],
                "text": None if (said := one.explanations[start]) is None else said.text,
                "before": {split: values[start] for split, values in one.before.items()},
                "after": {split: values[start] for split, values in one.after.items()},
            }
            for one in found.rounds
        ]
        for start in range(len(found.rounds[0].select))
    ]
    kept = [
        {
            "start": start,
            "round": number,
            "select": select,
            "test": one.value(),
            "baselines": one.scores[SCORE].baselines if SCORE in one.scores else {},
            "text": None if one.explanation is None else one.explanation.text,
        }
        for start, number, select, one in zip(found.start, found.round, found.select, scored, strict=True)
    ]
    return {
        "score": SCORE,
        "paths": paths,
        "kept": kept,
        "restarted": found.restarted,
        "controls": {name: [one.value() for one in group] for name, group in controls.items()},
    }


def controls_beside(
    values: SiteValues, explainer: Explainer, lab: Lab, n: int, seed: int = 0
) -> dict[str, list[Scored]]:
    """At most n random directions, isotropic and with the activations' covariance, and principal components, explained
    and scored as found directions are."""
    if not n:
        return {}
    sets = {
        "random": random_directions("control", values, n, seed=seed),
        "random, covariance": random_directions("control", values, n, kind="covariance", seed=seed),
        "principal": principal_directions("control", values, min(n, values.width)),
    }
    return {
        name: explain_and_score(ProjectedRecording(values, one), one.units(), explainer, lab)
        for name, one in sets.items()
    }
