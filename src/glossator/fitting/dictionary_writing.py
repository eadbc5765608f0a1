"""Writing a trained dictionary: in the format of SAELens where that has its kind, in our own where it has not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from glossator.files import plain, write_bytes, write_json
from glossator.readouts.dictionary import Dictionary
from glossator.readouts.hook_names import hook_of_site


def write_dictionary(made: Dictionary, folder: Path) -> None:
    """`cfg.json` and `sae_weights.safetensors`, or `dictionary.json` and `dictionary.safetensors`.

    SAELens has no top-k transcoders, no sparse codes and no components.
    """
    architecture = {"top-k": "topk", "jumprelu": "jumprelu"}.get(made.activation)
    if made.is_transcoder and architecture is not None:
        skips = "skip_" if made.skip is not None else ""
        architecture = f"jumprelu_{skips}transcoder" if architecture == "jumprelu" else None
    if architecture is None:
        made.save(folder)
    else:
        _write_saelens(made, architecture, folder)


def _write_saelens(made: Dictionary, architecture: str, folder: Path) -> None:
    """As SAELens 6 does; ours reads back what else is known."""
    from safetensors.torch import save

    weights = {"W_enc": made.encoder.T, "b_enc": made.encoder_bias, "W_dec": made.decoder, "b_dec": made.decoder_bias}
    weights |= {"threshold": made.threshold} if made.threshold is not None else {}
    weights |= {"W_skip": made.skip} if made.skip is not None else {}
    write_bytes(folder / "sae_weights.safetensors", save({k: v.contiguous() for k, v in weights.items()}))
    n, width = made.encoder.shape
    metadata: dict[str, Any] = {
        "sae_lens_version": "6.0.0",
        "model_name": made.subject,
        "hook_name": hook_of_site(made.reads_at),
        "glossator": dict(made.made),
    }
    config: dict[str, Any] = {
        "architecture": architecture,
        "d_in": width,
        "d_sae": n,
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": made.centre is not None,
        "normalize_activations": "none",
        "reshape_activations": "hook_z" if made.reads_at.startswith("head.") else "none",
        "metadata": metadata,
    }
    if made.k is not None:
        config |= {"k": made.k, "rescale_acts_by_decoder_norm": False}
    if made.is_transcoder:
        config["d_out"] = made.decoder.shape[1]
        metadata["hook_name_out"] = hook_of_site(str(made.writes_at))
    write_json(folder / "cfg.json", plain(config))
