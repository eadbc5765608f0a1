"""Interventions on a model at any site, their effects on the outputs, and what they say about explanations.

`Edit` names one change of what flows at one site; `run` runs windows under any number of them. Names are resolved on
first use, so that importing the package loads no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from glossator.registry import on_first_use

if TYPE_CHECKING:
    from glossator.causal.changes import Add, Change, Clamp, Scale, Set, Splice, resampled
    from glossator.causal.divergence import jensen_shannon
    from glossator.causal.edits import Edit
    from glossator.causal.generating import generate
    from glossator.causal.patching import Patched, patch, path_patch
    from glossator.causal.running import Batch, divergences, run, run_each
    from glossator.readouts.parts import Direction, Head, Latents, Part, Reconstruction, Units, Whole

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

__getattr__ = on_first_use(
    __name__,
    {
        ".changes": "Add Change Clamp Scale Set Splice resampled",
        ".divergence": "jensen_shannon",
        ".edits": "Edit",
        ".generating": "generate",
        ".patching": "Patched patch path_patch",
        ".running": "Batch divergences run run_each",
        "glossator.readouts.parts": "Direction Head Latents Part Reconstruction Units Whole",
    },
)
