"""What a language model or a person is told: the docstrings of the tools, the question, the log and the ledger.

A prompt is a function of these alone, so that nothing that was not logged reaches a later one.
"""

from __future__ import annotations

import ast
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

_EXAMPLES = {
    "texts": """colour = register_hypothesis("names of colours")
animal = register_hypothesis("names of animals", control=True)
for name, word, other in ((colour, "red", "tall"), (animal, "horse", "tall")):
    with_it = [text["id"] for text in generate_text(word, 8)]
    without = [text["id"] for text in generate_text(other, 8)]
    log_experiment(f"{name}, {word} against {other}: {test_hypothesis(name, with_it, without)}")""",
    "images": """dogs = register_hypothesis("dogs")
boats = register_hypothesis("boats", control=True)
for name, thing in ((dogs, "a dog"), (boats, "a boat")):
    with_it = [image["id"] for image in text2image([f"{thing} and a tree, {i} clouds" for i in range(8)])]
    without = [image["id"] for image in text2image([f"a tree, {i} clouds" for i in range(8)])]
    log_experiment(f"{name}, with and without {thing}: {test_hypothesis(name, with_it, without)}")""",
}
FIRST_LOOK = 8
"""Exemplars that stand in the log before the first reply."""


def first_look(tools: Tools) -> None:
    """Log the unit's strongest inputs, so that a first reply need not be spent on asking for them."""
    found = tools.dataset_exemplars(max(1, min(FIRST_LOOK, tools.meter.left)))
    lines = [f"{one['id']}: {one['value']} {one.get('text') or ', '.join(one.get('contents', []))}" for one in found]
    tools.log_experiment("Strongest recorded inputs:\n" + "\n".join(lines), [one["id"] for one in found])


def system_prompt(tools: Tools) -> str:
    """The task, the tools, and a reply that uses them for another unit."""
    parts = [_TASK, "# Tools"]
    for name in tools.names:
        method = getattr(type(tools), name)
        signature = re.sub(r"\(self(, )?", "(", str(inspect.signature(method)).replace("'", "").replace("typing.", ""))
        parts.append(f"def {name}{signature}:\n    {inspect.getdoc(method)}".replace("\n", "\n    ").rstrip())
    example = _EXAMPLES[tools.unit.takes]
    return "\n\n".join([*parts, f"# A reply about another unit\n\n```python\n{example}\n```"])


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
            "",
            "Reply with one ```python block that calls the tools.",
        ]
    )


_BLOCK = re.compile(r"```(?:python|py)?[ \t]*\n(.*?)(?:\n```|\Z)", re.DOTALL)


def code_of(reply: str) -> str | None:
    """The code of a reply: all its blocks in order, or the whole reply where it is Python; None where there is none."""
    blocks = [block.strip("\n") for block in _BLOCK.findall(reply) if block.strip()]
    if blocks:
        return "\n\n".join(blocks)
    try:
        parsed = ast.parse(reply.strip())
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return reply.strip() if any(isinstance(node, ast.Call) for node in ast.walk(parsed)) else None
