"""Small studies of a tiny random model, and methods that misbehave, for the tests of studies, commands and reports."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glossator import registry
from glossator.evidence import ExplainEvidence
from glossator.explainers.token_list import TokenListExplainer
from glossator.explanations import Explanation
from glossator.study import StudySpec
from glossator.study.spec import DEFAULT_EVIDENCE
from glossator.study.work import LOG
from glossator.units import Unit

TRICKY = ("</script>", "<b>", "\u202e", "\u2028", "&amp;", "\x1b[31m", '"')
"""Texts that a page or a terminal would obey; each is short, as documents that share 24 tokens go to one split."""


def small_spec(folder: Path, **changes: Any) -> StudySpec:
    """A study of a few neurons of the tiny model, on text that is made here."""
    settings = {
        "subject": str(folder), "sites": ("mlp.0",), "units": 5, "corpus": str(folder.parent / "corpus.jsonl"),
        "max_tokens": 6000, "width": 32, "explainers": ("token-list",), "scorers": ("correlation", "detection"),
        "evidence": replace(DEFAULT_EVIDENCE, min_firing_windows=2),
    }  # fmt: skip
    return StudySpec(**{**settings, **changes})


def write_corpus(path: Path, documents: int = 240) -> Path:
    """Documents of random words, every other one with tricky text between them."""
    import json

    rng = np.random.default_rng(5)
    words = ["the", "fox", "jumps", "over", "lazy", "dogs", "in", "1987", "(a, b):", "return", "cannery", "naïve", "\n"]
    lines = []
    for i in range(documents):
        chosen = rng.choice([*words, *TRICKY] if i % 2 else words, 50)
        lines.append(json.dumps({"id": f"doc-{i}", "text": " ".join(chosen)}))
    path.write_text("\n".join(lines))
    return path


def contents(folder: Path) -> dict[str, str]:
    """Digest of every file of a study that belongs to its identity."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != LOG
    }


def register(monkeypatch: pytest.MonkeyPatch, kind: str, **objects: str) -> None:
    """Add plug-ins by name for one test."""
    for name, target in objects.items():
        monkeypatch.setitem(registry.BUILT_IN[kind], name, f"study_cases:{target}")
    registry.table.cache_clear()
    # The table of the test is forgotten when its changes are undone.
    monkeypatch.setattr(registry, "table", registry.table.__wrapped__)


class Silent:
    """Never finds anything."""

    def explain(self, unit: Unit, evidence: ExplainEvidence, *, n: int, rng: np.random.Generator) -> list[Explanation]:
        return []


class Fragile:
    """Fails on every unit with an even index, and on all units when asked about them together."""

    def explain_many(self, pairs: list, *, n: int, rng: np.random.Generator) -> list[list[Explanation]]:
        raise RuntimeError("not all at once")

    def explain(self, unit: Unit, evidence: ExplainEvidence, *, n: int, rng: np.random.Generator) -> list[Explanation]:
        if unit.index % 2 == 0:
            raise ZeroDivisionError("an even unit")
        return TokenListExplainer().explain(unit, evidence)


class Ranked:
    """Offers its worst candidate first: one token, then a dozen, then a sentence that nothing can execute."""

    def explain(self, unit: Unit, evidence: ExplainEvidence, *, n: int, rng: np.random.Generator) -> list[Explanation]:
        import dataclasses

        lists = [TokenListExplainer(n=size).explain(unit, evidence)[0] for size in (1, 12)]
        lists.insert(0, dataclasses.replace(lists[0], text="in words alone", program=None))
        return [dataclasses.replace(e, rank=rank) for rank, e in enumerate(lists)]


class Wordy:
    """Explains in words alone."""

    def explain(self, unit: Unit, evidence: ExplainEvidence, *, n: int, rng: np.random.Generator) -> list[Explanation]:
        import dataclasses

        found = TokenListExplainer().explain(unit, evidence)[0]
        provenance = dataclasses.replace(found.provenance, method="wordy", cost={"calls": 1, "seconds": rng.random()})
        return [dataclasses.replace(found, text="something with words", program=None, provenance=provenance)]


class BrokenScorer:
    """Fails on every unit."""

    needs: frozenset[str] = frozenset()

    def score(self, *_: Any) -> list:
        raise KeyError("no such thing")


def toy_benchmark(options: dict[str, Any]) -> dict[str, Any]:
    return {"options": options, "rows": [{"site": "mlp.0", "r": 0.5}]}
