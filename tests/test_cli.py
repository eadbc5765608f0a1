"""The command line as a user meets it: help, tables, JSON, and one paragraph for every mistake."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

import glossator
from glossator.cli import main
from glossator.store.find import find_studies
from pace import pace
from study_cases import small_spec, write_corpus

COMMANDS = ("run", "show", "try", "search", "studies", "units", "record", "explain", "score", "grid", "bench")


@pytest.fixture(scope="module")
def place(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory with the tiny model, a corpus, and a finished study below `studies/`."""
    from glossator.study import run_study

    here = tmp_path_factory.mktemp("place")
    (here / "tiny").symlink_to(tiny_folder)
    write_corpus(here / "corpus.jsonl")
    # Tokens for more than ten documents in every split: with fewer, no score has an interval.
    spec = small_spec(tiny_folder, corpus=str(here / "corpus.jsonl"), max_tokens=40_000)
    study = run_study(spec, here / "studies" / "one", progress=False)
    assert study is not None
    study.close()
    return here


@pytest.fixture
def here(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(place)
    return place


FLAGS = ["--site", "mlp.0", "--units", "2", "--corpus", "corpus.jsonl", "--tokens", "6000", "--width", "32",
         "--explainer", "token-list", "--scorer", "correlation", "--quiet"]  # fmt: skip


def a_unit(here: Path) -> str:
    from glossator.study import open_study

    with open_study(here / "studies" / "one") as study:
        return study.names()[0]


def test_help_is_there_at_once_and_loads_no_torch() -> None:
    code = (
        "import sys; from glossator.cli import main; code = main(['--help']);"
        "heavy = [m for m in ('torch', 'transformers', 'numpy', 'scipy', 'rich', 'jinja2') if m in sys.modules];"
        "print(code, heavy)"
    )
    seconds = []
    for _ in range(3):
        begin = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        seconds.append(time.perf_counter() - begin)
    assert done.stdout.endswith("0 []\n")
    assert all(name in done.stdout for name in COMMANDS)
    assert min(seconds) < 200 * pace()  # about 30


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_teaches_with_an_example(name: str, capsys: pytest.CaptureFixture) -> None:
    assert main([name, "--help"]) == 0
    text = capsys.readouterr().out
    assert "Example" in text
    assert f"glossator {name}" in text
    assert "--json" in text


def test_help_names_every_method_with_a_line(capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    from glossator import registry

    monkeypatch.setenv("COLUMNS", "100")
    for kind, known in registry.BUILT_IN.items():
        assert set(registry.ABOUT[kind]) == set(known), kind
        assert all(len(line) > 15 and "\n" not in line for line in registry.ABOUT[kind].values())
        if kind == "reports":  # not chosen by a flag
            continue
        assert main(["bench" if kind == "benchmarks" else "run", "--help"]) == 0
        listed = capsys.readouterr().out.split(f"{kind.capitalize()}", 1)[1]
        for name, line in registry.ABOUT[kind].items():
            assert any(row.split()[:1] == [name] and " ".join(line.split()[:4]) in row for row in listed.splitlines())
    assert main(["--help"]) == 0
    assert "..." not in capsys.readouterr().out.split("Commands:")[1]


def test_no_command_shows_the_help(capsys: pytest.CaptureFixture) -> None:
    assert main([]) == 0
    assert "Commands:" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"glossator {glossator.__version__}\n"


def test_the_module_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "glossator", "run", "--nope"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("glossator: No such option: --nope")
    assert "glossator run --help" in done.stderr


def test_a_run_ends_with_tables_and_the_report(here: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["run", "--subject", "tiny", *FLAGS, "--out", "studies/two"]) == 0
    out = capsys.readouterr()
    assert out.err == ""
    for words in ("Best explained", "Means over units", "lookup", "token-list", "mismatched", "Units: 2 ok"):
        assert words in out.out
    report = next(line for line in out.out.splitlines() if line.startswith("Report: "))
    assert report.endswith("studies/two/report.html")
    assert Path(report.removeprefix("Report: file://")).is_file()


def test_a_run_for_machines(here: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["run", "studies/one", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["counts"]["ok"] == len(found["units"]) == 5
    assert {m["score"] for m in found["means"]} == {"correlation.top-and-random", "correlation.random-only"}
    score = found["units"][0]["explanations"][0]["scores"][0]
    assert score["low"] <= score["value"] <= score["high"]
    assert set(score["baselines"]) == {"lookup", "token-list", "mismatched"}


def test_the_default_folder_is_the_same_for_the_same_spec(here: Path, capsys: pytest.CaptureFixture) -> None:
    for _ in range(2):
        assert main(["run", "--subject", "tiny", *FLAGS, "--json"]) == 0
    found = [f for f in find_studies("studies") if f.name.startswith("tiny-mlp.0-")]
    assert len(found) == 1
    assert json.loads(capsys.readouterr().out.split("\n}\n")[1] + "\n}")["study"] == str(found[0])


def test_record_explain_and_score_one_after_the_other(here: Path, capsys: pytest.CaptureFixture) -> None:
    arguments = ["--subject", "tiny", *FLAGS, "--seed", "4", "--out", "studies/steps"]
    assert main(["record", *arguments, "--json"]) == 0
    recorded = json.loads(capsys.readouterr().out)
    assert recorded["sites"] == {"mlp.0": 2}
    assert main(["explain", "studies/steps", "--quiet"]) == 0
    assert "on" in capsys.readouterr().out
    assert not (here / "studies/steps/manifest.json").exists()
    assert main(["score", "studies/steps", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["counts"]["ok"] == 2
    assert main(["explain", "studies/steps", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["units"]) == 2
    assert main(["explain", "studies/steps", "--quiet"]) == 0
    assert "finished and scored" in capsys.readouterr().out


def test_one_unit_by_its_name(here: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["explain", "tiny/mlp.1/3-", *FLAGS[4:], "--json"]) == 0
    (unit,) = json.loads(capsys.readouterr().out)["units"]
    assert unit["unit"] == "tiny/mlp.1/3-"


def test_show_in_a_pipe_uses_brackets(here: Path, capsys: pytest.CaptureFixture) -> None:
    name = a_unit(here)
    assert main(["show", name, "--study", "studies/one", "--top", "2", "--random", "1"]) == 0
    text = capsys.readouterr().out
    assert "\x1b" not in text
    for words in (
        name,
        "token(",
        "lookup",
        "mismatched",
        "not computed, as the card is observational",
        "Top test windows",
        "Random test windows",
    ):
        assert words in text
    assert text.count("\ntrue ") == text.count("\npred ") == 3
    lines = text.splitlines()
    order = [
        next(i for i, line in enumerate(lines) if words in line)
        for words in ("Top test windows", "observational", "token(")
    ]
    assert order[0] < order[2] < order[1]  # windows, then the program, then its scores
    assert any("[" in line and line.startswith("true") for line in text.splitlines())


def test_show_in_a_terminal_uses_colour(
    here: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("NO_COLOR", "TERM", "COLORTERM"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLORTERM", "truecolor")
    assert main(["show", a_unit(here), "--study", "studies/one"]) == 0
    assert "\x1b[30;48;2;" in capsys.readouterr().out


def test_no_control_character_of_the_text_reaches_the_terminal(here: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["show", a_unit(here), "--study", "studies/one", "--top", "50", "--random", "100"]) == 0
    text = capsys.readouterr().out
    assert "⟨202E⟩" in text or "\\xe2" in text
    assert not {"\u202e", "\u2028", "\x1b", "\r"} & set(text)


def test_show_for_machines(here: Path, capsys: pytest.CaptureFixture) -> None:
    name = a_unit(here)
    assert main(["show", name, "--study", "studies/one", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["unit"] == name
    assert {score["column"] for e in found["explanations"] for score in e["scores"]} == {"observational"}
    assert found["people"] == {}
    (q,) = [q for q in found["q_values"] if (q["score"], q["baseline"]) == ("correlation.top-and-random", "lookup")]
    assert 0 < q["q"] <= 1
    for window in found["windows"]:
        assert len(window["tokens"]) == len(window["true"]) == len(window["predicted"])
    tops = [max(w["true"]) for w in found["windows"] if w["kind"] == "top"]
    assert tops == sorted(tops, reverse=True)


def test_a_unit_may_be_named_by_its_end(here: Path, capsys: pytest.CaptureFixture) -> None:
    name = a_unit(here)
    assert main(["show", name.split("/", 1)[1], "--study", "studies/one", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["unit"] == name


def test_search_and_studies(here: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["show", a_unit(here), "--study", "studies/one", "--json"]) == 0
    word = json.loads(capsys.readouterr().out)["explanations"][0]["text"].split()[0].lower()
    assert main(["search", word, "--study", "studies/one", "--json"]) == 0
    hits = json.loads(capsys.readouterr().out)
    assert hits
    assert all(word in hit["explanation"]["text"].lower() for hit in hits)
    assert main(["search", "zeppelin", "--study", "studies/one"]) == 0
    assert "No explanation" in capsys.readouterr().out
    assert main(["studies", "--json"]) == 0
    listed = {entry["folder"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert listed["studies/one"]["units"]["ok"] == 5
    assert main(["studies"]) == 0
    assert "studies/one" in capsys.readouterr().out


def test_no_study_is_said_kindly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["studies"]) == 0
    assert "glossator run" in capsys.readouterr().out
    assert main(["show", "a/b/3"]) == 2


def test_your_own_program_is_scored(here: Path, capsys: pytest.CaptureFixture) -> None:
    name = a_unit(here)
    assert main(["score", name, "--study", "studies/one", "--program", '0.0 + 1.0*token(" the")', "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["bits"] > 0
    assert {"lookup", "token-list", "mismatched"} == set(found["scores"][0]["baselines"])
    assert main(["score", name, "--study", "studies/one", "--json"]) == 0
    again = json.loads(capsys.readouterr().out)["scores"]
    assert main(["show", name, "--study", "studies/one", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)["explanations"][0]["scores"]
    for margin in (margin for score in shown for margin in score["margins"].values()):
        margin["q"] = None  # which is over all units of the study
    assert again == shown


def test_your_own_words_are_read(here: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    from study_cases import register_lm_methods, scripted_name

    register_lm_methods(monkeypatch)
    arguments = ["score", a_unit(here), "--study", "studies/one", "--text", "words", "--json"]
    assert main([*arguments, "--scorer", "correlation"]) == 0
    nobody = json.loads(capsys.readouterr().out)["scores"]
    assert {s["value"] for s in nobody} == {None}
    assert "no program" in nobody[0]["reason"]
    answers = ["--lm", scripted_name(), "--lm-cache", "answers.sqlite"]
    assert main([*arguments, *answers]) == 0
    read = json.loads(capsys.readouterr().out)["scores"]
    assert read[0]["how"]["read_by"] == scripted_name()
    assert read[0]["value"] is not None
    assert main([*arguments, *answers, "--offline"]) == 0
    assert json.loads(capsys.readouterr().out)["scores"] == read
    assert not (here / "studies" / "one" / "answers.sqlite").exists()


def test_units_of_a_subject(here: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["units", "tiny", "--json"]) == 0
    sites = {s["name"]: s["width"] for s in json.loads(capsys.readouterr().out)["sites"]}
    assert sites["mlp.1"] == 64
    assert main(["units", "tiny"]) == 0
    assert "mlp.0 … mlp.1" in capsys.readouterr().out


def test_benchmarks_are_listed_and_run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    from study_cases import register

    register(monkeypatch, "benchmarks", toy="toy_benchmark")
    assert main(["bench", "--json"]) == 0
    assert "toy" in json.loads(capsys.readouterr().out)
    assert main(["bench", "toy", "--quick", "--set", "n=3", "--set", "only=dense", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["options"] == {"quick": True, "n": 3, "only": "dense"}
    assert found["rows"] == [{"site": "mlp.0", "r": 0.5}]
    assert main(["bench", "toy"]) == 0
    assert "mlp.0" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run"], "no subject"),
        (["run", "--subject", "tiny"], "no sites"),
        (["run", "--subject", "nobody", "--site", "mlp.0"], "unknown subject"),
        (["run", "--subject", "smollm2-135m", "--site", "mlp.99"], "no such site"),
        (["run", "--subject", "smollm2-135m", "--site", "mlp.9", "--unit", "1536"], "0 to 1535"),
        (["run", "smollm2-135m/mlp.9/99999"], "0 to 1535"),
        (["run", "--subject", "tiny", "--site", "mlp.0", "--explainer", "prgram"], "did you mean program?"),
        (["run", "--subject", "tiny", "--site", "mlp.0", "--units", "3", "--unit", "4"], "both given"),
        (["run", "--subject", "tiny", "--site", "mlp.0", "--units", "few"], "--units"),
        (["run", "--subject", "tiny", "--site", "mlp.0", "--side", "up"], "both"),
        (["run", "--subject", "tiny", "--site", "mlp.0", "--width", "many"], "--width"),
        (["run", "none.toml"], "no such spec"),
        (["run", "corpus.jsonl"], "TOML"),
        (["run", "studies"], "no study in this folder"),
        (["run", "studies/one", "--seed", "9"], "they differ in seed"),
        (["run", "--subject", "tiny", "--site", "mlp.0", "--corpus", "none.jsonl"], "no such corpus"),
        (["run", "--subject", "tiny", "--site", "mlp.0", "--out", "corpus.jsonl/study"], "is a file"),
        (["show", "tiny/mlp.0/9999", "--study", "studies/one"], "no such unit"),
        (["show", "x", "--study", "nowhere"], "no study here"),
        (["show"], "Missing argument"),
        (["search", "!!", "--study", "studies/one"], "nothing to search"),
        (["score", "mlp.0/1", "--study", "studies/one", "--program", "0.0 +"], "program"),
        (["score", "mlp.0/1", "--study", "studies/one", "--program", "0.0", "--text", "words"], "both given"),
        (["run", "--subject", "tiny", "--site", "mlp.0", "--lm", "parrot"], "unknown form of a language model"),
        (["run", "--subject", "tiny", "--site", "mlp.0", "--budget", "much"], "a budget cannot be read"),
        (["run", "--subject", "tiny", "--site", "mlp.0", "--prices", "none.toml"], "cannot read the prices"),
        (["run", "--subject", "tiny", "--site", "mlp.0", "--explainer", "bills"], "Name a language model with --lm"),
        (["run", "--subject", "tiny", "--site", "mlp.0", "--simulator", "lm-jsn"], "did you mean lm-json"),
        (["grid", "none.toml", "--out", "studies/grid"], "cannot read the spec"),
        (["studies", "nowhere"], "no such folder"),
        (["units", "nobody"], "unknown subject"),
        (["bench", "nothing"], "unknown benchmark"),
        (["bench", "planted", "--set", "n"], "NAME=VALUE"),
        (["dance"], "No such command"),
    ],
)
def test_a_mistake_is_one_paragraph(here: Path, capsys: pytest.CaptureFixture, arguments: list[str], said: str) -> None:
    if arguments[:1] == ["score"]:
        arguments = ["score", a_unit(here), *arguments[2:]]
    before = {p for p in here.rglob("*")}
    assert main(arguments) == 2
    out = capsys.readouterr()
    assert out.out == ""
    assert out.err.startswith("glossator: ")
    assert said in out.err
    assert "Traceback" not in out.err
    assert out.err.count("\n") == 1
    assert {p for p in here.rglob("*")} == before


def test_being_stopped_says_that_it_resumes(
    here: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("glossator.study.pipeline.prepare", stopped)
    assert main(["run", "--subject", "tiny", *FLAGS, "--out", "studies/stopped"]) == 130
    assert "repeat the command to resume" in capsys.readouterr().err


def test_one_unit_is_shown_searched_and_scored_without_the_others(
    here: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from glossator.explorer.export import single
    from glossator.study import Study, open_study
    from glossator.study.context import StudyContext

    name, read = a_unit(here), Study.results

    def some(study: Study, places=None):
        assert places is not None, "all results are read"
        return read(study, places)

    monkeypatch.setattr(Study, "results", some)
    assert main(["show", name, "--study", "studies/one"]) == 0
    assert main(["show", name.partition("/")[2]]) == 0
    assert main(["search", "the", "--study", "studies/one"]) == 0
    assert main(["score", name, "--study", "studies/one", "--program", 'token(" the")']) == 0
    assert main(["run", "studies/one"]) == 0
    assert "Best explained of" in capsys.readouterr().out
    with open_study(here / "studies" / "one") as study:
        page = single(study, context=StudyContext.to_show(study))
    assert page == study.report.read_text(encoding="utf-8")


def test_the_units_of_a_study_are_listed_page_by_page(here: Path, capsys: pytest.CaptureFixture) -> None:
    found: list[dict] = []
    arguments = ["units", "studies/one", "--order", "worst", "--limit", "2", "--status", "ok", "--json"]
    while True:
        after = ["--after", "{subject}/{site}/{index}".format(**found[-1]["unit"])] if found else []
        assert main([*arguments, *after]) == 0
        page = json.loads(capsys.readouterr().out)
        assert page["score"] == "correlation.random-only"
        if not page["units"]:
            break
        found += page["units"]
    assert len(found) == 5 == len({row["unit"]["index"] for row in found})
    assert [row["score"] for row in found] == sorted(row["score"] for row in found)
    assert main(["units", "studies/one", "--limit", "3"]) == 0
    said = capsys.readouterr().out
    assert f"More: glossator units studies/one --order best --after mlp.0/{found[2]['unit']['index']}" in said
    assert " ".join(found[-1]["text"].split()) in " ".join(said.split())
    assert main(["units", "studies/one", "--order", "size"]) == 2
    assert "unknown order of units: 'size'" in capsys.readouterr().err
