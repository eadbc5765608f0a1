"""`glossator voxels`: encoding models of measured responses, and simulated responses to try them on."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from glossator.cli.printing import JSON, Row, console, emit, number, print_rows
from glossator.errors import UserError

if TYPE_CHECKING:
    from glossator.readouts.encoding_model import EncodingModel

SHOWN = 20

voxels = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Encoding models, whose voxels are units: see --readout voxels:FOLDER of glossator run and sasc.",
)


@voxels.command("fit")
def fit(
    responses: Path = typer.Argument(..., help="NPZ file: words with onsets, responses, runs (docs/voxels.md)."),
    out: Path = typer.Option(..., help="Folder for the encoding model."),
    subject: str = typer.Option(
        "vectors:smollm2-135m", help="Features: a model (smollm2-135m, minilm, folder), or static vectors:MODEL."
    ),
    site: str | None = typer.Option(None, help="Site of a model, such as resid.12. Static vectors need none."),
    name: str | None = typer.Option(None, help="Name of the units' site. Default: the folder's."),
    delays: str = typer.Option("2,4,6,8", help="Delays of the haemodynamic response, in seconds."),
    drift: float = typer.Option(128.0, help="Periods above so many seconds are taken out."),
    context: int = typer.Option(64, help="Tokens that a word is read in."),
    banded: bool = typer.Option(False, "--banded", help="Banded ridge: a penalty for every delay."),
    held_out: list[str] | None = typer.Option(
        None, help="Label of a run to test on; repeatable. Default: as the file says, else the last run."
    ),
    device: str | None = typer.Option(None, help="cpu (default), cuda, cuda:N, mps, or auto."),
    seed: int = typer.Option(0, min=0, help="Seed of permutations and of the weights of bands."),
    json: bool = JSON,
) -> None:
    """Fit encoding models of all voxels, and test which of them predict held-out runs.

    Voxels that are not predicted (false-discovery rate 1 %) are kept, but not explained.

    \b
    Examples:
      glossator voxels simulate --out simulated.npz
      glossator voxels fit simulated.npz --out voxels
      glossator sasc --readout voxels:voxels
    """
    from glossator.fitting.encoding import EncodingSpec, fit_encoding
    from glossator.readouts.base import check_name
    from glossator.subjects.named import VECTORS, open_subject
    from glossator.subjects.scans import load_scans

    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError("there is something in this folder already", value=str(out), fix="Choose another --out")
    try:
        seconds = tuple(float(part) for part in delays.split(","))
    except ValueError as error:
        raise UserError("invalid --delays", value=delays[:80], allowed="seconds with commas: 2,4,6,8") from error
    named = name or re.sub("[^A-Za-z0-9_.-]", "-", out.resolve().name)
    check_name(named, "an encoding model")
    spec = EncodingSpec(seconds, drift, context, banded, seed=seed)
    scans = load_scans(responses, tuple(held_out or ()))
    opened: Any = open_subject(subject, device=device)
    if site is None and not subject.startswith(VECTORS):
        raise UserError("a model has several sites", value=subject, fix="Choose one: --site resid.12")
    where = site or opened.sites()[0].name
    model = fit_encoding(opened, where, scans, spec, name=named, opened_by=subject)
    model.save(out)
    if json:
        emit(facts(model, out))
    else:
        show(model, out)


@voxels.command("simulate")
def simulate(
    out: Path = typer.Option(..., help="NPZ file to write."),
    subject: str = typer.Option("smollm2-135m", help="Model whose token embeddings say what a word is about."),
    concepts: str | None = typer.Option(
        None, help="What planted voxels respond to, with commas. Default: 20 concepts."
    ),
    null: int = typer.Option(20, min=0, help="Number of voxels that respond to no content."),
    runs: int = typer.Option(20, help="Number of runs; two are held out and presented four times."),
    seconds: float = typer.Option(600.0, help="Length of a run, in seconds."),
    ceilings: str = typer.Option("0.3,0.9", help="Lowest and highest r that noise allows in one presentation."),
    corpus: str = typer.Option("embedded", help="Text that is spoken: 'embedded', a file or a folder."),
    text_column: str | None = typer.Option(None, help="Field or column of the corpus with the text (text)."),
    seed: int = typer.Option(0, min=0, help="Random seed."),
    json: bool = JSON,
) -> None:
    """Write simulated responses: planted semantic tuning, haemodynamic response, drift, noise, and null voxels."""
    from glossator.corpora import open_corpus
    from glossator.planted.voxels import CONCEPTS, SimulationSpec, nearness, simulate_voxels
    from glossator.subjects.embedders import TokenVectors
    from glossator.subjects.loading import load_subject

    if out.exists():
        raise UserError("there is such a file already", value=str(out), fix="Choose another --out")
    try:
        low, high = (float(part) for part in ceilings.split(","))
    except ValueError as error:
        raise UserError("invalid --ceilings", value=ceilings[:80], allowed="two numbers: 0.3,0.9") from error
    planted = tuple(part.strip() for part in concepts.split(",") if part.strip()) if concepts else CONCEPTS
    spec = SimulationSpec(runs=runs, seconds=seconds, null=null, ceilings=(low, high), seed=seed)
    tuning = nearness(TokenVectors(load_subject(subject)).embed, planted)
    found = simulate_voxels(open_corpus(corpus, text_column).documents(), planted, tuning, spec).scans
    found.save(out)
    told = {"file": str(out), "words": len(found.words), "scans": len(found.responses), "voxels": len(found.voxels)}
    if json:
        emit(told)
    else:
        console().print(
            f"{told['words']} words, {told['scans']} scans, {told['voxels']} voxels in {out}",
            markup=False,
            soft_wrap=True,
        )


def facts(model: EncodingModel, folder: Path) -> dict[str, Any]:
    """What a fit found, for machines."""
    import numpy as np

    def known(value: float) -> float | None:
        return float(value) if np.isfinite(value) else None

    each = [
        {"index": index, "voxel": voxel, "r": known(model.r[index]), "q": float(model.q[index]),
         "ceiling": known(model.ceiling[index]), "penalty": float(model.penalty[index]),
         "refused": model.refused(index)}
        for index, voxel in enumerate(model.voxels)
    ]  # fmt: skip
    return {"folder": str(folder), "site": model.site_name, "subject": model.subject, "predicted": len(model.predicted),
            "fingerprint": model.fingerprint, "voxels": each}  # fmt: skip


def show(model: EncodingModel, folder: Path) -> None:
    """The best predicted voxels, and how to go on."""
    import numpy as np

    out = console()
    order = model.predicted[np.argsort(-model.r[model.predicted], kind="stable")]
    rows = [
        Row((f"{index}", model.voxels[index], number(model.r[index]),
             number(model.ceiling[index]) if np.isfinite(model.ceiling[index]) else "–", number(model.q[index], 3)))
        for index in order[:SHOWN].tolist()
    ]  # fmt: skip
    if rows:
        out.print(f"Predicted best, of {model.site_name} of {model.subject}", style="bold", markup=False)
        print_rows(out, ["unit", "voxel", "held-out r", "noise ceiling", "q"], rows, left=2)
    if len(order) > SHOWN:
        out.print(f"{len(order) - SHOWN} more", markup=False)
    out.print(f"{len(order)} of {model.width} voxels are predicted on held-out runs; the others are not explained.",
              markup=False, soft_wrap=True)  # fmt: skip
    if len(order):
        kind = f"voxels:{folder}"
        out.print(f"Explain them: glossator sasc --readout {kind}", markup=False, soft_wrap=True)
