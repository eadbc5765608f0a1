"""SASC: what text does a module respond to? N-grams, responses, candidates, synthetic texts, a score in sigma.

The n-gram stage:

    ngrams = extract_ngrams(corpus, NgramSpec(n=3, min_count=1))      # .texts, .counts, .take(rows), .without(regex)
    embedder = load_embedder("minilm")                                # or CachedEmbedder(load_embedder(), folder)
    modules = [EmbedderModule(embedder, Nearness(embedder.embed(["water"])), "water"), any_function_of_texts]
    responses = respond(modules, ngrams, k=75, cache=None)            # one pass for all that share an embedder
    for unit in responses.units:                                      # one a column of a module
        unit.name, unit.problem, unit.missing, unit.mean, unit.sigma  # problem: dead, constant, ...: None when ranked
        [(ngrams.texts[row], value) for row, value in unit.top]       # and unit.bottom
    responses.values                                                  # (n-grams, units) float64, NaN where missing
    rank(values, k)                                                   # top rows of values that were changed since

`respond_in_text(modules, corpus, ngrams)` gives the same from n-grams in their running text.

The whole method, for any callable:

    found = explain_module(function, "embedded")                      # or explain_modules([...], Reference.of(corpus))
    found.best.name, found.best.score(), found.top, found.problem

Names are resolved on first use, so that importing the package loads no torch.
"""

from __future__ import annotations

import importlib
from typing import Any

_HOME = {
    "CachedEmbedder": "glossator.sasc.texts_cache",
    "EmbedderModule": "glossator.sasc.modules",
    "FunctionModule": "glossator.sasc.modules",
    "Module": "glossator.sasc.modules",
    "Nearness": "glossator.sasc.modules",
    "NgramSpec": "glossator.sasc.ngrams",
    "Ngrams": "glossator.sasc.ngrams",
    "Reference": "glossator.sasc.reference",
    "Responses": "glossator.sasc.responses",
    "SascSpec": "glossator.sasc.explain",
    "SubjectModule": "glossator.sasc.modules",
    "explain_module": "glossator.sasc.explain",
    "explain_modules": "glossator.sasc.explain",
    "extract_ngrams": "glossator.sasc.ngrams",
    "load_embedder": "glossator.embedders",
    "rank": "glossator.sasc.responses_rank",
    "respond": "glossator.sasc.responses",
    "respond_in_text": "glossator.sasc.responses_in_text",
}

__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)
