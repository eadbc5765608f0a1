"""`glossator bench agent`: does an experimenter find out what known functions do, and is it better for choosing?

Functions of numbers, texts and words (`planted.functions`) are asked by two solvers with equally many calls and the
same hypotheses: one chooses each question after the answers so far, the other asks one random batch. The answer is
code; it runs in a separate process with limits, on inputs that nobody asked about (`planted.functions.grading`). Both
solvers know which families exist: `functions_solved` says what choosing questions is worth, not how a language model
would fare.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.function_solvers import CALLS, SOLVERS
from glossator.fitting.comparison import share_interval
from glossator.planted.functions import FAMILIES, VARIANTS, Asked, TextFunction, grade, text_functions

DEFAULTS: dict[str, Any] = {"functions": 12, "seed": 0}
QUICK = {"functions": 2}
WAYS = {"experiments": True, "one-shot": False}
SECONDS, MEMORY = 10, 1 << 30
_CHILD = """
import json, math, resource, sys
resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
source, inputs = json.load(sys.stdin)
scope, outputs = {"math": math}, []
exec(source, scope)
for x in inputs:
    try:
        outputs.append(scope["f"](x))
    except Exception:
        outputs.append(None)
json.dump(outputs, sys.stdout)
""".replace("SECONDS", str(SECONDS)).replace("MEMORY", str(MEMORY))


def run(options: dict[str, Any] | None = None) -> dict[str, Any]:
    """Shares of functions solved with 95 % intervals (Wilson), by way of asking, family and variant; each function."""
    options = dict(options or {})
    quick = options.pop("quick", False)
    chosen = DEFAULTS | (QUICK if quick else {}) | {k: v for k, v in options.items() if v is not None}
    functions = text_functions(chosen["functions"], chosen["seed"])
    rows = [_row(function, number, chosen["seed"]) for number, function in enumerate(functions)]
    return {
        "options": chosen | {"quick": quick},
        "calls": CALLS,
        "functions_solved": {way: _share(rows, way) for way in WAYS},
        "functions_by_kind": {
            family: {variant: {way: _share(_of(rows, family, variant), way) for way in WAYS} for variant in VARIANTS}
            for family in FAMILIES
        },
        "functions": rows,
    }


def _row(function: TextFunction, number: int, seed: int) -> dict[str, Any]:
    row: dict[str, Any] = {"name": function.name, "family": function.family, "variant": function.variant,
                           "truth": function.english}  # fmt: skip
    for way, chooses in WAYS.items():
        asked = Asked(function, CALLS[function.family])
        source = SOLVERS[function.family](asked, np.random.default_rng([seed, number]), chooses)
        found = grade(function, source, in_subprocess, seed=seed)
        row[way] = {"solved": found.solved, "main": found.main, "elsewhere": found.elsewhere,
                    "triplets": found.triplets, "calls": asked.made, "source": source}  # fmt: skip
    return row


def in_subprocess(source: str, inputs: Sequence[Any]) -> list[Any]:
    """Outputs of code that this benchmark wrote itself, with limits on time and memory; None where it fails.

    It guards against loops and floods of memory; it is no sandbox for code that others wrote.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _CHILD], input=json.dumps([source, list(inputs)]),
            capture_output=True, text=True, timeout=2 * SECONDS, check=True,
        )  # fmt: skip
        outputs: list[Any] = json.loads(done.stdout)
    except (subprocess.SubprocessError, ValueError):
        return [None] * len(inputs)
    return outputs


def _of(rows: list[dict[str, Any]], family: str, variant: str) -> list[dict[str, Any]]:
    return [row for row in rows if (row["family"], row["variant"]) == (family, variant)]


def _share(rows: list[dict[str, Any]], way: str) -> dict[str, Any]:
    share = float(np.mean([row[way]["solved"] for row in rows]))
    return {"share": share, "interval": share_interval(share, len(rows)), "n": len(rows)}
