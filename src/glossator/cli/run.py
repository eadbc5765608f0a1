"""`glossator run`: a study from text to report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from glossator.cli.printing import (
    JSON,
    QUIET,
    Row,
    console,
    emit,
    in_brackets,
    number,
    print_rows,
    score_rows,
    short_name,
)
from glossator.cli.spec_options import takes_flags
from glossator.units import marked

if TYPE_CHECKING:
    from rich.console import Console

    from glossator.engines import Engine
    from glossator.language_models.costs import Cost
    from glossator.scores import Column
    from glossator.store.summary import Mean
    from glossator.study import Study, StudySpec
    from glossator.study.models import Access

SHOWN = 5


@takes_flags
def run(spec: StudySpec, folder: Path, access: Access, engine: Engine, quiet: bool = QUIET, json: bool = JSON) -> None:
    """Record, explain and score units, and write a study with a report.

    Takes a spec file, flags, or both (flags override the file). Repeat the command to resume an interrupted study or to
    open a finished one.

    \b
    Examples:
      glossator run --subject smollm2-135m --site mlp.12 --units 64 --tokens 65536
      glossator run smollm2-135m/mlp.12/345
      glossator run --subject smollm2-135m --site mlp.12 --units 8 --card both
      glossator run --subject smollm2-135m --site mlp.12 --units 8 --explainer bills --lm inprocess:smollm2-135m
      glossator run spec.toml --out studies/mine --workers 4

    \b
    A spec; all keys except the first two are optional:
      subject = "smollm2-135m"
      sites = ["mlp.5", "mlp.12"]
      units = 64               # or "all", or [3, 17, 345]
      max_tokens = 65536       # or "all"
      explainers = ["program", "bills"]
      card = "both"            # observational scores, causal ones, or both
      lm = "openai:gpt-4.1-mini"
      [evidence]
      test_top = 50
      [options.program]
      limit = 120
    """
    from glossator.study import run_study

    study = run_study(spec, folder, progress=False if quiet else None, access=access, engine=engine)
    assert study is not None
    with study:
        if json:
            emit(as_json(study))
        else:
            print_study(study)


def as_json(study: Study) -> dict[str, object]:
    """The study as JSON: its folder, means over units, and each unit's explanation and scores."""
    from glossator.store.results import to_plain
    from glossator.store.summary import agreement_of_columns, means
    from glossator.study.random_weights import beside_random_weights

    return {
        "study": str(study.folder),
        "report": str(study.report),
        "fingerprint": study.manifest["fingerprint"],
        "counts": study.counts,
        "costs": study.costs,
        "means": means(study),
        "random_weights": beside_random_weights(study),
        "columns_agree": agreement_of_columns(study),
        "units": [to_plain(result) for result in study.results()],
    }


def cost_lines(costs: Sequence[Cost]) -> list[str]:
    """The cost of a study's language models, one line each; empty without any."""
    from glossator.language_models.costs import in_words, total

    lines = []
    for cost in costs:
        failed = f"; {cost.failures} of {cost.requests} without a usable answer" if cost.failures else ""
        lines.append(f"Cost of {cost.stage}, {cost.model}: {in_words(cost.usage)}{failed}")
    return [*lines, f"Total cost: {in_words(total(costs))}"] if len(lines) > 1 else lines


def print_means(out: Console, column: Column, means: Sequence[Mean], card: str) -> None:
    """Means over units of one column of scores; beside each baseline, how many units beat it."""
    from glossator.store.card import why_empty
    from glossator.store.ranking import RATE

    if not means:
        out.print(f"{column.capitalize()} scores: {why_empty(column, card)}", markup=False)
        return
    baselines = [*dict.fromkeys(baseline for mean in means for baseline in mean.baselines)]
    title = f"Means over units, {column}; beside each baseline, how many units beat it (q ≤ {RATE})"
    out.print(title, style="bold", markup=False)
    rows = []
    for mean in means:
        value = in_brackets(mean.value.value, mean.value.low, mean.value.high)
        values = [beside(mean, baseline) for baseline in baselines]
        rows.append(
            Row([mean.site + marked(mean.polarity), mean.method, mean.score, str(mean.value.n), value, *values])
        )
    print_rows(out, ["site", "method", "score", "units", "mean [95 %]", *baselines], rows, left=3)
    out.print()


def beside(mean: Mean, baseline: str) -> str:
    """`0.37, 12 of 64`: the baseline's mean, and how many of the tested units beat it."""
    if baseline not in mean.baselines or mean.baselines[baseline].value is None:
        return "–"
    counts = mean.above.get(baseline)
    return number(mean.baselines[baseline].value) + (f", {counts[0]} of {counts[1]}" if counts else "")


def print_study(study: Study) -> None:
    """Best and worst explained units, means of both columns, and where to look next."""
    from glossator.store.card import COLUMNS
    from glossator.store.summary import agreement_of_columns, baselines_of, means, ranked
    from glossator.study.random_weights import means_of_random

    out, score, causal = console(), study.ranked_by, study.default_score("causal")
    ((explained, in_all),) = study.query("SELECT count(best), count(score) FROM units")
    shown = min(SHOWN, -(-in_all // 2))
    rows = ranked(study, "best", shown)
    baselines = baselines_of(study, score)
    controls = [
        baseline for baseline in baselines_of(study, causal if causal != score else None) if baseline not in baselines
    ]
    if rows:
        out.print()
        out.print(f"Best explained of {in_all} units, by {score}", style="bold", markup=False)
        score_rows(out, rows, baselines, controls)
        if in_all > shown:
            out.print("\nWorst explained", style="bold")
            score_rows(out, ranked(study, "worst", min(shown, in_all - shown))[::-1], baselines, controls)
        if lacking := explained - in_all:
            out.print(f"{lacking} more explained units have no {score}", markup=False)
        out.print()
    found = means(study)
    for column in COLUMNS:
        print_means(out, column, [mean for mean in found if mean.column == column], study.spec.card)
    if (agree := agreement_of_columns(study)) is not None:
        said = in_brackets(agree.value, agree.low, agree.high) if agree.value is not None else f"– ({agree.reason})"
        out.print(f"Rank correlation of the two columns over {agree.n} units: {said}", markup=False)
    for line in means_of_random(study):
        out.print(line, markup=False, soft_wrap=True)
    counts = ", ".join(f"{n} {status}" for status, n in study.counts.items() if n)
    out.print(f"Units: {counts}", markup=False)
    for line in cost_lines(study.costs):
        out.print(line, markup=False, soft_wrap=True)
    if rows:
        look = f"glossator show {short_name(rows[0].result.unit)} --study {study.folder}"
        out.print(f"Look at one: {look}", markup=False, soft_wrap=True)
    out.print(f"Study:  {study.folder}", markup=False, soft_wrap=True)
    out.print(f"Report: {study.report.resolve().as_uri()}", markup=False, soft_wrap=True)
