"""Every page of the explorer on real studies (text, vision, agents, voxels), made once below `studies/`, in Chromium:
at both widths and in both themes, and what one does there."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from explorer_cases import assert_legible, page_of, until
from glossator.cli import main

pytestmark = [pytest.mark.slow, pytest.mark.weights]
ROOT = Path(__file__).resolve().parent.parent
LABELLED = "ann"
LINKS = "[...document.querySelectorAll('a[href^=\"#/\"]')].map(a => a.getAttribute('href'))"


def script() -> Any:
    spec = importlib.util.spec_from_file_location("screenshots", ROOT / "scripts" / "screenshots.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["screenshots"] = module
    spec.loader.exec_module(module)
    return module


tour = script()


@pytest.fixture(scope="module")
def folders(chromium: Any, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Copies of the studies; without a browser none is made."""
    found: list[Path] = tour.copied(tour.made(), tmp_path_factory.mktemp("tour"))
    return found


@pytest.fixture(scope="module")
def served(folders: list[Path]) -> Iterator[str]:
    with tour.serving(folders) as address:
        yield address


@pytest.mark.parametrize("width", tour.WIDTHS)
@pytest.mark.parametrize("theme", tour.THEMES)
def test_every_page_is_drawn_and_legible(chromium: Any, served: str, width: int, theme: str) -> None:
    with page_of(chromium, width, theme) as page:
        page.set_default_timeout(180_000)
        for one in tour.pages(tour.STUDIES):
            tour.drawn(page, served, one)
            assert_legible(page, one.name, width)
            assert page.locator("[role=alert]").count() == 0, one.name


def test_links_lead_to_pages(chromium: Any, served: str) -> None:
    with page_of(chromium) as page:
        page.set_default_timeout(180_000)
        found: dict[tuple[str, ...], list[str]] = {}
        for one in tour.pages(tour.STUDIES):
            tour.drawn(page, served, one)
            for link in page.evaluate(LINKS):
                kind = tuple(part for part in link.partition("?")[0].split("/")[1:3])  # some of each page of each study
                found.setdefault(kind, []).append(link)
        assert len(found) > 10
        for link in (one for links in found.values() for one in [*dict.fromkeys(links)][:4]):
            page.goto("about:blank")
            page.goto(served + link)
            page.wait_for_selector("main h1, main h2")
            page.wait_for_load_state("networkidle")
            assert page.locator("[role=alert]").count() == 0, link
        page.goto(served + "api/docs")
        assert page.locator("section.card").count() > 20


def test_a_study_of_text_is_searched_tried_rescored_and_labelled(chromium: Any, served: str) -> None:
    neuron = tour.best(tour.STUDIES / "text")
    with page_of(chromium) as page:
        page.set_default_timeout(180_000)
        page.goto(served + "#/text")
        page.wait_for_selector("ol.units a.unit")
        page.fill("#find", neuron)
        until(lambda: page.locator("ol.units a.unit").count() == 1)
        page.click("ol.units a.unit")
        page.wait_for_selector(".windows .said-value")
        page.fill("#own-text", "The committee said that it would not pay.")
        page.click("text=Run the unit on it")
        page.wait_for_selector(".live .window .tok")
        page.fill("#own-explanation", 'token(" the", " a")')
        page.locator("form.rescore input[type=checkbox]").uncheck()
        page.click("text=Score it")
        page.wait_for_selector(".rescored td.up, .rescored td.down")
        page.fill("#own-prompt", "The most important thing is")
        page.select_option(".live select >> nth=-1", "0.7")
        page.click("text=Steer and read")
        page.wait_for_selector(".steered section")
        first = page.locator(".steered p").all_inner_texts()
        assert "temperature=0.7" in page.url and len(first) == 4
        page.fill(".live input[type=number]", "5")
        page.click("text=Steer and read")
        until(lambda: page.locator(".steered p").all_inner_texts() != first)
        label(page, served, "text", "preference")
        page.goto(served + "#/text")
        page.wait_for_selector("h2:text('Human annotators')")


def test_channels_are_seen_drawn_and_labelled(chromium: Any, served: str) -> None:
    channel = tour.best(tour.STUDIES / "vision")
    with page_of(chromium) as page:
        page.set_default_timeout(180_000)
        page.goto(f"{served}#/vision/unit/{channel}")
        page.wait_for_selector(".windows img")
        page.fill("#own-scene", "a red dog on snow")
        page.press("#own-scene", "Enter")
        page.wait_for_selector(".scene img")
        page.locator("details.score summary").first.click()
        page.locator("button:has-text('Show its evidence')").first.click()
        page.wait_for_selector(".scoreevidence .image img")
        label(page, served, "vision", "preference")


def label(page: Any, served: str, study: str, task: str) -> None:
    """Draw a task on the label page, answer all of it, and send the answers."""
    page.goto(f"{served}#/{study}/label")
    page.wait_for_selector("form.draw")
    page.select_option("form.draw select", task)
    page.get_by_label("Units").fill("3")
    page.click("text=Draw it")
    page.wait_for_selector("#screen .row button")
    page.fill("#rater", LABELLED)
    for at in range(page.locator("#places button").count()):
        page.locator("#places button").nth(at).click()
        page.click("[data-answer=first]")
    assert page.locator("#screen .passage, #screen .picture img").count() > 2
    page.click("#save")
    until(lambda: "Kept in the study" in page.locator("#state").inner_text())


def test_voxels_from_the_list_to_a_score(chromium: Any, served: str) -> None:
    voxel = tour.best(tour.STUDIES / "voxels")
    with page_of(chromium) as page:
        page.set_default_timeout(180_000)
        page.goto(served + "#/voxels")
        page.wait_for_selector("ol.units a.unit")
        page.click("text=Voxels and topics")
        page.wait_for_selector(".topiclist")
        page.locator("table a").first.click()
        page.wait_for_selector("header.unit h1")
        page.goto(f"{served}#/voxels/unit/{voxel}")
        page.wait_for_selector(".windows .window")
        page.fill("#own-text", "The dog and the cat slept in the barn with the horses.")
        page.click("text=Run the unit on it")
        page.wait_for_selector(".live .window .tok")


@pytest.mark.parametrize("study", tour.SERVED)
def test_an_export_opens_from_the_disk(chromium: Any, folders: list[Path], tmp_path: Path, study: str) -> None:
    (folder,) = [one for one in folders if one.name == study]
    assert main(["export", str(folder), "--static", str(tmp_path / "pages"), "--json"]) == 0
    assert main(["export", str(folder), "--single-file", str(tmp_path / "one.html"), "--json"]) == 0
    unit = tour.best(tour.STUDIES / study)
    with page_of(chromium, 400) as page:
        for path in (tmp_path / "pages" / "index.html", tmp_path / "one.html"):
            page.goto("about:blank")
            page.goto(f"{path.resolve().as_uri()}#{unit}")
            page.wait_for_selector(".windows .window, .windows img")
            page.locator("details.score summary").first.click()
            page.locator("button:has-text('Show its evidence')").first.click()
            page.wait_for_selector(".scoreevidence .window, .scoreevidence img, :text('No inputs to show')")
            page.wait_for_selector("h2:text('Related units')")
            assert page.locator("[role=alert]").count() == 0
            assert_legible(page, str(path), 400)


def test_the_gallery_is_of_these_pages_and_small() -> None:
    shown = tour.pages(tour.made())
    known = {f"{one.name}-{width}-{theme}.png" for one in shown for width in tour.WIDTHS for theme in tour.THEMES}
    there = [*tour.SCREENS.glob("*.png")]
    assert there and {path.name for path in there} <= known
    assert all(path.stat().st_size < 200_000 for path in there)
    assert tour.gallery(shown) == tour.GALLERY.read_text("utf-8")
