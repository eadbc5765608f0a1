"""The search: exact gradients, planted directions found again, no collapse, determinism, and its comparison."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from benchmarks import directions as directions_benchmark
from direction_cases import CONCEPTS, D, PlantedSubject, planted_values, planted_vectors
from glossator.errors import UserError
from glossator.evidence import SPLITS, ExplainEvidence
from glossator.explainers import Abstained, Explained, Explainer
from glossator.explainers.program import ProgramExplainer
from glossator.explanations import Explanation, Provenance
from glossator.fitting import FindSpec, Found, ProjectedRecording, SiteValues, find_directions
from glossator.fitting.comparison import (
    ABSTAINED,
    Scored,
    explain_and_score,
    percentiles,
    share_below,
    share_interval,
    summary,
)
from glossator.fitting.finding import Round, choose
from glossator.fitting.objective import Objective, climb, keep_apart, whitening
from glossator.programs import Clause, Lexicon, Program, Token
from glossator.recording import EvidenceSpec, Recording, draw
from glossator.scorers.correlation import pooled
from glossator.scorers.lab import Lab
from glossator.scores import Score
from glossator.units import Unit

SPEC = FindSpec(directions=2, rounds=3, steps=15)


@pytest.fixture(scope="module")
def values(tmp_path_factory: pytest.TempPathFactory) -> SiteValues:
    return planted_values(tmp_path_factory.mktemp("planted") / "r")


@pytest.fixture(scope="module")
def lexicon(values: SiteValues) -> Lexicon:
    return Lexicon.for_windows(values.recording.vocabulary, None)


@pytest.fixture(scope="module")
def found(values: SiteValues, lexicon: Lexicon) -> Found:
    return find_directions(values, ProgramExplainer(lexicon=lexicon), Lab(lexicon), SPEC)


def numerically(loss, u: np.ndarray, h: float = 1e-6) -> np.ndarray:
    gradient = np.zeros_like(u)
    for place in np.ndindex(u.shape):
        moved = u.copy()
        moved[place] += h
        up = loss(moved)
        moved[place] -= 2 * h
        gradient[place] = (up - loss(moved)) / (2 * h)
    return gradient


@pytest.mark.parametrize("rectified", [True, False])
@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_the_gradient_is_that_of_finite_differences(rectified: bool, missing: float) -> None:
    rng = np.random.default_rng(0)
    tokens = rng.normal(size=(6, 400)) * np.geomspace(0.1, 3, 6)[:, None]
    simulated = np.maximum(rng.normal(size=(3, 400)), 0) + np.maximum(tokens[:3], 0)
    simulated[rng.random(simulated.shape) < missing] = np.nan
    goal = Objective(
        tokens, simulated, whitening(tokens @ tokens.T / 400, 0.1), rectified=rectified, apart=2.0, limit=0.05
    )
    u = rng.normal(size=(3, 6))
    value, gradient = goal.loss(u)
    assert goal.loss(3 * u)[0] == pytest.approx(value)  # only the direction counts
    assert goal.merits(u).sum() == pytest.approx(-value)
    assert np.abs(gradient).max() > 0.1
    np.testing.assert_allclose(gradient, numerically(lambda v: goal.loss(v)[0], u), atol=2e-6)


def test_the_pull_between_directions_has_the_gradient_of_finite_differences() -> None:
    vectors = np.random.default_rng(1).normal(size=(4, 5))
    value, gradient = keep_apart(vectors, 0.1)
    assert value > 0
    np.testing.assert_allclose(gradient, numerically(lambda v: keep_apart(v, 0.1)[0], vectors), atol=1e-8)
    assert keep_apart(np.eye(4), 0.1)[0] == 0


def test_correlations_are_pearson_over_tokens_with_a_simulation() -> None:
    rng = np.random.default_rng(0)
    tokens, simulated = rng.normal(size=(4, 300)), rng.normal(size=(2, 300))
    simulated[0, 50:90] = np.nan
    simulated[1] = 2.5
    u = rng.normal(size=(2, 4))
    got = Objective(tokens, simulated, np.eye(4)).correlations(u)
    known = np.isfinite(simulated[0])
    wanted = np.corrcoef(np.maximum(u[0] @ tokens, 0)[known], simulated[0, known])[0, 1]
    np.testing.assert_allclose(got, [wanted, 0.0], atol=1e-12)


def test_whitening_makes_all_directions_vary_alike() -> None:
    rng = np.random.default_rng(0)
    mixed = rng.normal(size=(5, 5)) @ np.diag([5, 2, 1, 0.5, 0.1])
    covariance = mixed @ mixed.T
    np.testing.assert_allclose(
        whitening(covariance, 1e-9) @ covariance @ whitening(covariance, 1e-9), np.eye(5), atol=1e-5
    )
    np.testing.assert_allclose(whitening(covariance, 1.0), np.eye(5) / np.sqrt(np.trace(covariance) / 5), atol=1e-12)
    for bad, words in ((0.0, "shrinkage"), (1.1, "shrinkage")):
        with pytest.raises(UserError, match=words):
            whitening(covariance, bad)
    with pytest.raises(UserError, match="zero variance"):
        whitening(np.zeros((3, 3)), 0.1)


def test_steps_stop_where_the_held_out_split_no_longer_gains() -> None:
    goal, trap = np.array([[1.0, 0.0]]), np.array([[0.8, 0.6]])
    calls = 0

    def loss(u: np.ndarray) -> tuple[float, np.ndarray]:
        nonlocal calls
        calls += 1
        return float(((u - goal) ** 2).sum()) ** 2, 4 * ((u - goal) ** 2).sum() * (u - goal)

    def held_out(u: np.ndarray) -> np.ndarray:
        return (u @ trap.T).ravel() / np.linalg.norm(u, axis=1)

    start = np.array([[-0.2, 1.0]])
    best = climb(loss, start, held_out, 50)
    assert held_out(best) >= held_out(start) and held_out(best) > held_out(goal)
    assert np.linalg.norm(best) == pytest.approx(1.0) and calls < 40


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_planted_direction_is_found_from_a_random_start(tmp_path: Path, seed: int) -> None:
    values = planted_values(tmp_path / "r", PlantedSubject(concepts=1), n=240)
    lexicon = Lexicon.for_windows(values.recording.vocabulary, None)
    spec = FindSpec(directions=1, rounds=4, steps=15, seed=seed)
    found = find_directions(values, ProgramExplainer(lexicon=lexicon), Lab(lexicon), spec)
    start = found.rounds[0].vectors[0] @ planted_vectors()[0]
    assert abs(start) < 0.6 and abs(float(found.directions.vectors[0] @ planted_vectors()[0])) > 0.9
    assert found.explanations[0] is not None
    assert all(f"w{token}" in str(found.explanations[0].program) for token in CONCEPTS[0])


def test_two_planted_directions_fill_the_plane_that_is_found(found: Found) -> None:
    """Any mix of the two fires at tokens alone, so that it is the plane which can be found."""
    in_plane = np.linalg.norm(found.directions.vectors @ planted_vectors().T, axis=1)
    assert in_plane.max() > 0.9
    assert found.directions.largest_cosine() <= SPEC.limit


def test_steps_raise_what_they_are_for(found: Found) -> None:
    first = found.rounds[0]
    assert np.mean(first.after["select"]) > np.mean(first.before["select"]) + 0.1
    assert all(a >= b for a, b in zip(first.after["select"], first.before["select"], strict=True))
    assert len(found.rounds) == SPEC.rounds + 1 and not found.rounds[-1].after


def test_the_same_seed_finds_the_same_bytes(values: SiteValues, lexicon: Lexicon, found: Found) -> None:
    again = find_directions(values, ProgramExplainer(lexicon=lexicon), Lab(lexicon), SPEC)
    assert again.directions.fingerprint == found.directions.fingerprint and again.explanations == found.explanations
    other = find_directions(
        values, ProgramExplainer(lexicon=lexicon), Lab(lexicon), dataclasses.replace(SPEC, seed=1, rounds=1)
    )
    assert other.directions.fingerprint != found.directions.fingerprint


def test_starts_do_not_end_as_one_direction(tmp_path: Path) -> None:
    """With one planted direction only, all are drawn to it; the pull keeps the others away."""
    values = planted_values(tmp_path / "r", PlantedSubject(concepts=1), n=240)
    lexicon = Lexicon.for_windows(values.recording.vocabulary, None)
    spec = FindSpec(directions=3, rounds=2, steps=10, apart=0.0, limit=1.0)
    explainer = ProgramExplainer(lexicon=lexicon)

    def alike(spec: FindSpec) -> float:
        found = find_directions(values, explainer, Lab(lexicon), spec)
        vectors = found.rounds[-1].vectors
        return float(np.abs(vectors @ vectors.T - np.eye(3)).max())

    free, kept = alike(spec), alike(FindSpec(directions=3, rounds=2, steps=10))
    assert free > 0.8 and kept < 0.4


class Watching(Explainer):
    """Hands all windows that it is shown to a list."""

    def __init__(self, inner, seen: list[np.ndarray]):
        self.inner, self.seen = inner, seen

    def explain(self, evidence: Sequence[ExplainEvidence], *, n: int, seed: int) -> Sequence[Explained]:
        self.seen += [np.asarray(one.exemplars.windows.ids) for one in evidence]
        return self.inner.explain(evidence, n=n, seed=seed)

    def simulate(self, explanation: Explanation, windows, grid=None):
        self.seen.append(np.asarray(windows.ids))
        return self.inner.simulate(explanation, windows)


def test_nothing_of_the_test_split_is_shown_to_anything(values: SiteValues, lexicon: Lexicon) -> None:
    from glossator.simulators.program import ProgramSimulator

    explained: list[np.ndarray] = []
    simulated: list[np.ndarray] = []
    spec = FindSpec(directions=2, rounds=1, steps=3, windows=40)
    find_directions(
        values,
        Watching(ProgramExplainer(lexicon=lexicon), explained),
        Lab(lexicon),
        spec,
        simulator=Watching(ProgramSimulator(lexicon), simulated),
    )
    split = dict(zip(values.windows.ids.tolist(), values.split_of_input.tolist(), strict=True))
    assert {split[i] for ids in explained for i in ids.tolist()} == {SPLITS.index("explain")}
    assert {split[i] for ids in simulated for i in ids.tolist()} == {SPLITS.index("explain"), SPLITS.index("select")}
    assert max(map(len, simulated)) == 40


def test_what_the_test_split_holds_changes_nothing(tmp_path: Path, lexicon: Lexicon) -> None:
    """Not what is searched, not which round is chosen, not what is said. Of so few top windows those of the test split
    would crowd out others."""
    values = planted_values(tmp_path / "r", top_k=60)
    found = find_directions(values, ProgramExplainer(lexicon=lexicon), Lab(lexicon), SPEC)
    panel = np.array(values.recording.panel_block("mlp.0")[0])
    panel[:, values.rows("test")] = -panel[:, values.rows("test")] * 2 + 1
    other = Recording(values.recording.folder, values.recording.manifest)
    other.__dict__["_panel"] = panel
    again = find_directions(SiteValues(other, "mlp.0"), ProgramExplainer(lexicon=lexicon), Lab(lexicon), SPEC)
    assert (again.directions.vectors == found.directions.vectors).all()
    assert (again.directions.centre == found.directions.centre).all()
    assert [e.text for e in again.explanations if e] == [e.text for e in found.explanations if e]
    assert again.select == found.select and again.round == found.round


def test_rounds_are_chosen_by_the_select_split_alone(values: SiteValues, lexicon: Lexicon, found: Found) -> None:
    recording = ProjectedRecording(values, found.directions)
    for unit, explanation, select in zip(found.directions.units(), found.explanations, found.select, strict=True):
        assert explanation is not None
        evidence = draw(recording, unit, EvidenceSpec(min_firing_windows=0))
        on = {split: pooled(Lab(lexicon).trial(evidence, "top-and-random", split), explanation).value
              for split in ("explain", "select", "test")}  # fmt: skip
        assert select == pytest.approx(on["select"], abs=1e-9)
        assert min(abs(on["select"] - on[other]) for other in ("explain", "test")) > 1e-4


def test_a_round_begins_where_the_steps_of_the_last_one_ended(
    values: SiteValues, lexicon: Lexicon, found: Found
) -> None:
    """The correlation that was reached with the held simulation is that of the vectors themselves, not of a scaled
    stand-in."""
    from glossator.simulators.program import ProgramSimulator

    rows, simulator = values.rows("select"), ProgramSimulator(lexicon)
    windows = values.windows.take(rows)
    tokens = values.tokens("select", rows) - found.directions.centre[:, None]
    for one, following in itertools.pairwise(found.rounds):
        for i, explanation in enumerate(one.explanations):
            assert explanation is not None
            held = simulator.simulate(explanation, windows).expected[windows.valid]
            reached = np.corrcoef(np.maximum(following.vectors[i] @ tokens, 0), held)[0, 1]
            assert reached == pytest.approx(one.after["select"][i], abs=1e-4)


class Silent(Explainer):
    def explain(self, evidence: Sequence[ExplainEvidence], *, n: int, seed: int) -> Sequence[Explained]:
        return [Abstained("nothing to say")] * len(evidence)


def test_when_nothing_can_be_explained(values: SiteValues, lexicon: Lexicon) -> None:
    with pytest.raises(UserError, match="no direction could be explained"):
        find_directions(values, Silent(), Lab(lexicon), FindSpec(directions=2, rounds=1, steps=1))


def test_a_site_that_never_varies(tmp_path: Path, lexicon: Lexicon) -> None:
    constant = planted_values(tmp_path / "r", PlantedSubject(spread=0.0), n=60)
    with pytest.raises(UserError, match="zero variance"):
        find_directions(constant, Silent(), Lab(lexicon), FindSpec(directions=2))


@pytest.mark.parametrize(
    "bad",
    [{"start": "here"}, {"directions": 0}, {"starts": 1}, {"shrinkage": 0.0}, {"limit": 0.0}, {"windows": 1}],
)
def test_settings_that_make_no_sense(bad: dict) -> None:
    with pytest.raises(UserError):
        FindSpec(**{"directions": 2, **bad})


@pytest.mark.parametrize("start", ["covariance", "principal", "units"])
def test_other_starts(values: SiteValues, lexicon: Lexicon, start) -> None:
    spec = FindSpec(directions=2, starts=3, rounds=1, steps=2, start=start)
    found = find_directions(values, ProgramExplainer(lexicon=lexicon), Lab(lexicon), spec)
    assert len(found.directions) == 2 and found.rounds[0].vectors.shape == (3, D)
    if start == "units":
        assert np.isin(found.rounds[0].vectors, (0.0, 1.0)).all()
    if start != "covariance":
        with pytest.raises(UserError, match=f"more starts from {start} than the site has: {D + 1}"):
            find_directions(values, Silent(), Lab(lexicon), FindSpec(directions=D + 1, start=start))


def test_the_best_rounds_are_kept_and_like_ones_are_not() -> None:
    eye = np.eye(3)
    rounds = [Round(eye, [None] * 3, [0.2, 0.5, None]), Round(eye[[1, 1, 2]], [None] * 3, [0.9, 0.8, 0.1])]
    assert choose(rounds, 3, 0.3) == [(0, 1), (2, 1), (1, 1)]  # start 1 only ever lay where start 0 was better
    assert choose(rounds, 1, 0.3) == [(0, 1)]
    assert choose([Round(eye, [None] * 3, [None] * 3)], 2, 0.3) == []


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ({"odd": 1}, "unknown option: 'odd'"),
        ({"seed": "x"}, "bad seed"),
        ({"neurons": 0}, "bad neurons: 0"),
        ({"others": 2.5}, "bad others"),
        ({"start": "odd"}, "unknown start"),
        ({"site": 12}, "bad site"),
    ],
)
def test_the_benchmark_refuses_bad_options_before_it_loads_anything(option: dict, words: str) -> None:
    with pytest.raises(UserError, match=words):
        directions_benchmark.run(option)


# --- the comparison ---------------------------------------------------------------------------------------------------


def scored(value: float | None, reason: str = "") -> Scored:
    unit = Unit("s", "mlp.0", 0)
    names = ("correlation.top-and-random", "correlation.random-only")
    scores = {
        n: Score(n, value, "r", reason=None if value is not None else "why", baselines={"lookup": 0.1}) for n in names
    }
    explanation = (
        None if reason else Explanation(unit, "x", Provenance("m"), Program(0.0, (Clause(1.0, Token(("a",))),)))
    )
    return Scored(unit, explanation, {} if reason else scores, reason)


def test_percentiles_count_those_that_are_beaten() -> None:
    assert share_below(0.5, [0.1, 0.2, 0.5, 0.9]) == pytest.approx(0.625)
    neurons = [scored(v / 100) for v in range(100)]
    got = percentiles([scored(0.985), scored(0.5), scored(None)], neurons)
    assert got["of_each"] == [0.99, 0.505, None] and got["of_mean"] == 0.75 and got["n"] == 100
    assert got["low"] < 0.75 < got["high"]
    assert percentiles([scored(None)], neurons)["of_mean"] is None
    low, high = share_interval(1.0, 400)
    assert high == 1.0 and low == pytest.approx(0.9905, abs=1e-4)
    assert all(share_interval(1.0, n)[1] == 1.0 and share_interval(0.0, n)[0] == 0.0 for n in range(1, 400))
    with pytest.raises(ValueError):
        share_below(0.5, [])


def test_an_abstention_counts_zero_and_a_failure_nothing() -> None:
    got = summary([scored(0.6), scored(0.2), scored(None, ABSTAINED), scored(None, "it failed"), scored(None)])
    assert got["mean"] == pytest.approx(0.8 / 3) and got["median"] == pytest.approx(0.2)
    assert (got["n"], got["abstained"], got["missing"]) == (3, 1, 2)
    assert got["baselines"] == {"lookup": pytest.approx(0.1)}


def test_found_directions_are_scored_on_documents_that_nothing_saw(
    values: SiteValues, lexicon: Lexicon, found: Found
) -> None:
    recording = ProjectedRecording(values, found.directions)
    explainer, lab = ProgramExplainer(lexicon=lexicon), Lab(lexicon)
    ours = explain_and_score(recording, found.directions.units(), explainer, lab, given=found.explanations)
    again = explain_and_score(recording, found.directions.units(), explainer, lab)
    neurons = explain_and_score(values.recording, [Unit("planted", "mlp.0", i) for i in range(6)], explainer, lab)
    assert [one.explanation.text for one in ours if one.explanation] == [
        one.explanation.text for one in again if one.explanation
    ]
    assert [one.value() for one in ours] == [one.value() for one in again]
    assert summary(ours)["mean"] > 0.85 > summary(neurons)["mean"]
    assert percentiles(ours, neurons)["of_mean"] == 1.0
    baselines = ours[0].scores["correlation.top-and-random"].baselines
    assert set(baselines) == {"lookup", "token-list", "mismatched"} and (baselines["mismatched"] or 0) < 0.6
