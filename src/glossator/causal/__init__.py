"""Acting on a model: interventions at any site, what they do to the outputs, and what that says of explanations.

`Edit` names one change of what flows at one site; `run` runs windows under any number of them. Names are resolved on
first use, so that importing the package loads no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from glossator.causal.changes import Add, Change, Clamp, Scale, Set, Splice, resampled
    from glossator.causal.divergence import jensen_shannon
    from glossator.causal.edits import Edit
    from glossator.causal.generating import generate
    from glossator.causal.parts import Direction, Head, Latents, Part, Units, Whole
    from glossator.causal.patching import Patched, patch, path_patch
    from glossator.causal.running import Batch, divergences, run, run_each

_HOME = {
    "Add": "changes",
    "Batch": "running",
    "Change": "changes",
    "Clamp": "changes",
    "Direction": "parts",
    "Edit": "edits",
    "Head": "parts",
    "Latents": "parts",
    "Part": "parts",
    "Patched": "patching",
    "Scale": "changes",
    "Set": "changes",
    "Splice": "changes",
    "Units": "parts",
    "Whole": "parts",
    "divergences": "running",
    "generate": "generating",
    "jensen_shannon": "divergence",
    "patch": "patching",
    "path_patch": "patching",
    "resampled": "changes",
    "run": "running",
    "run_each": "running",
}

__all__ = [
    "Add",
    "Batch",
    "Change",
    "Clamp",
    "Direction",
    "Edit",
    "Head",
    "Latents",
    "Part",
    "Patched",
    "Scale",
    "Set",
    "Splice",
    "Units",
    "Whole",
    "divergences",
    "generate",
    "jensen_shannon",
    "patch",
    "path_patch",
    "resampled",
    "run",
    "run_each",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
