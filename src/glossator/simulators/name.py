"""A name as a prediction: a text that holds its concept makes the unit respond, one that does not leaves it silent."""

from __future__ import annotations

import numpy as np

from glossator.corpora.ngrams.concepts import concept_of
from glossator.corpora.ngrams.held_words import WordTable, word_table
from glossator.corpora.wordnet import load_wordnet
from glossator.errors import MissingPower
from glossator.explanations import Explanation
from glossator.files import fingerprint
from glossator.inputs import WHOLE, Grid, Inputs, Texts
from glossator.simulators import Simulation, Simulator

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
        concept = concept_of(" ".join(explanation.text.split()), load_wordnet())
        return Simulation(concept.partly_held(self._table(inputs))[:, None].astype(np.float64), SURENESS)

    def _table(self, texts: Texts) -> WordTable:
        key = fingerprint(texts.texts)
        if key not in self._tables:
            if len(self._tables) > 7:  # the splits of a site, which all its units share but for top texts
                self._tables.pop(next(iter(self._tables)))
            self._tables[key] = word_table(texts.texts, load_wordnet())
        return self._tables[key]
