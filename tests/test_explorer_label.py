"""Tasks asked by the explorer: drawn blind, kept and scored as those of `glossator human`; from an export as a file."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from explorer_cases import shards_of
from glossator.cli import main
from glossator.explorer.server import app
from glossator.human.asking import Asking
from glossator.human.folder import HumanFolder
from glossator.human.report import prepared_of
from glossator.human.tasks import TASKS
from glossator.study import Study
from human_cases import study_of_two_methods

HERE = "http://127.0.0.1:8800"
AT = "/api/studies/s"


@pytest.fixture(scope="module")
def study(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    return study_of_two_methods(tiny_folder, tmp_path_factory.mktemp("label") / "s")


@pytest.fixture(scope="module")
def client(study: Study) -> TestClient:
    made = app([study.folder], annotated=prepared_of, asking=Asking())
    return TestClient(made, base_url=HERE, raise_server_exceptions=False)


def drawn(client: TestClient, **asked: Any) -> dict[str, Any]:
    answer = client.post(f"{AT}/draw", json=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize("task", TASKS)
def test_what_is_asked_gives_nothing_away(client: TestClient, study: Study, task: str) -> None:
    if task == "readability" and sum(study.counts.values()) < 5:
        pytest.skip("the study is too small for it")
    shown = drawn(client, task=task, units="2", seed=1)
    told = json.dumps(shown["screens"])
    assert shown["screens"] and shown["instructions"]
    for secret in ("lookup", "token-list", "mlp.", "salt", "window"):
        assert secret not in told
    assert drawn(client, task=task, units="2", seed=1) == shown
    assert client.get(f"{AT}/task", params={"set": shown["names"]["tasks"]}).json() == shown
    assert shown["names"]["tasks"] in [one["tasks"] for one in client.get(f"{AT}/tasks").json()]


def test_the_seed_orders_items_and_pairs(client: TestClient) -> None:
    sets = [drawn(client, task="preference", units="all", seed=seed)["screens"] for seed in range(4)]
    assert len({json.dumps([screen["said"] for screen in one]) for one in sets}) > 1


def test_answers_are_kept_and_scored_under_the_name_of_the_annotator(client: TestClient, study: Study) -> None:
    shown = drawn(client, task="preference", units="3", seed=5)
    slots = [screen["slot"] for screen in shown["screens"]]
    given = {**shown["names"], "rater": "ann", "answers": dict.fromkeys(slots, "first")}
    kept = client.post(f"{AT}/answers", json=given).json()
    assert (kept["rater"], kept["answered"], kept["asked"], kept["new"]) == ("ann", len(slots), len(slots), True)
    assert kept["unscored"] is None
    people = client.get(AT).json()["people"]
    assert {
        (one["rater"], one["answered"]) for one in people["answers"] if one["tasks"] == shown["names"]["tasks"]
    } == {("ann", len(slots))}
    assert people["win_rates"]
    assert client.post(f"{AT}/answers", json=given).json()["new"] is False
    changed = {**given, "answers": {slots[0]: "second"}}
    refused = client.post(f"{AT}/answers", json=changed)
    assert refused.status_code == 400 and "already answered" in refused.json()["error"]
    kept = client.post(f"{AT}/answers", json={**changed, "replace": True}).json()
    assert (kept["new"], kept["answered"]) == (True, 1)


def test_answers_through_two_servers_at_once_are_all_scored(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second come while the first are being scored; the results are of both."""
    clients = [TestClient(app([study.folder], annotated=prepared_of, asking=Asking()), base_url=HERE) for _ in range(2)]
    shown = drawn(clients[0], task="preference", units="2", seed=77)
    assert drawn(clients[1], task="preference", units="2", seed=77) == shown
    given = {**shown["names"], "answers": dict.fromkeys((one["slot"] for one in shown["screens"]), "second")}
    codes, scoring, read = list[int](), threading.Event(), HumanFolder.answers

    def answer(client: TestClient, rater: str) -> None:
        codes.append(client.post(f"{AT}/answers", json={**given, "rater": rater}).status_code)

    def answers(folder: HumanFolder) -> Any:
        found = list(read(folder))
        if not scoring.is_set():
            scoring.set()
            second.start()
            second.join(2)  # it waits, or would end before the first
        return iter(found)

    monkeypatch.setattr(HumanFolder, "answers", answers)
    first, second = (threading.Thread(target=answer, args=pair) for pair in zip(clients, ("amy", "bea"), strict=True))
    first.start()
    first.join()
    second.join()
    results = HumanFolder(study).results()
    assert codes == [200, 200] and results is not None
    told = {one["rater"] for one in results["answers"] if one["tasks"] == shown["names"]["tasks"]}
    assert told == {"amy", "bea"}
    for client in clients:
        assert {one["rater"] for one in client.get(AT).json()["people"]["answers"]} >= {"amy", "bea"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"rater": ""}, {"rater": "../ann"}, {"rater": "a b"}, {"study": "f" * 16}, {"tasks": "../../keys/x"},
        {"tasks": "f" * 16}, {"task": "simulation"}, {"format": "other/1"}, {"answers": {"x": "first"}},
        {"answers": {"p001": "third"}}, {"answers": {"p001": [1, 2]}}, {"answers": 3},
    ],
)  # fmt: skip
def test_what_is_no_answer_is_refused_and_nothing_is_kept(
    client: TestClient, study: Study, wrong: dict[str, Any]
) -> None:
    shown = drawn(client, task="preference", units="2", seed=9)
    given = {**shown["names"], "rater": "eve", "answers": {"p001": "first"}}
    answer = client.post(f"{AT}/answers", json={**given, **wrong})
    assert answer.status_code == 400 and answer.json()["error"], answer.text
    assert not [*(study.folder / "human" / "answers").glob(f"{shown['names']['tasks']}.*")]


def test_only_this_page_may_answer(client: TestClient, study: Study) -> None:
    shown = drawn(client, task="gibberish", units="2", seed=2)
    given = {**shown["names"], "rater": "mallory", "answers": {}}
    for headers in ({"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"}, {"host": "evil.example"}):
        assert client.post(f"{AT}/answers", json=given, headers=headers).status_code == 403
    text = json.dumps(given)
    assert client.post(f"{AT}/answers", content=text, headers={"content-type": "text/plain"}).status_code == 400
    closed = TestClient(app([study.folder], token="a-secret", asking=Asking()), base_url=HERE)
    assert closed.post(f"{AT}/answers", json=given).status_code == 403
    opened = closed.post(f"{AT}/answers", json=given, headers={"authorization": "Bearer a-secret"})
    assert opened.status_code == 200
    assert not [*(study.folder / "human" / "keys").glob("*mallory*")]
    for path in ("keys", "human/keys"):
        assert client.get(f"{AT}/{path}").status_code == 404


def test_where_nobody_asks_no_task_is_offered(study: Study) -> None:
    client = TestClient(app([study.folder]), base_url=HERE)
    assert client.get(AT).json()["asks"] == {} and client.get(f"{AT}/tasks").json() == []
    assert client.post(f"{AT}/draw", json={"task": "preference"}).status_code == 400


def test_an_export_holds_tasks_without_their_keys(study: Study, tmp_path: Path) -> None:
    assert main(["export", str(study.folder), "--static", str(tmp_path / "out"), "--task", "gibberish"]) == 0
    shards = shards_of(tmp_path / "out")
    (listed, *_) = [one for one in shards["study"]["tasks"] if one["task"] == "gibberish"]
    shown = shards[f"tasks-{listed['tasks']}"]
    assert len(shown["screens"]) == listed["screens"] > 0
    assert {*shown} == {"names", "title", "instructions", "screens"}
    assert main(["export", str(study.folder), "--static", str(tmp_path / "out"), "--task", "nonsense"]) == 2


# Units of image models


@pytest.fixture(scope="module")
def pictured(tmp_path_factory: pytest.TempPathFactory) -> Study:
    from glossator.study import StudySpec, run_study

    spec = StudySpec(
        subject="renders-cnn", sites=("layers",), units=(26, 33, 62), corpus="renders:300",
        explainers=("program", "dissection"),
    )  # fmt: skip
    found = run_study(spec, tmp_path_factory.mktemp("label") / "s", progress=False)
    assert found is not None
    return found


def test_units_of_images_are_rated_by_their_pictures(pictured: Study) -> None:
    made = app([pictured.folder], annotated=prepared_of, asking=Asking())
    client = TestClient(made, base_url=HERE, raise_server_exceptions=False)
    assert {*client.get(AT).json()["asks"]} == {"preference", "labelling", "gibberish"}
    for task in ("simulation", "readability", "paraphrase"):
        answer = client.post(f"{AT}/draw", json={"task": task})
        assert answer.status_code == 400 and "tokens" in answer.json()["error"]
    shown = drawn(client, task="preference", units="all", seed=1)
    pictures = [one for screen in shown["screens"] for one in screen["passages"]]
    assert pictures and all(one["i"].startswith("data:image/png;base64,") for one in pictures)
    assert all(len(one["a"]) == one["g"][0] * one["g"][1] for one in pictures)
    assert max(level for one in pictures for level in one["a"]) == 10
    told = json.dumps([screen["said"] for screen in shown["screens"]]) + " ".join(shown["instructions"])
    assert not [secret for secret in ("program", "dissection", "layers", "salt") if secret in told]
    assert client.get(f"{AT}/task", params={"set": shown["names"]["tasks"]}).json() == shown

    given = {**shown["names"], "rater": "ann", "answers": {s["slot"]: "first" for s in shown["screens"]}}
    kept = client.post(f"{AT}/answers", json=given).json()
    assert kept["unscored"] is None and kept["answered"] == len(shown["screens"])
    assert client.get(AT).json()["people"]["win_rates"]

    asked = drawn(client, task="labelling", units="all", seed=1)
    words = dict(zip((s["slot"] for s in asked["screens"]), ("dogs or cats", "glib florps"), strict=False))
    kept = client.post(f"{AT}/answers", json={**asked["names"], "rater": "ann", "answers": words}).json()
    assert kept["unscored"] is None
    labels = {
        one["text"]: one
        for unit in client.get(f"{AT}/units").json()["units"]
        for one in client.get(f"{AT}/unit", params={"unit": unit["unit"]}).json()["people"].get("labels", [])
    }
    scores = {score["name"]: score for score in labels["dogs or cats"]["scores"]}
    assert scores["correlation.random-only"]["value"] is not None
    assert all(score["value"] is None for score in labels["glib florps"]["scores"] if score["name"].startswith("corr"))
