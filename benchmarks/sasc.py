"""`glossator bench sasc`: is the keyphrase of a module found, in four settings, with no key and with a language model?

A module is minus the distance of a text's MiniLM vector to a keyphrase's, or counts the words of a lexicon
(`sasc_modules`). The headline is that of keyphrases that are no single name (`sasc_phrases`); single names
(`sasc_keyphrases`) stand beside it, and beside every figure the vocabulary name that the module responds to most, for
which no n-gram is looked at. An answer is the best candidate's name, at most a few words; it is right when the pattern
that was written for the keyphrase beforehand finds it. Naming looks for names in a general vocabulary (WordNet's common
words) and in a space that owes nothing to the modules' encoder (token vectors of another model), so that it cannot read
the keyphrase's vector off the responses. Settings of the method were chosen on other keyphrases (`DEVELOPMENT...`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from benchmarks.sasc_judges import agreement, named, named_by_wordnet
from benchmarks.sasc_keyphrases import DEVELOPMENT, REPORTED, Keyphrase
from benchmarks.sasc_modules import DEVELOPMENT_LEXICONS, LEXICONS, Lexicon, Remembering, near_keyphrases
from benchmarks.sasc_phrases import DEVELOPMENT_PHRASES, PHRASES
from benchmarks.sasc_settings import SETTINGS, SLICES, Corpora, noisy
from glossator.corpora.wordnet import general_names
from glossator.errors import UserError
from glossator.explainers.naming.explainer import Named, SascSpec, name_units
from glossator.explainers.naming.naming_split import NamingSplit
from glossator.explainers.naming.proposing import loudest
from glossator.explainers.naming.task import Responses, Task, asker
from glossator.files import plain
from glossator.fitting.comparison import share_interval
from glossator.language_models import LanguageModel, OpenModel, open_language_model
from glossator.recording.texts import responses
from glossator.subjects.functions import FunctionSubject
from glossator.subjects.text_readouts import EmbedderSubject
from glossator.units import Unit

DEFAULTS: dict[str, Any] = {
    "seeds": 3,
    "settings": SETTINGS,
    "space": "smollm2-135m",
    "lm": None,
    "lm_cache": None,
    "budget": None,
    "prices": None,
    "every": 1,
    "min_count": 3,
    "keyphrases": None,
    "development": False,
    "speed": True,
    "spec": {},
}
QUICK = {"seeds": 1, "every": 8, "min_count": 2, "keyphrases": 6}
PAPER = {"default": 0.883, "restricted": 0.667, "noisy": 0.679, "leak_free": "0 to .10"}
"""The paper with GPT-3, recomputed from its released runs; leak-free: those where the answer was in no top n-gram."""


@dataclass(frozen=True)
class Run:
    """One module in one setting with one seed: what was answered. group: phrases, single_names or lexicons."""

    keyphrase: Keyphrase
    group: str
    setting: str
    seed: int
    names: tuple[str, ...]
    sources: tuple[str, ...]
    first_proposed: str
    echo: str
    nearest: str
    selection: float | None


def run(options: dict[str, Any] | None = None) -> dict[str, Any]:
    """Recovery by setting for names found with and without a language model, with 95 % intervals over keyphrases.

    options: `quick`, and any name of `DEFAULTS`: lm, a language model's spec, and what it may cost (budget, with
    prices, and lm_cache, a file of answers: see `open_language_model`); space, where names are looked for
    (`minilm` is the modules' own encoder: an unfair contrast); keyphrases, so many of them, spread over the list;
    development, the other list; speed, whether the n-gram stage is timed as well.
    """
    options = dict(options or {})
    quick = options.pop("quick", False)
    unknown = sorted(set(options) - set(DEFAULTS))
    if unknown:
        raise UserError("unknown option", value=unknown[0], allowed=", ".join(DEFAULTS))
    chosen = DEFAULTS | (QUICK if quick else {}) | {k: v for k, v in options.items() if v is not None}
    chosen["settings"] = _checked(chosen)
    model = opened(chosen)
    bench = _Bench(chosen)
    free = bench.runs(None)
    result: dict[str, Any] = {"options": chosen | {"quick": quick}}
    for key, group in (("recovery", "phrases"), ("single_names", "single_names"), ("lexicons", "lexicons")):
        result[key] = {s: _figures(_of(free, s, group)) for s in chosen["settings"]}
    if model is not None:
        by_model = bench.runs(model)
        for key, group in (("recovery", "phrases"), ("single_names", "single_names")):
            for setting in chosen["settings"]:
                result[key][setting]["lm"] = recovered(_of(by_model, setting, group))
        result["lm"] = {
            "name": model.name,
            "without_an_answer": sum(not r.names for r in by_model),
            "runs": len(by_model),
            "spent": plain(model.ledger.total()),
        }
    result["paper"] = PAPER
    result["judge"] = _judge(free, bench)
    result["corpus"] = bench.about()
    result["answers"] = [
        {"keyphrase": r.keyphrase.phrase, "setting": r.setting, "answer": r.names[0] if r.names else None,
         "right": named(r.names[:1], r.keyphrase), "nearest_name": r.nearest}
        for r in free if r.seed == 0
    ]  # fmt: skip
    if chosen["speed"]:
        from benchmarks.sasc_speed import ngram_ratios

        speed = ngram_ratios({"quick": quick})
        result |= {key: speed[key] for key in ("ngram_ratio_1", "ngram_ratio_50")} | {"speed": speed}
    return result


def _checked(chosen: Mapping[str, Any]) -> tuple[str, ...]:
    """The settings that are to be run; `UserError` for one that there is not, and for numbers that are none."""
    for name in ("seeds", "every", "min_count", "keyphrases"):
        value = chosen[name]
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise UserError(f"bad {name} of the benchmark", value=value, allowed="a whole number from 1 on")
    if not isinstance(chosen["spec"], Mapping):
        raise UserError("bad spec of the benchmark", value=chosen["spec"], allowed="settings of `SascSpec` by name")
    given = chosen["settings"]
    wanted = tuple(given.split(",")) if isinstance(given, str) else tuple(given)
    for setting in wanted:
        if setting not in SETTINGS:
            raise UserError("no such setting of the benchmark", value=setting, allowed=", ".join(SETTINGS))
    return wanted


def opened(chosen: Mapping[str, Any]) -> OpenModel | None:
    """The language model of a benchmark's options `lm`, `lm_cache`, `budget` and `prices`; None where it names none."""
    if not chosen["lm"]:
        return None
    return open_language_model(chosen["lm"], cache=chosen["lm_cache"], budget=chosen["budget"], prices=chosen["prices"])


class _Bench:
    def __init__(self, chosen: dict[str, Any]):
        self.chosen = chosen
        self.spec = replace(SascSpec(), **dict(chosen["spec"]))
        given = (
            (DEVELOPMENT_PHRASES, DEVELOPMENT, DEVELOPMENT_LEXICONS)
            if chosen["development"]
            else (PHRASES, REPORTED, LEXICONS)
        )
        phrases, names, lexicons = (_spread(each, chosen["keyphrases"]) for each in given)
        self.keyphrases: list[Keyphrase] = [*phrases, *names]
        self.lexicons: list[Lexicon] = [*lexicons]
        self.group = dict.fromkeys(phrases, "phrases") | dict.fromkeys(names, "single_names")
        self._kept: dict[Keyphrase, np.ndarray] = {}

    @cached_property
    def corpora(self) -> Corpora:
        from glossator.explainers.naming.space import open_space

        return Corpora.of(open_space(self.chosen["space"]), self.chosen["every"], self.chosen["min_count"])

    @cached_property
    def embedder(self) -> Remembering:
        """The modules' encoder; vectors of the n-grams are kept on disk, those of candidates' texts in memory."""
        from glossator.subjects.embedders import load_embedder
        from glossator.subjects.texts_cache import CachedEmbedder
        from glossator.subjects.weights import cache_folder

        encoder = load_embedder("minilm")
        found = Remembering(encoder)
        for texts in (self.corpora.reference.texts, self.names):
            found.learn(texts, CachedEmbedder(encoder, cache_folder() / "vectors").embed(texts))
        return found

    @cached_property
    def names(self) -> tuple[str, ...]:
        return general_names(self.corpora.reference.wordnet)

    @cached_property
    def units(self) -> list[tuple[FunctionSubject, Unit]]:
        """One for each keyphrase, then one for each lexicon."""
        near = EmbedderSubject(self.embedder, near_keyphrases(self.keyphrases, self.embedder), "near")
        wordnet = self.corpora.reference.wordnet
        counts = [FunctionSubject(lexicon.responses(wordnet), lexicon.phrase) for lexicon in self.lexicons]
        each = [(near, index) for index in range(len(self.keyphrases))] + [(count, 0) for count in counts]
        return [(subject, Unit(subject.name, "output", index)) for subject, index in each]

    @cached_property
    def values(self) -> np.ndarray:
        """Responses to the n-grams, float64 (n-grams, units)."""
        return self._answers(self.corpora.reference.texts)

    def _answers(self, texts: Sequence[str]) -> np.ndarray:
        near, columns = self.units[0][0], range(len(self.keyphrases))
        found = [responses(near, "output", columns, texts)]
        found += [responses(subject, "output", [0], texts) for subject, _ in self.units[len(self.keyphrases) :]]
        return np.concatenate(found, axis=1).astype(np.float64)

    @cached_property
    def named(self) -> np.ndarray:
        """Responses to the names of the general vocabulary, (names, modules)."""
        return self._answers(self.names)

    def runs(self, lm: LanguageModel | None) -> list[Run]:
        """Every module in every setting with every seed; with a language model keyphrases alone."""
        found = []
        for seed in range(self.chosen["seeds"]):
            whole = NamingSplit(self.corpora.reference, self.spec.candidates.naming_share, seed)
            for setting in self.chosen["settings"]:
                for tasks, dealt in self._groups(setting, seed, whole, lm is None):
                    explained = name_units([task for _, task in tasks], dealt, self.spec, lm)
                    found += [
                        self._run(keyphrase, setting, seed, task, answer, dealt)
                        for (keyphrase, task), answer in zip(tasks, explained, strict=True)
                    ]
        return found

    def _groups(
        self, setting: str, seed: int, whole: NamingSplit, lexicons: bool
    ) -> Iterator[tuple[list[tuple[Keyphrase, Task]], NamingSplit]]:
        """Modules that share n-grams, with those n-grams; one group at a time is in memory."""
        corpora, values = self.corpora, self.values
        every = [*self.keyphrases, *(self.lexicons if lexicons else [])]
        if setting == "leak_free":
            for row, keyphrase in enumerate(every):
                kept = self._leak_free(keyphrase)
                yield [(keyphrase, self._task(row, values[kept, row], setting, seed))], whole.only(kept)
        elif setting == "restricted":
            for number, (reference, kept) in enumerate(zip(corpora.restricted, corpora.slices, strict=True)):
                members = [row for row in range(len(every)) if (row + seed) % len(SLICES) == number]
                tasks = [(every[row], self._task(row, values[kept, row], setting, seed)) for row in members]
                if tasks:
                    yield tasks, NamingSplit(reference, whole.naming_share, seed)
        else:
            yield [(k, self._task(row, values[:, row], setting, seed)) for row, k in enumerate(every)], whole

    def _leak_free(self, keyphrase: Keyphrase) -> np.ndarray:
        if keyphrase not in self._kept:
            self._kept[keyphrase] = self.corpora.leak_free(keyphrase)
        return self._kept[keyphrase]

    def _task(self, row: int, values: np.ndarray, setting: str, seed: int) -> Task:
        subject, unit = self.units[row]
        if setting == "noisy":
            known_as = f"near/{row}" if len(self.keyphrases) > 1 and row < len(self.keyphrases) else subject.name
            values = noisy(values, seed, known_as)
        return Task(unit, self._clean[row], asker(subject, unit), values, self.named[:, row])

    @cached_property
    def _clean(self) -> list[Responses]:
        return [Responses.of(column) for column in self.values.T]

    def _run(self, keyphrase: Keyphrase, setting: str, seed: int, task: Task, answer: Named, dealt: NamingSplit) -> Run:
        best = answer.rows[0] if answer.rows else None
        names = [row.name.text for row in answer.rows]
        first = min(names, key=answer.place_before.__getitem__, default="")
        top = dealt.reference.texts[task.order[0]] if len(task.order) else ""
        assert task.named is not None
        return Run(
            keyphrase,
            self.group.get(keyphrase, "lexicons"),
            setting,
            seed,
            tuple(names[:5]),
            () if best is None else tuple(best.name.sources),
            first,
            top,
            loudest(self.names, task.named, 1)[0],
            None if best is None else best.selection,
        )

    def about(self) -> dict[str, Any]:
        """The corpus: n-grams, and of how many keyphrases an accepted name stands in them."""
        reference = self.corpora.reference
        holds = [sum(k.named_by(text) for text in reference.texts) for k in self.keyphrases]
        return {
            "documents": len(self.corpora.documents),
            "words": self.corpora.ngrams.corpus_words,
            "ngrams": len(reference.texts),
            "vocabulary": 0 if reference.space is None else len(reference.space.vocabulary.names),
            "answers_in_the_corpus": float(np.mean([n > 0 for n in holds])),
            "ngrams_with_the_answer_median": float(np.median(holds)),
            "restricted_share": {
                name: float(kept.mean()) for name, kept in zip(SLICES, self.corpora.slices, strict=True)
            },
            "texts_run": self.embedder.texts,
        }


def _of(runs: Sequence[Run], setting: str, group: str) -> list[Run]:
    return [run for run in runs if run.setting == setting and run.group == group]


def recovered(runs: Sequence[Run], within: int = 1) -> dict[str, Any]:
    """Share of right answers: mean over keyphrases of the mean over seeds, and the interval of a share of them."""
    return _share([(run.keyphrase.phrase, named(run.names[:within], run.keyphrase)) for run in runs])


def _share(pairs: Sequence[tuple[str, bool]]) -> dict[str, Any]:
    by_phrase: dict[str, list[bool]] = {}
    for phrase, right in pairs:
        by_phrase.setdefault(phrase, []).append(right)
    share, n = float(np.mean([np.mean(rights) for rights in by_phrase.values()])), len(by_phrase)
    low, high = share_interval(share, n)
    return {"value": share, "low": low, "high": high, "n": n, "runs": len(pairs)}


def _figures(runs: Sequence[Run]) -> dict[str, Any]:
    """Recovery by the best candidate; beside it by the vocabulary name that the module responds to most, by the top
    n-gram, by the first name proposed before the module was asked about any, among the first five, and by kind."""
    found = {
        **_beside(runs),
        "echo_of_top_ngram": _by(runs, lambda run: run.echo),
        "first_proposed": _by(runs, lambda run: run.first_proposed),
        "top_5": recovered(runs, 5),
    }
    kinds = dict.fromkeys(run.keyphrase.kind for run in runs)
    found["by_kind"] = {kind: _beside([run for run in runs if run.keyphrase.kind == kind]) for kind in kinds}
    return found


def _beside(runs: Sequence[Run]) -> dict[str, Any]:
    return {"llm_free": recovered(runs), "nearest_name": _by(runs, lambda run: run.nearest)}


def _by(runs: Sequence[Run], answer: Callable[[Run], str]) -> dict[str, Any]:
    return _share([(run.keyphrase.phrase, named([answer(run)], run.keyphrase)) for run in runs])


def _judge(runs: Sequence[Run], bench: _Bench) -> dict[str, Any]:
    """The judge and how far a second one, WordNet, agrees with it on the keyphrases' answers."""
    wordnet = bench.corpora.reference.wordnet
    pairs = [
        (named(r.names[:1], r.keyphrase), named_by_wordnet(r.names[0], r.keyphrase.phrase, wordnet))
        for r in runs
        if r.names and r.group == "single_names"
    ]
    return {
        "judge": "a pattern written for each keyphrase beforehand finds the best candidate's name",
        "second": "WordNet: the same word, a common meaning, a derived word, or one step above or below",
        **agreement(pairs),
    }


def _spread(items: Sequence[Any], count: int | None) -> Sequence[Any]:
    if count is None or count >= len(items):
        return items
    return [items[round(place)] for place in np.linspace(0, len(items) - 1, max(1, count))]
