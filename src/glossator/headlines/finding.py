"""Finding the class that says most of where a unit is strongly active, for how plainly it can be said.

Classes of the token and of the token before are taken from the shelf; the best are combined with one another and with
places ("articles after verbs of telling", "commas in code"). Words that the unit likes best make lists, exact ones
("“we” and “us” (first-person words)") and neighbourhoods in meaning ("words like “alone” and “single”"). Each is ranked
by what it says (`strong.Strong.worth`) times how plain its name is.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np

from glossator.headlines.classes import EMPTY, PICTURED, PIECES, PLACES, VAGUE, Named, listed, with_examples
from glossator.headlines.shelf import Shelf
from glossator.headlines.strong import Strong
from glossator.programs.language import After, And, Shape, Spelled
from glossator.statistics import largest

KEPT = 12
"""How many classes of either place are combined with others."""
LISTED = 3
"""No list shows more words than this."""
WORD, EXACT, MIXED, ALIKE, BEFORE, TOGETHER = 0.85, 0.9, 0.4, 0.75, 0.7, 0.85
"""How clear are a single word, a list of words with something in common, one without, a neighbourhood; and as factors,
a class of the token before, and two classes together."""
PLAINNESS, BREVITY = 0.5, 0.96
"""What clearness weighs, as a power; and what each word of a name after the second costs, as a factor."""
LONGER, NARROWER = 1.08, 1.2
"""A longer list, and a second class, must say this many times as much."""
NEAR = (0.3, 0.4, 0.5)
"""Cosines from which on words belong to a neighbourhood."""
SEEDS, LARGEST = 6, 60
CLEAR = 0.3
"""The value from which on a class is not called weak."""
EXAMPLES, ILLUSTRATES, ENOUGH = 2, 0.4, 0.08
"""So many words illustrate a class where they have the first share of the weight on it; one that is harder to picture,
from the second on, and a weak one always."""
TOKENS = "tokens after "
COVERED = 0.8
"""A class says what the words of a list are when this share of the weight on them is on its own members."""


@dataclass(frozen=True, eq=False)
class Found:
    """A class with its name; made: truth (T,) on the problem's tokens, which few need; said: in nats; value: said, for
    how plainly."""

    named: Named
    made: Callable[[], np.ndarray]
    said: float

    @cached_property
    def truth(self) -> np.ndarray:
        return self.made()

    @cached_property
    def value(self) -> float:
        words = len(self.named.name.split()) if self.named.length is None else self.named.length
        return self.said * self.named.clear**PLAINNESS * float(BREVITY ** max(words - 2, 0))


def best(strong: Strong, shelf: Shelf) -> Found | None:
    """The class that is worth most; None where none says more than chance would."""
    search = Search(strong, shelf)
    found = sorted(search.found(), key=lambda one: -one.value)
    chosen = next((one for one in found if one.value > 0 and strong.surely(one.truth)), None)
    return None if chosen is None else search.illustrated(chosen)


class Search:
    """What one unit's strong activity says of every class."""

    def __init__(self, strong: Strong, shelf: Shelf):
        self.strong, self.shelf, self.problem = strong, shelf, strong.problem
        seen = self.problem.seen
        self.matrix = shelf.truth[:, seen]
        self.word_of = shelf.word_of[seen]
        self.weight, self.count = strong.by_type(0)
        self.total = self.weight.sum(axis=1)
        self.word_weight, self.word_count = self._of_words(self.weight, self.count)
        self.word_said = self._worth_of_words(self.word_weight, self.word_count)

    def found(self) -> list[Found]:
        here = [*self._classes(0), *self._words(0)]
        before = [*self._classes(1), *self._words(1)]
        here.sort(key=lambda one: -one.value)
        before.sort(key=lambda one: -one.value)
        standing = self._standing()
        pairs = self._pairs(here[:KEPT], before[:KEPT], standing)
        return [*here, *before, *standing, *pairs, *self._exact(), *self._alike()]

    # --- one class ------------------------------------------------------------------------------------------------

    def _classes(self, distance: int) -> list[Found]:
        weight, count = (self.weight, self.count) if distance == 0 else self.strong.by_type(1)
        clear = self.shelf.clear
        said = self.strong.worth(self.matrix @ weight, self.matrix @ count)
        value = np.where((clear > VAGUE) | (distance == 0), said * clear**PLAINNESS, 0.0)
        found = []
        for row in _largest(value, KEPT):
            members = self.matrix[row].toarray()[0]
            found.append(self._placed(self.shelf.classes[row], members, distance, float(said[row])))
        return found

    def _words(self, distance: int) -> list[Found]:
        said = self._worth_of_words(*self._of_words(*self.strong.by_type(1))) if distance else self.word_said
        found = []
        for number in _largest(said, KEPT):
            named = Named(Spelled((self.shelf.words[number],)), f"“{self._shown(number)}”", WORD, covers=False)
            found.append(self._placed(named, self.word_of == number, distance, float(said[number])))
        return found

    def _placed(self, named: Named, members: np.ndarray, distance: int, said: float) -> Found:
        if distance:
            named = Named(After(named.test), f"{TOKENS}{named.name}", named.clear * BEFORE, covers=False)
        return Found(named, lambda: np.append(members, 0).astype(np.float32)[self.problem.back[distance]], said)

    def _said_of(self, found: Found) -> Named:
        """A class by context alone holds words, where most of the weight on it is on words."""
        named = found.named
        if not named.name.startswith(TOKENS):
            return named
        weight = self.strong.weight * found.truth
        words = weight @ self.problem.column(Shape("letters")) > 0.7 * weight.sum()
        return replace(named, name=f"words after {named.name.removeprefix(TOKENS)}") if words else named

    def _standing(self) -> list[Found]:
        truths = np.stack([self.problem.column(named.test) for named in self.shelf.standing]).astype(np.float32)
        said = self.strong.worth(*self.strong.of_truths(truths))
        return [
            Found(named, partial(np.asarray, truth), nats)
            for named, truth, nats in zip(self.shelf.standing, truths, said.tolist(), strict=True)
        ]

    # --- two classes ----------------------------------------------------------------------------------------------

    def _pairs(self, here: Sequence[Found], before: Sequence[Found], standing: Sequence[Found]) -> list[Found]:
        places = [one for one in standing if one.named.name.removeprefix("tokens ") in PLACES]
        here = [*here, *(one for one in standing if one.named.name == PIECES)]
        here = [one for one in here if one.named.clear > EMPTY]
        others = [*before, *places]
        if not here or not others:
            return []
        said = self.strong.worth(*self._together(here, others))
        found = []
        for (a, b), nats in zip(itertools.product(here, others), said.tolist(), strict=True):
            if nats > NARROWER * max(a.said, b.said):
                _, after, what = b.named.name.partition(" after ")
                name = f"{a.named.name}{after}{what}" if after else f"{a.named.name}{b.named.name[6:]}"
                clear = TOGETHER * min(a.named.clear, b.named.clear / BEFORE if after else 1.0)
                named = Named(And((a.named.test, b.named.test)), name, clear, covers=False)
                found.append(Found(named, partial(np.multiply, a.truth, b.truth), nats))
        return found

    def _together(self, here: Sequence[Found], others: Sequence[Found]) -> tuple[np.ndarray, np.ndarray]:
        """Weight and number of the tokens on which both of each pair hold, (pairs, parts) and (pairs,)."""
        first, second = np.stack([a.truth for a in here]), np.stack([b.truth for b in others])
        counts = (first * self.strong.left) @ second.T
        places = np.flatnonzero(self.strong.weight)
        first, second, weight = first[:, places], second[:, places], self.strong.weight[places]
        weights = np.stack([(first * (weight * part[places])) @ second.T for part in self.strong.parts], axis=-1)
        return weights.reshape(-1, weights.shape[-1]), counts.reshape(-1)

    # --- lists of words -------------------------------------------------------------------------------------------

    def _exact(self) -> list[Found]:
        """The list that grows by the word that adds most, as long as each adds enough."""
        said = self.word_said
        rows = [int(i) for i in _largest(said, 4 * SEEDS) if self._is_word(int(i)) and self._shown(int(i))[0] != "-"]
        rows = rows[: 2 * SEEDS]
        found: list[Found] = []
        taken, nats = rows[:1], float(said[rows[0]]) if rows else 0.0
        while rows and len(taken) < LISTED:
            others = [row for row in rows if row not in taken]
            if not others:
                break
            weight = self.word_weight[others] + self.word_weight[taken].sum(axis=0)
            more = self.strong.worth(weight, self.word_count[others] + self.word_count[taken].sum())
            place = int(more.argmax())
            if more[place] < LONGER * nats:
                break
            taken, nats = [*taken, others[place]], float(more[place])
            found.append(self._listed(taken, nats, alike=False))
        return found

    def _alike(self) -> list[Found]:
        """The best neighbourhood of one of the best words."""
        lexicon, types = self.problem.bank.lexicon, self.problem.bank.types
        if lexicon.directions is None:
            return []
        said = self.word_said
        best_words = [int(i) for i in _largest(said, SEEDS) if self.shelf.words[i].isalpha()]
        seeds = [int(np.flatnonzero(self.word_of == word)[0]) for word in best_words]
        if not seeds:
            return []
        reading = self.problem.reading
        cosines = reading.cosines(seeds)
        unions = np.concatenate([cosines >= floor for floor in NEAR]).astype(np.float32)
        nats = self.strong.worth(unions @ self.weight, unions @ self.count)
        place = int(nats.argmax())
        if nats[place] <= 0:
            return []
        seed = lexicon.vocabulary.texts[types[self.problem.seen[seeds[place % len(seeds)]]]]
        near = reading.near(seed, NEAR[place // len(seeds)])
        members = [int(w) for w in np.unique(self.shelf.word_of[near]) if w < len(self.shelf.words)]
        members = [word for word in members if self.shelf.words[word].isalpha()]
        if not 2 <= len(members) <= LARGEST:
            return []
        (found,) = self.strong.worth(
            self.word_weight[members].sum(axis=0)[None], np.array([self.word_count[members].sum()])
        )
        return [self._listed(members, float(found), alike=True)]

    def _listed(self, rows: Sequence[int], said: float, *, alike: bool) -> Found:
        """A list of words as a class; said by the words with most weight, and by what they have in common."""
        order = sorted(rows, key=lambda row: -float(self.word_weight[row].sum()))
        words = [self._shown(row) for row in order[: 2 if alike else LISTED]]
        members = np.isin(self.word_of, rows)
        common = self._common(order[:LISTED] if alike else order, members)
        name = f"{'words like ' if alike else ''}{listed(words)}{f' ({common})' if common else ''}"
        clear = EXACT if common else ALIKE if alike else MIXED
        length = len(words) + (len(common.split()) if common else 2 * alike)  # the list, and what is said of it
        texts = tuple(self.shelf.words[row] for row in order)
        return self._placed(Named(Spelled(texts), name, clear, covers=False, length=length), members, 0, said)

    def _common(self, rows: Sequence[int], members: np.ndarray) -> str | None:
        """The narrowest clear class that has all these words, in some spelling, and nearly all the weight on a list."""
        shelf, mine = self.shelf, self.total * members
        classes = self.matrix[shelf.covering]
        fits = classes @ mine >= COVERED * mine.sum()
        for row in rows:
            fits &= classes @ (self.word_of == row).astype(np.float32) > 0
        places = np.flatnonzero(fits)
        if not len(places):
            return None
        return shelf.classes[shelf.covering[places[np.argmin((classes @ self.count)[places])]]].name

    def _is_word(self, number: int) -> bool:
        text = self.shelf.words[number]
        return text.isalpha() and (len(text) > 1 or text in "ia")

    def illustrated(self, found: Found) -> Found:
        """A class with two words that stand for it: "articles such as “a” and “an”". One that everybody can picture
        needs none, unless they are most of it; one that is made of words has its own."""
        named = self._said_of(found)
        found = replace(found, named=named)
        if isinstance(named.test, Spelled) or "“" in named.name:
            return found
        size = len(self.shelf.words)
        word = np.append(self.word_of, size)[self.problem.back[0]]
        weight = np.bincount(word, self.strong.weight * found.truth, minlength=size + 1)[:-1]
        weight[[i for i in np.flatnonzero(weight) if not self._is_word(int(i))]] = 0.0
        first = [int(i) for i in _largest(weight, EXAMPLES)]
        share = weight[first].sum() / max(float(self.strong.weight @ found.truth), 1e-12)
        pictured = named.clear >= PICTURED
        least = ILLUSTRATES if pictured else ENOUGH if found.value >= CLEAR else 0.0
        if len(first) < EXAMPLES or share < least or (pictured and not named.covers):
            return found
        words = [self._shown(number) for number in first]
        if named.name == PIECES:
            words = [f"-{word.lstrip('-')}" for word in words]
        return replace(found, named=replace(named, name=with_examples(named.name, words)))

    def _shown(self, number: int) -> str:
        """A word as it is written; one that mostly goes on another is a piece: "-ive"."""
        mine = np.flatnonzero(self.word_of == number)
        text = self.shelf.words[number]
        if not text.isalpha() or not len(mine):
            return text
        texts = [
            self.problem.bank.lexicon.vocabulary.texts[t] for t in self.problem.bank.types[self.problem.seen[mine]]
        ]
        joined = sum(self.total[m] for m, t in zip(mine, texts, strict=True) if t[:1].islower())
        commonest = texts[int(self.total[mine].argmax())].strip()
        return f"-{text}" if 2 * joined > self.total[mine].sum() else commonest if commonest.istitle() else text

    def _of_words(self, weight: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Weight (w, parts) and number (w,) of tokens by word, from those by type."""
        size = len(self.shelf.words) + 1
        summed = np.stack([np.bincount(self.word_of, column, minlength=size)[:-1] for column in weight.T], axis=1)
        return summed, np.bincount(self.word_of, count, minlength=size)[:-1]

    def _worth_of_words(self, weight: np.ndarray, count: np.ndarray) -> np.ndarray:
        """`Strong.worth` of every word; 0 where no weight falls on it."""
        rows = np.flatnonzero(weight.any(axis=1))
        found = np.zeros(len(weight))
        found[rows] = self.strong.worth(weight[rows], count[rows])
        return found


def _largest(values: np.ndarray, n: int) -> np.ndarray:
    """Places of the n largest values above 0, largest first."""
    order = largest(values, n)
    return order[values[order] > 0]
