"""What the documents claim is true: their Python runs, their links lead somewhere, their names exist."""

from __future__ import annotations

import dataclasses
import importlib
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from glossator import registry
from recording_fakes import NoModel

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
NAMES = [str(path.relative_to(ROOT)) for path in DOCUMENTS]


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def run_blocks(path: Path) -> dict[str, object]:
    """The Python blocks of a document, run in order in one namespace, which is returned."""
    namespace: dict[str, object] = {"__name__": path.stem}
    for number, block in enumerate(blocks(path.read_text(), "python"), start=1):
        exec(compile(block, f"{path.name}, block {number}", "exec"), namespace)
    return namespace


@pytest.mark.parametrize(
    "name",
    [
        "docs/programs.md",
        "docs/scores.md",
        "docs/agent.md",
        "docs/images.md",
        "docs/image-programs.md",
        "CONTRIBUTING.md",
    ],
)
def test_python_in_documents_runs(name: str) -> None:
    assert blocks((ROOT / name).read_text(), "python")
    run_blocks(ROOT / name)


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_to_files_and_headings(name: str) -> None:
    path = ROOT / name
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", path.read_text()):
        file, _, heading = target.partition("#")
        linked = (path.parent / file).resolve() if file else path
        assert linked.exists(), f"{name} links to {target}"
        if heading:
            titles = re.findall(r"^#+ (.+)$", linked.read_text(), re.MULTILINE)
            slugs = [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles]
            assert heading in slugs, f"{name} links to {target}"


@pytest.mark.parametrize("name", NAMES)
def test_modules_named_in_documents_exist(name: str) -> None:
    for dotted in set(re.findall(r"`(glossator(?:\.\w+)+)(?:\(.*?\))?`", (ROOT / name).read_text())):
        assert resolves(dotted), f"{name} names {dotted}"


def resolves(dotted: str) -> bool:
    """Whether a dotted name is a module, or an attribute of one."""
    parts = dotted.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:]:
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
        return True
    return False


def test_names_that_do_not_exist_are_noticed() -> None:
    assert resolves("glossator.errors.UserError")
    assert not resolves("glossator.errors.NoSuchError")
    assert not resolves("glossator.no_such_module")


def commands_in(text: str) -> Iterator[list[str]]:
    """The words of every `glossator ...` line in shell blocks and inline code."""
    lines = [line for block in blocks(text, "sh") for line in block.replace("\\\n", " ").splitlines()]
    lines += re.findall(r"`(glossator [^`]+)`", text)
    for line in lines:
        words = line.split("#")[0].split()
        if words and words[0].endswith("glossator") and len(words) > 1:
            yield words[1:]


@pytest.mark.parametrize("name", NAMES)
def test_commands_in_documents_exist_with_their_flags(name: str) -> None:
    import typer

    from glossator.cli import app

    group = typer.main.get_command(app)
    for words in commands_in((ROOT / name).read_text()):
        command = group
        while words and words[0] in getattr(command, "commands", {}):
            command = command.commands[words.pop(0)]
        assert command is not group or words[0].startswith("-"), f"{name}: no command {words[0]}"
        known = {flag for parameter in command.params for flag in (*parameter.opts, *parameter.secondary_opts)}
        for word in words:
            if re.match(r"--?[a-z]", word):
                assert word.split("=")[0] in known | {"--help"}, f"{name}: {command.name} has no {word}"


@pytest.mark.parametrize("name", NAMES)
def test_make_targets_in_documents_exist(name: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = (ROOT / name).read_text()
    shell = "\n".join(blocks(text, "sh") + re.findall(r"`(make [^`]+)`", text))
    assert set(re.findall(r"^make ([a-z-]+)", shell, re.MULTILINE)) <= targets


def test_every_dependency_has_its_decision() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    explained = set(re.findall(r"\*\*([\w\-, ]+)\*\*", (ROOT / "docs" / "decisions.md").read_text()))
    explained = {name.strip() for group in explained for name in group.split(",")}
    assert {re.split(r"[<>=\[]", requirement)[0] for requirement in wanted} <= explained


def test_the_lock_pins_by_hash_and_names_no_address() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    pinned = re.findall(r"^(\S+)==\S+ \\\n    --hash=sha256:[0-9a-f]{64}", lock, re.MULTILINE)
    lines = [line for line in lock.splitlines() if line and not line.startswith((" ", "#"))]
    assert len(pinned) == len(lines) > 30
    assert "://" not in lock
    assert not {"torch", "triton"} & set(pinned)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {re.split(r"[<>=\[]", r)[0] for r in [*project["dependencies"], *project["optional-dependencies"]["dev"]]}
    assert wanted - {"torch"} <= set(pinned)


def test_scores_named_in_the_document_are_those_that_scorers_give(scored_names: set[str]) -> None:
    text = (ROOT / "docs" / "scores.md").read_text()
    assert {name for name in scored_names if f"`{name}`" not in text} == set()


@pytest.fixture(scope="module")
def scored_names() -> set[str]:
    """Names, without their setting, of all scores that the registered scorers give for one unit."""
    from scorer_reader_cases import ALL_POWERS, Scripted, refusing
    from test_project_examples import small_lab, small_unit
    from test_scorers_comparing import Bags

    names = set()
    unit, evidence, explanation = small_unit()
    reader = Scripted(refusing, ALL_POWERS)  # a missing value has a name too
    bags = Bags("a")
    lab = dataclasses.replace(small_lab(), open_lm=lambda: reader, open_subject=NoModel, open_embedder=lambda: bags)
    for scorer in registry.table("scorers"):
        for score in registry.load("scorers", scorer)().score(unit, explanation, evidence, lab):
            names.add(score.name.removesuffix(".top-and-random").removesuffix(".random-only"))
    return names


def test_the_architecture_is_ten_steps_in_files_that_exist() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    steps = re.split(r"^\d+\. ", text.partition("## ")[0], flags=re.MULTILINE)[1:]
    assert len(steps) == 10 and all("→ `" in step for step in steps)
    for name in re.findall(r"`([\w/]+\.py)`", text):
        assert (ROOT / "src" / "glossator" / name).is_file(), name
