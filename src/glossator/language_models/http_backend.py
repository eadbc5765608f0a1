"""What the official clients of OpenAI and Anthropic have in common: one attempt at a time, errors told apart, no key
let out.

The clients' own retries are off (`glossator.language_models.endpoint` counts every attempt against the budget), and
answers are read as JSON here, because what a server sends need not be what the client's types promise.
"""

from __future__ import annotations

import abc
import asyncio
import base64
import importlib
import json
import os
import re
import time
import weakref
from collections.abc import Awaitable
from email.utils import parsedate_to_datetime
from types import ModuleType
from typing import Any

from glossator.errors import UserError
from glossator.language_models import background
from glossator.language_models.endpoint import Reply
from glossator.language_models.faults import RequestRefused, ServerFault
from glossator.language_models.json_answers import clean
from glossator.language_models.request import Request
from glossator.language_models.specs import ModelSpec

REFUSED = frozenset({400, 413, 415, 422})  # this request cannot be answered; another may be
FLAGGED = re.compile(r"\b(moderation|flagged)\b", re.IGNORECASE)
UNSUPPORTED = ("unsupported_parameter", "unsupported_value")


class HttpBackend(abc.ABC):
    """One model of one server; see `glossator.language_models.specs` for what can be set."""

    package = ""  # of the official client

    def __init__(self, spec: ModelSpec, *, concurrency: int | None = None, timeout: float | None = None):
        self.spec, self.name, self.powers, self.url = spec, spec.name, spec.powers, spec.url
        self.concurrency = spec.concurrency if concurrency is None else concurrency
        self.timeout = spec.timeout if timeout is None else timeout
        self._client: tuple[int, Any] | None = None
        self._key: str | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    def ready(self) -> None:
        """Raise `UserError` when nothing can be sent."""
        self.spec.key()
        if self._client is None:
            self.library()

    def library(self) -> ModuleType:
        """The official client's package, imported when something is really sent."""
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
        """What parsed JSON says; anything unexpected may raise KeyError, TypeError, ValueError and the like."""

    async def send(self, request: Request) -> Reply:
        """One attempt. Raises `ServerFault`, `RequestRefused`, or `UserError` for what fails every request."""
        library, client = self.library(), self._connected()
        content: bytes = b""
        problem: Exception | None = None  # raised below, where the client's error, which may quote the key, is gone
        try:
            async with asyncio.timeout(self.timeout):
                content = (await self.call(client, request)).http_response.content
        except library.APIStatusError as error:
            problem = self._translated(error)
        except (library.APITimeoutError, TimeoutError):
            problem = ServerFault(f"no answer in {self.timeout:g} seconds", perhaps_billed=True)
        except library.APIConnectionError as error:
            cause = type(error.__cause__).__name__
            never = cause in ("ConnectError", "ConnectTimeout")
            problem = ServerFault(f"the connection failed ({cause})", perhaps_billed=not never, never_reached=never)
        except UnicodeError:
            problem = RequestRefused("the text cannot be written as UTF-8")
        if problem is not None:
            raise problem
        body: Any = None
        try:
            body = json.loads(self._without_key(content.decode("utf-8")))
            return self.read(request, body)
        except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
            why = _complaint(body) or type(error).__name__
            raise ServerFault(f"the server sent something else than an answer ({why})", perhaps_billed=True) from None

    def _connected(self) -> Any:
        """The client, made on the background loop at first use; a forked process makes its own."""
        if self._client is None or self._client[0] != os.getpid():
            self._key = self.spec.key()
            client = self.connect(self._key)
            weakref.finalize(self, _close, client, os.getpid())
            self._client = (os.getpid(), client)
        return self._client[1]

    def _translated(self, error: Any) -> Exception:
        """What an HTTP status means for this request, or for all. Complaints about keys are not quoted."""
        status, said = error.status_code, _cut(self._without_key(str(error.message)))
        code, parameter = getattr(error, "code", None), getattr(error, "param", None)
        if status == 403 and FLAGGED.search(said):  # some servers refuse single texts this way
            return RequestRefused(f"{said} (HTTP {status})")
        if status in (401, 403):
            where = f"the key in {self.spec.key_variable}" if self.spec.key_variable else "a request without a key"
            return UserError(f"the server does not accept {where} (HTTP {status})", value=self.name,
                             fix="Check the key, or name its variable in the spec: ?key_variable=NAME")  # fmt: skip
        if status == 404:
            return UserError(f"the server knows no such model or address ({said})", value=self.name,
                             fix="Check the spec; an OpenAI-compatible server lists its models under "
                                 "/v1/models")  # fmt: skip
        if status == 402 or code == "insufficient_quota":
            return UserError(f"the account has no credit left ({said})", value=self.name)
        if code in UNSUPPORTED and parameter:
            return UserError(f"the model does not take {parameter} ({said})", value=self.name,
                             fix=f"Leave it out: add ?omit={parameter} to the spec")  # fmt: skip
        if status in REFUSED:
            return RequestRefused(f"{said} (HTTP {status})")
        return ServerFault(f"HTTP {status}", retry_after=_retry_after(error.response.headers.get("retry-after")))

    def _without_key(self, text: str) -> str:
        """Some servers repeat the key in what they say."""
        return text.replace(self._key, "[key]") if self._key else text


def media_type(image: bytes) -> str:
    """By the first bytes of the file; `UserError` for anything but PNG and JPEG."""
    if image.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if image.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    raise UserError("not an image that models take", value=image[:8], allowed="the bytes of a PNG or JPEG file")


def in_base64(image: bytes) -> str:
    return base64.b64encode(image).decode()


def _retry_after(header: str | None) -> float | None:
    """Seconds that the server asks to wait, which it gives as a number or as a date."""
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(header).timestamp() - time.time()
        except ValueError:
            return None
    return max(seconds, 0.0) if seconds == seconds and seconds != float("inf") else None


def _complaint(body: Any) -> str | None:
    """What a server complains of in a body that came with HTTP 200, as OpenRouter's does."""
    complaint = body.get("error") if isinstance(body, dict) else None
    said = complaint.get("message") if isinstance(complaint, dict) else complaint
    return _cut(clean(said)) if isinstance(said, str) and said.strip() else None


def _close(client: Any, process: int) -> None:
    if process == os.getpid():  # a forked process leaves its parent's connections alone
        background.start(client.close())


def _cut(text: str, length: int = 300) -> str:
    return text if len(text) <= length else text[: length - 3] + "..."
