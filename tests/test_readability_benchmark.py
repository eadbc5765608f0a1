"""The readability benchmark: what judges are shown, that questions are fair, and how answers are read."""

from __future__ import annotations

import dataclasses
import json
import re
from collections import Counter

import numpy as np
import pytest

from benchmarks import readability, readability_judges
from benchmarks.readability import Reader, judged, questions_of
from benchmarks.readability_judges import EmbeddingJudge, LanguageModelJudge, excerpts_of
from benchmarks.readability_units import SITES, UNITS, chosen_indices, english_before
from glossator.evidence import Exemplars
from glossator.explanations import UNNAMEABLE, Headline, Mode, Peaks
from glossator.human.readability import headline_and_modes, token_list
from glossator.inputs.tokens import TokenWindows, Vocabulary
from glossator.language_models import CHAT, JSON_SCHEMA, Answer
from glossator.programs import Program, parse_program
from scorer_cases import TokenWorld, explanation_of

PIECES = (b"The", b" cat", b"alog", b" sat", b" on", b" 12", b".", b"\n")


def excerpt(tokens, peak):
    windows = TokenWindows(
        np.array([tokens], np.int32), np.array([len(tokens)], np.int32), np.ones((1, len(tokens)), bool),
        np.zeros(1, np.int64), np.zeros(1, np.int64), Vocabulary("toy", PIECES),
    )  # fmt: skip
    activations = np.zeros((1, len(tokens)), np.float32)
    activations[0, peak] = 1.0
    return excerpts_of(Exemplars(windows, activations, np.array(["top"])), [0])[0]


def test_excerpts_show_the_whole_word_of_the_peak_in_its_context():
    for peak in (1, 2):
        found = excerpt([0, 1, 2, 3, 4, 5, 6], peak)
        assert found.word == "catalog"
        assert found.context == "The catalog sat on 12"
        assert found.marked.replace(readability_judges.OPEN, "").replace(readability_judges.CLOSE, "") == found.context
    assert excerpt([0, 1, 3, 6, 7], 3).word == "." and excerpt([0, 1, 3, 6, 7], 4).word == repr("\n")


class Lettered:
    """An embedder of which words a text has."""

    name, fingerprint = "words", "words"

    def embed(self, texts):
        rows = np.zeros((len(texts), 400), np.float32)
        for row, text in enumerate(texts):
            for word in re.findall(r"w\d+", text):
                rows[row, int(word[1:])] = 1.0
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


def readers(count=8):
    found = []
    for seed in range(count):
        world = TokenWorld(seed=seed)
        evidence = world.evidence()
        words = ", ".join(f"w{i}" for i in np.flatnonzero(world.strengths))
        top = np.flatnonzero(evidence.test.kinds == "top")[:8]
        told = dict.fromkeys(readability.ARMS, words) | {"english_before": "nothing like it", "sentence": None}
        found.append(Reader(evidence, None, None, told, excerpts_of(evidence.test, top.tolist())))
    return found


def test_a_judge_is_right_where_a_description_fits_and_at_chance_where_it_does_not():
    some = readers()
    found = judged(EmbeddingJudge(Lettered()), some, 12, None, {"exemplars": 4, "seed": 0})
    assert found["headline"] > 0.8 and found["token_list"] == found["headline"]
    assert found["english_before"] < 0.5 and found["sentence"] == pytest.approx(0.2)
    assert found["gains"]["english_before"]["low"] > 0 and found["gains"]["token_list"]["value"] == 0
    assert found["intervals"]["sentence"] == [pytest.approx(0.2)] * 2


def test_questions_are_the_same_for_all_arms_and_answers_stand_at_any_place():
    some = readers()
    questions = questions_of(some, 50, 4, 0)
    again = questions_of(some, 50, 4, 0)
    assert [(q.candidates, q.shown) for q in questions] == [(q.candidates, q.shown) for q in again]
    places = Counter(q.candidates.index(q.unit) for q in questions)
    assert set(places) == set(range(5)) and min(places.values()) > 40
    assert all(len(set(q.candidates)) == 5 and all(len(set(s)) == 4 for s in q.shown) for q in questions)


class Writes:
    """Answers with the group that holds most words of the description, or refuses."""

    name, powers = "writes", frozenset({CHAT, JSON_SCHEMA})

    def __init__(self, refuses=False):
        self.refuses = refuses

    def ask(self, requests):
        answers = []
        for request in requests:
            lines = request.messages[1].content.split("\n")
            words = set(re.findall(r"w\d+", lines[0]))
            texts = [json.loads(line.partition(": ")[2]) for line in lines[1:6]]
            marked = [re.findall(f"{readability_judges.OPEN} ?(.*?){readability_judges.CLOSE}", t) for t in texts]
            fits = [sum(word in words for word in group) for group in marked]
            value = {"group": 1 + int(np.argmax(fits))}
            answers.append(Answer("", failure="refused", finish="refusal") if self.refuses else Answer("{}", value))
        return answers


def test_a_language_model_is_asked_and_refusals_are_missing():
    some = readers()
    chosen = {"exemplars": 4, "seed": 0}
    assert judged(LanguageModelJudge(Writes()), some, 4, None, chosen)["headline"] > 0.8
    assert judged(LanguageModelJudge(Writes(refuses=True)), some, 4, None, chosen)["headline"] is None
    few = judged(LanguageModelJudge(Writes()), some, 4, 3, chosen)
    assert (few["units"], few["questions"]) == (3, 12)  # the same ones, and the same questions, under every arm


def test_descriptions_name_modes_once_and_nothing_where_nothing_is_named():
    program = parse_program('0 + 1*token(" w1")')
    one, two = Headline("months", program), Headline("weekdays", program, weak=True)
    named = explanation_of()
    assert headline_and_modes(named) is None
    named = dataclasses.replace(named, headline=one, modes=(Mode(one, 0.5, 1.0), Mode(two, 0.2, 1.0)))
    assert headline_and_modes(named) == "months; also weekdays"
    graded = dataclasses.replace(named, peaks=Peaks(("May", "months", "Friday"), program))
    assert headline_and_modes(graded) == "months: May, Friday; also weekdays"
    alone = dataclasses.replace(graded, headline=Headline(UNNAMEABLE, Program(0.0)), modes=())
    assert headline_and_modes(alone) == "May, months, Friday"
    nameless = dataclasses.replace(named, headline=Headline(UNNAMEABLE, Program(0.0)), modes=())
    assert headline_and_modes(nameless) is None


def test_token_lists_are_as_long_as_what_they_are_compared_with():
    world = TokenWorld()
    evidence = world.evidence().explain
    found = token_list(evidence, 20)
    assert 8 < len(found) <= 20 and all(world.strengths[int(word[1:])] > 0 for word in found.split(", "))
    assert len(token_list(evidence, 1).split(", ")) == 1


def test_the_neurons_were_drawn_once_for_all_and_their_english_reads_as_programs():
    before = english_before()
    assert len(before) == len(SITES) * UNITS
    demo = {220, 1359, 1058, 95, 929, 380, 872, 1312, 951, 575}
    assert not demo & set(chosen_indices("mlp.12", 1536))
    for site in SITES:
        assert {f"smollm2-135m/{site}/{i}" for i in chosen_indices(site, 1536)} <= set(before)
    assert all(parse_program(one["program"]) for one in before.values() if one["program"])
