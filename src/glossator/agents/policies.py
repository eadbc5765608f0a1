"""Policies by name; one with a language model or a person is an object (`driven`)."""

from __future__ import annotations

from collections.abc import Callable

from glossator.agents.answers import Conclusion
from glossator.agents.scripted_images import scripted_images
from glossator.agents.scripted_texts import scripted_texts
from glossator.agents.tools import Tools
from glossator.agents.under_test import UnderTest
from glossator.errors import UserError

Policy = Callable[[Tools, Conclusion], None]
"""Experiments with the tools and fills in the conclusion; may stop anywhere by `Spent` or `Finished`."""


def named_policy(name: str, unit: UnderTest) -> Policy:
    """The scripted experimenter for this kind of unit; the others need a model or a terminal (`driven`)."""
    if name != "scripted":
        raise UserError("unknown policy", value=name, allowed="scripted, or a policy as an object")
    return scripted_texts if unit.takes == "texts" else scripted_images
