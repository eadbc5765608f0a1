"""What may stand between a captured site and the units that are recorded: a dictionary, or a set of directions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    import torch


class SparseEncoder(Protocol):
    """A dictionary whose units are read from a captured site, such as a sparse autoencoder.

    width: number of latents; fingerprint: changes with the weights.
    """

    @property
    def width(self) -> int: ...

    @property
    def fingerprint(self) -> str: ...

    def encode(self, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(n, width, site width) -> activations and latent numbers, both (n, width, k); zeros are not recorded."""
        ...


class DenseEncoder(Protocol):
    """Units that are functions of a captured site with a value at every token, such as directions."""

    @property
    def width(self) -> int: ...

    @property
    def fingerprint(self) -> str: ...

    def project(self, activations: torch.Tensor) -> torch.Tensor:
        """(n, width, site width) -> (n, width, k), every value recorded as that of a dense site."""
        ...


Encoder: TypeAlias = SparseEncoder | DenseEncoder


def is_dense(encoder: Any) -> bool:
    return hasattr(encoder, "project")
