"""What the lexicon knows of tokens: shapes, word classes, spelling and nearness in meaning."""

from __future__ import annotations

import numpy as np
import pytest

from glossator.inputs.tokens import Vocabulary
from glossator.programs import Contains, Lexicon, Like, Prefix, Shape, Suffix, Token, Word
from glossator.programs.closed_classes import CLOSED
from glossator.programs.meaning import meaning_directions
from glossator.programs.shapes import SHAPES
from glossator.programs.words import SUPERSENSES, WORD_CLASSES, members
from program_strategies import LEXICON, VOCABULARY

SHAPE_CASES = {
    "capitalised": ({"Keep", "Élan"}, {"keep", "KEEP", "A", "McDonald", "42"}),
    "uppercase": ({"NASA", "OK"}, {"A", "Nasa", "42"}),
    "lowercase": ({"keep", "a", "é"}, {"Keep", "42", "a1"}),
    "mixed-case": ({"McDonald", "iPhone"}, {"Keep", "keep", "KEEP", "日本"}),
    "letters": ({"keep", "日本"}, {"a1", ",", ""}),
    "letter-single": ({"a", "B"}, {"ab", "1"}),
    "letter-capital": ({"B"}, {"b", "AB"}),
    "digit": ({"7"}, {"42", "²", "a"}),
    "number": ({"7", "42", "3.14", "1,000"}, {".5", "5.", "a1", "", "."}),
    "has-digit": ({"a1", "7"}, {"a"}),
    "letters-digits": ({"a1", "3D"}, {"11", "ab", "1-a"}),
    "punctuation": ({",", "...", "“"}, {"$", "a,", "", "\ufffd"}),
    "symbol": ({"$", "+", "="}, {",", "a"}),
    "punctuation-or-symbol": ({"),", "+="}, {"a", " "}),
    "has-punctuation": ({"a,", "$5"}, {"a5"}),
    "whitespace": ({"\n", "\t", "   "}, {"a", ""}),
    "newline": ({"\n", ".\n"}, {"n"}),
    "short": ({"a", "the"}, {"that", "12"}),
    "long": ({"keyboard"}, {"keyword", "12345678"}),
    "non-ascii": ({"é", "日本"}, {"e", ""}),
    "accented": ({"é", "naïve"}, {"e", "ж"}),
    "cyrillic": ({"ж"}, {"é", "z"}),
    "greek": ({"λ"}, {"l"}),
    "cjk": ({"日本", "の", "한"}, {"é"}),
    "arabic": ({"ع"}, {"a"}),
}


@pytest.mark.parametrize("name", sorted(SHAPE_CASES))
def test_shapes(name):
    held, refused = SHAPE_CASES[name]
    for body in held:
        assert SHAPES[name].holds(body, body), body
    for body in refused:
        assert not SHAPES[name].holds(body, body), body


def test_shapes_of_spaces_and_bytes():
    def named(name: str) -> set[str]:
        truth = LEXICON.truths(Shape(name))
        return {VOCABULARY.texts[i] for i in np.flatnonzero(truth[:-1])}

    assert {" keep", " (", " "} <= named("space-start") and "keep" not in named("space-start")
    assert "keep" in named("no-space-start") and not {" keep", "\n", ""} & named("no-space-start")
    assert named("partial-character") == {"\\xe2", "\\x80\\x99"}
    assert set(SHAPE_CASES) | {"space-start", "no-space-start", "partial-character", "continues-word"} == set(SHAPES)


def test_spelling_ignores_one_leading_space():
    for test in (Prefix("ke"), Suffix("keep"), Contains("kee")):
        truth = LEXICON.truths(test)
        assert {VOCABULARY.texts[i] for i in np.flatnonzero(truth)} == {" keep", "keep"}, test
    assert not LEXICON.truths(Contains("xe2")).any(), "the escape of a byte is not its spelling"
    assert np.flatnonzero(LEXICON.truths(Token(("\\xe2",)))).tolist() == [VOCABULARY.ids["\\xe2"]]


def test_closed_classes_hold_clean_lower_case_forms():
    for name, forms in CLOSED.items():
        assert forms == forms.lower() and len(forms.split()) >= 3, name
        assert len(set(forms.split())) == len(forms.split()), name


def test_packaged_supersenses():
    assert len(SUPERSENSES) == 45 and set(SUPERSENSES) <= set(WORD_CLASSES)
    for name, forms in {
        "noun.food": "bread sugar pizzas",
        "noun.animal": "dog dogs mice",
        "verb.motion": "go went walked running",
        "adj.all": "good bigger",
        "noun.feeling": "fear joy",
        "verb.stative": "is keep kept",
    }.items():
        assert set(forms.split()) <= members(name), name
    sizes = [len(members(name)) for name in SUPERSENSES]
    assert min(sizes) >= 10 and sum(sizes) > 100_000
    assert len(frozenset().union(*map(members, SUPERSENSES))) == sum(sizes), "one dominant sense a form"


def test_word_classes_match_case_folded_words_not_fragments():
    truth = LEXICON.truths(Word("noun.animal"))
    found = {VOCABULARY.texts[i] for i in np.flatnonzero(truth)}
    assert {" dogs", " ant"} <= found and "ant" not in found
    assert LEXICON.truths(Word("negations"))[VOCABULARY.ids[" NOT"]]


def topics(n: int = 60, size: int = 15, d: int = 40) -> tuple[Vocabulary, np.ndarray]:
    """n topics of `size` tokens each, under a large direction that all tokens share to a varying degree."""
    rng = np.random.default_rng(3)
    rows = np.repeat(rng.normal(size=(n, d)), size, axis=0) + rng.normal(size=(n * size, d)) * 0.6
    rows += rng.normal(size=d) * 4 * (1 + rng.normal(size=(n * size, 1)))
    return Vocabulary("topics", tuple(f" w{i}".encode() for i in range(n * size))), rows.astype(np.float32)


def test_nearness_survives_a_large_common_direction():
    vocabulary, rows = topics()
    near = Lexicon(vocabulary, rows).nearest((" w0", " w1", " w2"), 15)
    assert sum(int(text[2:]) < 15 for text, _ in near) >= 13

    def found(directions: np.ndarray) -> float:
        """Of 15 tokens of a topic, how many are among the 15 nearest to its first three."""
        unit = directions / np.linalg.norm(directions, axis=1, keepdims=True)
        nearest = [np.argsort(-(unit @ unit[i : i + 3].mean(axis=0)))[:15] // 15 == i // 15 for i in range(0, 900, 15)]
        return float(np.mean(np.sum(nearest, axis=1)))

    assert found(meaning_directions(rows)) > 2 + max(found(rows), found(rows - rows.mean(axis=0)))


def test_directions_are_unit_vectors_or_zero():
    _, rows = topics()
    rows[5] = np.nan
    directions = meaning_directions(rows, special=(7, 10_000))
    lengths = np.linalg.norm(directions, axis=1)
    assert lengths[5] == lengths[7] == 0
    np.testing.assert_allclose(np.delete(lengths, [5, 7]), 1.0, atol=1e-5)
    assert not meaning_directions(np.ones((4, 3))).any(), "tokens that are all alike are near nothing"
    assert meaning_directions(rows.astype(np.float16)).dtype == np.float32


def test_nearest_is_empty_without_knowledge():
    assert Lexicon(VOCABULARY).nearest((" keep",)) == []
    assert LEXICON.nearest(("nobody",)) == []
    assert LEXICON.nearest((" keep",), 1)[0][0] == " keep"
    assert LEXICON.truths(Like((" keep",), 0.5))[VOCABULARY.ids[" keep"]] == pytest.approx(1.0)


def test_shapes_of_input_are_checked():
    with pytest.raises(ValueError, match="cover"):
        Lexicon(VOCABULARY, np.zeros((3, 4)))
    with pytest.raises(ValueError, match="counts"):
        Lexicon(VOCABULARY, None, np.zeros(3))
