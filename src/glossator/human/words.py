"""Titles and instructions of each task, the same on the page and in the form."""

from __future__ import annotations

TITLES = {
    "simulation": "How strongly does it fire?",
    "preference": "Which explanation is better?",
    "labelling": "What does it respond to?",
    "gibberish": "Is this readable English?",
    "paraphrase": "Put it in other words",
}

INSTRUCTIONS: dict[str, tuple[str, ...]] = {
    "simulation": (
        "A unit of a language model assigns a number to each token of a text: 0 when it is silent, up to 10 when it "
        "fires at its strongest.",
        "You see an explanation of what the unit responds to. Rate every token of the passage from that explanation "
        "alone. Most units are silent on most tokens.",
        "The unit reads from left to right: at each token it knows what came before, not what comes after.",
        "Grey tokens need no rating.",
    ),
    "preference": (
        "The passages show where a unit of a language model fires: a stronger colour or a larger number means that it "
        "fires more. In some passages it may not fire at all.",
        "You see two explanations of the unit, in random order. Choose the one that would better help you predict "
        "where the unit fires and where it does not.",
        "Choose 'equal' if neither is better, even if both are bad.",
    ),
    "labelling": (
        "The passages show where a unit of a language model fires: a stronger colour or a larger number means that it "
        "fires more. The passages in which it fires most come first, then random ones.",
        "Write one sentence about what it responds to, so that somebody who has not seen the passages could predict "
        "where it fires in other text, and where it stays silent.",
        'If you know the program language, you may write a program instead, for example: 0 + 3*token(" cat", " cats").',
        "Leave the answer empty if you see no pattern.",
    ),
    "gibberish": (
        "Each text is meant to describe something. You need not know what: judge the language alone.",
        "yes: it is meaningful English. partly: parts of it are. no: it is not.",
        "Quoted parts of words, symbols and numbers are fine as long as the sentence around them makes sense.",
    ),
    "paraphrase": (
        "Rewrite each text in your own words without changing its meaning: add nothing and leave nothing out.",
        "Keep quoted words and symbols unchanged; change the words around them and their order.",
    ),
}
