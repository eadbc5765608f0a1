"""The card: which columns a study fills, how a column is added to a study, and which units are above their
baselines."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from safetensors.torch import load_file, save_file

from glossator.cli.printing import score_rows
from glossator.errors import UserError
from glossator.explorer.pages.lists import points
from glossator.files import plain
from glossator.scores import Margin, Score
from glossator.statistics import q_values
from glossator.store.card import DEFAULT_SCORERS, column_of, scorers_of
from glossator.store.ranking import default_of
from glossator.store.results import unscored
from glossator.store.spec import make_spec
from glossator.store.summary import agreement_of_columns, means, ranked
from glossator.study import StudySpec, UnitResult, run_study
from glossator.units import Unit
from study_cases import contents, register, small_spec, write_corpus
from test_study_store import CATS, RESULTS, stored

OBSERVATIONAL, CAUSAL = DEFAULT_SCORERS["observational"], DEFAULT_SCORERS["causal"]


@pytest.fixture(autouse=True)
def causal_scorer(monkeypatch: pytest.MonkeyPatch, tiny_folder: Path) -> None:
    register(monkeypatch, "scorers", acting="Acting")
    write_corpus(tiny_folder.parent / "corpus.jsonl")


@pytest.mark.parametrize(
    ("card", "named", "scorers"),
    [
        ("observational", None, OBSERVATIONAL),
        ("causal", None, CAUSAL),
        ("both", None, (*OBSERVATIONAL, *CAUSAL)),
        ("both", ("correlation",), ("correlation", *CAUSAL)),
        ("both", ("acting",), ("acting", *OBSERVATIONAL)),
        ("both", ("correlation", "acting"), ("correlation", "acting")),
        ("observational", ("acting",), ("acting", *OBSERVATIONAL)),
        ("observational", ("detection",), ("detection",)),
        ("both", (), ()),
    ],
)
def test_scorers_of_a_card(card: str, named: tuple[str, ...] | None, scorers: tuple[str, ...]) -> None:
    spec = StudySpec("s", ("a",), card=card, **({} if named is None else {"scorers": named}))  # type: ignore[arg-type]
    assert spec.scorers == scorers
    again = make_spec(json.loads(json.dumps(plain(spec))))
    assert again == spec and again.fingerprint == spec.fingerprint


def test_a_card_of_another_name_is_refused() -> None:
    with pytest.raises(UserError, match=r"unknown card: 'casual'\. Allowed: did you mean causal"):
        scorers_of("casual", ("correlation",))
    assert column_of("acting") == "causal"
    assert column_of("specificity") == "observational"


def test_specs_that_were_made_before_cards_mean_what_they_meant() -> None:
    spec = StudySpec("smollm2-135m", ("mlp.12",), scorers=("correlation", "explained-variance", "detection", "firing"))
    stored = plain(spec)
    assert stored.pop("card") == "observational"
    assert make_spec(stored).fingerprint == spec.fingerprint == "df55bcd5511feeeb"
    assert StudySpec("smollm2-135m", ("mlp.12",), card="both").fingerprint != spec.fingerprint


def test_a_study_of_both_columns(tiny_folder: Path, tmp_path: Path) -> None:
    spec = small_spec(tiny_folder, card="both", scorers=("correlation", "acting"), units=(1, 2, 3, 4, 5))
    study = run_study(spec, tmp_path / "s", progress=False)
    assert study is not None
    results = list(study.results())
    for result in results:
        (chosen,) = result.explanations
        assert {s.column for s in chosen.scores} == {"observational", "causal"}
        (acted,) = [s for s in chosen.scores if s.column == "causal"]
        assert (acted.value is None) == (result.unit.index == 3)
        if acted.value is not None:
            assert acted.margins["random-unit"].p is not None
        correlation = next(s for s in chosen.scores if s.name == "correlation.top-and-random")
        for baseline, value in correlation.baselines.items():
            if value is not None and correlation.value is not None:
                assert correlation.margins[baseline].value == pytest.approx(correlation.value - value)
    found = {(m.column, m.score): m for m in means(study)}
    causal = found["causal", "acting"]
    assert causal.value.n == 4
    assert causal.over["random-unit"].value == pytest.approx(
        (causal.value.value or 0) - (causal.baselines["random-unit"].value or 0)
    )
    assert causal.above["random-unit"][1] == 4
    agreement = agreement_of_columns(study)
    assert agreement is not None and agreement.n == 4


def test_a_finished_study_gets_its_causal_column(tiny_folder: Path, tmp_path: Path) -> None:
    small = small_spec(tiny_folder, scorers=("correlation",))
    both = replace(small, card="both", scorers=("correlation", "acting"))
    whole = run_study(both, tmp_path / "whole", progress=False)
    grown = run_study(small, tmp_path / "grown", progress=False)
    assert whole is not None and grown is not None
    grown.close()
    recorded = {p: p.stat().st_mtime_ns for p in (tmp_path / "grown" / "recording").rglob("*") if p.is_file()}
    grown = run_study(both, tmp_path / "grown", progress=False)
    assert contents(tmp_path / "grown") == contents(tmp_path / "whole")
    assert {p: p.stat().st_mtime_ns for p in recorded} == recorded
    with pytest.raises(UserError, match=r"with more scores .they differ in card, scorers"):
        run_study(small, tmp_path / "grown", progress=False)


def test_outputs_that_are_no_numbers_are_missing_scores(tiny_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_folder, tmp_path / "subject"))
    weights = load_file(folder / "model.safetensors")
    weights["model.layers.1.mlp.up_proj.weight"][0] = float("nan")
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    spec = replace(small_spec(tiny_folder), subject=str(folder), card="both", scorers=("correlation", "ablation"))
    for _ in range(2):
        study = run_study(spec, tmp_path / "s", progress=False)
        assert study is not None
        for result in study.results():
            (explanation,) = result.explanations
            values = {score.name: score for score in explanation.scores}
            assert values["correlation.top-and-random"].value is not None
            assert values["ablation"].value is None and "not finite" in values["ablation"].reason


def test_a_study_that_is_killed_while_it_grows_goes_on(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = small_spec(tiny_folder, scorers=("correlation",))
    both = replace(small, card="both", scorers=("correlation", "acting"))
    run_study(both, tmp_path / "whole", progress=False)
    run_study(small, tmp_path / "grown", progress=False)

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    for place in ("glossator.study.grow.shutil.rmtree", "glossator.study.pipeline.finish"):
        with monkeypatch.context() as patch:
            patch.setattr(place, killed)
            with pytest.raises(KeyboardInterrupt):
                run_study(both, tmp_path / "grown", progress=False)
    run_study(both, tmp_path / "grown", progress=False)
    assert contents(tmp_path / "grown") == contents(tmp_path / "whole")


def test_peoples_answers_may_be_there_before_the_study(tiny_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "s" / "human" / "answers").mkdir(parents=True)
    study = run_study(small_spec(tiny_folder, scorers=("correlation",)), tmp_path / "s", progress=False)
    assert study is not None
    (tmp_path / "t" / "pictures").mkdir(parents=True)
    with pytest.raises(UserError, match="neither empty"):
        run_study(small_spec(tiny_folder), tmp_path / "t", progress=False)


def test_a_unit_whose_scoring_failed_is_scored_again() -> None:
    failed = replace(RESULTS[0], status="failed", reason="scoring: boom")
    assert unscored(failed).status == "ok"
    assert unscored(failed).reason == ""
    assert unscored(RESULTS[1]) == RESULTS[1]
    assert all(not e.scores for e in unscored(failed).explanations)


# Which units are above their baselines


def unit_with(index: int, p: float | None, value: float = 0.5, causal: float | None = None) -> UnitResult:
    scores = [Score("correlation.top-and-random", value, "Pearson r", baselines={"lookup": 0.1},
                    margins={"lookup": Margin(value - 0.1, 0.0, 0.5, p)})]  # fmt: skip
    if causal is not None:
        scores.append(Score("ablation", causal, "share", column="causal", baselines={"random-unit": 0.0}))
    chosen = (replace(CATS[0], scores=tuple(scores)),)
    return replace(RESULTS[0], unit=Unit("toy", "mlp.0", index), explanations=chosen)


def test_q_values_are_over_the_units_that_were_tested(tmp_path: Path) -> None:
    p = [0.001, 0.04, None, 0.03, 0.9]
    with stored(tmp_path, [unit_with(i, value) for i, value in enumerate(p)]) as study:
        found = [r.explanations[0].scores[0].margins["lookup"].q for r in study.results()]
        assert found == q_values(p) and found[0] == pytest.approx(0.004) and found[2] is None
        (mean,) = means(study)
        assert mean.above == {"lookup": (1, 4)}
        assert [row.q for row in study.page()] == found
        assert [row.unit.index for row in study.page("q")] == [0, 1, 3, 4]


def test_what_is_below_its_baseline_is_not_above_it(tmp_path: Path) -> None:
    """p is two-sided: of a margin below 0 it says that the score is worse."""
    with stored(tmp_path, [unit_with(1, 0.001, 0.05), unit_with(2, 0.01, 0.5)]) as study:
        assert [row.q for row in study.page()] == [1.0, pytest.approx(0.02)]


def test_a_study_without_headlines_has_means_of_what_it_has(tmp_path: Path) -> None:
    score = Score("embedding.auroc", 0.7, "AUROC", baselines={"lookup": 0.5})
    asked = replace(RESULTS[0], explanations=(replace(CATS[0], scores=(score,)),))
    results = [replace(asked, unit=Unit("toy", "mlp.0", index)) for index in (1, 2)]
    with stored(tmp_path / "asked", results) as study:
        assert [(m.score, m.value.value) for m in means(study)] == [("embedding.auroc", 0.7)]
        rows = ranked(study)
    scores = (*unit_with(0, 0.1).explanations[0].scores, score)
    both = replace(RESULTS[0], explanations=(replace(CATS[0], scores=scores),))
    with stored(tmp_path / "both", [both]) as study:
        assert [m.score for m in means(study)] == ["correlation.top-and-random"]
    printed = StringIO()
    score_rows(Console(file=printed, width=160), rows, ["lookup"], [])
    assert "score [95 %]" in printed.getvalue() and "r [95 %]" not in printed.getvalue()


def test_one_unit_has_no_q(tmp_path: Path) -> None:
    with stored(tmp_path, [unit_with(1, 0.01), unit_with(2, None)]) as study:
        assert [row.q for row in study.page()] == [None, None]


def test_headlines_of_both_columns(tmp_path: Path) -> None:
    results = [unit_with(1, None, 0.2, 0.9), unit_with(2, None, 0.7), unit_with(3, None, 0.4, 0.1)]
    with stored(tmp_path / "both", results) as study:
        rows = ranked(study)
        assert [row.unit.index for row in study.page("causal")] == [1, 3]
    assert [(r.score.value, r.causal and r.causal.value) for r in rows] == [(0.7, None), (0.4, 0.1), (0.2, 0.9)]
    only_causal = replace(CATS[0], scores=(Score("ablation.x", None, "share", column="causal", reason="flat"),
                                           Score("ablation", 0.3, "share", column="causal")))  # fmt: skip
    assert default_of(only_causal) is None
    assert default_of(only_causal, "causal") == only_causal.scores[1]
    with stored(tmp_path / "causal", [replace(RESULTS[0], explanations=(only_causal,))]) as study:
        (row,) = ranked(study)
    assert (row.score.value, row.causal) == (0.3, None)


def test_columns_are_compared_by_the_same_two_scores(tmp_path: Path) -> None:
    """Where the headline of a column has no value another score stands in, which is another number."""
    results = [unit_with(i, None, 0.1 * i, 0.05 * i) for i in range(1, 10)]
    odd = replace(CATS[0], scores=(Score("correlation.top-and-random", 0.95, "Pearson r"),
                                   Score("ablation", None, "fraction", column="causal", reason="hardly moves"),
                                   Score("ablation.read-part", 0.0, "fraction", column="causal")))  # fmt: skip
    mixed = [*results, replace(RESULTS[0], unit=Unit("toy", "mlp.0", 77), explanations=(odd,))]
    with stored(tmp_path / "mixed", mixed) as study:
        agreement = agreement_of_columns(study)
        dots = points(study)
    assert agreement is not None and (agreement.value, agreement.n) == (pytest.approx(1.0), 9)
    assert dots.of == len(dots.x) == 9
    lacking = replace(odd, scores=odd.scores[:2])
    with stored(tmp_path / "lacking", [replace(RESULTS[0], explanations=(lacking,))]) as study:
        agreement = agreement_of_columns(study)
    assert agreement is not None and agreement.value is None and agreement.reason
    with stored(tmp_path / "one", [unit_with(1, None)]) as study:
        assert agreement_of_columns(study) is None
