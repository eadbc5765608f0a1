"""Responses measured while words were heard or read: what encoding models are fitted on, in one documented NPZ file.

Words have onsets within their run; responses are one row a scan (TR). Runs are what is held out and resampled together.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from glossator.errors import UserError
from glossator.files import digest_of, replacing
from glossator.inputs import Stimuli

NEEDED = ("words", "onsets", "word_runs", "responses", "response_runs", "tr")
OPTIONAL = ("first_scan", "held_out", "repeats", "voxels")
LEAST_RUNS, LEAST_SCANS = 3, 20
CONTRACT = "See the table in docs/voxels.md"


@dataclass(frozen=True, eq=False)
class Scans:
    """words: stimuli whose groups number the runs; runs: their labels, in order; responses float32 (scans, voxels);
    run_of_scan (scans,) int64, the scans of a run together and in order; tr: seconds from scan to scan; first: seconds
    from the beginning of a run to the middle of its first scan; held_out: numbers of the runs on which predictions are
    tested; repeats float32 (times, scans of the held-out runs, voxels), None if they were run once; voxels: names.
    """

    name: str
    words: Stimuli
    runs: tuple[str, ...]
    responses: np.ndarray
    run_of_scan: np.ndarray
    tr: float
    held_out: tuple[int, ...]
    voxels: tuple[str, ...]
    first: float = 0.0
    repeats: np.ndarray | None = None

    @cached_property
    def fingerprint(self) -> str:
        more = np.empty(0) if self.repeats is None else self.repeats
        facts = repr((self.runs, self.tr, self.first, self.held_out, self.voxels))
        return digest_of(self.words.content(), facts, self.responses, self.run_of_scan, more)[:16]

    def words_of(self, run: int) -> Stimuli:
        return self.words.take(np.flatnonzero(self.words.groups == run))

    def scans_of(self, run: int) -> np.ndarray:
        """Row numbers of a run's scans."""
        return np.flatnonzero(self.run_of_scan == run)

    def times(self, run: int) -> np.ndarray:
        """Seconds from the beginning of the run to the middle of each of its scans."""
        return self.first + self.tr * np.arange(len(self.scans_of(run)))

    def save(self, path: str | Path) -> None:
        """Write the file that `load_scans` reads."""
        labels = np.array(self.runs)
        arrays: dict[str, Any] = {
            "words": np.array(self.words.texts),
            "onsets": self.words.onsets,
            "word_runs": labels[self.words.groups],
            "responses": self.responses,
            "response_runs": labels[self.run_of_scan],
            "tr": np.float64(self.tr),
            "first_scan": np.float64(self.first),
            "held_out": labels[list(self.held_out)],
            "voxels": np.array(self.voxels),
        }
        if self.repeats is not None:
            arrays["repeats"] = self.repeats
        with replacing(Path(path)) as temporary, open(temporary, "wb") as handle:
            np.savez_compressed(handle, **arrays)


def load_scans(path: str | Path, held_out: Sequence[str] = ()) -> Scans:
    """Measured responses from an NPZ file; held_out: labels of runs, in place of those that the file names, whose
    repeats are then not used.

    Raises `UserError` for the first thing that is missing, unknown or does not fit.
    """
    path = Path(path)
    arrays = _arrays(path)
    if unknown := sorted(set(arrays) - {*NEEDED, *OPTIONAL}):
        raise UserError(
            "unknown array in the file of responses", value=unknown[0], allowed=", ".join(NEEDED + OPTIONAL)
        )
    if missing := [name for name in NEEDED if name not in arrays]:
        raise UserError(
            "the file of responses lacks an array", value=missing[0], allowed=", ".join(arrays), fix=CONTRACT
        )
    words = tuple(map(str, _column(arrays, "words", "US")))
    responses = _numbers(arrays, "responses", 2)
    run_of_scan, run_of_word = (_column(arrays, name, "USiu") for name in ("response_runs", "word_runs"))
    onsets = _numbers(arrays, "onsets", 1).astype(np.float64)
    for name, column, n in (("onsets", onsets, len(words)), ("word_runs", run_of_word, len(words)),
                            ("response_runs", run_of_scan, len(responses))):  # fmt: skip
        if len(column) != n:
            of = "responses" if name == "response_runs" else "words"
            raise UserError(f"{name} does not fit {of}", value=len(column), allowed=f"{n}, one for each")
    if empty := [place for place, word in enumerate(words) if not word.strip()]:
        raise UserError(
            "a word is empty", value=f"number {empty[0]}", fix="Leave out pauses; onsets say where they are"
        )
    runs = tuple(dict.fromkeys(map(str, run_of_scan)))
    number = {label: place for place, label in enumerate(runs)}
    if unheard := sorted(set(map(str, run_of_word)) ^ set(runs)):
        raise UserError("a run has words and no responses, or responses and no words", value=unheard[0])
    if len(runs) < LEAST_RUNS:
        fix = "Label runs or stories apart: models are chosen and tested on runs that they were not fitted on"
        raise UserError("too few runs", value=len(runs), allowed=f"{LEAST_RUNS} or more", fix=fix)
    if "repeats" in arrays and "held_out" not in arrays:
        raise UserError("repeats are of the held-out runs, which the file does not name", fix="Add the array held_out")
    named = tuple(map(str, _column(arrays, "held_out", "USiu"))) if "held_out" in arrays else runs[-1:]
    held = tuple(map(str, held_out)) or named
    if wrong := [label for label in (*held, *named) if label not in number]:
        raise UserError("a held-out run is none of the runs", value=wrong[0], allowed=", ".join(runs[:20]))
    if len(set(held)) > len(runs) - 2:
        raise UserError("too few runs are left to fit on", value=len(runs) - len(set(held)), allowed="2 or more")
    voxels = tuple(map(str, _column(arrays, "voxels", "USiu"))) if "voxels" in arrays else None
    if voxels is not None and (len(voxels) != responses.shape[1] or len(set(voxels)) < len(voxels)):
        allowed = f"{responses.shape[1]} different names, one for each column of responses"
        raise UserError("bad names of voxels", value=f"{len(voxels)}, {len(set(voxels))} different", allowed=allowed)
    found = Scans(
        name=path.stem,
        words=Stimuli.of(words, np.array([number[str(run)] for run in run_of_word]), onsets),
        runs=runs,
        responses=responses,
        run_of_scan=np.array([number[str(run)] for run in run_of_scan]),
        tr=_seconds(arrays, "tr", None),
        first=_seconds(arrays, "first_scan", 0.0),
        held_out=tuple(sorted({number[label] for label in named})),
        voxels=voxels or tuple(map(str, range(responses.shape[1]))),
    )
    if "repeats" in arrays:
        found = replace(found, repeats=_numbers(arrays, "repeats", 3))
    _check_times(found)
    if set(held) != set(named):  # there are no repeats of other runs
        found = replace(found, held_out=tuple(sorted({number[label] for label in held})), repeats=None)
    return found


def _check_times(scans: Scans) -> None:
    """Runs in one piece and long enough, words in order and within them, repeats of the held-out runs."""
    changes = int((np.diff(scans.run_of_scan) != 0).sum()) + 1
    if changes != len(scans.runs):
        raise UserError("the scans of a run do not stand together", fix="Sort responses by run, then by time")
    for run, label in enumerate(scans.runs):
        n, onsets = len(scans.scans_of(run)), scans.words_of(run).onsets
        if n < LEAST_SCANS:
            raise UserError(f"run {label} is too short", value=f"{n} scans", allowed=f"{LEAST_SCANS} or more")
        if (np.diff(onsets) < 0).any():
            at = int(np.argmax(np.diff(onsets) < 0)) + 1
            raise UserError(f"the words of run {label} are not in order of their onsets", value=f"word {at}")
        end = scans.first + scans.tr * n
        if onsets[0] < 0 or onsets[-1] > end:
            value = float(onsets[0] if onsets[0] < 0 else onsets[-1])
            fix = "Onsets are seconds from the beginning of the word's own run; tr is in seconds"
            raise UserError(f"a word of run {label} is outside it", value=value, allowed=f"0 to {end:g} s", fix=fix)
    if scans.repeats is not None:
        held = int(np.isin(scans.run_of_scan, scans.held_out).sum())
        expected = (held, scans.responses.shape[1])
        if scans.repeats.shape[1:] != expected or len(scans.repeats) < 2:
            allowed = f"(2 or more times, {expected[0]} scans of the held-out runs, {expected[1]} voxels)"
            raise UserError("the repeats do not fit", value=scans.repeats.shape, allowed=allowed)


def _arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        found = np.load(path, allow_pickle=False)
        if isinstance(found, np.ndarray):
            raise UserError("responses come in one .npz file", value=str(path), fix=CONTRACT)
        with found:
            return {name: found[name] for name in found.files}
    except FileNotFoundError as error:
        raise UserError("no such file", value=str(path), fix="Check the path") from error
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, NotImplementedError) as error:
        fix = f"{error}. Save text as np.array(list_of_str), not as objects" if "pickle" in str(error) else str(error)
        raise UserError("the responses cannot be read", value=str(path), fix=fix) from error


def _column(arrays: dict[str, np.ndarray], name: str, kinds: str) -> list[Any]:
    """A column of text, or of whole numbers where those are allowed as labels."""
    array = arrays[name]
    if array.ndim != 1 or array.dtype.kind not in kinds or not len(array):
        allowed = "one row of text" + (" or whole numbers" if "i" in kinds else "")
        raise UserError(f"bad {name}", value=f"{array.dtype} of shape {array.shape}", allowed=allowed)
    return [entry.decode() if isinstance(entry, bytes) else entry for entry in array.tolist()]


def _numbers(arrays: dict[str, np.ndarray], name: str, axes: int) -> np.ndarray:
    """Finite real numbers, float32 except of one axis."""
    array = arrays[name]
    if array.ndim != axes or array.dtype.kind not in "fiu" or 0 in array.shape:
        of = {1: "(n,)", 2: "(scans, voxels)", 3: "(times, scans, voxels)"}[axes]
        raise UserError(f"bad {name}", value=f"{array.dtype} of shape {array.shape}", allowed=f"numbers {of}")
    found = np.ascontiguousarray(array, np.float64 if axes == 1 else np.float32)
    if not np.isfinite(found).all():
        where = tuple(int(place) for place in np.argwhere(~np.isfinite(found))[0])
        raise UserError(f"{name} are not all finite", value=f"at {where}", fix="Leave out such scans, voxels or words")
    return found


def _seconds(arrays: dict[str, np.ndarray], name: str, default: float | None) -> float:
    if name not in arrays:
        assert default is not None
        return default
    array = arrays[name]
    value = float(array) if array.shape == () and array.dtype.kind in "fiu" else float("nan")
    if not np.isfinite(value) or (default is None and not 0 < value <= 60):
        allowed = "seconds, up to 60; milliseconds are divided by 1000" if default is None else "seconds"
        raise UserError(f"bad {name}", value=array.tolist(), allowed=allowed)
    return value
