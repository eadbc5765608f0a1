"""Studies and units in notebooks: the pages of the explorer as the text of a frame, which a saved notebook keeps."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from glossator.explorer.export import shown_places, single

if TYPE_CHECKING:
    from glossator.store.study import Study
    from glossator.units import Unit

MOST_UNITS, MOST_BYTES = 32, 3 << 19
"""Units of a study whose pages are in its frame, fewer where they take more bytes, as those with pictures do; all are
listed."""
HEIGHTS = {"study": 560, "unit": 640}


def study_frame(study: Study) -> str:
    """The study as HTML, with the pages of its best and worst units and of some between."""
    most = MOST_UNITS
    while len(text := single(study, shown_places(study, most))) > MOST_BYTES and most > 1:
        most //= 2
    return _frame(text, HEIGHTS["study"], f"study {study.folder.name}")


def unit_frame(study: Study, unit: Unit) -> str:
    """The page of one unit as HTML."""
    text = single(study, [study.row(unit).place], at=f"#{unit.short}")
    return _frame(text, HEIGHTS["unit"], f"unit {unit.short}")


def _frame(page: str, height: int, title: str) -> str:
    """Its own document: no style or script of the page reaches the notebook, nor the other way round."""
    inside, said = html.escape(page), html.escape(title)
    return (
        f'<iframe title="{said}" sandbox="allow-scripts" loading="lazy" style="width: 100%; height: {height}px; '
        f'border: 1px solid #8888" srcdoc="{inside}"></iframe>'
    )
