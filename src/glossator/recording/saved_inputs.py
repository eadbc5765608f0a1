"""A recording's inputs on disk: memory-mapped arrays in one folder, loaded as the kind they were saved as.

windows/ holds ids.npy and documents.npy (the group of each input) with: of tokens, tokens.npy, lengths.npy, valid.npy
and the vocabulary; of texts, texts.npy (UTF-8), text_offsets.npy and, where some do not count, counts.npy; of stimuli,
onsets.npy as well; of images, pixels.npy and, if they have labels, labels.npy and masks.npy; of rendered scenes,
scenes.npy and scene_offsets.npy (JSON), from which they are drawn again.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from glossator.errors import UserError
from glossator.files import plain, read_json, write_json
from glossator.inputs import Concept, Images, Inputs, Stimuli, Texts, TokenWindows
from glossator.inputs.annotations import Labels, LazyMasks
from glossator.inputs.tokens import Decoding, Vocabulary
from glossator.recording.store import ArrayWriter, Checksums, damaged, offsets_of, save

AGAIN = "Delete the recording and record again"
BLOCK = 256
"""How many images are in memory at a time."""

Read = Callable[[str], np.ndarray]


def save_inputs(inputs: Inputs, folder: Path, checksums: Checksums) -> dict[str, Any]:
    """Write inputs into `folder`; returns their entry in the manifest."""
    from glossator.scenes.inputs import SceneImages
    from glossator.scenes.render import RENDERER

    save(folder / "ids.npy", inputs.ids, checksums)
    save(folder / "documents.npy", inputs.groups, checksums)
    if isinstance(inputs, TokenWindows):
        for name in ("tokens", "lengths", "valid"):
            save(folder / f"{name}.npy", getattr(inputs, name), checksums)
        vocabulary = inputs.vocabulary
        _save_strings("piece", vocabulary.pieces, folder, checksums)
        if vocabulary.decoding is not None:
            write_json(folder / "decoding.json", plain(vocabulary.decoding))
        return {"kind": "tokens", "vocabulary": {"name": vocabulary.name, "special": sorted(vocabulary.special)}}
    if isinstance(inputs, Texts):
        _save_strings("text", [text.encode("utf-8", "surrogatepass") for text in inputs.texts], folder, checksums)
        if not inputs.counts.all():
            save(folder / "counts.npy", inputs.counts, checksums)
        if isinstance(inputs, Stimuli):
            save(folder / "onsets.npy", inputs.onsets, checksums)
    elif isinstance(inputs, SceneImages):
        _save_strings("scene", [scene.as_json().encode() for scene in inputs.scenes], folder, checksums)
        return {"kind": inputs.kind, "scenes": {"side": inputs.pixels.side, "renderer": RENDERER}}
    elif isinstance(inputs, Images):
        pixels = inputs.pixels
        with ArrayWriter(folder / "pixels.npy", pixels.dtype, pixels.shape, checksums) as writer:
            for first in range(0, len(pixels), BLOCK):
                writer.write(pixels[first : first + BLOCK])
        if inputs.labels is not None:
            return {"kind": inputs.kind, "labels": _save_labels(inputs.labels, folder, checksums)}
    else:
        raise TypeError(f"inputs of the kind {inputs.kind!r} cannot be saved")
    return {"kind": inputs.kind}


def load_inputs(manifest: dict[str, Any], folder: Path, read: Read) -> Inputs:
    """The inputs of a manifest's entry; read: returns an array of the folder by its name."""
    kind, ids, groups = manifest["kind"], read("ids"), read("documents")
    if kind == "tokens":
        arrays = {name: read(name) for name in ("tokens", "lengths", "valid")}
        return TokenWindows(**arrays, documents=groups, ids=ids, vocabulary=_vocabulary(manifest, folder, read))
    if kind == "images" and (drawn := manifest.get("scenes")):
        from glossator.scenes import Scene
        from glossator.scenes.inputs import RenderedPixels, SceneImages
        from glossator.scenes.render import RENDERER

        if drawn["renderer"] != RENDERER:
            raise UserError(
                "these scenes were rendered by another version", value=drawn["renderer"], allowed=RENDERER, fix=AGAIN
            )
        scenes = [Scene.from_json(scene.decode()) for scene in _strings("scene", read)]
        return SceneImages(RenderedPixels(scenes, drawn["side"]), ids, groups)
    if kind == "images":
        labels = _labels(manifest["labels"], read) if "labels" in manifest else None
        return Images(read("pixels"), ids, groups, labels)
    texts = tuple(text.decode("utf-8", "surrogatepass") for text in _strings("text", read))
    found = Stimuli(texts, ids, groups, read("onsets")) if kind == "stimuli" else Texts(texts, ids, groups)
    return found.counting(read("counts")) if (folder / "counts.npy").exists() else found


def _save_labels(labels: Labels, folder: Path, checksums: Checksums) -> list[dict[str, Any]]:
    """Which images show each label, and the masks, eight pixels a byte; returns what the columns and masks are."""
    concepts = sorted(labels.shows)
    save(folder / "labels.npy", np.array([labels.shows[concept] for concept in concepts]), checksums)
    entries, at = [], 0
    for concept in concepts:
        rows = sorted(labels.masks.get(concept, ()))
        entries.append({"name": str(concept), "first": at, "rows": rows})
        at += len(rows)
    if at:
        height, width = next(mask for of in labels.masks.values() for mask in of.values()).shape
        with ArrayWriter(folder / "masks.npy", np.dtype(np.uint8), (at, height, -(-width // 8)), checksums) as writer:
            for concept in concepts:
                for row in sorted(labels.masks.get(concept, ())):
                    writer.write(np.packbits(labels.masks[concept][row], axis=1)[None])
    return [{**entry, "width": width} for entry in entries] if at else entries


def _labels(entries: list[dict[str, Any]], read: Read) -> Labels:
    shown = read("labels")
    shows = {Concept.of(entry["name"]): np.asarray(shown[i]) for i, entry in enumerate(entries)}
    masks = {}
    for entry in entries:
        if entry["rows"]:
            packed = read("masks")
            readers = {
                row: functools.partial(_unpacked, packed, entry["first"] + i, entry["width"])
                for i, row in enumerate(entry["rows"])
            }
            masks[Concept.of(entry["name"])] = LazyMasks(readers)
    return Labels(shown.shape[1], shows, masks)


def _unpacked(packed: np.ndarray, at: int, width: int) -> np.ndarray:
    return np.unpackbits(np.asarray(packed[at]), axis=1, count=width).astype(bool)


def _vocabulary(manifest: dict[str, Any], folder: Path, read: Read) -> Vocabulary:
    decoding, entry = None, manifest["vocabulary"]
    if (path := folder / "decoding.json").exists():
        stored = read_json(path, "a file of the recording", AGAIN)
        try:
            decoding = Decoding(**{**stored, "tokens": tuple(stored["tokens"])})
        except (KeyError, TypeError) as error:
            raise damaged(path, str(error)) from error
    return Vocabulary(entry["name"], _strings("piece", read), frozenset(entry["special"]), decoding)


def _save_strings(name: str, strings: Any, folder: Path, checksums: Checksums) -> None:
    save(folder / f"{name}s.npy", np.frombuffer(b"".join(strings), np.uint8), checksums)
    save(folder / f"{name}_offsets.npy", offsets_of(np.array([len(s) for s in strings], np.int64)), checksums)


def _strings(name: str, read: Read) -> tuple[bytes, ...]:
    data, offsets = read(f"{name}s").tobytes(), read(f"{name}_offsets").tolist()
    return tuple(data[a:b] for a, b in itertools.pairwise(offsets))
