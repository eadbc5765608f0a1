"""`glossator bench dictionaries`: are dictionaries read as their packages read them, and what do their latents cost?

Parity: an interpreter that has sae-lens and eai-sparsify (dictionary_learning and circuit-tracer, if they are there)
writes dictionaries and says what these make of random inputs; we read the files. It is named by
`GLOSSATOR_SAE_PYTHON` or the option `python`.

Speed: a random top-k dictionary at a site, recorded, against encoding alone on the same values.

Training: our top-k trainer and that of eai-sparsify on the same captured values, in the same batches, with the same
rates.

Planted: values that are sparse sums of known atoms, and how many of these each kind of dictionary finds.

Explaining: latents of a trained autoencoder that are explained in a minute (`benchmarks.latents`).

Voxels: which simulated voxels are found, and which null voxels explained (`benchmarks.voxels`).
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import latents, voxels
from benchmarks.recording import machine, with_readout
from glossator.errors import UserError
from glossator.fitting.coder import Batch
from glossator.fitting.train_spec import TrainSpec
from glossator.readouts.dictionary import Dictionary
from glossator.readouts.formats import load_dictionary

INTERPRETER = "GLOSSATOR_SAE_PYTHON"
DEFAULTS: dict[str, Any] = {
    "subject": "smollm2-135m",
    "site": "resid.12",
    "width": 64,
    "tokens": 32_768,
    "latents": 16_384,
    "k": 32,
    "activation": "top-k",
    "train_site": "resid.6",
    "train_text": 32_768,
    "train_tokens": 131_072,
    "train_latents": 4096,
    "train_batch": 2048,
    "only": None,
    "runs": 3,
    "units": 300,
    "explained": 200,
    "explain_site": "resid.12",
    "seed": 0,
    "python": None,
    "folder": None,
}
QUICK = {"tokens": 4096, "latents": 4096, "runs": 1, "units": 50, "train_text": 8192, "train_tokens": 16_384}
QUICK |= {"train_latents": 512, "explained": 8}
PARTS = ("parity", "speed", "training", "planted", "explaining", "voxels")
FOUND = 0.9
"""Cosine at which an atom counts as found."""


def run(options: dict[str, Any] | None = None) -> dict[str, Any]:
    """parity_max_error, fvu_ratio and time_ratio (ours over theirs), None with a reason without such an interpreter;
    overhead_sparse, bytes_per_posting, evidence_ms_per_unit; atoms_recovered, the share of planted atoms that
    transformer factors find, and `planted`, that of every kind; units_per_minute; voxels_found and
    voxels_null_explained.

    options: `quick`, `only` for some of `PARTS`, and any name of `DEFAULTS`; activation: `top-k`, or `jumprelu` with
    thresholds that leave about k; units: whose evidence is timed; explained: latents that are explained.
    """
    options = dict(options or {})
    quick = options.pop("quick", False)
    if unknown := set(options) - set(DEFAULTS):
        raise UserError("unknown option", value=", ".join(sorted(unknown)), allowed=", ".join(DEFAULTS))
    chosen = DEFAULTS | (QUICK if quick else {}) | options
    parts = PARTS if not chosen["only"] else tuple(part for part in PARTS if part in chosen["only"])
    found: dict[str, Any] = {"options": chosen | {"quick": quick}, "machine": machine()}
    python = chosen["python"] or os.environ.get(INTERPRETER)
    with tempfile.TemporaryDirectory(dir=chosen["folder"]) as folder:
        if "parity" in parts:
            found |= parity(python, Path(folder) / "packages")
        if "speed" in parts:
            measured = _speed(chosen, Path(folder))
            detail = measured.pop("sparse")
            found |= measured | {"evidence_ms_per_unit": detail.pop("evidence_ms_per_unit"), "recording": detail}
        if "training" in parts:
            found |= training(chosen, python, Path(folder))
        if "planted" in parts:
            shares = {kind: atoms_recovered(kind, chosen["seed"], quick) for kind in ("factors", "jumprelu", "top-k")}
            found |= {"atoms_recovered": shares["factors"], "planted": shares}
    if "explaining" in parts:
        names = {"subject": "subject", "site": "explain_site", "units": "explained", "seed": "seed", "width": "width"}
        found |= latents.per_minute({"quick": quick} | {name: chosen[option] for name, option in names.items()})
    if "voxels" in parts:
        measured = voxels.run({"quick": quick, "seed": chosen["seed"]})
        found |= {name: measured.pop(name) for name in ("voxels_found", "voxels_null_explained")}
        found |= {"voxels": measured}
    return found


def atoms_recovered(kind: Any, seed: int, quick: bool) -> float:
    """The share of 96 atoms in 64 dimensions that some latent points along, by a cosine of `FOUND`; of each value about
    four are active, with amplitudes of 0.5 to 1.5 and a little noise."""
    generator = torch.Generator().manual_seed(seed)
    atoms = torch.nn.functional.normalize(torch.randn(96, 64, generator=generator), dim=1)
    # Few and cheap for factors: a quarter of these would measure the number of steps.
    steps = 40 if kind == "factors" else 200 if quick else 800
    spec = TrainSpec("planted", 128, 4, steps * 1024, 1024, 5e-3, seed=seed, kind=kind)
    coder = spec.coder(64, None, "cpu")
    for step in range(steps):
        on = torch.rand(1024, 96, generator=generator) < 0.04
        noise = 0.02 * torch.randn(1024, 64, generator=generator)
        batch = Batch.of(((0.5 + torch.rand(1024, 96, generator=generator)) * on) @ atoms + noise)
        if step == 0:
            coder.start(batch)
        coder.step(batch, spec.rate_at(step))
    rows = torch.nn.functional.normalize(coder.dictionary(name="planted", reads_at="x", writes_at="x").decoder, dim=1)
    return float(((atoms @ rows.T).max(1).values >= FOUND).float().mean())


def parity(python: str | None, folder: Path) -> dict[str, Any]:
    """The largest difference over all dictionaries that the packages wrote, and each of them."""
    if not python:
        reason = f"{INTERPRETER} names no interpreter with sae-lens and eai-sparsify"
        return {"parity_max_error": None, "parity_reason": reason}
    from safetensors.torch import load_file

    script = Path(__file__).with_name("dictionary_packages.py")
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [python, "-W", "ignore", str(script), str(folder)], capture_output=True, text=True, cwd=folder
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return {"parity_max_error": None, "parity_reason": f"the packages could not write: {last}"}
    rows: list[dict[str, Any]] = []
    for file in sorted(folder.rglob("told.st")):
        told, package = load_file(file), file.relative_to(folder).parts[0]
        ours = load_dictionary(file.parent, site="mlp-in.1" if package == "circuit_tracer" else None)
        with torch.inference_mode():
            encoded, decoded = ours.encode(told["x"]), ours.reconstructed(told["x"])
        rows.append(
            {
                "package": package,
                "dictionary": "/".join(file.relative_to(folder).parts[1:-1]),
                "activation": ours.activation,
                "encode": float((encoded - told["encoded"]).abs().max()),
                "decode": float((decoded - told["decoded"]).abs().max()),
                "active": float((told["encoded"] != 0).float().sum(-1).mean()),
            }
        )
    worst = max(max(row["encode"], row["decode"]) for row in rows)
    return {"parity_max_error": worst, "parity": rows}


def random_dictionary(site: str, width: int, latents: int, k: int, activation: str, seed: int) -> Dictionary:
    """Random unit directions, encoder and decoder alike; thresholds of `jumprelu` leave about k latents of normal
    inputs of norm 1 active."""
    rows = torch.randn((latents, width), generator=torch.Generator().manual_seed(seed))
    rows = rows / rows.norm(dim=1, keepdim=True)
    made: dict[str, Any] = {"activation": activation}
    if activation == "jumprelu":
        level = torch.distributions.Normal(0.0, width**-0.5).icdf(torch.tensor(1 - k / latents))
        made |= {"threshold": level.expand(latents), "normalization": "constant-norm"}
        made["threshold"] = made["threshold"] * width**0.5
    else:
        made["k"] = k
    return Dictionary(
        name="sae", reads_at=site, writes_at=site, encoder=rows, encoder_bias=torch.zeros(latents), decoder=rows,
        decoder_bias=torch.zeros(width), **made,
    )  # fmt: skip


def training(options: dict[str, Any], python: str | None, folder: Path) -> dict[str, Any]:
    """Held-out fvu and processor seconds of ours and theirs, and their ratios."""
    import json

    from safetensors.torch import save_file

    train, held = _captured(options)
    spec = TrainSpec(
        options["train_site"], options["train_latents"], options["k"], options["train_tokens"], options["train_batch"],
        seed=options["seed"],
    )  # fmt: skip
    rates = [spec.rate_at(step) for step in range(spec.steps)]
    ours = _trained(spec, rates, train, held)
    if not python:
        reason = f"{INTERPRETER} names no interpreter with eai-sparsify"
        return {"fvu_ratio": None, "time_ratio": None, "training_reason": reason, "training": {"ours": ours}}
    save_file({"train": train, "held": held}, folder / "values.safetensors")
    names = ("latents", "k", "batch", "auxiliary", "seed")
    settings = {name: getattr(spec, name) for name in names} | {"rates": rates, "dead_after": spec.silence}
    settings |= {"threads": torch.get_num_threads()}
    (folder / "settings.json").write_text(json.dumps(settings))
    script = Path(__file__).with_name("dictionary_training.py")
    files = [str(folder / name) for name in ("values.safetensors", "settings.json", "theirs.json")]
    done = subprocess.run([python, "-W", "ignore", str(script), *files], capture_output=True, text=True, cwd=folder)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return {"fvu_ratio": None, "time_ratio": None, "training_reason": last, "training": {"ours": ours}}
    theirs = json.loads((folder / "theirs.json").read_text())
    return {
        "fvu_ratio": ours["fvu"] / theirs["fvu"],
        "time_ratio": ours["processor"] / theirs["processor"],
        "training": {"ours": ours, "theirs": theirs, "steps": spec.steps},
    }


def _trained(spec: TrainSpec, rates: list[float], train: torch.Tensor, held: torch.Tensor) -> dict[str, float]:
    coder = spec.coder(train.shape[1], None, "cpu")
    seconds, processor = time.perf_counter(), time.process_time()
    with torch.inference_mode():
        for step, rate in enumerate(rates):
            first = step * spec.batch % len(train)
            batch = Batch.of(train[first : first + spec.batch])
            if step == 0:
                coder.start(batch)
            coder.step(batch, rate)
    seconds, processor = time.perf_counter() - seconds, time.process_time() - processor
    made = coder.dictionary(name="sae", reads_at=spec.site, writes_at=spec.site)
    left = torch.cat([(made.reconstructed(part) - part).square().sum(1) for part in held.split(2048)]).sum()
    return {
        "fvu": float(left / (held - held.mean(0)).square().sum()),
        "seconds": seconds,
        "processor": processor,
        "dead_share": len(coder.dead) / spec.latents,
    }


def _captured(options: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
    """Values of the site on some text, shuffled, a whole number of batches; and on an eighth of it held out."""
    from glossator.corpora import make_windows, open_corpus
    from glossator.subjects import load_subject

    subject = load_subject(options["subject"])
    windowed = make_windows(
        open_corpus("embedded"), subject.tokenizer, options["width"], max_tokens=2 * options["train_text"]
    )
    windows = subject.counted(windowed.windows)
    parts: dict[str, list[torch.Tensor]] = {}
    for split, share in ((0, 1.0), (3, 0.125)):
        rows = np.flatnonzero(windowed.split_of_input == split)
        for some in np.array_split(rows[: int(share * options["train_text"] / options["width"])], 32):
            if len(some):
                batch = windows.take(some)
                values = subject.activations(batch.tokens, batch.lengths, [options["train_site"]])
                found = values[options["train_site"]][torch.from_numpy(batch.valid)]
                parts.setdefault("train" if split == 0 else "held", []).append(found.float())
    train, held = (torch.cat(parts[name]) for name in ("train", "held"))
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(options["seed"]))
    whole = max(1, len(train) // options["train_batch"]) * options["train_batch"]
    return train[order[:whole]].clone(), held.clone()


def _speed(options: dict[str, Any], folder: Path) -> dict[str, Any]:
    from glossator.corpora import make_windows, open_corpus
    from glossator.subjects import load_subject

    subject = load_subject(options["subject"])
    windowed = make_windows(open_corpus("embedded"), subject.tokenizer, options["width"], max_tokens=options["tokens"])
    width = subject.site(options["site"]).width
    made = random_dictionary(
        options["site"], int(width or 0), options["latents"], options["k"], options["activation"], options["seed"]
    )
    return with_readout(options, subject, windowed, made, folder)
