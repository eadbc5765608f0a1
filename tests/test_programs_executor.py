"""Executing programs: total, equal to a slow interpreter of the language's words, and careful about context."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glossator.inputs.tokens import TokenWindows, Vocabulary
from glossator.programs import (
    After,
    And,
    Between,
    Clause,
    Contains,
    Lexicon,
    Like,
    Not,
    Or,
    Prefix,
    Program,
    Repeated,
    Sequence,
    Shape,
    Spelled,
    Suffix,
    Table,
    Token,
    Within,
    Word,
    execute,
    parse_program,
    states,
    truth,
)
from glossator.programs.bank import build_bank
from glossator.programs.lexicon import AtHand
from glossator.programs.reading import Reading
from program_strategies import (
    EMBEDDING,
    LEXICON,
    PIECES,
    VOCABULARY,
    graded,
    modest_programs,
    programs,
    slow_truth,
    slow_value,
    tests,
    windows,
)


def window_of(*pieces: str, vocabulary: Vocabulary = VOCABULARY) -> TokenWindows:
    tokens = np.array([[vocabulary.ids[p] for p in pieces]], dtype=np.int32)
    n = tokens.shape[1]
    one = np.zeros(1, dtype=np.int64)
    return TokenWindows(tokens, np.array([n], dtype=np.int32), np.ones((1, n), dtype=bool), one, one, vocabulary)


@given(programs, windows())
@settings(max_examples=300, deadline=None)
def test_any_program_runs_on_any_windows(program, found):
    values = execute(program, found, LEXICON)
    assert values.shape == found.tokens.shape and values.dtype == np.float32
    assert np.isfinite(values).all() and (values >= 0).all() and not values[~found.valid].any()


@given(programs, windows(), windows())
@settings(max_examples=100, deadline=None)
def test_a_lexicon_for_some_windows_says_the_same_of_them_and_of_others(program, some, others):
    own = Lexicon.for_windows(VOCABULARY, EMBEDDING, some)
    assert isinstance(own.over(own.ids(some)), AtHand)
    for found in (some, others):
        assert execute(program, found, own) == pytest.approx(execute(program, found, LEXICON), rel=1e-4, abs=1e-4)


@given(modest_programs.filter(lambda p: not any(graded(c.test) for c in p.clauses)), windows())
@settings(max_examples=300, deadline=None)
def test_execution_equals_the_slow_interpreter(program, found):
    values = execute(program, found, LEXICON)
    for row in range(len(found)):
        tokens = [int(t) for t in found.tokens[row]]
        for column in np.flatnonzero(found.valid[row]):
            assert values[row, column] == pytest.approx(slow_value(program, tokens, int(column)), abs=2e-5)


@given(tests.filter(lambda t: not graded(t)), windows())
@settings(max_examples=300, deadline=None)
def test_truth_of_nested_tests_equals_the_slow_interpreter(test, found):
    truths = truth(test, found, LEXICON)
    for row in range(len(found)):
        tokens = [int(t) for t in found.tokens[row]]
        expected = [slow_truth(test, tokens, i) for i in range(int(found.lengths[row]))]
        np.testing.assert_allclose(truths[row, : found.lengths[row]], expected, atol=2e-5)


BANK = build_bank(LEXICON, np.ones(len(LEXICON) + 1))


@given(st.lists(tests, min_size=2, max_size=4), windows())
@settings(max_examples=300, deadline=None)
def test_the_search_reads_tests_as_they_are_executed(some, found):
    ordinary = found.valid & ~np.isin(found.tokens, list(VOCABULARY.special))
    reading = Reading.of(found, ordinary, BANK)
    assert reading is Reading.of(found.take(np.arange(len(found))), ordinary, BANK)
    for test in [*some, And(tuple(some)), Sequence(tuple(some)), After(After(some[0]))]:
        # tests of the bank are not true of special tokens, which no program is asked about
        expected = truth(test, found, LEXICON)[ordinary]
        if not np.isin(found.tokens[found.valid], list(VOCABULARY.special)).any():
            np.testing.assert_allclose(reading.column(test), expected, atol=1e-5)
            for border in some:
                before = states.counted(reading.holds(test), states.last_before(reading.holds(border)))
                np.testing.assert_array_equal(reading.counted(test, border), before[ordinary])


ENDS = Lexicon(Vocabulary("ends", (*(f"{a}_".encode() for a in "abcdefghij"), b"_", b" _", b" k")))


def test_an_ending_holds_on_the_token_that_is_nothing_else():
    found = window_of("_", "a_", " _", " k", "_", vocabulary=ENDS.vocabulary)
    reading = Reading.of(found, found.valid, build_bank(ENDS, np.ones(len(ENDS) + 1)))
    for test in (Suffix("_"), And((Suffix("_"), Not(Token(("a_",))))), Sequence((Suffix("_"), Suffix("_")))):
        np.testing.assert_array_equal(reading.column(test), truth(test, found, ENDS)[found.valid])
        assert reading.column(test).any()


def test_every_row_of_the_bank_is_what_the_executor_says():
    """All texts of a made vocabulary: words that are affixes of others, pieces of characters, marks, spaces, digits."""
    stems = [
        "an",
        "and",
        "andante",
        "the",
        "then",
        "them",
        "ing",
        "sing",
        "singing",
        "a",
        "s",
        "1",
        "12",
        "123",
        "é",
        "éa",
    ]
    texts = [f"{space}{stem}{end}" for stem in stems for space in ("", " ") for end in ("", "s", "_", "é", "ing", ".")]
    pieces = [
        *dict.fromkeys(text.encode() for text in texts),
        b"\xc3",
        b"a\xc3",
        b" an\xe2\x80",
        b"\xa9s",
        b" ",
        b"\n",
        b"__",
    ]
    special = len(pieces)
    vocabulary = Vocabulary("affixes", (*pieces, b"<|an|>"), frozenset({special}))
    embedding = np.random.default_rng(0).normal(size=(len(vocabulary), 24)).astype(np.float32)
    lexicon = Lexicon(vocabulary, embedding)
    bank = build_bank(lexicon, np.ones(len(lexicon) + 1))
    assert {type(test) for test in bank.tests} == {Token, Spelled, Shape, Word, Prefix, Suffix, Contains, Like}
    assert special not in bank.types
    for row, test in enumerate(bank.tests):
        expected = lexicon.truths(test)[bank.types].astype(np.float32)
        np.testing.assert_allclose(bank.vector(row), expected, atol=1e-5, err_msg=str(test))


@given(tests, tests, windows())
@settings(max_examples=200, deadline=None)
def test_bounds_of_and_or_not(left, right, found):
    a, b = truth(left, found, LEXICON), truth(right, found, LEXICON)
    assert ((a >= 0) & (a <= 1)).all()
    np.testing.assert_array_equal(truth(And((left, right)), found, LEXICON), np.minimum(a, b))
    np.testing.assert_array_equal(truth(Or((left, right)), found, LEXICON), np.maximum(a, b))
    np.testing.assert_allclose(truth(Not(left), found, LEXICON), 1 - a, atol=1e-6)


@given(programs, st.integers(-(2**31), 2**31 - 1))
@settings(max_examples=50, deadline=None)
def test_tokens_outside_the_vocabulary_match_nothing(program, token):
    found = window_of(" the", " keep", " the")
    strange = TokenWindows(
        np.array([[0, token, 0]], dtype=np.int32), found.lengths, found.valid, found.documents, found.ids, VOCABULARY
    )
    assert np.isfinite(execute(program, strange, LEXICON)).all()
    if not 0 <= token < len(PIECES):
        assert truth(Or((Shape("letters"), Token((" keep",)))), strange, LEXICON)[0, 1] == 0


@given(tests, windows(), st.integers(0, 13))
@settings(max_examples=300, deadline=None)
def test_no_test_looks_ahead_or_at_other_windows(test, found, cut):
    """Cutting a window, or running it alone, changes nothing before the cut."""
    whole = truth(test, found, LEXICON)
    width = min(cut, found.width)
    for row in range(len(found)):
        one = found.take(np.array([row]))
        np.testing.assert_array_equal(truth(test, one, LEXICON), whole[[row]])
        start = TokenWindows(
            one.tokens[:, :width],
            np.minimum(one.lengths, width),
            one.valid[:, :width],
            one.documents,
            one.ids,
            VOCABULARY,
        )
        np.testing.assert_array_equal(truth(test, start, LEXICON), whole[[row], :width])


def test_all_padding_and_no_windows_give_zeros():
    one = window_of(" the", " the")
    padded = TokenWindows(one.tokens, np.zeros(1, np.int32), np.zeros((1, 2), bool), one.documents, one.ids, VOCABULARY)
    program = Program(1.0, (Clause(1.0, Repeated()),))
    assert not execute(program, padded, LEXICON).any()
    assert execute(program, padded.take(np.arange(0)), LEXICON).shape == (0, 2)


def test_left_out_places_still_are_context():
    found = window_of(" the", " keep")
    found.valid[0, 0] = False
    values = execute(
        Program(0.0, (Clause(2.0, After(Token((" the",)))), Clause(9.0, Token((" the",))))), found, LEXICON
    )
    assert values.tolist() == [[0.0, 2.0]]


def test_between_opens_closes_and_toggles():
    found = window_of(" (", " keep", " (", " the", ")", " keep")
    inside = truth(Between(Token((" (",)), Token((")",))), found, LEXICON)
    assert inside.tolist() == [[0, 1, 1, 1, 0, 0]]
    quoted = window_of('"', " keep", '"', " the", '"', " keep")
    quote = Token(('"',))
    assert truth(Between(quote, quote), quoted, LEXICON).tolist() == [[0, 1, 0, 0, 0, 1]]


MEMORY = [
    ('between(contains("("), contains(")"); 2)', " ( ( () the) the", "0011100"),
    ('position(0..1; shape(newline))', " the the the\n the the the", "1100110"),
    ('position(2..; shape(newline))', " the the the\n the the the", "0011001"),
    ('count(token(","), 1..1)', "the, the, the", "00110"),
    ('count(token(","), 1..; word(ends of sentence))', "the, the. the, the", "0011001"),
    ('count(token(","), 0..0; token(","))', "the, the", "111"),
    ('share(token(","); 0.5)', ", the the,", "1101"),
    ('share(token(","); 0.55)', ",,,,,,,,,,, the the the the the the the the the the", "1" * 20 + "0"),
    ('same(initial, 1..1)', " keep keep Keep the Keep", "01100"),
    ('same(token, 2..2)', " the keep the the", "0010"),
    ('same(token, 2..)', " the keep keep the keep", "00011"),
    ('same(token, 2..)', " the keep the the", "0010"),
    ('same(pair, 1..)', " the keep red the keep", "00001"),
    ('agrees(ending, token(" keep"))', " keep the Keep", "001"),
    ("induction()", " the keep the red the keep the red", "00000010"),
    ("induction(2)", " the keep red the keep red", "000001"),
]  # fmt: skip


@pytest.mark.parametrize(("test", "text", "expected"), MEMORY, ids=[test for test, _, _ in MEMORY])
def test_what_tests_with_memory_say_by_hand(test, text, expected):
    pieces = re.findall(r" ?[A-Za-z]+| ?[().,]|\n", text)
    pieces = [f" {piece}" if piece == "the" else piece for piece in pieces]
    found = truth(parse_program(test).clauses[0].test, window_of(*pieces), LEXICON)
    assert "".join(str(int(value)) for value in found[0]) == expected


def test_within_looks_back_exactly_k():
    found = window_of(" the", " keep", " keep", " keep", " keep")
    for k in range(1, 7):
        expected = [float(1 <= i <= k) for i in range(5)]
        assert truth(Within(Token((" the",)), k), found, LEXICON).tolist() == [expected]


def test_a_sequence_ends_at_its_last_token():
    found = window_of(" the", " keep", " red", " keep", " red")
    test = Sequence((Token((" the",)), Token((" keep",)), Token((" red",))))
    assert truth(test, found, LEXICON).tolist() == [[0, 0, 1, 0, 0]]
    assert not truth(Sequence((Not(test), Not(test))), found, LEXICON)[0, 0], "nothing stands before the first token"


def test_a_table_is_added_as_it_stands():
    found = window_of(" the", " keep", " red")
    program = Program(1.0, (Clause(1.0, Table(((" the", 2.5), (" keep", -0.5), ("unknown", 9.0)), 0.25)),))
    assert execute(program, found, LEXICON).tolist() == [[3.5, 0.5, 1.25]]


def test_two_tokens_with_the_same_text_are_one():
    twins = [i for i, piece in enumerate(PIECES) if piece == b" the"]
    assert len(twins) == 2
    found = window_of(" the", " the")
    tokens = np.array([twins], dtype=np.int32)
    both = TokenWindows(tokens, found.lengths, found.valid, found.documents, found.ids, VOCABULARY)
    assert truth(Token((" the",)), both, LEXICON).tolist() == [[1, 1]]
    assert truth(Repeated(), both, LEXICON).tolist() == [[0, 1]]


def test_windows_over_another_vocabulary_are_read_by_their_texts():
    other = Vocabulary("other", (b"zebra", b" keep", b" the"))
    program = Program(0.0, (Clause(1.0, Token((" keep", "zebra"))), Clause(0.5, After(Token((" the",))))))
    values = execute(program, window_of(" the", " keep", "zebra", vocabulary=other), LEXICON)
    assert values.tolist() == [[0.0, 1.5, 0.0]], "zebra is no token of the lexicon"


def test_like_without_an_embedding_is_zero_and_declared():
    bare = Lexicon(VOCABULARY)
    program = Program(0.0, (Clause(1.0, Like((" keep",), 0.1)),))
    found = window_of(" keep", " the")
    assert not execute(program, found, bare).any() and bare.missing and not LEXICON.missing
    assert execute(program, found, LEXICON)[0, 0] == pytest.approx(1.0)
    assert not execute(Program(0.0, (Clause(1.0, Like(("nobody",), 0.0)),)), found, LEXICON).any()


def test_the_cache_changes_nothing():
    found = window_of(" the", " keep", " Keep", "keep")
    program = Program(0.0, (Clause(1.0, Or((Like((" keep",), 0.2), Token((" the",))))),))
    fresh = Lexicon(VOCABULARY, EMBEDDING)
    first = execute(program, found, fresh)
    fresh.truths(program.clauses[0].test)
    np.testing.assert_array_equal(first, execute(program, found, fresh))
    with pytest.raises(ValueError, match="context"):
        fresh.truths(Repeated())
