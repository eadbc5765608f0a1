"""The two token baselines: the lookup table and the token list."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glossator import registry
from glossator.errors import UserError
from glossator.evidence import ExplainEvidence
from glossator.explainers import explain_one
from glossator.explainers.lookup import LookupExplainer
from glossator.explainers.token_list import TokenListExplainer
from glossator.explainers.token_means import rounded, token_means
from glossator.inputs.tokens import Vocabulary
from glossator.programs import Token, bits, execute
from glossator.scorers.lab import Lab, score_explanation
from glossator.statistics import shrinkage
from scorer_cases import LEXICON, UNIT, WORDS, TokenWorld, exemplars_of, statistics_of, windows_of


def given_of(tokens, activations, kinds="random", lengths=None) -> ExplainEvidence:
    drawn = exemplars_of(windows_of(np.array(tokens), lengths=lengths), np.array(activations, float), kinds)
    return ExplainEvidence(UNIT, drawn, statistics_of(drawn), "print")


def values_of(explanation, tokens=range(10)):
    windows = windows_of(np.array([list(tokens)]))
    return execute(explanation.program, windows, LEXICON)[0].tolist()


def value(explanation, name, evidence):
    scores = {s.name: s.value for s in score_explanation(UNIT, explanation, evidence, Lab(LEXICON))}
    return scores[name]


def test_the_table_holds_smoothed_means_and_the_overall_mean_for_unseen_tokens():
    evidence = given_of([[1, 1, 2, 7]], [[4, 2, 1, 99]], lengths=[3])
    overall = 7 / 3
    (explanation,) = explain_one(LookupExplainer(prior=2), evidence, n=1)
    expected = [overall, (6 + 2 * overall) / 4, (1 + 2 * overall) / 3, overall]
    assert values_of(explanation, [0, 1, 2, 7]) == pytest.approx(expected, abs=2e-3)
    assert explanation.provenance.method == "lookup" and explanation.provenance.evidence == "print"
    assert "' w1'" in explanation.text


def test_the_table_is_of_the_units_own_side():
    evidence = given_of([[1, 1, 2, 3]], [[-4, 2, 1, -5]])
    (explanation,) = explain_one(LookupExplainer(prior=0.0), evidence)
    assert values_of(explanation, [1, 2, 3]) == pytest.approx([1, 1, 0], abs=1e-3)


def test_kinds_count_by_their_weights_and_windows_chosen_by_activation_do_not():
    kinds = ["random", "top", "near-miss", "quantile"]
    evidence = given_of([[1, 2]] * 4, [[1, 0], [5, 0], [9, 0], [9, 0]], kinds)
    for weights, expected in (({"random": 1.0, "top": 1.0}, 3), ({"random": 1.0}, 1), ({"random": 3, "top": 1}, 2)):
        (explanation,) = explain_one(LookupExplainer(prior=0.0, kind_weights=weights), evidence)
        assert values_of(explanation, [1]) == pytest.approx([expected], abs=1e-3), weights
    evidence.exemplars.in_random[1] = True  # the top window is of the random draw as well: it stands for the population
    (explanation,) = explain_one(LookupExplainer(prior=0.0, kind_weights={"random": 1.0}), evidence)
    assert values_of(explanation, [1]) == pytest.approx([3], abs=1e-3)
    assert LookupExplainer().kind_weights == {"random": 1.0, "top": 1.0}
    only = given_of([[1, 2]], [[9, 0]], "quantile")
    assert values_of(explain_one(LookupExplainer(prior=0.0), only)[0], [1]) == pytest.approx([9])


def test_tokens_with_the_same_text_are_one_token():
    vocabulary = Vocabulary("twins", (b" a", b" b", b" a"))
    windows = dataclasses.replace(windows_of(np.array([[0, 2, 1]])), vocabulary=vocabulary)
    drawn = exemplars_of(windows, np.array([[1.0, 3.0, 0.0]]), "random")
    evidence = ExplainEvidence(UNIT, drawn, statistics_of(drawn), "print")
    found = token_means(evidence, prior=0.0)
    assert found.tokens.tolist() == [0, 1] and found.means.tolist() == [2.0, 0.0]
    assert len(explain_one(LookupExplainer(), evidence)[0].program.clauses[0].test.values) == 2


def test_shrinkage_is_the_ratio_of_the_variance_components():
    rng = np.random.default_rng(0)
    counts = rng.integers(2, 30, 3000)
    means = rng.normal(scale=0.5, size=3000)
    token = np.repeat(np.arange(3000), counts)
    values = 3 + means[token] + rng.normal(scale=1.5, size=len(token))
    sums, squares = np.bincount(token, values), np.bincount(token, values**2)
    assert shrinkage(counts, sums, squares) == pytest.approx(1.5**2 / 0.5**2, rel=0.1)
    noise = rng.normal(size=len(token))
    assert shrinkage(counts, np.bincount(token, noise), np.bincount(token, noise**2)) > 50
    exact = means[token]
    assert shrinkage(counts, np.bincount(token, exact), np.bincount(token, exact**2)) == 0.1
    assert shrinkage(np.ones(5), np.arange(5.0), np.arange(5.0) ** 2) == 1.0


def test_the_estimated_prior_predicts_new_text_at_least_as_well_as_fixed_ones():
    world = TokenWorld(noise=2.0, firing=150)
    given = given_of_world(world)
    evidence = world.evidence(test=60)

    def r2(prior):
        (explanation,) = explain_one(LookupExplainer(prior=prior), given)
        return value(explanation, "explained-variance.centred.random-only", evidence)

    ours = r2(None)
    assert ours > r2(0.0) and ours > r2(300.0) and ours > max(r2(p) for p in (0.3, 1, 3, 10, 30)) - 0.01


def given_of_world(world, top=10, random=30):
    drawn = world.draw(top, random)
    return ExplainEvidence(UNIT, drawn, statistics_of(drawn), "print")


def test_the_table_of_a_token_unit_is_almost_perfect_on_new_text():
    world = TokenWorld(noise=0.05)
    evidence = world.evidence()
    (explanation,) = explain_one(LookupExplainer(), evidence.explain)
    assert value(explanation, "correlation.top-and-random", evidence) > 0.97
    assert value(explanation, "correlation.random-only", evidence) > 0.97


def test_the_table_of_a_context_unit_is_poor():
    """The unit fires on any token after w3: the table sees only what token it is."""
    world = TokenWorld(noise=0.0)

    def after(drawn):
        previous = np.roll(drawn.windows.tokens, 1, axis=1) == 3
        previous[:, 0] = False
        return exemplars_of(drawn.windows, 2.0 * previous, drawn.kinds)

    evidence = world.evidence()
    given = dataclasses.replace(evidence.explain, exemplars=after(evidence.explain.exemplars))
    evidence = dataclasses.replace(
        evidence, explain=given, calibrate=after(evidence.calibrate), test=after(evidence.test)
    )
    (explanation,) = explain_one(LookupExplainer(), given)
    assert abs(value(explanation, "correlation.random-only", evidence)) < 0.2


def test_the_token_list_finds_the_tokens_and_their_strengths():
    world = TokenWorld(noise=0.05)
    evidence = world.evidence()
    (explanation,) = explain_one(TokenListExplainer(n=12, form="clauses"), evidence.explain)
    listed = {c.test.texts[0]: explanation.program.bias + c.strength for c in explanation.program.clauses}
    assert all(isinstance(c.test, Token) and len(c.test.texts) == 1 for c in explanation.program.clauses)
    seen = evidence.explain.exemplars.windows.tokens
    for i in np.flatnonzero(world.strengths):
        if (seen == i).sum() >= 10:
            assert listed[WORDS[i]] == pytest.approx(world.strengths[i], rel=0.1), WORDS[i]
    assert value(explanation, "correlation.top-and-random", evidence) > 0.95
    assert explanation.provenance.settings["tokens"] == len(listed) == 12
    assert explanation.text


def test_strengths_are_least_squares_without_shrinkage():
    rng = np.random.default_rng(0)
    tokens, activations = rng.integers(0, 8, (30, 20)), rng.gamma(1.0, size=(30, 20))
    activations += 3 * (tokens == 2) - 0.5 * (tokens == 5)
    evidence = given_of(tokens, activations)
    program = explain_one(TokenListExplainer(n=3, prior=0.0, form="clauses"), evidence)[0].program
    chosen = [int(c.test.texts[0][2:]) for c in program.clauses]
    assert 2 in chosen
    design = np.stack([np.ones(600), *(tokens.ravel() == i for i in chosen)], axis=1)
    fitted = np.linalg.lstsq(design, np.maximum(activations, 0).ravel(), rcond=None)[0]
    assert [program.bias, *(c.strength for c in program.clauses)] == pytest.approx(fitted, abs=0.02)


def test_the_first_token_is_the_best_single_one():
    rng = np.random.default_rng(3)
    tokens, activations = rng.integers(0, 10, (40, 20)), rng.random((40, 20))
    activations += 0.4 * (tokens == 6) + 0.3 * (tokens == 1)
    evidence = given_of(tokens, activations)
    program = explain_one(TokenListExplainer(n=1, prior=0.0), evidence)[0].program
    r = [abs(np.corrcoef(tokens.ravel() == i, activations.ravel())[0, 1]) for i in range(10)]
    assert program.clauses[0].test.texts == (WORDS[int(np.argmax(r))],)


@settings(max_examples=25, deadline=None)
@given(budget=st.floats(1, 3000))
def test_a_token_list_fits_its_bits_and_one_more_token_would_not(budget):
    counted = {}
    for form in ("clauses", "groups"):
        (explanation,) = explain_one(TokenListExplainer(bits=budget, form=form, lexicon=LEXICON), BITS_WORLD)
        counted[form] = explanation.provenance.settings["tokens"]
        if counted[form]:
            assert bits(explanation.program, LEXICON) <= budget
    assert counted["groups"] >= counted["clauses"]
    for n in range(counted["clauses"] + 1, 300):
        longer = explain_one(TokenListExplainer(n=n, form="clauses"), BITS_WORLD)[0].program
        if len(longer.clauses) > counted["clauses"]:  # a strength may round to 0
            assert bits(longer, LEXICON) > budget
            break


def test_tokens_of_about_equal_strength_share_a_clause():
    evidence = given_of([[1, 2, 3, 4, 5, 6, 7, 8]] * 4, [[4.0, 4.2, 1.0, 1.0, 0, 0, 0, 0]] * 4)
    program = explain_one(TokenListExplainer(n=4, prior=0.0), evidence)[0].program
    assert {c.test.texts: c.strength for c in program.clauses} == {(" w2", " w1"): 4.1, (" w3", " w4"): 1.0}
    assert program.bias == 0


BITS_WORLD = given_of_world(TokenWorld(noise=0.5), random=60)


def test_more_bits_never_score_worse_on_the_explain_split():
    drawn = BITS_WORLD.exemplars
    mask = drawn.windows.valid
    truth = np.maximum(drawn.activations[mask], 0)
    errors = []
    for budget in (20, 60, 200, 600, 2000):
        program = explain_one(TokenListExplainer(bits=budget, prior=0.0), BITS_WORLD)[0].program
        errors.append(((execute(program, drawn.windows, LEXICON)[mask] - truth) ** 2).mean())
    assert all(b <= a + 1e-4 for a, b in itertools.pairwise(errors))
    assert errors[-1] < 0.7 * errors[0]


def test_bad_lengths_are_refused():
    for bad in ({"form": "table"}, {"n": 3, "bits": 10.0}, {"n": 0}, {"bits": -1.0}, {"bits": float("nan")}):
        with pytest.raises(UserError, match="token list"):
            TokenListExplainer(**bad)


def test_both_are_deterministic_and_registered():
    for name in ("lookup", "token-list"):
        explainer = registry.load("explainers", name)()
        (first,), (second,) = explainer.explain([BITS_WORLD] * 2, n=1, seed=0)
        assert first == second and first.provenance.method == name


def test_a_silent_unit_gives_a_silent_table_and_an_empty_list():
    evidence = given_of([[1, 2]], [[0, 0]])
    assert values_of(explain_one(LookupExplainer(), evidence)[0], [1, 2, 3]) == [0, 0, 0]
    assert values_of(explain_one(TokenListExplainer(), evidence)[0], [1, 2, 3]) == [0, 0, 0]


def test_rounding_keeps_significant_digits_of_the_largest():
    assert rounded(np.array([123.456, 0.04567]), 4).tolist() == [123.5, 0.0]
    assert rounded(np.array([0.00123456, -0.0001]), 3).tolist() == [0.00123, -0.0001]
    assert rounded(np.zeros(2)).tolist() == [0, 0]
