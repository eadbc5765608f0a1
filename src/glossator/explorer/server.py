"""`glossator serve`: the pages and their JSON API over HTTP, for a person at this machine.

It answers nobody else: it listens on the loopback address, refuses other host names (so that no page of another site
reaches it through a name of its own), lets no other page send anything, and needs a token where it listens elsewhere.
Files are never read by a path from a request.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import html
import json
import re
import sys
import traceback
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import lru_cache
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from glossator.errors import UserError
from glossator.explorer.api import ENDPOINTS, Endpoint, Problem, openapi
from glossator.explorer.bundle import script, served_page, style
from glossator.explorer.library import Library, NoSuchStudy
from glossator.explorer.opened import Annotated, StudyListed
from glossator.explorer.pages.parts import adapter, to_json
from glossator.explorer.pages.tasks import Asking

THREADS = 8
LARGEST_BODY = 256 << 10
COMPRESSION = 4
"""Of answers, which seldom go far."""
COOKIE = "glossator"
TOKEN = re.compile(r"[A-Za-z0-9._~-]{8,}")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine alone."""
    with contextlib.suppress(ValueError):
        return ip_address(host.strip("[]")).is_loopback
    return host == "localhost"


def app(
    folders: Sequence[Path],
    *,
    host: str = "127.0.0.1",
    token: str | None = None,
    annotated: Annotated = lambda study: None,
    asking: Asking | None = None,
) -> Starlette:
    """The application.

    token: what a request must know, None where it is reached from this machine alone; annotated: what annotators
    answered about a study; asking: who asks them, None for nobody. Raises `UserError` for a token that protects
    nothing, and for none where others reach the server.
    """
    if token is None and not is_loopback(host):
        raise UserError("this address can be reached from other machines", value=host, fix="Give a token")
    if token is not None and not TOKEN.fullmatch(token):
        raise UserError(
            "bad token", allowed="8 or more letters, digits and . _ ~ -", fix="Leave --token out for a new one"
        )
    library = Library(folders, annotated, asking)
    threads = ThreadPoolExecutor(THREADS, "glossator")  # each of which keeps its connections
    routes = [Route(e.path, _answering(e, library, threads), methods=[e.method]) for e in ENDPOINTS]
    fixed: dict[str, tuple[Callable[[], str], str]] = {
        "/app.js": (script, "text/javascript; charset=utf-8"),
        "/app.css": (style, "text/css; charset=utf-8"),
        "/api/openapi.json": (described, "application/json"),
        "/api/docs": (docs_page, "text/html; charset=utf-8"),
    }
    routes += [Route("/", _first(library, threads))]
    routes += [Route(path, _fixed(make, kind)) for path, (make, kind) in fixed.items()]

    guard = Middleware(Guard, host=host, token=token)
    return Starlette(routes=routes, middleware=[guard, Middleware(GZipMiddleware, compresslevel=COMPRESSION)])


class Guard:
    """Lets through what may be asked, and puts `HEADERS` on every answer."""

    def __init__(self, app: Any, host: str, token: str | None):
        self.app, self.host, self.token = app, host, token

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request, size = Request(scope), 0

        async def counted() -> dict[str, Any]:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > LARGEST_BODY:
                raise _TooLarge
            return message

        async def with_headers(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                own = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message = {**message, "headers": [*message.get("headers", []), *own]}
            await send(message)

        refused = self.refusal(request)
        if refused is not None:
            await refused(scope, receive, with_headers)  # type: ignore[arg-type]
            return
        await self.app(scope, counted, with_headers)

    def refusal(self, request: Request) -> Response | None:
        """Why a request is not answered, as an answer; None where it is."""
        try:
            named = urlsplit(f"//{request.headers.get('host', '')}").hostname
        except ValueError:
            named = None
        if is_loopback(self.host) and not is_loopback(named or ""):
            return _problem(403, "this server answers to 127.0.0.1 and localhost alone")
        origin = request.headers.get("origin")
        foreign = origin is not None and origin != f"{request.url.scheme}://{request.headers.get('host', '')}"
        foreign = foreign or request.headers.get("sec-fetch-site") in ("cross-site", "same-site")
        followed = request.method == "GET" and request.headers.get("sec-fetch-mode") == "navigate"
        if foreign and not followed:  # a link to a page may be followed
            return _problem(403, "another page may not ask this server")
        with contextlib.suppress(ValueError):
            if int(request.headers.get("content-length", "0")) > LARGEST_BODY:
                return _problem(413, f"the body is larger than {LARGEST_BODY} bytes")
        return None if self.token is None else self._without_token(request)

    def _without_token(self, request: Request) -> Response | None:
        assert self.token is not None
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        for one in (given, request.cookies.get(COOKIE, "")):
            if hmac.compare_digest(one.encode("utf-8", "replace"), self.token.encode()):
                return None
        asked = request.query_params.get("token", "")
        if hmac.compare_digest(asked.encode("utf-8", "replace"), self.token.encode()):
            answer = RedirectResponse("/", 303)
            answer.set_cookie(COOKIE, self.token, httponly=True, samesite="strict")
            return answer
        return _problem(403, "this server needs its token; open the address that it printed when it started")


class _TooLarge(Exception):
    pass


def _problem(code: int, error: str) -> Response:
    return Response(to_json(Problem(error)), code, media_type="application/json")


def _fixed(make: Callable[[], str], kind: str) -> Callable[[Request], Awaitable[Response]]:
    async def answer(_: Request) -> Response:
        return Response(make(), media_type=kind)

    return answer


def _first(library: Library, threads: Executor) -> Callable[[Request], Awaitable[Response]]:
    """The page itself. A study that cannot be read now is told of when the page asks."""

    def make() -> str:
        try:
            return served_page(to_json(library.listed(), list[StudyListed]).decode())
        except UserError:
            return served_page()

    async def answer(_: Request) -> Response:
        found = await asyncio.get_running_loop().run_in_executor(threads, make)
        return Response(found, media_type="text/html; charset=utf-8")

    return answer


def _answering(endpoint: Endpoint, library: Library, threads: Executor) -> Callable[[Request], Awaitable[Response]]:
    """The route of an endpoint: parameters are checked, the work is done in a thread, mistakes are told."""
    from pydantic import ValidationError

    def work(study: str, given: Any) -> bytes:
        return to_json(endpoint.do(library, study, given), endpoint.answer)

    async def answer(request: Request) -> Response:
        try:
            if endpoint.method == "POST":
                if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
                    return _problem(400, "the body must be JSON (content-type: application/json)")
                given = adapter(endpoint.given).validate_json(await request.body(), strict=True)
            else:
                asked = {name: value for name, value in request.query_params.items() if value != ""}
                unknown = sorted(set(asked) - set(endpoint.given.__dataclass_fields__))  # type: ignore[attr-defined]
                if unknown:
                    return _problem(400, f"no such parameter: {unknown[0]!r:.80}")
                given = adapter(endpoint.given).validate_python(asked)
            study = request.path_params.get("study", "")
            found = await asyncio.get_running_loop().run_in_executor(threads, work, study, given)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False)[0]
            where = ".".join(map(str, first["loc"])) or "the request"
            return _problem(400, f"{where}: {first['msg']}")
        except _TooLarge:
            return _problem(413, f"the body is larger than {LARGEST_BODY} bytes")
        except UserError as error:
            missing = isinstance(error, NoSuchStudy) or any(
                f"no such {it}" in error.what for it in ("unit", "experiment")
            )
            busy = "cannot be read now" in error.what or "another process" in error.what
            return _problem(404 if missing else 503 if busy else 400, str(error))
        except asyncio.CancelledError:
            return _problem(503, "the server was stopped")
        except Exception:
            traceback.print_exc(file=sys.stderr)
            return _problem(500, "this is a mistake in glossator; the server's terminal says where")
        return Response(found, media_type="application/json")

    return answer


@lru_cache
def described() -> str:
    """The API as JSON; made when it is first asked for, as it takes a while."""
    return json.dumps(openapi())


def docs_page() -> str:
    """The API for people: every endpoint with its parameters, without a script."""
    rows = []
    for path, methods in openapi()["paths"].items():
        for method, own in methods.items():
            names = [one["name"] + ("" if one["required"] else " (optional)") for one in own["parameters"]]
            if "requestBody" in own:
                schema = own["requestBody"]["content"]["application/json"]["schema"]
                names.append(f"JSON: {json.dumps(schema)}")
            given = "".join(f"<li><code>{html.escape(name)}</code></li>" for name in names)
            rows.append(
                f"<section class=card><h2><code>{method.upper()} {html.escape(path)}</code></h2>"
                f"<p>{html.escape(own['summary'])}</p><ul>{given}</ul></section>"
            )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>API – Glossator</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="stylesheet" href="../app.css">'
        '<link rel="icon" href="data:,">'
        '</head><body><main class="stack"><h1>API</h1><p>All answers are JSON; schemas are in <a href="openapi.json">'
        f'openapi.json</a>. <a href="../">Back to the pages</a></p>{"".join(rows)}</main></body></html>'
    )


def serve(
    folders: Sequence[Path],
    *,
    host: str = "127.0.0.1",
    port: int = 8800,
    token: str | None = None,
    annotated: Annotated = lambda study: None,
    asking: Asking | None = None,
    ready: Callable[[str], Any] = lambda address: None,
) -> None:
    """Serve studies until it is interrupted; ready: is told the address once it listens. Raises `UserError` for an
    address that cannot be listened at, and for a study that cannot be opened."""
    import socket

    import uvicorn

    application = app(folders, host=host, token=token, annotated=annotated, asking=asking)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host.strip("[]"), port))
        listening.listen(128)  # from here on a browser may ask
    except (OSError, OverflowError) as error:
        listening.close()
        raise UserError("cannot listen there", value=f"{host}:{port}", fix=f"{error}; choose another --port") from error
    with listening:
        named = f"[{host}]" if ":" in host and "[" not in host else host
        ready(f"http://{named}:{listening.getsockname()[1]}/" + (f"?token={token}" if token else ""))
        config = uvicorn.Config(application, log_level="warning", server_header=False, timeout_graceful_shutdown=2)
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(uvicorn.Server(config).serve([listening]))
