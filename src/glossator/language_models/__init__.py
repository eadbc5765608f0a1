"""Language models that explain, simulate and judge: one request type, several backends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from glossator.registry import on_first_use

if TYPE_CHECKING:
    from glossator.language_models.cache import AnswerCache
    from glossator.language_models.faults import NotInCache, Retry, ServerUnavailable
    from glossator.language_models.ledger import Budget, BudgetReached, Ledger, Spent
    from glossator.language_models.open_model import OpenModel
    from glossator.language_models.opening import open_language_model
    from glossator.language_models.projection import Price, Projection
    from glossator.language_models.request import (
        CHAT,
        COMPLETION,
        IMAGES,
        JSON_SCHEMA,
        LOGPROBS,
        NOTHING_USED,
        PROMPT_LOGPROBS,
        Answer,
        LanguageModel,
        Message,
        Request,
        TokenLogprob,
        Usage,
    )
    from glossator.language_models.scripted import Scripted

__all__ = [
    "CHAT",
    "COMPLETION",
    "IMAGES",
    "JSON_SCHEMA",
    "LOGPROBS",
    "NOTHING_USED",
    "PROMPT_LOGPROBS",
    "Answer",
    "AnswerCache",
    "Budget",
    "BudgetReached",
    "LanguageModel",
    "Ledger",
    "Message",
    "NotInCache",
    "OpenModel",
    "Price",
    "Projection",
    "Request",
    "Retry",
    "Scripted",
    "ServerUnavailable",
    "Spent",
    "TokenLogprob",
    "Usage",
    "open_language_model",
]

__getattr__ = on_first_use(
    __name__,
    {
        ".cache": "AnswerCache",
        ".faults": "NotInCache Retry ServerUnavailable",
        ".ledger": "Budget BudgetReached Ledger Spent",
        ".open_model": "OpenModel",
        ".opening": "open_language_model",
        ".projection": "Price Projection",
        ".request": "CHAT COMPLETION IMAGES JSON_SCHEMA LOGPROBS NOTHING_USED PROMPT_LOGPROBS "
        "Answer LanguageModel Message Request TokenLogprob Usage",
        ".scripted": "Scripted",
    },
)
