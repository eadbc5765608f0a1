"""Explanations of a unit's output side, the next tokens it promotes and suppresses, without a language model.

- `output-weights` reads them off the unit's weights through the unembedding.
- `output-effect` compares clamping the unit at its maximum and at its mean, on windows of the explain split.
- `ensemble` adds an output side to another explainer's program (after Gur-Arieh et al. 2025, "Enhancing automated
  interpretability with output-centric feature descriptions", where descriptions of both sides together do better).

Nothing is claimed if no token stands out more than the top token of random directions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from glossator.errors import UserError
from glossator.evidence import ExplainEvidence
from glossator.explainers import Abstained, Explained, Explainer
from glossator.explanations import Explanation, Headline, Provenance
from glossator.headlines.outputs import OutputClasses, output_sentence
from glossator.inputs.tokens import TokenWindows
from glossator.programs import Lexicon, Program, Token
from glossator.readouts.base import Readout
from glossator.resources import Resources
from glossator.specs import check_positive

if TYPE_CHECKING:
    from glossator.causal.output_effects import Standing
    from glossator.programs import Lexicon
    from glossator.subjects.transformer import TransformerSubject

By = Literal["weights", "effect", "both"]
WAYS: tuple[By, ...] = ("weights", "effect", "both")
CLASSED = 30
"""A headline is the class of at most so many tokens that stand out."""


@dataclass(frozen=True)
class OutputSideExplainer(Explainer):
    """The tokens that a unit raises and lowers most, as the output side of a program that says nothing else.

    subject: the model under study, causal; by: how they are found, `both` for the mean of the two standings; tokens: at
    most so many a side; windows, width: random windows of the explain split that the unit is held on, and how much of
    each; readouts: by their `NAME@SITE`, for units of these.
    """

    subject: TransformerSubject
    by: By = "weights"
    tokens: int = 10
    windows: int = 24
    width: int = 32
    readouts: Mapping[str, Readout] = field(default_factory=dict, compare=False)
    _classes: dict[str, OutputClasses] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.by not in WAYS:
            raise UserError("unknown method for the output side", value=self.by, allowed=", ".join(WAYS))
        check_positive(self, " of an output side", "tokens", "windows", "width")

    @property
    def name(self) -> str:
        return f"output-{self.by}"

    def explain(self, evidence: Sequence[ExplainEvidence], *, n: int = 1, seed: int = 0) -> list[Explained]:
        """One explanation for each unit; the weights of all units are read together, and nothing is drawn."""
        found: list[Explained] = []
        for one, standing in zip(evidence, self.standings(evidence), strict=True):
            if not (output := self.output(standing)):
                found.append(Abstained("no output token stands out more than for random directions"))
                continue
            seen = "" if self.by == "weights" else one.fingerprint
            provenance = Provenance(self.name, self.settings(), seen)
            program, headline = Program(0.0, (), **output), self.headline(standing)
            found.append([Explanation(one.unit, output_sentence(output), provenance, program, headline=headline)])
        return found

    def headline(self, standing: Standing) -> Headline:
        """The class of the tokens that stand out, where it has a name, or the first of them."""
        vocabulary = self.subject.tokenizer.vocabulary
        if vocabulary.fingerprint not in self._classes:
            self._classes[vocabulary.fingerprint] = OutputClasses(Lexicon(vocabulary))
        sides = {"raises": standing.named(1, CLASSED), "lowers": standing.named(-1, CLASSED)}
        return self._classes[vocabulary.fingerprint].headline(sides)

    def output(self, standing: Standing) -> dict[str, Token]:
        """The tokens that stand out, as the `raises` and `lowers` of a program."""
        texts = self.subject.tokenizer.vocabulary.texts
        named = {"raises": standing.named(1, self.tokens), "lowers": standing.named(-1, self.tokens)}
        return {side: Token(tuple(texts[t] for t in tokens)) for side, tokens in named.items() if len(tokens)}

    def standings(self, evidence: Sequence[ExplainEvidence]) -> list[Standing]:
        """How far each token stands out, for each unit."""
        from glossator.causal.output_effects import Standing, by_weights, standing

        if not evidence:
            return []
        found: list[list[Standing]] = []
        if self.by in ("weights", "both"):
            found.append(
                standing(self.subject, by_weights(self.subject, [one.unit for one in evidence], self.readouts))
            )
        if self.by in ("effect", "both"):
            found.append(standing(self.subject, np.stack([self._effect(one) for one in evidence], axis=1)))
        mean = [np.mean([one.strengths for one in of_unit], axis=0) for of_unit in zip(*found, strict=True)]
        return [Standing(strengths, found[0][0].chance) for strengths in mean]

    def settings(self) -> dict[str, Any]:
        own = {"by": self.by, "tokens": self.tokens}
        return own if self.by == "weights" else {**own, "windows": self.windows, "width": self.width}

    def _effect(self, evidence: ExplainEvidence) -> np.ndarray:
        from glossator.causal.output_effects import by_clamping

        windows = first_of_random(evidence, self.windows, self.width)
        statistics = evidence.statistics
        return by_clamping(self.subject, evidence.unit, windows, statistics.maximum, statistics.mean, self.readouts)


@dataclass(frozen=True)
class OutputWeightsExplainer(OutputSideExplainer):
    """`output-weights`: by the unit's write vector, the final norm's gain and the unembedding. No text is read."""

    by: By = field(default="weights", init=False)


@dataclass(frozen=True)
class OutputEffectExplainer(OutputSideExplainer):
    """`output-effect`: by what happens to the next token when the unit is held high, against its mean."""

    by: By = field(default="effect", init=False)


@dataclass(frozen=True)
class EnsembleExplainer(Explainer):
    """`ensemble`: the programs of the explainer `first`, each with the output side added if there is one.

    first: the registered name of an explainer of the input side that gives programs, or such an explainer; by, tokens,
    windows, width: of the output side. Where `first` abstains, nothing is claimed of the input and the output side
    stands alone.
    """

    subject: TransformerSubject
    first: str | Explainer = "program"
    by: By = "both"
    tokens: int = 6
    windows: int = 24
    width: int = 32
    lexicon: Lexicon | None = None
    readouts: Mapping[str, Readout] = field(default_factory=dict, compare=False)

    def explain(self, evidence: Sequence[ExplainEvidence], *, n: int, seed: int) -> list[Explained]:
        """Both sides of all units, each side for all units together."""
        inputs = self._first.explain(evidence, n=n, seed=seed)
        outputs = self._second.explain(evidence)
        return [self._joined(*both) for both in zip(inputs, outputs, strict=True)]

    @property
    def _second(self) -> OutputSideExplainer:
        return OutputSideExplainer(self.subject, self.by, self.tokens, self.windows, self.width, self.readouts)

    @property
    def _first(self) -> Explainer:
        if not isinstance(self.first, str):
            return self.first
        return Resources(self.lexicon).build("explainers", self.first)

    def _joined(self, inputs: Explained, outputs: Explained) -> Explained:
        if isinstance(inputs, Abstained):
            if inputs.failed or isinstance(outputs, Abstained):
                return inputs
            settings: dict[str, Any] = {"first": None, "output": self._second.settings()}
            return [
                replace(one, provenance=replace(one.provenance, method="ensemble", settings=settings))
                for one in outputs
            ]
        output = {} if isinstance(outputs, Abstained) or outputs[0].program is None else outputs[0].program.output
        found = []
        for one in inputs:
            if one.program is None:
                raise UserError(
                    "an ensemble needs a program to extend with an output side", value=one.provenance.method
                )
            program = replace(one.program, raises=output.get("raises"), lowers=output.get("lowers"))
            settings = {"first": one.provenance.method, **one.provenance.settings, "output": self._second.settings()}
            provenance = replace(one.provenance, method="ensemble", settings=settings)
            text = f"{one.text} {output_sentence(output)}" if output else one.text
            found.append(replace(one, text=text, program=program, provenance=provenance))
        return found


def first_of_random(evidence: ExplainEvidence, most: int, width: int) -> TokenWindows:
    """The first random windows of the explain split, cut to their first `width` tokens; all windows where none was
    drawn at random."""
    from glossator.causal.steering import first_windows

    exemplars = evidence.exemplars.of("random")
    return first_windows(exemplars.windows if len(exemplars) else evidence.exemplars.windows, most, width)
