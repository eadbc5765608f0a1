"""Evidence: what is drawn from which split, what the statistics are taken from, and that random stays random."""

from __future__ import annotations

import time

import numpy as np
import pytest

from glossator.errors import UserError
from glossator.evidence import SPLITS, Exemplars
from glossator.recording import EvidenceSpec, draw, record, recording_spec
from glossator.units import Unit
from pace import pace
from recording_fakes import FakeDictionary, FakeSubject, fake_windows, truth

N = 600
SAE = "sae:x@resid.0"
UNIT, SPARSE = Unit("fake", "mlp.0", 6), Unit("fake", "relu.0", 6)
BOTH = pytest.mark.parametrize("unit", [UNIT, Unit("fake", "mlp.0", 6, "-"), SPARSE, Unit("fake", SAE, 25)], ids=str)


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    subject, windowed, readouts = FakeSubject(), fake_windows(N), {SAE: FakeDictionary()}
    sites = ("mlp.0", "relu.0", SAE)
    spec = recording_spec(subject, windowed, sites, readouts=readouts, top_k=150, panel_windows=200)
    folder = tmp_path_factory.mktemp("evidence") / "r"
    return record(spec, subject, windowed, folder, readouts=readouts, progress=False)


def signed(recording, unit):
    """The unit's values at all windows as recorded, from the subject itself."""
    true = truth(FakeSubject(), fake_windows(N), unit.site if unit.site != SAE else "resid.0")
    if unit.site != SAE:
        return unit.sign * true.rounded[..., unit.index]
    return recording.values(unit, np.arange(N))


def rows_of(exemplars):
    return exemplars.windows.ids - 1000


@BOTH
def test_every_part_is_of_its_split_with_the_true_activations(recording, unit):
    evidence = draw(recording, unit)
    parts = [evidence.explain.exemplars, evidence.calibrate, evidence.select, evidence.test]
    true = signed(recording, unit)
    for number, part in enumerate(parts):
        assert len(part) > 10
        assert (recording.split_of_input[rows_of(part)] == number).all()
        assert len(set(rows_of(part).tolist())) == len(part)
        assert np.array_equal(part.activations, true[rows_of(part)])
        assert (part.activations[~part.windows.valid] == 0).all()
    assert evidence.status == "ok"


@BOTH
def test_top_windows_are_the_best_of_the_split(recording, unit):
    evidence = draw(recording, unit, EvidenceSpec(test_top=15))
    true = signed(recording, unit).max(axis=1)
    split = np.flatnonzero(recording.split_of_input == SPLITS.index("test"))
    best = split[np.argsort(-true[split], kind="stable")[:15]]
    assert np.allclose(np.sort(true[rows_of(evidence.test.of("top"))]), np.sort(true[best]), rtol=1e-3)


def test_random_windows_do_not_depend_on_the_unit_and_are_all_there(recording):
    spec = EvidenceSpec(test_random=25, test_top=40, explain_random=30)
    drawn = [draw(recording, Unit("fake", "mlp.0", i), spec) for i in range(8)]
    random = [set(rows_of(e.test.of("random")).tolist()) for e in drawn]
    assert all(rows == random[0] for rows in random) and len(random[0]) == 25
    both = [e.test.in_random & (e.test.kinds == "top") for e in drawn]
    assert any(b.any() for b in both)  # without the mark these would be missing from the random sample
    other = draw(recording, UNIT, EvidenceSpec(test_random=25, seed=1))
    assert set(rows_of(other.test.of("random")).tolist()) != random[0]


def test_random_windows_are_an_unbiased_sample_of_the_split(recording):
    split = np.flatnonzero(recording.split_of_input == SPLITS.index("test"))
    true = np.stack([signed(recording, Unit("fake", "mlp.0", i)).max(axis=1)[split] for i in range(24)])
    gaps = []
    for i in range(24):
        part = draw(recording, Unit("fake", "mlp.0", i), EvidenceSpec(test_random=None, test_top=60)).test.of("random")
        gaps.append((part.activations.max(axis=1).mean() - true[i].mean()) / true[i].std())
    assert abs(np.mean(gaps)) < 3 / np.sqrt(len(part))
    tops_left_out = draw(recording, UNIT, EvidenceSpec(test_random=None, test_top=60)).test
    naive = tops_left_out.take(np.flatnonzero(tops_left_out.kinds == "random"))
    assert naive.activations.max(axis=1).mean() < true[6].mean() - 0.2 * true[6].std()


def test_explain_statistics_come_from_the_explain_split_alone(recording):
    evidence = draw(recording, UNIT)
    panel = recording.panel[recording.split_of_input[recording.panel] == 0]
    true = truth(FakeSubject(), fake_windows(N), "mlp.0")
    x = true.rounded[panel][..., 6][true.valid[panel]].astype(np.float64)
    found = evidence.explain.statistics
    assert found.count == len(x)
    z = (x - x.mean()) / x.std()
    assert [found.mean, found.variance, found.skewness, found.kurtosis] == pytest.approx(
        [x.mean(), x.var(), (z**3).mean(), (z**4).mean()], rel=1e-5
    )
    assert found.firing_threshold == pytest.approx(np.quantile(x, 0.99, method="lower"))
    assert found.firing_rate == pytest.approx((x > found.firing_threshold).mean())
    explain = np.flatnonzero(recording.split_of_input == 0)
    assert found.maximum == true.exact[explain][..., 6][true.valid[explain]].max()
    assert "99%" in found.firing_rule and "explain" in found.firing_rule
    whole = evidence.statistics
    everything = true.exact[true.valid][:, 6].astype(np.float64)
    assert whole.count == len(everything) and whole.mean == pytest.approx(everything.mean(), rel=1e-4)
    assert whole.firing_threshold == found.firing_threshold


def test_explain_part_does_not_change_when_the_test_split_does(recording, tmp_path):
    """The recording of the same windows with scrambled test activations gives the explainer the same evidence."""

    class Scrambled(FakeSubject):
        def activations(self, tokens, lengths, sites):
            found = super().activations(tokens, lengths, sites)
            rows = [i for i, row in enumerate(tokens) if row.tobytes() in held_out]
            for x in found.values():
                x[rows] = -3 * x[rows].flip(1)
            return found

    windowed = fake_windows(N)
    held_out = {row.tobytes() for row in windowed.windows.tokens[windowed.split_of_input == 3]}
    subject = Scrambled()
    spec = recording_spec(subject, windowed, ("mlp.0",), top_k=600, panel_windows=200)
    other = record(spec, subject, windowed, tmp_path / "r", progress=False)
    a, b = draw(recording, UNIT), draw(other, UNIT)
    assert np.array_equal(a.explain.exemplars.activations, b.explain.exemplars.activations)
    assert a.explain.statistics == b.explain.statistics
    assert not np.array_equal(a.test.activations, b.test.activations)


def test_sparse_statistics_count_silent_tokens(recording):
    found = draw(recording, SPARSE).explain.statistics
    true = truth(FakeSubject(), fake_windows(N), "relu.0")
    explain = recording.split_of_input == 0
    x = true.rounded[explain][..., 6][true.valid[explain]].astype(np.float64)
    assert found.count == len(x) and found.mean == pytest.approx(x.mean())
    assert found.firing_threshold == 0 and found.firing_rate == pytest.approx((x > 0).mean())
    for p, q in found.quantiles.items():
        assert q == pytest.approx(np.quantile(x, p, method="lower"))


@pytest.mark.parametrize(
    ("sampler", "kinds"),
    [
        ("mixed", {"top", "random"}),
        ("top", {"top"}),
        ("random", {"random"}),
        ("quantile", {"quantile"}),
        ("near-miss", {"top", "near-miss", "random"}),
    ],
)
@BOTH
def test_samplers_give_their_kinds(recording, sampler, kinds, unit):
    evidence = draw(recording, unit, EvidenceSpec(sampler=sampler, explain_random=20, test_near_miss=5))
    assert set(evidence.explain.exemplars.kinds.tolist()) <= kinds
    assert kinds - {"near-miss"} <= set(evidence.explain.exemplars.kinds.tolist())
    assert {"top", "random"} <= set(evidence.test.kinds.tolist())


def test_quantile_windows_are_spread_over_the_ranks(recording):
    part = draw(recording, UNIT, EvidenceSpec(sampler="quantile", explain_quantile=11)).explain.exemplars
    panel = recording.panel[recording.split_of_input[recording.panel] == 0]
    maxima = np.sort(signed(recording, UNIT)[panel].max(axis=1))
    ranks = np.searchsorted(maxima, np.sort(part.activations.max(axis=1))) / (len(maxima) - 1)
    assert ranks == pytest.approx(np.linspace(0, 1, 11), abs=0.06)


def test_near_misses_hold_tokens_that_fire_elsewhere_and_are_silent(recording):
    evidence = draw(recording, SPARSE, EvidenceSpec(sampler="near-miss"))
    missed = evidence.explain.exemplars.of("near-miss")
    assert len(missed) > 3 and missed.activations.max() == 0
    firing = evidence.explain.exemplars
    tokens = set(firing.windows.tokens[firing.activations > 0].tolist())
    assert all(tokens & set(row.tolist()) for row in missed.windows.tokens)


def test_a_unit_that_hardly_fires_is_insufficient(tmp_path):
    class Silent(FakeSubject):
        def activations(self, tokens, lengths, sites):
            found = super().activations(tokens, lengths, sites)
            found["relu.0"][..., 0] = 0
            found["mlp.0"][..., 0] = 0.1  # above its own float16
            return found

    subject, windowed = Silent(), fake_windows(N)
    recording = record(
        recording_spec(subject, windowed, ("relu.0", "mlp.0")), subject, windowed, tmp_path / "r", progress=False
    )
    for site in ("relu.0", "mlp.0"):
        evidence = draw(recording, Unit("fake", site, 0))
        assert evidence.status == "insufficient"
        assert "0 firing windows in explain" in evidence.reason and "8 needed" in evidence.reason
        assert evidence.explain.statistics.skewness is None
    assert draw(recording, Unit("fake", "mlp.0", 1)).status == "ok"


def test_the_same_draw_has_the_same_fingerprint_and_another_has_not(recording):
    first = draw(recording, UNIT).explain.fingerprint
    assert draw(recording, UNIT).explain.fingerprint == first
    others = [draw(recording, Unit("fake", "mlp.0", 7)), draw(recording, UNIT, EvidenceSpec(explain_top=39))]
    assert all(other.explain.fingerprint != first for other in others)


def test_unknown_samplers_sites_and_units_are_clear_errors(recording):
    with pytest.raises(UserError, match=r"unknown sampler.*mixed"):
        EvidenceSpec(sampler="best")
    with pytest.raises(UserError, match=r"mlp\.00.*mlp\.0"):
        draw(recording, Unit("fake", "mlp.00", 1))
    with pytest.raises(UserError, match="0 to 23"):
        draw(recording, Unit("fake", "mlp.0", 24))


def test_exemplars_made_by_hand_know_their_random_windows(recording):
    part = draw(recording, UNIT).test
    made = Exemplars(part.windows, part.activations, part.kinds)
    assert np.array_equal(made.in_random, part.kinds == "random")
    assert len(part.of("top", "random")) == len(part)


def test_drawing_is_fast(recording):
    spec = EvidenceSpec(explain_random=0)
    units = [Unit("fake", "mlp.0", i) for i in range(24)]
    for unit in units:
        draw(recording, unit, spec)
    best = min(_timed(lambda u=u: draw(recording, u, spec)) for u in units for _ in range(5))
    assert best < 0.8 * pace()  # about .2


def _timed(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
