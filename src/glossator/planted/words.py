"""Planted units for words and their neighbours: token, context, conjunction, disjunction, rare."""

from __future__ import annotations

from glossator.planted.rules import (
    COLOURS,
    COUNTS,
    FAMILY,
    MONTHS,
    STOPS,
    before,
    body,
    capitalised,
    has_digit,
    inside_parentheses,
    inside_quotes,
    listed,
    long,
    unit,
)

TOKEN = (
    unit("token", "the", lambda t, i: t[i] == " the", '0 + 1*token(" the")', "the word “the”"),
    unit(
        "token",
        "make",
        lambda t, i: t[i] in (" make", " makes", " made", " making"),
        '0 + 1*token(" make", " makes", " made", " making")',
        "forms of the verb “make”",
        "the word “make”",
    ),
    unit(
        "token",
        "articles-graded",
        lambda t, i: {" the": 1.0, " a": 0.5, " an": 0.25}.get(t[i], 0.0),
        '0 + 1*token(" the") + 0.5*token(" a") + 0.25*token(" an")',
        "articles, strongest on “the”, then “a”, then “an”",
        "the word “the”",
    ),
    unit("token", "months", lambda t, i: t[i] in MONTHS, f"0 + 1*token({listed(MONTHS)})", "names of months"),
    unit(
        "token", "counts", lambda t, i: t[i] in COUNTS, f"0 + 1*token({listed(COUNTS)})", "number words from one to ten"
    ),
    unit(
        "token",
        "degrees",
        lambda t, i: t[i] in (" more", " most", " less", " least"),
        '0 + 1*token(" more", " most", " less", " least")',
        "the words “more”, “most”, “less”, “least”",
        "the word “more”",
    ),
    unit(
        "token",
        "being-graded",
        lambda t, i: 1.0 if t[i] in (" is", " are") else 2.0 if t[i] in (" was", " were") else 0.0,
        '0 + 1*token(" is", " are") + 2*token(" was", " were")',
        "“was” and “were”, half as much “is” and “are”",
        "the words “was” and “were”",
    ),
    unit(
        "token",
        "sentence-ends",
        lambda t, i: t[i] in STOPS,
        f"0 + 1*token({listed(STOPS)})",
        "full stops, exclamation and question marks",
        "full stops",
    ),
)

CONTEXT = (
    unit(
        "context",
        "after-the",
        lambda t, i: before(t, i) == " the",
        '0 + 1*after(token(" the"))',
        "the token after “the”",
    ),
    unit(
        "context", "after-comma", lambda t, i: before(t, i) == ",", '0 + 1*after(token(","))', "the token after a comma"
    ),
    unit(
        "context",
        "second-after-of",
        lambda t, i: before(t, i, 2) == " of",
        '0 + 1*after(after(token(" of")))',
        "the second token after “of”",
    ),
    unit(
        "context",
        "soon-after-not",
        lambda t, i: " not" in t[max(0, i - 3) : i],
        '0 + 1*within(token(" not"), 3)',
        "the three tokens after “not”",
        "the token after “not”",
    ),
    unit(
        "context",
        "in-parentheses",
        inside_parentheses,
        '0 + 1*between(contains("("), contains(")"))',
        "text inside parentheses",
    ),
    unit(
        "context",
        "in-quotes",
        inside_quotes,
        '0 + 1*between(contains("\\""), contains("\\""))',
        "text inside double quotation marks",
    ),
    unit(
        "context",
        "sentence-starts",
        lambda t, i: before(t, i) in STOPS,
        f"0 + 1*after(token({listed(STOPS)}))",
        "the first token of a sentence",
    ),
    unit(
        "context",
        "after-place-words",
        lambda t, i: before(t, i) in (" in", " on", " at", " from"),
        '0 + 1*after(token(" in", " on", " at", " from"))',
        "the token after “in”, “on”, “at” or “from”",
        "the token after “in”",
    ),
    unit(
        "context",
        "after-digit",
        lambda t, i: has_digit(before(t, i)),
        "0 + 1*after(shape(has-digit))",
        "the token after a digit",
    ),
)

CONJUNCTION = (
    unit(
        "conjunction",
        "and-after-comma",
        lambda t, i: t[i] == " and" and before(t, i) == ",",
        '0 + 1*and(token(" and"), after(token(",")))',
        "the word “and” after a comma",
        "the word “and”",
    ),
    unit(
        "conjunction",
        "of-the",
        lambda t, i: t[i] == " the" and before(t, i) == " of",
        '0 + 1*sequence(token(" of"), token(" the"))',
        "the word “the” in “of the”",
        "the word “the”",
    ),
    unit(
        "conjunction",
        "capitals-after-stop",
        lambda t, i: capitalised(t[i]) and before(t, i) == ".",
        '0 + 1*and(shape(capitalised), after(token(".")))',
        "capitalised words after a full stop",
        "capitalised words",
    ),
    unit(
        "conjunction",
        "long-after-the",
        lambda t, i: long(t[i]) and before(t, i) == " the",
        '0 + 1*and(shape(long), after(token(" the")))',
        "words of eight or more letters after “the”",
        "long words",
    ),
    unit(
        "conjunction",
        "to-after-wanting",
        lambda t, i: t[i] == " to" and bool({" want", " need", " able", " have", " order"} & set(t[max(0, i - 2) : i])),
        '0 + 1*and(token(" to"), within(token(" want", " need", " able", " have", " order"), 2))',
        "“to” soon after “want”, “need”, “able”, “have” or “order”",
        "the word “to”",
    ),
    unit(
        "conjunction",
        "plurals-after-quantity",
        lambda t, i: t[i].endswith("s") and before(t, i) in (" many", " some", " these", " those", " all", " other"),
        '0 + 1*and(suffix("s"), after(token(" many", " some", " these", " those", " all", " other")))',
        "words ending in “s” after “many”, “some”, “these”, “those”, “all” or “other”",
        "words ending in “s”",
    ),
    unit(
        "conjunction",
        "doing-after-preposition",
        lambda t, i: t[i].endswith("ing") and before(t, i) in (" by", " of", " for", " in"),
        '0 + 1*and(suffix("ing"), after(token(" by", " of", " for", " in")))',
        "words ending in “ing” after “by”, “of”, “for” or “in”",
        "words ending in “ing”",
    ),
    unit(
        "conjunction",
        "being-after-it",
        lambda t, i: t[i] in (" is", " was") and before(t, i) in (" it", " It", "It", " this", " This", "This"),
        '0 + 1*and(token(" is", " was"), after(token(" it", " It", "It", " this", " This", "This")))',
        "“is” or “was” after “it” or “this”",
        "the words “is” and “was”",
    ),
)

DISJUNCTION = (
    unit(
        "disjunction",
        "colours-or-counts",
        lambda t, i: t[i] in COLOURS or t[i] in COUNTS,
        f"0 + 1*or(token({listed(COLOURS)}), token({listed(COUNTS)}))",
        "names of colours, and number words",
        "names of colours",
    ),
    unit(
        "disjunction",
        "semicolon-or-because",
        lambda t, i: t[i] in (";", " because", " since"),
        '0 + 1*or(token(";"), token(" because", " since"))',
        "semicolons, and the words “because” and “since”",
        "semicolons",
    ),
    unit(
        "disjunction",
        "parenthesis-or-tion",
        lambda t, i: "(" in t[i] or t[i].endswith("tion"),
        '0 + 1*or(contains("("), suffix("tion"))',
        "opening parentheses, and words ending in “tion”",
        "words ending in “tion”",
    ),
    unit(
        "disjunction",
        "family-or-digits",
        lambda t, i: t[i] in FAMILY or has_digit(t[i]),
        f"0 + 1*or(token({listed(FAMILY)}), shape(has-digit))",
        "words for family members, and digits",
        "digits",
    ),
    unit(
        "disjunction",
        "places-or-after-very",
        lambda t, i: t[i] in (" city", " town", " village", " country") or before(t, i) == " very",
        '0 + 1*or(token(" city", " town", " village", " country"), after(token(" very")))',
        "“city”, “town”, “village”, “country”, and whatever follows “very”",
        "words for places where people live",
    ),
    unit(
        "disjunction",
        "question-or-money-or-un",
        lambda t, i: t[i] in ("?", " money", " price", " cost") or body(t[i]).startswith("un"),
        '0 + 1*or(token("?"), token(" money", " price", " cost"), prefix("un"))',
        "question marks, words about money, and words starting with “un”",
        "words starting with “un”",
    ),
)

RARE = (
    unit("rare", "whose", lambda t, i: t[i] == " whose", '0 + 1*token(" whose")', "the word “whose”"),
    unit("rare", "until", lambda t, i: t[i] == " until", '0 + 1*token(" until")', "the word “until”"),
    unit(
        "rare",
        "as-well",
        lambda t, i: t[i] == " well" and before(t, i) == " as",
        '0 + 1*sequence(token(" as"), token(" well"))',
        "the word “well” in “as well”",
        "the word “well”",
    ),
    unit(
        "rare",
        "at-least",
        lambda t, i: t[i] == " least" and before(t, i) == " at",
        '0 + 1*sequence(token(" at"), token(" least"))',
        "the word “least” in “at least”",
        "the word “least”",
    ),
    unit(
        "rare",
        "beautiful-or-music",
        lambda t, i: t[i] in (" beautiful", " music"),
        '0 + 1*token(" beautiful", " music")',
        "the words “beautiful” and “music”",
        "the word “music”",
    ),
)
