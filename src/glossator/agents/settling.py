"""Testing a hypothesis on new pairs until it is settled: what the scripted policies share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

from glossator.agents.tools import Tools

BLOCK = 4


def settle(
    tools: Tools,
    hypothesis: str,
    pairs: Iterator[tuple[str, str]],
    make: Callable[[list[tuple[str, str]]], tuple[list[str], list[str]]],
    most: int = 12,
) -> None:
    """Test in blocks of new pairs until the evidence for or against suffices, or `most` pairs are done.

    make: from descriptions of pairs to the ids of the inputs with it and without it.
    """
    done = 0
    while done < most and not tools.ledger.settled(hypothesis):
        block = list(islice(pairs, min(BLOCK, most - done)))
        if not block:
            return
        first, second = make(block)
        if first:
            tools.test_hypothesis(hypothesis, first, second)
        done += len(block)


def is_confirmed(tools: Tools, hypothesis: str) -> bool:
    return any(one.id == hypothesis and one.verdict == "confirmed" for one in tools.ledger.findings())
