"""`glossator bench programs`: short programs of real neurons against what single tokens alone can do.

For each layer, neurons drawn at random; explained on the explain split, scored on the documents of the test split, on
random windows and on top-and-random ones. Columns: the program whose English has at most 200 characters; the
unlimited program; the full lookup table; a list of exact tokens of the same bits as the program; the program of
another neuron of the layer. A neuron for which the explainer abstains counts 0, which no explanation deserves more.

Beside these (`program_shares.py`): what headline, modes and program account for, whether programs transfer between
sources, and neurons with random weights.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.kept import kept
from benchmarks.program_shares import Shares, means_of, shares, transfer
from glossator.engines import in_parallel
from glossator.evidence import Evidence
from glossator.explainers import Abstained, explain_one
from glossator.explainers.lookup import LookupExplainer
from glossator.explainers.program import ProgramExplainer
from glossator.explanations import Explanation, Provenance
from glossator.programs import Lexicon, bits
from glossator.recording import EvidenceSpec, Recording, draw
from glossator.scorers.baselines import baselines_beside
from glossator.scorers.correlation import pooled
from glossator.scorers.lab import Lab
from glossator.scorers.sample import SETTINGS
from glossator.scores import range_of
from glossator.statistics import mean_over_units, paired_ratio
from glossator.units import Unit

DEFAULTS: dict[str, Any] = {
    "subject": "smollm2-135m",
    "sites": ("mlp.2", "mlp.7", "mlp.12", "mlp.17", "mlp.22", "mlp.28"),
    "units": 100,
    "tokens": 131072,
    "width": 64,
    "seed": 0,
    "transfer_units": 10,
    "random_units": 20,
    "folder": None,
}
"""transfer_units: neurons of each layer whose programs are looked for in single sources; random_units: neurons of each
layer of the network with random weights, 0 for none."""
QUICK = {"sites": ("mlp.2", "mlp.12"), "units": 6, "tokens": 16384, "transfer_units": 1, "random_units": 0}
EXPLAIN = EvidenceSpec(test_random=None)
TYPICAL_BITS = 350.0
"""What the token list gets where the program explainer abstains: about what a program takes."""
COLUMNS = ("program", "program_long", "lookup", "lookup_same_bits", "other_unit")
Values = dict[str, dict[str, float | None]]


def run(options: dict[str, Any] | None = None) -> dict[str, Any]:
    """Means with 95 % intervals over units, ratios to the table and to the list, units a minute of the explainer.

    options: `quick`, and any name of `DEFAULTS`; folder: where the recording is kept, the cache by default, and beside
    it what was measured of each layer, so that a run that was stopped goes on.
    """
    options = dict(options or {})
    quick = options.pop("quick", False)
    chosen = DEFAULTS | (QUICK if quick else {}) | {k: v for k, v in options.items() if v is not None}
    recording = recorded(chosen)
    lexicon = Lexicon.for_windows(recording.vocabulary, recording.embedding)
    explainer = ProgramExplainer(lexicon=lexicon)
    folder, settings = recording.folder.with_suffix(".parts"), {k: v for k, v in chosen.items() if k != "folder"}

    def layer(site: str) -> dict[str, Any]:
        units = [Unit(recording.spec.subject, site, int(i)) for i in recording.units(site)]
        pairs = [(unit, draw(recording, unit, EXPLAIN)) for unit in units]
        explainer.warm(pairs[0][1].explain)
        started = time.perf_counter()
        found = explainer.explain([e.explain for _, e in pairs], n=5, seed=chosen["seed"])
        seconds = time.perf_counter() - started
        measured = _layer(site, pairs, [None if isinstance(f, Abstained) else f[0] for f in found], lexicon)
        tried = pairs[: chosen["transfer_units"]]
        shared = transfer(recording, tried, explainer) if tried else None
        return measured | {"transfer": shared, "seconds_explaining": seconds}

    layers = [kept(folder, site, [settings, site], lambda site=site: layer(site)) for site in recording.sites]  # type: ignore[misc]
    untrained = kept(folder, "random-weights", settings, lambda: _untrained(chosen)) if chosen["random_units"] else None
    return {
        "options": chosen | {"quick": quick},
        "layers": layers,
        "random_weights": untrained,
        "units_per_minute": 60 * sum(one["units"] for one in layers) / sum(one["seconds_explaining"] for one in layers),
        "explain_tokens": int(recording.windows.valid[recording.split_of_input == 0].sum()),
        "least_gain_over_same_bits": min(layer["gain_over_same_bits"]["random_only"]["value"] for layer in layers),
        "least_share_of_lookup": min(layer["share_of_lookup"]["random_only"]["value"] for layer in layers),
    }


def _untrained(chosen: dict[str, Any]) -> dict[str, dict[str, float | None]]:
    """By site, the mean correlation of programs of neurons with random weights, and of their lookup tables."""
    from glossator.subjects.named import random_name

    random = chosen | {"subject": random_name(chosen["subject"], chosen["seed"]), "units": chosen["random_units"]}
    recording = recorded(random)
    lexicon = Lexicon.for_windows(recording.vocabulary, recording.embedding)
    explainer, found = ProgramExplainer(lexicon=lexicon), {}
    for site in recording.sites:
        units = [Unit(recording.spec.subject, site, int(i)) for i in recording.units(site)]
        evidence = [draw(recording, unit, EXPLAIN) for unit in units]
        answers = explainer.explain([e.explain for e in evidence], n=1, seed=chosen["seed"])
        rows = []
        for unit, shown, answer in zip(units, evidence, answers, strict=True):
            best = None if isinstance(answer, Abstained) else answer[0]
            tried = {"program": best, "lookup": LookupExplainer().table_of(shown.explain)}
            rows.append(_values(unit, shown, tried, Lab(lexicon)))
        found[site] = {column: _mean([row[column]["random-only"] for row in rows])["value"] for column in tried}
    return found


def recorded(chosen: dict[str, Any]) -> Recording:
    """The recording of the chosen units, made once and kept."""
    from glossator.corpora import make_windows, open_corpus
    from glossator.files import fingerprint
    from glossator.recording import record, recording_spec
    from glossator.subjects.named import open_subject
    from glossator.subjects.weights import cache_folder

    subject: Any = open_subject(chosen["subject"], dtype="float32")
    windowed = make_windows(
        open_corpus("embedded"), subject.tokenizer, chosen["width"], max_tokens=chosen["tokens"], seed=chosen["seed"]
    )
    rng = np.random.default_rng(chosen["seed"])
    units = {
        site: tuple(sorted(rng.choice(subject.site(site).width or 0, chosen["units"], replace=False).tolist()))
        for site in chosen["sites"]
    }
    plan = recording_spec(subject, windowed, chosen["sites"], units=units, seed=chosen["seed"])
    folder = Path(chosen["folder"] or cache_folder() / "benchmarks") / f"programs-{fingerprint(plan)}"
    return record(plan, subject, windowed, folder)


def _layer(
    site: str, pairs: list[tuple[Unit, Evidence]], found: list[Explanation | None], lexicon: Lexicon
) -> dict[str, Any]:
    long = ProgramExplainer(limit=None, table=True, lexicon=lexicon)
    long.warm(pairs[0][1].explain)

    def measure(place: int) -> tuple[Values, float | None, Shares]:
        """Correlations of all columns for one neuron, the bits of its program, and what it accounts for."""
        (unit, evidence), best = pairs[place], found[place]
        others = [other for i, other in enumerate(found) if i != place and other is not None]
        unlimited = explain_one(long, evidence.explain, n=1)
        cost = None if best is None or best.program is None else bits(best.program, lexicon)
        baselines = baselines_beside(
            best or Explanation(unit, "", Provenance("none")),
            evidence.explain,
            lexicon=lexicon,
            bits=cost or TYPICAL_BITS,
            other=others[place % len(others)] if others else None,
        )
        tried = {
            "program": best,
            "lookup": baselines["lookup"],
            "other_unit": baselines.get("mismatched"),
            "program_long": unlimited[0] if unlimited else baselines["lookup"],
            "lookup_same_bits": baselines["token-list"],
        }
        lab = Lab(lexicon)
        return _values(unit, evidence, tried, lab), cost, shares(evidence, best, lab)

    measured = in_parallel(measure, range(len(pairs)))
    rows = [values for values, _, _ in measured]
    costs = [cost for _, cost, _ in measured if cost is not None]
    lengths = [len(f.text) for f in found if f is not None]
    result: dict[str, Any] = {"site": site, "units": len(pairs), "abstained": sum(f is None for f in found)}
    for column in COLUMNS:  # the plain keys are the random-only means
        result[column] = _mean([row[column]["random-only"] for row in rows])["value"]
    for setting in SETTINGS:
        name = setting.replace("-", "_")
        result[name] = {c: _mean([row[c][setting] for row in rows]) for c in COLUMNS}
        for key, null in (("gain_over_same_bits", "lookup_same_bits"), ("share_of_lookup", "lookup")):
            ours, theirs = ([row[c][setting] or 0.0 for row in rows] for c in ("program", null))
            ratio = paired_ratio(ours, theirs)
            result.setdefault(key, {})[name] = {"value": ratio.value, "low": ratio.low, "high": ratio.high}
    result["english_characters"] = {"mean": float(np.mean(lengths)), "most": max(lengths)} if lengths else None
    result["bits"] = float(np.mean(costs)) if costs else None
    result["shares"] = means_of([accounts for _, _, accounts in measured])
    return result


def _values(unit: Unit, evidence: Evidence, tried: dict[str, Explanation | None], lab: Lab) -> Values:
    """Correlation of each explanation in both settings on the test split; 0 for none and for a constant prediction."""
    values: Values = {}
    for column in COLUMNS:
        explanation = tried.get(column)
        values[column] = {}
        for setting in SETTINGS:
            value = None if explanation is None else pooled(lab.trial(evidence, setting), explanation).value
            values[column][setting] = 0.0 if value is None else value
    return values


def _mean(values: list[float | None]) -> dict[str, float | None]:
    found = mean_over_units(values, bounds=range_of("Pearson r"))
    return {"value": found.value, "low": found.low, "high": found.high}
