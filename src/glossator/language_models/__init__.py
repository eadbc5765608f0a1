"""Language models that explain, simulate and judge: one question type, several ways to get an answer."""

from __future__ import annotations

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

__all__ = [
    "CHAT",
    "COMPLETION",
    "IMAGES",
    "JSON_SCHEMA",
    "LOGPROBS",
    "NOTHING_USED",
    "PROMPT_LOGPROBS",
    "Answer",
    "LanguageModel",
    "Message",
    "Request",
    "TokenLogprob",
    "Usage",
]
