"""Interventions on a model at any site, their effects on the outputs, and what they say about explanations.

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
    from glossator.causal.patching import Patched, patch, path_patch
    from glossator.causal.running import Batch, divergences, run, run_each
    from glossator.readouts.parts import Direction, Head, Latents, Part, Reconstruction, Units, Whole

_HOME = {
    "Add": "glossator.causal.changes",
    "Batch": "glossator.causal.running",
    "Change": "glossator.causal.changes",
    "Clamp": "glossator.causal.changes",
    "Direction": "glossator.readouts.parts",
    "Edit": "glossator.causal.edits",
    "Head": "glossator.readouts.parts",
    "Latents": "glossator.readouts.parts",
    "Part": "glossator.readouts.parts",
    "Patched": "glossator.causal.patching",
    "Reconstruction": "glossator.readouts.parts",
    "Scale": "glossator.causal.changes",
    "Set": "glossator.causal.changes",
    "Splice": "glossator.causal.changes",
    "Units": "glossator.readouts.parts",
    "Whole": "glossator.readouts.parts",
    "divergences": "glossator.causal.running",
    "generate": "glossator.causal.generating",
    "jensen_shannon": "glossator.causal.divergence",
    "patch": "glossator.causal.patching",
    "path_patch": "glossator.causal.patching",
    "resampled": "glossator.causal.changes",
    "run": "glossator.causal.running",
    "run_each": "glossator.causal.running",
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
    "Reconstruction",
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
    return getattr(importlib.import_module(_HOME[name]), name)
