"""The free simulator: it executes an explanation's program.

A token lookup table is a program with one table clause, so this one executor predicts the lookup baseline, the token
list and every induced program, which differ only in what they say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from glossator.errors import MissingPower
from glossator.explanations import Explanation
from glossator.inputs import Grid, Inputs, token_windows
from glossator.simulators import ACTIVATION, Simulation, Simulator

if TYPE_CHECKING:
    from glossator.programs import Lexicon


class ProgramSimulator(Simulator):
    """Executes `explanation.program` with one lexicon; the scale is the unit's own, no distribution."""

    def __init__(self, lexicon: Lexicon | None):
        self.lexicon = lexicon

    def executes(self, explanation: Explanation) -> bool:
        return True

    def simulate(self, explanation: Explanation, inputs: Inputs, grid: Grid | None = None) -> Simulation:
        """Expected activations (n, width) float32; raises `MissingPower` when the explanation has no program."""
        from glossator.programs import execute

        if explanation.program is None:
            raise MissingPower(
                "this explanation has no program to execute",
                value=explanation.text,
                fix="Use a simulator for text, or an explainer that writes programs",
            )
        windows = token_windows(inputs, grid)
        if self.lexicon is None:
            raise MissingPower("executing programs needs a lexicon, which is missing", value=explanation.text)
        return Simulation(np.asarray(execute(explanation.program, windows, self.lexicon), np.float32), ACTIVATION)
