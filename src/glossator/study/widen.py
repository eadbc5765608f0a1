"""A study that gets more scores: what was recorded and explained stays, and all explanations are scored under the new
spec, so that the folder ends with the bytes of a study that was made with these scorers from the start.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from glossator.errors import UserError
from glossator.files import plain, write_json
from glossator.study.names import ANSWERS
from glossator.study.results import UnitResult
from glossator.study.spec import StudySpec
from glossator.study.work import SHARD_UNITS, Work

if TYPE_CHECKING:
    from pathlib import Path

SCORED_BY = {"card", "scorers"}
SCORING = "scoring: "


def widens(spec: StudySpec, held: Mapping[str, Any], differing: set[str], folder: Path) -> bool:
    """Whether the folder's study, by its spec, is this one with fewer scorers; `UserError` where it has more of them,
    or was read by a language model, whose cost the folder no longer knows."""
    if not differing or differing - SCORED_BY:
        return False
    if set(held["scorers"]) >= set(spec.scorers):
        raise UserError(
            f"the folder holds this study with more scores (they differ in {', '.join(sorted(differing))})",
            value=str(folder),
            fix="They can be looked at with glossator show; a study without them is made with glossator run --out",
        )
    if not set(held["scorers"]) < set(spec.scorers):
        return False
    refuse_language_models("scores", spec, folder)
    return True


def refuse_language_models(what: str, spec: StudySpec, folder: Path) -> None:
    """`UserError` where more of something cannot be added, as what the study's language models cost is not kept."""
    if spec.language_models:
        raise UserError(
            f"{what} cannot be added to a study with a language model",
            value=str(folder),
            fix=f"Make it anew from its answers: the same command with --out ANOTHER --lm-cache {folder / ANSWERS}",
        )


def widen(spec: StudySpec, work: Work) -> None:
    """Turn the folder into an unfinished study of this spec, all of whose units are explained.

    Every step may be repeated: a process that is killed in between leaves a folder that is widened by the next run.
    """
    from glossator.study.store import open_study

    manifest = work.folder / "manifest.json"
    if manifest.exists():
        with open_study(work.folder) as study:
            results = [unscored(result) for result in study.results()]
        for number, first in enumerate(range(0, len(results), SHARD_UNITS)):
            work.save("explain", number, results[first : first + SHARD_UNITS])
        manifest.unlink()
    shutil.rmtree(work.folder / "work" / "score", ignore_errors=True)
    write_json(work.folder / "spec.json", plain(spec))


def unscored(result: UnitResult) -> UnitResult:
    """The result as the explaining stage left it."""
    explanations = tuple(replace(chosen, scores=()) for chosen in result.explanations)
    if result.status == "failed" and result.reason.startswith(SCORING):
        return replace(result, status="ok", reason="", explanations=explanations)
    return replace(result, explanations=explanations)
