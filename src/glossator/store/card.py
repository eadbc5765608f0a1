"""The card of an explanation: which of its two columns a study computes, and with which scorers.

Observational scores ask whether an explanation predicts; causal ones, whether intervening does what it says.
"""

from __future__ import annotations

from typing import Literal, get_args

from glossator import registry
from glossator.errors import UserError, near_matches
from glossator.scorers import DEFAULT_SCORERS as OBSERVATIONAL_SCORERS
from glossator.scores import Column

Card = Literal["observational", "causal", "both"]
CARDS: tuple[Card, ...] = get_args(Card)
COLUMNS: tuple[Column, ...] = get_args(Column)
QUESTIONS: dict[Column, str] = {
    "observational": "does it predict?",
    "causal": "does intervening do what it says?",
}
OBSERVATIONAL = "observational"
"""The default card: causal scores need many more forward passes of the subject."""

DEFAULT_SCORERS: dict[Column, tuple[str, ...]] = {
    "observational": OBSERVATIONAL_SCORERS,
    "causal": ("ablation",),
}
OF_THE_CARD = ("of the card",)
"""Stands for the default scorers of whatever card a study has."""


def columns_of(card: str) -> tuple[Column, ...]:
    """The columns that a card fills; `UserError` for a card that does not exist."""
    if card not in CARDS:
        raise UserError("unknown card", value=card, allowed=near_matches(str(card), CARDS))
    return tuple(column for column in COLUMNS if card in (column, "both"))


def why_empty(column: Column, card: str) -> str:
    """Why there is no score of a column."""
    if column in columns_of(card):
        return "no explanation has one"
    return f"not computed, as the card is {card}; use --card both"


def column_of(name: str) -> Column | None:
    """The column of a registered scorer, which its class says in `column`, observational where it says nothing; None
    where its module is not here any more, as when a finished study is opened without the plug-in that scored it."""
    for column, names in DEFAULT_SCORERS.items():
        if name in names:
            return column
    try:
        said: Column = registry.load("scorers", name).column
    except ImportError:
        return None
    return said


def scorers_of(card: str, named: tuple[str, ...]) -> tuple[str, ...]:
    """The scorers of a study: those that are named, and the default ones of each column of its card for which none is.

    So `--scorer correlation --card both` means correlation and the default causal scorers.
    """
    columns = columns_of(card)
    if named == OF_THE_CARD:
        return tuple(name for column in columns for name in DEFAULT_SCORERS[column])
    there = {column_of(name) for name in named if name in registry.table("scorers")}
    absent = [column for column in columns if column not in there] if named and None not in there else []
    return (*named, *(name for column in absent for name in DEFAULT_SCORERS[column]))
