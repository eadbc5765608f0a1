"""Subjects by name: a model, a function in somebody's code, a file of responses.

`function:FILE.py:NAME` or `function:package.module:NAME` imports code, so that a name from a file is confirmed first.
`responses:FILE` is `.npy`, `.npz` or Parquet, with a row for each input of the study. `delphi:FOLDER` holds latents
that delphi has cached, and their text. `excerpts:PATH#MODEL` are units in a file of another tool, known on the excerpts
there. `timm:NAME` is an image model of that package. `random-weights:NAME#SEED` is the
architecture of a model with freshly initialised weights. `vectors:NAME` are static word vectors, from a model's token
embeddings. `pooled:...` is a site of a model, or a readout there, with one value for each text (see `pooled_name`).
"""

from __future__ import annotations

import ast
import importlib
import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from glossator import registry
from glossator.errors import UserError, near_matches
from glossator.files import fingerprint
from glossator.inputs import Inputs
from glossator.subjects.base import BaseSubject, Subject
from glossator.subjects.fingerprints import of_code

FUNCTION, RESPONSES, RANDOM, DELPHI = "function:", "responses:", "random-weights:", "delphi:"
EXCERPTS = "excerpts:"
OWN_TEXT = (DELPHI, EXCERPTS)
"""Subjects that hold their text, all of which is taken."""
VECTORS, POOLED = "vectors:", "pooled:"


def open_subject(
    name: str, inputs: Inputs | None = None, *, dtype: str | None = None, device: str | None = None
) -> Subject:
    """Open a subject by its name; inputs: those that responses were measured to. Raises `UserError` if it cannot be
    opened."""
    if name.startswith(FUNCTION):
        return function_subject(name)
    if name.startswith(RESPONSES):
        from glossator.subjects.measured import MeasuredSubject, load_responses

        if inputs is None:
            raise UserError("measured responses need their inputs", value=name, fix="Pass them with --corpus FILE")
        path = Path(name.removeprefix(RESPONSES)).expanduser()
        return MeasuredSubject(inputs, load_responses(path), path.stem)
    if name.startswith(DELPHI):
        from glossator.subjects.delphi import DelphiSubject

        folder, _, tokenizer = name.removeprefix(DELPHI).partition("#")
        return DelphiSubject(Path(folder).expanduser(), tokenizer or None)
    if name.startswith(EXCERPTS):
        from glossator.subjects.excerpts import ExcerptsSubject

        file, _, model = name.removeprefix(EXCERPTS).partition("#")
        return ExcerptsSubject(Path(file).expanduser(), model or None)
    from glossator.subjects.image_models import takes_images
    from glossator.subjects.loading import load_image_model, load_subject

    if takes_images(name):
        return load_image_model(name, dtype=dtype, device=device)
    if name.startswith(VECTORS):
        from glossator.subjects.embedders import TokenVectors
        from glossator.subjects.text_readouts import WordVectors

        return WordVectors(TokenVectors(load_subject(name.removeprefix(VECTORS), dtype=dtype, device=device)))
    if name.startswith(POOLED):
        return _pooled(name, dtype, device)
    if name.startswith(RANDOM):
        from glossator.subjects.random_weights import with_random_weights

        trained, seed = parse_random(name)
        return with_random_weights(open_subject(trained, dtype=dtype, device=device), seed)
    return load_subject(name, dtype=dtype, device=device)


def pooled_name(subject: str, site: str, pool: str, readout: tuple[str, str] | None = None) -> str:
    """`pooled:SUBJECT#SITE#POOL`, or `pooled:SUBJECT#KIND:PATH#SITE#POOL` of a readout (kind, path)."""
    middle = [] if readout is None else [":".join(readout)]
    return POOLED + "#".join([subject, *middle, site, pool])


def readout_of_pooled(name: str) -> tuple[str, Path, str] | None:
    """(kind, path, site) of the readout that a pooled subject has; None for other subjects and without one."""
    parts = name.removeprefix(POOLED).split("#")
    if not name.startswith(POOLED) or len(parts) != 4:
        return None
    kind, _, path = parts[1].partition(":")
    return kind, Path(path).expanduser(), parts[2]


def _pooled(name: str, dtype: str | None, device: str | None) -> Subject:
    from glossator.subjects.text_readouts import of_texts

    parts = name.removeprefix(POOLED).split("#")
    if len(parts) not in (3, 4) or not all(parts) or parts[0].startswith((FUNCTION, RESPONSES, POOLED)):
        allowed = f"{POOLED}SUBJECT#SITE#POOL or {POOLED}SUBJECT#KIND:PATH#SITE#POOL, where the subject is a model"
        raise UserError("bad name of a pooled subject", value=name, allowed=allowed)
    subject, site, pool, readout = parts[0], parts[-2], parts[-1], None
    if (named := readout_of_pooled(name)) is not None:
        readout = registry.load("readouts", named[0])(named[1], site=site)
    opened: Any = open_subject(subject, dtype=dtype, device=device)
    return of_texts(opened, site, pool, readout)  # type: ignore[arg-type]


def random_name(name: str, seed: int) -> str:
    return f"{RANDOM}{name}#{seed}"


def parse_random(name: str) -> tuple[str, int]:
    """The subject that is built again, and the seed; raises `UserError` for a name that says neither."""
    inner, mark, seed = name.removeprefix(RANDOM).rpartition("#")
    if not mark or not inner or not (seed.isascii() and seed.isdigit()) or len(seed) > 18:
        raise UserError("bad name of a subject with random weights", value=name, allowed=f"{RANDOM}NAME#SEED")
    return inner, int(seed)


def is_model(name: str) -> bool:
    """Whether a name is that of a model, determined without importing anything."""
    return not name.startswith((FUNCTION, RESPONSES, VECTORS))


def function_subject(name: str) -> Subject:
    """A subject that stands in a module, or a function of texts there, which becomes one and changes with its file."""
    from glossator.subjects.functions import FunctionSubject

    found = imported(name.removeprefix(FUNCTION))
    if isinstance(found, BaseSubject):
        return found
    if (made := fingerprint_of_function(name)) is None:  # built in, or an object
        made = fingerprint(["function", name.rpartition(":")[2], of_code(found)])
    return FunctionSubject(found, name.rpartition(":")[2], fingerprint=made)


def fingerprint_of_function(name: str) -> str | None:
    """The fingerprint of `function:PLACE:NAME`, from the file that defines it and without importing that; None where
    the file does not define it as a function."""
    place, _, called = name.removeprefix(FUNCTION).rpartition(":")
    try:
        path = Path(place).expanduser() if place.endswith(".py") else _file_of_module(place)
        code = "" if path is None else path.read_text(encoding="utf-8")
        defined = {one.name for one in ast.parse(code).body if isinstance(one, ast.FunctionDef)}
    except (OSError, ValueError, SyntaxError):
        return None
    return fingerprint(["function", called, code]) if called in defined else None


def _file_of_module(place: str) -> Path | None:
    """The file of a module that Python would import by this name; parents are not imported."""
    inside: list[str] | None = None
    for part in place.split("."):
        found = importlib.machinery.PathFinder.find_spec(part, inside)
        if found is None:
            return None
        inside = list(found.submodule_search_locations or ())
    return Path(found.origin) if found is not None and found.origin else None


def imported(place_and_name: str) -> Any:
    """The object that FILE.py:NAME or package.module:NAME means; `UserError` when there is none that can be called."""
    place, colon, name = place_and_name.rpartition(":")
    if not colon or not place or not name:
        raise UserError("not a function", value=place_and_name, allowed="FILE.py:FUNCTION or package.module:FUNCTION")
    if place.endswith(".py"):
        path = Path(place).expanduser()
        if not path.is_file():
            raise UserError("no such file", value=place, fix="Check the path")
        made = importlib.util.spec_from_file_location(path.stem, path)
        assert made is not None and made.loader is not None
        loader, loaded = made.loader, importlib.util.module_from_spec(made)
        sys.modules.setdefault(path.stem, loaded)
        _run(place, lambda: loader.exec_module(loaded))
    else:
        loaded = _run(place, lambda: importlib.import_module(place))
    found = getattr(loaded, name, None)
    if not callable(found) and not isinstance(found, BaseSubject):
        functions = [key for key, value in vars(loaded).items() if callable(value) and not key.startswith("_")]
        raise UserError(f"{place} has no function of this name", value=name, allowed=near_matches(name, functions))
    return found


def _run(place: str, importing: Callable[[], Any]) -> Any:
    """What importing gives; `UserError` for code that cannot be imported."""
    try:
        return importing()
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if not place.endswith(".py") and f"{place}.".startswith(f"{missing}."):
            raise UserError("no such module", value=place, fix=f"{error}. Install it, or give FILE.py") from error
        raise UserError(f"{place} imports a package that is not installed", value=missing, fix="Install it") from error
    except Exception as error:
        raise UserError(f"{place} cannot be imported", value=f"{type(error).__name__}: {error}") from error
