"""What methods share: the subject, language models, a text embedder, the lexicon; each is opened at first use.

Explainers, simulators, scorers and baselines ask for one by giving a parameter of their constructor its name.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, get_args

from glossator import registry
from glossator.errors import MissingPower, UserError
from glossator.specs import check_known

if TYPE_CHECKING:
    from glossator.language_models.request import LanguageModel
    from glossator.programs import Lexicon
    from glossator.readouts import Readout
    from glossator.subjects.base import Subject
    from glossator.subjects.embedders import Embedder

T = TypeVar("T")
Resource = Literal["lm", "subject", "embedder", "lexicon", "readouts"]
OPENED: tuple[Resource, ...] = get_args(Resource)
"""Parameter names that mean a resource: a language model, the subject under study, a text embedder, the lexicon,
and the readouts of the subject by their `NAME@SITE`."""

HOW: dict[Resource, str] = {
    "lm": "Name a language model with --lm, for example --lm inprocess:smollm2-135m",
    "subject": "Run it in a study of a model, or give a lab with a subject",
    "embedder": "Give a lab with an embedder, for example glossator.subjects.embedders.load_embedder()",
    "lexicon": "Give a lab with a lexicon",
    "readouts": "Give a lab with readouts, a mapping from NAME@SITE to a readout",
}


def taken_by(target: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    """What the constructor of an explainer, simulator or scorer takes, by name: resources (`OPENED`) and options."""
    return inspect.signature(target).parameters


class Once(Generic[T]):
    """A function that opens something, called at most once."""

    def __init__(self, opener: Callable[[], T]):
        self.opener = opener
        self._opened: list[T] = []

    def __call__(self) -> T:
        if not self._opened:
            self._opened.append(self.opener())
        return self._opened[0]


@dataclass(frozen=True, eq=False)
class Resources:
    """lexicon: None where the inputs are no tokens; the others: what opens each at first use, None where there is none.

    To read one that is missing raises `MissingPower`, which says what to give.
    """

    lexicon: Lexicon | None = None
    open_lm: Callable[[], LanguageModel] | None = field(default=None, kw_only=True)
    open_subject: Callable[[], Subject] | None = field(default=None, kw_only=True)
    open_embedder: Callable[[], Embedder] | None = field(default=None, kw_only=True)
    open_readouts: Callable[[], Mapping[str, Readout]] | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        for one in fields(Resources):
            opener = getattr(self, one.name)
            if one.name != "lexicon" and opener is not None and not isinstance(opener, Once):
                object.__setattr__(self, one.name, Once(opener))

    @property
    def lm(self) -> LanguageModel:
        return self._open("lm", self.open_lm)

    @property
    def subject(self) -> Subject:
        return self._open("subject", self.open_subject)

    @property
    def embedder(self) -> Embedder:
        return self._open("embedder", self.open_embedder)

    @property
    def readouts(self) -> Mapping[str, Readout]:
        """By `NAME@SITE`."""
        return self._open("readouts", self.open_readouts)

    def has(self, name: Resource) -> bool:
        return getattr(self, name if name == "lexicon" else f"open_{name}") is not None

    def given(self, target: Callable[..., Any], name: str) -> dict[str, Any]:
        """The resources that the constructor of an explainer, simulator, scorer or baseline takes, by parameter name.

        A parameter with a default gets the resource only if there is one; one without a default must have it.
        """
        taken = taken_by(target)
        wanted = [one for one in OPENED if one in taken]
        self.require(*(one for one in wanted if taken[one].default is inspect.Parameter.empty), asked_by=name)
        return {one: getattr(self, one) for one in wanted if self.has(one)}

    def require(self, *names: Resource, asked_by: str) -> None:
        """Raise `MissingPower` for the first of these that is not there."""
        for name in names:
            if not self.has(name):
                raise MissingPower(f"{asked_by} needs a missing resource", value=name, fix=HOW[name])

    def build(self, kind: str, name: str, options: Mapping[str, Any] | None = None) -> Any:
        """The registered explainer, simulator, scorer or baseline, with these options and the resources that it takes.

        Raises `UserError` for an option that it does not have, `MissingPower` for a resource that is not there.
        """
        target = registry.load(kind, name)
        return target(**{**_known_options(target, name, options), **self.given(target, name)})

    def check(self, kind: str, name: str, options: Mapping[str, Any] | None = None) -> None:
        """Raise what `build` would raise, as far as that shows before inputs are read and models are loaded."""
        target = registry.load(kind, name)
        options = _known_options(target, name, options)
        taken = taken_by(target)
        opened = [one for one in OPENED if one in taken or (kind == "scorers" and one in target.needs)]
        required = [one for one in opened if one not in taken or taken[one].default is inspect.Parameter.empty]
        self.require(*(one for one in required if one != "lexicon"), asked_by=name)
        if {"subject", "embedder"}.isdisjoint(taken) and all(p.default is not p.empty for p in taken.values()):
            given = {"lm": self.lm} if "lm" in taken and self.has("lm") else {}
            try:
                target(**options, **given)
            except TypeError as error:  # of another kind than the option is
                raise UserError(f"an option of {name} cannot be used", value=options, fix=str(error)) from error

    def _open(self, name: Resource, opener: Callable[[], T] | None) -> T:
        self.require(name, asked_by="this method")
        assert opener is not None
        return opener()


def _known_options(target: Callable[..., Any], name: str, options: Mapping[str, Any] | None) -> dict[str, Any]:
    known = [parameter for parameter in taken_by(target) if parameter not in OPENED and not parameter.startswith("_")]
    check_known(f"option of {name}", options or {}, known)
    return dict(options or {})
