"""Readouts: units made from the values of a site, such as directions and the latents of a dictionary."""

from __future__ import annotations

from glossator.readouts.base import BaseReadout, Readout, load_readout
from glossator.readouts.directions import DirectionSet, direction_set, load_directions
from glossator.readouts.parts import Latents

__all__ = ["BaseReadout", "DirectionSet", "Latents", "Readout", "direction_set", "load_directions", "load_readout"]
