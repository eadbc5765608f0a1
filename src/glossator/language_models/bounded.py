"""Reading a server's reply with a size limit, while streaming and while decompressing.

A server may be broken or hostile: a reply that should be a phrase may be gigabytes, or a few kilobytes that decompress
to gigabytes.
"""

from __future__ import annotations

import contextvars
import zlib
from typing import Any

from glossator.language_models.request import Request

FREE = 1 << 20
"""Bytes that any answer may have, whatever was asked."""
OF_A_TOKEN = 512
"""Bytes of JSON that one token of an answer, or one alternative to it, may have."""
MOST = 1 << 30

limit: contextvars.ContextVar[int] = contextvars.ContextVar("limit", default=64 << 20)


class TooLarge(Exception):
    """The server sent more than an answer to this request can have."""

    def __init__(self, most: int):
        super().__init__(f"the answer is larger than {most / 2**20:.0f} MiB, which no answer to this request can be")


def most_bytes(request: Request) -> int:
    """What an answer to this request can have, amply: tokens with their alternatives, the prompt repeated."""
    texts = [m.content for m in request.messages] if request.prompt is None else [request.prompt]
    prompt = sum(len(text.encode("utf-8", "replace")) for text in texts)
    answer = request.max_tokens * OF_A_TOKEN * (1 + request.logprobs)
    repeated = prompt * (8 + OF_A_TOKEN // 4 * (1 + request.prompt_logprobs if request.prompt_logprobs else 0))
    return min(FREE + answer + repeated, MOST)


def bounded_client(base: type[Any], **settings: Any) -> Any:
    """A client of this kind, one of the official packages' own, that reads whole responses with the bound in `limit`,
    and follows no redirection: a key goes nowhere else than it was sent."""

    class Bounded(base):
        async def send(self, request: Any, *, stream: bool = False, **options: Any) -> Any:
            options["follow_redirects"] = False
            response = await super().send(request, stream=True, **options)
            try:
                content = await _read(response, limit.get())
            finally:
                await response.aclose()
            headers = [
                (name, value)
                for name, value in response.headers.multi_items()
                if name.lower() not in ("content-encoding", "content-length", "transfer-encoding")
            ]
            return type(response)(response.status_code, headers=headers, content=content, request=response.request)

    return Bounded(headers={"Accept-Encoding": "gzip, identity"}, **settings)


async def _read(response: Any, most: int) -> bytes:
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    unpack = {"gzip": zlib.MAX_WBITS | 16, "x-gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}.get(encoding)
    if unpack is None and encoding not in ("", "identity"):
        raise zlib.error(f"the server uses an unrequested compression ({encoding[:20]})")
    packer = None if unpack is None else zlib.decompressobj(unpack)
    found = bytearray()
    async for chunk in response.aiter_raw():
        found += chunk if packer is None else packer.decompress(chunk, most + 1 - len(found))
        if len(found) > most or (packer is not None and packer.unconsumed_tail):
            raise TooLarge(most)
    return bytes(found)
