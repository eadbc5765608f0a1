"""Testing a hypothesis on new pairs until it is settled: what the scripted policies share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

from glossator.agents.tools import Tools

BLOCK = 4
LEANS, LONGER, TRIES = 3.0, 2, 3
"""An e-value that leans to the hypothesis, and how many times as many pairs are then allowed; how many times as many
are made at most, where some turn out to be unfit."""


def settle(
    tools: Tools,
    hypothesis: str,
    pairs: Iterator[tuple[str, str]],
    make: Callable[[list[tuple[str, str]]], tuple[list[str], list[str]]],
    most: int = 12,
) -> None:
    """Test in blocks of new pairs until the evidence for or against suffices, or `most` pairs are done; twice as many
    where the evidence leans to it and the budget has room.

    make: from descriptions of pairs to the ids of the inputs with it and without it, of those that are fit.
    """
    tested = made = 0
    while not tools.ledger.settled(hypothesis) and made < TRIES * most:
        leans = tools.ledger.evidence(hypothesis)[2] >= LEANS and tools.meter.left >= 4 * most
        left = (LONGER * most if leans else most) - tested
        block = list(islice(pairs, max(0, min(BLOCK, left))))
        if not block:
            return
        first, second = make(block)
        if first:
            tools.test_hypothesis(hypothesis, first, second)
        tested, made = tested + len(first), made + len(block)


def is_confirmed(tools: Tools, hypothesis: str) -> bool:
    return any(one.id == hypothesis and one.verdict == "confirmed" for one in tools.ledger.findings())
