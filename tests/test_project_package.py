"""What is installed is complete: every data file is in the wheel, every import is declared."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def imported_packages(folder: Path) -> set[str]:
    """Top-level names of third-party packages that any module below the folder imports, anywhere in it."""
    found = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.split(".")[0])
    return found - set(sys.stdlib_module_names) - {"glossator", "__future__"}


IMPORTED_AS = {"pillow": "PIL"}


def declared(*extras: str) -> set[str]:
    requirements = [*PROJECT["dependencies"], *(r for e in extras for r in PROJECT["optional-dependencies"][e])]
    names = (re.split(r"[<>=\[]", requirement)[0] for requirement in requirements)
    return {IMPORTED_AS.get(name, name.replace("-", "_")) for name in names}


def test_every_import_is_a_declared_dependency() -> None:
    extras = set(PROJECT["optional-dependencies"]) - {"dev"}
    assert imported_packages(ROOT / "src") - declared(*extras) == set()


def test_every_dependency_is_imported() -> None:
    for_transformers = {"accelerate", "gguf"}  # it imports them, to place a model on devices and to read GGUF files
    assert declared() - imported_packages(ROOT / "src") <= for_transformers


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel, built from a copy so that no build folder is left in the tree."""
    copy = tmp_path_factory.mktemp("project")
    shutil.copytree(ROOT / "src", copy / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", ".*"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / name, copy)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet", "-w", "out", "."]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (built,) = (copy / "out").glob("*.whl")
    return zipfile.ZipFile(built)


def test_the_wheel_holds_every_file_of_the_package(wheel: zipfile.ZipFile) -> None:
    source = ROOT / "src"
    hidden = re.compile(r"(^|/)(\.|__pycache__)")
    files = {p.relative_to(source).as_posix() for p in (source / "glossator").rglob("*") if p.is_file()}
    assert {name for name in files if not hidden.search(name)} - set(wheel.namelist()) == set()


def test_the_wheel_holds_the_licence_and_the_command(wheel: zipfile.ZipFile) -> None:
    names = wheel.namelist()
    assert [n for n in names if n.endswith("licenses/LICENSE")] and [n for n in names if n.endswith("licenses/NOTICE")]
    (entry_points,) = (n for n in names if n.endswith("entry_points.txt"))
    assert "glossator = glossator.cli:main" in wheel.read(entry_points).decode()


def test_an_installed_package_lists_the_benchmarks_and_says_where_they_are(
    wheel: zipfile.ZipFile, tmp_path: Path
) -> None:
    wheel.extractall(tmp_path / "installed")

    def python(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"PYTHONPATH": str(tmp_path / "installed"), "COLUMNS": "100"}
        command = [sys.executable, *arguments]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    where = python("-c", "import glossator.planted; print(glossator.planted.__file__)")
    assert str(tmp_path / "installed") in where.stdout
    assert "planted  " in python("-m", "glossator", "bench", "--help").stdout
    told = python("-m", "glossator", "bench", "planted")
    assert told.returncode == 2
    assert told.stderr.count("\n") == 1
    assert "benchmarks/ of the repository" in told.stderr


def test_the_licence_is_whole() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text
    assert "Grant of Patent License" in text
