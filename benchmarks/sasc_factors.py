"""`glossator bench sasc-factors`: SASC on transformer factors of a BERT, layer by layer.

As in Singh et al. 2023: one dictionary of non-negative sparse codes for all layers (Yun et al. 2021); a module is the
mean coefficient of one factor at one layer over a text's tokens; each is named from its top n-grams, and the name is
scored in sigma on texts with and without it. Their scores fell from layer to layer and stood beside labels of people,
without intervals; here are both, with intervals over factors. Nothing asks a language model.
"""

from __future__ import annotations

import json
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.kept import kept
from benchmarks.recording import machine
from glossator.errors import UserError
from glossator.files import fingerprint, plain
from glossator.fitting.dictionaries import train
from glossator.fitting.train_spec import TrainSpec
from glossator.naming import NGRAMS, Explained, ReferenceCorpus, explain_modules
from glossator.readouts.formats import load_dictionary
from glossator.statistics import mean_over_units, paired_difference, rank_correlation
from glossator.subjects.text_readouts import PooledSubject
from glossator.units import Unit

DEFAULTS: dict[str, Any] = {
    "subject": "minilm",
    "corpus": "embedded",
    "layers": None,
    "latents": 500,
    "penalty": 0.05,
    "tokens": 65_536,
    "train_tokens": 131_072,
    "width": 64,
    "ngrams": 4000,
    "factors": 12,
    "space": "smollm2-135m",
    "human": None,
    "seed": 0,
    "folder": None,
}
QUICK = {"latents": 100, "tokens": 8192, "train_tokens": 8192, "ngrams": 400, "factors": 2}
SCORES = ("sigma.corpus", "sigma.written", "sigma.held-out")


def run(options: dict[str, Any] | None = None) -> dict[str, Any]:
    """By layer the mean of each score with its interval over factors, a few names, and Spearman's correlation of score
    and layer with its interval; what the dictionary explains.

    options: `quick`, and any name of `DEFAULTS`; layers: numbers, all by default; factors: of each layer, drawn at
    random from those that are active there; human: JSON lines with `layer`, `factor` and `label`: these factors are
    taken as well, their labels scored alike, and the difference to our names is in `human`; folder: where all is kept.
    """
    options = dict(options or {})
    quick = options.pop("quick", False)
    if unknown := set(options) - set(DEFAULTS):
        raise UserError("unknown option", value=", ".join(sorted(unknown)), allowed=", ".join(DEFAULTS))
    chosen = DEFAULTS | (QUICK if quick else {}) | {name: value for name, value in options.items() if value is not None}
    labels = _labels(chosen["human"])
    started = time.perf_counter()
    subject, layers, report, folder = _trained(chosen)
    reference = _reference(chosen)
    rows: list[dict[str, Any]] = []
    settings = [sorted(labels.items()), {name: value for name, value in chosen.items() if name != "folder"}]
    for layer in layers:
        make = partial(_of_layer, subject, layer, folder / "factors", reference, labels, chosen)
        rows += kept(folder, f"layer-{layer}", settings, make)
    return {
        "options": chosen | {"quick": quick},
        "machine": machine(),
        "dictionary": report,
        "layers": [_summary(layer, [row for row in rows if row["layer"] == layer]) for layer in layers],
        "trend": {
            score: plain(rank_correlation([row[score] for row in rows], [row["layer"] for row in rows]))
            for score in SCORES
        },
        "human": _beside_people(rows),
        "seconds": time.perf_counter() - started,
    }


def _labels(path: str | None) -> dict[tuple[int, int], str]:
    if path is None:
        return {}
    found = {}
    for number, line in enumerate(Path(path).read_text("utf-8").splitlines(), start=1):
        try:
            row = json.loads(line)
            found[(int(row["layer"]), int(row["factor"]))] = str(row["label"])
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"line {number} of {path} is no label", allowed="layer, factor, label") from error
    return found


def _trained(chosen: dict[str, Any]) -> tuple[Any, list[int], dict[str, Any], Path]:
    from glossator.corpora import make_windows, open_corpus
    from glossator.subjects.named import open_subject
    from glossator.subjects.weights import cache_folder

    subject: Any = open_subject(chosen["subject"])
    there = sorted(int(site.name.partition(".")[2]) for site in subject.sites() if site.name.startswith("resid."))
    layers = there if chosen["layers"] is None else [int(layer) for layer in chosen["layers"]]
    probes = make_windows(
        open_corpus(chosen["corpus"]), subject.tokenizer, min(chosen["width"], subject.max_width or 1 << 20),
        max_tokens=chosen["tokens"], seed=chosen["seed"],
    )  # fmt: skip
    spec = TrainSpec(
        tuple(f"resid.{layer}" for layer in there), chosen["latents"], tokens=chosen["train_tokens"], batch=1024,
        kind="factors", penalty=chosen["penalty"], seed=chosen["seed"],
    )  # fmt: skip
    folder = chosen["folder"]
    if folder is None:
        folder = cache_folder() / "benchmarks" / f"sasc-factors-{fingerprint(plain([subject.fingerprint, spec]))}"
    found = train(subject, probes, spec, Path(folder) / "factors")
    return subject, layers, {name: found[name] for name in ("steps", "dead_share", "held_out")}, Path(folder)


def _reference(chosen: dict[str, Any]) -> ReferenceCorpus:
    from dataclasses import replace

    from glossator.explainers.naming.space import open_space

    space = None if chosen["space"] == "none" else open_space(chosen["space"], None)
    return ReferenceCorpus.of(chosen["corpus"], replace(NGRAMS, min_count=2, most=chosen["ngrams"]), embedder=space)


def _of_layer(
    subject: Any,
    layer: int,
    folder: Path,
    reference: ReferenceCorpus,
    labels: dict[tuple[int, int], str],
    chosen: dict[str, Any],
) -> list[dict[str, Any]]:
    made = load_dictionary(folder, site=f"resid.{layer}")
    module = PooledSubject(subject, made.site_name, readout=made)
    active = np.flatnonzero((module.values(reference.ngrams.inputs) > 0).mean(0) > 0.001)
    drawn = np.random.default_rng([chosen["seed"], 3, layer]).permutation(active)[: chosen["factors"]]
    of_people = {factor: label for (at, factor), label in labels.items() if at == layer}
    if beyond := [factor for factor in of_people if not 0 <= factor < made.width]:
        raise UserError("no such factor", value=beyond[0], allowed=f"0 to {made.width - 1}")
    units = sorted({*(int(i) for i in drawn), *of_people})
    given = {Unit(module.name, made.site_name, factor): label for factor, label in of_people.items()}
    found = explain_modules([module], reference, units=units, seed=chosen["seed"], reported=1, given=given)
    return [_row(layer, one, of_people.get(one.unit.index)) for one in found]


def _row(layer: int, one: Explained, label: str | None) -> dict[str, Any]:
    best = one.best
    row: dict[str, Any] = {
        "layer": layer, "factor": one.unit.index, "name": best.name if best else None, "problem": one.problem,
        "top": [text for text, _ in one.top[:5]], "label": label,
    }  # fmt: skip
    theirs = {score.name: score.value for score in one.given}
    for name in SCORES:
        score = best.score(name) if best else None
        row[name] = None if score is None else score.value
        row[f"human.{name}"] = theirs.get(name)
    return row


def _summary(layer: int, rows: list[dict[str, Any]]) -> dict[str, Any]:
    examples = sorted((row for row in rows if row["sigma.corpus"] is not None), key=lambda row: -row["sigma.corpus"])
    return {
        "layer": layer,
        "factors": len(rows),
        **{score: plain(mean_over_units([row[score] for row in rows])) for score in SCORES},
        "names": [{"factor": row["factor"], "name": row["name"], "sigma": row["sigma.corpus"]} for row in examples[:3]],
    }


def _beside_people(rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Means of our names and of people's on the same factors, and the paired difference."""
    both = [row for row in rows if row["label"] is not None]
    if not both:
        return None
    found = {}
    for score in SCORES:
        ours, theirs = [row[score] for row in both], [row[f"human.{score}"] for row in both]
        found[score] = {
            "ours": plain(mean_over_units(ours)),
            "people": plain(mean_over_units(theirs)),
            "difference": plain(paired_difference(ours, theirs)),
        }
    return found
