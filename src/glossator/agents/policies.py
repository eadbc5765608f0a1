"""Policies by name, and what the scripted ones share: testing a hypothesis on new pairs until it is settled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

from glossator.agents.under_test import UnderTest
from glossator.errors import UserError

if TYPE_CHECKING:
    from glossator.agents.experiment import Policy
    from glossator.agents.tools import Tools

BLOCK = 4
NAMES = ("scripted", "lm", "person")


def named_policy(name: str, unit: UnderTest) -> Policy:
    """The scripted experimenter for this kind of unit; the others need a model or a terminal (`driven`)."""
    if name != "scripted":
        raise UserError("unknown policy", value=name, allowed="scripted, or a policy as an object")
    if unit.takes == "texts":
        from glossator.agents.scripted_texts import scripted_texts

        return scripted_texts
    from glossator.agents.scripted_images import scripted_images

    return scripted_images


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
