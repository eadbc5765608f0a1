"""`glossator directions`: construct or find vectors to study as units."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from glossator.cli.printing import JSON, QUIET, clean, console, emit, make_table, number, print_table
from glossator.errors import UserError, near_matches

if TYPE_CHECKING:
    from glossator.fitting import SiteValues
    from glossator.readouts import DirectionSet

METHODS = ("difference", "logistic", "ridge", "principal", "random", "rotation", "concepts", "vectors")

directions = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Directions as units: construct them from texts, variance or chance, or find explainable ones.",
)


@directions.command("make")
def make(
    method: str = typer.Argument(..., help=f"{', '.join(METHODS)}."),
    out: Path = typer.Option(..., help="Folder for the directions."),
    site: str = typer.Option(..., help="Site, for example mlp.12 or resid.12."),
    subject: str = typer.Option("smollm2-135m", help="The model, for methods that use texts."),
    positive: Path | None = typer.Option(None, help="A file of texts with the property, one per line."),
    negative: Path | None = typer.Option(None, help="A file of texts without it, one per line."),
    pool: str = typer.Option("mean", help="A text's activation: mean over its tokens, or last token."),
    recording: Path | None = typer.Option(
        None, help="A recording of all units of the site, for principal, random, rotation and concepts."
    ),
    vectors: Path | None = typer.Option(None, help="A .npy file (n, d), for vectors."),
    n: int = typer.Option(10, min=1, help="Number of directions, for principal and random."),
    concept: list[str] | None = typer.Option(
        None, help="For concepts, one such as noun:dog or colour:red; repeatable. Default: all that enough images show."
    ),
    name: str | None = typer.Option(None, help="Name of the set in unit ids; default: the method."),
    seed: int = typer.Option(0, min=0, help="Seed of random directions and of a probe's held-out texts."),
    json: bool = JSON,
) -> None:
    """Construct a set of directions.

    \b
    Examples:
      glossator directions make logistic --site resid.12 --positive joy.txt --negative fear.txt --out joy
      glossator run --directions joy --card both
      glossator directions make principal --site mlp.12 --recording studies/layer-12/recording --n 20 --out pca
      glossator directions make concepts --site layers.4 --recording studies/cnn --concept noun:dog --out dog
    """
    if method not in METHODS:
        raise UserError("unknown method", value=method, allowed=near_matches(method, METHODS))
    _check_out(out)
    name = name or method
    if method == "vectors":
        made = _from_file(name, site, subject, vectors)
    elif method in ("principal", "random", "rotation", "concepts"):
        made = _from_values(method, name, site_values(recording, site), n, concept, seed)
    else:
        made = _from_texts(method, name, site, subject, positive, negative, pool, seed)
    made.save(out)
    facts = {"folder": str(out), "name": made.name, "site": made.site_name, "directions": len(made), "made": made.made}
    if json:
        emit(facts)
        return
    plural = "" if len(made) == 1 else "s"
    console().print(f"{len(made)} direction{plural}, {made.site_name}, in {out}", soft_wrap=True, markup=False)
    if (accuracy := made.made.get("held_out_accuracy")) is not None:
        held_out = " and ".join(map(str, made.made["held_out"]))
        console().print(f"Accuracy on {held_out} held-out texts: {accuracy:.2f}")
    if (concepts := made.made.get("concepts")) is not None:
        _print_concepts(made, concepts)


@directions.command("find")
def find(
    recording: Path = typer.Argument(..., help="A recording of all units of the site, or its study."),
    site: str = typer.Option(..., help="A dense site of the recording, for example mlp.12."),
    out: Path = typer.Option(..., help="Folder for the directions and their explanations."),
    n: int = typer.Option(10, min=1, help="Number of directions."),
    starts: int | None = typer.Option(None, min=1, help="Number of starts, of which the best are kept; default: N."),
    rounds: int = typer.Option(6, min=1, help="Rounds of explaining and optimizing."),
    steps: int = typer.Option(12, min=1, help="Maximum gradient steps per round."),
    start: str = typer.Option("random", help="Starting points: random, covariance, principal or units."),
    name: str = typer.Option("found", help="Name of the set in unit ids."),
    controls: int = typer.Option(10, min=0, help="Random directions, and principal components, scored beside them."),
    seed: int = typer.Option(0, min=0, help="Seed of the starting points."),
    json: bool = JSON,
    quiet: bool = QUIET,
) -> None:
    """Find directions of a site that a program explains, and score them on held-out text.

    \b
    Examples:
      glossator record --subject smollm2-135m --site mlp.12 --units all --tokens 131072 --out studies/layer-12
      glossator directions find studies/layer-12 --site mlp.12 --out found
      glossator run --directions found --side both --card both --out studies/found
    """
    from glossator.explainers.program import ProgramExplainer
    from glossator.files import write_json
    from glossator.fitting import FindSpec, ProjectedRecording, find_directions
    from glossator.fitting.comparison import AS_IT_COMES, SCORE, explain_and_score
    from glossator.fitting.search_log import SEARCH, controls_beside, search_log
    from glossator.programs import Lexicon
    from glossator.scorers.lab import Lab

    spec: Any = {"directions": n, "starts": starts, "rounds": rounds, "steps": steps, "start": start, "seed": seed}
    spec, values = FindSpec(**spec), site_values(recording, site)
    _check_out(out)
    lexicon = Lexicon.for_windows(values.recording.vocabulary, values.recording.embedding)
    explainer, lab = ProgramExplainer(lexicon=lexicon), Lab(lexicon)

    def note(line: str) -> None:
        if not quiet and not json:
            console().print(line, markup=False)

    found = find_directions(values, explainer, lab, spec, name=name, note=note)
    scored = explain_and_score(
        ProjectedRecording(values, found.directions),
        found.directions.units(),
        explainer,
        lab,
        given=found.explanations,
    )
    rows = [
        {
            "unit": str(one.unit),
            "explanation": one.explanation.text if one.explanation else None,
            "program": str(one.explanation.program) if one.explanation else None,
            "select": found.select[i],
            "scores": list(one.scores.values()),
            "start": found.start[i],
            "round": found.round[i],
        }
        for i, one in enumerate(scored)
    ]
    found.directions.save(out)
    largest = found.directions.largest_cosine()
    write_json(out / "explanations.json", _plain(rows))
    note("random directions and principal components are scored beside them" if controls else "no controls")
    beside = controls_beside(values, explainer, lab, controls, seed)
    write_json(out / SEARCH, _plain(search_log(found, scored, beside)))
    if json:
        emit({"folder": str(out), "max_cosine": largest, "directions": rows})
        return
    from rich.text import Text

    table = make_table()
    for column in ("unit", "explanation", "r", "random only", "lookup", "token-list", "mismatched"):
        table.add_column(column)
    for one in scored:
        text = clean(one.explanation.text) if one.explanation else one.reason
        baselines = [number(one.baseline(baseline)) for baseline in ("lookup", "token-list", "mismatched")]
        table.add_row(str(one.unit), Text(text), number(one.value(SCORE)), number(one.value(AS_IT_COMES)), *baselines)
    print_table(console(), table)
    console().print(f"Largest |cosine| of two directions: {number(largest)}; saved in {out}", soft_wrap=True)


def _plain(rows: Any) -> Any:
    from glossator.files import plain

    return plain(rows)


def _from_values(
    method: str, name: str, values: SiteValues, n: int, concepts: list[str] | None, seed: int
) -> DirectionSet:
    from glossator.fitting import principal_directions, random_directions
    from glossator.fitting.dissecting import concept_directions, rotated_directions
    from glossator.inputs import Concept

    if method == "principal":
        return principal_directions(name, values, n)
    if method == "random":
        return random_directions(name, values, n, seed=seed)
    if method == "rotation":
        return rotated_directions(name, values, seed=seed)
    chosen = [Concept.of(one) for one in concepts] if concepts else None
    return concept_directions(name, values, chosen, seed=seed)


def _print_concepts(made: DirectionSet, concepts: list[dict[str, Any]]) -> None:
    """Each concept's direction beside the best single unit, by IoU on held-out images."""
    table = make_table()
    for column in ("unit", "concept", "IoU", "best single unit", "its IoU"):
        table.add_column(column)
    for i, one in enumerate(concepts):
        single = f"{made.site}/{one['unit']}"
        table.add_row(made.unit(i).short, one["concept"], number(one["iou"]), single, number(one["unit_iou"]))
    print_table(console(), table)


def site_values(folder: Path | None, site: str) -> SiteValues:
    """The values of a site in a recording, or in a finished study's."""
    from glossator.fitting import SiteValues
    from glossator.recording import open_recording
    from glossator.store.spec import load_spec
    from glossator.study.sources import check_finished

    if folder is None:
        raise UserError("this method needs a recording", fix="Pass its folder with --recording")
    inside = folder / "recording"
    if inside.is_dir() and (folder / "spec.json").is_file():
        check_finished(load_spec(folder / "spec.json"), folder)
    return SiteValues(open_recording(inside if inside.is_dir() else folder), site)


def _from_file(name: str, site: str, subject: str, path: Path | None) -> DirectionSet:
    from glossator.files import read_array
    from glossator.readouts import direction_set
    from glossator.subjects import describe_sites
    from glossator.subjects.loading import subject_name

    if path is None:
        raise UserError("this method needs vectors", fix="Pass a .npy file with --vectors")
    given = read_array(path, "the file of vectors", "Save them with numpy.save")
    made = direction_set(name, site, given, subject=subject_name(subject), made={"method": "given", "file": path.name})
    widths = {known.name: known.width for known in describe_sites(subject)}
    kinds = {known.partition(".")[0] for known in widths}
    if site not in widths and (site.partition(".")[0] in kinds or "." not in site):  # else a path in the model
        raise UserError("no such site", value=site, allowed=near_matches(site, widths))
    made.check_fits(site, widths.get(site))
    return made


def _check_out(folder: Path) -> None:
    """Raise `UserError` for an unwritable folder before the work is done, not after it."""
    there = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        why = "is read-only" if there.is_dir() else "is a file"
        raise UserError("cannot write directions", value=str(folder), fix=f"{there} {why}; choose another with --out")


def _from_texts(
    method: str,
    name: str,
    site: str,
    subject: str,
    positive: Path | None,
    negative: Path | None,
    pool: str,
    seed: int,
) -> DirectionSet:
    from glossator.fitting import difference_of_means, linear_probe, text_vectors
    from glossator.subjects import load_subject

    groups = [_lines(path, option) for path, option in ((positive, "--positive"), (negative, "--negative"))]
    loaded = load_subject(subject)
    read: Any = {"pool": pool}
    vectors = [text_vectors(loaded, site, texts, **read) for texts in groups]
    loss: Any = method
    if method == "difference":
        found = difference_of_means(name, site, *vectors, subject=loaded.name)
    else:
        found = linear_probe(name, site, *vectors, loss=loss, seed=seed, subject=loaded.name)
    return replace(found, made={**found.made, "subject_fingerprint": loaded.fingerprint})


def _lines(path: Path | None, option: str) -> list[str]:
    """The non-blank lines of a file."""
    if path is None or not path.is_file():
        raise UserError("this method needs a file of texts", value=str(path or ""), fix=f"Pass a file with {option}")
    try:
        found = [line for line in path.read_text("utf-8").splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise UserError("the file is not UTF-8 text", value=str(path)) from error
    if not found:
        raise UserError("a group of texts is empty", value=str(path), fix="Add at least one line of text")
    return found
