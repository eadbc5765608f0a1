"""CLIP-Dissect (Oikarinen and Weng 2023): the words that an image-text model finds most in the unit's strongest images.

The score of a word is soft-WPMI: of the images by activation, log p(word | images), in which stronger images count for
more, less log p(word). There p(word) is the mean over all units of a layer; here it is the mean over random sets of
images, so that an answer does not depend on which units are explained together, and chance is seen beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from scipy.special import logsumexp, softmax

from glossator.errors import MissingPower, UserError
from glossator.evidence import ExplainEvidence
from glossator.explainers import Abstained, Explained, Explainer
from glossator.explainers.of_concepts import Shown
from glossator.explanations import Explanation, Headline, Provenance
from glossator.image_programs.reading import read
from glossator.inputs import Images
from glossator.programs.scene.content import content_of
from glossator.scenes.words import BACKGROUNDS, COLOURS, article, nouns
from glossator.subjects.image_text import BATCH, ImageTextModel, load_image_text
from glossator.units import unit_rng

METHOD = "clip-dissect"
CERTAIN, LEAST_CERTAIN = 0.998, 0.97
"""How sure it is that the strongest image belongs to the unit, and the last one of those that count."""
SETS = 400
MOST = 0.25
"""No more than this share of the images belongs to a unit."""


@dataclass(frozen=True)
class ClipDissectExplainer(Explainer):
    """The words with the largest soft-WPMI.

    model: a folder or hub id of an image-text model of `transformers`, such as CLIP; words: a file, one word a line, by
    default those of scenes; images: how many of the strongest count; sharpness: what similarities are multiplied by
    before they become probabilities; weight: of log p(word); alpha: how often a unit that has nothing to do with the
    images is claimed, None to name every unit, as in the paper.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"images"})
    ranks: ClassVar[bool] = True

    model: str | ImageTextModel | None = None
    words: str | None = None
    images: int = 100
    sharpness: float = 10.0
    weight: float = 1.0
    alpha: float | None = 0.01
    _seen: dict[bytes, np.ndarray] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.model is None:
            raise MissingPower(
                "clip-dissect needs an image-text model", allowed="a folder or hub id of CLIP, SigLIP or another",
                fix='Name it in the spec: [options.clip-dissect] model = "FOLDER"',
            )  # fmt: skip
        self.vocabulary  # noqa: B018 - a bad file is refused before anything is recorded

    def explain(self, evidence: Sequence[ExplainEvidence], *, n: int, seed: int) -> list[Explained]:
        return [self._explain(Shown(one, seed), n) for one in evidence]

    @cached_property
    def vocabulary(self) -> tuple[str, ...]:
        """The words."""
        if self.words is None:
            return (*nouns(), *(f"{colour} things" for colour in COLOURS), *(said for said, _ in BACKGROUNDS.values()))
        try:
            lines = Path(self.words).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UserError("the file of words cannot be read", value=self.words, fix=str(error)) from error
        found = tuple(dict.fromkeys(line.strip() for line in lines if line.strip()))
        if len(found) < 2:
            raise UserError("too few words to choose from", value=self.words, allowed="two or more, one a line")
        return found

    @cached_property
    def opened(self) -> ImageTextModel:
        return load_image_text(self.model) if isinstance(self.model, str) else self.model  # type: ignore[return-value]

    @cached_property
    def _of_words(self) -> np.ndarray:
        return self.opened.texts([f"a picture {_phrase(word)}" for word in self.vocabulary])

    def _explain(self, shown: Shown, n: int) -> Explained:
        exemplars = shown.evidence.exemplars
        if not isinstance(exemplars.inputs, Images):
            raise MissingPower("this reads images", value=exemplars.inputs.kind)
        similar = self._of_images(exemplars.inputs) @ self._of_words.T
        likely = softmax(self.sharpness * similar.astype(np.float64), axis=1)
        count = min(self.images, max(int(MOST * len(exemplars)), 1))
        pooled = exemplars.pooled().activations[:, 0]
        rows = np.argsort(-pooled, kind="stable")[:count]
        if pooled.min() == pooled.max():
            return Abstained("the unit is as strong in each image")
        rng = unit_rng(shown.seed, shown.evidence.unit, 3)
        size = min(count, len(shown.random))
        sets = np.stack([rng.permutation(shown.random)[:size] for _ in range(SETS)])
        by_chance = np.stack([_log_p(likely[one]) for one in sets])
        usual = logsumexp(by_chance, axis=0) - np.log(SETS)
        scores = _log_p(likely[rows]) - self.weight * usual
        p = (1 + int(((by_chance - self.weight * usual).max(axis=1) >= scores.max()).sum())) / (1 + SETS)
        best = np.argsort(-scores, kind="stable")[:n]
        if self.alpha is not None and p > self.alpha:
            word = self.vocabulary[best[0]]
            return Abstained(f"“{word}” is no more likely of the strongest images than words are of others (p {p:.3f})")
        settings = {"words": len(self.vocabulary), "images": count, "sharpness": self.sharpness, "weight": self.weight}
        return [
            self._explanation(shown, i, rank, {**settings, "score": round(float(scores[i]), 4), "p": round(p, 4)})
            for rank, i in enumerate(best.tolist())
        ]

    def _explanation(self, shown: Shown, i: int, rank: int, settings: dict[str, Any]) -> Explanation:
        word, model = self.vocabulary[i], self.opened
        settings = {**settings, "model": model.fingerprint}
        inputs = shown.evidence.exemplars.inputs
        annotations = getattr(inputs, "annotations", None)
        if annotations is not None:
            found = read(word, shown.evidence.exemplars.grid, annotations.concepts)
            if found.whole is not None:
                return shown.explanation(found.whole, METHOD, settings, rank=rank, model=model.name)
        made = Provenance(METHOD, settings, shown.evidence.fingerprint, shown.seed, model.name)
        return Explanation(shown.evidence.unit, word, made, rank=rank, headline=Headline(word))

    def _of_images(self, inputs: Images) -> np.ndarray:
        """(n, d), each image embedded once for all units that it is shown of."""
        keys = [content_of(inputs.pixels, row) for row in range(len(inputs))]
        new = {key: row for row, key in enumerate(keys) if key not in self._seen}
        for first in range(0, len(new), BATCH):
            part = list(new.items())[first : first + BATCH]
            vectors = self.opened.images(inputs.pixels[np.array([row for _, row in part])])
            self._seen.update({key: vector for (key, _), vector in zip(part, vectors, strict=True)})
        return np.stack([self._seen[key] for key in keys])


def _log_p(likely: np.ndarray) -> np.ndarray:
    """(words,) log p(word | images) of images in their order, the first ones counting for more."""
    sure = np.linspace(CERTAIN, LEAST_CERTAIN, len(likely))[:, None]
    return np.asarray(np.log1p(sure * (likely - 1)).sum(axis=0))


def _phrase(word: str) -> str:
    """A word after "a picture": "of a dog", "of red things", "on grass"."""
    if any(word == said for said, _ in BACKGROUNDS.values()):
        return word
    return f"of {article(word)}" if word in nouns() else f"of {word}"
