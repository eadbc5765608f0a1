"""From a folder to a model in which every weight comes from its files, or an error that names what does not.

`transformers` fills what a file lacks with random numbers, and leaves out what the model has no place for.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from glossator.errors import UserError
from glossator.subjects.trial import output_of

if TYPE_CHECKING:
    import torch
    from torch import nn

Kind = Literal["causal", "encoder", "text encoder"]
_NAMED = 4  # keys that a message names


def check_config_file(folder: Path) -> Path:
    """The config of a folder; `UserError` if there is none."""
    if (path := folder / "config.json").is_file():
        return path
    fix = "Save the model with save_pretrained"
    if (folder / "adapter_config.json").is_file():
        fix = "It holds an adapter: merge it into its model (merge_and_unload) and save the whole"
    raise UserError("no config.json in this folder", value=str(folder), fix=fix)


def read_config(folder: Path) -> Any:
    """The config of a folder; `UserError` where it is missing, unreadable, or of no model that is known here."""
    from transformers import AutoConfig

    path = check_config_file(folder)
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError("cannot read the config", value=str(path), fix=error.strerror or str(error)) from error
    except ValueError as error:
        raise UserError("cannot read the config", value=str(path), fix=f"It is not JSON: {error}") from error
    if not isinstance(stored, dict) or not isinstance(stored.get("model_type"), str):
        raise UserError("this config has no model_type", value=str(path), fix="Save the model with save_pretrained")
    try:
        with quiet_transformers():
            return AutoConfig.from_pretrained(folder, trust_remote_code=False)
    except Exception as error:
        from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

        kind = stored["model_type"]
        if kind not in CONFIG_MAPPING_NAMES:
            fix = "transformers does not know it, and code that comes with a model is never run"
            raise UserError("unknown model_type in the config", value=kind, fix=fix) from error
        raise UserError("cannot read the config", value=str(path), fix=reason_of(error)) from error


def kind_of(config: Any) -> Kind:
    """Whether a config describes a causal language model, an encoder, or the encoder of an encoder-decoder alone.

    The class that was saved says so; where it is a bare base model, families that can be masked models are encoders.
    Raises `UserError` for an encoder-decoder, whose decoder reads another text than its encoder, and for a decoder
    that attends to an encoder's states.
    """
    from transformers.models.auto import modeling_auto as auto

    kind, classes = config.model_type, [str(name) for name in getattr(config, "architectures", None) or []]
    names = " ".join(classes)
    if _encoder_alone(config) is not None:
        return "text encoder"
    both = getattr(config, "is_encoder_decoder", False) or getattr(config, "add_cross_attention", False)
    if both or (getattr(type(config), "is_encoder_decoder", False) and "ForCausalLM" not in names):
        raise UserError(
            "this model is an encoder-decoder",
            value=classes[0] if classes else kind,
            allowed="a causal language model, or an encoder",
            fix="Save its encoder alone if it has its own class (T5EncoderModel), or pass it in Python: "
            "load_subject(model.get_encoder(), tokenizer=tokenizer)",
        )
    if "LMHead" not in names and re.search(r"CausalLM|ConditionalGeneration", names):
        return "causal"
    if re.search(r"MaskedLM|Classification|PreTraining|QuestionAnswering", names):
        return "encoder"
    masked = "LMHead" not in names and kind in auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES
    return "causal" if kind in auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES and not masked else "encoder"


def _encoder_alone(config: Any) -> Any:
    """The class of `transformers` that holds the encoder of an encoder-decoder, where that is what was saved."""
    import transformers

    names = [str(name) for name in getattr(config, "architectures", None) or []]
    found = [getattr(transformers, name, None) for name in names if name.endswith("EncoderModel")]
    return next((one for one in found if getattr(one, "config_class", None) is type(config)), None)


def auto_class(config: Any) -> Any:
    """The class of `transformers` that opens a model of this config; raises what `kind_of` raises."""
    from transformers import AutoModel, AutoModelForCausalLM

    kind = kind_of(config)
    return AutoModelForCausalLM if kind == "causal" else _encoder_alone(config) or AutoModel


def empty_model(config: Any) -> nn.Module:
    """A model of this config with nothing in it that was learned."""
    opener = auto_class(config)
    return opener.from_config(config) if hasattr(opener, "from_config") else opener(config)


def load_model(folder: Path, config: Any, dtype: torch.dtype, device: Any) -> nn.Module:
    """The model of a folder on a device, or spread over accelerators for 'auto', without gradients.

    Every parameter and buffer that reaches its output comes from the folder's files. Nothing that comes with the folder
    is executed: pickles are read as tensors alone. Raises `UserError` otherwise.
    """
    if (folder / "adapter_config.json").is_file():
        raise UserError(
            "this folder has an adapter beside a model",
            value=str(folder),
            fix="Merge it (merge_and_unload) and save the whole, or remove adapter_config.json to study the base",
        )
    options: dict[str, Any] = {"device_map": device} if device == "auto" else {}

    def first_output(model: nn.Module) -> torch.Tensor:
        return output_of(model, [[0, 1]])

    model = fitting(auto_class(config), folder, config, dtype, first_output, **options)
    return model if device == "auto" else model.to(device)


def fitting(
    opener: Any,
    folder: Path,
    config: Any,
    dtype: torch.dtype,
    output: Callable[[nn.Module], torch.Tensor],
    **options: Any,
) -> nn.Module:
    """The model that a class of `transformers` makes of a folder; `UserError` unless every weight that reaches its
    output comes from the folder's files, and every weight of theirs has its place. output: of the model for something.
    """
    try:
        with quiet_transformers():
            model, info = opener.from_pretrained(
                folder,
                config=config,
                dtype=dtype,
                trust_remote_code=False,
                weights_only=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # to name them all below
                **options,
            )
    except Exception as error:
        if keys := _not_joined(error):
            what = "weights that this checkpoint holds in parts (experts) do not fit together, or lack a part"
            raise _unfit(what, keys, folder) from error
        raise UserError("cannot load this model", value=str(folder), fix=reason_of(error)) from error
    model = model.eval().requires_grad_(False)
    _refuse_unfilled(model, info, folder, output)
    _own(model, folder)
    return model


def _refuse_unfilled(
    model: nn.Module, info: dict[str, Any], folder: Path, output: Callable[[nn.Module], torch.Tensor]
) -> None:
    """Raise where the files and the model do not fit: other shapes, missing weights, weights without a place."""
    if wrong := info.get("mismatched_keys"):
        shown = [f"{key} {tuple(given)} instead of {tuple(wanted)}" for key, given, wanted in sorted(wrong)]
        raise _unfit("weights of this checkpoint have other shapes than the model's config says", shown, folder)
    unexpected = sorted(info.get("unexpected_keys") or ())
    missing = _missing(model, info)
    if missing and _counts(model, missing, output):
        extra = f"; it has instead {_listed(unexpected)}" if unexpected else ""
        raise _unfit("this checkpoint lacks weights that the model uses", sorted(missing), folder, extra)
    if unused := [key for key in unexpected if _belongs(model, key)]:
        raise _unfit("this checkpoint has weights that the model of its config would leave out", unused, folder)


def _not_joined(error: Exception) -> list[str]:
    """The weights that `transformers` failed to join from several of a file; its error only points to its log."""
    trace = error.__traceback__
    while trace is not None:
        if found := getattr(trace.tb_frame.f_locals.get("loading_info"), "conversion_errors", None):
            return sorted(map(str, found))
        trace = trace.tb_next
    return []


def _unfit(what: str, keys: list[str], folder: Path, extra: str = "") -> UserError:
    fix = f"In {folder}{extra}. Save model and config together with save_pretrained"
    return UserError(what, value=_listed(keys), fix=fix)


def _listed(keys: Iterable[str]) -> str:
    keys = list(keys)
    more = f", ... ({len(keys)} in all)" if len(keys) > _NAMED else ""
    return ", ".join(keys[:_NAMED]) + more


def _missing(model: nn.Module, info: dict[str, Any]) -> set[str]:
    """Keys that no file filled, also those which a class of `transformers` passes over in its own report."""
    missing = set(info.get("missing_keys") or ())
    stored = model.state_dict(keep_vars=True)  # parameters, and the buffers that are saved with them
    marked = {key: getattr(value, "_is_hf_initialized", False) for key, value in stored.items()}
    if any(marked.values()) and getattr(model, "hf_quantizer", None) is None:
        missing |= {key for key, filled in marked.items() if not filled}
    return missing


def _counts(model: nn.Module, missing: set[str], output: Callable[[nn.Module], torch.Tensor]) -> bool:
    """Whether what these parameters are changes what the model puts out; they are NaN afterwards.

    A pooler that was never trained does not: nobody can then take its numbers for the model's. Inside the blocks
    everything counts, since a pass over two tokens need not meet each expert.
    """
    import torch

    from glossator.subjects.sites import find_blocks

    blocks = find_blocks(model, model.config)
    if blocks is not None and any(key.startswith(f"{blocks[0]}.") for key in missing):
        return True
    state = model.state_dict()
    if any(key not in state or not state[key].is_floating_point() for key in missing):
        return True
    with torch.no_grad():
        for key in missing:
            state[key].fill_(float("nan"))
    try:
        with torch.inference_mode():
            return not bool(torch.isfinite(output(model)).all())
    except Exception:  # whatever it is, it is told as missing weights
        return True


def _belongs(model: nn.Module, key: str) -> bool:
    """Whether a key without a place belongs to a part that the model has: a bias, a scale, an adapter, a layer more."""
    from torch import nn

    prefix = getattr(model, "base_model_prefix", "")
    for path in (key, key.removeprefix(f"{prefix}."), f"{prefix}.{key}"):
        module, steps = model, path.split(".")
        while steps and isinstance(inside := getattr(module, steps[0], None), nn.Module):
            module, steps = inside, steps[1:]
        if isinstance(module, nn.ModuleList) and steps[0].isdigit():
            # Layers that predict further tokens in training come behind the others and are no part of the model.
            return not getattr(model.config, "num_nextn_predict_layers", 0)
        if module is not model and list(module.parameters(recurse=False)):
            return True
    return False


def _own(model: nn.Module, folder: Path) -> None:
    """Take the weights out of the mapped file, which may be overwritten meanwhile; refuse what they overflow in.

    What is no number in the file itself stays: a site that it reaches is refused when it is recorded, and outputs that
    it reaches are missing values.
    """
    import torch

    for parameter in model.parameters():
        if parameter.device.type == "cpu":
            parameter.data = parameter.data.clone()
    named = [(name, p) for name, p in model.named_parameters() if p.dtype == torch.float16 and p.device.type != "meta"]
    if beyond := [name for name, p in named if torch.isinf(p).any()]:
        raise UserError(
            "weights beyond the range of float16",
            value=_listed(beyond),
            fix=f"In {folder}; float16 ends at 65,504, bfloat16 and float32 do not",
        )


def reason_of(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


@contextlib.contextmanager
def quiet_transformers() -> Iterator[None]:
    """Keep `transformers` from drawing progress bars and advice inside, and give it back as it was."""
    from transformers.utils import logging

    bars, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
