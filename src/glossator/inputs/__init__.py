"""What subjects take (token windows, texts, images, stimuli), and where in an input a unit has values.

A new kind of input is one class with what `Inputs` names; everything that only needs values, groups and valid places
(recording, evidence, most scorers) works on it at once.
"""

from glossator.inputs.annotations import Annotations, Concept, annotations_of
from glossator.inputs.base import WHOLE, Grid, GridKind, Inputs, Shown, text_of
from glossator.inputs.images import Images
from glossator.inputs.texts import Stimuli, Texts
from glossator.inputs.tokens import TokenWindows, Vocabulary, token_windows

__all__ = [
    "WHOLE",
    "Annotations",
    "Concept",
    "Grid",
    "GridKind",
    "Images",
    "Inputs",
    "Shown",
    "Stimuli",
    "Texts",
    "TokenWindows",
    "Vocabulary",
    "annotations_of",
    "text_of",
    "token_windows",
]
