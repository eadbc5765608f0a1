"""What a study does: one frozen dataclass, made from a TOML file, from flags or in Python.

Its fingerprint is the provenance of every row of the study; where the study lies is no part of it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np

from glossator import registry
from glossator.errors import UserError
from glossator.files import fingerprint, plain
from glossator.recording.samplers import EvidenceSpec
from glossator.scorers.baselines import DEFAULT_BASELINES
from glossator.simulators.calibration import CALIBRATIONS
from glossator.specs import Names, Takes, as_tuple, check_fields, check_known, check_once, read_table
from glossator.store import card as cards
from glossator.subjects.functions import OUTPUT
from glossator.subjects.measured import SITE as RESPONSES_SITE
from glossator.subjects.named import OWN_TEXT, RESPONSES, is_model
from glossator.units import POLARITIES, Polarity

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


MOST, MOST_WIDTH = 2**62, 2**20
UNITS = 'a number to draw at random, "all", or a list of indices'


@dataclass(frozen=True)
class StudySpec:
    """Which units of which subject are explained on which text, by what, and how that is scored.

    subject: alias, folder or hub id; sites: names; units: how many are drawn at random from each site, `all`, or
    their indices; polarities: the sides that are explained, ± where the signed value is
    the truth; corpus: a path or name that
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
    sites: Names
    units: Annotated[int | Literal["all"] | tuple[int, ...], Takes(UNITS, given=as_tuple)] = 64
    polarities: Annotated[tuple[Polarity, ...], Takes("a list of +, - and ±", given=as_tuple)] = ("+",)
    corpus: str = "embedded"
    max_tokens: Annotated[int | None, Takes(f'up to {MOST}, or "all"', most=MOST, all_is_none=True)] = 65536
    width: Annotated[int, Takes(least=1, most=MOST_WIDTH)] = 64
    dtype: str = "float32"
    device: str = "cpu"
    explainers: Names = ("program",)
    candidates: Annotated[int, Takes(least=1, most=MOST)] = 5
    lm: str | None = None
    simulator: str | None = None
    card: cards.Card = "observational"
    scorers: Names = cards.OF_THE_CARD
    calibration: str = "linear"
    evidence: EvidenceSpec = field(default_factory=NotSet)
    options: Annotated[Mapping[str, Mapping[str, Any]], Takes("tables: [options.NAME], then its keys")] = field(
        default_factory=dict
    )
    seed: Annotated[int, Takes(least=0, most=MOST)] = 0
    directions: Names = ()
    text_column: str | None = None
    readouts: Names = ()
    baselines: Names = DEFAULT_BASELINES

    def __post_init__(self) -> None:
        check_fields(self)
        object.__setattr__(self, "scorers", cards.scorers_of(self.card, self.scorers))
        if isinstance(self.evidence, NotSet):
            object.__setattr__(self, "evidence", _default_evidence(self.lm, self.options))
        for name in ("sites", "polarities", "explainers", "baselines"):
            if not getattr(self, name) and name != "baselines":
                raise UserError(f"a study needs {name}, none is listed", fix=EXAMPLE)
            check_once(name, getattr(self, name))
        for kind in ("explainers", "scorers", "baselines"):
            check_known(kind.rstrip("s"), getattr(self, kind), registry.table(kind))
        check_known("simulator", [self.simulator] if self.simulator is not None else [], registry.table("simulators"))
        check_known("polarity", self.polarities, POLARITIES)
        check_known("calibration", [self.calibration], CALIBRATIONS)
        takes_options = (*self.explainers, *self.scorers, *registry.table("simulators"))
        check_known("explainer, simulator or scorer with options", self.options, takes_options)
        try:
            json.dumps(plain(self), ensure_ascii=False).encode()
        except (UnicodeEncodeError, TypeError, ValueError, RecursionError) as error:
            raise UserError("the spec cannot be written as JSON in UTF-8", fix=f"{error}") from error
        for lm in self.language_models:
            if not isinstance(lm, str):
                raise UserError("bad lm", value=lm, allowed="a text in quotes, such as inprocess:smollm2-135m")
        if self.max_tokens is not None and self.max_tokens < self.width:
            raise UserError("max_tokens is below one window", value=self.max_tokens, allowed=f"{self.width} or more")
        if (isinstance(self.units, int) and self.units < 1) or self.units == ():
            raise UserError("the study has no unit", value=self.units, allowed=UNITS)

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


FIRST_DRAWN = 64
EXAMPLE = "Example: glossator run --subject smollm2-135m --site mlp.12 --units 64"


def load_spec(path: str | Path) -> StudySpec:
    """Read a spec from a TOML file, or from the `spec.json` of a study; `UserError` for an unknown or ill-typed key."""
    return make_spec(read_table(path, fix=EXAMPLE))


def make_spec(values: Mapping[str, Any]) -> StudySpec:
    """A spec from plain values, as TOML or JSON give them; `UserError` for what is missing, unknown or ill-typed."""
    given = dict(values)
    check_known("key in the spec", given, [f.name for f in fields(StudySpec)])
    subject = given.get("subject")
    if isinstance(subject, str) and subject.startswith(OWN_TEXT):  # it holds its text, all of which is taken
        given = {"corpus": subject, "max_tokens": None, **given}
    if isinstance(subject, str) and not is_model(subject):  # it has one site
        given.setdefault("sites", [RESPONSES_SITE if subject.startswith(RESPONSES) else OUTPUT])
    for name in ("subject", "sites"):
        if name not in given:
            raise UserError(f"the spec has no {name}", fix=EXAMPLE)
    evidence = given.pop("evidence", {})
    spec = StudySpec(**given)
    if isinstance(evidence, EvidenceSpec):
        return replace(spec, evidence=evidence)
    if not isinstance(evidence, Mapping):
        raise UserError("evidence in the spec must be a table", value=evidence, fix="Write [evidence], then its keys")
    check_known("key in [evidence]", evidence, [f.name for f in fields(EvidenceSpec)])
    return replace(spec, evidence=replace(spec.evidence, **evidence)) if evidence else spec
