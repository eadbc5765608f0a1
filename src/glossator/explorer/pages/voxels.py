"""The page of a study's voxels: how well each is predicted on held-out runs, and what the explanations are about."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from glossator.errors import UserError
from glossator.explorer.pages.parts import adapter, rounded
from glossator.explorer.pages.study import VOXELS
from glossator.files import read_json
from glossator.readouts.encoding_model import FALSE_DISCOVERIES, EncodingModel, load_encoding_model
from glossator.store.folder import places_of_readouts
from glossator.store.study import Study
from glossator.store.topics import KEPT_TOPICS, Topics

MOST_VOXELS = 2_000
"""That are given of one encoding model: the best predicted half, and the others evenly thinned."""


@dataclass(frozen=True)
class Voxel:
    """r: on held-out runs, with its q over voxels; ceiling: the highest r that noise allows, None where repeats do not
    say; predicted: whether q is small enough to explain it; unit: its name where the study has it; text: what is said
    of it."""

    index: int
    voxel: str
    r: float | None
    q: float | None
    ceiling: float | None
    penalty: float | None
    predicted: bool
    unit: str | None = None
    text: str | None = None
    score: float | None = None


@dataclass(frozen=True)
class Encoding:
    """One encoding model. rate: of false discoveries at which voxels are selected; of: how many voxels it has; voxels:
    at most `MOST_VOXELS` of them; facts: how it was fitted; wrong: why it could not be read."""

    site: str
    subject: str
    reads_at: str
    rate: float
    predicted: int
    voxels: list[Voxel]
    facts: list[tuple[str, str]] = field(default_factory=list)
    wrong: str = ""
    of: int = 0


@dataclass(frozen=True)
class TopicsShown:
    """by: what units are grouped by; studies: whose units they are; topics: as `glossator topics` found them."""

    by: str
    studies: list[str]
    units: int
    topics: Topics


@dataclass(frozen=True)
class VoxelsPage:
    """topics: None before `glossator topics` was run on the study."""

    encodings: list[Encoding]
    topics: TopicsShown | None
    wrong: str = ""


def voxels_page(study: Study) -> VoxelsPage:
    """Reads the encoding models that the study keeps, and the topics beside it; of what is damaged it says so."""
    encodings = [_encoding(study, place) for kind, place in places_of_readouts(study.folder) if kind == VOXELS]
    try:
        return VoxelsPage(encodings, topics_beside(study.folder))
    except UserError as error:
        return VoxelsPage(encodings, None, str(error))


def topics_beside(folder: Path) -> TopicsShown | None:
    """What `glossator topics` left; raises `UserError` where it cannot be read."""
    from pydantic import ValidationError

    path = folder / KEPT_TOPICS
    if not path.is_file():
        return None
    fix = "Run glossator topics again"
    found = read_json(path, "the topics", fix)
    try:
        shown: TopicsShown = adapter(TopicsShown).validate_python(found)
    except ValidationError as error:
        raise UserError("the topics cannot be read", value=str(path), fix=fix) from error
    return shown


def _encoding(study: Study, place: Path) -> Encoding:
    try:
        model = load_encoding_model(place)
    except UserError as error:
        return Encoding(place.name, "", "", FALSE_DISCOVERIES, 0, [], wrong=str(error))
    subject = f"{study.manifest['subject']}/"
    shown = _shown(model.r)
    rows = study.query(
        """SELECT "index", name, coalesce(headline, text), score FROM units WHERE site IN (?, ?)
        AND "index" IN (SELECT value FROM json_each(?)) ORDER BY id DESC""",
        model.site_name,
        model.name,  # of whole texts
        json.dumps(shown),
    )
    units = {index: (str(name).removeprefix(subject), text, score) for index, name, text, score in rows}
    chosen = {*model.predicted.tolist()}
    voxels = [
        Voxel(
            index, model.voxels[index], _known(model.r[index]), _known(model.q[index]), _known(model.ceiling[index]),
            _known(model.penalty[index]), index in chosen, *units.get(index, (None, None, None)),
        )
        for index in shown
    ]  # fmt: skip
    return Encoding(place.name, model.subject, model.reads_at, FALSE_DISCOVERIES, len(chosen), voxels, _facts(model),
                    of=len(model.voxels))  # fmt: skip


def _shown(r: np.ndarray) -> list[int]:
    """The numbers of the voxels that are given, ascending."""
    if len(r) <= MOST_VOXELS:
        return list(range(len(r)))
    order, half = np.argsort(-np.nan_to_num(r, nan=-np.inf), kind="stable"), MOST_VOXELS // 2
    places = np.linspace(half, len(r) - 1, MOST_VOXELS - half).round().astype(int)
    found: list[int] = np.sort(order[np.concatenate([np.arange(half), places])]).tolist()
    return found


def _known(value: Any) -> float | None:
    return rounded(float(value)) if np.isfinite(value) else None


def _facts(model: EncodingModel) -> list[tuple[str, str]]:
    told: dict[str, Any] = {
        "features": f"{model.reads_at} of {model.subject}",
        "time": f"one scan in {model.tr:g} s, delays of {', '.join(f'{d * model.tr:g}' for d in model.delays)} s",
        "rate": f"{model.rate:.2f} words in a scan",
    }
    for name, value in dict(model.made).items():
        if isinstance(value, Mapping):
            told |= {str(k).replace("_", " "): _said(v) for k, v in value.items() if v is not None}
        elif value is not None and "fingerprint" not in name:
            told[name.replace("_", " ")] = _said(value)
    return [(name, str(value)) for name, value in told.items()]


def _said(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
