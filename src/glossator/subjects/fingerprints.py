"""A subject's fingerprint: the content of its weights, its config and its tokenizer.

Equal content gives equal fingerprints, however it is cut into files; names and dates count for nothing.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import mmap
import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glossator import files

if TYPE_CHECKING:
    import torch
    from torch import nn

    from glossator.subjects.tokenizer import FastTextTokenizer

_NOT_CONTENT = ("_name_or_path", "transformers_version", "torch_dtype", "dtype")
_SETTLED_SECONDS = 2.0
_known: dict[tuple[Any, ...], dict[str, str]] = {}
"""What was found in files already, by what the file system says of them."""


def of_folder(folder: Path, tokenizer: FastTextTokenizer, prefix: Iterable[int] | None = None) -> str:
    """The fingerprint of a saved model, 16 hexadecimal digits, from its files alone; prefix: token ids that are given.

    A second call costs next to nothing while no file has been written to.
    """
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    digests: dict[str, str] = {}
    for path in weight_files(folder):
        digests |= _digests(path)
    return _joined(config, digests, tokenizer, prefix)


def of_model(model: nn.Module, tokenizer: FastTextTokenizer, prefix: Iterable[int] | None = None) -> str:
    """The fingerprint of a model as it stands in memory now, buffers and the code of its own class included."""
    config = model.config.to_dict() if hasattr(model.config, "to_dict") else vars(model.config)
    code, digests = _code_and_digests(model)
    return _joined({**config, "code": code}, digests, tokenizer, prefix)


def of_weights(folder: Path, facts: dict[str, Any]) -> str:
    """The fingerprint of a saved image model: its config, its weights and how images are prepared for it (facts)."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    digests: dict[str, str] = {}
    for path in weight_files(folder):
        digests |= _digests(path)
    content = {key: value for key, value in config.items() if key not in _NOT_CONTENT}
    return files.fingerprint({"config": content, "weights": digests, **facts})


def of_module(module: nn.Module) -> str:
    """The fingerprint of any module as it stands in memory now, buffers and the code of its own class included."""
    return files.fingerprint(_code_and_digests(module))


def _code_and_digests(module: nn.Module) -> tuple[str, dict[str, str]]:
    try:
        code = inspect.getsource(type(module))
    except (OSError, TypeError):  # typed in at a prompt
        code = repr(module)
    tensors = [*module.named_parameters(), *module.named_buffers()]
    return code, {name: _digest(str(t.dtype), list(t.shape), _bytes_of(t)) for name, t in tensors}


def weight_files(folder: Path) -> list[Path]:
    """The files of a folder that may hold its weights: pickles only where there are no whole safetensors."""
    names = ("model.safetensors", "model.safetensors.index.json")
    whole = any((folder / name).exists() for name in names)
    return sorted(folder.glob("*.safetensors")) + ([] if whole else sorted(folder.glob("*.bin")))


def states_of(paths: Iterable[Path]) -> list[tuple[int, ...]]:
    """What the file system says of these files: another answer later means that one was written to."""
    found: list[tuple[int, ...]] = []
    for path in paths:
        stat = os.stat(path)
        found.append((stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns))
    return found


def _joined(
    config: dict[str, Any], digests: dict[str, str], tokenizer: FastTextTokenizer, prefix: Iterable[int] | None
) -> str:
    content = {key: value for key, value in config.items() if key not in _NOT_CONTENT}
    return files.fingerprint(
        {
            "config": json.loads(json.dumps(content, default=str, sort_keys=True)),
            "weights": digests,
            "tokenizer": tokenizer.fingerprint,
            "prefix": None if prefix is None else list(prefix),
        }
    )


def _digests(path: Path) -> dict[str, str]:
    """A digest of each tensor of a file, or one of a file that is no safetensors."""
    return once("digests", [path], lambda: _read(path))


def once(name: str, paths: list[Path], find: Callable[[], dict[str, str]]) -> dict[str, str]:
    """What `find` gives, kept under this name as long as none of these files is written to."""
    states = states_of(paths)
    key = (name, *states)
    if key not in _known:
        found = find()
        # A file written a moment ago may be written again within the resolution of its date.
        settled = time.time() - max((max(state[3:]) for state in states), default=0) / 1e9 >= _SETTLED_SECONDS
        if not settled:
            return found
        _known[key] = found
    return _known[key]


def _read(path: Path) -> dict[str, str]:
    if path.suffix != ".safetensors":
        return {path.name: files.sha256_of(path)}
    with open(path, "rb") as handle, mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as held:
        try:
            begin = 8 + int.from_bytes(held[:8], "little")
            header = json.loads(held[8:begin])
            header.pop("__metadata__", None)
            places = {name: (e["dtype"], e["shape"], *e["data_offsets"]) for name, e in header.items()}
        except (ValueError, KeyError, TypeError, AttributeError):  # whoever loads it says what is wrong
            return {path.name: files.sha256_of(path)}
        with memoryview(held) as data, ThreadPoolExecutor(os.cpu_count()) as pool:

            def one(entry: tuple[str, list[int], int, int]) -> str:
                with data[begin + entry[2] : begin + entry[3]] as part:
                    return _digest(entry[0], entry[1], part)

            return dict(zip(places, pool.map(one, places.values()), strict=True))


def _digest(dtype: str, shape: list[int], data: Any) -> str:
    digest = hashlib.sha256(f"{dtype} {list(shape)}\n".encode())
    digest.update(data)
    return digest.hexdigest()


def _bytes_of(tensor: torch.Tensor) -> Any:
    import torch

    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
