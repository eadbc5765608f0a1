"""Units whose explanations are close in meaning to a text, by a text embedder that runs on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from glossator.errors import UserError
from glossator.explanations import UNNAMEABLE
from glossator.explorer.pages.lists import MOST_ROWS, Listed
from glossator.explorer.pages.parts import all_rounded
from glossator.store.lists import EVERY, Wanted
from glossator.store.study import Study

if TYPE_CHECKING:
    from glossator.subjects.embedders import Embedder

MOST_EMBEDDED = 20_000
"""Different texts that are embedded at once; some minutes on a laptop."""


@dataclass(frozen=True)
class CloseUnits:
    """Units, the closest first, and the cosine between each one's explanation and the text; total: among how many
    they are."""

    units: list[Listed]
    cosine: list[float | None]
    total: int = 0


class Meanings:
    """The vectors of all units' headlines, of sentences where there is none, each text embedded once.

    Raises `UserError` for a study with more than `MOST_EMBEDDED` different ones.
    """

    def __init__(self, study: Study, embedder: Embedder):
        rows = study.query("SELECT id, headline, text FROM units WHERE text IS NOT NULL ORDER BY id")
        said = [headline if headline and headline != UNNAMEABLE else text for _, headline, text in rows]
        numbers = {text: number for number, text in enumerate(dict.fromkeys(said))}
        if len(numbers) > MOST_EMBEDDED:
            raise UserError(
                "too many explanations to be searched by meaning",
                value=len(numbers),
                allowed=f"up to {MOST_EMBEDDED:,}",
                fix="Search by words",
            )
        self.embedder = embedder
        self.vectors = embedder.embed([*numbers]) if numbers else np.empty((0, embedder.width), np.float32)
        self.places = np.array([place for place, *_ in rows], np.int64)
        self.number = np.array([numbers[text] for text in said], np.int64)

    def close_to(self, study: Study, text: str, limit: int = 50, wanted: Wanted = EVERY) -> CloseUnits:
        """At most `limit` (up to `MOST_ROWS`) of the units that are wanted; raises `UserError` for a text without a
        word."""
        if not 1 <= limit <= MOST_ROWS:
            raise UserError("so many units are not listed at once", value=limit, allowed=f"1 to {MOST_ROWS}")
        if not text.strip():
            raise UserError("nothing to search for", value=text, allowed="one or more words")
        (vector,) = self.embedder.embed([text])
        cosine = (self.vectors @ vector)[self.number]
        among = np.arange(len(cosine))
        if wanted != EVERY:
            among = np.flatnonzero(np.isin(self.places, np.array(study.places(wanted), np.int64)))
        best = among[np.argsort(-cosine[among], kind="stable")[:limit]]
        places: Sequence[int] = self.places[best].tolist()
        rows = [Listed.of(row) for row in study.rows_at(places)]
        return CloseUnits(rows, all_rounded(cosine[best].tolist()), len(among))
