"""The page as files: one classic script and one style, put together from readable parts without a build."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files as package_files
from typing import Any

from glossator.files import plain

PARTS = (
    "base", "source", "charts", "windows", "images", "live", "steer", "related", "plots", "readouts", "voxels", "study",
    "unit", "compare", "experiments", "tasks", "label", "main",
)  # fmt: skip
"""Files of `assets/app` in the order in which they stand in the script."""
POLICY_OF_FILE = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'"
)
POLICY_OF_FOLDER = "default-src 'none'; script-src 'self' file:; style-src 'self' file:; img-src data:; base-uri 'none'"


def _read(name: str) -> str:
    return (package_files("glossator.explorer") / "assets" / name).read_text(encoding="utf-8")


@lru_cache
def script() -> str:
    """All scripts as one: the vendored library, then our own in a scope of their own."""
    own = "\n".join(_read(f"app/{part}.js") for part in PARTS)
    return f"{_read('vendor/htm-preact.js')}\n(() => {{\n{own}\n}})();\n"


@lru_cache
def style() -> str:
    return _read("app/base.css") + _read("app/style.css") + _read("app/tasks.css")


def tasks_alone() -> tuple[str, str]:
    """Script and style of a page that holds nothing but tasks for annotators."""
    return _read("app/tasks.js"), _read("app/base.css") + _read("app/tasks.css")


def as_script(value: Any) -> str:
    """JSON that cannot close the script element around it, whatever texts it holds."""
    return inert(json.dumps(plain(value), ensure_ascii=False, allow_nan=False, separators=(",", ":")))


def inert(text: str) -> str:
    """The same JSON without characters that could end an element."""
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def served_page(studies: str | None = None) -> str:
    """The page that a server gives; script and style are files of their own, as its policy allows none within.

    studies: which it serves, as the API says it, so that the page need not ask; None where that cannot be said now.
    """
    known = "" if studies is None else f'<script type="application/json" id="studies">{inert(studies)}</script>'
    style = '<link rel="stylesheet" href="app.css">'
    return _page("server", "Glossator", style, f'{known}<script src="app.js"></script>')


def folder_page(title: str) -> str:
    """The page beside its shards, opened from the disk."""
    head = f'{_policy(POLICY_OF_FOLDER)}<link rel="stylesheet" href="app.css">'
    return _page("shards", title, head, '<script src="app.js"></script>')


def single_page(title: str, shards: Mapping[str, str], at: str = "") -> str:
    """One page that holds everything; shards: base64 by name; at: the address that it opens at."""
    within = "\n".join(f'<script type="text/plain" id="shard-{name}">{text}</script>' for name, text in shards.items())
    head = f"{_policy(POLICY_OF_FILE)}<style>{style()}</style>"
    return _page("shards", title, head, f"{within}\n<script>{script()}</script>", at)


def _policy(policy: str) -> str:
    return f'<meta http-equiv="Content-Security-Policy" content="{policy}">'


def _page(source: str, title: str, head: str, body: str, at: str = "") -> str:
    opens = f' data-at="{html.escape(at)}"' if at else ""
    return f"""<!doctype html>
<html lang="en" data-source="{source}"{opens}>
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
{head}
<title>{html.escape(title)}</title>
</head>
<body>
<div id="app"></div>
<noscript>This page draws its content with a script.</noscript>
{body}
</body>
</html>
"""
