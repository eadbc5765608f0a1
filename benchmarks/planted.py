"""`glossator bench planted`: are units with a known answer found, and is nothing claimed of noise?

Each planted unit is evaluated on the embedded corpus under the subject's tokenizer, no model is run. The explainer sees
the explain split; its first program is executed on the documents of the test split. A unit is recovered when the
correlation there is at least 0.95. For the false claims, the activations of each unit are shuffled among all tokens
of the explain split; any program that is returned then is a claim about noise.

`memory`: the same for units that remember, those the search was improved on (`tuned`) and the others (`held`) apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from glossator.engines import in_parallel
from glossator.evidence import Exemplars, ExplainEvidence, UnitStatistics
from glossator.explainers import explain_one
from glossator.explainers.program import ProgramExplainer
from glossator.inputs.tokens import TokenWindows
from glossator.planted import planted_units
from glossator.planted.memory import MEMORY, MemoryUnit
from glossator.planted.units import PlantedUnit
from glossator.programs import Lexicon, execute
from glossator.units import Unit

DEFAULTS: dict[str, Any] = {"subject": "smollm2-135m", "tokens": 300_000, "width": 64, "kinds": None, "memory": None,
                            "seed": 0}  # fmt: skip
QUICK = {"tokens": 60_000, "kinds": ("token", "context"), "memory": ("state",)}
RECOVERED = 0.95
TOP = 40
Planted = PlantedUnit | MemoryUnit


def run(options: dict[str, Any] | None = None) -> dict[str, Any]:
    """Shares recovered and claimed on shuffled activations, in all and by kind, and what was found of each unit."""
    options = dict(options or {})
    quick = options.pop("quick", False)
    chosen = DEFAULTS | (QUICK if quick else {}) | {k: v for k, v in options.items() if v is not None}
    explain, test, lexicon = corpus_of(chosen)
    explainer = ProgramExplainer(lexicon=lexicon)

    def rows(units: Sequence[Planted]) -> list[dict[str, Any]]:
        jobs = [(unit, np.random.default_rng([chosen["seed"], i])) for i, unit in enumerate(units)]
        explainer.warm(evidence_of(Unit("planted", "none", 0), explain, np.zeros(explain.tokens.shape)))
        return in_parallel(lambda job: _row(*job, explainer, explain, test, lexicon), jobs)

    found = rows(planted_units(*(chosen["kinds"] or ())))
    remembering = rows(chosen_memory(chosen["memory"]))
    return {
        "options": chosen | {"quick": quick},
        **_shares(found),
        "kinds": _by(found, "kind"),
        "units": found,
        "memory": {
            **_shares(remembering),
            "halves": _by(remembering, "half"),
            "kinds": _by(remembering, "kind"),
            "units": remembering,
        },
    }


def chosen_memory(names: Sequence[str] | None) -> tuple[MemoryUnit, ...]:
    """The units that remember, or those of these names or kinds."""
    return tuple(unit for unit in MEMORY if names is None or unit.name in names or unit.kind in names)


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


def _row(
    planted: Planted, rng: np.random.Generator, explainer: ProgramExplainer, explain: TokenWindows, test: TokenWindows,
    lexicon: Lexicon,
) -> dict[str, Any]:  # fmt: skip
    unit = Unit("planted", planted.name, 0)
    activations = planted.activations(explain)
    found = explain_one(explainer, evidence_of(unit, explain, activations), n=1)
    false = explain_one(explainer, evidence_of(unit, explain, shuffle(activations, explain, rng)), n=1)
    row: dict[str, Any] = {"name": planted.name, "kind": planted.kind, "correlation": None, "recovered": False}
    if isinstance(planted, MemoryUnit):
        row["half"] = "tuned" if planted.tuned else "held"
    if found and found[0].program is not None:
        truth = planted.activations(test)[test.valid]
        predicted = execute(found[0].program, test, lexicon)[test.valid]
        if truth.std() > 0 and predicted.std() > 0:
            row["correlation"] = float(np.corrcoef(truth, predicted)[0, 1])
            row["recovered"] = row["correlation"] >= RECOVERED
    row["explanation"] = found[0].text if found else None
    row["description"] = planted.description
    row["claimed_on_shuffled"] = bool(false)
    return row


def _by(rows: list[dict[str, Any]], key: str) -> dict[str, Any]:
    return {name: {"n": len(some), **_shares(some)} for name in dict.fromkeys(row[key] for row in rows)
            if (some := [row for row in rows if row[key] == name])}  # fmt: skip


def _shares(rows: list[dict[str, Any]]) -> dict[str, float | None]:
    names = ("recovered", "claimed_on_shuffled")
    return {name: sum(row[name] for row in rows) / len(rows) if rows else None for name in names}
