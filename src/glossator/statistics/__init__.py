"""Intervals, comparisons with nulls, false discoveries among many units, and how much data a question needs.

Statistics of one unit resample documents (`resampling`, `of_documents`, `comparing`), those of many resample units
(`over_units`, `discovery`); `planning` foresees the size of a study.
"""

from glossator.statistics.comparing import bootstrap_p, compare, margin, margins, permutation_p
from glossator.statistics.discovery import called, q_values
from glossator.statistics.of_documents import (
    auroc,
    document_index,
    pearson,
    pearson_of_sums,
    pearson_terms,
    ratio,
    sums_by,
    variance_explained,
    why_constant,
)
from glossator.statistics.over_units import mean_over_units, paired_difference, paired_ratio, rank_correlation
from glossator.statistics.planning import alpha_among, needed_for_width, needed_to_tell, power_of, spread_of
from glossator.statistics.resampling import (
    LEVEL,
    RESAMPLES,
    Drawn,
    Estimate,
    Resampled,
    constant,
    draw,
    estimate,
    estimate_of,
    percentile_interval,
    resample_weights,
    undefined,
)

__all__ = [
    "LEVEL", "RESAMPLES", "Drawn", "Estimate", "Resampled", "alpha_among", "auroc", "bootstrap_p", "called", "compare",
    "constant", "document_index", "draw", "estimate", "estimate_of", "margin", "margins", "mean_over_units",
    "needed_for_width", "needed_to_tell", "paired_difference", "paired_ratio", "pearson", "pearson_of_sums",
    "pearson_terms", "percentile_interval", "permutation_p", "power_of", "q_values", "rank_correlation", "ratio",
    "resample_weights", "spread_of", "sums_by", "undefined", "variance_explained", "why_constant",
]  # fmt: skip
