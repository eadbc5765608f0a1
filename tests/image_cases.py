"""Small pictures with known content, and units whose response to them is known exactly."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from glossator.evidence import Exemplars, ExplainEvidence, UnitStatistics
from glossator.inputs import WHOLE, Grid, Images
from glossator.inputs.annotations import Concept, Labels, LazyMasks
from glossator.programs import parse_program
from glossator.programs.scene.content import execute
from glossator.units import Unit

CELLS = Grid("cells", (7, 7))
SIDE = 56
NOUNS = {"dog": "animal", "cat": "animal", "ball": "toy", "tree": "plant", "car": "vehicle", "house": "building"}
COLOURS = {"red": (220, 30, 30), "green": (30, 180, 40), "blue": (40, 60, 220), "yellow": (235, 220, 40)}


def pictures(n: int = 400, seed: int = 0) -> Images:
    """Up to three coloured squares on a plain ground, each of a noun; a fifth of the pictures at night."""
    rng = np.random.default_rng(seed)
    pixels = np.full((n, SIDE, SIDE, 3), 200, np.uint8)
    shows: dict[Concept, np.ndarray] = {}
    masks: dict[Concept, dict[int, np.ndarray]] = {}

    def add(kind: str, name: str, row: int, mask: np.ndarray | None) -> None:
        concept = Concept(kind, name)  # type: ignore[arg-type]
        shows.setdefault(concept, np.zeros(n, bool))[row] = True
        if mask is not None:
            of = masks.setdefault(concept, {})
            of[row] = of.get(row, np.zeros((SIDE, SIDE), bool)) | mask

    spots = [(y, x) for y in (0, 24) for x in (0, 24)]
    for row in range(n):
        for spot in rng.permutation(4)[: rng.integers(0, 4)]:
            noun, colour = rng.choice(list(NOUNS)), rng.choice(list(COLOURS))
            side = int(rng.integers(14, 24))
            y, x = spots[spot] + rng.integers(0, 8, 2)
            mask = np.zeros((SIDE, SIDE), bool)
            mask[y : y + side, x : x + side] = True
            pixels[row][mask] = COLOURS[colour]
            add("noun", noun, row, mask)
            add("class", NOUNS[noun], row, mask)
            add("colour", colour, row, mask)
        night = rng.random() < 0.2
        add("light", "night" if night else "day", row, None)
        if night:
            pixels[row] //= 2
    ids = np.arange(n, dtype=np.int64)
    readers = {
        concept: LazyMasks({row: partial(np.array, mask) for row, mask in of.items()}) for concept, of in masks.items()
    }
    return Images(pixels, ids, ids, Labels(n, shows, readers))


def evidence_of(
    inputs: Images, respond: str | Callable[[Images], np.ndarray], grid: Grid = WHOLE, index: int = 0, top: int = 20
) -> ExplainEvidence:
    """An explain split of a unit that does what a program says, or a function (n, places) of the images."""
    values = execute(parse_program(respond), inputs, grid) if isinstance(respond, str) else respond(inputs)
    values = np.asarray(values, np.float32).reshape(len(inputs), -1)
    kinds = np.full(len(inputs), "random", dtype="<U9")
    kinds[np.argsort(-values.max(axis=1), kind="stable")[:top]] = "top"
    exemplars = Exemplars(inputs, values, kinds, np.ones(len(inputs), bool), grid)
    threshold = float(np.quantile(values, 0.9 if grid == WHOLE else 0.99))
    threshold = min(threshold, float(np.nextafter(values.max(), -np.inf)))
    statistics = UnitStatistics(
        values.size, float(values.mean()), float(values.var()), 0.0, 3.0, float(values.max()), threshold,
        float((values > threshold).mean()), "a quantile",
    )  # fmt: skip
    return ExplainEvidence(Unit("planted", "units", index), exemplars, statistics, exemplars.fingerprint)


def tiny_clip(folder: Path) -> Path:
    """A seeded random CLIP with its tokenizer and image processor, as a user's folder would hold it."""
    import torch
    from transformers import CLIPConfig, CLIPModel

    from tiny_models import byte_level_tokenizer

    tower = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    text = {**tower, "vocab_size": 320, "max_position_embeddings": 64, "bos_token_id": 0, "eos_token_id": 0}
    torch.manual_seed(0)
    config = CLIPConfig(
        text_config=text, vision_config={**tower, "image_size": 32, "patch_size": 8}, projection_dim=16
    )  # fmt: skip
    CLIPModel(config).save_pretrained(folder)
    tokenizer = byte_level_tokenizer()
    tokenizer.pad_token = tokenizer.eos_token
    tokenizer.save_pretrained(folder)
    processor = {"size": {"shortest_edge": 32}, "image_mean": [0.5] * 3, "image_std": [0.25] * 3, "do_normalize": True}
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return folder
