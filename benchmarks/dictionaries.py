"""`glossator bench dictionaries`: are dictionaries read as their packages read them, and what do their latents cost?

Parity: an interpreter that has sae-lens and eai-sparsify (dictionary_learning and circuit-tracer, if they are there)
writes dictionaries and says what these make of random inputs; we read the files. It is named by
`GLOSSATOR_SAE_PYTHON` or the option `python`.

Speed: a random top-k dictionary at a site, recorded, against encoding alone on the same values.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.recording import machine, with_readout
from glossator.errors import UserError
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
    "runs": 3,
    "units": 300,
    "seed": 0,
    "python": None,
    "folder": None,
}
QUICK = {"tokens": 4096, "latents": 4096, "runs": 1, "units": 50}


def run(options: dict[str, Any] | None = None) -> dict[str, Any]:
    """parity_max_error, None with a reason without such an interpreter; overhead_sparse, bytes_per_posting,
    evidence_ms_per_unit.

    options: `quick`, and any name of `DEFAULTS`; activation: `top-k`, or `jumprelu` with thresholds that leave about k.
    """
    options = dict(options or {})
    quick = options.pop("quick", False)
    if unknown := set(options) - set(DEFAULTS):
        raise UserError("unknown option", value=", ".join(sorted(unknown)), allowed=", ".join(DEFAULTS))
    chosen = DEFAULTS | (QUICK if quick else {}) | options
    found: dict[str, Any] = {"options": chosen | {"quick": quick}, "machine": machine()}
    with tempfile.TemporaryDirectory(dir=chosen["folder"]) as folder:
        found |= parity(chosen["python"] or os.environ.get(INTERPRETER), Path(folder) / "packages")
        measured = _speed(chosen, Path(folder))
    detail = measured.pop("sparse")
    return found | measured | {"evidence_ms_per_unit": detail.pop("evidence_ms_per_unit"), "recording": detail}


def parity(python: str | None, folder: Path) -> dict[str, Any]:
    """The largest difference over all dictionaries that the packages wrote, and each of them."""
    if not python:
        reason = f"{INTERPRETER} names no interpreter with sae-lens and eai-sparsify"
        return {"parity_max_error": None, "parity_reason": reason}
    import torch
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
    import torch

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
