"""Headlines: what units do is named in plain words, what they do not is not, and the class is what the words say."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest

from glossator.agents import experiment
from glossator.agents.under_test import TokenUnderTest
from glossator.explainers.program import ProgramExplainer
from glossator.explanations import UNNAMEABLE, Headline
from glossator.headlines.classes import with_examples, without_examples
from glossator.inputs.tokens import TokenWindows, Vocabulary
from glossator.programs import Lexicon, Program, bits, execute, parse_program
from glossator.programs.words import WORD_CLASSES, finer_classes, members
from glossator.units import Unit
from inducer_cases import evidence_of

MONTHS = " January February March April June July August October November December"
FILLER = (
    " the a of to and in is was for with we our us I me my they their house river stone green paper water walks "
    "walked said table window morning because system value model train number people country music found made long good"
)
TOKENS = (*MONTHS.split(), *FILLER.split(), *"0123456789", ")", "(", "]", ",", ".", "\n", "ing", "ed")
VOCABULARY = Vocabulary(
    "english", tuple((f" {t}" if t.isalpha() and t not in ("ing", "ed") else t).encode() for t in TOKENS)
)
LEXICON = Lexicon(VOCABULARY)


def windows_of(seed: int, n: int = 300, width: int = 32) -> TokenWindows:
    tokens = np.random.default_rng(seed).integers(len(VOCABULARY), size=(n, width)).astype(np.int32)
    valid = np.ones((n, width), bool)
    return TokenWindows(tokens, np.full(n, width, np.int32), valid, np.arange(n) // 3, np.arange(n), VOCABULARY)


SEEN, TESTED = windows_of(0), windows_of(1)


def holds(windows: TokenWindows, *texts: str) -> np.ndarray:
    return np.isin(windows.tokens, [VOCABULARY.ids[t] for t in texts])


@pytest.fixture(scope="module")
def explainer() -> ProgramExplainer:
    return ProgramExplainer(lexicon=LEXICON)


def fires(truth: np.ndarray, seed: int = 0) -> np.ndarray:
    """Strong where it is true, weak noise elsewhere."""
    rng = np.random.default_rng(seed)
    return np.where(truth, 0.6 + rng.random(truth.shape), 0.1 * (rng.random(truth.shape) < 0.02))


MONTH = tuple(f" {month}" for month in MONTHS.split())
BRACKETS = (")", "]")


def in_any_order(said: str) -> tuple[list[str], str]:
    """The words that a headline lists, and what it says of them."""
    words, _, common = said.partition(" (")
    return sorted(words.replace(" and ", ", ").split(", ")), common


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (MONTH, "months"),
        (BRACKETS, "closing brackets"),
        ((" we", " our", " us"), "“we”, “our” and “us” (first-person words)"),
        (tuple("0123456789"), "digits"),
        ((" because",), "“because”"),
    ],
)
def test_a_class_is_named_and_the_class_is_what_fires(explainer, texts, said):
    headline, modes, _ = explainer.name(evidence_of(fires(holds(SEEN, *texts)), SEEN))
    assert in_any_order(headline.text) == in_any_order(said)
    assert headline.named and not headline.weak and [mode.headline for mode in modes] == [headline]
    (clause,) = headline.program.clauses
    assert (clause.strength, headline.program.bias) == (1.0, 0.0)
    assert np.array_equal(execute(headline.program, TESTED, LEXICON) > 0, holds(TESTED, *texts))
    assert modes[0].share > 0.85 and 1.0 < modes[0].strength < 1.2


def test_what_stands_before_is_named(explainer):
    after = np.zeros(SEEN.tokens.shape, bool)
    after[:, 1:] = holds(SEEN, " our", " their")[:, :-1]
    headline, *_ = explainer.name(evidence_of(fires(after), SEEN))
    assert headline.text.endswith("after possessives")


def test_unrelated_reasons_are_modes_with_their_shares(explainer):
    truth = holds(SEEN, *MONTH) | holds(SEEN, *BRACKETS)
    headline, modes, _ = explainer.name(evidence_of(fires(truth), SEEN))
    assert [mode.headline.text for mode in modes] == ["months", "closing brackets"] and headline.text == "months"
    assert modes[0].share == pytest.approx(10 / 12, abs=0.05) and modes[1].share == pytest.approx(2 / 12, abs=0.05)


def test_nothing_is_named_where_there_is_nothing(explainer):
    rng = np.random.default_rng(5)
    for _ in range(10):
        noise = rng.permutation(fires(holds(SEEN, *MONTH)).reshape(-1)).reshape(SEEN.tokens.shape)
        headline, modes, _ = explainer.name(evidence_of(noise, SEEN))
        assert (headline.text, headline.program, modes) == (UNNAMEABLE, Program(0.0), ())
    silent, *_, peaks = explainer.name(evidence_of(np.zeros(SEEN.tokens.shape), SEEN))
    assert not silent.named and str(silent) == UNNAMEABLE and peaks is None


def test_a_headline_does_not_hang_on_the_scale(explainer):
    values = fires(holds(SEEN, *MONTH))
    found = [explainer.name(evidence_of(values * scale, SEEN)) for scale in (1.0, 1000.0)]
    assert found[0][0] == found[1][0]
    assert found[1][1][0].strength == pytest.approx(1000 * found[0][1][0].strength, rel=1e-3)


def test_the_mode_of_the_higher_peaks_comes_first(explainer):
    """Months are so much more frequent that more of the activation falls on them, at a third of the height."""
    values = 0.35 * fires(holds(SEEN, *MONTH)) + fires(holds(SEEN, *BRACKETS), seed=1)
    _, modes, _ = explainer.name(evidence_of(values, SEEN))
    assert [mode.headline.text for mode in modes] == ["closing brackets", "months"]
    assert modes[0].share < modes[1].share and modes[0].strength > 2 * modes[1].strength


def test_peaks_tell_the_words_of_a_class_apart_alone_and_after_others(explainer):
    """At " we" it is twice as strong as at " our", and after "," everywhere stronger."""
    we, our, comma = (holds(SEEN, text) for text in (" we", " our", ","))
    after = np.zeros(we.shape, bool)
    after[:, 1:] = comma[:, :-1]
    values = np.sqrt(we + 0.25 * our + 0.5 * after)
    *_, peaks = explainer.name(evidence_of(values, SEEN))
    assert peaks.words[0] == "we"
    found = execute(peaks.program, SEEN, LEXICON)
    means = [found[there].mean() for there in (we & after, we & ~after, our & ~after, ~we & ~our & ~after)]
    assert means[0] > 1.2 * means[1] > 2 * means[2] > 3 * means[3]
    assert bits(peaks.program, LEXICON) < 400
    thousandfold = explainer.name(evidence_of(1000 * values, SEEN))[2]
    assert thousandfold.words == peaks.words
    assert execute(thousandfold.program, SEEN, LEXICON) == pytest.approx(1000 * found, rel=0.02)


def test_words_at_peaks_are_written_words(explainer):
    windows = windows_of(3)
    windows.tokens[::3, 5:8] = [VOCABULARY.ids[text] for text in (" made", "ing", " the")]
    values = np.zeros(windows.tokens.shape)
    values[::3, 6] = 1.0
    *_, peaks = explainer.name(evidence_of(values, windows))
    assert peaks.words == ("madeing",)


@pytest.mark.parametrize(
    ("name", "words", "said"),
    [
        ("adjectives", ["same", "each"], "adjectives such as “same” and “each”"),
        ("words after coordinating conjunctions", ["a", "the"],
         "words such as “a” and “the” after coordinating conjunctions"),
        ("word continuations in code", ["-or"], "word continuations such as “-or” in code"),
    ],
)  # fmt: skip
def test_examples_stand_beside_what_they_are_examples_of(name, words, said):
    assert (
        with_examples(name, words) == said
        and without_examples(said) == name.partition(" after ")[0].partition(" in code")[0]
    )


def test_a_list_says_what_its_words_are():
    assert without_examples("“we” and “us” (first-person words)") == "first-person words"
    assert without_examples("months") == "months" and without_examples("“the”") == ""
    assert without_examples("first-person words (we, our)") == "first-person words"  # of an older study


def test_a_class_that_is_hard_to_picture_has_examples_and_its_place(explainer):
    nouns = (" house", " river", " stone", " paper", " water")
    after = np.zeros(SEEN.tokens.shape, bool)
    after[:, 1:] = holds(SEEN, " our", " their")[:, :-1]
    headline, *_ = explainer.name(evidence_of(fires(after & holds(SEEN, *nouns)), SEEN))
    head, such_as, rest = headline.text.partition(" such as ")
    words, after_what, what = rest.partition(" after ")
    assert (head, such_as, after_what, what) == ("singular nouns", " such as ", " after ", "possessives")
    assert len(words.split(" and ")) == 2 and all(f" {word.strip('“”')}" in nouns for word in words.split(" and "))


def test_an_experiment_says_which_words_of_a_class_it_found():
    """In the recording the unit fires on prepositions; on new texts on two of them alone."""
    works = (" of", " to")

    def respond(texts: Sequence[str]) -> list[tuple[list[str], np.ndarray, np.ndarray]]:
        split = [[f" {word}" for word in text.split()] for text in texts]
        return [(words, np.isin(words, works).astype(float), np.ones(len(words), bool)) for words in split]

    evidence = evidence_of(fires(holds(SEEN, " of", " to", " in", " for", " with")), SEEN)
    answer = experiment(TokenUnderTest(Unit("toy", "units", 0), evidence, respond, LEXICON))
    assert answer.headline in ("“of” and “to” (prepositions)", "“to” and “of” (prepositions)")
    claim, control = answer.findings
    assert (claim.verdict, claim.control, control.control) == ("confirmed", False, True)
    assert control.statement.startswith("near misses, such as “") and not {"“of”", "“to”"} & {
        *control.statement.split()
    }
    assert str(parse_program(answer.program).clauses[0].test) == 'token(" of", " to")'


def test_a_weak_headline_says_so():
    headline = Headline("months", parse_program("0.0 + 1.0*word(months)"), weak=True)
    assert str(headline) == "weakly explained: months"
    assert str(dataclasses.replace(headline, weak=False)) == "months"


def test_finer_classes_can_be_written_in_programs():
    assert len(finer_classes()) > 200 and not set(finer_classes()) & set(WORD_CLASSES)
    for name in finer_classes():
        assert parse_program(f"0.0 + 1.0*word({name})").clauses[0].test.name == name
    assert {"walking", "going"} <= members("verbs in -ing") and "paris" in members("names of places")
    assert "mary" in members("first names of people") and "will" not in members("first names of people")
