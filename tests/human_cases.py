"""Studies to ask about and files filled by code. Such answers prove the plumbing, nothing about people."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from glossator.human import Drawn, TaskSet, draw_tasks, export_tasks
from glossator.human.forms import FORMAT
from glossator.language_models import Request
from glossator.study import Study, run_study
from study_cases import small_spec, write_corpus


def study_of_two_methods(tiny_folder: Path, folder: Path) -> Study:
    write_corpus(tiny_folder.parent / "corpus.jsonl")
    spec = small_spec(tiny_folder, explainers=("token-list", "lookup"), options={"token-list": {"n": 8}})
    found = run_study(spec, folder, progress=False)
    assert found is not None
    return found


def exported(study: Study, task: str, out: Path, **options: Any) -> Drawn:
    drawn = draw_tasks(study, task, **options)
    export_tasks(study, drawn, out)
    return drawn


def filled(tasks: TaskSet, values: dict[str, Any], path: Path, rater: str = "ann", /, **changes: Any) -> Path:
    """A file as the page saves it."""
    names = {"format": FORMAT, "tasks": tasks.id, "study": tasks.study, "task": tasks.task}
    path.write_text(json.dumps({**names, "rater": rater, "answers": values, **changes}))
    return path


def zeros(tasks: TaskSet) -> dict[str, list[int]]:
    return {slot: [0] * len(passage.tokens) for slot, passage in tasks.slots.items() if passage is not None}


def rewording(request: Request) -> str:
    """A scripted model: every description in the same other words."""
    return "Reword " + request.messages[-1].content.splitlines()[-1] if request.messages else ""
