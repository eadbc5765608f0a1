"""Human annotators: export tasks from a finished study, import answers, score them as models are scored.

drawn = draw_tasks(study, "simulation", seed=0)       # what to ask, and the sealed key
manifest = export_tasks(study, drawn, folder)         # a page, a form and a manifest for annotators
results = import_answers(study, [answer_file, ...])        # scores, agreement, checks; kept in the study
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glossator.errors import UserError
from glossator.explanations import Explanation
from glossator.files import write_bytes
from glossator.human.answers import Answers, check, read_answer_file
from glossator.human.folder import HumanFolder, secret_of, study_id, write_export
from glossator.human.tasks import TASKS, WITH_PICTURES, Drawn, TaskSet, check_task
from glossator.study import Study
from glossator.units import Unit

if TYPE_CHECKING:
    from glossator.study.context import StudyContext
    from glossator.study.models import Access

__all__ = [
    "TASKS", "Answers", "Drawn", "HumanFolder", "TaskSet", "draw_tasks", "export_tasks", "import_answers", "paraphrase",
    "settings_of",
]  # fmt: skip


def draw_tasks(study: Study, task: str, *, units: str | None = None, seed: int = 0, settings: Any = None) -> Drawn:
    """A task set of a study and its key; the same study, seed and settings give the same one.

    units: `all`, a number, or names between commas; None: as many as one sitting takes. settings: the task's own
    dataclass, None for its defaults. `UserError` when the study has nothing to ask.
    """
    from glossator.human.readability import importance
    from glossator.human.sources import Source
    from glossator.study.context import StudyContext
    from glossator.study.sources import check_finished

    draw, defaults, default = _kind(task)
    check_finished(study.spec, study.folder)
    labels = imported_labels(study) if task != "labelling" else {}
    context = StudyContext.of(study.spec, study.recording)
    if context.recording.inputs.kind == "images" and task not in WITH_PICTURES:
        raise UserError(
            "this task is about tokens, and the study is of images", value=task, allowed=", ".join(WITH_PICTURES)
        )
    source = Source(study, context, study_id(study), secret_of(study), seed, labels)
    size = importance(source) if task == "readability" else None
    chosen = source.units(units, default, explained=task != "labelling", size=size)
    return draw(source, chosen, settings or defaults())


def settings_of(task: str) -> Any:
    """The dataclass of a task's settings; `UserError` when there is no such task."""
    return _kind(task)[1]


def _kind(task: str) -> tuple[Any, Any, int]:
    """How a task is drawn, its settings, and how many units one sitting takes."""
    from glossator.human import labelling, preference, readability, screens, simulation

    kinds: dict[str, tuple[Any, Any, int]] = {
        "simulation": (simulation.draw_simulation, simulation.SimulationSettings, simulation.UNITS),
        "preference": (preference.draw_preference, preference.PreferenceSettings, preference.UNITS),
        "labelling": (labelling.draw_labelling, labelling.LabellingSettings, labelling.UNITS),
        "gibberish": (screens.draw_gibberish, screens.ScreenSettings, screens.UNITS),
        "paraphrase": (screens.draw_paraphrase, screens.ScreenSettings, screens.UNITS),
        "readability": (readability.draw_readability, readability.ReadabilitySettings, readability.UNITS),
    }
    return kinds[check_task(task)]


def export_tasks(study: Study, drawn: Drawn, out: str | Path) -> dict[str, Any]:
    """Write what annotators get into `out`, keep the task set and its key in the study, and return the manifest."""
    out, folder = Path(out), HumanFolder(study)
    if out.resolve().is_relative_to(folder.path.resolve()):
        raise UserError("cannot export into the study's human folder, which holds the keys", value=str(out))
    folder.keep(drawn)
    return write_export(drawn, out, folder.path / "keys" / f"{drawn.tasks.id}.json")


def import_answers(
    study: Study,
    files: Sequence[str | Path],
    *,
    rater: str | None = None,
    replace_old: bool = False,
    lm: str | None = None,
    simulator: str | None = None,
    score: str | None = None,
    access: Access | None = None,
) -> dict[str, Any]:
    """Check answer files, keep their answers in the study, and score all answers that it has.

    rater: the annotator's name for files that have none; replace_old: new answers of the same person take the place of
    old ones; lm, simulator: what reads explanations in words, None for the study's own; score: what preferences and
    rewrites are held against, None for the study's headline; access: how language models are paid for. All files are
    checked before any is kept.
    """
    from glossator.human.report import write_people_report
    from glossator.human.results import make_results
    from glossator.store.ranking import DEFAULT_SCORES

    folder = HumanFolder(study)
    read: dict[tuple[str, str], Answers] = {}
    for path in map(Path, files):
        answer_file = read_answer_file(path)
        answers = check(answer_file, folder.tasks(answer_file.tasks, answer_file.study), rater)
        place = (answers.tasks, answers.rater)
        if place in read and read[place] != answers:
            raise UserError("two files by one annotator answer the same tasks", value=str(path), fix="Give one of them")
        read[place] = answers
    with folder.alone(), opened_context(study, lm, simulator, access) as context:
        new = folder.add_all(list(read.values()), replace=replace_old)
        results = make_results(folder, context, score=score or DEFAULT_SCORES[0])
    report = write_people_report(study, results)
    return {**results, "imported": new, "unchanged": len(read) - new, "report": str(report)}


def paraphrase(
    study: Study,
    lm: str,
    *,
    units: str | None = None,
    seed: int = 0,
    simulator: str | None = None,
    score: str | None = None,
    access: Access | None = None,
    settings: Any = None,
) -> dict[str, Any]:
    """The paraphrase screen with a language model instead of annotators; it also reads both texts, unless the study has
    a simulator of its own."""
    from glossator.human.report import write_people_report
    from glossator.human.results import make_results
    from glossator.human.rewriting import rewrite_all
    from glossator.store.ranking import DEFAULT_SCORES

    drawn = draw_tasks(study, "paraphrase", units=units, seed=seed, settings=settings)
    folder = HumanFolder(study)
    with opened_context(study, lm, simulator, access) as context:
        answers = rewrite_all(drawn.tasks, context.resources.lm)
        with folder.alone():
            folder.keep(drawn)
            folder.add_all([answers], replace=True)
            results = make_results(folder, context, score=score or DEFAULT_SCORES[0])
    return {**results, "report": str(write_people_report(study, results))}


@contextlib.contextmanager
def opened_context(
    study: Study, lm: str | None, simulator: str | None, access: Access | None
) -> Iterator[StudyContext]:
    """The study's context, with another language model or simulator of English where one is given.

    Answers of language models are kept in the `human` folder, which begins with a copy of the study's: the study itself
    stays as it is.
    """
    from glossator.store.folder import ANSWERS
    from glossator.study.context import StudyContext
    from glossator.study.models import StudyModels

    spec = replace(study.spec, lm=lm or study.spec.lm, simulator=simulator or study.spec.simulator)
    own, theirs = HumanFolder(study).path / ANSWERS, study.folder / ANSWERS
    if spec.language_models and theirs.exists() and not own.exists():
        write_bytes(own, theirs.read_bytes())
    own.parent.mkdir(parents=True, exist_ok=True)
    with StudyModels(spec.language_models, access, own.parent) as models:
        models.remember(study.manifest.get("language_models"), but=lm)  # what a study names is not imported
        context = StudyContext.of(spec, study.recording, models=models)
        if simulator is not None and study.spec.simulator is None:
            context.simulator.every = False  # it is for words alone: programs are executed as they were in the study
        yield context


def imported_labels(study: Study) -> dict[Unit, list[Explanation]]:
    """Human explanations that were imported before, by unit."""
    from glossator.human.labelling import label_of

    folder = HumanFolder(study)
    found: dict[Unit, list[Explanation]] = {}
    for tasks, answers in folder.answers():
        if tasks.task == "labelling":
            key = folder.key(tasks)
            for slot, text in answers.values.items():
                label, _ = label_of(key[slot], answers.rater, text, tasks)
                found.setdefault(label.unit, []).append(label)
    return found
