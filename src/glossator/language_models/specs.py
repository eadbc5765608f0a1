"""One-line names of language models: `openai:MODEL`, `http://HOST:PORT/v1#MODEL`, with options after `?`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qsl, urlsplit

from glossator.errors import UserError, near_matches
from glossator.language_models.powers import DECLARED, parse_powers

OPENAI_URL = "https://api.openai.com/v1"
ANTHROPIC_URL = "https://api.anthropic.com"
FORMS = (
    "openai:MODEL, anthropic:MODEL, http://HOST:PORT/v1#MODEL (any OpenAI-compatible server), inprocess:MODEL "
    "(an alias, a folder or a hub id), scripted:package.module:object"
)
OPTIONS = ("kind", "powers", "omit", "effort", "thinking", "concurrency", "timeout", "key_variable")
CHANGE_ANSWERS = ("effort", "omit", "thinking")
KEY_VARIABLES = {"openai": "OPENAI_API_KEY", "anthropic": "ANTHROPIC_API_KEY", "openrouter": "OPENROUTER_API_KEY"}
DEFAULT_CONCURRENCY = 16


@dataclass(frozen=True)
class ModelSpec:
    """A parsed spec. form: openai, anthropic, http, inprocess or scripted; kind: a key of `powers.DECLARED`.

    omit: parameters never sent (a model may refuse `temperature`); effort: how long a reasoning model may think
    (low, medium, high); thinking: `disabled` or `adaptive`, for Anthropic; concurrency: requests at a time, None for
    the default; timeout: seconds for one attempt; key_variable: the environment variable that holds the key, None when
    the endpoint takes none. A spec never holds a key.
    """

    form: str
    model: str
    kind: str = ""
    url: str = ""
    powers: frozenset[str] = frozenset()
    omit: frozenset[str] = frozenset()
    effort: str | None = None
    thinking: str | None = None
    concurrency: int | None = None
    timeout: float = 300.0
    key_variable: str | None = None
    options: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """The name in provenance and cache keys, without what does not change answers."""
        base = f"{self.url}#{self.model}" if self.form == "http" else f"{self.form}:{self.model}"
        told = [(name, getattr(self, name)) for name in CHANGE_ANSWERS if getattr(self, name)]
        options = [f"{name}={value if isinstance(value, str) else ','.join(sorted(value))}" for name, value in told]
        return f"{base}?{'&'.join(options)}" if options else base

    def key(self) -> str | None:
        """The key, read from the environment now; None when none is needed; `UserError` when it is not set."""
        if self.key_variable is None:
            return None
        value = os.environ.get(self.key_variable, "").strip()
        if not value:
            raise UserError(
                f"no key for {self.name}",
                fix=f"Set the environment variable {self.key_variable}; keys are read from nowhere else and stored "
                "nowhere",
            )
        if not (value.isascii() and value.isprintable()):
            raise UserError(f"the key in {self.key_variable} has characters that no key can have", fix="Set it again")
        return value


def parse_spec(text: str) -> ModelSpec:
    """Read a spec; `UserError` for an unknown form, a missing model or an unknown option."""
    text = text.strip()
    form, colon, rest = text.partition(":")
    if form in ("http", "https"):
        return _server(text)
    if not colon or form not in ("openai", "anthropic", "inprocess", "scripted"):
        raise UserError("unknown form of a language model", value=_short(text), allowed=FORMS)
    model, _, query = rest.partition("?")
    if not model:
        raise UserError("missing model name", value=_short(text), allowed=FORMS)
    if form in ("inprocess", "scripted"):
        return ModelSpec(form, model, options=_options(query, None))
    if form == "openai" and (elsewhere := _base_url()):
        return _server(f"{elsewhere}{'?' if query else ''}{query}#{model}", KEY_VARIABLES["openai"])
    return _remote(form, model, form, OPENAI_URL if form == "openai" else ANTHROPIC_URL, query)


def _base_url() -> str:
    """The address in `OPENAI_BASE_URL`, where it names another server than OpenAI's, as for the official client."""
    url = os.environ.get("OPENAI_BASE_URL", "").strip().rstrip("/")
    if url and not url.startswith(("http://", "https://")):
        raise UserError("OPENAI_BASE_URL is not an address", value=url, allowed="http://HOST:PORT/v1")
    return "" if url == OPENAI_URL else url


def _server(text: str, key_variable: str | None = None) -> ModelSpec:
    """key_variable: of a key that is sent where it is set, unless the options name another."""
    address, _, model = text.partition("#")
    parts = urlsplit(address)
    model, _, late_query = model.partition("?")  # options may stand before or after the model
    if parts.username or parts.password:
        raise UserError(
            "the address of a language model contains a key",  # not shown
            fix="Put it into an environment variable and name that: ?key_variable=MY_KEY",
        )
    if not parts.hostname:
        raise UserError("the address of a language model has no host", allowed="http://HOST:PORT/v1#MODEL")
    if not model:
        where = f"{parts.scheme}://{parts.netloc}{parts.path}"
        raise UserError("the address is not followed by a model name", value=where, allowed="http://HOST:PORT/v1#MODEL",
                        fix="A server lists its models under /v1/models")  # fmt: skip
    url = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
    kinds = {"api.openai.com": "openai", "openrouter.ai": "openrouter"}
    query = "&".join(q for q in (parts.query, late_query) if q)
    found = _remote("http", model, kinds.get(parts.hostname, "server"), url, query)
    if found.key_variable is None and key_variable and os.environ.get(key_variable, "").strip():
        return replace(found, key_variable=key_variable)
    return found


def _remote(form: str, model: str, kind: str, url: str, query: str) -> ModelSpec:
    options = _options(query, OPTIONS)
    kind = options.get("kind", kind)
    if kind not in DECLARED or (form != "anthropic" and kind == "anthropic"):
        raise UserError("unknown kind of server", value=kind, allowed=near_matches(kind, set(DECLARED) - {"anthropic"}))
    powers = parse_powers(options["powers"]) if "powers" in options else DECLARED[kind]
    # A key goes to the endpoint that it belongs to; another host gets one only when the spec names the variable.
    owner = form if form != "http" else {OPENAI_URL: "openai"}.get(url, kind if _is_openrouter(url) else "")
    return ModelSpec(
        form,
        model,
        kind,
        url,
        powers,
        omit=frozenset(name for name in options.get("omit", "").split(",") if name),
        effort=options.get("effort"),
        thinking=options.get("thinking"),
        concurrency=None if (most := _number(options, "concurrency", int)) is None else int(most),
        timeout=_number(options, "timeout", float) or 300.0,
        key_variable=options.get("key_variable", KEY_VARIABLES.get(owner)),
        options=options,
    )


def _is_openrouter(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "https" and parts.hostname == "openrouter.ai"


def _options(query: str, allowed: tuple[str, ...] | None) -> dict[str, str]:
    options = dict(parse_qsl(query, keep_blank_values=True))
    for name in options:
        if allowed is not None and name not in allowed:  # its value is not shown: it may be a key
            raise UserError("unknown option of a language model", value=name, allowed=", ".join(allowed))
    return options


def _number(options: Mapping[str, str], name: str, kind: type) -> float | int | None:
    if name not in options:
        return None
    try:
        value = kind(options[name])
    except ValueError:
        value = 0
    if not 0 < value < 1e6:
        raise UserError(f"{name} is not a positive number", value=options[name])
    return value


def _short(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "..."
