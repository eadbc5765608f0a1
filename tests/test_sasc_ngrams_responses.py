"""Functions and read-outs as subjects of texts: what is an answer, each text run once, vectors on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from glossator.corpora import probe_set
from glossator.corpora.ngrams import NgramSpec, extract_ngrams
from glossator.errors import MissingPower, UserError
from glossator.explainers.naming.task import Responses
from glossator.inputs import WHOLE, Texts
from glossator.recording import open_recording, record, recording_spec
from glossator.recording.responses_in_text import responses_in_text
from glossator.recording.texts import responses
from glossator.subjects.functions import FunctionSubject, as_values
from glossator.subjects.text_readouts import EmbedderSubject, Nearness
from glossator.subjects.texts_cache import CachedEmbedder, TextsCache
from glossator.units import Unit

TEXTS = ("a", "bb", "ccc", "bb d", "eeeee", "ff")


class Letters:
    """An embedder that counts letters, and its own calls."""

    name, fingerprint, width = "letters", "letters-1", 26

    def __init__(self) -> None:
        self.seen: list[str] = []

    def embed(self, texts):
        self.seen += texts
        counts = np.array([[text.count(chr(97 + i)) for i in range(26)] for text in texts], np.float32)
        return counts / np.maximum(np.linalg.norm(counts, axis=1, keepdims=True), 1)


def lengths(texts: list[str]) -> list[int]:
    return [len(text) for text in texts]


def values_of(function, texts=TEXTS) -> list:
    return FunctionSubject(function, "f").answers(texts)[:, 0].tolist()


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(-1e3, 1e3, width=32) | st.just(np.nan), min_size=1, max_size=30))
def test_mean_and_sigma_are_those_of_numpy(values) -> None:
    known = np.array(values)[np.isfinite(values)]
    found = Responses.of(np.array(values))
    assert (found.count, found.missing) == (len(known), len(values) - len(known))
    if len(known):
        assert found.mean == pytest.approx(known.mean()) and found.sigma == pytest.approx(known.std())


@settings(deadline=None, max_examples=40)
@given(st.lists(st.text("ab ", max_size=5), min_size=1, max_size=30), st.integers(1, 9))
def test_each_text_is_run_once_and_batches_change_nothing(texts, batch) -> None:
    calls: list[str] = []

    def function(part: list[str]) -> list[float]:
        assert len(part) <= batch
        calls.extend(part)
        return [text.count("a") / 4 for text in part]

    subject = FunctionSubject(function, batch=batch)
    expected = [text.count("a") / 4 for text in texts]
    for _ in range(2):
        assert responses(subject, "output", [0], texts)[:, 0].tolist() == expected
    assert sorted(calls) == sorted(set(texts))


def test_answers_beyond_the_memory_are_right_and_computed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glossator.subjects.functions.REMEMBERED", 200)
    subject = FunctionSubject(lengths)
    assert subject.answers(TEXTS)[:, 0].tolist() == subject.answers(TEXTS)[:, 0].tolist() == [1, 2, 3, 4, 5, 2]


def test_dead_constant_and_missing_are_said() -> None:
    nan, inf = float("nan"), float("inf")

    def problem(function) -> str | None:
        return Responses.of(FunctionSubject(function, "f").answers(TEXTS)[:, 0]).problem

    assert problem(lambda t: [0.0] * len(t)) == "dead: 0 on every n-gram"
    assert problem(lambda t: [0.25] * len(t)) == "constant: 0.25 on every n-gram"
    assert "constant" in str(problem(lambda t: torch.full((len(t),), 0.1) * (1 + 1e-7 * torch.arange(len(t)))))
    assert problem(lambda t: [nan] * len(t)) == "no finite value"
    assert problem(lambda t: [None if "b" in x else 0 for x in t]) == "dead: 0 on every n-gram"
    assert problem(lambda t: [nan if "b" in x else len(x) for x in t]) is None
    assert np.isnan(values_of(lambda t: [inf if "b" in x else -inf if x == "a" else 1 for x in t])).tolist() == [
        True, True, False, True, False, False,
    ]  # fmt: skip


def test_a_text_without_a_response_does_not_count_in_a_recording(tmp_path: Path) -> None:
    def odd(texts: list[str]) -> list[list[float]]:
        return [[float("nan") if "7" in text else len(text), float(text)] for text in texts]

    subject = FunctionSubject(odd, "odd")
    probes = probe_set(Texts.of([str(number) for number in range(60)]), name="numbers")
    spec = recording_spec(subject, probes, ["output"], top_k=100)
    recording = record(spec, subject, probes, tmp_path / "r", progress=False)
    again = open_recording(recording.folder)
    counting = np.array(["7" not in text for text in probes.inputs.texts])
    assert (again.inputs.valid_at(WHOLE)[:, 0] == counting).all() and again.valid_places("output") == counting.sum()
    for index in (0, 1):
        unit, truth = Unit("odd", "output", index), subject.answers(probes.inputs.texts)[:, index]
        assert again.moments(unit).count == counting.sum()
        assert again.moments(unit).mean == pytest.approx(truth[counting].mean())
        assert set(again.top_rows(unit).tolist()) == set(np.flatnonzero(counting).tolist())


def test_a_unit_without_any_response_is_refused() -> None:
    subject = FunctionSubject(lambda t: [[1.0, float("nan")]] * len(t), "half")
    with pytest.raises(UserError, match=r"no response to any text: 'units \[1\]'"):
        subject.counted(Texts.of(TEXTS))


@pytest.mark.parametrize(
    "output",
    [
        1.0,
        "1234",
        [1.0],
        {"a": 1},
        ["x"] * 6,
        [[1, 2], [1]] * 3,
        np.zeros((6, 0)),
        np.zeros((6, 2, 2)),
        np.zeros(6, complex),
        np.array(["1"] * 6),
        [object()] * 6,
        [1e300] * 6,
    ],
    ids=lambda output: str(output)[:20],
)
def test_what_is_no_answer_is_refused(output: object) -> None:
    with pytest.raises(UserError, match="the function 'f'"):
        values_of(lambda t: output)


def test_all_kinds_of_numbers_are_taken() -> None:
    expected = [1.0, 2.0, 3.0]
    for output in (
        [1, 2, 3],
        (1.0, 2.0, 3.0),
        np.array([1, 2, 3], np.int8),
        np.array([1, 2, 3], np.float16),
        torch.tensor([1.0, 2.0, 3.0], requires_grad=True),
        torch.tensor([1.0, 2.0, 3.0], dtype=torch.bfloat16),
        torch.tensor([[1], [2], [3]]),
        [torch.tensor(1.0), torch.tensor(2.0), torch.tensor(3.0)],
        (float(x) for x in (1, 2, 3)),
    ):
        values = as_values(output, 3, WHOLE, "m")
        assert values.shape == (3, 1, 1) and values.dtype == np.float32
        assert values[:, 0, 0].tolist() == expected
    assert as_values([True, False], 2, WHOLE, "m")[:, 0, 0].tolist() == [1.0, 0.0]
    assert as_values([[1, 2], [3, 4]], 2, WHOLE, "m")[:, 0].tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: FunctionSubject(7),
        lambda: FunctionSubject(lengths, batch=0),
        lambda: FunctionSubject(lambda t: np.zeros((len(t), len(t))), batch=4).answers([str(i) for i in range(9)]),
    ],
)
def test_bad_input(wrong) -> None:
    with pytest.raises(UserError):
        wrong()


# ---------------------------------------------------------------- read-outs, vectors on disk


def test_units_of_a_read_out_share_its_pass(tmp_path: Path) -> None:
    embedder, points = Letters(), np.eye(26, dtype=np.float32)
    near = EmbedderSubject(embedder, Nearness(points[:5]))
    values = responses(near, "output", range(5), TEXTS)
    assert sorted(embedder.seen) == sorted(TEXTS)
    expected = -np.linalg.norm(embedder.embed(list(TEXTS))[:, None] - points[None, :5], axis=2)
    np.testing.assert_allclose(values, expected, atol=1e-6)
    one, other = Letters(), Letters()
    EmbedderSubject(CachedEmbedder(one, tmp_path), lambda v: v[:, 0], "first").answers(TEXTS)
    second = EmbedderSubject(CachedEmbedder(other, tmp_path), lambda v: v[:, 1], "second").answers(TEXTS)
    assert other.seen == [] and second[:, 0].argmax() == 1
    prints = {EmbedderSubject(one, Nearness(points[i])).fingerprint for i in range(3)}
    assert len(prints) == 3 and EmbedderSubject(other, Nearness(points[0])).fingerprint in prints


def test_a_cache_never_gives_another_embedders_or_another_texts_vectors(tmp_path: Path) -> None:
    def run(fingerprint: str, texts) -> tuple[list[float], list[str]]:
        bare = Letters()
        bare.fingerprint = fingerprint
        return CachedEmbedder(bare, tmp_path).embed(texts)[:, 1].tolist(), bare.seen

    first = run("v1", TEXTS)
    assert len(first[1]) == 6 and run("v1", TEXTS) == (first[0], [])
    assert len(run("v2", TEXTS)[1]) == 6 and sorted(run("v1", ("zebra", "y", "bb"))[1]) == ["y", "zebra"]
    assert len(run("../../outside", TEXTS)[1]) == 6 and run("../../outside", TEXTS)[1] == []
    assert {path.parent.parent for path in tmp_path.rglob("*.npy")} == {tmp_path}


@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY\x01\x00v\x00{'descr'", b"not an array at all"])
def test_a_damaged_shard_is_computed_again(tmp_path: Path, damage: bytes) -> None:
    expected = CachedEmbedder(Letters(), tmp_path).embed(TEXTS)
    (shard,) = tmp_path.rglob("*.npy")
    shard.write_bytes(damage)
    bare = Letters()
    assert np.array_equal(CachedEmbedder(bare, tmp_path).embed(TEXTS), expected) and len(bare.seen) == 6
    assert [*tmp_path.rglob("*.npy")] == [shard] and shard.read_bytes() != damage


def test_one_fingerprint_for_two_shapes_is_an_error(tmp_path: Path) -> None:
    TextsCache(tmp_path, "f").put(["a"], np.zeros((1, 2)))
    with pytest.raises(UserError, match="another shape"):
        TextsCache(tmp_path, "f").put(["other"], np.zeros((1, 3)))


def test_two_processes_write_one_folder(tmp_path: Path) -> None:
    one, other = TextsCache(tmp_path, "f"), TextsCache(tmp_path, "f")
    one.put(["a", "b"], np.array([[1.0], [2.0]]))
    other.put(["b", "c"], np.array([[2.0], [3.0]]))
    one.refresh()
    known, rows = one.get(["c", "x", "a", "b"])
    assert known.tolist() == [True, False, True, True] and rows[:, 0].tolist() == [3.0, 1.0, 2.0]
    assert len(one) == 3


def test_the_cached_embedder_is_an_embedder(tmp_path: Path) -> None:
    bare = Letters()
    cached = CachedEmbedder(bare, tmp_path)
    texts = ["ab", "c", "ab", "", "dd"]
    expected = Letters().embed(texts)
    assert np.array_equal(cached.embed(texts), expected) and len(bare.seen) == 4
    assert np.array_equal(cached.embed(texts[::-1]), expected[::-1]) and len(bare.seen) == 4
    assert cached.embed([]).shape == (0, 26) and (cached.name, cached.width) == ("letters", 26)


def test_functions_have_no_values_in_running_text() -> None:
    ngrams = extract_ngrams(["a b"], NgramSpec(n=1))
    for subject in (FunctionSubject(lengths), EmbedderSubject(Letters(), lambda v: v[:, 0])):
        with pytest.raises(MissingPower):
            responses_in_text(subject, ["a b"], ngrams)
