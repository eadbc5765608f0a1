"""Shared by the official clients of OpenAI and Anthropic: one attempt at a time, classified errors, no leaked keys.

The clients' own retries are off (`glossator.language_models.endpoint` counts every attempt against the budget), and
answers are read as JSON here, because what a server sends need not be what the client's types promise.
"""

from __future__ import annotations

import abc
import asyncio
import base64
import importlib
import json
import math
import os
import re
import time
import weakref
import zlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from email.utils import parsedate_to_datetime
from types import ModuleType
from typing import Any

from glossator.errors import UserError
from glossator.language_models.bounded import TooLarge, limit, most_bytes
from glossator.language_models.endpoint import Reply, notice, start_on_loop
from glossator.language_models.faults import ParameterRefused, RequestRefused, ServerFault, ServerUnavailable
from glossator.language_models.json_answers import clean
from glossator.language_models.refused_parameters import CAN_DO_WITHOUT, NEEDED, most_allowed, refused_parameter
from glossator.language_models.request import Request
from glossator.language_models.secrets import Secret
from glossator.language_models.specs import ModelSpec
from glossator.terminal import neutral

REFUSED = frozenset({400, 413, 415, 422})  # this request cannot be answered; another may be
FLAGGED = re.compile(r"\b(moderation|flagged)\b", re.IGNORECASE)
UNSUPPORTED = ("unsupported_parameter", "unsupported_value")


CHECK_SECONDS = 20.0


class UnknownModel(UserError):
    """The server has no such model, or nothing at that address."""


class HttpBackend(abc.ABC):
    """One model of one server; see `glossator.language_models.specs` for what can be set."""

    package = ""  # of the official client

    def __init__(self, spec: ModelSpec, *, concurrency: int | None = None, timeout: float | None = None):
        self.spec, self.name, self.powers, self.url = spec, spec.name, spec.powers, spec.url
        self.concurrency = spec.concurrency if concurrency is None else concurrency
        self.timeout = spec.timeout if timeout is None else timeout
        self.refused: frozenset[str] = frozenset()  # parameters that the server would not take
        self.most_alternatives: int | None = None  # at a token, where the server gives fewer than were asked for
        self._client: tuple[int, Any] | None = None
        self._secret = Secret(None)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    def ready(self) -> None:
        """Raise `UserError` when nothing can be sent."""
        self.spec.key()
        if self._client is None:
            self.library()

    def library(self) -> ModuleType:
        """The official client's package, imported when the first request is sent."""
        try:
            return importlib.import_module(self.package)
        except ImportError as error:
            raise UserError(f"the package {self.package} is not installed", value=self.name,
                            fix=f"Install it: pip install {self.package}") from error  # fmt: skip

    @abc.abstractmethod
    def connect(self, key: str | None) -> Any:
        """The official asynchronous client."""

    @abc.abstractmethod
    def call(self, client: Any, request: Request) -> Awaitable[Any]:
        """The client's raw response to the request."""

    @abc.abstractmethod
    def read(self, request: Request, body: Any) -> Reply:
        """The reply in parsed JSON; anything unexpected may raise KeyError, TypeError, ValueError and the like."""

    @abc.abstractmethod
    def parameters(self, request: Request) -> dict[str, Any]:
        """The parameters of a request, without those that the server refuses."""

    @abc.abstractmethod
    def listing(self, client: Any) -> Awaitable[Any]:
        """The client's raw response to the question which models there are."""

    async def send(self, request: Request) -> Reply:
        """One attempt, repeated without parameters that the server refuses. Raises `ServerFault`, `RequestRefused`, or
        `UserError` for what fails every request."""
        for _ in range(len(CAN_DO_WITHOUT) + 1):
            sent = self.parameters(request)
            before = self.refused, self.most_alternatives
            try:
                return self._cut_at_stops(request, await self._attempt(request))
            except ParameterRefused as refusal:
                if before == (self.refused, self.most_alternatives):  # else another request has learnt it meanwhile
                    self._give_up(refusal, {*sent, *sent.get("extra_body", {})})
        raise RequestRefused("the server rejects one parameter after another")

    async def check(self) -> bool:
        """Whether the server can be reached, takes the key and has the model; `UserError` says what is wrong. False
        where that cannot be told without asking something, as of a server that lists no models, or not this one."""
        limit.set(64 << 20)
        try:
            content = await self._received(self.listing, most_seconds=CHECK_SECONDS)
            models = {str(entry["id"]) for entry in json.loads(content)["data"]}
        except UnknownModel:  # there is no list
            return False
        except (ServerFault, RequestRefused, ParameterRefused) as fault:
            if isinstance(fault, ServerFault) and fault.never_reached:
                raise ServerUnavailable(
                    f"nothing answers at {self.url}",
                    fix="Start the server, or check the address; nothing was done yet",
                ) from None
            notice(
                f"{self.name}: whether the model is there could not be checked ({fault}).", about=f"check {self.name}"
            )
            return True
        except (ValueError, KeyError, TypeError, RecursionError):
            return False
        return self.spec.kind != "openrouter" and any(  # which lists its models to everybody
            self.spec.model in (name, name.partition(":")[0]) for name in models
        )

    async def _attempt(self, request: Request) -> Reply:
        limit.set(most_bytes(request))
        content = await self._received(lambda client: self.call(client, request), self.parameters(request))
        body: Any = None
        try:
            body = json.loads(content.decode("utf-8-sig"))
            reply = self.read(request, body)
        except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError, OverflowError) as error:
            why = self._said(_complaint_of(body, content)) or type(error).__name__
            raise ServerFault(f"the server sent something else than an answer ({why})", perhaps_billed=True) from None
        return replace(reply, answer=self._secret.hide_in(reply.answer))

    async def _received(
        self,
        call: Callable[[Any], Awaitable[Any]],
        sent: Mapping[str, Any] | None = None,
        most_seconds: float = math.inf,
    ) -> bytes:
        """What the server sent, or the problem in our own words."""
        library, client, timeout = self.library(), self._connected(), min(self.timeout, most_seconds)
        problem: Exception | None = None  # raised below, where the client's error, which may quote the key, is gone
        try:
            async with asyncio.timeout(timeout):
                return (await call(client)).http_response.content
        except library.APIStatusError as error:
            problem = self._translated(error, sent or {})
        except (library.APITimeoutError, TimeoutError):
            problem = ServerFault(f"no answer in {timeout:g} seconds", perhaps_billed=True)
        except library.APIConnectionError as error:
            cause = type(error.__cause__).__name__
            never = cause in ("ConnectError", "ConnectTimeout")
            problem = ServerFault(f"the connection failed ({cause})", perhaps_billed=not never, never_reached=never)
        except TooLarge as error:
            problem = RequestRefused(str(error), perhaps_billed=True)
        except zlib.error as error:
            problem = ServerFault(f"what the server sent cannot be unpacked ({error})", perhaps_billed=True)
        except UnicodeError:
            problem = RequestRefused("the text cannot be written as UTF-8")
        assert problem is not None
        raise problem

    def _give_up(self, refusal: ParameterRefused, sent: set[str]) -> None:
        """Go on without a parameter from now on, and say so; `UserError` where answers would not be what was asked."""
        name = refusal.parameter
        if name in NEEDED and (most := most_allowed(refusal.said)) not in (None, self.most_alternatives):
            self.most_alternatives = most
            notice(f"{self.name} gives at most {most} alternatives at a token ({refusal.said}); going on with these.")
            return
        if name not in CAN_DO_WITHOUT:
            raise UserError(
                f"the server gives no {name} ({refusal.said})",
                value=self.name,
                fix="Use a method that samples its answers, or declare the server's powers: ?powers=chat",
            )
        self.refused |= {name}
        instead = {
            "response_format": "JSON is requested in words and validated here",
            "stop": "stop sequences are applied here",
            "max_tokens": "max_completion_tokens is sent instead",
            "max_completion_tokens": "max_tokens is sent instead",
        }.get(name, "the server's own value holds")
        notice(
            f"{self.name} rejects {name} ({refusal.said}); continuing without it: {instead}.",
            about=self.name + name,
        )

    def _cut_at_stops(self, request: Request, reply: Reply) -> Reply:
        """The answer up to a stop that the server was not told of."""
        if not self.refused & {"stop", "stop_sequences"}:
            return reply
        text = reply.answer.text
        ends = [text.find(stop) for stop in request.stop if stop and stop in text]
        return replace(reply, answer=replace(reply.answer, text=text[: min(ends)], finish="stop")) if ends else reply

    def _connected(self) -> Any:
        """The client, made on the background loop at first use; a forked process makes its own."""
        if self._client is None or self._client[0] != os.getpid():
            key = self.spec.key()
            self._secret = Secret(key)
            client = self.connect(key)
            weakref.finalize(self, _close, client, os.getpid())
            self._client = (os.getpid(), client)
        return self._client[1]

    def _translated(self, error: Any, sent: Mapping[str, Any]) -> Exception:
        """What an HTTP status means for this request, or for all. Complaints about keys are not quoted."""
        status, body = error.status_code, getattr(error, "body", None)
        if isinstance(body, list) and body:  # Gemini's form
            body = body[0].get("error", body[0]) if isinstance(body[0], dict) else None
        said = self._said(_words_of(body) or str(error.message))
        code, parameter = getattr(error, "code", None), getattr(error, "param", None)
        if status == 403 and FLAGGED.search(said):  # some servers refuse single texts this way
            return RequestRefused(f"{said} (HTTP {status})")
        if status in (401, 403):
            where = f"the key in {self.spec.key_variable}" if self.spec.key_variable else "a request without a key"
            return UserError(f"the server does not accept {where} (HTTP {status})", value=self.name,
                             fix="Check the key, or name its variable in the spec: ?key_variable=NAME")  # fmt: skip
        names = {name for name in (*sent, *sent.get("extra_body", {})) if name != "extra_body"}
        whole = {"error": {"param": parameter}, **(body if isinstance(body, dict) else {})}
        if (refused := refused_parameter(status, said, whole, names)) is not None:
            return ParameterRefused(refused, said)
        if status == 404 or code == "model_not_found":
            return UnknownModel(f"the server knows no such model or address ({said})", value=self.name,
                                fix="Check the spec; an OpenAI-compatible server lists its models under "
                                    "/v1/models")  # fmt: skip
        if status == 402 or code == "insufficient_quota":
            return UserError(f"the account has no credit left ({said})", value=self.name)
        if 300 <= status < 400:
            there = self._said(error.response.headers.get("location", "elsewhere"))
            return UserError(f"the server redirects requests to {there} (HTTP {status})", value=self.name,
                             fix="If that is right, use that address in the spec")  # fmt: skip
        if code in UNSUPPORTED and parameter:
            return UserError(f"the model does not accept {parameter} ({said})", value=self.name,
                             fix=f"Leave it out: add ?omit={parameter} to the spec")  # fmt: skip
        if status in REFUSED:
            return RequestRefused(f"{said} (HTTP {status})")
        why = f"HTTP {status}: {said}" if said else f"HTTP {status}"
        return ServerFault(why, retry_after=_retry_after(error.response.headers))

    def _said(self, text: str) -> str:
        """What a server says, on one line, without the key, and not too much of it."""
        return _cut(" ".join(neutral(self._secret.hide(clean(text[:10_000]))).split()))


def media_type(image: bytes) -> str:
    """The media type of an image by its first bytes; `UserError` for anything but PNG and JPEG."""
    if image.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if image.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    raise UserError("unsupported image", value=image[:8], allowed="the bytes of a PNG or JPEG file")


def in_base64(image: bytes) -> str:
    return base64.b64encode(image).decode()


_NUMBER = re.compile(r"[+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?", re.ASCII)
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h))+", re.ASCII)
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the server asks to wait, which it gives as a number, a duration (1m30s) or a date; None for none."""
    if _NUMBER.fullmatch(milliseconds := headers.get("retry-after-ms", "").strip()):
        return _bounded(float(milliseconds) / 1000)
    said = headers.get("retry-after", "").strip()
    if _NUMBER.fullmatch(said):
        return _bounded(float(said))
    if _DURATION.fullmatch(said):
        return _bounded(sum(float(n) * _SECONDS[unit] for n, unit in re.findall(r"([\d.]+)(ms|s|m|h)", said)))
    try:
        return _bounded(parsedate_to_datetime(said).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError, IndexError, OSError):
        return None


def _bounded(seconds: float) -> float | None:
    return max(seconds, 0.0) if math.isfinite(seconds) else None


def _complaint_of(body: Any, content: bytes) -> str:
    """What came in place of an answer with HTTP 200: an error, as OpenRouter sends it, or text that is no JSON."""
    if isinstance(body, dict):
        return _words_of(body) if body.keys() & {"error", "detail", "message", "msg"} else ""
    text = content[:60].decode("utf-8", "replace").strip()
    return f"it begins with {text!r}" if body is None and text else ""


def _words_of(body: Any) -> str:
    """What an error's body says, wherever it stands there; pages of HTML say nothing."""
    if isinstance(body, str):
        return "" if "<html" in body[:1000].lower() else body
    if isinstance(body, dict):
        inner = body.get("error", body)
        if isinstance(inner, str):
            return inner
        for key in ("message", "msg", "detail", "error_message"):
            found = inner.get(key) if isinstance(inner, dict) else None
            if found:
                further = inner.get("metadata")  # what the provider behind OpenRouter says
                raw = f": {further['raw']}" if isinstance(further, dict) and further.get("raw") else ""
                return (found if isinstance(found, str) else json.dumps(found)) + raw
        return json.dumps(body) if body else ""
    return ""


def _close(client: Any, process: int) -> None:
    if process == os.getpid():  # a forked process leaves its parent's connections alone
        start_on_loop(client.close())


def _cut(text: str, length: int = 300) -> str:
    return text if len(text) <= length else text[: length - 3] + "..."
