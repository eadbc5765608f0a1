"""`glossator record` and `explain`: the first stages of a study; `glossator work`: one shard of one stage."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from glossator.cli.printing import JSON, QUIET, clean, console, emit, say
from glossator.cli.spec_options import TRUST, takes_flags

if TYPE_CHECKING:
    from glossator.engines import Engine
    from glossator.study import StudySpec
    from glossator.study.models import Access
    from glossator.study.pipeline import Stage


@takes_flags
def record(
    spec: StudySpec,
    folder: Path,
    access: Access,
    engine: Engine,
    begin: bool = typer.Option(False, "--begin", help="Record nothing yet: glossator work FOLDER record N does."),
    quiet: bool = QUIET,
    json: bool = JSON,
) -> None:
    """Record activations: the first stage of a study.

    Takes the same arguments as `glossator run`, `explain` and `score`, which continue from here.

    \b
    Example:
      glossator record --subject smollm2-135m --site mlp.12 --units all --tokens all --out studies/layer-12
      glossator run studies/layer-12
    """
    from glossator.recording import open_recording
    from glossator.study import run_study

    until: Stage = "begin" if begin else "record"
    run_study(spec, folder, until=until, progress=False if quiet else None, access=access, engine=engine)
    if begin:
        emit({"study": str(folder)}) if json else say(f"Begun. Next: glossator work {folder} record 0")
        return
    recording = open_recording(folder / "recording")
    sites = {site: len(recording.units(site)) for site in recording.sites}
    kind, places = recording.inputs.kind, recording.valid_places(next(iter(recording.sites)))
    counted = {"windows": len(recording.inputs), "valid_tokens": places}
    facts = {
        "study": str(folder),
        "recording": str(recording.folder),
        "fingerprint": recording.fingerprint,
        **(counted if kind == "tokens" else {"inputs": len(recording.inputs), "kind": kind}),
        "sites": sites,
    }
    if json:
        emit(facts)
    else:
        units = ", ".join(f"{n} units of {site}" for site, n in sites.items())
        read = f"{places} tokens" if kind == "tokens" else f"{len(recording.inputs)} {kind}"
        console().print(f"Recorded {units} on {read} in {facts['recording']}", soft_wrap=True)
        console().print(f"Continue with: glossator run {folder}", soft_wrap=True)


@takes_flags
def explain(
    spec: StudySpec, folder: Path, access: Access, engine: Engine, quiet: bool = QUIET, json: bool = JSON
) -> None:
    """Record and explain: the first two stages of a study.

    Takes the same arguments as `glossator run`, which continues from here. Prints explanations without scores.

    \b
    Examples:
      glossator explain smollm2-135m/mlp.12/345
      glossator explain studies/layer-12
    """
    from glossator.store.results import to_plain
    from glossator.study import open_study, run_study
    from glossator.study.work import explained_so_far

    run_study(spec, folder, until="explain", progress=False if quiet else None, access=access, engine=engine)
    if finished := (folder / "manifest.json").exists():
        with open_study(folder) as study:
            results = list(study.results())
    else:
        results = explained_so_far(folder)
    if json:
        emit({"study": str(folder), "units": [to_plain(result) for result in results]})
        return
    out = console()
    for result in results:
        out.print(str(result.unit), style="bold", markup=False, end="  ")
        best = result.best()
        out.print(clean(best.text) if best else f"{result.status}: {result.reason}", markup=False, soft_wrap=True)
    then = "The study is finished and scored; view it with" if finished else "Score them with"
    out.print(f"{then}: glossator run {folder}", markup=False, soft_wrap=True)


def work(
    folder: Path = typer.Argument(..., help="Folder of a study that is begun and not finished."),
    stage: str = typer.Argument(..., help="record, explain or score."),
    shard: int = typer.Argument(..., help="Number of the shard, from 0."),
    trust: list[str] | None = TRUST,
    quiet: bool = QUIET,
) -> None:
    """Run one shard of one stage of a study, as engines do.

    Any process on any machine that sees the folder can do this, even while others work there. A repeated shard has the
    same bytes; an existing one is left alone. glossator run FOLDER does the rest, merges and finishes the study.

    \b
    Example:
      glossator record --begin --subject smollm2-135m --site mlp.12 --units 64 --out studies/mine
      glossator work studies/mine record 0
      glossator record studies/mine
      glossator work studies/mine explain 0
      glossator run studies/mine
    """
    from glossator.engines import Job
    from glossator.study.jobs import DoShard

    job = Job(str(folder), stage, shard)
    DoShard(trusted=frozenset(trust or ()))(job)
    if not quiet:
        say(f"{job} of {folder} is done.")
