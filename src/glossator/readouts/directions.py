"""A set of directions at one site, whose vectors become units.

The value of direction i at activations x is `(x - centre) . v_i`, with v_i of norm 1. A set has units
`subject/NAME@SITE/i`, whose polarities are explained separately, like those of neurons.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from glossator.errors import UserError
from glossator.files import fingerprint, plain, read_json, sha256_of, write_bytes, write_json
from glossator.readouts.base import check_name
from glossator.readouts.parts import Direction
from glossator.units import Polarity, Unit

if TYPE_CHECKING:
    import torch

FORMAT = "glossator-directions/1"
WEIGHTS, MANIFEST = "directions.safetensors", "directions.json"
_OFF_UNIT = 1e-3  # how far from 1 a norm may be: what float32 sums of many squares need


@dataclass(frozen=True, eq=False)
class DirectionSet:
    """A dense readout. name; site: a site of the subject, without NAME@; vectors (n, d) float32 of norm 1; centre (d,)
    float32; subject: its name, empty when it may be any; made: how, in plain values.

    Raises `UserError` for a bad name, shapes that do not fit, vectors that are not finite or not of norm 1
    (`direction_set` makes them so).
    """

    name: str
    site: str
    vectors: np.ndarray
    centre: np.ndarray
    subject: str = ""
    made: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        vectors, centre = _numbers(self.vectors, "vectors"), _numbers(self.centre, "centre")
        check_name(self.name, "a direction set")
        if not self.site or "@" in self.site or "/" in self.site:
            raise UserError("bad site of a direction set", value=self.site, allowed="a site such as mlp.12")
        if vectors.ndim != 2 or not vectors.size or centre.shape != vectors.shape[1:]:
            raise UserError(
                "directions have a wrong shape",
                value=f"vectors {vectors.shape}, centre {centre.shape}",
                allowed="vectors (n, d) and a centre (d,)",
            )
        off = np.abs(np.linalg.norm(vectors.astype(np.float64), axis=1) - 1)
        if off.max() > _OFF_UNIT:
            raise UserError(
                "a direction does not have norm 1",
                value=f"number {int(off.argmax())}",
                fix="Make it with direction_set",
            )
        object.__setattr__(self, "vectors", vectors)
        object.__setattr__(self, "centre", centre)

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def width(self) -> int:
        """How many directions there are: what a recording calls the width of their site."""
        return len(self.vectors)

    @property
    def sparse(self) -> bool:
        return False

    @property
    def site_name(self) -> str:
        """`NAME@SITE`, the site of these units in ids and recordings."""
        return f"{self.name}@{self.site}"

    @property
    def reads_at(self) -> str:
        return self.site

    @property
    def writes_at(self) -> str:
        return self.site

    @property
    def notes(self) -> tuple[str, ...]:
        return ()

    @cached_property
    def fingerprint(self) -> str:
        """Changes with the numbers, the name and the site."""
        return fingerprint([self.name, self.site, self.vectors.tobytes().hex(), self.centre.tobytes().hex()])

    def unit(self, index: int, polarity: Polarity = "+") -> Unit:
        if not 0 <= index < len(self):
            raise UserError("no such direction", value=index, allowed=f"0 to {len(self) - 1}")
        return Unit(self.subject, self.site_name, index, polarity)

    def units(self, polarity: Polarity = "+") -> list[Unit]:
        return [self.unit(i, polarity) for i in range(len(self))]

    def values(self, activations: np.ndarray) -> np.ndarray:
        """(..., d) activations of the site -> (..., n) float32 values of the directions."""
        self._check_width(activations.shape[-1])
        return (np.asarray(activations, np.float32) - self.centre) @ self.vectors.T

    def read(self, values: torch.Tensor) -> torch.Tensor:
        """`values` for a tensor on any device."""
        import torch

        self._check_width(values.shape[-1])
        vectors, centre = (torch.from_numpy(a).to(values.device) for a in (self.vectors, self.centre))
        return (values.float() - centre) @ vectors.T

    def part(self, index: int) -> Direction:
        vector = self.vectors[index]
        return Direction(vector, float(self.centre @ vector))

    def random(self, n: int, seed: int) -> DirectionSet:
        """Random directions of the site about the same centre."""
        vectors = np.random.default_rng([seed, n]).normal(size=(n, self.vectors.shape[1]))
        return direction_set(f"random-beside-{self.name}", self.site, vectors, self.centre, subject=self.subject)

    def refused(self, index: int) -> None:
        """None: every direction may be explained."""

    def take(self, rows: Any) -> DirectionSet:
        """The set restricted to these directions, in this order."""
        return replace(self, vectors=self.vectors[rows])

    def cosines(self) -> np.ndarray:
        """(n, n) cosines between the vectors, 1 on the diagonal."""
        return self.vectors.astype(np.float64) @ self.vectors.T.astype(np.float64)

    def largest_cosine(self) -> float | None:
        """The largest |cosine| of two different directions; None for a single one."""
        return largest_off_diagonal(self.cosines())

    def check_fits(self, site: str, width: int | None, subject: str = "") -> None:
        """Raise `UserError` unless these directions are of this site, of this width, of this subject (where both are
        named)."""
        if site != self.site:
            raise UserError("these directions belong to another site", value=self.site, allowed=site)
        if subject and self.subject and subject != self.subject:
            raise UserError("these directions belong to another subject", value=self.subject, allowed=subject)
        self._check_width(width)

    def _check_width(self, width: int | None) -> None:
        if width is not None and width != self.vectors.shape[1]:
            raise UserError(
                f"directions do not have the width of {self.site}", value=self.vectors.shape[1], allowed=str(width)
            )

    def save(self, folder: str | Path) -> Path:
        """Write `directions.safetensors` and, last, `directions.json`; returns the folder."""
        from safetensors.numpy import save

        folder = Path(folder)
        write_bytes(folder / WEIGHTS, save({"vectors": self.vectors, "centre": self.centre}))
        write_json(
            folder / MANIFEST,
            {
                "format": FORMAT,
                "name": self.name,
                "subject": self.subject,
                "site": self.site,
                "directions": len(self),
                "width": self.vectors.shape[1],
                "fingerprint": self.fingerprint,
                "sha256": sha256_of(folder / WEIGHTS),
                "made": plain(dict(self.made)),
            },
        )
        return folder


def direction_set(
    name: str,
    site: str,
    vectors: np.ndarray,
    centre: np.ndarray | None = None,
    *,
    subject: str = "",
    made: Mapping[str, Any] | None = None,
) -> DirectionSet:
    """A set from any vectors (n, d), or one (d,), of which only the directions count; centre: 0 by default.

    Raises `UserError` for vectors of length 0 and for numbers that are not finite.
    """
    vectors = np.atleast_2d(_numbers(vectors, "vectors").astype(np.float64))
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    if vectors.size and not (norms > 0).all():
        raise UserError("a direction has length 0", value=f"number {int(np.argmin(norms))}")
    centre = np.zeros(vectors.shape[-1]) if centre is None else centre
    made = {"method": "given"} if made is None else made
    return DirectionSet(name, site, vectors / norms, centre, subject, dict(made))


def load_directions(folder: str | Path, *, site: str | None = None, subject: str = "") -> DirectionSet:
    """Read a set written by `DirectionSet.save`; site, subject: those it must belong to.

    Raises `UserError` when there are none, they are of another site or subject, or the file is damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    folder = Path(folder)
    if not (folder / MANIFEST).is_file() or not (folder / WEIGHTS).is_file():
        raise UserError("no directions here", value=str(folder), allowed=f"a folder with {MANIFEST} and {WEIGHTS}")
    try:
        stored = read_json(folder / MANIFEST, "the manifest of the directions", "Save them again")
        arrays = load((folder / WEIGHTS).read_bytes())
        texts, made = [stored[name] for name in ("name", "site", "subject")], stored["made"]
        if not all(isinstance(text, str) for text in texts) or not isinstance(made, dict):
            raise TypeError("the manifest holds other types")
        if not isinstance(made.get("text", {}), dict):
            raise TypeError("the entry about the text must be a table")
        found = DirectionSet(
            stored["name"], stored["site"], arrays["vectors"], arrays["centre"], stored["subject"], stored["made"]
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
        raise UserError(
            "the directions cannot be read", value=str(folder), fix=f"The files are damaged: {error}"
        ) from error
    if stored.get("format") != FORMAT or stored.get("fingerprint") != found.fingerprint:
        raise UserError(
            "the directions differ from those that were saved",
            value=str(folder),
            fix="Save them again; the files differ",
        )
    found.check_fits(site or found.site, None, subject)
    return found


def largest_off_diagonal(matrix: np.ndarray) -> float | None:
    """The largest absolute value off the diagonal of a square matrix; None when there is none."""
    if len(matrix) < 2:
        return None
    return float(np.abs(matrix[~np.eye(len(matrix), dtype=bool)]).max())


def _numbers(values: Any, what: str) -> np.ndarray:
    """As contiguous finite float32."""
    try:
        given = np.asarray(values)
        if np.iscomplexobj(given):
            raise UserError(f"{what} of a direction set are not real numbers", value=str(given.dtype))
        with np.errstate(over="ignore"):  # too large for float32 is not finite, which is said below
            found = np.ascontiguousarray(given, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise UserError(f"{what} of a direction set are not numbers", value=type(values).__name__) from error
    if not np.isfinite(found).all():
        raise UserError(f"{what} of a direction set are not finite")
    return found
