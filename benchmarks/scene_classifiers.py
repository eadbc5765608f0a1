"""Small classifiers of rendered scenes, trained in seconds: what the benchmarks of spurious features and bias ask.

They begin, as is usual, with a network that has seen much else: the small one of the package, which knows 24 other
nouns on all backgrounds. All of its layers are trained further.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from glossator.scenes import Scene, Thing, render
from glossator.subjects.preparing import Preparation
from glossator.subjects.renders_cnn import SIDE, renders_cnn

BATCH, RATE = 64, 1e-3


class Network(nn.Module):
    """Images (n, 3, SIDE, SIDE) in -1..1 to logits: the package's convolutions, the largest and the mean value of each
    channel of the last one, and a linear layer."""

    def __init__(self, labels: int):
        super().__init__()
        self.layers = renders_cnn().layers
        self.last = nn.Linear(units(self), labels)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        maps = self.layers(x)
        return torch.cat([maps.amax((2, 3)), maps.mean((2, 3))], dim=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.features(x))


def units(network: Network) -> int:
    """How many features the last layer reads."""
    with torch.inference_mode():
        return int(network.features(torch.zeros(1, 3, SIDE, SIDE)).shape[1])


@dataclass(frozen=True, eq=False)
class Classifier:
    """A trained network, asked with pixels (n, SIDE, SIDE, 3) uint8."""

    network: Network

    def logits(self, pixels: np.ndarray) -> np.ndarray:
        """(n, labels) float32."""
        with torch.inference_mode():
            return np.concatenate([self.network(part).numpy() for part in _batches(pixels)])

    def features(self, pixels: np.ndarray) -> np.ndarray:
        """(n, units) float32, what the last layer reads."""
        with torch.inference_mode():
            return np.concatenate([self.network.features(part).numpy() for part in _batches(pixels)])


def _batches(pixels: np.ndarray, size: int = 256) -> list[torch.Tensor]:
    return [Preparation(SIDE)(pixels[first : first + size]) for first in range(0, len(pixels), size)]


def portrait(noun: str, rng: np.random.Generator, background: str) -> Scene:
    """One thing of a noun in its own colour at a random place, by day in clear weather."""
    return Scene((Thing(noun),), background=background, seed=int(rng.integers(2**31)))


def drawn(scenes: Sequence[Scene]) -> np.ndarray:
    """Pixels (n, SIDE, SIDE, 3) uint8."""
    return np.stack([render(scene, SIDE).pixels for scene in scenes])


def train(pixels: np.ndarray, labels: np.ndarray, count: int, *, epochs: int, seed: int) -> Classifier:
    """A classifier of `count` labels: AdamW, one cycle of the learning rate."""
    torch.manual_seed(seed)
    network = Network(count).train()
    images, targets = Preparation(SIDE)(pixels), torch.from_numpy(np.asarray(labels, np.int64))
    optimiser = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=0.02)
    steps = max(1, len(images) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=epochs * steps, pct_start=0.25)
    for _ in range(epochs):
        for rows in torch.randperm(len(images))[: steps * BATCH].split(BATCH):
            loss = nn.functional.cross_entropy(network(images[rows]), targets[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return Classifier(network.eval())
