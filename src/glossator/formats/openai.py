"""OpenAI's `NeuronRecord` and `NeuronSimulationResults`, as `automated-interpretability` and its forks write them.

    activations/LAYER/NEURON.json      explanations/LAYER/NEURON.jsonl

Each object may say its class in `dataclass_name`; `transformer-debugger` calls `simulation` `sequence_simulation`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from glossator.errors import UserError
from glossator.files import write_bytes
from glossator.formats.base import (
    Excerpt,
    Kind,
    OfUnit,
    Said,
    SourceOfUnits,
    excerpt,
    index_of,
    number_or_none,
    objects,
    parsed,
    part,
    read_text,
    text_of,
)

FORMAT = "openai"
SCORE = "ev_correlation_score"
ACTIVATIONS, EXPLANATIONS = "activations", "explanations"
MOMENTS = ("mean", "variance", "skewness", "kurtosis")


def read(path: Path, subject: str | None = None) -> SourceOfUnits:
    """A file, or a folder of them with any names; subject: the model, which the files do not name."""
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*.json*") if p.suffix in (".json", ".jsonl"))
    found: dict[tuple[str, int], OfUnit] = {}
    for file in files:
        text = read_text(file).strip()
        if not text or '"neuron_id"' not in text:
            continue
        parts = [text] if file.suffix == ".json" else [line for line in text.split("\n") if line.strip()]
        for unit in (_unit(parsed(one, str(file)), str(file)) for one in parts):
            key = unit.site, unit.index
            known = found.get(key)
            found[key] = unit if known is None else _joined(known, unit)
    if not found:
        raise UserError("no neuron record here", value=str(path), allowed="JSON with `neuron_id`")
    return SourceOfUnits(subject or "gpt2-xl", FORMAT, tuple(unit for _, unit in sorted(found.items())))


def _joined(a: OfUnit, b: OfUnit) -> OfUnit:
    """A record and what was said of it; of the texts that scored an explanation only those that the record lacks."""
    first, second = (a, b) if a.statistics or len(a.excerpts) >= len(b.excerpts) else (b, a)
    seen = {(one.tokens, one.kind) for one in first.excerpts}
    more = () if first.excerpts else tuple(one for one in second.excerpts if (one.tokens, one.kind) not in seen)
    return OfUnit(a.site, a.index, (*first.excerpts, *more), (*a.said, *b.said), statistics=a.statistics | b.statistics)


def _unit(row: dict[str, Any], where: str) -> OfUnit:
    named = row.get("neuron_id")
    if not isinstance(named, dict):
        raise UserError("the record does not name its neuron", value=where)
    layer = index_of(named.get("layer_index"), where)
    index = index_of(named.get("neuron_index", named.get("activation_index")), where)
    if "scored_explanations" in row:
        said, excerpts = [], list[Excerpt]()
        for one in objects(row, "scored_explanations", where):
            scored = part(one, "scored_simulation", where)
            said.append(Said(text_of(one, "explanation", where), "", None,
                             number_or_none(scored.get(SCORE), where), SCORE))  # fmt: skip
            if not excerpts:
                excerpts = [_scored(each, where) for each in objects(scored, "scored_sequence_simulations", where)]
        return OfUnit(f"mlp.{layer}", index, tuple(excerpts), tuple(said))
    excerpts = [
        *_records(row, "most_positive_activation_records", "top", where),
        *_records(row, "random_sample", "random", where),
    ]
    edges, samples = (row.get(name) or [] for name in ("quantile_boundaries", "random_sample_by_quantile"))
    if not isinstance(edges, list) or not isinstance(samples, list):
        raise UserError("random_sample_by_quantile and its boundaries are not lists", value=where)
    for number, some in enumerate(samples):
        low, high = (number_or_none(edges[k], where) if 0 <= k < len(edges) else None for k in (number - 1, number))
        excerpts += _records({f"sample {number}": some}, f"sample {number}", "interval", where, low=low, high=high)
    statistics = {name: value for name in MOMENTS if (value := number_or_none(row.get(name), where)) is not None}
    return OfUnit(f"mlp.{layer}", index, tuple(excerpts), statistics=statistics)


def _records(row: dict[str, Any], name: str, kind: Kind, where: str, **more: Any) -> list[Excerpt]:
    return [
        excerpt(one.get("tokens"), one.get("activations"), where, kind=kind, **more)
        for one in objects(row, name, where)
    ]


def _scored(row: dict[str, Any], where: str) -> Excerpt:
    simulated = part(row, "simulation", where) or part(row, "sequence_simulation", where)
    return excerpt(simulated.get("tokens"), row.get("true_activations"), where)


def write(folder: Path, units: Iterable[OfUnit], simulated: dict[tuple[str, int], list[dict[str, Any]]]) -> int:
    """Write records and, of the units in `simulated`, `NeuronSimulationResults`; returns how many units there are.

    simulated: of each (site, index) explanations as `scored` makes them. Raises `UserError` for a site without a layer.
    """
    count = 0
    for unit in units:
        layer = unit.site.rpartition(".")[2]
        if not layer.isdigit():
            raise UserError("a neuron record needs a layer", value=unit.site, allowed="sites such as mlp.12")
        named = {"layer_index": int(layer), "neuron_index": unit.index, "dataclass_name": "NeuronId"}
        record = {
            "neuron_id": named,
            "random_sample": [_record(one) for one in unit.excerpts if one.kind == "random"],
            "random_sample_by_quantile": None,
            "quantile_boundaries": None,
            **{name: unit.statistics.get(name) for name in MOMENTS},
            "most_positive_activation_records": [_record(one) for one in unit.excerpts if one.kind == "top"],
            "dataclass_name": "NeuronRecord",
        }
        write_bytes(folder / ACTIVATIONS / layer / f"{unit.index}.json", _dumped(record))
        if found := simulated.get((unit.site, unit.index)):
            results = {"neuron_id": named, "scored_explanations": found, "dataclass_name": "NeuronSimulationResults"}
            write_bytes(folder / EXPLANATIONS / layer / f"{unit.index}.jsonl", _dumped(results) + b"\n")
        count += 1
    return count


def scored(said: Said, excerpts: Iterable[Excerpt], predicted: Iterable[np.ndarray]) -> dict[str, Any]:
    """A `ScoredExplanation`: the explanation, its score, and truth beside prediction on the texts that scored it."""
    parts = []
    for one, guess in zip(excerpts, predicted, strict=True):
        values = [float(value) for value in guess]
        parts.append({
            "simulation": {
                "tokens": [*one.tokens], "expected_activations": values, "activation_scale": "neuron_activations",
                "distribution_values": [], "distribution_probabilities": [], "uncalibrated_simulation": None,
                "dataclass_name": "SequenceSimulation",
            },
            "true_activations": [float(value) for value in one.values],
            SCORE: _correlation(one.values, np.asarray(values)),
            "rsquared_score": None, "absolute_dev_explained_score": None,
            "dataclass_name": "ScoredSequenceSimulation",
        })  # fmt: skip
    whole = {
        "scored_sequence_simulations": parts, SCORE: said.score, "rsquared_score": None,
        "absolute_dev_explained_score": None, "dataclass_name": "ScoredSimulation",
    }  # fmt: skip
    return {"explanation": said.text, "scored_simulation": whole, "dataclass_name": "ScoredExplanation"}


def _correlation(a: np.ndarray, b: np.ndarray) -> float | None:
    if len(a) < 2 or not np.ptp(a) or not np.ptp(b):
        return None
    return float(np.corrcoef(a, b)[0, 1])


def _record(one: Excerpt) -> dict[str, Any]:
    return {
        "tokens": [*one.tokens], "activations": [float(value) for value in one.values],
        "dataclass_name": "ActivationRecord",
    }  # fmt: skip


def _dumped(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
