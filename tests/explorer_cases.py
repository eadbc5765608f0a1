"""What tests of pages share: pages taken apart, exported data too, and a browser."""

from __future__ import annotations

import base64
import gzip
import json
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium")
ACCESSIBILITY = (Path(__file__).parent / "accessibility.js").read_text()


class Elements(HTMLParser):
    """All elements of a page with their attributes."""

    def __init__(self, page: str):
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.found.append((tag, dict(attrs)))


def shards_of(path: Path) -> dict[str, Any]:
    """The data of an exported file, or of a folder, by the names of its shards."""
    if path.is_dir():
        texts = {p.stem: p.read_text() for p in (path / "data").glob("*.js")}
        packed = {name: text.split('"')[3] for name, text in texts.items()}
    else:
        packed = dict(re.findall(r'<script type="text/plain" id="shard-([\w-]+)">([^<]*)</script>', path.read_text()))
    return {name: json.loads(gzip.decompress(base64.b64decode(text))) for name, text in packed.items()}


def units_of(path: Path) -> list[dict[str, Any]]:
    """{page, windows} of the units in an export, in the study's order."""
    shards = shards_of(path)
    pages = [(int(place), unit) for name in shards if name.startswith("units-") for place, unit in shards[name].items()]
    return [unit for _, unit in sorted(pages, key=lambda pair: pair[0])]


@contextmanager
def serving(folders: Sequence[Path], **settings: Any) -> Iterator[str]:
    """The address of a server in this process; settings: of its application."""
    import socket

    import uvicorn

    from glossator.explorer.server import app

    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app(folders, **settings), log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


@contextmanager
def browser() -> Iterator[Any]:
    """Chromium, driven by playwright; the test is skipped where either is missing."""
    if CHROMIUM is None:
        pytest.skip("no chromium here")
    api = pytest.importorskip("playwright.sync_api", reason="no playwright here")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield opened
        opened.close()


@contextmanager
def page_of(
    opened: Any, width: int = 1280, theme: str = "light", expected: tuple[str, ...] = (), **settings: Any
) -> Iterator[Any]:
    """A page on which every console error and failed request is a failure of the test, but those that are expected."""
    context = opened.new_context(viewport={"width": width, "height": 900}, color_scheme=theme, **settings)
    page, wrong = context.new_page(), list[str]()
    page.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("requestfailed", lambda r: None if r.failure == "net::ERR_ABORTED" else wrong.append(r.url))  # left
    page.set_default_timeout(60_000)
    yield page
    context.close()
    wrong = [one for one in wrong if not any(words in one for words in expected)]
    assert not wrong, wrong


def assert_legible(page: Any, where: str, width: int) -> None:
    """Nothing is wider than the window, contrast and names suffice, and links stay on these pages."""
    assert page.evaluate("document.documentElement.scrollWidth") <= width, where
    page.evaluate(ACCESSIBILITY)
    for wanting in ("lowContrast", "nameless", "invisible"):
        found = page.evaluate(f"{wanting}()")
        assert found == [], f"{where}, {wanting}: {found[:5]}"
    for link in page.evaluate("[...document.querySelectorAll('a[href]')].map(a => a.getAttribute('href'))"):
        assert link.startswith(("#/", "#main", "api/")), link


def until(holds: Callable[[], bool], seconds: float = 60) -> None:
    """Wait for what a page does next; the page's own policy forbids playwright's way of it."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)
