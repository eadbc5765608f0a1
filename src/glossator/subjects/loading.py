"""From a name to a subject: a built-in alias, a local folder or a hub id."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glossator.errors import UserError, near_matches
from glossator.subjects import fingerprints
from glossator.subjects.aliases import ALIASES, GIVEN
from glossator.subjects.checkpoints import (
    check_config_file,
    empty_model,
    kind_of,
    load_model,
    quiet_transformers,
    read_config,
    reason_of,
)
from glossator.subjects.image_models import (
    RENDERS_CNN,
    TIMM,
    open_image_model,
    sites_of_builtin,
    takes_images,
)  # fmt: skip
from glossator.subjects.sites import SiteInfo, find_sites
from glossator.subjects.tokenizer import FastTextTokenizer
from glossator.subjects.transformer import TransformerSubject
from glossator.subjects.trial import sees_ahead
from glossator.subjects.weights import ensure_weights

if TYPE_CHECKING:
    from torch import nn

    from glossator.subjects.vision import VisionSubject

DTYPES = ("float32", "bfloat16", "float16")
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_TOKENIZER_FILES = (
    "tokenizer.json",
    "*.model",
    "vocab*",
    "*.vocab",
    "merges.txt",
    "*.tiktoken",
    "tekken.json",
    "*.bpe",
)


def is_folder(name: str) -> bool:
    try:
        return bool(name) and Path(name).expanduser().is_dir()
    except (OSError, RuntimeError):  # too long for a path; a home that is nobody's
        return False


def _unknown(name: str) -> UserError:
    if name.startswith(GIVEN):
        return UserError(
            "the model of this study was passed in memory",
            value=name.removeprefix(GIVEN),
            fix="Pass it again: run_study(spec, folder, subject=load_subject(model, tokenizer))",
        )
    return UserError(
        "unknown subject",
        value=name,
        allowed=f"an alias ({near_matches(name, (*ALIASES, RENDERS_CNN))}), a folder with a config.json, "
        "or a hub id like owner/model",
    )


def _from_hub(name: str, *patterns: str) -> Path:
    """The folder of a hub model with the files of these patterns, fetched or from the hub's own cache."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=list(patterns), ignore_patterns=["*/*"]))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(
            "cannot get this model from the hub",
            value=name,
            allowed=f"an alias ({', '.join(ALIASES)}), a local folder, a reachable hub id",
            fix=f"Message from the hub: {reason}",
        ) from error


def _whole_model_from_hub(name: str) -> Path:
    """Config, tokenizer and weights of a hub model; safetensors where there are any."""
    folder = _from_hub(name, "*.json", "*.txt", "*.model", "*.jinja", "*.tiktoken", "*.bpe", "*.safetensors")
    return folder if list(folder.glob("*.safetensors")) else _from_hub(name, "*.bin")


def resolve_folder(name: str) -> Path:
    """The folder that holds a subject's config, tokenizer and weights; aliases are downloaded when not yet cached."""
    if name in ALIASES:
        return ensure_weights(name)
    if is_folder(name):
        folder = Path(name).expanduser()
        check_config_file(folder)
        return folder
    if HUB_ID.fullmatch(name):
        return _whole_model_from_hub(name)
    raise _unknown(name)


def subject_name(name: str) -> str:
    """The name used in unit ids: the alias, or the last part of the path or hub id."""
    return name if name in ALIASES else Path(name).expanduser().resolve().name


def load_tokenizer(name: str, folder: Path | None = None) -> FastTextTokenizer:
    """The tokenizer of a subject, without its model; `UserError` for a folder that has none that can be used."""
    from transformers import AutoTokenizer

    folder = resolve_folder(name) if folder is None else folder
    # Without this, some classes make one with no vocabulary.
    if not any(found for pattern in _TOKENIZER_FILES for found in folder.glob(pattern)):
        raise UserError(
            "this folder has no tokenizer",
            value=str(folder),
            fix="Save it beside the model: tokenizer.save_pretrained(folder)",
        )
    try:
        with quiet_transformers():
            tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except Exception as error:
        raise UserError("cannot read the tokenizer of", value=str(folder), fix=reason_of(error)) from error
    return FastTextTokenizer(tokenizer, subject_name(name))


def given_prefix(name: str) -> tuple[int, ...] | None:
    return ALIASES[name].prefix if name in ALIASES else None


def _borders(name: str, model: nn.Module, tokenizer: Any, causal: bool) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Token ids that go before and after each window."""
    known = min(len(tokenizer), len(model.get_input_embeddings().weight))
    if (given := given_prefix(name)) is not None:
        return given, ()

    def one(*candidates: object) -> tuple[int, ...]:
        return next(((c,) for c in candidates if isinstance(c, int) and 0 <= c < known), ())

    if causal:
        return one(tokenizer.bos_token_id, getattr(model.config, "bos_token_id", None)), ()
    return one(tokenizer.cls_token_id, tokenizer.bos_token_id), one(tokenizer.sep_token_id, tokenizer.eos_token_id)


def load_subject(
    source: str | Path | nn.Module,
    tokenizer: Any = None,
    *,
    name: str | None = None,
    dtype: str | None = None,
    device: str | None = None,
) -> TransformerSubject:
    """A subject from an alias, a local folder, a hub id, or a model in memory with its tokenizer.

    dtype is 'float32' (the default), 'bfloat16' or 'float16'; device is a torch device (the CPU by default), or 'auto'
    to spread the model over the accelerators there are. name stands in unit ids. A model in memory, one of
    `transformers` or any module that maps token ids (rows, positions) to numbers a position, keeps its dtype and
    device, is not copied, and is put into evaluation mode. Raises `UserError` for what cannot be had, and for a
    checkpoint that does not fit. Code that comes with a model is never run.
    """
    import torch

    if isinstance(source, torch.nn.Module):
        if dtype is not None or device is not None:
            raise UserError(
                "an in-memory model keeps its dtype and device", value=dtype or device, fix="Move it before"
            )
        return _of_model(source, tokenizer, name)
    source = str(source)
    if takes_images(source):
        raise UserError("this subject takes images", value=source, fix="Open it with open_subject(name)")
    if tokenizer is not None:
        raise UserError(
            "a saved model has its own tokenizer", value=source, fix="Save the other one in the model's folder"
        )
    if (dtype := dtype or "float32") not in DTYPES:
        raise UserError("unknown dtype", value=dtype, allowed=", ".join(DTYPES))
    device = device or "cpu"
    target: Any = "auto" if device == "auto" and torch.accelerator.is_available() else None
    if target is None:
        target = _device("cpu" if device == "auto" else device)
    folder = resolve_folder(source)
    config = read_config(folder)
    kind = kind_of(config)
    own = load_tokenizer(source, folder)
    paths = fingerprints.weight_files(folder)
    before = fingerprints.states_of(paths)
    model = load_model(folder, config, getattr(torch, dtype), target)
    fingerprint = fingerprints.of_folder(folder, own, given_prefix(source))
    if fingerprints.states_of(paths) != before:
        raise UserError("the weights changed while they were being read", value=str(folder), fix="Run again")
    causal, ahead = kind == "causal", sees_ahead(model)
    if causal and ahead:
        # A BERT saved with a head for causal models still attends to both sides unless its config says otherwise.
        causal, model = False, getattr(model, model.base_model_prefix, model)
    prefix, suffix = _borders(source, model, own.hub_tokenizer, causal)
    return TransformerSubject(name or subject_name(source), model, own, fingerprint, causal, prefix, suffix)


def load_image_model(name: str, *, dtype: str | None = None, device: str | None = None) -> VisionSubject:
    """An image model from a built-in name, `timm:NAME`, a local folder or a hub id; dtype, device as `load_subject`."""
    import torch

    if (dtype := dtype or "float32") not in DTYPES:
        raise UserError("unknown dtype", value=dtype, allowed=", ".join(DTYPES))
    on: Any = torch.accelerator.current_accelerator() if device == "auto" and torch.accelerator.is_available() else None
    if on is None:
        on = _device("cpu" if device in (None, "auto") else str(device))
    subject = open_image_model(name, None if name == RENDERS_CNN or name.startswith(TIMM) else resolve_folder(name))
    return replace(
        subject, name=subject.name if name.startswith(TIMM) else subject_name(name),
        model=subject.model.to(device=on, dtype=getattr(torch, dtype)),
    )  # fmt: skip


def _of_model(model: nn.Module, tokenizer: Any, name: str | None) -> TransformerSubject:
    from glossator.subjects.in_memory import opened, own_tokenizer

    name = name or Path(str(getattr(getattr(model, "config", None), "_name_or_path", ""))).name or type(model).__name__
    own = own_tokenizer(tokenizer, name)
    model = opened(model, own)
    causal = not sees_ahead(model)
    prefix, suffix = _borders("", model, own.hub_tokenizer, causal)
    return TransformerSubject(
        name, model, own, fingerprints.of_model(model, own), causal, prefix, suffix, in_memory=True
    )


def _device(device: str) -> Any:
    import torch

    try:
        found = torch.device(device)
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError) as error:
        raise UserError(
            "cannot use this device",
            value=device,
            allowed="auto, cpu, cuda, cuda:N, mps",
            fix=str(error).splitlines()[0],
        ) from error
    return found


def describe_sites(name: str) -> list[SiteInfo]:
    """The aliased sites of a subject from its config alone: nothing is downloaded for an alias, no weights are read."""
    import torch
    from transformers import AutoConfig

    if takes_images(name):
        return list(sites_of_builtin(name) if name in (*ALIASES, RENDERS_CNN) else load_image_model(name).sites())
    if name in ALIASES:
        config = AutoConfig.for_model(**ALIASES[name].config)
    elif is_folder(name) or HUB_ID.fullmatch(name):
        config = read_config(resolve_folder(name) if is_folder(name) else _from_hub(name, "config.json"))
    else:
        raise _unknown(name)
    try:
        with torch.device("meta"), quiet_transformers():
            model = empty_model(config)
    except Exception as error:
        raise UserError("cannot build this model", value=name, fix=reason_of(error)) from error
    return find_sites(model)
