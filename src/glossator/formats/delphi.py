"""delphi's latent caches and explanation files, as its version 0.1.3 writes them.

    latents/HOOKPOINT/{START_END.safetensors, config.json}      explanations/HOOKPOINT_latentN.txt

A cache holds all values of its latents on its text; `glossator.subjects.delphi` reads it as a subject. An explanation
is one JSON value, mostly a text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from glossator.errors import UserError
from glossator.files import replacing, write_bytes, write_json
from glossator.formats.base import Said, read_text

NAME = re.compile(r"(?P<site>.+)_latent(?P<index>[0-9]{1,9})$")
SPLITS = 5


def read_explanations(run: Path) -> dict[tuple[str, int], tuple[Said, ...]]:
    """Explanations by hookpoint and number of the latent; empty where the run has none."""
    found: dict[tuple[str, int], tuple[Said, ...]] = {}
    for path in sorted((run / "explanations").glob("*.txt")):
        named = NAME.match(path.stem)
        if named is None:
            continue
        try:
            value = json.loads(read_text(path))
        except ValueError as error:
            raise UserError("an explanation is damaged", value=str(path), fix="Get it again") from error
        texts = value if isinstance(value, list) else [value]
        found[named["site"], int(named["index"])] = tuple(
            Said(text.strip(), "delphi") for text in texts if isinstance(text, str) and text.strip()
        )
    return found


def write_explanations(run: Path, said: Iterable[tuple[str, int, str]]) -> int:
    """Write (hookpoint, latent, text) as files; returns how many."""
    count = 0
    for site, index, text in said:
        write_bytes(run / "explanations" / f"{site}_latent{index}.txt", json.dumps(text, ensure_ascii=False).encode())
        count += 1
    return count


def write_cache(
    run: Path,
    site: str,
    model: str,
    tokens: np.ndarray,
    entries: Mapping[int, tuple[np.ndarray, np.ndarray]],
    width: int,
) -> None:
    """Write one hookpoint.

    tokens (rows, positions); entries: of each latent its places (n, 2), row and position, and activations (n,); width:
    how many latents the hookpoint has.
    """
    from safetensors.numpy import save_file

    folder = run / "latents" / site
    folder.mkdir(parents=True, exist_ok=True)
    edges = np.unique(np.linspace(0, width, SPLITS + 1).astype(int))
    for first, end in _pairs(edges):
        inside = [latent for latent in sorted(entries) if first <= latent < end]
        places = [np.column_stack([entries[i][0], np.full(len(entries[i][0]), i - first)]) for i in inside]
        values = [entries[i][1] for i in inside]
        where = np.concatenate(places) if places else np.zeros((0, 3), np.int64)
        what = np.concatenate(values) if values else np.zeros(0, np.float32)
        order = np.lexsort((where[:, 2], where[:, 1], where[:, 0]))
        small = max((*tokens.shape, end - first)) <= np.iinfo(np.uint16).max
        stored = {
            "locations": np.ascontiguousarray(where[order].astype(np.uint16 if small else np.uint32)),
            "activations": np.ascontiguousarray(what[order].astype(_narrowest(what))),
            "tokens": np.ascontiguousarray(tokens.astype(np.int64)),
        }
        with replacing(folder / f"{first}_{end - 1}.safetensors") as temporary:
            save_file(stored, temporary)
    config = {"model_name": model, "cache_ctx_len": int(tokens.shape[1]), "n_splits": len(edges) - 1}
    write_json(folder / "config.json", config)


def _narrowest(values: np.ndarray) -> type:
    """float16, as delphi writes, unless a value is too large for it."""
    return np.float16 if np.abs(values).max(initial=0) <= np.finfo(np.float16).max else np.float32


def _pairs(edges: np.ndarray) -> Iterator[tuple[int, int]]:
    yield from zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
