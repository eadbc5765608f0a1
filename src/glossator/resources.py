"""What is costly to open, opened once at first use and shared: the subject, language models, a text embedder.

Explainers, simulators and scorers ask for these by the names of their constructor's parameters; see `Resources.given`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from glossator.errors import MissingPower

OPENED = ("lm", "subject", "embedder", "lexicon", "readouts")
"""Parameter names that mean a resource: a language model, the subject under study, a text embedder, the lexicon,
and the readouts of the subject by their `NAME@SITE`."""

HOW = {
    "lm": "Name a language model with --lm, for example --lm inprocess:smollm2-135m",
    "subject": "Run it in a study of a model, or give resources with a subject",
    "embedder": "Give resources with an embedder, for example glossator.subjects.embedders.load_embedder()",
    "lexicon": "Give resources with a lexicon",
    "readouts": "Give resources with readouts, a mapping from NAME@SITE to a readout",
}


def taken_by(target: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    """What the constructor of an explainer, simulator or scorer takes, by name: resources (`OPENED`) and options."""
    return inspect.signature(target).parameters


@dataclass(frozen=True, eq=False)
class Resources:
    """openers: what opens each resource, by its name in `OPENED`; each is called at most once."""

    openers: Mapping[str, Callable[[], Any]] = field(default_factory=dict)
    _open: dict[str, Any] = field(default_factory=dict, repr=False)

    def __getattr__(self, name: str) -> Any:
        if name not in OPENED:
            raise AttributeError(name)
        return self.get(name)

    def get(self, name: str, asked_by: str = "this") -> Any:
        """The resource, opened on first use; `MissingPower` says what to give when there is none."""
        if name not in self._open:
            if name not in self.openers:
                raise MissingPower(f"{asked_by} needs a missing resource", value=name, fix=HOW[name])
            self._open[name] = self.openers[name]()
        return self._open[name]

    def has(self, name: str) -> bool:
        return name in self.openers or name in self._open

    def given(self, target: Callable[..., Any], name: str) -> dict[str, Any]:
        """The resources that the constructor of an explainer, simulator or scorer takes, by parameter name.

        A parameter with a default gets the resource only if there is one; one without a default must have it.
        """
        found: dict[str, Any] = {}
        for parameter in taken_by(target).values():
            if parameter.name in OPENED and (self.has(parameter.name) or parameter.default is inspect.Parameter.empty):
                found[parameter.name] = self.get(parameter.name, name)
        return found
