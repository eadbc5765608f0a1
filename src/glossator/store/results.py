"""Results of one unit as JSON: the rows from which the store is built.

They are written shard by shard while a study runs, so that nothing in them may depend on when or how fast that was.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic_core import from_json

from glossator.explanations import Explanation, Headline, Mode, Peaks, Provenance, in_both_words
from glossator.files import plain
from glossator.scores import Margin, Score
from glossator.units import Unit, parse_unit

if TYPE_CHECKING:
    from glossator.programs import Lexicon

Status = Literal["ok", "insufficient", "abstained", "failed"]
STATUSES: tuple[Status, ...] = ("ok", "insufficient", "abstained", "failed")
CLOCK = "seconds"
SCORING = "scoring: "
"""How the reason of a unit begins that failed when it was scored."""


@dataclass(frozen=True)
class Named:
    """A headline as it is stored, its class in printed form; share, strength: those of its mode, None without one."""

    text: str
    program: str | None
    weak: bool = False
    share: float | None = None
    strength: float | None = None
    beside: str = ""

    @classmethod
    def of(cls, headline: Headline, mode: Mode | None = None) -> Named:
        share, strength = (None, None) if mode is None else (mode.share, mode.strength)
        program = None if headline.program is None else str(headline.program)
        return cls(headline.text, program, headline.weak, share, strength, headline.beside)

    def headline(self) -> Headline:
        from glossator.programs import parse_program

        program = None if self.program is None else parse_program(self.program)
        return Headline(self.text, program, self.weak, self.beside)

    @property
    def said(self) -> str:
        """`Headline.said`."""
        return in_both_words(self.text, self.beside)

    def __str__(self) -> str:
        return str(self.headline())


@dataclass(frozen=True)
class StoredPeaks:
    """Peaks as they are stored, the program in printed form."""

    words: tuple[str, ...]
    program: str

    def peaks(self) -> Peaks:
        from glossator.programs import parse_program

        return Peaks(tuple(self.words), parse_program(self.program))


@dataclass(frozen=True)
class Chosen:
    """One explanation as it is stored.

    rank: 0 for the candidate that its method's select split prefers; program: its printed form; bits: its description
    length; select: the correlation on the select split that ranked it, None where undefined; scores: on the test
    split, of the candidates of rank 0 only, so that the test split is used once for each method.
    """

    method: str
    rank: int
    text: str
    program: str | None
    bits: float | None
    select: float | None
    provenance: dict[str, Any]
    scores: tuple[Score, ...] = ()
    headline: Named | None = None
    modes: tuple[Named, ...] = ()
    peaks: StoredPeaks | None = None

    @property
    def named(self) -> tuple[Named, ...]:
        """The headlines of all modes, that of the explanation first; empty where it has none."""
        return self.modes or (() if self.headline is None else (self.headline,))

    @property
    def sentence(self) -> str:
        """What is left to say below the headline: nothing where that is all of it."""
        return "" if self.headline is not None and self.text == str(self.headline) else self.text

    @property
    def in_short(self) -> str:
        """What a list says of it: its headlines, else its sentence."""
        return "; also ".join(map(str, self.named)) or self.text

    @property
    def flags(self) -> tuple[str, ...]:
        """What scores warn of, such as input weights that say something else: `how.flag` of each score that has one."""
        return tuple(f"{score.how['flag']} ({score.name})" for score in self.scores if "flag" in score.how)

    def explanation(self, unit: Unit) -> Explanation:
        from glossator.programs import parse_program

        program = None if self.program is None else parse_program(self.program)
        headline = None if self.headline is None else self.headline.headline()
        modes = tuple(Mode(named.headline(), named.share or 0.0, named.strength or 0.0) for named in self.modes)
        peaks = None if self.peaks is None else self.peaks.peaks()
        return Explanation(unit, self.text, Provenance(**self.provenance), program, self.rank, headline, modes, peaks)


@dataclass(frozen=True)
class UnitResult:
    """One unit of a study. reason: why there is no explanation, or which method failed beside one that did not."""

    unit: Unit
    status: Status
    reason: str = ""
    statistics: dict[str, Any] | None = None
    explanations: tuple[Chosen, ...] = field(default=())

    def best(self, method: str | None = None) -> Chosen | None:
        """The first-ranked explanation of a method, of all methods when None: the one with the highest correlation on
        the select split, so that no test score chooses what it is then quoted for; of equal ones, and where none has
        that correlation, the first."""
        first = [e for e in self.explanations if e.rank == 0 and method in (None, e.method)]
        return max(first, key=lambda e: float("-inf") if e.select is None else e.select, default=None)


def unscored(result: UnitResult) -> UnitResult:
    """The result as the explaining stage left it."""
    explanations = tuple(replace(chosen, scores=()) for chosen in result.explanations)
    if result.status == "failed" and result.reason.startswith(SCORING):
        return replace(result, status="ok", reason="", explanations=explanations)
    return replace(result, explanations=explanations)


def as_stored(explanation: Explanation, lexicon: Lexicon | None, rank: int, select: float | None) -> Chosen:
    """An explanation as a row; the time that it took is left out, since it is never the same twice, and peaks, which
    are the same for all candidates of a method, stand with the first."""
    from glossator.programs import bits

    program, provenance = explanation.program, explanation.provenance
    cost = {name: value for name, value in provenance.cost.items() if name != CLOCK}
    return Chosen(
        method=provenance.method,
        rank=rank,
        text=explanation.text,
        program=None if program is None else str(program),
        bits=None
        if program is None or (lexicon is None and program.language == "tokens")
        else round(bits(program, lexicon), 3),
        select=select,
        provenance=plain(replace(provenance, cost=cost)),
        headline=None if explanation.headline is None else Named.of(explanation.headline),
        modes=tuple(Named.of(mode.headline, mode) for mode in explanation.modes),
        peaks=None if rank or (peaks := explanation.peaks) is None else StoredPeaks(peaks.words, str(peaks.program)),
    )


def to_plain(result: UnitResult) -> dict[str, Any]:
    return {**plain(result), "unit": str(result.unit)}


COLUMNS_OF_SCORES = ("explanation", "name", "column", "value", "low", "high", "n", "measure", "reason", "how", "counts")
HEADLINE = 7
"""Where the words of the headline stand in the row of an explanation."""
NUMBERS = ("value", "margin", "low", "high", "p")
"""Of a comparison with a baseline: its value, and how far the score is above it."""


def packed(result: UnitResult) -> dict[str, Any]:
    """A result as the rows that a database gets of it, column by column, which is read several times as fast.

    scores.explanation and comparisons.score are places in what stands here; scores.how are places in hows;
    comparisons.numbers: `NUMBERS` (5, n) as float64 in base64, NaN where there is none.
    """
    scores: dict[str, list[Any]] = {name: [] for name in COLUMNS_OF_SCORES}
    compared: dict[str, list[Any]] = {name: [] for name in ("score", "baseline", *NUMBERS)}
    hows: dict[str, int] = {}
    for place, chosen in enumerate(result.explanations):
        for score in chosen.scores:
            words, counts = (as_json(part) for part in parts_of_how(score.how))
            own = (score.value, score.low, score.high, score.n, score.measure, score.reason)
            how = hows.setdefault(words, len(hows))
            for baseline in sorted({*score.baselines, *score.margins}):
                over = score.margins.get(baseline, _NO_MARGIN)
                beside = (score.baselines.get(baseline), over.value, over.low, over.high, over.p)
                _append(compared, len(scores["name"]), baseline, *beside)
            _append(scores, place, score.name, score.column, *own, how, counts)
    given = [compared.pop(name) for name in NUMBERS]
    numbers = np.array(given, np.dtype("<f8"))
    if np.isfinite(numbers).sum() != sum(number is not None for row in given for number in row):
        raise ValueError(f"a comparison of {result.unit} is not finite")
    return {
        "unit": str(result.unit),
        "status": result.status,
        "reason": result.reason,
        "statistics": as_json(result.statistics),
        "explanations": [
            [e.method, e.rank, e.text, e.program, e.bits, e.select, as_json(e.provenance), *_headlines_of(e)]
            for e in result.explanations
        ],
        "hows": [*hows],
        "scores": scores,
        "comparisons": {**compared, "numbers": base64.b64encode(numbers.tobytes()).decode()},
    }


def read_packed(path: Path) -> list[dict[str, Any]]:
    """The results in a file of them, `packed`, one a line; equal short strings are mostly one object. Raises
    `ValueError`."""
    return [*map(_parsed, path.read_bytes().splitlines())]


def _parsed(line: bytes) -> Any:
    try:
        return from_json(line)
    except ValueError:
        return json.loads(line)  # takes unpaired surrogates, too


def _headlines_of(chosen: Chosen) -> tuple[str | None, str | None]:
    """The words of the headline, which are searched, and all of its parts and the modes'."""
    if chosen.headline is None:
        return None, None
    return chosen.headline.said, as_json(
        plain({"headline": chosen.headline, "modes": chosen.modes, "peaks": chosen.peaks})
    )


def headlines_from(stored: str | None) -> tuple[Named | None, tuple[Named, ...], StoredPeaks | None]:
    """Headline, modes and peaks as a database holds them; raises what a malformed one raises."""
    if stored is None:
        return None, (), None
    parts = json.loads(stored)
    peaks = parts.get("peaks")
    found = None if peaks is None else StoredPeaks(tuple(peaks["words"]), peaks["program"])
    return Named(**parts["headline"]), tuple(Named(**mode) for mode in parts["modes"]), found


_NO_MARGIN: Any = SimpleNamespace(value=None, low=None, high=None, p=None)


def _append(columns: dict[str, list[Any]], *values: Any) -> None:
    for column, value in zip(columns.values(), values, strict=True):
        column.append(value)


def unpacked(stored: Mapping[str, Any]) -> UnitResult:
    """The inverse of `packed`."""
    hows = [json.loads(how) for how in stored["hows"]]
    beside: list[list[tuple[Any, ...]]] = [[] for _ in stored["scores"]["name"]]
    compared = stored["comparisons"]
    for score, baseline, numbers in zip(compared["score"], compared["baseline"], numbers_of(compared).T, strict=True):
        given = (None if np.isnan(number) else float(number) for number in numbers)
        beside[score].append((baseline, *given, None))
    scores: list[list[Score]] = [[] for _ in stored["explanations"]]
    rows = zip(*(stored["scores"][name] for name in COLUMNS_OF_SCORES), strict=True)
    for place, (explanation, *row, how, counts) in enumerate(rows):
        scores[explanation].append(score_of((*row, counts), hows[how], beside[place]))
    explanations = tuple(
        Chosen(method, rank, text, program, bits, select, json.loads(provenance), tuple(own), *headlines_from(named))
        for (method, rank, text, program, bits, select, provenance, _, named), own in zip(
            stored["explanations"], scores, strict=True
        )
    )
    statistics = json.loads(stored["statistics"])
    return UnitResult(parse_unit(stored["unit"]), stored["status"], stored["reason"], statistics, explanations)


def numbers_of(comparisons: Mapping[str, Any]) -> np.ndarray:
    """`NUMBERS` (5, n) of packed comparisons."""
    return np.frombuffer(base64.b64decode(comparisons["numbers"]), "<f8").reshape(len(NUMBERS), -1)


def score_of(row: Sequence[Any], words: Mapping[str, Any], comparisons: Iterable[Sequence[Any]]) -> Score:
    """A score from its row (name, column, value, low, high, n, measure, reason, counts), what is said of it in words,
    and its comparisons (baseline, value, margin, low, high, p, q)."""
    name, column, value, low, high, n, measure, reason, counts = row
    baselines, margins = {}, {}
    for baseline, beside, margin, *more in comparisons:
        baselines[baseline] = beside
        if margin is not None:
            margins[baseline] = Margin(margin, *more)
    how = {**words, **json.loads(counts)}
    return Score(name, value, measure, low, high, n, column, baselines, reason, how, margins)


def parts_of_how(how: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is said in words of how a number was made, the same for many scores and stored once, and the counts, which
    are each score's own."""
    words = {name: value for name, value in how.items() if isinstance(value, str)}
    return words, {name: value for name, value in how.items() if name not in words}


as_json: Callable[[Any], str] = json.JSONEncoder(
    sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":")
).encode
"""The one form that JSON has in a database."""
