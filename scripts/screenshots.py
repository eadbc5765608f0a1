"""Pages of the explorer on real studies, in Chromium: `python scripts/screenshots.py` writes docs/screens/ and
docs/explorer-pages.md.

The studies are of SmolLM2-135M, EfficientNet-Lite0 and simulated voxels, with a trained dictionary, directions that
were found and agents' experiments. They are made in `studies/tour` once, in some minutes, and reused.
"""

from __future__ import annotations

import csv
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
STUDIES = ROOT / "studies" / "tour"
SCREENS, GALLERY = ROOT / "docs" / "screens", ROOT / "docs" / "explorer-pages.md"
WIDTHS, THEMES = (1280, 400), ("light", "dark")
COLOURS = {"images": 256, "text": 64}
"""Of a picture of a page with images, and without."""
SERVED = ("text", "latents", "directions", "vision", "voxels")
CONCEPTS = ("animal", "body", "color", "country", "family", "food", "house", "law", "money", "music", "school", "time",
            "water", "weather")  # fmt: skip
TOKENS = ("--tokens", "16384")
MADE: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("sae", ("dictionary", "train", "--site", "resid.12", "--latents", "1024", "--k", "16", "--train-tokens", "60000",
             *TOKENS, "--out", "sae", "--quiet")),
    ("rec", ("record", "--subject", "smollm2-135m", "--site", "mlp.12", "--units", "all", *TOKENS, "--out", "rec",
             "--quiet")),
    ("found", ("directions", "find", "rec", "--site", "mlp.12", "--out", "found", "--n", "3", "--rounds", "3",
               "--steps", "6", "--controls", "3", "--quiet")),
    ("text", ("run", "--subject", "smollm2-135m", "--site", "mlp.12", "--units", "64", "--tokens", "65536", "--out",
              "text", "--quiet")),
    ("latents", ("run", "--dictionary", "sae", "--units", "3", *TOKENS, "--card", "both", "--baseline",
                 "random-weights", "--out", "latents", "--quiet")),
    ("directions", ("run", "--directions", "found", *TOKENS, "--out", "directions", "--quiet")),
    ("vision", ("run", "--subject", "efficientnet-lite0", "--site", "blocks.10.depthwise", "--units", "6", "--inputs",
                "renders:1000", "--out", "vision", "--quiet")),
    ("simulated.npz", ("voxels", "simulate", "--out", "simulated.npz", "--runs", "10", "--null", "6",
                       "--concepts", ",".join(CONCEPTS))),
    ("vox", ("voxels", "fit", "simulated.npz", "--out", "vox")),
    ("voxels", ("sasc", "--readout", "voxels:vox", "--most", "8000", "--out", "voxels", "--quiet")),
)  # fmt: skip
"""What is made, and by which command; in this order, as later ones read earlier ones."""
LAST = {"sae": "training.json", "rec": "recording/manifest.json", "found": "search.json", "simulated.npz": "",
        "vox": "encoding_model.json"}  # fmt: skip
"""What is written last, where that is no manifest."""


def made(folder: Path = STUDIES) -> Path:
    """The folder of the studies, which are made where they are not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, command in MADE:
        if not (folder / name / LAST.get(name, "manifest.json")).exists():
            glossator(folder, *command)
    for study, question in (("text", "What does this neuron respond to?"), ("vision", "Which things does it see?")):
        if not [*(folder / study / "agent").glob("*.html")]:
            glossator(folder, "agent", question, "--unit", f"{study}#{best(folder / study)}", "--inputs", "120")
    for study in ("text", "vision"):
        if not [*(folder / study / "human" / "tasks").glob("*.json")]:
            glossator(
                folder, "human", "export", study, "--task", "preference", "--units", "3", "--out", f"{study}-task"
            )
    if not (folder / "voxels" / "topics.json").exists() and len(named(folder / "voxels")) >= 8:
        regions(folder)
        glossator(folder, "topics", "voxels", "--groups", "regions.csv", "--topics", "3")
    return folder


def glossator(folder: Path, *command: str) -> None:
    print("glossator", *command, flush=True)
    subprocess.run([sys.executable, "-m", "glossator", *command], cwd=folder, check=True, stdout=subprocess.DEVNULL)


def best(folder: Path, site: str = "") -> str:
    """The best explained unit of a study, or of one site of it."""
    from glossator.explorer.pages.lists import unit_list
    from glossator.store.study import open_study

    with open_study(folder) as study:
        return next(unit.unit for unit in unit_list(study).units if unit.unit.startswith(site))


def last_experiment(folder: Path) -> int:
    from glossator.explorer.pages.experiments import experiment_list
    from glossator.store.study import open_study

    with open_study(folder) as study:
        return experiment_list(study).experiments[-1].number


def regions(folder: Path) -> None:
    """Two made-up regions, so that topics have groups."""
    from glossator.store.study import open_study

    with open_study(folder / "voxels") as study, (folder / "regions.csv").open("w", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(["unit", "group"])
        rows.writerows([name, "left" if i % 2 else "right"] for i, name in enumerate(study.names()))


@dataclass(frozen=True)
class Page:
    """A page. at: its address after the server's; ready: what is there when it is drawn; show: what is scrolled to;
    about: what one sees."""

    name: str
    about: str
    at: str
    ready: str = "main .card"
    show: str = ""


def pages(folder: Path) -> list[Page]:
    """Every page, with what opens by itself from its address."""
    neuron, latent, channel, voxel, direction = (
        best(folder / one) for one in ("text", "latents", "vision", "voxels", "directions")
    )
    other = named(folder / "text")[1]
    numbers = [last_experiment(folder / one) for one in ("text", "vision")]
    tasks = [min((folder / one / "human" / "tasks").glob("*.json")).stem for one in ("text", "vision")]
    at = f"#/text/unit/{neuron}"
    said = "We%20think%20that%20our%20readers%20know%20what%20they%20want."
    return [
        Page("studies", "All studies that are served", "#/", "ul.studies a"),
        Page("study", "A study of neurons", "#/text",
             ".scatter canvas"),
        Page("meaning", "Units whose explanations are close in meaning to a few words",
             "#/text?words=words%20of%20the%20speaker&by=meaning", "ol.units a.unit"),
        Page("unit", "A neuron: where it fires, true and predicted; card; explanations", at, ".windows .said-value"),
        Page("score", "A score opened: its baselines, how it was made, and the inputs that it was computed from",
             f"{at}?open=correlation.random-only~correlation.random-only!", ".scoreevidence .window", ".scoreevidence"),
        Page("try", "A text of your own, and the unit on it", f"{at}?text={said}", ".live .window .tok", ".live"),
        Page("steering", "Steered up and down, beside an unsteered run and a random direction",
             f"{at}?steer=The%20most%20important%20thing%20about&temperature=0.7&seed=1", ".steered section",
             ".steered"),
        Page("output", "Output tokens and related units", f"{at}?open=output", ".tokens .output",
             ".card:has(h2:text('Output tokens'))"),
        Page("latents", "A study with causal scores, an untrained network beside it", "#/latents", ".scatter canvas"),
        Page("latent", "A latent of a dictionary, with both columns of its card", f"#/latents/unit/{latent}",
             ".windows .said-value"),
        Page("channel", "A channel of an image model: true and predicted masks", f"#/vision/unit/{channel}",
             ".windows img"),
        Page("scene", "A scene of your own, and the channel on it",
             f"#/vision/unit/{channel}?scene=two%20red%20dogs%20on%20grass", ".scene img", ".live"),
        Page("vision", "A study of an image model", "#/vision", ".distribution .bin"),
        Page("compare", "Trained against untrained network", "#/compare?a=latents&b=latents.random-weights",
             "table caption"),
        Page("compare-units", "Two units beside each other",
             f"#/compare?a=text&b=text&a_unit={neuron}&b_unit={other}", ".sides h2"),
        Page("experiments", "Experiments of a study", "#/text/experiments", ".experimentlist a"),
        Page("experiment", "An experiment on a neuron: hypotheses, registered predictions, verdicts",
             f"#/text/experiment/{numbers[0]}", "article.hypothesis"),
        Page("experiment-images", "An experiment on a channel, with its pictures", f"#/vision/experiment/{numbers[1]}",
             ".given .image img"),
        Page("dictionary", "A trained dictionary", "#/latents/readouts", "svg.curves"),
        Page("directions", "Directions that were found", "#/directions/readouts", "svg.curves"),
        Page("direction", "One of them", f"#/directions/unit/{direction}", ".windows .said-value"),
        Page("voxels", "Voxels: encoding performance and topics", "#/voxels/voxels", "main table a"),
        Page("voxel", "A voxel, named by SASC", f"#/voxels/unit/{voxel}", "main .card"),
        Page("label", "Tasks for annotators", "#/text/label", "form.draw"),
        Page("task", "Which explanation fits better? On text", f"#/text/label?set={tasks[0]}", "#screen .passage"),
        Page("task-images", "Which explanation fits better? On images", f"#/vision/label?set={tasks[1]}",
             "#screen .picture img"),
    ]  # fmt: skip


def named(folder: Path) -> list[str]:
    from glossator.explorer.pages.lists import unit_list
    from glossator.store.study import open_study

    with open_study(folder) as study:
        return [unit.unit for unit in unit_list(study).units]


def copied(folder: Path, to: Path) -> list[Path]:
    """Copies of the studies that are looked at, as what is looked at may be added to."""
    return [Path(shutil.copytree(folder / name, to / name)) for name in SERVED]


@contextmanager
def serving(folders: Sequence[Path]) -> Iterator[str]:
    """The address of a server of these studies, in a process of its own."""
    command = [sys.executable, "-u", "-m", "glossator", "serve", *map(str, folders), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            line = next(line for line in server.stdout if "http://" in line)
            yield line[line.index("http://") :].split()[0]
        finally:
            server.terminate()


def drawn(page: Any, address: str, one: Page) -> None:
    """Open a page and wait until it is drawn."""
    page.goto("about:blank")
    page.goto(address + one.at)
    page.wait_for_selector(one.ready)
    page.wait_for_load_state("networkidle")
    for waiting in page.locator(".waiting").all():
        waiting.wait_for(state="hidden")
    if one.show:
        page.locator(one.show).first.evaluate("node => node.closest('.card').scrollIntoView()")
    page.wait_for_timeout(250)


def shot(page: Any, one: Page, width: int, theme: str, folder: Path) -> Path:
    """A picture of what is on the screen, in few colours."""
    import io

    from PIL import Image

    path = folder / f"{one.name}-{width}-{theme}.png"
    image = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    if page.locator("main img").count():
        few = image.quantize(COLOURS["images"], dither=Image.Dither.NONE)
    else:  # rare colours too, such as those of marks
        few = image.quantize(COLOURS["text"], method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    few.save(path, optimize=True)
    return path


HEAD = """# The explorer's pages

Pages in light and dark, at 1,280 and at 400 pixels. `python scripts/screenshots.py` makes these pictures, from
studies of SmolLM2-135M (neurons, latents of a small dictionary, directions), EfficientNet-Lite0 on rendered scenes, and
simulated voxels. What the pages say is explained in [the explorer](explorer.md).
"""


def gallery(shown: Sequence[Page]) -> str:
    """The page with the pictures that are there."""
    parts = [HEAD]
    for one in shown:
        taken = [(width, theme) for width in WIDTHS for theme in THEMES
                 if (SCREENS / f"{one.name}-{width}-{theme}.png").exists()]  # fmt: skip
        if not taken:
            continue
        links = [f"[{width}, {theme}](screens/{one.name}-{width}-{theme}.png)" for width, theme in taken[1:]]
        width, theme = taken[0]
        parts.append(f"## {one.about}\n\n![{one.about}](screens/{one.name}-{width}-{theme}.png)\n")
        parts += [f"{', '.join(links)}\n"] if links else []
    return "\n".join(parts)


def main(names: Sequence[str]) -> None:
    from playwright.sync_api import sync_playwright

    folder = made()
    SCREENS.mkdir(exist_ok=True)
    every = pages(folder)
    with tempfile.TemporaryDirectory() as copies, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        with serving(copied(folder, Path(copies))) as address:
            for width in WIDTHS:
                for theme in THEMES:
                    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme)
                    page = context.new_page()
                    page.set_default_timeout(180_000)
                    for one in every:
                        if not names or one.name in names:
                            drawn(page, address, one)
                            path = shot(page, one, width, theme, SCREENS)
                            print(path, path.stat().st_size, flush=True)
                    context.close()
        browser.close()
    GALLERY.write_text(gallery(every), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
