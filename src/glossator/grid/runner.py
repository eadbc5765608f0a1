"""Running a grid: each cell is a study in its own folder, finished ones are kept, each subject is recorded once."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from glossator.errors import UserError
from glossator.files import plain, write_json
from glossator.grid.cells import Cell, cells_of
from glossator.grid.spec import GridSpec
from glossator.store.folder import ANSWERS
from glossator.study import StudySpec, open_study, run_study
from glossator.study.metered import Interrupted
from glossator.study.models import Access

CELLS = "cells"
SPEC = "grid.json"
RESULTS = "results.json"
NOT_OF_A_RECORDING = ("explainers", "candidates", "lm", "simulator", "scorers", "calibration", "evidence", "options")


@dataclass(frozen=True)
class Done:
    """A cell and its study's folder; failure: why there is none."""

    cell: Cell
    folder: Path
    failure: str | None = None


def run_grid(
    grid: GridSpec,
    folder: str | Path,
    *,
    access: Access | None = None,
    progress: bool | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> list[Done]:
    """Run all cells of a grid below `folder/cells`, in order; finished ones are opened, so that it can be resumed, and
    grown by further values on its axes.

    A cell that cannot be run is reported and the others go on; what would stop them all (a budget that is reached, a
    server that is away) is raised, and the same call continues from there. Answers of language models are shared by all
    cells. say: told which cell is at work.
    """
    folder, cells = Path(folder), cells_of(grid)
    _check_folder(folder)
    access = access or Access()
    access = replace(access, cache=access.cache or folder / ANSWERS)
    done: list[Done] = []
    write_json(folder / SPEC, plain(grid))
    for number, cell in enumerate(cells):
        place = folder / CELLS / cell.name
        if not (place / "manifest.json").exists():
            say(f"cell {number + 1} of {len(cells)}: {cell.name}")
        try:
            _share_recording(place, cell.study, done)
            study = run_study(cell.study, place, progress=progress, access=access)
            assert study is not None
            study.close()
            done.append(Done(cell, place))
        except Interrupted:
            raise
        except UserError as error:
            say(f"not run: {cell.name}: {error}")
            done.append(Done(cell, place, str(error)))
    _check_same_text(done)
    return done


def finished(grid: GridSpec, folder: str | Path) -> list[Done]:
    """The cells of a grid that are finished, without running any."""
    places = [(cell, Path(folder) / CELLS / cell.name) for cell in cells_of(grid)]
    return [Done(cell, place) for cell, place in places if (place / "manifest.json").exists()]


def _check_folder(folder: Path) -> None:
    """A grid may grow, so that another spec is no reason to refuse its folder; anything else is."""
    if folder.is_dir() and not (folder / SPEC).exists() and any(not p.name.startswith(".") for p in folder.iterdir()):
        raise UserError("the folder is neither empty nor a grid", value=str(folder), fix="Choose another with --out")


def _share_recording(place: Path, spec: StudySpec, done: Sequence[Done]) -> None:
    """Give a new cell the recording of a finished one that differs in nothing that is recorded, by hard links."""
    target = place / "recording"
    wanted = _recorded(spec)
    same = [d.folder / "recording" for d in done if d.failure is None and _recorded(d.cell.study) == wanted]
    if not same or target.exists():
        return
    write_json(place / "spec.json", plain(spec))
    hidden = place / f".recording.{os.getpid()}.part"
    shutil.rmtree(hidden, ignore_errors=True)
    try:
        shutil.copytree(same[0], hidden, copy_function=_link)
        os.replace(hidden, target)
    except OSError as error:
        raise UserError("cannot write the cell", value=str(place), fix=error.strerror or str(error)) from error


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copy2(source, target)


def _recorded(spec: StudySpec) -> dict[str, object]:
    return {name: value for name, value in plain(spec).items() if name not in NOT_OF_A_RECORDING}


def _check_same_text(done: Sequence[Done]) -> None:
    """Raise `UserError` when cells of one subject differ in recording or units, so that they cannot be compared."""
    seen: dict[str, tuple[str, tuple[str, ...], Path]] = {}
    for cell in (d for d in done if d.failure is None):
        with open_study(cell.folder) as study:
            mine = (study.manifest["recording"], tuple(study.names()), cell.folder)
        first = seen.setdefault(cell.cell.subject, mine)
        if mine[:2] != first[:2]:
            raise UserError(
                f"two cells of {cell.cell.subject} are not of the same units and text",
                value=f"{first[2].name}, {mine[2].name}",
                fix="Delete the older one and run the grid again",
            )
