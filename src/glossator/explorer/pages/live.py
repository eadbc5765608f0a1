"""What a unit does on inputs of one's own, under steering, and how an explanation of one's own scores."""

from __future__ import annotations

from dataclasses import dataclass, field

from glossator.explorer.pages.parts import ScoreShown
from glossator.explorer.pages.windows import WindowShown


@dataclass(frozen=True)
class Attempt:
    """A unit on a text or a scene: one window with its activations, as on the unit's page. missing: what was asked of a
    scene and is not in it."""

    unit: str
    inputs: str
    signed: bool
    largest: float
    pieces: list[str]
    window: WindowShown
    missing: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Continuation:
    """way: none, up, down or random-direction; text: what follows the prompt; strength: what is added at every token;
    nats: mean divergence of the next-token distributions on the prompt."""

    way: str
    text: str
    strength: float
    nats: float


@dataclass(frozen=True)
class SteeringShown:
    """What a model writes while a unit is steered. site, norm: where the residual stream is moved, and how far;
    why_not: why the divergence that was asked for is not reached, None where it is."""

    unit: str
    site: str
    norm: float
    continuations: list[Continuation]
    why_not: str | None


@dataclass(frozen=True)
class StrongUnit:
    """A unit at one token of a text; maximum: its largest recorded activation, explanation: what the study says of it,
    both None where the study has not got it."""

    unit: str
    activation: float
    maximum: float | None
    explanation: str | None


@dataclass(frozen=True)
class Rescored:
    """An explanation of one's own with its scores. summary: in one line; explanation, program: as it was understood."""

    unit: str
    summary: str
    explanation: str
    program: str | None
    notes: list[str]
    scores: list[ScoreShown]
