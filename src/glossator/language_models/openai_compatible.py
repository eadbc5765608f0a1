"""Servers that speak OpenAI's protocol, through the official client: OpenAI, vLLM, llama.cpp, Ollama, OpenRouter."""

from __future__ import annotations

import json
from collections.abc import Awaitable
from dataclasses import replace
from typing import Any

from glossator.language_models.bounded import bounded_client
from glossator.language_models.endpoint import Reply
from glossator.language_models.http_backend import HttpBackend, in_base64, media_type
from glossator.language_models.openai_replies import chat_reply, completion_reply
from glossator.language_models.request import JSON_SCHEMA, Message, Request


class OpenAICompatible(HttpBackend):
    """Chat and raw completions, JSON schemas, images as data URLs, log-probabilities of answers and prompts."""

    package = "openai"

    def connect(self, key: str | None) -> Any:
        import openai

        client = openai.AsyncOpenAI(
            api_key=key or "none",
            base_url=self.url,
            max_retries=0,
            timeout=self.timeout,
            http_client=bounded_client(openai.DefaultAsyncHttpxClient, timeout=self.timeout),
        )
        if self.spec.kind != "openai":  # read from the environment for OpenAI, and no other server's business
            client.organization = client.project = None
        return client

    def listing(self, client: Any) -> Awaitable[Any]:
        return client.models.with_raw_response.list()

    def call(self, client: Any, request: Request) -> Awaitable[Any]:
        endpoint = client.chat.completions if request.messages else client.completions
        return endpoint.with_raw_response.create(**self.parameters(request))

    def read(self, request: Request, body: Any) -> Reply:
        return chat_reply(request, body) if request.messages else completion_reply(request, body)

    def parameters(self, request: Request) -> dict[str, Any]:
        """The request in the protocol's words, less what the spec says to omit and the server has refused. `sample` is
        the seed."""
        sent: dict[str, Any] = {
            "model": self.spec.model,
            "temperature": request.temperature,
            "top_p": request.top_p,
            "stop": list(request.stop) or None,
            "seed": request.sample if request.temperature > 0 else None,
        }
        sent |= self._chat(request) if request.messages else self._completion(request)
        omitted = self.spec.omit | self.refused
        extra = {name: value for name, value in sent.pop("extra_body", {}).items() if name not in omitted}
        sent = {name: value for name, value in sent.items() if value is not None and name not in omitted}
        return {**sent, "extra_body": extra} if extra else sent

    def _chat(self, request: Request) -> dict[str, Any]:
        limit, other = "max_tokens", "max_completion_tokens"
        if (self.spec.kind == "openai" or limit in self.refused) and other not in self.refused:
            limit = other
        sent: dict[str, Any] = {
            "messages": [_message(m) for m in request.messages],
            limit: max(request.max_tokens, 1),
            "logprobs": True if request.logprobs else None,
            "top_logprobs": self._alternatives(request.logprobs) or None,
            "reasoning_effort": self.spec.effort,
        }
        if request.schema is not None and "response_format" in self.refused:
            sent["messages"] = [_message(m) for m in with_schema(request).messages]
        elif request.schema is not None and JSON_SCHEMA in self.powers:
            schema = _plain(request.schema)
            if schema.get("type") == "object" or self.spec.kind != "openai":  # OpenAI takes objects alone
                described = {"name": "answer", "schema": schema, "strict": _is_strict(schema)}
                sent["response_format"] = {"type": "json_schema", "json_schema": described}
        if request.prompt_logprobs:
            sent["extra_body"] = {"prompt_logprobs": request.prompt_logprobs, "return_token_ids": True}
        return sent

    def _alternatives(self, wanted: int) -> int:
        return wanted if self.most_alternatives is None else min(wanted, self.most_alternatives)

    def _completion(self, request: Request) -> dict[str, Any]:
        """vLLM gives a prompt's log-probabilities by a parameter of its own, others by repeating it (`echo`)."""
        sent: dict[str, Any] = {
            "prompt": request.prompt,
            "max_tokens": max(request.max_tokens, 1),
            "logprobs": self._alternatives(request.logprobs) or None,
        }
        if request.prompt_logprobs and self.spec.kind == "vllm":
            sent["extra_body"] = {"prompt_logprobs": request.prompt_logprobs, "return_token_ids": True}
        elif request.prompt_logprobs:
            wanted = self._alternatives(max(request.prompt_logprobs, request.logprobs))
            sent |= {"echo": True, "logprobs": wanted, "max_tokens": request.max_tokens}
        if request.schema is not None and JSON_SCHEMA in self.powers and self.spec.kind == "vllm":
            described = {"name": "answer", "schema": _plain(request.schema)}
            response_format = {"type": "json_schema", "json_schema": described}
            sent["extra_body"] = {**sent.get("extra_body", {}), "response_format": response_format}
        return sent


def with_schema(request: Request) -> Request:
    """The same question with its schema in words, for a server that does not hold answers to one."""
    last = request.messages[-1]
    told = f"{last.content}\n\nReply with one JSON value and nothing else, valid under this JSON schema: "
    told += json.dumps(_plain(request.schema), ensure_ascii=False)
    return replace(request, messages=(*request.messages[:-1], replace(last, content=told)))


def _message(message: Message) -> dict[str, Any]:
    if not message.images:
        return {"role": message.role, "content": message.content}
    urls = [f"data:{media_type(image)};base64,{in_base64(image)}" for image in message.images]
    pictures = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    return {"role": message.role, "content": [{"type": "text", "text": message.content}, *pictures]}


def _plain(schema: Any) -> Any:
    return json.loads(json.dumps(schema, default=dict))


def _is_strict(schema: Any) -> bool:
    """Whether every object in the schema names all its properties as required and allows no others."""
    if isinstance(schema, list):
        return all(_is_strict(part) for part in schema)
    if not isinstance(schema, dict):
        return True
    if schema.get("type") == "object" or "properties" in schema:
        named = set(schema.get("properties", {}))
        if schema.get("additionalProperties") is not False or set(schema.get("required", ())) != named:
            return False
    return all(_is_strict(part) for part in schema.values())
