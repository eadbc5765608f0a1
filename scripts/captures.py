"""What commands print, captured at 80 and 120 columns into docs/terminal.md and docs/terminal-*.svg.

    python scripts/captures.py studies/demo

The study is the one of `make demo`. `tests/test_project_captures.py` looks at what is here, and makes it anew when slow
tests run, so that the page stays true.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent.parent / "docs"
WIDTHS = (80, 120)
UNIT = "mlp.12/220"
COMMANDS = {
    "The end of a run": ["run", "{study}"],
    "One unit": ["show", UNIT, "--study", "{study}", "--top", "5", "--random", "2"],
    "Your own hypothesis": ["score", UNIT, "--study", "{study}", "--program", "word(months) + word(ordinals)"],
    "Your own text": ["try", UNIT, "In September of 1974, late in the day", "--study", "{study}"],
    "Which studies there are": ["studies"],
}
PICTURED = {"run": "The end of a run", "show": "One unit"}
HEAD = """# In the terminal

What commands print on the study of `make demo`, at 80 and at 120 columns. `python scripts/captures.py studies/demo`
makes this page. In a terminal the activations are colours ([a run](terminal-run-80.svg),
[a unit](terminal-show-80.svg)), in a pipe they stand in brackets. Nothing is cut at any width: what a terminal has no
room for is written out below its row.
"""


def captured(command: list[str], study: str, width: int, colour: bool = False) -> str:
    """What a command prints, on a terminal of this width or in a pipe."""
    from glossator.cli import main as glossator

    words = [word.format(study=study) for word in command]
    colours = {"FORCE_COLOR": "1", "COLORTERM": "truecolor", "TERM": "xterm-256color"} if colour else {}
    before, out = dict(os.environ), io.StringIO()
    for name in ("NO_COLOR", "FORCE_COLOR", "COLORTERM"):
        os.environ.pop(name, None)
    os.environ.update({"COLUMNS": str(width), **colours})
    try:
        with contextlib.redirect_stdout(out):
            code = glossator(words)
    finally:
        os.environ.clear()
        os.environ.update(before)
    if code:
        sys.exit(f"glossator {' '.join(words)} gave {code}")
    return re.sub(r"file://\S*/(?=studies/)", "file:///.../", out.getvalue())


def page(study: str) -> str:
    parts = [HEAD]
    for title, command in COMMANDS.items():
        words = " ".join(f"'{w}'" if re.search(r"[ ()]", w) else w for w in (c.format(study=study) for c in command))
        parts.append(f"## {title}\n")
        for width in WIDTHS:
            lines = [line.rstrip() for line in captured(command, study, width).strip("\n").splitlines()]
            parts.append(f"`glossator {words}` at {width} columns:\n\n```text\n" + "\n".join(lines) + "\n```\n")
    return "\n".join(parts)


def picture(command: list[str], study: str, width: int) -> str:
    """The same as an SVG with its colours; it asks no network for a font."""
    from rich.console import Console
    from rich.text import Text

    out = Console(record=True, width=width, file=open(os.devnull, "w"))  # noqa: SIM115 - lives as long as the script
    out.print(Text.from_ansi(captured(command, study, width, colour=True)))
    svg = out.export_svg(title=f"glossator {command[0]}", unique_id=f"glossator-{command[0]}")
    return re.sub(r"\s*@font-face \{.*?\}", "", svg, flags=re.DOTALL)


def main(study: str, docs: Path = DOCS) -> None:
    (docs / "terminal.md").write_text(page(study), encoding="utf-8")
    for name, title in PICTURED.items():
        (docs / f"terminal-{name}-80.svg").write_text(picture(COMMANDS[title], study, 80), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
