"""Studies against a real HTTP server: several units at a time, faults on the way, a replay with the server down."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glossator.cli import main
from glossator.errors import UserError
from glossator.language_models import CHAT, JSON_SCHEMA, Answer, Request, open_language_model
from glossator.language_models.costs import total
from glossator.language_models.ledger import Ledger
from glossator.language_models.scripted import Scripted
from glossator.scores import Score
from glossator.simulators.all_at_once import AllAtOnceSimulator
from glossator.simulators.prompts import pieces_of
from glossator.store.folder import ANSWERS
from glossator.store.results import UnitResult
from glossator.store.spec import READ_EVIDENCE
from glossator.study import Study, StudySpec, open_study, run_study
from glossator.study.metered import Interrupted
from glossator.study.models import Access
from lm_server import LMServer, serve
from study_cases import contents, lm_spec, register_lm_methods, said, small_spec, write_corpus

FEW = replace(
    READ_EVIDENCE, explain_random=8, calibrate_top=2, calibrate_random=2, select_top=2, select_random=2, test_top=3,
    test_random=3, min_firing_windows=2,
)  # fmt: skip


@pytest.fixture(scope="module")
def subject(tiny_folder: Path) -> Path:
    write_corpus(tiny_folder.parent / "corpus.jsonl")
    return tiny_folder


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[LMServer]:
    register_lm_methods(monkeypatch)
    with serve(Scripted(said)) as found:
        yield found


def run(spec: StudySpec, folder: Path, access: Access | None = None) -> Path:
    study = run_study(spec, folder, progress=False, access=access)
    assert study is not None
    study.close()
    return folder


def test_a_replay_with_the_server_down_gives_the_same_bytes(subject: Path, server: LMServer, tmp_path: Path) -> None:
    spec = lm_spec(subject, lm=server.spec(), evidence=FEW)
    run(spec, tmp_path / "first")
    assert server.most_at_once > 1
    with open_study(tmp_path / "first") as study:
        assert study.counts["ok"] == 5
        assert total(study.costs).calls == server.calls
        assert total(study.costs).money is None
    server.stop()
    (tmp_path / "again").mkdir()
    shutil.copy(tmp_path / "first" / ANSWERS, tmp_path / "again" / ANSWERS)
    spent = Ledger()
    run(spec, tmp_path / "again", Access(ledger=spent))
    assert contents(tmp_path / "again") == contents(tmp_path / "first")
    assert (spent.total().calls, spent.total().replayed > 0) == (0, True)


def test_faults_of_the_server_change_nothing(subject: Path, server: LMServer, tmp_path: Path) -> None:
    spec = lm_spec(subject, lm=server.spec(), units=2, evidence=FEW)
    run(spec, tmp_path / "smooth")
    server.faults = {n: fault for n, fault in zip(range(server.calls + 1, server.calls + 200, 9), FAULTS, strict=False)}
    run(spec, tmp_path / "rough")
    assert contents(tmp_path / "rough") == contents(tmp_path / "smooth")


FAULTS = ("429", "500", "reset", "half", "garbage", "html")


def test_prices_and_a_budget_in_dollars(
    subject: Path, server: LMServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from glossator.files import plain, write_json

    write_json(tmp_path / "spec.json", plain(lm_spec(subject, lm=server.spec(), units=2, evidence=FEW)))
    (tmp_path / "prices.toml").write_text("[served]\nprompt = 1000.0\ncompletion = 2000.0\n")
    arguments = ["run", str(tmp_path / "spec.json"), "--out", str(tmp_path / "s"), "--quiet"]
    assert main([*arguments, "--budget", "2"]) == 2
    assert "a budget in dollars needs the price of the model" in capsys.readouterr().err
    assert not (tmp_path / "s").exists()
    priced = [*arguments, "--prices", str(tmp_path / "prices.toml")]
    assert main([*priced, "--budget", "0.9"]) == 2
    stopped = capsys.readouterr().err
    assert "Estimated cost for 2 units" in stopped
    assert "$" in stopped.splitlines()[0]
    assert stopped.splitlines()[-1].startswith("glossator: the budget is reached")
    assert "--budget" in stopped
    assert stopped.count("\n") == 2
    asked = server.calls
    assert asked > 0
    assert main([*priced, "--budget", "100"]) == 0
    out = capsys.readouterr().out
    assert "Cost of explain, http://127.0.0.1" in out
    assert "Total cost: " in out
    with open_study(tmp_path / "s") as study:
        found = total(study.costs)
    assert found.calls == server.calls
    assert found.money == pytest.approx((found.prompt_tokens * 1000 + found.completion_tokens * 2000) / 1e6)
    assert main(["run", str(tmp_path / "s"), "--json"]) == 0
    assert '"costs": [' in capsys.readouterr().out


def levels(request: Request) -> Any:
    """Answers to the built-in prompts: an explanation; or for each token of the record its length as its level."""
    question = request.messages[-1].content
    if request.schema is None:
        return f"words of {len(question) % 7} letters"
    if "activations" not in request.schema["properties"]:
        return "no idea"
    tokens = question[question.rindex("<start>\n") + 8 : question.rindex("<end>")].split("\n")[:-1]
    return {"activations": [{"token": token, "activation": min(10, len(token))} for token in tokens]}


def test_the_built_in_methods_over_http(subject: Path, tmp_path: Path) -> None:
    """Plumbing of `bills` and `lm-json` over a server that chats in JSON; what it says is scripted."""
    with serve(Scripted(levels, powers=frozenset({CHAT, JSON_SCHEMA}))) as server:
        changes = {"explainers": ("bills",), "candidates": 1, "scorers": ("correlation", "lm-detection")}
        lm = server.spec("kind=openai&key_variable=SOME_KEY")
        spec = small_spec(subject, lm=lm, units=2, evidence=FEW, **changes)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SOME_KEY", "secret-of-mine")
            folder = run(spec, tmp_path / "s")
    with open_study(folder) as study:
        for result in study.results():
            (chosen,) = result.explanations
            assert chosen.provenance["prompt"]
            score = next(s for s in chosen.scores if s.name == "correlation.top-and-random")
            assert (score.value, score.how["simulator"]) != (None, None)
    for path in folder.rglob("*"):
        assert path.is_dir() or b"secret-of-mine" not in path.read_bytes(), path


@pytest.mark.slow
def test_bills_with_real_weights_in_process_and_over_http(smollm2: Any, tmp_path: Path) -> None:
    """`--explainer bills` on 8 units with SmolLM2 in this process, then the same model behind a server that goes down.

    Both say the same words. Of what is likely in place of a level a server tells the likeliest tokens alone, 60 here,
    among which on average 8 of the 11 levels are; told of 3000, the simulations are the same.
    """
    from glossator.files import plain, write_json
    from glossator.language_models.in_process import InProcess

    fewest = replace(FEW, calibrate_top=0, calibrate_random=0, select_top=1, select_random=1, test_top=2, test_random=1)
    shared = {
        "subject": "smollm2-135m", "sites": ("mlp.12",), "units": 8, "max_tokens": 8192, "width": 32,
        "explainers": ("bills",), "candidates": 1, "scorers": ("correlation",), "evidence": fewest,
        "simulator": "lm-all-at-once",
        "options": {"bills": {"temperature": 0.0, "records": 2, "max_tokens": 24}, "lm-all-at-once": {"top": 60}},
    }  # fmt: skip
    here = run(StudySpec(lm="inprocess:smollm2-135m", **shared), tmp_path / "here")
    model = InProcess.of_subject(smollm2)
    with serve(model) as server:
        spec = StudySpec(lm=server.spec("kind=vllm"), **shared)
        for name in ("there", "again"):
            shutil.copytree(here / "recording", tmp_path / name / "recording")
            write_json(tmp_path / name / "spec.json", plain(spec))
        there = run(spec, tmp_path / "there")
        asked = server.calls
        with open_study(there) as study:
            compare_simulations(model, server, study)
    shutil.copy(there / ANSWERS, tmp_path / "again" / ANSWERS)
    again = run(spec, tmp_path / "again", Access(offline=True))
    assert contents(again) == contents(there)
    assert asked > 8
    with open_study(here) as a, open_study(there) as b:
        assert a.counts == b.counts
        assert sum(a.counts.values()) == 8
        assert a.counts["ok"] >= 6
        for one, other in zip(a.results(), b.results(), strict=True):
            assert [e.text for e in one.explanations] == [e.text for e in other.explanations]
            for mine, theirs in zip(scores_of(one), scores_of(other), strict=True):
                assert (mine.name, mine.n, mine.baselines["lookup"]) == (
                    theirs.name,
                    theirs.n,
                    theirs.baselines["lookup"],
                )
                assert mine.how["simulator"] == theirs.how["simulator"] == "lm-all-at-once"
                assert (mine.value is None) == (theirs.value is None)


def scores_of(result: UnitResult) -> tuple[Score, ...]:
    best = result.best()
    return () if best is None else best.scores


def compare_simulations(model: Any, server: LMServer, study: Study) -> None:
    """One explanation of the study on its text, read in this process and over HTTP with almost all alternatives.

    A server encodes a prompt as a whole; windows in which that gives other tokens are left out: where a number follows,
    SmolLM2 has the space before it as a token of its own, which merges with the line break before.
    """
    result = next(r for r in study.results() if r.best())
    explanation = result.best().explanation(result.unit)
    windows = study.recording.windows.take(np.arange(100))
    served = AllAtOnceSimulator(open_language_model(server.spec("kind=vllm")), top=3000)
    direct = AllAtOnceSimulator(model)
    reader = direct.in_process
    laid_out = [
        [*reader.prefix.then(reader._middle(explanation.text)).ids, *reader.layout(pieces).ids]
        for pieces in pieces_of(windows)
    ]
    whole = [model.tokenizer.backend.encode(served.text(explanation.text, p)).ids for p in pieces_of(windows)]
    agree = np.flatnonzero([a == b for a, b in zip(laid_out, whole, strict=True)])
    assert len(agree) > 50
    same = windows.take(agree[:2])
    told, computed = (simulator.simulate(explanation, same).expected[same.valid] for simulator in (served, direct))
    np.testing.assert_allclose(told, computed, atol=1e-3)
    assert computed.std() > 0.1


@pytest.mark.parametrize("fault", ["down", "key", "model"])
def test_server_key_and_model_are_checked_before_anything_is_recorded(
    fault: str, subject: Path, server: LMServer, tmp_path: Path
) -> None:
    spec = lm_spec(subject, lm=server.spec(), units=2, evidence=FEW)
    if fault == "down":
        server.stop()
    elif fault == "model":
        spec, server.faults = replace(spec, lm=server.url + "#other"), {1: "404"}
    else:
        spec, server.faults = replace(spec, lm=server.url + "#other"), {1: "401"}
    said = {"down": "nothing answers at", "key": "does not accept a request without a key", "model": "no such model"}
    with pytest.raises(UserError, match=said[fault]):
        run(spec, tmp_path / "s")
    assert not (tmp_path / "s" / "recording").exists() and server.calls <= 1


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("I'm sorry, but I can't help with that.", r"a refusal \(\"I'm sorry, but I can't help with that\."),
        ("", "the answer is empty"),
        (Answer("Okay, let me see what", finish="length"), "cut off at max_tokens"),
    ],
)
def test_a_model_that_says_nothing_of_use_stops_the_run(answer: Any, why: str, subject: Path, tmp_path: Path) -> None:
    with serve(Scripted(lambda _: answer)) as server:
        spec = small_spec(
            subject,
            units=2,
            explainers=("bills",),
            scorers=("correlation",),
            candidates=5,
            lm=server.spec(),
            evidence=FEW,
        )
        with pytest.raises(Interrupted, match=f"the first 10 answers of .* of no use: .*{why}"):
            run(spec, tmp_path / "s")
        assert server.calls == 10 and not (tmp_path / "s" / "manifest.json").exists()


def test_units_of_which_nothing_could_be_read_are_not_ok(subject: Path, tmp_path: Path) -> None:
    def answer(request: Request) -> Any:
        return {"activations": []} if "JSON" in str(request) else "words for rain"

    with serve(Scripted(answer)) as server:
        spec = small_spec(
            subject,
            units=1,
            explainers=("bills",),
            scorers=("correlation",),
            candidates=1,
            lm=server.spec(),
            evidence=FEW,
        )
        with open_study(run(spec, tmp_path / "s")) as study:
            assert study.counts["ok"] == 0 and study.counts["failed"] == 1
            (result,) = study.results()
            assert "no score has a value" in result.reason and "the wrong number of tokens" in result.reason
            assert result.explanations[0].text == "words for rain"
