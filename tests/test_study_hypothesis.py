"""One's own hypothesis: as typed, with fitted numbers, in words with and without a language model, as the command."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from glossator.cli import main
from glossator.errors import UserError
from glossator.explanations import Explanation, Provenance
from glossator.programs import Program, Token, parse_program
from glossator.programs.parser import parse_draft, reads_as_program
from glossator.store.spec import DEFAULT_EVIDENCE, READ_EVIDENCE, bounded_to_read
from glossator.study import Study, run_study
from glossator.study import test_hypothesis as put_to_the_test
from glossator.study.hypothesis import fit
from scorer_cases import LEXICON, WORDS, TokenWorld
from study_cases import lm_spec, register_lm_methods, scripted_name, small_spec, write_corpus
from test_scorers_comparing import Bags


@pytest.fixture(scope="module")
def study(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Study]:
    write_corpus(tiny_folder.parent / "corpus.jsonl")
    found = run_study(small_spec(tiny_folder), tmp_path_factory.mktemp("h") / "s", progress=False)
    assert found is not None
    with found:
        yield found


@pytest.fixture
def embedder(monkeypatch: pytest.MonkeyPatch) -> Bags:
    """Stands for the text embedder, whose weights are large; it counts two words."""
    made = Bags("fox", "the")
    monkeypatch.setattr("glossator.subjects.embedders.load_embedder", lambda *_, **__: made)
    return made


# ------------------------------------------------------------------------------------------------ what may be written


@pytest.mark.parametrize(
    ("written", "program"),
    [
        ("word(months)", "0.0 + 1.0*word(months)"),
        ('word("months")', "0.0 + 1.0*word(months)"),
        ("token(' keep', \" kept\")", '0.0 + 1.0*token(" keep", " kept")'),
        ("-word(months) + 2*token('it\\'s')", '0.0 - 1.0*word(months) + 2.0*token("it\'s")'),
        ('+ 2 * after(token(" a"))', '0.0 + 2.0*after(token(" a"))'),
        ('and(suffix("ing"), after(word(prepositions)))', '0.0 + 1.0*and(suffix("ing"), after(word(prepositions)))'),
        ('token(" a"); raises token(" on")', '0.0 + 1.0*token(" a"); raises token(" on")'),
        ('0.5 + token(" a")', '0.5 + 1.0*token(" a")'),
    ],
)
def test_numbers_may_be_left_out(written: str, program: str) -> None:
    assert str(parse_program(written)) == program
    assert parse_draft(written).program() == parse_program(program)


@pytest.mark.parametrize(
    ("text", "is_program"),
    [
        ("word(months)", True), ("  - 2*token(", True), ("0.1 + 2*x(", True), ("0.5", True), ("tokn(a)", True),
        ("dates and months", False), ("dates (months, years)", False), ("2 + 2 is four", False), ("like dogs", False),
        ("3 or more of these", False), ("", False),
    ],
)  # fmt: skip
def test_programs_are_told_from_words(text: str, is_program: bool) -> None:
    assert reads_as_program(text) == is_program


def test_an_unknown_class_is_told_with_those_that_are_near() -> None:
    with pytest.raises(UserError, match="did you mean months"):
        parse_program("word(month)")
    with pytest.raises(UserError, match=r"line 1, column 1.*a number or a test"):
        parse_program("")


# ---------------------------------------------------------------------------------------------------------- the fit


def draft_of(world: TokenWorld, *indices: int, sign: str = "+") -> str:
    return f" {sign} ".join(["", *(f'token("{WORDS[i]}")' for i in indices)]).strip()


def test_strengths_are_those_of_the_unit_and_other_splits_do_not_matter() -> None:
    world = TokenWorld(noise=0.05)
    evidence = world.evidence()
    firing = np.flatnonzero(world.strengths)[:3]
    program, notes = fit(parse_draft(draft_of(world, *firing)), evidence, LEXICON)
    assert notes == ()
    found = {clause.test: clause.strength for clause in program.clauses}
    for i in firing:
        assert found[Token((WORDS[i],))] == pytest.approx(world.strengths[i], abs=0.35)
    elsewhere = replace(evidence, test=world.draw(5, 5, 9000), select=world.draw(5, 5, 9500))
    assert fit(parse_draft(draft_of(world, *firing)), elsewhere, LEXICON)[0] == program


def test_numbers_that_are_written_stay() -> None:
    world = TokenWorld(noise=0.05)
    evidence, (a, b, *_) = world.evidence(), np.flatnonzero(world.strengths)
    whole = f'0.5 + token("{WORDS[a]}") - 3*token("{WORDS[b]}")'
    assert fit(parse_draft(whole), evidence, LEXICON) == (parse_program(whole), ())
    program, _ = fit(parse_draft(f'2.5*token("{WORDS[a]}") + token("{WORDS[b]}")'), evidence, LEXICON)
    assert program.clauses[0].strength == 2.5
    assert program.clauses[1].strength == pytest.approx(world.strengths[b], abs=0.35)


def test_a_wrong_hypothesis_is_not_mended() -> None:
    world = TokenWorld(noise=0.05)
    evidence, firing = world.evidence(), np.flatnonzero(world.strengths)[:2]
    program, notes = fit(parse_draft(draft_of(world, *firing, sign="-")), evidence, LEXICON)
    assert [clause.strength for clause in program.clauses] == [-1.0, -1.0]
    assert any("is not lower where it holds" in note for note in notes) and "all are 1" in notes[-1]
    program, notes = fit(parse_draft(f'{draft_of(world, firing[0])} + token("nowhere")'), evidence, LEXICON)
    assert [str(clause.test) for clause in program.clauses] == [f'token("{WORDS[firing[0]]}")']
    assert notes == ('token("nowhere") holds at no token of the calibrate split, so its strength could not be fitted',)


# ------------------------------------------------------------------------------------------------- in a finished study


def test_a_program_as_typed_has_the_scores_of_the_fitted_one(study: Study) -> None:
    name = study.names()[0]
    tested = put_to_the_test(study, name, 'contains("o") + suffix("e")')
    assert tested.fitted and tested.explanation.method == "by-hand"
    assert all(score.value is not None for score in tested.scores)
    assert set(tested.scores[0].baselines) == {"lookup", "token-list", "mismatched"}
    program = tested.explanation.program
    assert program is not None
    again = put_to_the_test(study.folder, name.split("/", 1)[1], program)
    assert (again.scores, again.fitted) == (tested.scores, False)
    assert put_to_the_test(study, name, parse_program(program)).scores == tested.scores
    own = Explanation(tested.unit, "in words", Provenance("by-hand"), parse_program(program))
    assert put_to_the_test(study, name, own).scores == tested.scores


def test_the_summary_is_one_line_with_what_the_score_is_above(study: Study) -> None:
    tested = put_to_the_test(study, study.names()[0], 'contains("o")')
    score = next(s for s in tested.scores if s.name == "correlation.random-only")
    assert "\n" not in tested.summary
    assert tested.summary.startswith(f"{study.names()[0]}: correlation.random-only ")
    for baseline, value in score.baselines.items():
        assert value is None or f"{baseline} {value:.2f}".replace("-", "−").replace("token−list", "token-list").replace(
            "mismatched", "mismatched") in tested.summary  # fmt: skip
        if value is not None:
            margin = score.margins[baseline]
            above = tested.summary.partition("not above")[0]
            assert (f"{baseline} " in above) == (margin.p is not None and margin.p <= 0.05 and margin.value > 0)


def test_the_studys_own_explanation_has_its_own_scores(study: Study) -> None:
    result = next(study.results())
    tested = put_to_the_test(study, result.unit, None)
    best = result.best()
    assert best is not None
    assert list(tested.scores) == list(best.scores)


def test_words_without_a_language_model_are_judged_by_an_embedder(study: Study, embedder: Bags) -> None:
    name = study.names()[0]
    tested = put_to_the_test(study, name, "the fox")
    assert [score.name for score in tested.scores] == ["embedding.auroc"]
    assert tested.scores[0].value is not None
    assert "embedding.auroc" in tested.summary
    assert "the fox" in embedder.embedded
    asked = put_to_the_test(study, name, "the fox", scorers=("correlation",))
    assert {score.value for score in asked.scores} == {None}  # who asks for it is told why there is none
    with pytest.raises(UserError, match="empty explanation"):
        put_to_the_test(study, name, "  ")


def test_words_are_read_on_as_many_windows_as_in_a_study(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from glossator.study.models import Access

    register_lm_methods(monkeypatch)
    said: list[str] = []
    lm = scripted_name()
    tested = put_to_the_test(
        study, study.names()[0], "some words", lm=lm, access=Access(tmp_path / "a.sqlite"), say=said.append
    )
    most = {kind: getattr(READ_EVIDENCE, f"test_{kind}") for kind in ("top", "random")}
    for score in tested.scores:
        assert score.how["read_by"] == lm
        assert all(score.how["windows"][kind] <= most[kind] for kind in score.how["windows"])
    (cost,) = tested.costs
    (line,) = said
    foreseen = int(line.split("about ")[1].split(" call")[0])
    assert cost.requests / 2 <= foreseen <= 2 * cost.requests
    assert cost.requests <= sum(getattr(READ_EVIDENCE, f"{s}_{k}") for s in ("test", "calibrate") for k in most)


def test_a_study_with_a_language_model_reads_what_it_drew(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register_lm_methods(monkeypatch)
    write_corpus(tiny_folder.parent / "corpus.jsonl")
    spec = lm_spec(tiny_folder, units=2, scorers=("correlation",))
    made = run_study(replace(spec, evidence=replace(spec.evidence, test_random=13)), tmp_path / "s", progress=False)
    assert made is not None
    with made:
        best = next(made.results()).best()
        assert best is not None
        tested = put_to_the_test(made, made.names()[0], best.text)
    assert [s.value for s in tested.scores] == [s.value for s in best.scores]


def test_no_more_is_read_than_a_study_reads() -> None:
    assert bounded_to_read(DEFAULT_EVIDENCE) == replace(READ_EVIDENCE)
    fewer = replace(DEFAULT_EVIDENCE, test_top=3, calibrate_random=2, explain_top=7)
    assert bounded_to_read(fewer) == replace(READ_EVIDENCE, test_top=3, calibrate_random=2, explain_top=7)


@pytest.mark.parametrize("given", [["--program", 'contains("o")'], ["--text", "the fox"], []])
def test_the_command_says_what_the_function_says(
    study: Study, given: list[str], embedder: Bags, capsys: pytest.CaptureFixture
) -> None:
    name = study.names()[1]
    assert main(["score", name, "--study", str(study.folder), *given, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    tested = put_to_the_test(study, name, given[-1] if given else None)
    assert found["summary"] == tested.summary
    assert [(s["name"], s["value"], s["low"], s["high"]) for s in found["scores"]] == [
        (s.name, s.value, s.low, s.high) for s in tested.scores
    ]
    assert (found["program"], found["fitted"]) == (tested.explanation.program, tested.fitted)
    assert main(["score", name, "--study", str(study.folder), *given]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0] == tested.summary
    assert ("fitted on the calibrate split" in out) == tested.fitted


def test_what_cannot_be_a_program_is_told_with_its_place(study: Study) -> None:
    with pytest.raises(UserError, match="column"):
        put_to_the_test(study, study.names()[0], "word(monthz")
    with pytest.raises(UserError, match="no such unit"):
        put_to_the_test(study, "mlp.0/99999", "word(months)")
    assert isinstance(parse_program("word(months)"), Program)
