"""Lists of units that a reader makes, such as the starred ones: one JSON file beside the study, which outlives a study
that is made anew. Several processes may change it."""

from __future__ import annotations

from pathlib import Path

from glossator.errors import UserError
from glossator.files import alone, read_json, write_json
from glossator.store.folder import LISTS
from glossator.units import Unit

MOST_LISTS, MOST_UNITS, LONGEST_NAME = 100, 10_000, 60
FIX = "Restore the file, or delete it"


def unit_lists(folder: Path) -> dict[str, list[str]]:
    """The ids of the units of each list, in the order in which they were added; none where nobody made one."""
    path = folder / LISTS
    if not path.is_file():
        return {}
    found = read_json(path, "the lists of units", FIX)
    if not all(isinstance(ids, list) and all(isinstance(one, str) for one in ids) for ids in found.values()):
        raise UserError("the lists of units are damaged", value=str(path), fix=FIX)
    return found


def put_in_list(folder: Path, name: str, unit: Unit, inside: bool = True) -> dict[str, list[str]]:
    """Put a unit into a list, which is made if it is new, or take it out; a list without units is gone. Returns all
    lists. Raises `UserError` for a bad name, too many lists or units, and a folder that cannot be written."""
    name = name.strip()
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise UserError("bad name of a list", value=name[:80], allowed=f"1 to {LONGEST_NAME} printable characters")
    with alone(folder, "lists"):
        lists = unit_lists(folder)
        before = lists.get(name, [])
        units = [one for one in before if one != str(unit)] + ([str(unit)] if inside else [])
        if str(unit) in before and inside:
            return lists
        lists = {**lists, name: units}
        lists = {name: units for name, units in lists.items() if units}
        if len(lists) > MOST_LISTS or len(units) > MOST_UNITS:
            raise UserError("the lists are full", allowed=f"{MOST_LISTS} lists of {MOST_UNITS:,} units")
        write_json(folder / LISTS, lists)
        return lists
