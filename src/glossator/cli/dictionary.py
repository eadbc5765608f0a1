"""`glossator dictionary`: train a sparse autoencoder on the activations of a site."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from glossator.cli.printing import JSON, QUIET, console, emit, number
from glossator.errors import UserError

dictionary = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Sparse autoencoders of a site, whose latents are units: see --dictionary of glossator run.",
)


@dictionary.callback()
def group() -> None:
    """Keeps `train` a command of its own."""


@dictionary.command("train")
def train(
    out: Path = typer.Option(..., help="Folder for the dictionary; a stopped training in it goes on."),
    site: str = typer.Option(..., help="Site, for example resid.12 or mlp-out.12."),
    subject: str = typer.Option("smollm2-135m", help="The model."),
    latents: int = typer.Option(4096, help="Number of latents."),
    k: int = typer.Option(32, help="Latents that are active at a token."),
    train_tokens: int = typer.Option(1_000_000, help="Tokens to train on; more than the text has are read again."),
    corpus: str = typer.Option("embedded", help="'embedded', or JSONL, CSV, text, Parquet, Arrow, or a folder."),
    text_column: str | None = typer.Option(None, help="Field or column of the corpus with the text (text)."),
    tokens: str = typer.Option("65536", help="Tokens of the text, as a study cuts it, or 'all'; half is trained on."),
    width: int = typer.Option(64, help="Tokens per window."),
    batch: int = typer.Option(2048, help="Tokens per step."),
    rate: float | None = typer.Option(None, help="Learning rate of Adam. Default: by the number of latents."),
    seed: int = typer.Option(0, min=0, help="Seed of weights, order and split."),
    device: str | None = typer.Option(None, help="cpu (default), cuda, cuda:N, mps, or auto."),
    json: bool = JSON,
    quiet: bool = QUIET,
) -> None:
    """Train a top-k sparse autoencoder and write it in the format of SAELens.

    It is trained on the explain split of the text and measured on its select split. A study of the same text has to
    cut it in the same way (--tokens, --width, --seed), which it does by itself.

    \b
    Examples:
      glossator dictionary train --site resid.12 --tokens all --out my-sae
      glossator run --dictionary my-sae --units 64
    """
    from glossator.corpora import make_windows, open_corpus
    from glossator.fitting.dictionaries import TrainSpec
    from glossator.fitting.dictionaries import train as run
    from glossator.subjects import load_subject

    if tokens != "all" and not (tokens.isascii() and tokens.isdigit()):
        raise UserError("invalid --tokens", value=tokens[:80], allowed="a number or 'all'")
    spec = TrainSpec(site, latents, k, train_tokens, batch, rate, seed=seed)
    loaded = load_subject(subject, device=device)
    most = None if tokens == "all" else int(tokens)
    cut: Any = make_windows(open_corpus(corpus, text_column), loaded.tokenizer, width, max_tokens=most, seed=seed)

    def note(step: int, fvu: float) -> None:
        if not quiet and not json and (step + 1) % max(1, spec.steps // 20) == 0:
            console().print(f"step {step + 1} of {spec.steps}: FVU {fvu:.3f}", markup=False)

    found = run(loaded, cut, spec, out, note=note)
    if json:
        emit({"folder": str(out), **{name: found[name] for name in ("steps", "dead_share", "held_out")}})
        return
    held = found["held_out"]
    facts = f"FVU {number(held['fvu'])}, L0 {number(held['l0'])}, dead {found['dead_share']:.1%}"
    if held["loss_recovered"] is not None:
        facts += f", loss recovered {held['loss_recovered']:.1%}"
    console().print(f"{latents} latents of {site} in {out}: {facts}", soft_wrap=True, markup=False)
