"""Small models for the tests of interventions: random ones of several families, and one whose mechanism is planted."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from glossator.causal.acting import part_of
from glossator.causal.patching import part_values
from glossator.evidence import Evidence, Exemplars, ExplainEvidence, UnitStatistics
from glossator.explanations import Explanation, Provenance
from glossator.inputs.tokens import TokenWindows
from glossator.programs import Clause, Lexicon, Program, Table
from glossator.scorers.lab import Lab
from glossator.scorers.other_units import GivenOthers
from glossator.simulators import ACTIVATION, Simulation, Simulator
from glossator.subjects import FastTextTokenizer, TransformerSubject
from glossator.units import Unit
from tiny_models import byte_level_tokenizer, tiny_model

VOCABULARY_SIZE = 320


@lru_cache(maxsize=1)
def _tokenizer() -> FastTextTokenizer:
    return FastTextTokenizer(byte_level_tokenizer(), "tiny")


def subject_of(family: str, *, prefix: tuple[int, ...] = (0,), double: bool = False) -> TransformerSubject:
    """A random model of a family as a subject, made anew; float64 where rounding must not matter."""
    model = tiny_model(family)
    return as_subject(model.double() if double else model, f"tiny-{family}", prefix)


def as_subject(model: Any, name: str, prefix: tuple[int, ...] = (0,)) -> TransformerSubject:
    causal = hasattr(model, "lm_head") or hasattr(model, "embed_out")
    return TransformerSubject(name, model.requires_grad_(False), _tokenizer(), name, causal, prefix)


def tiny_windows(
    subject: TransformerSubject, n: int = 5, width: int = 12, seed: int = 0, short: bool = True
) -> TokenWindows:
    """Windows of random tokens, a document each, some shorter than the others."""
    rng = np.random.default_rng(seed)
    tokens = rng.integers(1, 300, (n, width)).astype(np.int32)
    lengths = np.full(n, width, np.int32)
    if short:
        lengths[1::2] = rng.integers(width // 2, width, len(lengths[1::2]))
    valid = np.arange(width) < lengths[:, None]
    numbers = np.arange(n, dtype=np.int64) + 1000 * seed
    return TokenWindows(tokens * valid, lengths, valid, numbers, numbers, subject.tokenizer.vocabulary)


@dataclass(frozen=True, eq=False)
class World:
    """A subject with windows for each split, on which evidence of any of its units can be had."""

    subject: TransformerSubject
    windows: int = 12
    width: int = 12

    @cached_property
    def splits(self) -> dict[str, TokenWindows]:
        names = ("explain", "calibrate", "select", "test")
        return {n: tiny_windows(self.subject, self.windows, self.width, seed=i + 1) for i, n in enumerate(names)}

    def values(self, unit: Unit, split: str, readouts: Any = None) -> np.ndarray:
        """The unit's true activations (n, w), signed."""
        site, part = part_of(unit, readouts)
        return part_values(self.subject, self.splits[split], site, part)[..., 0].astype(np.float32) * unit.sign

    def evidence(self, unit: Unit, readouts: Any = None, status: Any = "ok", reason: str = "") -> Evidence:
        """All windows as random ones; those of the two largest maxima count as top windows too."""
        parts = {split: self._exemplars(split, self.values(unit, split, readouts)) for split in self.splits}
        x = parts["explain"].activations[self.splits["explain"].valid].astype(np.float64)
        found = UnitStatistics(len(x), x.mean(), x.var(), None, None, x.max(), 0.0, float((x > 0).mean()), "above 0")
        given = ExplainEvidence(unit, parts["explain"], found, "planted")
        return Evidence(unit, given, parts["calibrate"], parts["select"], parts["test"], found, status, reason)

    def _exemplars(self, split: str, values: np.ndarray) -> Exemplars:
        windows = self.splits[split]
        activations = np.where(windows.valid, values, 0).astype(np.float32)
        kinds = np.full(len(windows), "random")
        kinds[np.argsort(-activations.max(axis=1), kind="stable")[:2]] = "top"
        return Exemplars(windows, activations, kinds, np.ones(len(windows), bool))

    def lab(self, simulator: Any = None, *, others: tuple[Unit, ...] = (), baselines: Any = None, seed: int = 0) -> Lab:
        lexicon = Lexicon.for_windows(self.subject.tokenizer.vocabulary, None)
        known = None
        if others:
            known = GivenOthers({u: self.values(u, "calibrate") for u in others}, self.splits["calibrate"].ids)
        return Lab(lexicon, simulator, known, baselines or {}, seed=seed, open_subject=lambda: self.subject)


class Said(Simulator):
    """A simulator that looks up what each explanation's text stands for: a function of (windows) -> (n, w)."""

    def __init__(self, **by_text: Any):
        self.by_text = by_text

    def simulate(self, explanation: Explanation, windows: TokenWindows, grid=None) -> Simulation:
        return Simulation(np.asarray(self.by_text[explanation.text](windows), np.float64), ACTIVATION)


def saying(unit: Unit, text: str, program: Program | None = None) -> Explanation:
    return Explanation(unit, text, Provenance("by-hand"), program)


# The planted model: what its neurons of layer 0 do is known exactly.

CAUSAL, DECOY, DORMANT, SILENT = 0, 1, 2, 3
"""Neurons of mlp.0: causal fires on the marked tokens and writes; decoy fires on the very same and writes nothing;
dormant never fires and would write as much as causal does; silent is always zero and writes nothing."""
MARKED = tuple(range(40, 80))
"""Token ids on which causal and decoy fire."""
PLANTED = "planted"


def planted_subject(double: bool = True) -> TransformerSubject:
    """A Llama of two layers whose attention writes nothing, so that each token goes its own way.

    The residual stream has a feature direction 0 that only marked tokens have, a direction 1 that none has, and
    directions 2 and 3 that only neurons write to; the output head reads all of them.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY_SIZE, hidden_size=16, intermediate_size=8, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, max_position_embeddings=64, tie_word_embeddings=False,
        bos_token_id=None, eos_token_id=None, pad_token_id=0,
    )  # fmt: skip
    model = LlamaForCausalLM(config).eval()
    with torch.no_grad():
        embedding = torch.randn(VOCABULARY_SIZE, 16)
        embedding[:, :4] = 0.0
        embedding[list(MARKED), 0] = torch.linspace(2.0, 4.0, len(MARKED))
        model.model.embed_tokens.weight.copy_(embedding)
        model.lm_head.weight.copy_(torch.randn(VOCABULARY_SIZE, 16) * 0.5)
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            for projection in (layer.mlp.gate_proj, layer.mlp.up_proj, layer.mlp.down_proj):
                projection.weight.zero_()
        mlp = model.model.layers[0].mlp
        for neuron, feature, written in ((CAUSAL, 0, 2), (DECOY, 0, None), (DORMANT, 1, 3)):
            mlp.gate_proj.weight[neuron, feature] = 2.0
            mlp.up_proj.weight[neuron, feature] = 1.0
            if written is not None:
                mlp.down_proj.weight[written, neuron] = 1.0
    return as_subject(model.double() if double else model, PLANTED)


def planted_unit(neuron: int) -> Unit:
    return Unit(PLANTED, "mlp.0", neuron)


def planted_windows(subject: TransformerSubject, n: int, width: int, seed: int) -> TokenWindows:
    """Random tokens of which a quarter is marked."""
    windows = tiny_windows(subject, n, width, seed)
    rng = np.random.default_rng([seed, 1])
    marked = (rng.random(windows.tokens.shape) < 0.25) & windows.valid
    windows.tokens[marked] = rng.choice(MARKED, int(marked.sum()))
    return windows


class PlantedWorld(World):
    """The planted model on windows in which marked tokens are common."""

    @cached_property
    def splits(self) -> dict[str, TokenWindows]:
        names = ("explain", "calibrate", "select", "test")
        return {n: planted_windows(self.subject, self.windows, self.width, i + 1) for i, n in enumerate(names)}

    def marked_tokens(self, unit: Unit) -> Explanation:
        """The explanation that is true of causal and decoy: fires on the marked tokens, each with its own strength."""
        tokens = np.array(MARKED, np.int32).reshape(-1, 1)
        one, numbers = np.ones(len(tokens), np.int32), np.arange(len(tokens), dtype=np.int64)
        vocabulary = self.subject.tokenizer.vocabulary
        windows = TokenWindows(tokens, one, tokens > 0, numbers, numbers, vocabulary)
        site, part = part_of(planted_unit(CAUSAL))
        values = part_values(self.subject, windows, site, part)[:, 0, 0]
        table = tuple((vocabulary.texts[token], float(v)) for token, v in zip(MARKED, values, strict=True))
        return saying(unit, "marked tokens", Program(0.0, (Clause(1.0, Table(table, 0.0)),)))
