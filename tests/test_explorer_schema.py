"""Schemathesis over the OpenAPI page: whatever is sent, no answer is a 500, and each is one that the page describes.

It has its own environment, as it wants other versions than the lock; without a network to make it the test is skipped.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from explorer_cases import serving
from glossator.human.asking import Asking
from glossator.study import run_study
from study_cases import small_spec, write_corpus

VERSION = "schemathesis==4.32.5"
KEPT = Path(__file__).resolve().parent.parent / "studies" / "schemathesis"
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


def schemathesis() -> Path:
    """The command, in an environment that is made once below `studies/`."""
    command = KEPT / "bin" / "schemathesis"
    if not command.exists():
        made = subprocess.run([sys.executable, "-m", "venv", str(KEPT)], capture_output=True)
        pip = [str(KEPT / "bin" / "python"), "-m", "pip", "install", "--quiet", VERSION]
        if made.returncode or subprocess.run(pip, capture_output=True).returncode:
            pytest.skip("schemathesis cannot be installed here: no network")
    return command


@pytest.mark.slow
def test_no_request_gets_an_answer_that_is_not_described(tiny_folder: Path, tmp_path: Path) -> None:
    command = schemathesis()
    write_corpus(tiny_folder.parent / "corpus.jsonl")
    study = run_study(small_spec(tiny_folder), tmp_path / "s", progress=False)
    assert study is not None
    with serving([study.folder], asking=Asking()) as address:
        found = subprocess.run(
            [str(command), "run", f"{address}api/openapi.json", "--url", address.rstrip("/"), "--checks", CHECKS,
             "--max-examples", "15", "--request-timeout", "120", "--generation-deterministic", "--no-color"],
            capture_output=True, text=True, timeout=1800,
        )  # fmt: skip
    assert found.returncode == 0, found.stdout[-6000:]
