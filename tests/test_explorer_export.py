"""Exported pages: they ask no network, obey no text, hold what the study holds, and are the same each time."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from explorer_cases import Elements, shards_of, units_of
from glossator.cli import main
from glossator.engines import processes
from glossator.errors import UserError
from glossator.explorer import bundle, export
from glossator.explorer.bundle import as_script, script, style
from glossator.explorer.export import COLUMNS_EACH, UNITS_EACH, export_file, export_folder, shown_places, single
from glossator.explorer.pages.evidence import MOST_KEPT, score_evidence
from glossator.explorer.pages.lists import columns, unit_list
from glossator.explorer.pages.parts import to_json
from glossator.explorer.pages.unit import unit_page
from glossator.explorer.pages.windows import unit_windows
from glossator.study import Study, UnitResult, run_study
from glossator.study.context import StudyContext
from glossator.units import Unit
from study_cases import TRICKY, small_spec, write_corpus
from test_study_store import CATS, RESULTS, stored


@pytest.fixture(scope="module")
def study(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    write_corpus(tiny_folder.parent / "corpus.jsonl")
    spec = small_spec(tiny_folder, sites=("mlp.0", "mlp.1"))
    found = run_study(spec, tmp_path_factory.mktemp("export") / "s", progress=False)
    assert found is not None
    return found


def test_the_report_asks_no_network(study: Study) -> None:
    page = study.report.read_text(encoding="utf-8")
    for tag, attributes in Elements(page).found:
        assert "src" not in attributes and not [name for name in attributes if name.startswith("on")], tag
        assert (attributes.get("href") or "data:,") == "data:,", tag
    (policy,) = [a["content"] for _, a in Elements(page).found if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'") and "connect-src" not in policy
    outside = {address for address in re.findall(r"https?://[^\s\"'<>)]+", page)}
    assert outside <= {"http://www.w3.org/2000/svg"}


def test_evidence_and_output_tokens_are_in_an_export(study: Study, tmp_path: Path) -> None:
    assert main(["export", str(study.folder), "--static", str(tmp_path / "out")]) == 0
    shards, context = shards_of(tmp_path / "out"), StudyContext.to_show(study)
    pages, kept = shards["units-0"], shards["evidence-0"]
    assert shards["study"]["shards"]["evidence"] is True and {*pages} == {*kept}
    seen = 0
    for place, page in pages.items():
        output = page["output"]
        assert output["unit"] == page["page"]["unit"] and (output["why"] == "") == bool(
            output["raises"] + output["lowers"]
        )
        (result,) = study.results([int(place)])
        for method, found in kept[place].items():
            named = {
                s.name for one in result.explanations if one.method == method for s in one.scores if s.value is not None
            }
            assert {*found["of"]} == named
            for score, at in found["of"].items():
                own = json.loads(to_json(score_evidence(result, method, score, context, MOST_KEPT)))
                assert found["some"][at] == own | {"score": found["some"][at]["score"]}
                seen += bool(own["windows"])
    assert seen > 10
    assert main(["export", str(study.folder), "--static", str(tmp_path / "out"), "--no-model"]) == 0
    assert all(page["output"] is None for page in shards_of(tmp_path / "out")["units-0"].values())


def test_the_report_says_what_the_study_says(study: Study) -> None:
    context = StudyContext.to_show(study)
    units = units_of(study.report)
    assert [unit["page"]["unit"] for unit in units] == [
        name.split("/", 1)[1] for name in map(plain_name, study.names())
    ]
    for unit, result in zip(units, study.results(), strict=True):
        assert unit["page"] == json.loads(to_json(unit_page(study, result.unit)))
        assert unit["windows"] == json.loads(to_json(unit_windows(result, context)))
    shards = shards_of(study.report)
    assert shards["columns-0"] == json.loads(to_json(columns(study, 1, 100)))
    assert shards["study"]["first"] == json.loads(to_json(unit_list(study)))
    assert study.ranked_by in shards["study"]["distributions"]


def plain_name(name: str) -> str:
    return "subject/" + "/".join(name.rsplit("/", 2)[1:])


def test_no_text_of_a_corpus_stands_in_the_page_itself(study: Study) -> None:
    page = study.report.read_text(encoding="utf-8")
    assert not {"\u2028", "\u202e", "\x1b"} & set(page)
    assert page.count("</script>") == len(shards_of(study.report)) + 1
    held = {piece for unit in units_of(study.report) for piece in unit["windows"]["pieces"]}
    assert {"<", '"', "&"} <= {character for piece in held for character in piece}
    assert "innerHTML" not in re.sub(r"(?s)^.*?\n\(\(\) => \{", "", script())  # our own, after the library


@pytest.mark.parametrize("text", [*TRICKY, "<!--", "]]>", "\\xe2"])
def test_as_script_keeps_the_text(text: str) -> None:
    written = as_script({"t": text})
    assert json.loads(written) == {"t": text}
    assert not set("<>&\u2028\u2029") & set(written)


def test_the_same_study_gives_the_same_page(study: Study) -> None:
    assert single(study, context=StudyContext.of(study.spec, study.recording)) == study.report.read_text(
        encoding="utf-8"
    )


def test_pages_are_the_same_whichever_process_makes_them(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "UNITS_EACH", 3)
    told: list[list[int]] = [[], []]
    by_many = single(study, say=told[0].append)
    monkeypatch.setattr(processes, "can_fork", lambda: False)
    assert single(study, say=told[1].append) == by_many
    assert told == [[3, 6, 9, 10]] * 2


def test_a_folder_holds_the_same_in_shards(study: Study, tmp_path: Path) -> None:
    told: list[int] = []
    done = export_folder(study, tmp_path / "out", say=told.append)
    assert (done.units, done.of, done.path) == (10, 10, tmp_path / "out" / "index.html")
    assert told[-1] == 10
    assert units_of(tmp_path / "out") == units_of(study.report)
    assert sum(path.stat().st_size for path in (tmp_path / "out").rglob("*.*")) == done.bytes
    export_folder(study, tmp_path / "out")  # once more over what is there
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("mine")
    with pytest.raises(UserError, match="not empty"):
        export_folder(study, tmp_path / "other")


def test_chosen_units_alone_are_in_a_file(study: Study, tmp_path: Path) -> None:
    done = export_file(study, tmp_path / "two.html", [7, 2])
    assert (done.units, done.of) == (2, 10)
    listed = unit_list(study, order="place").units
    assert [unit["page"]["unit"] for unit in units_of(tmp_path / "two.html")] == [listed[1].unit, listed[6].unit]
    shards = shards_of(tmp_path / "two.html")
    assert shards["study"]["places"] == {listed[1].unit: 2, listed[6].unit: 7}
    assert len(shards["columns-0"]["unit"]) == 10
    assert done.bytes == (tmp_path / "two.html").stat().st_size


def test_many_units_are_cut_into_shards(tmp_path: Path) -> None:
    results = [replace(RESULTS[0], unit=Unit("toy", "mlp.0", i)) for i in range(COLUMNS_EACH + 20)]
    with stored(tmp_path / "s", results) as study:
        export_folder(study, tmp_path / "out")
    shards = shards_of(tmp_path / "out")
    assert len([name for name in shards if name.startswith("columns-")]) == 2
    assert sum(len(shards[f"columns-{k}"]["unit"]) for k in range(2)) == len(results)
    assert max(len(value) for name, value in shards.items() if name.startswith("units-")) == UNITS_EACH
    unit = shards["units-3"][str(3 * UNITS_EACH + 1)]
    assert (unit["page"]["unit"], unit["windows"]) == (f"mlp.0/{3 * UNITS_EACH}", None)


def test_of_many_units_the_best_the_worst_and_some_between_are_shown(tmp_path: Path) -> None:
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


def test_what_people_said_is_in_their_report(study: Study, tmp_path: Path) -> None:
    from glossator.human.report import prepared

    name = study.names()[0]
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
    export_file(study, tmp_path / "people.html", people=prepared(results, study.names()))
    assert "<ann>" not in (tmp_path / "people.html").read_text()
    people = shards_of(tmp_path / "people.html")["study"]["page"]["people"]
    assert people["answers"][0]["rater"] == "<ann>" and people["means"][0]["person"] == estimate
    assert dict(people["lines"])["alpha, ratings"]["reason"] == "one person"
    units = units_of(tmp_path / "people.html")
    assert units[0]["page"]["people"]["simulations"][0]["pairs"][0][0]["value"] == 0.5
    assert units[1]["page"]["people"]["simulations"] == []
    assert shards_of(study.report)["study"]["page"]["people"] is None


def test_the_file_is_small(study: Study) -> None:
    assert (study.report.stat().st_size - len(single(study, []))) / len(study.names()) < 30e3


def test_the_command_writes_either(study: Study, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    folder, name = str(study.folder), unit_list(study).units[0].unit
    assert main(["export", folder, "--single-file", str(tmp_path / "one.html"), "--unit", name, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["units"], told["of"]) == (1, 10)
    assert main(["export", folder, "--static", str(tmp_path / "pages")]) == 0
    assert "index.html" in capsys.readouterr().out
    for wrong in ([], ["--static", "a", "--single-file", "b"], ["--static", "a", "--unit", name]):
        assert main(["export", folder, *wrong]) == 2
    assert main(["export", folder, "--single-file", str(tmp_path / "no.html"), "--unit", "mlp.7/1"]) == 2
    assert not (tmp_path / "no.html").exists()


def test_parts_of_the_script_share_one_scope_without_clashes() -> None:
    names = re.findall(r"^(?:async )?(?:function|const|let|class) (\w+)", script(), re.MULTILINE)
    assert len(names) > 100
    assert [name for name, n in Counter(names).items() if n > 1] == []


def test_colours_that_are_used_have_values_in_every_theme() -> None:
    used = {*re.findall(r"var\(--([\w-]+)", style())}
    themes = re.findall(r":root[^{]*{([^{}]*--ground[^{}]*)}", style())
    set_by_script = {*re.findall(r'"--(\w+)"', script())}
    assert len(themes) == 3
    for theme in themes:
        own = {*re.findall(r"--([\w-]+):", theme)}
        assert used - own - set_by_script == set() and own == {*re.findall(r"--([\w-]+):", themes[0])}


def test_what_is_vendored_has_its_checksum_and_licence() -> None:
    script_of = Path(__file__).resolve().parent.parent / "scripts" / "vendor.py"
    done = subprocess.run([sys.executable, str(script_of), "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    there = {path.name for path in (Path(bundle.__file__).parent / "assets" / "vendor").iterdir()}
    assert {line.split()[0] for line in done.stdout.splitlines()} == there
    assert {f"LICENSE-{name}" for name in ("htm", "preact")} <= there
