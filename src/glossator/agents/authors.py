"""Authors, pickers and judges of the predictive protocol: those that execute a label's program, and language models.

Without a language model a label is its program. The author executes it on prompts that a grammar writes around the
concepts that it names; the picker and the judge execute it on the prompts that they are given. A label in words alone
is read as one ("dogs or red cars without snow"); what is not understood of it is said, and it has no numbers then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from glossator.agents.predictive import Label, Written, auc
from glossator.image_programs.reading import read
from glossator.inputs.annotations import Concept
from glossator.inputs.tokens import TokenWindows
from glossator.language_models.request import LanguageModel, Message, Request
from glossator.programs import Clause, Lexicon, Program
from glossator.programs.running import run
from glossator.programs.scene.atoms import concepts_of
from glossator.scenes import SceneImages
from glossator.scenes.parse import parse
from glossator.scenes.sampling import holding, random_scenes

CANDIDATES = 600
"""Prompts from which an author chooses."""
SIDE = 48
"""Of the pictures that authors and pickers imagine; only programs of pixels read them."""
PLAIN = 1 / 3
"""Share of candidates in which none of the label's concepts is put."""
NOTHING = "nothing in the label can be executed"


class Grammar(Protocol):
    """What prompts can be written, and what a label's program says of prompts."""

    def unreadable(self, label: Label) -> str | None:
        """Why the label cannot be executed; None where it can."""
        ...

    def candidates(self, label: Label, n: int, seed: int) -> list[str]:
        """Prompts with and without what the label names; none where the label cannot be executed."""
        ...

    def predicted(self, label: Label, prompts: Sequence[str], seed: int) -> np.ndarray | None:
        """(prompts,) what the label predicts; None where it cannot be executed."""
        ...


@dataclass(frozen=True)
class SceneGrammar:
    """Prompts for pictures: captions of scenes. among: nouns of scenes that the label says nothing of, by default
    all."""

    among: tuple[str, ...] | None = None

    def unreadable(self, label: Label) -> str | None:
        return program_of(label)[1]

    def candidates(self, label: Label, n: int, seed: int) -> list[str]:
        program, _ = program_of(label)
        if program is None:
            return []
        rng = np.random.default_rng([seed, 21])
        named = sorted({c for clause in program.clauses for c in concepts_of(clause.test)})
        scenes = random_scenes(n, int(rng.integers(2**31)), among=self.among)
        return [holding(scene, _some(named, rng), rng).caption() for scene in scenes]

    def predicted(self, label: Label, prompts: Sequence[str], seed: int) -> np.ndarray | None:
        program, _ = program_of(label)
        if program is None:
            return None
        scenes = [parse(prompt, seed + i).scene for i, prompt in enumerate(prompts)]
        images = SceneImages.of_scenes(scenes, side=SIDE)
        return np.asarray(run(program, images, label.grid, None).max(axis=1, initial=0.0), np.float64)


@dataclass(frozen=True, eq=False)
class TextPool:
    """Prompts that are texts for units of tokens. texts: that no explainer saw; windows: cuts texts into tokens as the
    unit's subject does; the value of a text is the largest of its tokens."""

    texts: Sequence[str]
    windows: Callable[[Sequence[str]], TokenWindows]
    lexicon: Lexicon

    def unreadable(self, label: Label) -> str | None:
        return "a label of texts is executed by its program, and has none" if label.program is None else None

    def candidates(self, label: Label, n: int, seed: int) -> list[str]:
        if label.program is None:
            return []
        rows = np.random.default_rng([seed, 21]).permutation(len(self.texts))
        return [self.texts[row] for row in rows]

    def predicted(self, label: Label, prompts: Sequence[str], seed: int) -> np.ndarray | None:
        if label.program is None:
            return None
        windows = self.windows(prompts)
        values = np.where(windows.valid, run(label.program, windows, None, self.lexicon), 0.0).max(axis=1, initial=0.0)
        found = np.zeros(len(prompts))
        np.maximum.at(found, windows.documents, values)
        return found


class ProgramAuthor:
    """Writes prompts by executing the label's program on candidates: those with the largest values, at random among
    equal ones, and those with the smallest, between which near misses fall as they come."""

    def __init__(self, grammar: Grammar, candidates: int = CANDIDATES):
        self.grammar, self.n, self.name = grammar, candidates, "program"

    def write(self, label: Label, n: int, seed: int) -> Written:
        if (why := self.grammar.unreadable(label)) is not None:
            return Written(failure=why)
        prompts = list(dict.fromkeys(self.grammar.candidates(label, self.n, seed)))
        predicted = self.grammar.predicted(label, prompts, seed) if prompts else None
        if predicted is None:
            return Written(failure=NOTHING)
        order = np.lexsort((np.random.default_rng([seed, 22]).permutation(len(prompts)), -predicted))
        if len(prompts) < 2 * n or predicted[order[n - 1]] <= predicted[order[-n]]:
            return Written(failure="the label predicts the same of all prompts")
        first, last = (tuple(prompts[i] for i in some) for some in (order[:n], order[-n:]))
        return Written(first, last)


class ProgramPicker:
    """Executes the label's program on prompts."""

    def __init__(self, grammar: Grammar):
        self.grammar, self.name = grammar, "program"

    def likelihood(self, label: Label, prompts: Sequence[str], seed: int) -> np.ndarray:
        found = self.grammar.predicted(label, prompts, seed)
        return np.full(len(prompts), np.nan) if found is None else found


class ProgramJudge:
    """Prefers the label whose program tells active from silent inputs better."""

    def __init__(self, grammar: Grammar):
        self.grammar, self.name = grammar, "program"

    def prefers(self, first: Label, second: Label, shown: Sequence[tuple[str, bool]], seed: int) -> float | None:
        active = np.array([is_active for _, is_active in shown], bool)
        told = []
        for label in (first, second):
            found = self.grammar.predicted(label, [prompt for prompt, _ in shown], seed)
            value = None if found is None else auc(found[active], found[~active])
            told.append(0.5 if value is None else value)
        return 0.5 if told[0] == told[1] else float(told[0] > told[1])


# Language models.

_LIST = {"type": "array", "items": {"type": "string"}}
WRITE = (
    "A unit of a neural network is described like this: {label}\n\nWrite {n} {kind} that should activate this unit as "
    "strongly as possible, each different from the others, and {n} neutral ones that should not activate it. Each is "
    "one short phrase."
)
PICK = (
    "A unit of a neural network is described like this: {label}\n\nWhich of these {kind} would activate it?\n\n"
    "{prompts}\n\nGive the numbers of the {n} most likely ones and of the {n} least likely ones."
)
PREFER = (
    "A unit of a neural network is active in these {kind}:\n{active}\n\nand silent in these:\n{silent}\n\n"
    "Which description fits better?\nA: {first}\nB: {second}"
)
IMAGES, TEXTS = "descriptions of images", "texts"


class LanguageModelAuthor:
    """A language model writes prompts from the headline. kind: what prompts are."""

    def __init__(self, lm: LanguageModel, kind: str = IMAGES):
        self.lm, self.kind, self.name = lm, kind, lm.name

    def write(self, label: Label, n: int, seed: int) -> Written:
        properties = {"activating": _LIST, "neutral": _LIST}
        value, failure = _asked(self.lm, WRITE.format(label=label.headline, n=n, kind=self.kind), properties, 80 * n)
        if failure is not None:
            return Written(failure=failure)
        lists = [[one.strip() for one in value[name] if one.strip()][:n] for name in properties]
        if any(len(set(some)) < n for some in lists):
            return Written(failure=f"fewer than {n} prompts of a sort")
        return Written(tuple(lists[0]), tuple(lists[1]))


class LanguageModelPicker:
    """A language model picks among numbered prompts by the headline."""

    def __init__(self, lm: LanguageModel, n: int = 7, kind: str = IMAGES):
        self.lm, self.n, self.kind, self.name = lm, n, kind, lm.name

    def likelihood(self, label: Label, prompts: Sequence[str], seed: int) -> np.ndarray:
        order = np.random.default_rng([seed, 23]).permutation(len(prompts))
        listed = "\n".join(f"{i + 1}. {prompts[at]}" for i, at in enumerate(order.tolist()))
        numbers = {"type": "array", "items": {"type": "integer"}}
        asked = PICK.format(label=label.headline, kind=self.kind, prompts=listed, n=self.n)
        value, failure = _asked(self.lm, asked, {"most_likely": numbers, "least_likely": numbers}, 20 * self.n)
        found = np.zeros(len(prompts))
        if failure is not None:
            return np.full(len(prompts), np.nan)
        for name, sign in (("least_likely", -1.0), ("most_likely", 1.0)):
            picked = [one - 1 for one in value[name] if 1 <= one <= len(prompts)]
            if len(set(picked)) < self.n:
                return np.full(len(prompts), np.nan)
            found[order[picked]] = sign
        return found


class LanguageModelJudge:
    """A language model says which of two headlines fits."""

    def __init__(self, lm: LanguageModel, kind: str = IMAGES):
        self.lm, self.kind, self.name = lm, kind, lm.name

    def prefers(self, first: Label, second: Label, shown: Sequence[tuple[str, bool]], seed: int) -> float | None:
        active, silent = ("\n".join(f"- {p}" for p, is_active in shown if is_active is w) for w in (True, False))
        asked = PREFER.format(
            kind=self.kind, active=active, silent=silent, first=first.headline, second=second.headline
        )
        choice = {"type": "string", "enum": ["A", "B", "neither"]}
        value, failure = _asked(self.lm, asked, {"better": choice}, 20)
        return None if failure is not None else {"A": 1.0, "B": 0.0}.get(value["better"], 0.5)


def _asked(lm: LanguageModel, text: str, properties: dict[str, Any], most: int) -> tuple[Any, str | None]:
    """The parsed answer, and why there is none."""
    schema = {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
    answer = lm.ask([Request((Message("user", text),), schema=schema, max_tokens=most)])[0]
    return answer.value, answer.why_unusable()


# Labels as programs, and scenes that hold concepts.


def program_of(label: Label) -> tuple[Program | None, str | None]:
    """The label's program, or what its words say (`image_programs.reading`); else why it cannot be executed: a program
    of half of the words would be another label."""
    if label.program is not None:
        return (label.program, None) if label.program.clauses else (None, NOTHING)
    found = read(label.headline, label.grid)
    if found.unknown:
        return None, f"not understood: {', '.join(dict.fromkeys(found.unknown))}"
    if found.test is None:
        return None, NOTHING
    return Program(0.0, (Clause(1.0, found.test),)), None


def _some(named: Sequence[Concept], rng: np.random.Generator) -> list[Concept]:
    """Some of the concepts, none in a part of the scenes, so that their combinations occur."""
    if not named or rng.random() < PLAIN:
        return []
    count = min(int(rng.geometric(0.5)), len(named))
    return [named[i] for i in rng.permutation(len(named))[:count]]
