"""`glossator sasc`: explain any function from text to numbers, or units of a model over whole texts, on n-grams."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from glossator.cli.printing import JSON, QUIET, clean, console, emit, interval, make_table, number, print_table, say
from glossator.cli.run import as_json, cost_lines
from glossator.cli.spec_options import BUDGET, LM_CACHE, OFFLINE, PRICES, STUDIES, make_access

if TYPE_CHECKING:
    from glossator.corpora import ProbeSet
    from glossator.store.results import Chosen, UnitResult
    from glossator.study import Study

SHOWN = 12
LEAST_DOCUMENTS = 30


def sasc(
    module: str | None = typer.Argument(
        None, help="FILE.py:FUNCTION or package.module:FUNCTION; texts in, numbers out.", show_default=False
    ),
    subject: str | None = typer.Option(None, help="In place of a function: the model whose units are explained."),
    site: str | None = typer.Option(None, help="Its site, such as mlp.12."),
    readout: str | None = typer.Option(None, help="Readout of the model, KIND:PATH@SITE, such as voxels:FOLDER."),
    dictionary: str | None = typer.Option(None, help="The same as --readout dictionary:PATH."),
    pool: str | None = typer.Option(
        None, help="A text's value over its tokens: mean, max or last. Default: mean for voxels, max for others."
    ),
    units: str | None = typer.Option(None, help="'all' (default), a number of random units, or indices: 3,17,40-49."),
    corpus: str = typer.Option("embedded", help="Reference corpus: 'embedded', a file or a folder of text."),
    text_column: str | None = typer.Option(None, help="Field or column of the corpus with the text (text)."),
    lm: str | None = typer.Option(
        None, help="Language model that proposes names and writes texts, e.g. inprocess:smollm2-135m."
    ),
    space: str = typer.Option(
        "smollm2-135m", help="Embedding space to search for names: smollm2-135m, minilm, or none."
    ),
    words: int = typer.Option(3, min=1, max=8, help="Longest n-gram, in words."),
    min_count: int = typer.Option(2, min=1, help="Minimum number of occurrences of an n-gram."),
    most: int = typer.Option(50_000, min=1, help="Number of most frequent n-grams to keep."),
    negative: bool = typer.Option(False, "--negative", help="Explain small responses."),
    polarity: str | None = typer.Option(
        None, help="+, -, or ± for the signed value. Default: ± for voxels, else +, or - with --negative."
    ),
    candidates: int = typer.Option(10, min=1, help="Number of names to keep; the first is scored on held-out texts."),
    seed: int = typer.Option(0, help="Random seed, of the splits too."),
    out: Path | None = typer.Option(
        None, help="Folder of the study. Default: a folder below studies/, named after it."
    ),
    budget: str | None = BUDGET,
    lm_cache: Path | None = LM_CACHE,
    prices: Path | None = PRICES,
    offline: bool = OFFLINE,
    json: bool = JSON,
    quiet: bool = QUIET,
) -> None:
    """Explain a function of text: n-grams, candidate names, texts with and without each, a score in sigma.

    The function takes a list of strings and returns one number, or one row of numbers, for each. It is run as it is:
    only give files that you trust. What comes of it is a study: show, search and the report open it like any other.

    In place of a function, units of a model, latents of a dictionary or voxels are explained; their values are pooled
    over the tokens of each text.

    \b
    Examples:
      glossator sasc detector.py:respond
      glossator sasc --readout voxels:my-voxels
      glossator sasc --subject minilm --site resid.5 --units 8
      glossator sasc detector.py:respond --corpus notes/ --lm openai:gpt-5-mini
    """
    from glossator.cli.spec_options import read_units
    from glossator.errors import UserError
    from glossator.recording import EvidenceSpec
    from glossator.study import StudySpec, run_study
    from glossator.subjects.base import only_site
    from glossator.subjects.named import FUNCTION, function_subject

    chosen: Any = None if units is None else read_units(units)
    if dictionary is not None:
        readout = readout or f"dictionary:{dictionary}"
    if module is not None:
        if subject is not None or site is not None or readout is not None:
            raise UserError("a function has no sites and no readouts", value=module, fix="Leave out the function")
        named, called, signed = FUNCTION + module, module.rpartition(":")[2], False
        site = only_site(function_subject(named))
    else:
        named, site, called, predicted = of_model(subject, site, readout, pool)
        signed, chosen = predicted is not None, predicted if chosen is None else chosen
    if negative and polarity not in (None, "-"):
        raise UserError("--negative and --polarity are both given", value=polarity, fix="Use one of them")
    inputs = ngrams_of(corpus, text_column, words, min_count, most, seed)
    spec = StudySpec(
        subject=named,
        sites=(site,),
        units=tuple(chosen) if isinstance(chosen, list | tuple) else chosen or "all",
        polarities=("-" if negative else polarity or ("±" if signed else "+"),),  # type: ignore[arg-type]
        explainers=("sasc",),
        candidates=candidates,
        lm=lm,
        simulator="name",
        scorers=("sigma", "correlation", "detection"),
        evidence=EvidenceSpec(test_random=None, min_firing_windows=0),
        options={"sasc": {"space": space}},
        seed=seed,
    )
    called = f"sasc-{called}-{spec.fingerprint[:4]}{inputs.spec['corpus_fingerprint'][:4]}"
    access = make_access(budget, lm_cache, prices, offline, lm=lm, subject=named)
    study = run_study(
        spec, out or STUDIES / called, progress=False if quiet or json else None, access=access, corpus=inputs
    )
    assert study is not None
    with study:
        if json:
            emit(as_json(study))
        else:
            print_units(study)


def of_model(
    subject: str | None, site: str | None, readout: str | None, pool: str | None
) -> tuple[str, str, str, tuple[int, ...] | None]:
    """The name of the subject of whole texts that these flags mean, its site, a name for the study's folder, and of
    voxels the indices of those that are predicted; raises `UserError` where they name no units."""
    from glossator.errors import UserError
    from glossator.readouts.base import load_kind, parse_readout
    from glossator.subjects.named import pooled_name

    if readout is None:
        if subject is None or site is None:
            fix = "Give FILE.py:FUNCTION, or --readout KIND:PATH, or --subject with --site"
            raise UserError("nothing to explain is named", fix=fix)
        return pooled_name(subject, site, pool or "max"), site, site, None
    kind, path, place = parse_readout(readout)
    one = load_kind(kind, path, place or site)
    if site is not None and site != one.reads_at:
        raise UserError("the readout reads another site", value=one.reads_at, allowed=site)
    subject = subject or str(one.made.get("subject_spec") or one.subject)
    if not subject:
        raise UserError("the readout does not say which model it reads", value=readout, fix="Give --subject")
    usable = tuple(index for index in range(one.width) if one.refused(index) is None)
    if not usable:
        raise UserError("no unit of this readout can be explained", value=readout, fix=f"The first: {one.refused(0)}")
    of_voxels = kind == "voxels"
    named = pooled_name(subject, one.reads_at, pool or ("mean" if of_voxels else "max"), (kind, str(path)))
    return named, one.name, one.name, usable if of_voxels else None


def ngrams_of(corpus: str, text_column: str | None, words: int, min_count: int, most: int, seed: int) -> ProbeSet:
    """The n-grams of a corpus, assigned to splits by the document in which each stands first, or one by one where these
    are few."""
    from dataclasses import replace

    from glossator.corpora import open_corpus, probe_set
    from glossator.corpora.ngrams import extract_ngrams
    from glossator.naming import NGRAMS

    opened = open_corpus(corpus, text_column)
    ngrams = extract_ngrams(opened, replace(NGRAMS, n=words, min_count=min_count, most=most))
    for note in opened.notes:
        say(note)
    inputs = ngrams.inputs
    if len(set(inputs.groups.tolist())) < LEAST_DOCUMENTS:
        inputs = inputs.regrouped(inputs.ids)
    return probe_set(inputs, seed=seed, name=f"n-grams of {opened.name}")


def print_units(study: Study) -> None:
    """Each unit with its name, scores and top n-grams, and the study's folder."""
    out = console()
    counting = int(study.recording.valid(study.spec.sites[0]).sum())
    for result in study.results():
        print_unit(result, study)
    if lacking := len(study.recording.inputs) - counting:
        out.print(f"No response to {lacking:,} of {lacking + counting:,} n-grams, which are left out", markup=False)
    for line in cost_lines(study.costs):
        out.print(line, markup=False, soft_wrap=True)
    out.print(f"Study:  {study.folder}", markup=False, soft_wrap=True)
    out.print(f"Report: {study.report.resolve().as_uri()}", markup=False, soft_wrap=True)


def print_unit(result: UnitResult, study: Study) -> None:
    from rich.text import Text

    out, best = console(), result.best()
    out.print(Text(str(result.unit), style="bold"))
    if best is None:
        out.print(f"  not explained: {clean(result.reason)}", markup=False, soft_wrap=True)
    else:
        out.print(Text(f"  {clean(best.text)}", style="bold green"))
        print_scores(best)
        if others := [clean(e.text) for e in result.explanations if e.rank > 0]:
            out.print(f"Other names: {', '.join(others)}", markup=False, soft_wrap=True)
    if shown := top_ngrams(result, study):
        told = ", ".join(f"“{clean(text)}” {value:.3g}" for text, value in shown)
        out.print(f"Top n-grams: {told}", markup=False, soft_wrap=True)


def print_scores(best: Chosen) -> None:
    """The scores of the first name, those in sigma with their p and baselines; of the others those with a value."""
    table = make_table()
    for column in ("score", "[95 %]", "p", "echo", "random name", "mismatched"):
        table.add_column(column)
    for score in (s for s in best.scores if s.value is not None or s.measure == "sigma"):
        p = score.how.get("p")
        beside = [number(score.baselines.get(name)) for name in ("echo", "random_name", "mismatched")]
        table.add_row(score.name, interval(score), "" if p is None else f"{p:.4f}", *beside)
    print_table(console(), table)
    console().print("sigma: differences of means in standard deviations of responses, on texts not seen by naming")


def top_ngrams(result: UnitResult, study: Study) -> list[tuple[str, float]]:
    """(n-gram, response) of those that respond more than half of all, or than the mean where half respond the most."""
    import numpy as np

    from glossator.inputs import text_of

    recording, unit = study.recording, result.unit
    valid = recording.valid(unit.site)[recording.panel]
    values = recording.panel_values(unit)[valid]
    if not len(values) or values.max() == values.min():
        return []
    middle = np.median(values)
    cut = middle if middle < values.max() else values.mean()
    rows = recording.top_rows(unit)[:SHOWN]
    found = zip(rows.tolist(), recording.values(unit, rows)[:, 0].tolist(), strict=True)
    return [(" ".join(text_of(recording.inputs, row).split()), value) for row, value in found if value > cut]
