"""Small files as other tools' own code writes them, for the tests of the formats: `python scripts/peer_files.py OUT`.

Run with an interpreter that has automated-interpretability 0.0.24, eai-delphi 0.1.3 and SAEDashboard at db4839a (its
release 0.8.0 lacks the export to Neuronpedia), with the sae-lens and transformer-lens that it wants; no model is
downloaded. The files of `tests/golden/peers` are of these versions. `--read OUR` reads files that Glossator wrote with
the same packages, and prints what they hold.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

WORDS = "the cat sat on a mat in May and June then dog ran to school with red July of we our"
VOCABULARY = ["<bos>", "\n", *(f" {word}" for word in WORDS.split())]
MONTHS = {" May", " June", " July"}


def texts(n: int, width: int, seed: int) -> list[list[int]]:
    """Token numbers; the same for the same seed, without a random number generator that versions change."""
    state, rows = seed + 1, []
    for _ in range(n):
        row = [0]
        for _ in range(width - 1):
            state = (1103515245 * state + 12345) % 2**31
            row.append(1 + (state >> 16) % (len(VOCABULARY) - 1))
        rows.append(row)
    return rows


def openai(out: Path) -> None:
    from neuron_explainer.activations.activations import ActivationRecord, NeuronId, NeuronRecord
    from neuron_explainer.explanations.explanations import (
        ActivationScale,
        NeuronSimulationResults,
        ScoredExplanation,
        ScoredSequenceSimulation,
        ScoredSimulation,
        SequenceSimulation,
    )
    from neuron_explainer.fast_dataclasses import dumps

    def record(row: list[int], size: float) -> Any:
        tokens = [VOCABULARY[i] for i in row]
        return ActivationRecord(tokens=tokens, activations=[size if t in MONTHS else -0.125 for t in tokens])

    unit, rows = NeuronId(layer_index=5, neuron_index=131), texts(40, 16, 1)
    tops = [record(row, 4 - i / 16) for i, row in enumerate(r for r in rows if MONTHS & {VOCABULARY[t] for t in r})]
    whole = NeuronRecord(
        neuron_id=unit, random_sample=[record(row, 1.5) for row in rows[:8]],
        random_sample_by_quantile=[[record(row, 0.5 + q)] for q, row in enumerate(rows[8:12])],
        quantile_boundaries=[0.5, 1.5, 2.5], mean=0.0625, most_positive_activation_records=tops[:20],
    )  # fmt: skip
    simulated = SequenceSimulation(
        tokens=tops[0].tokens, expected_activations=[5.0 if t in MONTHS else 0.0 for t in tops[0].tokens],
        activation_scale=ActivationScale.SIMULATED_NORMALIZED_ACTIVATIONS,
        distribution_values=[[0.0, 5.0]] * 16, distribution_probabilities=[[0.5, 0.5]] * 16,
    )  # fmt: skip
    scored = ScoredSimulation(
        scored_sequence_simulations=[ScoredSequenceSimulation(simulated, tops[0].activations, 0.875, 0.5, 0.25)],
        ev_correlation_score=0.75, rsquared_score=0.5,
    )  # fmt: skip
    results = NeuronSimulationResults(
        neuron_id=unit, scored_explanations=[ScoredExplanation("names of months", scored)]
    )
    for folder, ending, value in (("activations", "json", whole), ("explanations", "jsonl", results)):
        path = out / "openai" / folder / "5" / f"131.{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(dumps(value))


def delphi(out: Path) -> None:
    import orjson
    import torch
    from delphi.config import CacheConfig
    from delphi.latents import Latent
    from delphi.latents.cache import LatentCache

    class Model(torch.nn.Module):
        device = "cpu"

        def __init__(self) -> None:
            super().__init__()
            self.layers = torch.nn.ModuleList([torch.nn.Identity(), torch.nn.Identity()])

        def forward(self, tokens: Any) -> Any:
            spread = torch.arange(12)
            values = ((tokens[..., None] * 7 + spread * 3) % 11 == 0) * (1 + (tokens[..., None] + spread) % 4 / 4)
            for layer in self.layers:
                values = layer(values)
            return values

    tokens = torch.tensor(texts(24, 20, 2)) + 40  # numbers of the byte-level tokens of the tests' tokenizer
    model: Any = Model()
    model.base_model = model
    cache = LatentCache(model, {"layers.1": lambda values: values.float()}, batch_size=8)
    cache.run(tokens.numel(), tokens)
    folder = out / "delphi" / "latents"
    cache.save_splits(n_splits=3, save_dir=folder)
    cache.save_config(folder, CacheConfig(dataset_repo="none", cache_ctx_len=20, n_tokens=tokens.numel(), batch_size=8),
                      "tiny")  # fmt: skip
    for index, said in ((5, "tokens of one kind"), (7, ["one", "two"])):
        path = out / "delphi" / "explanations" / f"{Latent('layers.1', index)}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(orjson.dumps(said))


def dashboard(out: Path) -> None:
    import torch
    from sae_dashboard.neuronpedia.neuronpedia_converter import NeuronpediaConverter
    from sae_dashboard.neuronpedia.neuronpedia_runner_config import NeuronpediaRunnerConfig
    from sae_dashboard.sae_vis_data import SaeVisConfig
    from sae_dashboard.sae_vis_runner import SaeVisRunner
    from sae_lens import HookedSAETransformer, StandardSAE, StandardSAEConfig
    from transformer_lens import HookedTransformerConfig

    torch.manual_seed(0)
    size = {"n_layers": 1, "d_model": 16, "n_ctx": 16, "d_head": 8, "n_heads": 2, "d_mlp": 32, "act_fn": "gelu"}
    model = HookedSAETransformer(HookedTransformerConfig(d_vocab=len(VOCABULARY), seed=0, device="cpu", **size))
    sae = StandardSAE(StandardSAEConfig(d_in=16, d_sae=8, device="cpu"))
    point = "blocks.0.hook_resid_post"
    sae.cfg.metadata.hook_name = point
    with torch.no_grad():
        sae.W_enc.normal_(std=0.6)
        sae.b_enc.fill_(-0.4)
    features = [1, 3]
    vis = SaeVisRunner(SaeVisConfig(hook_point=point, features=features, minibatch_size_tokens=16, device="cpu"))
    data = vis.run(encoder=sae, model=model, tokens=torch.tensor(texts(64, 16, 3)))
    of = NeuronpediaRunnerConfig(sae_set="res-tiny", sae_path="", outputs_dir="", model_id="tiny", layer=0,
                                 n_prompts_total=64, n_tokens_in_prompt=16)  # fmt: skip
    text = NeuronpediaConverter.convert_to_np_json(model, data, of, dict(enumerate(VOCABULARY)))
    path = out / "saedashboard" / "batch-0.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def neuronpedia(out: Path) -> None:
    """From the batch that `dashboard` wrote."""
    from sae_dashboard.neuronpedia.neuronpedia_export import NeuronpediaExportConfig, export_neuronpedia_dashboards

    config = NeuronpediaExportConfig(
        saedashboard_output_dir=str(out / "saedashboard"), exports_dir=str(out / "neuronpedia"), creator_name="nobody",
        creator_id="clkht01d40000jv08hvalcvly", release_id="tiny", release_title="tiny", url="", model_name="tiny",
        neuronpedia_source_set_id="res-tiny", neuronpedia_source_set_description="tiny", hf_weights_repo_id="none",
        hf_weights_path="none/none", hook_point="hook_resid_post", layer_num=0, prompts_huggingface_dataset_path="none",
        n_prompts_total=64, n_tokens_in_prompt=16,
    )  # fmt: skip
    export_neuronpedia_dashboards(config)


def read(ours: Path) -> dict[str, Any]:
    """What the peers' own readers find in `openai/` and `delphi/` below a folder that Glossator wrote."""
    import torch
    from delphi.latents.loader import TensorBuffer
    from neuron_explainer.explanations import explanations as _  # noqa: F401 - registers its classes
    from neuron_explainer.fast_dataclasses import loads

    found: dict[str, Any] = {"openai": [], "delphi": []}
    for path in sorted((ours / "openai").rglob("*.json*")):
        record = loads(path.read_bytes())
        told = {"class": type(record).__name__, "neuron": record.neuron_id.neuron_index}
        if told["class"] == "NeuronRecord":
            told |= {"top": [r.activations for r in record.most_positive_activation_records],
                     "random": len(record.random_sample)}  # fmt: skip
        else:
            told |= {"scores": [e.get_preferred_score() for e in record.scored_explanations]}
        found["openai"].append(told)
    for path in sorted((ours / "delphi" / "latents").rglob("*.safetensors")):
        buffer = TensorBuffer(str(path), path.parent.name)
        for one in buffer:
            places, values = one.activation_data.locations, one.activation_data.activations
            found["delphi"].append([one.latent.latent_index, len(places), float(torch.as_tensor(values).float().sum())])
    return found


if __name__ == "__main__":
    if sys.argv[1] == "--read":
        print(json.dumps(read(Path(sys.argv[2]))))
    else:
        wanted = SimpleNamespace(openai=openai, delphi=delphi, saedashboard=dashboard, neuronpedia=neuronpedia)
        for name in sys.argv[2:] or vars(wanted):
            getattr(wanted, name)(Path(sys.argv[1]))
