"""The report: one file that asks no network, says what the study says, and obeys no text that stands in it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest

from glossator.cli.show import as_json
from glossator.explorer.exemplars import ShownInput, histogram, shown_inputs
from glossator.explorer.payload import _window
from glossator.explorer.plots import distribution, tick_step
from glossator.explorer.report import as_script, shown_places
from glossator.inputs import Grid
from glossator.store.summary import Values, agreement_of_columns
from glossator.study import Study, UnitResult, run_study
from glossator.study.tools import Tools
from glossator.terminal import visible
from glossator.units import Unit
from study_cases import TRICKY, register, small_spec, write_corpus
from test_study_store import RESULTS

CHROMIUM = shutil.which("chromium")


@pytest.fixture(scope="module")
def study(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    write_corpus(tiny_folder.parent / "corpus.jsonl")
    found = run_study(
        small_spec(tiny_folder, sites=("mlp.0", "mlp.1")), tmp_path_factory.mktemp("r") / "s", progress=False
    )
    assert found is not None
    return found


@pytest.fixture(scope="module")
def page(study: Study) -> str:
    return study.report.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def data(page: str) -> dict:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found
    return json.loads(found[1])


class Elements(HTMLParser):
    """All elements of a page with their attributes, and the texts of scripts."""

    def __init__(self, page: str):
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.found.append((tag, dict(attrs)))


def test_it_asks_no_network(page: str) -> None:
    elements = Elements(page).found
    assert {tag for tag, _ in elements} & {"link", "img", "iframe", "object", "embed", "base", "form"} == set()
    for tag, attributes in elements:
        assert "src" not in attributes, tag
        assert (attributes.get("href") or "#").startswith("#"), tag
        assert not [name for name in attributes if name.startswith("on")], tag
    (policy,) = [a["content"] for tag, a in elements if a.get("http-equiv") == "Content-Security-Policy"]
    assert "default-src 'none'" in policy
    outside = {address for address in re.findall(r"https?://[^\s\"'<>)]+", page)}
    assert outside <= {"http://www.w3.org/2000/svg"}


def test_text_cannot_end_its_script(page: str, data: dict) -> None:
    assert page.count("</script>") == 2
    assert {"<", '"', "&"} <= {character for piece in data["pieces"] for character in piece}
    assert not {"\u2028", "\u202e", "\x1b"} & set(page)


@pytest.mark.parametrize("text", [*TRICKY, "<!--", "]]>", "\\xe2"])
def test_as_script_keeps_the_text(text: str) -> None:
    written = as_script({"t": text})
    assert json.loads(written) == {"t": text}
    assert not set("<>&\u2028\u2029") & set(written)


def test_it_says_what_the_study_says(study: Study, data: dict) -> None:
    units = {unit["name"]: unit for unit in data["units"]}
    assert list(units) == study.names()
    assert data["total"] == len(units)
    for result in study.results():
        unit = units[str(result.unit)]
        (chosen,) = result.explanations
        assert unit["text"] == chosen.text
        assert unit["explanations"][0]["program"] == visible(chosen.program)
        score = next(s for s in chosen.scores if s.name == "correlation.random-only")
        assert unit["score"]["value"] == pytest.approx(score.value, rel=1e-3)
        assert unit["score"]["baselines"] == {
            name: pytest.approx(value, rel=1e-3) for name, value in score.baselines.items()
        }
        (told,) = [s for s in unit["explanations"][0]["scores"] if s["name"] == score.name]
        for baseline, over in score.margins.items():
            expected = [over.value, over.low, over.high, over.p, over.q]
            assert told["over"][baseline] == [None if e is None else pytest.approx(e, rel=1e-3) for e in expected]
        assert len(unit["explanations"][0]["scores"]) == len(chosen.scores)


def test_windows_hold_the_true_and_the_predicted_activations(study: Study, data: dict) -> None:
    tools = Tools.of(study.spec, study.recording)
    result = next(study.results())
    unit = data["units"][0]
    windows = shown_inputs(result, tools, 12, 8)
    assert [w["k"] for w in unit["windows"]] == ["top"] * 12 + ["random"] * 8
    for shown, window in zip(unit["windows"], windows, strict=True):
        assert [data["pieces"][i] for i in shown["t"]] == [visible(piece) for piece in window.pieces]
        for steps, values in ((shown["a"], window.true), (shown["p"], window.predicted)):
            scaled = np.asarray(steps) * unit["largest"] / 999
            assert np.allclose(scaled, np.clip(values, -unit["largest"], unit["largest"]), atol=unit["largest"] / 900)
    tops = [max(w["a"]) for w in unit["windows"][:12]]
    assert tops == sorted(tops, reverse=True)
    assert max(abs(a) for w in unit["windows"] for a in w["a"]) == 999


def test_what_was_not_predicted_is_no_number() -> None:
    window = ShownInput(
        "top", "d", ("a", "b", "c"), np.array([True, True, False]), np.array([2.0, 1.0, 0.0]),
        np.array([1.0, np.nan, 0.0]), Grid("tokens", (3,)),
    )  # fmt: skip
    assert _window(window, 2.0, {})["p"] == [500, None, 0]
    assert (window.peak(window.true), window.peak(window.predicted)) == (2.0, 1.0)
    told = as_json("s", RESULTS[0], [window])["windows"][0]["predicted"]
    assert told == [1.0, None, 0.0]


def test_windows_are_of_the_test_split(study: Study) -> None:
    tools = Tools.of(study.spec, study.recording)
    recording = study.recording
    of_document = dict(zip(np.asarray(recording.windows.documents), np.asarray(recording.split_of_input), strict=True))
    splits = {recording.group_ids[d]: split for d, split in of_document.items()}
    for window in shown_inputs(next(study.results()), tools, 12, 8):
        assert splits[window.group] == 3


def test_the_histogram_counts_every_valid_token_of_the_panel(study: Study, data: dict) -> None:
    found = histogram(next(study.results()).unit, Tools.of(study.spec, study.recording))
    assert found.counts.sum() == study.recording.valid_places(next(iter(study.recording.sites)))
    assert data["units"][0]["histogram"]["counts"] == found.counts.tolist()


def test_a_column_that_was_not_measured_says_so(page: str, data: dict) -> None:
    assert data["why"]["causal"] == "not computed, as the card is observational; use --card both"
    assert data["why"]["causal"] in page.split('<script type="application/json"')[0]
    assert all(unit["causal"] is None for unit in data["units"])


@pytest.fixture(scope="module")
def both(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    with pytest.MonkeyPatch.context() as patch:
        register(patch, "scorers", acting="Acting")
        write_corpus(tiny_folder.parent / "corpus.jsonl")
        spec = small_spec(tiny_folder, card="both", scorers=("correlation", "acting"), units=(1, 2, 3, 4, 5))
        found = run_study(spec, tmp_path_factory.mktemp("r") / "both", progress=False)
        assert found is not None
    return found


def test_both_columns_stand_on_the_page_with_their_baselines(both: Study) -> None:
    page = both.report.read_text(encoding="utf-8")
    static = page.split('<script type="application/json"')[0]
    for words in (
        "does it predict?",
        "does intervening do what it says?",
        "random-unit",
        "units above, q ≤ 0.05",
    ):
        assert words in static
    assert static.count('class="scatter"') == 1
    assert static.split('class="scatter"')[1].split("</svg>")[0].count("<circle") == 4
    agreement = agreement_of_columns(both)
    assert agreement is not None and f"rank correlation over {agreement.n} units" in static
    (plot,) = re.findall(r'<svg[^>]*aria-label="Distribution of acting.*?</svg>', static, re.DOTALL)
    assert "baseline-more" in plot and "random-unit" in plot and "lookup" not in plot
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found
    units = json.loads(found[1])["units"]
    for unit in units:
        (acted,) = [s for s in unit["explanations"][0]["scores"] if s["column"] == "causal"]
        lacks = unit["name"].endswith("/3")
        assert (acted["value"] is None) == lacks
        assert acted["reason"] == ("no effect" if lacks else None)
        assert lacks or acted["over"]["random-unit"][4] is not None


def test_what_people_said_stands_on_a_page_of_its_own(both: Study) -> None:
    from glossator.explorer.report import render
    from glossator.human.report import prepared

    name = both.names()[0]
    score = {"name": "correlation.random-only", "value": 0.5, "low": 0.4, "high": 0.6, "reason": None, "baselines": {}}
    estimate = {"value": 0.25, "low": 0.1, "high": 0.4}
    results = {
        "answers": [{"task": "simulation", "rater": "<ann>", "answered": 3, "asked": 4, "missing": {"no answer": 1}}],
        "simulation": {
            "explanations": [
                {"unit": name, "rater": "<ann>", "method": "token-list", "scores": [score], "machine": [score]}
            ],
            "means": [
                {"rater": "<ann>", "scores": {"token-list: correlation.random-only": dict.fromkeys(
                    ("person", "machine", "difference"), estimate)}}
            ],
            "agreement": {"alpha": {"value": None, "low": None, "high": None, "reason": "one person"}},
        },
    }  # fmt: skip
    people = prepared(results, both.names())
    page = render(both, Tools.to_show(both), people)
    assert "Human annotators" in page
    assert "&lt;ann&gt;" in page and "<ann>" not in page
    assert "0.250 [0.100, 0.400]" in page
    assert "– (one person)" in page
    assert people["units"][name]["simulations"][0]["pairs"][0][0]["value"] == 0.5
    assert people["units"][both.names()[1]]["simulations"] == []
    assert "Human annotators" not in render(both, Tools.to_show(both))


def test_ticks_are_round_and_few() -> None:
    assert [tick_step(span, 8) for span in (0.5, 1.0, 3.0, 7.0, 100.0, 5000.0)] == [0.1, 0.2, 0.5, 1.0, 20.0, 1000.0]


def test_there_is_a_distribution_for_each_site_and_score(page: str) -> None:
    plots = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(plots) == 2
    for svg in plots:
        assert {"mlp.0", "mlp.1"} <= set(re.findall(r'class="site"[^>]*>([^<]*)', svg))
        for baseline in ("lookup", "token-list", "mismatched"):
            assert svg.count(f'class="baseline-{baseline}"') == 2
        assert svg.count("<circle") == 2 * 5 * 4


def test_a_distribution_of_nothing_is_nothing() -> None:
    assert distribution([]) == ""
    assert distribution([Values("observational", "mlp.0", "+", "m", "r", "Pearson r", 1, [1], [None])]) == ""


def test_names_in_plots_are_escaped() -> None:
    svg = distribution([Values("observational", "<b>&", "+", "m", "r", "Pearson r", 1, [1], [0.5], {"lookup": [0.1]})])
    assert "<b>" not in svg
    assert "&lt;b&gt;&amp;" in svg


def test_the_file_is_small(study: Study) -> None:
    assert study.report.stat().st_size / len(study.names()) < 6e6 / 64


def test_the_same_study_gives_the_same_page(study: Study, page: str) -> None:
    from glossator.explorer.report import render

    assert render(study, Tools.of(study.spec, study.recording)) == page


def test_of_many_units_the_best_the_worst_and_some_between_are_shown(tmp_path: Path) -> None:
    from dataclasses import replace

    from test_study_store import CATS, stored

    def result(index: int) -> UnitResult:
        scores = (replace(CATS[0].scores[0], value=index / 1000),)
        return replace(RESULTS[0], unit=Unit("toy", "mlp.0", index), explanations=(replace(CATS[0], scores=scores),))

    results = [result((i * 7) % 1000) for i in range(1000)]
    with stored(tmp_path / "many", results) as study:
        places = shown_places(study, most=30)
    indices = {results[place - 1].unit.index for place in places}
    assert len(indices) == 30 and places == sorted(places)
    assert set(range(990, 1000)) | set(range(10)) <= indices
    with stored(tmp_path / "few", results[:30]) as study:
        assert shown_places(study, most=30) == [*range(1, 31)]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (" keep", " keep"),
        ("\n\n\t", "↵↵⇥"),
        ("", "∅"),
        ("\x07\u202e\u200b", "⟨7⟩⟨202E⟩⟨200B⟩"),
        ("é漢🙂", "é漢🙂"),
        ("\\xe2", "\\xe2"),
    ],
)
def test_visible(text: str, shown: str) -> None:
    assert visible(text) == shown


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here")
def test_it_works_in_a_browser(study: Study, data: dict, tmp_path: Path) -> None:
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    flags += ["--disable-component-update", "--disable-sync", "--virtual-time-budget=4000"]
    flags += [f"--user-data-dir={tmp_path}"]
    command = [str(CHROMIUM), *flags, "--dump-dom", study.report.resolve().as_uri()]
    drawn = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    best = max(data["units"], key=lambda unit: unit["score"]["value"])
    (current,) = re.findall(r"<a [^>]*aria-current[^>]*>", drawn)
    assert f'data-id="{best["id"]}"' in current
    assert drawn.count('class="tok') == sum(len(w["t"]) for w in best["windows"])
    assert "linear-gradient" in drawn
    assert drawn.count("<li>") == len(data["units"])


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here")
def test_a_link_with_the_whole_id_leads_to_the_unit(study: Study, data: dict, tmp_path: Path) -> None:
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    flags += ["--disable-component-update", "--disable-sync", "--virtual-time-budget=4000"]
    flags += [f"--user-data-dir={tmp_path}"]

    def opened(name: str) -> str:
        address = f"{study.report.resolve().as_uri()}#{name}"
        command = [str(CHROMIUM), *flags, "--dump-dom", address]
        drawn = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
        return drawn.split('<script type="application/json"')[0]

    worst = min(data["units"], key=lambda unit: unit["score"]["value"])
    for name in (worst["name"], worst["id"], quote(worst["name"], safe="")):
        drawn = opened(name)
        (current,) = re.findall(r"<a [^>]*aria-current[^>]*>", drawn)
        assert f'data-id="{worst["id"]}"' in current
        assert "is not in this report" not in drawn
    drawn = opened("mlp.99/1")
    assert "mlp.99/1 is not in this report" in drawn
    first = drawn.split('id="detail"')[1]
    places = [first.index(words) for words in ('class="best"', "Top test windows", "Scores", 'class="program"')]
    assert places == sorted(places)


MEASURE = """<script>addEventListener("load", () => {
  const tables = [...document.querySelectorAll(".scores")].filter((table) => table.offsetParent);
  const tops = [...document.querySelectorAll(".explanation .columns")[0].children].map((column) => column.offsetTop);
  const cut = tables.filter((table) => table.offsetWidth > table.parentElement.clientWidth + 1);
  parent.postMessage({ width: innerWidth, page: document.documentElement.scrollWidth, beside: tops[0] === tops[1],
    tables: tables.length, cut: cut.length }, "*");
});</script>"""
FRAME = """<body><iframe src="page.html" width="{}" height="900" style="border: 0"></iframe>
<script>addEventListener("message", (e) => document.body.append("measured" + JSON.stringify(e.data) + "."));</script>"""


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here")
@pytest.mark.parametrize(("width", "beside"), [(1366, True), (390, False)])
def test_both_columns_fit_a_laptop_and_a_phone(both: Study, tmp_path: Path, width: int, beside: bool) -> None:
    """In a frame, as a window of a browser cannot be that narrow."""
    page = both.report.read_text(encoding="utf-8").replace("</body>", f"{MEASURE}</body>")
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    (tmp_path / "frame.html").write_text(FRAME.format(width), encoding="utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    flags += ["--disable-component-update", "--disable-sync", "--virtual-time-budget=4000"]
    flags += [f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1500,1000"]
    command = [str(CHROMIUM), *flags, "--dump-dom", (tmp_path / "frame.html").as_uri()]
    drawn = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    found = re.search(r"measured({.*?})\.", drawn)
    assert found
    measured = json.loads(found[1])
    assert measured["width"] == width and measured["page"] <= width
    assert measured["tables"] >= 2 and measured["cut"] == 0
    assert measured["beside"] == beside
