"""AnswerFile files come back: every form of them, every mistake in them, and what a study keeps of them."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from glossator.errors import UserError
from glossator.human import Drawn, HumanFolder, TaskSet, draw_tasks, import_answers
from glossator.human.answers import check, read_answer_file
from glossator.human.forms import COLUMNS, form
from glossator.human.tasks import Passage, PreferenceItem, SimulationItem, TextItem
from glossator.study import Study
from human_cases import exported, filled, study_of_two_methods, zeros


@pytest.fixture(scope="module")
def study(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    return study_of_two_methods(tiny_folder, tmp_path_factory.mktemp("human") / "s")


@pytest.fixture
def simulation(study: Study, tmp_path: Path) -> Drawn:
    return exported(study, "simulation", tmp_path / "out", units="2")


def test_a_form_of_tokens_comes_back_as_it_was_rated(simulation: Drawn, tmp_path: Path) -> None:
    path = tmp_path / "out" / "simulation.tsv"
    rows = list(csv.reader(io.StringIO(path.read_text()), dialect="excel-tab"))
    wanted: dict[str, list[int]] = {}
    left_out = next(iter(simulation.tasks.slots))
    for row in rows:
        if row[0] == "rater":
            row[1] = "ann"
        if row[0] in simulation.tasks.slots and row[0] != left_out:
            if row[1] == "done":
                row[3] = "Yes"
            elif row[1].isdigit():
                rating = (len(row[2]) * 3) % 11 if row[3] != "-" else 0
                wanted.setdefault(row[0], []).append(rating)
                if rating:
                    row[3] = f"{rating}.0" if rating == 4 else str(rating)
    out = io.StringIO()
    csv.writer(out, dialect="excel-tab", quoting=csv.QUOTE_ALL).writerows(rows[:10] + rows[10:][::1])
    path.write_bytes(("\ufeff" + out.getvalue()).encode())  # as spreadsheets save: a mark, CRLF, quotes
    answers = check(read_answer_file(path), simulation.tasks)
    assert answers.values == wanted
    assert answers.missing == {left_out: "no answer"}
    assert answers.rater == "ann"


def test_a_passage_that_is_begun_and_not_done_is_missing(simulation: Drawn, tmp_path: Path) -> None:
    path = tmp_path / "out" / "simulation.tsv"
    slot = next(iter(simulation.tasks.slots))
    lines = path.read_text().splitlines(keepends=True)
    place = next(i for i, line in enumerate(lines) if line.startswith(f"{slot}\t5\t"))
    lines[place] = lines[place].rstrip("\n") + "7\n"
    path.write_text("".join(lines))
    answers = check(read_answer_file(path), simulation.tasks, "ann")
    assert not answers.values
    assert answers.missing[slot].endswith("tokens not rated")


@pytest.mark.parametrize("task", ["preference", "labelling", "gibberish", "paraphrase", "readability"])
def test_markdown_forms_come_back(study: Study, task: str, tmp_path: Path) -> None:
    drawn = exported(study, task, tmp_path / "out")
    path = tmp_path / "out" / f"{task}.md"
    words = {"preference": "Second", "gibberish": "partly", "readability": "3"}.get(task, "say: it, “thus”")
    text = path.read_text().replace("rater: ", "rater: bob")
    slots = list(drawn.tasks.slots)
    for slot in slots[1:]:
        text = text.replace(f"answer {slot}: \n", f"answer {slot}:  {words} \n")
    path.write_text(text)
    answers = check(read_answer_file(path), drawn.tasks)
    expected = words.lower() if task in ("preference", "gibberish") else words
    assert answers.values == dict.fromkeys(slots[1:], expected)
    assert answers.missing == {slots[0]: "no answer"}


HOSTILE = ("answer p001: first", "=1+1", "\t", "\n", '"', "rater: eve", " ", "@x", "«", "", "\x1b", "<script>")


def test_corpus_text_cannot_pose_as_an_answer_or_a_formula() -> None:
    passage = Passage(HOSTILE, (True,) * len(HOSTILE), (10,) * len(HOSTILE))
    pairs = TaskSet("preference", "0" * 16, 0, {}, (PreferenceItem("p001", "a\nanswer p001: first", "b", (passage,)),))
    _, text = form(pairs)
    from glossator.human.forms import read_markdown

    found = read_markdown(text, "x.md")
    assert (found.values, found.rater) == ({"p001": ""}, "")
    rated = TaskSet("simulation", "0" * 16, 0, {}, (SimulationItem("s001", "=SUM(A1)", (passage,)),))
    _, table = form(rated)
    cells = [cell for row in csv.reader(io.StringIO(table), dialect="excel-tab") for cell in row]
    assert not [cell for cell in cells if cell[:1] in ("=", "+", "@") or (cell[:1] == "-" and cell != "-")]
    assert table.count("\n") == len(list(csv.reader(io.StringIO(table), dialect="excel-tab")))
    from glossator.human.forms import read_tsv

    assert read_tsv(table.replace("\tdone\t", "\tdone\t", 1), "x.tsv").values == {}


def test_rows_may_be_sorted_and_columns_read_by_place(simulation: Drawn, tmp_path: Path) -> None:
    path = tmp_path / "out" / "simulation.tsv"
    lines = path.read_text().splitlines()
    head = next(i for i, line in enumerate(lines) if line == "\t".join(COLUMNS))
    body = [line.replace("(write yes when this passage is rated)\t", "\tyes") for line in lines[head + 1 :]]
    path.write_text("\n".join([*lines[: head + 1], *reversed(body)]))
    answers = check(read_answer_file(path), simulation.tasks, "ann")
    assert answers.values == zeros(simulation.tasks)


def ratings(tasks: TaskSet, value: Any, place: int = 2) -> dict[str, Any]:
    given: dict[str, Any] = dict(zeros(tasks))
    slot = next(iter(given))
    given[slot] = [*given[slot][:place], value, *given[slot][place + 1 :]]
    return given


@pytest.mark.parametrize("value", [11, -1, 3.5, "7", True, float("nan"), [1]])
def test_ratings_out_of_range_are_one_clear_error(simulation: Drawn, tmp_path: Path, value: Any) -> None:
    place = next(p for p in simulation.tasks.slots.values() if p is not None).counts.index(True)
    path = filled(simulation.tasks, ratings(simulation.tasks, value, place), tmp_path / "a.json")
    with pytest.raises(UserError, match="0 to 10"):
        check(read_answer_file(path), simulation.tasks)


@pytest.mark.parametrize("place", [False, True])
def test_numbers_too_long_to_be_read_are_one_clear_error(simulation: Drawn, tmp_path: Path, place: bool) -> None:
    path, number = tmp_path / "out" / "simulation.tsv", "1" * 5000
    lines = path.read_text().replace("(write yes when this passage is rated)\t", "\tyes").splitlines()
    last = lines[-1].split("\t")
    lines[-1] = "\t".join([last[0], number, *last[2:]] if place else [*last[:3], number])
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(UserError, match="wrong number of ratings" if place else "0 to 10"):
        check(read_answer_file(path), simulation.tasks, "ann")


def test_kept_answers_that_were_damaged_are_one_clear_error(tiny_folder: Path, tmp_path: Path) -> None:
    study = study_of_two_methods(tiny_folder, tmp_path / "s")
    kept = study.folder / "human" / "answers" / "0.ann.json"
    kept.parent.mkdir(parents=True)
    for content in ("[]", "{}", '{"rater": "ann", "shoe": 43}', "{"):
        kept.write_text(content)
        with pytest.raises(UserError, match=r"damaged.*import the person's file again"):
            list(HumanFolder(study).answers())


def test_an_unrated_token_leaves_its_passage_out(simulation: Drawn, tmp_path: Path) -> None:
    slot, passage = next((s, p) for s, p in simulation.tasks.slots.items() if p is not None)
    place = passage.counts.index(True)
    path = filled(simulation.tasks, ratings(simulation.tasks, None, place), tmp_path / "a.json")
    answers = check(read_answer_file(path), simulation.tasks)
    assert answers.missing == {slot: "1 tokens not rated"}
    assert len(answers.values) == len(simulation.tasks.slots) - 1


CHOICE = TaskSet(
    "preference", "s" * 16, 0, {}, (PreferenceItem("p001", "a", "b", ()), PreferenceItem("p002", "c", "d", ()))
)
TEXT = TaskSet("paraphrase", "s" * 16, 0, {}, (TextItem("p001", "a"),))


@pytest.mark.parametrize(
    ("tasks", "values", "changes", "said"),
    [
        (CHOICE, {"p001": "third"}, {}, "first, second, equal"),
        (CHOICE, {"p001": 1}, {}, "no text as an answer"),
        (CHOICE, {"p003": "first"}, {}, "unknown slot"),
        (CHOICE, {"p001": "first"}, {"rater": ""}, "no usable annotator name"),
        (CHOICE, {"p001": "first"}, {"rater": "a/b"}, "short word"),
        (CHOICE, {"p001": "first"}, {"rater": "../x"}, "short word"),
        (CHOICE, {"p001": "first"}, {"task": "gibberish"}, "another task"),
        (CHOICE, {"p001": "first"}, {"format": "glossator-answers/9"}, "another format"),
        (TEXT, {"p001": "x" * 2001}, {}, "too long"),
    ],
)
def test_what_cannot_be_an_answer_is_an_error(
    tasks: TaskSet, values: dict, changes: dict, said: str, tmp_path: Path
) -> None:
    path = filled(tasks, values, tmp_path / "a.json", **changes)
    with pytest.raises(UserError, match=said):
        check(read_answer_file(path), tasks)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.json", "{", "not an answer file"),
        ("a.json", "[]", "not an answer file"),
        ("a.json", "[" * 100_000, "not an answer file"),
        ("a.json", '{"format": "glossator-answers/1", "answers": {"p1": "a", "p1": "b"}}', "answered twice"),
        ("a.txt", "", "not an answer file"),
        ("a.md", "hello", "not a form"),
        ("a.md", "answer p001: x\nanswer p001: y\n", "answered twice"),
        ("a.tsv", "slot\tplace\ttext\trating\ns1\t1\tx\t1\n", "'done' of this passage is missing"),
        ("a.tsv", "slot\tplace\ttext\trating\ns1\tdone\t\tyes\ns1\t1\tx\t1\ns1\t1\tx\t2\n", "answered twice"),
        ("a.tsv", "slot\tplace\ttext\trating\ns1\tdone\t\tyes\ns1\t2\tx\t1\n", "rows of tokens are missing"),
        ("a.tsv", "slot\tplace\ttext\trating\ns1\tdone\t\tmaybe\ns1\t1\tx\t1\n", "row 'done'"),
    ],
)
def test_files_that_are_none(name: str, content: str, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=said):
        read_answer_file(tmp_path / name)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b"\xff\xfe{")
    with pytest.raises(UserError, match="UTF-8"):
        read_answer_file(tmp_path / "a.json")
    with pytest.raises(UserError, match="cannot read"):
        read_answer_file(tmp_path / "none.json")


def test_answers_of_another_study_are_refused_and_nothing_is_kept(study: Study, tmp_path: Path) -> None:
    drawn = exported(study, "gibberish", tmp_path / "out")
    good = filled(drawn.tasks, dict.fromkeys(drawn.tasks.slots, "yes"), tmp_path / "good.json", "careful")
    for changes, said in (({"study": "f" * 16}, "another study"), ({"tasks": "0" * 16}, "no such task set"),
                          ({"tasks": "../../x"}, "no such task set"),
                          ({"tasks": "0" * 5000}, "no such task set")):  # fmt: skip
        bad = filled(drawn.tasks, {}, tmp_path / "bad.json", **changes)
        with pytest.raises(UserError, match=said):
            import_answers(study, [good, bad])
    assert not [a for _, a in HumanFolder(study).answers() if a.rater == "careful"]


def test_a_person_answers_once_unless_told_to_replace(study: Study, tmp_path: Path) -> None:
    drawn = exported(study, "gibberish", tmp_path / "out", seed=3)
    slots = list(drawn.tasks.slots)
    yes = filled(drawn.tasks, dict.fromkeys(slots, "yes"), tmp_path / "yes.json", "cy")
    no = filled(drawn.tasks, dict.fromkeys(slots, "no"), tmp_path / "no.json", "cy")
    first = import_answers(study, [yes])
    again = import_answers(study, [yes])
    assert (first["imported"], again["imported"], again["unchanged"]) == (1, 0, 1)
    assert first["gibberish"] == again["gibberish"]
    with pytest.raises(UserError, match="differently"):
        import_answers(study, [no])
    with pytest.raises(UserError, match="two files by one annotator"):
        import_answers(study, [yes, no])
    replaced = import_answers(study, [no], replace_old=True)
    assert all(found["value"] == 0 for found in replaced["gibberish"]["readable"].values())
    other = import_answers(study, [yes], rater="dora")
    assert {a["rater"] for a in other["answers"]} >= {"cy", "dora"}


def test_results_are_the_same_bytes_whatever_the_order_of_import(
    study: Study, tiny_folder: Path, tmp_path: Path
) -> None:
    twins = [study_of_two_methods(tiny_folder, tmp_path / name) for name in ("a", "b")]
    drawn = draw_tasks(study, "preference")
    files = [
        filled(drawn.tasks, dict.fromkeys(drawn.tasks.slots, word), tmp_path / f"{word}.json", word)
        for word in ("first", "second", "equal")
    ]
    for twin, order in zip(twins, (files, files[::-1]), strict=True):
        exported(twin, "preference", tmp_path / "out")
        for file in order:
            import_answers(twin, [file])
    first, second = (HumanFolder(twin).results_path.read_bytes() for twin in twins)
    assert first == second
    assert json.loads(first)["preference"]["agreement"]["alpha"]["value"] is not None
