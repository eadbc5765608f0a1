"""A subject's fingerprint: the content of its weights, its config and its tokenizer.

Equal content gives equal fingerprints, however it is cut into files; names and dates count for nothing.
"""

from __future__ import annotations

import dataclasses
import dis
import functools
import hashlib
import inspect
import json
import mmap
import os
import time
import types
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

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
    """The fingerprint of a model as it stands in memory now: its config and what `of_module` says of it."""
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


def of_module(module: nn.Module, *beside: Any) -> str:
    """The fingerprint of any module as it stands in memory now: weights, buffers, plain settings of its parts and the
    code of their own classes; beside: what else decides its values, such as the function that makes its input."""
    return files.fingerprint([*_code_and_digests(module), *map(of_code, beside)])


def of_code(value: Any) -> Any:
    """What tells a function, or an object that can be called, from another: its source, or else its code, with what is
    plain among the values that it holds."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [_name_of(type(value)), json.loads(json.dumps(dataclasses.asdict(value), default=str))]
    if isinstance(value, functools.partial):
        return [of_code(value.func), _plain(list(value.args)), _plain(value.keywords)]
    function = getattr(value, "__func__", value)
    if not isinstance(function, types.FunctionType):
        kept = getattr(value, "__dict__", {}) if not isinstance(value, type) else {}
        return [_name_of(type(value)), _plain(value), source_of(type(value)), {k: _plain(v) for k, v in kept.items()}]
    held = [cell.cell_contents for cell in function.__closure__ or () if cell.cell_contents is not value]
    return [source_of(function), _plain([*held, *(function.__defaults__ or ())])]


def source_of(value: Any) -> str:
    """The source of a class or function that is not of a library, whose versions stand in manifests; the code of one
    that was typed in at a prompt."""
    if str(getattr(value, "__module__", "")).partition(".")[0] in ("torch", "transformers", "builtins"):
        return _name_of(value)
    return _source(value)


@functools.lru_cache(maxsize=1024)
def _source(value: Any) -> str:
    try:
        return inspect.getsource(value)
    except (OSError, TypeError):
        code = getattr(value, "__code__", None)
        return (
            _name_of(value) if code is None else f"{code.co_code.hex()} {_plain(list(code.co_consts))} {code.co_names}"
        )


def _name_of(value: Any) -> str:
    return f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', type(value).__name__)}"


def _plain(value: Any) -> Any:
    """A value of plain data as JSON knows it; of any other its type."""
    if value is None or isinstance(value, bool | int | float | str | bytes):
        return repr(value)
    if isinstance(value, list | tuple | set | frozenset):
        found = [_plain(one) for one in value]
        return sorted(found, key=str) if isinstance(value, set | frozenset) else found
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, np.ndarray) and value.dtype.kind != "O":
        return _digest(str(value.dtype), list(value.shape), np.ascontiguousarray(value).tobytes())
    if hasattr(value, "detach") and hasattr(value, "cpu"):
        return _digest(str(value.dtype), list(value.shape), _bytes_of(value))
    return _name_of(value if callable(value) else type(value))


def _code_and_digests(module: nn.Module) -> tuple[Any, dict[str, str]]:
    """Of a module's parts their classes, with the source of those that are of no library, and their plain settings; a
    digest of each tensor."""
    parts = [[name, _name_of(type(part)), _settings(part)] for name, part in module.named_modules()]
    sources = {_name_of(kind): source_of(kind) for kind in {type(part) for part in module.modules()}}
    tensors = [*module.named_parameters(), *module.named_buffers()]
    return [parts, sources], {name: _digest(str(t.dtype), list(t.shape), _bytes_of(t)) for name, t in tensors}


def _settings(part: nn.Module) -> dict[str, Any]:
    """The plain attributes of a module, but for what its passes write; of one of `transformers` its config."""
    config: Any = getattr(part, "config", None)
    if hasattr(config, "to_dict"):
        return {key: _plain(value) for key, value in config.to_dict().items() if key not in _NOT_CONTENT}
    if type(part).__module__.partition(".")[0] == "transformers":
        return {}
    forward = getattr(type(part).forward, "__code__", None)
    written = {i.argval for i in dis.get_instructions(forward) if i.opname == "STORE_ATTR"} if forward else set()
    kept = {k: v for k, v in vars(part).items() if k != "training" and not k.startswith("_") and k not in written}
    return {k: _plain(v) for k, v in kept.items() if isinstance(v, _PLAIN) or callable(v)}


_PLAIN = (bool, int, float, str, tuple, type(None))


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
