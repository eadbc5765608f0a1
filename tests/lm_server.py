"""A real HTTP server that speaks OpenAI's protocol, and Anthropic's, over any language model, and misbehaves on demand.

    with serve(Scripted(lambda request: "yes")) as server:
        model = open_language_model(server.spec())

Faults are given by the number of the request, 1 for the first: `serve(model, faults={1: "429", 3: "reset"})`, as a
function from that number to a fault or None, or later by `server.faults = ...`. `server.bodies` and `server.headers`
hold what was received. `serve(...).stop()` takes the server down; the address stays refused.
"""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from glossator.errors import UserError
from glossator.language_models import JSON_SCHEMA, Answer, LanguageModel, Message, Request, TokenLogprob

FAULTS = (
    "429",  # with Retry-After: retry_after
    "429-bare",  # without
    "500",
    "503",
    "400",
    "401",
    "404",
    "timeout",  # silence for `silence` seconds, then the connection is closed
    "reset",  # the connection is reset before any answer
    "half",  # half of the body
    "garbage",  # HTTP 200 with a body that is not JSON
    "shapeless",  # HTTP 200 with JSON that is no completion
    "complaint",  # HTTP 200 with an error in the body
    "html",  # HTTP 502 with a page
    "refusal",
    "schema",  # JSON that fits no schema
    "empty",
)
Faults = Mapping[int, str] | Callable[[int], str | None] | None


class LMServer:
    """The running server. `url` ends with /v1; `most_at_once` is the largest number of requests it had at a time."""

    def __init__(self, model: LanguageModel, faults: Faults = None, *, model_name: str = "served",
                 retry_after: str = "0.05", silence: float = 1.0, delay: float = 0.0,
                 no_usage: bool = False):  # fmt: skip
        self.model, self.faults, self.model_name = model, faults, model_name
        self.retry_after, self.silence, self.delay, self.no_usage = retry_after, silence, delay, no_usage
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.times: list[float] = []
        self.most_at_once = 0
        self._at_once = 0
        self._lock, self._one_model = threading.Lock(), threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.owner = self
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/v1"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def spec(self, options: str = "") -> str:
        """For `open_language_model`; options such as `kind=vllm` or `powers=chat,logprobs`."""
        return self.url + (f"?{options}" if options else "") + f"#{self.model_name}"

    @property
    def calls(self) -> int:
        return len(self.bodies)

    def stop(self) -> None:
        if self._thread.is_alive():
            self._server.shutdown()
            self._server.server_close()
            self._server.hang_up()
            self._thread.join()

    def receive(self, body: dict[str, Any], headers: dict[str, str]) -> str | None:
        """Note a request and say what shall go wrong with it."""
        with self._lock:
            self.bodies.append(body)
            self.headers.append(headers)
            self.times.append(time.monotonic())
            number = len(self.bodies)
        if self.faults is None:
            return None
        return self.faults(number) if callable(self.faults) else self.faults.get(number)

    @contextlib.contextmanager
    def counted(self) -> Iterator[None]:
        with self._lock:
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            time.sleep(self.delay)
            yield
        finally:
            with self._lock:
                self._at_once -= 1

    def answer(self, request: Request) -> Answer:
        say = getattr(self.model, "say", None)  # a script's words as they stand: checking them is the client's work
        with self._one_model:
            return say(request) if say else self.model.ask([request])[0]


@contextlib.contextmanager
def serve(model: LanguageModel, faults: Faults = None, **settings: Any) -> Iterator[LMServer]:
    """Run a server for the length of the block; settings: those of `LMServer`."""
    server = LMServer(model, faults, **settings)
    try:
        yield server
    finally:
        server.stop()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    owner: LMServer

    def __init__(self, *arguments: Any):
        super().__init__(*arguments)
        self.lines: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self.lines.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.lines.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """End the connections that clients keep open: a server that is down answers nobody."""
        for line in list(self.lines):
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_: Any) -> None:
        pass

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def do_GET(self) -> None:
        model = {"id": self.server.owner.model_name, "object": "model", "created": 0, "owned_by": "tests"}
        self._send(200, {"object": "list", "data": [model]} if self.path.endswith("/models") else model)

    def do_POST(self) -> None:
        owner = self.server.owner
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with owner.counted():
            fault = owner.receive(body, {name.lower(): value for name, value in self.headers.items()})
            if fault is not None and self._misbehaves(fault):
                return
            try:
                read, write = _protocol(self.path)
                request = read(body)
                if JSON_SCHEMA not in owner.model.powers:
                    request = _without_schema(request)
                answer = _answer_of(fault) or owner.answer(request)
            except UserError as error:
                self._send(400, {"error": {"message": str(error), "type": "invalid_request_error"}})
                return
        if answer.finish == "error":
            self._send(400, {"error": {"message": answer.failure, "type": "invalid_request_error"}})
            return
        made = {"id": "1", "created": 0, "model": owner.model_name, **write(request, answer, body)}
        if owner.no_usage:
            del made["usage"]
        self._send(200, made, half=fault == "half")

    def _misbehaves(self, fault: str) -> bool:
        owner = self.server.owner
        assert fault in FAULTS, fault
        if fault in ("429", "429-bare"):
            wait = {"Retry-After": owner.retry_after} if fault == "429" else {}
            self._send(429, {"error": {"message": "slow down", "type": "rate_limit"}}, wait)
        elif fault.isdigit():
            echoed = self.headers.get("Authorization", "")  # some servers repeat the key in their complaints
            self._send(int(fault), {"error": {"message": f"fault {fault} {echoed}", "type": "fault"}})
        elif fault == "timeout":
            time.sleep(owner.silence)
            self.close_connection = True
        elif fault == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True
        elif fault == "garbage":
            self._send(200, None, raw=b'{"choices": [{"mess')
        elif fault == "shapeless":
            self._send(200, {"choices": "none"})
        elif fault == "complaint":
            self._send(200, {"error": {"code": 502, "message": "no provider is left"}})
        elif fault == "html":
            self._send(502, None, raw=b"<html>bad gateway</html>")
        else:
            return False
        return True

    def _send(self, status: int, body: Any, headers: Mapping[str, str] = {}, *, raw: bytes | None = None,
              half: bool = False) -> None:  # fmt: skip
        data = json.dumps(body).encode() if raw is None else raw
        self.send_response(status)
        self.send_header("Content-Type", "application/json" if raw is None or status == 200 else "text/html")
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if half else data)
        if half:
            self.close_connection = True


def _answer_of(fault: str | None) -> Answer | None:
    return {
        "refusal": Answer("I will not answer that.", finish="refusal"),
        "schema": Answer('{"unasked": [true]}'),
        "empty": Answer(""),
    }.get(fault or "")


def _protocol(path: str) -> tuple[Callable[..., Request], Callable[..., dict[str, Any]]]:
    if path.endswith("/chat/completions"):
        return _chat_request, _chat_body
    if path.endswith("/v1/messages"):
        return _anthropic_request, _anthropic_body
    return _completion_request, _completion_body


def _anthropic_request(body: dict[str, Any]) -> Request:
    system = (Message("system", body["system"]),) if "system" in body else ()
    schema = ((body.get("output_config") or {}).get("format") or {}).get("schema")
    turns = tuple(_message(m) for m in body["messages"])
    stop = tuple(body.get("stop_sequences", ()))
    return Request((*system, *turns), max_tokens=body["max_tokens"], schema=schema, stop=stop)


def _anthropic_body(request: Request, answer: Answer, body: dict[str, Any]) -> dict[str, Any]:
    reason = {"stop": "end_turn", "length": "max_tokens"}.get(answer.finish, answer.finish)
    usage = {"input_tokens": answer.usage.prompt_tokens, "output_tokens": answer.usage.completion_tokens}
    content = [{"type": "thinking", "thinking": "hm", "signature": ""}, {"type": "text", "text": answer.text}]
    return {"type": "message", "role": "assistant", "content": content, "stop_reason": reason, "usage": usage}


def _chat_request(body: dict[str, Any]) -> Request:
    schema = ((body.get("response_format") or {}).get("json_schema") or {}).get("schema")
    return Request(
        messages=tuple(_message(m) for m in body["messages"]),
        max_tokens=body.get("max_completion_tokens") or body.get("max_tokens") or 256,
        schema=schema,
        logprobs=body.get("top_logprobs", 0) if body.get("logprobs") else 0,
        prompt_logprobs=body.get("prompt_logprobs", 0),
        **_sampling(body),
    )


def _completion_request(body: dict[str, Any]) -> Request:
    schema = ((body.get("response_format") or {}).get("json_schema") or {}).get("schema")
    logprobs = body.get("logprobs") or 0
    return Request(
        prompt=body["prompt"],
        max_tokens=body.get("max_tokens", 16),
        schema=schema,
        logprobs=logprobs,
        prompt_logprobs=body.get("prompt_logprobs") or (logprobs if body.get("echo") else 0),
        **_sampling(body),
    )


def _sampling(body: dict[str, Any]) -> dict[str, Any]:
    return {
        "temperature": body.get("temperature", 1.0),
        "top_p": body.get("top_p", 1.0),
        "stop": tuple(body.get("stop") or ()),
        "sample": body.get("seed") or 0,
    }


def _without_schema(request: Request) -> Request:
    return replace(request, schema=None)


def _message(message: dict[str, Any]) -> Message:
    content = message["content"]
    if isinstance(content, str):
        return Message(message["role"], content)
    text = "".join(part["text"] for part in content if part["type"] == "text")
    data = [part["image_url"]["url"].partition(",")[2] for part in content if part["type"] == "image_url"]
    data += [part["source"]["data"] for part in content if part["type"] == "image"]  # Anthropic's form
    return Message(message["role"], text, tuple(base64.b64decode(picture) for picture in data))


def _chat_body(request: Request, answer: Answer, body: dict[str, Any]) -> dict[str, Any]:
    refused = answer.finish == "refusal"
    message = {
        "role": "assistant",
        "content": None if refused else answer.text,
        "refusal": answer.text if refused else None,
    }
    choice: dict[str, Any] = {
        "index": 0,
        "message": message,
        "finish_reason": "stop" if refused else answer.finish,
        "logprobs": {"content": [_chat_token(t) for t in answer.tokens]} if request.logprobs else None,
    }
    made = {"object": "chat.completion", "choices": [choice], "usage": _usage(answer)}
    if body.get("prompt_logprobs"):
        made["prompt_logprobs"], made["prompt_token_ids"] = _vllm_tables(answer)
    return made


def _completion_body(request: Request, answer: Answer, body: dict[str, Any]) -> dict[str, Any]:
    choice: dict[str, Any] = {"index": 0, "text": answer.text, "finish_reason": answer.finish, "logprobs": None}
    tokens = list(answer.tokens) if request.logprobs else []
    if body.get("echo"):
        choice["text"] = (request.prompt or "") + answer.text
        tokens = [*answer.prompt_tokens, *tokens]
    if tokens:
        starts = [sum(len(t.text) for t in tokens[:i]) for i in range(len(tokens))]
        choice["logprobs"] = {
            "tokens": [t.text for t in tokens],
            "token_logprobs": [t.logprob for t in tokens],
            "top_logprobs": [dict(t.top) or None for t in tokens],
            "text_offset": starts if body.get("echo") else [len(request.prompt or "") + start for start in starts],
        }
    if body.get("prompt_logprobs"):
        choice["prompt_logprobs"], choice["prompt_token_ids"] = _vllm_tables(answer)
    return {"object": "text_completion", "choices": [choice], "usage": _usage(answer)}


def _chat_token(token: TokenLogprob) -> dict[str, Any]:
    top = [{"token": text, "logprob": value, "bytes": None} for text, value in token.top.items()]
    return {"token": token.text, "logprob": token.logprob, "bytes": None, "top_logprobs": top}


def _vllm_tables(answer: Answer) -> tuple[list[dict[str, Any] | None], list[int]]:
    """As vLLM gives them: by token id, the token itself first. Ids are made up, one for each spelling."""
    ids: dict[str, int] = {}
    tables: list[dict[str, Any] | None] = []
    for token in answer.prompt_tokens:
        ids.setdefault(token.text, len(ids))
        if token.logprob is None:
            tables.append(None)
            continue
        table = {}
        for rank, (text, value) in enumerate({token.text: token.logprob, **token.top}.items(), start=1):
            table[str(ids.setdefault(text, len(ids)))] = {"logprob": value, "rank": rank, "decoded_token": text}
        tables.append(table)
    return tables, [ids[token.text] for token in answer.prompt_tokens]


def _usage(answer: Answer) -> dict[str, int]:
    prompt, completion = answer.usage.prompt_tokens, answer.usage.completion_tokens
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
