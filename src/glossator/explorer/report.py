"""The report: one self-contained HTML file that needs no server and no network.

Text and plots are written here; what one clicks through is data in the page, drawn by `templates/report.js`. All text
is escaped, since token text may hold anything.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files as package_files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glossator import __version__
from glossator.explorer.payload import payload
from glossator.explorer.plots import MOST_DOTS, distribution, number
from glossator.explorer.scatter import scatter
from glossator.files import plain, write_bytes
from glossator.language_models.costs import in_words, total
from glossator.store.card import COLUMNS, QUESTIONS, columns_of, why_empty
from glossator.store.ranking import DEFAULT_SCORES, RATE
from glossator.store.summary import (
    Mean,
    agreement_of_columns,
    in_order,
    mean_of,
    told,
    units_of_sites,
    values_of,
    with_both_columns,
)
from glossator.study.random_weights import means_of_random

if TYPE_CHECKING:
    from glossator.store.study import Study
    from glossator.study.tools import Tools

ABOVE = (
    "differences are of scores resampled on the same documents; q is the false-discovery rate (Benjamini & Hochberg "
    "1995) at which the unit is called above the baseline, over all units of the study that have a p-value for this "
    "score, method and baseline"
)
MOST_UNITS = 300
"""Units that can be looked at in one report; a study may have more, and all of them count in its plots."""


def write_report(path: Path, study: Study, tools: Tools) -> None:
    """Write the report of a study to `path`."""
    write_bytes(path, render(study, tools).encode())


def render(study: Study, tools: Tools, people: Mapping[str, Any] | None = None) -> str:
    """The page as HTML. people: human results as `glossator.human.report` prepares them, None for the study alone."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    page = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    places = shown_places(study)
    found, drawn = _over_units(study)
    agreement, counts, costs = agreement_of_columns(study), study.counts, study.costs
    tables = [(c, QUESTIONS[c], [m for m in found if m.column == c], why_empty(c, tools.spec.card)) for c in COLUMNS]
    both = scatter(with_both_columns(study, MOST_DOTS), "The two headline scores of each unit")
    return page.from_string(_read("report.html")).render(
        title=_title(tools),
        spec=tools.spec,
        facts=[
            *_facts(sum(counts.values()), tools),
            *(("Random weights", line.partition(", ")[2]) for line in means_of_random(study)),
        ],
        counts=counts,
        total=sum(counts.values()),
        shown=len(places),
        means=found,
        tables=tables,
        rate=RATE,
        number=number,
        estimate=_estimate,
        agreement=agreement,
        scatter=Markup(both),
        people=Markup(page.from_string(_read("people.html")).render(people=people, estimate=_estimate))
        if people
        else "",
        costs=costs,
        whole=total(costs),
        words=in_words,
        plots=[(name, Markup(svg)) for name, svg in drawn.items() if svg],
        data=Markup(as_script(payload(study.results(places), tools, study, people and people["units"]))),
        css=Markup(_read("report.css")),
        js=Markup(_read("report.js")),
        version=__version__,
    )


def _read(name: str) -> str:
    """A template of this package."""
    return (package_files("glossator.explorer") / "templates" / name).read_text(encoding="utf-8")


def _over_units(study: Study) -> tuple[list[Mean], dict[str, str]]:
    """Means over units, and how the values of each headline lie, read one score at a time."""
    names, causal = told(study), study.default_score("causal")
    pictured = [*DEFAULT_SCORES, *([causal] if causal is not None and causal != study.ranked_by else [])]
    units = units_of_sites(study)
    found: list[tuple[int, Mean]] = []
    drawn = dict.fromkeys(pictured, "")
    for name in dict.fromkeys((*names, *pictured)):
        values = values_of(study, name)
        if name in names:
            found += [(v.first, mean_of(v, units)) for v in values]
        if name in pictured:
            drawn[name] = distribution(values)
    return in_order(found), drawn


def _estimate(found: Any) -> str:
    """`0.612 [0.520, 0.700]`; found: an estimate, as an object or as JSON."""
    value, low, high = (found[k] if isinstance(found, Mapping) else getattr(found, k) for k in ("value", "low", "high"))
    if value is None:
        return "–"
    return number(value, 3) + ("" if low is None else f" [{number(low, 3)}, {number(high, 3)}]")


def as_script(value: Any) -> str:
    """JSON that cannot close the script element around it, whatever texts it holds."""
    text = json.dumps(plain(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def shown_places(study: Study, most: int = MOST_UNITS) -> list[int]:
    """All places of units, or where there are too many: the best, the worst, and others spread evenly between them."""
    order = study.ranking()
    if len(order) <= most:
        return sorted(order)
    third, rest = most // 3, most - 2 * (most // 3)
    middle = order[third : len(order) - third]
    spread = [middle[i * len(middle) // rest] for i in range(rest)]
    return sorted((*order[:third], *spread, *order[len(order) - third :]))


def _title(tools: Tools) -> str:
    sites = tools.spec.sites
    return f"{tools.recording.spec.subject}, {', '.join(sites) if len(sites) <= 3 else f'{len(sites)} sites'}"


def _facts(units_studied: int, tools: Tools) -> list[tuple[str, str]]:
    """How the study was made, as pairs of words."""
    spec, recording = tools.spec, tools.recording
    text, subject = recording.spec.windows, recording.spec
    units = "all" if spec.units == "all" else f"{spec.units} at random" if isinstance(spec.units, int) else "listed"
    kind, groups = recording.inputs.kind, f"{len(recording.group_ids):,} groups"
    read = f"{len(recording.inputs):,} {kind}"
    if kind == "tokens":
        tokens = f"{recording.valid_places(next(iter(recording.sites))):,} tokens"
        read, groups = f"{tokens} in {len(recording.inputs):,} windows of {spec.width}", f"{groups[:-6]}documents"
    shares = "; ".join(f"{name} {share:.0%}" for name, share in text.get("shares", {}).items())
    methods = f"{', '.join(spec.explainers)}; at most {spec.candidates} candidates each, ranked on the select split"
    reader = tools.reader
    words = f"words are read by {reader.model.name} ({reader.name})" if reader.model else "text is not simulated"
    simulation = f"programs are executed, {words}" if not reader.every else f"{words}, those of programs too"
    made = f"recording {recording.fingerprint}, seed {spec.seed}, made with glossator {__version__}"
    return [
        ("Subject", f"{subject.subject} ({spec.dtype}), fingerprint {subject.subject_fingerprint}"),
        ("Sites", f"{', '.join(spec.sites)}; units of each: {units}; {units_studied} studied"),
        ("Inputs", f"{text.get('corpus', '?')}: {read}, {groups}"),
        ("Splits", f"{shares} of the {kind}, whole {groups.split()[-1]}"),
        ("Left out", subject.leaves_out),
        ("Explainers", methods),
        ("Simulation", f"{simulation}; lists and tables of tokens are executed"),
        ("Card", f"{' and '.join(columns_of(spec.card))}; {', '.join(spec.scorers)}"),
        ("Scores", "on the test split, which no explainer saw; 95 % intervals over documents"),
        ("Above a baseline", ABOVE),
        ("Provenance", f"spec {spec.fingerprint}, {made}"),
    ]
