"""How many documents or units a test needs, by normal theory: intervals shrink with the square root of the number.

The spread of one item is read off an interval that is there already (`spread_of`), so that a small study plans a
larger one: n items with a 95 % interval of width w have a spread of w sqrt(n) / (2 z). A pilot's spread is itself
uncertain, by about 1 / sqrt(2 n) of it.
"""

from __future__ import annotations

import math
from statistics import NormalDist

from glossator.errors import UserError
from glossator.statistics.resampling import LEVEL

POWER = 0.8
ALPHA = 0.05
NORMAL = NormalDist()


def spread_of(low: float, high: float, n: int, level: float = LEVEL) -> float:
    """The standard deviation of one item that an interval over n items implies: (high - low) sqrt(n) / (2 z)."""
    _check("n", n, n >= 1, "1 or more")
    return (high - low) * math.sqrt(n) / (2 * _two_sided(level))


def needed_for_width(width: float, spread: float, level: float = LEVEL) -> int:
    """Items for a two-sided interval no wider than `width`, from low to high: (2 z spread / width)^2, at least 2."""
    _check("interval width", width, width > 0, "above 0")
    _check("spread", spread, spread >= 0, "0 or more")
    return max(2, math.ceil(_nearly((2 * _two_sided(level) * spread / width) ** 2)))


def needed_to_tell(difference: float, spread: float, power: float = POWER, alpha: float = ALPHA) -> int | None:
    """Items for a two-sided test at `alpha` to find a true difference from the null with this power.

    ((z_alpha/2 + z_power) spread / difference)^2, at least 2; spread: of the difference; None if the difference
    is not above 0, as no number of items will do.
    """
    _check("power", power, 0 < power < 1, "between 0 and 1")
    _check("alpha", alpha, 0 < alpha < 1, "between 0 and 1")
    _check("spread", spread, spread >= 0, "0 or more")
    if difference <= 0:
        return None
    quantiles = _two_sided(1 - alpha) + NORMAL.inv_cdf(power)
    return max(2, math.ceil(_nearly((max(quantiles, 0.0) * spread / difference) ** 2)))


def power_of(n: int, difference: float, spread: float, alpha: float = ALPHA) -> float:
    """The chance that a two-sided test at `alpha` on n items finds this difference, on its own side."""
    _check("n", n, n >= 1, "1 or more")
    _check("alpha", alpha, 0 < alpha < 1, "between 0 and 1")
    if spread == 0:
        return 1.0 if difference > 0 else 0.0
    return NORMAL.cdf(difference * math.sqrt(n) / spread - _two_sided(1 - alpha))


def alpha_among(units: int, expected_above: int, rate: float = ALPHA) -> float:
    """The p-value that the last of `expected_above` units needs among `units` tested ones to be called at a
    false-discovery rate: rate expected_above / units. The `alpha` to plan with where many units are tested."""
    _check("units", units, units >= 1, "1 or more")
    _check("expected units above the null", expected_above, 1 <= expected_above <= units, f"1 to {units}")
    return rate * expected_above / units


def _two_sided(level: float) -> float:
    _check("level", level, 0 < level < 1, "between 0 and 1")
    return NORMAL.inv_cdf((1 + level) / 2)


def _nearly(value: float) -> float:
    """Rounding does not cost an item: 16.000000000000004 is 16."""
    return round(value) if abs(value - round(value)) < 1e-9 * max(1.0, value) else value


def _check(what: str, value: float, is_good: bool, allowed: str) -> None:
    if not is_good:
        raise UserError(f"bad {what}", value=value, allowed=allowed)
