"""`glossator bench directions`: can directions be found that are explained better than the neurons of their layer?

Directions are searched from random starts with the program explainer on the explain split, rounds are chosen on the
select split, and all groups are scored on the documents of the test split: found directions, a random sample of the
layer's neurons (positive side), random directions, random directions with the activations' covariance, and principal
components (both sides, since their sign means nothing). A unit for which the explainer abstains counts 0.

Bills et al. (2023) report 0.718 for found directions, 0.147 for neurons and 0.061 for random directions, for another
model (GPT-2 small, layer 10), explainer and simulator (language models) and text: `paper` repeats their figures, which
no figure here can be held against but for their order.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from glossator.errors import UserError
from glossator.explainers.program import ProgramExplainer
from glossator.fitting.captured import ProjectedRecording, SiteValues
from glossator.fitting.comparison import AS_IT_COMES, Scored, explain_and_score, percentiles, summary
from glossator.fitting.finding import FindSpec, Found, find_directions
from glossator.fitting.sources import principal_directions, random_directions
from glossator.programs import Lexicon
from glossator.readouts.directions import DirectionSet, largest_off_diagonal
from glossator.recording import Recording
from glossator.scorers.lab import Lab
from glossator.units import Unit

DEFAULTS: dict[str, Any] = {
    "subject": "smollm2-135m",
    "site": "mlp.12",
    "tokens": 131072,
    "width": 64,
    "directions": 10,
    "rounds": 6,
    "steps": 12,
    "neurons": 400,
    "others": 30,
    "start": "random",
    "seed": 0,
    "folder": None,
}
QUICK = {"tokens": 16384, "directions": 3, "rounds": 2, "steps": 4, "neurons": 12, "others": 4}
PAPER = {"found": 0.718, "neurons": 0.147, "random": 0.061, "source": "Bills et al. 2023, GPT-2 small, mlp.10"}


def run(options: dict[str, Any] | None = None) -> dict[str, Any]:
    """Mean scores of all groups with intervals, percentiles of the found among neurons, and how alike the found are.

    options: `quick`, and any name of `DEFAULTS`; others: how many random and principal directions; folder: where the
    recording is kept, the cache by default.
    """
    options = dict(options or {})
    quick = options.pop("quick", False)
    if unknown := set(options) - set(DEFAULTS):
        raise UserError("unknown option", value=", ".join(sorted(unknown)), allowed=", ".join(DEFAULTS))
    chosen = DEFAULTS | (QUICK if quick else {}) | {k: v for k, v in options.items() if v is not None}
    _check(chosen)
    spec = spec_of(chosen)
    recording = recorded(chosen)
    values = SiteValues(recording, chosen["site"])
    lexicon = Lexicon.for_windows(recording.vocabulary, recording.embedding)
    explainer, lab = ProgramExplainer(lexicon=lexicon), Lab(lexicon)
    started = time.perf_counter()
    found = find_directions(values, explainer, lab, spec)
    seconds = {"find": time.perf_counter() - started}
    groups = scored_groups(values, found, explainer, lab, chosen)
    seconds["compare"] = time.perf_counter() - started - seconds["find"]
    return {
        "options": chosen | {"quick": quick},
        **{name: summary(scored) for name, scored in groups.items()},
        "percentile": percentiles(groups["found"], groups["neurons"]),
        "max_cosine": found.directions.largest_cosine(),
        "max_value_correlation": largest_value_correlation(values, found.directions),
        "directions": [describe(found, i, scored) for i, scored in enumerate(groups["found"])],
        "restarted": found.restarted,
        "paper": PAPER,
        "seconds": seconds,
    }


def _check(chosen: dict[str, Any]) -> None:
    """Refuse options of the wrong type, and numbers of units that leave nothing to compare."""
    for name, default in DEFAULTS.items():
        value = chosen[name]
        if isinstance(default, int):
            least = 0 if name == "seed" else 1
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise UserError(f"bad {name}", value=value, allowed=f"a whole number, {least} or more")
        elif value is not None and not isinstance(value, str):
            raise UserError(f"bad {name}", value=value, allowed="a text")


def spec_of(chosen: dict[str, Any]) -> FindSpec:
    names = ("directions", "rounds", "steps", "start", "seed")
    return FindSpec(**{name: chosen[name] for name in names})


def recorded(chosen: dict[str, Any]) -> Recording:
    """All units of the site on all windows, recorded once and kept."""
    from glossator.corpora import make_windows, open_corpus
    from glossator.files import fingerprint
    from glossator.recording import record, recording_spec
    from glossator.subjects import load_subject
    from glossator.subjects.weights import cache_folder

    subject = load_subject(chosen["subject"], dtype="float32")
    windowed = make_windows(
        open_corpus("embedded"), subject.tokenizer, chosen["width"], max_tokens=chosen["tokens"], seed=chosen["seed"]
    )
    plan = recording_spec(subject, windowed, (chosen["site"],), seed=chosen["seed"])
    folder = Path(chosen["folder"] or cache_folder() / "benchmarks") / f"directions-{fingerprint(plan)}"
    return record(plan, subject, windowed, folder)


def scored_groups(
    values: SiteValues, found: Found, explainer: ProgramExplainer, lab: Lab, chosen: dict[str, Any]
) -> dict[str, list[Scored]]:
    """Every group explained on the explain split and scored on the test split, in one and the same way."""
    seed, others = chosen["seed"], chosen["others"]

    def of(directions: DirectionSet, sides: str = "+") -> list[Scored]:
        units = [unit for side in sides for unit in directions.units("-" if side == "-" else "+")]
        return explain_and_score(ProjectedRecording(values, directions), units, explainer, lab)

    indices = np.random.default_rng([seed, 1]).choice(values.width, min(chosen["neurons"], values.width), replace=False)
    neurons = [Unit(values.subject, values.site, int(i)) for i in np.sort(indices)]
    n_principal = min(max(1, others // 2), values.width)
    return {
        "found": explain_and_score(
            ProjectedRecording(values, found.directions),
            found.directions.units(),
            explainer,
            lab,
            given=found.explanations,
        ),
        "neurons": explain_and_score(values.recording, neurons, explainer, lab),
        "random": of(random_directions("random", values, others, seed=seed)),
        "random_covariance": of(random_directions("random", values, others, kind="covariance", seed=seed)),
        "pca": of(principal_directions("pca", values, n_principal), "+-"),
    }


def largest_value_correlation(values: SiteValues, directions: DirectionSet) -> float | None:
    """The largest |Pearson r| between the values of two directions over the tokens of the test split."""
    rows = values.rows("test")
    projected = values.project(directions)[:, rows][:, values.windows.valid[rows]].astype(np.float64)
    return largest_off_diagonal(np.atleast_2d(np.corrcoef(projected)))


def describe(found: Found, place: int, scored: Scored) -> dict[str, Any]:
    """One found direction: what it says, its scores, and how far it is from being a single neuron."""
    vector = found.directions.vectors[place].astype(np.float64)
    return {
        "explanation": scored.explanation.text if scored.explanation is not None else None,
        "test": scored.value(),
        "random_only": scored.value(AS_IT_COMES),
        "select": found.select[place],
        "lookup": scored.baseline("lookup"),
        "round": found.round[place],
        "largest_share_of_one_neuron": float((vector**2).max()),
    }
