"""A study as pages that need no server: a folder whose shards are loaded when they are needed, or one file.

From the disk a browser runs classic scripts but fetches nothing. So a shard is a script that calls back with its data,
gzipped and in base64; in a single file it is a text in the page.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glossator.engines import each_in_parallel, one_thread
from glossator.errors import MissingPower, UserError
from glossator.explorer.bundle import folder_page, script, single_page, style
from glossator.explorer.pages.compare import Side, compare
from glossator.explorer.pages.evidence import EvidenceKept, all_evidence
from glossator.explorer.pages.experiment import page_of_steps
from glossator.explorer.pages.experiments import experiment_list, experiment_page, numbers_of
from glossator.explorer.pages.lists import AXES, axis_name, columns, unit_list
from glossator.explorer.pages.neighbours import Firing, Written, written_by
from glossator.explorer.pages.outputs import Outputs
from glossator.explorer.pages.parts import slug, to_json
from glossator.explorer.pages.readouts import readouts_page
from glossator.explorer.pages.study import VOXELS, agreement, distribution, pages_of, recording_of, study_page
from glossator.explorer.pages.tasks import TasksListed, TasksShown
from glossator.explorer.pages.unit import unit_page
from glossator.explorer.pages.voxels import voxels_page
from glossator.explorer.pages.windows import unit_windows
from glossator.files import write_bytes

if TYPE_CHECKING:
    import numpy as np

    from glossator.store.results import UnitResult
    from glossator.store.study import Study
    from glossator.study.context import StudyContext
    from glossator.units import Unit

COLUMNS_EACH = 4096
"""Units in a shard of the list."""
UNITS_EACH = 16
"""Units in a shard of pages."""
MOST_EXPERIMENTS = 64
"""Experiments whose pages are in one file: the last ones. A folder has all."""
MOST_COMPARED = 4
"""Methods of which every pair is compared."""
MOST_WITH_EVIDENCE = 256
"""Units in one file below whose scores their evidence is; a folder has it of all, as it is loaded when it is needed."""
MOST_IN_FILE = 2048
"""Units whose pages are in a report; a study may have more, and all of them are listed and count in its plots."""
People = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Exported:
    """Where pages were written; units: whose pages are there; of: how many the study has."""

    path: Path
    units: int
    of: int
    bytes: int


def export_folder(
    study: Study,
    folder: Path,
    places: Sequence[int] | None = None,
    context: StudyContext | None = None,
    say: Callable[[int], Any] = id,
    asked: Sequence[TasksShown] = (),
    outputs: Outputs | None = None,
) -> Exported:
    """Write the units of a study below a folder, whose `index.html` opens from the disk.

    places: whose pages are written (from 1), by default all; all units are listed. say: is told how many units are
    done; asked: tasks for annotators; outputs: what output tokens are read off with (`outputs_of`), None for none.
    Raises `UserError` for a folder that holds other files.
    """
    if folder.exists() and any(folder.iterdir()) and not (folder / "data" / "study.js").exists():
        raise UserError("the folder is not empty and holds no export", value=str(folder), fix="Choose another folder")
    (folder / "data").mkdir(parents=True, exist_ok=True)
    for old in (folder / "data").glob("*.js"):
        old.unlink()
    context, every, size = context or context_of(study), _all_places(study), 0
    chosen = every if places is None else sorted({*places})
    numbers = numbers_of(study)
    listed = None if places is None else chosen
    for name, data in _shards(study, chosen, context, None, listed, say, None, numbers, asked, outputs, evidence=True):
        size += _write(folder / "data" / f"{name}.js", f'glossatorShard("{name}", "{data}");\n')
    for name, text in (("app.js", script()), ("app.css", style()), ("index.html", folder_page(_title(study)))):
        size += _write(folder / name, text)
    return Exported(folder / "index.html", len(chosen), len(every), size)


def export_file(
    study: Study,
    path: Path,
    places: Sequence[int] | None = None,
    context: StudyContext | None = None,
    people: Mapping[str, Any] | None = None,
    say: Callable[[int], Any] = id,
    asked: Sequence[TasksShown] = (),
    outputs: Outputs | None = None,
) -> Exported:
    """Write one file with the pages of units at these places (from 1), by default of all, or of `MOST_IN_FILE` of a
    larger study; all units are listed. people: what annotators did, as `glossator.human.report` prepares it;
    asked: tasks for annotators; outputs: as for `export_folder`."""
    size = _write(path, single(study, places, context, people, say, asked, outputs=outputs))
    shown, of = len(shown_places(study) if places is None else places), len(_all_places(study))
    return Exported(path, shown, of, size)


def _write(path: Path, text: str) -> int:
    """Write a text; returns its bytes."""
    data = text.encode()
    write_bytes(path, data)
    return len(data)


def single(
    study: Study,
    places: Sequence[int] | None = None,
    context: StudyContext | None = None,
    people: Mapping[str, Any] | None = None,
    say: Callable[[int], Any] = id,
    asked: Sequence[TasksShown] = (),
    at: str = "",
    outputs: Outputs | None = None,
) -> str:
    """The same as a text; the same study gives the same text. at: the address that it opens at, by default the list."""
    shown = shown_places(study) if places is None else sorted({*places})
    of_units = (people or {}).get("units")
    units = None if places is None else [row.unit for row in study.rows_at(shown)]
    numbers = numbers_of(study, units, MOST_EXPERIMENTS)
    shards = _shards(
        study, shown, context or context_of(study), of_units, shown, say, people, numbers, asked, outputs,
        evidence=len(shown) <= MOST_WITH_EVIDENCE,
    )  # fmt: skip
    return single_page(_title(study), dict(shards), at)


def experiment_file(path: Path, steps: Sequence[dict[str, Any]], shown: Mapping[str, np.ndarray]) -> None:
    """One experiment as a file of its own, from the steps of its transcript; shown: pixels of its pictures by id."""
    page = page_of_steps(steps, shown=shown)
    _write(path, single_page(f"{page.unit}: experiment", {"experiment": packed(to_json(page))}))


def write_report(path: Path, study: Study, context: StudyContext) -> None:
    """The report that a run leaves: the study in one file."""
    export_file(study, path, context=context)


def context_of(study: Study) -> StudyContext | None:
    """What inputs are drawn with; None for a study without its recording."""
    from glossator.study.context import StudyContext

    return None if recording_of(study) is None else StudyContext.to_show(study)


def outputs_of(study: Study, context: StudyContext) -> Outputs | None:
    """What output tokens are read off with: the subject, which is loaded; None where it is not here, or reads no
    tokens."""
    from glossator.study.sources import check_unchanged, kept_readouts

    if context.recording.inputs.kind != "tokens":
        return None
    try:
        check_unchanged(study.spec, context.recording)
        return Outputs(context.resources.subject, kept_readouts(context.recording))
    except (MissingPower, UserError):
        return None


def shown_places(study: Study, most: int = MOST_IN_FILE) -> list[int]:
    """All places of units, or where there are too many: the best, the worst, and others spread evenly between them."""
    order = study.ranking()
    if len(order) <= most:
        return sorted(order)
    third, rest = most // 3, most - 2 * (most // 3)
    middle = order[third : len(order) - third]
    spread = [middle[i * len(middle) // rest] for i in range(rest)]
    return sorted((*order[:third], *spread, *order[len(order) - third :]))


def _all_places(study: Study) -> range:
    return range(1, study.size + 1)


def _title(study: Study) -> str:
    sites = study.spec.sites
    return f"{study.manifest['subject']}, {', '.join(sites) if len(sites) <= 3 else f'{len(sites)} sites'}"


def _shards(
    study: Study,
    places: Sequence[int],
    context: StudyContext | None,
    people: People | None,
    listed: Sequence[int] | None,
    say: Callable[[int], Any],
    all_people: Mapping[str, Any] | None = None,
    experiments: Sequence[int] = (),
    asked: Sequence[TasksShown] = (),
    outputs: Outputs | None = None,
    evidence: bool = False,
) -> Iterator[tuple[str, str]]:
    """(name, `packed` JSON) of each shard; listed: the places whose pages are there, None for all; experiments: whose
    pages are; asked: tasks for annotators. Pages of units are made on all cores."""
    units = study.size
    lists = -(-units // COLUMNS_EACH)
    evidence = evidence and context is not None
    yield "study", packed(_study(study, lists, listed, all_people, asked, evidence))
    made: dict[str, Callable[[Study], Any]] = {"readouts": readouts_page, VOXELS: voxels_page}
    for name in pages_of(study):
        yield name, packed(to_json(made[name](study)))
    for number in range(lists):
        yield f"columns-{number}", packed(to_json(columns(study, 1 + number * COLUMNS_EACH, COLUMNS_EACH)))
    near = None if context is None else Beside(study, context)
    alone = context is not None and bool(tuple(context.models))  # what language models said lies in a file of answers
    if context is not None and near is not None:  # what processes share is made before they are forked
        if context.resources.lexicon is not None:
            context.resources.lexicon.warm()
        near.warm()
    if outputs is not None:
        outputs.warm()
    batches = [places[first : first + UNITS_EACH] for first in range(0, len(places), UNITS_EACH)]

    def of_batch(some: Sequence[int]) -> tuple[str, str | None]:
        with one_thread():
            results = dict(zip(some, study.results(some), strict=True))
            tokens = _output_tokens(results.values(), outputs)
            pages = {place: _unit(study, one, context, near, people, tokens) for place, one in results.items()}
            if not evidence or context is None:
                return packed(_by_place(pages)), None
            kept = {place: _evidence(one, context) for place, one in results.items()}
        return packed(_by_place(pages)), packed(_by_place(kept))

    done = 0
    with contextlib.closing(each_in_parallel(of_batch, batches, 1 if alone else None)) as made_of:
        for number, (some, (pages, kept)) in enumerate(zip(batches, made_of, strict=True)):
            yield f"units-{number}", pages
            if kept is not None:
                yield f"evidence-{number}", kept
            done += len(some)
            say(done)
    if experiments:
        yield "experiments", packed(to_json(experiment_list(study)))
    for tasks in asked:
        yield f"tasks-{tasks.names['tasks']}", packed(to_json(tasks))
    for number in experiments:
        yield f"experiment-{number}", packed(to_json(experiment_page(study, number, context)))


class Beside:
    """Neighbours of units, as far as they can be known without the model."""

    def __init__(self, study: Study, context: StudyContext):
        from glossator.study.sources import kept_readouts

        self.study, self.firing = study, Firing(study, context.recording)
        try:
            self.readouts: Mapping[str, Any] = kept_readouts(context.recording)
        except UserError:  # a readout that is not there any more, or was changed
            self.readouts = {}
        self.written: dict[str, Written | None] = {}

    def of(self, unit: Unit) -> bytes:
        found = {"firing": self.firing.beside(self.study, unit)}
        if (rows := self._written(unit.site)) is not None:
            found["weights"] = rows.beside(self.study, unit)
        return b"{%b}" % b",".join(b'"%b":%b' % (by.encode(), to_json(one)) for by, one in found.items())

    def warm(self) -> None:
        """Make what all units share."""
        for site in self.study.sites:
            self._written(site)

    def _written(self, site: str) -> Written | None:
        if site not in self.written:
            try:
                known = written_by(self.study, site, self.readouts) if site in self.readouts else None
            except MissingPower:
                known = None
            self.written[site] = known
        return self.written[site]


def _by_place(pages: Mapping[int, bytes]) -> bytes:
    return b"{%b}" % b",".join(b'"%d":%b' % one for one in pages.items())


def _output_tokens(results: Iterable[UnitResult], outputs: Outputs | None) -> dict[Unit, bytes]:
    units = [one.unit for one in results if one.unit.polarity != "±"]
    return {} if outputs is None else dict(zip(units, map(to_json, outputs.of(units)), strict=True))


def _evidence(result: UnitResult, context: StudyContext) -> bytes:
    if result.statistics is None:
        return b"{}"
    return bytes(to_json(all_evidence(result, context), dict[str, EvidenceKept]))


def _unit(
    study: Study,
    result: UnitResult,
    context: StudyContext | None,
    near: Beside | None,
    people: People | None,
    tokens: Mapping[Unit, bytes],
) -> bytes:
    page = unit_page(study, result.unit, (people or {}).get(str(result.unit)))
    if context is None or near is None or result.statistics is None:
        return b'{"page":%b,"windows":null,"neighbours":{}}' % to_json(page)
    windows, beside = to_json(unit_windows(result, context)), near.of(result.unit)
    output = tokens.get(result.unit, b"null")
    return b'{"page":%b,"windows":%b,"neighbours":%b,"output":%b}' % (to_json(page), windows, beside, output)


def _study(
    study: Study,
    lists: int,
    listed: Sequence[int] | None,
    people: Mapping[str, Any] | None,
    asked: Sequence[TasksShown],
    evidence: bool,
) -> bytes:
    """What the first sight of a study needs."""
    page = study_page(study, people, {tasks.names["task"]: tasks.title for tasks in asked})
    shown = None if listed is None else {place: i // UNITS_EACH for i, place in enumerate(listed)}
    told = {name: json.loads(to_json(distribution(study, name))) for name in page.told}
    ours = {
        "study": {"study": slug(page.subject), "subject": page.subject, "units": page.units,
                  "sites": [*dict.fromkeys(site.site for site in page.sites)]},
        "page": json.loads(to_json(page)) | {"name": "", "version": ""},  # where it lies
        "distributions": told,
        "agreement": (found := agreement(study)) and json.loads(to_json(found)),
        "axes": {axis: axis_name(study, axis) for axis in AXES},
        "first": json.loads(to_json(unit_list(study))),
        "comparisons": [*_comparisons(study, page.methods)] if page.ranked_by else [],
        "tasks": json.loads(to_json([TasksListed.of(tasks) for tasks in asked], list[TasksListed])),
        "shards": {"columns": lists, "units_each": UNITS_EACH, "shown": shown, "evidence": evidence},
        "places": {row.unit.short: row.place for row in study.rows_at(listed)} if listed is not None else None,
    }  # fmt: skip
    return json.dumps(ours, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def _comparisons(study: Study, methods: Iterable[str]) -> Iterator[dict[str, Any]]:
    some = [None, *list(methods)[:MOST_COMPARED]]
    for a in some:
        for b in some:
            try:
                found = compare(Side(study, a), Side(study, b))
            except UserError:  # a method none of whose explanations has the score
                continue
            yield {"a_method": a or "", "b_method": b or "", "comparison": json.loads(to_json(found))}


def packed(data: bytes) -> str:
    """Gzipped, in base64; the same data gives the same text, on every system."""
    zipped = bytearray(gzip.compress(data, 6, mtime=0))
    zipped[9] = 255  # the operating system, which some versions of Python write down
    return base64.b64encode(bytes(zipped)).decode()
