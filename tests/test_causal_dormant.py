"""Directions that work through what the model uses are told from those whose patch wakes a dormant pathway."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from causal_output_cases import CAUSAL, DECOY, DORMANT, NEURONS, RANDOM, SITE, WIDTH, planted
from glossator.causal.dormant import dormant_check, reading_weights, split
from glossator.causal.minimal_pairs import minimal_pairs
from glossator.errors import MissingPower, UserError

PAIRS = minimal_pairs(planted(), "number")


def axes(**lengths: float) -> np.ndarray:
    found = np.zeros(NEURONS)
    for name, length in lengths.items():
        found[{"causal": CAUSAL, "decoy": DECOY, "dormant": DORMANT, "random": RANDOM}[name]] = length
    return found


def test_a_used_direction_keeps_its_effect_and_a_dormant_one_loses_it():
    used = dormant_check(planted(), PAIRS, SITE, axes(causal=1))
    assert used.effect == pytest.approx(1.0, abs=0.1) and used.row_effect == pytest.approx(used.effect, abs=0.05)
    assert used.dormant is False and used.pairs == len(PAIRS)
    woken = dormant_check(planted(), PAIRS, SITE, axes(decoy=1, dormant=1))
    assert woken.effect > 0.3, "the patch alone looks like a finding"
    assert woken.dormant is True and woken.row_effect is not None and woken.row_effect < 0.5 * woken.effect
    assert woken.null_effect == pytest.approx(0.0, abs=1e-5)
    assert "does not read" in woken.reading and woken.site_effect == pytest.approx(1.0, abs=1e-2)
    assert used.null_variation < woken.null_variation


def test_what_nothing_reads_has_no_effect_to_split():
    silent = dormant_check(planted(), PAIRS, SITE, axes(decoy=1))
    assert silent.effect == 0.0 and silent.row_effect is None and silent.null_share == pytest.approx(1.0)
    assert silent.dormant is None and "too small" in silent.reading and silent.null_variation == pytest.approx(1.0)


def test_the_parts_are_row_and_null_space():
    rng = np.random.default_rng(0)
    reader, vector = rng.normal(size=(5, 12)), rng.normal(size=12)
    row, null = split(vector, reader)
    assert row + null == pytest.approx(vector)
    assert np.abs(reader @ null).max() < 1e-12 and abs(row @ null) < 1e-12
    assert np.linalg.lstsq(reader.T, row)[1][0] < 1e-20, "the row part is a combination of the rows"
    assert reading_weights(planted(), SITE).shape == (WIDTH, NEURONS)
    assert split(vector, np.zeros((3, 12)))[0] == pytest.approx(np.zeros(12))


def test_bad_input_says_what_is_wrong():
    with pytest.raises(MissingPower, match="choose the weights"):
        dormant_check(planted(), PAIRS, "resid.1", np.ones(WIDTH))
    found = dormant_check(planted(), PAIRS, "resid.1", np.ones(WIDTH), reader=np.eye(WIDTH))
    assert found.null_share == pytest.approx(0.0, abs=1e-12) and found.null_effect is None
    with pytest.raises(UserError, match="another width"):
        dormant_check(planted(), PAIRS, SITE, axes(causal=1), reader=np.eye(3))
    with pytest.raises(UserError, match="another width than its site"):
        dormant_check(planted(), PAIRS, SITE, np.ones(3))
    swapped = replace(PAIRS, base_answers=PAIRS.source_answers, source_answers=PAIRS.base_answers)
    for pairs, says in ((swapped, "rightly"), (PAIRS.take(np.arange(0)), "no minimal pairs")):
        with pytest.raises(UserError, match=says):
            dormant_check(planted(), pairs, SITE, axes(causal=1))
