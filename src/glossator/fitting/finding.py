"""Finding explainable directions (Bills et al. 2023, section "Finding explainable directions").

Each round has two steps. First each direction is explained on the explain split and the explanation simulated. Then a
few gradient steps raise the correlation of the direction's values with that simulation, which is held constant. Steps
end when the select split no longer improves, and the round whose explanation scores best there is kept. Nothing here
sees the test split.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import numpy as np

from glossator.errors import UserError
from glossator.evidence import Split
from glossator.explainers import Abstained, Explainer
from glossator.explanations import Explanation
from glossator.fitting.captured import ProjectedRecording, SiteValues
from glossator.fitting.objective import Objective, climb, whitening
from glossator.fitting.sources import moments_of_tokens
from glossator.readouts.directions import DirectionSet, direction_set
from glossator.recording import EvidenceSpec, draw
from glossator.scorers.correlation import pooled
from glossator.scorers.lab import Lab
from glossator.simulators import Simulator
from glossator.specs import check_positive

Start = Literal["random", "covariance", "principal", "units"]
STARTS: tuple[Start, ...] = ("random", "covariance", "principal", "units")
SEEN: tuple[Split, ...] = ("explain", "select")
BEFORE_TEST: tuple[Split, ...] = ("explain", "calibrate", "select")


@dataclass(frozen=True)
class FindSpec:
    """directions: how many are returned; starts: how many are searched from (None: as many), of which those that score
    best on the select split and lie apart are returned; rounds of explaining and stepping; steps: gradient steps a
    round at most; start: from random vectors (isotropic), `covariance` (normal as the activations are), `principal`
    components or single `units`; shrinkage of the covariance; rectified: correlate max(value, 0), as scores do, or the
    value itself; limit: the |cosine| above which two are not returned together; apart: strength of the pull that keeps
    them from it, which acts from half of it; windows: of a split, so many are simulated (None: all), for
    simulators that cost something.
    """

    directions: int = 10
    starts: int | None = None
    rounds: int = 10
    steps: int = 20
    start: Start = "random"
    shrinkage: float = 0.1
    rectified: bool = True
    apart: float = 10.0
    limit: float = 0.3
    windows: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.start not in STARTS:
            raise UserError("unknown start of directions", value=self.start, allowed=", ".join(STARTS))
        check_positive(self, "", "directions", "rounds", "steps")
        if self.starts is not None and self.starts < self.directions:
            raise UserError("fewer starts than directions", value=self.starts, allowed=f"{self.directions} or more")
        if self.windows is not None and self.windows < 2:
            raise UserError("too few windows to simulate", value=self.windows, allowed="2 or more")
        if not 0 < self.shrinkage <= 1 or not 0 < self.limit <= 1 or self.apart < 0:
            raise UserError(
                "bad settings of the search",
                value=f"shrinkage {self.shrinkage}, limit {self.limit}, apart {self.apart}",
                allowed="shrinkage and limit above 0 and at most 1, apart 0 or more",
            )


@dataclass(frozen=True, eq=False)
class Round:
    """The state at the beginning of a round: vectors (k, d) float64 of norm 1, explanations (None: abstained), their
    scores on the select split (correlation.top-and-random, None: undefined or abstained), and, at its end, the
    correlation with the held simulation on the explain and the select split before and after the steps."""

    vectors: np.ndarray
    explanations: list[Explanation | None]
    select: list[float | None]
    before: dict[Split, list[float]] = field(default_factory=dict)
    after: dict[Split, list[float]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Found:
    """directions: the set, best first; explanations: made for exactly these vectors, on the explain split alone;
    start and round: from which start, and in which round, each one comes; select: their scores on the select split;
    rounds: all that happened; restarted: how often a start had to be redrawn because nothing could be explained."""

    directions: DirectionSet
    explanations: list[Explanation | None]
    start: list[int]
    round: list[int]
    select: list[float | None]
    rounds: list[Round]
    restarted: int = 0


class _Search:
    """The state of one search. explain, select: the split's centred tokens (d, T) and the windows they are of."""

    def __init__(
        self, values: SiteValues, explainer: Explainer, simulator: Simulator, lab: Lab, spec: FindSpec, name: str
    ):
        # Even which windows of a split count as top windows must not depend on values of the test split.
        self.values = values = replace(values, splits=BEFORE_TEST)
        self.explainer, self.simulator, self.lab = explainer, simulator, lab
        self.spec, self.name = spec, name
        self.evidence = EvidenceSpec(test_top=0, test_random=0, min_firing_windows=0, seed=spec.seed)
        self.rows = {split: self._rows(split) for split in SEEN}
        self.windows = {split: values.windows.take(rows) for split, rows in self.rows.items()}
        tokens = values.tokens("explain")
        self.centre, covariance, tokens = moments_of_tokens(tokens)
        self.whiten = whitening(covariance, spec.shrinkage)
        self.covariance = covariance
        if spec.windows is not None:
            tokens = self._tokens("explain")
        self.tokens: dict[Split, np.ndarray] = {"explain": tokens, "select": self._tokens("select")}

    def _rows(self, split: Split) -> np.ndarray:
        rows, most = self.values.rows(split), self.spec.windows
        if most is None or most >= len(rows):
            return rows
        return np.sort(np.random.default_rng([self.spec.seed, 3]).choice(rows, most, replace=False))

    def _tokens(self, split: Split) -> np.ndarray:
        tokens = self.values.tokens(split, self.rows[split])
        tokens -= self.centre.astype(np.float32)[:, None]
        return tokens

    def set_of(self, vectors: np.ndarray, made: Mapping[str, Any] | None = None) -> DirectionSet:
        return direction_set(
            self.name, self.values.site, vectors, self.centre, subject=self.values.subject, made=made or {}
        )

    def explain(self, vectors: np.ndarray) -> Round:
        """Explain and score on the select split; nothing of the test split is drawn."""
        directions = self.set_of(vectors)
        recording = ProjectedRecording(self.values, directions)
        drawn = [draw(recording, unit, self.evidence) for unit in directions.units()]
        answers = self.explainer.explain([evidence.explain for evidence in drawn], n=1, seed=self.spec.seed)
        explanations: list[Explanation | None] = []
        select: list[float | None] = []
        for answer, evidence in zip(answers, drawn, strict=True):
            best = None if isinstance(answer, Abstained) or not answer else answer[0]
            explanations.append(best)
            trial = self.lab.for_unit({}).trial(evidence, "top-and-random", "select")
            select.append(None if best is None or not len(trial.test) else pooled(trial, best).value)
        return Round(directions.vectors.astype(np.float64), explanations, select)

    def simulate(self, explanations: list[Explanation | None], split: Split) -> np.ndarray:
        """(k, T): what each explanation predicts at the split's tokens; constant where there is no explanation."""
        windows = self.windows[split]
        blank = np.zeros(windows.valid.shape, np.float32)
        found = [blank if e is None else self.simulator.simulate(e, windows).expected for e in explanations]
        return np.stack([predicted[windows.valid] for predicted in found]).astype(np.float64)

    def goal(self, now: Round, split: Split) -> Objective:
        """What this round's simulations ask of directions, on one split."""
        return Objective(
            self.tokens[split],
            self.simulate(now.explanations, split),
            self.whiten,
            rectified=self.spec.rectified,
            apart=self.spec.apart,
            limit=self.spec.limit / 2,
        )

    def step(self, now: Round) -> np.ndarray:
        """Vectors (k, d) after this round's steps; fills in the round's correlations."""
        goals = {split: self.goal(now, split) for split in self.tokens}
        u = now.vectors @ np.linalg.inv(self.whiten)
        u /= np.linalg.norm(u, axis=1, keepdims=True)
        found = climb(goals["explain"].loss, u, goals["select"].merits, self.spec.steps)
        for split, goal in goals.items():
            now.before[split] = goal.correlations(u).tolist()
            now.after[split] = goal.correlations(found).tolist()
        return found @ self.whiten


def starting_vectors(spec: FindSpec, covariance: np.ndarray, rng: np.random.Generator, count: int) -> np.ndarray:
    """(count, d) vectors of norm 1 to search from."""
    d = len(covariance)
    if spec.start in ("units", "principal") and count > d:
        raise UserError(f"more starts from {spec.start} than the site has", value=count, allowed=f"at most {d}")
    if spec.start == "units":
        return np.eye(d)[rng.choice(d, count, replace=False)]
    if spec.start == "random":
        found = rng.normal(size=(count, d))
    else:
        variances, vectors = np.linalg.eigh(covariance)
        if spec.start == "principal":
            found = vectors[:, ::-1][:, :count].T
        else:
            found = rng.normal(size=(count, d)) * np.sqrt(np.maximum(variances, 0)) @ vectors.T
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def find_directions(
    values: SiteValues,
    explainer: Explainer,
    lab: Lab,
    spec: FindSpec | None = None,
    *,
    simulator: Simulator | None = None,
    name: str = "found",
    note: Callable[[str], None] = lambda _: None,
) -> Found:
    """Search for directions of a site that the explainer can explain and the simulator can predict.

    explainer: sees the explain split alone; simulator: that of the lab by default, the executor of programs where it
    has none; note: told one line a round. Raises `UserError` for a site that does not vary and when no start could
    be explained.
    """
    from glossator.simulators.program import ProgramSimulator

    spec = spec or FindSpec()
    simulator = simulator or lab.simulator or ProgramSimulator(lab.lexicon)
    search = _Search(values, explainer, simulator, lab, spec, name)
    rng = np.random.default_rng([spec.seed, 0])
    vectors = starting_vectors(spec, search.covariance, rng, spec.starts or spec.directions)
    rounds: list[Round] = []
    restarted = 0
    for number in range(spec.rounds + 1):
        now = search.explain(vectors)
        rounds.append(now)
        note(_line(number, now))
        if number == spec.rounds:
            break
        moved = search.step(now)
        silent = [i for i, explanation in enumerate(now.explanations) if explanation is None]
        if silent:
            moved[silent] = starting_vectors(FindSpec(), search.covariance, rng, len(silent))
            restarted += len(silent)
        vectors = moved
    places = choose(rounds, spec.directions, spec.limit)
    if not places:
        raise UserError("no direction could be explained", value=values.site, fix="Use more text, or more starts")
    made = {"method": "found", "settings": asdict(spec), "recording": values.recording.fingerprint}
    made |= values.origin
    directions = search.set_of(np.stack([rounds[r].vectors[s] for s, r in places]), made)
    explanations = [
        None if e is None else _renamed(e, directions, i)
        for i, e in enumerate(rounds[r].explanations[s] for s, r in places)
    ]
    select = [rounds[r].select[s] for s, r in places]
    return Found(directions, explanations, [s for s, _ in places], [r for _, r in places], select, rounds, restarted)


def choose(rounds: list[Round], most: int, limit: float) -> list[tuple[int, int]]:
    """The (start, round) pairs that are kept, best select score first: one round per start, and none whose vector has a
    larger |cosine| than `limit` with a better one, as long as others are left that have not."""
    candidates = sorted(
        ((s, r) for r, one in enumerate(rounds) for s, value in enumerate(one.select) if value is not None),
        key=lambda place: -(rounds[place[1]].select[place[0]] or 0.0),
    )
    kept: list[tuple[int, int]] = []
    for strict in (True, False):
        for start, number in candidates:
            if len(kept) == most:
                return kept
            if any(start == other for other, _ in kept):
                continue
            near = [abs(float(rounds[number].vectors[start] @ rounds[r].vectors[s])) for s, r in kept]
            if not strict or not near or max(near) <= limit:
                kept.append((start, number))
    return kept


def _renamed(explanation: Explanation, directions: DirectionSet, index: int) -> Explanation:
    return replace(explanation, unit=directions.unit(index))


def _line(number: int, now: Round) -> str:
    scores = [value for value in now.select if value is not None]
    mean = f"{np.mean(scores):.3f}" if scores else "none"
    return f"round {number}: mean select score {mean}, {len(now.select) - len(scores)} without one"
