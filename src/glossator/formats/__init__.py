"""Files of other tools, read and written: units with the excerpts on which they were seen, and what was said of them.

Nothing here knows studies: `glossator.subjects.excerpts` makes a subject of what is read, `glossator.study.outgoing`
takes what is written from a study.
"""

from glossator.formats.base import Excerpt, OfUnit, Said, SourceOfUnits
from glossator.formats.opening import open_units

__all__ = ["Excerpt", "OfUnit", "Said", "SourceOfUnits", "open_units"]
