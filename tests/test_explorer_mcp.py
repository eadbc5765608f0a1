"""Agents reach studies by the Model Context Protocol: in this process, and through the command."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from glossator.explorer.api import ENDPOINTS
from glossator.explorer.pages.lists import unit_list
from glossator.explorer.tools_for_agents import TOOLS, server
from glossator.study import Study, run_study
from study_cases import small_spec, write_corpus

mcp = pytest.importorskip("mcp", reason="the extra mcp is not installed")


@pytest.fixture(scope="module")
def study(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    write_corpus(tiny_folder.parent / "corpus.jsonl")
    found = run_study(small_spec(tiny_folder), tmp_path_factory.mktemp("mcp") / "tiny", progress=False)
    assert found is not None
    return found


def asked(target: Any, *calls: tuple[str, dict[str, Any]]) -> list[tuple[bool, Any]]:
    """(whether it failed, answer) of each call in one session."""

    async def session() -> list[tuple[bool, Any]]:
        async with mcp.Client(target) as client:
            listed = {tool.name for tool in (await client.list_tools()).tools}
            assert listed == {*TOOLS}
            found = []
            for name, given in calls:
                answer = await client.call_tool(name, given)
                (part,) = answer.content
                found.append((bool(answer.is_error), part.text if answer.is_error else json.loads(part.text)))
            return found

    return asyncio.run(session())


def test_an_agent_searches_shows_scores_and_tries(study: Study) -> None:
    unit = unit_list(study).units[0].unit
    answers = asked(
        server([study.folder]), ("list_studies", {}), ("search_units", {"limit": 3, "order": "best"}),
        ("show_unit", {"unit": unit}), ("show_activations", {"study": "tiny", "unit": unit}),
        ("score_hypothesis", {"unit": unit, "hypothesis": 'token(" the")'}),
        ("try_text", {"unit": unit, "text": "the lazy fox jumps"}), ("describe_study", {}),
    )  # fmt: skip
    assert not any(failed for failed, _ in answers)
    studies, units, shown, activations, scored, tried, described = (answer for _, answer in answers)
    assert [one["study"] for one in studies] == ["tiny"] and described["units"] == sum(study.counts.values())
    assert len(units["units"]) == 3 and units["units"][0]["unit"] == unit
    assert shown["explanations"][0]["scores"] and shown["unit"] == unit
    top = next(group for group in activations["groups"] if group["kind"] == "top")["windows"][0]
    assert f"<<{top['token']}" in top["text"] and top["activation"] == pytest.approx(activations["largest"], rel=0.01)
    assert scored["program"] and scored["scores"]
    assert len(tried["window"]["tokens"]) >= 4 and len(tried["window"]["tokens"][0]) == 3


def test_mistakes_are_told(study: Study) -> None:
    calls = (
        ("show_unit", {"unit": "mlp.0/99999"}), ("show_unit", {"study": "../../etc", "unit": "mlp.0/1"}),
        ("search_units", {"limit": 10**6}), ("try_text", {"unit": "mlp.0/1", "text": "x" * 30_000}),
        ("score_hypothesis", {"unit": unit_list(study).units[0].unit, "hypothesis": "token(", "words": False}),
    )  # fmt: skip
    wanted = ("no such unit", "no such study", "limit", "text", "not a program")
    for (failed, said), words in zip(asked(server([study.folder]), *calls), wanted, strict=True):
        assert failed and words in said and "Traceback" not in said, said


def test_tools_are_endpoints() -> None:
    assert {*TOOLS.values()} <= {endpoint.path for endpoint in ENDPOINTS}


@pytest.mark.slow
def test_the_command_speaks_on_standard_input_and_output(study: Study) -> None:
    from mcp.client.stdio import StdioServerParameters

    command = StdioServerParameters(command=sys.executable, args=["-m", "glossator", "mcp", str(study.folder)],
                                    env={**os.environ})  # fmt: skip
    ((failed, found),) = asked(command, ("search_units", {"limit": 1}))
    assert not failed and len(found["units"]) == 1
