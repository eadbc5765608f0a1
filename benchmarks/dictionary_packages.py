"""Writes dictionaries with sae-lens, eai-sparsify and dictionary_learning themselves, beside what these make of random
inputs: `PYTHON dictionary_packages.py FOLDER`, with an interpreter that has the packages. It imports nothing of ours.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

D, N, OUT = 16, 64, 24


def random_parameters(module: torch.nn.Module) -> None:
    generator = torch.Generator().manual_seed(0)
    for name, parameter in module.named_parameters():
        scale = 0.05 if "threshold" in name else 0.3
        noise = torch.randn(parameter.shape, generator=generator) * scale
        parameter.data = (noise.abs() if "threshold" in name else noise).to(parameter.dtype)


def told(folder: Path, x: torch.Tensor, encoded: torch.Tensor, decoded: torch.Tensor) -> None:
    dense = encoded.to_dense() if encoded.is_sparse else encoded
    tensors = {"x": x, "encoded": dense.detach().contiguous(), "decoded": decoded.detach().contiguous()}
    save_file(tensors, folder / "told.st")


def of_saelens(out: Path, x: torch.Tensor) -> None:
    from sae_lens import saes
    from sae_lens.registry import get_sae_class, get_sae_training_class

    assert saes
    hook = {"hook_name": "blocks.1.hook_resid_post", "model_name": "tiny"}
    across = {"hook_name": "blocks.1.mlp.hook_in", "hook_name_out": "blocks.1.hook_mlp_out", "model_name": "tiny"}
    plain = {"d_in": D, "d_sae": N}
    transcoder = {**plain, "d_out": OUT, "apply_b_dec_to_input": False}
    wanted: dict[str, tuple[str, dict]] = {
        "standard": ("standard", plain),
        "not-centred": ("standard", {**plain, "apply_b_dec_to_input": False}),
        "layer-norm": ("standard", {**plain, "normalize_activations": "layer_norm"}),
        "constant-norm": ("standard", {**plain, "normalize_activations": "constant_norm_rescale"}),
        "gated": ("gated", plain),
        "jumprelu": ("jumprelu", plain),
        "topk": ("topk", {**plain, "k": 5}),
        "topk-rescaled": ("topk", {**plain, "k": 5, "rescale_acts_by_decoder_norm": True}),
        "abstopk": ("abstopk", {**plain, "k": 5}),
        "transcoder": ("transcoder", transcoder),
        "skip-transcoder": ("skip_transcoder", transcoder),
        "jumprelu-transcoder": ("jumprelu_transcoder", transcoder),
        "jumprelu-skip-transcoder": ("jumprelu_skip_transcoder", transcoder),
    }
    for name, (architecture, settings) in wanted.items():
        cls, config_cls = get_sae_class(architecture)
        config = config_cls(**settings)
        for key, value in (across if "transcoder" in architecture else hook).items():
            config.metadata[key] = value
        sae = cls(config)
        random_parameters(sae)
        sae.save_model(out / name)
        told(out / name, x, sae.encode(x), sae(x))
    cls, config_cls = get_sae_training_class("batchtopk")
    config = config_cls(d_in=D, d_sae=N, k=5)
    for key, value in hook.items():
        config.metadata[key] = value
    training = cls(config)
    random_parameters(training)
    training.topk_threshold = torch.tensor(0.4, dtype=torch.double)
    training.save_inference_model(out / "batchtopk")
    inference = get_sae_class("jumprelu")[0].load_from_disk(out / "batchtopk")
    told(out / "batchtopk", x, inference.encode(x), inference(x))


def of_sparsify(out: Path, x: torch.Tensor) -> None:
    from sparsify import SparseCoder
    from sparsify.config import SparseCoderConfig

    plain = {"num_latents": N, "k": 4}
    wanted = {
        "sae/layers.1": SparseCoderConfig(**plain),
        "groupmax/layers.1": SparseCoderConfig(**plain, activation="groupmax"),
        "transcoder/layers.1.mlp": SparseCoderConfig(**plain, transcode=True),
        "skip/layers.1.mlp": SparseCoderConfig(**plain, transcode=True, skip_connection=True),
    }
    for name, config in wanted.items():
        coder = SparseCoder(D, config)
        random_parameters(coder)
        coder.save_to_disk(out / name)
        values, numbers, _ = coder.encode(x)
        encoded = torch.zeros(len(x), N).scatter(-1, numbers, values)
        told(out / name, x, encoded, coder(x).sae_out)


def of_dictionary_learning(out: Path, x: torch.Tensor, package: Path) -> None:
    """Its classes stand in modules that import none of its heavy dependencies; the package itself does."""
    import types

    for name in ("dictionary_learning", "dictionary_learning.trainers"):
        module = types.ModuleType(name)
        module.__path__ = [str(package.joinpath(*name.split(".")[1:]))]
        sys.modules[name] = module
    find = importlib.import_module
    of = find("dictionary_learning.dictionary")
    classes = {
        "AutoEncoder": lambda: of.AutoEncoder(D, N),
        "AutoEncoderNew": lambda: of.AutoEncoderNew(D, N),
        "GatedAutoEncoder": lambda: of.GatedAutoEncoder(D, N),
        "JumpReluAutoEncoder": lambda: of.JumpReluAutoEncoder(D, N),
        "AutoEncoderTopK": lambda: find("dictionary_learning.trainers.top_k").AutoEncoderTopK(D, N, 5),
        "BatchTopKSAE": lambda: find("dictionary_learning.trainers.batch_top_k").BatchTopKSAE(D, N, 5),
    }
    for name, make in classes.items():
        coder = make()
        random_parameters(coder)
        if name == "BatchTopKSAE":
            coder.threshold = torch.tensor(0.3)
        folder = out / name
        folder.mkdir(parents=True)
        torch.save(coder.state_dict(), folder / "ae.pt")
        trainer = {"dict_class": name, "layer": 1, "lm_name": "me/tiny", "k": 5, "submodule_name": None}
        (folder / "config.json").write_text(json.dumps({"trainer": trainer, "buffer": {"ctx_len": 8}}))
        if name == "AutoEncoder":
            coder = of.AutoEncoder.from_pretrained(folder / "ae.pt")
        told(folder, x, coder.encode(x), coder(x))


def of_circuit_tracer(out: Path, x: torch.Tensor) -> None:
    from circuit_tracer.transcoder.activation_functions import JumpReLU
    from circuit_tracer.transcoder.single_layer_transcoder import SingleLayerTranscoder

    for name, activation, skip in (("relu", torch.relu, False), ("jumprelu", JumpReLU(torch.zeros(N)), True)):
        coder = SingleLayerTranscoder(
            D, N, activation, 1, skip_connection=skip, device=torch.device("cpu"), dtype=torch.float32
        )
        random_parameters(coder)
        (out / name).mkdir(parents=True)
        for layer in range(2):
            coder.to_safetensors(str(out / name / f"layer_{layer}.safetensors"))
        hooks = 'model_name: "me/tiny"\nmodel_kind: transcoder_set\n'
        hooks += 'feature_input_hook: "mlp.hook_in"\nfeature_output_hook: "hook_mlp_out"\n'
        (out / name / "config.yaml").write_text(hooks)
        told(out / name, x, coder.encode(x), coder(x))


if __name__ == "__main__":
    target = Path(sys.argv[1])
    inputs = torch.randn(40, D, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        of_saelens(target / "saelens", inputs)
        of_sparsify(target / "sparsify", inputs)
        place = importlib.util.find_spec("dictionary_learning")
        if place is not None and place.submodule_search_locations:
            folder = Path(place.submodule_search_locations[0])
            of_dictionary_learning(target / "dictionary_learning", inputs, folder)
        if importlib.util.find_spec("circuit_tracer") is not None:
            of_circuit_tracer(target / "circuit_tracer", inputs)
