"""Pictures of the explorer for docs/: `python scripts/screenshots.py studies/demo`, with playwright and Chromium.

With `--all FOLDER` every page at two widths and in two themes, to be looked at; without it the few of docs/explorer.md.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent.parent / "docs"
UNIT, OTHER = "mlp.12/575", "mlp.12/1001"
WIDTHS, THEMES = (1280, 400), ("light", "dark")
IN_DOCS = (("study", 1280, "light"), ("unit", 1280, "light"), ("unit", 400, "dark"), ("compare", 1280, "dark"))


def main() -> None:
    from playwright.sync_api import sync_playwright

    from glossator.explorer.export import export_folder
    from glossator.explorer.pages.parts import slug
    from glossator.store.study import open_study

    everything = Path(sys.argv[sys.argv.index("--all") + 1]) if "--all" in sys.argv else None
    wanted = (
        IN_DOCS
        if everything is None
        else [(p, w, t) for p in ("study", "unit", "compare") for w in WIDTHS for t in THEMES]
    )
    with tempfile.TemporaryDirectory() as name, open_study(sys.argv[1]) as study, sync_playwright() as playwright:
        pages = export_folder(study, Path(name) / "pages").path.resolve().as_uri()
        at = slug(study.manifest["subject"])
        addresses = {
            "study": f"#/{at}",
            "unit": f"#/{at}/unit/{UNIT}",
            "compare": f"#/compare?a={at}&a_unit={UNIT}&b_unit={OTHER}",
        }
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for page, width, theme in wanted:
            taken: Any = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=theme)
            taken.goto(pages + addresses[page])
            taken.wait_for_selector("main .card")
            taken.wait_for_timeout(1500)
            path = (everything or DOCS) / f"explorer-{page}-{width}-{theme}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            taken.screenshot(path=path)
            print(path)
        browser.close()


if __name__ == "__main__":
    main()
