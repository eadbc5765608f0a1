"""Trains a top-k autoencoder with eai-sparsify on values that were captured beforehand, for `benchmarks.dictionaries`:
`PYTHON dictionary_training.py VALUES.safetensors SETTINGS.json OUT.json`, with an interpreter that has the package.

As its trainer does with Adam: the decoder's bias begins at the mean, rows of the decoder keep norm 1, dead latents have
their AuxK loss. It imports nothing of ours.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import torch
from safetensors.torch import load_file


def main(values: Path, settings: Path, out: Path) -> None:
    from sparsify import SparseCoder
    from sparsify.config import SparseCoderConfig

    arrays, s = load_file(values), json.loads(settings.read_text())
    torch.manual_seed(s["seed"])
    torch.set_num_threads(s["threads"])
    x, held = arrays["train"], arrays["held"]
    coder = SparseCoder(x.shape[1], SparseCoderConfig(num_latents=s["latents"], k=s["k"]))
    optimizer = torch.optim.Adam(coder.parameters(), lr=1.0)
    silent = torch.zeros(s["latents"], dtype=torch.long)
    seconds, processor = time.perf_counter(), time.process_time()
    for step, rate in enumerate(s["rates"]):
        first = step * s["batch"] % len(x)
        batch = x[first : first + s["batch"]]
        if step == 0:
            coder.b_dec.data = batch.mean(0)
        dead = silent >= s["dead_after"]
        found = coder(batch, dead_mask=dead if dead.any() else None)
        (found.fvu + s["auxiliary"] * found.auxk_loss).backward()
        coder.remove_gradient_parallel_to_decoder_directions()
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
        optimizer.zero_grad()
        coder.set_decoder_norm_to_unit_norm()
        silent += len(batch)
        silent[found.latent_indices[found.latent_acts > 0]] = 0
    seconds, processor = time.perf_counter() - seconds, time.process_time() - processor
    with torch.no_grad():
        left = torch.cat([(coder(part).sae_out - part).square().sum(1) for part in held.split(2048)]).sum()
    fvu = float(left / (held - held.mean(0)).square().sum())
    dead_share = float((silent >= s["dead_after"]).float().mean())
    out.write_text(json.dumps({"fvu": fvu, "seconds": seconds, "processor": processor, "dead_share": dead_share}))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
