"""What people are told: titles and instructions of each task, the same on the page and in the form."""

from __future__ import annotations

TITLES = {
    "simulation": "How strongly does it fire?",
    "preference": "Which explanation is better?",
    "labelling": "What does it respond to?",
    "gibberish": "Is this readable English?",
    "paraphrase": "Say it in other words",
}

INSTRUCTIONS: dict[str, tuple[str, ...]] = {
    "simulation": (
        "A unit of a language model gives one number for each piece of a text: 0 when it is silent, up to 10 when it "
        "fires as strongly as it ever does.",
        "You are told what the unit is said to respond to. Rate every piece of the passage by that alone. Most units "
        "are silent at most pieces.",
        "The unit reads from left to right: at each piece it knows what came before, not what comes after.",
        "Grey pieces are left out; they need no rating.",
    ),
    "preference": (
        "The passages show what a unit of a language model does: the stronger the colour or the number, the more it "
        "fires there. In some passages it may not fire at all.",
        "Two explanations of the unit are given, in an order drawn at random. Choose the one that would let you tell "
        "better where the unit fires and where it does not.",
        "Choose 'equal' when neither is better, also when both are bad.",
    ),
    "labelling": (
        "The passages show what a unit of a language model does: the stronger the colour or the number, the more it "
        "fires there. First come passages where it fires most, then others drawn at random.",
        "Write in one sentence what it responds to, so that somebody who has not seen the passages could tell where "
        "it fires in other text, and where it stays silent.",
        'Who knows the program language may write a program instead, for example: 0 + 3*token(" cat", " cats").',
        "Leave the answer empty when you see no pattern.",
    ),
    "gibberish": (
        "Each text claims to describe something. You need not know what: judge the language alone.",
        "yes: it reads as English and means something. partly: parts of it do. no: it does not.",
        "Quoted pieces of words, signs and numbers are no fault as long as the sentence around them can be understood.",
    ),
    "paraphrase": (
        "Write each text anew in your own words, so that it means the same: nothing added, nothing left out.",
        "Keep quoted words and signs as they are; change the words around them and their order.",
    ),
}
