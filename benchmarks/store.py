"""What a study of 100,000 units costs to write and to ask: time, memory and size, beside the store as it was before.

The study is made up: 2 explanations a unit, 10 scores an explanation, 3 baselines a score, in shards as a run leaves
them. Every part is measured in a process of its own. The store as it was (`benchmarks.store_before`) writes a smaller
study in the same run; what it would take for all units is extrapolated in proportion and named so.
"""

from __future__ import annotations

import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np

from glossator.scores import Margin, Score
from glossator.statistics import in_words
from glossator.store.results import Chosen, UnitResult, packed, read_packed, to_plain
from glossator.study import StudySpec
from glossator.study.jobs import SHARD_UNITS
from glossator.units import Unit

DEFAULTS: dict[str, Any] = {"units": 100_000, "before_units": 5_000, "asked": 200, "seed": 0, "folder": None}
QUICK = {"units": 400, "before_units": 200, "asked": 20}
DISTINCT = 1_000
OF_A_SITE = 4_000
METHODS = ("program", "token-list")
SCORES = (
    *(f"{name}.{setting}" for name in ("correlation", "correlation.per-window", "explained-variance.centred",
      "detection.auroc") for setting in ("top-and-random", "random-only")), "peak.hit", "peak.share",
)  # fmt: skip
BASELINES = ("lookup", "mismatched", "token-list")
QUESTIONS = ("most", "most like", "after", "b", "bacodu", "most bacodu", "less gi", "most like tababa")
"""What is searched for: words of all explanations, of some and of few, and beginnings of words."""
SPEC = StudySpec("toy", ("mlp.0",), explainers=METHODS)


def run(options: dict[str, Any] | None = None) -> dict[str, Any]:
    """build_s, build_cpu_s (of the processor, whatever else the machine does), peak_mb and file_mb: from shards to the
    database, all of its processes together; unit_ms: to find a unit by the end of its name
    and to read all that `show` prints of it out of the database; print_ms: to print that; search_ms: the slowest of
    `QUESTIONS`; overview_s: means of all units, with intervals; add_scores_ms: a score for each of 1,000 units.

    options: `quick`, and any name of `DEFAULTS`. Under `before` the same of the store as it was, of `before_units`;
    there add_scores_ms is what the file takes to be written anew.
    """
    options = dict(options or {})
    chosen = DEFAULTS | (QUICK if options.pop("quick", False) else {}) | options
    with tempfile.TemporaryDirectory(dir=chosen["folder"]) as name:
        folder = Path(name)
        write_shards(folder / "shards", chosen["units"], chosen["seed"], packed)
        write_shards(folder / "before", chosen["before_units"], chosen["seed"], to_plain)
        measured = {"options": chosen}
        for step in ("build", "ask", "add"):
            measured |= _apart("benchmarks.store", step, folder, chosen)
        before = {"units": chosen["before_units"]}
        for step in ("build", "ask"):
            before |= _apart("benchmarks.store_before", step, folder, chosen)
    times = chosen["units"] / chosen["before_units"]
    before |= {
        "extrapolated_build_s": before["build_s"] * times,
        "extrapolated_build_cpu_s": before["build_cpu_s"] * times,
        "extrapolated_peak_mb": before["idle_mb"] + (before["peak_mb"] - before["idle_mb"]) * times,
        "extrapolated_unit_ms": before["unit_ms"] * times,
        "extrapolated_add_scores_ms": before["build_s"] * times * 1000,
    }
    return measured | {"before": before}


def _apart(module: str, step: str, folder: Path, chosen: dict[str, Any]) -> dict[str, Any]:
    """What a function of a module measures in a process of its own."""
    code = f"from {module} import {step}, tell; tell({step}, {str(folder)!r}, {chosen!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def tell(step: Callable[[Path, dict[str, Any]], dict[str, Any]], folder: str, chosen: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(step(Path(folder), chosen)))


def write_shards(folder: Path, units: int, seed: int, form: Callable[[UnitResult], Any]) -> None:
    """The results of so many units as a run leaves them, in this form; `DISTINCT` of them differ but for the name."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    lines = [
        json.dumps(form(made_up(rng)), sort_keys=True).replace("toy/mlp.0/0", "@", 1)
        for _ in range(min(DISTINCT, units))
    ]
    named = (line.replace("@", name(i), 1) for i, line in enumerate(islice(cycle(lines), units)))
    for number in range(-(-units // SHARD_UNITS)):
        (folder / f"{number:05d}.jsonl").write_text("\n".join(islice(named, SHARD_UNITS)) + "\n")


def name(place: int) -> str:
    return f"toy/mlp.{place // OF_A_SITE}/{place % OF_A_SITE}"


def made_up(rng: np.random.Generator) -> UnitResult:
    """A unit with explanations and scores of the usual length, all of it random."""
    quantiles = {str(q): float(v) for q, v in zip((0.01, 0.1, 0.5, 0.9, 0.99, 0.999), rng.normal(size=6), strict=True)}
    numbers = ("firing_rate", "firing_threshold", "kurtosis", "maximum", "mean", "skewness", "variance")
    rule = "above the 99% quantile of random tokens of the explain split, at least 1e-06 of its largest activation"
    known = {"count": 65_536, "firing_rule": rule, "quantiles": quantiles, **{n: float(rng.normal()) for n in numbers}}
    return UnitResult(Unit("toy", "mlp.0", 0), "ok", "", known, tuple(_chosen(method, rng) for method in METHODS))


def _chosen(method: str, rng: np.random.Generator) -> Chosen:
    words = [word(int(rng.zipf(1.3)) % 4_000) for _ in range(14)]
    text = (
        f"Most on “{'/'.join(words[:5])}” or like “{'/'.join(words[5:9])}”, after “{words[9]}”; less on “{words[10]}”."
    )
    program = "0.0 + " + " + ".join(f'{rng.random():.3g}*token(" {word}")' for word in words)
    settings = {"bits": None, "form": "groups", "kind_weights": {"random": 1.0, "top": 1.0}, "tokens": 12}
    made = {"method": method, "settings": settings, "evidence": rng.bytes(8).hex(), "seed": 0, "model": None,
            "prompt": None, "cost": {}}  # fmt: skip
    scores = tuple(score(name, rng) for name in SCORES)
    return Chosen(method, 0, text, program, float(rng.uniform(50, 300)), float(rng.random()), made, scores)


def word(number: int) -> str:
    """A pronounceable word for each number."""
    syllables = [c + v for c in "bcdfghlmnprst" for v in "aeiou"]
    return "".join(syllables[(number // 65**place) % 65] for place in range(3))


def score(name: str, rng: np.random.Generator) -> Score:
    value, how = float(rng.random()), {
        "interval": in_words(),
        "pooled": "over all tokens", "seed": 0, "split": "test", "tokens": int(rng.integers(20_000, 32_000)),
        "truth": "max(activation, 0) of the unit's polarity, one-sided",
        "windows": {"random": int(rng.integers(450, 500)), "top": 50},
    }  # fmt: skip
    baselines = {baseline: float(rng.random()) for baseline in BASELINES}
    margins = {
        baseline: Margin(value - beside, value - beside - 0.1, value - beside + 0.1, float(rng.random() ** 3))
        for baseline, beside in baselines.items()
    }
    return Score(
        name, value, "Pearson r", value - 0.1, value + 0.1, 240, "observational", dict(baselines), None, how, margins
    )


def build(folder: Path, chosen: dict[str, Any]) -> dict[str, Any]:
    """From shards to the database of a study."""
    from benchmarks.memory import peak_together
    from glossator.files import plain, write_json
    from glossator.store.database import DATABASE, build_database, described
    from glossator.store.study import FORMAT

    def rows() -> Iterator[dict[str, Any]]:
        for path in sorted((folder / "shards").glob("*.jsonl")):
            yield from read_packed(path)

    with peak_together() as peak:
        begin, before = time.perf_counter(), os.times()
        build_database(folder / DATABASE, SPEC, rows(), {"recording": "none"})
        took, cpu = time.perf_counter() - begin, sum(os.times()[:4]) - sum(before[:4])
    files = {DATABASE: described(folder / DATABASE)}
    write_json(folder / "manifest.json", {"format": FORMAT, "spec": plain(SPEC), "subject": "toy", "files": files})
    size = (folder / DATABASE).stat().st_size
    return {"build_s": took, "build_cpu_s": cpu, "peak_mb": peak[0] / 1e6, "file_mb": size / 1e6}


def ask(folder: Path, chosen: dict[str, Any]) -> dict[str, Any]:
    """Units one after the other, searches, and what a report asks of all units together."""
    from rich.console import Console

    from benchmarks.memory import peak_bytes
    from glossator.cli.show import print_head, print_scores
    from glossator.store.study import unit_of
    from glossator.store.summary import agreement_of_columns, means, ranked
    from glossator.study import open_study

    def read_unit(end: str) -> UnitResult:
        return study.result(unit_of(study, end))

    def show(result: UnitResult) -> None:
        out = Console(file=io.StringIO(), width=120, highlight=False)
        print_head(out, str(folder), result)
        print_scores(out, result, study.spec.card, False)

    opening, study = milliseconds(lambda: open_study(folder))
    with study:
        places = np.random.default_rng(1).integers(0, chosen["units"], chosen["asked"])
        ends = [name(int(place)).partition("/")[2] for place in places]
        read = [milliseconds(partial(read_unit, end)) for end in ends]
        show(read[0][1])  # what is imported at first use
        printed = [milliseconds(partial(show, result))[0] for _, result in read]
        searches = {q: _median(partial(study.search, q, 20)) for q in QUESTIONS}
        pages = {order: _median(partial(study.page, order)) for order in ("place", "best", "worst", "q")}
        overview, _ = milliseconds(lambda: (means(study), agreement_of_columns(study), ranked(study)))
    asked = sorted(took for took, _ in read)
    return {
        "open_ms": opening,
        "unit_ms": statistics.median(asked),
        "unit_ms_of_95_percent": asked[int(0.95 * len(asked))],
        "print_ms": statistics.median(printed),
        "search_ms": max(searches.values()),
        "search_ms_by_question": searches,
        "page_ms": max(pages.values()),
        "overview_s": overview / 1000,
        "ask_peak_mb": peak_bytes() / 1e6,
    }


def _median(do: Callable[[], Any]) -> float:
    return statistics.median(milliseconds(do)[0] for _ in range(5))


def add(folder: Path, chosen: dict[str, Any]) -> dict[str, Any]:
    """A score of a new kind for each of 1,000 units, as the first of that kind and then for others."""
    from glossator.store.adding import add_scores
    from glossator.study import open_study

    rng = np.random.default_rng(2)
    with open_study(folder) as study:
        units = [row.unit for row in study.page("best", limit=min(1_000, chosen["units"]))]
        new = [(unit, METHODS[0], score("embedding.auroc", rng)) for unit in units]
        written = _written()
        took, _ = milliseconds(lambda: add_scores(study, new))
        written = _written() - written
        assert any(s.name == "embedding.auroc" for e in study.result(units[0]).explanations for s in e.scores)
    open_study(folder).close()
    return {"add_scores_ms": took, "add_scores_written_mb": written / 1e6}


def _written() -> int:
    """Bytes that this process has written so far; 0 where the system does not say."""
    path = Path("/proc/self/io")
    said = dict(line.split(": ") for line in path.read_text().splitlines()) if path.exists() else {}
    return int(said.get("wchar", 0))


def milliseconds(do: Callable[[], Any]) -> tuple[float, Any]:
    begin = time.perf_counter()
    found = do()
    return (time.perf_counter() - begin) * 1000, found
