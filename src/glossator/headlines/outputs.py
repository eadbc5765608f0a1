"""Headlines of what a unit makes likely to come next: a class of output tokens that has a name, or a short list.

The class is that of the tokens that stand out; it is named when most of them belong to it and chance would hardly put
so many of them there. The headline's program has no clause, since it says nothing of when the unit fires: its output
side is the class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.stats import binom

from glossator.explanations import Headline
from glossator.headlines.classes import VAGUE, nameable
from glossator.headlines.finding import PLAINNESS
from glossator.headlines.sentence import noun
from glossator.headlines.strong import CHANCE
from glossator.programs import Lexicon, Program, Test, Token
from glossator.programs.language import is_local

MOST = 0.6
"""A class is named when it holds this share of the tokens that stand out, and `LEAST` of them."""
LEAST, LISTED = 4, 3
VERBS = {"raises": "promotes", "lowers": "suppresses"}
LIKELIER = {"raises": "more", "lowers": "less"}


class OutputClasses:
    """Classes that have a name, with their members among all tokens of a vocabulary."""

    def __init__(self, lexicon: Lexicon):
        self.lexicon = lexicon
        tokens = len(lexicon.vocabulary)
        rows = [(named, lexicon.truths(named.test)[:tokens] > 0.5) for named in nameable() if is_local(named.test)]
        kept = [(named, members) for named, members in rows if members.any() and named.clear > VAGUE]
        self.classes = [named for named, _ in kept]
        self.members = np.stack([members for _, members in kept]) if kept else np.zeros((0, tokens), bool)
        self.share = self.members.mean(axis=1)

    def headline(self, standing_out: Mapping[str, Sequence[int] | np.ndarray]) -> Headline:
        """standing_out: for `raises` and `lowers`, the tokens that stand out, the furthest first; one has some. What
        the unit raises is named, and where that is nothing, what it lowers."""
        side = next(side for side in VERBS if len(standing_out.get(side, ())))
        tokens = np.asarray(standing_out[side])
        place = self._best(tokens)
        shown = self._shown(tokens if place is None else tokens[self.members[place][tokens]])
        if place is None:
            test: Test = Token(tuple(self.lexicon.vocabulary.texts[token] for token in tokens[:LISTED]))
            said = ", ".join(f"“{text}”" for text in shown[:LISTED])
        else:
            test, said = self.classes[place].test, f"{self.classes[place].name} ({', '.join(shown[: LISTED - 1])})"
        return Headline(f"{VERBS[side]} {said}", Program(0.0, (), **{side: test}))

    def _best(self, tokens: np.ndarray) -> int | None:
        """The class that says most of these tokens, for how plain its name is."""
        inside = self.members[:, tokens].sum(axis=1)
        share, base = inside / len(tokens), np.clip(self.share, 1e-9, 1 - 1e-9)
        sure = binom.sf(inside - 1, len(tokens), base) < CHANCE
        fits = np.flatnonzero((inside >= LEAST) & (share >= MOST) & sure)
        if not len(fits):
            return None
        clear = np.array([self.classes[i].clear for i in fits])
        worth = share[fits] * np.log(share[fits] / base[fits]) * clear**PLAINNESS
        return int(fits[worth.argmax()])

    def _shown(self, tokens: np.ndarray) -> list[str]:
        """Texts as they are written, each word once in whatever case."""
        given: dict[str, str] = {}
        for token in tokens.tolist():
            text = self.lexicon.vocabulary.texts[token]
            given.setdefault(text.strip().lower() or text, spelled(text))
        return list(given.values())


def output_sentence(output: Mapping[str, Test]) -> str:
    """“Makes “are” more likely to come next, and “is” less likely.”"""
    parts: list[str] = []
    for side, test in output.items():
        if isinstance(test, Token):
            texts = list(dict.fromkeys(f"“{spelled(text)}”" for text in test.texts))[:LISTED]
            listed = texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} or {texts[-1]}"
        else:
            listed = noun(test)
        parts.append(f"{listed} {LIKELIER[side]} likely{'' if parts else ' to come next'}")
    return f"Makes {', and '.join(parts)}."


def spelled(text: str) -> str:
    """A token as it can be read: without the space before it, what cannot be printed as an escape."""
    body = text.strip(" ") or text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in body)
