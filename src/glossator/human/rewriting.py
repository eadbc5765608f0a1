"""A language model in place of an annotator for the paraphrase screen.

Its rewrites are stored like human answers: missing with a reason if there is none. Check that they keep the meaning: a
model that changes it makes an explanation look worse than it is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from glossator.explainers.cleaning import body_of
from glossator.explainers.refusals import is_refusal
from glossator.files import fingerprint, plain
from glossator.human.answers import LONGEST, Answers
from glossator.human.tasks import TaskSet
from glossator.language_models import NOTHING_USED, Answer, LanguageModel, Message, Request

INSTRUCTION = (
    "You reword short descriptions of what a detector reacts to. Give back one description that means exactly the "
    "same in different words: keep everything it says, add nothing, keep quoted pieces of text letter by letter. "
    "Answer with the new description and nothing else."
)
QUESTION = "Description to reword:\n{text}"
MOST_TOKENS = 300


def rewrite_all(tasks: TaskSet, lm: LanguageModel) -> Answers:
    """Ask a language model for every rewrite of a paraphrase task set, all in one call."""
    requests = [
        Request(
            (Message("system", INSTRUCTION), Message("user", QUESTION.format(text=item.text))), max_tokens=MOST_TOKENS
        )
        for item in tasks.items
    ]
    answers = lm.ask(requests)
    values, missing = {}, {}
    for item, answer in zip(tasks.items, answers, strict=True):
        text, reason = read_rewrite(answer)
        if reason is None:
            values[item.id] = text
        else:
            missing[item.id] = reason
    return Answers(tasks.id, tasks.study, tasks.task, rater_of(lm.name), values, missing, _provenance(lm, answers))


def read_rewrite(answer: Answer) -> tuple[str, str | None]:
    """(the rewrite on one line, None), or ("", why there is none)."""
    if answer.failure is not None:
        return "", answer.failure
    text = " ".join(body_of(answer.text).split()).strip()
    if len(text) > 1 and (text[0], text[-1]) in (('"', '"'), ("“", "”"), ("'", "'")):
        text = text[1:-1].strip()
    if not text:
        return "", "the answer is empty"
    if is_refusal(text):
        return "", "a refusal"
    return (text, None) if len(text) <= LONGEST else ("", "the answer is too long for a description")


def rater_of(name: str) -> str:
    """A language model's name as the name of a rater, which is part of a file name."""
    return (
        ("lm-" + re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")).replace("--", "-")[:31]
        + "-"
        + fingerprint(name)[:8]
    )


def _provenance(lm: LanguageModel, answers: Sequence[Answer]) -> dict[str, object]:
    usage = sum((a.usage for a in answers), NOTHING_USED)
    return {"model": lm.name, "prompt": fingerprint([INSTRUCTION, QUESTION]), "cost": plain(usage)}
