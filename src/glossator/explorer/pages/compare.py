"""Two sides of a comparison, unit by unit: two methods, two sites, or two studies, such as of a trained and an
untrained network."""

from __future__ import annotations

from dataclasses import dataclass

from glossator.errors import UserError
from glossator.explorer.pages.parts import all_rounded
from glossator.explorer.pages.study import EstimateShown, recording_of
from glossator.statistics import mean_over_units, paired_difference
from glossator.store.study import Study
from glossator.store.summary import range_in
from glossator.units import Unit

MOST_SHOWN = 5_000
"""Pairs that are drawn; all of them count in the numbers."""


@dataclass(frozen=True)
class Side:
    """Explanations of one study that one method made, of the best method of each unit where it is None; of one site
    where it is named."""

    study: Study
    method: str | None = None
    site: str | None = None

    def values(self, score: str) -> dict[tuple[str, int, str], float]:
        """The score by site, number and polarity of each unit that has it."""
        rows = self.study.query(
            """SELECT site, "index", polarity, value FROM units
            JOIN explanations ON explanations.unit = units.id AND explanations.rank = 0
            AND (explanations.method = ?1 OR ?1 IS NULL AND explanations.id = units.best)
            JOIN scores ON scores.explanation = explanations.id AND scores.name = ?2
            WHERE value IS NOT NULL AND (?3 IS NULL OR site = ?3) ORDER BY units.id""",
            self.method,
            score,
            self.site,
        )
        return {(site, index, polarity): value for site, index, polarity, value in rows}


@dataclass(frozen=True)
class Comparison:
    """The score of two sides. a, b: means over all units of each; difference: of the units that both have, paired (of
    readouts that differ none is the same); units, x, y: those units with their values on both sides, evenly spread
    where there are very many."""

    score: str
    a: EstimateShown
    b: EstimateShown
    paired: int
    difference: EstimateShown
    units: list[str]
    x: list[float | None]
    y: list[float | None]


def _of_other_readouts(a: Study, b: Study) -> set[str]:
    """Sites `NAME@SITE` that are read otherwise in the two studies, as by dictionaries that were trained apart: units
    of the same number there have nothing in common."""
    if a.folder == b.folder:
        return set()
    ours, theirs = ({} if (one := recording_of(study)) is None else one.spec.readouts for study in (a, b))
    sites = {site for (site,) in a.query("SELECT DISTINCT site FROM units")}
    return {site for site in sites if "@" in site and ours.get(site, "") != theirs.get(site)}


def _mean(values: dict[tuple[str, int, str], float], bounds: tuple[float, float]) -> EstimateShown:
    if not values:
        return EstimateShown(None, reason="no explanation has this score")
    return EstimateShown.of(mean_over_units([*values.values()], bounds=bounds))


def compare(a: Side, b: Side, score: str | None = None) -> Comparison:
    """score: its name, by default the one that ranks the first study's units. A side without it, such as an untrained
    network of which nothing is explained, has no mean and the reason. Raises `UserError` where neither has it."""
    score = score or a.study.ranked_by
    if score is None:
        raise UserError("no unit has a score", value=a.study.folder.name)
    with a.study.snapshot():
        ours = a.values(score)
    with b.study.snapshot():
        theirs = b.values(score)
    if not ours and not theirs:
        raise UserError(f"no explanation has {score} on either side", value=a.method or a.study.folder.name)
    bounds = range_in(a.study if ours else b.study, score)
    apart = _of_other_readouts(a.study, b.study)
    both = [key for key in ours if key in theirs and key[0] not in apart] if a.site == b.site else []
    shown = both[:: -(-len(both) // MOST_SHOWN) or 1]
    return Comparison(
        score,
        _mean(ours, bounds),
        _mean(theirs, bounds),
        len(both),
        EstimateShown.of(paired_difference([ours[key] for key in both], [theirs[key] for key in both], bounds=bounds)),
        [Unit("", *key).short for key in shown],  # type: ignore[arg-type]
        all_rounded(ours[key] for key in shown),
        all_rounded(theirs[key] for key in shown),
    )
