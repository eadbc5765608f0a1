"""Surprisal: does the explanation make the unit's firing windows more likely than its silent ones?

For each window, the mean log-probability of its tokens after a prompt with the explanation, minus that after a prompt
of the same form saying that the texts were chosen at random. What makes a text likely anyway cancels. Needs a model
that gives prompt log-probabilities; nothing is generated.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from glossator.errors import MissingPower
from glossator.evidence import Evidence, Split
from glossator.explanations import Explanation
from glossator.files import fingerprint
from glossator.language_models import COMPLETION, NOTHING_USED, PROMPT_LOGPROBS, Answer, LanguageModel, Request, Usage
from glossator.language_models.judging import ANOTHER_TEXT, echoes
from glossator.scorers import LANGUAGE_MODEL, TOKEN_VALUES, Scorer
from glossator.scorers.asking import Asking, Replies
from glossator.scorers.judged import Judged, Verdict, ask_about, auroc_of, no_text, readable
from glossator.scorers.lab import Lab
from glossator.scorers.prompts import CONTINUE_TOLD, CONTINUE_UNTOLD, told
from glossator.scorers.yes_no import window_items
from glossator.scores import Score
from glossator.units import Unit

Likelihood = tuple[float, ...] | str
"""Log-probabilities of the tokens of one window, last token last, or why they could not be had."""


@dataclass(frozen=True)
class Untold:
    """The likelihood of a unit's windows without an explanation, requested once for all its explanations."""

    likelihoods: tuple[Likelihood, ...]
    usage: Usage


@dataclass(frozen=True)
class SurprisalScorer(Scorer):
    """`surprisal.auroc`: of the gain in mean log-probability (nats a token). items: windows, half of them firing."""

    items: int = 40
    split: Split = "test"
    name: ClassVar[str] = "surprisal"
    needs: ClassVar[frozenset[str]] = frozenset({TOKEN_VALUES, LANGUAGE_MODEL})

    def score(self, unit: Unit, explanation: Explanation, evidence: Evidence, lab: Lab) -> list[Score]:
        lm = lab.lm
        if lacking := {COMPLETION, PROMPT_LOGPROBS} - set(lm.powers):
            raise MissingPower(
                f"{self.name} needs a model that gives the log-probabilities of a raw prompt",
                value=f"{lm.name} lacks {', '.join(sorted(lacking))}",
                fix="Use an in-process model or a server with prompt log-probabilities",
            )
        items, baselines = window_items(unit, evidence, lab, self.split, self.items), readable(lab)
        how: dict[str, Any] = {
            "split": self.split,
            "items": items.counts,
            "firing_rule": evidence.statistics.firing_rule,
            "model": lm.name,
            "prompt": fingerprint([CONTINUE_TOLD, CONTINUE_UNTOLD]),
        }
        if why_not := items.reason or no_text(explanation):
            return [Verdict(None, how=how, why_not=why_not).score(lab, f"{self.name}.auroc", "AUROC", auroc_of)]
        texts = items.texts
        untold: Untold = lab.kept(("untold", self, lm.name), (evidence,), lambda: _ask_untold(lm, texts))
        how["cost_without_explanation"] = untold.usage.as_dict()
        replies = ask_about(
            lab,
            lm,
            evidence,
            (self,),
            [explanation, *baselines.values()],
            lambda e: Asking(_requests(told(e.text), texts), lambda answers: _gains(answers, texts, untold)),
        )
        judged = [Judged.of(items, r) for r in replies]
        verdict = Verdict(judged[0], dict(zip(baselines, judged[1:], strict=True)), how)
        return [verdict.score(lab, f"{self.name}.auroc", "AUROC", auroc_of)]


def _requests(head: str, texts: Sequence[str]) -> list[Request]:
    return [Request(prompt=head + text, max_tokens=0, prompt_logprobs=1) for text in texts]


def _ask_untold(lm: LanguageModel, texts: Sequence[str]) -> Untold:
    answers = lm.ask(_requests(CONTINUE_UNTOLD, texts))
    found = tuple(likelihood(answer, text) for answer, text in zip(answers, texts, strict=True))
    return Untold(found, sum((answer.usage for answer in answers), NOTHING_USED))


def likelihood(answer: Answer, text: str) -> Likelihood:
    """Log-probabilities of the prompt's last tokens, as many as lie within the text, which stands at its end."""
    if reason := answer.why_unusable():
        return reason
    within, length = 0, 0
    for token in reversed(answer.prompt_tokens):
        length += len(token.text)
        if length > len(text):
            break
        within += 1
    tokens = answer.prompt_tokens[len(answer.prompt_tokens) - within :]
    values = [token.logprob for token in tokens]
    if not values:
        return "no log-probabilities of the prompt"
    if not echoes(text, tokens):
        return ANOTHER_TEXT
    numbers = tuple(value for value in values if value is not None and math.isfinite(value))
    return numbers if len(numbers) == len(values) else "a log-probability is missing"


def _gains(answers: Sequence[Answer], texts: Sequence[str], untold: Untold) -> Replies:
    """Mean gain over the last tokens that both prompts have."""
    values: list[float] = []
    failed: Counter[str] = Counter()
    for answer, text, before in zip(answers, texts, untold.likelihoods, strict=True):
        after = likelihood(answer, text)
        reason = next((found for found in (after, before) if isinstance(found, str)), None)
        if isinstance(after, str) or isinstance(before, str):
            failed[reason or ""] += 1
            values.append(math.nan)
            continue
        k = min(len(after), len(before))
        values.append((sum(after[-k:]) - sum(before[-k:])) / k)
    usage = sum((answer.usage for answer in answers), NOTHING_USED)
    return Replies(np.array(values, np.float64), dict(failed), usage)
