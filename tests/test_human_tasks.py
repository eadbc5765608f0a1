"""What people are given: the same for the same seed, complete, and with nothing in it that gives the answer away."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest

from explorer_cases import Elements
from glossator.errors import UserError
from glossator.evidence import Evidence, Exemplars, Split
from glossator.human import TASKS, HumanFolder, draw_tasks, export_tasks
from glossator.human.sources import PLACEBO
from glossator.human.tasks import from_plain, to_plain
from glossator.study import Study
from glossator.study.context import StudyContext
from glossator.units import parse_unit
from human_cases import exported, study_of_two_methods

METHODS = ("token-list", "lookup", PLACEBO, "scrambled")


@pytest.fixture(scope="module")
def study(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    return study_of_two_methods(tiny_folder, tmp_path_factory.mktemp("human") / "s")


@pytest.mark.parametrize("task", TASKS)
def test_the_same_seed_gives_the_same_bytes_and_another_one_others(study: Study, task: str, tmp_path: Path) -> None:
    first, again, other = (
        exported(study, task, tmp_path / name, seed=seed) for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    names = sorted(p.name for p in (tmp_path / "a").iterdir())
    assert len(names) == 3
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert first == again
    assert first.tasks.id != other.tasks.id


@pytest.mark.parametrize("task", TASKS)
def test_no_file_says_which_unit_or_method_is_behind_an_item(study: Study, task: str, tmp_path: Path) -> None:
    exported(study, task, tmp_path / "out")
    for path in (tmp_path / "out").iterdir():
        text = path.read_text()
        for secret in (*METHODS, *study.names(), "mlp.0", "doc-1"):
            assert secret not in text, (secret, path.name)


def test_every_item_has_its_key_in_the_study_alone(study: Study, tmp_path: Path) -> None:
    drawn = exported(study, "preference", tmp_path / "out")
    key = HumanFolder(study).key(drawn.tasks)
    assert list(key) == [item.id for item in drawn.tasks.items]
    assert not list((tmp_path / "out").glob("*key*"))
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert (manifest["id"], manifest["study"], manifest["seed"]) == (drawn.tasks.id, drawn.tasks.study, 0)
    assert re.fullmatch("[0-9a-f]{64}", manifest["key_sha256"])


def test_simulation_files_do_not_depend_on_any_activation(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows with other activations (drawn in the same way) give the same bytes: the truth is not in them."""
    exported(study, "simulation", tmp_path / "true")
    rng, true = np.random.default_rng(0), Evidence.split

    def lying(evidence: Evidence, name: Split) -> Exemplars:
        found = true(evidence, name)
        return dataclasses.replace(found, activations=rng.random(found.activations.shape).astype(np.float32))

    monkeypatch.setattr(Evidence, "split", lying)
    exported(study, "simulation", tmp_path / "lies")
    for path in (tmp_path / "true").iterdir():
        assert path.read_bytes() == (tmp_path / "lies" / path.name).read_bytes()


def test_simulation_passages_are_of_test_and_calibrate_and_labels_of_explain(study: Study) -> None:
    context = StudyContext.of(study.spec, study.recording)
    drawn = draw_tasks(study, "simulation", units="all")
    for item in drawn.tasks.items:
        key = drawn.key.items[item.id]
        evidence = context.evidence(parse_unit(key["unit"]))
        ids = {
            "test": set(evidence.test.windows.ids.tolist()),
            "calibrate": set(evidence.calibrate.windows.ids.tolist()),
        }
        assert {w["split"] for w in key["windows"]} == {"test", "calibrate"}
        assert all(w["window"] in ids[w["split"]] for w in key["windows"])
        assert all(w["top"] or w["random"] for w in key["windows"])
        assert all(passage.levels is None for passage in item.passages)
    vocabulary = study.recording.vocabulary
    from glossator.terminal import visible

    labelling = draw_tasks(study, "labelling")
    for item in labelling.tasks.items:
        seen = context.evidence(parse_unit(labelling.key.items[item.id]["unit"])).explain.exemplars.windows
        texts = {
            tuple(visible(vocabulary.texts[t]) for t in seen.tokens[row, : seen.lengths[row]])
            for row in range(len(seen))
        }
        assert {passage.tokens for passage in item.passages} <= texts
        assert max(max(passage.levels) for passage in item.passages) == 10


def test_preference_shows_the_select_split(study: Study) -> None:
    from glossator.terminal import visible

    context, vocabulary = StudyContext.of(study.spec, study.recording), study.recording.vocabulary
    drawn = draw_tasks(study, "preference")
    for item in drawn.tasks.items:
        unit = parse_unit(drawn.key.items[item.id]["unit"])
        seen = context.evidence(unit).select.windows
        texts = {
            tuple(visible(vocabulary.texts[t]) for t in seen.tokens[row, : seen.lengths[row]])
            for row in range(len(seen))
        }
        assert {passage.tokens for passage in item.passages} <= texts


def test_pairs_are_shown_in_both_orders_and_hold_the_placebo(study: Study) -> None:
    shown = [draw_tasks(study, "preference", units="all", seed=seed) for seed in range(3)]
    pairs = [(key["first"], key["second"]) for drawn in shown for key in drawn.key.items.values()]
    assert {frozenset(p) for p in pairs} == {
        frozenset(p) for p in (("token-list", "lookup"), ("token-list", PLACEBO), ("lookup", PLACEBO))
    }
    for a, b in (("token-list", "lookup"), ("token-list", PLACEBO)):
        assert {(a, b), (b, a)} <= set(pairs)
    for drawn in shown:
        for item in drawn.tasks.items:
            key = drawn.key.items[item.id]
            assert key["explanations"][key["first"]]["text"] == item.first != item.second


def test_the_placebo_is_another_units_explanation(study: Study) -> None:
    own = {str(r.unit): {e.text for e in r.explanations} for r in study.results()}
    drawn = draw_tasks(study, "preference", units="all")
    for key in drawn.key.items.values():
        if PLACEBO in key["explanations"]:
            text = key["explanations"][PLACEBO]["text"]
            assert text not in own[key["unit"]]
            assert any(text in texts for texts in own.values())


def test_scrambled_texts_keep_their_letters_and_lose_their_words(study: Study) -> None:
    drawn = draw_tasks(study, "gibberish", units="all")
    controls = [i for i in drawn.tasks.items if drawn.key.items[i.id]["method"] == "scrambled"]
    others = {i.text for i in drawn.tasks.items if i not in controls}
    assert controls
    for control in controls:
        assert control.text not in others
        assert any(sorted(control.text) == sorted(text) for text in others)


@pytest.mark.parametrize("task", TASKS)
def test_task_sets_survive_storing_and_notice_changes(study: Study, task: str) -> None:
    tasks = draw_tasks(study, task).tasks
    stored = json.loads(json.dumps(to_plain(tasks)))
    assert from_plain(stored) == tasks
    stored["seed"] += 1
    with pytest.raises(UserError, match="changed after its export"):
        from_plain(stored)


@pytest.mark.parametrize("task", TASKS)
def test_a_page_asks_no_network_and_obeys_no_text(study: Study, task: str, tmp_path: Path) -> None:
    exported(study, task, tmp_path / "out")
    page = (tmp_path / "out" / f"{task}.html").read_text()
    elements = Elements(page).found
    assert {tag for tag, _ in elements} & {"link", "img", "iframe", "object", "embed", "base", "form"} == set()
    for tag, attributes in elements:
        assert not {"src", "href"} & set(attributes), tag
        assert not [name for name in attributes if name.startswith("on")], tag
    (policy,) = [a["content"] for _, a in elements if a.get("http-equiv") == "Content-Security-Policy"]
    assert "default-src 'none'" in str(policy)
    assert page.count("</script>") == 2
    assert not re.findall(r"https?://", page)
    assert not {"\u2028", "\u202e", "\x1b"} & set(page)


@pytest.mark.parametrize(
    ("task", "options", "said"),
    [
        ("simulate", {}, "simulation"),
        ("simulation", {"units": "mlp.0/999999"}, "no such unit"),
        ("simulation", {"units": "600"}, "fewer units"),
        ("simulation", {"units": ","}, "units are missing"),
    ],
)
def test_bad_requests_are_refused(study: Study, task: str, options: dict, said: str) -> None:
    with pytest.raises(UserError, match=said):
        draw_tasks(study, task, **options)


def test_named_units_are_asked_about(study: Study) -> None:
    names = [str(r.unit) for r in study.results() if r.status == "ok"][:2]
    ends = ",".join(name.split("/", 1)[1] if "/" in name else name for name in names)
    drawn = draw_tasks(study, "simulation", units=ends.replace(str(study.manifest["subject"]) + "/", ""))
    assert sorted(key["unit"] for key in drawn.key.items.values()) == sorted(names)


def test_a_folder_holds_one_task_set_and_never_the_keys(study: Study, tmp_path: Path) -> None:
    exported(study, "gibberish", tmp_path / "out")
    with pytest.raises(UserError, match="holds another task set"):
        exported(study, "gibberish", tmp_path / "out", seed=1)
    with pytest.raises(UserError, match="holds the keys"):
        export_tasks(study, draw_tasks(study, "gibberish"), study.folder / "human" / "out")
