"""Every registered part on every kind of input: what comes of it, and the table that `docs/conformance.md` shows.

`python tests/conformance.py` writes the table anew.
"""

from __future__ import annotations

import inspect
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from glossator import registry
from glossator.corpora import ProbeSet, make_windows, open_corpus, probe_set
from glossator.engines import Job, carry_out
from glossator.errors import MissingPower, UserError
from glossator.evidence import Evidence
from glossator.explainers import explain_one
from glossator.explanations import Explanation, Headline, Provenance
from glossator.inputs import Stimuli, Texts
from glossator.programs import Clause, Lexicon, Program, Token, parse_program
from glossator.readouts.directions import direction_set
from glossator.recording import EvidenceSpec, draw, open_recording, record, recording_spec
from glossator.scorers.baselines import Beside, RandomWeightsBaseline
from glossator.scorers.headline import HeadlineScorer
from glossator.scorers.lab import Lab
from glossator.scorers.other_units import RecordedOthers
from glossator.simulators import Simulation
from glossator.subjects.base import Power, check_power
from glossator.units import Unit

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "conformance.md"
WITH_A_MODEL = "yes, with a language model"
KINDS = ("explainers", "simulators", "scorers", "baselines", "readouts", "engines")
WORLDS = ("tokens", "texts", "image cells", "rendered cells", "image model", "whole images", "stimuli")
N = 600
EVIDENCE = EvidenceSpec(test_top=15, test_random=30, calibrate_random=20, select_random=20)


@dataclass(frozen=True, eq=False)
class World:
    """One unit of one subject on one kind of input, and what methods may ask for. folder: of its recording."""

    subject: Any
    probes: ProbeSet
    folder: str
    unit: Unit
    evidence: Evidence
    lab: Lab
    explanation: Explanation

    def made(self, kind: str, name: str) -> Any:
        """The registered part with the resources that it takes."""
        target = registry.load(kind, name)
        return target(**options(name), **self.lab.given(target, name))


@cache
def options(name: str) -> dict[str, Any]:
    """What a part cannot do without: a file, a model."""
    from image_cases import tiny_clip

    folder = Path(tempfile.mkdtemp(prefix="conformance-"))
    if name == "labels":
        (folder / "labels.csv").write_text("unit,label\nmlp.1/0,animals\noutput/0,animals\nconv/0,animals\n")
        return {"file": str(folder / "labels.csv")}
    return {"model": str(tiny_clip(folder))} if name == "clip-dissect" else {}


@cache
def world(name: str) -> World:
    from glossator.scenes import SceneImages, random_scenes
    from glossator.subjects.functions import FunctionSubject
    from glossator.subjects.measured import MeasuredSubject
    from glossator.subjects.vision import image_subject
    from scorer_reader_cases import ALL_POWERS, Scripted, refusing
    from test_inputs_recorded import CELLS, Red, Truth, animals, images, red_module, redness, scaled, texts
    from test_scorers_comparing import Bags

    subject: Any
    if name == "tokens":
        subject, probes, site = *_language_model(), "mlp.1"
    elif name == "texts":
        subject, probes, site = FunctionSubject(animals, "animals"), probe_set(Texts.of(texts(N))), "output"
    elif name == "image cells":
        subject = FunctionSubject(redness, "redness", takes="images", grid=CELLS)
        probes, site = probe_set(images(N)), "output"
    elif name == "image model":
        subject = image_subject(Red(), scaled, name="red", side=16)
        probes, site = probe_set(images(N)), "conv"
    elif name == "rendered cells":
        subject = FunctionSubject(_redder, "redder", takes="images", grid=CELLS)
        probes, site = probe_set(SceneImages.of_scenes(random_scenes(4 * N), side=64)), "output"
    elif name == "whole images":
        subject, probes, site = red_module(), probe_set(images(N)), "head"
    else:
        stimuli = Stimuli.of(texts(N), np.arange(N) // 20)
        subject = MeasuredSubject(stimuli, np.asarray(animals(list(texts(N)))), "voxels")
        probes, site = probe_set(stimuli), "responses"
    folder = tempfile.mkdtemp(prefix="conformance-")
    recording = record(recording_spec(subject, probes, [site]), subject, probes, f"{folder}/r", progress=False)
    unit = Unit(subject.name, site, 0)
    evidence = draw(recording, unit, EVIDENCE)
    assert evidence.status == "ok", evidence.reason
    lexicon, program = None, None
    if name == "tokens":
        lexicon = Lexicon.for_windows(recording.vocabulary, recording.embedding)
        program = parse_program('0 + token(" the"); raises token(" are")')
    reader = Scripted(refusing, ALL_POWERS)  # that it was asked is enough
    simulator: Any = Truth(subject, unit)
    lab = Lab(
        lexicon, simulator, RecordedOthers(recording),
        open_subject=lambda: subject, open_lm=lambda: reader, open_embedder=lambda: Bags("a"),
    )  # fmt: skip
    headline = None if program is None else Headline("are", Program(0.0, (Clause(1.0, Token((" are",))),)))
    explanation = Explanation(unit, "animals", Provenance("told"), program, headline=headline)
    return World(subject, probes, f"{folder}/r", unit, evidence, lab, explanation)


def _redder(pixels: np.ndarray) -> np.ndarray:
    """(n, 4, 4, 2): how much redder than grey each cell is, and how much less red."""
    from test_inputs_recorded import redness

    found = redness(pixels).sum(axis=-1, keepdims=True) - 1
    return np.concatenate([found, -found], axis=-1)


def _language_model() -> tuple[Any, ProbeSet]:
    from glossator.subjects import load_subject
    from tiny_models import byte_level_tokenizer, save_tiny

    subject = load_subject(str(save_tiny(Path(tempfile.mkdtemp()) / "tiny", "llama", byte_level_tokenizer())))
    return subject, make_windows(open_corpus("embedded"), subject.tokenizer, 24, max_tokens=12_000)


def outcome(kind: str, name: str, where: str) -> str:
    """`yes`, `yes, with a language model`, or what is missing; raises where something else comes of it."""
    its = world(where)
    try:
        if kind == "readouts":
            return _read(name, its)
        if kind == "engines":
            return _run_by(name, its)
        return OUTCOMES[kind](its.made(kind, name), its)
    except MissingPower as error:
        return f"{error.what}: {error.value}" if error.value in ("lexicon", "lm", "subject", "embedder") else error.what


def _explained(explainer: Any, its: World) -> str:
    try:
        found = explain_one(explainer, its.evidence.explain, n=2)
    except MissingPower:
        raise
    except UserError as error:
        if "refus" not in str(error).lower():
            raise
        return WITH_A_MODEL
    assert all(e.unit == its.unit and e.text and e.provenance.evidence for e in found)
    lm = inspect.signature(type(explainer)).parameters.get("lm")
    return WITH_A_MODEL if lm and lm.default is lm.empty else "yes"  # even where it had nothing to ask about


def _simulated(simulator: Any, its: World) -> str:
    test = its.evidence.test
    found: Simulation = simulator.simulate(its.explanation, test.inputs, test.grid)
    assert found.expected.shape == test.activations.shape
    return "yes"


def _scored(scorer: Any, its: World) -> str:
    reader = its.lab.lm
    before = len(reader.asked)
    scores = scorer.score(its.unit, its.explanation, its.evidence, its.lab.for_unit({}))
    if not scores and isinstance(scorer, HeadlineScorer):
        return "the explanation has no headline"
    assert scores and all((s.value is None) != (s.reason is None) and s.measure for s in scores)
    if any(s.value is not None for s in scores):
        return "yes"
    if len(reader.asked) > before:
        return WITH_A_MODEL
    return str(scores[0].reason).partition(": '")[0].partition(";")[0]


def _beside(baseline: Any, its: World) -> str:
    if isinstance(baseline, RandomWeightsBaseline):
        check_power(its.lab.subject, Power.WEIGHTS, "random-weights")
        return "yes, in a study of its own"
    if its.evidence.test.inputs.kind not in baseline.reads:
        raise MissingPower(f"this reads {', '.join(sorted(baseline.reads))} alone")
    found = baseline.explanation(its.evidence.explain, Beside(its.explanation, bits=30.0, other=its.explanation))
    assert found is not None and found.unit == its.unit
    return "yes"


def _directions(folder: Path, site: str, width: int) -> None:
    direction_set("one", site, np.eye(1, width)).save(folder)


def _dictionary(folder: Path, site: str, width: int) -> None:
    import torch

    from glossator.readouts.dictionary import Dictionary

    one = torch.eye(1, width)
    Dictionary(
        name="sae", reads_at=site, writes_at=site, encoder=one, encoder_bias=torch.zeros(1),
        decoder=one, decoder_bias=torch.zeros(width),
    ).save(folder)  # fmt: skip


def _voxels(folder: Path, site: str, width: int) -> None:
    from glossator.readouts.encoding_model import EncodingModel

    one = np.eye(1, width, dtype=np.float32)
    EncodingModel(
        name="voxels", reads_at=site, subject="", weights=one[:, :, None], centre=np.zeros(width, np.float32),
        scale=np.ones(width, np.float32), rate=1.0, tr=2.0, delays=(1,), voxels=("v",),
        r=np.ones(1), p=np.zeros(1), q=np.zeros(1), ceiling=np.ones(1), penalty=np.ones(1),
    ).save(folder)  # fmt: skip


MADE_READOUTS: dict[str, Callable[[Path, str, int], None]] = {
    "directions": _directions,
    "dictionary": _dictionary,
    "voxels": _voxels,
}
"""Writes a small readout of each kind for a site; a new kind needs its line here."""


def _read(kind: str, its: World) -> str:
    """A readout is loaded, recorded at the world's site and drawn from, and says how to act on its units."""
    folder = Path(tempfile.mkdtemp(prefix="conformance-"))
    width = its.subject.site(its.unit.site).width
    (folder / "readout").mkdir()
    MADE_READOUTS[kind](folder / "readout", its.unit.site, width)
    readout = registry.load("readouts", kind)(folder / "readout", site=its.unit.site)
    name = f"{readout.name}@{its.unit.site}"
    spec = recording_spec(its.subject, its.probes, [name], readouts={name: readout})
    recording = record(spec, its.subject, its.probes, folder / "r", readouts={name: readout}, progress=False)
    unit = Unit(its.subject.name, name, readout.width - 1)
    evidence = draw(recording, unit, EVIDENCE)
    assert evidence.status == "ok", evidence.reason
    assert evidence.test.activations.shape[1] == evidence.test.grid.places
    try:
        readout.part(unit.index)
    except MissingPower:
        return "yes, read alone"
    return "yes" if Power.INTERVENE in its.subject.powers else "yes, read alone"


@dataclass(frozen=True)
class DrawEvidence:
    """The job of an engine: open the recording in a process of the engine's, draw the unit's evidence, note it."""

    folder: str
    unit: Unit

    def __call__(self, job: Job) -> None:
        evidence = draw(open_recording(self.folder), self.unit, EVIDENCE)
        Path(job.folder, f"{job.shard}").write_text(evidence.explain.fingerprint)

    def open(self, job: Job) -> None:
        pass


def _run_by(name: str, its: World) -> str:
    """Two jobs on the world's recording, by two workers; where an engine is not installed, what it takes."""
    extra, installed = ELSEWHERE.get(name, ("", True))
    if installed:
        folder = tempfile.mkdtemp(prefix="conformance-")
        jobs = [Job(folder, "explain", shard) for shard in range(2)]
        for job in jobs:
            job.log.parent.mkdir(parents=True, exist_ok=True)
        engine = registry.load("engines", name)(workers=2)
        assert set(carry_out(engine, jobs, DrawEvidence(its.folder, its.unit), print)) == set(jobs)
        assert {Path(folder, str(job.shard)).read_text() for job in jobs} == {its.evidence.explain.fingerprint}
    return f"yes{extra}"


ELSEWHERE = {
    "ray": (", with `glossator[ray]`", find_spec("ray") is not None),
    "slurm": (", with `glossator[slurm]` on a SLURM cluster", bool(find_spec("submitit") and shutil.which("sbatch"))),
}


OUTCOMES: dict[str, Callable[[Any, World], str]] = {
    "explainers": _explained,
    "simulators": _simulated,
    "scorers": _scored,
    "baselines": _beside,
}


Outcomes: TypeAlias = Mapping[tuple[str, str, str], str]
"""What came of each kind of part, name and kind of input."""


def documented() -> Outcomes:
    """What the page says; without a part or kind of input that it does not know."""
    text = DOCUMENT.read_text()
    reasons = dict(re.findall(r"^(\d+)\. (.*)$", text, re.MULTILINE))
    found: dict[tuple[str, str, str], str] = {}
    for section in text.split("\n## ")[1:]:
        kind, *lines = section.split("\n")
        rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("| `")]
        for name, *cells in rows:
            for where, cell in zip(WORLDS, cells, strict=False):
                found[kind.lower(), name.strip("`"), where] = reasons.get(cell.strip("[]"), cell)
    return found


def table(outcomes: Outcomes) -> str:
    """The page: for each kind of part a table, names by kinds of inputs; what is missing stands below, numbered."""
    lines = [
        "# What works on what",
        "",
        "Every registered part is tested on one unit of each kind of input: `tokens`, a neuron of a causal language",
        "model; `texts`, a function of texts; `image cells`, a function with a value at each cell of an image, and",
        "`rendered cells`, the same of rendered scenes, of which it is known what they show;",
        "`image model`, a channel of a convolution, which can be intervened on;",
        "`whole images`, the output of a `torch` module; `stimuli`, measured responses, which cannot be run again.",
        "Numbers refer to the list at the end, which says what is missing. Where a readout is `read alone`, its units",
        "can be recorded, explained and scored, but not intervened on. Engines do two jobs on each recording.",
        "",
        "When does a unit fire? At a token or cell, above the 99 % quantile of random ones of the explain split; on a",
        "whole input, above the 90 % quantile, since there are fewer of them. A window of tokens fires if one of its",
        "tokens does. An image with cells fires if its largest value is above the 90 % quantile of the largest values",
        "of random images, since one of many cells nearly always exceeds the threshold of cells. If so many inputs",
        "share the largest value that the quantile equals it, those that reach it fire. Intervals resample",
        "groups: documents, scenes, runs.",
    ]
    reasons: dict[str, int] = {}
    for kind in KINDS:
        lines += ["", f"## {kind.capitalize()}", "", f"| | {' | '.join(WORLDS)} |", f"|---|{'---|' * len(WORLDS)}"]
        for name in registry.BUILT_IN[kind]:
            cells = []
            for where in WORLDS:
                found = outcomes.get((kind, name, where), "")
                if not found.startswith("yes"):
                    found = f"[{reasons.setdefault(found, len(reasons) + 1)}]"
                cells.append(found)
            lines.append(f"| `{name}` | {' | '.join(cells)} |")
    lines += ["", "## What is missing", "", *(f"{number}. {reason}" for reason, number in reasons.items()), ""]
    return "\n".join(lines)


if __name__ == "__main__":
    parts = [(kind, name, where) for kind in KINDS for name in registry.BUILT_IN[kind] for where in WORLDS]
    DOCUMENT.write_text(table({part: outcome(*part) for part in parts}))
