"""Edits: what each part and change does, where, and what is refused; the divergence they are measured in."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch

from causal_cases import planted_subject, subject_of, tiny_windows
from glossator.causal import (
    Add,
    Clamp,
    Direction,
    Edit,
    Head,
    Latents,
    Scale,
    Set,
    Splice,
    Units,
    Whole,
    divergences,
    jensen_shannon,
    resampled,
    run,
)
from glossator.causal.divergence import Reference
from glossator.causal.edits import bind, editing
from glossator.causal.restart import restart_of
from glossator.causal.running import forward
from glossator.errors import MissingPower, UserError
from glossator.readouts import BaseReadout
from glossator.subjects import capture, edit
from glossator.subjects.base import BaseSubject


@pytest.fixture(scope="module")
def subject():
    return subject_of("llama", double=True)


@pytest.fixture(scope="module")
def windows(subject):
    return tiny_windows(subject)


def run_whole(subject, windows, edits=(), sites=()):
    """log_probs (n, w, V) and values by site, over all batches."""
    batches = list(run(subject, windows, edits, sites=sites, batch_tokens=2 * windows.width))
    assert len(batches) == 3
    return torch.cat([b.log_probs for b in batches]), {
        site: torch.cat([b.values[site] for b in batches]) for site in sites
    }


def by_hand(subject, windows, site, change):
    """Log-probabilities with the tensor of a site, without prefix, changed by plain code."""
    ids = torch.from_numpy(np.pad(windows.tokens, ((0, 0), (1, 0))).astype(np.int64))
    with torch.inference_mode(), edit(subject.model, site, lambda t: torch.cat([t[:, :1], change(t[:, 1:])], dim=1)):
        return subject.model(ids).logits[:, 1:].log_softmax(-1)


def column(values, index, new):
    changed = values.clone()
    changed[..., index] = new(values[..., index])
    return changed


@pytest.mark.parametrize(
    ("change", "new"),
    [
        (Set(2.0), lambda x: torch.full_like(x, 2.0)),
        (Add(-1.5), lambda x: x - 1.5),
        (Scale(3.0), lambda x: 3 * x),
        (Clamp(-0.05, 0.1), lambda x: x.clamp(-0.05, 0.1)),
        (Clamp(high=0.0), lambda x: x.clamp(max=0.0)),
        (Clamp(), lambda x: x),
    ],
)
def test_changes_equal_the_edit_by_hand(subject, windows, change, new):
    ours, values = run_whole(subject, windows, [Edit("mlp.0", Units(7), change)], ["mlp.0"])
    theirs = by_hand(subject, windows, "mlp.0", lambda t: column(t, 7, new))
    real = torch.arange(windows.width) < torch.from_numpy(windows.lengths)[:, None]
    torch.testing.assert_close(ours[real], theirs[real], rtol=0, atol=1e-6)
    clean = run_whole(subject, windows, sites=["mlp.0"])[1]["mlp.0"]
    torch.testing.assert_close(
        values["mlp.0"][real][:, 7], new(clean[real][:, 7]), msg="values are those after the edit"
    )


def test_a_splice_equals_the_edit_by_hand(subject, windows):
    """Row numbers are those of all windows, not of the batch."""
    values = np.random.default_rng(0).normal(size=(*windows.tokens.shape, 2))
    ours, _ = run_whole(subject, windows, [Edit("mlp.1", Units([3, 9]), Splice(values))])
    theirs = by_hand(subject, windows, "mlp.1", lambda t: column(t, [3, 9], lambda x: torch.from_numpy(values)))
    real = torch.arange(windows.width) < torch.from_numpy(windows.lengths)[:, None]
    torch.testing.assert_close(ours[real], theirs[real], rtol=0, atol=1e-6)


def test_several_edits_are_in_force_in_their_order(subject, windows):
    edits = [
        Edit("mlp.0", Units(7), Set(1.0)),
        Edit("mlp.0", Units([7, 8]), Add(2.0)),
        Edit("mlp.1", Whole(), Scale(0.5)),
    ]
    values = run_whole(subject, windows, edits, ["mlp.0", "mlp.1"])[1]
    plain = run_whole(subject, windows, edits[:2], ["mlp.0", "mlp.1"])[1]
    assert torch.all(values["mlp.0"][0, :, 7] == 3.0)
    torch.testing.assert_close(values["mlp.1"][0], plain["mlp.1"][0] / 2)


def test_a_direction_keeps_what_is_orthogonal_to_it(subject, windows):
    vector, centre = np.random.default_rng(0).normal(size=(2, 32))
    unit = vector / np.linalg.norm(vector)
    part = Direction(vector * 3, offset=float(centre @ unit))
    clean = run_whole(subject, windows, sites=["resid.0"])[1]["resid.0"][0].numpy()
    moved = run_whole(subject, windows, [Edit("resid.0", part, Set(4.0))], ["resid.0"])[1]["resid.0"][0].numpy()
    np.testing.assert_allclose((moved - centre) @ unit, 4.0)
    basis = np.eye(32) - np.outer(unit, unit)
    np.testing.assert_allclose(moved @ basis, clean @ basis, atol=1e-12)


def test_a_head_is_its_slice(subject, windows):
    clean = run_whole(subject, windows, sites=["head.1"])[1]["head.1"][0]
    moved = run_whole(subject, windows, [Edit("head.1", Head(2), Set(np.arange(8.0)))], ["head.1"])[1]["head.1"][0]
    torch.testing.assert_close(moved[:, 16:24], torch.arange(8.0, dtype=torch.float64).expand(windows.width, 8))
    others = [i for i in range(32) if not 16 <= i < 24]
    torch.testing.assert_close(moved[:, others], clean[:, others], rtol=0, atol=0)


class Dictionary(BaseReadout):
    """A top-2 sparse autoencoder with random weights, which reconstructs badly."""

    width, fingerprint = 6, "toy"
    reads_at = writes_at = "resid.0"

    def __init__(self):
        rng = np.random.default_rng(0)
        self.encoder, self.decoder = (torch.from_numpy(rng.normal(size=shape)) for shape in ((32, 6), (6, 32)))

    def read(self, values):
        return torch.relu(values @ self.encoder).topk(2, dim=-1)

    def decoder_rows(self, indices):
        return self.decoder[list(indices)]


def test_latents_keep_the_reconstruction_error(subject, windows):
    dictionary = Dictionary()
    clean = run_whole(subject, windows, sites=["resid.0"])[1]["resid.0"][0]
    edits = [Edit("resid.0", Latents(dictionary, [1, 4]), Set(0.0))]
    moved = run_whole(subject, windows, edits, ["resid.0"])[1]["resid.0"][0]
    activations, numbers = dictionary.read(clean)
    dense = torch.zeros(windows.width, 6, dtype=torch.float64).scatter(-1, numbers, activations)
    expected = clean - dense[:, [1, 4]] @ dictionary.decoder[[1, 4]]
    torch.testing.assert_close(moved, expected)
    assert (moved != clean).any()


def test_prefix_padding_and_other_positions_stay_as_they_were(subject, windows):
    where = np.zeros(windows.tokens.shape, bool)
    where[:, 5] = True

    def positions(**options):
        edits = [Edit("mlp.0", Units(7), Set(99.0), **options)]
        rows = np.arange(len(windows))
        in_force = editing(subject, bind(subject, edits, windows), rows)
        with torch.inference_mode(), in_force, capture(subject.model, ["mlp.0"]) as found:
            forward(subject, windows, rows)
        return (found["mlp.0"][:, :, 7] == 99.0).numpy()

    real = np.arange(windows.width) < windows.lengths[:, None]
    changed = positions()
    assert not changed[:, 0].any(), "the prefix"
    np.testing.assert_array_equal(changed[:, 1:], real)
    np.testing.assert_array_equal(positions(where=np.ones_like(where))[:, 1:], real)
    np.testing.assert_array_equal(positions(where=where)[:, 1:], where & real)
    assert positions(borders=True).all()


def test_resampled_values_are_those_of_other_valid_tokens():
    values = np.arange(12.0).reshape(3, 4, 1)
    valid = np.array([[1, 1, 1, 0], [1, 1, 0, 0], [1, 1, 1, 1]], bool)
    drawn = resampled(values, valid, np.random.default_rng(0)).values
    assert set(drawn[valid].ravel()) <= set(values[valid].ravel())
    assert (drawn[valid] != values[valid]).any()
    np.testing.assert_array_equal(drawn[~valid], values[~valid])


def test_divergence_is_symmetric_and_at_most_ln_2():
    rng = np.random.default_rng(0)
    p, q = (torch.from_numpy(rng.normal(size=(4, 50)) * scale).log_softmax(-1) for scale in (1, 5))
    ours = jensen_shannon(p, q)
    m = ((p.exp() + q.exp()) / 2).log()
    theirs = ((p.exp() * (p - m)).sum(-1) + (q.exp() * (q - m)).sum(-1)) / 2
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(ours, jensen_shannon(q, p), rtol=0, atol=1e-15)
    assert (jensen_shannon(p, p) == 0).all()
    apart = torch.tensor([[0.0, -math.inf], [-math.inf, 0.0]])
    assert jensen_shannon(apart[:1], apart[1:]).item() == pytest.approx(math.log(2))
    assert (ours <= math.log(2)).all()


@pytest.mark.parametrize("scale", [1e-5, 1e-3, 0.1, 0.4, 1.0, 10.0, 200.0])
def test_divergence_from_logits_is_the_same(scale):
    """Also where float32 differences of entropies would be rounding alone."""
    rng = np.random.default_rng(0)
    clean = rng.normal(size=(2, 3, 1000)) * 3
    moved = clean + rng.normal(size=clean.shape) * scale + 5.0
    exact = jensen_shannon(torch.from_numpy(clean).log_softmax(-1), torch.from_numpy(moved).log_softmax(-1))
    single = [torch.from_numpy(x).float() for x in (clean, moved)]
    # What rounding the inputs does is not the method's: it is allowed for.
    found = Reference(single[0], [3, 2]).divergence(single[1])
    noise = 1e-6 * scale + 1e-12
    torch.testing.assert_close(found[0], exact[0].float(), rtol=2e-3, atol=noise * 0.1)
    assert found[1, 2] == 0
    double = Reference(torch.from_numpy(clean), [3, 3]).divergence(torch.from_numpy(moved))
    torch.testing.assert_close(double, exact, rtol=1e-6, atol=0)


def test_divergences_by_rows(subject, windows):
    edits = [[Edit("mlp.0", Units(7), Set(5.0))], []]
    found = divergences(subject, windows, edits, batch_tokens=30)
    clean, _ = run_whole(subject, windows)
    moved, _ = run_whole(subject, windows, edits[0])
    real = np.arange(windows.width) < windows.lengths[:, None]
    np.testing.assert_allclose(found[0][real], jensen_shannon(clean, moved).numpy()[real], rtol=1e-5)
    assert (found[0][~real] == 0).all()
    assert (found[1] == 0).all()
    np.testing.assert_array_equal(divergences(subject, windows, edits, rows=np.array([3, 1]))[0], found[0][[3, 1]])


def test_kept_clean_passes_change_nothing(subject, windows):
    """Also where later interventions start at other layers, and for edits that make whole passes."""
    edits = [[Edit(site, Units(7), Set(5.0))] for site in ("mlp.1", "mlp.0", "model.embed_tokens", "mlp.1")]
    restart_of(subject)
    for name in ("mlp.0", "model.embed_tokens"):
        subject.site(name)  # all ask the model by passes of their own, once
    kept, passes = {}, []
    hook = subject.model.lm_head.register_forward_hook(lambda *_: passes.append(1))
    found = [divergences(subject, windows, [one], batch_tokens=30, clean_passes=kept) for one in edits]
    hook.remove()
    assert len(passes) == 3 * (2 + 1 + 1 + 1), "three batches, clean only for the first"
    for ours, one in zip(found, edits, strict=True):
        np.testing.assert_array_equal(ours, divergences(subject, windows, [one], batch_tokens=30))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda w: Edit("mlp.9", Units(0), Set(0.0)), "no such site"),
        (lambda w: Edit("mlp.0", Units(64), Set(0.0)), "no such unit: 'mlp.0/64'. Allowed: 0 to 63"),
        (lambda w: Edit("resid.0", Direction(np.ones(5)), Set(0.0)), "another width than its site: 5. Allowed: 32"),
        (lambda w: Edit("resid.0", Head(0), Set(0.0)), "has no heads"),
        (lambda w: Edit("head.0", Head(4), Set(0.0)), "no such head"),
        (lambda w: Edit("resid.0", Latents(Dictionary(), 6), Set(0.0)), "no such latent: 6. Allowed: 0 to 5"),
        (lambda w: Edit("mlp.0", Units(0), Splice(np.zeros((2, 3)))), r"wrong shape: \(2, 3, 1\)"),
        (lambda w: Edit("mlp.0", Units(0), Splice(np.full(w.tokens.shape, np.nan))), "missing .NaN. at"),
        (lambda w: Edit("mlp.0", Units(0), Set(0.0), np.ones((2, 2), bool)), "`where` does not have the shape"),
        (
            lambda w: Edit("mlp.0", Units(0), Splice(np.zeros(w.tokens.shape)), borders=True),
            "every position in the same",
        ),
    ],
)
def test_edits_that_do_not_fit(subject, windows, make, message):
    with pytest.raises(UserError, match=message):
        list(run(subject, windows, [make(windows)]))


def test_parts_and_changes_that_mean_nothing():
    with pytest.raises(UserError, match="not zero"):
        Direction(np.zeros(3))
    with pytest.raises(UserError, match="wrong order"):
        Clamp(1.0, 0.0)


def test_subjects_that_cannot_be_acted_upon(subject, windows):
    class BlackBox(BaseSubject):
        name = "a classifier"

    with pytest.raises(MissingPower, match="not a model with sites"):
        list(run(BlackBox(), windows))
    encoder = subject_of("bert")
    with pytest.raises(MissingPower, match="no next-token distribution"):
        list(run(encoder, windows))
    sites = list(run(encoder, windows, [Edit("mlp.0", Units(0), Set(3.0))], sites=["mlp.0"], outputs=False))
    assert sites[0].values["mlp.0"][0, 0, 0] == 3.0


def test_windows_beyond_the_context(subject):
    with pytest.raises(UserError, match="too wide for this subject"):
        list(run(subject, tiny_windows(subject, width=64)))


def test_a_planted_neuron_moves_what_its_column_says():
    """Setting the decoy, which writes nothing, leaves every logit as it was; the dormant neuron's write is seen."""
    subject = planted_subject()
    windows = tiny_windows(subject)
    decoy, dormant = divergences(
        subject, windows, [[Edit("mlp.0", Units(1), Set(9.0))], [Edit("mlp.0", Units(2), Set(9.0))]]
    )
    assert decoy.max() < 1e-12
    assert dormant[windows.valid].min() > 1e-3


def test_edits_are_frozen():
    one = Edit("mlp.0", Units(0), Set(0.0))
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.site = "mlp.1"
