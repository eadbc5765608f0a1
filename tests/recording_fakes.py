"""A subject that needs no model, and windows of random tokens, for the tests of recordings and evidence."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from glossator.corpora import ProbeSet
from glossator.files import fingerprint
from glossator.inputs import Inputs
from glossator.inputs.tokens import TokenWindows, Vocabulary
from glossator.readouts import BaseReadout
from glossator.recording.store import crc32_of, sample_of
from glossator.subjects.base import BaseSubject, Power
from glossator.subjects.sites import SiteInfo

TOKENS = 50
SITES = {"mlp.0": (24, "dense"), "mlp.1": (17, "dense"), "relu.0": (40, "sparse"), "resid.0": (12, "dense")}


class TokenFake(BaseSubject):
    """A subject of tokens whose `activations` are given, as tests write them."""

    takes = "tokens"
    leaves_out_first = False

    @property
    def leaves_out(self) -> str:
        return "padding and the first token, for attention sinks" if self.leaves_out_first else "padding"

    def counted(self, inputs: Inputs) -> Inputs:
        valid = inputs.valid.copy()
        valid[:, 0] &= not self.leaves_out_first
        return replace(inputs, valid=valid)

    def visit(self, inputs: Inputs, sites: Sequence[str], see: Any) -> None:
        for name, values in self.activations(inputs.tokens, inputs.lengths, sites).items():
            see(name, values)


class NoModel(BaseSubject):
    """A subject that gives values and cannot be looked into."""

    name, takes = "a black box", "tokens"
    powers: frozenset[Power] = frozenset()


@dataclass
class FakeSubject(TokenFake):
    """Values at a token depend on it and on the token before it; `relu.0` is the positive part of such values."""

    leaves_out_first: bool = False
    dtype: torch.dtype = torch.float32
    name: str = "fake"
    fingerprint: str = "f" * 16
    passes: int = 0

    def site(self, name: str) -> SiteInfo:
        width, kind = SITES[name]
        return SiteInfo(name, width, kind, name, "output")

    def embedding(self) -> np.ndarray:
        return np.random.default_rng(7).normal(size=(TOKENS, 6)).astype(np.float32)

    def activations(self, tokens: np.ndarray, lengths: np.ndarray, sites: Sequence[str]) -> dict[str, torch.Tensor]:
        self.passes += 1
        found = {}
        for name in sites:
            width, kind = SITES[name]
            table = torch.randn(2, TOKENS, width, generator=torch.Generator().manual_seed(len(name) + width))
            ids = torch.as_tensor(tokens).long()
            x = table[0][ids]
            x[:, 1:] += 0.5 * table[1][ids[:, :-1]]
            if kind == "sparse":
                x = torch.relu(x - 1.5)
            x[torch.arange(ids.shape[1]) >= torch.as_tensor(lengths)[:, None]] = 1e3  # padding must not count
            found[name] = x.to(self.dtype)
        return found


@dataclass
class FakeDictionary(BaseReadout):
    """A random dictionary with the k largest latents kept."""

    name: str = "sae:x"
    reads_at: str = "resid.0"
    width: int = 64
    k: int = 4
    fingerprint: str = "e" * 16
    sparse: bool = True

    def read(self, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        weight = torch.randn(values.shape[-1], self.width, generator=torch.Generator().manual_seed(3))
        return torch.relu(values.float() @ weight).topk(self.k, dim=-1)


def fake_windows(n: int = 100, width: int = 16, seed: int = 0) -> ProbeSet:
    """Random windows of five to a document; every seventh is short."""
    rng = np.random.default_rng(seed)
    tokens = rng.integers(0, TOKENS, (n, width)).astype(np.int32)
    lengths = np.full(n, width, np.int32)
    lengths[::7] = rng.integers(1, width, len(lengths[::7]))
    documents = np.arange(n) // 5
    split = rng.choice(4, documents.max() + 1, p=[0.5, 0.1, 0.1, 0.3]).astype(np.int8)
    split[:4] = np.arange(4)[: len(split)]
    vocabulary = Vocabulary("fake", tuple(f" w{i}".encode() for i in range(TOKENS)), frozenset({0}))
    valid = np.arange(width) < lengths[:, None]
    tokens[~valid] = 0
    windows = TokenWindows(tokens, lengths, valid, documents.astype(np.int64), np.arange(n) + 1000, vocabulary)
    return ProbeSet(windows, [f"doc-{i}" for i in range(documents.max() + 1)], split, {"n": n, "seed": seed})


def truth(subject: Any, windowed: ProbeSet, site: str) -> SimpleNamespace:
    """All values of a site as float32 and as the recording rounds them, and the valid mask, computed in one go."""
    w = windowed.windows
    values = subject.activations(w.tokens, w.lengths, [site])[site].float().numpy()
    valid = w.valid.copy()
    if subject.leaves_out_first:
        valid[:, 0] = False
    return SimpleNamespace(
        exact=values,
        valid=valid,
        rounded=np.where(valid[..., None], to_eleven_digits(values), np.float32(0)),
    )


def to_eleven_digits(values: np.ndarray) -> np.ndarray:
    """Values to eleven binary digits, as float16 has them, whatever their magnitude."""
    mantissa, exponent = np.frexp(values.astype(np.float64))
    return np.ldexp(np.round(mantissa * 2**11) / 2**11, exponent).astype(np.float32)


def as_of_format(folder: Path, name: str, removed: Sequence[str], rewritten: str) -> None:
    """Make a recording one of an older format: without some files, and with one that was written anew."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text()) | {"format": name}
    for file in removed:
        (folder / file).unlink()
        del manifest["files"][file]
    new = folder / rewritten
    manifest["files"][rewritten] = {"size": new.stat().st_size, "crc32": crc32_of(new), "sample": sample_of(new)}
    del manifest["fingerprint"]
    path.write_text(json.dumps(manifest | {"fingerprint": fingerprint(manifest)}))
