"""A language model reads a unit's activations token by token and explains them (Bills et al. 2023)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from glossator.errors import UserError
from glossator.evidence import ExplainEvidence
from glossator.explainers import Abstained, Explained, Explainer
from glossator.explainers.answers import explanations_of
from glossator.explainers.bills_prompt import EXAMPLES, FINGERPRINT, bills_prompt, fitting_layout, top_records
from glossator.explainers.prompting import Form, ask, form_for, room_for
from glossator.explanations import Provenance
from glossator.language_models import LanguageModel
from glossator.specs import check_positive


@dataclass(frozen=True)
class BillsExplainer(Explainer):
    """Several samples of one prompt with the windows of the explain split in which the unit is most active.

    lm: the language model; records: how many windows are shown; around: of each only so many tokens around the largest
    activation, None for whole windows; examples: how many worked examples are shown, which weak models tend to repeat;
    samples: how many answers are asked for, None for as
    many as explanations are wanted; temperature, max_tokens: of each answer; form: `chat`, `completion`, or `auto`;
    context: how many tokens the model takes, where it does not say so itself: records are left out until the prompt
    fits. A unit that is not active in its explain split is abstained from; one without any usable answer fails.
    """

    lm: LanguageModel
    records: int = 5
    around: int | None = None
    examples: int = len(EXAMPLES)
    samples: int | None = None
    temperature: float = 1.0
    max_tokens: int = 80
    form: Form = "auto"
    context: int | None = None

    def __post_init__(self) -> None:
        check_positive(self, " of the bills explainer", "records", "around", "samples", "max_tokens")
        if self.examples not in range(len(EXAMPLES) + 1):
            raise UserError("bad number of worked examples", value=self.examples, allowed=f"0 to {len(EXAMPLES)}")
        form_for(self.lm, self.form)

    def explain(self, evidence: Sequence[ExplainEvidence], *, n: int, seed: int) -> list[Explained]:
        """All samples of all units are requested together; the samples are numbered, so the seed is not used."""
        room = room_for(self.lm, self.context, self.max_tokens)
        shown = [top_records(one.exemplars, self.records, self.around) for one in evidence]
        layouts = [fitting_layout(records, room, self.examples) if records else None for records in shown]
        prompts = [
            None if layout is None else bills_prompt(records, layout)
            for records, layout in zip(shown, layouts, strict=True)
        ]
        outcomes = ask(self.lm, prompts, self.form, self.samples or n, self.temperature, self.max_tokens)
        found: list[Explained] = []
        for one, records, layout, outcome in zip(evidence, shown, layouts, outcomes, strict=True):
            if not records:
                found.append(Abstained("the unit is never active in the explain split"))
            elif layout is None:
                why = f"bills: not even one record fits into {room} tokens of {self.lm.name}"
                found.append(Abstained(why, failed=True))
            else:
                settings = self._settings() | {"shown": layout.records, "examples": list(layout.examples)}
                base = Provenance("bills", settings, one.fingerprint, model=self.lm.name, prompt=FINGERPRINT)
                found.append(explanations_of(one.unit, outcome, base, n))
        return found

    def _settings(self) -> dict[str, object]:
        return {
            "records": self.records,
            "around": self.around,
            "temperature": self.temperature,
            "max_tokens": self.max_tokens,
            "form": form_for(self.lm, self.form),
        }
