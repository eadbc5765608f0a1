"""Grids: every cell a study on the same units and text, baselines always there, resumable, on one page."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from glossator.cli import main
from glossator.errors import UserError
from glossator.explorer.lines import Line, Point, in_millions, line_plot
from glossator.grid import GridSpec, grid_results, load_grid, run_grid
from glossator.grid.cells import cells_of
from glossator.grid.page import LOOKUP, lines_of, plots_by_layer, plots_by_size, write_page
from glossator.grid.results import GridResults, layer_of, parameters_of
from glossator.grid.runner import Done, finished
from glossator.grid.spec import make_grid
from glossator.language_models.ledger import Ledger
from glossator.scores import Score
from glossator.store.results import Chosen
from glossator.study import open_study
from glossator.study.metered import Interrupted
from glossator.study.models import Access
from study_cases import contents, register_lm_methods, scripted_name, write_corpus

SAID, OTHER = scripted_name(), scripted_name("no_answer")


@pytest.fixture(scope="module")
def subjects(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two random models of different families and sizes."""
    from tiny_models import byte_level_tokenizer, save_tiny

    write_corpus(tiny_folder.parent / "corpus.jsonl")
    return tiny_folder, save_tiny(tmp_path_factory.mktemp("subjects") / "small", "gpt2", byte_level_tokenizer())


@pytest.fixture(scope="module", autouse=True)
def methods() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        register_lm_methods(patch)
        yield


def values(*subjects: Path, **changes: object) -> dict:
    made = {
        "subjects": [{"subject": str(folder), "sites": ["mlp.0", "mlp.1"]} for folder in subjects],
        "explainers": ["asking"], "simulators": ["lm-json"], "lms": [SAID], "units": 3, "max_tokens": 6000,
        "width": 32, "corpus": str(subjects[0].parent / "corpus.jsonl"), "scorers": ["correlation"], "candidates": 1,
        "evidence": {"min_firing_windows": 2},
    }  # fmt: skip
    return {**made, **changes}


@pytest.fixture(scope="module")
def done(subjects: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> list[Done]:
    return run_grid(make_grid(values(*subjects)), tmp_path_factory.mktemp("grids") / "grid", progress=False)


@pytest.fixture
def grid(done: list[Done], tmp_path: Path) -> Path:
    """A copy of the finished grid."""
    return Path(shutil.copytree(done[0].folder.parent.parent, tmp_path / "grid"))


@pytest.fixture(scope="module")
def results(done: list[Done]) -> GridResults:
    return grid_results(done)


def names(grid: GridSpec) -> list[tuple[str, str | None, str | None, str | None]]:
    return [(c.explainer, c.simulator, c.explainer_lm, c.lm) for c in cells_of(grid)]


def test_the_cells_of_a_grid(subjects: tuple[Path, Path]) -> None:
    wide = make_grid(values(subjects[0], simulators=["default", "lm-json", "program"], lms=[SAID, OTHER]))
    assert names(wide) == [
        ("baselines", None, None, None),
        ("asking", None, SAID, SAID),
        ("asking", None, OTHER, OTHER),
        ("asking", "lm-json", SAID, SAID),
        ("asking", "lm-json", OTHER, OTHER),
        # nobody reads its words, so the model only explains
        ("asking", "program", SAID, None),
        ("asking", "program", OTHER, None),
    ]


def test_explaining_and_reading_models_vary_apart(subjects: tuple[Path, Path]) -> None:
    grid = make_grid(values(subjects[0], explainer_lms=[SAID, OTHER], lms=[SAID, OTHER]))
    assert names(grid)[1:] == [("asking", "lm-json", a, b) for a in (SAID, OTHER) for b in (SAID, OTHER)]
    mixed = cells_of(grid)[2].study
    assert (mixed.lm, mixed.options["asking"]["lm"]) == (OTHER, SAID)
    one = make_grid({**values(subjects[0], explainer_lms=[SAID, OTHER], lms=[SAID, OTHER]), "one_factor": True})
    assert names(one)[1:] == [("asking", "lm-json", *pair) for pair in ((SAID, SAID), (SAID, OTHER), (OTHER, SAID))]


def test_programs_may_be_executed_and_read(subjects: tuple[Path, Path]) -> None:
    grid = make_grid(values(subjects[0], explainers=["program", "token-list"], simulators=["default", "lm-json"]))
    assert names(grid) == [
        ("baselines", None, None, None),
        ("program", "lm-json", None, SAID),
        ("token-list", None, None, None),
        ("token-list", "lm-json", None, SAID),
    ]


def test_all_cells_draw_the_same_evidence(subjects: tuple[Path, Path]) -> None:
    cells = cells_of(make_grid(values(*subjects, options={"asking": {"temperature": 0.1}, "program": {"limit": 90}})))
    assert len({cell.study.evidence for cell in cells}) == 1
    assert cells[0].study.options == {"program": {"limit": 90}}
    assert cells[1].study.options == {"asking": {"temperature": 0.1}}
    assert len({cell.name for cell in cells}) == len(cells) == 4


def random_only(chosen: Chosen) -> Score:
    return next(score for score in chosen.scores if score.name == "correlation.random-only")


def test_a_grid_of_two_subjects(done: list[Done], results: GridResults, subjects: tuple[Path, Path]) -> None:
    assert [d.failure for d in done] == [None] * 4
    assert [d.cell.subject for d in done] == ["tiny", "tiny", "small", "small"]
    for first, second in (done[:2], done[2:]):
        with open_study(first.folder) as a, open_study(second.folder) as b:
            assert a.names() == b.names()
            assert a.manifest["recording"] == b.manifest["recording"]
            shared = a.folder / "recording" / "manifest.json"
            assert shared.stat().st_ino == (b.folder / "recording" / "manifest.json").stat().st_ino
            # The lookup table stands beside every score, on the same windows.
            tables = [
                {r.unit: random_only(best).baselines["lookup"] for r in study.results() if (best := r.best(method))}
                for study, method in ((a, "lookup"), (b, "asking"))
            ]
            assert tables[1] and tables[1].items() <= tables[0].items()
    assert {row.method for row in results.rows} == {"program", "lookup", "asking"}
    assert {(row.site, row.layer) for row in results.rows} == {("mlp.0", 0), ("mlp.1", 1), (None, None)}
    assert results.sizes["tiny"] == parameters_of(str(subjects[0]))
    assert [bool(cost.usage.calls) for cost in results.costs] == [False, True, False, True]
    for row in results.rows:
        if row.method == "lookup" and row.value.value is not None:
            assert row.value.value == pytest.approx(row.lookup.value)
            assert row.over_lookup.value == pytest.approx(0)
        if row.method == "program" and row.value.value is not None:
            assert row.over_program.value == pytest.approx(0)


def test_parameters_are_those_of_the_model(subjects: tuple[Path, Path]) -> None:
    from glossator.subjects import load_subject

    for folder in subjects:
        stored = {p.data_ptr(): p.numel() for p in load_subject(str(folder)).model.parameters()}
        assert parameters_of(str(folder)) == sum(stored.values())
    assert parameters_of("/no/such/folder") is None


def test_a_grid_is_resumed_and_grows(
    subjects: tuple[Path, Path], done: list[Done], grid: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = make_grid(values(subjects[0]))
    told: list[str] = []
    shutil.rmtree(grid / "cells" / done[1].folder.name)
    (grid / "answers.sqlite").unlink()
    with pytest.raises(Interrupted, match="budget"):
        run_grid(small, grid, access=Access(ledger=Ledger("1500 tokens")), progress=False, say=told.append)
    assert [d.cell.explainer for d in finished(small, grid)] == ["baselines"]
    run_grid(small, grid, progress=False, say=told.append)
    assert [line.partition(":")[0] for line in told] == ["cell 2 of 2", "cell 2 of 2"]
    for ours, whole in zip(finished(small, grid), done[:2], strict=True):
        assert contents(ours.folder) == contents(whole.folder)
    told.clear()
    again = run_grid(make_grid(values(subjects[0], lms=[SAID, OTHER])), grid, progress=False, say=told.append)
    assert len(told) == 1
    assert [d.failure for d in again] == [None] * 3


def test_a_cell_that_cannot_be_run_is_told(subjects: tuple[Path, Path], grid: Path, tmp_path: Path) -> None:
    told: list[str] = []
    wider = make_grid(values(subjects[0], lms=[SAID, "scripted:study_cases:nobody"]))
    ours = run_grid(wider, grid, progress=False, say=told.append)
    assert [d.failure is None for d in ours] == [True, True, False]
    assert "cannot find the scripted model" in told[-1]
    found = grid_results(ours)
    assert len(found.failures) == 1
    write_page(tmp_path / "page.html", found)
    assert "1 not run" in (tmp_path / "page.html").read_text()


def test_cells_of_different_text_are_not_compared(subjects: tuple[Path, Path], grid: Path) -> None:
    same = make_grid(values(subjects[0]))
    place = finished(same, grid)[1].folder / "manifest.json"
    place.write_text(json.dumps({**json.loads(place.read_text()), "recording": "another"}))
    with pytest.raises(UserError, match="not of the same units and text"):
        run_grid(same, grid, progress=False)


def test_the_page(results: GridResults, tmp_path: Path) -> None:
    write_page(tmp_path / "grid.html", results)
    page = (tmp_path / "grid.html").read_text()
    assert set(re.findall(r"https?://[^\s\"'<>)]+", page)) <= {"http://www.w3.org/2000/svg"}
    assert "<script" not in page
    # two scores, by layer for each subject and by size over both
    assert page.count("<figure") == 2 * 2 + 2
    assert page.count("<polyline") >= 6 * 3
    assert "asking, lm-json, scripted:study_cases:said" in page
    assert "no money" in page


def test_lines_by_layer_and_by_size(results: GridResults) -> None:
    title, about, svg, lines = next(iter(plots_by_layer(results)))
    assert (title, about) == ("tiny", "correlation.random-only by layer")
    assert [line.name for line in lines] == ["program", "asking, lm-json, scripted:study_cases:said", LOOKUP]
    assert [line.dashed for line in lines] == [False, False, True]
    assert [p.x for p in lines[-1].points] == [0, 1]
    assert svg.startswith("<svg")
    sizes = list(plots_by_size(results))
    assert [about for _, about, _, _ in sizes] == ["correlation.random-only", "correlation.top-and-random"]
    assert sorted(results.sizes.values()) == [p.x for p in sizes[0][3][-1].points]
    table = {row.site: row for row in results.rows if row.method == "lookup" and row.subject == "tiny"}
    assert lines_of([], lambda row: 0.0)[0].points == ()
    assert table["mlp.0"].units == 3
    assert table[None].units == 6


def test_a_line_plot() -> None:
    lines = [Line("a <b>", (Point(1, 0.2, 0.1, 0.3), Point(9, -0.1)), 3), Line("null", (Point(1, 0.5),), dashed=True)]
    svg = line_plot(lines, "label & more", "layer", "r")
    assert svg.count("<circle") == 3
    assert svg.count('class="range"') == 1
    assert "a &lt;b&gt;" in svg
    assert "<b>" not in svg
    assert 'class="line-3"' in svg
    assert 'class="line-baseline"' in svg
    assert line_plot([Line("nothing", ())], "label", "x", "y") == ""
    assert "135 M" in line_plot(
        [Line("a", (Point(134_515_008, 0.2), Point(1e9, 0.1)))], "l", "x", "y", logarithmic=True
    )
    heights = [float(y) for y in re.findall(r'cy="([\d.]+)"', svg)]
    assert heights[0] < heights[1]
    assert heights[2] < heights[0]


@pytest.mark.parametrize(("count", "text"), [(134_515_008, "135 M"), (1.5e9, "1.5 B"), (12_000, "12 k"), (7, "7")])
def test_counts_in_words(count: float, text: str) -> None:
    assert in_millions(count) == text


@pytest.mark.parametrize(
    ("site", "layer"), [("mlp.12", 12), ("model.layers.3.mlp", 3), ("embed", None), ("sae:x2@resid.5", 5), ("h.10", 10)]
)
def test_layers_of_sites(site: str, layer: int | None) -> None:
    assert layer_of(site) == layer


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"subjects": []}, "empty axis"),
        ({"subjects": "tiny"}, "bad subjects of the grid"),
        ({"subjects": [{"subject": "a", "sits": ["mlp.0"]}]}, "did you mean sites"),
        (
            {"subjects": [{"subject": "x/a", "sites": ["m"]}, {"subject": "y/a", "sites": ["m"]}]},
            "subjects of the grid are listed twice",
        ),
        ({"explainers": ["askin"]}, "did you mean asking"),
        ({"explainers": 3}, "a list of names"),
        ({"simulators": ["lm-jsn"]}, "did you mean lm-json"),
        ({"lms": [SAID, SAID]}, "listed twice"),
        ({"lm": SAID}, "unknown key in the grid"),
        ({"one_factor": 1}, "one_factor"),
        ({"unitz": 4}, "did you mean units"),
    ],
)
def test_bad_grids_are_refused(subjects: tuple[Path, Path], changes: dict, said: str) -> None:
    with pytest.raises(UserError, match=said):
        make_grid({**values(subjects[0]), **changes})


def test_a_folder_of_something_else_is_refused(subjects: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(UserError, match="neither empty nor a grid"):
        run_grid(make_grid(values(subjects[0])), tmp_path)


TOML = """
explainers = ["asking"]
lms = ["scripted:study_cases:said"]
units = 2
max_tokens = 6000
width = 32
corpus = "{corpus}"
scorers = ["correlation"]
candidates = 1
[[subjects]]
subject = "{subject}"
sites = ["mlp.0"]
[evidence]
min_firing_windows = 2
"""


def test_the_command(subjects: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec, out = tmp_path / "grid.toml", tmp_path / "out"
    spec.write_text(TOML.format(subject=subjects[0], corpus=subjects[0].parent / "corpus.jsonl"))
    assert load_grid(spec).lms == (SAID,)
    assert main(["grid", str(spec), "--out", str(out), "--quiet"]) == 1  # a file alone has no code imported
    assert f"--trust {SAID}" in " ".join(capsys.readouterr().out.split())
    trusted = ["--trust", SAID]
    assert main(["grid", str(spec), "--out", str(out), "--quiet", *trusted]) == 0
    shown = capsys.readouterr()
    assert "over lookup" in shown.out
    assert "Page: file://" in shown.out
    assert (out / "grid.html").is_file()
    assert main(["grid", str(spec), "--out", str(out), "--quiet", "--json", *trusted]) == 0
    again = capsys.readouterr()
    assert again.err == ""
    found = json.loads(again.out)
    assert {row["method"] for row in found["rows"]} == {"program", "lookup", "asking"}
    assert found["cells"][1]["usage"]["calls"] > 0
    assert json.loads((out / "results.json").read_text())["rows"] == found["rows"]


def test_a_grid_with_a_cell_that_was_not_run_does_not_end_well(
    subjects: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec, out = tmp_path / "grid.toml", tmp_path / "out"
    text = TOML.format(subject=subjects[0], corpus=subjects[0].parent / "corpus.jsonl").replace(SAID, f"{SAID}_not")
    spec.write_text(text)
    assert main(["grid", str(spec), "--out", str(out), "--quiet", "--trust", f"{SAID}_not"]) == 1
    assert "not run: tiny_asking" in capsys.readouterr().out
    spec.write_text(text.replace(f"{SAID}_not", "opnai:gpt"))
    assert main(["grid", str(spec), "--out", str(tmp_path / "other"), "--quiet"]) == 2
    assert "unknown form of a language model: 'opnai:gpt'" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()
