"""Importing the package is cheap, and what works on arrays alone needs no deep-learning library."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from pace import pace

HEAVY = ("torch", "transformers", "pyarrow", "rich", "scipy", "jinja2", "gguf", "openai", "jsonschema")


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_glossator_is_fast() -> None:
    code = "import time; start = time.perf_counter(); import glossator; print(time.perf_counter() - start)"
    seconds = sorted(float(run_python(code)) for _ in range(5))
    assert seconds[2] < 5 * pace()  # about .2


def test_import_glossator_loads_nothing_heavy() -> None:
    loaded = run_python("import glossator, sys; print(*sys.modules)").split()
    assert [name for name in HEAVY if name in loaded] == []


@pytest.mark.parametrize(
    "module",
    [
        "evidence", "explanations", "scores", "statistics", "inputs", "units", "registry", "files",
        "corpora", "programs", "explainers", "simulators", "scorers", "recording", "study", "cli",
        "language_models",
    ],
)  # fmt: skip
def test_parts_that_work_on_arrays_load_no_model_library(module: str) -> None:
    loaded = run_python(f"import glossator.{module}, sys; print(*sys.modules)").split()
    assert [name for name in ("torch", "transformers") if name in loaded] == []


def test_the_server_starts_without_what_later_pages_need() -> None:
    loaded = run_python("import glossator.explorer.server, glossator.human.asking, sys; print(*sys.modules)").split()
    assert [name for name in (*HEAVY, "PIL", "glossator.study.context", "glossator.scenes") if name in loaded] == []


@pytest.mark.parametrize("package", ["agents", "causal", "language_models", "recording", "study", "subjects"])
def test_packages_give_the_names_that_they_list(package: str) -> None:
    found = importlib.import_module(f"glossator.{package}")
    assert all(getattr(found, name).__name__ for name in found.__all__ if not name.isupper())
    assert not {
        name for name in found.__all__ if f"glossator.{package}.{name}" in sys.modules
    }  # a module would hide it
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = found.nothing
