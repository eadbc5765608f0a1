"""The language models of a study: opened once, their answers cached with it, every request counted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from glossator.errors import UserError
from glossator.language_models.cache import AnswerCache
from glossator.language_models.costs import Meter
from glossator.language_models.faults import NotInCache
from glossator.language_models.ledger import Ledger
from glossator.language_models.open_model import OpenModel
from glossator.language_models.opening import open_language_model
from glossator.language_models.powers import ALL
from glossator.language_models.request import Answer, LanguageModel, Request
from glossator.language_models.specs import parse_spec
from glossator.store.folder import ANSWERS
from glossator.store.spec import StudySpec
from glossator.study.metered import Metered
from glossator.subjects.named import FUNCTION

CODE = "scripted:"
IN_THIS_PROCESS = ("inprocess:", CODE)
AT_ONCE = 8
"""Units that are worked on together where a server answers: while one is computed on, others wait for answers."""


@dataclass(frozen=True, eq=False)
class Access:
    """How language models are reached; no part of a study's identity.

    cache: where answers are kept, None for a file in the study's folder; ledger: what may be spent, at which prices,
    and what was spent in this process; offline: answers come from the cache alone, and one that it lacks ends the run.
    key_variables: environment variables that may be sent as keys because a spec says so, None for any; trusted: the
    models that may have code imported for them (`scripted:`) because a spec says so, None for all.
    """

    cache: Path | None = None
    ledger: Ledger = field(default_factory=Ledger)
    offline: bool = False
    key_variables: frozenset[str] | None = None
    trusted: frozenset[str] | None = None


class StudyModels:
    """The models that a spec names, opened at first use, with one file of answers.

    meter: counts requests for the study's costs; at_once: how many units may be worked on at a time.
    """

    def __init__(self, names: Sequence[str] = (), access: Access | None = None, folder: Path | None = None):
        self.access = access or Access()
        self.meter = Meter()
        self._names = tuple(names)
        self._open: dict[str, Metered] = {}
        path = self.access.cache or (None if folder is None else folder / ANSWERS)
        self._cache = None if path is None or not names else AnswerCache(path)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    @property
    def at_once(self) -> int:
        return AT_ONCE if any(not name.startswith(IN_THIS_PROCESS) for name in self._names) else 1

    def confirm_subject(self, name: str) -> None:
        """`UserError` for a subject whose code would be imported because a file says so."""
        if self.access.trusted is not None:
            confirm_code(name, self.access.trusted)

    def open(self, name: str) -> Metered:
        if name not in self._open:
            access = self.access
            if access.trusted is not None:
                confirm_code(name, access.trusted)
            if not access.offline and access.key_variables is not None:
                confirm_key(name, access.key_variables)
            opened = open_language_model(name, cache=self._cache, ledger=access.ledger, offline=access.offline)
            self._open[name] = Metered(opened, self.meter)
        return self._open[name]

    def remember(self, identities: Any, but: str | None = None) -> None:
        """Open models that are code of somebody's without importing it: what they have said before is all they say.

        identities: as `identities` gave them when the study was made; but: a model that the user named himself.
        """
        known = identities if isinstance(identities, dict) else {}
        for name in self._names:
            if name.startswith(CODE) and name != but:
                stand_in = Remembered.of(name, known.get(name))
                ledger = self.access.ledger
                opened = open_language_model(stand_in, cache=self._cache, ledger=ledger, offline=True)
                self._open[name] = Metered(opened, self.meter)

    def check(self) -> None:
        """Raise `UserError` for a server that is not there, does not take the key or has not the model: before hours
        are spent on what it shall read. Not where answers are kept already, which may be all that is needed."""
        if not self.access.offline and (self._cache is None or len(self._cache) == 0):
            for model in dict.fromkeys(self._open.values()):
                model.model.check()

    def identities(self) -> dict[str, Any]:
        """The name and the powers of every model, by what the spec calls it: what it takes to show what they said."""
        opened = {name: self.open(name) for name in self._names}
        return {name: {"name": m.name, "powers": sorted(m.powers)} for name, m in opened.items()}

    def for_showing(self) -> StudyModels:
        """The same models, which answer from the file alone, are not counted, and have no answer where it has none;
        no models where one cannot be opened."""
        shown = StudyModels(self._names, replace(self.access, offline=True))
        shown._cache = self._cache
        try:
            for name in self._names:
                shown._open[name] = Metered(_offline(self.open(name).model), shown.meter, showing=True)
        except UserError:
            return StudyModels()
        return shown

    def close(self) -> None:
        """Close the file of answers, which is one whole file then."""
        if self._cache is not None:
            self._cache.close()

    def __enter__(self) -> StudyModels:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _offline(model: OpenModel) -> OpenModel:
    found = OpenModel(model.inner, cache=model.cache, offline=True)
    found.powers = model.powers
    return found


@dataclass
class Remembered(LanguageModel):
    """Stands for a model of which only the answers are at hand: nothing is imported, loaded or sent for it."""

    name: str
    powers: frozenset[str]

    @classmethod
    def of(cls, spec: str, identity: Any) -> Remembered:
        """identity: what `StudyModels.identities` says of it; older studies say nothing."""
        known = identity if isinstance(identity, dict) else {}
        powers = known.get("powers")
        name = known.get("name")
        return cls(
            name if isinstance(name, str) else spec,
            frozenset(p for p in powers if p in ALL) if isinstance(powers, list) else ALL,
        )

    def ask(self, requests: Sequence[Request]) -> list[Answer]:
        raise NotInCache(f"{len(requests)} answers of {self.name} are not among those that are kept")


def confirm_code(name: str, trusted: frozenset[str]) -> None:
    """`UserError` for a model whose code would be imported because a file says so: a spec from elsewhere could run any
    module that is at hand."""
    if name.startswith((CODE, FUNCTION)) and name not in trusted:
        raise UserError("the spec would import code", value=name, fix=f"If you want this, add --trust {name}")


def confirm_key(name: str, allowed: frozenset[str]) -> None:
    """`UserError` for a model whose key is read from a variable that only a file names: a spec from elsewhere could
    send any secret of the environment anywhere."""
    spec = parse_spec(name)
    variable = spec.options.get("key_variable")
    if variable and variable not in allowed:
        raise UserError(
            f"the spec would send the environment variable {variable} to {spec.url}",
            fix=f"If you want this, add --key-variable {variable}",
        )


def models_to_show(spec: StudySpec, folder: Path, identities: Any = None) -> StudyModels:
    """The models of a finished study, for showing it: nothing is sent, and no code of a `scripted:` model imported.

    identities: as `StudyModels.identities` gave them when the study was made.
    """
    models = StudyModels(spec.language_models, Access(offline=True), folder)
    models.remember(identities)
    return models.for_showing()
