"""An explanation tested on new sentences and revised (Bills et al. 2023, on revising explanations).

A language model writes sentences that should activate the unit if the explanation is right, and ones that should not,
and the subject is run on them. Half of them go into the revision prompt with the first explanation; the other half is
held out and shows how the first explanation did. Two controls isolate what helps: the same without the first
explanation (`no-old-text`), and revision with random sentences of the explain split (`random-sentences`). No sentence
comes from another split.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from glossator import registry
from glossator.errors import UserError
from glossator.evidence import ExplainEvidence
from glossator.explainers import Abstained, Explained, Explainer
from glossator.explainers.answers import explanations_of
from glossator.explainers.bills_prompt import record_of, top_records
from glossator.explainers.prompting import Form, ask, form_for, room_for
from glossator.explainers.revision_prompt import CONTROLS, Control, fingerprint, fitting_prompt
from glossator.explainers.sentences import (
    FINGERPRINT,
    TOKENS_A_SENTENCE,
    WRITTEN,
    Sentence,
    halves,
    random_sentences,
    read_sentences,
    writing_prompt,
)
from glossator.explanations import Explanation, Provenance
from glossator.language_models import NOTHING_USED, LanguageModel, Usage
from glossator.readouts.base import Readout
from glossator.recording.texts import unit_activations
from glossator.resources import Resources, taken_by
from glossator.units import Unit, unit_rng
from glossator.zero_to_ten import Record

if TYPE_CHECKING:
    from glossator.programs import Lexicon
    from glossator.subjects.transformer import TransformerSubject


class Run(NamedTuple):
    """A sentence with the unit's activations at its tokens as a record, and the largest of them."""

    sentence: Sentence
    record: Record
    largest: float


@dataclass(frozen=True)
class Tested:
    """A first explanation and the unit's activations in the sentences that test it.

    shown: for the reviser; held: apart from it; failed: kinds of sentences that could not be had, and why; usage: what
    writing them took.
    """

    first: Explanation
    shown: list[Run]
    held: list[Run]
    failed: dict[str, str]
    usage: Usage


@dataclass(frozen=True)
class RevisedExplainer(Explainer):
    """Several samples of a revised explanation.

    lm: the language model that writes sentences and revises; subject: the model under study; first: the registered
    explainer whose best explanation is revised, and first_options its settings; control: `none`, `no-old-text` or
    `random-sentences`; sentences: how many in all, half of them meant to be active; records, samples, temperature,
    max_tokens, form, context: as for the `bills` explainer; lexicon: for a first explainer that takes one; readouts: by
    site, for units of a readout (`NAME@SITE`). It abstains if the first explainer does.
    """

    lm: LanguageModel
    subject: TransformerSubject
    first: str = "bills"
    first_options: Mapping[str, Any] = field(default_factory=dict)
    control: Control = "none"
    sentences: int = 10
    records: int = 5
    samples: int | None = None
    temperature: float = 1.0
    max_tokens: int = 80
    form: Form = "auto"
    context: int | None = None
    lexicon: Lexicon | None = None
    readouts: Mapping[str, Readout] | None = None
    _first: Explainer = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.control not in CONTROLS:
            raise UserError("unknown control of the revision", value=self.control, allowed=", ".join(CONTROLS))
        if self.sentences < 4:
            raise UserError("too few sentences for a revision", value=self.sentences, allowed="4 or more")
        form_for(self.lm, self.form)
        object.__setattr__(self, "_first", self._made_first())

    def explain(self, evidence: Sequence[ExplainEvidence], *, n: int, seed: int) -> list[Explained]:
        """Three rounds for all units together: first explanations, sentences, revisions."""
        for one in evidence:  # a unit that cannot be run is refused before anything is asked
            unit_activations(self.subject, one.unit, [], readouts=self.readouts)
        found: list[Explained] = list(self._first.explain(evidence, n=1, seed=seed))
        drafts = {place: first[0] for place, first in enumerate(found) if not isinstance(first, Abstained) and first}
        live = list(drafts)
        tests = self._tests([(evidence[place], draft) for place, draft in drafts.items()], seed)
        room = room_for(self.lm, self.context, self.max_tokens)
        prompts = [
            fitting_prompt(
                top_records(evidence[place].exemplars, self.records),
                [run.record for run in test.shown],
                None if self.control == "no-old-text" else test.first.text,
                room,
            )
            if test.shown and test.held
            else None
            for place, test in zip(live, tests, strict=True)
        ]
        outcomes = ask(self.lm, prompts, self.form, self.samples or n, self.temperature, self.max_tokens)
        for place, test, prompt, outcome in zip(live, tests, prompts, outcomes, strict=True):
            if not (test.shown and test.held):
                reasons = "; ".join(f"{kind}: {why}" for kind, why in test.failed.items()) or "fewer than two"
                found[place] = Abstained(f"revised: no sentences to revise by: {reasons}", failed=True)
            elif prompt is None:
                why = f"revised: not even one record fits into {room} tokens of {self.lm.name}"
                found[place] = Abstained(why, failed=True)
            else:
                base = self._provenance(test, evidence[place], seed)
                answered = explanations_of(evidence[place].unit, outcome, base, n)
                found[place] = answered if isinstance(answered, Abstained) else _with_cost_so_far(answered, test)
        return found

    def _made_first(self) -> Explainer:
        if self.first == "revised":
            raise UserError(
                "the revised explainer cannot revise itself", value=self.first, allowed="bills, program, ..."
            )
        known = taken_by(registry.load("explainers", self.first))
        same = ("records", "temperature", "max_tokens", "form", "context")
        given = {name: getattr(self, name) for name in same if name in known}
        if self.first == "bills":
            given["samples"] = 1
        readouts = self.readouts
        shared = Resources(
            self.lexicon, open_lm=lambda: self.lm, open_subject=lambda: self.subject,
            open_readouts=None if readouts is None else lambda: readouts,
        )  # fmt: skip
        return shared.build("explainers", self.first, {**given, **self.first_options})

    def _tests(self, drafts: Sequence[tuple[ExplainEvidence, Explanation]], seed: int) -> list[Tested]:
        """The sentences of all units, run through the subject and divided into halves."""
        written: list[tuple[list[Sentence], dict[str, str], Usage]]
        if self.control == "random-sentences":
            written = [
                (random_sentences(one.exemplars, self.sentences, unit_rng(seed, one.unit, 1)), {}, NOTHING_USED)
                for one, _ in drafts
            ]
        else:
            written = self._written([first.text for _, first in drafts])
        found: list[Tested] = []
        for (one, first), (sentences, failed, usage) in zip(drafts, written, strict=True):
            shown, held = halves(sentences, unit_rng(seed, one.unit, 2))
            runs = self._run(one.unit, [*shown, *held], one.exemplars.windows.width)
            found.append(Tested(first, runs[: len(shown)], runs[len(shown) :], failed, usage))
        return found

    def _written(self, texts: Sequence[str]) -> list[tuple[list[Sentence], dict[str, str], Usage]]:
        """For each explanation its sentences, the kinds that could not be had with the reason, and the cost."""
        form, each = form_for(self.lm, self.form), self.sentences // 2
        requests = [
            writing_prompt(text, kind, each).request(
                form, max_tokens=TOKENS_A_SENTENCE * each, temperature=self.temperature, lines=0
            )
            for text in texts
            for kind in WRITTEN
        ]
        answers = iter(self.lm.ask(requests) if requests else [])
        found = []
        for _ in texts:
            sentences: dict[str, Sentence] = {}
            failed: dict[str, str] = {}
            usage = NOTHING_USED
            for kind in WRITTEN:
                answer = next(answers)
                usage += answer.usage
                read, reason = read_sentences(answer, kind, each)
                for sentence in read:
                    sentences.setdefault(sentence.text.casefold(), sentence)
                if reason is not None:
                    failed[kind] = reason
            found.append((list(sentences.values()), failed, usage))
        return found

    def _run(self, unit: Unit, sentences: Sequence[Sentence], width: int) -> list[Run]:
        texts = self.subject.tokenizer.vocabulary.texts
        texts_run = [sentence.text for sentence in sentences]
        done = unit_activations(self.subject, unit, texts_run, width=width, readouts=self.readouts)
        return [
            Run(sentence, record_of(tokens, values, texts), float(values.max(initial=0.0)))
            for sentence, (tokens, values) in zip(sentences, done, strict=True)
        ]

    def _provenance(self, test: Tested, evidence: ExplainEvidence, seed: int) -> Provenance:
        threshold = evidence.statistics.firing_threshold
        settings = {
            "first": test.first.provenance.method,
            "first_text": test.first.text,
            "control": self.control,
            "sentences": self.sentences,
            "sentences_prompt": None if self.control == "random-sentences" else FINGERPRINT,
            "sentences_failed": test.failed,
            "shown": [_told(run) for run in test.shown],
            "held_apart": [_told(run) for run in test.held],
            "first_on_held_apart": first_on(test.held, threshold),
            "records": self.records,
            "temperature": self.temperature,
            "max_tokens": self.max_tokens,
            "form": form_for(self.lm, self.form),
        }
        return Provenance("revised", settings, evidence.fingerprint, seed, self.lm.name, fingerprint(self.control))


def first_on(held: Sequence[Run], threshold: float) -> dict[str, dict[str, int]]:
    """How often the unit fired in the sentences held apart, by what they were meant to do."""
    found: dict[str, dict[str, int]] = {}
    for run in held:
        counts = found.setdefault(f"meant_{run.sentence.intended}", {"sentences": 0, "fired": 0})
        counts["sentences"] += 1
        counts["fired"] += int(run.largest > threshold)
    return found


def _told(run: Run) -> dict[str, object]:
    return {"text": run.sentence.text, "meant": run.sentence.intended, "largest": round(run.largest, 4)}


def _with_cost_so_far(explanations: list[Explanation], test: Tested) -> list[Explanation]:
    """The first of them also bears what the first explanation and the sentences cost."""
    best, earlier, writing = explanations[0], test.first.provenance.cost, test.usage.as_dict()
    cost = {name: value + writing.get(name, 0) + earlier.get(name, 0) for name, value in best.provenance.cost.items()}
    return [replace(best, provenance=replace(best.provenance, cost=cost)), *explanations[1:]]
