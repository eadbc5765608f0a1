"""Directions as units: sets of vectors at a site, where they come from, and the search for ones that can be explained.

`DirectionSet` holds them, `sources` and `probes` make them, `SiteValues` reads the activations that they are computed
from, `ProjectedRecording` hands them to the ordinary pipeline, `find_directions` searches.
"""

from __future__ import annotations

from glossator.directions.captured import ProjectedRecording, SiteValues
from glossator.directions.finding import FindSpec, Found, find_directions
from glossator.directions.probes import linear_probe
from glossator.directions.sets import DirectionSet, direction_set, load_directions
from glossator.directions.sources import difference_of_means, principal_directions, random_directions, text_vectors

__all__ = [
    "DirectionSet",
    "FindSpec",
    "Found",
    "ProjectedRecording",
    "SiteValues",
    "difference_of_means",
    "direction_set",
    "find_directions",
    "linear_probe",
    "load_directions",
    "principal_directions",
    "random_directions",
    "text_vectors",
]
