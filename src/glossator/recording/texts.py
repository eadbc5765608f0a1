"""Activations on texts outside the recording: written sentences, counterexamples, synthetic examples.

Texts are treated as a recording treats documents: the subject's own tokens, windows of the recording's width that never
cross the end of a text, the same prefix, the same positions left out. Only short last windows are kept here, however
short, so that no token of a sentence is lost.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from glossator.errors import MissingPower
from glossator.inputs import WHOLE, Inputs, Texts, TokenWindows
from glossator.subjects.base import Power, check_power, grid_of
from glossator.subjects.functions import FunctionSubject
from glossator.units import Unit

if TYPE_CHECKING:
    from glossator.readouts.base import Readout
    from glossator.subjects.base import Subject
    from glossator.subjects.transformer import TransformerSubject

WIDTH = 64
"""Tokens in a window, as in a study by default; give the recording's own width where it differs."""
BATCH_TOKENS = 2048


class TextActivations(NamedTuple):
    """The tokens (t,) int32 of one text and a unit's activations at them (t,) float32, multiplied by its sign, 0 at
    positions that a recording leaves out."""

    tokens: np.ndarray
    activations: np.ndarray


def unit_activations(
    subject: Subject,
    unit: Unit,
    texts: Sequence[str],
    *,
    width: int = WIDTH,
    readouts: Mapping[str, Readout] | None = None,
) -> list[TextActivations]:
    """One pair of tokens and activations for each text, in order; a text without tokens gives empty arrays.

    readouts: by site, for units of a readout (`NAME@SITE`: a dictionary, directions); `MissingPower` where one is
    needed and not given.
    """
    windows = text_windows(subject, texts, width)
    values = site_values(subject, unit.site, [unit.index], windows, readouts)[:, :, 0] * np.float32(unit.sign)
    real = np.arange(windows.width) < windows.lengths[:, None]
    text_of_token = np.repeat(windows.documents, windows.lengths)
    tokens, activations = windows.tokens[real], values[real]
    borders = np.searchsorted(text_of_token, np.arange(len(texts) + 1))
    return [TextActivations(tokens[a:b], activations[a:b]) for a, b in itertools.pairwise(borders.tolist())]


def token_model(subject: Subject, asked_by: str) -> TransformerSubject:
    """The subject, which can be run on tokens; raises `MissingPower` for any other."""
    check_power(subject, Power.RUN, asked_by)
    if subject.takes != "tokens":
        raise MissingPower(
            "this subject does not take tokens", value=subject.name, allowed="a language model or an encoder"
        )
    return cast("TransformerSubject", subject)


def text_windows(subject: Subject, texts: Sequence[str], width: int = WIDTH) -> TokenWindows:
    """The texts as windows in order, `documents` the number of the text; unpaired surrogates are replaced."""
    model = token_model(subject, "reading new inputs")
    limit = model.max_width
    width = width if limit is None else min(width, limit)
    encoded = model.tokenizer.encode([text.encode("utf-8", "replace").decode() for text in texts])
    pieces = [(i, ids[start : start + width]) for i, ids in enumerate(encoded) for start in range(0, len(ids), width)]
    tokens = np.zeros((len(pieces), width), np.int32)
    lengths = np.array([len(piece) for _, piece in pieces], np.int32)
    for row, (_, piece) in enumerate(pieces):
        tokens[row, : len(piece)] = piece
    valid = np.arange(width) < lengths[:, None]
    return model.counted(
        TokenWindows(
            tokens=tokens,
            lengths=lengths,
            valid=valid,
            documents=np.array([text for text, _ in pieces], np.int64),
            ids=np.arange(len(pieces), dtype=np.int64),
            vocabulary=model.tokenizer.vocabulary,
        )
    )


def responses(subject: Subject, site: str, indices: Sequence[int], texts: Sequence[str]) -> np.ndarray:
    """What units say of whole texts, float32 (n, units), NaN where there is no response; of a subject that takes texts
    (see `subjects.text_readouts` for one that takes tokens)."""
    if (
        isinstance(subject, FunctionSubject) and subject.site(site).grid == WHOLE
    ):  # cuts batches itself, and larger ones
        return subject.answers(texts)[:, list(indices)]
    return site_values(subject, site, indices, Texts.of(texts))[:, 0]


def site_values(
    subject: Subject,
    site: str,
    indices: Sequence[int],
    inputs: Inputs,
    readouts: Mapping[str, Readout] | None = None,
) -> np.ndarray:
    """Values of some units of one site, float32 (n, places, units), 0 where a place does not count.

    One pass over the inputs serves all units; shorter windows run together, so that little padding is computed.
    """
    readout: Readout | None = None
    if "@" in site:
        if readouts is None or site not in readouts:
            raise MissingPower("the readout of these units is missing", value=site, fix="Pass it in `readouts`")
        readout = readouts[site]
    source, wanted = site.rpartition("@")[2], np.asarray(indices, np.int64)
    check_power(subject, Power.RUN, "reading new inputs")
    grid = grid_of(subject.site(source), inputs)
    found = np.zeros((len(inputs), grid.places, len(wanted)), np.float32)
    for rows in _batches(inputs):
        some = inputs.take(rows)
        if isinstance(some, TokenWindows):
            some = some.cut(int(some.lengths.max()))

        def see(_: str, values: Any, rows: np.ndarray = rows) -> None:
            if readout is not None and readout.sparse:
                activations, latents = readout.read(values)
                read = _latents(activations, latents, wanted)
            else:
                read = _columns(values if readout is None else readout.read(values), wanted)
            found[rows, : read.shape[1]] = read

        subject.visit(some, [source], see)
    return np.where(inputs.valid_at(grid)[:, :, None], found, np.float32(0))


def _batches(inputs: Inputs) -> Iterator[np.ndarray]:
    """Rows that are run together: of windows and texts those of about one length."""
    sizes = inputs.lengths if isinstance(inputs, TokenWindows) else np.full(len(inputs), inputs.weight)
    lengths = np.array([len(text) for text in inputs.texts]) if isinstance(inputs, Texts) else sizes
    order, start = np.argsort(lengths, kind="stable"), 0
    while start < len(order):
        end = start + 1
        while end < len(order) and (end + 1 - start) * int(sizes[order[end]]) <= BATCH_TOKENS:
            end += 1
        yield order[start:end]
        start = end


def _columns(values: Any, wanted: np.ndarray) -> np.ndarray:
    return values[..., wanted].float().cpu().numpy()


def _latents(activations: Any, numbers: Any, wanted: np.ndarray) -> np.ndarray:
    """The wanted latents (n, width, units) out of a top-k pair; a latent that is not among them is 0."""
    values, latents = activations.float().cpu().numpy(), numbers.cpu().numpy()
    return np.stack([np.where(latents == latent, values, 0).sum(axis=-1) for latent in wanted], axis=-1)
