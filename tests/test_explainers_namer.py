"""The namer: what is asked, what comes of answers, and how words are held against the class that they stand for. The
language models here are scripted or execute words exactly; they say nothing about how well a real one names units."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from glossator.cli import main
from glossator.explainers import Abstained, explain_one
from glossator.explainers.excerpts import ALIKE, excerpt, strongest
from glossator.explainers.namer import EXAMPLES, NamerExplainer, namer_prompt
from glossator.explainers.program import ProgramExplainer
from glossator.explanations import UNNAMEABLE, Explanation, Headline, Mode, Provenance
from glossator.inputs.tokens import CLOSE, OPEN
from glossator.language_models import CHAT, LOGPROBS, Answer, Request, TokenLogprob, Usage
from glossator.language_models.scripted import Scripted
from glossator.programs import Program, parse_program
from glossator.scorers.words import ITEMS, check_words
from glossator.store.results import Named, as_stored
from glossator.study import run_study
from study_cases import contents, lm_spec, scripted_name, write_corpus
from test_headlines import BRACKETS, LEXICON, MONTH, SEEN, TESTED, evidence_of, fires, holds

MONTHS = evidence_of(fires(holds(SEEN, *MONTH)), SEEN)
BOTH = evidence_of(fires(holds(SEEN, *MONTH) | holds(SEEN, *BRACKETS)), SEEN)
SELECT = evidence_of(fires(holds(TESTED, *MONTH)), TESTED).exemplars


@pytest.fixture(scope="module")
def program() -> ProgramExplainer:
    return ProgramExplainer(lexicon=LEXICON)


def namer(lm, program, **options) -> NamerExplainer:
    return NamerExplainer(lm, first=program, lexicon=LEXICON, **options)


def asks(request: Request) -> str:
    return request.messages[-1].content


# peaks in context


def test_the_strongest_word_of_each_window_stands_marked_in_its_context():
    peaks = strongest(MONTHS.exemplars, 6)
    assert len(peaks) == 6
    for peak in peaks:
        assert f" {peak.word}" in MONTH and f"{OPEN} {peak.word}{CLOSE}" in peak.marked
        assert peak.marked.replace(OPEN, "").replace(CLOSE, "") == peak.context
    counts = [sum(peak.word == other.word for other in peaks) for peak in peaks]
    assert max(counts) <= ALIKE


def test_pieces_of_a_word_are_marked_together():
    tokens = SEEN.tokens[:1].copy()
    ids = SEEN.vocabulary.ids
    tokens[0, 3:6] = ids[" walks"], ids["ing"], ids["ed"]
    windows = dataclasses.replace(SEEN.take(np.array([0])), tokens=tokens)
    assert {excerpt(windows, 0, place).word for place in (3, 4, 5)} == {"walksinged"}


def test_peaks_of_a_mode_are_those_at_which_it_holds():
    inside = strongest(BOTH.exemplars, 8, holds(SEEN, *BRACKETS))
    assert {peak.word for peak in inside} == {")", "]"}


# asking and answering


def test_each_mode_is_one_question_with_its_peaks_and_its_class(program):
    lm = Scripted(["calendar months", "brackets that close"])
    (found,) = explain_one(namer(lm, program), BOTH, n=1)
    assert [mode.headline.text for mode in found.modes] == ["calendar months", "brackets that close"]
    assert [mode.headline.beside for mode in found.modes] == ["months", "closing brackets"]
    assert found.headline == found.modes[0].headline and "months" in str(found.headline)
    assert (found.provenance.method, found.provenance.model) == ("namer", "scripted:here")
    first, second = map(asks, lm.asked)
    assert "closing brackets" in second and f"{OPEN})" in second and " May" not in second
    assert "months" in first and f"{OPEN})" not in first


def test_the_class_stays_attached_and_executable(program):
    (plain,) = explain_one(program, MONTHS, n=1)
    (found,) = explain_one(namer(Scripted(["calendar months"]), program), MONTHS, n=1)
    assert found.headline.program == plain.headline.program and found.program == plain.program
    assert (found.text, [m.share for m in found.modes]) == (plain.text, [m.share for m in plain.modes])


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer("", failure="the server is down", finish="error"), "the server is down"),
        (Answer("I'm sorry, but I cannot help with that."), "a refusal"),
        (Answer("words that name the months of the year in dates"), "10 words, where at most 6"),
        (Answer(f"{EXAMPLES[0][2]}."), "worked example"),
        (Answer("4"), "no words"),
    ],
)
def test_an_answer_that_cannot_be_used_is_missing_with_a_reason(program, answer, reason):
    (failed,) = namer(Scripted([answer]), program).explain([MONTHS], n=1, seed=0)
    assert isinstance(failed, Abstained) and failed.failed and reason in failed.reason
    (found,) = explain_one(namer(Scripted([answer, "brackets that close"]), program), BOTH, n=1)
    assert found.headline.text == "months" and not found.headline.beside  # its own name stays
    assert found.modes[1].headline.text == "brackets that close"
    assert len(found.provenance.settings["not_named"]) == 1 and reason in found.provenance.settings["not_named"][0]


def test_nothing_is_cut_to_length(program):
    seven = "names of months in dates of letters"
    (failed,) = namer(Scripted([seven]), program).explain([MONTHS], n=1, seed=0)
    assert isinstance(failed, Abstained)
    (found,) = explain_one(namer(Scripted(["names of months in written dates"]), program), MONTHS, n=1)
    assert found.headline.text == "names of months in written dates"


def test_what_the_first_explainer_abstains_from_is_not_asked_about(program):
    silent = evidence_of(np.zeros(SEEN.tokens.shape), SEEN)
    lm = Scripted([])
    (found,) = namer(lm, program).explain([silent], n=1, seed=0)
    assert isinstance(found, Abstained) and not found.failed and not lm.asked


def test_costs_are_counted_once_however_many_candidates_there_are(program):
    lm = Scripted([Answer("calendar months", usage=Usage(1, 200, 4))])
    found = explain_one(namer(lm, program), MONTHS, n=3)
    assert [one.provenance.cost.get("prompt_tokens", 0) for one in found] == [200, *[0] * (len(found) - 1)]
    assert len({one.headline for one in found}) == 1


def test_a_question_that_does_not_fit_shows_fewer_peaks_or_fails():
    peaks = strongest(MONTHS.exemplars, 8)
    room = namer_prompt(peaks[:2], "months").rough_tokens

    class Named:
        def explain(self, evidence, *, n, seed):
            months = Headline("months", parse_program("0.0 + 1.0*word(months)"))
            return [[Explanation(evidence[0].unit, "months", Provenance("x"), None, 0, months, (Mode(months, 1, 1),))]]

    lm = Scripted(["calendar months"])
    explain_one(namer(lm, Named(), context=room + 24), MONTHS, n=1)
    assert sum(line.startswith("- ") for line in asks(lm.asked[0]).splitlines()) == 2
    (failed,) = namer(Scripted([]), Named(), context=60).explain([MONTHS], n=1, seed=0)
    assert isinstance(failed, Abstained) and "does not fit" in failed.reason


# words against classes


class Executing(Scripted):
    """Says of each marked word whether it is among those that a description stands for."""

    def __init__(self, calendar_months, months=MONTH, answers=10**9):
        super().__init__(self.reply, powers={CHAT, LOGPROBS})
        self.fitting = {"calendar months": calendar_months, "months": months}
        self.answers = answers
        self.seen: list[tuple[str, str]] = []

    def reply(self, request: Request) -> Answer:
        text = asks(request)
        word = text[text.index(OPEN) + len(OPEN) : text.index(CLOSE)].strip()
        described = next(name for name in self.fitting if f'"{name}"' in text)
        self.seen.append((described, word))
        if len(self.seen) > self.answers:
            return Answer("", failure="no more", finish="error")
        fits = f" {word}".startswith(self.fitting[described]) or word.startswith(self.fitting[described])
        yes, no = (float(np.log(0.9 if fits == side else 0.1)) for side in (True, False))
        token = TokenLogprob("yes", yes, {"yes": yes, "no": no})
        return Answer("yes", tokens=(token,), usage=Usage(1, 50, 1))


def candidate(headline: Headline, share: float = 1.0) -> Explanation:
    return Explanation(MONTHS.unit, "a sentence", Provenance("namer"), None, 0, headline, (Mode(headline, share, 1.0),))


MONTH_CLASS = parse_program("0.0 + 1.0*word(months)")
WORDS = Headline("calendar months", MONTH_CLASS, beside="months")


def test_words_that_say_the_same_as_the_class_replace_its_name():
    lm = Executing(MONTH)
    (found,) = check_words([candidate(WORDS)], SELECT, lm, LEXICON, 0)
    assert str(found.headline) == "calendar months" and found.headline.program == MONTH_CLASS
    assert found.modes[0].headline == found.headline
    (told,) = found.provenance.settings["words"]
    assert told == {
        "words": "calendar months", "class": "months", "auroc": 1.0, "control": 1.0, "reason": "", "agrees": True
    }  # fmt: skip
    assert len(lm.seen) == 2 * ITEMS  # each headline is asked about once, and its class
    assert found.provenance.cost["prompt_tokens"] == 50 * 2 * ITEMS
    said = [word for described, word in lm.seen if described == "calendar months"]
    assert sum(f" {word}".startswith(MONTH) for word in said) == ITEMS // 2
    assert said == [word for described, word in lm.seen if described == "months"]


def test_words_that_say_something_else_are_shown_beside_the_class():
    (found,) = check_words([candidate(WORDS)], SELECT, Executing(BRACKETS), LEXICON, 0)
    assert str(found.headline) == "calendar months (the program: months)"
    (told,) = found.provenance.settings["words"]
    assert (told["agrees"], told["control"], told["reason"]) == (False, 1.0, "")


def test_a_model_that_does_not_know_the_class_by_its_own_name_says_nothing_of_other_words():
    (found,) = check_words([candidate(WORDS)], SELECT, Executing(MONTH, months=BRACKETS), LEXICON, 0)
    (told,) = found.provenance.settings["words"]
    assert told["auroc"] == 1.0 and told["control"] < 0.8 and not told["agrees"]
    assert "does not know the class" in told["reason"] and found.headline.beside == "months"


def test_without_enough_answers_nothing_is_known_and_both_are_shown():
    (found,) = check_words([candidate(WORDS)], SELECT, Executing(MONTH, answers=5), LEXICON, 0)
    (told,) = found.provenance.settings["words"]
    assert told["auroc"] is None and "too few usable answers" in told["reason"]
    assert found.headline.beside == "months"


def test_words_without_a_class_go_where_they_do_not_tell_peaks_from_other_tokens():
    alone = candidate(Headline("calendar months", beside=UNNAMEABLE))
    assert str(alone.headline) == "calendar months (the program: no nameable pattern)"
    (held,) = check_words([alone], SELECT, Executing(MONTH), LEXICON, 0)
    assert str(held.headline) == "calendar months" and held.headline.named
    (gone,) = check_words([alone], SELECT, Executing(BRACKETS), LEXICON, 0)
    assert gone.headline == Headline(UNNAMEABLE, Program(0.0)) and not gone.headline.named


def test_a_class_that_the_split_lacks_is_not_checked_and_costs_nothing():
    rare = Headline("calendar months", parse_program('0.0 + token("zzz")'), beside="zzz")
    lm = Executing(MONTH)
    (found,) = check_words([candidate(rare)], SELECT, lm, LEXICON, 0)
    assert not lm.seen and "0 tokens of the class" in found.provenance.settings["words"][0]["reason"]


def test_headlines_of_words_alone_are_stored_and_read_back():
    for headline in (WORDS, Headline("calendar months"), Headline("x", beside=UNNAMEABLE)):
        stored = as_stored(candidate(headline), None, 0, None)
        again = Named(**json.loads(json.dumps(dataclasses.asdict(stored.headline))))
        assert again.said == headline.said and (headline.beside in again.said)
        assert again.headline() == headline and stored.explanation(MONTHS.unit).headline == headline


# in a study


def test_a_study_checks_the_words_on_the_select_split_shows_both_and_repeats_itself(tiny_folder, tmp_path, capsys):
    write_corpus(tiny_folder.parent / "corpus.jsonl")
    spec = lm_spec(
        tiny_folder, explainers=("namer",), options={"namer": {"first": "token-list"}}, lm=scripted_name("naming"),
        scorers=("headline",), units=2,
    )  # fmt: skip
    study = run_study(spec, tmp_path / "one", progress=False)
    results = list(study.results())
    checked = [one for result in results for e in result.explanations for one in e.provenance["settings"]["words"]]
    assert checked and all(one["class"] == UNNAMEABLE for one in checked)
    assert all((one["auroc"] is not None) or one["reason"] for one in checked)
    study.close()
    again = run_study(spec, tmp_path / "two", progress=False)
    again.close()
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert main(["show", str(results[0].unit), "--study", str(tmp_path / "one")]) == 0
    shown = capsys.readouterr().out
    best = results[0].best()
    assert str(best.headline) in shown and best.method == "namer"
