"""The inputs on which units are probed, assigned to splits that never share a group."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from glossator.corpora.documents import left_out_in_words
from glossator.corpora.splits import assign_splits
from glossator.errors import UserError
from glossator.evidence import SPLITS
from glossator.files import fingerprint
from glossator.inputs import Inputs, TokenWindows, token_windows

FRACTIONS = (0.5, 0.1, 0.1, 0.3)


@dataclass(frozen=True, eq=False)
class ProbeSet:
    """Inputs, the groups that they belong to (documents, scenes, runs), and the split of each group.

    inputs.groups holds row numbers of `group_ids`; split_of_group int8 (groups,) holds indices of `evidence.SPLITS`;
    spec: all that the inputs depend on, and what came of it (groups, shares; tokens of a corpus).
    """

    inputs: Inputs
    group_ids: list[str]
    split_of_group: np.ndarray
    spec: dict[str, Any]

    @property
    def windows(self) -> TokenWindows:
        """The inputs as windows of tokens; raises `MissingPower` where they are of another kind."""
        return token_windows(self.inputs)

    @property
    def split_of_input(self) -> np.ndarray:
        """int8 (n,): index of `evidence.SPLITS` for each input."""
        return self.split_of_group[self.inputs.groups]

    @cached_property
    def fingerprint(self) -> str:
        return fingerprint(self.spec)

    @property
    def notes(self) -> list[str]:
        """Sentences for the user on what part of the source is not among the inputs."""
        said = left_out_in_words(self.spec.get("left_out", {}))
        if (begin := self.spec.get("shared_beginnings", {})).get("documents"):
            which = f"Documents that begin as an earlier one does: {begin['documents']:,}"
            said.append(f"{which}; what they share, {begin['tokens']:,} tokens, is read in that one alone.")
        if joined := self.spec.get("look_alikes"):
            said.append(f"Images that look like others and stay with them in one split: {joined:,}.")
        if short := self.spec.get("short"):
            said.append(f"Documents left out because they have fewer than {self.spec['min_length']} tokens: {short:,}.")
        return said


def probe_set(
    inputs: Inputs,
    group_ids: Sequence[str] | None = None,
    *,
    fractions: Sequence[float] = FRACTIONS,
    seed: int = 0,
    name: str = "given inputs",
) -> ProbeSet:
    """Inputs of any kind, their groups assigned to explain, calibrate, select and test.

    inputs.groups: of each input, any numbers; what shares a group stays on one side. group_ids: what each group is
    called, by ascending number. Raises `UserError` for fewer groups than splits.
    """
    check_fractions(fractions)
    numbers, groups = np.unique(inputs.groups, return_inverse=True)
    if len(numbers) < sum(f > 0 for f in fractions):
        raise UserError(
            "these inputs cannot be split", value=f"{len(numbers)} groups", allowed="at least one group per split"
        )
    names = [str(number) for number in numbers] if group_ids is None else list(group_ids)
    if len(names) != len(numbers):
        raise UserError("unknown groups", value=len(names), allowed=f"{len(numbers)}")
    sizes = np.bincount(groups, minlength=len(numbers)).astype(np.int64)
    splits = assign_splits(np.arange(len(numbers)), sizes, names, fractions, seed)
    spec = {
        "corpus": name,
        "corpus_fingerprint": hashlib.sha256(inputs.content()).hexdigest()[:16],
        "kind": inputs.kind,
        "fractions": list(fractions),
        "seed": seed,
        "inputs": len(inputs),
        "groups": len(numbers),
        "largest_group_share": float(sizes.max() / sizes.sum()),
        "shares": shares_of(splits, sizes),
    }
    return ProbeSet(inputs.regrouped(groups.astype(np.int64)), names, splits, spec)


def check_fractions(fractions: Sequence[float]) -> None:
    if len(fractions) != len(SPLITS) or min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-6:
        raise UserError(
            "bad split fractions",
            value=list(fractions),
            allowed=f"{len(SPLITS)} shares, for {', '.join(SPLITS)}, that add to 1",
        )


def shares_of(splits: np.ndarray, sizes: np.ndarray) -> dict[str, float]:
    """The share of the inputs in each split."""
    shares = np.bincount(splits, weights=sizes, minlength=len(SPLITS)) / sizes.sum()
    return {split: float(share) for split, share in zip(SPLITS, shares, strict=True)}
