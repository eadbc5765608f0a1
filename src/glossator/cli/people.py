"""Human scores of a unit in the terminal, beside the model's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from glossator.cli.printing import clean, in_brackets, make_table, print_table

if TYPE_CHECKING:
    from rich.console import Console


def print_people(out: Console, people: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Human simulations beside the model's, human explanations and rewrites; prints nothing without any."""
    from rich.text import Text

    from glossator.human.shown import beside_machine, main_scores

    if not people:
        return
    out.print("\nHuman annotators", style="bold")
    table = make_table(plain=True)
    for name in ("annotator", "task", "score", "value [95 %]", "compare"):
        justify: Any = "right" if name in ("value [95 %]", "compare") else "left"
        table.add_column(name, justify=justify, overflow="fold", no_wrap=name == "score")
    for simulation in people.get("simulations", ()):
        told = f"rated tokens from the {simulation['method']} explanation"
        for name, person, machine in beside_machine(simulation):
            beside = "" if machine is None else f"model {estimate(machine)}"
            table.add_row(Text(simulation["rater"]), told, name, estimate(person), beside)
            told = ""
    for label in people.get("labels", ()):
        told = f"wrote: {clean(label['text'])}"
        for score in main_scores(label["scores"]):
            baselines = ", ".join(
                f"{baseline} {in_brackets(value, None, None)}" for baseline, value in score["baselines"].items()
            )
            table.add_row(
                Text(label["method"].partition(":")[2]), Text(told), score["name"], estimate(score), baselines
            )
            told = ""
    for rewrite in people.get("rewrites", ()):
        told = f"rewrote it as: {clean(rewrite['text'])}"
        original, rewritten = rewrite["original"], rewrite["rewritten"]
        beside = f"original {estimate(original)}"
        table.add_row(Text(rewrite["by"]), Text(told), rewritten["name"], estimate(rewritten), beside)
    print_table(out, table)


def estimate(found: Mapping[str, Any]) -> str:
    """`0.61 [0.52, 0.70]`, or the reason why there is no value."""
    if found["value"] is None:
        return f"– ({found['reason']})"
    return in_brackets(found["value"], found["low"], found["high"])
