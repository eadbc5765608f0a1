"""A model with units: windows of tokens in, values at named sites out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import nn

from glossator.errors import UserError
from glossator.subjects.hooks import stopping, watch
from glossator.subjects.sites import SiteInfo, find_sites, resolve_site
from glossator.subjects.tokenizer import FastTextTokenizer


@dataclass(frozen=True, eq=False)
class Subject:
    """A `transformers` model with its tokenizer, ready to be run over windows.

    prefix and suffix are the token ids put around each window ([CLS] and [SEP], or a document separator on which the
    attention sink falls); they are no part of a window and are taken off the values again. causal is False for
    encoders.
    """

    name: str
    model: nn.Module
    tokenizer: FastTextTokenizer
    fingerprint: str
    causal: bool
    prefix: tuple[int, ...] = ()
    suffix: tuple[int, ...] = ()

    @property
    def leaves_out_first(self) -> bool:
        """Whether the first position of a window takes the attention sink, for want of a prefix, and is left out."""
        return self.causal and not self.prefix

    @property
    def device(self) -> torch.device:
        return self.model.get_input_embeddings().weight.device

    @property
    def dtype(self) -> torch.dtype:
        return self.model.get_input_embeddings().weight.dtype

    @property
    def max_width(self) -> int | None:
        """The longest window the model takes, None when its config names no limit."""
        limit = getattr(self.model.config, "max_position_embeddings", None)
        return None if limit is None else int(limit) - len(self.prefix) - len(self.suffix)

    @cached_property
    def _aliased(self) -> list[SiteInfo]:
        return find_sites(self.model)

    @cached_property
    def _found(self) -> dict[str, SiteInfo]:
        return {site.name: site for site in self._aliased}

    def sites(self) -> list[SiteInfo]:
        """All aliased sites; any dotted module path is a site as well."""
        return list(self._aliased)

    def site(self, name: str) -> SiteInfo:
        """The site called `name`; raises `UserError` with near matches.

        A dotted path whose width its module does not tell is run once on two tokens to learn it.
        """
        if name not in self._found:
            site = resolve_site(self.model, name, self._aliased)
            self._found[name] = site if site.width is not None else replace(site, width=self._probe_width(site))
        return self._found[name]

    def _probe_width(self, site: SiteInfo) -> int:
        tokens = np.zeros((2, 2), np.int32)
        value = self._run(tokens, np.array([2, 2], np.int32), [site]).get(site.name)
        expected = (2, 2 + len(self.prefix) + len(self.suffix))
        if not isinstance(value, torch.Tensor) or value.ndim != 3 or tuple(value.shape[:2]) != expected:
            what = f"a tensor of shape {tuple(value.shape)}" if isinstance(value, torch.Tensor) else "no tensor"
            raise UserError(
                "this module gives no numbers per token", value=site.name, fix=f"It gives {what}; choose another module"
            )
        return int(value.shape[2])

    def embedding(self) -> np.ndarray:
        """The static input embedding, float32 (V, d) with V the size of the vocabulary; 0 for tokens that only the
        tokenizer knows."""
        size = len(self.tokenizer.vocabulary)
        found = self.model.get_input_embeddings().weight.detach()[:size].float().cpu().numpy()
        return np.pad(found, ((0, size - len(found)), (0, 0)))

    def model_inputs(self, tokens: np.ndarray, lengths: np.ndarray) -> dict[str, Any]:
        """`input_ids` with prefix and suffix, and an `attention_mask` where padding could be seen.

        In a causal model padding stands after the text and cannot reach it, so that no mask is made: attention without
        one is faster.
        """
        tokens, lengths = np.asarray(tokens), np.asarray(lengths)
        rows, width = tokens.shape
        if self.max_width is not None and width > self.max_width:
            raise UserError("windows too wide for this subject", value=width, allowed=f"at most {self.max_width}")
        before, after = len(self.prefix), len(self.suffix)
        pad = getattr(self.model.config, "pad_token_id", None)
        padding = pad if isinstance(pad, int) and 0 <= pad < len(self.tokenizer.vocabulary) else 0
        ids = np.full((rows, before + width + after), padding, np.int64)
        ids[:, :before] = self.prefix
        ids[:, before : before + width] = np.where(np.arange(width) < lengths[:, None], tokens, padding)
        for i, token in enumerate(self.suffix):
            ids[np.arange(rows), before + lengths + i] = token
        inputs: dict[str, Any] = {"input_ids": torch.from_numpy(ids).to(self.device)}
        if not self.causal and (lengths < width).any():
            mask = np.arange(ids.shape[1]) < (before + lengths + after)[:, None]
            inputs["attention_mask"] = torch.from_numpy(mask.astype(np.int64)).to(self.device)
        return inputs

    def _run(self, tokens: np.ndarray, lengths: np.ndarray, sites: Sequence[SiteInfo]) -> dict[str, torch.Tensor]:
        """One pass that ends after the last of `sites`; their tensors, prefix, suffix and padding included."""
        values: dict[str, torch.Tensor] = {}
        self._pass(tokens, lengths, sites, values.__setitem__)
        return values

    def _pass(
        self,
        tokens: np.ndarray,
        lengths: np.ndarray,
        sites: Sequence[SiteInfo],
        see: Callable[[str, torch.Tensor], Any],
    ) -> None:
        inputs = self.model_inputs(tokens, lengths)
        if self.causal:
            inputs["use_cache"] = False
        with torch.inference_mode(), watch(self.model, sites, see, stop=bool(sites)), stopping():
            self.model(**inputs)

    def visit(
        self, tokens: np.ndarray, lengths: np.ndarray, sites: Sequence[str], see: Callable[[str, torch.Tensor], Any]
    ) -> None:
        """Call `see(site name, values (b, w, width))` for each site, in the pass, as soon as its values are there.

        They are the model's own, not to be changed or kept, and may be anything on padding. Nothing is held, so that
        many sites need no more memory than one.
        """
        width, before = tokens.shape[1], len(self.prefix)
        wanted = [self.site(name) for name in sites]
        self._pass(tokens, lengths, wanted, lambda name, value: see(name, value[:, before : before + width]))

    def activations(self, tokens: np.ndarray, lengths: np.ndarray, sites: Sequence[str]) -> dict[str, torch.Tensor]:
        """Values at several sites in one pass: site name -> (b, w, width) in the subject's dtype, 0 on padding.

        tokens (b, w) int32, lengths (b,) int32. The pass ends after the last site; nothing else is kept.
        """
        found: dict[str, torch.Tensor] = {}
        self.visit(tokens, lengths, sites, found.__setitem__)
        lengths = np.asarray(lengths)
        with torch.inference_mode():
            for value in found.values():
                for row in np.flatnonzero(lengths < tokens.shape[1]):
                    value[row, int(lengths[row]) :] = 0
        return {name: found[self.site(name).name] for name in sites}

    def sink_positions(self, tokens: np.ndarray, lengths: np.ndarray, *, factor: float = 10.0) -> np.ndarray:
        """Positions of windows that take an attention sink, by their norm in the middle block: bool (b, w)."""
        from glossator.subjects.sinks import sink_positions

        return sink_positions(self, tokens, lengths, factor=factor)

    def forward(self, tokens: np.ndarray, lengths: np.ndarray, stop_after: Sequence[str] | None = None) -> None:
        """The bare forward pass, ended at the last of `stop_after`, with nothing kept: the floor of every recording."""
        self._run(tokens, lengths, [self.site(name) for name in stop_after or ()])
