"""Notebooks in a real Jupyter kernel: what cells show there is what `scripts/notebooks.py` writes.

The kernel has its own environment, which sees this one's packages, since a lock for tests alone would pin some thirty
more packages; without a network to make it the tests are skipped.
"""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from study_cases import small_spec, write_corpus

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / "studies" / "jupyter"
RUN = """
import sys, nbformat
from nbclient import NotebookClient
path, folder = sys.argv[1:]
notebook = nbformat.read(path, 4)
NotebookClient(notebook, timeout=3600, kernel_name="python3", resources={"metadata": {"path": folder}}).execute()
nbformat.write(notebook, path)
"""


def kinds(notebook: dict[str, Any]) -> list[list[str]]:
    """The kinds of what each cell of code gave, without warnings; a kernel may give a stream in pieces."""
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    given = [[out for out in cell["outputs"] if out.get("name") != "stderr"] for cell in cells]
    return [
        [*dict.fromkeys(k for out in outs for k in sorted(out.get("data", [out["output_type"]])))] for outs in given
    ]


def executed(notebook: dict[str, Any], folder: Path) -> dict[str, Any]:
    """By a kernel that is made once below `studies/`."""
    python = KEPT / "bin" / "python"
    if not (KEPT / "here.pth").exists():
        made = subprocess.run([sys.executable, "-m", "venv", str(KEPT)], capture_output=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "nbclient", "ipykernel"]
        if made.returncode or subprocess.run(pip, capture_output=True).returncode:
            pytest.skip("a kernel cannot be installed here: no network")
        (KEPT / "here.pth").touch()
    (site,) = (KEPT / "lib").glob("python*/site-packages")
    (site / "here.pth").write_text(f"{ROOT / 'src'}\n{sysconfig.get_path('purelib')}\n")  # after the kernel's own
    path = folder / "notebook.ipynb"
    path.write_text(json.dumps(notebook), "utf-8")
    found = subprocess.run([str(python), "-c", RUN, str(path), str(folder)], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr[-4000:]
    return dict(json.loads(path.read_text("utf-8")))


def test_a_kernel_shows_studies_and_units(tiny_folder: Path, tmp_path: Path) -> None:
    from glossator.study import run_study

    write_corpus(tiny_folder.parent / "corpus.jsonl")
    study = run_study(small_spec(tiny_folder), tmp_path / "s", progress=False)
    assert study is not None
    cells = [
        "from glossator.study import open_study",
        "study = open_study('s')\nstudy",
        f"study.unit({study.names()[0]!r})",
    ]
    notebook = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {},
        "cells": [
            {
                "cell_type": "code",
                "id": f"c{i}",
                "metadata": {},
                "source": source,
                "outputs": [],
                "execution_count": None,
            }
            for i, source in enumerate(cells)
        ],
    }
    given = executed(notebook, tmp_path)["cells"]
    frames = ["".join(cell["outputs"][0]["data"]["text/html"]) for cell in given[1:]]
    assert all(frame.startswith("<iframe") and "srcdoc" in frame for frame in frames)


@pytest.mark.weights
@pytest.mark.parametrize("name", ["text", "vision"])
def test_notebooks_of_the_docs_run_in_a_kernel(name: str, tmp_path: Path) -> None:
    stored = json.loads((ROOT / "docs" / "notebooks" / f"{name}.ipynb").read_text("utf-8"))
    assert kinds(executed(stored, tmp_path)) == kinds(stored)
