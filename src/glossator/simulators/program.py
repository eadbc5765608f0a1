"""Simulators that need no language model: they execute an explanation's program, or look for the concept of a name.

A token lookup table is a program with one table clause, so one executor predicts the lookup baseline, the token list
and every induced program, which differ only in what they say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from glossator.errors import MissingPower
from glossator.explanations import Explanation
from glossator.files import fingerprint
from glossator.inputs import WHOLE, Grid, Inputs, Texts
from glossator.simulators import ACTIVATION, Simulation, Simulator

if TYPE_CHECKING:
    from glossator.corpora.ngrams.held_words import WordTable
    from glossator.programs import Lexicon


class ProgramSimulator(Simulator):
    """Executes `explanation.program` on windows of tokens, with one lexicon, or on images; the scale is the unit's own,
    no distribution."""

    def __init__(self, lexicon: Lexicon | None):
        self.lexicon = lexicon

    def executes(self, explanation: Explanation) -> bool:
        return True

    def simulate(self, explanation: Explanation, inputs: Inputs, grid: Grid | None = None) -> Simulation:
        """Expected activations (n, places) float32; raises `MissingPower` when the explanation has no program, or one
        that reads other inputs."""
        from glossator.programs.running import run

        if explanation.program is None:
            raise MissingPower(
                "this explanation has no program to execute",
                value=explanation.text,
                fix="Use a simulator for text, or an explainer that writes programs",
            )
        return Simulation(np.asarray(run(explanation.program, inputs, grid, self.lexicon), np.float32), ACTIVATION)


SURENESS = "0..1"


class NameSimulator(Simulator):
    """How surely each text holds the concept of an explanation in words, by WordNet: a class by the words below it, a
    phrase by the share of its words. Calibrated like any simulation that is not in activations."""

    def __init__(self) -> None:
        self._tables: dict[str, WordTable] = {}

    def simulate(self, explanation: Explanation, inputs: Inputs, grid: Grid | None = None) -> Simulation:
        if not isinstance(inputs, Texts) or grid != WHOLE:
            raise MissingPower("names predict responses to whole texts only", value=inputs.kind)
        if explanation.program is not None:
            raise MissingPower("this simulates names, not programs", value=str(explanation.program)[:60])
        from glossator.corpora.ngrams.held_words import concept_of
        from glossator.corpora.wordnet import load_wordnet

        concept = concept_of(" ".join(explanation.text.split()), load_wordnet())
        return Simulation(concept.partly_held(self._table(inputs))[:, None].astype(np.float64), SURENESS)

    def _table(self, texts: Texts) -> WordTable:
        key = fingerprint(texts.texts)
        if key not in self._tables:
            if len(self._tables) > 7:  # the splits of a site, which all its units share but for top texts
                self._tables.pop(next(iter(self._tables)))
            from glossator.corpora.ngrams.held_words import word_table
            from glossator.corpora.wordnet import load_wordnet

            self._tables[key] = word_table(texts.texts, load_wordnet())
        return self._tables[key]
