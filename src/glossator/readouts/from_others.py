"""Dictionaries of Gemma Scope, dictionary_learning and circuit-tracer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from glossator.errors import UserError
from glossator.readouts.dictionary import Dictionary
from glossator.readouts.dictionary_files import (
    Tensors,
    flat_yaml,
    layer_in,
    made_of,
    need,
    read_config,
    read_safetensors,
    sites_of,
    table,
    with_unit_decoder,
)
from glossator.readouts.hook_names import site_of_layer


def gemma_scope(path: Path, site: str | None) -> Dictionary:
    """Parameters alone: what they are of stands in the path, as in `layer_5/width_16k/average_l0_68/params.npz`."""
    file = path if path.is_file() else path / "params.npz"
    try:
        with np.load(file, allow_pickle=False) as arrays:
            tensors = {name.replace("w_", "W_"): torch.from_numpy(np.asarray(arrays[name])) for name in arrays}
    except Exception as error:  # whatever the parser of a damaged file raises
        raise UserError("the dictionary cannot be read", value=str(file), fix=f"It is damaged: {error}") from error
    read, written = _of_path(file)
    return _jump(tensors, file, site, {"package": "Gemma Scope"}, read, written)


def gemma_scope_2(path: Path, site: str | None) -> Dictionary:
    file = path / "params.safetensors"
    tensors = {name.replace("w_", "W_"): tensor for name, tensor in read_safetensors(file).items()}
    if "affine_skip_connection" in tensors:
        tensors["W_skip"] = tensors.pop("affine_skip_connection").T
    config = read_config(path / "config.json") if (path / "config.json").exists() else {}
    if config.get("architecture", "jump_relu") != "jump_relu":
        raise UserError("unknown architecture of a dictionary", value=config["architecture"], allowed="jump_relu")
    hooks = [config.get(f"hf_hook_point_{side}") for side in ("in", "out")]
    made, model = {"package": "Gemma Scope 2"}, str(config.get("model_name") or "")
    read, written = hooks if hooks[0] else _of_path(file)
    return _jump(tensors, file, site, made, read, written, model)


def _of_path(file: Path) -> tuple[str | None, str | None]:
    """Hook points from the folders above a file of Gemma Scope."""
    parts = [part.lower() for part in file.resolve().parts]
    layer = next((part.split("_")[1] for part in reversed(parts) if part.startswith("layer_")), None)
    whole = "/".join(parts)
    if layer is None or not layer.isdigit():
        return None, None
    if "transcoder" in whole:  # read before the norm's weights are applied
        return f"blocks.{layer}.ln2.hook_normalized", f"blocks.{layer}.hook_mlp_out"
    kinds = {"-mlp": "hook_mlp_out", "-att": "attn.hook_z", "-res": "hook_resid_post"}
    place = next((hook for words, hook in kinds.items() if words in whole), "hook_resid_post")
    return f"blocks.{layer}.{place}", None


def _weights(tensors: Tensors, file: Path) -> Tensors:
    """What Gemma Scope and circuit-tracer name alike; refused where it writes at several layers."""
    given = {
        name: need(tensors, key, file)
        for name, key in (
            ("encoder", "W_enc"), ("encoder_bias", "b_enc"), ("decoder", "W_dec"), ("decoder_bias", "b_dec"),
        )
    }  # fmt: skip
    if given["decoder"].ndim == 3:
        raise UserError("dictionaries that write at several layers are not read", value=str(file))
    if "W_skip" in tensors:
        given["skip"] = tensors["W_skip"]
    return given


def _jump(
    tensors: Tensors, file: Path, site: str | None, made: dict[str, Any], read: Any, written: Any, model: str = ""
) -> Dictionary:
    """JumpReLU with the names of SAELens, read without subtracting anything."""
    given = _weights(tensors, file)
    given |= {"encoder": given["encoder"].T, "threshold": need(tensors, "threshold", file)}
    if site is None and made["package"] == "Gemma Scope" and str(read).endswith("hook_normalized"):
        site = f"model.layers.{layer_in(read)}.pre_feedforward_layernorm.input"  # of Gemma 2, the only one with these
    sites = sites_of(site, read, written, written is not None, file)
    return made_of(given, sites, activation="jumprelu", model=model, made=made, where=file)


def dictionary_learning(path: Path, site: str | None) -> Dictionary:
    file = path if path.is_file() else path / "ae.pt"
    try:
        tensors = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:
        raise UserError(
            "the dictionary cannot be read without running what the file holds",
            value=str(file),
            fix="Save its state_dict alone, or as safetensors",
        ) from error
    if not isinstance(tensors, dict) or not all(isinstance(value, torch.Tensor) for value in tensors.values()):
        raise UserError("the file holds no tensors by name", value=str(file), fix="Save the state_dict alone")
    there = (file.parent / "config.json").exists()
    trainer = table(read_config(file.parent / "config.json"), "trainer") if there else {}
    kind = trainer.get("dict_class") or _class_of(tensors, file)
    wide = "W_enc" in tensors
    given = {
        "encoder": need(tensors, "W_enc", file).T if wide else need(tensors, "encoder.weight", file),
        "decoder": need(tensors, "W_dec", file) if wide else need(tensors, "decoder.weight", file).T,
    }
    k, threshold = None, tensors.get("threshold")
    if kind == "GatedAutoEncoder":
        activation, given["decoder_bias"] = "gated", need(tensors, "decoder_bias", file)
        given["encoder_bias"], given["gate_bias"] = (need(tensors, n, file) for n in ("mag_bias", "gate_bias"))
        given["gate_scale"] = need(tensors, "r_mag", file).float().exp()
    elif kind == "JumpReluAutoEncoder":
        activation, given["decoder_bias"] = "jumprelu", need(tensors, "b_dec", file)
        given["encoder_bias"], given["threshold"] = need(tensors, "b_enc", file), need(tensors, "threshold", file)
    else:
        given["encoder_bias"] = need(tensors, "b_enc" if wide else "encoder.bias", file)
        names = {"AutoEncoder": ("relu", "bias"), "AutoEncoderNew": ("relu", "decoder.bias")}
        names |= {"AutoEncoderTopK": ("top-k", "b_dec")}
        names |= dict.fromkeys(("BatchTopKSAE", "MatryoshkaBatchTopKSAE"), ("jumprelu", "b_dec"))
        if kind not in names:
            raise UserError("unknown class of a dictionary", value=kind, allowed=", ".join(names))
        activation, bias = names[kind]
        given["decoder_bias"] = need(tensors, bias, file)
        k = int(need(tensors, "k", file)) if activation == "top-k" else None
        if activation == "jumprelu":
            level = float(need(tensors, "threshold", file))
            given["threshold"] = torch.full_like(given["encoder_bias"], level, dtype=torch.float32)
            threshold = level
    if kind not in ("JumpReluAutoEncoder", "AutoEncoderNew"):
        given["centre"] = given["decoder_bias"]
    if kind == "AutoEncoder":  # as the package does when it loads one
        given = with_unit_decoder(given)
    notes = ("its threshold was never set: every positive latent is active",) if isinstance(
        threshold, float
    ) and threshold < 0 else ()  # fmt: skip
    layer, called = trainer.get("layer"), str(trainer.get("submodule_name") or "")
    hook = site_of_layer(layer, called) if isinstance(layer, int) else None
    sites = sites_of(site, hook and f"layer {layer}, {called or 'resid_post'}", None, False, file, hook)
    made = {"package": "dictionary_learning", "class": kind}
    model = str(trainer.get("lm_name") or "")
    return made_of(given, sites.noting(*notes), activation=activation, k=k, model=model, made=made, where=file)


def _class_of(tensors: Tensors, file: Path) -> str:
    """The class without a config, where the names tell."""
    if "gate_bias" in tensors:
        return "GatedAutoEncoder"
    if "encoder.weight" in tensors and "k" not in tensors:
        return "AutoEncoder" if "bias" in tensors else "AutoEncoderNew"
    if "W_enc" in tensors and "k" not in tensors:
        return "JumpReluAutoEncoder"
    raise UserError(
        "top-k or batch-top-k, the file does not say", value=str(file), fix="Put config.json of the run beside it"
    )


def layer_files(path: Path) -> dict[int, Path]:
    """The files of a set of transcoders by layer."""
    if not path.is_dir():
        return {}
    found = {p.stem.removeprefix("layer_"): p for p in path.glob("layer_*.safetensors")}
    return {int(number): p for number, p in found.items() if number.isdigit()}


def circuit_tracer(path: Path, site: str | None) -> Dictionary:
    layers = layer_files(path)
    if layers:
        number = layer_in(site or "")
        if number not in layers:
            raise UserError(
                "a set of transcoders needs a layer",
                value=site or str(path),
                allowed=f"layers {min(layers)} to {max(layers)}",
                fix=f"Name it as the site, PATH@mlp-in.{min(layers)}, or give one of the files",
            )
        path = layers[number]
    layer = path.stem.removeprefix("layer_")
    tensors = read_safetensors(path)
    given = _weights(tensors, path)
    threshold = tensors.get("activation_function.threshold", tensors.get("threshold"))
    if threshold is not None:
        given["threshold"] = threshold.reshape(-1).expand(len(given["encoder"]))
    config = flat_yaml(path.parent / "config.yaml")
    read, written = (config.get(f"feature_{side}_hook") for side in ("input", "output"))
    sites = sites_of(
        site, f"blocks.{layer}.{read}" if read else None, f"blocks.{layer}.{written}" if written else None, True, path
    )
    return made_of(
        given,
        sites,
        activation="relu" if threshold is None else "jumprelu",
        model=str(config.get("model_name") or ""),
        made={"package": "circuit-tracer", "layer": layer},
        where=path,
    )
