"""`glossator serve` and `glossator export`: studies as pages."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import typer

from glossator.cli.printing import JSON, console, emit


def serve(
    studies: list[Path] | None = typer.Argument(
        None, help="Finished studies, or folders of some; default: all below studies/."
    ),
    host: str = typer.Option("127.0.0.1", help="Address to listen on; access from other machines needs a token."),
    port: int = typer.Option(8800, min=0, max=65535, help="Port; 0 for any free one."),
    token: str | None = typer.Option(
        None, help="Token that requests must know; by default one is made where it is needed."
    ),
    browser: bool = typer.Option(False, "--open", help="Open the page in the browser."),
) -> None:
    """Explore studies in the browser: search units, look at their evidence, compare, try texts, edit explanations.

    The server listens on this machine only, reads the studies' files page by page, and writes only what annotators
    answer on the label page.

    \b
    Examples:
      glossator serve studies/demo
      glossator serve studies/demo studies/other --port 9000
      glossator serve my-experiments
    """
    import secrets

    from glossator.explorer.server import is_loopback
    from glossator.explorer.server import serve as run
    from glossator.human.asking import Asking
    from glossator.human.report import prepared_of
    from glossator.store.find import studies_named

    folders = studies_named(studies or None)
    if token is None and not is_loopback(host):
        token = secrets.token_urlsafe(24)
    out = console()

    def ready(address: str) -> None:
        out.print(f"{address}  (Ctrl+C ends it)", markup=False, soft_wrap=True)
        if browser:
            typer.launch(address)

    run(folders, host=host, port=port, token=token, annotated=prepared_of, asking=Asking(), ready=ready)


def export(
    study: Path = typer.Argument(..., help="Folder of a finished study."),
    static: Path | None = typer.Option(None, help="Folder to write pages of all units into; open its index.html."),
    single_file: Path | None = typer.Option(None, help="File to write, with the pages of some units within."),
    format: str | None = typer.Option(
        None, help="Format of another tool: neuronpedia, neuronpedia-upload, openai, delphi or parquet."
    ),
    out: Path | None = typer.Option(None, "--out", "-o", help="Folder for --format; it must be new or empty."),
    unit: list[str] | None = typer.Option(None, help="Units in the single file, by name or end; default: up to 2,048."),
    task: list[str] | None = typer.Option(
        None,
        help="Task for annotators to put into the pages, as for human export; repeatable. Drawn tasks are included.",
    ),
    model: bool = typer.Option(
        True, help="Load the model to read each unit's output tokens off its weights, where it is on this machine."
    ),
    json: bool = JSON,
) -> None:
    """Write a study as pages that open from the disk, without a server or a network, or in a format of other tools.

    A folder (--static) holds every unit and loads what is looked at; a single file (--single-file) can be sent to a
    colleague. Both show what `glossator serve` shows, without what needs the model.

    \b
    Examples:
      glossator export studies/demo --static demo-pages
      glossator export studies/demo --single-file demo.html --unit mlp.12/575 --unit mlp.12/1001
      glossator export studies/demo --static for-ann --task preference
      glossator export studies/demo --format neuronpedia --out for-neuronpedia
    """
    from glossator.errors import UserError
    from glossator.explorer.export import context_of, export_file, export_folder, outputs_of
    from glossator.explorer.pages.tasks import TasksShown
    from glossator.human.asking import Asking
    from glossator.store.study import open_study, unit_of

    if format is not None:
        _in_format(study, format, out, json, others=static or single_file or unit or task)
        return
    if (static is None) == (single_file is None):
        raise (
            UserError("nothing to write", allowed="--static FOLDER, --single-file FILE or --format NAME --out FOLDER")
            if static is None
            else (UserError("one of --static and --single-file at a time"))
        )
    if unit and single_file is None:
        raise UserError("a folder holds all units", fix="Use --single-file with --unit")
    with open_study(study) as opened, _bar(opened, len(unit) if unit else None) as say:
        asking = Asking()
        for kind in task or ():
            asking.draw(opened, kind, None, 0)
        asked = [TasksShown(**one) for one in asking.all_stored(opened)]
        context = context_of(opened)
        outputs = outputs_of(opened, context) if model and context is not None else None
        if static is not None:
            done = export_folder(opened, static, context=context, say=say, asked=asked, outputs=outputs)
        else:
            assert single_file is not None
            places = [opened.row(unit_of(opened, name)).place for name in unit] if unit else None
            done = export_file(opened, single_file, places, context, say=say, asked=asked, outputs=outputs)
    if json:
        emit({"path": str(done.path), "units": done.units, "of": done.of, "bytes": done.bytes})
        return
    shown = console()
    shown.print(f"{done.units:,} of {done.of:,} units, {done.bytes / 1e6:.1f} MB", markup=False)
    shown.print(f"Open: {done.path.resolve().as_uri()}", markup=False, soft_wrap=True)


def _in_format(study: Path, format: str, out: Path | None, json: bool, others: Any) -> None:
    from glossator.errors import UserError
    from glossator.store.study import open_study
    from glossator.study.outgoing import write_study

    if out is None or others:
        raise UserError("a format is written into a folder of its own", fix="Use --format NAME --out FOLDER alone")
    with open_study(study) as opened, _bar(opened, None) as say:
        done = write_study(opened, out, format, say)  # type: ignore[arg-type]
    if json:
        emit({"path": str(done.folder), "units": done.units, "left_out": [*done.notes]})
        return
    console().print(f"{done.units:,} units in {done.folder}", markup=False, soft_wrap=True)
    for note in done.notes:
        console().print(f"Left out: {note}.", markup=False, soft_wrap=True)


@contextlib.contextmanager
def _bar(study: Any, units: int | None) -> Iterator[Callable[[int], Any]]:
    """A bar on stderr, on a terminal only; yields what is told how many units are done."""
    from tqdm import tqdm

    total = units or study.size
    with tqdm(total=total, unit="unit", desc="export", disable=not sys.stderr.isatty()) as bar:
        yield lambda done: bar.update(done - bar.n)


def mcp(
    studies: list[Path] | None = typer.Argument(
        None, help="Finished studies, or folders of some; default: all below studies/."
    ),
) -> None:
    """Let agents look at studies: a server of the Model Context Protocol on standard input and output.

    It has the functions of the JSON API: search units, show one, score a hypothesis, run a unit on a text. Needs the
    extra `mcp`. Give the command to your agent, for example in its list of servers:

    \b
      {"mcpServers": {"glossator": {"command": "glossator", "args": ["mcp", "studies/demo"]}}}

    \b
    Examples:
      glossator mcp studies/demo
    """
    from glossator.explorer.tools_for_agents import run
    from glossator.store.find import studies_named

    run(studies_named(studies or None))
