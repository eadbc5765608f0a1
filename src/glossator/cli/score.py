"""`glossator score`: the last stage of a study, or a test of one explanation, yours or the study's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from glossator.cli.card import print_card
from glossator.cli.printing import JSON, QUIET, console, emit, print_indented, say
from glossator.cli.spec_options import takes_flags
from glossator.errors import UserError

if TYPE_CHECKING:
    from glossator.engines import Engine
    from glossator.study import Tested
    from glossator.study.models import Access


@takes_flags
def score(
    access: Access,
    engine: Engine,
    unit: str = typer.Argument(..., help="A unit of a finished study, such as mlp.12/575, or the folder of a study."),
    program: str | None = typer.Option(
        None, help="Your program, such as 'word(months)'; missing numbers are fitted on the calibrate split."
    ),
    text: str | None = typer.Option(
        None, help="Your explanation in words, simulated by a language model, or scored with an embedder without one."
    ),
    study: Path | None = typer.Option(
        None, help="Folder of the study; default: the newest below studies/ that has the unit."
    ),
    lm: str | None = typer.Option(None, help="Language model that simulates text; default: the study's."),
    simulator: str | None = typer.Option(None, help="Simulator to use; default: the study's."),
    card: str | None = typer.Option(
        None, help="Columns of scores: observational, causal (interventions), or both; default: the study's."
    ),
    scorer: list[str] | None = typer.Option(None, help="Scorer; repeatable. Default: those of the card."),
    every_score: bool = typer.Option(False, "--all-scores", help="All scores, not only the main ones."),
    quiet: bool = QUIET,
    json: bool = JSON,
) -> None:
    """Score explanations on the test split beside baselines.

    Scores all explanations of a study, your own text or program for a unit, or the study's explanation of it again.
    Observational scores ask whether the explanation predicts the unit; causal ones ask whether intervening on the unit
    does what it says, for which the subject is loaded and run. --card both adds the causal column to a finished study.

    \b
    Examples:
      glossator score mlp.12/575 --program 'word(months)'
      glossator score mlp.12/575 --program '0.1 + 2.0*token(" keep", " hold")'
      glossator score mlp.12/575 --text 'words for keeping and holding'
      glossator score mlp.12/575 --text 'words for keeping and holding' --lm inprocess:smollm2-135m
      glossator score mlp.12/575 --card both --scorer correlation --scorer ablation
      glossator score studies/layer-12 --card both
    """
    if Path(unit).is_dir():
        flags = {"lm": lm, "simulator": simulator, "card": card, "scorer": scorer}
        score_study(Path(unit), flags, access, engine, json)
        return
    from glossator.store.find import study_with
    from glossator.study import test_hypothesis

    if program is not None and text is not None:
        raise UserError("--program and --text are both given", fix="Use one of them")
    opened, found = study_with(unit, study)
    with opened:
        tested = test_hypothesis(
            opened,
            found,
            program if text is None else text,
            words=text is not None,
            lm=lm,
            simulator=simulator,
            card=card,
            scorers=scorer,
            access=access,
            progress=False if quiet or json else None,
            say=lambda line: None if quiet or json else say(line),
        )
        card = card or opened.spec.card
    if json:
        emit(as_json(tested))
    else:
        print_tested(tested, card, every_score or bool(scorer))


def as_json(tested: Tested) -> dict[str, Any]:
    chosen = tested.explanation
    return {
        "unit": str(tested.unit),
        "summary": tested.summary,
        "method": chosen.method,
        "text": chosen.text,
        "program": chosen.program,
        "bits": chosen.bits,
        "fitted": tested.fitted,
        "notes": tested.notes,
        "scores": tested.scores,
        "costs": tested.costs,
    }


def print_tested(tested: Tested, card: str, every_score: bool) -> None:
    """The result in one line, then the explanation, its card and the cost."""
    from glossator.cli.run import cost_lines

    out, chosen = console(), tested.explanation
    out.print(tested.summary, style="bold", soft_wrap=True)
    print_indented(out, chosen.text)
    if chosen.program and len(chosen.program) < 2000:
        print_indented(out, f"{chosen.program}{' (fitted on the calibrate split)' if tested.fitted else ''}", "dim")
    for note in tested.notes:
        print_indented(out, f"Note: {note}")
    out.print()
    print_card(out, tested.scores, card, every_score=every_score)
    for line in cost_lines(tested.costs):
        out.print(line, soft_wrap=True)


def score_study(folder: Path, flags: dict[str, Any], access: Access, engine: Engine, json: bool) -> None:
    """The remaining stages of the study in a folder."""
    from glossator.cli.run import as_json, print_study
    from glossator.cli.spec_options import read_spec
    from glossator.study import run_study

    spec, _ = read_spec(str(folder), None, **flags)
    study = run_study(spec, folder, access=access, engine=engine)
    assert study is not None
    with study:
        if json:
            emit(as_json(study))
        else:
            print_study(study)
