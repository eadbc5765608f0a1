"""Explanations of what a unit raises and lowers: by its weights, by holding it, and beside an input side."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from causal_output_cases import CAUSAL, DECOY, DORMANT, SITE, evidence, planted, unit
from glossator.causal.output_effects import by_clamping, chance_of_standing_out, countable, standardised
from glossator.errors import MissingPower, UserError
from glossator.explainers import Abstained, Explainer, explain_one
from glossator.explainers.output_side import (
    EnsembleExplainer,
    OutputEffectExplainer,
    OutputSideExplainer,
    OutputWeightsExplainer,
)
from glossator.explanations import Explanation, Provenance
from glossator.headlines.outputs import OutputClasses
from glossator.inputs.tokens import Vocabulary
from glossator.programs import Clause, Lexicon, Program, Token, Word, english, execute, parse_program
from glossator.scorers.headline import NEXT, HeadlineScorer
from glossator.scorers.lab import Lab
from glossator.subjects.token_weights import logit_strengths, output_strengths, written
from recording_fakes import NoModel

METHODS = [OutputWeightsExplainer(planted()), OutputEffectExplainer(planted(), windows=6, width=8)]


def explain(explainer, index: int, polarity: str = "+"):
    of = unit(index, polarity)
    return explain_one(explainer, evidence(of).explain)


@pytest.mark.parametrize("explainer", METHODS, ids=lambda e: e.name)
def test_the_planted_tokens_are_named_and_nothing_is_claimed_of_the_decoy(explainer):
    (found,) = explain(explainer, CAUSAL)
    assert found.program == Program(0.0, (), Token((" are",)), Token((" is",)))
    assert found.text == "Makes “are” more likely to come next, and “is” less likely."
    assert str(found.headline) == "promotes “are”" and found.headline.program == Program(0.0, (), Token((" are",)))
    assert parse_program(str(found.program)) == found.program
    (other_side,) = explain(explainer, CAUSAL, "-")
    assert other_side.program == Program(0.0, (), Token((" is",)), Token((" are",)))
    assert explain(explainer, DECOY) == []
    seen = found.provenance.evidence
    assert found.provenance.method == explainer.name and (seen == "seen") == (explainer.by == "effect")


def test_a_dormant_unit_has_an_output_side_all_the_same():
    by_weights, by_effect = (explain(e, DORMANT) for e in METHODS)
    assert by_weights[0].program.output == {"raises": Token((" are",)), "lowers": Token((" is",))}
    assert by_effect == [], "held at its largest value, 0, it does what it does at its mean"


def test_both_ways_together_name_what_they_agree_on():
    both = OutputSideExplainer(planted(), by="both", windows=6, width=8)
    assert explain(both, CAUSAL)[0].program == Program(0.0, (), Token((" are",)), Token((" is",)))
    assert explain(both, DECOY) == []


def test_many_units_are_explained_as_each_alone():
    shown = [evidence(unit(i)).explain for i in (CAUSAL, DECOY, 5, 6)]
    together = METHODS[0].explain(shown)
    assert together == [METHODS[0].explain([one])[0] for one in shown]
    assert together[1] == Abstained("no output token stands out more than for random directions")


def test_the_effect_is_the_mean_change_of_logits():
    import torch

    of, held = unit(CAUSAL), (2.0, 0.5)
    windows = evidence(of).explain.exemplars.windows.take(np.arange(3))
    found = by_clamping(planted(), of, windows, *held)
    from glossator.subjects.hooks import edit

    logits = []
    for value in held:

        def hold(tensor, value=value):
            changed = tensor.clone()
            changed[..., CAUSAL] = value
            return changed

        with torch.inference_mode(), edit(planted().model, SITE, hold):
            logits.append(planted().model(**planted().model_inputs(windows.tokens, windows.lengths)).logits[:, 1:])
    by_hand = (logits[0] - logits[1])[torch.from_numpy(windows.valid)].double().mean(0).numpy()
    assert found - found.mean() == pytest.approx(by_hand - by_hand.mean(), abs=1e-4)


def test_what_each_kind_of_site_writes():
    down = planted().model.model.layers[1].mlp.down_proj.weight.numpy()
    assert written(planted(), SITE, [3, 7]) == pytest.approx(down.T[[3, 7]])
    back = planted().model.model.layers[0].self_attn.o_proj.weight.numpy()
    assert written(planted(), "head.0", [0]) == pytest.approx(back.T[[0]])
    for site in ("resid.1", "attn.0"):
        assert written(planted(), site, [4]) == pytest.approx(np.eye(32)[[4]])
    by_parts = logit_strengths(planted(), written(planted(), SITE, [3, 7]))
    assert output_strengths(planted(), SITE, [3, 7]) == pytest.approx(by_parts)
    with pytest.raises(UserError, match="no such unit"):
        written(planted(), SITE, [99])
    with pytest.raises(MissingPower, match="unknown"):
        written(planted(), "model.embed_tokens", [0])


def test_tokens_that_cannot_be_named_do_not_count():
    vocabulary = planted().tokenizer.vocabulary
    counts = countable(vocabulary)
    assert not counts[[*vocabulary.special]].any()
    assert all(vocabulary.pieces[i] for i in np.flatnonzero(counts))
    effects = np.random.default_rng(0).normal(size=(len(vocabulary), 2))
    effects[:, 1] = 3.0
    found = standardised(effects, vocabulary)
    assert np.isnan(found[~counts]).all() and np.isnan(found[:, 1]).all()
    assert np.nanmean(found[:, 0]) == pytest.approx(0, abs=1e-12) and np.nanstd(found[:, 0]) == pytest.approx(1)
    assert chance_of_standing_out(planted()) == chance_of_standing_out(planted()) > 2


# Both sides.


class Says(Explainer):
    """An explainer of the input side that says the same of every unit, or nothing."""

    def __init__(self, program: Program | None):
        self.program = program

    def explain(self, evidence, *, n, seed):
        if self.program is None:
            return [Abstained("nothing to say")] * len(evidence)
        made = Provenance("says", {"k": 1}, "seen")
        return [[Explanation(one.unit, english(self.program), made, self.program)] for one in evidence]


INPUT = Program(0.5, (Clause(2.0, Token((" dogs",))),))


def test_an_ensemble_says_both_sides_and_executes_as_the_input_side():
    ensemble = EnsembleExplainer(planted(), first=Says(INPUT), by="weights")
    (found,) = explain(ensemble, CAUSAL)
    assert found.program == replace(INPUT, raises=Token((" are",)), lowers=Token((" is",)))
    assert found.text == "On “dogs”. Makes “are” more likely to come next, and “is” less likely."
    assert found.provenance.method == "ensemble" and found.provenance.settings["first"] == "says"
    windows = evidence(unit(CAUSAL)).test.windows
    lexicon = Lexicon.for_windows(windows.vocabulary, None)
    assert (execute(found.program, windows, lexicon) == execute(INPUT, windows, lexicon)).all()


def test_where_one_side_has_nothing_the_other_stands_alone():
    (no_output,) = explain(EnsembleExplainer(planted(), first=Says(INPUT), by="weights"), DECOY)
    assert no_output.program == INPUT
    (no_input,) = explain(EnsembleExplainer(planted(), first=Says(None), by="weights"), CAUSAL)
    assert no_input.program.clauses == () and no_input.program.output and no_input.provenance.method == "ensemble"
    assert explain(EnsembleExplainer(planted(), first=Says(None), by="weights"), DECOY) == []


def test_an_ensemble_takes_a_registered_explainer():
    found = explain(EnsembleExplainer(planted(), first="token-list", by="weights"), CAUSAL)
    assert found[0].program.clauses and found[0].program.output


def test_bad_input_says_what_is_wrong():
    with pytest.raises(UserError, match="unknown method"):
        OutputSideExplainer(planted(), by="guess")
    with pytest.raises(UserError, match="bad tokens"):
        OutputWeightsExplainer(planted(), tokens=0)
    with pytest.raises(MissingPower, match="no weights"):
        explain_one(OutputWeightsExplainer(NoModel()), evidence(unit(0)).explain)

    class Sentence(Says):
        def explain(self, evidence, *, n, seed):
            return [[Explanation(one.unit, "Words.", Provenance("says"))] for one in evidence]

    with pytest.raises(UserError, match="needs a program"):
        explain(EnsembleExplainer(planted(), first=Sentence(None)), CAUSAL)


def test_output_tokens_of_a_class_that_has_a_name_are_named_by_it():
    months = ["January", "February", "March", "April", "June", "July", "August", "October", "November", "December"]
    vocabulary = Vocabulary("words", tuple(f" {word}".encode() for word in (*months, "stone", "green", "house")))
    lexicon = Lexicon(vocabulary)
    classes = OutputClasses(lexicon)
    assert classes.headline({"raises": [0, 1, 2]}).text == "promotes “January”, “February”, “March”"
    few = OutputClasses(Lexicon(Vocabulary("more", (*vocabulary.pieces, *(f"{n}x".encode() for n in range(900))))))
    headline = few.headline({"raises": [*range(9), 12], "lowers": [10]})
    assert headline.text == "promotes months (January, February)" and headline.program.raises == Word("months")
    assert headline.named and few.headline({"lowers": [11, 12]}).text == "suppresses “green”, “house”"


def test_a_headline_about_next_tokens_is_not_scored_on_activations():
    of = unit(CAUSAL)
    (found,) = explain(METHODS[0], CAUSAL)
    shown = evidence(of)
    lab = Lab(Lexicon.for_windows(shown.test.windows.vocabulary, None))
    scores = HeadlineScorer().score(of, found, shown, lab)
    assert all(score.value is None for score in scores) and NEXT in {score.reason for score in scores}
