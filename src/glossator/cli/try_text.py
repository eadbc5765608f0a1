"""`glossator try`: a unit on your own text, or on a scene that you describe."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from glossator.cli.printing import (
    JSON,
    Row,
    clean,
    console,
    emit,
    highlighted,
    number,
    print_indented,
    print_rows,
    short_name,
)
from glossator.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console

    from glossator.study.trying import Bench, Strong, TriedScene, TriedText
    from glossator.units import Unit

LISTED = 80
"""Texts with at most this many tokens get one line per token; longer ones show the largest values only."""
BAR = 20


def try_text(
    unit: str = typer.Argument(
        ..., help="A unit of a study, such as mlp.12/575, or any unit of a subject: smollm2-135m/mlp.12/575."
    ),
    text: list[str] | None = typer.Argument(
        None, help="Texts, or scenes for a unit of images; without any, or for '-', reads standard input."
    ),
    file: Path | None = typer.Option(None, help="A text file, or JSONL, CSV or Parquet with one text per record."),
    study: Path | None = typer.Option(
        None, help="Folder of the study; default: the newest below studies/ that has the unit."
    ),
    at: str | None = typer.Option(
        None, help="A token, by number or text: list the most active units of the site there."
    ),
    top: int = typer.Option(10, min=1, help="Number of units to list with --at."),
    seed: int = typer.Option(0, min=0, help="What a scene leaves open is drawn from this seed."),
    json: bool = JSON,
) -> None:
    """Try a unit on your own text: its activation at each token, beside the prediction.

    Loads the subject and runs it on the text as on the study's documents; a unit of images on the scene that a text
    describes. --at lists the units of the same site that
    are most active at one token, with their explanations.

    \b
    Examples:
      glossator try mlp.12/575 "In our view, we should let them keep it."
      glossator try mlp.12/575 "In our view, we should let them keep it." --at our
      glossator try smollm2-135m/mlp.12/3 --file letter.txt
      echo "In our view" | glossator try mlp.12/575 --json
      glossator try layers/67 "a purple dog on grass"
    """
    from glossator.study.trying import strongest, token_at, tried

    texts = read_texts(text or [], file)
    with _bench(unit, study) as (bench, found):
        if bench.subject.takes == "images":
            _try_scenes(bench, found, texts, seed, at, json)
            return
        results = tried(bench, found, texts)
        places = None if at is None else [token_at(result.pieces, at) for result in results]
        strong = (
            []
            if places is None
            else [strongest(bench, found.site, found.polarity, t, p, top) for t, p in zip(texts, places, strict=True)]
        )
        chosen = bench.explanation(found)
        if json:
            told = [_plain(r) for r in results]
            for entry, place, units in zip(told, places or [], strong, strict=False):
                entry |= {"at": place, "strongest": [_plain_strong(s) for s in units]}
            emit({"unit": str(found), "explanation": None if chosen is None else chosen.text, "texts": told})
            return
        out = _headed(bench, found)
        for i, result in enumerate(results):
            out.print()
            if places is None:
                print_tried(out, result, len(results) > 1)
            else:
                print_strongest(out, result, places[i], strong[i])


def _headed(bench: Bench, unit: Unit) -> Console:
    """A console that has said which unit this is, and how it is explained."""
    out, chosen = console(), bench.explanation(unit)
    out.print(str(unit), style="bold", end="")
    out.print(f"  ({bench.study.folder})" if bench.study is not None else "  (in no study here)", soft_wrap=True)
    if chosen is not None:
        print_indented(out, chosen.text, by=0)
    elif bench.study is None:
        print_indented(out, f"No prediction. Explain it: glossator run {unit}", by=0)
    return out


def _try_scenes(bench: Bench, unit: Unit, sentences: list[str], seed: int, at: str | None, json: bool) -> None:
    from glossator.study.trying import tried_scene

    if at is not None:
        raise UserError("--at names a token, and this unit is of images", value=at, fix="Leave it out")
    assert bench.study is not None
    scenes = [tried_scene(bench, unit, sentence, seed) for sentence in sentences]
    if json:
        chosen = bench.explanation(unit)
        told = [_plain_scene(sentence, scene) for sentence, scene in zip(sentences, scenes, strict=True)]
        emit({"unit": str(unit), "explanation": None if chosen is None else chosen.text, "scenes": told})
        return
    out = _headed(bench, unit)
    fires = (bench.study.result(unit).statistics or {}).get("firing_threshold")
    for sentence, scene in zip(sentences, scenes, strict=True):
        place = int(scene.true.argmax())
        out.print()
        print_indented(out, clean(sentence[:200]), "italic", by=0)
        where = "" if scene.grid.places == 1 else f" at row/column {_cell(scene, place)} of {scene.grid}"
        beside = "" if scene.predicted is None else f", predicted {number(_known(float(scene.predicted[place])))}"
        threshold = "" if fires is None else f"; it fires from {number(fires)} on"
        print_indented(out, f"Peak {number(float(scene.true[place]))}{where}{beside}{threshold}.", by=0)
        if scene.picture.missing:
            print_indented(out, f"Not as asked: {clean(', '.join(scene.picture.missing))}", by=0)


def _cell(scene: TriedScene, place: int) -> str:
    row, column = divmod(place, scene.grid.shape[1])
    return f"{row + 1}/{column + 1}"


def _plain_scene(sentence: str, scene: TriedScene) -> dict[str, Any]:
    def plain(values: Any) -> list[float | None]:
        return [None if isnan(v) else round(v, 5) for v in values.tolist()]

    return {
        "text": sentence,
        "missing": list(scene.picture.missing),
        "grid": list(scene.grid.shape),
        "true": plain(scene.true),
        "predicted": None if scene.predicted is None else plain(scene.predicted),
        "peak_at": int(scene.true.argmax()),
    }


def read_texts(given: list[str], file: Path | None) -> list[str]:
    """The texts given by the arguments; `UserError` if there are none or a file cannot be read."""
    if file is not None and given:
        raise UserError("a text and --file are both given", fix="Use one of them")
    if file is not None:
        return _texts_of(file)
    if not given or given == ["-"]:
        if sys.stdin.isatty():
            raise UserError("no text", fix='Give one: glossator try UNIT "a text", or --file, or pipe it in')
        given = [sys.stdin.read().strip("\n")]
    return given


def _texts_of(file: Path) -> list[str]:
    if file.suffix in (".txt", ".md", ""):
        try:
            return [file.read_text(encoding="utf-8").strip("\n")]
        except OSError as error:
            raise UserError("cannot read the text", value=str(file), fix=error.strerror or str(error)) from error
        except UnicodeDecodeError as error:
            raise UserError("the text is not UTF-8", value=str(file), fix=str(error)) from error
    from glossator.corpora import open_corpus

    return [document.text for document in open_corpus(str(file)).documents()]


@contextlib.contextmanager
def _bench(unit: str, study: Path | None) -> Iterator[tuple[Bench, Unit]]:
    """The study that has the unit, or only its subject if the unit is given by its full id."""
    from glossator.store.find import study_with
    from glossator.study.trying import Bench, bench_for
    from glossator.units import parse_unit

    try:
        opened, found = study_with(unit, study)
    except UserError as unknown:
        if study is not None or unit.count("/") < 2:
            raise
        from glossator.recording.texts import WIDTH
        from glossator.subjects import load_subject
        from glossator.subjects.image_models import takes_images

        wanted = parse_unit(unit)
        if takes_images(wanted.subject):
            raise UserError("a unit of images needs a study, whose images say how scenes are drawn", value=unit,
                            fix=f"Make one: glossator run {unit} --inputs renders:1000") from unknown  # fmt: skip
        yield Bench(load_subject(wanted.subject), WIDTH), wanted
        return
    with opened, bench_for(opened) as bench:
        yield bench, found


def print_tried(out: Console, tried: TriedText, several: bool) -> None:
    """A text: its peak, then one token per line, or coloured text and the strongest tokens."""
    from rich.text import Text

    true, at = tried.true.tolist(), tried.peak_at
    said = None if tried.predicted is None else tried.predicted.tolist()
    beside = "" if said is None else f", predicted {number(_known(said[at]))}"
    piece = clean(tried.pieces[at])
    if several:
        print_indented(out, tried.text[:200], "italic", by=0)
    print_indented(out, f"Peak {number(true[at])} at token {at} “{piece}”{beside}; {len(true)} tokens.", by=0)
    if tried.windows > 1:
        print_indented(out, f"Split into {tried.windows} independent windows, as in a study.", by=0)
    largest = max([0.0, *(v for v, counts in zip(true, tried.counts, strict=True) if counts)])
    places = list(range(len(true)))
    if len(true) > LISTED:
        colour = out.is_terminal and not out.no_color
        for name, values in (("true", true), ("pred", said)):
            if values is not None:
                parts = highlighted(tried.pieces, [0.0 if isnan(v) else v for v in values], largest, colour)
                out.print(Text.assemble((f"{name}  ", "dim"), Text().join(parts)), soft_wrap=not colour)
        places = sorted(sorted(places, key=lambda i: -true[i])[:BAR])
        out.print("Strongest tokens:", style="bold")
    head = ["token", "", "true", *([] if said is None else ["pred"]), f"0 to {largest:.3g}"]
    out.print()
    print_rows(out, head, [_token_row(tried, i, largest) for i in places], left=2, bar=True)


def _token_row(tried: TriedText, place: int, largest: float) -> Row:
    counts, value = bool(tried.counts[place]), float(tried.true[place])
    told = [number(value) if counts else "left out"]
    if tried.predicted is not None:
        told.append(number(_known(float(tried.predicted[place]))))
    share = min(1.0, max(0.0, value / largest)) if largest > 0 and counts else 0.0
    return Row([str(place), clean(tried.pieces[place]).replace(" ", "␣", 1), *told, "█" * round(share * BAR)])


def print_strongest(out: Console, tried: TriedText, place: int, units: list[Strong]) -> None:
    print_indented(out, f"Most active at token {place} “{clean(tried.pieces[place])}” of: {tried.text[:200]}", by=0)
    rows = []
    for strong in units:
        of_maximum = "–" if not strong.maximum else f"{strong.activation / strong.maximum:.0%}"
        rows.append(Row([short_name(strong.unit), number(strong.activation), of_maximum], strong.explanation or ""))
    out.print()
    print_rows(out, ["unit", "activation", "of its maximum"], rows)


def _known(value: float) -> float | None:
    return None if isnan(value) else value


def _plain(tried: TriedText) -> dict[str, Any]:
    return {
        "text": tried.text,
        "tokens": list(tried.pieces),
        "counts": [bool(c) for c in tried.counts.tolist()],
        "true": [round(v, 5) for v in tried.true.tolist()],
        "predicted": None
        if tried.predicted is None
        else [None if isnan(v) else round(v, 5) for v in tried.predicted.tolist()],
        "peak_at": tried.peak_at,
        "windows": tried.windows,
    }


def _plain_strong(strong: Strong) -> dict[str, Any]:
    return {
        "unit": str(strong.unit),
        "activation": round(strong.activation, 5),
        "maximum": strong.maximum,
        "explanation": strong.explanation,
    }
