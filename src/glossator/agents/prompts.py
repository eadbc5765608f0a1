"""What a language model or a person is told: the docstrings of the tools, the question, the log and the ledger.

A prompt is a function of these alone, so that nothing that was not logged reaches a later one.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Sequence

from glossator.agents.tools import Tools
from glossator.statistics.sequential import rate_above, rate_below

_TASK = """You find out what one unit of a neural network responds to, by experiments. Reply with one Python code
block that uses the tools below; they are plain functions. There are no files, no network and no other modules than
math, re, json and random. Inputs are named by ids. Variables stay from one reply to the next.

Nothing that you see reaches your next prompt unless you log it with log_experiment(text): log what you did, what came
out and what it says about each hypothesis.

Work like this: look at exemplars; register several hypotheses, of what activates and of what suppresses, and at least
one negative control; test each on new pairs that differ in one thing; drop what is refuted; then give final_answer."""

_SEEN = """Question: What does this unit respond to?
Unit: another/unit/0, of {takes}. It counts as active from 1.2 on.

Log:
1. Strongest recorded inputs:
{exemplars}{more}

Hypotheses:
{hypotheses}

Left: {left} inputs, {rounds} rounds.
{next_step}"""
_ANSWER = """# The first is confirmed, and its near miss failed: that answers the question.
final_answer("{headline}", limits=["tested beside one near miss only"])"""
_EXAMPLES = {
    "texts": (
        "t1: 4.1 the door was painted>> red<< last year\nt2: 3.8 a>> blue<< coat and a hat\n"
        "t3: 3.7 she wore>> green<< shoes",
        """# The marked words are names of colours. Other adjectives are the near miss.
colours = register_hypothesis("names of colours")
adjectives = register_hypothesis("adjectives that are no colours", control=True)
for name, words, others in (
    (colours, ["red", "green", "yellow", "grey"], ["table", "run", "often", "seven"]),
    (adjectives, ["tall", "cold", "empty", "heavy"], ["chair", "walk", "never", "nine"]),
):
    with_it = [text["id"] for word in words for text in generate_text(word, 2)]
    without = [text["id"] for word in others for text in generate_text(word, 2)]
    log_experiment(f"{name} against other words: {test_hypothesis(name, with_it, without)}")""",
        "names of colours",
        ("names of colours", "adjectives that are no colours"),
    ),
    "images": (
        "i1: 4.1 dog, grass background, tree\ni2: 3.8 car, dog, snow background\ni3: 3.7 dog, red",
        """# All three show a dog, in different places. A cat is the near miss.
dogs = register_hypothesis("dogs")
cats = register_hypothesis("cats", control=True)
places = ["on grass", "in a room", "on snow", "in the city", "in the desert", "on the beach", "on dirt", "on wood"]
for name, thing in ((dogs, "a dog"), (cats, "a cat")):
    with_it = [image["id"] for image in text2image([f"{thing} and a tree {place}" for place in places])]
    without = [image["id"] for image in text2image([f"a tree {place}" for place in places])]
    log_experiment(f"{name}, with and without {thing}: {test_hypothesis(name, with_it, without)}")""",
        "dogs",
        ("dogs", "cats"),
    ),
}
REPLY = " Reply with one ```python block."
FIRST_LOOK = 8
"""Exemplars that stand in the log before the first reply."""


def first_look(tools: Tools) -> None:
    """Log the unit's strongest inputs, so that a first reply need not be spent on asking for them."""
    found = tools.dataset_exemplars(max(1, min(FIRST_LOOK, tools.meter.left)))
    lines = [f"{one['id']}: {one['value']} {one.get('text') or ', '.join(one.get('contents', []))}" for one in found]
    tools.log_experiment("Strongest recorded inputs:\n" + "\n".join(lines), [one["id"] for one in found])


def system_prompt(tools: Tools) -> str:
    """The task and the tools."""
    parts = [_TASK, "# Tools"]
    for name in tools.names:
        method = getattr(type(tools), name)
        signature = re.sub(r"\(self(, )?", "(", str(inspect.signature(method)).replace("'", "").replace("typing.", ""))
        parts.append(f"def {name}{signature}:\n    {inspect.getdoc(method)}".replace("\n", "\n    ").rstrip())
    return "\n\n".join(parts)


def example(tools: Tools) -> list[tuple[str, str]]:
    """Prompts and replies of an experiment on another unit, as turns that came before."""
    seen, code, headline, (first, second) = _EXAMPLES[tools.unit.takes]
    good, bad = (
        f"{n} of 8 pairs as predicted, e for {rate_above(n, 8):.3g}, e against {rate_below(n, 8):.3g}" for n in (8, 0)
    )
    tested = [f"h1 (activates): {first} -- {good}", f"h2 (activates, negative control): {second} -- {bad}"]
    logged = f"\n2. h1, {first}: {good}\n3. h2, {second}: {bad}"
    first_prompt, second_prompt = (
        _SEEN.format(takes=tools.unit.takes, exemplars=seen, left=left, rounds=rounds, hypotheses=hypotheses, more=more,
                     next_step=next_step)
        for left, rounds, hypotheses, more, next_step in (
            (297, 11, "none yet", "", _next([], 11)), (265, 10, "\n".join(tested), logged, _next(["confirmed"], 10)),
        )
    )  # fmt: skip
    return [(first_prompt, block(code)), (second_prompt, block(_ANSWER.format(headline=headline)))]


def block(code: str) -> str:
    return f"```python\n{code}\n```"


def round_prompt(tools: Tools) -> str:
    """The question, all that was logged, and what there is to do.

    What changes comes last: servers that keep what prompts share then read no more than what is new.
    """
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
    left = meter.budget.rounds - meter.rounds
    return "\n".join(
        [
            f"Question: {tools.question}",
            f"Unit: {tools.unit.name}, of {tools.unit.takes}. It counts as active from {ledger.level:.4g} on.",
            "",
            "Log:",
            *(log or ["empty"]),
            "",
            "Hypotheses:",
            *(entries or ["none yet"]),
            "",
            f"Left: {meter.left} inputs, {left} rounds.",
            _next(
                [one.verdict for one in ledger.findings() if not one.control],
                left,
                any(one.control and one.trials for one in ledger.findings()),
            ),
        ]
    )


def _next(verdicts: Sequence[str], left: int, controlled: bool = True) -> str:
    """What there is to do, by the verdicts on the claims so far, the rounds that are left, and whether a negative
    control was tested."""
    if left < 1:
        told = "This is the last reply: give final_answer, with what was confirmed, or with None."
    elif not verdicts:
        told = (
            "Next: register what the strongest inputs may have in common, and a negative control; test each on pairs."
        )
    elif "confirmed" in verdicts and not controlled:
        told = "Next: register a negative control (control=True) and test it on new pairs; a claim needs one."
    elif "confirmed" in verdicts:
        told = "Next: give final_answer, or test a narrower hypothesis."
    elif "untested" in verdicts:
        told = "Next: make new pairs for the hypotheses of 0 pairs, and call test_hypothesis."
    else:
        told = (
            "Nothing is confirmed yet. Next: register and test another hypothesis, or test what is not settled on more "
            "new pairs."
        )
    return f"{told}{REPLY}"


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
