"""The newcomer's script runs as it stands, from own text to a run that was killed and goes on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "docs" / "newcomer.sh"


@pytest.mark.slow
def test_the_newcomers_script(tmp_path: Path) -> None:
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": programs, "PYTHONPATH": str(SCRIPT.parents[1] / "src")}
    command = ["sh", str(SCRIPT), str(tmp_path / "newcomer")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "Traceback" not in done.stderr
    assert "Rows of the corpus left out because their text is null: 1." in done.stderr
    parts = dict(part.split("\n", 1) for part in done.stdout.split("\n## ")[1:])
    titles = ("Own text and own model", "One unit", "Own hypothesis", "Own text on it", "Own server", "Stop, and go on")
    said = [next(text for title, text in parts.items() if title.startswith(name)) for name in titles]
    own, one, hypothesis, text, server, stopped = said
    assert "Best explained of" in own and "Report: file://" in own
    assert "mlp.1/" in one and "correlation" in one
    assert "held-out" in hypothesis or "test split" in hypothesis or "correlation" in hypothesis
    assert "March" in text
    assert "Total cost: " in server
    assert "killed" in stopped and "unfinished" in stopped and "checked, all as written" in stopped
