"""Fitting encoding models: measured responses from the values of any subject at one of its sites.

Words to scans by Lanczos interpolation, a few delays for the haemodynamic response, ridge regression with a penalty for
each voxel (Huth et al. 2016). Slow drift and the mere rate of words are taken out of responses and features first, so
that a voxel that hears speech but no content is not predicted. Which voxels are predicted is told on held-out runs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from glossator.corpora.splits import group_by_shared_runs
from glossator.errors import UserError
from glossator.files import plain
from glossator.fitting.ridge import PENALTIES, Fitted, ridge
from glossator.inputs import Stimuli, TokenWindows
from glossator.readouts.encoding_model import EncodingModel
from glossator.recording.texts import responses, site_values
from glossator.statistics import adjusted
from glossator.subjects.base import Power, Subject, check_power, width_of
from glossator.subjects.scan_times import delayed, drift, lanczos, without
from glossator.subjects.scans import Scans

BLOCK_SECONDS = 20.0
"""Responses within so many seconds are not independent: they are permuted together."""
RATE_SECONDS = 2.0
"""Between the delays at which the rate of words is taken out."""
PERMUTATIONS = 200
MOST_FOLDS = 6
SAME_STORY = 50
"""So many words in a row are those of one story, heard twice."""


@dataclass(frozen=True)
class EncodingSpec:
    """delays: seconds of the haemodynamic response, in whole scans; drift: periods above so many seconds are taken out;
    context: tokens that a word's values are read in, at least half of them before it; banded: every delay has its own
    penalty; penalties: tried for each voxel."""

    delays: tuple[float, ...] = (2.0, 4.0, 6.0, 8.0)
    drift: float = 128.0
    context: int = 64
    banded: bool = False
    penalties: tuple[float, ...] = PENALTIES
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.delays or not all(0 <= delay <= 30 for delay in self.delays):
            raise UserError("bad delays", value=list(self.delays), allowed="one or more, 0 to 30 seconds each")
        if not 20 <= self.drift < math.inf:
            raise UserError("bad drift", value=self.drift, allowed="20 seconds or more; the usual is 128")
        if self.context < 4:
            raise UserError("too little context", value=self.context, allowed="4 tokens or more")
        if not self.penalties or not all(0 < penalty < math.inf for penalty in self.penalties):
            raise UserError("bad penalties", value=list(self.penalties), allowed="one or more above 0")

    def in_scans(self, tr: float) -> tuple[int, ...]:
        found = tuple(sorted({round(delay / tr) for delay in self.delays}))
        if len(found) < len(self.delays):
            fix = f"Scans are {tr:g} s apart: give delays that far apart"
            raise UserError("two delays fall on the same scan", value=list(self.delays), fix=fix)
        return found


@dataclass(frozen=True, eq=False)
class _Design:
    """Rows of all runs that count: features and responses without nuisance, and the run of each row."""

    features: np.ndarray
    responses: np.ndarray
    runs: np.ndarray


def fit_encoding(
    subject: Subject,
    site: str,
    scans: Scans,
    spec: EncodingSpec | None = None,
    *,
    name: str = "voxels",
    opened_by: str = "",
) -> EncodingModel:
    """Encoding models of all voxels, fitted on all runs but the held-out ones, and how well they predict those.

    subject: one of tokens (a word's values are the mean over its tokens, in context) or of texts (each word alone);
    opened_by: the name that opens it again, where that is not its own.
    Raises `UserError` for values that do not vary, runs that are too short, and a held-out story that is fitted on too.
    """
    spec = spec or EncodingSpec()
    check_stories(scans)
    delays = spec.in_scans(scans.tr)
    values = word_values(subject, site, scans.words, spec.context)
    known = np.isfinite(values).all(axis=1)
    held = np.isin(scans.words.groups, scans.held_out)
    if not (known & ~held).any():
        raise UserError("no word has values at this site", value=site, fix="Choose another site")
    centre = values[known & ~held].mean(axis=0, dtype=np.float64)
    values = np.where(known[:, None], values - centre, 0.0)
    fitted = [run for run in range(len(scans.runs)) if run not in scans.held_out]
    filters = {run: _filter(scans, run) for run in range(len(scans.runs))}
    of_run = {run: filters[run] @ values[scans.words.groups == run] for run in filters}
    rate = float(np.concatenate([filters[run].sum(axis=1)[max(delays) :] for run in fitted]).mean())
    scale = np.concatenate([of_run[run] for run in fitted]).std(axis=0)
    if not (scale > 0).any() or rate <= 0:
        raise UserError("the values of this site are the same for all words", value=site, fix="Choose another site")
    scale = np.where(scale > 1e-6 * scale.max(), scale, np.inf)

    def design(runs: list[int], measured: np.ndarray) -> _Design:
        features, targets, numbers = [], [], []
        for run in runs:
            nuisance = _nuisance(scans, run, filters[run], delays, spec.drift)
            features.append(without(delayed(of_run[run] / scale, delays), nuisance)[max(delays) :])
            left = _left(measured[scans.scans_of(run)], nuisance)[max(delays) :]
            targets.append(_standardised(left))
            numbers.append(np.full(len(left), run))
        return _Design(np.concatenate(features), np.concatenate(targets), np.concatenate(numbers))

    train = design(fitted, scans.responses)
    folds = train.runs if len(fitted) <= MOST_FOLDS else np.searchsorted(fitted, train.runs) % MOST_FOLDS
    bands = np.repeat(np.arange(len(delays)), values.shape[1]) if spec.banded else None
    found = ridge(train.features, train.responses, folds, penalties=spec.penalties, bands=bands, seed=spec.seed)
    test = design(list(scans.held_out), _truth(scans))
    r, p = predictability(test.responses, test.features @ found.weights, test.runs, scans.tr, spec.seed)
    q = np.full(len(p), 1.0)
    q[np.isfinite(p)] = adjusted(p[np.isfinite(p)])
    return EncodingModel(
        name=name,
        reads_at=site,
        subject=subject.name,
        weights=found.weights.reshape(len(delays), -1, len(r)).astype(np.float32),
        centre=centre.astype(np.float32),
        scale=scale.astype(np.float32),
        rate=rate,
        tr=scans.tr,
        delays=delays,
        voxels=scans.voxels,
        r=r.astype(np.float32),
        p=p.astype(np.float32),
        q=q.astype(np.float32),
        ceiling=_ceilings(scans, filters, delays, spec.drift).astype(np.float32),
        penalty=found.penalties.astype(np.float32),
        made=_made(subject, scans, spec, train, found) | ({"subject_spec": opened_by} if opened_by else {}),
    )


def check_stories(scans: Scans) -> None:
    """Raise `UserError` for a held-out run that tells the story of one that models are fitted on."""
    numbers: dict[str, int] = {}
    said = [
        np.array([numbers.setdefault(word.lower(), len(numbers)) for word in scans.words_of(run).texts], np.int64)
        for run in range(len(scans.runs))
    ]
    story = group_by_shared_runs(said, SAME_STORY)
    for run in scans.held_out:
        same = [scans.runs[n] for n in np.flatnonzero(story == story[run]).tolist() if n not in scans.held_out]
        if same:
            raise UserError(
                "a held-out run has the words of a run that is fitted on", value=f"{scans.runs[run]} and {same[0]}",
                fix="Hold out all runs of one story, or give further presentations of it as repeats",
            )  # fmt: skip


def word_values(subject: Subject, site: str, words: Stimuli, context: int) -> np.ndarray:
    """Values of the site at every word, float32 (words, d), NaN for a word that has none (at an attention sink)."""
    check_power(subject, Power.RUN, "an encoding model")
    if subject.takes == "texts":
        distinct = list(dict.fromkeys(words.texts))
        answers = responses(subject, site, range(width_of(subject, site, words)), distinct)
        row = {text: place for place, text in enumerate(distinct)}
        return answers[[row[text] for text in words.texts]]
    if subject.takes != "tokens":
        raise UserError("words are no inputs of this subject", value=subject.takes, allowed="tokens or texts")
    found = np.full((len(words), int(subject.site(site).width or 0)), np.nan, np.float32)
    for run in np.unique(words.groups):
        rows = np.flatnonzero(words.groups == run)
        found[rows] = _in_context(subject, site, [words.texts[row] for row in rows.tolist()], context)
    return found


def _in_context(subject: Any, site: str, words: list[str], context: int) -> np.ndarray:
    """The mean over each word's tokens, read in windows that overlap by half: a token counts where more of the text
    stands before it."""
    starts = np.cumsum([0, *(len(word) + 1 for word in words[:-1])])
    encoding = subject.tokenizer.backend.encode(" ".join(words), add_special_tokens=False)
    ids, ends = np.array(encoding.ids, np.int32), np.array([end for _, end in encoding.offsets])
    of_token = np.searchsorted(starts, np.maximum(ends - 1, 0), side="right") - 1
    width = min(context, subject.max_width or context)
    step = max(1, width // 2)
    begins = np.arange(0, max(len(ids) - width, 0) + step, step)
    tokens, lengths = np.zeros((len(begins), width), np.int32), np.zeros(len(begins), np.int32)
    for row, begin in enumerate(begins.tolist()):
        piece = ids[begin : begin + width]
        tokens[row, : len(piece)], lengths[row] = piece, len(piece)
    valid, numbers = np.arange(width) < lengths[:, None], np.arange(len(begins), dtype=np.int64)
    windows = subject.counted(TokenWindows(tokens, lengths, valid, numbers, numbers, subject.tokenizer.vocabulary))
    values = site_values(subject, site, range(int(subject.site(site).width)), windows)
    sums, counts = np.zeros((len(words), values.shape[2])), np.zeros(len(words))
    for row, begin in enumerate(begins.tolist()):
        first = 0 if row == 0 else width - step  # what stands before was read in the window before
        places = np.arange(first, int(lengths[row]))
        places = places[windows.valid[row, places]]
        np.add.at(sums, of_token[begin + places], values[row, places])
        np.add.at(counts, of_token[begin + places], 1)
    return np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], np.nan).astype(np.float32)


def predictability(
    truth: np.ndarray, predicted: np.ndarray, runs: np.ndarray, tr: float, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Pearson r of each voxel (columns) over held-out scans, and its one-sided p; NaN for constant ones.

    Under the null, blocks of scans of the truth are exchanged within and between runs; the tail beyond the draws is
    that of a normal distribution of Fisher's z with their mean and deviation.
    """
    size = max(1, round(BLOCK_SECONDS / tr))
    blocks = [rows[i : i + size] for run in np.unique(runs) for rows in [np.flatnonzero(runs == run)]
              for i in range(0, len(rows), size)]  # fmt: skip
    with np.errstate(invalid="ignore", divide="ignore"):
        y, z = (_scaled(values - values.mean(axis=0)) for values in (truth, predicted))
        r = (y * z).sum(axis=0)
        rng, draws = np.random.default_rng(seed), np.empty((PERMUTATIONS, truth.shape[1]))
        for draw in range(PERMUTATIONS):
            order = np.concatenate([blocks[i] for i in rng.permutation(len(blocks))])
            draws[draw] = (y[order] * z).sum(axis=0)
        bounded = np.clip(np.r_[r[None], draws], -0.999999, 0.999999)
        fisher = np.arctanh(bounded)
        from scipy.special import ndtr

        spread = fisher[1:].std(axis=0, ddof=1)
        p = ndtr(-(fisher[0] - fisher[1:].mean(axis=0)) / spread)
    silent = ~np.isfinite(r)
    return np.where(silent, np.nan, r), np.where(silent, np.nan, np.clip(p, 1e-300, 1.0))


def noise_ceilings(repeats: np.ndarray) -> np.ndarray:
    """The highest r with the mean of some repeats (times, scans, voxels) that noise allows; NaN where the repeats agree
    no more than by chance (Schoppe et al. 2016: the root of signal power over the variance of the mean)."""
    times = len(repeats)
    signal = (repeats.sum(axis=0).var(axis=0) - repeats.var(axis=1).sum(axis=0)) / (times * (times - 1))
    mean = repeats.mean(axis=0).var(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where((signal > 0) & (mean > 0), np.sqrt(np.minimum(signal / mean, 1.0)), np.nan)


def _ceilings(scans: Scans, filters: dict[int, np.ndarray], delays: tuple[int, ...], slower_than: float) -> np.ndarray:
    if scans.repeats is None:
        return np.full(len(scans.voxels), np.nan)
    held = np.flatnonzero(np.isin(scans.run_of_scan, scans.held_out))
    parts = []
    for run in scans.held_out:
        nuisance = _nuisance(scans, run, filters[run], delays, slower_than)
        rows = np.flatnonzero(scans.run_of_scan[held] == run)
        parts.append([_left(one[rows], nuisance)[max(delays) :] for one in scans.repeats])
    return noise_ceilings(np.stack([np.concatenate(one) for one in zip(*parts, strict=True)]))


def _truth(scans: Scans) -> np.ndarray:
    """What is predicted on held-out runs: the mean of their repeats where there are any."""
    if scans.repeats is None:
        return scans.responses
    found = scans.responses.copy()
    found[np.isin(scans.run_of_scan, scans.held_out)] = scans.repeats.mean(axis=0)
    return found


def _filter(scans: Scans, run: int) -> np.ndarray:
    return lanczos(scans.words_of(run).onsets, scans.times(run), scans.tr)


def _nuisance(scans: Scans, run: int, words: np.ndarray, delays: tuple[int, ...], slower_than: float) -> np.ndarray:
    """Drift, and the number of words in each scan with delays from 0 to beyond those of the features."""
    basis = drift(len(words), scans.tr, slower_than)
    step = max(1, round(RATE_SECONDS / scans.tr))
    since = tuple(range(0, max(delays) + 3 * step, step))
    found = np.concatenate([basis, delayed(words.sum(axis=1, keepdims=True), since)], axis=1)
    if len(words) - max(delays) < 2 * found.shape[1]:
        raise UserError(
            f"run {scans.runs[run]} is too short for its drift and delays",
            value=f"{len(words)} scans",
            allowed=f"{2 * found.shape[1] + max(delays)} or more",
        )
    return found


def _left(measured: np.ndarray, nuisance: np.ndarray) -> np.ndarray:
    """What drift and the rate of words leave of responses, 0 where no more than rounding is left."""
    found = without(measured.astype(np.float64), nuisance)
    return np.where(found.std(axis=0) > 1e-7 * np.abs(measured).max(axis=0), found, 0.0)


def _standardised(values: np.ndarray) -> np.ndarray:
    """Mean 0 and deviation 1 in each column, 0 throughout where it is constant."""
    values = values - values.mean(axis=0)
    size = values.std(axis=0)
    return np.divide(values, size, out=np.zeros_like(values), where=size > 0)


def _scaled(values: np.ndarray) -> np.ndarray:
    return values / np.linalg.norm(values, axis=0)


def _made(subject: Subject, scans: Scans, spec: EncodingSpec, train: _Design, found: Fitted) -> dict[str, Any]:
    return {
        "method": "ridge regression on delayed features, a penalty for each voxel",
        "subject_fingerprint": subject.fingerprint,
        "responses": {"name": scans.name, "fingerprint": scans.fingerprint},
        "held_out": [scans.runs[run] for run in scans.held_out],
        "repeats": 0 if scans.repeats is None else len(scans.repeats),
        "scans": len(train.responses),
        "left_out_r": float(np.mean(found.left_out)),
        "spec": plain(spec),
    }
