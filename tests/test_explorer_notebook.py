"""Studies and units in notebooks: frames that draw themselves and whose links stay within."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest

from explorer_cases import browser, page_of, until
from glossator.errors import UserError
from glossator.study import Study, run_study
from study_cases import small_spec, write_corpus


@pytest.fixture(scope="module")
def study(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    write_corpus(tiny_folder.parent / "corpus.jsonl")
    spec = small_spec(tiny_folder, units=(1, 2, 4), explainers=("token-list",))
    found = run_study(spec, tmp_path_factory.mktemp("notebook") / "tiny", progress=False)
    assert found is not None
    return found


def test_a_frame_is_one_element_that_holds_the_page_as_text(study: Study) -> None:
    for shown in (study._repr_html_(), study.unit("mlp.0/2")._repr_html_()):
        (inside,) = re.fullmatch(r'<iframe [^<>]* srcdoc="([^"<>]*)"></iframe>', shown).groups()  # type: ignore[union-attr]
        assert html.unescape(inside).startswith("<!doctype html>")
    assert study._repr_html_() == study._repr_html_()


def test_a_unit_is_found_by_the_end_of_its_name(study: Study) -> None:
    found = study.unit("mlp.0/2")
    assert found.result == study.result(found.result.unit) and found.result.unit.index == 2
    assert study.unit(found.result.unit) == found
    with pytest.raises(UserError, match="no such unit"):
        study.unit("mlp.0/77")


def test_a_study_whose_pages_are_large_shows_fewer(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    from glossator.explorer import notebook

    whole = len(study._repr_html_())
    monkeypatch.setattr(notebook, "MOST_BYTES", 1)
    assert len(study._repr_html_()) < whole


def test_frames_in_a_browser(study: Study) -> None:
    said = f"<!doctype html><title>notebook</title>{study._repr_html_()}{study.unit('mlp.0/2')._repr_html_()}"
    with browser() as chromium, page_of(chromium) as page:
        page.set_content(said)
        until(lambda: len(page.frames) == 3)
        _, whole, unit = page.frames
        unit.wait_for_selector(".windows")
        assert unit.locator("h1").inner_text().startswith("mlp.0/2")
        whole.wait_for_selector("ol.units a.unit")
        whole.fill("#find", "mlp.0/4")
        until(lambda: whole.locator("ol.units a.unit").count() == 1)
        whole.click("ol.units a.unit")
        whole.wait_for_selector(".windows")
        assert whole.locator("h1").inner_text().startswith("mlp.0/4")
        whole.click(".crumbs a")
        whole.wait_for_selector("ol.units a.unit")
        assert page.title() == "notebook"
