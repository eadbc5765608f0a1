"""The server: what it answers and whom; every endpoint through HTTP, hostile requests refused, studies that change."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from glossator.cli import main
from glossator.errors import UserError
from glossator.explorer.api import ENDPOINTS, openapi
from glossator.explorer.library import Library
from glossator.explorer.opened import OpenedStudy
from glossator.explorer.pages.lists import unit_list
from glossator.explorer.server import LARGEST_BODY, app, is_loopback
from glossator.scores import Score
from glossator.store.adding import add_scores, adding
from glossator.store.study import open_study
from glossator.study import Study, run_study
from study_cases import small_spec, write_corpus
from test_study_store import RESULTS, write_study

HERE = "http://127.0.0.1:8800"


@pytest.fixture(scope="module")
def study(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    write_corpus(tiny_folder.parent / "corpus.jsonl")
    found = run_study(small_spec(tiny_folder), tmp_path_factory.mktemp("server") / "tiny", progress=False)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def client(study: Study, tmp_path_factory: pytest.TempPathFactory) -> TestClient:
    toy = write_study(tmp_path_factory.mktemp("server") / "toy")
    return TestClient(app([study.folder, toy]), base_url=HERE, raise_server_exceptions=False)


def get(client: TestClient, path: str, **query: Any) -> Any:
    answer = client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_every_endpoint_answers_as_it_is_described(client: TestClient, study: Study) -> None:
    from pydantic import TypeAdapter

    name = unit_list(study).units[0].unit
    asked: dict[str, dict[str, Any]] = {
        "distribution": {"score": study.ranked_by}, "unit": {"unit": name}, "windows": {"unit": name},
        "compare": {"a": "tiny", "b": "tiny"}, "try": {"unit": name, "text": "the lazy fox jumps"},
        "score": {"unit": name, "hypothesis": 'token(" the")'},
        "neighbours": {"unit": name}, "output": {"unit": name},
        "evidence": {"unit": name, "method": "token-list", "score": study.ranked_by},
        "strongest": {"site": "mlp.0", "text": "the lazy fox jumps", "at": 2}, "experiment": {"number": 1},
        "listing": {"unit": name, "list": "starred"},
        "steer": {"unit": name, "text": "the lazy fox", "tokens": 3},
    }  # fmt: skip
    with adding(study) as more:
        more.experiment("texts", {"texts": ["a cat"]})
    for endpoint in ENDPOINTS:
        if endpoint.path.endswith(("/meaning", "/scene", "/task", "/draw", "/answers")):  # in tests of their own
            continue
        path, given_ = endpoint.path.replace("{study}", "tiny"), asked.get(endpoint.path.rpartition("/")[2], {})
        answer = client.get(path, params=given_) if endpoint.method == "GET" else client.post(path, json=given_)
        assert answer.status_code == 200, (path, answer.text)
        TypeAdapter(endpoint.answer).validate_json(answer.content)


def test_the_first_page_says_which_studies_there_are_and_stays_inert(tmp_path: Path) -> None:
    folder = write_study(tmp_path / "hostile")
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "subject": "</script><b>bold</b>"}))
    client = TestClient(app([folder]), base_url=HERE, raise_server_exceptions=False)
    page = client.get("/").text
    held = re.findall(r'<script type="application/json" id="studies">(.*?)</script>', page)
    assert json.loads(held[0]) == get(client, "/api/studies") and len(held) == 1
    assert "<b>" not in page and json.loads(held[0])[0]["subject"] == "</script><b>bold</b>"


def test_its_own_text_and_explanation_are_tried(client: TestClient, study: Study) -> None:
    name = unit_list(study).units[0].unit
    tried = client.post("/api/studies/tiny/try", json={"unit": name, "text": "the fox"}).json()
    assert "".join(tried["pieces"]).endswith("the fox")
    assert len(tried["window"]["true"]) == len(tried["window"]["predicted"]) == len(tried["pieces"])
    at = max(range(1, len(tried["pieces"])), key=lambda i: tried["window"]["true"][i])
    strong = client.post("/api/studies/tiny/strongest", json={"site": "mlp.0", "text": "the fox", "at": at}).json()
    assert [one["activation"] for one in strong] == sorted((one["activation"] for one in strong), reverse=True)
    known = [one for one in strong if one["maximum"] is not None]
    assert all(one["explanation"] for one in known) and len(strong) == 10
    too_far = {"site": "mlp.0", "text": "the fox", "at": 99}
    assert client.post("/api/studies/tiny/strongest", json=too_far).status_code == 400
    scored = client.post("/api/studies/tiny/score", json={"unit": name, "hypothesis": 'token(" the")'}).json()
    assert scored["summary"].startswith(study.names()[0].rpartition("/")[0].rpartition("/")[0])
    assert {score["name"] for score in scored["scores"]} >= {"correlation.random-only"}
    wrong = client.post("/api/studies/tiny/score", json={"unit": name, "hypothesis": "token(", "words": False})
    assert wrong.status_code == 400 and wrong.json()["error"]


def test_units_are_found_by_meaning(tmp_path: Path, minilm: Any) -> None:
    folder = write_study(tmp_path / "s")
    client = TestClient(app([folder]), base_url=HERE, raise_server_exceptions=False)
    for text, unit in (("kitten", "mlp.0/1"), ("to retain something", "mlp.0/3")):
        found = get(client, "/api/studies/s/meaning", text=text)
        assert found["units"][0]["unit"] == unit
        assert found["cosine"] == sorted(found["cosine"], reverse=True) and len(found["units"]) == 2
    assert client.get("/api/studies/s/meaning", params={"text": "  "}).status_code == 400


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/api/studies/nowhere", 404),
        ("/api/studies/tiny/unit?unit=mlp.0/999999", 404),
        ("/api/studies/tiny/unit", 400),
        ("/api/studies/tiny/units?limit=1000", 400),
        ("/api/studies/tiny/experiment?number=77", 404),
        ("/api/studies/tiny/experiments?limit=1000", 400),
        ("/api/studies/tiny/units?after=x", 400),
        ("/api/studies/tiny/units?score_from=nan", 400),
        ("/api/studies/tiny/units?words=%21%3F", 400),
        ("/api/studies/tiny/units?secret=1", 400),
        ("/api/studies/tiny/distribution?score=none", 400),
        ("/api/studies/tiny/points?x=height", 400),
        ("/api/studies/toy/windows?unit=mlp.0/1", 400),
        ("/api/compare?a=tiny&b=nowhere", 404),
        ("/../../etc/passwd", 404),
        ("/api/studies/..%2f..%2fetc/unit?unit=1", 404),
        ("/app.js/../manifest.json", 404),
        ("/study.sqlite", 404),
    ],
)
def test_what_cannot_be_answered_says_why(client: TestClient, path: str, code: int) -> None:
    answer = client.get(path)
    assert answer.status_code == code, answer.text
    assert "Traceback" not in answer.text


def test_every_answer_carries_a_strict_policy(client: TestClient) -> None:
    for path in ("/", "/app.js", "/app.css", "/api/docs", "/api/openapi.json", "/api/studies", "/nothing"):
        headers = client.get(path).headers
        assert "script-src 'self'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
    page = client.get("/").text
    assert "<script>" not in page and "<style>" not in page and "style=" not in page


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": "evil.example:8800"},
        {"host": "127.0.0.1.evil.example"},
        {"host": ""},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
        {"sec-fetch-site": "cross-site"},
    ],
)
def test_other_hosts_and_pages_are_refused(client: TestClient, headers: dict[str, str]) -> None:
    for answer in (
        client.get("/api/studies", headers=headers),
        client.post("/api/studies/tiny/try", headers=headers, json={"unit": "1", "text": "a"}),
    ):
        assert answer.status_code == 403


def test_a_link_from_elsewhere_may_be_followed(client: TestClient) -> None:
    followed = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert client.get("/", headers=followed).status_code == 200
    assert client.post("/api/studies/tiny/try", headers=followed, json={}).status_code == 403


def test_large_bodies_and_other_types_are_refused(client: TestClient) -> None:
    path = "/api/studies/tiny/try"
    assert client.post(path, json={"unit": "1", "text": "a" * LARGEST_BODY}).status_code == 413
    chunks = (b"a" * 10_000 for _ in range(LARGEST_BODY // 10_000 + 1))  # of no declared length
    assert client.post(path, content=chunks, headers={"content-type": "application/json"}).status_code == 413
    assert client.post(path, data={"unit": "1", "text": "a"}).status_code == 400
    assert client.post(path, content=b"{", headers={"content-type": "application/json"}).status_code == 400
    assert client.post(path, json={"unit": "mlp.0/1", "text": ""}).status_code == 400
    assert client.post(path, json={"unit": "mlp.0/1", "text": "a" * 20_001}).status_code == 400
    assert client.delete("/api/studies").status_code == 405


def test_elsewhere_a_token_is_needed(study: Study) -> None:
    served = app([study.folder], host="0.0.0.0", token="open-sesame")
    client = TestClient(served, base_url="http://192.0.2.7:8800", follow_redirects=False)
    assert client.get("/").status_code == client.get("/api/studies").status_code == 403
    assert client.get("/api/studies", headers={"authorization": "Bearer wrong"}).status_code == 403
    assert client.get("/api/studies", headers={"authorization": "Bearer open-sesame"}).status_code == 200
    opened = client.get("/?token=open-sesame")
    assert (opened.status_code, opened.headers["location"]) == (303, "/")
    assert "HttpOnly" in opened.headers["set-cookie"] and "SameSite=strict" in opened.headers["set-cookie"]
    assert client.get("/api/studies").status_code == 200  # with the cookie
    for token in (None, "", "short", "with space", "päßword!", "a;b=c,d-e"):
        with pytest.raises(UserError, match="token"):
            app([study.folder], host="0.0.0.0", token=token)
    with pytest.raises(UserError, match="bad token"):
        app([study.folder], token="")


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("[::1]", True), ("0.0.0.0", False), ("a.b", False)],
)
def test_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) == expected


def test_the_description_is_complete(client: TestClient) -> None:
    described = client.get("/api/openapi.json").json()
    assert described == json.loads(json.dumps(openapi()))
    assert {path for path in described["paths"]} == {endpoint.path for endpoint in ENDPOINTS}
    references = set(_references(described))
    assert references and all(name in described["components"]["schemas"] for name in references)
    page = client.get("/api/docs").text
    assert all(path in page for path in described["paths"])
    assert len({own["operationId"] for one in described["paths"].values() for own in one.values()}) == len(ENDPOINTS)


def _references(value: Any) -> Any:
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"].rpartition("/")[2]
        for one in value.values():
            yield from _references(one)
    elif isinstance(value, list):
        for one in value:
            yield from _references(one)


TEXTS = st.one_of(st.text(max_size=30), st.integers().map(str), st.floats().map(str), st.sampled_from(
    ["mlp.0/1", "best", "correlation.random-only", "tiny", "token-list", "\x00", "' OR 1=1 --", "%", "("]))  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_request_is_a_mistake_of_the_server(client: TestClient, data: st.DataObject) -> None:
    """Every parameter of every GET endpoint with any text."""
    quick = [one for one in ENDPOINTS if one.method == "GET" and not one.path.endswith("/meaning")]
    endpoint = data.draw(st.sampled_from(quick))
    path = endpoint.path.replace("{study}", data.draw(st.sampled_from(["tiny", "toy"])))
    query = {
        name: data.draw(TEXTS)
        for name in endpoint.given.__dataclass_fields__
        if data.draw(st.booleans())
    }  # fmt: skip
    assert client.get(path, params=query).status_code in (200, 400, 404), (path, query)


VALUES = st.one_of(
    TEXTS, st.none(), st.booleans(), st.integers(-3, 2**60), st.floats(), st.lists(st.integers(), max_size=2)
)


def drawn_from(schema: dict[str, Any], parts: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values that a schema of the description allows, and now and then some that it does not."""
    if "$ref" in schema:
        return drawn_from(parts[schema["$ref"].rpartition("/")[2]], parts)
    if "anyOf" in schema:
        return st.one_of([drawn_from(one, parts) for one in schema["anyOf"]])
    if "enum" in schema or "const" in schema:
        return st.sampled_from(schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "object" and "properties" in schema:
        needed = {name: drawn_from(schema["properties"][name], parts) for name in schema.get("required", ())}
        rest = {name: drawn_from(one, parts) for name, one in schema["properties"].items() if name not in needed}
        return st.fixed_dictionaries(needed, optional=rest)
    whole = st.integers(max(-5, schema.get("minimum", -5)), min(9, schema.get("maximum", 9)))
    kinds = {"string": TEXTS, "boolean": st.booleans(), "integer": whole, "number": st.floats(-2, 2), "null": st.none()}
    return st.one_of(kinds.get(schema.get("type", ""), VALUES), kinds.get(schema.get("type", ""), VALUES), VALUES)


@pytest.mark.slow
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_body_is_a_mistake_of_the_server(client: TestClient, data: st.DataObject) -> None:
    """Every POST endpoint with bodies drawn from its description, right ones and wrong ones."""
    described = openapi()
    posts = [(path, one["post"]) for path, one in described["paths"].items() if "post" in one]
    path, own = data.draw(st.sampled_from(posts))
    schema = own["requestBody"]["content"]["application/json"]["schema"]
    body = data.draw(st.one_of(drawn_from(schema, described["components"]["schemas"]), VALUES))
    content = json.dumps(body).encode("utf-8", "surrogatepass")
    answer = client.post(path.replace("{study}", data.draw(st.sampled_from(["tiny", "toy"]))), content=content,
                         headers={"content-type": "application/json"})  # fmt: skip
    assert answer.status_code in (200, 400, 404), (path, body, answer.text)
    assert str(answer.status_code) in own["responses"]


def test_lists_of_units_are_kept_with_the_study(tmp_path: Path) -> None:
    """Two servers write into the same lists, and what one wrote the other shows."""
    folder = write_study(tmp_path / "s")
    first, second = (TestClient(app([folder]), base_url=HERE, raise_server_exceptions=False) for _ in range(2))
    wrong: list[Any] = []

    def star(client: TestClient, names: list[str]) -> None:
        for round_ in range(10):
            for name in names:
                answer = client.post("/api/studies/s/listing", json={"unit": name, "list": f"list {round_}"})
                wrong.extend([] if answer.status_code == 200 else [answer.text])

    threads = [
        threading.Thread(target=star, args=pair)
        for pair in ((first, ["mlp.0/1"]), (second, ["mlp.0/3"]), (second, ["mlp.0/2-"]))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    lists = get(first, "/api/studies/s/lists")["lists"]
    assert len(lists) == 10 and all(sorted(units) == ["mlp.0/1", "mlp.0/2-", "mlp.0/3"] for units in lists.values())
    found = get(second, "/api/studies/s/units", list="list 3")
    assert found["total"] == 3 and [one["unit"] for one in found["units"]] == ["mlp.0/1", "mlp.0/2-", "mlp.0/3"]
    assert get(second, "/api/studies/s/units", list="list 3", words="purring")["total"] == 1
    assert get(second, "/api/studies/s/units", list="nothing")["total"] == 0
    out = {"unit": "mlp.0/1", "list": "list 3", "inside": False}
    assert sorted(first.post("/api/studies/s/listing", json=out).json()["lists"]["list 3"]) == ["mlp.0/2-", "mlp.0/3"]
    assert get(second, "/api/studies/s/units", list="list 3")["total"] == 2
    for name in ("", "  ", "a" * 61, "\u202e"):
        assert first.post("/api/studies/s/listing", json={"unit": "mlp.0/1", "list": name}).status_code == 400
    write_study(folder, RESULTS[:1])  # the study was run again: the lists are there, without units that are gone
    assert get(first, "/api/studies/s/lists")["lists"]["list 4"] == ["mlp.0/1"]
    (folder / "lists.json").write_text('{"a": 1}')
    assert first.get("/api/studies/s/lists").status_code == 400


def test_comparisons_are_made_once_for_each_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from glossator.explorer import library as opened

    folder, made = write_study(tmp_path / "s"), list[Any]()
    compare = opened.compare
    monkeypatch.setattr(opened, "compare", lambda *given: made.append(given) or compare(*given))
    client = TestClient(app([folder]), base_url=HERE)
    first = [get(client, "/api/compare", a="s", b="s") for _ in range(3)]
    assert first[0] == first[1] == first[2] and len(made) == 1
    with open_study(folder) as study:
        add_scores(study, [(RESULTS[0].unit, "token-list", Score("new", 0.25, "fraction"))])
    get(client, "/api/compare", a="s", b="s")
    assert len(made) == 2


def test_what_is_added_is_seen_and_a_new_file_is_opened(tmp_path: Path) -> None:
    folder = write_study(tmp_path / "s")
    client = TestClient(app([folder]), base_url=HERE)
    before = get(client, "/api/studies/s/unit", unit="mlp.0/1")
    with open_study(folder) as study:
        add_scores(study, [(RESULTS[0].unit, "token-list", Score("new", 0.25, "fraction"))])
    after = get(client, "/api/studies/s/unit", unit="mlp.0/1")
    assert len(after["explanations"][0]["scores"]) == len(before["explanations"][0]["scores"]) + 1
    write_study(tmp_path / "s", RESULTS[:1])  # as when a study has been run again
    assert get(client, "/api/studies")[0]["units"] == 1


def test_pages_are_of_one_state_while_a_study_is_written(tmp_path: Path) -> None:
    folder, wrong, ended = write_study(tmp_path / "s"), list[Any](), threading.Event()
    clients = [TestClient(app([folder]), base_url=HERE, raise_server_exceptions=False) for _ in range(2)]

    def read(client: TestClient) -> None:
        while not ended.is_set():
            answer = client.get("/api/studies/s/unit", params={"unit": "mlp.0/1"})
            names = (
                [s["name"] for s in answer.json()["explanations"][0]["scores"]] if answer.status_code == 200 else None
            )
            # a and b are added together
            if answer.status_code not in (200, 503) or (names and ("a0" in names) != ("b0" in names)):
                wrong.append(answer.text)

    threads = [threading.Thread(target=read, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    try:
        for number in range(5):
            with open_study(folder) as study:
                scores = [Score(f"{name}{number}", 0.5, "fraction") for name in ("a", "b")]
                add_scores(study, [(RESULTS[0].unit, "token-list", score) for score in scores])
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert wrong == []
    names = [s["name"] for s in get(clients[0], "/api/studies/s/unit", unit="mlp.0/1")["explanations"][0]["scores"]]
    assert {"a4", "b4"} <= set(names)


@pytest.mark.slow
def test_two_servers_and_a_writer_do_a_study_no_harm(study: Study, tmp_path: Path) -> None:
    """Three processes: while two serve, one adds to the study; what each is asked it answers
    from one state, both write into its lists, and in the end every file fits its checksum."""
    folder = Path(shutil.copytree(study.folder, tmp_path / "tiny"))
    name, rounds, wrong = unit_list(study).units[0].unit, 40, list[Any]()
    serve = [sys.executable, "-u", "-m", "glossator", "serve", str(folder), "--port", "0"]
    writer = [sys.executable, "-c", WRITER, str(folder), name, str(rounds)]
    with (
        subprocess.Popen(serve, stdout=subprocess.PIPE, text=True) as first,
        subprocess.Popen(serve, stdout=subprocess.PIPE, text=True) as second,
        ExitStack() as opened,
    ):
        try:
            addresses = []
            for server in (first, second):
                assert server.stdout is not None
                addresses.append(server.stdout.readline().split()[0])
            clients = [opened.enter_context(httpx2.Client(base_url=one, timeout=60)) for one in addresses]
            with subprocess.Popen(writer) as writing:
                asked = 0
                while writing.poll() is None:
                    for number, client in enumerate(clients):
                        page = client.get("api/studies/tiny/unit", params={"unit": name})
                        names = [s["name"] for s in page.json()["explanations"][0]["scores"]] if page.is_success else []
                        pairs = [(f"a{i}" in names) == (f"b{i}" in names) for i in range(rounds)]
                        put = client.post(
                            "api/studies/tiny/listing", json={"unit": name, "list": f"{number}-{asked % 9}"}
                        )
                        others = [client.get(f"api/studies/tiny{path}") for path in ("", "/units", "/agreement")]
                        codes = {one.status_code for one in (page, put, *others)}
                        if not codes <= {200, 503} or not all(pairs):
                            wrong.append((codes, names))
                    asked += 1
                assert writing.returncode == 0 and asked > 3
            assert wrong == []
            for client in clients:  # both show the last state, and what the other one wrote
                page = client.get("api/studies/tiny/unit", params={"unit": name}).json()
                assert {f"a{rounds - 1}", f"b{rounds - 1}"} <= {s["name"] for s in page["explanations"][0]["scores"]}
                lists = client.get("api/studies/tiny/lists").json()["lists"]
                assert {*lists} - {"starred"} == {f"{number}-{i}" for number in (0, 1) for i in range(min(asked, 9))}
        finally:
            first.terminate()
            second.terminate()
    assert main(["verify", str(folder)]) == 0


WRITER = """
import sys
from glossator.scores import Score
from glossator.store.adding import add_scores
from glossator.store.study import open_study, unit_of

folder, name, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
for number in range(rounds):
    with open_study(folder) as study:
        unit = unit_of(study, name)
        add_scores(study, [(unit, "token-list", Score(f"{one}{number}", 0.5, "fraction")) for one in ("a", "b")])
"""


def test_studies_have_names_of_their_own(tmp_path: Path) -> None:
    folders = [write_study(tmp_path / one / "s t/compare"[i:]) for i, one in enumerate("ab")]
    library = Library([write_study(tmp_path / "a" / "x y"), write_study(tmp_path / "b" / "x y"), folders[0]])
    assert [*library.studies] == ["x-y", "x-y-2", "compare-2"]
    assert isinstance(library["x-y"], OpenedStudy)


def test_a_folder_of_studies_is_all_of_them(tmp_path: Path) -> None:
    from glossator.store.find import studies_named

    some = [write_study(tmp_path / "all" / name) for name in ("a", "b/deep")]
    alone = write_study(tmp_path / "alone")
    for folder in some:
        (folder / "spec.json").write_text('{"subject": "toy", "sites": [], "explainers": []}')
    assert {*studies_named([tmp_path / "all"])} == {*some}
    assert studies_named([alone, some[0], tmp_path / "all"])[:2] == [alone, some[0]]
    assert len(studies_named([alone, some[0], tmp_path / "all"])) == 3
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no finished study here"):
        studies_named([tmp_path / "empty"])


def test_a_port_in_use_is_a_user_error(study: Study) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert main(["serve", str(study.folder), "--port", str(taken.getsockname()[1])]) == 2
    assert main(["serve", str(study.folder.parent / "none")]) == 2
