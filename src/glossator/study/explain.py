"""The explaining stage: draw each unit's evidence, ask every method for candidates, rank them on the select split."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from glossator.errors import MissingPower
from glossator.evidence import Evidence, ExplainEvidence, Split
from glossator.explainers import Abstained, Explained
from glossator.explanations import Explanation
from glossator.files import plain
from glossator.scorers.correlation import pooled
from glossator.scorers.lab import Lab
from glossator.scorers.sample import SETTINGS
from glossator.store.results import CLOCK, Chosen, UnitResult, as_stored
from glossator.study.tools import Tools, reason_of
from glossator.units import Unit


def explain_units(units: Sequence[Unit], tools: Tools) -> list[UnitResult]:
    """Explanations of some units, not yet scored."""
    tools.reader  # noqa: B018 - made before threads ask for it
    drawn = {unit: _draw(unit, tools) for unit in units}
    ready = {u: e for u, e in drawn.items() if isinstance(e, Evidence) and e.status == "ok"}
    answers = {name: _ask(name, ready, tools) for name in tools.spec.explainers}
    return tools.each(
        lambda unit: _result(unit, drawn[unit], {n: a[unit] for n, a in answers.items() if unit in a}, tools), units
    )


def _draw(unit: Unit, tools: Tools) -> Evidence | str:
    try:
        return tools.evidence(unit)
    except Exception as error:
        return f"evidence: {reason_of(error)}"


def _ask(name: str, ready: dict[Unit, Evidence], tools: Tools) -> dict[Unit, Explained]:
    """Ask a method about all units together; where that fails, about each alone, so that no unit spoils the others."""
    explainer, n, seed = tools.explainers[name], tools.spec.candidates, tools.spec.seed
    shown = [evidence.explain for evidence in ready.values()]
    if not shown:
        return {}
    try:
        return dict(zip(ready, explainer.explain(shown, n=n, seed=seed), strict=True))
    except Exception as error:
        tools.note(f"{name} on {len(shown)} units together: {reason_of(error)}; now each alone")

    def alone(evidence: ExplainEvidence) -> Explained:
        try:
            (answer,) = explainer.explain([evidence], n=n, seed=seed)
            return answer
        except Exception as error:
            return Abstained(f"{name}: {reason_of(error)}", failed=True)

    return dict(zip(ready, tools.each(alone, shown), strict=True))


def _result(unit: Unit, evidence: Evidence | str, answers: dict[str, Explained], tools: Tools) -> UnitResult:
    if isinstance(evidence, str):
        return UnitResult(unit, "failed", evidence)
    statistics = plain(evidence.statistics)
    if evidence.status != "ok":
        return UnitResult(unit, "insufficient", evidence.reason, statistics)
    chosen: list[Chosen] = []
    failures: list[str] = []
    abstentions: list[str] = []
    for name, answer in answers.items():
        if isinstance(answer, Abstained) and answer.failed:
            failures.append(answer.reason)
        elif isinstance(answer, Abstained):
            abstentions.append(f"{name}: {answer.reason}")
        elif not answer:
            abstentions.append(f"{name}: no explanation and no reason")
        else:
            try:
                chosen += rank(answer, evidence, tools, tools.explainers[name].ranks)
            except Exception as error:
                failures.append(f"{name}: {reason_of(error)}")
    if chosen:
        return UnitResult(unit, "ok", "; ".join(failures + abstentions), statistics, tuple(chosen))
    if failures:
        return UnitResult(unit, "failed", "; ".join(failures + abstentions), statistics)
    return UnitResult(unit, "abstained", "; ".join(abstentions), statistics)


def rank(candidates: Sequence[Explanation], evidence: Evidence, tools: Tools, ranked: bool = False) -> list[Chosen]:
    """The candidates of one method, best first by correlation on the select split, undefined ones last; ranked: the
    method has put them in order itself."""
    lab = tools.lab()
    valued = [(_on_select(candidate, evidence, lab), place, candidate) for place, candidate in enumerate(candidates)]
    if not ranked:
        valued.sort(key=lambda v: (v[0] is None, -(v[0] or 0.0), v[1]))
    for _, _, candidate in valued:
        if seconds := candidate.provenance.cost.get(CLOCK):
            tools.note(f"{candidate.provenance.method} on {candidate.unit}: {seconds:.3f} s")
    return [as_stored(candidate, tools.lexicon, place, value) for place, (value, _, candidate) in enumerate(valued)]


def _on_select(candidate: Explanation, evidence: Evidence, lab: Lab) -> float | None:
    """Pearson r on the select split's top and random windows, on its random ones where it has no top windows."""
    evidence = lab.readable([candidate], evidence, ["select"], partial(rows_ranked_on, lab))
    for setting in SETTINGS:
        trial = lab.trial(evidence, setting, "select")
        if len(trial.test):
            try:
                return pooled(trial, candidate).value
            except MissingPower:
                return None
    return None


def rows_ranked_on(lab: Lab, evidence: Evidence, split: Split = "select") -> np.ndarray:
    """Row numbers, ascending, of the windows that candidates are ranked on."""
    samples = [lab.trial(evidence, setting, split).test for setting in SETTINGS]
    return np.sort(next((sample.rows for sample in samples if len(sample)), samples[-1].rows))
