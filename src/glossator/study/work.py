"""What a running study has done so far: results in whole shards.

Killing the process at any moment leaves whole shards and hidden leftovers; running again goes on after them.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from glossator.errors import UserError
from glossator.files import read_json, write_bytes, write_json
from glossator.study.costs import STAGES, Asked
from glossator.study.results import UnitResult, packed, unpacked
from glossator.terminal import neutral

if TYPE_CHECKING:
    from glossator.study.tools import Tools

KEPT = "kept"
"""The folder of what a study had found when it began to grow."""
DOING = {"explain": "explaining", "score": "scoring"}
SHARD_UNITS, SHARD_UNITS_READ = 16, 4
"""Units that are explained and written together, without and with a language model, which takes its time. The numbers
are fixed, because what is computed together may round alike."""


class Work:
    """The `work` folder of a study. Shards are numbered files of results, one folder for each stage.

    progress: bars on stderr; None shows them on a terminal only; log: run.log, open for writing.
    """

    def __init__(self, folder: Path, progress: bool | None = None, log: TextIO | None = None):
        self.folder, self.progress, self._log = folder, progress, log

    def stage(
        self,
        name: str,
        items: Sequence[Any],
        do: Callable[..., list[UnitResult]],
        tools: Tools,
        beside: Sequence[Any] = (),
    ) -> None:
        """Save the results of `do(some items, tools)` for all items, a fixed number at a time, where they are not yet.

        A function that takes `everyone` is given all items and those beside them as well. What follows reads results
        from their files (`results`, `rows`), so that it cannot tell new ones from resumed ones.
        """
        size = SHARD_UNITS_READ if tuple(tools.models) else SHARD_UNITS
        more = {"everyone": [*items, *beside]} if "everyone" in inspect.signature(do).parameters else {}
        with self._bar(name, len(items)) as bar:
            for number, first in enumerate(range(0, len(items), size)):
                some = items[first : first + size]
                if not self._path(name, number).exists():
                    with self.timed(f"{name} shard {number}, {len(some)} units"):
                        done = do(some, tools, **more)
                        if entries := tools.meter.take():
                            write_json(self._path(name, number, "cost.json"), entries)
                        self.save(name, number, done)
                bar.update(len(some))

    def shard(self, stage: str, number: int) -> list[UnitResult]:
        """The results of a finished shard."""
        path = self._path(stage, number)
        with _whole(path):
            return [unpacked(json.loads(line)) for line in path.read_bytes().splitlines()]

    def results(self, stage: str) -> list[UnitResult]:
        """The results of all finished shards of a stage, in their order."""
        return [result for number in range(len(self._shards(stage))) for result in self.shard(stage, number)]

    def rows(self, stage: str) -> Iterator[dict[str, Any]]:
        """The same as `packed` makes them, one after the other: what the database is built from."""
        for path in self._shards(stage):
            with _whole(path):
                rows = [json.loads(line) for line in path.read_bytes().splitlines()]
            yield from rows

    def save(self, stage: str, number: int, results: Sequence[UnitResult]) -> None:
        lines = (json.dumps(packed(r), ensure_ascii=True, allow_nan=False) for r in results)
        write_bytes(self._path(stage, number), ("\n".join(lines) + "\n").encode())

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
        if self._log is not None:
            self._log.write(f"{time.strftime('%Y-%m-%dT%H:%M:%S')} {neutral(what)}\n")
            self._log.flush()

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

    def _bar(self, stage: str, total: int) -> Any:
        from tqdm import tqdm

        shown = sys.stderr.isatty() if self.progress is None else self.progress
        return tqdm(total=total, unit="unit", desc=DOING[stage], disable=not shown, file=sys.stderr)

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


def explained_so_far(folder: Path) -> list[UnitResult]:
    """What the explain stage of an unfinished study left behind, in the study's order."""
    return Work(folder).results("explain")
