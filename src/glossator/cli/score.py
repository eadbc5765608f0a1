"""`glossator score`: the last stage of a study, or one explanation, yours or its own, put to the test."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from glossator.cli.card import print_card
from glossator.cli.printing import JSON, console, emit
from glossator.cli.spec_options import BUDGET, LM_CACHE, OFFLINE, PRICES, make_access
from glossator.errors import UserError

if TYPE_CHECKING:
    from glossator.study import Study, StudySpec
    from glossator.study.models import Access
    from glossator.study.results import Chosen
    from glossator.study.tools import Tools
    from glossator.units import Unit


def score(
    unit: str = typer.Argument(..., help="A unit of a finished study, such as mlp.12/345, or the folder of a study."),
    program: str | None = typer.Option(None, help="Your program; default: the study's own explanation."),
    text: str | None = typer.Option(None, help="Your explanation in words, which a language model reads."),
    study: Path | None = typer.Option(
        None, help="Folder of the study; default: the newest below studies/ that has the unit."
    ),
    lm: str | None = typer.Option(None, help="Language model that reads words; default: the study's."),
    simulator: str | None = typer.Option(None, help="Who reads explanations; default: the study's."),
    card: str | None = typer.Option(
        None, help="Columns of scores: observational, causal (acts on the unit), or both; default: the study's."
    ),
    scorer: list[str] | None = typer.Option(None, help="Scorer; repeat it for more. Default: those of the card."),
    budget: str | None = BUDGET,
    lm_cache: Path | None = LM_CACHE,
    prices: Path | None = PRICES,
    offline: bool = OFFLINE,
    json: bool = JSON,
) -> None:
    """Score explanations on the test split beside nulls.

    All explanations of a study that has none yet, your own words or program for a unit, or the study's explanation of
    it again. Observational scores ask whether the explanation predicts the unit, causal ones whether acting on the unit
    does what it says: for these the subject is loaded and run. With --card both, a finished study gets the causal
    column added to it.

    \b
    Examples:
      glossator score studies/layer-12
      glossator score studies/layer-12 --card both
      glossator score mlp.12/345 --card causal
      glossator score mlp.12/345 --card both --scorer correlation --scorer ablation
      glossator score mlp.12/345 --program '0.1 + 2.0*token(" keep", " hold")'
      glossator score mlp.12/345 --text 'words for keeping and holding' --lm inprocess:smollm2-135m
    """
    access = make_access(budget, lm_cache, prices, offline)
    if Path(unit).is_dir():
        score_study(Path(unit), {"lm": lm, "simulator": simulator, "card": card, "scorer": scorer}, access, json)
        return
    from glossator.study.find import study_with
    from glossator.study.score import other_unit, score_one

    if program is not None and text is not None:
        raise UserError("--program and --text are both given", fix="Use one of them")
    opened, found = study_with(unit, study)
    with opened:
        result = opened.result(found)
        changes = {"lm": lm, "simulator": simulator, **scored_with(opened.spec, card, scorer)}
        with tools_for(opened, changes, access) as tools:
            chosen = yours(found, program, text, tools) or result.best()
            if chosen is None:
                raise UserError(
                    f"the study has no explanation of {found} ({result.status})",
                    fix="Give one with --program or --text",
                )
            own = chosen.method != BY_HAND
            method = chosen.method if own else next(iter(opened.spec.explainers))
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
    print_card(out, scores, {}, changes.get("card") or opened.spec.card)


BY_HAND = "by-hand"


def scored_with(spec: StudySpec, card: str | None, scorers: list[str] | None) -> dict[str, Any]:
    """Card and scorers of the spec that one unit is scored under: those that are named, else of the columns asked for
    the study's own, else the default ones."""
    from glossator.study.card import OF_THE_CARD, column_of, columns_of

    if card is None and not scorers:
        return {}
    card = card or spec.card
    columns = columns_of(card)
    named = tuple(scorers) if scorers else tuple(name for name in spec.scorers if column_of(name) in columns)
    return {"card": card, "scorers": named or OF_THE_CARD}


def yours(unit: Unit, program: str | None, text: str | None, tools: Tools) -> Chosen | None:
    """The explanation that was given, None when none was."""
    from glossator.explanations import Explanation, Provenance
    from glossator.programs import english, parse_program
    from glossator.study.results import as_stored

    parsed = None if program is None else parse_program(program)
    said = english(parsed) if parsed is not None else text
    if said is None:
        return None
    return as_stored(Explanation(unit, said, Provenance(BY_HAND), parsed), tools.lexicon, 0, None)


@contextlib.contextmanager
def tools_for(study: Study, changes: Mapping[str, Any], access: Access) -> Iterator[Tools]:
    """The tools of a finished study, with what its spec is changed to: another language model, simulator or card.

    Answers that are new are kept where --lm-cache says, else in the study.
    """
    from glossator.study.models import StudyModels
    from glossator.study.tools import Tools
    from glossator.study.unchanged import check_unchanged

    check_unchanged(study.spec, study.recording)
    spec = dataclasses.replace(study.spec, **{name: value for name, value in changes.items() if value is not None})
    with StudyModels(spec.language_models, access, study.folder) as models:
        yield Tools.of(spec, study.recording, models=models)


def score_study(folder: Path, flags: dict[str, Any], access: Access, json: bool) -> None:
    """The remaining stages of the study in a folder."""
    from glossator.cli.run import as_json, print_study
    from glossator.cli.spec_options import read_spec
    from glossator.study import run_study

    spec, _ = read_spec(str(folder), None, **flags)
    study = run_study(spec, folder, access=access)
    assert study is not None
    with study:
        if json:
            emit(as_json(study))
        else:
            print_study(study)
