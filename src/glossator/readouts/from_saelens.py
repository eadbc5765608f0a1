"""Dictionaries as SAELens and sparsify write them: `cfg.json` beside the weights."""

from __future__ import annotations

from pathlib import Path

import torch

from glossator.errors import UserError
from glossator.readouts.dictionary import Dictionary
from glossator.readouts.dictionary_files import (
    made_of,
    need,
    read_config,
    read_safetensors,
    sites_of,
    table,
    with_unit_decoder,
)
from glossator.readouts.hook_names import site_of_module

_SAELENS = {
    "standard": "relu", "gated": "gated", "jumprelu": "jumprelu", "topk": "top-k", "abstopk": "absolute-top-k",
    "batchtopk": "jumprelu", "matryoshka_batchtopk": "jumprelu", "transcoder": "relu", "skip_transcoder": "relu",
    "jumprelu_transcoder": "jumprelu", "jumprelu_skip_transcoder": "jumprelu",
}  # fmt: skip
_NORMS = {"layer_norm": "layer-norm", "constant_norm_rescale": "constant-norm"}


def saelens(path: Path, site: str | None) -> Dictionary:
    folder = path if path.is_dir() else path.parent
    file = folder / "sae_weights.safetensors"
    config, tensors = read_config(folder / "cfg.json"), read_safetensors(file)
    meta = {**config, **table(config, "metadata")}
    named = meta.get("hook_name") or meta.get("hook_point")
    architecture = config.get("architecture", "standard")
    function = meta.get("activation_fn") or meta.get("activation_fn_str") or "relu"
    k = config.get("k")
    if architecture == "standard" and function == "topk":
        architecture, k = "topk", table(config, "activation_fn_kwargs").get("k")
    elif function not in ("relu", "topk") and "activation_fn" in config:
        raise UserError("unknown activation of a dictionary", value=function, allowed="relu, topk")
    if architecture not in _SAELENS:
        raise UserError("unknown architecture of a dictionary", value=architecture, allowed=", ".join(_SAELENS))
    if meta.get("hook_head_index") is not None or meta.get("hook_head_index_out") is not None:
        raise UserError("dictionaries of a single head are not read", value=f"hook_head_index in {folder}")
    transcoder = "transcoder" in architecture
    notes = []
    norm = config.get("normalize_activations") or "none"
    if norm is True or norm in ("expected_average_only_in", "covariance_whitening"):
        notes.append(f"normalize_activations {norm}: taken as folded into the weights, as SAELens does")
        norm = "none"
    elif norm != "none" and norm not in _NORMS:
        raise UserError("unknown normalize_activations", value=norm, allowed=", ".join(["none", *_NORMS]))
    if "topk_threshold" in tensors:  # a checkpoint of training
        tensors["threshold"] = torch.full_like(need(tensors, "b_enc", file).float(), float(tensors["topk_threshold"]))
    elif "batchtopk" in architecture and "threshold" not in tensors:
        raise UserError(
            "a batch-top-k dictionary without a threshold depends on what else is in the batch",
            value=str(file),
            fix="Save its inference version",
        )
    given = {
        "encoder": need(tensors, "W_enc", file).T,
        "decoder": need(tensors, "W_dec", file),
        "decoder_bias": need(tensors, "b_dec", file),
    }
    if architecture == "gated":
        given["encoder_bias"], given["gate_bias"] = (need(tensors, name, file) for name in ("b_mag", "b_gate"))
        given["gate_scale"] = need(tensors, "r_mag", file).float().exp()
    else:
        given["encoder_bias"] = need(tensors, "b_enc", file)
    if _SAELENS[architecture] == "jumprelu":
        given["threshold"] = need(tensors, "threshold", file)
    if "skip" in architecture:
        given["skip"] = need(tensors, "W_skip", file)
    if not transcoder and config.get("apply_b_dec_to_input", True):
        given["centre"] = given["decoder_bias"]
    if config.get("finetuning_scaling_factor") and "scaling_factor" in tensors:
        given["decoder"] = given["decoder"].float() * tensors["scaling_factor"].float()[:, None]
    if config.get("rescale_acts_by_decoder_norm"):
        given = with_unit_decoder(given)
    hooks = [meta.get("hf_hook_name") or named, meta.get("hf_hook_name_out") or meta.get("hook_name_out")]
    own = table(meta, "glossator")  # of those that were trained here
    writes = table(own, "training").get("writes_at") if transcoder else None
    sites = sites_of(site, hooks[0], hooks[1] if transcoder else None, transcoder, folder, own.get("site"), writes)
    return made_of(
        given,
        sites.noting(*notes),
        activation=_SAELENS[architecture],
        k=k if "topk" in architecture and "batch" not in architecture else None,
        normalization=_NORMS.get(norm, sites.normalization),
        model=str(meta.get("model_name") or ""),
        subject=str(own.get("subject", "")),
        made={"package": "SAELens", "architecture": architecture, "hook": named, **own},
        where=file,
    )


def sparsify(path: Path, site: str | None) -> Dictionary:
    folder = path if path.is_dir() else path.parent
    file = folder / "sae.safetensors"
    config, tensors = read_config(folder / "cfg.json"), read_safetensors(file)
    if config.get("signed"):
        raise UserError("signed latents of early sparsify are not read", value=str(folder))
    activation = {"topk": "top-k", "groupmax": "group-max"}.get(config.get("activation", "topk"))
    if activation is None:
        raise UserError("unknown activation of a dictionary", value=config["activation"], allowed="topk, groupmax")
    transcoder = bool(config.get("transcode"))
    given = {
        "encoder": need(tensors, "encoder.weight", file),
        "encoder_bias": need(tensors, "encoder.bias", file),
        "decoder": need(tensors, "W_dec", file),
        "decoder_bias": need(tensors, "b_dec", file),
    }
    if not transcoder:
        given["centre"] = given["decoder_bias"]
    if config.get("skip_connection"):
        given["skip"] = need(tensors, "W_skip", file)
    hook = folder.resolve().name
    read, written = site_of_module(hook, "input" if transcoder else "output"), site_of_module(hook)
    sites = sites_of(site, hook, hook if transcoder else None, transcoder, folder, read, written)
    run = folder.resolve().parent / "config.json"
    model = str(read_config(run).get("model") or "") if run.exists() else ""
    made = {"package": "sparsify", "hook": hook}
    return made_of(given, sites, activation=activation, k=config.get("k"), model=model, made=made, where=file)
