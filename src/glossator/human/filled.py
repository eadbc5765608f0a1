"""A filled file as it was read, whatever its form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from glossator.errors import UserError
from glossator.human.tasks import PREFERENCES, READINGS

FORMAT = "glossator-answers/1"
CHOICES = {"preference": PREFERENCES, "gibberish": READINGS}


@dataclass(frozen=True)
class Filled:
    """Not yet checked against its task set. tasks, study: ids; values: by slot."""

    path: str
    tasks: str
    study: str
    task: str
    rater: str
    values: Mapping[str, Any]


def header_of(fields: Mapping[str, str], path: str, values: Mapping[str, Any]) -> Filled:
    """What the head of a form says; `UserError` when it is no form or its head is gone."""
    if fields.get("format") != FORMAT:
        raise UserError(
            "not a form with answers", value=path, allowed=f"its head says {FORMAT}", fix="Leave the head as it is"
        )
    if missing := [name for name in ("tasks", "study", "task") if not fields.get(name)]:
        raise UserError(f"the head of {path} lacks", value=missing[0], fix="Leave the head as it is")
    return Filled(path, fields["tasks"], fields["study"], fields["task"], fields.get("rater", "").strip(), values)
