"""The notebooks of the docs: they hold what their cells gave, and give it again when they are run."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))


def runner() -> Any:
    spec = importlib.util.spec_from_file_location("notebooks", ROOT / "scripts" / "notebooks.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def outputs_of(notebook: dict[str, Any]) -> list[list[str]]:
    """The kinds of what each cell of code gave."""
    return [[kind for out in cell["outputs"] for kind in out.get("data", [out["output_type"]])]
            for cell in notebook["cells"] if cell["cell_type"] == "code"]  # fmt: skip


def test_there_is_one_of_texts_and_one_of_images() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["text", "vision"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_holds_studies_and_units_as_frames(path: Path) -> None:
    notebook = json.loads(path.read_text())
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == [*range(1, len(cells) + 1)]
    assert all(outputs for outputs in outputs_of(notebook))
    given = [out for cell in cells for out in cell["outputs"]]
    frames = [out["data"]["text/html"] for out in given if "text/html" in out.get("data", {})]
    assert len(frames) >= 2 and all(frame.startswith("<iframe") and "http" not in frame[:300] for frame in frames)
    assert path.stat().st_size < 4 << 20 and "/tmp" not in "".join(out.get("text", "") for out in given)


@pytest.mark.slow
@pytest.mark.weights
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    stored = json.loads(path.read_text())
    assert outputs_of(runner().executed(stored)) == outputs_of(stored)


def test_cells_give_what_they_print_and_their_last_value(capsys: pytest.CaptureFixture) -> None:
    class Shown:
        def _repr_html_(self) -> str:
            return "<b>shown</b>"

    sources = ["print('said'); 1 + 1", "x = 3", "x", "Shown()"]
    cells = [{"cell_type": "code", "source": source, "outputs": []} for source in sources]
    module = runner()
    scope: dict[str, Any] = {"Shown": Shown}
    given = [module._outputs(cell["source"], scope, i) for i, cell in enumerate(cells, 1)]
    assert [[out["output_type"] for out in outputs] for outputs in given] == [
        ["stream", "execute_result"], [], ["execute_result"], ["execute_result"],
    ]  # fmt: skip
    assert given[0][0]["text"] == "said\n" and given[2][0]["data"] == {"text/plain": "3"}
    assert given[3][0]["data"] == {"text/html": "<b>shown</b>", "text/plain": "<Shown>"}
    with pytest.raises(ZeroDivisionError):
        module.executed({"cells": [{"cell_type": "code", "source": "1 / 0"}]})
