"""What a dictionary is trained as: its kind, sites, size and steps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

from glossator.errors import UserError
from glossator.fitting.coder import Coder
from glossator.fitting.components import Components, IndependentComponents
from glossator.fitting.jump_relu import JumpRelu
from glossator.fitting.sparse_coding import SparseCoding
from glossator.fitting.top_k import TopK

Kind = Literal["top-k", "jumprelu", "factors", "nmf", "ica", "pca"]
KINDS: tuple[Kind, ...] = get_args(Kind)
LATENTS: dict[str, int | None] = {"top-k": 4096, "jumprelu": 4096, "factors": 1500}
"""By default; as many as the site is wide for the others."""
PENALTY = {"jumprelu": 1.0, "factors": 0.05, "nmf": 0.0}
DESCENDING = ("top-k", "jumprelu")
SEVERAL_SITES = ("factors", "nmf")
WARM, COOL = 0.05, 0.2
"""Shares of the steps in which the rate rises, and falls to 0 in the end."""

LARGEST_SEED = 2**63 - 1
"""That torch takes."""


@dataclass(frozen=True)
class TrainSpec:
    """site: what is read, for factors and nmf several of one width; latents, k: how many there are, and how many are
    active at a token, of jumprelu on average; tokens: to train on, more than once where the text has fewer; batch:
    tokens in a step; rate: of Adam, by default 1e-3 for 4,096 latents and less for more, as the root; dead_after:
    tokens after which a silent latent is revived, by default a tenth of all; auxiliary: weight of its loss; every:
    steps between checkpoints; kind: see `KINDS`; writes_at: of a transcoder, whose output may have a linear part of the
    input (skip); penalty: weight of the loss of L0 (jumprelu), or what a unit of activation costs, in root mean square
    norms of the values (factors)."""

    site: str | tuple[str, ...]
    latents: int = 4096
    k: int = 32
    tokens: int = 1_000_000
    batch: int = 2048
    rate: float | None = None
    dead_after: int | None = None
    auxiliary: float = 1 / 32
    every: int = 100
    seed: int = 0
    kind: Kind = "top-k"
    writes_at: str | None = None
    skip: bool = False
    penalty: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UserError("unknown kind of dictionary", value=self.kind, allowed=", ".join(KINDS))
        for name in ("latents", "k", "tokens", "batch", "every"):
            if getattr(self, name) < 1:
                raise UserError(f"bad {name} of a dictionary", value=getattr(self, name), allowed="1 or more")
        if self.kind in DESCENDING and self.k > self.latents:
            raise UserError("more latents are active than there are", value=self.k, allowed=f"1 to {self.latents}")
        if not 0 <= self.seed <= LARGEST_SEED:
            raise UserError("bad seed", value=self.seed, allowed=f"0 to {LARGEST_SEED}")
        if self.rate is not None and not 0 < self.rate < math.inf:
            raise UserError("bad rate", value=self.rate, allowed="above 0, such as 0.001")
        if self.penalty is not None and not 0 <= self.penalty < math.inf:
            raise UserError("bad penalty", value=self.penalty, allowed="0 or more")
        self._check_sites()

    def _check_sites(self) -> None:
        if not self.sites or len(set(self.sites)) < len(self.sites):
            raise UserError("bad sites of a dictionary", value=", ".join(self.sites), allowed="one or more, each once")
        if len(self.sites) > 1 and self.kind not in SEVERAL_SITES:
            raise UserError(
                f"{self.kind} is trained on one site",
                value=", ".join(self.sites),
                fix=f"Only {' and '.join(SEVERAL_SITES)} are trained on several",
            )
        if self.writes_at is not None and self.kind not in DESCENDING:
            raise UserError("this kind is no transcoder", value=self.kind, allowed=", ".join(DESCENDING))
        if self.writes_at is not None and self.writes_at == self.site:
            raise UserError("a transcoder writes where it reads", value=self.writes_at, fix="Leave the write site out")
        if self.skip and self.writes_at is None:
            raise UserError("only a transcoder has a skip connection", fix="Give the site that it writes at")

    @property
    def sites(self) -> tuple[str, ...]:
        return (self.site,) if isinstance(self.site, str) else tuple(self.site)

    @property
    def steps(self) -> int:
        return max(1, self.tokens // self.batch)

    @property
    def silence(self) -> int:
        return max(self.batch, self.tokens // 10) if self.dead_after is None else self.dead_after

    def rate_at(self, step: int) -> float:
        peak = 1e-3 * math.sqrt(4096 / self.latents) if self.rate is None else self.rate
        warm, cool = max(1.0, WARM * self.steps), max(1.0, COOL * self.steps)
        return peak * min(1.0, (step + 1) / warm, (self.steps - step) / cool)

    def coder(self, width: int, written: int | None, device: Any) -> Coder:
        """An untrained dictionary of this kind; written: the width of `writes_at`."""
        common: dict[str, Any] = {"seed": self.seed, "device": device}
        penalty = PENALTY.get(self.kind, 0.0) if self.penalty is None else self.penalty
        if self.kind in ("ica", "pca"):
            return (Components if self.kind == "pca" else IndependentComponents)(width, self.latents, **common)
        common["dead_after"] = self.silence
        if self.kind in SEVERAL_SITES:
            return SparseCoding(width, self.latents, penalty=penalty, **common)
        common |= {"written": written, "skip": self.skip, "auxiliary": self.auxiliary}
        if self.kind == "jumprelu":
            return JumpRelu(width, self.latents, self.k, penalty=penalty, **common)
        return TopK(width, self.latents, self.k, **common)
