"""The state of a running study: results in complete shards.

Killing the process at any moment leaves whole shards and hidden leftovers; running again goes on after them.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from glossator.errors import UserError
from glossator.files import plain, read_json, write_bytes, write_json
from glossator.language_models.costs import STAGES, Asked
from glossator.store.results import UnitResult, packed, read_packed, unpacked
from glossator.terminal import neutral

KEPT = "kept"
"""The folder of what a study had found when it began to grow."""
RECORD = "record"
DOING = {RECORD: "recording", "explain": "explaining", "score": "scoring"}


@dataclass(frozen=True)
class Ran:
    """What one shard took, and where. units: how many, or inputs where it was recorded; engine: who handed it out."""

    stage: str
    shard: int
    units: int
    seconds: float
    engine: str
    host: str
    pid: int

    def __str__(self) -> str:
        where = f"{self.engine}, {self.host}, process {self.pid}"
        what = "inputs" if self.stage == RECORD else "units"
        return f"{self.stage} shard {self.shard}, {self.units} {what}: {self.seconds:.2f} s ({where})"

    @classmethod
    def read(cls, line: str) -> Ran | None:
        """What a line of the log says of a shard; None for a line about something else."""
        found = _RAN.search(line)
        if found is None:
            return None
        stage, shard, units, seconds, engine, host, pid = found.groups()
        return cls(stage, int(shard), int(units), float(seconds), engine, host, int(pid))


_RAN = re.compile(r" (\w+) shard (\d+), (\d+) (?:units|inputs): ([\d.]+) s \(([\w-]+), ([^,]*), process (\d+)\)$")


class Work:
    """The `work` folder of a study. Shards are numbered files of results, one folder for each stage.

    progress: bars on stderr; None shows them on a terminal only; log: run.log, open for writing; for a process that
    works on a shard alone, the path of that shard's log.
    """

    def __init__(self, folder: Path, progress: bool | None = None, log: TextIO | Path | None = None):
        self.folder, self.progress, self.log = folder, progress, log

    def shard(self, stage: str, number: int) -> list[UnitResult]:
        """The results of a finished shard."""
        path = self._path(stage, number)
        with _whole(path):
            return [*map(unpacked, read_packed(path))]

    def results(self, stage: str) -> list[UnitResult]:
        """The results of all finished shards of a stage, in their order."""
        return [result for number in range(len(self._shards(stage))) for result in self.shard(stage, number)]

    def rows(self, stage: str) -> Iterator[dict[str, Any]]:
        """The same as `packed` makes them, one after the other: what the database is built from."""
        for path in self._shards(stage):
            with _whole(path):
                rows = read_packed(path)
            yield from rows

    def has(self, stage: str, number: int) -> bool:
        """Whether a shard is done."""
        return self._path(stage, number).exists()

    def save(
        self, stage: str, number: int, results: Sequence[UnitResult], asked: Any = None, ran: Ran | None = None
    ) -> None:
        """Write a shard; the file of its results comes last. asked: what language models were asked for it."""
        if ran is not None:
            self.save_ran(ran)
        if asked:
            write_json(self._path(stage, number, "cost.json"), asked)
        lines = (json.dumps(packed(r), ensure_ascii=True, allow_nan=False) for r in results)
        write_bytes(self._path(stage, number), ("\n".join(lines) + "\n").encode())

    def save_ran(self, ran: Ran) -> None:
        """Leave what a shard took to the process that runs the study."""
        write_json(self._path(ran.stage, ran.shard, "ran.json"), plain(ran))

    def collect(self, stage: str, number: int) -> None:
        """Put what a shard's worker left beside its results into the study's log."""
        path, log = self._path(stage, number, "ran.json"), self._path(stage, number, "log")
        if log.exists():
            self._write(log.read_text(encoding="utf-8", errors="replace"))
            log.unlink()
        if path.exists():
            self.note(str(Ran(**read_json(path, "what a shard cost", "Delete it and run again"))))
            path.unlink()

    def finished(self, stage: str) -> int:
        """How many units a stage is done with."""
        return sum(len(path.read_bytes().splitlines()) for path in self._shards(stage))

    def asked(self) -> list[Asked]:
        """What the language models were asked for all finished shards, and for what was kept, stage by stage."""
        work = self.folder / "work"
        found = (
            (stage, path)
            for stage in STAGES
            for path in (*sorted((work / KEPT).glob(f"{stage}.cost.json")), *sorted((work / stage).glob("*.cost.json")))
        )
        what, fix = "a file of costs", "Delete it and the results beside it, and run again"
        return [(stage, read_json(path, what, fix)) for stage, path in found]

    def keep_costs(self, asked: Sequence[Asked]) -> None:
        """Write down what was asked for the results that are kept."""
        for stage, entries in asked:
            write_json(self.folder / "work" / KEPT / f"{stage}.cost.json", entries)

    def say(self, what: str) -> None:
        """A line for the person at the terminal, on stderr, and in the log."""
        sys.stderr.write(f"{neutral(what)}\n")
        self.note(what)

    def note(self, what: str) -> None:
        """A line with the time in run.log, the one file that is no part of the study's identity."""
        self._write(f"{time.strftime('%Y-%m-%dT%H:%M:%S')} {neutral(what)}\n")

    def _write(self, text: str) -> None:
        if isinstance(self.log, Path):
            self.log.parent.mkdir(parents=True, exist_ok=True)
            with open(self.log, "a", encoding="utf-8") as log:
                log.write(text)
        elif self.log is not None:
            self.log.write(text)
            self.log.flush()

    @contextlib.contextmanager
    def timed(self, what: str) -> Iterator[None]:
        begin = time.perf_counter()
        yield
        self.note(f"{what}: {time.perf_counter() - begin:.1f} s")

    def clean(self) -> None:
        """Remove what only an unfinished study needs."""
        shutil.rmtree(self.folder / "work", ignore_errors=True)
        for leftover in (*self.folder.glob(".*.part"), *self.folder.glob("recording/.*.part")):
            leftover.unlink(missing_ok=True)

    def bar(self, stage: str, total: int) -> Any:
        """Units of a stage, or parts of a recording, on stderr."""
        from tqdm import tqdm

        shown = sys.stderr.isatty() if self.progress is None else self.progress
        return tqdm(
            total=total,
            unit="part" if stage == RECORD else "unit",
            desc=DOING[stage],
            disable=not shown,
            file=sys.stderr,
        )

    def _shards(self, stage: str) -> list[Path]:
        return sorted((self.folder / "work" / stage).glob("[0-9]*.jsonl"))

    def _path(self, stage: str, number: int, kind: str = "jsonl") -> Path:
        return self.folder / "work" / stage / f"{number:05d}.{kind}"


@contextlib.contextmanager
def _whole(path: Path) -> Iterator[None]:
    """Within, a shard is read; `UserError` where it holds something else."""
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError("a file of the study is damaged", value=str(path), fix="Delete it and run again") from error


def shards_in_log(folder: Path) -> list[Ran]:
    """What each shard of a study took, in the order in which they were done."""
    try:
        lines = (folder / "run.log").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise UserError("no study with a log in this folder", value=str(folder), fix=error.strerror) from error
    return [ran for line in lines if (ran := Ran.read(line)) is not None]


def explained_so_far(folder: Path) -> list[UnitResult]:
    """What the explain stage of an unfinished study left behind, in the study's order."""
    return Work(folder).results("explain")
