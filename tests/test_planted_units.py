"""Planted units: functions that stand on their own, and programs that equal them exactly on real text."""

from __future__ import annotations

import re

import numpy as np
import pytest

from glossator.corpora import open_corpus
from glossator.errors import UserError
from glossator.inputs.tokens import TokenWindows, Vocabulary
from glossator.planted import planted_units
from glossator.planted.memory import MEMORY, MEMORY_KINDS
from glossator.planted.units import KINDS, PlantedUnit
from glossator.programs import Lexicon, execute, parse_program

WIDTH = 48
PIECE = re.compile(rb" ?[A-Za-z]{1,9}|[A-Za-z]+?|[0-9]| ?[^\sA-Za-z0-9\x80-\xff]{1,3}|\s|[\x80-\xff]")
"""Words in pieces of up to nine letters, digits one by one, bytes of other characters one by one."""


@pytest.fixture(scope="module")
def real_text() -> TokenWindows:
    """About 200k tokens of the embedded corpus, cut by a tokenizer that breaks words and characters."""
    ids: dict[bytes, int] = {}
    rows: list[list[int]] = []
    owners: list[int] = []
    for number, document in enumerate(open_corpus("embedded").documents()):
        if number % 5:
            continue
        tokens = [ids.setdefault(piece, len(ids)) for piece in PIECE.findall(document.text.encode())]
        found = [tokens[i : i + WIDTH] for i in range(0, len(tokens), WIDTH)]
        rows += found
        owners += [number] * len(found)
        if len(rows) * WIDTH > 200_000:
            break
    lengths = np.array([len(row) for row in rows], dtype=np.int32)
    inside = np.arange(WIDTH) < lengths[:, None]
    tokens_of = np.zeros(inside.shape, dtype=np.int32)
    tokens_of[inside] = np.concatenate(rows)
    valid = inside & (np.random.default_rng(0).random(inside.shape) < 0.98)
    vocabulary = Vocabulary("pieces", tuple(ids))
    return TokenWindows(tokens_of, lengths, valid, np.array(owners), np.arange(len(rows)), vocabulary)


@pytest.fixture(scope="module")
def lexicon(real_text) -> Lexicon:
    return Lexicon(real_text.vocabulary)


def named(unit: PlantedUnit) -> str:
    return f"{unit.kind}-{unit.name}"


@pytest.mark.parametrize("unit", planted_units(), ids=named)
def test_the_truth_program_equals_the_function_on_real_text(unit, real_text, lexicon):
    values = unit.activations(real_text)
    np.testing.assert_array_equal(values, execute(unit.truth_program, real_text, lexicon))
    assert values.dtype == np.float32 and not values[~real_text.valid].any()
    rate = (values > 0).sum() / real_text.valid.sum()
    low, high = (1e-5, 5e-4) if unit.kind == "rare" else (4e-4, 0.99)
    assert low < rate < high, rate


def test_the_library_covers_every_kind():
    units = planted_units()
    assert len(units) >= 40 and len({named(u) for u in units}) == len(units)
    for kind in KINDS:
        assert len(planted_units(kind)) >= 4, kind
    with pytest.raises(UserError, match="did you mean rare"):
        planted_units("rear")


def test_units_that_remember_come_in_two_halves_of_every_kind(real_text):
    few = real_text.take(np.arange(0, len(real_text), 8))
    assert len(MEMORY) >= 24 and len({u.name for u in MEMORY}) == len({u.description for u in MEMORY}) == len(MEMORY)
    for kind in MEMORY_KINDS:
        tuned = [u.tuned for u in MEMORY if u.kind == kind]
        assert len(tuned) >= 4 and 2 * sum(tuned) == len(tuned), kind
    values = {u.name: u.activations(few) for u in MEMORY}
    assert len({v.tobytes() for v in values.values()}) == len(MEMORY)
    values.pop("curly-quotes")  # whose marks this tokenizer cuts into bytes
    for name, found in values.items():
        assert 2e-4 < (found > 0).sum() / few.valid.sum() < 0.6, name


def test_explanations_of_every_quality():
    units = planted_units()
    kind_of = {u.description: u.kind for u in units}
    assert len(kind_of) == len(units), "no two units have the same description"
    for unit in units:
        assert unit.description and unit.vague and unit.partial != unit.description
        assert kind_of[unit.wrong] != unit.kind
    assert sum(bool(u.partial) for u in units) >= 30
    assert all(u.partial for u in planted_units("conjunction", "disjunction"))


def test_no_two_units_are_the_same(real_text):
    few = real_text.take(np.arange(0, len(real_text), 4))
    seen = {u.activations(few).tobytes(): u for u in planted_units() if u.kind != "rare"}
    assert len(seen) == len([u for u in planted_units() if u.kind != "rare"])


def test_functions_do_not_look_ahead(real_text):
    """Cutting a window changes nothing before the cut."""
    some = real_text.take(np.flatnonzero(real_text.lengths == WIDTH)[:60])
    cut = TokenWindows(
        some.tokens[:, :20],
        np.full(len(some), 20, np.int32),
        some.valid[:, :20],
        some.documents,
        some.ids,
        some.vocabulary,
    )
    for unit in (*planted_units(), *MEMORY):
        np.testing.assert_array_equal(unit.activations(some)[:, :20], unit.activations(cut), err_msg=unit.name)


def test_a_wrong_truth_program_would_be_noticed(real_text, lexicon):
    unit = next(u for u in planted_units("conjunction") if u.name == "and-after-comma")
    wrong = parse_program('0 + 1*token(" and")')
    assert not np.array_equal(unit.activations(real_text), execute(wrong, real_text, lexicon))


def test_no_windows_and_all_padding(real_text):
    none = real_text.take(np.arange(0))
    padding = TokenWindows(
        np.zeros((2, 5), np.int32),
        np.zeros(2, np.int32),
        np.zeros((2, 5), bool),
        np.zeros(2),
        np.zeros(2),
        none.vocabulary,
    )
    for unit in planted_units():
        assert unit.activations(none).shape == (0, WIDTH)
        assert not unit.activations(padding).any()
