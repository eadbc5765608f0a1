"""One experiment: a question about a unit, a policy with tools and a budget, and an answer that says what it rests
on."""

from __future__ import annotations

from glossator.agents.answers import Answer, Conclusion, Finding
from glossator.agents.budget import Budget, Spent
from glossator.agents.makers import Makers
from glossator.agents.policies import Policy, named_policy
from glossator.agents.tools import Finished, Tools
from glossator.agents.transcript import Transcript
from glossator.agents.under_test import UnderTest
from glossator.agents.workbench import Rows

QUESTION = "What does this unit respond to?"


def experiment(
    unit: UnderTest,
    makers: Makers | None = None,
    policy: Policy | str = "scripted",
    budget: Budget | None = None,
    seed: int = 0,
    *,
    question: str = QUESTION,
    name: str | None = None,
    transcript: Transcript | None = None,
    rows: Rows | None = None,
) -> Answer:
    """Find out what a unit responds to.

    unit: texts or images in, numbers out, with exemplars of its own (`FunctionUnderTest`, `TokenUnderTest`); makers:
    who draws pictures or writes texts; policy: "scripted", or a function of the tools, such as
    `driven.LanguageModelPolicy`; budget: hard limits, of which `inputs` counts every image or text that the policy
    saw a response to; transcript: to record, resume or replay; rows: where hypotheses are registered. The same seed
    gives the same steps.
    """
    if isinstance(policy, str):
        name, policy = name or policy, named_policy(policy, unit)
    name = name or str(getattr(policy, "name", "policy"))
    tools = Tools(unit, makers, budget, seed, question=question, policy=name, transcript=transcript, rows=rows)
    conclusion = Conclusion()
    try:
        policy(tools, conclusion)
    except Spent as limit:
        conclusion.limits.append(f"stopped early: {limit}")
        conclusion.reason = conclusion.reason or str(limit)
    except Finished:
        pass
    if tools.final is not None:
        conclusion.headline, conclusion.program = tools.final["headline"], tools.final["program"]
        conclusion.reason = conclusion.reason or "the policy claims nothing"
        conclusion.limits += tools.final["limits"]
    answer = _answer(tools, conclusion, name)
    tools.end(answer)
    return answer


def _answer(tools: Tools, conclusion: Conclusion, policy: str) -> Answer:
    findings = tools.ledger.findings()
    limits = [*conclusion.limits, *_limits(findings)]
    headline = conclusion.headline
    reason = None if headline is not None else conclusion.reason or "the policy gave no answer"
    rule = None if headline is None or conclusion.rule is None else tuple(conclusion.rule)
    return Answer(
        tools.unit.name, tools.question, headline, conclusion.program if headline is not None else None, rule, findings,
        tuple(dict.fromkeys(limits)), reason, policy, tools.seed, tools.meter.as_dict(),
    )  # fmt: skip


def _limits(findings: tuple[Finding, ...]) -> list[str]:
    """What an answer must own up to, whoever gave it."""
    told = []
    if not any(one.verdict == "confirmed" and not one.control for one in findings):
        told.append("no hypothesis was confirmed on new inputs")
    if not any(one.control and one.trials for one in findings):
        told.append("no negative control was tested")
    for one in findings:
        if one.control and one.verdict == "confirmed":
            told.append(f"the negative control did not fail: {one.statement}")
        elif one.control and 2 * one.successes > one.trials:
            told.append(
                f"the negative control went as predicted in {one.successes} of {one.trials} pairs, so the unit may "
                f"respond to more than is claimed: {one.statement}"
            )
        elif not one.control and one.verdict in ("inconclusive", "untested", "refuted"):
            told.append(f"{one.verdict}: {one.statement}")
    return told
