"""The README's annotated trees are those of `src/glossator` and `benchmarks`: nothing missing, nothing that is gone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("src/glossator/", "benchmarks/")
LINE = re.compile(r"(?P<indent>(?:[│ ]   )*)[├└]── (?P<name>\S+)(?:\s+(?P<purpose>\S.*))?$")


def documented_tree(markdown: str, folder: str = "src/glossator/") -> dict[str, str]:
    """{path below the root of the tree: purpose} from the block that opens with this folder."""
    block = re.search(rf"```text\n{folder}\n(.*?)```", markdown, re.DOTALL)
    assert block, f"the README has no tree block that opens with {folder}"
    found: dict[str, str] = {}
    folders: list[str] = []
    for line in block[1].splitlines():
        match = LINE.match(line)
        assert match, f"not a line of a tree: {line!r}"
        level = len(match["indent"]) // 4
        assert level <= len(folders), f"indented too deep: {line!r}"
        folders[level:] = [match["name"]]
        path = "".join(folders)
        assert path not in found, f"listed twice: {path}"
        found[path] = match["purpose"] or ""
        if not match["name"].endswith("/"):
            folders.pop()
    return found


def actual_tree(package: Path) -> set[str]:
    """Modules (without `__init__.py`) and folders (with a closing slash) that hold files; data files do not count."""
    found = set()
    for path in package.rglob("*"):
        parts = path.relative_to(package).parts
        if any(part == "__pycache__" or part.startswith(".") for part in parts):
            continue
        if path.is_dir() and any(p.is_file() and p.suffix != ".pyc" for p in path.rglob("*")):
            found.add("/".join(parts) + "/")
        elif path.suffix == ".py" and path.name != "__init__.py":
            found.add("/".join(parts))
    return found


@pytest.mark.parametrize("folder", FOLDERS)
def test_readme_tree_is_the_real_tree(folder: str) -> None:
    documented, actual = set(documented_tree((ROOT / "README.md").read_text(), folder)), actual_tree(ROOT / folder)
    assert sorted(actual - documented) == [], "missing in the README's tree"
    assert sorted(documented - actual) == [], "in the README's tree, but not there"


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_line_says_what_it_is_for(folder: str) -> None:
    tree = documented_tree((ROOT / "README.md").read_text(), folder)
    assert [path for path, purpose in tree.items() if len(purpose) < 8] == []


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_module_says_why_it_is_there(folder: str) -> None:
    silent = [p for p in (ROOT / folder).rglob("*.py") if not p.read_text().lstrip().startswith(('"""', 'r"""'))]
    assert silent == []


TREE = """
```text
src/glossator/
├── units.py            names of units
├── programs/           the language
│   ├── bits.py         its price
│   └── parts/          more of it
│       └── deep.py     the deepest
└── files.py            writing
```
"""


def test_the_parser_of_trees() -> None:
    assert documented_tree(TREE) == {
        "units.py": "names of units",
        "programs/": "the language",
        "programs/bits.py": "its price",
        "programs/parts/": "more of it",
        "programs/parts/deep.py": "the deepest",
        "files.py": "writing",
    }


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("└── files.py            writing", "└── units.py            again"),
        ("├── units.py            ", "|-- units.py  "),
    ],
)
def test_the_parser_refuses_broken_trees(old: str, new: str) -> None:
    with pytest.raises(AssertionError):
        documented_tree(TREE.replace(old, new))


def test_the_walk_sees_modules_and_folders(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "__init__.py").touch()
    (tmp_path / "sub" / "a.py").touch()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x.xz").touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "a.pyc").touch()
    assert actual_tree(tmp_path) == {"sub/", "sub/a.py", "data/"}
