"""Validation before anything is written: subject, sites and units, corpus and methods exist and make sense."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from glossator import registry
from glossator.corpora import ProbeSet, probe_set
from glossator.corpora.splits import group_by_shared_runs
from glossator.errors import MissingPower, UserError, near_matches
from glossator.recording import Recording, open_recording, recording_spec
from glossator.recording.spec import source_of
from glossator.scorers.baselines import RANDOM_WEIGHTS
from glossator.store.spec import StudySpec
from glossator.study.context import options_of, resources_of, with_own_lm
from glossator.study.grow import lacks_units, larger, put_in_place
from glossator.study.models import Access, StudyModels
from glossator.study.random_weights import spec_of_random, trainings
from glossator.study.simulator import EXECUTE, simulator_name
from glossator.study.sources import (
    check_made_from,
    check_text,
    check_unchanged,
    given_readouts,
    keep_readouts,
    kind_taken,
    named_inputs,
    texts_of,
)
from glossator.subjects.base import Power, check_power, check_takes, width_of

if TYPE_CHECKING:
    from glossator.corpora import Corpus
    from glossator.inputs import Inputs
    from glossator.readouts import Readout
    from glossator.recording import RecordingSpec
    from glossator.recording.spec import Plan
    from glossator.study.work import Work
    from glossator.subjects.base import Subject
    from glossator.subjects.delphi import DelphiSubject


@dataclass(frozen=True, eq=False)
class Source:
    """The language models, opened, and a loaded subject and its inputs, both None where the recording is finished;
    readouts: those to record, by `NAME@SITE`."""

    spec: StudySpec
    models: StudyModels
    subject: Subject | None = None
    probes: ProbeSet | None = None
    readouts: Mapping[str, Readout] = field(default_factory=dict)

    def record(self, folder: Path, work: Work) -> Recording:
        """Record the units of the spec; a finished recording is opened, one of fewer units is made anew."""
        if self.probes is None:
            return open_recording(folder)
        if not folder.exists() and _is_recorded(larger(work)):
            return put_in_place(work)
        from glossator.recording.recorder import record

        assert self.subject is not None
        before = open_recording(folder) if _is_recorded(folder) else None
        keep_readouts(self.spec, self.readouts, folder.parent)
        spec, plan = self.planned()
        if before is not None and len(plan.panel) != len(before.panel):
            # Its units keep their windows, also where a panel of more units would be smaller.
            spec = replace(spec, panel_windows=len(before.panel))
        for note in (*self.probes.notes, *(note for one in self.readouts.values() for note in one.notes)):
            work.say(note)
        with work.timed(f"record {len(self.probes.inputs)} inputs"):
            target = folder if before is None else larger(work)
            made = record(spec, self.subject, self.probes, target, readouts=self.readouts, progress=work.progress)
        return made if before is None else put_in_place(work)

    def planned(self) -> tuple[RecordingSpec, Plan]:
        """What is recorded, and how that is cut into parts."""
        from glossator.recording.recorder import planned

        assert self.probes is not None and self.subject is not None
        widths = _widths(self.spec, self.subject, self.probes.inputs, self.readouts)
        units = {site: self.spec.indices(site, width) for site, width in widths.items()}
        spec = recording_spec(
            self.subject, self.probes, self.spec.sites, readouts=self.readouts, units=units, seed=self.spec.seed
        )
        return spec, planned(spec, self.subject, self.probes.inputs, self.readouts)


def prepare(
    spec: StudySpec,
    folder: Path,
    access: Access,
    corpus: Corpus | ProbeSet | None = None,
    subject: Subject | None = None,
    *,
    explains: bool = True,
) -> Source:
    """Load the subject and make its inputs, unless what they are for is recorded; raises `UserError` for bad input.

    corpus, subject: given as Python objects, in place of those that the spec names; explains: whether units are to be
    explained, and not only recorded.
    """
    models = StudyModels(spec.language_models, access, folder)
    _check_methods(spec, models)
    if _is_recorded(folder / "recording"):
        recording = open_recording(folder / "recording")
        check_unchanged(spec, recording, subject)
        if explains:
            check_reads(spec, recording.inputs.kind)
        if not lacks_units(recording, spec):
            return Source(spec, models, subject)
    from glossator.subjects.named import OWN_TEXT, RESPONSES, open_subject

    if subject is None and spec.subject.startswith(OWN_TEXT):
        subject = open_subject(spec.subject)
    if corpus is None:
        corpus = own_text(subject, spec) or named_inputs(
            spec, kind_taken(spec.subject) if subject is None else subject.takes
        )
    readouts = given_readouts(spec)
    if subject is None:
        _check_sites(spec, readouts)
        models.confirm_subject(spec.subject)
        if spec.subject.startswith(RESPONSES):
            corpus = corpus if isinstance(corpus, ProbeSet) else texts_of(corpus, spec)
        inputs = corpus.inputs if isinstance(corpus, ProbeSet) else None
        subject = open_subject(spec.subject, inputs, dtype=spec.dtype, device=spec.device)
    if RANDOM_WEIGHTS in spec.baselines:
        check_power(subject, Power.WEIGHTS, f"the baseline {RANDOM_WEIGHTS}")
        spec_of_random(spec, trained=trainings(readouts))
    for site in spec.sites:
        if (width := subject.site(source_of(site)).width) is not None:
            spec.indices(site, _width(site, width, subject, readouts))
    probes = _probes(spec, subject, corpus)
    if explains:
        check_reads(spec, probes.inputs.kind)
    for site, width in _widths(spec, subject, probes.inputs, readouts).items():
        spec.indices(site, width)
    check_made_from(readouts, subject.fingerprint)
    check_text(readouts, probes.spec)
    return Source(spec, models, subject, probes, readouts)


def _probes(spec: StudySpec, subject: Subject, corpus: Corpus | ProbeSet) -> ProbeSet:
    """The inputs that the subject is run on: those that are given, or the corpus cut into what the subject takes."""
    from glossator.corpora import make_windows
    from glossator.subjects import TransformerSubject

    if isinstance(corpus, ProbeSet):
        check_takes(subject, corpus.inputs)
        return corpus
    if subject.takes == "texts":
        return texts_of(corpus, spec)
    if not isinstance(subject, TransformerSubject):
        raise UserError(
            "this subject does not take text",
            value=f"{subject.name} takes {subject.takes}, and there are none in {corpus.name}",
            fix="Name its inputs: --inputs renders:2000 or a folder of images, or run_study(spec, folder, corpus=...)",
        )
    if subject.max_width is not None and spec.width > subject.max_width:
        raise UserError("windows too wide for this subject", value=spec.width, allowed=f"at most {subject.max_width}")
    probes = make_windows(corpus, subject.tokenizer, spec.width, max_tokens=spec.max_tokens, seed=spec.seed)
    subject.check_known(probes.windows.tokens)
    return probes


def own_text(subject: Subject | None, spec: StudySpec) -> ProbeSet | None:
    """The text that a subject brings with it; None for most."""
    from glossator.corpora.excerpts import excerpt_windows
    from glossator.subjects.delphi import DelphiSubject
    from glossator.subjects.excerpts import ExcerptsSubject

    if isinstance(subject, DelphiSubject):
        return cached_windows(subject, spec)
    return excerpt_windows(subject, spec.subject, spec.seed) if isinstance(subject, ExcerptsSubject) else None


def cached_windows(subject: DelphiSubject, spec: StudySpec) -> ProbeSet:
    """The text of cached latents; rows that share a run of tokens are of one split."""
    windows = subject.windows(spec.width, spec.max_tokens)
    rows = subject.tokens[: int(windows.documents.max()) + 1]
    groups = group_by_shared_runs(list(rows))
    owners = groups[windows.documents]
    names = [f"row {row}" for row in np.unique(owners)]
    return probe_set(windows.regrouped(owners), names, seed=spec.seed, name=spec.subject)


def _widths(spec: StudySpec, subject: Subject, inputs: Inputs, readouts: Mapping[str, Readout]) -> dict[str, int]:
    """How many units each site has; `UserError` for a site that the subject lacks and readouts that do not fit."""
    return {name: _width(name, width_of(subject, source_of(name), inputs), subject, readouts) for name in spec.sites}


def _width(name: str, width: int, subject: Subject, readouts: Mapping[str, Readout]) -> int:
    if name not in readouts:
        return width
    readouts[name].check_fits(source_of(name), width, subject.name)
    return readouts[name].width


def _check_methods(spec: StudySpec, models: StudyModels) -> None:
    """The methods are there, take their options, and what they need from a language model is there as well."""
    shared = resources_of(spec, models)
    named = [("explainers", name) for name in spec.explainers] + [("scorers", name) for name in spec.scorers]
    for name in models:
        models.open(name)
    models.check()
    simulator = simulator_name(spec, shared.lm if shared.has("lm") else None)
    for kind, name in [*named, *([] if simulator == EXECUTE else [("simulators", simulator)])]:
        with_own_lm(name, spec, models, shared).check(kind, name, options_of(name, spec))


def _is_recorded(folder: Path) -> bool:
    """Finished, with its leftovers removed."""
    return (folder / "manifest.json").exists() and not (folder / "plan.json").exists()


def _check_sites(spec: StudySpec, readouts: Mapping[str, Readout]) -> None:
    """Refuse a wrong site or index of a built-in subject before its weights are downloaded."""
    from glossator.subjects import describe_sites
    from glossator.subjects.aliases import ALIASES

    if spec.subject not in ALIASES or ALIASES[spec.subject].takes != "tokens":
        return
    known = {site.name: site for site in describe_sites(spec.subject)}
    kinds = {name.partition(".")[0] for name in known}
    for whole in spec.sites:
        name = source_of(whole)
        if name in known:
            spec.indices(whole, readouts[whole].width if whole in readouts else known[name].width or 0)
        elif name.partition(".")[0] in kinds or "." not in name:
            raise UserError("no such site", value=name, allowed=near_matches(name, known))


def check_reads(spec: StudySpec, kind: str) -> None:
    """Raise `MissingPower` for the first explainer of the spec that does not read inputs of this kind."""
    for name in spec.explainers:
        reads = registry.load("explainers", name).reads
        if kind not in reads:
            able = [n for n in registry.table("explainers") if kind in registry.load("explainers", n).reads]
            raise MissingPower(
                f"{name} reads {', '.join(sorted(reads))}, not {kind}",
                allowed=", ".join(able) or "no installed explainer",
                fix="Choose another with --explainer",
            )
