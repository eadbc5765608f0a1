"""Responses: exact rankings, what cannot be ranked, caches that never mix modules, runs that are taken up again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from glossator.corpora.ngrams.extract import NgramSpec, extract_ngrams
from glossator.errors import MissingPower, UserError
from glossator.recording.responses import respond
from glossator.recording.responses_in_text import respond_in_text
from glossator.recording.responses_rank import Moments, TopK, rank
from glossator.subjects.modules import EmbedderModule, FunctionModule, Nearness, as_numbers
from glossator.subjects.texts_cache import CachedEmbedder, TextsCache

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


# ---------------------------------------------------------------- rankings


@settings(deadline=None, max_examples=150)
@given(
    st.lists(
        st.lists(st.sampled_from([0.0, 1.0, -1.0, 2.0, np.nan, np.inf, -np.inf]), min_size=2, max_size=2), max_size=40
    ),
    st.integers(1, 9),
    st.randoms(use_true_random=False),
)
def test_streaming_top_k_is_the_sorted_top_k_in_any_order(table, k, random) -> None:
    values = np.array(table, dtype=np.float64).reshape(-1, 2)
    order = list(range(len(values)))
    random.shuffle(order)
    top = TopK(2, k)
    while order:
        size = random.randint(1, 12)
        rows, order = np.array(order[:size]), order[size:]
        top.add(rows, values[rows])
    for unit in range(2):
        finite = [(-v, row) for row, v in enumerate(values[:, unit]) if np.isfinite(v)]
        expected = [row for _, row in sorted(finite)][:k]
        assert top.rows[unit][top.rows[unit] >= 0].tolist() == expected
        assert top.values[unit][: len(expected)].tolist() == [values[row, unit] for row in expected]


def test_rank_of_given_values() -> None:
    values = np.array([3.0, np.nan, 5.0, 3.0, np.inf])
    assert rank(values, 4).tolist() == [[2, 0, 3, -1]]
    assert rank(values, 2, largest=False).tolist() == [[0, 3]]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(-1e3, 1e3) | st.just(np.nan), min_size=1, max_size=30), st.integers(1, 7))
def test_moments_are_those_of_numpy(values, size) -> None:
    column = np.array(values)[:, None]
    moments = Moments(1)
    for start in range(0, len(column), size):
        moments.add(column[start : start + size])
    known = column[np.isfinite(column)]
    assert moments.count[0] == len(known) and moments.missing[0] == len(column) - len(known)
    if len(known):
        assert moments.mean[0] == pytest.approx(known.mean(), abs=1e-9)
        assert moments.sigma[0] == pytest.approx(known.std(), abs=1e-6)
        assert (moments.low[0], moments.high[0]) == (known.min(), known.max())


def test_both_ends_with_ties_by_row() -> None:
    responses = respond(lengths, TEXTS, k=3)
    (unit,) = responses.units
    assert unit.name == "lengths" and unit.problem is None
    assert unit.top == ((4, 5.0), (3, 4.0), (2, 3.0))
    assert unit.bottom == ((0, 1.0), (1, 2.0), (5, 2.0))
    assert unit.mean == pytest.approx(np.mean([len(t) for t in TEXTS]))
    assert unit.sigma == pytest.approx(np.std([len(t) for t in TEXTS]))
    assert responses.values is not None and responses.values[:, 0].tolist() == [1, 2, 3, 4, 5, 2]


@settings(deadline=None, max_examples=40)
@given(st.lists(st.text("ab ", max_size=5), min_size=1, max_size=30), st.integers(1, 40), st.integers(1, 5))
def test_chunks_and_repeats_change_nothing(texts, chunk, k) -> None:
    calls: list[str] = []

    def module(part: list[str]) -> list[float]:
        calls.extend(part)
        return [text.count("a") / 3 for text in part]

    responses = respond(module, texts, k=k, chunk=chunk)
    expected = [text.count("a") / 3 for text in texts]
    assert responses.values is not None and responses.values[:, 0].tolist() == expected
    if responses.units[0].problem is None:
        order = sorted(range(len(texts)), key=lambda row: (-expected[row], row))[:k]
        assert [row for row, _ in responses.units[0].top] == order
    whole = respond(module, texts, k=k)
    assert whole.units[0].top == responses.units[0].top and whole.units[0].bottom == responses.units[0].bottom
    calls.clear()
    respond(module, texts, k=k)
    assert sorted(calls) == sorted(set(texts))


# ---------------------------------------------------------------- what cannot be ranked


def test_dead_constant_and_missing_are_reported_and_never_ranked() -> None:
    nan, inf = float("nan"), float("inf")
    modules = [
        FunctionModule(lambda t: [0.0] * len(t), "dead"),
        FunctionModule(lambda t: [0.25] * len(t), "constant"),
        FunctionModule(lambda t: torch.full((len(t),), 0.1) * (1 + 1e-7 * torch.arange(len(t))), "rounding"),
        FunctionModule(lambda t: [nan] * len(t), "silent"),
        FunctionModule(lambda t: [nan if "b" in x else len(x) for x in t], "holes"),
        FunctionModule(lambda t: [inf if "b" in x else -inf if x == "a" else len(x) for x in t], "infinite"),
        FunctionModule(lambda t: [None if "b" in x else 0 for x in t], "dead with holes"),
    ]
    responses = respond(modules, TEXTS, k=4)
    assert set(responses.problems) == {"dead", "constant", "rounding", "silent", "dead with holes"}
    assert responses["dead"].problem == "dead: 0 on every n-gram"
    assert responses["constant"].problem == "constant: 0.25 on every n-gram"
    assert responses["silent"].problem == "no finite value" and responses["silent"].mean is None
    assert all(not unit.top and not unit.bottom for unit in responses.units if unit.problem)
    holes, infinite = responses["holes"], responses["infinite"]
    assert holes.missing == 2 and holes.count == 4 and [row for row, _ in holes.top] == [4, 2, 5, 0]
    assert infinite.infinite == 3 and infinite.missing == 0 and [row for row, _ in infinite.top] == [4, 2, 5]
    assert responses.values is not None and np.isnan(responses.values[:, 5]).sum() == 3
    assert responses["dead with holes"].missing == 2


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
    ],
    ids=lambda output: str(output)[:20],
)
def test_what_is_no_answer_is_refused(output: object) -> None:
    with pytest.raises(UserError, match="module 'bad'"):
        respond(FunctionModule(lambda t: output, "bad"), TEXTS)


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
        values = as_numbers(output, 3, "m")
        assert values.shape == (3, 1) and values.dtype in (np.float32, np.float64)
        assert values[:, 0].tolist() == expected
    assert as_numbers([True, False], 2, "m")[:, 0].tolist() == [1.0, 0.0]
    assert as_numbers([[1, 2], [3, 4]], 2, "m").tolist() == [[1, 2], [3, 4]]


def test_units_have_names() -> None:
    def two(texts: list[str]) -> np.ndarray:
        return np.array([[len(text), -len(text)] for text in texts])

    responses = respond([two, FunctionModule(two, "named", units=["up", "down"])], TEXTS)
    assert [unit.name for unit in responses.units] == ["two/0", "two/1", "named/up", "named/down"]
    assert responses["named/down"].bottom[0] == (4, -5.0)
    with pytest.raises(UserError, match="names another number"):
        respond(FunctionModule(two, units=["one"]), TEXTS)
    with pytest.raises(UserError, match="0 units"):
        responses["nobody"]


def test_modules_are_called_with_batches_of_at_most_their_size() -> None:
    sizes: list[int] = []

    def module(texts: list[str]) -> list[int]:
        sizes.append(len(texts))
        return lengths(texts)

    respond(FunctionModule(module, batch=4), [str(i) for i in range(10)])
    assert sizes == [4, 4, 2]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: respond([], TEXTS),
        lambda: respond(lengths, []),
        lambda: respond(lengths, TEXTS, k=0),
        lambda: respond(7, TEXTS),
        lambda: FunctionModule(lengths, batch=0),
        lambda: respond_in_text([], ["a b"], extract_ngrams(["a b"])),
        lambda: respond(FunctionModule(lambda t: np.zeros((len(t), len(t)))), [str(i) for i in range(9)], chunk=4),
    ],
)
def test_bad_input(wrong) -> None:
    with pytest.raises(UserError):
        wrong()


# ---------------------------------------------------------------- one pass for many, caches


def test_modules_on_one_embedder_share_its_pass() -> None:
    embedder = Letters()
    points = np.eye(26, dtype=np.float32)
    modules = [EmbedderModule(embedder, Nearness(points[i]), f"letter {i}") for i in range(5)]
    responses = respond(modules, TEXTS, chunk=4)
    assert sorted(embedder.seen) == sorted(TEXTS)
    vectors = embedder.embed(list(TEXTS))
    assert responses.values is not None
    expected = -np.linalg.norm(vectors[:, None] - points[None, :5], axis=2)
    np.testing.assert_allclose(responses.values, expected, atol=1e-6)
    assert responses["letter 1"].top[0][0] == 1
    together = respond(EmbedderModule(embedder, Nearness(points[:5]), "all"), TEXTS)
    assert together.values is not None
    np.testing.assert_allclose(together.values, responses.values, atol=1e-6)


def test_vectors_are_kept_by_embedder_so_that_new_read_outs_cost_nothing(tmp_path: Path) -> None:
    one, other = Letters(), Letters()
    respond(EmbedderModule(one, lambda v: v[:, 0], "first"), TEXTS, cache=tmp_path)
    responses = respond(EmbedderModule(other, lambda v: v[:, 1], "second"), TEXTS, cache=tmp_path)
    assert other.seen == [] and responses["second"].top[0][0] == 1
    changed = Letters()
    changed.fingerprint = "letters-2"
    respond(EmbedderModule(changed, lambda v: v[:, 1]), TEXTS, cache=tmp_path)
    assert sorted(changed.seen) == sorted(TEXTS)


def test_a_cache_never_gives_another_modules_or_another_texts_values(tmp_path: Path) -> None:
    calls: list[str] = []

    def make(fingerprint: str | None, times: float):
        def module(texts: list[str]) -> list[float]:
            calls.extend(texts)
            return [times * len(text) for text in texts]

        return FunctionModule(module, "same name", fingerprint=fingerprint)

    def run(module: FunctionModule, texts) -> list[float]:
        calls.clear()
        values = respond(module, texts, cache=tmp_path).values
        assert values is not None
        return values[:, 0].tolist()

    assert run(make("v1", 1), TEXTS) == [1, 2, 3, 4, 5, 2] and len(calls) == 6
    assert run(make("v1", 1), TEXTS) == [1, 2, 3, 4, 5, 2] and calls == []
    assert run(make("v2", 10), TEXTS) == [10, 20, 30, 40, 50, 20] and len(calls) == 6
    assert run(make("v1", 1), ("zebra", "y", "bb")) == [5, 1, 2] and sorted(calls) == ["y", "zebra"]
    assert run(make(None, 3), TEXTS) == [3, 6, 9, 12, 15, 6] and len(calls) == 6
    assert run(make(None, 4), TEXTS)[0] == 4 and len(calls) == 6
    assert run(make("../../outside", 2), TEXTS)[0] == 2
    assert run(make("../../outside", 2), TEXTS)[0] == 2 and calls == []
    assert {path.parent.parent for path in tmp_path.rglob("*.npy")} == {tmp_path}


def test_nan_is_kept_and_types_too(tmp_path: Path) -> None:
    module = FunctionModule(lambda t: np.array([np.nan, 1, 2], np.float32)[: len(t)], "m", fingerprint="m")
    first = respond(module, ["a", "b", "c"], cache=tmp_path)
    again = respond(module, ["a", "b", "c"], cache=tmp_path)
    assert first.units == again.units and again.units[0].missing == 1
    assert next(tmp_path.rglob("*.npy")).stat().st_size < 1000


def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(tmp_path: Path) -> None:
    texts = [f"{'x' * (i % 7)} {i}" for i in range(40)]
    calls: list[list[str]] = []

    def module(part: list[str]) -> list[float]:
        if dies and len(calls) == 3:
            raise KeyboardInterrupt
        calls.append(part)
        return [np.sqrt(len(text)) * hash_of(text) for text in part]

    def hash_of(text: str) -> float:
        return sum(map(ord, text)) / 7

    dies = True
    with pytest.raises(KeyboardInterrupt):
        respond(FunctionModule(module, fingerprint="f"), texts, cache=tmp_path / "one", chunk=8)
    done = [text for part in calls for text in part]
    assert len(done) == 24
    dies = False
    calls.clear()
    resumed = respond(FunctionModule(module, fingerprint="f"), texts, cache=tmp_path / "one", chunk=8)
    assert not set(done) & {text for part in calls for text in part} and len(calls) == 2
    straight = respond(FunctionModule(module, fingerprint="f"), texts, cache=tmp_path / "two", chunk=8)
    assert resumed.units == straight.units
    assert resumed.values is not None and straight.values is not None
    assert resumed.values.tobytes() == straight.values.tobytes()
    files = [{path.name: path.read_bytes() for path in (tmp_path / name).rglob("*.npy")} for name in ("one", "two")]
    assert files[0] == files[1] and len(files[0]) == 5


@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY\x01\x00v\x00{'descr'", b"not an array at all"])
def test_a_damaged_shard_is_computed_again(tmp_path: Path, damage: bytes) -> None:
    module = FunctionModule(lengths, fingerprint="f")
    expected = respond(module, TEXTS, cache=tmp_path, chunk=3)
    shards = sorted(tmp_path.rglob("*.npy"))
    assert len(shards) == 2
    shards[0].write_bytes(damage)
    again = respond(module, TEXTS, cache=tmp_path, chunk=3)
    assert again.units == expected.units
    assert sorted(tmp_path.rglob("*.npy")) == shards and shards[0].read_bytes() != damage


def test_one_fingerprint_for_two_shapes_is_an_error(tmp_path: Path) -> None:
    respond(FunctionModule(lengths, fingerprint="f"), TEXTS, cache=tmp_path)
    wide = FunctionModule(lambda t: np.zeros((len(t), 3)), "wide", fingerprint="f")
    with pytest.raises(UserError, match="another shape"):
        respond(wide, ["other"], cache=tmp_path)


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


# ---------------------------------------------------------------- n-grams where they stand


def test_functions_have_no_values_in_running_text() -> None:
    ngrams = extract_ngrams(["a b"], NgramSpec(n=1))
    with pytest.raises(MissingPower):
        respond_in_text(lengths, ["a b"], ngrams)
    with pytest.raises(MissingPower):
        respond_in_text(EmbedderModule(Letters(), lambda v: v[:, 0]), ["a b"], ngrams)
