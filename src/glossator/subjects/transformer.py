"""A `transformers` model as a subject: windows of tokens in, values at named sites out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from glossator.errors import UserError
from glossator.inputs import Inputs, TokenWindows, token_windows
from glossator.subjects.additions import BlockRun
from glossator.subjects.base import Power
from glossator.subjects.described import block_runs, described
from glossator.subjects.hooks import keeping, stopping, watch
from glossator.subjects.positions import limit_of
from glossator.subjects.probing import measured, padding_matters, probe_windows, unpadded
from glossator.subjects.sites import MLP_OUT, SiteInfo, find_sites, resolve_site
from glossator.subjects.tokenizer import FastTextTokenizer
from glossator.subjects.trial import no_cache


@dataclass(frozen=True, eq=False)
class TransformerSubject:
    """A `transformers` model with its tokenizer, ready to be run over windows.

    prefix and suffix are the token ids put around each window ([CLS] and [SEP], or a document separator on which the
    attention sink falls); they are no part of a window and are removed from the values again. causal is False for
    encoders. in_memory: whether its model was given, and may be changed by who gave it.
    """

    name: str
    model: nn.Module
    tokenizer: FastTextTokenizer
    fingerprint: str
    causal: bool
    prefix: tuple[int, ...] = ()
    suffix: tuple[int, ...] = ()
    in_memory: bool = False

    takes: ClassVar[str] = "tokens"
    batch: ClassVar[int | None] = None

    @property
    def powers(self) -> frozenset[Power]:
        inside = {Power.RUN, Power.INTERVENE, Power.GRADIENT, Power.WEIGHTS}
        return frozenset(inside | {Power.OUTPUTS} if self.writes_tokens else inside)

    @property
    def concurrent(self) -> bool:
        return self.device.type == "cpu"

    @property
    def leaves_out(self) -> str:
        first = "padding and the first token of each window, on which attention sinks fall"
        return first if self.leaves_out_first else "padding"

    def counted(self, inputs: Inputs) -> TokenWindows:
        """The windows with their first position left out where the attention sink falls on it."""
        windows = token_windows(inputs)
        if not self.leaves_out_first:
            return windows
        valid = windows.valid.copy()
        valid[:, 0] = False
        return replace(windows, valid=valid)

    def check_unchanged(self) -> None:
        """Raise `UserError` if the weights of a given model have changed since it became a subject."""
        from glossator.subjects.fingerprints import of_model

        if self.in_memory and of_model(self.model, self.tokenizer) != self.fingerprint:
            raise UserError(
                "the model has changed since it was loaded", value=self.name, fix="Call load_subject on it again"
            )

    @cached_property
    def writes_tokens(self) -> bool:
        """Whether the model predicts next tokens; a causal one that was given may lack its head."""
        if not (self.causal and self.in_memory):
            return self.causal
        with torch.inference_mode():
            return hasattr(self.model(**self.model_inputs(np.zeros((1, 1), np.int32), np.array([1]))), "logits")

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

    @cached_property
    def max_width(self) -> int | None:
        """The longest window the model takes, None if there is no limit: see `glossator.subjects.positions`."""
        limit = limit_of(self.model)
        return None if limit is None else limit - len(self.prefix) - len(self.suffix)

    @cached_property
    def _listed(self) -> list[SiteInfo]:
        return find_sites(self.model)

    @cached_property
    def _measured(self) -> dict[str, SiteInfo | UserError]:
        return measured(self, self._listed)

    @cached_property
    def _blocks(self) -> dict[int, BlockRun]:
        return block_runs(self.model, self.pass_inputs(*unpadded(probe_windows(self)[0])))

    @cached_property
    def _known(self) -> dict[str, SiteInfo | UserError]:
        return {}

    def sites(self) -> list[SiteInfo]:
        """All aliased sites; any dotted module path is a site as well."""
        return [site for one in self._listed if isinstance(site := self._resolved(one.name), SiteInfo)]

    def site(self, name: str) -> SiteInfo:
        """The site called `name`, as a short pass measures it; raises `UserError` with near matches, or with what is
        wrong with the values there."""
        found = self._resolved(name)
        if isinstance(found, UserError):
            raise found
        return found

    def _resolved(self, name: str) -> SiteInfo | UserError:
        if name not in self._known:
            found = self._measured.get(name)
            has_a_meaning = found is not None or name.startswith(f"{MLP_OUT}.")
            if found is None:
                found = measured(self, [resolve_site(self.model, name, self._listed)])[name]
            if has_a_meaning and isinstance(found, SiteInfo):
                aliased = described(found, self._blocks)
                if isinstance(aliased, SiteInfo) and aliased.module != found.module:
                    found = measured(self, [aliased])[name]
                else:
                    found = aliased
            self._known[name] = found
        return self._known[name]

    def embedding(self) -> np.ndarray:
        """The static input embedding, float32 (V, d) with V the size of the vocabulary; 0 for tokens that only the
        tokenizer knows, and for what is not a number."""
        size = len(self.tokenizer.vocabulary)
        found = self.model.get_input_embeddings().weight.detach()[:size].float().cpu().numpy()
        found = np.nan_to_num(found, nan=0.0, posinf=0.0, neginf=0.0)
        return np.pad(found, ((0, size - len(found)), (0, 0)))

    def check_known(self, tokens: np.ndarray) -> int:
        """How many tokens the model has embeddings for; raises `UserError` where one of these has none."""
        known = int(self.model.get_input_embeddings().weight.shape[0])
        if tokens.size and (token := int(tokens.max())) >= known:
            texts = self.tokenizer.vocabulary.texts
            raise UserError(
                "the text has a token for which the model has no embedding",
                value=f"{token} {(texts[token] if token < len(texts) else '')!r}",
                allowed=f"0 to {known - 1}",
                fix="The tokenizer does not match the model, or the embedding was not resized",
            )
        return known

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
        known = self.check_known(tokens[np.arange(width) < lengths[:, None]])
        pad = getattr(self.model.config, "pad_token_id", None)
        padding = pad if isinstance(pad, int) and 0 <= pad < min(known, len(self.tokenizer.vocabulary)) else 0
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

    @cached_property
    def runs_by_length(self) -> bool:
        """Whether only windows of one length can be run together, since padding changes what the model computes."""
        return padding_matters(self)

    def pass_inputs(self, tokens: np.ndarray, lengths: np.ndarray, *, padded: bool = False) -> dict[str, Any]:
        """As `model_inputs`, for a pass after which nothing is kept.

        Raises `UserError` for windows of several lengths where padding changes what the model computes, unless padded.
        """
        if not padded and (np.asarray(lengths) < np.shape(tokens)[1]).any() and self.runs_by_length:
            raise UserError(
                "padding changes what this model computes",
                value=f"windows of {min(lengths)} to {np.shape(tokens)[1]} tokens",
                allowed="windows of one length",
            )
        return {**self.model_inputs(tokens, lengths), **no_cache(self.model)}

    def _run(self, tokens: np.ndarray, lengths: np.ndarray, sites: Sequence[SiteInfo]) -> dict[str, torch.Tensor]:
        """One pass that ends after the last of `sites`; their tensors, prefix, suffix and padding included."""
        values: dict[str, torch.Tensor] = {}
        self._pass(tokens, lengths, sites, keeping(values))
        return values

    def _pass(
        self,
        tokens: np.ndarray,
        lengths: np.ndarray,
        sites: Sequence[SiteInfo],
        see: Callable[[str, torch.Tensor], Any],
    ) -> None:
        tokens, lengths = np.asarray(tokens), np.asarray(lengths)
        if (lengths < tokens.shape[1]).any() and self.runs_by_length:
            self._pass_by_length(tokens, lengths, sites, see)
            return
        inputs = self.pass_inputs(tokens, lengths)
        with torch.inference_mode(), watch(self.model, sites, see, stop=bool(sites)), stopping():
            self.model(**inputs)

    def _pass_by_length(
        self, tokens: np.ndarray, lengths: np.ndarray, sites: Sequence[SiteInfo], see: Callable[[str, Any], Any]
    ) -> None:
        """As `_pass`, the windows of each length in a pass of their own; their values are put together before `see`."""
        values: dict[str, torch.Tensor] = {}
        positions = len(self.prefix) + tokens.shape[1] + len(self.suffix)
        for length in np.unique(lengths[lengths > 0]):
            rows = np.flatnonzero(lengths == length)
            for name, found in self._run(tokens[rows, :length], lengths[rows], sites).items():
                if name not in values:
                    values[name] = found.new_zeros((len(tokens), positions, found.shape[2]))
                values[name][torch.from_numpy(rows), : found.shape[1]] = found
        for name, found in values.items():
            see(name, found)

    def visit(self, inputs: Inputs, sites: Sequence[str], see: Callable[[str, torch.Tensor], Any]) -> None:
        """Call `see(site name, values (b, w, width))` for each site, in the pass, as soon as its values are there.

        They are the model's own, not to be changed or kept, and may be anything on padding. Nothing is held, so that
        many sites need no more memory than one.
        """
        windows = token_windows(inputs)
        self._visit(windows.tokens, windows.lengths, sites, see)

    def _visit(
        self, tokens: np.ndarray, lengths: np.ndarray, sites: Sequence[str], see: Callable[[str, torch.Tensor], Any]
    ) -> None:
        width, before = tokens.shape[1], len(self.prefix)
        wanted = [self.site(name) for name in sites]
        self._pass(tokens, lengths, wanted, lambda name, value: see(name, value[:, before : before + width]))

    def activations(self, tokens: np.ndarray, lengths: np.ndarray, sites: Sequence[str]) -> dict[str, torch.Tensor]:
        """Values at several sites in one pass: site name -> (b, w, width) in the subject's dtype, 0 on padding.

        tokens (b, w) int32, lengths (b,) int32. The pass ends after the last site; nothing else is kept.
        """
        found: dict[str, torch.Tensor] = {}
        self._visit(tokens, lengths, sites, keeping(found))
        lengths = np.asarray(lengths)
        with torch.inference_mode():
            for value in found.values():
                for row in np.flatnonzero(lengths < tokens.shape[1]):
                    value[row, int(lengths[row]) :] = 0
        return {name: found[self.site(name).name] for name in sites}

    def forward(self, tokens: np.ndarray, lengths: np.ndarray, stop_after: Sequence[str] | None = None) -> None:
        """The bare forward pass, ended at the last of `stop_after`, with nothing kept: the floor of every recording."""
        self._run(tokens, lengths, [self.site(name) for name in stop_after or ()])
