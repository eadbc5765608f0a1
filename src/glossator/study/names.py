"""What lies in a study's folder and is no part of the study."""

from __future__ import annotations

LOG = "run.log"
ANSWERS = "answers.sqlite"
"""What language models answered, so that the study replays without them; like the log no part of its identity."""
PEOPLE = "human"
"""The folder of people's tasks and answers (`glossator.human.folder`), which outlives the study it is about."""


def may_be_there(name: str) -> bool:
    """What is no part of a study: leftovers, the log, answers of language models, people's answers."""
    return name.startswith((".", LOG, ANSWERS)) or name == PEOPLE
