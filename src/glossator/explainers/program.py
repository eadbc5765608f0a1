"""The program explainer: induces a program from the explain split and says it in a sentence, or abstains.

It uses no language model. The search runs on some parts of the explain split's documents. A held-out part decides
whether to claim anything: if the program does not correlate with the unit there better than chance, or the unit fires
in too few documents, the explainer returns nothing.

Chance comes from exchanging documents (`statistics.exchange_p`): each gets the unit's activations of another one, while
the program's prediction stays. A unit unrelated to the text correlates equally well with any other document, whatever
its activations look like. So the share of exchanges that do no worse is a p-value that holds with few firing documents,
for activations in runs and for units that fire throughout a document; an interval over documents would claim such units
too often.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from glossator.engines import in_parallel
from glossator.evidence import ExplainEvidence
from glossator.explainers import Abstained, Explained, Explainer
from glossator.explainers.modes import separate_modes
from glossator.explainers.program_of_images import explain_images
from glossator.explainers.token_means import rounded
from glossator.explanations import Explanation, Headline, Mode, Peaks, Provenance
from glossator.headlines.reasons import headlines
from glossator.headlines.sentence import sentence
from glossator.headlines.shelf import Shelf
from glossator.image_programs.search import MOST
from glossator.programs import Clause, Lexicon, Program, Table
from glossator.programs.bank import build_bank
from glossator.programs.candidates import Single
from glossator.programs.compose import compose
from glossator.programs.inducer import search, strengths, warm
from glossator.programs.problem import CLAIM, Problem, make_problem
from glossator.programs.scene.content import measured
from glossator.statistics import exchange_p, shrinkage

SLACK = 1.7
"""The search goes on past the limit of characters; then what is least missed for its length is left out again."""
FIRING_TO_CLAIM = 8
"""A claim needs so many documents in which the unit fires, as many as evidence needs firing windows."""
ALPHA = 0.01
"""A unit with nothing to claim is claimed with this probability."""
BRIEF = 5
"""How many tests the short second candidate has."""


@dataclass(frozen=True)
class ProgramExplainer(Explainer):
    """Up to n candidates: the program, a brief one, and one for each mode of a unit that has several; all of them with
    the unit's headline and modes (`glossator.headlines`).

    limit: greatest number of characters of the program's English, None for no limit; most: greatest number of tests;
    least_gain: share of the variance that a further test must explain; top_share: weight of all top windows together
    against the random draw; steps: how finely strengths are told apart (steps a doubling); table: add a table of all
    tokens, the unlimited program; lexicon: what is known of the vocabulary, None for its texts alone. Of images, most
    (no more than 8) and top_share alone matter: their programs are as long as their description pays
    (`image_programs.search`).
    """

    reads: ClassVar[frozenset[str]] = frozenset({"tokens", "images"})

    limit: int | None = 200
    most: int = 45
    least_gain: float = 1e-4
    top_share: float = 0.01
    steps: float = 1.5
    table: bool = False
    lexicon: Lexicon | None = None
    _shelves: dict[str, Shelf] = field(default_factory=dict, repr=False, compare=False)

    def explain(self, evidence: Sequence[ExplainEvidence], *, n: int, seed: int) -> list[Explained]:
        """Each unit alone, on all cores; nothing is drawn at random, but places of images where there are too many."""
        if evidence:
            self.warm(evidence[0])
        return in_parallel(lambda one: self._explain(one, n, seed), evidence)

    def _explain(self, evidence: ExplainEvidence, n: int, seed: int) -> Explained:
        if evidence.exemplars.inputs.kind == "images":
            return explain_images(
                evidence, n, seed, most=min(self.most, MOST), top_share=self.top_share, firing=FIRING_TO_CLAIM,
                alpha=ALPHA, settings={"most": min(self.most, MOST), "top_share": self.top_share},
            )  # fmt: skip
        threshold = evidence.statistics.firing_threshold
        shelf = self._shelf(evidence)
        problem = make_problem(evidence.exemplars, shelf.bank, self.top_share, threshold)
        if problem.firing_documents < FIRING_TO_CLAIM:
            return Abstained(
                f"the unit fires in {problem.firing_documents} documents of the explain split; a claim needs"
                f" {FIRING_TO_CLAIM}"
            )
        room = None if self.limit is None else SLACK * self.limit
        path = search(problem, most=self.most, least_gain=self.least_gain, room=room)
        claim = _claim(problem, path.singles)
        if claim is None:
            return Abstained("no program predicts the unit better than chance on documents held out from the search")
        tests = [single.test for single in path.singles]
        programs: list[tuple[str, Program | None]] = [
            ("whole", compose(problem, tests, steps=self.steps, limit=self.limit))
        ]
        if self.table and programs[0][1] is not None:
            programs[0] = ("whole", with_table(problem, programs[0][1]))
        if n > 1 and len(tests) > BRIEF:
            programs.append(("brief", compose(problem, tests[:BRIEF], steps=self.steps, limit=self.limit)))
        modes = separate_modes(problem, path.singles, threshold / problem.scale) if n > 2 else []
        for mode in modes:
            programs.append(("mode", compose(problem, mode, steps=self.steps, limit=self.limit)))
        found: dict[str, tuple[str, Program]] = {}
        for role, program in programs:
            if program is not None:
                found.setdefault(str(program), (role, program))
        if not found:
            return Abstained(f"no program fits into {self.limit} characters")
        settings = {
            f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name[0] != "_" and f.name != "lexicon"
        }
        settings["claim"] = {
            "correlation": round(claim[0], 4),
            "p": round(claim[1], 4),
            "firing_documents": problem.firing_documents,
        }
        headline, parts, peaks = headlines(problem, shelf)
        return [
            Explanation(
                evidence.unit,
                sentence(problem, program),
                Provenance("program", {**settings, "role": role}, evidence.fingerprint),
                program,
                rank,
                headline,
                parts,
                peaks,
            )
            for rank, (role, program) in enumerate(list(found.values())[:n])
        ]

    def name(self, evidence: ExplainEvidence) -> tuple[Headline, tuple[Mode, ...], Peaks | None]:
        """The headline, modes and peaks alone, without a program and without what it takes to claim one."""
        shelf = self._shelf(evidence)
        problem = make_problem(evidence.exemplars, shelf.bank, self.top_share, evidence.statistics.firing_threshold)
        return headlines(problem, shelf)

    def warm(self, evidence: ExplainEvidence) -> None:
        """Build what all units of a recording share."""
        if evidence.exemplars.inputs.kind == "images":
            measured(evidence.exemplars.inputs, evidence.exemplars.grid)
            return
        bank = self._shelf(evidence).bank
        if not bank.readings:  # nothing was asked of it yet
            warm(make_problem(evidence.exemplars, bank, self.top_share))

    def _shelf(self, evidence: ExplainEvidence) -> Shelf:
        """The bank of the evidence's vocabulary and its classes that have a name; its seeds are the most frequent words
        of the random draw, which all units of a recording share, so it is built once and an explanation never depends
        on other units."""
        exemplars = evidence.exemplars.of("random")
        if not len(exemplars):
            exemplars = evidence.exemplars
        windows = exemplars.windows.take(np.argsort(exemplars.windows.ids, kind="stable"))
        tokens = np.asarray(windows.tokens)[np.asarray(windows.valid)]
        key = hashlib.sha256(windows.vocabulary.fingerprint.encode() + tokens.tobytes()).hexdigest()
        if key not in self._shelves:
            lexicon = self.lexicon or Lexicon.for_windows(windows.vocabulary, None)
            ids = lexicon.ids(windows)[np.asarray(windows.valid)]
            self._shelves.clear()  # one recording at a time: a bank takes some hundred megabytes
            self._shelves[key] = Shelf.of(build_bank(lexicon, np.bincount(ids, minlength=len(lexicon) + 1)))
        return self._shelves[key]


def _claim(problem: Problem, singles: tuple[Single, ...]) -> tuple[float, float] | None:
    """Correlation and its p on the documents kept for it, or None if nothing can be claimed."""
    kept = problem.part == CLAIM
    if not singles or not kept.any():
        return None
    bias, *values = strengths([single.truth for single in singles], problem.target, problem.searched)
    rows, places = np.divmod(problem.flat[kept], problem.windows.width)
    as_read = np.lexsort((places, problem.windows.ids[rows], problem.windows.documents[rows]))
    places_read = np.flatnonzero(kept)[as_read]
    truth = problem.target[places_read]
    truths = np.stack([single.truth[places_read] for single in singles])
    predicted = np.maximum(bias + np.asarray(values) @ truths, 0.0)
    if truth.min() == truth.max() or predicted.min() == predicted.max():
        return None
    correlation = float(np.corrcoef(truth, predicted)[0, 1])
    p = exchange_p(truth, predicted, problem.windows.documents[rows][as_read])
    return (correlation, p) if correlation > 0 and p <= ALPHA else None


ROUNDS = 3


def with_table(problem: Problem, program: Program) -> Program:
    """Everything that the explain split tells of single tokens, on top of a program.

    A token's entry is its mean residual, shrunk to 0 as the lookup table shrinks to the overall mean, so that rare and
    unseen tokens fall back on the clauses.
    """
    linear = np.full(len(problem.target), program.bias / problem.scale)
    for clause in program.clauses:
        linear += clause.strength / problem.scale * problem.column(clause.test)
    bank = problem.bank
    total = np.zeros(len(problem.seen))
    counts = problem.sums(problem.weight, 0)
    seen = counts > 0
    prior: float | None = None
    for _ in range(ROUNDS):  # the model is rectified at 0, so one round leaves a residual
        now = linear + np.append(total, 0.0)[problem.back[0]]
        residual = problem.target - np.maximum(now, 0.0)
        sums = problem.sums(problem.weight * residual, 0)
        if prior is None:
            squares = problem.sums(problem.weight * residual**2, 0)
            prior = shrinkage(counts[seen], sums[seen], squares[seen])
        total[seen] += sums[seen] / (counts[seen] + prior)
    texts = bank.lexicon.vocabulary.texts
    values = zip(bank.types[problem.seen], rounded(problem.scale * total), strict=True)
    table = Table(tuple((texts[token], float(value)) for token, value in values if value), 0.0)
    return Program(program.bias, (*program.clauses, Clause(1.0, table)))
