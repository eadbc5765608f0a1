"""`glossator classify`: linear classifiers of labelled texts on the latents of a dictionary."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from glossator.cli.printing import JSON, QUIET, clean, console, emit, in_brackets, make_table, number, print_table
from glossator.cli.spec_options import STUDIES
from glossator.errors import UserError

if TYPE_CHECKING:
    from glossator.fitting.classifying import Classified
    from glossator.readouts.dictionary import Dictionary

SHOWN = 25
WIDTH = 64
REPORT = "classify.json"


def classify(
    labelled: str = typer.Argument(
        ..., help="JSONL, CSV, TSV or Parquet; embedded:kind, embedded:source; spam-assassin."
    ),
    dictionary: str = typer.Option(..., help="Dictionary, PATH or PATH@SITE."),
    subject: str | None = typer.Option(None, help="The model. Default: the dictionary's, or smollm2-135m."),
    text_column: str = typer.Option("text", help="Column of the texts."),
    label_column: str = typer.Option("label", help="Column of the labels."),
    group_column: str | None = typer.Option(None, help="Column of groups kept on one side of the split."),
    penalty: str = typer.Option("l1", help="l1 or l2; its strength is chosen by cross-validation."),
    per_label: int = typer.Option(300, min=10, help="Texts of each label at most."),
    longest: int = typer.Option(128, min=1, help="Tokens of a text that are read."),
    corpus: str = typer.Option("embedded", help="Text on which latents are explained."),
    tokens: int = typer.Option(65_536, min=1, help="Tokens of it, unless the dictionary was trained on it."),
    explain: bool = typer.Option(True, help="Explain the latents with the largest coefficients."),
    seed: int = typer.Option(0, min=0, help="Seed of the texts drawn and of the split."),
    out: Path | None = typer.Option(None, help="Folder of the report and of the study of the latents."),
    device: str | None = typer.Option(None, help="cpu (default), cuda, cuda:N, mps, or auto."),
    json: bool = JSON,
    quiet: bool = QUIET,
) -> None:
    """Classify labelled texts by a dictionary's latents, and explain the latents that decide.

    Features are means over a text's tokens. Accuracy is that on held-out texts, beside bag of words, the site's own
    values and the most frequent label, fitted alike. The latents with the 25 largest coefficients are explained by
    programs, in a study in OUT/study.

    \b
    Examples:
      glossator classify embedded:kind --dictionary my-sae
      glossator classify spam-assassin --dictionary my-sae
      glossator classify reviews.csv --label-column stars --dictionary factors@resid.3 --subject minilm
    """
    from glossator.corpora.labelled import open_labelled
    from glossator.files import fingerprint, plain, write_json
    from glossator.fitting.classifying import classify as fitted
    from glossator.fitting.classifying import features_of
    from glossator.fitting.logistic import STRENGTHS
    from glossator.readouts.base import parse_readout
    from glossator.readouts.formats import load_dictionary
    from glossator.subjects.named import open_subject

    if penalty not in STRENGTHS:
        raise UserError("unknown penalty", value=penalty, allowed=", ".join(STRENGTHS))
    texts = open_labelled(labelled, text=text_column, label=label_column, group=group_column, most=per_label, seed=seed)
    named = parse_readout(f"dictionary:{dictionary}")
    made = load_dictionary(named.path, site=named.site)
    subject = subject or made.subject or "smollm2-135m"
    loaded: Any = open_subject(subject, device=device)
    made.check_fits(made.reads_at, loaded.site(made.reads_at).width, loaded.name)

    def note(done: int) -> None:
        if not quiet and not json and done % 512 == 0:
            console().print(f"{done} of {len(texts)} texts read")

    latents, sites = features_of(loaded, made, texts.texts, longest, note)
    found = fitted(texts, latents, sites, penalty, seed=seed)  # type: ignore[arg-type]
    rows = found.largest(SHOWN)
    # In the name is all that decides which latents are shown, as a study holds one choice of them.
    decides = [made.fingerprint, subject, texts.content, longest, penalty, seed, corpus, tokens]
    folder = out or STUDIES / f"classify-{Path(labelled).stem.replace(':', '-')}-{fingerprint(decides)[:6]}"
    if explain and rows:
        widest = min(WIDTH, loaded.max_width or WIDTH)
        _explain(rows, made, named.path, subject, corpus, tokens, widest, folder / "study", device)
    report = {
        "labelled": labelled, "labels": texts.names, "left_out": dict(texts.left_out), "dictionary": made.site_name,
        "train": found.train, "test": found.test, "accuracy": asdict(found.accuracy), "baselines": found.baselines,
        "over": {name: asdict(margin) for name, margin in found.over.items()}, "penalty": penalty,
        "strength": found.model.strength, "coefficients": rows,
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / REPORT, plain(report))
    if json:
        emit(report | {"folder": str(folder)})
        return
    _print(found, rows, len(texts.names), folder)


def _explain(
    rows: list[dict[str, Any]],
    made: Dictionary,
    path: Path,
    subject: str,
    corpus: str,
    tokens: int,
    widest: int,
    folder: Path,
    device: str | None,
) -> None:
    """Add to each row the headline of its latent and how well it predicts, from a study that is made or resumed."""
    from glossator.corpora import open_corpus
    from glossator.study import StudySpec, run_study

    text: Any = made.made.get("text") or {}
    cut: dict[str, Any] = {"max_tokens": tokens, "width": widest}
    if text.get("corpus_fingerprint") == open_corpus(corpus).fingerprint:  # split as it was for the training
        cut = {name: text[name] for name in ("max_tokens", "width", "seed")}
    if device is not None:
        cut["device"] = device
    study = run_study(
        StudySpec(
            subject=subject, sites=(made.site_name,), units=tuple(sorted({row["latent"] for row in
            rows})), corpus=corpus, readouts=(f"dictionary:{path}@{made.reads_at}",),
            explainers=("program",), scorers=("correlation", "headline"), polarities=("+",), **cut,
        ),
        folder,
        progress=False,
    )  # fmt: skip
    assert study is not None
    with study:
        by_latent = {result.unit.index: result for result in study.results()}
    for row in rows:
        result = by_latent[row["latent"]]
        best = next(iter(result.explanations), None)
        scores = {} if best is None else {score.name: score.value for score in best.scores}
        row["headline"] = None if best is None or best.headline is None else best.headline.said
        row["correlation"] = scores.get("correlation.random-only")


def _print(found: Classified, rows: list[dict[str, Any]], labels: int, folder: Path) -> None:
    out, accuracy = console(), found.accuracy
    told = in_brackets(accuracy.value, accuracy.low, accuracy.high)
    out.print(f"Accuracy {told} on {found.test} held-out texts of {labels} labels ({found.train} to fit)", markup=False)
    for name, value in found.baselines.items():
        margin = found.over.get(name)
        more = "" if margin is None else f", difference {in_brackets(margin.value, margin.low, margin.high)}"
        out.print(f"  {name} {number(value)}{more}", markup=False)
    table = make_table()
    for name in ("latent", "label", "coefficient", "headline", "r"):
        table.add_column(name, justify="left" if name in ("label", "headline") else "right")
    for row in rows:
        table.add_row(
            str(row["latent"]), clean(row["label"]), number(row["coefficient"], 3),
            clean(row.get("headline") or "–"), number(row.get("correlation")),
        )  # fmt: skip
    print_table(out, table)
    out.print(str(folder / REPORT), markup=False, soft_wrap=True)
