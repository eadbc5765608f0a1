"""`glossator dictionary`: train a dictionary on the activations of a site."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from glossator.cli.printing import JSON, QUIET, console, emit, number
from glossator.errors import MissingPower, UserError

dictionary = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Dictionaries of a site, whose latents are units: see --dictionary of glossator run.",
)


@dictionary.callback()
def group() -> None:
    """Keeps `train` a command of its own."""


@dictionary.command("train")
def train(
    out: Path = typer.Option(..., help="Folder for the dictionary; a stopped training run in it resumes."),
    site: list[str] = typer.Option(..., help="Site, for example resid.12; for factors and nmf, repeat it for several."),
    kind: str = typer.Option("top-k", help="top-k, jumprelu, factors, nmf, ica or pca."),
    write_site: str | None = typer.Option(None, help="Of a transcoder: the site that it writes, such as mlp-out.12."),
    skip: bool = typer.Option(False, help="Add a linear skip connection to the transcoder."),
    subject: str = typer.Option("smollm2-135m", help="The model."),
    latents: int | None = typer.Option(
        None, help="Number of latents (4096; factors: 1500; components: the site's width)."
    ),
    k: int = typer.Option(32, help="Latents that are active at a token, of jumprelu on average."),
    penalty: float | None = typer.Option(None, help="Weight of the loss of L0 (jumprelu), cost of activity (factors)."),
    train_tokens: int = typer.Option(1_000_000, help="Tokens to train on; a shorter text is read repeatedly."),
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
    """Train a sparse autoencoder, transcoder, transformer factors or components.

    Top-k and JumpReLU autoencoders and JumpReLU transcoders are written in the format of SAELens, the others in our
    own. All are trained on the explain split of the text and measured on its select split. A study of the same text has
    to cut it in the same way (--tokens, --width, --seed), which it does by itself.

    \b
    Examples:
      glossator dictionary train --site resid.12 --tokens all --out my-sae
      glossator run --dictionary my-sae --units 64
      glossator dictionary train --kind jumprelu --site mlp-in.12 --write-site mlp-out.12 --skip --out my-transcoder
      glossator dictionary train --kind factors --subject minilm --site resid.1 --site resid.5 --out factors
    """
    from glossator.corpora import make_windows, open_corpus
    from glossator.fitting.dictionaries import train as run
    from glossator.fitting.train_spec import LATENTS, TrainSpec
    from glossator.subjects.named import open_subject

    if tokens != "all" and not (tokens.isascii() and tokens.isdigit()):
        raise UserError("invalid --tokens", value=tokens[:80], allowed="a number or 'all'")
    sites = site[0] if len(site) == 1 else tuple(site)
    given: dict[str, Any] = {"kind": kind, "writes_at": write_site, "skip": skip, "penalty": penalty, "seed": seed}
    TrainSpec(sites, latents or 1 << 20, k, train_tokens, batch, rate, **given)  # refused before a model is loaded
    loaded: Any = open_subject(subject, device=device)
    if loaded.takes != "tokens":
        raise MissingPower(
            "dictionaries are trained on a model that reads tokens", value=f"{subject} takes {loaded.takes}",
            fix="Name a language model or an encoder: --subject smollm2-135m",
        )  # fmt: skip
    if latents is None:
        latents = LATENTS.get(kind) or int(loaded.site(site[0]).width)
    spec = TrainSpec(sites, latents, k, train_tokens, batch, rate, **given)
    most = None if tokens == "all" else int(tokens)
    cut: Any = make_windows(open_corpus(corpus, text_column), loaded.tokenizer, width, max_tokens=most, seed=seed)

    def note(step: int, fvu: float | None) -> None:
        if not quiet and not json and (step + 1) % max(1, spec.steps // 20) == 0:
            console().print(f"step {step + 1} of {spec.steps}" + ("" if fvu is None else f": FVU {fvu:.3f}"))

    found = run(loaded, cut, spec, out, note=note)
    if json:
        emit({"folder": str(out), **{name: found[name] for name in ("steps", "dead_share", "held_out")}})
        return
    held = found["held_out"]
    facts = f"FVU {number(held['fvu'])}, L0 {number(held['l0'])}, dead {found['dead_share']:.1%}"
    if held["loss_recovered"] is not None:
        facts += f", loss recovered {held['loss_recovered']:.1%}"
    where = ", ".join(spec.sites) + (f" to {write_site}" if write_site else "")
    console().print(f"{kind}, {latents} latents of {where} in {out}: {facts}", soft_wrap=True, markup=False)
