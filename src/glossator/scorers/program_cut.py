"""Where a program calls a unit firing.

A program says what to expect on average, so on a unit that is hard to foresee it rarely says as much as the unit's
firing threshold. It is taken to call firing at as many tokens as the unit fires at: its highest values, up to that
share of the calibrate split. Which tokens these are plays no part, so nothing is fitted but the rate.
"""

from __future__ import annotations

import numpy as np

from glossator.evidence import Evidence
from glossator.programs import Lexicon, Program, execute

RULE = "the program's highest values, at as many tokens of the calibrate split as the unit fires at"


def program_cut(program: Program, evidence: Evidence, lexicon: Lexicon) -> float | str:
    """The program calls firing where its value is above this number; or why there is none.

    Of the shares of tokens that the program's values can cut off, the one whose ratio to the unit's firing rate is
    nearest to 1 is taken, never all tokens.
    """
    exemplars = evidence.calibrate
    valid = exemplars.windows.valid
    rate = float((exemplars.activations[valid] > evidence.statistics.firing_threshold).mean()) if valid.any() else 0.0
    if rate == 0.0:
        return "the unit does not fire in the calibrate split"
    values, counts = np.unique(execute(program, exemplars.windows, lexicon)[valid], return_counts=True)
    if len(values) < 2:
        return "the program says the same of every token of the calibrate split"
    share_above = 1.0 - np.cumsum(counts)[:-1] / counts.sum()
    nearest = int(np.argmin(np.abs(np.log(share_above / rate))))
    return float((values[nearest] + values[nearest + 1]) / 2)
