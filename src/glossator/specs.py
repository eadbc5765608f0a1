"""Specs: frozen dataclasses whose fields are checked and brought to their types wherever they are made, by pydantic.

A spec comes from a TOML or JSON file, from flags or from Python; what is wrong in it is one `UserError`.
"""

from __future__ import annotations

import dataclasses
import json
import tomllib
from collections.abc import Callable, Hashable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, get_args, get_origin, get_type_hints

from glossator.errors import UserError, near_matches


@dataclasses.dataclass(frozen=True)
class Takes:
    """What a field takes beside its type. allowed: in words; least, most: of a number; all_is_none: `all` in a file is
    None; given: brings what a file holds to the field's type."""

    allowed: str = ""
    least: int | None = None
    most: int | None = None
    all_is_none: bool = False
    given: Callable[[Any], Any] | None = None

    def typed(self, value: Any) -> Any:
        if self.all_is_none and value == "all":
            return None
        return value if self.given is None else self.given(value)

    def in_words(self, kind: Any) -> str:
        """What may be given for a field of this type."""
        if self.allowed:
            return self.allowed
        if self.least is not None:
            return f"{self.least} or more" if self.most is None else f"{self.least} to {self.most}"
        kinds = [one for one in get_args(kind) or (kind,) if one is not type(None)]
        return " or ".join(_WORDS.get(one, str(one)) for one in kinds)


_WORDS = {int: "a whole number", str: "a text in quotes", bool: "true or false", float: "a number", list: "a list"}


def as_tuple(value: Any) -> Any:
    """Lists as tuples; else the value."""
    return tuple(value) if isinstance(value, list) else value


def _as_names(value: Any) -> Any:
    return (value,) if isinstance(value, str) else as_tuple(value)


Names = Annotated[tuple[str, ...], Takes("a list of names", given=_as_names)]
"""A list in a file; a single name may stand alone."""


def check_fields(spec: Any, of: str = "") -> None:
    """Bring each field of a dataclass to its declared type; called by its `__post_init__`.

    Raises `UserError` for the first field that has another type or is out of its range; of: stands after its name.
    """
    from pydantic import ValidationError

    for name, (kind, takes, adapter) in _fields_of(type(spec)).items():  # type: ignore[arg-type]
        value = getattr(spec, name)
        try:
            found = adapter.validate_python(takes.typed(value), strict=True)
        except ValidationError as error:
            what, allowed = f"bad {name}{of}", takes.in_words(kind)
            if get_origin(kind) is Literal and isinstance(value, str):
                what, allowed = f"unknown {name}{of}", near_matches(value, get_args(kind))
            raise UserError(what, value=value, allowed=allowed) from error
        object.__setattr__(spec, name, found)


def check_positive(spec: Any, of: str, *names: str) -> None:
    """Raise `UserError` for the first of these numbers of an object that is below 1; None passes. of: of what it is."""
    for name in names:
        value = getattr(spec, name)
        if value is not None and value < 1:
            raise UserError(f"bad {name}{of}", value=value, allowed="1 or more")


@cache
def _fields_of(spec: Hashable) -> dict[str, tuple[Any, Takes, Any]]:
    """For each field of a dataclass its type, what else it takes, and what checks both."""
    from pydantic import Field, TypeAdapter

    found = {}
    for name, hint in get_type_hints(spec, include_extras=True).items():
        if get_origin(hint) is not ClassVar:
            kind, takes = get_args(hint) if get_origin(hint) is Annotated else (hint, Takes())
            bounded: Any = Annotated[kind, Field(ge=takes.least, le=takes.most)]
            found[name] = (kind, takes, TypeAdapter(bounded))
    return found


def check_known(what: str, names: Iterable[Any], known: Iterable[str]) -> None:
    """`UserError` with near matches for the first of these names that is not known."""
    known = list(known)
    for name in names:
        if name not in known:
            raise UserError(f"unknown {what}", value=name, allowed=near_matches(str(name), known) or "none")


def check_once(what: str, names: Iterable[str]) -> None:
    """`UserError` where a name is listed twice."""
    names = list(names)
    if len(set(names)) != len(names):
        raise UserError(f"{what} are listed twice", value=", ".join(names))


def read_table(path: str | Path, what: str = "the spec", fix: str | None = None) -> dict[str, Any]:
    """The keys of a TOML or JSON file as they stand there; `UserError` when it cannot be read."""
    path = Path(path)
    if path.exists() and not path.is_file():
        raise UserError(f"{what} is not a file", value=str(path), fix=fix)
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {what}", value=str(path), fix=error.strerror or str(error)) from error
    language, read = ("JSON", json.loads) if path.suffix == ".json" else ("TOML", tomllib.loads)
    try:
        values = read(raw.decode())
    except (ValueError, RecursionError) as error:
        raise UserError(f"{what} is not readable {language}", value=str(path), fix=str(error)) from error
    if not isinstance(values, Mapping):
        raise UserError(f"{what} must be a table of keys", value=str(path), fix=fix)
    return dict(values)
