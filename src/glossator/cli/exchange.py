"""`glossator import`: files of other tools become studies."""

from __future__ import annotations

from pathlib import Path

import typer

from glossator.cli.printing import JSON, console, emit


def import_units(
    path: Path = typer.Argument(..., help="File or folder: Neuronpedia, SAEDashboard, OpenAI, delphi, Parquet."),
    out: Path = typer.Option(..., "--out", "-o", help="Folder of the study."),
    site: list[str] | None = typer.Option(None, help="Sites to take, by default all."),
    unit: list[int] | None = typer.Option(None, help="Units to take, by default all."),
    model: str | None = typer.Option(
        None, help="Model, where the files do not name it; of delphi's cache its tokenizer."
    ),
    explainer: list[str] | None = typer.Option(
        None, help="Explain the units anew, by these explainers beside what the file says; default: program."
    ),
    scorer: list[str] | None = typer.Option(None, help="Scorers; by default those of `glossator run`."),
    lm: str | None = typer.Option(None, help="Language model that reads and scores what the file says in words."),
    seed: int = typer.Option(0, min=0, help="Seed of all random choices."),
    quiet: bool = typer.Option(False, "--quiet", "-q", help="No progress."),
    json: bool = JSON,
) -> None:
    """Make a study of units in files of another tool: their excerpts, and what was said of them.

    Nothing is run: a unit is known on the excerpts in the file alone, which are dealt to splits so that its own
    explanations are tested on some and new ones are made from others. Scores that need other text, or the model, are
    missing with a reason.

    \b
    Examples:
      glossator import neuronpedia/gpt2-small/5-res-jb --out studies/res-jb
      glossator import neuron-explainer/data --model gpt2-xl --out studies/gpt2-xl
      glossator import results/delphi-run --out studies/latents --explainer program
    """
    from glossator.study import run_study
    from glossator.study.incoming import spec_of

    spec = spec_of(
        path, sites=site, units=unit, model=model, explainers=explainer, scorers=scorer, lm=lm, seed=seed
    )  # fmt: skip
    study = run_study(spec, out, progress=False if quiet else None)
    assert study is not None
    with study:
        counts = study.counts
        if json:
            emit({"study": str(out), "subject": study.manifest["subject"], "units": counts})
            return
    told = ", ".join(f"{n:,} {status}" for status, n in counts.items() if n)
    console().print(f"{sum(counts.values()):,} units ({told}) in {out}", markup=False, soft_wrap=True)
    console().print(f"Look at them: glossator serve {out}", markup=False, soft_wrap=True)
