"""The one-step summary: describe the parts of the top images in which the unit is strong, and say what they share.

No experiment is made and nothing is tested. It is what agents have to beat. Rendered scenes are described exactly, from
their graphs; other images by a language model that sees.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from glossator.errors import MissingPower, UserError
from glossator.evidence import ExplainEvidence
from glossator.explainers import Abstained, Explained, Explainer
from glossator.explainers.of_concepts import Shown
from glossator.explanations import MOST_WORDS, Explanation, Headline, Provenance
from glossator.image_programs.reading import COUNTED, read
from glossator.inputs import Images
from glossator.inputs.images import cells_of_pixels
from glossator.language_models.pictures import VisionDescriber
from glossator.language_models.request import IMAGES, LanguageModel
from glossator.scenes.inputs import SceneImages
from glossator.scenes.pictures import NOTHING_SHARED, Describer, Renderer, pictures_of

METHOD = "one-shot"


@dataclass(frozen=True)
class OneShotExplainer(Explainer):
    """One description of a unit's strongest images.

    lm: describes images, where it sees them; without it their scenes have to be known; exemplars: how many images;
    share: of the cells of random images, how many are as strong as a described part; agree: where the
    describer counts images, more than this share of them must show what is said.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"images"})
    ranks: ClassVar[bool] = True

    lm: LanguageModel | None = None
    exemplars: int = 15
    share: float = 0.01
    agree: float = 0.5

    def explain(self, evidence: Sequence[ExplainEvidence], *, n: int, seed: int) -> list[Explained]:
        found: list[Explained] = []
        for one in evidence:
            try:
                found.append(self._explain(Shown(one, seed)))
            except MissingPower:
                raise
            except UserError as error:
                found.append(Abstained(str(error), failed=True))
        return found

    def _describer(self, inputs: Images) -> Describer:
        if self.lm is not None and IMAGES in self.lm.powers:
            return VisionDescriber(self.lm)
        if not isinstance(inputs, SceneImages):
            raise MissingPower(
                "nobody describes these images", value=inputs.kind,
                fix="Use rendered scenes (--inputs renders), or a language model that sees images (--lm)",
            )  # fmt: skip
        return Renderer(side=inputs.pixels.side)

    def _explain(self, shown: Shown) -> Explained:
        exemplars = shown.evidence.exemplars
        inputs = exemplars.inputs
        if not isinstance(inputs, Images):
            raise MissingPower("this reads images", value=inputs.kind)
        describer, rows = self._describer(inputs), shown.top(self.exemplars)
        pictures = pictures_of(inputs, rows.tolist())
        masks: list[np.ndarray | None] = [None] * len(rows)
        if exemplars.grid.kind == "cells":
            height, width = pictures[0].pixels.shape[:2]
            regions = shown.regions(rows, self.share).reshape(-1, *exemplars.grid.shape)
            masks = [cells_of_pixels(region, height, width) for region in regions]
        said = _agreed(describer.summarise(pictures, masks), self.agree)
        if said == NOTHING_SHARED:
            return Abstained("the strongest images have nothing in common")
        settings = {
            "exemplars": self.exemplars,
            "share": self.share,
            "agree": self.agree,
            "describer": describer.backend,
        }
        model = None if isinstance(describer, Renderer) else describer.backend
        found = read(said, exemplars.grid, every=True)
        if found.whole is None:
            settings["not understood"] = list(found.unknown)
            made = Provenance(METHOD, settings, shown.evidence.fingerprint, shown.seed, model)
            headline = Headline(said) if len(said.split()) <= MOST_WORDS else None
            return [Explanation(shown.evidence.unit, said, made, headline=headline)]
        return [shown.explanation(found.whole, METHOD, {**settings, "said": said}, model=model)]


def _agreed(said: str, share: float) -> str:
    """Of a list such as "dog (12 of 15), large (8 of 15)" what more than this share of the images show; other words
    stay as they are."""
    parts = [(part, COUNTED.search(part)) for part in said.split(", ")]
    kept = [part for part, count in parts if count is None or int(count[1]) > share * int(count[2])]
    return ", ".join(kept) or NOTHING_SHARED
