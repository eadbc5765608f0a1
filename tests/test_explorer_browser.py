"""The pages in a browser, served and from the disk: no console error, every link resolves, keys and forms do what they
say, hostile text does nothing. A short way through all pages is in the fast tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from explorer_cases import assert_legible, page_of, serving, until
from glossator.explorer.export import export_folder
from glossator.explorer.pages.lists import unit_list
from glossator.study import Study, run_study
from study_cases import register, small_spec, write_corpus

WIDTHS, THEMES = (1280, 400), ("light", "dark")


@pytest.fixture(scope="module")
def study(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Study]:
    with pytest.MonkeyPatch.context() as patch:
        register(patch, "scorers", acting="Acting")
        write_corpus(tiny_folder.parent / "corpus.jsonl")
        spec = small_spec(
            tiny_folder, card="both", scorers=("correlation", "detection", "acting"), units=(1, 2, 4, 5, 6),
            explainers=("token-list", "lookup"), sites=("mlp.0", "mlp.1"),
        )  # fmt: skip
        found = run_study(spec, tmp_path_factory.mktemp("browser") / "tiny", progress=False)
        assert found is not None
        yield found


@pytest.fixture(scope="module")
def served(study: Study) -> Iterator[str]:
    with serving([study.folder]) as address:
        yield address


def test_a_short_way_through_all_pages(chromium: Any, served: str, study: Study) -> None:
    best = unit_list(study).units[0]
    with page_of(chromium) as page:
        page.goto(served)
        page.wait_for_selector("ol.units a.unit")
        page.wait_for_selector(".distribution .bin")
        assert page.locator("ol.units a.unit").count() == 10
        page.wait_for_selector(".scatter canvas")
        page.keyboard.press("/")
        page.keyboard.type(best.unit)
        until(lambda: page.locator("ol.units a.unit").count() == 1)
        assert "words=" in page.url
        page.click("ol.units a.unit")
        page.wait_for_selector(".windows .said-value")
        assert page.locator("h1").inner_text().startswith(best.unit)
        assert page.locator(".scorelist li").count() > 3
        page.wait_for_selector(".related tbody a")
        page.click("button.star")
        page.wait_for_selector("button.star[aria-pressed=true]")
        page.locator("details.score summary").first.click()
        page.locator("button:has-text('Show its evidence')").first.click()
        page.wait_for_selector(".scoreevidence .window")
        page.click("a.button:has-text('compare')")
        page.wait_for_selector(".compare h2")
        page.click("text=methods, sites, studies")
        page.wait_for_selector("table caption")


def test_pages_from_the_disk(chromium: Any, study: Study, tmp_path: Path) -> None:
    export_folder(study, tmp_path / "out")
    for path in (tmp_path / "out" / "index.html", study.report):
        with page_of(chromium) as page:
            page.goto(path.resolve().as_uri())
            page.wait_for_selector("ol.units a.unit")
            page.click("ol.units a.unit >> nth=1")
            page.wait_for_selector(".windows .said-value")
            page.wait_for_selector(".related tbody a")
            page.locator("details.score summary").first.click()
            page.locator("button:has-text('Show its evidence')").first.click()
            page.wait_for_selector(".scoreevidence .window")
            address = page.url  # what is unfolded stands in it
            page.reload()
            page.wait_for_selector("details.score[open] .scoreevidence .window")
            assert "open=" in address and page.url == address
            page.keyboard.press("s")  # kept in the browser
            page.wait_for_selector("button.star[aria-pressed=true]")
            page.reload()
            page.wait_for_selector("button.star[aria-pressed=true]")
            assert page.locator("form.rescore").count() == 0  # no server here
            first = page.locator("h1").inner_text()
            page.keyboard.press("j")
            until(lambda: page.locator("h1").inner_text() not in ("", first))  # noqa: B023 - called at once


def test_a_link_to_a_unit_opens_it(chromium: Any, study: Study) -> None:
    listed = unit_list(study).units
    for name in (listed[3].unit, study.names()[0], f"/tiny/unit/{listed[3].unit}"):
        with page_of(chromium) as page:
            page.goto(f"{study.report.resolve().as_uri()}#{name}")
            page.wait_for_selector("h1, [role=alert]")
            if name.startswith("/"):
                continue
            assert name.endswith(page.locator("h1 .mono").inner_text())
            page.locator("details.score > summary").first.click()
            until(lambda: "open=" in page.evaluate("location.hash"))
            page.reload()
            page.wait_for_selector("details.score[open]")
            assert name.endswith(page.locator("h1 .mono").inner_text())


def test_keys_alone_lead_to_a_unit_and_along_its_tokens(chromium: Any, served: str, study: Study) -> None:
    first, second, *_ = [unit.unit for unit in unit_list(study).units]
    at = "document.activeElement.{}".format
    with page_of(chromium) as page:
        page.goto(served)
        page.wait_for_selector("ol.units a.unit")
        for key in ("j", "j", "k"):
            page.keyboard.press(key)
        assert first in page.evaluate(at("innerText"))
        page.keyboard.press("Enter")
        page.wait_for_selector(".windows .tok.peak")
        page.keyboard.press("j")
        until(lambda: page.locator("h1").inner_text().startswith(second))
        page.wait_for_selector(".windows .tok.peak")
        stops, windows = page.locator(".windows .tok[tabindex='0']"), page.locator(".windows .window")
        until(lambda: stops.count() == windows.count() > 3)  # one a window, not one a token
        stops.first.focus()
        peak, before = page.evaluate(at("dataset.tip")), page.locator("#tip").inner_text()
        page.keyboard.press("ArrowLeft")
        assert page.evaluate(at("dataset.tip")) != peak and page.locator("#tip").inner_text() != before
        page.keyboard.press("ArrowRight")
        assert page.evaluate(at("dataset.tip")) == peak
        page.keyboard.press("Escape")
        assert page.locator("#tip").is_hidden()
        page.keyboard.press("?")
        page.get_by_label("single-character shortcuts").uncheck()
        page.keyboard.press("Escape")
        page.keyboard.press("u")
        page.reload()
        page.wait_for_selector("h1")
        page.keyboard.press("k")
        page.keyboard.press("?")
        assert page.locator("h1").inner_text().startswith(second) and page.locator("dialog[open]").count() == 0


def test_a_search_that_fails_leaves_the_page_and_the_focus(chromium: Any, served: str) -> None:
    with page_of(chromium, expected=("400",)) as page:
        page.goto(served)
        page.wait_for_selector("ol.units a.unit")
        page.focus("#find")
        page.keyboard.type('"')
        page.wait_for_selector("p.trouble")
        page.keyboard.type("the", delay=150)  # slower than the pause after which is asked
        page.keyboard.press("Home")
        page.keyboard.press("Delete")
        page.wait_for_selector("p.trouble", state="detached")
        assert page.evaluate("document.activeElement.id") == "find" and page.input_value("#find") == "the"


@pytest.mark.slow
def test_filters_brush_and_state_in_the_address(chromium: Any, served: str) -> None:
    with page_of(chromium) as page:
        page.goto(served)
        page.wait_for_selector(".scatter canvas")
        page.select_option("select[aria-label=Site]", "mlp.1")
        until(lambda: page.locator("ol.units a.unit").count() == 5)
        page.reload()
        until(lambda: page.locator("ol.units a.unit").count() == 5)
        page.locator(".scatter canvas").scroll_into_view_if_needed()
        box = page.locator(".scatter canvas").bounding_box()
        page.mouse.move(box["x"] + 80, box["y"] + 15)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] - 20, box["y"] + 250, steps=5)
        page.mouse.up()
        until(lambda: "score_from=" in page.evaluate("location.hash"))
        assert "causal_to=" in page.url
        for _ in range(page.locator("button.chip").count()):
            page.locator("button.chip").first.click()
        until(lambda: page.locator("ol.units a.unit").count() == 10)
        page.select_option("select[aria-label=Score]", "acting")
        page.wait_for_selector(".distribution >> text=random-unit")
        assert "distribution=acting" in page.url


@pytest.mark.slow
def test_texts_and_explanations_are_tried(chromium: Any, served: str, study: Study) -> None:
    unit = unit_list(study).units[0].unit
    with page_of(chromium, expected=("status of 400",)) as page:
        page.goto(f"{served}#/tiny/unit/{unit}")
        page.click("text=Read them off the weights")
        page.wait_for_selector(".card:has-text('Output tokens') >> .tokens li, p:has-text('no token stands out')")
        page.click("button:has-text('write alike')")
        page.click("text=Compare what they write")
        page.wait_for_selector(".related tbody a")
        page.fill("#own-text", "the lazy fox <b>jumps</b>")
        page.click("text=Run the unit on it")
        page.wait_for_selector(".live .window .tok")
        assert "text=the" in page.url
        page.click("text=Find them")
        page.wait_for_selector(".live table td a, .live table td >> text=not in this study")
        page.fill("#own-explanation", 'token(" the")')
        page.click("text=Score it")
        page.wait_for_selector(".rescored td")
        assert page.locator(".rescored td.up, .rescored td.down").count() > 0
        assert "own=" in page.url and "at=" in page.url
        page.reload()  # the address holds the text, the token and the explanation
        page.wait_for_selector(".live table td a, .live table td >> text=not in this study")
        page.wait_for_selector(".rescored td.up, .rescored td.down")
        assert page.input_value("#own-explanation") == 'token(" the")'
        page.fill("#own-explanation", "token(")
        page.locator("form.rescore input[type=checkbox]").uncheck()
        with page.expect_response(lambda answer: answer.status == 400):
            page.click("text=Score it")
        page.wait_for_selector("form.rescore [role=alert]")


@pytest.mark.slow
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("theme", THEMES)
def test_every_page_fits_and_is_legible(chromium: Any, served: str, study: Study, width: int, theme: str) -> None:
    unit = unit_list(study).units[0].unit
    with page_of(chromium, width, theme) as page:
        for where in ("#/tiny", f"#/tiny/unit/{unit}", "#/compare?a=tiny", f"#/compare?a=tiny&a_unit={unit}"):
            page.goto(served + where)
            page.reload()
            page.wait_for_selector("main .card")
            page.wait_for_load_state("networkidle")
            assert_legible(page, where, width)


def test_many_layers_are_rows_that_unfold(chromium: Any, tmp_path: Path) -> None:
    from dataclasses import replace

    from glossator.units import Unit
    from test_study_store import RESULTS, stored

    results = [replace(RESULTS[0], unit=Unit("toy", f"mlp.{i}", k)) for i in range(6) for k in range(3)]
    with stored(tmp_path / "s", results), serving([tmp_path / "s"]) as address, page_of(chromium) as page:
        page.goto(address)
        page.wait_for_selector("details.group .bin")
        rows, baselines = page.locator("details.group"), page.locator("details.group .beside")
        assert rows.count() == 6 and baselines.locator("visible=true").count() == 0
        assert "lookup" in rows.nth(4).inner_text()
        rows.nth(4).locator("summary").click()
        until(lambda: baselines.locator("visible=true").count() > 0 and "open=" in page.url)
        page.reload()
        page.wait_for_selector("details.group[open]")
        assert page.locator("details.group[open] summary").inner_text().startswith("mlp.4")
        assert_legible(page, "many layers", 1280)


@pytest.mark.slow
def test_hostile_texts_do_nothing(chromium: Any, tmp_path: Path) -> None:
    from dataclasses import replace

    from glossator.explorer.export import export_file
    from glossator.store.results import Named
    from test_study_store import RESULTS, chosen, stored

    evil = "<img src=x onerror=document.title='owned'>\u202e</script><script>document.title='owned'</script>\x1b[31m"
    explanation = replace(
        chosen(evil), headline=Named(evil, "0.0"), program=f'0.0 + 1.0*token("{evil}")', method="token-list"
    )
    with stored(tmp_path / "s", [replace(RESULTS[0], reason=evil, explanations=(explanation,))]) as study:
        export_file(study, tmp_path / "evil.html")
    with serving([tmp_path / "s"]) as address, page_of(chromium, expected=("status of 400",)) as page:
        alone = (tmp_path / "evil.html").resolve().as_uri()  # nothing was recorded, so a server has no inputs
        for where in (
            alone,
            f"{alone}#mlp.0/1",
            f"{address}#/s",
            f"{address}#/s/unit/mlp.0/1",
            f"{address}#/s?words=img",
        ):
            page.goto(where)
            page.reload()
            page.wait_for_selector("main :text('onerror') >> nth=0")
            assert "owned" not in page.title()
            assert not {"\u202e", "\x1b"} & set(page.inner_text("body"))
            assert page.locator("#app img, #app script").count() == 0


@pytest.mark.slow
def test_the_benchmark_measures_what_it_names() -> None:
    from benchmarks.explorer import run

    found = run({"quick": True, "units": 100, "report_units": 16, "asked": 5})
    times = ("start_s", "unit_p95_ms", "search_p95_ms", "paint_s", "paint_export_s", "report_2048_open_s")
    assert all(found[name] > 0 for name in times)
    assert 20 < found["memory_mb"] < 500
