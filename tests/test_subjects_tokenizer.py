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
        *(" unbelievable", ",", " isn", "'", " t", " it", "?"),
    ]
