"""The units of `glossator bench bills` and their recording: neurons of two layers, and principal directions.

Units are drawn by a fixed seed; the first ones with enough evidence are taken. Prompts were tuned on neurons of
`glossator bench readability`, which are of other layers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from glossator.evidence import Evidence
from glossator.readouts.directions import DirectionSet, direction_set
from glossator.recording import EvidenceSpec, Recording, draw, record, recording_spec
from glossator.recording.texts import site_values
from glossator.units import Unit

SUBJECT = "smollm2-135m"
SITES = ("mlp.6", "mlp.14")
NAME, AT = "components", "resid.10"
TOKENS, WIDTH, SEED = 65_536, 64, 711
CAPTURED = 256
"""Windows of the explain split that the components are of."""
SPARE = 6
"""Units recorded beyond those reported, for those that lack evidence."""
EVIDENCE = EvidenceSpec(test_top=8, test_random=8)
"""Few test windows, as every token of them is read under every description."""


def recorded(neurons: int, directions: int, tokens: int = TOKENS, folder: Path | None = None) -> Recording:
    """The recording of so many neurons of each site and so many directions, and some to spare; made once."""
    from glossator.corpora import make_windows, open_corpus
    from glossator.files import fingerprint
    from glossator.subjects import load_subject
    from glossator.subjects.weights import cache_folder

    subject = load_subject(SUBJECT, dtype="float32")
    windowed = make_windows(open_corpus("embedded"), subject.tokenizer, WIDTH, max_tokens=tokens, seed=SEED)
    units: dict[str, tuple[int, ...]] = {
        site: chosen_indices(site, subject.site(site).width or 0, neurons + SPARE) for site in SITES
    }
    readouts = {f"{NAME}@{AT}": principal(subject, windowed, directions + SPARE)}
    sites = (*SITES, *readouts)
    plan = recording_spec(subject, windowed, sites, readouts=readouts, units=units, seed=SEED)
    place = (folder or cache_folder() / "benchmarks") / f"bills-{fingerprint(plan)}"
    return record(plan, subject, windowed, place, readouts=readouts)


def chosen_indices(site: str, width: int, count: int) -> tuple[int, ...]:
    """Neurons of a site by the seed, ascending."""
    rng = np.random.default_rng([SEED, *site.encode()])
    return tuple(sorted(rng.permutation(width)[:count].tolist()))


def principal(subject: Any, windowed: Any, count: int) -> DirectionSet:
    """The first principal components of the explain split's first windows."""
    rows = np.flatnonzero(windowed.split_of_input == 0)[:CAPTURED]
    windows = windowed.inputs.take(rows)
    values = site_values(subject, AT, range(subject.site(AT).width), windows)[windows.valid].astype(np.float64)
    centre = values.mean(axis=0)
    _, vectors = np.linalg.eigh(np.cov((values - centre).T))
    chosen = vectors[:, ::-1][:, :count].T
    chosen = chosen * np.sign(chosen[np.arange(count), np.abs(chosen).argmax(axis=1)])[:, None]
    return direction_set(NAME, AT, chosen, centre, subject=subject.name, made={"method": "principal components"})


def evidence_of(recording: Recording, neurons: int, directions: int) -> list[Evidence]:
    """The first units of each site with enough evidence."""
    found: list[Evidence] = []
    for site in recording.sites:
        wanted = directions if "@" in site else neurons
        mine: list[Evidence] = []
        for index in recording.units(site).tolist():
            if len(mine) == wanted:
                break
            evidence = draw(recording, Unit(recording.spec.subject, site, int(index)), EVIDENCE)
            if evidence.status == "ok":
                mine.append(evidence)
        found += mine
    return found
