"""Voxels as units of the site that their encoding model reads: measured responses, predicted from a model's values.

A voxel's value at x is its predicted response, in standard deviations of its own, to text that goes on being like x at
the rate at which the words of the experiment came: `rate * ((x - centre) / scale) . w`, where w sums the weights of all
delays. So a text can be one that nobody heard, and every value is of the encoding model, not of a brain. Values are
linear in x: the mean over a text's tokens is the response to the text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from glossator.errors import UserError
from glossator.files import digest_of, plain, read_json, sha256_of, write_bytes, write_json
from glossator.readouts.base import BaseReadout, check_name

if TYPE_CHECKING:
    import torch

FORMAT = "glossator-encoding-model/1"
MANIFEST, TENSORS = "encoding_model.json", "encoding_model.safetensors"
ARRAYS = ("weights", "centre", "scale", "r", "p", "q", "ceiling", "penalty")
FACTS = ("name", "reads_at", "subject", "rate", "tr", "delays", "voxels")
FALSE_DISCOVERIES = 0.01


@dataclass(frozen=True, eq=False, kw_only=True)
class EncodingModel(BaseReadout):
    """weights float32 (delays, d, voxels); centre, scale (d,): of a word's values; rate: words in a scan; tr: seconds
    from scan to scan; delays: in scans; voxels: their names; r, p, q (voxels,): of predictions on held-out runs, and
    the false-discovery rate (Benjamini-Hochberg); ceiling (voxels,): the highest r that noise allows, NaN where repeats
    do not say; penalty (voxels,)."""

    name: str
    reads_at: str
    subject: str
    weights: np.ndarray
    centre: np.ndarray
    scale: np.ndarray
    rate: float
    tr: float
    delays: tuple[int, ...]
    voxels: tuple[str, ...]
    r: np.ndarray
    p: np.ndarray
    q: np.ndarray
    ceiling: np.ndarray
    penalty: np.ndarray
    made: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_name(self.name, "an encoding model")

    @property
    def width(self) -> int:  # type: ignore[override]
        return len(self.voxels)

    @property
    def notes(self) -> tuple[str, ...]:  # type: ignore[override]
        predicted = int((self.q <= FALSE_DISCOVERIES).sum())
        return (
            f"{self.site_name}: values are what an encoding model predicts of voxels, not measurements; it predicts "
            f"{predicted} of {self.width} voxels on held-out runs (q <= {FALSE_DISCOVERIES})",
        )

    @cached_property
    def predicted(self) -> np.ndarray:
        """Indices of the voxels that are predicted on held-out runs."""
        return np.flatnonzero(self.q <= FALSE_DISCOVERIES)

    def refused(self, index: int) -> str | None:
        """Why a voxel is not explained: its responses on held-out runs are not predicted."""
        if self.q[index] <= FALSE_DISCOVERIES:
            return None
        said = (
            f"r {self.r[index]:.2f}, q {self.q[index]:.2f}"
            if np.isfinite(self.r[index])
            else "its responses are constant"
        )
        return f"the encoding model does not predict voxel {self.voxels[index]} on held-out runs ({said})"

    @cached_property
    def fingerprint(self) -> str:  # type: ignore[override]
        """Changes with every number, the site, the delays and the scale."""
        facts = repr((self.name, self.reads_at, self.subject, self.rate, self.tr, self.delays, self.voxels))
        return digest_of(FORMAT, facts, *(getattr(self, name) for name in ARRAYS))[:16]

    @cached_property
    def _read(self) -> tuple[np.ndarray, np.ndarray]:
        summed = self.weights.astype(np.float64).sum(axis=0) * (self.rate / self.scale.astype(np.float64))[:, None]
        return summed.astype(np.float32), (self.centre.astype(np.float64) @ summed).astype(np.float32)

    def read(self, values: torch.Tensor) -> torch.Tensor:
        import torch

        weights, offset = (torch.from_numpy(array).to(values.device) for array in self._read)
        return values.float() @ weights - offset

    def check_fits(self, site: str, width: int | None, subject: str = "") -> None:
        super().check_fits(site, width, subject)
        if subject and self.subject and subject != self.subject:
            raise UserError("this encoding model reads another subject", value=self.subject, allowed=subject)
        if width is not None and width != len(self.centre):
            raise UserError(
                f"the encoding model does not have the width of {site}", value=len(self.centre), allowed=str(width)
            )

    def save(self, folder: str | Path) -> Path:
        """Write `encoding_model.safetensors` and, last, `encoding_model.json`; returns the folder."""
        from safetensors.numpy import save

        folder = Path(folder)
        arrays = {name: np.ascontiguousarray(getattr(self, name)) for name in ARRAYS}
        write_bytes(folder / TENSORS, save(arrays))
        facts = {name: plain(getattr(self, name)) for name in FACTS}
        told = {"made": plain(dict(self.made)), "fingerprint": self.fingerprint, "sha256": sha256_of(folder / TENSORS)}
        write_json(folder / MANIFEST, {"format": FORMAT, **facts, **told})
        return folder


def load_encoding_model(path: str | Path, *, site: str | None = None) -> EncodingModel:
    """What `EncodingModel.save` wrote; site: that it must read. `UserError` where there is none or it is damaged."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    folder = Path(path)
    if not (folder / MANIFEST).is_file() or not (folder / TENSORS).is_file():
        raise UserError(
            "no encoding model here",
            value=str(folder),
            allowed=f"a folder with {MANIFEST} and {TENSORS}",
            fix="Make one: glossator voxels fit",
        )
    try:
        stored = read_json(folder / MANIFEST, "the description of the encoding model", "Fit it again")
        arrays = load((folder / TENSORS).read_bytes())
        found = EncodingModel(
            name=str(stored["name"]),
            reads_at=str(stored["reads_at"]),
            subject=str(stored["subject"]),
            **{name: arrays[name] for name in ARRAYS},
            rate=float(stored["rate"]),
            tr=float(stored["tr"]),
            delays=tuple(map(int, stored["delays"])),
            voxels=tuple(map(str, stored["voxels"])),
            made=dict(stored["made"]),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
        fix = f"The files are damaged: {error}"
        raise UserError("the encoding model cannot be read", value=str(folder), fix=fix) from error
    if stored.get("format") != FORMAT or stored.get("fingerprint") != found.fingerprint:
        raise UserError("the encoding model differs from the one that was saved", value=str(folder), fix="Fit it again")
    if site is not None and site != found.reads_at:
        raise UserError("the encoding model reads another site", value=found.reads_at, allowed=site)
    return found
