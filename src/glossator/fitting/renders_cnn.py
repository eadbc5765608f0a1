"""Training the small network on rendered scenes: `python -m glossator.fitting.renders_cnn` writes its weights anew.

A scene of one noun, medium or large, of any count up to three, in its own colour or tinted, on any background, in any
light and weather. What is held out: scenes of other seeds, and the other style of sprites.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from glossator.scenes.render import render
from glossator.scenes.scene import LIGHTS, WEATHERS, Scene, Thing
from glossator.scenes.words import BACKGROUNDS
from glossator.scenes.words import COLOURS as TINTS
from glossator.subjects.preparing import Preparation
from glossator.subjects.renders_cnn import COLOURS, NOUNS, SIDE, WEIGHTS, RendersCNN, renders_cnn

TRAIN, HELD_OUT, SEED = 32_000, 20_000, 30_000
"""Scenes to train on and to test on, and the seed of the latter."""
EPOCHS, BATCH, RATE = 16, 128, 4e-3


def training_scene(seed: int, number: int, style: str = "noto") -> Scene:
    """Scene `number` of a set: one noun, everything else at random."""
    rng = np.random.default_rng([seed, number])
    tints = [name for name in COLOURS if name in TINTS]
    colour = None if rng.random() < 0.5 else tints[int(rng.integers(len(tints)))]
    thing = Thing(
        NOUNS[int(rng.integers(len(NOUNS)))], colour, "large" if rng.random() < 0.6 else "medium",
        1 + int(rng.choice(3, p=(0.8, 0.12, 0.08))),
    )  # fmt: skip
    plain = rng.random(2) < 0.75
    return Scene(
        (thing,), (), tuple(BACKGROUNDS)[int(rng.integers(len(BACKGROUNDS)))],
        LIGHTS[0] if plain[0] else LIGHTS[int(rng.integers(len(LIGHTS)))],
        WEATHERS[0] if plain[1] else WEATHERS[int(rng.integers(len(WEATHERS)))],
        style, int(rng.integers(2**31)),
    )  # fmt: skip


def drawn(n: int, seed: int, style: str = "noto") -> tuple[np.ndarray, dict[str, torch.Tensor]]:
    """Pixels uint8 (n, SIDE, SIDE, 3) and the numbers of nouns, colours and backgrounds of a set of scenes."""
    scenes = [training_scene(seed, number, style) for number in range(n)]
    pixels = np.stack([render(scene, SIDE).pixels for scene in scenes])
    labels = {
        "noun": [NOUNS.index(scene.things[0].noun) for scene in scenes],
        "colour": [COLOURS.index(scene.things[0].colour or "own") for scene in scenes],
        "background": [tuple(BACKGROUNDS).index(scene.background) for scene in scenes],
    }
    return pixels, {name: torch.tensor(values) for name, values in labels.items()}


def train(
    n: int = TRAIN, epochs: int = EPOCHS, seed: int = 0, say: Callable[[str], Any] = lambda _: None
) -> RendersCNN:
    """A network trained on n scenes: AdamW, one cycle of the learning rate, the sum of three cross-entropies."""
    torch.manual_seed(seed)
    pixels, labels = drawn(n, seed)
    say(f"{n} scenes drawn")
    model = RendersCNN(len(BACKGROUNDS)).train()
    prepare = Preparation(SIDE)
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.02)
    steps = epochs * max(1, n // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps, pct_start=0.25)
    weights = {"noun": 1.0, "colour": 0.3, "background": 0.2}
    for epoch in range(epochs):
        start, total = time.monotonic(), 0.0
        order = torch.randperm(n)
        for first in range(0, max(1, n // BATCH) * BATCH, BATCH):
            rows = order[first : first + BATCH]
            logits = model.all_logits(prepare(pixels[rows.numpy()]))
            losses = {name: torch.nn.functional.cross_entropy(logits[name], labels[name][rows]) for name in weights}
            loss = sum((weight * losses[name] for name, weight in weights.items()), start=torch.zeros(()))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += float(losses["noun"].detach())
        say(f"epoch {epoch + 1}: loss {total / max(1, n // BATCH):.3f}, {time.monotonic() - start:.0f} s")
    return model.eval()


def accuracy(model: RendersCNN, n: int, seed: int, style: str = "noto") -> dict[str, float]:
    """Shares of scenes whose noun, colour and background are recognised."""
    pixels, labels = drawn(n, seed, style)
    prepare = Preparation(SIDE)
    with torch.inference_mode():
        parts = [model.all_logits(prepare(pixels[first : first + BATCH])) for first in range(0, n, BATCH)]
    found = {name: torch.cat([part[name] for part in parts]).argmax(1) for name in parts[0]}
    return {name: float((found[name] == labels[name]).float().mean()) for name in found}


def halves(model: RendersCNN) -> dict[str, np.ndarray]:
    """The weights in float16."""
    state = model.state_dict()
    return {n: (v.half() if v.is_floating_point() else v).numpy() for n, v in state.items() if "num_batches" not in n}


def main(path: Path = WEIGHTS) -> None:
    model = train(say=lambda text: sys.stderr.write(f"{text}\n"))
    found: dict[str, Any] = dict(halves(model))
    np.savez_compressed(path, **found)
    held = {style: accuracy(renders_cnn(), HELD_OUT, SEED, style) for style in ("noto", "twemoji")}
    sys.stdout.write(json.dumps({"held_out": held, "bytes": path.stat().st_size}) + "\n")


if __name__ == "__main__":
    main()
