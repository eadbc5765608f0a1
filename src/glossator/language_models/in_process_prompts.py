"""From requests to token ids: the tokenizer's chat template, in which corpus text can never act as a special token.

Corpora and answers are quoted in prompts; text such as `<|im_end|>` inside a message stays text.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tokenizers import Tokenizer

from glossator.errors import UserError
from glossator.language_models.request import Message, Request
from glossator.subjects.tokenizer import FastTextTokenizer

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
"""The format of models trained with `<|im_start|>` and `<|im_end|>`."""

TRANSCRIPT = (
    "{% for message in messages %}{% if message['role'] != 'system' %}{{ message['role'] | capitalize + ': ' }}"
    "{% endif %}{{ message['content'] + '\n\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)
"""For base models, which know no turns: a transcript to continue from."""


class PromptTokens:
    """Turns requests into token ids for one tokenizer.

    chat_template: a Jinja template; None takes the tokenizer's own, else `CHATML` where its marks are special tokens,
    else `TRANSCRIPT`.
    """

    def __init__(self, tokenizer: FastTextTokenizer, chat_template: str | None = None):
        self.tokenizer = tokenizer
        vocabulary = tokenizer.vocabulary
        marks = {vocabulary.texts[i] for i in vocabulary.special}
        fallback = CHATML if {"<|im_start|>", "<|im_end|>"} <= marks else TRANSCRIPT
        self.template: str = chat_template or _own_template(tokenizer.hub_tokenizer) or fallback
        self._special = re.compile("|".join(map(re.escape, sorted(marks, key=len, reverse=True)))) if marks else None
        self._with_special = Tokenizer.from_str(tokenizer.backend.to_str())
        self._with_special.encode_special_tokens = False

    def ids(self, request: Request) -> list[int]:
        """The ids of a chat, its opening of the answer included, or of a raw prompt with what the tokenizer puts
        before every text."""
        if request.prompt is not None:
            return self.begun(request.prompt)
        begun = opening(request)
        return self._chat((*request.messages, Message("assistant", begun)) if begun else request.messages)

    def before_last(self, request: Request, ids: Sequence[int]) -> int:
        """How many first ids of a chat, which are given, do not depend on what its last message says."""
        if request.prompt is not None or len(request.messages) < 2:
            return 0
        other = replace(request, messages=(*request.messages[:-1], replace(request.messages[-1], content="?")))
        pairs = zip(ids[:-1], self.ids(other), strict=False)
        return next((n for n, (one, another) in enumerate(pairs) if one != another), 0)

    def begun(self, prompt: str) -> list[int]:
        """The ids of a raw prompt to be continued: without the end token that a tokenizer may append."""
        backend = self.tokenizer.backend
        ids = list(backend.encode(prompt).ids)
        plain = list(backend.encode(prompt, add_special_tokens=False).ids)
        for before in range(len(ids) - len(plain) + 1):
            if ids[before : before + len(plain)] == plain:
                return ids[: before + len(plain)]
        return ids

    def _chat(self, messages: tuple[Message, ...]) -> list[int]:
        contents = [message.content for message in messages]
        if self._special is None or not any(self._special.search(content) for content in contents):
            return list(self._with_special.encode(self._render(messages, contents), add_special_tokens=False).ids)
        # Text that spells a special token: the template is filled with stand-ins, which are then encoded apart.
        stand_ins = [hashlib.sha256(f"{i} {content}".encode()).hexdigest() for i, content in enumerate(contents)]
        found: list[int] = []
        content_of = dict(zip(stand_ins, contents, strict=True))
        for part in re.split(f"({'|'.join(stand_ins)})", self._render(messages, stand_ins)):
            backend = self.tokenizer.backend if part in content_of else self._with_special
            found += backend.encode(content_of.get(part, part), add_special_tokens=False).ids
        return found

    def _render(self, messages: tuple[Message, ...], contents: list[str]) -> str:
        """The template over these contents; an assistant's message at the end is left open, to be gone on from."""
        from jinja2 import TemplateError

        goes_on = messages[-1].role == "assistant"
        turns = [{"role": m.role, "content": text} for m, text in zip(messages, contents, strict=True)]

        def filled(turns: list[dict[str, str]]) -> str:
            return self.tokenizer.hub_tokenizer.apply_chat_template(
                turns,
                chat_template=self.template,
                tokenize=False,
                add_generation_prompt=not goes_on,
                continue_final_message=goes_on,
            )

        try:
            text = filled(turns)
            system = [turn["content"] for turn in turns if turn["role"] == "system"]
            return text if all(content.strip() in text for content in system) else filled(without_system(turns))
        except (TemplateError, ValueError, TypeError) as error:
            try:
                if any(turn["role"] == "system" for turn in turns):
                    return filled(without_system(turns))
            except (TemplateError, ValueError, TypeError):
                pass
            roles = ", ".join(m.role for m in messages)
            raise UserError("the chat template rejects these messages", value=roles, fix=str(error)) from error


def without_system(turns: list[dict[str, str]]) -> list[dict[str, str]]:
    """The same turns for a template that knows no system turn: its text goes before the user's first words."""
    system = "\n\n".join(turn["content"] for turn in turns if turn["role"] == "system")
    rest = [turn for turn in turns if turn["role"] != "system"]
    first = next((place for place, turn in enumerate(rest) if turn["role"] == "user"), None)
    if not system:
        return rest
    if first is None:
        return [{"role": "user", "content": system}, *rest]
    joined = {**rest[first], "content": f"{system}\n\n{rest[first]['content']}"}
    return [*rest[:first], joined, *rest[first + 1 :]]


def opening(request: Request) -> str:
    """The beginning of a JSON answer, written for the model as far as the schema determines it.

    Small models answer in prose otherwise. Nothing where the answer is begun already, or a raw prompt is gone on from.
    """
    schema = request.schema
    if schema is None or request.prompt is not None or request.messages[-1].role == "assistant":
        return ""
    required = schema.get("required") or ()
    if schema.get("type") != "object" or not required:
        return _BEGINNINGS.get(str(schema.get("type")), "")
    of_first = schema.get("properties", {}).get(required[0], {})
    value = _BEGINNINGS.get(str(of_first.get("type")), "")
    return f"{{{json.dumps(required[0], ensure_ascii=False)}:{' ' if value else ''}{value}"


_BEGINNINGS = {"object": "{", "array": "[", "string": '"'}


def _own_template(tokenizer: Any) -> str | None:
    template = getattr(tokenizer, "chat_template", None)
    return template.get("default") if isinstance(template, dict) else template
