"""The opinion of the weights alone: what it is made from, that it reads no activation, and how agreement is told."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from glossator.cli.show import print_head
from glossator.errors import MissingPower
from glossator.evidence import Evidence, Exemplars, ExplainEvidence
from glossator.explainers import Abstained, explain_one
from glossator.explainers.input_weights import InputWeightsExplainer, by_weights, strengths_of
from glossator.explanations import Explanation, Provenance
from glossator.inputs.tokens import TokenWindows
from glossator.programs import Clause, Lexicon, Program, Table, execute
from glossator.scorers.lab import Lab, score_explanation
from glossator.scorers.weights_agreement import DISAGREE
from glossator.store.results import UnitResult, as_stored
from glossator.subjects import load_subject
from glossator.subjects.token_weights import input_strengths
from glossator.units import Unit
from scorer_cases import statistics_of
from tiny_models import byte_level_tokenizer, save_tiny

WIDTH, DOCUMENTS = 24, 160


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory):
    return load_subject(str(save_tiny(tmp_path_factory.mktemp("weights") / "m", "llama", byte_level_tokenizer())))


def evidence(subject, unit: Unit, seed: int = 0) -> Evidence:
    """Windows of tokens drawn with a long tail; activations have nothing to do with the weights."""
    rng = np.random.default_rng(seed)
    vocabulary = subject.tokenizer.vocabulary
    often = rng.permutation(1 / np.arange(1, len(vocabulary.texts) + 1))

    def drawn(first: int) -> Exemplars:
        tokens = rng.choice(len(often), (DOCUMENTS, WIDTH), p=often / often.sum()).astype(np.int32)
        ids = np.arange(first, first + DOCUMENTS)
        windows = TokenWindows(
            tokens, np.full(DOCUMENTS, WIDTH, np.int32), np.ones(tokens.shape, bool), ids, ids, vocabulary
        )
        values = rng.gamma(1.0, size=tokens.shape).astype(np.float32)
        return Exemplars(windows, values, np.full(DOCUMENTS, "random"))

    explain, calibrate, test = drawn(0), drawn(1000), drawn(2000)
    given = ExplainEvidence(unit, explain, statistics_of(explain), "seen")
    return Evidence(unit, given, calibrate, calibrate, test, statistics_of(test))


def unit_of(subject, index: int, polarity: str = "+") -> Unit:
    return Unit(subject.name, "mlp.0", index, polarity)


def test_the_program_predicts_the_strengths_of_tokens(subject):
    lexicon = Lexicon.for_windows(subject.tokenizer.vocabulary, None)
    explainer, found = InputWeightsExplainer(subject, lexicon), []
    for index in range(4):
        unit = unit_of(subject, index)
        shown = evidence(subject, unit)
        (strengths,) = strengths_of(subject, [unit])
        for explanation in explain_one(explainer, shown.explain, n=1):
            assert explanation.provenance.method == "input-weights" and explanation.provenance.evidence == "seen"
            windows = shown.test.windows
            predicted = execute(explanation.program, windows, lexicon)
            found.append(np.corrcoef(predicted[windows.valid], strengths[windows.tokens][windows.valid])[0, 1])
    assert len(found) >= 3 and min(found) > 0.7


def test_no_activation_is_read(subject):
    shown = evidence(subject, unit_of(subject, 1)).explain
    other = replace(shown, exemplars=replace(shown.exemplars, activations=shown.exemplars.activations[::-1] * 7))
    explainer = InputWeightsExplainer(subject)
    assert explain_one(explainer, shown, n=1) == explain_one(explainer, other, n=1)


def test_strengths_follow_the_polarity_and_are_read_for_many_units_together(subject):
    units = [unit_of(subject, 3), unit_of(subject, 3, "-"), Unit(subject.name, "mlp.1", 0)]
    up, down, other = strengths_of(subject, units)
    signed = input_strengths(subject, "mlp.0", [3])[:, 0]
    np.testing.assert_allclose(up - down, signed, atol=1e-6)
    assert (up >= 0).all() and (up * down == 0).all()
    np.testing.assert_allclose(other, np.maximum(input_strengths(subject, "mlp.1", [0])[:, 0], 0), atol=1e-6)
    with pytest.raises(MissingPower, match="token weights"):
        strengths_of(subject, [Unit(subject.name, "resid.0", 0)])


def test_a_unit_without_positive_strengths_is_not_explained(subject):
    shown = evidence(subject, unit_of(subject, 0)).explain
    silent = by_weights(shown, np.zeros(shown.exemplars.windows.tokens.shape))
    assert silent.statistics.maximum == 0 and set(silent.exemplars.kinds) == {"random"}
    assert not isinstance(InputWeightsExplainer(subject).explain([], n=1, seed=0), Abstained)


def test_agreement_is_told_and_disagreement_flagged(subject):
    unit = unit_of(subject, 2)
    shown = evidence(subject, unit)
    (strengths,) = strengths_of(subject, [unit])
    texts = subject.tokenizer.vocabulary.texts
    distinct = [t for t in range(len(texts)) if texts.count(texts[t]) == 1]
    lab = Lab(Lexicon.for_windows(subject.tokenizer.vocabulary, None), open_subject=lambda: subject)

    def agreement(values: np.ndarray):
        table = Table(tuple((texts[t], float(values[t])) for t in distinct), 0.0)
        explanation = Explanation(unit, "", Provenance("table"), Program(0.0, (Clause(1.0, table),)))
        (score,) = score_explanation(unit, explanation, shown, lab, ["weights-agreement"])
        return score

    same, opposite = agreement(strengths), agreement(strengths.max() - strengths)
    assert same.name == "weights-agreement.random-only" and same.value > 0.9 and "flag" not in same.how
    assert opposite.value < -0.9 and opposite.how["flag"] == DISAGREE
    chosen = [
        replace(as_stored(Explanation(unit, "x", Provenance("x")), None, 0, None), scores=(s,))
        for s in (same, opposite)
    ]
    assert chosen[0].flags == () and chosen[1].flags == (f"{DISAGREE} (weights-agreement.random-only)",)
    out = Console(file=io.StringIO(), width=200)
    print_head(out, "s", UnitResult(unit, "ok", explanations=(chosen[1],)))
    assert f"Caution: {DISAGREE}" in out.file.getvalue()
    (lacking,) = score_explanation(
        unit, Explanation(unit, "x", Provenance("x")), shown, Lab(lab.lexicon), ["weights-agreement"]
    )
    assert lacking.value is None and "subject" in lacking.reason
