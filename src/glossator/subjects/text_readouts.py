"""Values for whole texts: readouts of embedders, and units of a model pooled over the tokens of a text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from glossator.errors import UserError
from glossator.files import fingerprint as fingerprint_of
from glossator.inputs import Inputs, Texts
from glossator.subjects.embedders import Embedder
from glossator.subjects.functions import FunctionSubject

if TYPE_CHECKING:
    import torch

    from glossator.subjects.transformer import TransformerSubject


class EmbedderSubject(FunctionSubject):
    """A read-out of an embedder: `readout` takes vectors (n, width) and gives (n,) or (n, units).

    Read-outs that are to share the embedder's pass are units of one subject, or are given a `CachedEmbedder`.
    fingerprint: by default of the embedder and, of `Nearness`, its points; of other read-outs of their name alone.
    """

    def __init__(
        self,
        embedder: Embedder,
        readout: Callable[[np.ndarray], Any],
        name: str | None = None,
        *,
        fingerprint: str | None = None,
    ):
        name = name or str(getattr(readout, "__name__", type(readout).__name__))
        content = readout.points.tobytes().hex() if isinstance(readout, Nearness) else ""
        super().__init__(
            lambda texts: readout(embedder.embed(texts)),
            name,
            fingerprint=fingerprint or fingerprint_of(["embedder", embedder.fingerprint, name, content]),
            batch=1 << 13,
        )
        self.embedder, self.readout = embedder, readout


class Nearness:
    """Minus the Euclidean distance of each vector to each of `points` (k, width): (n, k).

    The synthetic modules of the SASC paper are these, with the vectors of keyphrases as points.
    """

    def __init__(self, points: np.ndarray):
        self.points = np.atleast_2d(np.asarray(points, dtype=np.float32))
        self._squares = (self.points**2).sum(1)

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        squares = (vectors**2).sum(1)[:, None] + self._squares - 2 * (vectors @ self.points.T)
        return -np.sqrt(np.maximum(squares, 0))


Pool = Literal["mean", "max", "last"]


class PooledSubject(FunctionSubject):
    """A site of a subject that takes tokens, its units' values pooled over the tokens of each text.

    pool: "mean", "max" or "last" token; readout: of the site `NAME@SITE`; called: name of the units' site. Texts
    longer than the subject takes are run in parts. A text without a token, or of one token where the subject's first
    position takes the attention sink, has no response.
    """

    def __init__(
        self,
        subject: TransformerSubject,
        site: str,
        pool: Pool = "mean",
        *,
        readout: Any = None,
        batch_tokens: int = 2048,
        called: str | None = None,
    ):
        if pool not in get_args(Pool):
            raise UserError("unknown pooling", value=pool, allowed=", ".join(get_args(Pool)))
        self.source = site.rpartition("@")[2]
        width = subject.site(self.source).width
        made = fingerprint_of_pooled(subject.fingerprint, readout, site, pool)
        super().__init__(self._pooled, subject.name, fingerprint=made, site=called or site)
        self.subject, self.pool, self.readout, self.batch_tokens = subject, pool, readout, batch_tokens
        self.tokenizer = subject.tokenizer
        self.longest = int(subject.max_width or 1 << 20)
        self._units = width if readout is None else readout.width

    def refused(self, index: int) -> str | None:
        return None if self.readout is None else self.readout.refused(index)

    def counted(self, inputs: Inputs) -> Inputs:
        if not isinstance(inputs, Texts):
            return inputs
        least = 1 if self.subject.leaves_out_first else 0
        long_enough = np.array([len(ids) > least for ids in self.tokenizer.encode(list(inputs.texts))], bool)
        return inputs.counting(inputs.counts & long_enough)

    def _pooled(self, texts: list[str]) -> np.ndarray:
        step = self.longest
        tokens = self.tokenizer.encode(texts)
        parts = [(row, ids[i : i + step]) for row, ids in enumerate(tokens) for i in range(0, len(ids), step)]
        found = np.full((len(texts), self._units or 1), np.nan, np.float32)
        values: list[list[np.ndarray]] = [[] for _ in texts]
        for (row, _), rows in zip(parts, self.token_values([ids for _, ids in parts]), strict=True):
            values[row].append(rows)
        for row, pieces in enumerate(values):
            if sum(map(len, pieces)):
                found[row] = pooled(np.concatenate(pieces), self.pool)
        return found

    def token_values(self, windows: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Values of the units at each token of these windows of token ids: float32 (tokens, units).

        Where the first position takes the attention sink it is left out: its row is NaN if other tokens follow, and a
        window of that one token has no rows.
        """
        found = [np.empty((0, self._units or 1), np.float32)] * len(windows)
        lengths = np.array([len(ids) for ids in windows], dtype=np.int32)
        order = np.argsort(lengths, kind="stable")
        order = order[np.searchsorted(lengths[order], 1) :]
        start = 0
        while start < len(order):
            # Windows of one length need no attention mask, and values are the same whatever they stand beside.
            length = int(lengths[order[start]])
            end = min(
                start + max(1, self.batch_tokens // length), int(np.searchsorted(lengths[order], length, side="right"))
            )
            rows = order[start:end]
            block = np.stack([np.asarray(windows[row], dtype=np.int32) for row in rows])
            values = self.subject.activations(block, lengths[rows], [self.source])[self.source]
            read = self._of_units(values).float().cpu().numpy()
            if self.subject.leaves_out_first:
                read = np.where(np.arange(length)[:, None] == 0, np.float32(np.nan), read)
            for row, piece in zip(rows, read, strict=True):
                found[row] = piece if length > 1 or not self.subject.leaves_out_first else piece[:0]
            start = end
        return found

    def _of_units(self, values: torch.Tensor) -> torch.Tensor:
        """The values of all units; of a sparse readout 0 for those that it does not list."""
        return values if self.readout is None else every_unit(self.readout, values)


def every_unit(readout: Any, values: torch.Tensor) -> Any:
    """(..., width) values of all units of a readout, 0 for those that a sparse one does not list."""
    found = readout.read(values)
    if not isinstance(found, tuple):
        return found
    activations, units = found
    every = activations.new_zeros((*activations.shape[:-1], readout.width))
    return every.scatter_add_(-1, units.long(), activations)


class ReadSubject(FunctionSubject):
    """The units of a readout of a subject of texts."""

    def __init__(self, subject: Any, readout: Any):
        readout.check_fits(readout.reads_at, subject.site(readout.reads_at).width, subject.name)
        made = fingerprint_of_read(subject.fingerprint, readout)
        super().__init__(self._of_texts, subject.name, fingerprint=made, site=readout.name)
        self.subject, self.readout, self._units = subject, readout, readout.width

    def refused(self, index: int) -> str | None:
        refusal: str | None = self.readout.refused(index)
        return refusal

    def _of_texts(self, texts: list[str]) -> np.ndarray:
        import torch

        values = torch.from_numpy(self.subject.answers(texts))
        found: np.ndarray = every_unit(self.readout, values).float().numpy()
        return found


class WordVectors(FunctionSubject):
    """Static vectors of words by an embedder, each of length 1; of a text the mean over its words, in any order."""

    def __init__(self, embedder: Embedder):
        super().__init__(
            self._mean, f"{embedder.name.removesuffix(' tokens')}-vectors",
            fingerprint=fingerprint_of_vectors(embedder.fingerprint),
        )  # fmt: skip
        self.embedder, self._units = embedder, embedder.width
        self._vectors: dict[str, np.ndarray] = {}

    def _mean(self, texts: list[str]) -> np.ndarray:
        words = [text.split() for text in texts]
        if new := sorted({word for one in words for word in one} - self._vectors.keys()):
            self._vectors.update(zip(new, self.embedder.embed(new), strict=True))
        silent = np.full(self.embedder.width, np.nan, np.float32)
        return np.stack([np.mean([self._vectors[w] for w in one], axis=0) if one else silent for one in words])


def fingerprint_of_pooled(subject: str, readout: Any, site: str, pool: str) -> str:
    """Of a subject with this fingerprint, pooled over tokens; readout: None without one."""
    return fingerprint_of(["pooled", subject, None if readout is None else readout.fingerprint, site, pool])


def fingerprint_of_read(subject: str, readout: Any) -> str:
    """Of a readout of a subject of texts with this fingerprint."""
    return fingerprint_of(["read", subject, readout.fingerprint])


def fingerprint_of_vectors(embedder: str) -> str:
    """Of static vectors by an embedder with this fingerprint."""
    return fingerprint_of(["word vectors", embedder])


def of_texts(subject: Any, site: str, pool: Pool = "mean", readout: Any = None) -> FunctionSubject:
    """A site of any subject, or the units of a readout there, as a subject of texts with one value for each text,
    pooled over tokens where it takes tokens. Its site is called as the readout, or as the site."""
    if subject.takes == "tokens":
        if readout is not None:
            readout.check_fits(site, subject.site(site).width, subject.name)
        return PooledSubject(subject, site, pool, readout=readout, called=site if readout is None else readout.name)
    if readout is not None:
        return ReadSubject(subject, readout)
    subject.site(site)
    found: FunctionSubject = subject
    return found


def pooled(values: np.ndarray, pool: Pool) -> np.ndarray:
    """(units,) from values at tokens (tokens, units); tokens with NaN, which are left out, do not count."""
    known = values[~np.isnan(values).all(1)]
    if not len(known):
        return np.full(values.shape[1], np.nan, np.float32)
    if pool == "last":
        return known[-1]
    return known.mean(0) if pool == "mean" else known.max(0)
