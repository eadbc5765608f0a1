"""Dictionaries: the latents of a sparse autoencoder or a transcoder as units.

A latent is read by the encoder at one site, and writes its row of the decoder at another one, the same for an
autoencoder. What a file of some package says is brought into this one form by `readouts.formats`.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import torch

from glossator.errors import MissingPower, UserError
from glossator.files import plain, sha256_of, write_bytes, write_json
from glossator.readouts.base import BaseReadout, check_name
from glossator.readouts.hook_names import same_model
from glossator.readouts.parts import Direction, Latents
from glossator.readouts.sparse_code import active_entries, largest_singular_value, padded, sparse_code

Activation = Literal["relu", "jumprelu", "gated", "top-k", "absolute-top-k", "group-max", "sparse-code", "linear"]
Normalization = Literal["none", "layer-norm", "constant-norm"]

FORMAT = "glossator-dictionary/1"
WEIGHTS, MANIFEST = "dictionary.safetensors", "dictionary.json"
TENSORS = (
    "encoder", "encoder_bias", "decoder", "decoder_bias", "centre", "threshold", "gate_scale", "gate_bias", "skip",
)  # fmt: skip
_PIECE = 1 << 25
"""Pre-activations that are held at once."""
_LAYER_NORM_EPSILON = 1e-5


@dataclass(frozen=True, eq=False, kw_only=True)
class Dictionary(BaseReadout):
    """A readout with n latents, all tensors float32; sparse but for `linear` ones, whose latents are always active.

    encoder (n, d_in), encoder_bias (n,); decoder (n, d_out), decoder_bias (d_out,); centre (d_in,): subtracted before
    encoding, None for nothing; activation: what becomes of a pre-activation; k: of the top-k ones, how many latents
    are active, of `group-max` how many groups; threshold (n,): of `jumprelu`; gate_scale, gate_bias (n,): of `gated`,
    magnitude = (x . encoder) * gate_scale + encoder_bias where x . encoder + gate_bias > 0; of `sparse-code`
    activations are those that reconstruct best, where one unit of a latent costs -encoder_bias
    (`readouts.sparse_code`); skip (d_out, d_in): added to what is decoded; normalization: of the input, undone behind
    the decoder of an autoencoder; reads_at, writes_at: sites; sites: those that it may be read at, where it was made of
    several, of which a loaded one has chosen; model: the name of the model it was made for, empty if unknown; notes:
    what was guessed or left out.

    Raises `UserError` for tensors whose shapes do not fit, or that are not finite.
    """

    name: str
    reads_at: str
    writes_at: str | None
    encoder: torch.Tensor
    encoder_bias: torch.Tensor
    decoder: torch.Tensor
    decoder_bias: torch.Tensor
    activation: Activation = "relu"
    k: int | None = None
    centre: torch.Tensor | None = None
    threshold: torch.Tensor | None = None
    gate_scale: torch.Tensor | None = None
    gate_bias: torch.Tensor | None = None
    skip: torch.Tensor | None = None
    normalization: Normalization = "none"
    sites: tuple[str, ...] = ()
    model: str = ""
    subject: str = ""
    made: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_name(self.name, "a dictionary")
        for what, value, allowed in (
            ("activation", self.activation, get_args(Activation)),
            ("normalization", self.normalization, get_args(Normalization)),
        ):
            if value not in allowed:
                raise UserError(f"unknown {what} of a dictionary", value=value, allowed=", ".join(allowed))
        for name in TENSORS:
            if (tensor := getattr(self, name)) is not None:
                object.__setattr__(self, name, tensor.detach().to(torch.float32).contiguous())
        self._check_shapes()
        for name in TENSORS:
            if (tensor := getattr(self, name)) is not None and not torch.isfinite(tensor).all():
                raise UserError("a tensor of the dictionary is not finite", value=name)
        self._check_k()

    def _check_shapes(self) -> None:
        if self.encoder.ndim != 2 or self.decoder.ndim != 2:
            shapes = f"encoder {tuple(self.encoder.shape)}, decoder {tuple(self.decoder.shape)}"
            raise UserError("the dictionary has a wrong shape", value=shapes, allowed="two matrices")
        n, width = self.encoder.shape
        written = self.decoder.shape[1]
        wanted: dict[str, tuple[int, ...]] = {
            "encoder_bias": (n,), "decoder": (n, written), "decoder_bias": (written,), "centre": (width,),
            "threshold": (n,), "gate_scale": (n,), "gate_bias": (n,), "skip": (written, width),
        }  # fmt: skip
        for name, shape in wanted.items():
            tensor = getattr(self, name)
            if tensor is not None and tuple(tensor.shape) != shape:
                raise UserError(
                    f"{name} of the dictionary has a wrong shape", value=tuple(tensor.shape), allowed=str(shape)
                )
        needed = {"jumprelu": ("threshold",), "gated": ("gate_scale", "gate_bias")}.get(self.activation, ())
        if lacking := [name for name in needed if getattr(self, name) is None]:
            raise UserError(f"a {self.activation} dictionary lacks a tensor", value=", ".join(lacking))

    def _check_k(self) -> None:
        counted = self.activation in ("top-k", "absolute-top-k", "group-max")
        if not counted:
            return
        if not isinstance(self.k, int) or not 1 <= self.k <= self.width:
            raise UserError(f"bad k of a {self.activation} dictionary", value=self.k, allowed=f"1 to {self.width}")
        if self.activation == "group-max" and self.width % self.k:
            raise UserError(
                "the latents do not divide into k groups", value=self.k, allowed=f"divisors of {self.width}"
            )

    @property
    def width(self) -> int:  # type: ignore[override]
        """How many latents there are."""
        return len(self.encoder)

    @property
    def sparse(self) -> bool:  # type: ignore[override]
        return self.activation != "linear"

    @property
    def is_transcoder(self) -> bool:
        return self.writes_at != self.reads_at

    @cached_property
    def fingerprint(self) -> str:  # type: ignore[override]
        """Changes with the numbers, how they are used, the name and the sites."""
        digest = hashlib.sha256(repr([self.name, *self._settings().items()]).encode())
        for name, tensor in self._tensors().items():
            digest.update(name.encode())
            digest.update(memoryview(tensor.cpu().numpy()).cast("B"))
        return digest.hexdigest()[:16]

    def read(self, values: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """(..., d_in) -> activations and numbers of the latents that are active, both (..., k), padded with zeros; of
        `linear` ones all activations, (..., n)."""
        return self.active(values) if self.sparse else self.encode(values)

    def active(self, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(..., d_in) -> activations and numbers of the latents that are active, both (..., k), padded with zeros."""
        self.check_fits(self.reads_at, values.shape[-1])
        flat = values.reshape(-1, values.shape[-1])
        step = max(1, _PIECE // self.width)
        parts = [self._active(flat[first : first + step]) for first in range(0, len(flat), step)]
        if not parts:
            parts = [(flat.new_zeros((0, 1), dtype=torch.float32), flat.new_zeros((0, 1), dtype=torch.int64))]
        k = max(found.shape[1] for found, _ in parts)
        both = (torch.cat([padded(part[i], k) for part in parts]) for i in range(2))
        activations, numbers = (one.unflatten(0, values.shape[:-1]) for one in both)
        return activations, numbers

    def encode(self, values: torch.Tensor) -> torch.Tensor:
        """(..., d_in) -> (..., n), the activation of every latent."""
        if not self.sparse:
            self.check_fits(self.reads_at, values.shape[-1])
            return self._each(self._centred(values))
        activations, numbers = self.active(values)
        every = activations.new_zeros((*values.shape[:-1], self.width))
        return every.scatter_add_(-1, numbers, activations)  # padding adds zeros

    def latents(self, values: torch.Tensor, indices: Sequence[int]) -> torch.Tensor:
        """(..., d_in) -> (..., len(indices)), the activations of some latents."""
        some = list(indices)
        if self.activation in ("relu", "jumprelu", "gated", "linear"):  # each for itself
            return self._each(self._centred(values), some)
        return super().latents(values, some)

    def decode(self, activations: torch.Tensor, numbers: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        """The output of the decoder for these latents, biases included, (..., d_out); values (..., d_in): what they
        were read from."""
        shape, decoder = activations.shape, self._on("decoder", values)
        flat, weights = numbers.reshape(-1, shape[-1]), activations.reshape(-1, shape[-1])
        written = torch.nn.functional.embedding_bag(flat, decoder, per_sample_weights=weights, mode="sum")
        found = written.unflatten(0, shape[:-1]) + self._on("decoder_bias", values)
        if self.skip is not None:
            found = found + values.float() @ self._on("skip", values).T
        if self.is_transcoder or self.normalization == "none":
            return found
        mean, size = self._moments(values)
        return found * size + mean

    def reconstructed(self, values: torch.Tensor) -> torch.Tensor:
        """(..., d_in) at `reads_at` -> (..., d_out), the dictionary's replacement for the values at `writes_at`."""
        return self.decode(*self.active(values), values)

    def decoder_rows(self, indices: Sequence[int]) -> torch.Tensor:
        """(latents, d_out): what one unit of each latent writes, before the input's normalization is undone."""
        return self.decoder[list(indices)]

    def write_scale(self, values: torch.Tensor) -> torch.Tensor | float:
        """What a latent writes is multiplied by: 1, or (..., 1) where the input's normalization is undone."""
        return 1.0 if self.is_transcoder or self.normalization == "none" else self._moments(values)[1]

    def part(self, index: int) -> Latents:
        return Latents(self, index)

    def encoder_part(self, index: int) -> Direction:
        """The pre-activation of a latent at `reads_at`, divided by the norm of its row of the encoder, and changed
        along it: what the latent reads is changed, and with it latents that read alike. `part` changes what it
        writes."""
        if self.normalization != "none" or self.activation == "sparse-code":
            raise MissingPower("this dictionary's latents are no linear function of the site", value=self.site_name)
        row = self.encoder[index]
        offset = float(self.encoder_bias[index]) - (0.0 if self.centre is None else float(row @ self.centre))
        norm = float(row.norm())
        return Direction(row.numpy(), -offset / norm)

    def check_fits(self, site: str, width: int | None, subject: str = "") -> None:
        if site != self.reads_at:
            raise UserError("this dictionary belongs to another site", value=self.reads_at, allowed=site)
        if width is not None and width != self.encoder.shape[1]:
            raise UserError(
                f"the dictionary does not have the width of {site}", value=self.encoder.shape[1], allowed=str(width)
            )
        if subject and self.model and not same_model(self.model, subject):
            raise UserError(
                "the dictionary was made for another model",
                value=self.model,
                allowed=subject,
                fix="If it is the same model under another name, take the model's name out of the dictionary's config",
            )

    def save(self, folder: str | Path) -> Path:
        """Write `dictionary.safetensors` and, last, `dictionary.json`; returns the folder."""
        from safetensors.numpy import save

        folder = Path(folder)
        write_bytes(folder / WEIGHTS, save({name: tensor.cpu().numpy() for name, tensor in self._tensors().items()}))
        write_json(
            folder / MANIFEST,
            {
                "format": FORMAT,
                "name": self.name,
                **self._settings(),
                **({"reads_at": None, "writes_at": None, "sites": list(self.sites)} if self.sites else {}),
                "model": self.model,
                "subject": self.subject,
                "weights": WEIGHTS,
                "tensors": {name: name for name in self._tensors()},
                "sha256": sha256_of(folder / WEIGHTS),
                "made": plain(dict(self.made)),
                "notes": list(self.notes),
            },
        )
        return folder

    def _settings(self) -> dict[str, Any]:
        names = ("reads_at", "writes_at", "activation", "k", "normalization")
        return {name: getattr(self, name) for name in names}

    def _tensors(self) -> dict[str, torch.Tensor]:
        return {name: tensor for name in TENSORS if (tensor := getattr(self, name)) is not None}

    def _on(self, name: str, values: torch.Tensor) -> torch.Tensor:
        """One of the tensors where the values are; one that was moved is kept there."""
        tensor: torch.Tensor = getattr(self, name)
        if tensor.device == values.device:
            return tensor
        key = (name, str(values.device))
        if key not in self._moved:
            self._moved[key] = tensor.to(values.device)
        return self._moved[key]

    @cached_property
    def _largest(self) -> float:
        return largest_singular_value(self.encoder)

    @cached_property
    def _moved(self) -> dict[tuple[str, str], torch.Tensor]:
        return {}

    def _moments(self, values: torch.Tensor) -> tuple[torch.Tensor | float, torch.Tensor]:
        """What is subtracted from the input and what it is divided by, (..., 1)."""
        values = values.float()
        if self.normalization == "constant-norm":
            return 0.0, values.norm(dim=-1, keepdim=True) / math.sqrt(values.shape[-1])
        return values.mean(-1, keepdim=True), values.std(-1, keepdim=True)

    def _centred(self, values: torch.Tensor) -> torch.Tensor:
        values = values.float()
        if self.normalization != "none":
            mean, size = self._moments(values)
            # Padding may be 0 everywhere, and is to stay finite.
            least = _LAYER_NORM_EPSILON if self.normalization == "layer-norm" else torch.finfo(torch.float32).tiny
            values = (values - mean) / (size + least)
        return values if self.centre is None else values - self._on("centre", values)

    def _each(self, centred: torch.Tensor, some: list[int] | None = None) -> torch.Tensor:
        """Activations of latents that do not compete, all or some."""

        def of(name: str) -> torch.Tensor:
            tensor = self._on(name, centred)
            return tensor if some is None else tensor[some]

        if self.activation == "gated":
            shared = centred @ of("encoder").T
            magnitudes = torch.relu(shared * of("gate_scale") + of("encoder_bias"))
            return magnitudes * (shared + of("gate_bias") > 0)
        before = torch.nn.functional.linear(centred, of("encoder"), of("encoder_bias"))
        if self.activation == "linear":
            return before
        active = torch.relu(before)
        return active if self.activation == "relu" else active * (before > of("threshold"))

    def _active(self, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(tokens, d_in) -> activations and numbers of active latents, (tokens, k)."""
        centred = self._centred(values)
        if self.activation in ("relu", "jumprelu", "gated", "linear"):
            return active_entries(self._each(centred))
        if self.activation == "sparse-code":
            atoms, bias = self._on("encoder", values), self._on("encoder_bias", values)
            return active_entries(sparse_code(centred, atoms, bias, largest=self._largest))
        assert self.k is not None
        before = torch.nn.functional.linear(centred, self._on("encoder", values), self._on("encoder_bias", values))
        if self.activation == "top-k":
            found, numbers = before.topk(self.k, dim=-1, sorted=False)
            return torch.relu(found), numbers
        if self.activation == "absolute-top-k":
            numbers = before.abs().topk(self.k, dim=-1, sorted=False).indices
            return before.gather(-1, numbers), numbers
        found, inside = before.unflatten(-1, (self.k, -1)).max(dim=-1)
        return torch.relu(found), inside + torch.arange(0, self.width, self.width // self.k, device=values.device)
