"""A planted transformer of two layers that knows number, and evidence about its neurons.

Words of the number concept carry +1 (plural) or -1 (singular) in their embedding; attention spreads the mean of it over
the sentence; in layer 1 the neuron CAUSAL reads it and writes what raises " are" and lowers " is". DECOY reads the same
and writes nothing; DORMANT would do to the answers what CAUSAL does, on an axis of its own, and reads nothing. All
other neurons are random.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from glossator.causal.minimal_pairs import CONCEPTS
from glossator.evidence import Evidence, Exemplars, ExplainEvidence, UnitStatistics
from glossator.inputs.tokens import TokenWindows
from glossator.programs import Lexicon
from glossator.scorers.lab import Lab
from glossator.subjects import FastTextTokenizer, TransformerSubject
from glossator.units import Unit

SITE, CAUSAL, DECOY, DORMANT, RANDOM = "mlp.1", 0, 1, 2, 5
WIDTH, NEURONS = 32, 16
ONE, NUMBER, SPREAD, ANSWER, ASLEEP, REST = 0, 1, 2, 3, 4, 8  # axes of the stream; from REST on everything is random


def _words() -> list[str]:
    texts = [text for concept in CONCEPTS.values() for _, *four in concept.sentences() for text in four]
    return sorted({word.strip(",.") for text in texts for word in text.split()} | {"more", "only", "yes"})


@lru_cache(maxsize=1)
def word_tokenizer() -> FastTextTokenizer:
    """Every word of the minimal pairs is one token, with its space."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{b:02X}>" for b in range(256)), *(f"▁{word}" for word in _words()), "▁"]
    vocabulary = {piece: i for i, piece in enumerate(pieces)}
    backend = Tokenizer(
        models.BPE(vocabulary, [], unk_token="<unk>", fuse_unk=True, byte_fallback=True, ignore_merges=True)
    )
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    backend.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    fast = PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<s>", eos_token="</s>", unk_token="<unk>")
    return FastTextTokenizer(fast, "words")


@lru_cache(maxsize=1)
def planted() -> TransformerSubject:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = word_tokenizer()
    ids, size = tokenizer.vocabulary.ids, len(tokenizer.vocabulary)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=size, hidden_size=WIDTH, intermediate_size=NEURONS, num_hidden_layers=2, num_attention_heads=1,
        max_position_embeddings=64, tie_word_embeddings=False, pad_token_id=0,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        for layer in model.model.layers:
            attention = layer.self_attn
            for projection in (attention.q_proj, attention.k_proj, attention.v_proj, attention.o_proj):
                projection.weight.zero_()  # scores of 0: attention is the mean of what came before
            layer.mlp.down_proj.weight.zero_()
        first, second = model.model.layers
        first.self_attn.v_proj.weight[0, NUMBER] = 4.0
        first.self_attn.o_proj.weight[SPREAD, 0] = 1.0
        for projection in (second.mlp.up_proj, second.mlp.gate_proj):
            projection.weight.normal_(0, 0.3)
            projection.weight[[CAUSAL, DECOY, DORMANT]] = 0
        second.mlp.gate_proj.weight[[CAUSAL, DECOY, DORMANT], ONE] = 1.0
        second.mlp.up_proj.weight[[CAUSAL, DECOY], SPREAD] = 1.0
        second.mlp.down_proj.weight[REST:].normal_(0, 0.1)
        second.mlp.down_proj.weight[:, [CAUSAL, DECOY, DORMANT]] = 0
        second.mlp.down_proj.weight[ANSWER, CAUSAL] = second.mlp.down_proj.weight[ASLEEP, DORMANT] = 0.5
        embedding, head = model.model.embed_tokens.weight, model.lm_head.weight
        for weight in (embedding, head):
            weight.zero_()
            weight[:, REST:].normal_(0, 0.1)
        embedding[:, ONE] = 1.0
        for group in CONCEPTS["number"].groups:
            for word, answer in group.items():
                embedding[ids[f" {word}"], NUMBER] = 1.0 if answer == " are" else -1.0
        head[[ids[" are"], ids[" is"]], REST:] = 0
        head[ids[" are"], [ANSWER, ASLEEP]], head[ids[" is"], [ANSWER, ASLEEP]] = 1.0, -1.0
    return TransformerSubject("planted", model.eval().requires_grad_(False), tokenizer, "planted", True, (1,))


def unit(index: int, polarity: str = "+") -> Unit:
    return Unit("planted", SITE, index, polarity)  # type: ignore[arg-type]


def windows_of(n: int, seed: int, width: int = 10, per_document: int = 2) -> TokenWindows:
    """Windows of random words."""
    vocabulary = planted().tokenizer.vocabulary
    words = np.array([i for i, text in enumerate(vocabulary.texts) if text[:1] == " " and len(text) > 2])
    tokens = np.random.default_rng(seed).choice(words, (n, width)).astype(np.int32)
    lengths = np.full(n, width, np.int32)
    lengths[1::3] = width - 3
    valid = np.arange(width) < lengths[:, None]
    documents, ids = seed * 1000 + np.arange(n) // per_document, seed * 1000 + np.arange(n)
    return TokenWindows(tokens * valid, lengths, valid, documents, ids, vocabulary)


@lru_cache(maxsize=8)
def evidence(of: Unit) -> Evidence:
    """Random windows alone, other documents in every split."""
    parts = [_exemplars(of, seed) for seed in (1, 2, 3, 4)]
    explain, calibrate, select, test = parts
    statistics = [_statistics(part) for part in parts]
    return Evidence(of, ExplainEvidence(of, explain, statistics[0], "seen"), calibrate, select, test, statistics[3])


def _exemplars(of: Unit, seed: int) -> Exemplars:
    windows = windows_of(12, seed)
    values = planted().activations(windows.tokens, windows.lengths, [of.site])[of.site][..., of.index].numpy()
    return Exemplars(windows, (values * of.sign * windows.valid).astype(np.float32), np.full(len(windows), "random"))


def _statistics(part: Exemplars) -> UnitStatistics:
    values = part.activations[part.windows.valid].astype(float)
    return UnitStatistics(len(values), values.mean(), values.var(), None, None, values.max(), 0.1, 0.5, "fixed")


def lab(**baselines) -> Lab:
    lexicon = Lexicon.for_windows(planted().tokenizer.vocabulary, None)
    return Lab(lexicon, open_subject=planted, baselines=baselines)
