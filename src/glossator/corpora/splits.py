"""Splits that do not leak: documents that share text stay together, and whole groups are assigned to splits.

Two documents share text when some run of `RUN` or more identical tokens stands in both. Sharing is made transitive
by union-find, so no such run can be found on both sides of a split, whatever the seed. A beginning that documents share
(a system prompt, the head of a form) would join them all: it is kept in the first of them, and left out of the others.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from itertools import combinations, pairwise

import numpy as np

RUN = 24
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_BUCKETS = 16
_BUCKET_FROM = 1 << 24


def shared_beginnings(documents: Sequence[np.ndarray], run: int = RUN) -> np.ndarray:
    """The number of first tokens that each document shares with an earlier one, 0 if fewer than `run`.

    documents: token ids, one int array each. Returns int64 (len(documents),). Whole repeats share all their tokens.
    """
    shared = np.zeros(len(documents), np.int64)
    alike: dict[bytes, list[int]] = {}
    for row, tokens in enumerate(documents):
        if len(tokens) >= run:
            alike.setdefault(np.asarray(tokens[:run], ">i4").tobytes(), []).append(row)
    for rows in alike.values():
        # Among texts in alphabetical order, the one that shares most with a new text is one of its two neighbours.
        earlier: list[bytes] = []
        for row in rows if len(rows) > 1 else ():
            written = np.asarray(documents[row], ">i4").tobytes()
            place = bisect_left(earlier, written)
            beside = earlier[max(place - 1, 0) : place + 1]
            shared[row] = max((_same_beginning(written, other) for other in beside), default=0)
            earlier.insert(place, written)
    return shared


def _same_beginning(one: bytes, other: bytes) -> int:
    size = min(len(one), len(other)) // 4
    a, b = np.frombuffer(one, ">i4", size), np.frombuffer(other, ">i4", size)
    differ = np.flatnonzero(a != b)
    return int(differ[0]) if len(differ) else size


def group_by_shared_runs(documents: Sequence[np.ndarray], run: int = RUN) -> np.ndarray:
    """Group documents that share any run of `run` identical tokens, directly or through others.

    documents: token ids, one int array each. Returns int64 (len(documents),): the lowest index in the group.
    Equal runs always meet; unequal ones meet with probability 2^-64 a pair, which only makes groups larger.
    """
    lengths = np.array([len(tokens) for tokens in documents], dtype=np.int64)
    parent = np.arange(len(documents))
    if lengths.sum() < run:
        return parent
    hashes = _run_hashes(np.concatenate(documents), run)
    owners = np.repeat(np.arange(len(documents), dtype=np.int32), lengths)
    # A run belongs to a document only when its last token does too.
    whole = owners[: len(hashes)] == owners[run - 1 :]
    hashes, owners = hashes[whole], owners[: len(whole)][whole]
    for first, second in _links(hashes, owners):
        a, b = _root(parent, first), _root(parent, second)
        parent[max(a, b)] = min(a, b)
    return np.array([_root(parent, i) for i in range(len(parent))], dtype=np.int64)


def group_by_most_runs(documents: Sequence[np.ndarray], run: int, share: float = 0.5) -> np.ndarray:
    """Group documents of which one has this share of the other's runs of `run` tokens: copies with some words changed,
    and texts that quote another one, but not those that share a form or a signature.

    documents: token ids, one int array each. Returns int64 (len(documents),): the lowest index in the group.
    """
    runs = [
        np.unique(_run_hashes(tokens, run)) if len(tokens) >= run else np.empty(0, np.uint64) for tokens in documents
    ]
    parent = np.arange(len(documents))
    if not documents:
        return parent
    hashes = np.concatenate(runs)
    owners = np.repeat(np.arange(len(documents)), [len(one) for one in runs])[np.argsort(hashes, kind="stable")]
    hashes = np.sort(hashes)
    shared: Counter[tuple[int, int]] = Counter()
    for of_run in np.split(owners, np.flatnonzero(np.diff(hashes)) + 1):
        if 1 < len(of_run) <= _MOST_OWNERS:
            shared.update(combinations(of_run.tolist(), 2))
        else:  # each beside the next one is enough to join copies
            shared.update(pairwise(of_run.tolist()))
    for (one, other), count in shared.items():
        if count >= share * min(len(runs[one]), len(runs[other])):
            a, b = _root(parent, one), _root(parent, other)
            parent[max(a, b)] = min(a, b)
    return np.array([_root(parent, i) for i in range(len(parent))], dtype=np.int64)


_MOST_OWNERS = 30


def _run_hashes(tokens: np.ndarray, run: int) -> np.ndarray:
    """uint64 (n - run + 1,): a hash of each run, built by doubling: length 1, 2, 4, ... joined by the bits of `run`."""
    power = _mix(tokens.astype(np.uint64))
    multiplier, done, total = _MULTIPLIER, 0, np.zeros(len(tokens), dtype=np.uint64)
    size = 1
    with np.errstate(over="ignore"):
        while size <= run:
            if run & size:
                total = (total[: len(power) - done] * multiplier if done else np.zeros(len(power), np.uint64)) + power[
                    done:
                ]
                done += size
            power = power[:-size] * multiplier + power[size:]
            multiplier = multiplier * multiplier
            size *= 2
    return total[: len(tokens) - run + 1]


def _mix(values: np.ndarray) -> np.ndarray:
    """The finaliser of splitmix64: neighbouring token ids become unrelated 64-bit numbers."""
    with np.errstate(over="ignore"):
        values = values + _MULTIPLIER
        values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _links(hashes: np.ndarray, owners: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of different documents that stand next to each other among the owners of one hash.

    A large corpus is sorted in buckets of hashes, so that the sort needs a fraction of the memory.
    """
    buckets = _BUCKETS if len(hashes) > _BUCKET_FROM else 1
    found: list[np.ndarray] = []
    for bucket in range(buckets):
        rows = np.flatnonzero(hashes >> np.uint64(60) == bucket) if buckets > 1 else np.arange(len(hashes))
        rows = rows[np.argsort(hashes[rows], kind="stable")]
        same = (hashes[rows[1:]] == hashes[rows[:-1]]) & (owners[rows[1:]] != owners[rows[:-1]])
        found.append(np.unique(np.stack([owners[rows[:-1]][same], owners[rows[1:]][same]], axis=1), axis=0))
    return [(int(a), int(b)) for a, b in np.concatenate(found)]


def _root(parent: np.ndarray, node: int) -> int:
    while parent[node] != node:
        parent[node] = parent[parent[node]]
        node = int(parent[node])
    return node


def assign_splits(
    groups: np.ndarray, tokens: np.ndarray, names: Sequence[str], fractions: Sequence[float], seed: int
) -> np.ndarray:
    """Assign whole groups to splits so that each split's share of the tokens is close to its fraction.

    groups: int (documents,), a group label each; tokens: int (documents,), tokens of each; names: a stable name of
    each document, of which the seeded order is made; fractions: one a split. Returns int8 (documents,).
    Groups come in the order of a seeded hash (those above a hundredth of all tokens first, largest first, since they
    are the hardest to place) and each goes where the split would then be filled least relative to its fraction. The
    last ones go to splits that would stay empty, so that each has a group where there are enough.
    """
    labels, members = np.unique(groups, return_inverse=True)
    sizes = np.bincount(members, weights=tokens, minlength=len(labels)).astype(np.int64)
    keys = [min(_key(names[row], seed) for row in rows) for rows in _members(members, len(labels))]
    large = sizes.sum() / 100
    order = sorted(range(len(labels)), key=lambda g: (-sizes[g] if sizes[g] > large else 0, keys[g]))
    filled, wanted = [0] * len(fractions), [i for i, fraction in enumerate(fractions) if fraction > 0]
    empty = set(wanted)
    chosen = np.zeros(len(labels), dtype=np.int8)
    for left, group in zip(range(len(order), 0, -1), order, strict=True):
        size = int(sizes[group])
        among = sorted(empty) if left <= len(empty) else wanted
        split = min(among, key=lambda i: (filled[i] + size) / fractions[i])
        filled[split] += size
        empty.discard(split)
        chosen[group] = split
    return chosen[members]


def _members(members: np.ndarray, n_groups: int) -> list[np.ndarray]:
    order = np.argsort(members, kind="stable")
    return np.split(order, np.cumsum(np.bincount(members, minlength=n_groups))[:-1])


def _key(name: str, seed: int) -> bytes:
    return hashlib.blake2b(f"{seed}\0{name}".encode("utf-8", "surrogatepass"), digest_size=16).digest()
