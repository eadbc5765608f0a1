"""Readouts: units made from the values of a site, such as directions and the latents of a dictionary."""

from __future__ import annotations

from glossator.readouts.directions import DirectionSet, direction_set, load_directions

__all__ = ["DirectionSet", "direction_set", "load_directions"]
