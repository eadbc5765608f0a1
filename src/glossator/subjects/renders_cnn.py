"""A small convolutional network trained on rendered scenes, whose nouns, colours and backgrounds are known exactly.

Its weights are in the package (`glossator.fitting.renders_cnn` trains them): six convolutions, whose last maps have
12 x 12 cells. It gives logits of nouns; those of colours and backgrounds are sites of their own.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import nn

NAME = "renders-cnn"
SIDE = 48
NOUNS = (
    "dog", "cat", "horse", "elephant", "owl", "penguin", "fish", "butterfly", "apple", "banana", "pineapple", "carrot",
    "pizza", "ice cream", "car", "bus", "bicycle", "airplane", "sailboat", "house", "tree", "umbrella", "guitar",
    "clock",
)  # fmt: skip
COLOURS = ("own", "red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white", "grey")
WEIGHTS = Path(__file__).resolve().parent.parent / "data" / "renders-cnn.npz"
_WIDTHS = ((3, 24, 2), (24, 32, 1), (32, 64, 2), (64, 64, 1), (64, 96, 1), (96, 96, 1))


class RendersCNN(nn.Module):
    """Images (n, 3, 48, 48) in -1..1 to logits of `NOUNS`. `layers.0` to `layers.4`, `layers`: maps after ReLU."""

    def __init__(self, backgrounds: int, colours: int = len(COLOURS), nouns: int = len(NOUNS)):
        super().__init__()
        self.layers = nn.Sequential(*(
            nn.Sequential(nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU())
            for before, after, stride in _WIDTHS
        ))  # fmt: skip
        width = _WIDTHS[-1][1]
        self.noun = nn.Linear(2 * width, nouns)
        self.colour = nn.Linear(2 * width, colours)
        self.background = nn.Linear(2 * width, backgrounds)

    def all_logits(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Logits of noun, colour and background, from the largest and the mean value of each channel."""
        maps = self.layers(x)
        pooled = torch.cat([maps.amax((2, 3)), maps.mean((2, 3))], dim=1)
        return {name: getattr(self, name)(pooled) for name in ("noun", "colour", "background")}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return cast(torch.Tensor, self.all_logits(x)["noun"])


@cache
def _stored() -> dict[str, np.ndarray]:
    with np.load(WEIGHTS) as found:
        return {name: found[name] for name in found}


def renders_cnn() -> RendersCNN:
    """The network with the weights of the package."""
    stored = _stored()
    model = RendersCNN(len(stored["background.bias"]))
    known = {name: torch.from_numpy(np.array(value)) for name, value in stored.items()}
    model.load_state_dict({name: value.float() for name, value in known.items()}, strict=False)
    return model.eval()
