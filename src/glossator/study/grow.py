"""What a study's folder holds: nothing, this study, or this study with fewer units or scorers, or without the baseline
of random weights, which then grows.

One spec and one process claim the folder. Existing results stay, and only what is new is computed: the units that are
there are scored anew only under other scorers, where answers of language models come from their cache. What their
requests used is kept too, so that the ledger is that of a study made in one go. Windows are those of the units before:
the panel keeps its size and its seed. All units are recorded once more, as a forward pass costs the same for few and
for many, and the new recording takes the old one's place when it is whole.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from glossator.errors import UserError
from glossator.files import plain, read_json, write_json
from glossator.recording import Recording, open_recording
from glossator.scorers.baselines import RANDOM_WEIGHTS
from glossator.store.folder import ANSWERS, held, may_be_there
from glossator.store.results import UnitResult, unscored
from glossator.store.spec import LATER, StudySpec
from glossator.store.study import open_study
from glossator.study.work import KEPT, Work
from glossator.units import Unit


def check_folder(spec: StudySpec, folder: Path) -> bool:
    """Whether the study that the folder holds gets more units or scores; `UserError` when it holds something else or
    cannot be written. Changes nothing."""
    claim = folder / "spec.json"
    more = False
    _check_name(folder)
    if claim.exists():
        paid = f" --lm-cache {folder / ANSWERS}" if (folder / ANSWERS).exists() else ""
        stored: Any = read_json(claim, "the study's spec", f"Run the command with --out ANOTHER{paid}")
        mine, stored = json.loads(json.dumps(plain(spec))), {**LATER, **stored}
        differing = sorted(k for k in {*stored, *mine} if stored.get(k) != mine.get(k))
        more = grows(spec, stored, set(differing), folder)
        if differing and not more:
            raise UserError(
                f"the folder holds another study (they differ in {', '.join(differing)})",
                value=str(folder),
                fix="Choose another folder with --out",
            )
    elif folder.is_dir() and any(not may_be_there(p.name) for p in folder.iterdir()):
        raise UserError("the folder is neither empty nor a study", value=str(folder), fix="Choose another with --out")
    if (folder / "manifest.json").exists() and not more:  # opened, not written
        return False
    there = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        why = "is read-only" if there.is_dir() else "is a file"
        raise UserError(
            "cannot write the study", value=str(folder), fix=f"{there} {why}; choose another folder with --out"
        )
    return more


def _check_name(folder: Path) -> None:
    try:
        os.fsencode(folder)
        folder.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise UserError("cannot write the study", value=str(folder)[:80], fix=f"{why}; choose another --out") from error


@contextlib.contextmanager
def claimed(spec: StudySpec, folder: Path, progress: bool | None = None) -> Iterator[Work]:
    """Hold the folder for this spec and this process; raises `UserError` when another process works in it."""
    with held(folder) as log:
        if not (folder / "spec.json").exists():
            write_json(folder / "spec.json", plain(spec))
        yield Work(folder, progress, log)


KEPT_TOGETHER = 16
SCORED_BY = {"card", "scorers"}
RECORDING = "recording"
HELD = "spec.json"


def grows(spec: StudySpec, held: Mapping[str, Any], differing: set[str], folder: Path) -> bool:
    """Whether the folder's study, by its spec, is this one with fewer units or scorers, or without random weights;
    `UserError` where it has more, or cannot get more."""
    if not differing or differing - {"units", "baselines"} - SCORED_BY:
        return False
    if "baselines" in differing and [*held["baselines"], RANDOM_WEIGHTS] != list(spec.baselines):
        return False
    now = json.loads(json.dumps(plain(spec.units)))
    scorers = set(held["scorers"]), set(spec.scorers)
    for what, has_more in (
        ("units", "units" in differing and _more(held["units"], now)),
        ("scores", bool(differing & SCORED_BY) and scorers[0] >= scorers[1]),
    ):
        if has_more:
            raise UserError(
                f"the folder already holds this study with more {what} (they differ in {', '.join(sorted(differing))})",
                value=str(folder),
                fix="View them with glossator show; for a study with fewer, use glossator run --out",
            )
    if ("units" in differing and not _more(now, held["units"])) or not scorers[0] <= scorers[1]:
        return False
    if (folder / "manifest.json").exists():
        _refuse_unknown_costs(folder)
    elif "units" in differing and not (folder / "work" / KEPT).exists():
        raise UserError(
            "units can only be added to a finished study", value=str(folder), fix=f"Finish it: glossator run {folder}"
        )
    return True


def _more(units: Any, than: Any) -> bool:
    """Whether these are all of those units and others: of a random draw, a greater number holds the smaller one's."""
    if units == "all" or than == "all":
        return bool(units == "all" and than != "all")
    if isinstance(units, list) and isinstance(than, list):
        return set(units) > set(than)
    return isinstance(units, int) and isinstance(than, int) and units > than


def _refuse_unknown_costs(folder: Path) -> None:
    """`UserError` for a study of an earlier version, which knows the sum of what its language models cost alone."""
    with open_study(folder) as study:
        if study.costs and not study.asked:
            raise UserError(
                "nothing can be added to this study: it predates the record of what each request cost",
                value=str(folder),
                fix=f"Rebuild it from its answers: the same command with --out ANOTHER --lm-cache {folder / ANSWERS}",
            )


def grow(spec: StudySpec, work: Work) -> None:
    """Turn the folder into an unfinished study of this spec, some of whose units are done.

    Every step may be repeated: a process that is killed in between leaves a folder that is grown by the next run.
    """
    folder, before = work.folder, work.folder / "work"
    manifest = folder / "manifest.json"
    if manifest.exists():
        shutil.rmtree(before, ignore_errors=True)
        with open_study(folder) as study:
            work.keep_costs(study.asked)
            write_json(before / KEPT / HELD, study.manifest["spec"])
            results = study.results()
            for number, some in enumerate(iter(lambda: list(islice(results, KEPT_TOGETHER)), [])):
                work.save(KEPT, number, some)
        manifest.unlink()
    held = read_json(folder / "spec.json", "the study's spec", "Run the command with --out ANOTHER")
    now = json.loads(json.dumps(plain(spec)))
    if held != now:  # What an interrupted run has done is of other units, or under other scorers.
        other_units = held.get("units") != now["units"]
        for stage in ("explain", "score") if other_units else ("score",):
            shutil.rmtree(before / stage, ignore_errors=True)
        if other_units and (folder / RECORDING).exists():
            shutil.rmtree(larger(work), ignore_errors=True)
        write_json(folder / "spec.json", plain(spec))


def found_before(spec: StudySpec, work: Work) -> tuple[list[UnitResult], bool]:
    """(The units that the study had when it began to grow, whether their scores stay); under other scorers they are as
    the explaining stage left them."""
    results = work.results(KEPT)
    if not results:
        return [], True
    held = read_json(work.folder / "work" / KEPT / HELD, "the study's spec before it grew", "Run it with --out ANOTHER")
    stay = list(held["scorers"]) == list(spec.scorers)
    return (results, True) if stay else ([unscored(result) for result in results], False)


def lacks_units(recording: Recording, spec: StudySpec) -> bool:
    """Whether a finished recording is of fewer units than the spec."""
    wanted = {site: spec.indices(site, found.width) for site, found in recording.sites.items()}
    return any(
        len(recording.units(site)) < (recording.sites[site].width if units is None else len(units))
        for site, units in wanted.items()
    )


def larger(work: Work) -> Path:
    """Where the recording of more units is made."""
    return work.folder / "work" / RECORDING


def put_in_place(work: Work) -> Recording:
    """The recording of more units, in the place of the one before; what a killed process has begun is ended."""
    target, made = work.folder / RECORDING, larger(work)
    if made.exists():
        before = work.folder / "work" / "replaced"
        shutil.rmtree(before, ignore_errors=True)
        if target.exists():
            os.rename(target, before)
        os.rename(made, target)
        shutil.rmtree(before, ignore_errors=True)
    return open_recording(target)


def in_order(units: list[Unit], *results: list[UnitResult]) -> list[UnitResult]:
    """The results of these units in their order, those that are among the results."""
    found = {result.unit: result for some in results for result in some}
    return [found[unit] for unit in units if unit in found]
