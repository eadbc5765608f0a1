"""The neurons of `glossator bench readability`, their recording, and what was said of them before there were headlines.

`data/english_before.json` holds, of each neuron, the sentence and the program that commit 7608e08 found on the explain
split of this recording; `python -m benchmarks.readability_units FILE COMMIT` wrote it there. Neurons were drawn by a
fixed seed; those of the demo study are left out, as they were looked at.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from glossator.recording import EvidenceSpec, Recording
from glossator.units import Unit

SUBJECT = "smollm2-135m"
SITES = ("mlp.2", "mlp.7", "mlp.12", "mlp.17", "mlp.22")
UNITS = 20
"""Neurons of each site."""
TOKENS, WIDTH = 196_608, 64
SEED = 2026
EVIDENCE = EvidenceSpec(test_random=None)
DEMO = ("mlp.12", 64)
"""The site of the demo study and how many of its neurons it shows."""
BEFORE = Path(__file__).parent / "data" / "english_before.json"


def chosen_indices(site: str, width: int, count: int = UNITS) -> tuple[int, ...]:
    """The neurons of a site, ascending."""
    from glossator.store.spec import StudySpec

    shown: set[int] = set()
    if site == DEMO[0]:
        shown = set(StudySpec(SUBJECT, sites=(site,), units=DEMO[1]).drawn(site, width))
    rng = np.random.default_rng([SEED, *site.encode()])
    drawn = [i for i in rng.permutation(width).tolist() if i not in shown]
    return tuple(sorted(drawn[:count]))


def recorded(
    sites: tuple[str, ...] = SITES, count: int = UNITS, tokens: int = TOKENS, folder: Path | None = None
) -> Recording:
    """The recording of the chosen neurons, made once and kept, by default in the cache."""
    from glossator.corpora import make_windows, open_corpus
    from glossator.files import fingerprint
    from glossator.recording import record, recording_spec
    from glossator.subjects import load_subject
    from glossator.subjects.weights import cache_folder

    subject = load_subject(SUBJECT, dtype="float32")
    windowed = make_windows(open_corpus("embedded"), subject.tokenizer, WIDTH, max_tokens=tokens, seed=SEED)
    units = {site: chosen_indices(site, subject.site(site).width or 0, count) for site in sites}
    plan = recording_spec(subject, windowed, sites, units=units, seed=SEED)
    place = (folder or cache_folder() / "benchmarks") / f"readability-{fingerprint(plan)}"
    return record(plan, subject, windowed, place)


def units_of(recording: Recording) -> list[Unit]:
    return [Unit(recording.spec.subject, site, int(i)) for site in recording.sites for i in recording.units(site)]


def english_before() -> dict[str, dict[str, Any]]:
    """{unit: its `text` and `program`, both None where the explainer abstained}."""
    return json.loads(BEFORE.read_text(encoding="utf-8"))["units"]


def write_english(path: Path, made_by: str) -> None:
    """Explain every neuron and write its first explanation's sentence and program; made_by: the commit that does."""
    from glossator.explainers import Abstained
    from glossator.explainers.program import ProgramExplainer
    from glossator.files import write_bytes
    from glossator.programs import Lexicon
    from glossator.recording import draw

    recording = recorded()
    explainer = ProgramExplainer(lexicon=Lexicon.for_windows(recording.vocabulary, recording.embedding))
    units = units_of(recording)
    found = explainer.explain([draw(recording, unit, EVIDENCE).explain for unit in units], n=1, seed=SEED)
    firsts = [None if isinstance(answer, Abstained) else answer[0] for answer in found]
    content = {
        "made_by": made_by,
        "how": "`python -m benchmarks.readability_units`: the first explanation of `ProgramExplainer` with its "
        f"defaults on the explain split; embedded corpus, {TOKENS} tokens, windows of {WIDTH}, seed {SEED}",
        "units": {
            str(unit): {"text": best.text, "program": str(best.program)} if best else {"text": None, "program": None}
            for unit, best in zip(units, firsts, strict=True)
        },
    }
    write_bytes(path, (json.dumps(content, ensure_ascii=False, indent=1) + "\n").encode())


if __name__ == "__main__":
    write_english(Path(sys.argv[1]), sys.argv[2])
