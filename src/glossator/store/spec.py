"""What a study does: one frozen dataclass, made from a TOML file, from flags or in Python.

Its fingerprint is the provenance of every row of the study; where the study lies is no part of it.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

import numpy as np

from glossator import registry
from glossator.errors import UserError, near_matches
from glossator.files import fingerprint, plain
from glossator.recording.samplers import EvidenceSpec
from glossator.scorers.baselines import DEFAULT_BASELINES
from glossator.simulators.calibration import CALIBRATIONS
from glossator.store import card as cards
from glossator.subjects.functions import OUTPUT
from glossator.subjects.measured import SITE as RESPONSES_SITE
from glossator.subjects.named import RESPONSES, is_model
from glossator.units import Polarity

DEFAULT_SCORERS = cards.DEFAULT_SCORERS["observational"]
DEFAULT_EVIDENCE = EvidenceSpec()
READ_EVIDENCE = EvidenceSpec(
    calibrate_top=5, calibrate_random=5, select_top=5, select_random=5, test_top=10, test_random=10
)
"""What a study with a language model draws: each window that is read costs a request for each explanation. Bills et al.
2023 calibrate on 5 top and 5 random windows and score on as many; to score there are twice as many here."""


class NotSet(EvidenceSpec):
    """Stands for the default, which depends on whether there is a language model."""


LATER: dict[str, Any] = {
    "lm": None,
    "simulator": None,
    "card": cards.OBSERVATIONAL,
    "directions": [],
    "text_column": None,
    "readouts": [],
    "baselines": [*DEFAULT_BASELINES],
}
"""Fields that older specs lack, with what those mean; with these values the fingerprint is that of a spec without."""


@dataclass(frozen=True)
class StudySpec:
    """Which units of which subject are explained on which text, by what, and how that is scored.

    subject: alias, folder or hub id; sites: names; units: how many are drawn at random from each site, `all`, or
    their indices; polarities: the sides that are explained; corpus: a path or name that
    `glossator.corpora.open_corpus` takes; text_column: its field that holds the text, None for `text`;
    max_tokens: None for the whole corpus; width: tokens in a window; candidates: explanations asked of each
    explainer; baselines: what scores are set beside, see `glossator.scorers.baselines`; readouts: each
    `KIND:PATH@SITE`, whose `NAME@SITE` stand among the sites; directions: folders of sets of directions, the same as
    readouts `directions:FOLDER`; lm: the language model that explains, simulates and judges (see
    `glossator.language_models.open_language_model`), None for none; simulator: which one reads explanations, None to
    execute programs and have words read by the best simulator that the language model can serve; card: which columns of
    scores are filled, observational, causal or both; scorers: by default those of the card, see
    `glossator.store.card.scorers_of`; calibration: see `glossator.simulators.calibration`; evidence: which windows are
    drawn, by default fewer where there is a language model; options: settings of explainers, simulators and scorers by
    name, for example {"token-list": {"n": 20}}, where `lm` names another language model for that method; seed: of every
    random choice.
    """

    subject: str
    sites: tuple[str, ...]
    units: int | Literal["all"] | tuple[int, ...] = 64
    polarities: tuple[Polarity, ...] = ("+",)
    corpus: str = "embedded"
    max_tokens: int | None = 65536
    width: int = 64
    dtype: str = "float32"
    device: str = "cpu"
    explainers: tuple[str, ...] = ("program",)
    candidates: int = 5
    lm: str | None = None
    simulator: str | None = None
    card: cards.Card = "observational"
    scorers: tuple[str, ...] = cards.OF_THE_CARD
    calibration: str = "linear"
    evidence: EvidenceSpec = field(default_factory=NotSet)
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    seed: int = 0
    directions: tuple[str, ...] = ()
    text_column: str | None = None
    readouts: tuple[str, ...] = ()
    baselines: tuple[str, ...] = DEFAULT_BASELINES

    def __post_init__(self) -> None:
        object.__setattr__(self, "scorers", cards.scorers_of(self.card, self.scorers))
        if isinstance(self.evidence, NotSet):
            object.__setattr__(self, "evidence", _default_evidence(self.lm, self.options))
        for name in ("sites", "polarities", "explainers"):
            values = getattr(self, name)
            if not values:
                raise UserError(f"a study needs {name}, none is listed", fix=EXAMPLE)
            if len(set(values)) != len(values):
                raise UserError(f"{name} are listed twice", value=", ".join(values))
        if len(set(self.baselines)) != len(self.baselines):
            raise UserError("baselines are listed twice", value=", ".join(self.baselines))
        for kind in ("explainers", "scorers", "baselines"):
            for name in getattr(self, kind):
                _known(kind.rstrip("s"), name, registry.table(kind))
        if self.simulator is not None:
            _known("simulator", self.simulator, registry.table("simulators"))
        for polarity in self.polarities:
            _known("polarity", polarity, ("+", "-"))
        _known("calibration", self.calibration, CALIBRATIONS)
        for name in self.options:
            takes_options = (*self.explainers, *self.scorers, *registry.table("simulators"))
            _known("explainer, simulator or scorer with options", name, takes_options)
        try:
            json.dumps(plain(self), ensure_ascii=False).encode()
        except (UnicodeEncodeError, TypeError, ValueError, RecursionError) as error:
            raise UserError("the spec cannot be written as JSON in UTF-8", fix=f"{error}") from error
        for name in self.language_models:
            if not isinstance(name, str):
                raise UserError("bad lm", value=name, allowed="a text in quotes, such as inprocess:smollm2-135m")
        for name, least, most in (("width", 1, MOST_WIDTH), ("candidates", 1, MOST), ("seed", 0, MOST)):
            if not least <= getattr(self, name) <= most:
                raise UserError(f"bad {name}", value=getattr(self, name), allowed=f"{least} to {most}")
        if self.max_tokens is not None and self.max_tokens < self.width:
            raise UserError("max_tokens is below one window", value=self.max_tokens, allowed=f"{self.width} or more")
        if self.units != "all" and not isinstance(self.units, int | tuple):
            raise UserError("invalid units", value=self.units, allowed=UNITS)
        if (isinstance(self.units, int) and self.units < 1) or self.units == ():
            raise UserError("the study has no unit", value=self.units, allowed=UNITS)
        if isinstance(self.max_tokens, int) and self.max_tokens > MOST:
            raise UserError("bad max_tokens", value=self.max_tokens, allowed=f"at most {MOST}, or all")

    @property
    def fingerprint(self) -> str:
        stored = plain(self)
        return fingerprint({k: v for k, v in stored.items() if k not in LATER or v != LATER[k]})

    @property
    def all_readouts(self) -> tuple[str, ...]:
        """Every readout as `KIND:PATH@SITE`, directions first."""
        return (*(f"directions:{folder}" for folder in self.directions), *self.readouts)

    @property
    def language_models(self) -> tuple[str, ...]:
        """Every language model that the spec names, the study's own first."""
        return _language_models(self.lm, self.options)

    def indices(self, site: str, width: int) -> tuple[int, ...] | None:
        """Which units of a site of `width` units are studied, ascending; None for all.

        Raises `UserError` when an index does not exist or more units are asked for than there are.
        """
        return None if self.units == "all" else tuple(sorted(self.drawn(site, width)))

    def drawn(self, site: str, width: int) -> tuple[int, ...]:
        """The units of a site of `width` units in the order in which they were drawn or named: a study of fewer has the
        first of them. Raises what `indices` does."""
        if isinstance(self.units, tuple):
            if bad := [i for i in self.units if not 0 <= i < width]:
                raise UserError(f"no such unit at {site}", value=bad[0], allowed=f"0 to {width - 1}")
            return tuple(dict.fromkeys(self.units))
        if self.units != "all" and self.units > width:
            raise UserError(f"more units than {site} has", value=self.units, allowed=f"at most {width}, or all")
        rng = np.random.default_rng([self.seed, int(fingerprint(site), 16)])
        # The first are drawn together, the rest in a random order: more units hold those of a smaller number.
        first = rng.choice(width, min(FIRST_DRAWN, width), replace=False)
        drawn = [*first.tolist(), *rng.permutation(np.setdiff1d(np.arange(width), first)).tolist()]
        return tuple(drawn if self.units == "all" else drawn[: self.units])


def _language_models(lm: str | None, options: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    named = [lm, *(settings.get("lm") for settings in options.values())]
    return tuple(dict.fromkeys(name for name in named if name))


def bounded_to_read(evidence: EvidenceSpec) -> EvidenceSpec:
    """The same with no more windows of the splits that are read than a study with a language model draws."""

    def bounded(name: str) -> int:
        most, drawn = getattr(READ_EVIDENCE, name), getattr(evidence, name)
        return most if drawn is None else min(most, drawn)

    kinds = [f"{split}_{kind}" for split in ("calibrate", "select", "test") for kind in ("top", "random")]
    fewer: dict[str, Any] = {name: bounded(name) for name in kinds}
    return replace(evidence, **fewer)


def _default_evidence(lm: str | None, options: Mapping[str, Mapping[str, Any]]) -> EvidenceSpec:
    return READ_EVIDENCE if _language_models(lm, options) else DEFAULT_EVIDENCE


MOST, MOST_WIDTH = 2**62, 2**20
FIRST_DRAWN = 64
UNITS = 'a number to draw at random, "all", or a list of indices'
EXAMPLE = "Example: glossator run --subject smollm2-135m --site mlp.12 --units 64"
_TABLES = ("evidence", "options")


def load_spec(path: str | Path) -> StudySpec:
    """Read a spec from a TOML file, or from the `spec.json` of a study; `UserError` for an unknown or ill-typed key."""
    return make_spec(read_table(path))


def read_table(path: str | Path) -> dict[str, Any]:
    """The keys of a TOML or JSON file as they stand there; `UserError` when it cannot be read."""
    path = Path(path)
    if path.exists() and not path.is_file():
        raise UserError("the spec is not a file", value=str(path), fix=EXAMPLE)
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UserError("cannot read the spec", value=str(path), fix=error.strerror or str(error)) from error
    language, read = ("JSON", json.loads) if path.suffix == ".json" else ("TOML", tomllib.loads)
    try:
        values = read(raw.decode())
    except (ValueError, RecursionError) as error:
        raise UserError(f"the spec is not readable {language}", value=str(path), fix=str(error)) from error
    if not isinstance(values, dict):
        raise UserError("the spec must be a table of keys", value=str(path), fix=EXAMPLE)
    return values


def make_spec(values: Mapping[str, Any]) -> StudySpec:
    """A spec from plain values, as TOML or JSON give them; `UserError` for what is missing, unknown or ill-typed."""
    given = dict(values)
    known = [f.name for f in fields(StudySpec)]
    for name in given:
        _known("key in the spec", name, known)
    subject = given.get("subject")
    if isinstance(subject, str) and not is_model(subject):  # it has one site
        given.setdefault("sites", [RESPONSES_SITE if subject.startswith(RESPONSES) else OUTPUT])
    for name in ("subject", "sites"):
        if name not in given:
            raise UserError(f"the spec has no {name}", fix=EXAMPLE)
    evidence = given.pop("evidence", {})
    if not isinstance(evidence, EvidenceSpec):
        options = given.get("options") or {}
        evidence = _evidence(evidence, _default_evidence(given.get("lm"), _typed("options", options)))
    given["evidence"] = evidence
    checked = {name: _typed(name, value) for name, value in given.items()}
    return StudySpec(**checked)


def _evidence(values: Any, default: EvidenceSpec) -> EvidenceSpec:
    if not isinstance(values, Mapping):
        raise UserError("evidence in the spec must be a table", value=values, fix="Write [evidence], then its keys")
    hints, checked = get_type_hints(EvidenceSpec), {}
    for name, value in values.items():
        _known("key in [evidence]", name, hints)
        has_all = type(None) in get_args(hints[name])
        if value == "all" and has_all:
            value = None
        right = isinstance(value, str) if name == "sampler" else isinstance(value, int) and not isinstance(value, bool)
        if not right and not (value is None and has_all):
            number = 'a number, or "all"' if has_all else "a number"
            raise UserError(f"bad evidence.{name}", value=value, allowed="a name" if name == "sampler" else number)
        checked[name] = value
    return replace(default, **checked)


_LISTS = ("sites", "polarities", "explainers", "scorers", "directions", "readouts", "baselines")
_NUMBERS = ("max_tokens", "width", "candidates", "seed")


def _typed(name: str, value: Any) -> Any:
    """The value with lists as tuples; `UserError` when it has another type than the field."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    if name in _LISTS:
        if isinstance(value, str):
            value = [value]
        if not isinstance(value, list | tuple) or not all(isinstance(v, str) for v in value):
            raise UserError(f"bad {name}", value=value, allowed="a list of names")
        return tuple(value)
    if name == "units":
        if isinstance(value, list | tuple) and all(isinstance(v, int) and not isinstance(v, bool) for v in value):
            return tuple(value)
        if not is_number and value != "all":
            raise UserError("invalid units", value=value, allowed=UNITS)
    elif name in _NUMBERS:
        if name == "max_tokens" and value in (None, "all"):
            return None
        if not is_number:
            raise UserError(f"bad {name}", value=value, allowed="a whole number")
    elif name == "options":
        if not isinstance(value, Mapping) or not all(isinstance(v, Mapping) for v in value.values()):
            raise UserError(
                "options in the spec must be tables", value=value, fix="Write [options.NAME], then its keys"
            )
        return plain(value)
    elif name in ("lm", "simulator", "text_column") and value is None:
        return None
    elif name != "evidence" and not isinstance(value, str):
        raise UserError(f"bad {name}", value=value, allowed="a text in quotes")
    return value


def _known(what: str, name: str, known: Any) -> None:
    if name not in known:
        raise UserError(f"unknown {what}", value=name, allowed=near_matches(str(name), known))
