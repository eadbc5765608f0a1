"""Small studies of a tiny random model, and methods that misbehave, for the tests of studies, commands and reports."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glossator import registry
from glossator.errors import MissingPower
from glossator.evidence import ExplainEvidence
from glossator.explainers import Abstained, Explained, Explainer, explain_one
from glossator.explainers.token_list import TokenListExplainer
from glossator.explanations import Explanation, Provenance
from glossator.inputs.tokens import TokenWindows
from glossator.language_models import Answer, LanguageModel, Message, Request, TokenLogprob, Usage
from glossator.scorers import Scorer
from glossator.scores import Score
from glossator.simulators import ZERO_TO_TEN, Simulation, Simulator
from glossator.statistics import compare, ratio
from glossator.store.folder import ANSWERS, LOG
from glossator.store.spec import DEFAULT_EVIDENCE, READ_EVIDENCE
from glossator.study import StudySpec
from glossator.units import Unit, unit_rng

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


def write_corpus(path: Path, documents: int = 240, length: int = 50) -> Path:
    """Documents of so many random words, every other one with tricky text between them."""
    rng = np.random.default_rng(5)
    words = ["the", "fox", "jumps", "over", "lazy", "dogs", "in", "1987", "(a, b):", "return", "cannery", "naïve", "\n"]
    lines = []
    for i in range(documents):
        chosen = rng.choice([*words, *TRICKY] if i % 2 else words, length)
        lines.append(json.dumps({"id": f"doc-{i}", "text": " ".join(chosen)}))
    path.write_text("\n".join(lines))
    return path


def contents(folder: Path) -> dict[str, str]:
    """Digest of every file of a study that belongs to its identity."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith((LOG, ANSWERS))
    }


def register(monkeypatch: pytest.MonkeyPatch, kind: str, **objects: str) -> None:
    """Add plug-ins by name for one test."""
    for name, target in objects.items():
        monkeypatch.setitem(registry.BUILT_IN[kind], name, f"study_cases:{target}")


class Silent(Explainer):
    """Never finds anything."""

    def explain(self, evidence: Sequence[ExplainEvidence], *, n: int, seed: int) -> Sequence[Explained]:
        return [Abstained("nothing to say")] * len(evidence)


class OfEach(Explainer):
    """Explains one unit after the other, with a generator of its own for each."""

    def explain(self, evidence: Sequence[ExplainEvidence], *, n: int, seed: int) -> Sequence[Explained]:
        return [self.of(one, n, unit_rng(seed, one.unit)) for one in evidence]

    def of(self, evidence: ExplainEvidence, n: int, rng: np.random.Generator) -> list[Explanation]:
        raise NotImplementedError


class Fragile(OfEach):
    """Fails on every unit with an even index, and on all units when asked about them together."""

    def of(self, evidence: ExplainEvidence, n: int, rng: np.random.Generator) -> list[Explanation]:
        if evidence.unit.index % 2 == 0:
            raise ZeroDivisionError("an even unit")
        return explain_one(TokenListExplainer(), evidence)


class Ranked(OfEach):
    """Offers its worst candidate first: one token, then a dozen, then a sentence that nothing can execute."""

    def of(self, evidence: ExplainEvidence, n: int, rng: np.random.Generator) -> list[Explanation]:
        import dataclasses

        lists = [explain_one(TokenListExplainer(n=size), evidence)[0] for size in (1, 12)]
        lists.insert(0, dataclasses.replace(lists[0], text="in words alone", program=None))
        return [dataclasses.replace(e, rank=rank) for rank, e in enumerate(lists)]


class Wordy(OfEach):
    """Explains in words alone."""

    def of(self, evidence: ExplainEvidence, n: int, rng: np.random.Generator) -> list[Explanation]:
        import dataclasses

        found = explain_one(TokenListExplainer(), evidence)[0]
        provenance = dataclasses.replace(found.provenance, method="wordy", cost={"calls": 1, "seconds": rng.random()})
        return [dataclasses.replace(found, text="something with words", program=None, provenance=provenance)]


class Drawing(OfEach):
    """Explains by numbers that it draws."""

    def of(self, evidence: ExplainEvidence, n: int, rng: np.random.Generator) -> list[Explanation]:
        made = Provenance("drawing")
        return [Explanation(evidence.unit, f"words like {rng.integers(10**6)}", made, rank=rank) for rank in range(n)]


class BrokenScorer(Scorer):
    """Fails on every unit."""

    needs: frozenset[str] = frozenset()

    def score(self, *_: Any) -> list:
        raise KeyError("no such thing")


class Acting(Scorer):
    """A causal score that needs the subject and a random unit beside it; what it measures is made up from the unit."""

    column = "causal"
    needs: frozenset[str] = frozenset({"subject"})

    def score(self, unit: Unit, explanation: Explanation, evidence: Any, lab: Any) -> list[Score]:
        assert lab.subject.site(unit.site).width
        if unit.index % 7 == 3:
            return [
                Score("acting", None, "share", column="causal", baselines={"random-unit": None}, reason="no effect")
            ]
        rng = np.random.default_rng(unit.index)
        effects = rng.normal(0.4, 0.3, (2, 30)) - [[0.0], [0.4]]
        own, random = (ratio(values, np.ones(30)) for values in effects)
        found, baselines, margins = compare(own, {"random-unit": random})
        interval = (found.low, found.high, found.n)
        return [Score("acting", found.value, "share", *interval, "causal", baselines, None, {"made": "up"}, margins)]


class Asking(Explainer):
    """Asks a language model for as many explanations as are wanted, each in a request of its own."""

    def __init__(self, lm: LanguageModel, *, temperature: float = 0.5):
        self.lm, self.temperature = lm, temperature

    def explain(self, evidence: Sequence[ExplainEvidence], *, n: int, seed: int) -> Sequence[Explained]:
        requests = [
            Request((Message("user", f"Explain {one.unit}, {one.fingerprint}"),), temperature=0.5, sample=sample)
            for one in evidence
            for sample in range(n)
        ]
        answers = iter(self.lm.ask(requests))
        return [self._found(one.unit, [next(answers) for _ in range(n)]) for one in evidence]

    def _found(self, unit: Unit, answers: list[Answer]) -> Explained:
        if failures := [a.failure for a in answers if a.failure]:
            return Abstained(f"asking: {failures[0]}", failed=True)
        costs = [{"calls": a.usage.calls, "prompt_tokens": a.usage.prompt_tokens} for a in answers]
        made = [Provenance("asking", model=self.lm.name, prompt="0" * 16, cost=cost) for cost in costs]
        return [Explanation(unit, a.text, made[i], rank=i) for i, a in enumerate(answers)]


class Reading(Simulator):
    """Asks a language model for a number for every window: how often the explanation's first word fires there."""

    def __init__(self, lm: LanguageModel):
        self.lm = lm

    def simulate(self, explanation: Explanation, windows: TokenWindows, grid=None) -> Simulation:
        texts = ["".join(windows.vocabulary.texts[t] for t in row) for row in windows.tokens]
        asked = [Request((Message("user", f"How much is {explanation.text!r} in {text!r}?"),)) for text in texts]
        answers = self.lm.ask(asked)
        if failures := [a.failure for a in answers if a.failure]:
            raise MissingPower(f"reading: {failures[0]}")
        values = np.array([float(a.text) for a in answers])[:, None]
        return Simulation(values * (1 + np.arange(windows.tokens.shape[1]) % 3), ZERO_TO_TEN)


class Judging(Scorer):
    """A score that a language model gives, without a look at the unit."""

    needs: frozenset[str] = frozenset({"lm"})

    def score(self, unit: Unit, explanation: Explanation, evidence: Any, lab: Any) -> list[Score]:
        (answer,) = lab.lm.ask([Request((Message("user", f"Judge {explanation.text!r}"),))])
        if answer.failure:
            return [Score("judged", None, "points", reason=answer.failure)]
        return [Score("judged", float(answer.text), "points", n=1)]


def said(request: Request) -> str | Answer:
    """What the scripted model says: a function of the question alone, so plumbing shows and quality does not."""
    question = request.messages[0].content
    digest = hashlib.sha256(f"{question} {request.sample}".encode()).hexdigest()
    if question.startswith("Explain"):
        return f"words like {digest[:6]}"
    return str(int(digest[:2], 16) % 11)


def scripted_name(function: str = "said") -> str:
    """The spec of a scripted model in this file."""
    return f"scripted:study_cases:{function}"


def no_answer(request: Request) -> str | Answer:
    """Says nothing about units with an even index, and refuses to judge."""
    question = request.messages[0].content
    if question.startswith("Judge"):
        return Answer("I would rather not.", finish="refusal")
    if question.startswith("Explain") and int(question.split(",")[0].rpartition("/")[2]) % 2 == 0:
        return Answer("", finish="refusal")
    return said(request)


def naming(request: Request) -> Answer:
    """Puts headlines into words, and says of marked words that every second one fits."""
    question = request.messages[-1].content
    if request.logprobs or request.schema is not None:
        marked = question.count("<<")
        if request.schema is not None:
            return Answer(json.dumps({"answers": [place % 2 == 0 for place in range(marked)]}))
        yes, no = np.log(0.9), np.log(0.1)
        return Answer("yes", tokens=(TokenLogprob("yes", yes, {"yes": yes, "no": no}),))
    return Answer("words about foxes", usage=Usage(1, 100, 3))


LM_METHODS = {"explainers": {"asking": "Asking"}, "simulators": {"lm-json": "Reading", "lm-all-at-once": "Reading"},
              "scorers": {"judging": "Judging"}}  # fmt: skip


def register_lm_methods(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind, objects in LM_METHODS.items():
        register(monkeypatch, kind, **objects)


def lm_spec(folder: Path, **changes: Any) -> StudySpec:
    """A study whose explainer, simulator and one scorer ask a scripted language model."""
    settings = {"explainers": ("asking",), "lm": scripted_name(), "scorers": ("correlation", "judging"),
                "candidates": 2, "evidence": replace(READ_EVIDENCE, min_firing_windows=2)}  # fmt: skip
    return small_spec(folder, **{**settings, **changes})


def toy_benchmark(options: dict[str, Any]) -> dict[str, Any]:
    return {"options": options, "rows": [{"site": "mlp.0", "r": 0.5}]}
