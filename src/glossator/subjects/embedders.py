"""Text embedders: strings in, one vector each out.

`TokenVectors` runs no model: it averages a causal model's token embeddings, adapted for cosines. It is fast, and
independent of any encoder whose readouts are explained: names found in its space owe nothing to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from glossator.errors import UserError, near_matches
from glossator.files import fingerprint
from glossator.programs.meaning import meaning_directions

if TYPE_CHECKING:
    from glossator.subjects import TransformerSubject

EMBEDDERS = ("minilm",)
"""Built-in embedders; any encoder that `load_subject` opens will do as well."""
MAX_TOKENS = 256
"""Of a text with its special tokens, as all-MiniLM-L6-v2 is configured in sentence-transformers."""
BATCH_TOKENS = 1024
"""On a CPU: the layers' values then stay in the core's own cache (of 512 to 8192, measured on MiniLM)."""
BATCH_TOKENS_ACCELERATOR = 1 << 16


class Embedder(Protocol):
    """name and fingerprint stand in provenance and in cache keys; width: of a vector."""

    name: str
    fingerprint: str
    width: int

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """(n, width) float32, rows of length 1, in the order of the texts; an empty text is a zero row."""
        ...


def load_embedder(
    name: str = "minilm", *, dtype: str = "float32", device: str = "cpu", batch_tokens: int | None = None
) -> SentenceEmbedder:
    """An embedder from a built-in alias, or from the folder or hub id of an encoder that pools by the mean.

    Raises `UserError` for a model that cannot be had or that is no encoder.
    """
    from glossator.subjects import load_subject
    from glossator.subjects.aliases import ALIASES

    if name in ALIASES and name not in EMBEDDERS:
        raise UserError("this subject is not a text embedder", value=name, allowed=near_matches(name, EMBEDDERS))
    subject = load_subject(name, dtype=dtype, device=device)
    if subject.causal:
        raise UserError("this subject is not an encoder", value=name, allowed=", ".join(EMBEDDERS))
    return SentenceEmbedder(subject, batch_tokens=batch_tokens)


class SentenceEmbedder:
    """The mean over an encoder's last hidden states, scaled to length 1 (Reimers and Gurevych 2019, section 3).

    Tokens are those of sentence-transformers: special tokens count in the mean, a text is cut after `max_tokens`.
    Texts with the same tokens are run once; batches hold about `batch_tokens` tokens of texts of like length, and as
    many threads as torch has each run a batch of their own. What else a call embeds changes a vector by rounding
    alone (about 1e-7).
    """

    def __init__(self, subject: TransformerSubject, *, max_tokens: int = MAX_TOKENS, batch_tokens: int | None = None):
        if batch_tokens is None:
            batch_tokens = BATCH_TOKENS if subject.device.type == "cpu" else BATCH_TOKENS_ACCELERATOR
        if max_tokens < 8 or batch_tokens < max_tokens:
            raise UserError(
                "bad batch sizes",
                value=f"max_tokens {max_tokens}, batch_tokens {batch_tokens}",
                allowed="8 <= max_tokens <= batch_tokens",
            )
        self.name, self.width = subject.name, int(subject.model.config.hidden_size)
        self.batch_tokens = batch_tokens
        self._subject = subject
        self._around = len(subject.prefix) + len(subject.suffix)
        self.longest = min(max_tokens - self._around, subject.max_width or max_tokens)
        self.fingerprint = fingerprint(
            {
                "subject": subject.fingerprint,
                "dtype": str(subject.dtype),
                "pooling": "mean, normalised",
                "longest": self.longest,
            }
        )
        self.tokenizer = subject.tokenizer
        self.padded_tokens = 0
        """Tokens run so far with special tokens and padding."""

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """(n, width) float32, rows of length 1, in the order of the texts; an empty text is a zero row."""
        tokens = self.tokenize(texts)
        first: dict[bytes, int] = {}
        place = np.array([first.setdefault(ids.tobytes(), len(first)) for ids in tokens], dtype=np.int64)
        distinct = [np.frombuffer(ids, dtype=np.int32) for ids in first]
        vectors = np.zeros((len(distinct), self.width), np.float32)
        lengths = np.array([len(ids) for ids in distinct], dtype=np.int32)
        order = np.argsort(lengths, kind="stable")
        order = order[np.searchsorted(lengths[order], 1) :]
        batches = [order[batch] for batch in self._batches(lengths[order])]

        def run(rows: np.ndarray) -> None:
            vectors[rows] = self._pooled([distinct[row] for row in rows], lengths[rows])

        # The largest first, so that no thread is left alone with one at the end.
        list(self._pool.map(run, reversed(batches)))
        self.padded_tokens += sum(len(rows) * (int(lengths[rows].max()) + self._around) for rows in batches)
        return vectors[place]

    def tokenize(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Token ids of each text without special tokens, int32, cut to what the model is run on."""
        return [ids[: self.longest] for ids in self.tokenizer.encode(list(texts))]

    def token_vectors(self, windows: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Last hidden states, scaled to length 1, of each of these windows of token ids: float32 (tokens, width)."""
        import torch

        lengths = np.array([len(ids) for ids in windows], dtype=np.int32)
        order = np.argsort(lengths, kind="stable")
        order = order[np.searchsorted(lengths[order], 1) :]
        found = [np.empty((0, self.width), np.float32)] * len(windows)

        def run(rows: np.ndarray) -> None:
            with torch.inference_mode():
                states = self._states([windows[row] for row in rows], lengths[rows])[0].float()
                scaled = torch.nn.functional.normalize(states, dim=2).cpu().numpy()
            for row, values in zip(rows, scaled, strict=True):
                found[row] = values[len(self._subject.prefix) :][: lengths[row]].copy()

        list(self._pool.map(run, [order[batch] for batch in self._batches(lengths[order])]))
        return found

    def _batches(self, lengths: np.ndarray) -> Iterator[slice]:
        """Batches of sorted lengths: cut where the length changes when that leaves the batch at least half full."""
        start = 0
        full = lengths + self._around
        while start < len(full):
            # Rows that fit: (rows) x (the longest of them) within the budget.
            sizes = full[start:] * np.arange(1, len(full) - start + 1, dtype=np.int64)
            end = start + max(1, int(np.searchsorted(sizes, self.batch_tokens, side="right")))
            border = start + int(np.searchsorted(full[start:end], full[end - 1]))
            if border > start and sizes[border - start - 1] >= self.batch_tokens // 2:
                end = border
            yield slice(start, end)
            start = end

    def _states(self, tokens: list[np.ndarray], lengths: np.ndarray) -> tuple[Any, Any]:
        """Last hidden states of a batch, and its attention mask where it has padding."""
        block = np.zeros((len(tokens), int(lengths.max())), np.int32)
        for row, ids in zip(block, tokens, strict=True):
            row[: len(ids)] = ids
        inputs = self._subject.model_inputs(block, lengths)
        return self._subject.model(**inputs).last_hidden_state, inputs.get("attention_mask")

    def _pooled(self, tokens: list[np.ndarray], lengths: np.ndarray) -> np.ndarray:
        import torch

        with torch.inference_mode():
            states, mask = self._states(tokens, lengths)
            states = states.float()
            if mask is None:
                mean = states.mean(1)
            else:
                weight = mask.unsqueeze(2).to(states.dtype)
                mean = (states * weight).sum(1) / weight.sum(1)
            return torch.nn.functional.normalize(mean, dim=1).cpu().numpy()

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        """One thread a core on a CPU, one on an accelerator."""
        import torch

        from glossator.engines import one_core_pool

        return one_core_pool(torch.get_num_threads() if self._subject.device.type == "cpu" else 1)


class TokenVectors:
    """An `Embedder`: tokens of a text (with a blank before it, as inside a sentence) to the mean of their directions
    of meaning, scaled to length 1."""

    def __init__(self, subject: TransformerSubject):
        embedding = subject.model.get_input_embeddings()
        if embedding is None:
            raise UserError("this subject has no token embeddings", value=subject.name)
        self._tokenizer = subject.tokenizer
        self._directions = meaning_directions(embedding.weight.detach().float().cpu().numpy())
        self.name = f"{subject.name} tokens"
        self.width = int(self._directions.shape[1])
        self.fingerprint = self.fingerprint_of(subject.fingerprint)

    @staticmethod
    def fingerprint_of(subject: str) -> str:
        """Of the vectors of a subject with this fingerprint."""
        return fingerprint({"subject": subject, "vectors": "token directions, mean"})

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """(n, width) float32, rows of length 1, in the order of the texts; an empty text is a zero row."""
        vectors = np.zeros((len(texts), self.width), np.float32)
        for row, ids in enumerate(self._tokenizer.encode([" " + text if text else "" for text in texts])):
            if len(ids):
                vectors[row] = self._directions[ids].mean(0)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.divide(vectors, lengths, out=vectors, where=lengths > 0)
