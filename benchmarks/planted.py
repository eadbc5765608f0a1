"""`glossator bench planted`: are units with a known answer found, and is nothing claimed of noise?

Each planted unit is evaluated on the embedded corpus under the subject's tokenizer, no model is run. The explainer sees
the explain split; its first program is executed on the documents of the test split. A unit is recovered when the
correlation there is at least 0.95. For the false claims, the activations of each unit are shuffled among all tokens
of the explain split; any program that is returned then is a claim about noise.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np

from glossator.evidence import Exemplars, ExplainEvidence, UnitStatistics
from glossator.explainers import explain_one
from glossator.explainers.program import ProgramExplainer
from glossator.inputs.tokens import TokenWindows
from glossator.planted import planted_units
from glossator.planted.units import PlantedUnit
from glossator.programs import Lexicon, execute
from glossator.units import Unit

DEFAULTS: dict[str, Any] = {"subject": "smollm2-135m", "tokens": 300_000, "width": 64, "kinds": None, "seed": 0}
QUICK = {"tokens": 60_000, "kinds": ("token", "context")}
RECOVERED = 0.95
TOP = 40


def run(options: dict[str, Any] | None = None) -> dict[str, Any]:
    """Shares recovered and claimed on shuffled activations, in all and by kind, and what was found of each unit."""
    options = dict(options or {})
    quick = options.pop("quick", False)
    chosen = DEFAULTS | (QUICK if quick else {}) | {k: v for k, v in options.items() if v is not None}
    explain, test, lexicon = corpus_of(chosen)
    explainer = ProgramExplainer(lexicon=lexicon)
    units, kinds = [], defaultdict(list)
    for number, planted in enumerate(planted_units(*(chosen["kinds"] or ()))):
        unit = Unit("planted", planted.name, number)
        activations = planted.activations(explain)
        found = explain_one(explainer, evidence_of(unit, explain, activations), n=1)
        shuffled = shuffle(activations, explain, np.random.default_rng([chosen["seed"], number]))
        false = explain_one(explainer, evidence_of(unit, explain, shuffled), n=1)
        row = _row(planted, found[0] if found else None, test, lexicon)
        row["claimed_on_shuffled"] = bool(false)
        units.append(row)
        kinds[planted.kind].append(row)
    return {
        "options": chosen | {"quick": quick},
        "recovered": _share(units, "recovered"),
        "claimed_on_shuffled": _share(units, "claimed_on_shuffled"),
        "kinds": {kind: {"n": len(rows), "recovered": _share(rows, "recovered"),
                         "claimed_on_shuffled": _share(rows, "claimed_on_shuffled")} for kind, rows in kinds.items()},
        "units": units,
    }  # fmt: skip


def corpus_of(chosen: dict[str, Any]) -> tuple[TokenWindows, TokenWindows, Lexicon]:
    """Windows of the explain and of the test split, and what is known of the vocabulary."""
    from glossator.corpora import make_windows, open_corpus
    from glossator.subjects import load_subject

    subject = load_subject(chosen["subject"])
    windowed = make_windows(
        open_corpus("embedded"), subject.tokenizer, chosen["width"], max_tokens=chosen["tokens"], seed=chosen["seed"]
    )
    lexicon = Lexicon.for_windows(windowed.windows.vocabulary, subject.embedding())
    explain, test = (windowed.windows.take(windowed.split_of_input == split) for split in (0, 3))
    return explain, test, lexicon


def evidence_of(unit: Unit, windows: TokenWindows, activations: np.ndarray) -> ExplainEvidence:
    """All windows are the random draw; the most active ones are top windows too."""
    maxima = activations.max(axis=1)
    top = np.argsort(-maxima, kind="stable")[:TOP]
    kinds = np.full(len(windows), "random", dtype="<U9")
    kinds[top[maxima[top] > 0]] = "top"
    values = activations[windows.valid].astype(np.float64)
    statistics = UnitStatistics(
        values.size, float(values.mean()), float(values.var()), None, None, float(values.max()), 1e-6,
        float((values > 0).mean()), "above 0",
    )  # fmt: skip
    return ExplainEvidence(
        unit, Exemplars(windows, activations, kinds, np.ones(len(windows), bool)), statistics, "planted"
    )


def shuffle(activations: np.ndarray, windows: TokenWindows, rng: np.random.Generator) -> np.ndarray:
    """The same values at other tokens."""
    shuffled = np.zeros_like(activations)
    shuffled[windows.valid] = rng.permutation(activations[windows.valid])
    return shuffled


def _row(planted: PlantedUnit, found: Any, test: TokenWindows, lexicon: Lexicon) -> dict[str, Any]:
    row: dict[str, Any] = {"name": planted.name, "kind": planted.kind, "correlation": None, "recovered": False}
    if found is not None:
        truth, predicted = planted.activations(test)[test.valid], execute(found.program, test, lexicon)[test.valid]
        if truth.std() > 0 and predicted.std() > 0:
            row["correlation"] = float(np.corrcoef(truth, predicted)[0, 1])
            row["recovered"] = row["correlation"] >= RECOVERED
    row["explanation"] = found.text if found is not None else None
    row["description"] = planted.description
    return row


def _share(rows: list[dict[str, Any]], key: str) -> float | None:
    return sum(row[key] for row in rows) / len(rows) if rows else None
