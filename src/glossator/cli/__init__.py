"""The command line: one file per command, and one place that turns a user error into a message.

Commands import what they need when they run, so that `glossator --help` is there at once.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any

import typer
import typer.core

from glossator.cli.agent import agent
from glossator.cli.bench import bench
from glossator.cli.classify import classify
from glossator.cli.dictionary import dictionary
from glossator.cli.directions import directions
from glossator.cli.dissect import dissect
from glossator.cli.exchange import import_units
from glossator.cli.explore import export, mcp, serve
from glossator.cli.grid import grid
from glossator.cli.human import human
from glossator.cli.hypotheses import hypotheses
from glossator.cli.run import run
from glossator.cli.sasc import sasc
from glossator.cli.score import score
from glossator.cli.show import show
from glossator.cli.stages import explain, record, work
from glossator.cli.studies import search, studies, verify
from glossator.cli.topics import topics
from glossator.cli.try_text import try_text
from glossator.cli.units import units
from glossator.cli.voxels import voxels
from glossator.errors import UserError
from glossator.terminal import neutral, neutral_streams

STOPPED = 130
STAYING = ("serve", "mcp")
"""Commands that run for days and should give back what they do not need."""
# Wrong usage: typer carries its own copy of click, or uses the one that is installed, depending on its version.
USAGE_ERROR: Any = next(
    kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException" and issubclass(kind, Exception)
)

app = typer.Typer(
    invoke_without_command=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


class WithNames(typer.core.TyperCommand):
    """A command whose help ends with the names its flags accept, one line each."""

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        from glossator import registry

        for kind in NAMES.get(self.name or "", ()):
            with formatter.section(f"{kind.capitalize()}{FLAGS[kind]}"):
                formatter.write_dl(registry.described(kind))


FLAGS = {"explainers": " (--explainer)", "scorers": " (--scorer)", "simulators": " (--simulator)", "benchmarks": "",
         "engines": " (--engine)", "readouts": " (--readout)", "baselines": " (--baseline)"}  # fmt: skip
NAMES = {
    **dict.fromkeys(("run", "explain"), ("explainers", "scorers", "simulators", "engines", "readouts", "baselines")),
    "grid": ("explainers", "scorers", "simulators"),
    "score": ("scorers", "simulators", "engines"),
    "bench": ("benchmarks",),
}

SHORT = {
    agent: "Ask an agent that experiments what a unit responds to.",
    run: "Record, explain and score units; write a study and a report.",
    show: "Show one unit, or the summary of a study.",
    try_text: "Try a unit on your own text, token by token.",
    verify: "Check every file of a study against its checksum.",
    grid: "Run many studies: explainer x simulator x subject.",
    serve: "Explore studies in the browser.",
    mcp: "Let agents look at studies (Model Context Protocol).",
    export: "Write a study as pages that need no server, or in formats of other tools.",
    import_units: "Make a study of units in files of other tools.",
    work: "Run one shard of a stage, in any process.",
    sasc: "Explain any function of text, or units over texts: n-grams, names, scores.",
    hypotheses: "Which units separate two sets of texts.",
    topics: "What explanations are about, by groups of units.",
    dissect: "Which concepts the units of a site of an image model detect.",
    classify: "Classify labelled texts by latents, and explain those that decide.",
}

for command in (
    run, show, agent, serve, export, mcp, import_units, try_text, search, studies, verify, units, record, explain,
    score, work, grid, sasc, classify, topics, hypotheses, dissect, bench,
):  # fmt: skip
    named = {try_text: "try", import_units: "import"}.get(command)
    app.command(named, cls=WithNames, short_help=SHORT.get(command))(command)
app.add_typer(human, name="human", short_help="Collect human answers, and score them as models are scored.")
app.add_typer(directions, name="directions", short_help="Directions as units: construct, find, compare.")
app.add_typer(dictionary, name="dictionary", short_help="Dictionaries: train one on a site.")
app.add_typer(voxels, name="voxels", short_help="Voxels as units: fit encoding models, simulate responses.")


def _version(wanted: bool) -> None:
    if wanted:
        from glossator import __version__

        typer.echo(f"glossator {__version__}")
        raise typer.Exit


@app.callback()
def glossator(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Explain the units of neural networks, and test each explanation on held-out text.

    \b
    Start here; it downloads a small model once:
      glossator run --subject smollm2-135m --site mlp.12 --units 64
    Then look at one of its units, test your own hypothesis, try it on your own text:
      glossator show mlp.12/575
      glossator score mlp.12/575 --program 'word(pronouns)'
      glossator try mlp.12/575 "In our view, we should let them keep it."

    \b
    All explainers, scorers and simulators: glossator run --help. Benchmarks: glossator bench --help.
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
    elif context.invoked_subcommand not in STAYING:
        from glossator.engines import keep_freed_memory

        keep_freed_memory()


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code: 0, 2 for a user error, 130 if interrupted."""
    with neutral_streams():
        return _run(arguments)


def _run(arguments: list[str] | None) -> int:
    try:
        code = app(args=arguments, prog_name="glossator", standalone_mode=False)
        sys.stdout.flush()
    except (BrokenPipeError, SystemExit) as error:  # whoever read the output has seen enough; click ends then
        if not isinstance(error, BrokenPipeError) and not isinstance(error.__context__, BrokenPipeError):
            raise
        _write_to_nothing(sys.__stdout__)
        return 0
    except OSError as error:  # a full disk, a missing permission, a name too long
        where = f": {error.filename!r}" if error.filename is not None else ""
        return _complain(f"{error.strerror or error}{where}.")
    except MemoryError:
        return _complain("out of memory. Study fewer units or tokens at once.")
    except UserError as error:
        return _complain(str(error))
    except USAGE_ERROR as error:
        context = getattr(error, "ctx", None)
        return _complain(error.format_message() + (f" See: {context.command_path} --help" if context else ""))
    except (KeyboardInterrupt, typer.Abort) as error:
        if isinstance(error.__context__, EOFError):  # which click takes for an answer that was not given
            raise error.__context__ from None
        code = STOPPED
    if code == STOPPED:
        sys.stderr.write("\nglossator: interrupted. Finished work is kept; repeat the command to resume.\n")
    return code if isinstance(code, int) else 0


def _complain(message: str) -> int:
    sys.stderr.write(f"glossator: {neutral(message)}\n")
    return 2


def _write_to_nothing(stream: Any) -> None:
    """Discard whatever is still to be written, even when Python exits."""
    with contextlib.suppress(OSError, ValueError), open(os.devnull, "w") as nothing:
        os.dup2(nothing.fileno(), stream.fileno())
