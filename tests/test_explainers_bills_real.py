"""With the real weights of a small model, as the subject and as the language model: everything runs, twice the same.

What so small a model says of a unit is mostly noise, so nothing is asserted of its words.
"""

from __future__ import annotations

import pytest

from glossator.evidence import Exemplars, ExplainEvidence
from glossator.explainers import Abstained
from glossator.explainers.bills import BillsExplainer
from glossator.explainers.revision import RevisedExplainer
from glossator.explainers.token_space import TokenSpaceExplainer
from glossator.recording.texts import site_values, text_windows
from glossator.units import Unit
from scorer_cases import statistics_of

DATES = Unit("smollm2-135m", "mlp.12", 220)  # active at months, weekdays and “next”, “early”, “late”
TEXTS = [
    "They met in early November and again last June.",
    "The report is due next Thursday or, at the latest, late in December.",
    "Wood floats on water because it is less dense.",
    "He whistled while the kettle boiled.",
]


@pytest.fixture(scope="module")
def evidence(smollm2) -> ExplainEvidence:
    windows = text_windows(smollm2, TEXTS, 24)
    values = site_values(smollm2, DATES.site, [DATES.index], windows)[:, :, 0]
    exemplars = Exemplars(windows, values, windows.documents.astype(str))
    exemplars.kinds[:] = ["top", "top", "random", "random"]
    return ExplainEvidence(DATES, exemplars, statistics_of(exemplars, 1.0), "dates")


@pytest.fixture(scope="module")
def lm(smollm2):
    from glossator.language_models.in_process import InProcess

    return InProcess.of_subject(smollm2)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["chat", "completion"])
def test_bills_runs_and_repeats(evidence, lm, form: str) -> None:
    explainer = BillsExplainer(lm, records=1, max_tokens=12, form=form)
    first, second = (explainer.explain([evidence], n=2, seed=0) for _ in range(2))
    assert first == second
    (found,) = first
    assert isinstance(found, Abstained) or (len(found) > 0 and all(e.text for e in found))


@pytest.mark.slow
def test_revision_runs_the_subject_on_what_was_written(evidence, lm, smollm2) -> None:
    explainer = RevisedExplainer(lm, smollm2, records=1, sentences=4, max_tokens=12, form="completion")
    (found,) = explainer.explain([evidence], n=2, seed=0)
    if not isinstance(found, Abstained):
        settings = found[0].provenance.settings
        assert settings["shown"] and settings["held_apart"]
        assert all(isinstance(s["largest"], float) for s in settings["shown"] + settings["held_apart"])


@pytest.mark.slow
def test_weights_of_a_real_neuron_know_what_it_is_active_at(evidence, lm, smollm2) -> None:
    lists = {
        source: TokenSpaceExplainer(lm, source=source, subject=smollm2).token_lists([evidence])[0]
        for source in ("activations", "input-weights", "output-weights")
    }
    assert {" early", " November", " June"} <= set(lists["activations"])
    assert {" soon", " Soon", " shortly"} <= set(lists["input-weights"])
    assert " March" in lists["output-weights"]
    assert all(len(tokens) <= 50 for tokens in lists.values())
