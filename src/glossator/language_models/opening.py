"""From a spec to a language model with its cache and ledger."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from glossator.errors import UserError, near_matches
from glossator.language_models.cache import AnswerCache
from glossator.language_models.endpoint import Backend
from glossator.language_models.faults import Retry
from glossator.language_models.ledger import Budget, Ledger
from glossator.language_models.open_model import OpenModel
from glossator.language_models.powers import parse_powers
from glossator.language_models.request import LanguageModel
from glossator.language_models.scripted import Scripted
from glossator.language_models.specs import ModelSpec, parse_spec

IN_PROCESS_OPTIONS = {"dtype": str, "device": str, "seed": int, "batch_tokens": int}


def open_language_model(
    spec: str | LanguageModel,
    *,
    cache: AnswerCache | str | Path | None = None,
    budget: Budget | str | float | None = None,
    prices: Mapping[str, Any] | str | Path | None = None,
    ledger: Ledger | None = None,
    concurrency: int | None = None,
    powers: str | Iterable[str] | None = None,
    timeout: float | None = None,
    retry: Retry | None = None,
    offline: bool = False,
) -> OpenModel:
    """Open `openai:MODEL`, `anthropic:MODEL`, `http://HOST:PORT/v1#MODEL`, `inprocess:MODEL`,
    `scripted:package.module:object`, or wrap a model that is already there.

    cache: a file of answers, made when it is not there (None: nothing is kept); budget: dollars or text such as
    `2.50` or `200000 tokens`; prices: a mapping or a TOML or JSON file of dollars per million tokens; ledger: one
    shared by several models, instead of budget and prices; concurrency: requests at a time, for all models at that
    address; powers: instead of those declared for the kind of server; timeout: seconds for one attempt; offline: only
    the cache answers. Raises `UserError` for what cannot be opened: an unknown form, no key (unless the cache has
    answers to replay), a budget in dollars without a price.
    """
    if ledger is not None and (budget is not None or prices is not None):
        raise ValueError("a ledger has its own budget and prices")
    kept = AnswerCache(cache) if isinstance(cache, (str, Path)) else cache
    book = Ledger(budget, prices) if ledger is None else ledger
    inner: LanguageModel | Backend
    if isinstance(spec, str):
        parsed = parse_spec(spec)
        if powers is not None:
            parsed = replace(parsed, powers=parse_powers(powers))
        inner = _opened(parsed, concurrency, timeout)
    elif isinstance(spec, LanguageModel | Backend):
        inner = spec
    else:
        raise UserError(
            "not a language model",
            value=type(spec).__name__,
            allowed="a spec such as inprocess:MODEL, or an object of a class derived from LanguageModel",
        )
    if not offline:
        book.refuse_unpriced(inner.name)
    if isinstance(inner, Backend) and not offline and (kept is None or len(kept) == 0):
        inner.ready()
    model = OpenModel(inner, cache=kept, ledger=book, retry=retry, offline=offline)
    if powers is not None:
        model.powers = parse_powers(powers)
    return model


def _opened(spec: ModelSpec, concurrency: int | None, timeout: float | None) -> LanguageModel | Backend:
    if spec.form == "inprocess":
        return _in_process(spec)
    if spec.form == "scripted":
        return _scripted(spec)
    if spec.form == "anthropic":
        from glossator.language_models.anthropic import Anthropic

        return Anthropic(spec, concurrency=concurrency, timeout=timeout)
    from glossator.language_models.openai_compatible import OpenAICompatible

    return OpenAICompatible(spec, concurrency=concurrency, timeout=timeout)


def _in_process(spec: ModelSpec) -> LanguageModel:
    options: dict[str, Any] = {}
    for name, text in spec.options.items():
        if name not in IN_PROCESS_OPTIONS:
            raise UserError("unknown option of a model in this process", value=name,
                            allowed=near_matches(name, IN_PROCESS_OPTIONS))  # fmt: skip
        try:
            options[name] = IN_PROCESS_OPTIONS[name](text)
        except ValueError:
            raise UserError(f"{name} is not a whole number", value=text) from None
    from glossator.language_models.in_process import open_in_process

    model = open_in_process(spec.model, **options)
    if options.get("seed", 0):  # other samples, so other answers
        model.name = f"{model.name}?seed={options['seed']}"
    return model


def _scripted(spec: ModelSpec) -> LanguageModel:
    module, _, attribute = spec.model.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(
            f"cannot find the scripted model ({error})",
            value=spec.model,
            allowed="scripted:package.module:object, where the object is a function, a list or a model",
            fix="The module must be importable; set PYTHONPATH if it lies elsewhere",
        ) from error
    if isinstance(found, type):
        found = found()
    if isinstance(found, LanguageModel):
        return found
    if not callable(found) and not isinstance(found, (list, tuple)):
        raise UserError(
            "not a scripted model",
            value=spec.model,
            allowed="a function, a list of answers or a `glossator.language_models.LanguageModel`",
        )
    return Scripted(found, name=f"scripted:{spec.model}")
