"""A small world of planted units over made-up text, and readers that answer in many ways, for the tests of scorers."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np

from benchmarks.reader import ProgramReader
from benchmarks.scorer_levels import LEVELS, Levels, levels_of, usable
from benchmarks.scorer_units import PlantedWorld
from glossator.evidence import Split
from glossator.inputs.tokens import TokenWindows, Vocabulary
from glossator.language_models import (
    CHAT,
    COMPLETION,
    JSON_SCHEMA,
    LOGPROBS,
    PROMPT_LOGPROBS,
    Answer,
    LanguageModel,
    Request,
    Usage,
)
from glossator.planted import planted_units
from glossator.programs import Lexicon
from glossator.scorers.lab import Lab

_TEXT = """
the of and , . a to is was in one red made make Rome walking slowly ended two blue making Anna table house water
? s makes very old garden river stone three green many these cities words Caesar playing wanted quickly black four an
more most less not after before under bridge window letter spoken written silver
"""
WORDS = (*(word if word in ",.?s" else f" {word}" for word in _TEXT.split()), "\n")
WIDTH = 20
UNITS = (
    *("make", "of-the", "past-graded", "names-inside-sentences", "colours-or-counts"),
    *("ing", "after-comma", "line-breaks"),
)
ALL_POWERS = frozenset({CHAT, COMPLETION, JSON_SCHEMA, LOGPROBS, PROMPT_LOGPROBS})
NO_LOGPROBS = frozenset({CHAT, JSON_SCHEMA})


class WordTokenizer:
    """Cuts text into the words above; anything else becomes single bytes, so that every text has tokens."""

    def __init__(self) -> None:
        self.vocabulary = Vocabulary(
            "words", (*(w.encode() for w in WORDS), *(bytes([b]) for b in range(256))), frozenset()
        )
        self._ids = {w: i for i, w in enumerate(WORDS)}
        longest_first = sorted(WORDS, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first)) + "|.", re.DOTALL)
        self._bytes_from = len(WORDS)

    def encode(self, texts: Sequence[str]) -> list[np.ndarray]:
        return [np.array([i for piece in self._pattern.findall(t) for i in self._of(piece)], np.int32) for t in texts]

    def _of(self, piece: str) -> list[int]:
        if piece in self._ids:
            return [self._ids[piece]]
        return [self._bytes_from + byte for byte in piece.encode("utf-8", "replace")]


@cache
def toy_world() -> PlantedWorld:
    tokenizer, rng = WordTokenizer(), np.random.default_rng(0)
    known = len(WORDS)
    chances = 1 / np.arange(3, 3 + known)
    windows: dict[Split, TokenWindows] = {}
    for number, split in enumerate(("explain", "calibrate", "select", "test")):
        n = 300
        tokens = rng.choice(known, (n, WIDTH), p=chances / chances.sum()).astype(np.int32)
        lengths = np.where(rng.random(n) < 0.8, WIDTH, rng.integers(8, WIDTH, n)).astype(np.int32)
        valid = np.arange(WIDTH) < lengths[:, None]
        documents = 1000 * number + np.arange(n) // 2
        windows[split] = TokenWindows(
            tokens, lengths, valid, documents, 1000 * number + np.arange(n), tokenizer.vocabulary
        )
    units = [unit for unit in planted_units() if unit.name in UNITS]
    return PlantedWorld.over(units, windows, tokenizer, Lexicon.for_windows(tokenizer.vocabulary, None))


def place_of(name: str) -> int:
    return next(i for i, unit in enumerate(toy_world().units) if unit.name == name)


@cache
def levels(name: str = "make") -> Levels:
    found = levels_of(toy_world(), place_of(name))
    assert found is not None
    return found


def explanation(level: str, name: str = "make"):
    return levels(name).explanations[LEVELS.index(level)]


def reader(manner="ideal", powers=ALL_POWERS, noise=0.0) -> ProgramReader:
    world = toy_world()
    programs = {}
    for i, unit in enumerate(world.units):
        if usable(unit) and (found := levels_of(world, i)):
            programs |= {e.text: e.program for e in found.explanations[:-1]}
    return ProgramReader(
        world.tokenizer, world.lexicon, programs, world.windows["explain"], manner=manner, powers=powers, noise=noise
    )


class Scripted(LanguageModel):
    """Answers every request with `answer(request)`, and remembers what it was asked."""

    def __init__(self, answer: Callable[[Request], Answer], powers=NO_LOGPROBS):
        self.name, self.powers, self.answer = "scripted:test", powers, answer
        self.asked: list[Request] = []

    def ask(self, requests: Sequence[Request]) -> list[Answer]:
        self.asked += requests
        return [self.answer(request) for request in requests]


def refusing(request: Request) -> Answer:
    why = "refusal: I would rather not."
    return Answer("I would rather not.", failure=why, finish="refusal", usage=Usage(1, 9, 4, 0.0))


def garbled(request: Request) -> Answer:
    """Parsed JSON that fits no schema, as a broken backend would pass on; no failure is told."""
    values = [None, [], {"answers": "yes"}, {"answers": [1, 0]}, {"intruder": "2"}, {"intruder": 99}, {"active": ["x"]}]
    return Answer("...", value=values[len(repr(request)) % len(values)], usage=Usage(1, 9, 4, None))


def lab_of(lm=None, embedder=None, baselines=None, **settings) -> Lab:
    world = toy_world()
    return Lab(
        world.lexicon, others=world.others, baselines=baselines or {}, open_subject=lambda: world.subject,
        open_lm=lm and (lambda: lm), open_embedder=embedder and (lambda: embedder), **settings,
    )  # fmt: skip
