"""Encoding models: planted voxels are predicted and read back, null ones are refused, wrong files say what is wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from glossator.cli import main
from glossator.errors import UserError
from glossator.fitting.encoding import EncodingSpec, fit_encoding, noise_ceilings, predictability, word_values
from glossator.fitting.ridge import ridge
from glossator.inputs import Stimuli
from glossator.planted.voxels import SimulationSpec, simulate_voxels
from glossator.readouts import load_readout
from glossator.readouts.encoding_model import TENSORS, EncodingModel
from glossator.subjects.scan_times import delayed, drift, haemodynamic, lanczos, without
from glossator.subjects.scans import Scans, load_scans
from glossator.subjects.text_readouts import of_texts
from voxel_cases import NOUNS, WIDTH, documents, features, likes, simulated, words_subject


@pytest.fixture(scope="module")
def world():
    return simulated()


@pytest.fixture(scope="module")
def model(world) -> EncodingModel:
    return fit_encoding(words_subject(), "output", world.scans, name="cortex")


def test_ridge_is_least_squares_with_a_penalty_however_many_columns():
    rng = np.random.default_rng(0)
    for rows, columns in ((60, 5), (30, 80)):
        x, y = rng.normal(size=(rows, columns)), rng.normal(size=(rows, 4))
        found = ridge(x, y, np.arange(rows) % 3, penalties=(0.5,))
        expected = np.linalg.solve(x.T @ x + 0.5 * rows * np.eye(columns), x.T @ y)
        np.testing.assert_allclose(found.weights, expected, atol=1e-9)


def test_every_target_has_its_own_penalty_and_bands_are_told_apart():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(300, 40))
    y = np.stack([3 * x[:, 0] + 0.1 * rng.normal(size=300), rng.normal(size=300)], axis=1)
    runs = np.arange(300) // 60
    plain = ridge(x, y, runs)
    assert plain.penalties[0] < 0.1 and plain.penalties[1] >= 1 and plain.left_out[0] > 0.99
    noisy = x[:, :1] @ [[1.0]] + 2 * rng.normal(size=(300, 1))
    bands = np.r_[0, np.ones(39, int)]
    banded = ridge(x, noisy, runs, bands=bands)
    assert banded.left_out[0] > ridge(x, noisy, runs).left_out[0]
    assert banded.bands[0, 0] > banded.bands[0, 1], "the band that says something is penalised less"
    with pytest.raises(UserError, match="runs that are left out"):
        ridge(x, y, np.zeros(300))


def test_slow_values_pass_the_filter_and_words_are_counted_once():
    times, tr = np.arange(40) * 2.0 + 1, 2.0
    onsets = np.arange(0, 80, 0.25)
    filtered = lanczos(onsets, times, tr)
    assert filtered[4:-4].sum(axis=1) == pytest.approx(8, rel=0.02), "8 words a scan"
    slow = np.sin(2 * np.pi * onsets / 40)
    np.testing.assert_allclose((filtered @ slow)[4:-4] / 8, np.sin(2 * np.pi * times / 40)[4:-4], atol=0.03)


def test_delays_drift_and_the_response():
    values = np.arange(1.0, 6.0)[:, None]
    assert delayed(values, (0, 2))[:, 1].tolist() == [0, 0, 1, 2, 3]
    basis = drift(150, 2.0, 128.0)
    np.testing.assert_allclose(basis.T @ basis, np.eye(basis.shape[1]), atol=1e-9)
    assert basis.shape[1] == 5 and abs(without(basis @ np.ones((5, 1)), basis)).max() < 1e-9
    seconds = np.arange(0, 30, 0.1)
    assert seconds[haemodynamic(seconds).argmax()] == pytest.approx(5, abs=0.2) and haemodynamic(np.array([-1.0])) == 0


def test_ceilings_are_those_that_noise_was_made_for():
    rng = np.random.default_rng(2)
    signal = rng.normal(size=(4000, 3))
    noise = np.array([1.0, 3.0, np.inf])
    repeats = np.where(np.isinf(noise), 0, signal) + rng.normal(size=(4, 4000, 3)) * np.where(np.isinf(noise), 1, noise)
    expected = [np.sqrt(1 / (1 + 1 / 4)), np.sqrt(1 / (1 + 9 / 4))]
    found = noise_ceilings(repeats)
    np.testing.assert_allclose(found[:2], expected, atol=0.03)
    assert np.isnan(found[2]) or found[2] < 0.15


def test_p_of_nothing_is_even_where_scans_hang_together():
    rng = np.random.default_rng(3)
    from scipy.signal import lfilter

    truth, predicted = (lfilter([1], [1, -0.5], rng.normal(size=(300, 1500)), axis=0) for _ in range(2))
    r, p = predictability(truth, predicted, np.arange(300) // 150, 2.0)
    assert 0.03 < (p < 0.05).mean() < 0.08 and 0.004 < (p < 0.01).mean() < 0.022 and abs(r.mean()) < 0.01
    r, p = predictability(truth[:, :5], truth[:, :5] + 2 * predicted[:, :5], np.arange(300) // 150, 2.0)
    assert (r > 0.3).all() and (p < 1e-4).all()


def test_planted_voxels_are_predicted_and_null_ones_refused(world, model):
    planted = np.array([name is not None for name in world.planted])
    assert set(np.flatnonzero(planted)) <= set(model.predicted.tolist())
    assert (model.q[~planted] > 0.05).sum() >= 5
    r, ceiling = model.r[planted], model.ceiling[planted]
    assert np.isfinite(ceiling).all() and (r < ceiling + 0.1).all() and (r > 0.5 * ceiling).all()
    index = int(np.flatnonzero(model.q > 0.05)[0])
    assert "does not predict voxel null-" in model.refused(index) and "q " in model.refused(index)
    assert model.refused(0) is None and "not measurements" in model.notes[0]


def test_what_a_voxel_is_tuned_to_is_read_back(world, model):
    voxels = of_texts(words_subject(), "output", readout=model)
    values = voxels.answers(list(NOUNS))
    for index in range(6):
        assert values[:, index].argmax() == index, "its own noun makes it respond most"
    pair = voxels.answers(["river bread", "river", "bread"])
    np.testing.assert_allclose(pair[0], (pair[1] + pair[2]) / 2, atol=1e-4)


def test_the_scale_is_that_of_text_that_goes_on(world, model):
    """A run of one word only, as fast as the story, gives the value that the readout says."""
    from glossator.subjects.scan_times import lanczos

    river = features(["river"]) - model.centre
    onsets = np.arange(0, 200, model.tr / model.rate)
    times = np.arange(90, 110, model.tr)
    heard = (lanczos(onsets, times, model.tr) @ np.repeat(river, len(onsets), axis=0)) / model.scale
    expected = heard.mean(axis=0) @ model.weights.sum(axis=0)
    read = model.read(torch.from_numpy(features(["river"])))[0].numpy()
    np.testing.assert_allclose(read, expected, rtol=0.02, atol=0.02)


def test_a_voxel_that_hears_speech_and_no_content_is_not_predicted():
    world = simulated(speech=3.0, ceilings=(0.7, 0.9))
    model = fit_encoding(words_subject(), "output", world.scans)
    assert (model.q[6:] > 0.05).all() and (model.q[:6] <= 0.05).all()


def test_banded_and_other_delays_fit_as_well(world, model):
    banded = fit_encoding(words_subject(), "output", world.scans, EncodingSpec(banded=True))
    assert banded.r[:6].mean() > model.r[:6].mean() - 0.03
    early = fit_encoding(words_subject(), "output", world.scans, EncodingSpec(delays=(0.0,)))
    assert early.r[:6].mean() < 0.5 * model.r[:6].mean(), "the response comes seconds later"


def test_a_held_out_story_that_is_fitted_on_too_is_refused(world):
    """Heard twice, once in each: the voxels would be tested on what they were fitted to."""
    scans = world.scans
    held, other = scans.held_out[0], next(run for run in range(5) if run not in scans.held_out)
    told = {run: scans.words_of(held if run == other else run) for run in range(5)}
    words = Stimuli.of(
        [text for run in told for text in told[run].texts],
        np.repeat(list(told), [len(one) for one in told.values()]),
        np.concatenate([one.onsets for one in told.values()]),
    )
    with pytest.raises(UserError, match="the words of a run that is fitted on"):
        fit_encoding(words_subject(), "output", replace(scans, words=words))


def test_a_constant_voxel_is_refused(world):
    flat = world.scans.responses.copy()
    flat[:, 0] = 5.0
    repeats = world.scans.repeats.copy()
    repeats[:, :, 0] = 5.0
    scans = Scans(**{**vars_of(world.scans), "responses": flat, "repeats": repeats})
    model = fit_encoding(words_subject(), "output", scans)
    assert (
        "constant" in model.refused(0) and bool(np.isnan(model.r[0])) and model.q[0] == 1 and np.isnan(model.ceiling[0])
    )


def vars_of(scans: Scans) -> dict:
    return {name: getattr(scans, name) for name in Scans.__dataclass_fields__}


def test_it_is_kept_and_its_fingerprint_holds_site_delays_and_scale(model, tmp_path):
    model.save(tmp_path / "cortex")
    again = load_readout(f"voxels:{tmp_path / 'cortex'}")
    assert again.fingerprint == model.fingerprint and again.site_name == "cortex@output"
    np.testing.assert_array_equal(again.weights, model.weights)
    fields = {name: getattr(model, name) for name in EncodingModel.__dataclass_fields__}
    for change in ({"reads_at": "resid.1"}, {"delays": (1, 2, 3, 5)}, {"scale": model.scale * 2}, {"rate": 1.0},
                   {"tr": 1.0}, {"centre": model.centre + 1}, {"q": model.q / 2}):  # fmt: skip
        assert EncodingModel(**{**fields, **change}).fingerprint != model.fingerprint, change
    with pytest.raises(UserError, match="another site"):
        load_readout(f"voxels:{tmp_path / 'cortex'}@resid.1")
    with pytest.raises(UserError, match="does not have the width"):
        model.check_fits("output", WIDTH + 1)
    with pytest.raises(UserError, match="voxels fit"):
        load_readout(f"voxels:{tmp_path}")
    (tmp_path / "cortex" / TENSORS).write_bytes(b"nothing")
    with pytest.raises(UserError, match="damaged"):
        load_readout(f"voxels:{tmp_path / 'cortex'}")


def test_words_are_read_in_context(tiny_subject):
    words = ["the", "old", "fox", "ran", "over", "the", "wide", "river", "and", "never", "came", "back", "to", "us"]
    stimuli = Stimuli.of(words, np.zeros(len(words), np.int64), np.arange(len(words), dtype=float))
    whole = word_values(tiny_subject, "mlp.1", stimuli, 512)
    from glossator.recording.texts import site_values, text_windows

    windows = text_windows(tiny_subject, [" ".join(words)], 512)
    values = site_values(tiny_subject, "mlp.1", range(64), windows)[0]
    first = len(words[0])  # the tokens are bytes; a blank belongs to the word behind it
    second = slice(first, first + 1 + len(words[1]))
    np.testing.assert_allclose(whole[1], values[second].mean(axis=0), rtol=1e-4, atol=1e-5)
    cut = word_values(tiny_subject, "mlp.1", stimuli, 16)
    assert np.isfinite(cut).all() and cut.shape == whole.shape
    assert np.corrcoef(cut[-1], whole[-1])[0, 1] > 0.5


GOOD = {
    "words": np.array(["a", "b"] * 60),
    "onsets": np.tile(np.arange(40) * 1.0, 3),
    "word_runs": np.repeat(["x", "y", "z"], 40),
    "responses": np.random.default_rng(0).normal(size=(75, 3)),
    "response_runs": np.repeat(["x", "y", "z"], 25),
    "tr": 2.0,
}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"words": None}, "lacks an array: 'words'"),
        ({"tr": None}, "lacks an array: 'tr'"),
        ({"word": np.zeros(3)}, "unknown array"),
        ({"words": np.array(["a", None] * 60, object)}, "not as objects"),
        ({"words": np.array(["a", " "] * 60)}, "word is empty"),
        ({"words": np.arange(120)}, "bad words"),
        ({"onsets": GOOD["onsets"][:-1]}, "onsets does not fit words"),
        ({"onsets": GOOD["onsets"] * 1000}, "outside it"),
        ({"onsets": GOOD["onsets"][::-1]}, "not in order"),
        ({"onsets": np.where(np.arange(120) == 7, np.nan, GOOD["onsets"])}, "not all finite"),
        ({"word_runs": np.repeat(["x", "y", "w"], 40)}, "words and no responses"),
        ({"responses": GOOD["responses"][:, 0]}, "bad responses"),
        ({"responses": np.where(np.eye(75, 3) > 0, np.inf, 0)}, r"not all finite.*\(0, 0\)"),
        ({"response_runs": np.tile(["x", "y", "z"], 25)}, "do not stand together"),
        ({"response_runs": np.repeat(["x", "y"], [38, 37]), "word_runs": np.repeat(["x", "y"], 60)}, "too few runs"),
        ({"response_runs": np.repeat(["x", "y", "z"], [50, 20, 5])}, "run z is too short"),
        ({"tr": 2000.0}, "bad tr"),
        ({"tr": np.array([2.0, 2.0])}, "bad tr"),
        ({"held_out": np.array(["q"])}, "none of the runs"),
        ({"held_out": np.array(["x", "y"])}, "too few runs are left"),
        ({"repeats": np.zeros((1, 25, 3)), "held_out": np.array(["x"])}, "repeats do not fit"),
        ({"repeats": np.zeros((3, 24, 3)), "held_out": np.array(["x"])}, "repeats do not fit"),
        ({"repeats": np.zeros((3, 25, 3))}, "Add the array held_out"),
        ({"voxels": np.array(["a", "a", "b"])}, "bad names of voxels"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(change, said, tmp_path: Path):
    arrays = {name: array for name, array in (GOOD | change).items() if array is not None}
    np.savez(tmp_path / "r.npz", **arrays)
    with pytest.raises(UserError, match=said):
        load_scans(tmp_path / "r.npz")


def test_a_good_file_is_read_and_written_again(tmp_path: Path, world):
    np.savez(tmp_path / "r.npz", **GOOD)
    scans = load_scans(tmp_path / "r.npz")
    assert scans.held_out == (2,) and scans.voxels == ("0", "1", "2") and scans.first == 0
    assert load_scans(tmp_path / "r.npz", ["x"]).held_out == (0,)
    world.scans.save(tmp_path / "w.npz")
    again = load_scans(tmp_path / "w.npz")
    assert again.fingerprint == world.scans.fingerprint
    other = load_scans(tmp_path / "w.npz", ["story-1"])
    assert other.repeats is None and other.held_out == (0,), "the repeats are of another run"
    (tmp_path / "t.npz").write_bytes(b"no archive")
    np.save(tmp_path / "t.npy", np.zeros(3))
    for name, said in (("t.npz", "cannot be read"), ("t.npy", "one .npz"), ("no.npz", "no such file")):
        with pytest.raises(UserError, match=said):
            load_scans(tmp_path / name)


def test_names_that_would_not_be_read_back_are_refused(model, tmp_path: Path):
    with pytest.raises(UserError, match="bad name of an encoding model"):
        replace(model, name="left/V1")
    assert main(["voxels", "fit", str(tmp_path / "none.npz"), "--out", str(tmp_path / "v"), "--name", "left/V1"]) == 2


def test_bad_settings_are_refused(world):
    for settings, said in (({"delays": ()}, "bad delays"), ({"drift": 1.0}, "bad drift"), ({"context": 1}, "context"),
                           ({"penalties": (0.0,)}, "bad penalties"), ({"delays": (2.0, np.nan)}, "bad delays"),
                           ({"penalties": (np.nan,)}, "bad penalties")):  # fmt: skip
        with pytest.raises(UserError, match=said):
            EncodingSpec(**settings)
    with pytest.raises(UserError, match="fall on the same scan"):
        EncodingSpec(delays=(2.0, 2.2)).in_scans(2.0)
    with pytest.raises(UserError, match="same for all words"):
        fit_encoding(type(words_subject())(lambda texts: np.ones((len(texts), 3)), "same"), "output", world.scans)
    with pytest.raises(UserError, match="too few English words"):
        simulated(seconds=1e5)
    with pytest.raises(UserError, match="bad tuning"):
        simulate_voxels(documents(), ["a", "b"], likes(["river"]), SimulationSpec(runs=4, seconds=100.0))
