"""What each token adds to the text, in the three families of tokenizer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from glossator.errors import UserError
from glossator.subjects import FastTextTokenizer
from glossator.subjects.tokenizer import byte_of_character
from tiny_models import byte_level_tokenizer, sentencepiece_tokenizer, wordpiece_tokenizer


@pytest.fixture(scope="module")
def byte_level():
    return FastTextTokenizer(byte_level_tokenizer(), "tiny")


def test_byte_map_is_a_bijection_that_keeps_printable_ascii():
    table = byte_of_character()
    assert sorted(table.values()) == list(range(256))
    assert all(table[chr(b)] == b for b in range(33, 127))
    assert (table["Ġ"], table["Ċ"]) == (ord(" "), ord("\n"))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text())
def test_byte_level_pieces_join_to_the_text(byte_level, text):
    tokens = byte_level.encode([text])[0]
    assert tokens.dtype == np.int32
    assert b"".join(byte_level.vocabulary.pieces[t] for t in tokens) == text.encode()


def test_special_tokens_in_the_text_are_text(byte_level):
    text = "a<|endoftext|>b"
    tokens = byte_level.encode([text])[0]
    assert 0 not in tokens
    assert byte_level.decode(tokens) == text
    assert byte_level.vocabulary.special == {0}


def test_cut_characters_stay_visible(byte_level):
    texts = [byte_level.vocabulary.texts[t] for t in byte_level.encode(["漢"])[0]]
    assert texts == ["\\xe6", "\\xbc", "\\xa2"]


def test_wordpiece_words_open_with_a_space_and_nothing_is_cut_or_padded():
    tokenizer = FastTextTokenizer(wordpiece_tokenizer(), "tiny")
    tokens = tokenizer.encode(["The fox was running, the fox runs.", "fox"])
    assert [tokenizer.vocabulary.texts[t] for t in tokens[0]] == [
        *(" the", " fox", " was", " run", "ning", ","),
        *(" the", " fox", " run", "s", "."),
    ]
    assert tokens[1].tolist() == [5]
    assert tokenizer.vocabulary.special == {0, 1, 2, 3}


def test_sentencepiece_spaces_and_bytes():
    tokenizer = FastTextTokenizer(sentencepiece_tokenizer(), "tiny")
    tokens = tokenizer.encode(["the fox é"])[0]
    assert [tokenizer.vocabulary.pieces[t] for t in tokens] == [b" the", b" fox", b" ", b"\xc3", b"\xa9"]
    assert tokenizer.decode(tokens) == " the fox é"


def test_slow_tokenizer_is_refused():
    with pytest.raises(UserError, match="no fast version"):
        FastTextTokenizer(object(), "tiny")


def test_empty_list_and_empty_text(byte_level):
    assert byte_level.encode([]) == []
    assert byte_level.encode(["", "a"])[0].shape == (0,)


def test_long_lists_keep_their_order(byte_level):
    texts = [f"number {i}" for i in range(1200)]
    assert [byte_level.decode(tokens) for tokens in byte_level.encode(texts)] == texts


def test_smollm2_splits_digits_one_by_one_and_joins_exactly(smollm2):
    tokenizer = smollm2.tokenizer
    texts = tokenizer.vocabulary.texts
    assert [texts[t] for t in tokenizer.encode(["2024"])[0]] == ["2", "0", "2", "4"]
    assert [texts[t] for t in tokenizer.encode(["x  12"])[0]] == ["x", "  ", "1", "2"]
    text = "It's 10:45 in São Paulo — 漢字, 🙂\r\n\tdef f(x): return x**2  <|im_start|>"
    assert tokenizer.decode(tokenizer.encode([text])[0]) == text
    assert len(tokenizer.vocabulary) == 49152


def test_minilm_pieces(minilm):
    texts = minilm.tokenizer.vocabulary.texts
    assert [texts[t] for t in minilm.tokenizer.encode(["Unbelievable, isn't it?"])[0]] == [
        *(" unbelievable", ",", " isn", " '", " t", " it", "?"),
    ]


WORDS = ["the", "fox", "was", "run", "ning", "s", ",", "(", "."]


def _fast(model, decoder=None, pre=None, **special):
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(model)
    if decoder is not None:
        backend.decoder = decoder
    if pre is not None:
        backend.pre_tokenizer = pre
    return PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>", **special)


def _numbered(words: list[str]) -> dict[str, int]:
    return {word: i for i, word in enumerate(["<unk>", *words])}


def _clip():
    from tokenizers import pre_tokenizers
    from transformers import CLIPTokenizer

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{letter}</w>" for letter in letters), "th", "the</w>"]
    vocabulary = {token: i for i, token in enumerate(tokens)}
    return CLIPTokenizer(vocab=vocabulary, merges=[("t", "h"), ("th", "e</w>")])


def _every_kind():
    """Name -> a tokenizer: one of each kind of decoder that `tokenizers` has, and of none."""
    from tokenizers import Regex, decoders, models, pre_tokenizers

    words, ends = _numbered(WORDS), [f"{word}</w>" for word in WORDS]
    marked, continued = [f"▁{word}" for word in WORDS], [f"@@{word}" for word in WORDS]
    byte_pieces = [f"<0x{b:02X}>" for b in range(256)]
    pieces = [("<unk>", 0.0), *((word, -1.0 - i) for i, word in enumerate([*marked, *WORDS]))]
    fallback = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    hashed = _numbered([*WORDS, *(f"##{word}" for word in WORDS)])
    split, word_level = pre_tokenizers.Whitespace(), models.WordLevel
    spaces = decoders.Sequence([decoders.Fuse(), decoders.Replace(Regex("_+"), " ")])
    byte_level = byte_level_tokenizer()
    byte_level.add_tokens(["two words"])
    return {
        "byte-level": byte_level,
        "word-level without a decoder": _fast(word_level(words, unk_token="<unk>"), pre=split),
        "word-level, cleaned": _fast(
            word_level(words, unk_token="<unk>"), pre=split, clean_up_tokenization_spaces=True
        ),
        "wordpiece": _fast(models.WordPiece(hashed, unk_token="<unk>"), decoders.WordPiece(), split),
        "wordpiece, not cleaned": _fast(
            models.WordPiece(hashed, unk_token="<unk>"), decoders.WordPiece(cleanup=False), split
        ),
        "wordpiece with @@": _fast(
            models.WordPiece(_numbered([*WORDS, *continued]), unk_token="<unk>", continuing_subword_prefix="@@"),
            decoders.WordPiece(prefix="@@"),
            split,
        ),
        "</w>": _fast(
            models.BPE(_numbered([*WORDS, *ends]), [], unk_token="<unk>", end_of_word_suffix="</w>"),
            decoders.BPEDecoder(suffix="</w>"),
            split,
        ),
        "byte-level with </w>": _clip(),
        "metaspace": _fast(
            models.Unigram(pieces, 0), decoders.Metaspace(prepend_scheme="always"), pre_tokenizers.Metaspace()
        ),
        "metaspace, never": _fast(
            models.Unigram(pieces, 0),
            decoders.Metaspace("_", prepend_scheme="never"),
            pre_tokenizers.Metaspace("_", prepend_scheme="never"),
        ),
        "byte fallback": _fast(
            models.BPE(_numbered([*marked, *WORDS, *byte_pieces]), [], unk_token="<unk>", byte_fallback=True),
            fallback,
            pre_tokenizers.Metaspace(prepend_scheme="always"),
        ),
        "fused": _fast(word_level(_numbered([*WORDS, *(f"_{w}" for w in WORDS)]), unk_token="<unk>"), spaces),
        "ctc": _fast(word_level(_numbered([*WORDS, "|"]), unk_token="<unk>"), decoders.CTC("<unk>", "|", False)),
    }


@pytest.fixture(scope="module")
def every_kind():
    return _every_kind()


@pytest.mark.parametrize("kind", _every_kind())
def test_the_text_of_a_window_is_what_the_tokenizer_decodes(every_kind, kind):
    import dataclasses

    hub = every_kind[kind]
    tokenizer = FastTextTokenizer(hub, "tiny")
    vocabulary = tokenizer.vocabulary
    rng, size = np.random.default_rng(0), len(vocabulary)
    for length in (1, 2, 5, 20):
        for _ in range(20):
            ids = rng.integers(0, size, length)
            assert tokenizer.decode(ids) == hub.decode(ids.tolist()), ids
    stored = dataclasses.replace(vocabulary, pieces=vocabulary.pieces)
    assert stored.fingerprint == vocabulary.fingerprint


@pytest.mark.parametrize(
    "kind", ["word-level without a decoder", "wordpiece", "wordpiece with @@", "</w>", "metaspace"]
)
def test_pieces_are_what_tokens_add_to_a_text(every_kind, kind):
    """Joined, they are the text up to the space at its beginning or end."""
    tokenizer = FastTextTokenizer(every_kind[kind], "tiny")
    words = ["the", "fox", "was", "(", "run", ",", "the", "fox", "run", "."]
    ids = tokenizer.encode([" ".join(words)])[0]
    if kind == "</w>":  # it has no merges
        ids = np.array([tokenizer.vocabulary.decoding.tokens.index(f"{word}</w>") for word in words])
    joined = b"".join(tokenizer.vocabulary.pieces[t] for t in ids).decode()
    assert joined.strip() == tokenizer.decode(ids).strip()
    assert " fox " in f" {joined} "


def test_a_recording_keeps_how_its_tokens_are_decoded(tmp_path):
    from glossator.corpora import make_windows, open_corpus
    from glossator.recording import record, recording_spec
    from glossator.subjects import load_subject
    from tiny_models import save_tiny

    subject = load_subject(str(save_tiny(tmp_path / "m", "bert", wordpiece_tokenizer())))
    rng = np.random.default_rng(0)
    corpus = open_corpus([" ".join(rng.choice(["the", "fox", "runs", "(", ".", "was", "é"], 40)) for _ in range(40)])
    windowed = make_windows(corpus, subject.tokenizer, 16)
    recording = record(recording_spec(subject, windowed, ["mlp.0"]), subject, windowed, tmp_path / "r")
    hub = subject.tokenizer.hub_tokenizer
    for row in range(len(recording.windows)):
        ids = recording.windows.tokens[row, : recording.windows.lengths[row]]
        assert recording.windows.text(row) == hub.decode(ids.tolist())
    assert recording.vocabulary.fingerprint == subject.tokenizer.vocabulary.fingerprint
