"""Random models of several families, a few thousand weights each, and tokenizers trained on a few sentences."""

from __future__ import annotations

from pathlib import Path
from typing import Any

SENTENCES = [
    "The quick brown fox jumps over the lazy dog, and the dog does not mind at all.",
    "In 1987 the cannery employed 400 people; now there were twelve.",
    "def add(a, b):\n    return a + b  # naïve, but it works",
]


def byte_level_tokenizer() -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=["<|endoftext|>"], initial_alphabet=alphabet, show_progress=False
    )
    backend.train_from_iterator(SENTENCES, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<|endoftext|>", eos_token="<|endoftext|>")


def wordpiece_tokenizer() -> Any:
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "fox", "run", "##ning", "##s", ",", ".", "was"]
    backend = Tokenizer(models.WordPiece({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer()
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece()
    backend.enable_truncation(4)
    backend.enable_padding(length=8)
    special = {"unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]"}
    return PreTrainedTokenizerFast(tokenizer_object=backend, **special)


def sentencepiece_tokenizer() -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{b:02X}>" for b in range(256)), "▁the", "▁fox", "x", "▁", "fo", "▁fo"]
    vocabulary = {piece: i for i, piece in enumerate(pieces)}
    backend = Tokenizer(
        models.BPE(vocabulary, [], unk_token="<unk>", fuse_unk=True, byte_fallback=True, ignore_merges=True)
    )
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    backend.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    return PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


def tiny_model(family: str, vocab_size: int = 330) -> Any:
    """A seeded random model: llama, gpt2, gpt_neox, opt, qwen3, gemma2, bert, roberta, distilbert or albert."""
    import torch
    from transformers import AutoConfig, AutoModel, AutoModelForCausalLM

    common = {"vocab_size": vocab_size, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    wide = {**common, "intermediate_size": 64, "max_position_embeddings": 64}
    settings: dict[str, dict[str, Any]] = {
        "llama": {**wide, "num_key_value_heads": 2},
        "qwen3": {**wide, "num_key_value_heads": 2, "head_dim": 12},
        "gemma2": {**wide, "num_key_value_heads": 2, "head_dim": 8},
        "gpt_neox": wide,
        "opt": {**wide, "ffn_dim": 64, "word_embed_proj_dim": 32},
        "gpt2": {"vocab_size": vocab_size, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64},
        "bert": wide,
        "roberta": {**wide, "max_position_embeddings": 66},
        "distilbert": {"vocab_size": vocab_size, "dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64},
        "albert": {**wide, "embedding_size": 16},
    }
    torch.manual_seed(0)
    config = AutoConfig.for_model(family, **settings[family], bos_token_id=None, eos_token_id=None, pad_token_id=0)
    encoder = family in ("bert", "roberta", "distilbert", "albert")
    model = (AutoModel if encoder else AutoModelForCausalLM).from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.2)
    return model.eval()


def save_tiny(folder: Path, family: str, tokenizer: Any) -> Path:
    """Save a tiny model with its tokenizer as a user's folder would hold them."""
    tiny_model(family).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
