"""Models under study: loading, sites, capture and edit hooks, weights.

Names are resolved on first use, so that importing the package (for the alias table, say) loads no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from glossator.registry import on_first_use

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

__getattr__ = on_first_use(
    __name__,
    {
        ".hooks": "capture edit",
        ".loading": "describe_sites load_subject load_tokenizer",
        ".named": "open_subject",
        ".sites": "SiteInfo find_sites",
        ".tokenizer": "FastTextTokenizer",
        ".transformer": "TransformerSubject",
        ".vision": "VisionSubject image_subject",
    },
)
