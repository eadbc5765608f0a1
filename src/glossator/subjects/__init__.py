"""Models under study: loading, sites, capture and edit hooks, weights.

Names are resolved on first use, so that importing the package (for the alias table, say) loads no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from glossator.subjects.hooks import capture, edit
    from glossator.subjects.loading import describe_sites, load_subject, load_tokenizer
    from glossator.subjects.named import open_subject
    from glossator.subjects.sites import SiteInfo, find_sites
    from glossator.subjects.tokenizer import FastTextTokenizer
    from glossator.subjects.transformer import TransformerSubject
    from glossator.subjects.vision import VisionSubject, image_subject

__all__ = [
    "FastTextTokenizer",
    "SiteInfo",
    "TransformerSubject",
    "VisionSubject",
    "capture",
    "describe_sites",
    "edit",
    "find_sites",
    "image_subject",
    "load_subject",
    "load_tokenizer",
    "open_subject",
]

_HOME = {
    "FastTextTokenizer": "tokenizer",
    "SiteInfo": "sites",
    "TransformerSubject": "transformer",
    "VisionSubject": "vision",
    "capture": "hooks",
    "describe_sites": "loading",
    "edit": "hooks",
    "find_sites": "sites",
    "image_subject": "vision",
    "load_subject": "loading",
    "load_tokenizer": "loading",
    "open_subject": "named",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
