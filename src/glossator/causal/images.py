"""Interventions on channels and patches of image models: how the numbers that the model gives for an image move."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from glossator.causal.changes import Set
from glossator.causal.edits import BoundEdit, Edit, bind_places
from glossator.errors import MissingPower, UserError
from glossator.inputs import Inputs
from glossator.readouts.parts import Units
from glossator.units import Unit

if TYPE_CHECKING:
    from glossator.subjects.vision import VisionSubject


def edited_outputs(subject: VisionSubject, inputs: Inputs, edits: Sequence[Edit]) -> np.ndarray:
    """Logits (n, classes) float32 with these edits in force; `where` of an edit is (n, places) of its site's grid.

    Raises `MissingPower` for a model without outputs and for a pooled site, `UserError` for edits that do not fit.
    """
    bound = []
    for one in edits:
        real = np.ones((len(inputs), subject.site(one.site).grid.places), bool)
        bound += bind_places(subject, [one], real)
    found = []
    for first in range(0, len(inputs), subject.batch):
        rows = np.arange(first, min(first + subject.batch, len(inputs)))
        with contextlib.ExitStack() as stack:
            for edit in bound:
                stack.enter_context(subject.edited(edit.site, _change(edit, rows)))
            found.append(subject.outputs(inputs.take(rows)))
    return np.concatenate(found) if found else subject.outputs(inputs)


def _change(edit: BoundEdit, rows: np.ndarray) -> Callable[[Any], Any]:
    if edit.source is not None:
        raise MissingPower("latents that are read at another site cannot be edited in an image model")
    return edit.hook(rows, 0)


def class_effects(subject: VisionSubject, unit: Unit, inputs: Inputs, value: float) -> np.ndarray:
    """How the logits move when a unit is held at `value`, signed by polarity, at all cells: (n, classes) float32."""
    if "@" in unit.site:
        raise UserError("this intervenes on channels of a site", value=str(unit))
    held = Edit(unit.site, Units(unit.index), Set(unit.sign * value))
    return edited_outputs(subject, inputs, [held]) - subject.outputs(inputs)
