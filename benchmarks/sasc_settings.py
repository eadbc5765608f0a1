"""The four settings of the SASC benchmark: which n-grams naming sees, and which responses to them.

One reference corpus serves all modules: the embedded corpus without code and without languages other than English. The
SASC paper gives each module the corpus of its own topic; here nothing is chosen by the answer, so answers are rarer.

- default: all n-grams, true responses;
- restricted: only the n-grams that also stand in one other body of text, which has nothing to do with the module (the
  slices go round over modules and seeds), as the paper limits a module's n-grams to another task's;
- noisy: Gaussian noise of 3 times the standard deviation of the 100 largest responses on every response (as the
  paper); texts that names are ranked on are answered without noise (as the paper);
- leak-free: no n-gram that holds the answer, nor any accepted name of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from benchmarks.sasc_keyphrases import Keyphrase
from glossator.corpora import Corpus, Document, open_corpus
from glossator.corpora.ngrams import Ngrams, NgramSpec, extract_ngrams
from glossator.explainers.naming.classes import stable_order
from glossator.explainers.naming.task import Reference
from glossator.subjects.embedders import Embedder

SETTINGS = ("default", "restricted", "noisy", "leak_free")
NOISE = 3.0
NGRAMS = NgramSpec(n=3, min_count=3, fold_case=True, punctuation="none")
SLICES = {
    "speeches": ("state-of-the-union",),
    "geography": ("world-factbook",),
    "hacker lore, dialogue, fiction": ("jargon-file", "chatterbot-corpus", "adventure"),
    "database manuals": ("sqlite-guides", "postgresql-guides"),
    "programming manuals": ("python-guides", "python-reference", "rust-book", "django-guides"),
    "dictionary": ("wordnet",),
    "text of a language model": ("smollm2-135m",),
}
"""Bodies of text for the restricted setting, by the sources of their documents."""


def english_documents(every: int = 1) -> list[Document]:
    """Documents of the embedded corpus without code and other languages, or every so many-th of them."""
    kept = [d for d in open_corpus("embedded").documents() if not d.meta["kind"].startswith(("language-", "code"))]
    return kept[::every]


@dataclass(frozen=True, eq=False)
class Corpora:
    """The reference for all modules, and what the settings cut out of it."""

    documents: Sequence[Document]
    ngrams: Ngrams
    reference: Reference

    @classmethod
    def of(cls, embedder: Embedder | None, every: int = 1, min_count: int = NGRAMS.min_count) -> Corpora:
        documents = tuple(english_documents(every))
        spec = NgramSpec(NGRAMS.n, min_count, NGRAMS.fold_case, NGRAMS.punctuation)
        ngrams = extract_ngrams(Corpus("embedded, English", lambda: iter(documents)), spec)
        return cls(documents, ngrams, Reference.of(ngrams.texts, embedder=embedder))

    @cached_property
    def slices(self) -> list[np.ndarray]:
        """For each slice, which n-grams of the reference also stand in it: bool (n,)."""
        found = []
        for sources in SLICES.values():
            part = [document for document in self.documents if document.source in sources]
            spec = NgramSpec(NGRAMS.n, 1, NGRAMS.fold_case, NGRAMS.punctuation)
            found.append(np.isin(self.ngrams.keys, extract_ngrams(part, spec).keys))
        return found

    @cached_property
    def restricted(self) -> list[Reference]:
        return [self.reference.only(kept) for kept in self.slices]

    def leak_free(self, keyphrase: Keyphrase) -> np.ndarray:
        """Which n-grams do not hold the answer: bool (n,)."""
        kept = [keyphrase.leak.search(text) is None for text in self.ngrams.texts]
        return np.array(kept, dtype=bool)


def noisy(values: np.ndarray, seed: int, name: str) -> np.ndarray:
    """Responses with the paper's noise, drawn for this module and seed."""
    deviation = NOISE * float(np.sort(values)[-100:].std())
    rng = np.random.default_rng([seed, stable_order(name) % 2**32])
    return values + rng.normal(0.0, deviation, len(values)) if deviation > 0 else values
