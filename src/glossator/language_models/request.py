"""Requests to a language model and its answers: the types shared by all backends, caches and prompts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

CHAT = "chat"  # answers a list of messages
COMPLETION = "completion"  # goes on from a raw prompt
JSON_SCHEMA = (
    "json-schema"  # the server itself holds answers to a schema; without it the answer is checked and re-asked
)
LOGPROBS = "logprobs"  # log-probabilities of the tokens of the answer
PROMPT_LOGPROBS = "prompt-logprobs"  # log-probabilities of the tokens of the prompt
IMAGES = "images"  # messages may hold images
MOST_TOKENS = 10**9  # no call can use more: who reports more counts wrong


@dataclass(frozen=True)
class Message:
    """One turn; images: PNG or JPEG files, as bytes, shown after the text."""

    role: Literal["system", "user", "assistant"]
    content: str
    images: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class Request:
    """One question: messages for a chat, or a raw `prompt` to continue from, exactly one of the two.

    schema: a JSON schema that the answer must fit; its parsed value comes back as `Answer.value`; logprobs: so many
    most likely alternatives at each answer token (0: none); prompt_logprobs: the same at each token of the prompt;
    max_tokens of 0 asks for the prompt's log-probabilities alone; sample: which one of repeated samples of the same
    request this is: part of the cache's key, and the seed where a backend takes one.
    """

    messages: tuple[Message, ...] = ()
    prompt: str | None = None
    max_tokens: int = 256
    temperature: float = 0.0
    top_p: float = 1.0
    stop: tuple[str, ...] = ()
    schema: Mapping[str, Any] | None = None
    logprobs: int = 0
    prompt_logprobs: int = 0
    sample: int = 0

    def __post_init__(self) -> None:
        if bool(self.messages) == (self.prompt is not None):
            raise ValueError("a request holds either messages or a prompt")

    @property
    def needs(self) -> frozenset[str]:
        """The powers that a model must have for this request (a schema can also be held without `JSON_SCHEMA`)."""
        wanted = {
            CHAT: bool(self.messages),
            COMPLETION: self.prompt is not None,
            LOGPROBS: self.logprobs > 0,
            PROMPT_LOGPROBS: self.prompt_logprobs > 0,
            IMAGES: any(m.images for m in self.messages),
        }
        return frozenset(power for power, is_wanted in wanted.items() if is_wanted)


@dataclass(frozen=True)
class TokenLogprob:
    """One token of an answer or a prompt: its text, its log-probability (None for the first token of a prompt, which
    nothing precedes) and the most likely alternatives there, text -> log-probability."""

    text: str
    logprob: float | None
    top: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Usage:
    """What an answer cost when it was first made; a replay from the cache reports the same.

    calls: requests that the server answered for it (a re-ask makes two); money in US dollars, None when no price is
    known for the model.
    """

    calls: int = 1
    prompt_tokens: int = 0
    completion_tokens: int = 0
    money: float | None = None

    def __add__(self, other: Usage) -> Usage:
        money = None if self.money is None or other.money is None else self.money + other.money
        return Usage(
            self.calls + other.calls,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            money,
        )

    def as_dict(self) -> dict[str, float]:
        """The usage as stored in provenance; money only if prices are known."""
        found: dict[str, float] = {
            "calls": self.calls,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
        }
        return found if self.money is None else found | {"money": self.money}


NOTHING_USED = Usage(0, 0, 0, 0.0)
REASON_LENGTH = 160


@dataclass(frozen=True)
class Answer:
    """The answer to a request. failure: why there is no usable answer (a refusal, a schema that was not met twice, a
    server that would not answer), None when all is well; such an answer is a missing value, never a score.

    value: the parsed JSON when the request had a schema; tokens, prompt_tokens: log-probabilities, when asked for;
    finish: stop, length, refusal or error.
    """

    text: str
    value: Any = None
    tokens: tuple[TokenLogprob, ...] = ()
    prompt_tokens: tuple[TokenLogprob, ...] = ()
    usage: Usage = NOTHING_USED
    finish: str = "stop"
    failure: str | None = None

    def why_unusable(self, *, cut_off_counts: bool = False) -> str | None:
        """The failure, short enough to be counted, None if all is well.

        cut_off_counts: text that was only cut off at max_tokens can be read up to there.
        """
        if self.failure is None or (cut_off_counts and self.finish == "length" and self.text.strip()):
            return None
        return self.failure.strip()[:REASON_LENGTH] or self.finish


@runtime_checkable
class LanguageModel(Protocol):
    """A language model that answers requests. Derive from this class to inherit the defaults.

    name: stands in provenance and tells models and endpoints apart (no secrets); powers: the constants above; context:
    how many tokens it takes, None where that is not known; in_process: the model in this process behind it, if any.
    """

    name: str
    powers: frozenset[str]
    context: int | None = None

    @property
    def in_process(self) -> LanguageModel | None:
        return None

    def ask(self, requests: Sequence[Request]) -> list[Answer]:
        """One answer to each request, in order; as many at a time as the endpoint allows.

        What goes wrong with one request is the `failure` of its answer. Raises `MissingPower` before anything is sent
        when a request needs what the model cannot do, and `UserError` for what would fail every request (no key, an
        unknown model, the budget reached).
        """
        ...

    def ask_once(self, requests: Sequence[Request]) -> list[Answer]:
        """`ask` without asking again about answers that do not fit a schema, which `OpenModel` does itself."""
        return self.ask(requests)

    def charge(self, tokens: int) -> None:
        """Count tokens that were computed with the model in this process without a request."""
        return
