"""`glossator score`: the last stage of a study, or one explanation, yours or its own, put to the test."""

from __future__ import annotations

from pathlib import Path

import typer

from glossator.cli.printing import JSON, console, emit, interval, make_table, number
from glossator.errors import UserError


def score(
    unit: str = typer.Argument(..., help="A unit of a finished study, such as mlp.12/345, or the folder of a study."),
    program: str | None = typer.Option(None, help="Your program; default: the study's own explanation."),
    study: Path | None = typer.Option(
        None, help="Folder of the study; default: the newest below studies/ that has the unit."
    ),
    json: bool = JSON,
) -> None:
    """Score explanations on the test split beside nulls.

    All explanations of a study that has none yet, your own program for a unit, or the study's explanation of it again.

    \b
    Examples:
      glossator score studies/layer-12
      glossator score mlp.12/345
      glossator score mlp.12/345 --program '0.1 + 2.0*token(" keep", " hold")'
    """
    if Path(unit).is_dir():
        score_study(Path(unit), json)
        return
    from glossator.explanations import Explanation, Provenance
    from glossator.programs import english, parse_program
    from glossator.study.find import study_with
    from glossator.study.results import as_stored
    from glossator.study.score import other_unit, score_one
    from glossator.study.summary import nulls_of_scores
    from glossator.study.tools import Tools

    opened, found = study_with(unit, study)
    with opened:
        result, tools = opened.result(found), Tools.of(opened.spec, opened.recording)
        if program is not None:
            parsed = parse_program(program)
            mine = Explanation(found, english(parsed), Provenance("by-hand"), parsed)
            chosen = as_stored(mine, tools.lexicon, 0, None)
        elif (best := result.best()) is not None:
            chosen = best
        else:
            raise UserError(f"the study has no explanation of {found} ({result.status})", fix="Give one with --program")
        method = chosen.method if program is None else next(iter(opened.spec.explainers))
        site = [r for r in opened.results() if (r.unit.site, r.unit.polarity) == (found.site, found.polarity)]
        other = other_unit(found, method, site, tools)
        scores = score_one(chosen, found, tools.evidence(found), other, tools)
    if json:
        emit(
            {"unit": str(found), "text": chosen.text, "program": chosen.program, "bits": chosen.bits, "scores": scores}
        )
        return

    out = console()
    out.print(chosen.text, style="bold", markup=False)
    nulls = nulls_of_scores(scores)
    table = make_table(plain=True)
    for name in ("score", "value [95 %]", "n", *nulls):
        table.add_column(name, justify="left" if name == "score" else "right", no_wrap=True)
    for found_score in scores:
        values = (number(found_score.nulls.get(n)) for n in nulls)
        table.add_row(found_score.name, interval(found_score), str(found_score.n), *values)
    out.print(table)


def score_study(folder: Path, json: bool) -> None:
    """The remaining stages of the study in a folder."""
    from glossator.cli.run import as_json, print_study
    from glossator.cli.spec_options import read_spec
    from glossator.study import run_study

    spec, _ = read_spec(str(folder), None)
    study = run_study(spec, folder)
    assert study is not None
    with study:
        if json:
            emit(as_json(study))
        else:
            print_study(study)
