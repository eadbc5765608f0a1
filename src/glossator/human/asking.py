"""The tasks as the explorer asks them: drawn for its label page, and answers from there kept and scored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from glossator.errors import UserError
from glossator.human.answers import check
from glossator.human.folder import HumanFolder, study_id
from glossator.human.forms import FORMAT, AnswerFile
from glossator.human.pages import payload
from glossator.human.tasks import TITLES, WITH_PICTURES
from glossator.study import Study

FROM_PAGE = "the label page"


class Asking:
    """What `glossator serve` and `glossator export` ask annotators with."""

    def kinds(self, study: Study) -> dict[str, str]:
        """The tasks that a study has something to ask for, with their titles; none without tokens or images."""
        try:
            inputs = study.recording.inputs.kind
        except UserError:
            return {}
        if inputs == "images":
            return {task: TITLES[task] for task in WITH_PICTURES}
        return TITLES if inputs == "tokens" else {}

    def draw(self, study: Study, task: str, units: str | None, seed: int) -> dict[str, Any]:
        """Draw a task set, keep it and its key in the study, and return what an annotator may see."""
        from glossator.human import draw_tasks

        drawn = draw_tasks(study, task, units=units or None, seed=seed)
        folder = HumanFolder(study)
        with folder.alone():
            folder.keep(drawn)
        return payload(drawn.tasks)

    def stored(self, study: Study, tasks: str) -> dict[str, Any]:
        """A task set that was drawn before."""
        return payload(HumanFolder(study).tasks(tasks, study_id(study)))

    def all_stored(self, study: Study) -> Iterator[dict[str, Any]]:
        """Every task set that lies in the study."""
        for path in sorted((HumanFolder(study).path / "tasks").glob("*.json")):
            yield self.stored(study, path.stem)

    def keep(self, study: Study, given: Mapping[str, Any], replace: bool) -> dict[str, Any]:
        """Check answers, keep them under the annotator's name, and score all answers that the study has.

        given: as the file that a page saves; replace: whether they take the place of earlier ones by the same person.
        Returns what was answered, and why it could not be scored, None where it was. Raises `UserError` before anything
        is kept.
        """
        from glossator.human.results import make_results
        from glossator.study.context import StudyContext

        if given.get("format") != FORMAT:
            raise UserError("the answers have another format", value=str(given.get("format"))[:80], allowed=FORMAT)
        folder = HumanFolder(study)
        named = {name: str(given[name]) for name in ("tasks", "study", "task")}
        values = AnswerFile(FROM_PAGE, **named, rater=str(given["rater"]), values=given["answers"])
        answers = check(values, folder.tasks(named["tasks"], named["study"]))
        unscored = None
        with folder.alone():
            new = folder.add_all([answers], replace=replace)
            try:
                make_results(folder, StudyContext.to_show(study))
            except UserError as error:
                unscored = str(error)
        return {
            "rater": answers.rater,
            "answered": len(answers.values),
            "asked": len(answers.values) + len(answers.missing),
            "new": bool(new),
            "unscored": unscored,
        }
