"""Image models by name: two built-in ones (EfficientNet-Lite0, a small network on rendered scenes), a model of `timm`,
a folder or hub id of `transformers`.

Preprocessing is read from what is saved beside the model and done with torch alone: torchvision is not needed.
"""

from __future__ import annotations

import contextlib
import importlib
import json
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from glossator.errors import UserError
from glossator.files import fingerprint, read_json, sha256_of
from glossator.subjects import fingerprints
from glossator.subjects.aliases import ALIASES
from glossator.subjects.checkpoints import check_config_file, fitting, quiet_transformers, read_config
from glossator.subjects.preparing import Preparation, preparation_of

if TYPE_CHECKING:
    from glossator.subjects.image_sites import ImageSite
    from glossator.subjects.vision import VisionSubject

TIMM = "timm:"
RENDERS_CNN = "renders-cnn"
PREPROCESSOR = "preprocessor_config.json"
_CLASSES = Path(__file__).resolve().parent.parent / "data" / "imagenet.txt"


def takes_images(name: str) -> bool:
    """Whether a name is that of an image model, from what lies on this machine; of a hub id, from its config."""
    if name in ALIASES:
        return ALIASES[name].takes == "images"
    if name.startswith(TIMM) or name == RENDERS_CNN:
        return True
    with contextlib.suppress(OSError, ValueError, RuntimeError, UserError):
        path = Path(name).expanduser() / "config.json"
        if path.is_file():
            return _is_image_config(path)
        if (found := _config_in_cache(name)) is not None:
            return _is_image_config(found)
    return False


def _config_in_cache(name: str) -> Path | None:
    """The config of a hub id that was fetched before."""
    from huggingface_hub import try_to_load_from_cache

    if name.count("/") != 1:
        return None
    found = try_to_load_from_cache(name, "config.json")
    return Path(found) if isinstance(found, str) else None


def _is_image_config(path: Path) -> bool:
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES as CLASSIFIERS
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_MAPPING_NAMES as ENCODERS

    stored = json.loads(path.read_text(encoding="utf-8"))
    kind = stored.get("model_type") if isinstance(stored, dict) else None
    if kind in CLASSIFIERS:
        return kind not in _OF_TOKENS
    return kind == "clip_vision_model" or (kind in ENCODERS and "text_config" not in stored)


_OF_TOKENS = ("imagegpt", "perceiver")
"""Models that classify images as sequences of tokens, or anything else."""


@cache
def imagenet_classes() -> tuple[str, ...]:
    """The names of the 1,000 classes of ImageNet-1k, in the order of logits."""
    return tuple(_CLASSES.read_text(encoding="utf-8").splitlines())


def open_image_model(name: str, folder: Path | None) -> VisionSubject:
    """Open an image model by its name on the CPU, in float32; folder: where it lies, None for one of `timm` and for the
    network of the package.

    Raises `UserError` for what cannot be had or does not fit.
    """
    from glossator.subjects.vision import VisionSubject

    if name == RENDERS_CNN:
        from glossator.subjects.renders_cnn import NOUNS, SIDE, renders_cnn

        made = fingerprint_of_package()
        return VisionSubject(renders_cnn(), Preparation(SIDE), name, made, SIDE, NOUNS, in_memory=False)
    if folder is None:
        return _of_timm(name)
    if name not in ALIASES:
        return _of_transformers(folder)
    from safetensors.torch import load_file

    model = _efficientnet()
    model.load_state_dict(load_file(folder / "model.safetensors"))
    made = fingerprint_of_folder(name, folder)
    return VisionSubject(model, _prepared_for_efficientnet(), name, made, classes=imagenet_classes(), in_memory=False)


def _efficientnet() -> Any:
    from glossator.subjects.efficientnet import EfficientNetLite0

    return EfficientNetLite0()


def _prepared_for_efficientnet() -> Preparation:
    from glossator.subjects.efficientnet import DEVIATION, MEAN, SIDE

    return Preparation(SIDE, MEAN, DEVIATION)


def _preparation(name: str | None, folder: Path) -> Preparation:
    return _prepared_for_efficientnet() if name in ALIASES else preparation_beside(folder)


def preparation_beside(folder: Path) -> Preparation:
    """How a saved model of `transformers` has its images prepared; `UserError` where its folder does not say."""
    config = json.loads(check_config_file(folder).read_text(encoding="utf-8"))
    side = config.get("image_size") or (config.get("vision_config") or {}).get("image_size")
    path = folder / PREPROCESSOR
    if not path.is_file():
        raise UserError(
            "the folder does not say how images are prepared", value=str(folder), allowed=PREPROCESSOR,
            fix="Save the model's image processor beside it: processor.save_pretrained(folder)",
        )  # fmt: skip
    if isinstance(side, list | tuple) and len(set(side)) > 1:
        raise UserError("this model takes images that are not square", value=side, allowed="a square")
    side = side[0] if isinstance(side, list | tuple) and side else side
    stored = read_json(path, "what says how images are prepared", "Save the image processor again")
    return preparation_of(_with_defaults(stored, folder), side if isinstance(side, int) else None)


_SAID = ("do_normalize", "image_mean", "image_std", "do_rescale", "rescale_factor", "do_flip_channel_order")


def _with_defaults(stored: Any, folder: Path) -> Any:
    """What a file says, and where it is silent what the image processor that it names does by itself."""
    from transformers import AutoImageProcessor

    if not isinstance(stored, dict) or all(key in stored for key in _SAID):
        return stored
    try:
        with quiet_transformers():
            made = AutoImageProcessor.from_pretrained(folder, trust_remote_code=False)
    except Exception:  # none that is known here: the file stands for itself
        return stored
    return {**{key: getattr(made, key, None) for key in _SAID}, **stored}


def fingerprint_of_folder(name: str | None, folder: Path) -> str:
    """The fingerprint of a saved image model, without loading it."""
    return fingerprints.of_weights(folder, {"preparation": asdict(_preparation(name, folder))})


def fingerprint_of_package() -> str:
    """The fingerprint of the network whose weights are in the package."""
    from glossator.subjects.renders_cnn import SIDE, WEIGHTS

    return fingerprint([RENDERS_CNN, sha256_of(WEIGHTS), asdict(Preparation(SIDE))])


def _of_transformers(folder: Path) -> VisionSubject:
    import torch
    from transformers import AutoModel, AutoModelForImageClassification

    from glossator.subjects.image_sites import numbers_of
    from glossator.subjects.vision import VisionSubject

    config = read_config(folder)
    prepare = _preparation(None, folder)
    classifies = any("ForImageClassification" in str(one) for one in getattr(config, "architectures", None) or [])
    auto: Any = AutoModelForImageClassification if classifies else AutoModel
    blank = prepare(np.zeros((1, prepare.side, prepare.side, 3), np.uint8))
    model = fitting(auto, folder, config, torch.float32, lambda model: numbers_of(model(blank)))
    labels = getattr(config, "id2label", None) if classifies else None
    classes = tuple(str(labels[i]) for i in sorted(labels)) if labels else ()
    return VisionSubject(
        model,
        prepare,
        folder.resolve().name,
        fingerprint_of_folder(None, folder),
        prepare.side,
        classes,
        in_memory=False,
    )


def _of_timm(name: str) -> VisionSubject:
    from glossator.subjects.vision import VisionSubject

    try:
        timm: Any = importlib.import_module("timm")
    except ImportError as error:
        raise UserError("timm is not installed", value=name, fix="pip install timm torchvision") from error
    try:
        model = timm.create_model(name.removeprefix(TIMM), pretrained=True)
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError("timm cannot open this model", value=name, fix=reason) from error
    facts = timm.data.resolve_model_data_config(model)
    prepare = Preparation(int(facts["input_size"][1]), tuple(facts["mean"]), tuple(facts["std"]))
    classes = imagenet_classes() if getattr(model, "num_classes", 0) == len(imagenet_classes()) else ()
    return VisionSubject(model, prepare, name, side=prepare.side, classes=classes, in_memory=False)


def sites_of_builtin(name: str) -> list[ImageSite]:
    """The sites of a built-in image model; nothing is downloaded."""
    from glossator.subjects.vision import VisionSubject

    if name == RENDERS_CNN:
        return open_image_model(name, None).sites()
    return VisionSubject(_efficientnet(), _prepared_for_efficientnet(), name, "not its weights").sites()
