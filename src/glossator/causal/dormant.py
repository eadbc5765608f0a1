"""Does a direction work through what varies with the input, or through a dormant pathway that only its patch activates?

A direction v at a site that a projection W reads falls into a part in W's row space and a part in its null space, which
nothing downstream sees. Patching along v moves both by the whole difference (source - base) . v. When that difference
comes from the null part, and the row part does not vary by itself, the patch still moves the outputs: through a dormant
pathway that the model does not use on such inputs (Makelov et al. 2023, "Is this the subspace you are looking for? An
interpretability illusion for subspace activation patching"). Patching the row part alone tells the two apart. Whether a
dormant pathway is an illusion or a way in which the model could work is disputed (Wu et al. 2024, "A reply to Makelov
et al. (2023)'s interpretability illusion arguments"), so both effects are reported; the flag says that they differ.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from glossator.causal.interchange import interchange
from glossator.causal.minimal_pairs import Pairs
from glossator.errors import MissingPower, UserError
from glossator.readouts.parts import Direction, Whole

if TYPE_CHECKING:
    from glossator.subjects.transformer import TransformerSubject

LEAST = 0.1
"""Effects below this share of the way from base to source are too small to be split."""
KEPT = 0.5
"""A direction is flagged when its row part alone keeps less than this share of its effect."""
RANK_TOLERANCE = 1e-5
"""Singular values below this share of the greatest count as 0."""


@dataclass(frozen=True)
class DormantCheck:
    """What patching a direction does, whole and in parts; effects are shares of the way from base to source.

    effect: of the whole direction; row_effect, null_effect: of its normed parts patched alone, None if there is no
    such part (null_effect is 0 except for rounding); site_effect: of the whole site, the ceiling; null_share: squared
    length of the null part; null_variation: share of the difference along the direction, source - base, that the null
    part brings (sums of absolute values over pairs and tokens); pairs: how many the model answers correctly; dormant:
    the flag, None if the effect is too small to tell; reading: the flag in words.
    """

    effect: float
    row_effect: float | None
    null_effect: float | None
    site_effect: float
    null_share: float
    null_variation: float
    pairs: int
    dormant: bool | None
    reading: str


def dormant_check(
    subject: TransformerSubject, pairs: Pairs, site: str, direction: np.ndarray, *, reader: np.ndarray | None = None
) -> DormantCheck:
    """Split a direction (d,) at a site by what the downstream weights read, and patch each part on minimal pairs.

    reader: the weights (outputs, d) by which the site is read; by default those of the projection whose input the site
    is (`mlp.L`, `head.L`). Raises `UserError` if there are none, for a direction of another width, and when the
    model answers no pair correctly.
    """
    vector = Direction(direction).bound(subject.site(site)).vector
    row, null = split(vector, reading_weights(subject, site) if reader is None else np.asarray(reader, np.float64))
    parts = {"whole": vector, "row": row, "null": null}
    shares = {name: float(part @ part) for name, part in parts.items()}
    there = [name for name in parts if shares[name] > RANK_TOLERANCE]
    found = interchange(subject, pairs, site, [*(Direction(parts[name]) for name in there), Whole()])
    reason = found[0].effect().reason
    if reason is not None:
        raise UserError("a direction cannot be checked on these pairs", value=pairs.concept, allowed=reason)
    effects = {name: one.effect().value for name, one in zip([*there, "site"], found, strict=True)}
    effect, row_effect = float(effects["whole"] or 0.0), effects.get("row")
    flag: bool | None = None
    if effect < LEAST:
        reading = f"the effect, {effect:.2f} of the way, is too small to be split"
    else:
        kept = row_effect or 0.0
        flag = kept < KEPT * effect
        reading = (
            f"effect {effect:.2f}, but {kept:.2f} with only the part that the model reads: the rest comes from"
            " a part that it does not read"
            if flag
            else f"the part that the model reads keeps {kept:.2f} of {effect:.2f}"
        )
    return DormantCheck(
        effect, row_effect, effects.get("null"), float(effects["site"] or 0.0), shares["null"],
        _null_variation(subject, pairs, site, row, null), int(found[0].known.sum()), flag, reading,
    )  # fmt: skip


def split(vector: np.ndarray, reader: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The vector's parts in the row space of `reader` (outputs, d) and in its null space; they sum to it."""
    if reader.ndim != 2 or reader.shape[1] != len(vector):
        raise UserError(
            "the weights that read this direction have another width",
            value=reader.shape,
            allowed=f"(outputs, {len(vector)})",
        )
    _, sizes, rows = np.linalg.svd(reader, full_matrices=False)
    basis = rows[sizes > RANK_TOLERANCE * sizes.max(initial=0.0)]
    row = basis.T @ (basis @ vector)
    return row, vector - row


def reading_weights(subject: TransformerSubject, site: str) -> np.ndarray:
    """The weights (outputs, d) float64 of the projection that reads the site as its input."""
    from glossator.subjects.sites import projection_shape

    info = subject.site(site)
    module = subject.model.get_submodule(info.module)
    if info.side != "input" or projection_shape(module) is None:
        raise MissingPower(
            "more than one projection reads this site; choose the weights", value=site,
            allowed="mlp.L or head.L, or weights passed as `reader`",
        )  # fmt: skip
    weight = module.weight.detach().double().cpu().numpy()
    return np.asarray(weight if hasattr(module, "in_features") else weight.T)


def read_part(subject: TransformerSubject, site: str, direction: np.ndarray) -> np.ndarray | None:
    """The part of a direction (d,) that the projection after the site reads, of length 1; None if it reads none of
    it. Raises `MissingPower` for a site that more than one projection reads."""
    vector = np.asarray(direction, np.float64)
    row, _ = split(vector, reading_weights(subject, site))
    length = float(np.linalg.norm(row))
    return row / length if length**2 > RANK_TOLERANCE * float(vector @ vector) else None


def _null_variation(subject: TransformerSubject, pairs: Pairs, site: str, row: np.ndarray, null: np.ndarray) -> float:
    from glossator.causal.patching import part_values

    change = part_values(subject, pairs.source, site, Whole()) - part_values(subject, pairs.base, site, Whole())
    of_row, of_null = (np.abs(change[pairs.where] @ part).sum() for part in (row, null))
    return float(of_null / (of_row + of_null)) if of_row + of_null > 0 else 0.0
