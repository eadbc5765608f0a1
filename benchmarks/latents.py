"""`glossator bench latents`: are latents of a sparse autoencoder explained better than neurons, components, chance?

A top-k autoencoder is trained on a site; its latents, neurons of the same layer, principal and independent components,
random directions, and latents of an autoencoder trained in the same way on the same architecture with random weights
are explained by programs on the explain split and scored on the documents of the test split. A unit for which the
explainer abstains counts 0. Everything is kept in a folder, and what was interrupted goes on.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.kept import kept
from benchmarks.recording import machine
from glossator.errors import UserError
from glossator.files import fingerprint, plain
from glossator.fitting.comparison import ABSTAINED, ALIKE, AS_IT_COMES, SCORE, Scored, explain_and_score
from glossator.fitting.components import linear
from glossator.fitting.dictionaries import batches, train
from glossator.fitting.train_spec import TrainSpec
from glossator.readouts.dictionary import Dictionary
from glossator.readouts.formats import load_dictionary
from glossator.recording import Recording, RecordingSpec, draw, record, recording_spec
from glossator.scorers.baselines import DEFAULT_BASELINES
from glossator.scores import range_of
from glossator.statistics import mean_over_units, paired_difference
from glossator.units import Unit

DEFAULTS: dict[str, Any] = {
    "subject": "smollm2-135m",
    "site": "resid.12",
    "neurons": "mlp.12",
    "tokens": 98_304,
    "width": 64,
    "latents": 4096,
    "k": 32,
    "train_tokens": 196_608,
    "batch": 1024,
    "units": 200,
    "others": 100,
    "best": 10,
    "seed": 0,
    "folder": None,
}
QUICK = {"tokens": 8192, "latents": 256, "k": 8, "train_tokens": 8192, "batch": 512, "units": 8, "others": 4}
CONTROLS = ("pca", "ica", "random")
AT_ONCE = 25
"""Units that are lost when the benchmark is interrupted, at most."""
SHARD = 64
"""Units that the explainer is given at once, as a study does."""


def run(options: dict[str, Any] | None = None) -> dict[str, Any]:
    """By group (`sae`, `neurons`, `pca`, `ica`, `random`, `random-weights`) the mean correlation on the test split with
    its interval over units; the best headlines of latents; what both dictionaries explain, and the seconds they took.

    options: `quick`, and any name of `DEFAULTS`; units: latents of each dictionary; others: units of every other group;
    folder: where all is kept, the cache by default.
    """
    options = dict(options or {})
    quick = options.pop("quick", False)
    if unknown := set(options) - set(DEFAULTS):
        raise UserError("unknown option", value=", ".join(sorted(unknown)), allowed=", ".join(DEFAULTS))
    chosen = DEFAULTS | (QUICK if quick else {}) | {name: value for name, value in options.items() if value is not None}
    folder = _folder(chosen)
    started = time.perf_counter()
    groups: dict[str, dict[str, Any]] = {}
    dictionaries: dict[str, Any] = {}
    for network in ("trained", "random-weights"):
        found = _of_network(network, chosen, folder)
        dictionaries[network] = found.pop("dictionary")
        groups |= found
    return {
        "options": chosen | {"quick": quick},
        "machine": machine(),
        "groups": {name: group["summary"] for name, group in groups.items()},
        "best": groups["sae"]["best"],
        "dictionaries": dictionaries,
        "seconds": time.perf_counter() - started,
    }


def per_minute(options: dict[str, Any]) -> dict[str, Any]:
    """units_per_minute: latents of the trained autoencoder whose evidence is drawn and which are explained by programs
    and headlines, five candidates each, on all cores; without what the units of a recording share and is built once.

    options: as of `run`.
    """
    from glossator.explainers import Abstained
    from glossator.explainers.program import ProgramExplainer
    from glossator.programs import Lexicon

    options = dict(options)
    quick = options.pop("quick", False)
    chosen = DEFAULTS | (QUICK if quick else {}) | options
    of = recorded("trained", chosen, _folder(chosen), beside=False)
    explainer = ProgramExplainer(lexicon=Lexicon.for_windows(of.recording.vocabulary, of.recording.embedding))
    units = of.of("sae")
    explainer.warm(draw(of.recording, units[0], ALIKE).explain)
    started = time.perf_counter()
    found: list[Any] = []
    for start in range(0, len(units), SHARD):
        evidence = [draw(of.recording, unit, ALIKE).explain for unit in units[start : start + SHARD]]
        found += explainer.explain(evidence, n=5, seed=chosen["seed"])
    seconds = time.perf_counter() - started
    return {
        "units_per_minute": 60 * len(units) / seconds,
        "explaining": {
            "units": len(units),
            "seconds": seconds,
            "abstained": sum(isinstance(one, Abstained) for one in found),
            "with_headline": sum(not isinstance(one, Abstained) and one[0].headline is not None for one in found),
            "explain_tokens": int(of.recording.windows.valid[of.recording.split_of_input == 0].sum()),
        },
    }


def _folder(chosen: dict[str, Any]) -> Path:
    from glossator.subjects.weights import cache_folder

    if chosen["folder"]:
        return Path(chosen["folder"])
    return cache_folder() / "benchmarks" / f"latents-{fingerprint(plain(chosen))}"


@dataclass(frozen=True)
class Recorded:
    """A recording of units of several sites, and what the autoencoder among them explains.

    units: by site; sites: of each group of units; plan: what was recorded and how.
    """

    recording: Recording
    units: dict[str, tuple[int, ...]]
    sites: dict[str, str]
    plan: RecordingSpec
    dictionary: dict[str, Any]

    def of(self, group: str) -> list[Unit]:
        site = self.sites[group]
        return [Unit(self.recording.spec.subject, site, index) for index in self.units[site]]


def recorded(network: str, chosen: dict[str, Any], folder: Path, *, beside: bool) -> Recorded:
    """An autoencoder trained on one network (`trained`, `random-weights`), recorded; beside: neurons and the controls
    too. What is in the folder is not made again."""
    from glossator.corpora import make_windows, open_corpus
    from glossator.subjects.named import open_subject, random_name

    trained = network == "trained"
    subject: Any = open_subject(chosen["subject"] if trained else random_name(chosen["subject"], chosen["seed"]))
    probes = make_windows(
        open_corpus("embedded"), subject.tokenizer, chosen["width"], max_tokens=chosen["tokens"], seed=chosen["seed"]
    )
    spec = TrainSpec(
        chosen["site"], chosen["latents"], chosen["k"], chosen["train_tokens"], chosen["batch"], seed=chosen["seed"]
    )
    report = train(subject, probes, spec, folder / f"{network}-sae")
    readouts: dict[str, Dictionary] = {"sae" if trained else network: load_dictionary(folder / f"{network}-sae")}
    if beside:
        readouts |= _controls(subject, probes, chosen, folder)
    sites = ({"neurons": chosen["neurons"]} if beside else {}) | {name: r.site_name for name, r in readouts.items()}
    named = {one.site_name: one for one in readouts.values()}
    units = _units(subject, list(sites.values()), named, chosen)
    plan = recording_spec(subject, probes, list(sites.values()), readouts=named, units=units, seed=chosen["seed"])
    place = f"{network}-recording{'' if beside else '-alone'}"
    recording = record(plan, subject, probes, folder / place, readouts=named)
    dictionary = {name: report[name] for name in ("steps", "dead_share", "held_out")}
    return Recorded(recording, units, sites, plan, dictionary)


def _of_network(network: str, chosen: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The groups of one network by name, and `dictionary`: what its autoencoder explains."""
    from glossator.explainers.program import ProgramExplainer
    from glossator.programs import Lexicon
    from glossator.scorers.lab import Lab

    of = recorded(network, chosen, folder, beside=network == "trained")
    lexicon = Lexicon.for_windows(of.recording.vocabulary, of.recording.embedding)
    found: dict[str, Any] = {"dictionary": of.dictionary}
    for name in of.sites:
        rows: list[dict[str, Any]] = []
        units = of.of(name)
        for start in range(0, len(units), AT_ONCE):
            group = units[start : start + AT_ONCE]

            def scored(group: list[Unit] = group) -> list[dict[str, Any]]:
                found = explain_and_score(of.recording, group, ProgramExplainer(lexicon=lexicon), Lab(lexicon))
                return [_row(one) for one in found]

            settings = [fingerprint(of.plan), [str(unit) for unit in group]]
            rows += kept(folder, f"{network}-{name}-{start}", settings, scored)
        found[name] = {"summary": _summary(rows), "best": _best(rows, chosen["best"])}
    return found


def _controls(subject: Any, probes: Any, chosen: dict[str, Any], folder: Path) -> dict[str, Dictionary]:
    """Principal and independent components from one pass, and random directions about the mean."""
    number = min(chosen["others"], int(subject.site(chosen["site"]).width))
    if not (folder / "random" / "dictionary.json").exists():
        names = {"reads_at": chosen["site"], "writes_at": chosen["site"], "subject": subject.name}
        specs = {
            kind: TrainSpec(
                chosen["site"], number, 1, chosen["tokens"], chosen["batch"], seed=chosen["seed"], kind=kind
            )
            for kind in ("pca", "ica")
        }
        coders = {kind: spec.coder(subject.site(chosen["site"]).width, None, "cpu") for kind, spec in specs.items()}
        for _, batch, _ in batches(subject, probes, specs["pca"], coders["pca"]):
            for coder in coders.values():
                coder.step(batch, 0.0)
        for kind, coder in coders.items():
            coder.dictionary(name=kind, **names).save(folder / kind)
        centre = load_dictionary(folder / "pca").decoder_bias
        rows = torch.randn((number, len(centre)), generator=torch.Generator().manual_seed(chosen["seed"]))
        rows = rows / rows.norm(dim=1, keepdim=True)
        linear(rows, rows, centre, name="random", **names).save(folder / "random")
    return {name: load_dictionary(folder / name) for name in CONTROLS}


def _units(subject: Any, sites: list[str], readouts: dict[str, Dictionary], chosen: dict[str, Any]) -> dict[str, Any]:
    """Drawn at random, of components all."""
    found = {}
    for site in sites:
        width = readouts[site].width if site in readouts else int(subject.site(site).width)
        number = min(width, chosen["units"] if site.startswith("sae@") else chosen["others"])
        drawn = np.random.default_rng([chosen["seed"], 1]).choice(width, number, replace=False)
        found[site] = tuple(int(i) for i in np.sort(drawn))
    return found


def _row(one: Scored) -> dict[str, Any]:
    explanation = one.explanation
    return {
        "unit": str(one.unit),
        "headline": explanation.headline.text if explanation and explanation.headline else None,
        "text": explanation.text if explanation else one.reason,
        **{name: one.value(name) for name in (SCORE, AS_IT_COMES)},
        **{name: one.baseline(name, AS_IT_COMES) for name in DEFAULT_BASELINES},
    }


def _summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Means with intervals over units of both samples of windows, and on windows as they come those of baselines and
    the difference to the lookup table."""
    values = {name: [row[name] for row in rows] for name in (SCORE, AS_IT_COMES, *DEFAULT_BASELINES)}
    return {
        "units": len(rows),
        "abstained": sum(row["text"] == ABSTAINED for row in rows),
        **{name: plain(mean_over_units(some, bounds=range_of("Pearson r"))) for name, some in values.items()},
        "over_lookup": plain(paired_difference(values[AS_IT_COMES], values["lookup"])),
    }


def _best(rows: list[dict[str, Any]], number: int) -> list[dict[str, Any]]:
    """The units that are explained best on windows as they come."""
    known = [row for row in rows if row["headline"] is not None and row[AS_IT_COMES] is not None]
    return sorted(known, key=lambda row: -row[AS_IT_COMES])[:number]
