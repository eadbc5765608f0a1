"""A transcript as one HTML file: question, hypotheses with their evidence, every step, the answer. It needs no
server."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

from glossator.agents.answers import Answer
from glossator.files import replacing


def write_page(
    path: Path, steps: list[dict[str, Any]], picture: Callable[[str], bytes | None] = lambda name: None
) -> None:
    """Write the page of a transcript's steps; picture: the PNG of an image by its id, None where it cannot be shown."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("glossator.agents"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    answer = next((Answer.from_dict(step["result"]) for step in steps if step["kind"] == "answer"), None)
    page = environment.get_template("experiment.html.jinja").render(
        start=steps[0], steps=steps[1:], answer=answer, pictures=_pictures(steps, picture), values=_values(steps)
    )
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _values(steps: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Of each hypothesis its pairs with responses, as far as they stand in bars from 0 to the largest."""
    largest = max((abs(one["value"] or 0.0) for s in steps if s["kind"] == "test" for one in s["result"]["inputs"]),
                  default=0.0) or 1.0  # fmt: skip
    found: dict[str, list[dict[str, Any]]] = {}
    pairs: list[list[str]] = []
    for step in steps:
        if step["kind"] == "prediction":
            pairs = step["request"]["pairs"]
        elif step["kind"] == "test":
            inputs = step["result"]["inputs"]
            half = len(inputs) // 2
            for pair, first, second in zip(pairs, inputs[:half], inputs[half:], strict=True):
                told = [
                    {"id": name, "value": one["value"], "text": one.get("text", ""),
                     "width": round(100 * max(0.0, one["value"] or 0.0) / largest)}
                    for name, one in zip(pair, (first, second), strict=True)
                ]  # fmt: skip
                found.setdefault(step["request"]["hypothesis"], []).append({"with": told[0], "without": told[1]})
    return found


def _pictures(steps: list[dict[str, Any]], picture: Callable[[str], bytes | None]) -> dict[str, str]:
    names = {name for s in steps if s["kind"] == "prediction" for pair in s["request"]["pairs"] for name in pair}
    names |= {name for s in steps if s["kind"] == "log" for name in s["request"]["images"]}
    shown = {name: picture(name) for name in sorted(names) if name.startswith("i")}
    return {n: "data:image/png;base64," + base64.b64encode(b).decode() for n, b in shown.items() if b is not None}
