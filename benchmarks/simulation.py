"""What simulating with a model in this process costs beside that model's bare forward pass over the same tokens.

The bare pass runs the simulator's model over the windows alone: no prompt, no questions, no output layer. Its speed is
1; `ratio` is how much of it is left when the tokens are simulated. A layout puts more tokens of the simulator into the
stream than the windows have (a tab, `unknown`, a branch), and that alone costs: `floor` is the ratio that is left by a
bare pass over the layout's own tokens, and `distance`, ratio / floor, what instructions, examples, the explanation,
masks and reading levels leave of it. Runs are taken in turns, so that what else the machine does falls on all.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.recording import Seconds, machine, ratio_of, seconds_of
from glossator.errors import UserError

DEFAULTS: dict[str, Any] = {
    "model": "smollm2-135m",
    "dtype": "float32",
    "device": "cpu",
    "width": 64,
    "windows": 24,
    "units": 1,
    "runs": 3,
    "layouts": "lm-one-at-a-time,lm-all-at-once",
}
QUICK = {"windows": 8, "units": 1, "runs": 1}
EXPLANATION = "words for parts of a house and for what people keep in it, number {}"


def run(options: dict[str, Any] | None = None) -> dict[str, Any]:
    """Measure and return ratio, floor, distance and tokens_per_second of the first layout, and of each in `layouts`.

    With the defaults it takes about three minutes on two cores.

    options: `quick` for a smoke test whose numbers mean little, `layouts` for the registered simulators to measure,
    and any name of `DEFAULTS`; units: so many explanations are simulated on the same windows. What is the same for all
    units (instructions and examples) is computed before the clock starts and stands as `prefix_seconds`. Ratios are
    medians of paired runs by the clock; `processor` holds the same by processor time, which is steadier where other
    programs run.
    """
    from glossator.corpora import make_windows, open_corpus
    from glossator.language_models.in_process import open_in_process

    options = dict(options or {})
    quick = options.pop("quick", False)
    if unknown := sorted(set(options) - set(DEFAULTS)):
        raise UserError("unknown option of this benchmark", value=unknown[0], allowed=", ".join(DEFAULTS))
    chosen = DEFAULTS | (QUICK if quick else {}) | {name: value for name, value in options.items() if value is not None}
    lm = open_in_process(chosen["model"], dtype=chosen["dtype"], device=chosen["device"])
    most = max(chosen["windows"] * chosen["width"], 16_384)  # of fewer, a corpus cannot be made into splits
    windows = make_windows(open_corpus("embedded"), lm.tokenizer, chosen["width"], max_tokens=most).windows
    windows = windows.take(np.arange(min(chosen["windows"], len(windows))))
    layouts = {name: _measure(lm, name, windows, chosen) for name in chosen["layouts"].split(",")}
    first = next(iter(layouts.values()))
    return {
        **{name: first[name] for name in ("ratio", "floor", "distance", "processor", "tokens_per_second")},
        "layout": next(iter(layouts)),
        "bare_tokens_per_second": first["bare_tokens_per_second"],
        "layouts": layouts,
        "tokens": int(windows.lengths.sum()),
        "options": chosen | {"quick": quick},
        "machine": machine(),
    }


def _measure(lm: Any, name: str, windows: Any, options: dict[str, Any]) -> dict[str, Any]:
    from glossator import registry
    from glossator.simulators.prompts import pieces_of

    if name not in DEFAULTS["layouts"].split(","):
        raise UserError("no simulator with a layout of its own", value=name, allowed=DEFAULTS["layouts"])
    started = time.perf_counter()
    reader = registry.load("simulators", name)(lm).in_process
    if reader is None:
        raise UserError("this model takes no branches, so this layout cannot be had", value=name)
    prefix_tokens = len(reader.prefix.ids)  # computes it
    prefix_seconds = time.perf_counter() - started
    own = [windows.tokens[row, :length].astype(np.int64) for row, length in enumerate(windows.lengths)]
    laid_out = [reader.layout(pieces).ids for pieces in pieces_of(windows)]
    explanations = [EXPLANATION.format(unit) for unit in range(options["units"])]
    work: dict[str, Callable[[], Any]] = {
        "bare": lambda: _bare(lm, own),
        "layout": lambda: _bare(lm, laid_out),
        "simulate": lambda: [reader.simulate(text, windows) for text in explanations],
    }
    work["bare"]()
    reader.simulate(EXPLANATION, windows.take(np.arange(1)))
    seconds: dict[str, list[Seconds]] = {task: [] for task in work}
    for number in range(options["runs"]):
        for task in list(work)[:: 1 if number % 2 == 0 else -1]:
            seconds[task].append(seconds_of(work[task]))
    n, units = int(windows.lengths.sum()), options["units"]
    for_one = {"simulate": [(wall / units, processor / units) for wall, processor in seconds["simulate"]]}
    times = seconds | for_one
    found = _ratios(times, clock=0)
    return {
        **found,
        "tokens_per_second": n / statistics.median(wall for wall, _ in times["simulate"]),
        "bare_tokens_per_second": n / statistics.median(wall for wall, _ in times["bare"]),
        "simulator_tokens_per_token": sum(map(len, laid_out)) / n,
        "prefix_tokens": prefix_tokens,
        "prefix_seconds": prefix_seconds,
        "processor": _ratios(times, clock=1),
        "seconds": times,
    }


def _ratios(times: dict[str, list[Seconds]], clock: int) -> dict[str, float]:
    return {
        "ratio": ratio_of(times["bare"], times["simulate"], clock),
        "floor": ratio_of(times["bare"], times["layout"], clock),
        "distance": ratio_of(times["layout"], times["simulate"], clock),
    }


def _bare(lm: Any, rows: list[np.ndarray]) -> None:
    """The model over these tokens and nothing else, in batches of as many tokens as a simulation has."""
    import torch

    from glossator.simulators.shared_prefix import QUERIES_AT_ONCE

    width = max(map(len, rows))
    ids = np.zeros((len(rows), width), np.int64)
    for row, tokens in enumerate(rows):
        ids[row, : len(tokens)] = tokens
    step = max(1, QUERIES_AT_ONCE // width)
    with torch.inference_mode():
        for start in range(0, len(rows), step):
            lm.head.states(input_ids=torch.from_numpy(ids[start : start + step]).to(lm.device), use_cache=False)
