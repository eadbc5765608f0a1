"""`glossator sasc`: what any function from text to numbers responds to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from glossator.cli.printing import JSON, QUIET, clean, console, emit, interval, make_table, number, print_table, say
from glossator.cli.spec_options import BUDGET, OFFLINE, PRICES, make_access

if TYPE_CHECKING:
    from glossator.naming import Explained


def sasc(
    module: str = typer.Argument(..., help="FILE.py:FUNCTION or package.module:FUNCTION; texts in, numbers out."),
    corpus: str = typer.Option("embedded", help="The reference: 'embedded', a file or a folder of text."),
    text_column: str | None = typer.Option(None, help="Field or column of the corpus that holds the text (text)."),
    lm: str | None = typer.Option(None, help="A language model names and writes texts, e.g. inprocess:smollm2-135m."),
    space: str = typer.Option("smollm2-135m", help="Where names are looked for: smollm2-135m, minilm, or none."),
    words: int = typer.Option(3, min=1, max=8, help="Longest n-gram, in words."),
    min_count: int = typer.Option(2, min=1, help="Leave out n-grams that stand less often in the corpus."),
    most: int = typer.Option(50_000, min=1, help="Keep so many of the most frequent n-grams."),
    negative: bool = typer.Option(False, "--negative", help="Explain what makes the responses small."),
    reported: int = typer.Option(3, min=1, help="How many candidates are scored on held-out texts."),
    seed: int = typer.Option(0, help="Seed of what is dealt to naming, ranking and reporting."),
    budget: str | None = BUDGET,
    lm_cache: Path | None = typer.Option(None, help="File that keeps its answers. Default: none are kept."),
    prices: Path | None = PRICES,
    offline: bool = OFFLINE,
    json: bool = JSON,
    quiet: bool = QUIET,
) -> None:
    """Explain a function of text: n-grams, candidate names, texts with and without each, a score in sigma.

    The function takes a list of strings and returns one number, or one row of numbers, for each. It is run as it is:
    only give files that you trust.

    \b
    Examples:
      glossator sasc detector.py:respond
      glossator sasc detector.py:respond --corpus notes/ --lm openai:gpt-5-mini
    """
    from dataclasses import replace

    from glossator.corpora import open_corpus
    from glossator.naming import NGRAMS, explain_modules
    from glossator.subjects.named import imported

    function = imported(module)
    model: Any = None
    if lm is not None:
        from glossator.language_models import open_language_model

        ledger = make_access(budget, lm_cache, prices, offline).ledger
        model = open_language_model(lm, cache=lm_cache, ledger=ledger, offline=offline)
    opened = open_corpus(corpus, text_column)
    found = explain_modules(
        [function],
        opened,
        lm=model,
        embedder=None if space == "none" else space,
        ngrams=replace(NGRAMS, n=words, min_count=min_count, most=most),
        reported=reported,
        polarity="-" if negative else "+",
        seed=seed,
        say=say,
    )
    for note in opened.notes:
        say(note)
    if json:
        emit(found)
        return
    for explained in found:
        show(explained)
    if model is not None:
        show_cost(model)


def show(explained: Explained) -> None:
    """The unit's candidates with their scores, and its top n-grams."""
    from rich.text import Text

    out = console()
    out.print(Text(str(explained.unit), style="bold"))
    if explained.problem:
        out.print(f"  not explained: {explained.problem}", markup=False)
    found = explained.responses
    if lacking := found.missing:
        out.print(f"  no response to {lacking:,} of {lacking + found.count:,} n-grams", markup=False)
    if explained.candidates:
        table = make_table()
        for column in ("name", "selection", "corpus [95 %]", "p", "written [95 %]", "sentences [95 %]", "fit", "from"):
            table.add_column(column)
        for candidate in explained.candidates[:10]:
            scores = {score.name: score for score in candidate.scores}
            texts = [interval(s) if (s := scores.get(f"sigma.{n}")) else "" for n in ("corpus", "written", "held-out")]
            p = scores["sigma.corpus"].how.get("p") if "sigma.corpus" in scores else None
            table.add_row(
                Text(clean(candidate.name) + (" (kinds of it)" if candidate.kinds else "")),
                number(candidate.selection),
                texts[0],
                "" if p is None else f"{p:.4f}",
                texts[1],
                texts[2],
                number(candidate.fit),
                ", ".join(candidate.sources),
            )
        print_table(out, table)
        out.print("Scores are differences of means in sigma of the corpus's n-grams; corpus, written and sentences are")
        out.print("on texts that neither naming nor ranking has seen.")
    if explained.top:
        on_one_line = [(" ".join(text.split()), value) for text, value in explained.top[:12]]
        shown = ", ".join(f"“{clean(text)}” {value:.3g}" for text, value in on_one_line)
        out.print(f"Top n-grams: {shown}", markup=False, soft_wrap=True)
    for reason, count in explained.failures.items():
        out.print(f"{count} answers of the language model gave nothing: {reason}", markup=False, soft_wrap=True)


def show_cost(model: Any) -> None:
    """What this run asked of its language model."""
    from glossator.language_models import Usage
    from glossator.study.costs import in_words

    spent = model.ledger.total()
    usage = Usage(spent.calls, spent.prompt_tokens, spent.completion_tokens, spent.money)
    kept = f"; {spent.replayed:,} answers from the cache" if spent.replayed else ""
    console().print(f"Cost with {model.name}: {in_words(usage)}{kept}", markup=False, soft_wrap=True)
