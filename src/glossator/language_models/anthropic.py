"""Anthropic's models, through the official client (`pip install 'glossator[anthropic]'`).

The present API takes no temperature, top_p or seed, so those of a request are not sent: repeated samples differ as
the model's own sampling lets them, and a temperature of 0 does not make answers repeat. The cache does.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable
from types import ModuleType
from typing import Any

from glossator.errors import UserError
from glossator.language_models.bounded import bounded_client
from glossator.language_models.endpoint import Reply
from glossator.language_models.http_backend import HttpBackend, in_base64, media_type
from glossator.language_models.json_answers import clean
from glossator.language_models.openai_replies import finish_of, text_of, usage_of
from glossator.language_models.request import JSON_SCHEMA, Answer, Message, Request, Usage


class Anthropic(HttpBackend):
    """Chat, JSON schemas and images."""

    package = "anthropic"

    def library(self) -> ModuleType:
        try:
            return super().library()
        except UserError as error:
            raise UserError("the package anthropic is not installed", value=self.name,
                            fix="Install it: pip install 'glossator[anthropic]'") from error  # fmt: skip

    def connect(self, key: str | None) -> Any:
        import anthropic

        return anthropic.AsyncAnthropic(
            api_key=key,
            base_url=self.url,
            max_retries=0,
            timeout=self.timeout,
            open_telemetry=False,
            http_client=bounded_client(anthropic.DefaultAsyncHttpxClient, timeout=self.timeout),
        )

    def listing(self, client: Any) -> Awaitable[Any]:
        return client.models.with_raw_response.list(limit=1000)

    def call(self, client: Any, request: Request) -> Awaitable[Any]:
        return client.messages.with_raw_response.create(**self.parameters(request))

    def parameters(self, request: Request) -> dict[str, Any]:
        """The request in the API's words; several system messages are joined."""
        system = "\n\n".join(m.content for m in request.messages if m.role == "system")
        output: dict[str, Any] = {"effort": self.spec.effort} if self.spec.effort else {}
        if request.schema is not None and JSON_SCHEMA in self.powers:
            output["format"] = {"type": "json_schema", "schema": json.loads(json.dumps(request.schema, default=dict))}
        sent = {
            "model": self.spec.model,
            "messages": [_message(m) for m in request.messages if m.role != "system"],
            "max_tokens": max(request.max_tokens, 1),
            "system": system or None,
            "stop_sequences": list(request.stop) or None,
            "thinking": {"type": self.spec.thinking} if self.spec.thinking else None,
            "output_config": output or None,
        }
        return {name: value for name, value in sent.items() if value is not None and name not in self.spec.omit}

    def read(self, request: Request, body: Any) -> Reply:
        text = clean(text_of(body["content"]))
        finish, failure = finish_of(body.get("stop_reason"))
        usage = body.get("usage")
        usage = usage if isinstance(usage, dict) else {}
        counted = usage_of(usage.get("input_tokens"), usage.get("output_tokens"))
        answer = Answer(text, usage=counted or Usage(1), finish=finish, failure=failure)
        return Reply(answer, counted is not None)


def _message(message: Message) -> dict[str, Any]:
    if not message.images:
        return {"role": message.role, "content": message.content}
    pictures = [
        {
            "type": "image",
            "source": {"type": "base64", "media_type": media_type(image), "data": in_base64(image)},
        }
        for image in message.images
    ]
    return {"role": message.role, "content": [{"type": "text", "text": message.content}, *pictures]}
