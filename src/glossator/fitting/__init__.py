"""Fitting directions from labels, words and activations, and searching for explainable ones.

`sources` and `probes` make sets, `SiteValues` reads the activations that they are computed from, `ProjectedRecording`
hands them to the ordinary pipeline, `find_directions` searches.
"""

from __future__ import annotations

from glossator.fitting.captured import ProjectedRecording, SiteValues
from glossator.fitting.dissecting import concept_directions, dissect, rotated_directions
from glossator.fitting.finding import FindSpec, Found, find_directions
from glossator.fitting.probes import linear_probe
from glossator.fitting.sources import difference_of_means, principal_directions, random_directions, text_vectors

__all__ = [
    "FindSpec",
    "Found",
    "ProjectedRecording",
    "SiteValues",
    "concept_directions",
    "difference_of_means",
    "dissect",
    "find_directions",
    "linear_probe",
    "principal_directions",
    "random_directions",
    "rotated_directions",
    "text_vectors",
]
