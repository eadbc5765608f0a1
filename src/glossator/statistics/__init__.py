"""Intervals, comparisons with baselines, false-discovery rates across units, and how much data a test needs.

Statistics of one unit leave out one document at a time (`resampling`, `of_documents`, `comparing`), those of many one
unit (`over_units`); `planning` foresees the size of a study.
"""

from glossator.statistics.comparing import compare, exchange_p, margin, margins, permutation_p
from glossator.statistics.of_documents import (
    auroc,
    average_precision,
    document_index,
    mean_of_hits_and_rejections,
    pearson,
    pearson_by_document,
    pearson_of_sums,
    pearson_terms,
    ratio,
    share_beyond_chance,
    shrinkage,
    sums_by,
    variance_explained,
    why_constant,
)
from glossator.statistics.over_units import (
    AT_MOST_ALL,
    SHARE,
    adjusted,
    called,
    evenly,
    largest,
    mean_over_units,
    paired_difference,
    paired_ratio,
    q_values,
    rank_correlation,
)
from glossator.statistics.planning import alpha_among, needed_for_width, needed_to_tell, power_of, spread_of
from glossator.statistics.resampling import (
    LEAST_FIRING,
    LEVEL,
    Estimate,
    Jackknifed,
    Resampled,
    constant,
    estimate,
    estimate_of,
    in_words,
    interval,
    jackknife,
    p_of_zero,
    undefined,
    without_intervals,
)

__all__ = [
    "AT_MOST_ALL", "LEAST_FIRING", "LEVEL", "SHARE", "Estimate", "Jackknifed", "Resampled", "adjusted", "alpha_among",
    "auroc", "average_precision", "called", "compare", "constant", "document_index", "estimate", "estimate_of",
    "evenly", "exchange_p", "in_words", "interval", "jackknife", "largest", "margin", "margins",
    "mean_of_hits_and_rejections", "mean_over_units", "needed_for_width", "needed_to_tell", "p_of_zero",
    "paired_difference", "paired_ratio", "pearson", "pearson_by_document", "pearson_of_sums", "pearson_terms",
    "permutation_p", "power_of", "q_values", "rank_correlation", "ratio", "share_beyond_chance", "shrinkage",
    "spread_of", "sums_by", "undefined", "variance_explained", "why_constant", "without_intervals",
]  # fmt: skip
