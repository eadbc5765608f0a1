"""Which part of a site's values an intervention reads and writes: neurons, a direction, a head, latents, the whole
site.

A part turns (..., width) values into (..., k) numbers and puts changed numbers back. The rest stays unchanged: the
orthogonal remainder of a direction, the reconstruction error of a dictionary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol, Self

import numpy as np

from glossator.errors import MissingPower, UserError

if TYPE_CHECKING:
    import torch

    from glossator.subjects.sites import SiteInfo


class Part(Protocol):
    """A part of a site's values: k numbers for each token."""

    def bound(self, site: SiteInfo) -> Part:
        """The part ready for this site; raises `UserError` where the site has no such part."""
        ...

    @property
    def size(self) -> int | None:
        """k, None until the part is bound to a site whose width it takes."""
        ...

    def read(self, values: torch.Tensor) -> torch.Tensor:
        """(..., width) -> (..., k)."""
        ...

    def write(self, values: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
        """The values (..., width) with this part set to `new` (..., k), as a new tensor."""
        ...


@dataclass(frozen=True)
class Units:
    """Single columns of a site, such as neurons."""

    indices: Sequence[int] | int

    def __post_init__(self) -> None:
        object.__setattr__(self, "indices", tuple(int(i) for i in np.atleast_1d(np.asarray(self.indices))))

    def bound(self, site: SiteInfo) -> Units:
        bad = [i for i in self._columns if not 0 <= i < (site.width or 0)]
        if bad:
            raise UserError("no such unit", value=f"{site.name}/{bad[0]}", allowed=f"0 to {(site.width or 0) - 1}")
        return self

    @property
    def _columns(self) -> list[int]:
        assert isinstance(self.indices, tuple)
        return list(self.indices)

    @property
    def size(self) -> int:
        return len(self._columns)

    def read(self, values: torch.Tensor) -> torch.Tensor:
        return values[..., self._columns]

    def write(self, values: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
        changed = values.clone()
        changed[..., self._columns] = new
        return changed


@dataclass(frozen=True, eq=False)
class Direction:
    """The component along a vector (d,), made unit-norm: value = x . v - offset. All that is orthogonal to it stays.

    offset: centre . v, for directions whose values are taken from a centre.
    """

    vector: np.ndarray
    offset: float = 0.0

    def __post_init__(self) -> None:
        vector = np.asarray(self.vector, np.float64).reshape(-1)
        norm = float(np.linalg.norm(vector))
        if not np.isfinite(norm) or norm == 0:
            raise UserError("a direction needs a finite vector that is not zero", value=f"norm {norm:g}")
        object.__setattr__(self, "vector", vector / norm)

    def bound(self, site: SiteInfo) -> Direction:
        if len(self.vector) != site.width:
            raise UserError(
                "the direction has another width than its site", value=len(self.vector), allowed=str(site.width)
            )
        return self

    @property
    def size(self) -> int:
        return 1

    def read(self, values: torch.Tensor) -> torch.Tensor:
        return (values @ self._vector(values) - self.offset).unsqueeze(-1)

    def write(self, values: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
        return values + (new - self.read(values)) * self._vector(values)

    def _vector(self, values: torch.Tensor) -> torch.Tensor:
        import torch

        return torch.as_tensor(self.vector, dtype=values.dtype, device=values.device)


@dataclass(frozen=True)
class Head:
    """One attention head's slice of a `head.L` site."""

    index: int
    head_dim: int | None = None

    def bound(self, site: SiteInfo) -> Head:
        if not site.heads or not site.width:
            raise UserError("this site has no heads", value=site.name, allowed="head.L of a model with equal heads")
        if not 0 <= self.index < site.heads:
            raise UserError("no such head", value=f"{site.name} head {self.index}", allowed=f"0 to {site.heads - 1}")
        return replace(self, head_dim=site.width // site.heads)

    @property
    def size(self) -> int | None:
        return self.head_dim

    @property
    def _slice(self) -> slice:
        assert self.head_dim is not None
        return slice(self.index * self.head_dim, (self.index + 1) * self.head_dim)

    def read(self, values: torch.Tensor) -> torch.Tensor:
        return values[..., self._slice]

    def write(self, values: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
        changed = values.clone()
        changed[..., self._slice] = new
        return changed


class Decoder(Protocol):
    """A readout of latents that also says what each of them writes."""

    @property
    def width(self) -> int: ...

    @property
    def reads_at(self) -> str: ...

    @property
    def writes_at(self) -> str | None: ...

    def latents(self, values: torch.Tensor, indices: Sequence[int]) -> torch.Tensor:
        """(..., width of `reads_at`) -> (..., len(indices)), the activations of some latents."""
        ...

    def decoder_rows(self, indices: Sequence[int]) -> torch.Tensor:
        """(latents, width of `writes_at`): what one unit of each latent adds to the site."""
        ...

    def write_scale(self, values: torch.Tensor) -> torch.Tensor | float:
        """What rows are multiplied by at a token with these values of `reads_at`: 1, or (..., 1)."""
        ...


class Reconstructor(Decoder, Protocol):
    """One that can stand in for the whole site that it writes."""

    def reconstructed(self, values: torch.Tensor) -> torch.Tensor:
        """(..., width of `reads_at`) -> (..., width of `writes_at`): what all latents write together, biases too."""
        ...


@dataclass(frozen=True, eq=False, kw_only=True)
class OfDictionary:
    """A part that a dictionary reads, maybe at another site than the one at which it writes.

    seen: the values of the site that it is read from, where that is another one.
    """

    dictionary: Decoder = field(kw_only=False)
    seen: torch.Tensor | None = None

    @property
    def reads_at(self) -> str | None:
        """The site that it is read from, None where it is the one at which it is written."""
        site = self.dictionary.reads_at
        return None if site == self.dictionary.writes_at else site

    def seeing(self, values: torch.Tensor) -> Self:
        """The same part, given the values of the site that it is read from."""
        return replace(self, seen=values)

    def _source(self, values: torch.Tensor) -> torch.Tensor:
        if self.reads_at is None:
            return values
        if self.seen is None:
            raise ValueError(f"the values at {self.reads_at} are needed, see `seeing`")
        return self.seen

    def _check(self, site: SiteInfo, written: int) -> None:
        if site.width is not None and written != site.width:
            raise UserError(
                f"the dictionary writes another width than {site.name} has", value=written, allowed=str(site.width)
            )


@dataclass(frozen=True, eq=False)
class Latents(OfDictionary):
    """Latents of a dictionary: a change of a latent adds its decoder row, so that the reconstruction error is kept."""

    indices: Sequence[int] | int

    def __post_init__(self) -> None:
        object.__setattr__(self, "indices", tuple(int(i) for i in np.atleast_1d(np.asarray(self.indices))))

    @property
    def _numbers(self) -> list[int]:
        assert isinstance(self.indices, tuple)
        return list(self.indices)

    def bound(self, site: SiteInfo) -> Latents:
        width = self.dictionary.width
        if bad := [i for i in self._numbers if not 0 <= i < width]:
            raise UserError("no such latent", value=bad[0], allowed=f"0 to {width - 1}")
        self._check(site, self.dictionary.decoder_rows(self._numbers).shape[-1])
        return self

    @property
    def size(self) -> int:
        return len(self._numbers)

    def read(self, values: torch.Tensor) -> torch.Tensor:
        return self.dictionary.latents(self._source(values), self._numbers)

    def write(self, values: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
        rows = self.dictionary.decoder_rows(self._numbers).to(values)
        change = (new - self.read(values)) * self.dictionary.write_scale(self._source(values))
        return values + change.to(values) @ rows


@dataclass(frozen=True, eq=False)
class Reconstruction(OfDictionary):
    """How much of a site is what a dictionary makes of it: one number, 0 as it is, 1 with all of it replaced."""

    dictionary: Reconstructor = field(kw_only=False)

    def bound(self, site: SiteInfo) -> Reconstruction:
        self._check(site, self.dictionary.decoder_rows([0]).shape[-1])
        return self

    @property
    def size(self) -> int:
        return 1

    def read(self, values: torch.Tensor) -> torch.Tensor:
        return values.new_zeros((*values.shape[:-1], 1))

    def write(self, values: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
        return values + new * (self.dictionary.reconstructed(self._source(values)).to(values) - values)


def read_from(part: Part) -> str | None:
    """The site whose values a part is read from, None where it is the one at which it is written."""
    return part.reads_at if isinstance(part, OfDictionary) else None


def row_of(part: Part) -> np.ndarray:
    """What 1 more of a part of one number adds to the site at which it is written, float32 (width,); `MissingPower` for
    parts of which that is not known."""
    if isinstance(part, Direction):
        return np.asarray(part.vector, np.float32)
    if isinstance(part, Latents) and part.size == 1:
        found: np.ndarray = part.dictionary.decoder_rows(list(np.atleast_1d(part.indices))).float().cpu().numpy()[0]
        return found
    raise MissingPower("it is not known what this part writes", value=type(part).__name__)


def seeing(part: Part, values: torch.Tensor | None) -> Part:
    """The part, given the values of the site that it is read from."""
    return part.seeing(values) if isinstance(part, OfDictionary) and values is not None else part


@dataclass(frozen=True)
class Whole:
    """All values of a site."""

    width: int | None = None

    def bound(self, site: SiteInfo) -> Whole:
        return replace(self, width=site.width)

    @property
    def size(self) -> int | None:
        return self.width

    def read(self, values: torch.Tensor) -> torch.Tensor:
        return values

    def write(self, values: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
        return new.to(values)
