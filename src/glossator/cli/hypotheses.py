"""`glossator hypotheses`: which units, with which headlines, separate two sets of texts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import typer

from glossator.cli.printing import JSON, QUIET, Row, clean, console, emit, in_brackets, number, print_rows, say
from glossator.cli.spec_options import STUDIES
from glossator.errors import UserError
from glossator.specs import check_known

if TYPE_CHECKING:
    import numpy as np

    from glossator.corpora.labelled import LabelledTexts
    from glossator.fitting.hypotheses import Halves, Tested

REPORT = "hypotheses.json"
RATE = 0.05


def hypotheses(
    labelled: str = typer.Argument(..., help="JSONL, CSV, TSV or Parquet; or embedded:kind, embedded:source."),
    subject: str = typer.Option("smollm2-135m", help="The model."),
    site: str | None = typer.Option(None, help="Site whose units are candidates, such as mlp.12."),
    dictionary: str | None = typer.Option(None, help="Dictionary whose latents are candidates, PATH or PATH@SITE."),
    readout: str | None = typer.Option(None, help="Any readout, KIND:PATH@SITE."),
    labels: str | None = typer.Option(None, help="The two labels that are compared, FIRST,SECOND."),
    text_column: str = typer.Option("text", help="Column of the texts."),
    label_column: str = typer.Option("label", help="Column of the labels."),
    group_column: str | None = typer.Option(None, help="Column of groups kept in one half."),
    per_label: int = typer.Option(500, min=40, help="Texts of each label at most."),
    candidates: int = typer.Option(20, min=1, max=500, help="Number of units that are tested."),
    choose: str = typer.Option("lasso", help="How they are chosen: lasso, or effect (largest difference)."),
    pool: str = typer.Option("max", help="A text's value over its tokens: max, mean or last."),
    explain: bool = typer.Option(True, help="Find headlines, and test them too."),
    seed: int = typer.Option(0, min=0, help="Seed of the texts drawn and of the halves."),
    out: Path | None = typer.Option(None, help="Folder of the report and of the study of the units."),
    json: bool = JSON,
    quiet: bool = QUIET,
) -> None:
    """Find what separates two sets of texts: units chosen on one half, tested on the other, each with a headline.

    Headlines are found on the first half as well; executed on the second, they are tested as hypotheses of their own.

    \b
    Examples:
      glossator hypotheses reviews.csv --label-column stars --labels 1,5 --site mlp.12
      glossator hypotheses embedded:kind --labels speech,manual --dictionary my-sae
    """
    from glossator.corpora.labelled import open_labelled
    from glossator.files import fingerprint, plain, write_json
    from glossator.fitting import hypotheses as found

    check_known("way to choose", [choose], get_args(found.Choice))
    opened = open_labelled(labelled, text=text_column, label=label_column, group=group_column)
    texts = _two(opened, labels, per_label, seed)
    split = found.halves(texts, seed)
    loaded, source, one, kind = _units(subject, site, dictionary, readout)
    from glossator.subjects.text_readouts import of_texts

    if not quiet and not json:
        say(f"{len(split.choose)} texts to choose units on, {len(split.test)} to test them on")
    values = of_texts(loaded, source, pool, one).answers(texts.texts)  # type: ignore[arg-type]
    texts, split, values = _known(texts, split, values, seed)
    picked = found.chosen(values, texts, split, candidates, choose)  # type: ignore[arg-type]
    if not picked:
        raise UserError("no unit differs between the sets on the first half", value=labelled, fix="Use other units")
    results = found.on_test_half(values, picked, texts, split)
    beside = found.beside_words(values, [feature for feature, _ in picked], texts, split, seed)
    site_name = source if one is None else one.site_name
    # In the name is all that decides which units are tested, as a study holds one choice of them.
    units = site_name if one is None else one.fingerprint
    decides = [loaded.name, units, texts.content, candidates, choose, pool, seed]
    folder = out or STUDIES / f"hypotheses-{Path(labelled).stem.replace(':', '-')}-{fingerprint(decides)[:6]}"
    said: dict[int, dict[str, Any]] = {}
    if explain:
        wanted = [result.feature for result in results]
        said = _headlines(loaded, subject, site_name, kind, wanted, texts, split, folder / "study")
    rows = [
        {"unit": f"{loaded.name}/{site_name}/{result.feature}", **plain(result), **said.get(result.feature, {})}
        for result in results
    ]
    report = {
        "labelled": labelled, "sets": texts.names, "choose": len(split.choose), "test": len(split.test),
        "chosen_by": choose, "pool": pool, "hypotheses": rows, "beside_words": plain(beside),
        "significant": sum(result.q is not None and result.q <= RATE for result in results),
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / REPORT, report)
    if json:
        emit(report | {"folder": str(folder)})
    else:
        _print(report, results, said, texts, folder)


def _two(texts: LabelledTexts, labels: str | None, most: int, seed: int) -> LabelledTexts:
    """The texts of two labels, the first one first, at most so many of each."""
    import numpy as np

    names = tuple(part.strip() for part in labels.split(",")) if labels else texts.names
    if unknown := [name for name in names if name not in texts.names]:
        raise UserError("no such label", value=unknown[0], allowed=", ".join(texts.names[:30]))
    if len(set(names)) != 2:
        shown = ", ".join(texts.names[:30])
        raise UserError("two sets are compared", value=", ".join(names[:6]), allowed=f"two of {shown}", fix="--labels")
    rng = np.random.default_rng([seed, 12])
    rows = [rng.permutation(np.flatnonzero(texts.labels == texts.names.index(name)))[:most] for name in names]
    kept = np.sort(np.concatenate(rows))
    numbers = np.array([names.index(texts.names[label]) for label in texts.labels[kept].tolist()])
    return replace(_rows(texts, kept), labels=numbers, names=names)


def _rows(texts: LabelledTexts, kept: np.ndarray) -> LabelledTexts:
    some = tuple(texts.texts[row] for row in kept.tolist())
    return replace(texts, texts=some, labels=texts.labels[kept], groups=texts.groups[kept])


def _units(
    subject: str, site: str | None, dictionary: str | None, readout: str | None
) -> tuple[Any, str, Any, str | None]:
    """The subject, the site that is read, the readout or None, and its `KIND:PATH@SITE`."""
    from glossator.readouts import load_readout
    from glossator.subjects.named import open_subject

    given = readout or (f"dictionary:{dictionary}" if dictionary else None)
    if given is None and site is None:
        raise UserError("no units are named", fix="Give --site, --dictionary or --readout")
    loaded: Any = open_subject(subject)
    if given is None:
        assert site is not None
        return loaded, site, None, None
    one = load_readout(given)
    one.check_fits(one.reads_at, loaded.site(one.reads_at).width, loaded.name)
    kind = given if given.endswith(f"@{one.reads_at}") else f"{given}@{one.reads_at}"
    return loaded, one.reads_at, one, kind


def _known(
    texts: LabelledTexts, split: Halves, values: np.ndarray, seed: int
) -> tuple[LabelledTexts, Halves, np.ndarray]:
    """Without the texts that have no value (of one token)."""
    import numpy as np

    from glossator.fitting.hypotheses import halves

    kept = np.isfinite(values).all(axis=1)
    if kept.all():
        return texts, split, values
    fewer = _rows(texts, np.flatnonzero(kept))
    return fewer, halves(fewer, seed), values[kept]


def _headlines(
    loaded: Any,
    subject: str,
    site: str,
    readout: str | None,
    units: list[int],
    texts: LabelledTexts,
    split: Halves,
    folder: Path,
) -> dict[int, dict[str, Any]]:
    """Headline of each unit from the first half, and its test on the second; a reason where there is none."""
    import numpy as np

    from glossator.corpora import open_corpus
    from glossator.corpora.sources import IN_MEMORY
    from glossator.files import plain
    from glossator.fitting.hypotheses import on_test_half
    from glossator.programs import Lexicon, execute
    from glossator.recording.texts import text_windows
    from glossator.study import StudySpec, run_study
    from glossator.study.grow import check_folder

    if loaded.takes != "tokens":
        return {unit: {"headline": None, "reason": "headlines are found in tokens"} for unit in units}
    width = min(64, loaded.max_width or 64)
    corpus = open_corpus([texts.texts[i] for i in split.choose.tolist()])
    spec = StudySpec(
        subject=subject, sites=(site,), units=tuple(sorted(units)), max_tokens=None, width=width,
        readouts=() if readout is None else (readout,), explainers=("program",), scorers=("correlation",),
    )  # fmt: skip
    check_folder(replace(spec, corpus=IN_MEMORY + corpus.fingerprint), folder)
    try:
        study = run_study(spec, folder, progress=False, corpus=corpus)
    except UserError as error:  # the texts are too few or too short for a study
        return {unit: {"headline": None, "reason": str(error)} for unit in units}
    assert study is not None
    with study:
        results = {result.unit.index: result for result in study.results()}
    windows = text_windows(loaded, texts.texts, width)
    lexicon = Lexicon.for_windows(loaded.tokenizer.vocabulary, loaded.embedding())
    holds = np.zeros((len(texts), len(units)), np.float32)
    said: dict[int, dict[str, Any]] = {}
    named = []
    for column, unit in enumerate(units):
        best = results[unit].best()
        headline = None if best is None or best.headline is None else best.headline.headline()
        if headline is None or headline.program is None:
            said[unit] = {"headline": None if headline is None else headline.text, "reason": results[unit].reason}
            continue
        found = execute(headline.program, windows, lexicon).max(axis=1) > 0
        np.maximum.at(holds[:, column], windows.documents, found.astype(np.float32))
        said[unit] = {"headline": str(headline)}
        named.append((column, 0.0))
    for result in on_test_half(holds, named, texts, split, in_deviations=False):
        held, labels = holds[split.test, result.feature], texts.labels[split.test]
        shares = [float(held[labels == label].mean()) for label in (0, 1)]
        said[units[result.feature]]["headline_test"] = {
            "effect": plain(result.effect), "p": result.p, "q": result.q, "shares": shares,
        }  # fmt: skip
    return said


def _print(
    report: dict[str, Any], results: list[Tested], said: dict[int, dict[str, Any]], texts: LabelledTexts, folder: Path
) -> None:
    out = console()
    first, second = texts.names
    title = f"Units that separate {second} (effects above 0) from {first}, tested on {report['test']} other texts"
    out.print(title, style="bold", markup=False, soft_wrap=True)
    rows = []
    for result in results:
        about = said.get(result.feature, {})
        test = about.get("headline_test")
        effect = in_brackets(result.effect.value, result.effect.low, result.effect.high)
        cells = [str(result.feature), effect, number(result.q, 3)]
        shares = ["–", "–"] if test is None else [f"{100 * share:.0f} %" for share in test["shares"]]
        cells += [*shares, number(None if test is None else test["q"], 3)]
        about_it = about.get("headline") or about.get("reason")
        rows.append(Row(cells, clean(about_it) if about_it else ""))
    print_rows(out, ["unit", "effect in SD [95 %]", "q", f"in {first}", f"in {second}", "q of headline"], rows)
    accuracy, words = report["beside_words"]["accuracy"], report["beside_words"]["baselines"]["bag of words"]
    told = in_brackets(accuracy["value"], accuracy["low"], accuracy["high"])
    out.print(f"{report['significant']} of {len(results)} units at q ≤ {RATE}", markup=False)
    out.print(f"Accuracy of these units {told}, of bag of words {number(words)}", markup=False)
    out.print(str(folder / REPORT), markup=False, soft_wrap=True)
