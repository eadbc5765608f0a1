"""The report: one HTML file with everything in it, which opens from the disk without a server and asks no network.

What is on the page in words and plots is written here; what one clicks through is data in the page, drawn by
`templates/report.js`. All text reaches the page escaped, as token text may hold anything.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.resources import files as package_files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glossator import __version__
from glossator.explorer.payload import payload
from glossator.explorer.plots import distribution
from glossator.files import plain, write_bytes
from glossator.study.costs import Cost, in_words, total
from glossator.study.results import STATUSES, UnitResult
from glossator.study.summary import HEADLINES, means, nulls_of_scores, ranked

if TYPE_CHECKING:
    from glossator.study.tools import Tools

MOST_UNITS = 300
"""Units that can be looked at in one report; a study may have more, and all of them count in its plots."""


def write_report(path: Path, results: Sequence[UnitResult], tools: Tools, costs: Sequence[Cost] = ()) -> None:
    """Write the report of a study's results, and of what they cost, to `path`."""
    write_bytes(path, render(results, tools, costs).encode())


def render(results: Sequence[UnitResult], tools: Tools, costs: Sequence[Cost] = ()) -> str:
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    here = package_files("glossator.explorer") / "templates"
    page = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    shown = shown_results(results)
    nulls = nulls_of_scores(score for r in results for e in r.explanations for score in e.scores)
    return page.from_string((here / "report.html").read_text(encoding="utf-8")).render(
        title=_title(tools),
        spec=tools.spec,
        facts=_facts(results, tools),
        counts={status: sum(r.status == status for r in results) for status in STATUSES},
        total=len(results),
        shown=len(shown),
        means=means(results),
        costs=[*costs],
        whole=total(costs),
        words=in_words,
        nulls=nulls,
        plots=[(name, Markup(svg)) for name in HEADLINES if (svg := distribution(results, name, nulls))],
        data=Markup(as_script(payload(shown, tools, nulls, len(results)))),
        css=Markup((here / "report.css").read_text(encoding="utf-8")),
        js=Markup((here / "report.js").read_text(encoding="utf-8")),
        version=__version__,
    )


def as_script(value: Any) -> str:
    """JSON that cannot end the script element it stands in, whatever the texts in it are."""
    text = json.dumps(plain(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def shown_results(results: Sequence[UnitResult], most: int = MOST_UNITS) -> list[UnitResult]:
    """All results, or where there are too many: the best, the worst, and others spread evenly between them."""
    if len(results) <= most:
        return list(results)
    order = [h.result for h in ranked(results)]
    order += [r for r in results if r.unit not in {o.unit for o in order}]
    third, rest = most // 3, most - 2 * (most // 3)
    middle = order[third : len(order) - third]
    spread = [middle[i * len(middle) // rest] for i in range(rest)]
    chosen = {r.unit for r in (*order[:third], *spread, *order[len(order) - third :])}
    return [r for r in results if r.unit in chosen]


def _title(tools: Tools) -> str:
    sites = tools.spec.sites
    return f"{tools.recording.spec.subject}, {', '.join(sites) if len(sites) <= 3 else f'{len(sites)} sites'}"


def _facts(results: Sequence[UnitResult], tools: Tools) -> list[tuple[str, str]]:
    """How the study was made, as pairs of words."""
    spec, recording = tools.spec, tools.recording
    text, subject = recording.spec.windows, recording.spec
    units = "all" if spec.units == "all" else f"{spec.units} at random" if isinstance(spec.units, int) else "listed"
    tokens, windows = f"{recording.manifest['valid_tokens']:,} tokens", f"{len(recording.windows):,} windows"
    documents = f"{len(recording.document_ids):,} documents"
    shares = "; ".join(f"{name} {share:.0%}" for name, share in text.get("shares", {}).items())
    methods = f"{', '.join(spec.explainers)}; at most {spec.candidates} candidates each, ranked on the select split"
    read = tools.reader
    words = f"words are read by {read.model.name} ({read.name})" if read.model else "words are read by nobody"
    simulation = f"programs are executed, {words}" if not read.every else f"{words}, those of programs too"
    made = f"recording {recording.fingerprint}, seed {spec.seed}, made with glossator {__version__}"
    return [
        ("Subject", f"{subject.subject} ({spec.dtype}), fingerprint {subject.subject_fingerprint}"),
        ("Sites", f"{', '.join(spec.sites)}; units of each: {units}; {len(results)} studied"),
        ("Text", f"{text.get('corpus', '?')}: {tokens} in {windows} of {spec.width}, {documents}"),
        ("Splits", f"{shares} of the tokens, by document"),
        ("Left out", subject.leaves_out),
        ("Explainers", methods),
        ("Simulation", f"{simulation}; lists and tables of tokens are executed"),
        ("Scores", "on the test split, which no explainer saw; 95 % intervals by bootstrap over documents"),
        ("Provenance", f"spec {spec.fingerprint}, {made}"),
    ]
