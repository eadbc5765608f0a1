"""How the neuron records that Bills et al. 2023 published are laid out: their splits, and records of attention heads.

Their splits are interleaved slices of one ranked list, so that windows of one document can stand in two of them; ours
are by document (see `glossator.corpora.splits`). This is for reading their files and comparing with their figures.
"""

from __future__ import annotations

from glossator.errors import UserError

TOP_SPLITS = ("train", "calibration", "valid", "test")
RANDOM_SPLITS = ("calibration", "valid", "test")


def interleaved(splits: tuple[str, ...], per_split: int) -> dict[str, slice]:
    """The slice of a ranked list that each split holds: `per_split` members, as many places apart as there are
    splits."""
    if per_split < 1:
        raise UserError("bad number of records in a split", value=per_split, allowed="1 or more")
    return {name: slice(i, per_split * len(splits), len(splits)) for i, name in enumerate(splits)}


def record_numbers(split: str, per_split: int) -> tuple[list[int], list[int]]:
    """(numbers in the list of most active records, numbers in the list of random ones) of a published split.

    `train`, what the explainer is shown, has no random records.
    """
    if split not in TOP_SPLITS:
        raise UserError("unknown split of neuron records", value=split, allowed=", ".join(TOP_SPLITS))
    top = interleaved(TOP_SPLITS, per_split)[split]
    random = interleaved(RANDOM_SPLITS, per_split).get(split, slice(0))
    return list(range(per_split * len(TOP_SPLITS))[top]), list(range(per_split * len(RANDOM_SPLITS))[random])


def token_pair(place: int, tokens: int | None = None, values: int | None = None) -> tuple[int, int]:
    """(from token, to token) of a value in the flattened record of an attention head.

    Token i looks at tokens 0..i, so a record holds 1 + 2 + ... values. Where `tokens` and `values` say that it holds
    fewer, every token looks at no more than the first m, m as `values` has it. Raises `UserError` for a place outside.
    """
    if (tokens is None) != (values is None):
        raise UserError("give the number of tokens and of values, or neither", value=(tokens, values))
    most = None if tokens is None or values is None else _most_looked_at(tokens, values)
    if place < 0 or (values is not None and place >= values):
        raise UserError("no such value in the record", value=place, allowed=f"0 to {(values or 0) - 1}")
    row, left = 0, place
    while left >= (length := row + 1 if most is None else min(row + 1, most)):
        row, left = row + 1, left - length
    return row, left


def _most_looked_at(tokens: int, values: int) -> int:
    """m with 1 + 2 + ... + m + m (tokens - m) = values."""
    for m in range(1, tokens + 1):
        if m * (m + 1) // 2 + m * (tokens - m) == values:
            return m
    raise UserError("no record of so many tokens has so many values", value=(tokens, values))
