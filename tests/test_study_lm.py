"""Studies with a language model: what it says is kept, counted, replayed and resumed; what it does not say is missing.

The models here are scripted, so that these tests are about plumbing alone.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from explorer_cases import shards_of
from glossator.cli import main
from glossator.errors import MissingPower, UserError
from glossator.explorer.exemplars import shown_inputs
from glossator.language_models.costs import total
from glossator.language_models.ledger import Ledger
from glossator.store.folder import ANSWERS, LOG
from glossator.store.spec import READ_EVIDENCE
from glossator.study import Study, open_study, run_study
from glossator.study.context import StudyContext
from glossator.study.metered import Interrupted
from glossator.study.models import Access
from study_cases import contents, lm_spec, register, register_lm_methods, scripted_name, write_corpus


@pytest.fixture(scope="module")
def subject(tiny_folder: Path) -> Path:
    write_corpus(tiny_folder.parent / "corpus.jsonl")
    return tiny_folder


@pytest.fixture(scope="module", autouse=True)
def methods() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        register_lm_methods(patch)
        yield


@pytest.fixture(scope="module")
def finished(subject: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(subject, tmp_path_factory.mktemp("studies") / "whole").folder


def run(model: Path, folder: Path, access: Access | None = None, **changes: object) -> Study:
    study = run_study(lm_spec(model, **changes), folder, progress=False, access=access)
    assert study is not None
    study.close()
    return study


def test_a_study_with_a_language_model(finished: Path) -> None:
    names = {p.name for p in finished.iterdir()}
    assert names == {"manifest.json", "recording", "report.html", LOG, "spec.json", "study.sqlite", ANSWERS}
    with open_study(finished) as study:
        assert study.counts["ok"] == 5
        for result in study.results():
            first, second = result.explanations
            assert first.text.startswith("words like ")
            assert first.provenance["model"] == scripted_name()
            assert first.provenance["cost"]["calls"] == 1
            assert first.select is None or second.select is None or first.select >= second.select
            names = {score.name for score in first.scores}
            assert {"correlation.top-and-random", "correlation.random-only", "judged"} <= names
            score = first.scores[0]
            assert score.value is not None
            assert (score.how["simulator"], score.how["read_by"]) == ("lm-all-at-once", scripted_name())
            assert set(score.baselines) == {"lookup", "mismatched"}
            assert score.baselines["lookup"] > score.value
            assert second.scores == ()


def test_what_it_cost_is_in_the_study(finished: Path) -> None:
    with open_study(finished) as study:
        explain, score = study.costs
        assert (explain.stage, score.stage) == ("explain", "score")
        # 2 candidates for each of 5 units, and at most 12 windows of the select split for each of them
        assert 10 + 10 * 2 < explain.requests <= 10 + 10 * 12
        assert explain.usage.calls == explain.requests
        assert total(study.costs).money == 0
        assert sum(e.provenance["cost"]["calls"] for r in study.results() for e in r.explanations) == 10
    told = shards_of(finished / "report.html")["study"]["page"]["costs"]
    assert [(cost["stage"], cost["requests"]) for cost in told] == [
        ("explain", explain.requests),
        ("score", score.requests),
    ]


def test_the_cost_is_foreseen_on_one_unit(
    subject: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    study = run(subject, tmp_path / "s")
    said = capsys.readouterr().err
    assert said.startswith(f"Estimated cost for 5 units with {scripted_name()}: about ")
    calls = int(said.partition("about ")[2].partition(" calls")[0].replace(",", ""))
    with open_study(study.folder) as opened:
        assert 0.7 * calls <= total(opened.costs).calls <= 1.3 * calls


def test_a_replay_asks_nobody(subject: Path, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "s").mkdir()
    shutil.copy(finished / ANSWERS, tmp_path / "s" / ANSWERS)
    run(subject, tmp_path / "s", Access(offline=True))
    assert contents(tmp_path / "s") == contents(finished)


def test_an_answer_that_is_not_kept_ends_an_offline_run(subject: Path, tmp_path: Path) -> None:
    with pytest.raises(Interrupted, match="not in the cache"):
        run(subject, tmp_path / "s", Access(offline=True))
    assert not (tmp_path / "s" / "manifest.json").exists()


def test_answers_may_lie_elsewhere(subject: Path, finished: Path, tmp_path: Path) -> None:
    run(subject, tmp_path / "s", Access(cache=tmp_path / "all.sqlite"))
    assert not (tmp_path / "s" / ANSWERS).exists()
    assert contents(tmp_path / "s") == contents(finished)
    asked = Ledger()
    run(subject, tmp_path / "again", Access(cache=tmp_path / "all.sqlite", ledger=asked))
    assert asked.total().calls == 0
    assert asked.total().replayed > 0


def test_advice_on_a_damaged_spec_loses_no_answers(subject: Path, finished: Path, tmp_path: Path) -> None:
    folder = tmp_path / "s"
    shutil.copytree(finished, folder)
    (folder / "spec.json").write_text('{"subject": ')
    with pytest.raises(UserError, match="study's spec is damaged") as raised:
        run_study(lm_spec(subject), folder, progress=False)
    assert f"--lm-cache {folder / ANSWERS}" in str(raised.value) and "elete" not in str(raised.value)


def test_a_budget_stops_and_a_higher_one_goes_on(subject: Path, finished: Path, tmp_path: Path) -> None:
    for tokens in (800, 1_600):
        with pytest.raises(Interrupted, match=r"budget is reached.*--budget"):
            run(subject, tmp_path / "s", Access(ledger=Ledger(f"{tokens} tokens")))
        assert not (tmp_path / "s" / "manifest.json").exists()
    run(subject, tmp_path / "s", Access(ledger=Ledger("10M tokens")))
    assert contents(tmp_path / "s") == contents(finished)


def test_what_is_not_said_is_missing(subject: Path, tmp_path: Path) -> None:
    study = run(subject, tmp_path / "s", lm=scripted_name("no_answer"), units=(2, 3, 4, 5))
    with open_study(study.folder) as opened:
        results = {r.unit.index: r for r in opened.results()}
        assert opened.counts == {"ok": 2, "insufficient": 0, "abstained": 0, "failed": 2}
        assert sum(cost.failures for cost in opened.costs) == 4 + 2
    assert results[2].reason == "asking: the model refused to answer"
    assert results[2].explanations == ()
    judged = next(s for s in results[3].explanations[0].scores if s.name == "judged")
    assert (judged.value, judged.reason) == (None, "the model refused to answer")
    told = shards_of(tmp_path / "s" / "report.html")["study"]["page"]["costs"]
    assert sum(cost["failures"] for cost in told) == 4 + 2


def test_words_that_nobody_can_read_have_the_scorers_name(
    subject: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(monkeypatch, "explainers", wordy="Wordy")
    study = run(subject, tmp_path / "s", explainers=("wordy",), lm=None, scorers=("correlation",), units=1)
    with open_study(study.folder) as opened:
        (score,) = next(opened.results()).explanations[0].scores
    assert score.name == "correlation"
    assert "no program" in score.reason


def test_programs_are_executed_unless_a_simulator_is_named(subject: Path, tmp_path: Path) -> None:
    settings = {"explainers": ("token-list", "program"), "scorers": ("correlation",), "units": (3, 5)}
    executed = run(subject, tmp_path / "a", **settings)
    read = run(subject, tmp_path / "b", simulator="lm-json", **settings)
    values = {}
    for study in (executed, read):
        with open_study(study.folder) as opened:
            values[study.folder.name] = [
                (e.method, e.scores[0].value, e.scores[0].how.get("simulator"))
                for result in opened.results()
                for e in result.explanations
                if e.rank == 0
            ]
            costs = opened.costs
        assert (study is read) == bool(costs)
    assert {simulator for _, _, simulator in values["a"]} == {None}
    for (method, value, _), (_, again, simulator) in zip(values["a"], values["b"], strict=True):
        # Tables and lists of tokens are executed always, so that the null is the same in every study.
        assert simulator == (None if method == "token-list" else "lm-json")
        assert (value == again) == (method == "token-list")


def test_a_method_may_have_its_own_language_model(subject: Path, tmp_path: Path) -> None:
    own = scripted_name("no_answer")
    study = run(subject, tmp_path / "s", units=(3,), options={"judging": {"lm": own}})
    with open_study(study.folder) as opened:
        scores = {s.name: s.value for s in next(opened.results()).explanations[0].scores}
        assert {cost.model for cost in opened.costs} == {scripted_name(), own}
    assert scores["judged"] is None
    assert scores["correlation.top-and-random"] is not None


def test_a_finished_study_is_shown_without_asking(subject: Path, finished: Path, tmp_path: Path) -> None:
    folder = tmp_path / "s"
    shutil.copytree(finished, folder)

    def windows() -> list:
        with open_study(folder) as study:
            return shown_inputs(next(study.results()), StudyContext.to_show(study), 3, 3)

    assert all(w.predicted is not None for w in windows())
    (folder / ANSWERS).unlink()
    assert all(w.predicted is None for w in windows())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"lm": None}, "asking needs a missing resource"),
        ({"lm": None, "explainers": ("token-list",), "scorers": ("judging",)}, "judging needs a missing resource"),
        (
            {"lm": None, "explainers": ("token-list",), "scorers": (), "simulator": "lm-json"},
            "lm-json needs a missing resource",
        ),
        ({"lm": "scripted:study_cases:nobody"}, "cannot find the scripted model"),
        ({"lm": "parrot"}, "unknown form of a language model"),
        ({"simulator": "lm-jsn"}, "did you mean lm-json"),
        ({"options": {"asking": {"lm": 3}}}, "lm"),
        ({"options": {"asking": {"tempratur": 3}}}, "did you mean temperature"),
    ],
)
def test_bad_input_leaves_nothing_behind(subject: Path, tmp_path: Path, changes: dict, said: str) -> None:
    with pytest.raises(UserError, match=said):
        run(subject, tmp_path / "s", **changes)
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_cannot_do_what_is_asked_is_a_missing_power(subject: Path, tmp_path: Path) -> None:
    assert issubclass(MissingPower, UserError)
    assert not issubclass(Interrupted, MissingPower)


LAST_WRITES = 7
"""Costs and results of two stages, the database, the report, the manifest; the first three are tried."""


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The random model with room for long prompts, to read explanations with in this process."""
    from tiny_models import byte_level_tokenizer, save_tiny

    folder = save_tiny(tmp_path_factory.mktemp("reader") / "reader", "llama", byte_level_tokenizer())
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 16384}))
    return f"inprocess:{folder}"


def test_a_study_read_in_this_process_grows_to_the_same_bytes(subject: Path, reader: str, tmp_path: Path) -> None:
    few = replace(READ_EVIDENCE, select_top=2, select_random=2, test_top=3, test_random=3, min_firing_windows=2)
    spec = {"lm": reader, "explainers": ("program",), "simulator": "lm-one-at-a-time", "candidates": 1,
            "scorers": ("correlation",), "evidence": few}  # fmt: skip
    run(subject, tmp_path / "s", units=2, **spec)
    run(subject, tmp_path / "s", units=3, **spec)
    run(subject, tmp_path / "whole", units=3, **spec)
    assert contents(tmp_path / "s") == contents(tmp_path / "whole")
    with open_study(tmp_path / "s") as study:
        assert total(study.costs).calls > 0


def test_what_a_model_in_this_process_computes_is_counted_once(subject: Path, reader: str, tmp_path: Path) -> None:
    """Stages one by one open the model anew each time, and still end with the same bytes."""
    few = replace(READ_EVIDENCE, select_top=2, select_random=2, test_top=3, test_random=3, min_firing_windows=2)
    spec = {"lm": reader, "explainers": ("program",), "simulator": "lm-one-at-a-time", "units": 2, "candidates": 1,
            "scorers": ("correlation",), "evidence": few}  # fmt: skip
    whole = run(subject, tmp_path / "whole", **spec)
    assert run_study(lm_spec(subject, **spec), tmp_path / "parts", until="explain", progress=False) is None
    run(subject, tmp_path / "parts", **spec)
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")
    with open_study(whole.folder) as study:
        explain, score = study.costs
        # each of two units: its own program on the select split; it and the other unit's on the test split
        assert (explain.requests, score.requests) == (2, 4)
        assert explain.usage.prompt_tokens > 2 * 4 * 32
        scores = [r.explanations[0].scores[0] for r in study.results()]
        assert all(s.how["simulator"] == "lm-one-at-a-time" for s in scores)
        shown = shown_inputs(next(study.results()), StudyContext.to_show(study), 1, 1)
        assert all(w.predicted is not None for w in shown)
    spent = Ledger("900 tokens")
    with pytest.raises(Interrupted, match="budget"):
        run(subject, tmp_path / "poor", Access(ledger=spent), **spec)


class Killed(BaseException):
    """Stands for the end of the process: no handler catches it."""


def test_a_run_that_stops_between_costs_and_results_goes_on_to_the_same_bytes(
    subject: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename, writes = os.replace, [0, 10**9]

    def counted(source: object, target: object) -> None:
        writes[0] += 1
        if writes[0] == writes[1]:
            raise Killed
        rename(source, target)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "replace", counted)
    few = {"units": 2, "candidates": 1}
    run(subject, tmp_path / "whole", **few)
    total = writes[0]
    for stop in range(total - LAST_WRITES + 1, total - LAST_WRITES + 4):
        writes[:] = [0, stop]
        folder = tmp_path / f"stop-{stop}"
        with pytest.raises(Killed):
            run(subject, folder, **few)
        assert (folder / "recording" / "manifest.json").exists()
        run(subject, folder, **few)
        assert contents(folder) == contents(tmp_path / "whole"), f"stopped at write {stop} of {total}"


@pytest.mark.slow
def test_kill_9_at_random_moments(subject: Path, tmp_path: Path) -> None:
    begin = time.perf_counter()
    subprocess.run(command(subject, tmp_path / "whole"), check=True, capture_output=True)
    seconds = time.perf_counter() - begin
    rng, killed = random.Random(7), 0
    for attempt in range(5):
        folder = tmp_path / f"killed-{attempt}"
        process = subprocess.Popen(command(subject, folder), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(seconds * rng.uniform(0.4, 1.0))
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
        subprocess.run(command(subject, folder), check=True, capture_output=True)
        assert contents(folder) == contents(tmp_path / "whole")
    assert killed >= 2


def command(subject: Path, folder: Path) -> list[str]:
    code = (
        "import sys; sys.path.insert(0, sys.argv[3]); from pathlib import Path; import pytest, study_cases as c;"
        "from glossator.study import run_study\n"
        "with pytest.MonkeyPatch.context() as patch:\n"
        "    c.register_lm_methods(patch)\n"
        "    run_study(c.lm_spec(Path(sys.argv[1])), sys.argv[2], progress=False)"
    )
    return [sys.executable, "-c", code, str(subject), str(folder), str(Path(__file__).parent)]


def test_the_spec_of_a_study_without_one_is_what_it_was(subject: Path) -> None:
    from glossator.files import plain
    from glossator.store.spec import make_spec

    stored = plain(lm_spec(subject, lm=None, explainers=("token-list",), scorers=("correlation",)))
    older = {name: value for name, value in stored.items() if name not in ("lm", "simulator")}
    assert make_spec(older).fingerprint == make_spec(stored).fingerprint
    assert json.loads(json.dumps(older)) == older


def test_looking_at_a_study_imports_no_code_that_it_names(
    subject: Path, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "evil_module.py").write_text("raise SystemExit('imported')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "studies" / "s"
    shutil.copytree(finished, folder)
    for path in (folder / "manifest.json", folder / "spec.json"):
        path.write_text(path.read_text().replace(scripted_name(), "scripted:evil_module:model"))
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"].pop("spec.json", None)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with open_study(folder) as study:
        unit = study.names()[0]
    for command in (
        ["show", unit, "--study", str(folder)],
        ["search", "words", "--study", str(folder)],
        ["studies"],
        ["human", "export", str(folder), "--task", "simulation", "--out", str(tmp_path / "out")],
    ):
        assert main(command) == 0, command
        assert "imported" not in capsys.readouterr().out
    assert "evil_module" not in sys.modules


def test_code_that_only_a_file_names_is_imported_when_that_is_confirmed(
    subject: Path, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other_module.py").write_text("raise SystemExit('imported')\n")
    monkeypatch.syspath_prepend(tmp_path)
    name, folder = "scripted:other_module:model", tmp_path / "s"
    shutil.copytree(finished, folder)
    for path in (folder / "manifest.json", folder / "spec.json"):
        path.write_text(path.read_text().replace(scripted_name(), name))
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"].pop("spec.json", None)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with open_study(folder) as study:
        unit = study.names()[0]
    file = tmp_path / "spec.json"
    shutil.copy(folder / "spec.json", file)
    assert main(["run", str(folder)]) == 0  # it is finished: nobody is asked
    capsys.readouterr()
    for command in (
        ["run", str(file), "--out", str(tmp_path / "new")],
        ["score", unit, "--study", str(folder)],
    ):
        assert main(command) == 2, command
        assert f"--trust {name}" in " ".join(capsys.readouterr().err.split())
        assert "other_module" not in sys.modules
        for confirmed in (["--trust", name], ["--lm", name]):
            with pytest.raises(SystemExit, match="imported"):
                main([*command, *confirmed])


@pytest.mark.parametrize("where", ["file", "folder"])
def test_a_key_that_only_a_file_names_is_confirmed(where: str, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    spec = {"subject": "x", "sites": ["mlp.0"], "lm": "http://127.0.0.1:9/v1?key_variable=MY_SECRET#m"}
    path = tmp_path / ("spec.json" if where == "file" else "s/spec.json")
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(spec))
    given = str(path if where == "file" else path.parent)
    assert main(["run", given, "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert "MY_SECRET to http://127.0.0.1:9/v1" in said and "--key-variable MY_SECRET" in said
    for confirmed in (["--key-variable", "MY_SECRET"], ["--lm", spec["lm"]]):
        assert main(["run", given, "--out", str(tmp_path / "out"), *confirmed]) == 2
        assert "no key for" in capsys.readouterr().err  # it is not set here
