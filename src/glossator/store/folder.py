"""A study's folder: names in it, what may lie beside the study, and the lock of the one writing process."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from glossator.errors import UserError

LOG = "run.log"
ANSWERS = "answers.sqlite"
"""What language models answered, so that the study replays without them; like the log no part of its identity."""
PEOPLE = "human"
"""The folder of people's tasks and answers (`glossator.human.folder`), which outlives the study it is about."""
READOUTS, DIRECTIONS = "readouts", "directions"
"""The readouts that a study keeps, by their kinds; where studies of earlier versions keep their directions."""
READOUT_LOGS = TRAINING, SEARCH = "training.json", "search.json"
"""How a readout was made, beside it: of a trained dictionary, of found directions."""
RANDOM_DICTIONARIES = "random-weights-dictionaries"
"""What was trained on the random network, for the control of a study of a dictionary."""
LISTS = "lists.json"
"""Lists of units that a reader made (`glossator.store.unit_lists`)."""


def may_be_there(name: str) -> bool:
    """What lies in a study's folder and is no part of it: leftovers, the log, models' answers, people's answers and
    lists."""
    return name.startswith((".", LOG, ANSWERS)) or name in (PEOPLE, LISTS)


def places_of_readouts(study: Path) -> Iterator[tuple[str, Path]]:
    """(kind, folder) of each readout that a study keeps, also one of an earlier version."""
    yield from ((place.parent.name, place) for place in sorted((study / READOUTS).glob("*/*")))
    yield from ((DIRECTIONS, place) for place in sorted((study / DIRECTIONS).glob("*")))


@contextlib.contextmanager
def held(folder: Path) -> Iterator[TextIO]:
    """Within, no other process writes into the folder; yields its log. Raises `UserError` when one does."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = open(folder / LOG, "a", encoding="utf-8")  # noqa: SIM115 - closed below, which gives the lock back
    except OSError as error:
        raise UserError(
            "cannot write the study", value=str(folder), fix=f"{error.strerror}; choose another folder"
        ) from error
    with lock:
        _lock(lock, folder)
        yield lock


def _lock(file: Any, folder: Path) -> None:
    try:
        import fcntl
    except ImportError:  # not on this system; two processes would do the same work twice and write the same files
        return
    try:
        # A lock of this process alone: workers that outlive a killed parent for a moment must not hold it.
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError) as error:
        raise UserError(
            "another process is working on this study", value=str(folder), fix="Wait for it to end"
        ) from error
    except OSError:  # a file system without locks
        return
