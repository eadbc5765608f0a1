"""The explainer `sasc`: a unit of whole texts is named by what it responds to (Singh et al. 2023, without what leaks).

Names are proposed from some texts of the explain split, and by asking the subject about names that anyone might use;
they are ranked on the split's other texts and on texts written around each name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from glossator.corpora.wordnet import WordNet, general_names, load_wordnet
from glossator.errors import MissingPower
from glossator.evidence import ExplainEvidence
from glossator.explainers import Abstained, Explained, Explainer
from glossator.explainers.answers import is_headline
from glossator.explainers.naming.candidates import CandidateSpec, Proposed, propose_all
from glossator.explainers.naming.naming_split import NamingSplit
from glossator.explainers.naming.selection import Ranked, rank
from glossator.explainers.naming.space import open_space
from glossator.explainers.naming.task import Reference, Responses, Task, asker
from glossator.explanations import Explanation, Headline, Provenance
from glossator.files import plain
from glossator.inputs import WHOLE, Texts
from glossator.language_models import LanguageModel
from glossator.subjects.base import Power, Subject, check_power
from glossator.subjects.embedders import Embedder
from glossator.units import Unit


@dataclass(frozen=True)
class SascSpec:
    """candidates: how names are found.

    fit_weight: candidates are ranked by their score on the selection texts, as a share of the best one's, plus so much
    of the share of variance that holding (or nearness to) the concept explains of the responses to held-out texts.
    """

    candidates: CandidateSpec = field(default_factory=CandidateSpec)
    fit_weight: float = 2.0


@dataclass(frozen=True, eq=False)
class Named:
    """One unit with its names, best first; empty for a unit that cannot be named (its task says why) or has no name."""

    task: Task
    rows: list[Ranked]
    proposed: Proposed
    provenance: Provenance | None = None

    def explanation(self, row: int) -> Explanation:
        assert self.provenance is not None
        name = self.rows[row].name.text
        headline = Headline(name) if is_headline(name) else None
        return Explanation(self.task.unit, name, self.provenance, rank=row, headline=headline)

    @cached_property
    def place_before(self) -> dict[str, int]:
        """The rank of each name before the unit was asked about any."""
        return {name.text: place for place, name in enumerate(self.proposed.names)}


def name_units(
    tasks: Sequence[Task],
    dealt: NamingSplit,
    spec: SascSpec | None = None,
    lm: LanguageModel | None = None,
    say: Callable[[str], None] | None = None,
) -> list[Named]:
    """Names for units of one reference; a language model is asked for all at once, and `say` told what it will be."""
    spec = spec or SascSpec()
    found = [Named(task, [], Proposed([])) for task in tasks]
    sound = [place for place, task in enumerate(tasks) if task.responses.problem is None]
    all_proposed = propose_all([tasks[place] for place in sound], dealt, spec.candidates, lm, say)
    for place, proposed in zip(sound, all_proposed, strict=True):
        made_by = proposed.provenance(plain(spec), dealt.reference.fingerprint, dealt.seed, lm)
        ranked = rank(tasks[place], proposed, dealt, spec.fit_weight)
        found[place] = Named(tasks[place], ranked, proposed, made_by)
    return found


class SascExplainer(Explainer):
    """Names for units of whole texts, without a language model, or by one that names and writes texts.

    space: where names are looked for, `smollm2-135m` (token vectors, no model is run), `minilm`, an `Embedder`, or
    `none`. Raises `MissingPower` for inputs that are not texts, values that are not of whole texts, and subjects that
    cannot be run.
    """

    reads = frozenset({"texts", "stimuli"})
    ranks = True

    def __init__(
        self,
        subject: Subject,
        lm: LanguageModel | None = None,
        *,
        space: str | Embedder = "smollm2-135m",
        naming_share: float = CandidateSpec.naming_share,
        fit_weight: float = SascSpec.fit_weight,
    ):
        check_power(subject, Power.RUN, "sasc")
        self.subject, self.lm, self._space = subject, lm, space
        self.spec = SascSpec(CandidateSpec(naming_share=naming_share), fit_weight)
        self._splits: dict[tuple[str, int], NamingSplit] = {}

    def explain(self, evidence: Sequence[ExplainEvidence], *, n: int, seed: int) -> list[Explained]:
        """Up to n names for each unit. The seed deals a reference's texts once, to all its units alike."""
        by_reference: dict[tuple[str, int], list[tuple[int, Task]]] = {}
        for place, one in enumerate(evidence):
            texts, values = texts_and_values(one)
            asked = asker(self.subject, one.unit)
            task = Task(one.unit, Responses.of(values), asked, values, self._named(one.unit))
            by_reference.setdefault(self._reference(texts, seed), []).append((place, task))
        answers: list[Explained] = [Abstained("no name was found")] * len(evidence)
        for key, placed in by_reference.items():
            found = name_units([task for _, task in placed], self._splits[key], self.spec, self.lm)
            for (place, task), named in zip(placed, found, strict=True):
                if task.responses.problem is not None:
                    answers[place] = Abstained(task.responses.problem, failed=True)
                elif named.rows:
                    names = [named.explanation(row) for row in range(min(n, len(named.rows)))]
                    seen = evidence[place].fingerprint
                    answers[place] = [replace(e, provenance=replace(e.provenance, evidence=seen)) for e in names]
        return answers

    def _named(self, unit: Unit) -> np.ndarray | None:
        """Responses to the names of the general vocabulary, which a language model does without."""
        if self.lm is not None or not self.spec.candidates.composing.names:
            return None
        return asker(self.subject, unit)(general_names(self._wordnet))

    def _reference(self, texts: tuple[str, ...], seed: int) -> tuple[str, int]:
        """The key of the split of these texts, which is made once."""
        bare = Reference(texts, self._wordnet, None)
        key = (bare.fingerprint, seed)
        if key not in self._splits:
            if len(self._splits) > 3:  # each may take a hundred megabytes; units of a site mostly share one
                self._splits.pop(next(iter(self._splits)))
            made = Reference.of(texts, embedder=self._embedder, wordnet=self._wordnet)
            self._splits[key] = NamingSplit(made, self.spec.candidates.naming_share, seed)
        return key

    @cached_property
    def _wordnet(self) -> WordNet:
        return load_wordnet()

    @cached_property
    def _embedder(self) -> Embedder | None:
        if not isinstance(self._space, str):
            return self._space
        return None if self._space == "none" else open_space(self._space)


def texts_and_values(evidence: ExplainEvidence) -> tuple[tuple[str, ...], np.ndarray]:
    """The explain split's texts in the order of their ids, the same for all units, and the unit's responses."""
    exemplars = evidence.exemplars
    if not isinstance(exemplars.inputs, Texts) or exemplars.grid != WHOLE:
        raise MissingPower(
            "sasc only names units of whole texts",
            value=f"{exemplars.inputs.kind}, {exemplars.grid}",
            fix="Study the site pooled over the tokens of texts (PooledSubject), on n-grams",
        )
    rows = np.flatnonzero(exemplars.valid[:, 0])
    rows = rows[np.argsort(exemplars.inputs.ids[rows], kind="stable")]
    texts = tuple(exemplars.inputs.texts[row] for row in rows.tolist())
    return texts, exemplars.activations[rows, 0].astype(np.float64)
