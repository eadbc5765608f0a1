"""How many threads a machine has changes no byte of a study."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from threadpoolctl import threadpool_info

from glossator.engines import fixed_sums
from study_cases import contents, write_corpus

CODE = """
import sys
from pathlib import Path
from glossator.study import run_study
from study_cases import small_spec
spec = small_spec(Path(sys.argv[1]), units=3, explainers=("program",), max_tokens=12000)
run_study(spec, sys.argv[2], progress=False)
"""


def test_sums_are_made_by_one_thread() -> None:
    with fixed_sums():
        assert {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"} == {1}


@pytest.mark.slow
def test_another_number_of_threads_gives_the_same_bytes(tiny_folder: Path, tmp_path: Path) -> None:
    write_corpus(tiny_folder.parent / "corpus.jsonl")
    for threads in ("1", "2", "3"):
        limits = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), threads)
        environment = {**os.environ, **limits, "PYTHONPATH": os.pathsep.join(sys.path)}
        subprocess.run(
            [sys.executable, "-c", CODE, str(tiny_folder), str(tmp_path / threads)], env=environment, check=True
        )
    assert contents(tmp_path / "1") == contents(tmp_path / "2") == contents(tmp_path / "3")
