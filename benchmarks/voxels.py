"""`glossator bench voxels`: are simulated voxels predicted and named right, are null voxels left alone?

A planted voxel responds to words by how near they are to a keyphrase in MiniLM's space; the encoding model reads static
word vectors of another model, so that it has to find the tuning through features that differ from it. A voxel is found
if it is predicted on held-out runs (q <= 0.01) and the planted tuning responds more to its first name than to 99 % of a
general vocabulary; beside it stands the share for names of other voxels. `voxels_named` is stricter: the pattern that
was written for the keyphrase beforehand (`sasc_keyphrases`). A null voxel is explained if it is predicted.

Topics: two groups of 60 explanations, 85 % of each about its own three fields of meaning, the others about the other's;
`topics_planted` is how often they differ (p < 0.05), `topics_null` how often they do when the groups are shuffled.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.sasc_judges import named
from benchmarks.sasc_keyphrases import REPORTED, Keyphrase
from benchmarks.sasc_settings import Corpora
from glossator.corpora import open_corpus
from glossator.corpora.wordnet import general_names, load_wordnet
from glossator.explainers.naming.explainer import SascSpec, name_units
from glossator.explainers.naming.naming_split import NamingSplit
from glossator.explainers.naming.task import Responses, Task, asker
from glossator.fitting.comparison import share_interval
from glossator.fitting.encoding import fit_encoding
from glossator.planted.voxels import Simulated, SimulationSpec, nearness, simulate_voxels
from glossator.readouts.encoding_model import FALSE_DISCOVERIES
from glossator.recording.texts import responses
from glossator.store.topics import topics_of
from glossator.subjects.base import Subject
from glossator.subjects.embedders import load_embedder
from glossator.subjects.named import open_subject
from glossator.subjects.text_readouts import of_texts
from glossator.subjects.texts_cache import CachedEmbedder
from glossator.subjects.weights import cache_folder
from glossator.units import Unit

DEFAULTS: dict[str, Any] = {"planted": 60, "null": 60, "runs": 40, "seed": 0, "features": "vectors:smollm2-135m",
                            "site": "output", "space": "smollm2-135m", "repetitions": 100}  # fmt: skip
QUICK = {"planted": 6, "null": 6, "runs": 6, "repetitions": 20}
NEAREST = 0.01
KINDS = ("concrete", "action", "event", "topic")


def run(options: dict[str, Any] | None = None) -> dict[str, Any]:
    """Shares of planted voxels found, of null voxels explained, with 95 % intervals (Wilson); each voxel with its r,
    ceiling and name."""
    options = dict(options or {})
    quick = options.pop("quick", False)
    chosen = DEFAULTS | (QUICK if quick else {}) | {k: v for k, v in options.items() if v is not None}
    planted = _spread([k for k in REPORTED if k.kind in KINDS], chosen["planted"])
    simulated = _simulated(planted, chosen)
    subject: Any = open_subject(chosen["features"])
    model = fit_encoding(subject, chosen["site"], simulated.scans)
    predicted = model.predicted.tolist()
    names = _names(of_texts(subject, chosen["site"], "mean", model), predicted, chosen, quick)
    nearer = _nearer_names(planted, names)
    rows: list[dict[str, Any]] = []
    for index, phrase in enumerate(simulated.planted):
        answer = names.get(index, ())
        own = [other for other in nearer if other[0] == other[1] == index]
        rows.append(
            {
                "voxel": model.voxels[index],
                "ceiling": float(simulated.ceilings[index]),
                "r": float(model.r[index]),
                "q": float(model.q[index]),
                "names_nearer": nearer[own[0]] if own else None,
                "estimated_ceiling": None if np.isnan(model.ceiling[index]) else float(model.ceiling[index]),
                "name": answer[0] if answer else None,
                "right": phrase is not None and named(answer[:1], planted[index]),
                "right_among_five": phrase is not None and named(answer[:5], planted[index]),
            }
        )
    with_tuning, without = rows[: len(planted)], rows[len(planted) :]
    shares = {
        "voxels_found": [row["names_nearer"] is not None and row["names_nearer"] < NEAREST for row in with_tuning],
        "voxels_found_by_names_of_others": [s < NEAREST for (voxel, name), s in nearer.items() if voxel != name],
        "voxels_named": [row["right"] for row in with_tuning],
        "voxels_named_among_five": [row["right_among_five"] for row in with_tuning],
        "voxels_predicted": [row["q"] <= FALSE_DISCOVERIES for row in with_tuning],
        "voxels_null_explained": [row["q"] <= FALSE_DISCOVERIES for row in without],
        **topics_apart(chosen["repetitions"], chosen["seed"]),
    }
    return {
        "options": chosen | {"quick": quick},
        **{key: float(np.mean(holds)) if holds else None for key, holds in shares.items()},
        "intervals": {key: share_interval(float(np.mean(holds)), len(holds)) for key, holds in shares.items() if holds},
        "null_p_below_0.05": float(np.mean([model.p[len(planted) :] < 0.05])),
        "scans": len(simulated.scans.responses),
        "words": len(simulated.scans.words),
        "voxels": rows,
    }


FIELDS = (("food", "animal", "plant"), ("artifact", "possession", "location"))
PURITY, UNITS = 0.85, 60


def topics_apart(repetitions: int, seed: int) -> dict[str, list[bool]]:
    """In which repetitions two groups differ, planted and shuffled."""
    wordnet = load_wordnet()
    names: dict[str, list[str]] = {}
    for name in general_names(wordnet):
        if meanings := wordnet.meanings(name, "n"):
            names.setdefault(meanings[0].topic.partition(".")[2], []).append(name)
    found: dict[str, list[bool]] = {"topics_planted": [], "topics_null": []}
    for repetition in range(repetitions):
        rng = np.random.default_rng([seed, repetition])
        said, groups = [], []
        for group in (0, 1):
            for _ in range(UNITS):
                fields = FIELDS[group if rng.random() < PURITY else 1 - group]
                said.append(str(rng.choice(names[str(rng.choice(fields))])))
                groups.append(str(group))
        for key, of in (("topics_planted", groups), ("topics_null", rng.permutation(groups).tolist())):
            p = topics_of(said, of, seed=repetition, wordnet=wordnet).p
            found[key].append(p is not None and p < 0.05)
    return found


def _spread(keyphrases: list[Keyphrase], count: int) -> list[Keyphrase]:
    places = np.linspace(0, len(keyphrases) - 1, min(count, len(keyphrases))).round().astype(int)
    return [keyphrases[place] for place in places.tolist()]


def _simulated(planted: list[Keyphrase], chosen: dict[str, Any]) -> Simulated:
    """Voxels in a shuffled order of ceilings, so that kinds of keyphrases have ceilings alike."""
    order = np.random.default_rng(chosen["seed"]).permutation(len(planted))
    planted[:] = [planted[place] for place in order.tolist()]
    phrases = [keyphrase.phrase for keyphrase in planted]
    spec = SimulationSpec(
        runs=chosen["runs"], held_out=max(1, chosen["runs"] // 10), null=chosen["null"], seed=chosen["seed"]
    )
    tuning = nearness(load_embedder("minilm").embed, phrases)
    return simulate_voxels(open_corpus("embedded").documents(), phrases, tuning, spec)


def _nearer_names(planted: list[Keyphrase], names: dict[int, tuple[str, ...]]) -> dict[tuple[int, int], float]:
    """(voxel, voxel whose first name it is) -> share of the vocabulary that the planted tuning prefers to that name,
    for planted voxels that have names."""
    encoder = load_embedder("minilm")
    vocabulary = CachedEmbedder(encoder, cache_folder() / "vectors").embed(general_names(load_wordnet()))
    voxels = [index for index in range(len(planted)) if names.get(index)]
    if not voxels:
        return {}
    concepts = encoder.embed([planted[index].phrase for index in voxels])
    first = encoder.embed([names[index][0] for index in voxels])
    of_vocabulary, of_names = vocabulary @ concepts.T, first @ concepts.T
    return {
        (voxel, other): float((of_vocabulary[:, column] > of_names[row, column]).mean())
        for column, voxel in enumerate(voxels)
        for row, other in enumerate(voxels)
    }


def _names(voxels: Subject, indices: list[int], chosen: dict[str, Any], quick: bool) -> dict[int, tuple[str, ...]]:
    """The names of some voxels, best first, as `glossator sasc` finds them without a language model."""
    from glossator.explainers.naming.space import open_space

    corpora = Corpora.of(open_space(chosen["space"]), 8 if quick else 1, 3)
    dealt = NamingSplit(corpora.reference, SascSpec().candidates.naming_share, chosen["seed"])
    (site,) = voxels.sites()
    values = responses(voxels, site.name, indices, corpora.reference.texts).astype(np.float64)
    beside = responses(voxels, site.name, indices, general_names(corpora.reference.wordnet)).astype(np.float64)
    tasks = []
    for column, index in enumerate(indices):
        unit = Unit(voxels.name, site.name, index)
        mine = values[:, column]
        tasks.append(Task(unit, Responses.of(mine), asker(voxels, unit), mine, beside[:, column]))
    found = name_units(tasks, dealt)
    return {index: tuple(row.name.text for row in one.rows[:5]) for index, one in zip(indices, found, strict=True)}
