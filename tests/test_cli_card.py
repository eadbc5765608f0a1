"""Two columns on the command line: beside each other where there is room, with baselines, q-values and reasons."""

from __future__ import annotations

import io
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from glossator.cli import main
from glossator.cli.card import print_card
from glossator.scores import Margin, Score
from glossator.study import Study, run_study
from study_cases import register, small_spec, write_corpus

SCORES = [
    Score("correlation.top-and-random", 0.61, "Pearson r", 0.52, 0.70, 81,
          baselines={"lookup": 0.4, "mismatched": None},
          margins={"lookup": Margin(0.21, 0.1, 0.31, 0.002)}),
    Score("firing.f1.top-and-random", 0.3, "F1", 0.2, 0.4, 81),
    Score("ablation", 0.41, "share", 0.3, 0.52, 40, "causal", baselines={"random-unit": 0.02},
          margins={"random-unit": Margin(0.39, 0.2, 0.5, 0.001)}),
    Score("ablation.per-token", None, "share", column="causal", reason="the denominator is near 0"),
]  # fmt: skip


@pytest.fixture(autouse=True)
def causal_scorer(monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, "scorers", acting="Acting")


@pytest.fixture(scope="module")
def made(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    write_corpus(tiny_folder.parent / "corpus.jsonl")
    folder = tmp_path_factory.mktemp("card") / "s"
    study = run_study(small_spec(tiny_folder, scorers=("correlation",)), folder, progress=False)
    assert isinstance(study, Study)
    study.close()
    return folder


def printed(width: int, scores: list[Score] = SCORES, card: str = "both", **options) -> list[str]:
    out = Console(file=io.StringIO(), width=width, highlight=False)
    print_card(out, scores, card, **options)
    return [line.rstrip() for line in out.file.getvalue().splitlines()]  # type: ignore[attr-defined]


def test_the_columns_stand_side_by_side_where_there_is_room() -> None:
    wide = printed(160)
    assert wide[0].startswith("observational") and "causal  does intervening" in wide[0]
    (line,) = [line for line in wide if "lookup" in line]
    assert line.split()[:6] == ["lookup", "0.40", "0.21", "[0.10,", "0.31]", "0.002"]
    (acted,) = [i for i, line in enumerate(wide) if "0.41 [0.30, 0.52]" in line]
    (predicted,) = [i for i, line in enumerate(wide) if "0.61 [0.52, 0.70]" in line]
    assert abs(acted - predicted) <= 1  # observational scores stand below a heading that says their setting


def test_a_score_without_an_interval_says_why() -> None:
    few = Score("correlation.random-only", 0.4, "Pearson r", n=4, how={"no_interval": "4 firing documents, 10 needed"})
    text = "\n".join(printed(80, [few]))
    assert "0.40" in text and "None" not in text
    assert "correlation.random-only: no interval, 4 firing documents, 10 needed" in text


@pytest.mark.parametrize("width", [60, 79, 80, 100, 120, 160, 200])
def test_nothing_is_ever_cut(width: int) -> None:
    """Names of scores, intervals and q-values stand whole at any width; a line may be longer than a small terminal."""
    long = [
        Score(f"explained-variance.uncentred.{setting}", -0.25, "share", -0.31, -0.19, 57,
              baselines={"token-list": -0.1},
              margins={"token-list": Margin(-0.15, -0.22, -0.08, 0.998)})
        for setting in ("top-and-random", "random-only")
    ]  # fmt: skip
    text = "\n".join(printed(width, [*SCORES, *long]))
    assert "…" not in text
    for whole in (
        "−0.25 [−0.31, −0.19]",
        "−0.15 [−0.22, −0.08]",
        "0.998",
        "explained-variance.uncentred",
        "token-list",
    ):
        assert text.count(whole) >= 2 if whole != "0.998" else text.count(whole) == 2
    if width >= 80:
        assert max(len(line) for line in text.splitlines()) <= width


def test_the_columns_stand_below_each_other_where_there_is_none() -> None:
    narrow = printed(90)
    assert max(map(len, narrow)) <= 90
    causal = next(i for i, line in enumerate(narrow) if line.startswith("causal"))
    assert any("0.61 [0.52, 0.70]" in line for line in narrow[:causal])
    assert any("0.41 [0.30, 0.52]" in line for line in narrow[causal:])


def test_missing_values_have_reasons_and_q_takes_the_place_of_p() -> None:
    text = "\n".join(printed(160))
    assert "ablation.per-token: the denominator is near 0" in text
    assert " p\n" in text.splitlines()[1] + "\n"
    margins = {"lookup": replace(SCORES[0].margins["lookup"], q=0.017)}
    corrected = printed(160, [replace(SCORES[0], margins=margins), *SCORES[1:]])
    assert corrected[1].split().count("q") == 1  # only of the column that has them
    assert "0.017" in "\n".join(corrected)
    assert "firing.f1" not in "\n".join(printed(160, every_score=False))


@pytest.mark.parametrize(
    ("card", "said"),
    [
        ("observational", "not computed, as the card is observational; use --card both"),
        ("both", "no explanation has one"),
    ],
)
def test_an_empty_column_says_why(card: str, said: str) -> None:
    assert said in "\n".join(printed(160, SCORES[:2], card))


def test_one_unit_is_scored_under_another_card(made: Path, capsys: pytest.CaptureFixture) -> None:
    from glossator.study import open_study

    with open_study(made) as study:
        name = next(n for n in study.names() if int(n.rpartition("/")[2]) % 7 != 3)
    command = ["score", name, "--study", str(made)]
    assert main([*command, "--json"]) == 0
    plain = json.loads(capsys.readouterr().out)["scores"]
    assert {s["column"] for s in plain} == {"observational"}
    assert main([*command, "--card", "both", "--scorer", "correlation", "--scorer", "acting", "--json"]) == 0
    both = json.loads(capsys.readouterr().out)["scores"]
    assert both[: len(plain)] == plain
    assert [s["name"] for s in both[len(plain) :]] == ["acting"]
    assert both[-1]["margins"]["random-unit"]["p"] < 0.05
    assert main([*command, "--card", "causal", "--scorer", "acting"]) == 0
    out = capsys.readouterr().out
    assert "random-unit" in out
    assert "not computed, as the card is causal" in out
    assert main([*command, "--card", "casual"]) == 2
    assert "did you mean causal" in capsys.readouterr().err


def test_a_study_gets_its_causal_column_and_shows_both(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    from glossator.store.card import QUESTIONS

    made = Path(shutil.copytree(made, tmp_path / "study"))  # what is changed here is this test's own
    command = ["score", str(made), "--card", "both", "--scorer", "correlation", "--scorer", "acting"]
    assert main(command) == 0
    out = capsys.readouterr().out
    for words in ("causal: acting", "random-unit", "Means over units, causal", "Rank correlation of the two columns"):
        assert words in out
    assert main(["run", str(made), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    (mean,) = [m for m in found["means"] if m["column"] == "causal"]
    assert mean["above"]["random-unit"][1] == mean["value"]["n"]
    assert set(found["columns_agree"]) >= {"value", "low", "high", "n"}
    units = {u["unit"]: u for u in found["units"]}
    lacking = [u for u in units if int(u.rpartition("/")[2]) % 7 == 3]
    name = next(u for u in units if u not in lacking)
    assert main(["show", name, "--study", str(made)]) == 0
    out = capsys.readouterr().out
    for column, asked in QUESTIONS.items():  # side by side or one below the other, as they fit
        assert f"{column}  {asked}" in out
    assert main(["show", name, "--study", str(made), "--json"]) == 0
    q = json.loads(capsys.readouterr().out)["q_values"]
    assert {entry["baseline"] for entry in q if entry["score"] == "acting"} == {"random-unit"}


def test_an_encoder_has_no_causal_column_and_its_study_is_left_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    from glossator.study import open_study
    from tiny_models import save_tiny, wordpiece_tokenizer

    subject = save_tiny(tmp_path / "bert", "bert", wordpiece_tokenizer())
    write_corpus(tmp_path / "corpus.jsonl")
    folder, spec = tmp_path / "s", small_spec(subject, scorers=("correlation",), units=2)
    refused = tmp_path / "refused"
    given = ["--subject", str(subject), "--site", "mlp.0", "--corpus", spec.corpus, "--width", "32", "--quiet"]
    assert main(["run", *given, "--card", "causal", "--out", str(refused)]) == 2
    assert not refused.exists()
    first = capsys.readouterr().err
    made = run_study(spec, folder, progress=False)
    assert made is not None
    with made:
        name = made.names()[0]
    capsys.readouterr()
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert main(["score", str(folder), "--card", "both"]) == 2
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    open_study(folder).close()
    assert main(["score", name, "--study", str(folder), "--program", '1 + token("fox")', "--card", "causal"]) == 2
    for said in (first, *capsys.readouterr().err.strip().splitlines()):
        assert "this model has no next-token distribution, so effects on outputs cannot be measured" in said
        assert "Traceback" not in said
