"""Simulated voxels: a known semantic tuning, the haemodynamic response, drift and noise; some respond to nothing.

Words of English documents are spoken at a varying rate; a planted voxel responds to each by how much the word is about
the voxel's concept, blurred in time, and a little to speech as such. A null voxel has drift, noise and speech alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from glossator.corpora.documents import Document
from glossator.corpora.ngrams.held_words import FUNCTION_WORDS
from glossator.corpora.ngrams.words import words as words_of
from glossator.corpora.wordnet import load_wordnet
from glossator.errors import UserError
from glossator.inputs import Stimuli
from glossator.subjects.scan_times import drift, haemodynamic
from glossator.subjects.scans import Scans

STEP = 0.1
"""Seconds in which what voxels respond to is added up before it is blurred."""
AUTOREGRESSION = 0.4
"""Correlation of the noise of one scan with that of the next."""
CONCEPTS = ("food", "money", "water", "war", "family", "music", "body", "animal", "road", "school", "law", "color",
            "time", "house", "computer", "country", "religion", "number", "love", "death")  # fmt: skip
"""What the planted voxels of `glossator voxels simulate` respond to."""


@dataclass(frozen=True)
class SimulationSpec:
    """runs, seconds, tr: how many runs, how long, seconds from scan to scan; held_out: runs presented `repeats` times;
    null: voxels that respond to no content; ceilings: lowest and highest r that the noise of one presentation
    allows, spread evenly over planted voxels; speech: share of each voxel's signal deviation that is the rate of words;
    drifting: deviation of slow drift, in that of the noise."""

    runs: int = 20
    seconds: float = 600.0
    tr: float = 2.0
    held_out: int = 2
    repeats: int = 4
    null: int = 20
    ceilings: tuple[float, float] = (0.3, 0.9)
    speech: float = 0.3
    drifting: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.runs < self.held_out + 2 or self.held_out < 1 or self.repeats < 1 or self.null < 0:
            raise UserError("bad sizes of a simulation", value=f"{self.runs} runs, {self.held_out} held out",
                            allowed="1 or more held out, 2 or more besides, 1 or more repeats")  # fmt: skip
        if not (0.2 <= self.tr <= 10 and self.seconds >= 40 * self.tr):
            raise UserError("bad times of a simulation", value=f"tr {self.tr}, {self.seconds} s a run",
                            allowed="tr 0.2 to 10 seconds, 40 scans or more a run")  # fmt: skip
        if not 0 < self.ceilings[0] <= self.ceilings[1] < 1:
            raise UserError("bad ceilings", value=self.ceilings, allowed="above 0, below 1")


@dataclass(frozen=True, eq=False)
class Simulated:
    """scans: as measured; planted (voxels,): what each voxel responds to, None for a null one; ceilings (voxels,): the
    highest r with one presentation that its noise allows, 0 for null voxels."""

    scans: Scans
    planted: tuple[str | None, ...]
    ceilings: np.ndarray


def simulate_voxels(
    documents: Iterable[Document],
    planted: Sequence[str],
    tuning: Callable[[Sequence[str]], np.ndarray],
    spec: SimulationSpec | None = None,
    name: str = "simulated",
) -> Simulated:
    """Measured responses with a known truth. planted: a name for each planted voxel; tuning: distinct words to how much
    each voxel responds to each, (words, planted). Raises `UserError` where there are too few words."""
    spec = spec or SimulationSpec()
    rng = np.random.default_rng(spec.seed)
    words = _spoken(documents, spec, rng)
    distinct = list(dict.fromkeys(words.texts))
    row = {word: place for place, word in enumerate(distinct)}
    strengths = np.asarray(tuning(distinct), np.float64)
    if strengths.shape != (len(distinct), len(planted)) or not np.isfinite(strengths).all():
        raise UserError("bad tuning", value=strengths.shape, allowed=f"numbers ({len(distinct)}, {len(planted)})")
    strengths -= strengths.mean(axis=0)
    scans = int(spec.seconds / spec.tr)
    voxels = len(planted) + spec.null
    ceilings = np.r_[np.linspace(*spec.ceilings, len(planted)), np.zeros(spec.null)]
    held, measured, repeated = set(range(spec.runs - spec.held_out, spec.runs)), [], []
    of_word, blurred = np.array([row[word] for word in words.texts]), []
    for run in range(spec.runs):
        mine = np.flatnonzero(words.groups == run)
        events = np.concatenate([strengths[of_word[mine]], np.ones((len(mine), 1))], axis=1)
        blurred.append(_blurred(events, words.onsets[mine], scans, spec.tr))
    size = np.concatenate(blurred).std(axis=0)
    noise = np.where(ceilings > 0, np.sqrt(1 / np.where(ceilings > 0, ceilings, 1.0) ** 2 - 1), 1.0)
    for run, signal in enumerate(blurred):
        signal = signal / np.where(size > 0, size, 1.0)
        heard = spec.speech * signal[:, -1:] + np.pad(signal[:, :-1], ((0, 0), (0, spec.null)))
        many = [
            heard + noise * (_noise(rng, scans, voxels) + spec.drifting * _drifting(rng, scans, voxels, spec.tr))
            for _ in range(spec.repeats if run in held else 1)
        ]
        measured.append(np.mean(many, axis=0))
        if run in held:
            repeated.append(np.stack(many))
    found = Scans(
        name=name,
        words=words,
        runs=tuple(f"story-{run + 1}" for run in range(spec.runs)),
        responses=np.concatenate(measured).astype(np.float32),
        run_of_scan=np.repeat(np.arange(spec.runs), scans),
        tr=spec.tr,
        held_out=tuple(sorted(held)),
        voxels=(
            *(f"{concept}-{place}" for place, concept in enumerate(planted)),
            *(f"null-{n}" for n in range(spec.null)),
        ),
        first=spec.tr / 2,
        repeats=np.concatenate(repeated, axis=1).astype(np.float32) if spec.repeats > 1 else None,
    )
    return Simulated(found, (*planted, *(None for _ in range(spec.null))), ceilings)


def nearness(
    vectors: Callable[[Sequence[str]], np.ndarray], concepts: Sequence[str], beyond: float = 1.0
) -> Callable[[Sequence[str]], np.ndarray]:
    """A tuning: by how many deviations a word is nearer to the concept, in vectors of length 1, than words mostly are,
    less `beyond` and at least 0. Function words have no content."""

    def tuning(words: Sequence[str]) -> np.ndarray:
        cosines = vectors(words) @ vectors(concepts).T
        content = np.array([word.lower() not in FUNCTION_WORDS and word[0].isalpha() for word in words])
        among = cosines[content]
        scored = (cosines - among.mean(axis=0)) / among.std(axis=0)
        return np.where(content[:, None], np.maximum(scored - beyond, 0), 0)

    return tuning


def _spoken(documents: Iterable[Document], spec: SimulationSpec, rng: np.random.Generator) -> Stimuli:
    """English documents in turn, as words with onsets, until all runs are full."""
    texts: list[str] = []
    runs: list[int] = []
    onsets: list[float] = []
    run, now = 0, 2.0
    for document in _english(documents):
        pace = rng.uniform(0.8, 1.25)
        for begin, end in words_of(document.text):
            word = document.text[begin:end]
            if not word[0].isalnum():
                now += pace * (0.5 if word[0] in ".!?" else 0.15)
                continue
            length = pace * (0.12 + 0.04 * len(word))
            if now + length > spec.seconds - 2:
                run, now = run + 1, 2.0
                if run == spec.runs:
                    return Stimuli.of(texts, runs, np.array(onsets))
            texts.append(word)
            runs.append(run)
            onsets.append(now)
            now += length
        now += pace
    raise UserError(
        "too few English words for the simulation",
        value=f"{len(texts)} words, {run} whole runs",
        allowed=f"{spec.runs} runs of {spec.seconds:g} s",
        fix="Give more text, or fewer or shorter runs",
    )


def _english(documents: Iterable[Document]) -> Iterable[Document]:
    """Those of whose words most are words of English, many of them function words, as in prose."""
    wordnet = load_wordnet()
    for document in documents:
        low = [document.text[a:b].lower() for a, b in words_of(document.text)]
        low = [word for word in low if word[0].isalnum()]
        if not low:
            continue
        common = sum(word in FUNCTION_WORDS for word in low)
        known = sum(word in FUNCTION_WORDS or bool(wordnet.lemmas(word)) for word in low)
        if common > 0.25 * len(low) and known > 0.8 * len(low):
            yield document


def _blurred(events: np.ndarray, onsets: np.ndarray, scans: int, tr: float) -> np.ndarray:
    """(scans, k): events (words, k) at their onsets, blurred by the haemodynamic response, amid each scan."""
    from scipy.signal import fftconvolve

    fine = np.zeros((round(scans * tr / STEP) + 1, events.shape[1]))
    np.add.at(fine, np.round(onsets / STEP).astype(np.int64), events)
    kernel = haemodynamic(np.arange(0, 32, STEP))[:, None]
    found = fftconvolve(fine, kernel, axes=0)
    return found[np.round((np.arange(scans) + 0.5) * tr / STEP).astype(np.int64)]


def _noise(rng: np.random.Generator, scans: int, voxels: int) -> np.ndarray:
    """Deviation 1, each scan correlated with the one before."""
    from scipy.signal import lfilter

    white = rng.normal(size=(scans + 20, voxels)) * np.sqrt(1 - AUTOREGRESSION**2)
    return np.asarray(lfilter([1.0], [1.0, -AUTOREGRESSION], white, axis=0))[20:]


def _drifting(rng: np.random.Generator, scans: int, voxels: int, tr: float) -> np.ndarray:
    """Slow cosines of random strengths, deviation 1 on average."""
    basis = drift(scans, tr, 150.0)[:, 1:] * np.sqrt(scans)
    return basis @ rng.normal(size=(basis.shape[1], voxels)) / np.sqrt(max(1, basis.shape[1]))
