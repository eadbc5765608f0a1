"""The excerpts of imported units as windows, every unit's own dealt to the splits by themselves."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np

from glossator.corpora.probe_set import ProbeSet, shares_of
from glossator.formats import OfUnit
from glossator.inputs import TokenWindows
from glossator.subjects.excerpts import ExcerptsSubject

ROUND = (0, 3, 0, 1, 0, 3, 0, 2, 0, 3)
"""Splits (`glossator.evidence.SPLITS`) of a unit's excerpts of one kind in turn, as in Bills et al. 2023."""
ALONE = "alone"
"""Key of the spec that says which windows are whose; see `glossator.recording.alone`."""


def excerpt_windows(subject: ExcerptsSubject, name: str, seed: int) -> ProbeSet:
    """All excerpts as windows, in the subject's order; equal texts of a unit are in one split.

    The spec says under `ALONE` of each `SITE/INDEX` where its windows begin, where those drawn at random do, and where
    they end; which sites are dense; and what the file tells of all text.
    """
    ids = {text: number for number, text in enumerate(subject.texts)}
    width = max(len(one.tokens) for _, one in subject.rows)
    tokens = np.zeros((len(subject.rows), width), np.int32)
    lengths = np.array([len(one.tokens) for _, one in subject.rows], np.int32)
    owners, groups, splits, names = dict[str, list[int]](), list[int](), list[int](), list[str]()
    told = {
        f"{unit.site}/{unit.index}": unit.statistics | ({} if unit.density is None else {"firing_rate": unit.density})
        for unit in subject.source.units
    }
    for unit, rows in _by_unit(subject):
        known, dealt, random = dict[tuple[str, ...], int](), dict[str, int](), 0
        for row in rows:
            one = subject.rows[row][1]
            tokens[row, : lengths[row]] = [ids[text] for text in one.tokens]
            random += one.kind == "random"
            if one.tokens not in known:
                known[one.tokens] = len(names)
                place = dealt[one.kind] = dealt.get(one.kind, -1) + 1
                splits.append(ROUND[place % len(ROUND)])
                names.append(f"{unit.site}/{unit.index} excerpt {len(known)}")
            groups.append(known[one.tokens])
        owners[f"{unit.site}/{unit.index}"] = [rows.start, rows.stop - random, rows.stop]
    windows = TokenWindows(
        tokens, lengths, np.arange(width) < lengths[:, None], np.array(groups, np.int64),
        np.arange(len(tokens), dtype=np.int64), subject.vocabulary,
    )  # fmt: skip
    split_of_group = np.array(splits, np.int8)
    spec = {
        "corpus": name,
        "corpus_fingerprint": hashlib.sha256(windows.content()).hexdigest()[:16],
        "kind": "tokens",
        "seed": seed,
        "inputs": len(windows),
        "groups": len(names),
        "shares": shares_of(split_of_group, np.bincount(groups, minlength=len(names))),
        ALONE: {
            "units": owners,
            "dense": [site.name for site in subject.sites() if subject.dense(site.name)],
            "told": told,
        },
    }
    return ProbeSet(windows, names, split_of_group, spec)


def _by_unit(subject: ExcerptsSubject) -> Iterator[tuple[OfUnit, range]]:
    """Each unit with its rows."""
    start = 0
    for unit in subject.source.units:
        if unit.excerpts:
            yield unit, range(start, start + len(unit.excerpts))
        start += len(unit.excerpts)
