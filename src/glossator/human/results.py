"""All results of human answers, recomputed from every stored answer: the `results.json` of the folder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from glossator.files import plain, write_json
from glossator.human.agreement import Judgement, agreement
from glossator.human.answers import Answers
from glossator.human.folder import HumanFolder, study_id
from glossator.human.labelling import label_of, score_label
from glossator.human.preference import choice_of, score_preference
from glossator.human.readability import score_readability
from glossator.human.screens import Rewrite, keep_rates, score_explanation_pair, score_gibberish, score_rewrites
from glossator.human.simulation import SimulationResult, score_simulation
from glossator.human.sources import unsealed
from glossator.human.steganography import steganography
from glossator.human.tasks import TaskSet
from glossator.scores import range_of
from glossator.statistics import mean_over_units, paired_difference
from glossator.store.ranking import DEFAULT_SCORES
from glossator.study.context import StudyContext
from glossator.units import parse_unit

FORMAT = "glossator-human/1"
Given = Sequence[tuple[TaskSet, Answers]]


def make_results(folder: HumanFolder, context: StudyContext, *, score: str = DEFAULT_SCORES[0]) -> dict[str, Any]:
    """Score all answers in the folder and write `results.json`; score: what preference and rewrites are held against.

    The same answers give the same bytes.
    """
    given = list(folder.answers())
    of_task: dict[str, list[tuple[TaskSet, Answers]]] = {}
    for tasks, answers in given:
        of_task.setdefault(tasks.task, []).append((tasks, answers))
    results: dict[str, Any] = {
        "format": FORMAT,
        "study": study_id(folder.study),
        "answers": [_counted(tasks, answers) for tasks, answers in given],
    }
    if some := of_task.get("simulation"):
        results["simulation"] = _simulation(some, folder, context)
    if some := of_task.get("preference"):
        results["preference"] = _preference(some, folder, context, score)
    if some := of_task.get("labelling"):
        labels = [
            score_label(*label_of(folder.key(tasks)[slot], answers.rater, text, tasks), context)
            for tasks, answers in some
            for slot, text in answers.values.items()
        ]
        results["labelling"] = {"explanations": labels}
    if some := of_task.get("gibberish"):
        found = [
            (folder.key(tasks)[slot], answers.rater, word)
            for tasks, answers in some
            for slot, word in answers.values.items()
        ]
        results["gibberish"] = score_gibberish(found)
    if some := of_task.get("readability"):
        told = [
            (folder.key(tasks)[slot], answers.rater, place)
            for tasks, answers in some
            for slot, place in answers.values.items()
        ]
        results["readability"] = score_readability(told)
    if some := of_task.get("paraphrase"):
        results["paraphrase"] = _paraphrase(some, folder, context, score)
    results = plain(results)
    write_json(folder.results_path, results)
    return results


def _counted(tasks: TaskSet, answers: Answers) -> dict[str, Any]:
    reasons = list(answers.missing.values())
    return {
        "tasks": tasks.id,
        "task": tasks.task,
        "rater": answers.rater,
        "asked": len(tasks.slots),
        "answered": len(answers.values),
        "missing": {reason: reasons.count(reason) for reason in sorted(set(reasons))},
    }


def _simulation(given: Given, folder: HumanFolder, context: StudyContext) -> dict[str, Any]:
    found, judgements = [], []
    for tasks, answers in given:
        key = folder.key(tasks)
        for item in tasks.items:
            sealed = key[item.id]
            found.append(score_simulation(item, sealed, answers.rater, answers.values, context))
            for slot, place, passage in zip(item.slots, sealed["windows"], item.passages, strict=True):
                for token, (value, counts) in enumerate(
                    zip(answers.values.get(slot, ()), passage.counts, strict=False)
                ):
                    if counts:
                        what = (sealed["unit"], item.explanation, place["window"], token)
                        judgements.append(Judgement(sealed["unit"], what, answers.rater, value))
    return {
        "explanations": found,
        "means": [_beside_machine(found, rater) for rater in dict.fromkeys(r.rater for r in found)],
        "agreement": agreement(judgements, "interval"),
    }


def _beside_machine(found: Sequence[SimulationResult], rater: str) -> dict[str, Any]:
    """One annotator's mean scores over units, beside the model's on the same windows; several explanations of one unit
    by the method's name apart."""
    means = {}
    for method in dict.fromkeys(r.method for r in found if r.rater == rater):
        own = [r for r in found if (r.rater, r.method) == (rater, method)]
        for name, measure in {s.name: s.measure for r in own for s in r.scores}.items():
            bounds = range_of(measure)
            person = [next((s.value for s in r.scores if s.name == name), None) for r in own]
            machine = [next((s.value for s in r.machine if s.name == name), None) for r in own]
            means[f"{method}: {name}"] = {
                "person": mean_over_units(person, bounds=bounds),
                "machine": mean_over_units(machine, bounds=bounds),
                "difference": paired_difference(person, machine, bounds=bounds),
            }
    return {"rater": rater, "scores": means}


def _preference(given: Given, folder: HumanFolder, context: StudyContext, score: str) -> dict[str, Any]:
    choices = []
    explanations: dict[tuple[str, str], dict[str, Any]] = {}
    for tasks, answers in given:
        key = folder.key(tasks)
        for slot, value in answers.values.items():
            choices.append(choice_of(key[slot], answers.rater, value))
            for method, sealed in key[slot]["explanations"].items():
                explanations[key[slot]["unit"], method] = sealed
    scored = {
        (unit, method): score_explanation_pair(parse_unit(unit), [unsealed(sealed)], context, score)[0]
        for (unit, method), sealed in sorted(explanations.items())
    }
    values = {place: found.value if found.name == score else None for place, found in scored.items()}
    check = steganography(choices, values, score)
    reasons = [s.reason or f"no {score}" for place, s in scored.items() if values[place] is None]
    return {
        **score_preference(choices),
        "steganography": {**plain(check), "flagged": check.flagged, "reasons": sorted(set(reasons))},
    }


def _paraphrase(given: Given, folder: HumanFolder, context: StudyContext, score: str) -> dict[str, Any]:
    """Each rewrite with both scores, and by method how much of the score is kept; unchanged texts are no rewrites."""
    rewrites = [
        Rewrite(unsealed(sealed["explanation"]), sealed["method"], text, answers.rater)
        for tasks, answers in given
        for slot, text in answers.values.items()
        for sealed in [folder.key(tasks)[slot]]
    ]
    changed = [r for r in rewrites if r.text.split() != r.explanation.text.split()]
    found = score_rewrites(changed, context, score)
    return {
        "score": score,
        "rewrites": found,
        "unchanged": len(rewrites) - len(changed),
        "methods": keep_rates(found),
    }
