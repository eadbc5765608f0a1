"""`glossator bench`: the repository's benchmarks, which are not part of the package."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

from glossator.cli.printing import JSON, console, emit, make_table, print_table
from glossator.errors import UserError


def bench(
    name: str | None = typer.Argument(None, help="Name of the benchmark; omit it to list all."),
    quick: bool = typer.Option(False, "--quick", help="Run a small version, to check that it works."),
    option: list[str] | None = typer.Option(None, "--set", help="A benchmark option, NAME=VALUE; repeatable."),
    json: bool = JSON,
) -> None:
    """Run a benchmark, or list them.

    Units with a known answer, real neurons against baselines, scorers, directions, SASC, interventions, and speed.

    \b
    Examples:
      glossator bench
      glossator bench planted --json
      glossator bench recording --quick
      glossator bench programs --set tokens=65536
    """
    from glossator import registry

    if name is None:
        names = sorted(registry.table("benchmarks"))
        if json:
            emit(names)
        else:
            console().print("Benchmarks: " + ", ".join(names))
        return
    result = open_benchmark(name)({"quick": quick, **read_options(option or [])})
    if json:
        emit(result)
    else:
        print_tree(result)


def open_benchmark(name: str) -> Callable[[dict[str, Any]], Any]:
    """The benchmark of this name, from a plug-in or from the checkout of this package."""
    from glossator import registry

    checkout = Path(__file__).resolve().parents[3]
    if registry.table("benchmarks").get(name, "").startswith("benchmarks."):
        if not (checkout / "benchmarks" / "__init__.py").exists():
            raise UserError(
                "an installed package contains no benchmarks",
                value=name,
                fix="They are in benchmarks/ of the repository; run glossator from a clone (make setup)",
            )
        if str(checkout) not in sys.path:
            sys.path.insert(0, str(checkout))
    return registry.load("benchmarks", name)


def read_options(given: list[str]) -> dict[str, object]:
    """`NAME=VALUE` pairs; a value that reads as JSON (a number, true, a list) is that, any other is a text."""
    import json

    found: dict[str, object] = {}
    for pair in given:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise UserError("invalid --set", value=pair, allowed="NAME=VALUE")
        try:
            found[name] = json.loads(value)
        except (ValueError, RecursionError):
            found[name] = value
    return found


def print_tree(result: object) -> None:
    """A result of nested numbers, one line each, lists of records as tables."""
    from rich.text import Text

    out = console()
    for key, value in (result if isinstance(result, dict) else {"result": result}).items():
        if isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
            table = make_table(str(key))
            columns = list(dict.fromkeys(column for row in value for column in row))
            for column in columns:
                table.add_column(column)
            for row in value:
                table.add_row(*(Text(_short(row.get(column))) for column in columns))
            print_table(out, table)
        else:
            out.print(f"{key}: {_short(value)}", markup=False, soft_wrap=True)


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return ", ".join(f"{k} {_short(v)}" for k, v in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_short(v) for v in value)
    return "–" if value is None else str(value)
