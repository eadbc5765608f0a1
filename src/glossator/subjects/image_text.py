"""Models that put images and texts into one space, such as CLIP and SigLIP: what CLIP-Dissect compares with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from glossator.errors import UserError
from glossator.subjects.image_models import fingerprint_of_folder, preparation_beside
from glossator.subjects.loading import resolve_folder

BATCH = 32


class ImageTextModel:
    """A model of `transformers` with a tower for images and one for texts. name, fingerprint: for provenance."""

    def __init__(self, model: Any, tokenizer: Any, prepare: Any, name: str, fingerprint: str):
        self.model, self.tokenizer, self.prepare = model, tokenizer, prepare
        self.name, self.fingerprint = name, fingerprint

    def images(self, pixels: np.ndarray) -> np.ndarray:
        """(n, d) float32 of length 1, of images (n, side, side, 3) uint8, an array or drawn as they are read."""
        return self._run(len(pixels), lambda at: self._image_features(np.asarray(pixels[at])))

    def texts(self, texts: Sequence[str]) -> np.ndarray:
        """(n, d) float32 of length 1."""
        return self._run(len(texts), lambda at: self._text_features(list(texts[at])))

    def _image_features(self, pixels: np.ndarray) -> Any:
        return self.model.get_image_features(pixel_values=self.prepare(pixels))

    def _text_features(self, texts: list[str]) -> Any:
        config = self.model.config
        padding = "max_length" if "siglip" in config.model_type else True  # which read padding as they were trained to
        longest = config.text_config.max_position_embeddings
        given = self.tokenizer(texts, return_tensors="pt", truncation=True, max_length=longest, padding=padding)
        taken = {key: given[key] for key in ("input_ids", "attention_mask") if key in given}
        return self.model.get_text_features(**taken)

    def _run(self, n: int, features: Any) -> np.ndarray:
        import torch

        found = []
        with torch.inference_mode():
            for first in range(0, n, BATCH):
                made = features(slice(first, first + BATCH))
                made = getattr(made, "pooler_output", made)  # newer versions return the whole output of the tower
                found.append(torch.nn.functional.normalize(made.float(), dim=-1).numpy())
        return np.concatenate(found) if found else np.zeros((0, 0), np.float32)


def load_image_text(name: str) -> ImageTextModel:
    """The model in a folder or of a hub id, with its tokenizer and image processor; raises `UserError` for what is
    none."""
    from transformers import AutoModel, AutoTokenizer

    from glossator.subjects.checkpoints import quiet_transformers, reason_of

    folder = resolve_folder(name)
    prepare = preparation_beside(folder)
    try:
        with quiet_transformers():
            model = AutoModel.from_pretrained(folder, trust_remote_code=False).eval()
            tokenizer = AutoTokenizer.from_pretrained(folder)
    except Exception as error:
        raise UserError("cannot load this image-text model", value=name, fix=reason_of(error)) from error
    if not hasattr(model, "get_image_features") or not hasattr(model, "get_text_features"):
        raise UserError("this is no image-text model", value=name, allowed="CLIP, SigLIP and others with two towers")
    return ImageTextModel(model, tokenizer, prepare, folder.resolve().name, fingerprint_of_folder(None, folder))
