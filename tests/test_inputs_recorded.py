"""Images, texts and stimuli go the way that tokens go: recorded, drawn, scored; or they say what is missing."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from glossator import registry
from glossator.corpora import probe_set
from glossator.errors import MissingPower, UserError
from glossator.explanations import Explanation, Headline, Mode, Provenance
from glossator.inputs import WHOLE, Grid, Images, Stimuli, Texts
from glossator.programs import parse_program
from glossator.recording import EvidenceSpec, draw, open_recording, record, recording_spec
from glossator.recording.texts import site_values
from glossator.scorers.lab import Lab, score_explanations
from glossator.simulators import ACTIVATION, Simulation, Simulator
from glossator.subjects.base import Power, check_power
from glossator.subjects.functions import FunctionSubject, ModuleSubject
from glossator.subjects.measured import MeasuredSubject, load_responses
from glossator.units import Unit

N, CELLS = 240, Grid("cells", (4, 4))
ANIMALS = ("cat", "dog", "horse", "cow")


def images(n: int = N) -> Images:
    """Noise; a third of them have one bright red cell."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 60, (n, 16, 16, 3)).astype(np.uint8)
    for row in range(0, n, 3):
        y, x = 4 * rng.integers(0, 4, 2)
        pixels[row, y : y + 4, x : x + 4, 0] = 250
    return Images.of(pixels, np.arange(n) // 2)


def texts(n: int = N) -> tuple[str, ...]:
    rng = np.random.default_rng(1)
    words = [*ANIMALS, "table", "river", "cloud", "paper", "stone", "glass"]
    return tuple(" ".join(rng.choice(words, 3)) for _ in range(n))


def redness(pixels: np.ndarray) -> np.ndarray:
    """(n, 4, 4, 2): how red, and how dark, each cell is."""
    cells = pixels.reshape(len(pixels), 4, pixels.shape[1] // 4, 4, pixels.shape[2] // 4, 3).mean(axis=(2, 4))
    return np.stack([cells[..., 0] / 255, 1 - cells.mean(-1) / 255], axis=-1)


def animals(given: list[str]) -> list[list[float]]:
    return [[sum(word in ANIMALS for word in text.split()) + len(text) / 50, len(text)] for text in given]


class Red(torch.nn.Module):
    """A convolution that sees red, and the mean of what it gives."""

    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 2, 4, stride=4)
        self.head = torch.nn.Linear(2, 1)
        with torch.no_grad():
            self.conv.weight[:] = torch.tensor([[1.0, -0.5, -0.5], [-1, -1, -1]])[:, :, None, None] / 16
            self.conv.bias.zero_()
            self.head.weight[:] = torch.tensor([[1.0, 0.0]])
            self.head.bias[:] = 1.0

    def forward(self, x):
        return self.head(self.conv(x).mean((2, 3)))


def scaled(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.array(pixels)).permute(0, 3, 1, 2).float() / 255


def red_module() -> ModuleSubject:
    def prepare(given: Images) -> torch.Tensor:
        return scaled(given.pixels)

    sites = {"conv": CELLS, "head": WHOLE}
    return ModuleSubject(Red(), prepare, sites, "red")


def subjects():
    stimuli = Stimuli.of(texts(), np.arange(N) // 20)
    responses = np.asarray(animals(list(texts())))
    return {
        "function of texts": (FunctionSubject(animals, "animals"), Texts.of(texts()), ["output"]),
        "function of images": (FunctionSubject(redness, "redness", takes="images", grid=CELLS), images(), ["output"]),
        "module": (red_module(), images(), ["conv", "head"]),
        "function of stimuli": (FunctionSubject(animals, "animals", takes="stimuli"), stimuli, ["output"]),
        "measured": (MeasuredSubject(stimuli, responses, "voxels"), stimuli, ["responses"]),
    }


@pytest.fixture(params=list(subjects()))
def recorded(request, tmp_path):
    subject, inputs, sites = subjects()[request.param]
    probes = probe_set(inputs, fractions=(0.4, 0.1, 0.1, 0.4), name="made up")
    spec = recording_spec(subject, probes, sites, top_k=60, batch_tokens=400)
    return subject, inputs, sites, record(spec, subject, probes, tmp_path / "r", progress=False)


def all_values(subject, inputs, site) -> np.ndarray:
    found = {}
    subject.visit(inputs, [site], lambda name, values: found.update({name: values.float().numpy()}))
    return found[site]


def test_values_inputs_and_splits_come_back(recorded):
    subject, inputs, sites, recording = recorded
    again = open_recording(recording.folder)
    assert (
        again.inputs.kind == inputs.kind and again.inputs.content() == inputs.regrouped(again.inputs.groups).content()
    )
    groups = again.inputs.groups
    for group in np.unique(groups):
        assert len(set(again.split_of_input[groups == group].tolist())) == 1
    for site in sites:
        truth = all_values(subject, inputs, site)
        for index in range(truth.shape[2]):
            unit = Unit(subject.name, site, index)
            np.testing.assert_allclose(
                again.values(unit, again.panel), truth[again.panel, :, index], rtol=2e-3, atol=1e-6
            )
            best = truth[:, :, index].max(axis=1)
            np.testing.assert_allclose(best[again.top_rows(unit)], np.sort(best)[::-1][: len(again.top_rows(unit))])
            moments = again.moments(unit)
            assert moments.count == truth[:, :, index].size
            assert moments.mean == pytest.approx(truth[:, :, index].mean(), rel=1e-5, abs=1e-6)


class Truth(Simulator):
    """Predicts what the subject does, times 2 and noisy."""

    def __init__(self, subject, unit):
        self.subject, self.unit = subject, unit

    def simulate(self, explanation, inputs, grid=None):
        if not len(inputs):
            return Simulation(np.zeros((0, grid.places)), ACTIVATION)
        values = all_values(self.subject, inputs, self.unit.site)[:, :, self.unit.index] * self.unit.sign
        noise = np.random.default_rng(len(inputs)).normal(size=values.shape)
        return Simulation(2 * values + 0.3 * values.std() * noise, ACTIVATION)


OBSERVATIONAL = ("correlation", "explained-variance", "detection", "firing", "peak", "specificity")


def test_scores_of_any_grid_are_well_formed(recorded):
    subject, _, sites, recording = recorded
    for site in sites:
        unit = Unit(subject.name, site, 0)
        evidence = draw(recording, unit, EvidenceSpec(min_firing_windows=3, test_top=20))
        assert evidence.status == "ok", evidence.reason
        test = evidence.test
        assert test.activations.shape == (len(test), recording.grid(site).places) == test.valid.shape
        assert test.pooled().activations.shape == (len(test), 1)
        explanation = Explanation(unit, "made up", Provenance("told"))
        lab = Lab(None, Truth(subject, unit))
        scores = {s.name: s for s in score_explanations(unit, [explanation], evidence, lab, OBSERVATIONAL)[0]}
        assert scores["correlation.random-only"].value > 0.9
        assert scores["detection.auroc.random-only"].value > 0.9
        assert scores["explained-variance.centred.random-only"].value > 0.8
        per_input, hit = scores["correlation.per-window.random-only"], scores["peak.hit"]
        if recording.grid(site) == WHOLE:
            assert per_input.value is None and hit.value is None, "one value an input has no peak"
            assert "one value" in hit.reason
        else:
            assert per_input.value > 0.5 and hit.value > 0.5


@pytest.mark.parametrize("name", [*registry.table("scorers")])
def test_every_scorer_scores_or_says_what_is_missing(name, recorded):
    subject, _, sites, recording = recorded
    unit = Unit(subject.name, sites[0], 0)
    evidence = draw(recording, unit, EvidenceSpec(min_firing_windows=3))
    named = Headline("animals", parse_program("0.0 + 1.0*word(months)"))
    explanation = Explanation(unit, "animals", Provenance("told"), headline=named, modes=(Mode(named, 0.5, 1.0),))
    scores = score_explanations(unit, [explanation], evidence, Lab(None, Truth(subject, unit)), [name])[0]
    assert scores and all((s.value is None) != (s.reason is None) for s in scores)


def test_marked_cells_stay_bright():
    shown = images().show(0, CELLS, np.arange(16) == 5).image
    whole = images().pixels[0]
    assert (shown[4:8, 4:8] == whole[4:8, 4:8]).all() and shown.mean() < 0.5 * whole.mean()
    assert (images().show(0).image == whole).all() and texts()[3] == Texts.of(texts()).show(3).text


def test_measured_responses_cannot_be_run_again():
    measured, inputs, _ = subjects()["measured"]
    with pytest.raises(MissingPower, match=r"(?s)run on new inputs.*powers are none"):
        check_power(measured, Power.RUN, "a test")
    with pytest.raises(MissingPower, match="run on new inputs"):
        site_values(measured, "responses", [0], inputs)
    with pytest.raises(UserError, match="has no measured response"):
        measured.visit(Stimuli(("x",), np.array([10**6]), np.zeros(1, int), np.zeros(1)), ["responses"], print)


def test_responses_are_read_from_files(tmp_path):
    values = np.random.default_rng(0).normal(size=(5, 3))
    np.save(tmp_path / "a.npy", values)
    np.savez(tmp_path / "b.npz", values)
    assert (load_responses(tmp_path / "a.npy") == values).all() and (load_responses(tmp_path / "b.npz") == values).all()
    with pytest.raises(UserError, match="unknown kind"):
        load_responses(tmp_path / "c.txt")


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda t: [1.0], "another shape"),
        (lambda t: ["x"] * len(t), "no numbers"),
        (lambda t: 1 / 0, "See line"),
    ],
)
def test_functions_that_give_no_numbers_say_so(function, said):
    with pytest.raises(UserError, match=said):
        FunctionSubject(function, "f").values(Texts.of(["a", "b"]))


def test_cells_must_have_a_number():
    with pytest.raises(UserError, match="not finite"):
        FunctionSubject(lambda p: np.full((N, 4, 4), np.nan), "f", takes="images", grid=CELLS).values(images())


def test_wrong_inputs_say_what_is_taken():
    subject = FunctionSubject(animals, "animals")
    with pytest.raises(MissingPower, match="takes texts"):
        subject.visit(images(), ["output"], print)
    with pytest.raises(UserError, match="not images"):
        Images.of(np.zeros((2, 3, 3), np.uint8))
    with pytest.raises(UserError, match="cannot be split"):
        probe_set(Texts.of(["a", "b"]))
