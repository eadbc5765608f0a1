"""The `human` folder of a study: task sets, their sealed keys, answers, and the results computed from them.

tasks/ID.json           what was asked, as on the page
keys/ID.json            which unit, method and window each item is; never exported
answers/ID.NAME.json    what one person answered, valid answers only, with what is missing
results.json            all scores, rebuilt from the files above whenever answers come in
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from glossator.errors import UserError
from glossator.files import alone, fingerprint, plain, sha256_of, write_bytes, write_json
from glossator.human.answers import Answers
from glossator.human.forms import FORMAT as ANSWERS_FORMAT
from glossator.human.tasks import FORMAT, Drawn, TaskSet, from_plain, to_plain
from glossator.store.folder import PEOPLE
from glossator.study import Study

FOLDER = PEOPLE
RESULTS = "results.json"
MANIFEST = "manifest.json"
LONGEST_ID = 64


def study_id(study: Study) -> str:
    """Identifies the study of a task set by its spec and recording, without revealing results."""
    return fingerprint({"spec": study.manifest["fingerprint"], "recording": study.manifest["recording"]})


def secret_of(study: Study) -> str:
    """A digest of the study's results, which only its holder knows."""
    return sha256_of(study.path)


class HumanFolder:
    """Reads and writes the `human` folder of one study."""

    def __init__(self, study: Study):
        self.study = study
        self.path = study.folder / FOLDER

    @property
    def results_path(self) -> Path:
        return self.path / RESULTS

    def alone(self) -> contextlib.AbstractContextManager[None]:
        """Within, nobody else adds answers or scores them, so that results are of all answers that are there."""
        return alone(self.path, "answers")

    def keep(self, drawn: Drawn) -> None:
        """Store a task set and its key; the same one again changes nothing."""
        write_json(self.path / "keys" / f"{drawn.tasks.id}.json", plain(drawn.key))
        write_json(self.path / "tasks" / f"{drawn.tasks.id}.json", to_plain(drawn.tasks))

    def tasks(self, wanted: str, study: str) -> TaskSet:
        """The task set that answers are of; `UserError` when it is another study's or was never exported from here."""
        if study != (own := study_id(self.study)):
            raise UserError("the answers belong to another study", value=study, allowed=f"{own} ({self.study.folder})")
        path = self.path / "tasks" / f"{wanted}.json"
        if not wanted.isalnum() or len(wanted) > LONGEST_ID or not path.exists():
            raise UserError(
                "no such task set in this study", value=wanted, fix="Export the tasks from this folder of the study"
            )
        return from_plain(_read(path))

    def key(self, tasks: TaskSet) -> dict[str, dict[str, Any]]:
        """{item id: which unit, method and windows it is}."""
        return _read(self.path / "keys" / f"{tasks.id}.json")["items"]

    def add_all(self, given: Sequence[Answers], *, replace: bool = False) -> int:
        """Store human answers and return how many are new.

        Raises `UserError` before anything is stored if there are other answers under the same name, unless `replace`.
        """
        new = []
        for answers in given:
            path = self.path / "answers" / f"{answers.tasks}.{answers.rater}.json"
            content = {"format": ANSWERS_FORMAT, **plain(answers)}
            if path.exists() and not replace and _read(path) != content:
                raise UserError(
                    "this annotator has already answered these tasks differently",
                    value=answers.rater,
                    fix="Add --replace to replace the answers, or --rater to name another annotator",
                )
            if not path.exists() or _read(path) != content:
                new.append((path, content))
        for path, content in new:
            write_json(path, content)
        return len(new)

    def answers(self) -> Iterator[tuple[TaskSet, Answers]]:
        """All stored answers with their task sets, sorted by file name."""
        for path in sorted((self.path / "answers").glob("*.json")):
            stored = _read(path)
            try:
                found = Answers(**{name: value for name, value in stored.items() if name != "format"})
            except (AttributeError, TypeError) as error:
                raise _damaged(path) from error
            yield self.tasks(found.tasks, found.study), found

    def results(self) -> dict[str, Any] | None:
        """The contents of `results.json`, None if nothing was imported yet; older files called baselines nulls."""
        if not self.results_path.exists():
            return None
        return _read(self.results_path, lambda one: {"baselines" if k == "nulls" else k: v for k, v in one.items()})


def write_export(drawn: Drawn, out: Path, key: Path) -> dict[str, Any]:
    """Write page, form and manifest of a task set into `out`; the manifest comes last and is returned.

    Its digest of the key binds the key without telling it: answers cannot be given another key later. `UserError` when
    another task set lies there.
    """
    from glossator.human.forms import form
    from glossator.human.pages import page

    tasks = drawn.tasks
    if (out / MANIFEST).exists() and _read(out / MANIFEST).get("id") != tasks.id:
        raise UserError("this folder holds another task set", value=str(out), fix="Choose another --out")
    ending, content = form(tasks)
    contents = {f"{tasks.task}.html": page(tasks), f"{tasks.task}{ending}": content}
    for name, text in contents.items():
        write_bytes(out / name, text.encode())
    manifest = {
        "format": FORMAT,
        "id": tasks.id,
        "task": tasks.task,
        "study": tasks.study,
        "seed": tasks.seed,
        "settings": plain(tasks.settings),
        "items": {item.id: fingerprint(item) for item in tasks.items},
        "answers": len(tasks.slots),
        "files": {name: sha256_of(out / name) for name in contents},
        "key_sha256": sha256_of(key),
    }
    write_json(out / MANIFEST, manifest)
    return manifest


def _read(path: Path, table: Callable[[dict[str, Any]], dict[str, Any]] | None = None) -> Any:
    """table: what is made of each of its tables."""
    try:
        return json.loads(path.read_text(encoding="utf-8"), object_hook=table)
    except FileNotFoundError as error:
        raise UserError("a file of the study's human folder is missing", value=str(path)) from error
    except (OSError, ValueError, RecursionError) as error:
        raise _damaged(path) from error


def _damaged(path: Path) -> UserError:
    again = "import the person's file" if path.parent.name == "answers" else "export"
    return UserError("a task file is damaged", value=str(path), fix=f"Move it away and {again} again")
