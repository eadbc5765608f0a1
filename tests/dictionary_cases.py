"""Small random dictionaries in the layouts of several packages, and what these make of an input by plain arithmetic."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save_file

D, N, K = 32, 48, 4


def arrays(seed: int = 0, width: int = D, n: int = N) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    drawn = {
        "W_enc": (width, n), "b_enc": (n,), "W_dec": (n, width), "b_dec": (width,), "threshold": (n,),
        "b_gate": (n,), "b_mag": (n,), "r_mag": (n,), "W_skip": (width, width),
    }  # fmt: skip
    found = {name: rng.normal(0, 0.3, shape).astype(np.float32) for name, shape in drawn.items()}
    return {**found, "threshold": np.abs(found["threshold"])}


def save_saelens(folder: Path, architecture: str = "topk", seed: int = 0, **config: Any) -> Path:
    """As SAELens 6 writes it; config: keys that are other than here, None leaves one out."""
    a = arrays(seed)
    names = ["W_enc", "W_dec", "b_dec"] + (["b_gate", "b_mag", "r_mag"] if architecture == "gated" else ["b_enc"])
    names += ["threshold"] * ("jumprelu" in architecture) + ["W_skip"] * ("skip" in architecture)
    folder.mkdir(parents=True)
    save_file({name: a[name] for name in names}, folder / "sae_weights.safetensors")
    across = "transcoder" in architecture
    hooks = {"hook_name": "blocks.1.mlp.hook_in" if across else "blocks.0.hook_resid_post"}
    hooks |= {"hook_name_out": "blocks.1.hook_mlp_out"} if across else {}
    settings = {
        "architecture": architecture, "d_in": D, "d_sae": N, "k": K if "topk" in architecture else None,
        "dtype": "float32",
        "apply_b_dec_to_input": not across, "normalize_activations": "none", "reshape_activations": "none",
        "metadata": {"model_name": "tiny", "sae_lens_version": "6.0.0", **hooks},
    } | config  # fmt: skip
    (folder / "cfg.json").write_text(json.dumps({k: v for k, v in settings.items() if v is not None}))
    return folder


def save_early_saelens(folder: Path, **config: Any) -> Path:
    """As SAELens 3 wrote it: flat, the activation by its name."""
    a = arrays()
    folder.mkdir(parents=True)
    weights = {name: a[name] for name in ("W_enc", "b_enc", "W_dec", "b_dec")}
    save_file({**weights, "scaling_factor": np.ones(N, np.float32)}, folder / "sae_weights.safetensors")
    settings = {
        "d_in": D, "d_sae": N, "hook_point": "blocks.0.hook_resid_post", "model_name": "tiny", "dtype": "torch.float32",
        "activation_fn_str": "topk", "activation_fn_kwargs": {"k": K}, "normalize_activations": False,
    } | config  # fmt: skip
    (folder / "cfg.json").write_text(json.dumps(settings))
    return folder


def save_sparsify(folder: Path, **config: Any) -> Path:
    """In `RUN/layers.0`, as sparsify does; its decoder is written in rows."""
    a = arrays()
    folder.mkdir(parents=True)
    weights = {"encoder.weight": a["W_enc"].T, "encoder.bias": a["b_enc"], "W_dec": a["W_dec"], "b_dec": a["b_dec"]}
    weights |= {"W_skip": a["W_skip"]} if config.get("skip_connection") else {}
    save_file({name: np.ascontiguousarray(array) for name, array in weights.items()}, folder / "sae.safetensors")
    settings = {"activation": "topk", "num_latents": N, "k": K, "transcode": False, "d_in": D} | config
    (folder / "cfg.json").write_text(json.dumps(settings))
    (folder.parent / "config.json").write_text(json.dumps({"model": "me/tiny"}))
    return folder


def save_gemma_scope(folder: Path) -> Path:
    a = arrays()
    folder.mkdir(parents=True)
    np.savez(folder / "params.npz", **{name: a[name] for name in ("W_enc", "b_enc", "W_dec", "b_dec", "threshold")})
    return folder


def save_gemma_scope_2(folder: Path) -> Path:
    a = arrays()
    folder.mkdir(parents=True)
    names = {"w_enc": "W_enc", "w_dec": "W_dec", "b_enc": "b_enc", "b_dec": "b_dec", "threshold": "threshold"}
    weights = {new: a[old] for new, old in names.items()}
    weights["affine_skip_connection"] = np.ascontiguousarray(a["W_skip"].T)
    save_file(weights, folder / "params.safetensors")
    config = {"architecture": "jump_relu", "model_name": "tiny", "hf_hook_point_in": "model.layers.1.mlp.input"}
    config |= {"hf_hook_point_out": "model.layers.1.mlp.output"}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def save_dictionary_learning(folder: Path, kind: str = "AutoEncoderTopK", config: bool = True, **trainer: Any) -> Path:
    a = arrays()
    folder.mkdir(parents=True)
    if kind == "JumpReluAutoEncoder":
        weights = {name: a[name] for name in ("W_enc", "b_enc", "W_dec", "b_dec", "threshold")}
    else:
        weights = {"encoder.weight": a["W_enc"].T, "encoder.bias": a["b_enc"], "decoder.weight": a["W_dec"].T}
        weights |= {"AutoEncoder": {"bias": a["b_dec"]}}.get(kind, {"b_dec": a["b_dec"]})
        if kind in ("AutoEncoderTopK", "BatchTopKSAE"):
            weights |= {"k": np.array(K, np.int32), "threshold": np.array(0.4, np.float32)}
    torch.save({name: torch.from_numpy(np.array(array)) for name, array in weights.items()}, folder / "ae.pt")
    if config:
        named = {"dict_class": kind, "layer": 0, "lm_name": "me/tiny", "submodule_name": "resid_post_layer_0"}
        (folder / "config.json").write_text(json.dumps({"trainer": {**named, **trainer}}))
    return folder


def save_circuit_tracer(folder: Path, **config: str) -> Path:
    a = arrays()
    folder.mkdir(parents=True)
    weights = {"W_enc": np.ascontiguousarray(a["W_enc"].T), "activation_function.threshold": a["threshold"]}
    weights |= {name: a[name] for name in ("b_enc", "W_dec", "b_dec", "W_skip")}
    for layer in range(2):
        save_file(weights, folder / f"layer_{layer}.safetensors")
    lines = {"model_kind": "transcoder_set", "feature_input_hook": "mlp.hook_in", "feature_output_hook": "hook_mlp_out"}
    (folder / "config.yaml").write_text("".join(f'{key}: "{value}"\n' for key, value in (lines | config).items()))
    return folder


def save_bare(folder: Path, mapping: bool = True) -> Path:
    a = arrays()
    folder.mkdir(parents=True)
    weights = {name: a[name] for name in ("W_enc", "b_enc", "W_dec", "b_dec")}
    if not mapping:
        save_file(weights, folder / "sae.st.safetensors")
        return folder / "sae.st.safetensors"
    save_file({f"my.{name}": array for name, array in weights.items()}, folder / "mine.safetensors")
    tensors = {"encoder": "my.W_enc.T", "encoder_bias": "my.b_enc", "decoder": "my.W_dec", "decoder_bias": "my.b_dec"}
    described = {"weights": "mine.safetensors", "tensors": tensors, "activation": "top-k", "k": K, "name": "mine"}
    (folder / "dictionary.json").write_text(json.dumps(described))
    return folder


@dataclass(frozen=True)
class Layout:
    """save: writes it into a folder; encoded: what it makes of x; skip: added to what is decoded; site: given."""

    save: Callable[[Path], Path]
    encoded: Callable[[dict[str, np.ndarray], np.ndarray], np.ndarray]
    site: str | None = None
    reads: str = "resid.0"
    writes: str = "resid.0"
    skip: bool = False
    unit_decoder: bool = False


def relu(a: dict[str, np.ndarray], x: np.ndarray, *, centred: bool) -> np.ndarray:
    return np.maximum((x - a["b_dec"] * centred) @ a["W_enc"] + a["b_enc"], 0)


def top(values: np.ndarray, of: np.ndarray | None = None) -> np.ndarray:
    """All but the K that are largest, in another array where one is given, set to 0."""
    of = values if of is None else of
    return np.where(of >= np.sort(of, axis=-1)[:, -K, None], values, 0)


def gated(a: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    shared = (x - a["b_dec"]) @ a["W_enc"]
    magnitude = (x - a["b_dec"]) @ (a["W_enc"] * np.exp(a["r_mag"])) + a["b_mag"]
    return (shared + a["b_gate"] > 0) * np.maximum(magnitude, 0)


def jump(a: dict[str, np.ndarray], x: np.ndarray, centred: bool = False) -> np.ndarray:
    acts = relu(a, x, centred=centred)
    return acts * (acts > a["threshold"])


def groups(a: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    acts = relu(a, x, centred=True).reshape(len(x), K, -1)
    return np.where(acts == acts.max(-1, keepdims=True), acts, 0).reshape(len(x), -1)


def absolute(a: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    before = (x - a["b_dec"]) @ a["W_enc"] + a["b_enc"]
    return top(before, np.abs(before))


def levelled(a: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    acts = relu(a, x, centred=True)
    return acts * (acts > 0.4)


ACROSS: dict[str, Any] = {"reads": "mlp-in.1", "writes": "mlp-out.1"}
LAYOUTS: dict[str, Layout] = {
    "saelens-standard": Layout(lambda p: save_saelens(p, "standard"), lambda a, x: relu(a, x, centred=True)),
    "saelens-topk": Layout(save_saelens, lambda a, x: top(relu(a, x, centred=True))),
    "saelens-abstopk": Layout(lambda p: save_saelens(p, "abstopk"), absolute),
    "saelens-jumprelu": Layout(lambda p: save_saelens(p, "jumprelu"), lambda a, x: jump(a, x, True)),
    "saelens-gated": Layout(lambda p: save_saelens(p, "gated"), gated),
    "saelens-early": Layout(save_early_saelens, lambda a, x: top(relu(a, x, centred=True))),
    "saelens-skip-transcoder": Layout(
        lambda p: save_saelens(p, "jumprelu_skip_transcoder"), jump, skip=True, **ACROSS
    ),
    "sparsify": Layout(lambda p: save_sparsify(p / "layers.0"), lambda a, x: top(relu(a, x, centred=True))),
    "sparsify-groupmax": Layout(lambda p: save_sparsify(p / "layers.0", activation="groupmax"), groups),
    "sparsify-transcoder": Layout(
        lambda p: save_sparsify(p / "layers.1.mlp", transcode=True, skip_connection=True),
        lambda a, x: top(relu(a, x, centred=False)), skip=True, **ACROSS,
    ),
    "gemma-scope": Layout(lambda p: save_gemma_scope(p / "gemma-scope-res" / "layer_0" / "width_16k"), jump),
    "gemma-scope-2": Layout(save_gemma_scope_2, jump, skip=True, **ACROSS),
    "dictionary_learning": Layout(save_dictionary_learning, lambda a, x: top(relu(a, x, centred=True))),
    "dictionary_learning-batch": Layout(lambda p: save_dictionary_learning(p, "BatchTopKSAE"), levelled),
    "dictionary_learning-jump": Layout(lambda p: save_dictionary_learning(p, "JumpReluAutoEncoder"), jump),
    "dictionary_learning-relu": Layout(
        lambda p: save_dictionary_learning(p, "AutoEncoder"),
        lambda a, x: relu(a, x, centred=True) * np.linalg.norm(a["W_dec"], axis=1), unit_decoder=True,
    ),
    "circuit-tracer": Layout(save_circuit_tracer, jump, site="mlp-in.1", skip=True, **ACROSS),
    "bare": Layout(lambda p: save_bare(p, False), lambda a, x: relu(a, x, centred=False), site="resid.0"),
    "bare-mapping": Layout(save_bare, lambda a, x: top(relu(a, x, centred=False)), site="resid.0"),
}  # fmt: skip
