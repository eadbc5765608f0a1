"""What commands print is never cut: rows, tables and lines around a peak at any width."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console
from rich.text import Text

from glossator.cli.printing import Row, highlighted, in_the_middle, make_table, print_rows, print_table, score_rows
from glossator.cli.show import print_headlines
from glossator.scores import Score
from glossator.store.ranking import Ranked
from glossator.store.results import Chosen, Named, StoredPeaks, UnitResult
from glossator.store.summary import ranked
from glossator.units import Unit
from test_study_store import stored

WIDTHS = [40, 60, 80, 100, 120, 160, 240]
EXPLANATION = "Most on words like “late/Thursday”, “2” within 4 after months, words like “June” within 8 after “in”"


def console(width: int) -> Console:
    return Console(file=io.StringIO(), width=width, highlight=False)


def lines(out: Console) -> list[str]:
    return out.file.getvalue().splitlines()  # type: ignore[attr-defined]


def result(index: int, method: str, value: float, select: float, site: str = "mlp.12") -> UnitResult:
    score = Score("correlation.top-and-random", value, "Pearson r", value - 0.1, value + 0.1, 40,
                  baselines={"lookup": -0.31, "token-list": 0.25, "mismatched": None})  # fmt: skip
    chosen = Chosen(method, 0, EXPLANATION, None, None, select, {}, (score,))
    return UnitResult(Unit("toy", site, index), "ok", "", {}, (chosen,))


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("site", ["mlp.12", "model.layers.12.mlp.down_proj", "my-directions@resid.8"])
def test_units_intervals_and_baselines_stand_whole_at_any_width(width: int, site: str) -> None:
    out = console(width)
    results = [result(1394, "program", 0.6, 0.5, site), result(7, "bills", -0.2, 0.4, site)]
    rows = [Ranked(r, r.explanations[0], r.explanations[0].scores[0]) for r in results]
    score_rows(out, rows, ["lookup", "token-list", "mismatched"], [])
    text = "\n".join(lines(out))
    for whole in (f"{site}/1394", f"{site}/7", "0.60 [0.50, 0.70]", "−0.20 [−0.30, −0.10]", "−0.31", "0.25", "bills"):
        assert whole in text
    assert all(baseline in text for baseline in ("lookup", "token-list", "mismatched"))
    if width >= 80:
        assert max(map(len, lines(out))) <= width
    assert " ".join(EXPLANATION.split()) in " ".join(text.split())


@pytest.mark.parametrize("width", WIDTHS)
def test_columns_without_room_are_written_out_below_their_row(width: int) -> None:
    out = console(width)
    head = ["site", "units", *(f"baseline-{i}" for i in range(9))]
    print_rows(out, head, [Row(["resid.1", "64", *(f"0.{i}7, 30 of 64" for i in range(9))], "a note")])
    text = "\n".join(lines(out))
    for i in range(9):
        assert f"0.{i}7, 30 of 64" in " ".join(text.split())
    assert "a note" in text
    assert width < 60 or max(map(len, lines(out))) <= width
    assert not any(line.endswith(" ") for line in lines(out))


@pytest.mark.parametrize("width", WIDTHS)
def test_a_table_of_any_command_is_never_cut(width: int) -> None:
    table = make_table("Answers")
    for name in ("person", "said", "score"):
        table.add_column(name, justify="right" if name == "score" else "left")
    table.add_row(Text("ann"), "words [that] are much longer than a column of a small terminal has room for", "0.5")
    table.add_row("a person with quite a long name", "", "−0.25 [−0.31, −0.19]")
    out = console(width)
    print_table(out, table)
    text = " ".join("\n".join(lines(out)).split())
    for whole in ("a person with quite a long name", "−0.25 [−0.31, −0.19]", "a small terminal has room for", "ann"):
        assert whole in text


@pytest.mark.parametrize("width", [20, 40, 68, 100])
@pytest.mark.parametrize("centre", [0, 5, 19])
def test_a_line_is_around_its_peak_and_says_what_is_left_out(width: int, centre: int) -> None:
    pieces = [f" w{i}" for i in range(20)]
    values = [0.0] * 20
    values[centre] = 2.0
    line = in_the_middle(highlighted(pieces, values, 2.0, colour=False), centre, width).plain
    assert len(line) <= width
    mark = f"[w{centre} 2]"
    assert mark in line and line.index(mark) - 1 == int(width * 0.45)
    assert line.lstrip().startswith("…") == (" w0" not in line and centre != 0)
    assert line.endswith("…") == (" w19" not in line and centre != 19)


def test_wide_characters_count_as_two() -> None:
    parts = highlighted(["漢字"] * 30, [0.0] * 30, 1.0, colour=False)
    assert in_the_middle(parts, 15, 41).cell_len <= 41


def test_a_space_that_fires_can_be_seen() -> None:
    assert [part.plain for part in highlighted([" ", " a", "b"], [1.0, 1.0, 0.1], 1.0, False)] == [
        "[␣ 1]",
        " [a 1]",
        "b",
    ]


def test_the_best_explanation_is_that_of_the_select_split() -> None:
    by_program, by_bills = (result(1, *given).explanations[0] for given in (("program", 0.6, 0.3), ("bills", 0.5, 0.4)))
    unit = result(1, "program", 0.6, 0.3)
    for order in ((by_program, by_bills), (by_bills, by_program)):
        both = UnitResult(unit.unit, "ok", "", {}, order)
        assert both.best() is by_bills
        assert both.best("program") is by_program
    unranked = UnitResult(unit.unit, "ok", "", {}, (Chosen("agree", 0, "x", None, None, None, {}), by_program))
    assert unranked.best() is by_program


def test_units_are_ranked_by_one_score_over_all_methods(tmp_path: Path) -> None:
    """What only some have is another number: a correlation of 0.4 and an AUROC of 0.9 cannot be put in one order."""
    auroc = Score("embedding.auroc", 0.9, "AUROC", 0.8, 1.0, 40)
    lacking = Score("correlation.top-and-random", None, "Pearson r", reason="the prediction is constant")
    odd = UnitResult(
        Unit("toy", "mlp.12", 3), "ok", "", {}, (Chosen("bills", 0, "x", None, None, None, {}, (lacking, auroc)),)
    )
    results = [result(1, "program", 0.4, 0.4), odd, result(2, "bills", 0.6, 0.6)]
    with stored(tmp_path / "all", results) as study:
        rows = ranked(study)
        assert [row.unit.index for row in study.page("worst")] == [1, 2]
    assert [(row.result.unit.index, row.score.name) for row in rows] == [
        (2, "correlation.top-and-random"), (1, "correlation.top-and-random")
    ]  # fmt: skip
    with stored(tmp_path / "odd", [odd]) as study:
        assert {row.score.name for row in ranked(study)} == {"embedding.auroc"}
    out = console(80)
    score_rows(out, rows, ["lookup"], [])
    assert lines(out)[0].split()[:2] == ["unit", "method"]
    assert [line.split()[1] for line in lines(out) if line.startswith(" mlp")] == ["bills", "program"]


def test_words_at_peaks_stand_below_the_headline():
    named = Named("months", "0.0 + 1.0*word(months)", share=0.4, strength=1.0)
    peaks = StoredPeaks(("May", "“:”", "\x1bJune"), "0.0")
    out = console(100)
    print_headlines(out, Chosen("program", 0, "x", None, None, None, {}, headline=named, modes=(named,), peaks=peaks))
    assert lines(out) == ["months (40% of the activation)", "  strongest on: May, “:”, ⟨1B⟩June"]


def test_what_a_person_is_shown_keeps_its_lines(capsys):
    from glossator.cli.agent import _shown

    _shown("def f():\n    return [1]\n\nlong " + "word " * 60 + "\n\x1b[31mred")
    shown = capsys.readouterr().out.splitlines()
    assert shown[:3] == ["def f():", "    return [1]", ""] and len(shown) == 5
    assert "\x1b" not in shown[4] and shown[4].endswith("red")
