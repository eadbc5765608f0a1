"""The captures of the terminal in the docs: within their width, nothing cut, and what commands print today."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from rich.cells import cell_len

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "terminal.md").read_text(encoding="utf-8")
CAPTURES = re.findall(r"^`glossator ([^`]+)` at (\d+) columns:\n\n```text\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
LONGER = ("Report: ", "smollm2-135m/mlp.12/220: ", "Look at one: ")
"""How lines begin that a terminal wraps: what is to be copied, and the one line that sums up."""


def test_each_command_is_captured_at_both_widths() -> None:
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        from captures import COMMANDS, WIDTHS
    finally:
        sys.path.pop(0)
    assert len(CAPTURES) == len(COMMANDS) * len(WIDTHS)
    for words, *_ in CAPTURES:
        assert any(words.startswith(command[0]) for command in COMMANDS.values())


@pytest.mark.parametrize(("command", "width", "text"), CAPTURES)
def test_a_capture_keeps_within_its_width_and_cuts_no_number(command: str, width: str, text: str) -> None:
    lines = [line for line in text.splitlines() if not line.startswith(LONGER)]
    assert max(map(cell_len, lines)) <= int(width)
    windows = [line for line in lines if line.startswith(("true", "pred"))]
    assert not [line for line in lines if "…" in line and line not in windows]
    intervals = re.findall(r"\[[−\d.]+, [−\d.]+[^\]]?", text)
    assert all(re.fullmatch(r"\[−?\d\.\d\d, −?\d\.\d\d", found) for found in intervals)


@pytest.mark.slow
def test_the_page_is_what_commands_print(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the study of `make demo`, made anew; digits may differ on another machine, words and layout may not."""
    from glossator.cli import main

    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        import captures
    finally:
        sys.path.pop(0)
    monkeypatch.chdir(tmp_path)
    made = re.search(r"glossator (run --subject smollm2-135m [^`\n]*?)(?:`|$)", (ROOT / "README.md").read_text(), re.M)
    assert made
    assert main([*made[1].split(), "--quiet"]) == 0

    def layout(text: str) -> str:
        return re.sub(r"[−\d█␣]+|fingerprint \w+| +", "", text)

    assert layout(captures.page("studies/demo")) == layout(PAGE)
