"""The pages in a browser, filled by a script that presses keys; such answers prove the page, nothing about people."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from glossator.human import Drawn, import_answers
from glossator.human.answers import check, read_answer_file
from glossator.study import Study
from human_cases import exported, study_of_two_methods

CHROMIUM = shutil.which("chromium")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="no chromium here")]

PRESSING = """
const wait = (ms) => new Promise((done) => setTimeout(done, ms));
const $ = (id) => document.getElementById(id);
const press = (key, more) => document.activeElement.dispatchEvent(
  new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...more }));
const type = (node, text) => { node.value = text; node.dispatchEvent(new Event("input", { bubbles: true })); };
const report = (found) => {
  const node = document.createElement("pre");
  node.id = "captured";
  node.textContent = JSON.stringify(found);
  document.body.append(node);
};
let blob = null, name = null;
URL.createObjectURL = (given) => { blob = given; return "#"; };
HTMLAnchorElement.prototype.click = function () { name = this.download; };
const saved = async () => {
  press("s", { ctrlKey: true });
  await wait(20);
  return { name, text: blob && await blob.text(), state: $("state").textContent };
};
(async () => { try { await wait(50); DO } catch (error) { report({ error: String(error && error.stack) }); } })();
"""


@pytest.fixture(scope="module")
def study(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    return study_of_two_methods(tiny_folder, tmp_path_factory.mktemp("human") / "s")


def drive(page: Path, profile: Path, do: str) -> Any:
    """Open the page with a script that presses keys; what the script reports."""
    text = page.read_text()
    driven = page.with_name(f"driven-{page.name}")
    driven.write_text(text.replace("</body>", "<script>" + PRESSING.replace("DO", do) + "</script></body>"))
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
    flags += ["--disable-background-networking", "--disable-component-update", "--virtual-time-budget=20000"]
    flags += [f"--user-data-dir={profile}", "--dump-dom", driven.resolve().as_uri()]
    dom = subprocess.run([str(CHROMIUM), *flags], capture_output=True, text=True, timeout=400, check=True).stdout
    found = re.search(r'<pre id="captured">(.*?)</pre>', dom, re.DOTALL)
    assert found, dom[-2000:]
    captured = json.loads(html.unescape(found[1]))
    assert "error" not in captured, captured["error"]
    return captured


def save(captured: dict, folder: Path) -> Path:
    path = folder / captured["name"]
    path.write_text(captured["text"])
    return path


def test_tokens_are_rated_from_the_keyboard(study: Study, tmp_path: Path) -> None:
    drawn = exported(study, "simulation", tmp_path / "out", units="1")
    do = """
      type($("rater"), "ann");
      document.querySelector(".rate").focus();
      press("ArrowRight"); press("7");                        // token 2: 7
      press("ArrowRight"); press("1"); press("0");            // token 3: 10
      press("ArrowRight"); press("ArrowRight", { shiftKey: true }); press("4"); press("ArrowUp");  // tokens 4, 5: 5
      press("ArrowRight"); press("x"); press("Backspace");    // token 6: 0
      press("Enter"); await wait(30);
      press("Enter"); await wait(30);                         // the second passage is silent
      press("3"); await wait(30);                             // the third one is begun, not done
      report(await saved());
    """
    captured = drive(tmp_path / "out" / "simulation.html", tmp_path / "profile", do)
    assert captured["name"] == f"simulation-{drawn.tasks.id[:8]}-ann.json"
    answers = check(read_answer_file(save(captured, tmp_path)), drawn.tasks)
    first, second, *rest = drawn.tasks.slots
    counts = drawn.tasks.slots[first].counts
    expected = [0, 7, 10, 5, 5, 0] + [0] * (len(counts) - 6)
    assert answers.values == {
        first: [v if c else 0 for v, c in zip(expected, counts, strict=True)],
        second: [0] * len(drawn.tasks.slots[second].counts),
    }
    assert set(answers.missing) == set(rest)
    results = import_answers(study, [tmp_path / captured["name"]])
    assert results["simulation"]["explanations"][0]["missing"] == len(rest)


def test_answers_outlive_the_page(study: Study, tmp_path: Path) -> None:
    exported(study, "gibberish", tmp_path / "out")
    page = tmp_path / "out" / "gibberish.html"
    begun = 'type($("rater"), "bob"); press("y"); press("Enter"); press("n"); await wait(300); report({ok: 1});'
    drive(page, tmp_path / "profile", begun)
    captured = drive(page, tmp_path / "profile", "report(await saved());")
    assert list(json.loads(captured["text"])["answers"].values()) == ["yes", "no"]
    assert json.loads(captured["text"])["rater"] == "bob"


KEYS = {
    "preference": 'press("1"); press("j"); press("2"); press("j"); press("0");',
    "gibberish": 'press("y"); press("j"); press("p"); press("j"); press("n");',
    "labelling": """type(document.querySelector("textarea"), " one "); document.querySelector("textarea").focus();
      press("Enter", { ctrlKey: true }); await wait(30); type(document.querySelector("textarea"), "two");""",
    "paraphrase": """type(document.querySelector("textarea"), "one"); document.querySelector("textarea").focus();
      press("Enter", { ctrlKey: true }); await wait(30); type(document.querySelector("textarea"), "two");""",
    "readability": 'press("2"); press("j"); press("5");',
}
GIVEN = {
    "preference": ["first", "second", "equal"],
    "gibberish": ["yes", "partly", "no"],
    "labelling": ["one", "two"],
    "paraphrase": ["one", "two"],
    "readability": ["2", "5"],
}


@pytest.mark.parametrize("task", GIVEN)
def test_other_tasks_are_answered_from_the_keyboard(study: Study, task: str, tmp_path: Path) -> None:
    drawn: Drawn = exported(study, task, tmp_path / "out")
    do = f"""
      const early = await saved();                            // no name yet: nothing is saved
      document.activeElement.blur();
      {KEYS[task]}
      type($("rater"), "cy");
      report({{ ...await saved(), early }});
    """
    captured = drive(tmp_path / "out" / f"{task}.html", tmp_path / "profile", do)
    assert captured["early"]["text"] is None
    assert "name" in captured["early"]["state"]
    answers = check(read_answer_file(save(captured, tmp_path)), drawn.tasks)
    slots = list(drawn.tasks.slots)
    assert answers.values == dict(zip(slots, GIVEN[task], strict=False))
    assert captured["state"].startswith(f"{len(GIVEN[task])} of {len(slots)} answered")
