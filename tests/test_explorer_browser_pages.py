"""Pages of experiments in a browser, served and from the disk, on real small studies of texts and of images."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from explorer_cases import assert_legible, page_of, serving, until
from glossator.agents import FunctionUnderTest, Tools, Transcript, experiment
from glossator.agents.answers import Conclusion
from glossator.cli import main
from glossator.explorer.export import experiment_file, export_folder
from glossator.explorer.pages.lists import unit_list
from glossator.human.asking import Asking
from glossator.human.report import prepared_of
from glossator.human.tasks import TASKS
from glossator.study import Study, StudySpec, open_study, run_study
from study_cases import small_spec, write_corpus

WIDTHS, THEMES = (1280, 400), ("light", "dark")


@pytest.fixture(scope="module")
def texts(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Study]:
    """A study of a tiny random language model with two experiments on its best unit."""
    write_corpus(tiny_folder.parent / "corpus.jsonl")
    folder = tmp_path_factory.mktemp("pages") / "texts"
    spec = small_spec(tiny_folder, units=(1, 2, 4, 5, 6), explainers=("token-list", "lookup"), sites=("mlp.0",))
    study = run_study(spec, folder, progress=False)
    assert study is not None
    unit = unit_list(study).units[0].unit
    for seed in ("0", "1"):
        assert main(["agent", "--unit", f"{folder}#{unit}", "--inputs", "60", "--seed", seed]) == 0
    with open_study(folder) as opened:
        yield opened


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Study]:
    """A study of a small image model with an experiment on one of its units."""
    folder = tmp_path_factory.mktemp("pages") / "images"
    spec = StudySpec(subject="renders-cnn", sites=("layers",), units=(26, 53), corpus="renders:300")
    run_study(spec, folder, progress=False)
    assert main(["agent", "--unit", f"{folder}#layers/26", "--inputs", "80"]) == 0
    with open_study(folder) as opened:
        yield opened


def test_experiments_are_one_click_from_their_unit(chromium: Any, texts: Study, tmp_path: Path) -> None:
    unit = unit_list(texts).units[0].unit
    export_folder(texts, tmp_path / "out")
    with serving([texts.folder]) as address, page_of(chromium) as page:
        for base in (address, (tmp_path / "out" / "index.html").resolve().as_uri()):
            page.goto(f"{base}#/texts/unit/{unit}" if base == address else f"{base}#{unit}")
            page.wait_for_selector(".experimentlist a")
            assert page.locator(".experimentlist a").count() == 2
            page.click(".experimentlist a >> nth=1")
            page.wait_for_selector("article.hypothesis")
            assert "experiment" in page.url and page.locator("h1").inner_text().startswith(unit)
            page.keyboard.press("u")
            page.wait_for_selector(".experiments .experimentlist a")
            assert page.locator(".experimentlist a").count() == 2
            page.reload()
            page.wait_for_selector(".experiments .experimentlist a")


def test_the_page_that_an_experiment_leaves_opens_from_the_disk(chromium: Any, texts: Study) -> None:
    (first, *_) = sorted((texts.folder / "agent").glob("*.html"))
    with page_of(chromium) as page:
        page.goto(first.resolve().as_uri())
        page.wait_for_selector(".rounds .step")
        assert page.locator("a[href]").count() == 0  # it has nowhere to lead to


def test_hostile_texts_of_experiments_do_nothing(chromium: Any, tmp_path: Path) -> None:
    evil = "<img src=x onerror=document.title='owned'>\u202e</script><script>document.title='owned'</script>"
    texts = [f"{evil} {i}" for i in range(20)]
    transcript = Transcript()

    def policy(tools: Tools, conclusion: Conclusion) -> None:
        seen = tools.dataset_exemplars(3)
        tools.register_hypothesis(evil, program=evil)
        tools.log_experiment(evil)
        tools.edit_text([seen[0]["id"]], "img", "b")
        conclusion.headline, conclusion.limits = evil, [evil]

    unit = FunctionUnderTest(evil, "texts", lambda items: [float(len(text)) for text in items], texts)
    experiment(unit, policy=policy, transcript=transcript, question=evil)
    experiment_file(tmp_path / "evil.html", transcript.steps, {})
    with page_of(chromium) as page:
        page.goto((tmp_path / "evil.html").resolve().as_uri())
        page.wait_for_selector("article.hypothesis")
        assert page.title() != "owned"
        assert "\u202e" not in page.inner_text("body")
        assert page.locator("#app img, #app script").count() == 0


@pytest.mark.slow
def test_pictures_of_experiments_show_where_the_unit_was_active(chromium: Any, images: Study) -> None:
    with serving([images.folder]) as address, page_of(chromium) as page:
        page.goto(f"{address}#/images/experiments?unit=layers/26")
        page.click(".experimentlist a")
        page.wait_for_selector(".given .image img")
        until(lambda: page.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0)"))
        assert page.locator(".given .above").count() > 0
        page.locator(".given .image").first.hover()
        assert "response" in page.locator("#tip").inner_text()


def test_a_unit_is_steered_and_read(chromium: Any, texts: Study) -> None:
    unit = unit_list(texts).units[0].unit
    with serving([texts.folder]) as address, page_of(chromium) as page:
        page.goto(f"{address}#/texts/unit/{unit}")
        page.fill("#own-prompt", "the lazy <b>fox</b>")
        page.click("text=Steer and read")
        page.wait_for_selector(".steered section")
        told = page.locator(".steered h4").all_inner_texts()
        assert [one.split(" ")[0] for one in told] == ["unsteered", "pushed", "pushed", "random"]
        assert all("<b>fox</b>" in one for one in page.locator(".steered p").all_inner_texts())
        assert "steer=" in page.url
        page.reload()  # a link leads to the same
        page.wait_for_selector(".steered section")


def test_answers_go_back_to_the_study_or_into_a_file(chromium: Any, texts: Study, tmp_path: Path) -> None:
    with serving([texts.folder], annotated=prepared_of, asking=Asking()) as address, page_of(chromium) as page:
        page.goto(f"{address}#/texts/label?task=preference&units=2&seed=4")
        page.click("text=Draw it")
        page.wait_for_selector(".tasks .passage")
        assert "set=" in page.url
        assert not {"token-list", "lookup", "mlp.0"} & {*page.inner_text("main").split()}
        page.click("button.keyboard")
        page.get_by_label("single-character shortcuts").uncheck()
        page.click("dialog >> text=Close")
        page.locator("#screen").focus()
        page.keyboard.press("1")
        assert page.locator("[data-answer][aria-pressed=true]").count() == 0
        page.click("button.keyboard")
        page.get_by_label("single-character shortcuts").check()
        page.click("dialog >> text=Close")
        page.locator("#screen").focus()
        page.keyboard.press("1")
        page.keyboard.press("j")
        page.keyboard.press("2")
        page.fill("#rater", "ann")
        page.click("#save")
        page.wait_for_selector("#state:has-text('Kept in the study: 2 of')")
        page.click(".crumbs a")
        page.wait_for_selector("text=Human annotators")
    (answers,) = (texts.folder / "human" / "answers").glob("*.ann.json")
    assert [*json.loads(answers.read_text())["values"].values()] == ["first", "second"]

    assert main(["export", str(texts.folder), "--static", str(tmp_path / "out")]) == 0
    with page_of(chromium, accept_downloads=True) as page:
        page.goto((tmp_path / "out" / "index.html").resolve().as_uri() + "#/tiny/label")
        page.click(".label ul a")
        page.wait_for_selector(".tasks .passage")
        page.keyboard.press("0")
        page.fill("#rater", "bob")
        with page.expect_download() as saving:
            page.click("#save")
        saving.value.save_as(tmp_path / saving.value.suggested_filename)
    assert main(["human", "import", str(texts.folder), str(tmp_path / saving.value.suggested_filename)]) == 0
    assert [*(texts.folder / "human" / "answers").glob("*.bob.json")]


@pytest.mark.slow
def test_units_of_images_show_masks_and_are_run_on_scenes(chromium: Any, images: Study) -> None:
    with serving([images.folder]) as address, page_of(chromium) as page:
        page.goto(f"{address}#/images/unit/layers/26")
        page.wait_for_selector(".windows .masks .said .lit")
        assert page.locator(".windows .masks .true .lit").count() > 0
        page.locator(".windows .masks .cells span").first.hover()
        assert "row 1, column 1" in page.locator("#tip").inner_text()
        assert "true" in page.locator("#tip").inner_text() and "predicted" in page.locator("#tip").inner_text()
        page.locator(".windows figure").first.focus()
        assert "strongest at row" in page.locator("#tip").inner_text()
        page.get_by_label("plain images").check()
        until(lambda: page.locator(".windows .veil").count() == 0)
        assert page.locator("#own-text").count() == 0 and page.locator("#own-prompt").count() == 0
        page.fill("#own-scene", "a red dog on grass with a zork")
        page.click("text=Draw it and run the unit")
        page.wait_for_selector(".scene img")
        assert "zork" in page.locator(".live .caution").inner_text()
        first = page.locator(".scene img").first.get_attribute("src")
        page.click("text=Another with these words")
        until(lambda: page.locator(".scene img").first.get_attribute("src") != first)
        assert "scene=" in page.url and "seed=1" in page.url


def tasks(study: Study, task: str) -> str:
    return str(Asking().draw(study, task, "2", 0)["names"]["tasks"])


@pytest.mark.slow
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("theme", THEMES)
def test_every_page_fits_and_is_legible(chromium: Any, texts: Study, images: Study, width: int, theme: str) -> None:
    wheres = ["texts/experiments", "texts/experiment/1", "images/experiment/1"]
    wheres.append(f"texts/unit/{unit_list(texts).units[0].unit}?steer=the lazy fox")
    wheres.append("images/unit/layers/26?scene=a red dog on grass")
    wheres += ["texts/label", *(f"texts/label?set={tasks(texts, task)}" for task in TASKS if task != "readability")]
    with serving([texts.folder, images.folder], asking=Asking()) as address, page_of(chromium, width, theme) as page:
        for where in wheres:
            page.goto(f"{address}#/{where}")
            page.reload()
            page.wait_for_selector("main .card, .tasks .place")
            page.wait_for_load_state("networkidle")
            assert_legible(page, where, width)
