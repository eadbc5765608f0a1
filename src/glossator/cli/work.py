"""`glossator work`: one shard of one stage of a study, on any machine that sees its folder."""

from __future__ import annotations

from pathlib import Path

import typer

from glossator.cli.printing import QUIET, say
from glossator.cli.spec_options import TRUST


def work(
    folder: Path = typer.Argument(..., help="Folder of a study that is recorded and not finished."),
    stage: str = typer.Argument(..., help="explain or score."),
    shard: int = typer.Argument(..., help="Number of the shard, from 0."),
    trust: list[str] | None = TRUST,
    quiet: bool = QUIET,
) -> None:
    """Run one shard of one stage of a study, as engines do.

    Any process on any machine that sees the folder can do this, even while others work there. A repeated shard has the
    same bytes; an existing one is left alone. glossator run FOLDER does the rest, merges and finishes the study.

    \b
    Example:
      glossator record --subject smollm2-135m --site mlp.12 --units 64 --out studies/mine
      glossator work studies/mine explain 0
      glossator run studies/mine
    """
    from glossator.engines import Job
    from glossator.study.jobs import DoShard

    job = Job(str(folder), stage, shard)
    DoShard(trusted=frozenset(trust or ()))(job)
    if not quiet:
        say(f"{job} of {folder} is done.")
