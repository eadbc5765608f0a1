"""Names by asking the module itself: single names of the general vocabulary, and phrases put together from them.

What a module responds to need be no word: the stance, the tone or the topic that it looks for may take several. A beam
search puts names that it responds to side by side and keeps what it responds to more. Whether a phrase says more than
its parts is decided on other texts, in `selection`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ComposingSpec:
    """names: of the vocabulary, by response, that become candidates; parts: of the same list, that phrases are made of,
    each of their words in `repeats` of them at most; beam: phrases that are made longer at each of `steps`; phrases:
    of each step, that become candidates. With 0 names the module is not asked."""

    names: int = 8
    parts: int = 40
    repeats: int = 2
    beam: int = 4
    steps: int = 2
    phrases: int = 4


def loudest(names: Sequence[str], values: np.ndarray, count: int) -> list[str]:
    """Names by the module's response to them, largest first; those without a response are left out."""
    known = np.flatnonzero(np.isfinite(values))
    order = known[np.argsort(-values[known], kind="stable")]
    return [names[row] for row in order[:count]]


def parts_of(names: Sequence[str], spec: ComposingSpec) -> list[str]:
    """The first names of a list in which no word stands more often than `repeats` times."""
    seen: Counter[str] = Counter()
    found = []
    for name in names:
        words = set(name.split())
        if all(seen[word] < spec.repeats for word in words):
            seen.update(words)
            found.append(name)
            if len(found) == spec.parts:
                break
    return found


def composed(
    parts: Sequence[str], ask: Callable[[Sequence[str]], np.ndarray], spec: ComposingSpec
) -> dict[str, tuple[str, str]]:
    """Phrases of two to `steps` + 1 parts, those of each step by response, best first, with the two that each was put
    together from."""
    beam = list(parts[: spec.beam])
    found: dict[str, tuple[str, str]] = {}
    for _ in range(spec.steps):
        tried = {text: (head, part) for head in beam for part in parts for text in _together(head, part)}
        texts = list(tried)
        best = loudest(texts, ask(texts), max(spec.beam, spec.phrases)) if texts else []
        found |= {text: tried[text] for text in best[: spec.phrases]}
        beam = best[: spec.beam]
    return found


def _together(head: str, part: str) -> tuple[str, ...]:
    """Both orders; none where they share a word."""
    return () if set(head.split()) & set(part.split()) else (f"{part} {head}", f"{head} {part}")
