"""Revision by sentences: what is asked in each round, who sees which half, what fails how. The language models here are
scripted: they prove that questions and answers travel as they should, and nothing about the quality of revisions."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from glossator.errors import MissingPower, UserError
from glossator.explainers import Abstained, explain_one
from glossator.explainers.revision import RevisedExplainer, first_on
from glossator.explainers.revision_prompt import CONTROLS, fingerprint, fitting_prompt, revision_prompt
from glossator.explainers.sentences import halves, random_sentences, read_sentences, writing_prompt
from glossator.language_models import Answer
from glossator.language_models.scripted import Scripted
from glossator.readouts import BaseReadout
from glossator.subjects.base import OutputSite
from glossator.units import Unit
from recording_fakes import TokenFake
from scorer_cases import VOCABULARY, WORDS, evidence_of, exemplars_of, windows_of

FIRES_AT = 7


class Words(TokenFake):
    """A subject that reads whole words and whose unit 1 is active at word 7 with strength 3, at others with -1."""

    name, fingerprint, max_width = "toy", "toy", None

    def site(self, name):
        return OutputSite(name, 3, grid=None)

    def __init__(self) -> None:
        self.tokenizer = SimpleNamespace(encode=self.encode, vocabulary=VOCABULARY)
        self.read: list[str] = []

    def encode(self, texts: list[str]) -> list[np.ndarray]:
        self.read += texts
        return [np.array([WORDS.index(f" {w}") for w in text.split()], np.int32) for text in texts]

    def activations(self, tokens, lengths, sites):
        values = np.where(np.asarray(tokens) == FIRES_AT, 3.0, -1.0)[..., None].repeat(3, axis=2)
        return {site: torch.from_numpy(values.astype(np.float32)) for site in sites}


def evidence(words: int = 12):
    """Top windows hold word 7 once; other splits hold words that the explain split has not."""
    rng = np.random.default_rng(0)

    def part(low: int, high: int):
        tokens = rng.integers(low, high, (20, words))
        tokens[:10, 3] = FIRES_AT
        values = np.where(tokens == FIRES_AT, 3.0, -1.0)
        return exemplars_of(windows_of(tokens), values, ["top"] * 10 + ["random"] * 10)

    return evidence_of(part(10, 40), part(100, 140), part(200, 240), select=part(150, 190))


def script(request) -> str:
    """Says one first explanation, five sentences of each kind, and a revision that names its sample."""
    asked = request.messages[-1].content
    if asked.endswith("Sentences:"):
        return "\n".join(f"{i}. w7 w{i}{0 if 'must be active' in asked else 1}" for i in range(1, 6))
    return f"revised {request.sample % 2}" if "New sentences:" in asked else "the first one"


def explained(**settings):
    lm, subject = Scripted(script), Words()
    found = explain_one(RevisedExplainer(lm, subject, **settings), evidence().explain, n=4)
    return lm, subject, found


def test_three_rounds_and_two_halves() -> None:
    lm, subject, found = explained()
    kinds = [r.messages[-1].content for r in lm.asked]
    assert len(kinds) == 1 + 2 + 4
    assert [e.text for e in found] == ["revised 0", "revised 1"]
    settings = found[0].provenance.settings
    assert settings["first_text"] == "the first one" and settings["first"] == "bills"
    shown, held = settings["shown"], settings["held_apart"]
    assert len(shown) == len(held) == 5
    assert {s["text"] for s in shown}.isdisjoint(s["text"] for s in held)
    for half in (shown, held):
        assert {s["meant"] for s in half} == {"active", "silent"}
    reviser = lm.asked[-1].messages[-1].content
    assert "First description of unit 2: the first one" in reviser
    told = reviser.partition("New sentences:")[2]
    for sentence in shown:
        assert f" {sentence['text'].split()[1]}\t0" in told
    for sentence in held:
        assert f" {sentence['text'].split()[1]}\t" not in told
    assert sorted(subject.read) == sorted(s["text"] for s in shown + held)
    fired = settings["first_on_held_apart"]
    assert {kind: counts["fired"] for kind, counts in fired.items()} == {
        kind: counts["sentences"] for kind, counts in fired.items()
    }
    assert sum(e.provenance.cost["calls"] for e in found) == 7
    assert found[0].provenance.method == "revised" and found[0].provenance.evidence == "fingerprint"


def test_sentences_are_cut_like_the_recording(monkeypatch: pytest.MonkeyPatch) -> None:
    widths = []
    import glossator.explainers.revision as module

    def spy(subject, unit, texts, *, width=64, readouts=None):
        widths.append(width)
        return [(np.array([7]), np.array([3.0], np.float32)) for _ in texts]

    monkeypatch.setattr(module, "unit_activations", spy)
    explained()
    assert widths[-1] == 12


class Flipped(BaseReadout):
    """A dictionary of one latent per word side: latent 0 fires where unit 1 is silent, latent 5 where it is not."""

    name, reads_at, width, fingerprint, sparse = "sae", "mlp.0", 6, "0" * 16, True

    def read(self, values):
        fires = values[..., 1:2] > 0
        return values[..., :1].abs(), torch.where(fires, 5, 0)


def test_units_of_a_dictionary_are_run_through_it() -> None:
    unit, site = Unit("toy", "sae@mlp.0", 5), "sae@mlp.0"
    lm, subject = Scripted(script), Words()

    def of(unit: Unit):
        return replace(evidence().explain, unit=unit)

    (found,) = explain_one(RevisedExplainer(lm, subject, readouts={site: Flipped()}), of(unit), n=1)
    settings = found.provenance.settings
    assert {s["largest"] for s in settings["shown"] + settings["held_apart"]} == {3.0}
    silent = Unit("toy", site, 4)
    (found,) = explain_one(RevisedExplainer(lm, subject, readouts={site: Flipped()}), of(silent), n=1)
    assert {s["largest"] for s in found.provenance.settings["shown"]} == {0.0}
    asked = len(lm.asked)
    with pytest.raises(MissingPower, match="readout of these units"):
        explain_one(RevisedExplainer(lm, subject), of(unit), n=1)
    assert len(lm.asked) == asked  # refused before anything is asked


def test_re_explaining_does_not_show_the_old_text() -> None:
    lm, _, found = explained(control="no-old-text")
    reviser = lm.asked[-1]
    assert "the first one" not in str(reviser.messages) and "First description of" not in str(reviser.messages)
    assert "New sentences:" in reviser.messages[-1].content
    assert found[0].provenance.settings["control"] == "no-old-text"


def test_random_sentences_come_from_the_explain_split_alone() -> None:
    lm, subject, found = explained(control="random-sentences")
    assert len(lm.asked) == 1 + 4  # nothing is written
    assert len(subject.read) == 10
    own = {text for window in evidence().explain.exemplars.of("random").windows.tokens for text in [window.tobytes()]}
    for text in subject.read:
        assert np.array([WORDS.index(f" {w}") for w in text.split()], np.int32).tobytes() in own
    assert {s["meant"] for s in found[0].provenance.settings["held_apart"]} == {"random"}
    assert found[0].provenance.settings["sentences_prompt"] is None


def test_the_same_seed_makes_the_same_halves_whatever_else_is_explained() -> None:
    shown = [replace(evidence().explain, unit=Unit("toy", "mlp.0", i)) for i in (1, 2)]
    alone = RevisedExplainer(Scripted(script), Words()).explain(shown[1:], n=1, seed=0)
    both = RevisedExplainer(Scripted(script), Words()).explain(shown, n=1, seed=0)
    other = RevisedExplainer(Scripted(script), Words()).explain(shown[1:], n=1, seed=1)
    assert alone[0] == both[1]
    assert alone[0][0].provenance.settings["shown"] != other[0][0].provenance.settings["shown"]


def test_units_fail_apart() -> None:
    def answer(request):
        asked = request.messages[-1].content
        if asked.endswith("Sentences:"):
            return "I'm sorry, I cannot do that." if "mute" in asked else script(request)
        if "New sentences:" in asked:
            return "..." if "First description of unit 2: worse" in asked else "better"
        return next(name for place, name in (("w39", "mute"), ("w38", "worse"), ("", "fine")) if place in asked)

    def given(word: int):
        whole = evidence().explain
        tokens = np.full((4, 12), 20)
        tokens[:, 3], tokens[:, 5] = FIRES_AT, word
        return replace(whole, exemplars=exemplars_of(windows_of(tokens), (tokens == FIRES_AT) * 3.0, "top"))

    silent = replace(given(20), exemplars=exemplars_of(windows_of(np.full((4, 12), 20)), -np.ones((4, 12)), "top"))
    shown = [given(20), given(39), given(38), silent]
    fine, mute, worse, nothing = RevisedExplainer(Scripted(answer), Words()).explain(shown, n=2, seed=0)
    assert [e.text for e in fine] == ["better"]
    assert mute.failed and "no sentences to revise by: active: a refusal" in mute.reason
    assert worse.failed and "no words in the answer (2)" in worse.reason
    assert nothing == Abstained("the unit is never active in the explain split")


def test_a_first_explainer_that_fails_is_not_revised() -> None:
    lm = Scripted(lambda _: "")
    (answer,) = RevisedExplainer(lm, Words()).explain([evidence().explain], n=2, seed=0)
    assert answer.failed and answer.reason.startswith("bills: none of 1 answers") and len(lm.asked) == 1


def test_a_program_can_be_revised() -> None:
    whole = evidence().explain
    rng = np.random.default_rng(1)
    tokens = rng.integers(0, 40, (240, 12))
    values = np.where(tokens == FIRES_AT, 3.0, 0.0) + 0.01 * rng.normal(size=tokens.shape)
    many = replace(whole, exemplars=exemplars_of(windows_of(tokens), values, ["top"] * 40 + ["random"] * 200))
    lm = Scripted(script)
    found = explain_one(RevisedExplainer(lm, Words(), first="program"), many, n=1)
    assert "w7" in found[0].provenance.settings["first_text"]
    assert len(lm.asked) == 3


@pytest.mark.parametrize(
    "settings",
    [
        {"control": "other"},
        {"sentences": 3},
        {"first": "revised"},
        {"first": "bilsl"},
        {"first_options": {"recrods": 3}},
        {"form": "letter"},
    ],
)
def test_settings_that_make_no_sense(settings: dict) -> None:
    with pytest.raises(UserError):
        RevisedExplainer(Scripted([]), Words(), **settings)


def test_options_reach_the_first_explainer() -> None:
    lm, _, _ = explained(first_options={"samples": 3, "temperature": 0.5})
    assert [r.temperature for r in lm.asked[:3]] == [0.5] * 3


# sentences


@pytest.mark.parametrize(
    ("said", "texts"),
    [
        ("1. One cat.\n2) Two cats.\n\n- Three cats.\n", ["One cat.", "Two cats.", "Three cats."]),
        ('Here are some sentences:\n“One cat.”\n"Two cats."', ["One cat.", "Two cats."]),
        ("One cat.\none CAT.\nTwo cats.", ["One cat.", "Two cats."]),
        ("Cat\n...\n12 13\nTwo cats.", ["Two cats."]),
        ("1984 was a year of cats.", ["1984 was a year of cats."]),
        ("a b\nc d\ne f\ng h\ni j", ["a b", "c d", "e f", "g h"]),
    ],
)
def test_sentences_are_read_line_by_line(said: str, texts: list[str]) -> None:
    found, reason = read_sentences(Answer(said), "active", 4)
    assert [s.text for s in found] == texts and reason is None


def test_a_sentence_that_was_cut_short_is_left_out() -> None:
    cut = Answer("One cat.\nTwo ca", finish="length", failure="the answer was cut off at max_tokens")
    assert [s.text for s in read_sentences(cut, "silent", 4)[0]] == ["One cat."]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(""), "no sentence in the answer"),
        (Answer("word " * 100), "no sentence in the answer"),
        (Answer("I cannot help with that."), "a refusal"),
        (Answer("", failure="HTTP 429", finish="error"), "HTTP 429"),
    ],
)
def test_what_holds_no_sentence_has_a_reason(answer: Answer, reason: str) -> None:
    assert read_sentences(answer, "active", 4) == ([], reason)


def test_random_sentences_are_whole_ones() -> None:
    pieces = [b"end of it.", b" A whole sentence.", b" The begin", b"no border at all"]
    windows = windows_of(np.array([[0, 1, 2], [3, 3, 3]]), lengths=np.array([3, 1]))
    windows = replace(windows, vocabulary=replace(VOCABULARY, pieces=tuple(pieces)))
    exemplars = exemplars_of(windows, np.zeros((2, 3)), "random")
    found = random_sentences(exemplars, 5, np.random.default_rng(0))
    assert sorted(s.text for s in found) == ["A whole sentence.", "no border at all"]
    assert len(random_sentences(exemplars, 1, np.random.default_rng(0))) == 1


@pytest.mark.parametrize(("active", "silent"), [(5, 5), (5, 0), (1, 4), (3, 2), (0, 1)])
def test_halves_share_every_kind_evenly(active: int, silent: int) -> None:
    text = "\n".join(f"sentence {i}" for i in range(active))
    sentences = read_sentences(Answer(text), "active", 9)[0]
    sentences += read_sentences(Answer(text.replace("sentence", "other")), "silent", silent)[0] if silent else []
    shown, held = halves(sentences, np.random.default_rng(0))
    assert 0 <= len(shown) - len(held) <= 1
    for kind in ("active", "silent"):
        counts = [sum(s.intended == kind for s in half) for half in (shown, held)]
        assert abs(counts[0] - counts[1]) <= 1


def test_first_on_nothing_is_nothing() -> None:
    assert first_on([], 0.5) == {}


# prompts


def test_the_writer_is_told_what_to_write() -> None:
    active, silent = (writing_prompt("rain", kind, 3) for kind in ("active", "silent"))
    assert "Description: rain\nWrite 3 sentences in which the unit must be active" in active.text
    assert "must be silent everywhere" in silent.text
    assert active.text.endswith("Sentences:\n") and active.messages[-1].content.endswith("Sentences:")
    request = active.request("completion", max_tokens=9, temperature=1.0, lines=0)
    assert request.stop == ("\n\n",)


def test_levels_of_sentences_are_on_the_scale_of_the_excerpts() -> None:
    prompt = revision_prompt([(["a", "b"], [4.0, 2.0])], [(["c", "d"], [40.0, 1.0])], "x")
    assert "a\t10\nb\t5\n" in prompt.turn.question and "c\t10\nd\t2\n" in prompt.turn.question


def test_records_go_before_sentences_when_room_is_short() -> None:
    record = (["a"] * 20, [1.0] * 20)
    whole = revision_prompt([record] * 3, [record] * 4, "x").rough_tokens
    assert fitting_prompt([record] * 3, [record] * 4, "x", whole) == revision_prompt([record] * 3, [record] * 4, "x")
    one = revision_prompt([record], [record] * 4, "x")
    assert fitting_prompt([record] * 3, [record] * 4, "x", one.rough_tokens) == one
    least = revision_prompt([record], [record], "x")
    assert fitting_prompt([record] * 3, [record] * 4, "x", least.rough_tokens) == least
    assert fitting_prompt([record] * 3, [record] * 4, "x", least.rough_tokens - 1) is None


def test_fingerprints_tell_the_prompts_apart() -> None:
    assert fingerprint("none") == fingerprint("random-sentences") != fingerprint("no-old-text")
    assert all(len(fingerprint(control)) == 16 for control in CONTROLS)
