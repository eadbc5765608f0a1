"""What a language model or a person is told: the docstrings of the tools, the question, the log and the ledger.

A prompt is a function of these alone, so that nothing that was not logged reaches a later one.
"""

from __future__ import annotations

import inspect
import re

from glossator.agents.tools import Tools

_TASK = """You find out what one unit of a neural network responds to, by experiments. Reply with one Python code
block that uses the tools below; they are plain functions. There are no files, no network and no other modules than
math, re, json and random. Inputs are named by ids. Variables stay from one reply to the next.

Nothing that you see reaches your next prompt unless you log it with log_experiment(text): log what you did, what came
out and what it says about each hypothesis.

Work like this: look at exemplars; register several hypotheses, of what activates and of what suppresses, and at least
one negative control; test each on new pairs that differ in one thing; drop what is refuted; then give final_answer."""


def system_prompt(tools: Tools) -> str:
    """The task and the tools."""
    parts = [_TASK, "# Tools"]
    for name in tools.names:
        method = getattr(type(tools), name)
        signature = re.sub(r"\(self(, )?", "(", str(inspect.signature(method)).replace("'", "").replace("typing.", ""))
        parts.append(f"def {name}{signature}:\n    {inspect.getdoc(method)}".replace("\n", "\n    ").rstrip())
    return "\n\n".join(parts)


def round_prompt(tools: Tools) -> str:
    """The question and all that was logged."""
    ledger, meter = tools.ledger, tools.meter
    entries = []
    for name, entry in ledger.entries.items():
        good, count, above, below = ledger.evidence(name)
        control = ", negative control" if entry.control else ""
        entries.append(
            f"{name} ({entry.direction}{control}): {entry.statement} -- {good} of {count} pairs as predicted, "
            f"e for {above:.3g}, e against {below:.3g}"
        )
    log = [f"{number}. {entry['text']}" for number, entry in enumerate(tools.log, 1)]
    return "\n".join(
        [
            f"Question: {tools.question}",
            f"Unit: {tools.unit.name}, of {tools.unit.takes}. It counts as active from {ledger.level:.4g} on.",
            f"Left: {meter.left} inputs, {meter.budget.rounds - meter.rounds} rounds.",
            "",
            "Hypotheses:",
            *(entries or ["none yet"]),
            "",
            "Log:",
            *(log or ["empty"]),
        ]
    )


_BLOCK = re.compile(r"```(?:python|py)?[ \t]*\n(.*?)(?:\n```|\Z)", re.DOTALL)


def code_of(reply: str) -> str | None:
    """The code of a reply: all its blocks in order; None where there is none."""
    blocks = [block.strip("\n") for block in _BLOCK.findall(reply) if block.strip()]
    return "\n\n".join(blocks) if blocks else None
