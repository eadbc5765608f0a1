"""What is costly to open, opened once at first use and shared: the subject, language models, a text embedder.

Explainers, simulators and scorers ask for these by the names of their constructor's parameters; see `Resources.given`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from glossator import registry
from glossator.errors import MissingPower, UserError
from glossator.specs import check_known

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

    def get(self, name: str, asked_by: str = "this") -> Any:
        """The resource, opened on first use; `MissingPower` says what to give when there is none."""
        if name not in self._open:
            if name not in self.openers:
                raise MissingPower(f"{asked_by} needs a missing resource", value=name, fix=HOW[name])
            self._open[name] = self.openers[name]()
        return self._open[name]

    def has(self, name: str) -> bool:
        return name in self.openers or name in self._open

    def but(self, **openers: Callable[[], Any]) -> Resources:
        """The same resources with others in the place of some."""
        return Resources({**{name: partial(self.get, name) for name in {*self.openers, *self._open}}, **openers})

    def given(self, target: Callable[..., Any], name: str) -> dict[str, Any]:
        """The resources that the constructor of an explainer, simulator, scorer or baseline takes, by parameter name.

        A parameter with a default gets the resource only if there is one; one without a default must have it.
        """
        found: dict[str, Any] = {}
        for parameter in taken_by(target).values():
            if parameter.name in OPENED and (self.has(parameter.name) or parameter.default is inspect.Parameter.empty):
                found[parameter.name] = self.get(parameter.name, name)
        return found

    def build(self, kind: str, name: str, options: Mapping[str, Any] | None = None) -> Any:
        """The registered explainer, simulator, scorer or baseline, with these options and the resources that it takes.

        Raises `UserError` for an option that it does not have, `MissingPower` for a resource that is not there.
        """
        target = registry.load(kind, name)
        return target(**{**_known_options(target, name, options), **self.given(target, name)})

    def check(self, kind: str, name: str, options: Mapping[str, Any] | None = None) -> None:
        """Raise what `build` would raise, as far as that shows before what is costly is opened."""
        target = registry.load(kind, name)
        options = _known_options(target, name, options)
        taken = {p.name: p for p in taken_by(target).values() if p.name in OPENED}
        needed = [p.name for p in taken.values() if p.default is p.empty]
        needed += sorted(set(OPENED) & target.needs) if kind == "scorers" else []
        for need in needed:
            if not self.has(need):
                raise MissingPower(f"{name} needs a missing resource", value=need, fix=HOW[need])
        if not {*taken} - {"lexicon", "lm", "readouts"} and all(p.default is not p.empty for p in taken.values()):
            given = {"lm": self.get("lm")} if "lm" in taken and self.has("lm") else {}
            try:
                target(**options, **given)
            except TypeError as error:  # of another kind than the option is
                raise UserError(f"an option of {name} cannot be used", value=options, fix=str(error)) from error


def _known_options(target: Callable[..., Any], name: str, options: Mapping[str, Any] | None) -> dict[str, Any]:
    known = [parameter for parameter in taken_by(target) if parameter not in OPENED and not parameter.startswith("_")]
    check_known(f"option of {name}", options or {}, known)
    return dict(options or {})
