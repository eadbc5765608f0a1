"""Planted units for absence, position, repetition and spelling."""

from __future__ import annotations

from glossator.planted.rules import SOURCES, STOPS, before, body, capitalised, has_digit, listed, long, unit

NEGATED = (
    unit(
        "negated",
        "no-letters",
        lambda t, i: not body(t[i]).isalpha(),
        "0 + 1*not(shape(letters))",
        "anything that is not a word: punctuation, digits, spaces",
        "punctuation",
    ),
    unit(
        "negated",
        "the-not-after-preposition",
        lambda t, i: t[i] == " the" and before(t, i) not in SOURCES,
        f'0 + 1*and(token(" the"), not(after(token({listed(SOURCES)}))))',
        "“the”, except after a preposition such as “of” or “in”",
        "the word “the”",
    ),
    unit(
        "negated",
        "names-inside-sentences",
        lambda t, i: t[i].startswith(" ") and capitalised(t[i]) and before(t, i) not in STOPS,
        f"0 + 1*and(shape(capitalised), shape(space-start), not(after(token({listed(STOPS)}))))",
        "capitalised words that do not start a sentence",
        "capitalised words",
    ),
    unit(
        "negated",
        "no-letter-e",
        lambda t, i: body(t[i]).isalpha() and body(t[i]).islower() and "e" not in t[i],
        '0 + 1*and(shape(lowercase), not(contains("e")))',
        "lower-case words without the letter “e”",
        "lower-case words",
    ),
    unit(
        "negated",
        "everywhere-but-after-comma",
        lambda t, i: before(t, i) != ",",
        '1 - 1*after(token(","))',
        "every token except those after a comma",
    ),
    unit(
        "negated",
        "of-not-after-part",
        lambda t, i: t[i] == " of" and before(t, i) not in (" one", " some", " most", " part", " number"),
        '0 + 1*and(token(" of"), not(after(token(" one", " some", " most", " part", " number"))))',
        "“of”, except after “one”, “some”, “most”, “part” or “number”",
        "the word “of”",
    ),
)

POSITIONAL = (
    unit("positional", "first-four", lambda t, i: i < 4, "0 + 1*position(0..3)", "the first four tokens of a passage"),
    unit(
        "positional",
        "middle",
        lambda t, i: 16 <= i < 32,
        "0 + 1*position(16..31)",
        "the 17th to the 32nd token of a passage",
    ),
    unit(
        "positional",
        "early-capitals",
        lambda t, i: i < 8 and capitalised(t[i]),
        "0 + 1*and(shape(capitalised), position(0..7))",
        "capitalised words among the first eight tokens",
        "capitalised words",
    ),
    unit(
        "positional",
        "late-the",
        lambda t, i: i >= 24 and t[i] == " the",
        '0 + 1*and(token(" the"), position(24..))',
        "the word “the” from the 25th token on",
        "the word “the”",
    ),
)

REPETITION = (
    unit(
        "repetition", "seen-before", lambda t, i: t[i] in t[:i], "0 + 1*repeated()", "tokens seen earlier in the text"
    ),
    unit(
        "repetition",
        "seen-within-eight",
        lambda t, i: t[i] in t[max(0, i - 8) : i],
        "0 + 1*repeated(8)",
        "tokens repeated within eight tokens",
        "tokens seen earlier in the text",
    ),
    unit(
        "repetition",
        "long-seen-before",
        lambda t, i: long(t[i]) and t[i] in t[:i],
        "0 + 1*and(shape(long), repeated())",
        "words of eight or more letters seen earlier in the text",
        "long words",
    ),
    unit(
        "repetition",
        "new-words",
        lambda t, i: t[i].startswith(" ") and body(t[i]).isalpha() and t[i] not in t[:i],
        "0 + 1*and(shape(letters), shape(space-start), not(repeated()))",
        "words that appear for the first time",
        "words",
    ),
    unit(
        "repetition",
        "names-seen-before",
        lambda t, i: capitalised(t[i]) and t[i] in t[:i],
        "0 + 1*and(shape(capitalised), repeated())",
        "capitalised words seen earlier in the text",
        "capitalised words",
    ),
)

CHARACTER = (
    unit("character", "ing", lambda t, i: body(t[i]).endswith("ing"), '0 + 1*suffix("ing")', "words ending in “ing”"),
    unit("character", "re", lambda t, i: body(t[i]).startswith("re"), '0 + 1*prefix("re")', "words starting with “re”"),
    unit("character", "double-o", lambda t, i: "oo" in t[i], '0 + 1*contains("oo")', "words that contain “oo”"),
    unit("character", "digits", lambda t, i: has_digit(t[i]), "0 + 1*shape(has-digit)", "digits"),
    unit(
        "character",
        "word-pieces",
        lambda t, i: t[i][:1].isalnum() and before(t, i)[-1:].isalnum(),
        "0 + 1*shape(continues-word)",
        "pieces that continue a word",
    ),
    unit("character", "line-breaks", lambda t, i: "\n" in t[i], "0 + 1*shape(newline)", "line breaks"),
    unit("character", "long", lambda t, i: long(t[i]), "0 + 1*shape(long)", "words of eight or more letters"),
    unit("character", "letter-q", lambda t, i: "q" in t[i], '0 + 1*contains("q")', "words that contain the letter “q”"),
    unit(
        "character",
        "past-graded",
        lambda t, i: 1.0 if t[i].endswith("ed") else 0.5 if t[i].endswith("ly") else 0.0,
        '0 + 1*suffix("ed") + 0.5*suffix("ly")',
        "words ending in “ed”, half as much those ending in “ly”",
        "words ending in “ed”",
    ),
)
