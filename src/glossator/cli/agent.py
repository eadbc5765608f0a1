"""`glossator agent`: an experimenter finds out what a unit responds to."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from glossator.cli.printing import JSON, clean, console, emit, number, print_indented, say
from glossator.errors import UserError

if TYPE_CHECKING:
    from glossator.agents import Answer, Makers, UnderTest
    from glossator.agents.answers import Finding
    from glossator.agents.policies import Policy
    from glossator.store.study import Study
    from glossator.units import Unit

MADE = Path("studies/agent")
"""Where studies of single units are made for units that are in no study."""
ORDER = ("confirmed", "inconclusive", "refuted", "untested")
"""Of verdicts, as they are printed."""
RENDERS = "renders:1000"
"""The images that such a study of an image unit is made with."""


def agent(
    question: str = typer.Argument("What does this unit respond to?", help="Your question about the unit."),
    unit: str = typer.Option(
        ..., "--unit", help="STUDY#UNIT, a unit of a study here such as mlp.12/575, or SUBJECT/SITE/INDEX."
    ),
    policy: str = typer.Option(
        "scripted", help="scripted (no language model), lm, or person (you, with the same tools)."
    ),
    lm: str | None = typer.Option(None, help="Language model of --policy lm, such as openai:gpt-4.1-mini."),
    rounds: int = typer.Option(12, min=1, help="Maximum rounds of a policy that writes code."),
    inputs: int = typer.Option(
        300, "--inputs", "--images", min=1, help="Maximum texts or images that the unit is run on."
    ),
    calls: int = typer.Option(400, min=1, help="Maximum number of tool calls."),
    seconds: float = typer.Option(600, min=1, help="Maximum number of seconds."),
    tokens: int = typer.Option(400_000, min=1, help="Maximum tokens of the language model."),
    money: float = typer.Option(2.0, min=0.001, help="Maximum dollars, at the prices of the ledger."),
    sandbox: str = typer.Option("monty", help="Where generated code runs: monty, bubblewrap (numpy), or unsafe."),
    memory: int = typer.Option(64, min=16, help="Memory limit for generated code, in MiB."),
    seed: int = typer.Option(0, min=0, help="The same seed gives the same experiment."),
    out: Path | None = typer.Option(None, help="Transcript (JSONL); default: in the study. An existing one resumes."),
    json: bool = JSON,
) -> None:
    """Ask an agent what a unit responds to.

    It looks at the unit's strongest inputs of the explain split, forms hypotheses, makes new inputs, and tests each
    hypothesis with a prediction registered before the unit is run, beside a negative control. The transcript replays
    and resumes; an HTML page beside it shows every step; the study's table of experiments holds every test.

    \b
    Examples:
      glossator agent "What does this neuron respond to?" --unit studies/demo#mlp.12/575
      glossator agent --unit smollm2-135m/mlp.12/220
      glossator agent --unit mlp.12/575 --policy lm --lm openai:gpt-4.1-mini --rounds 8
      glossator agent --unit mlp.12/575 --policy person
    """
    from glossator.agents import Budget

    budget = Budget(inputs, rounds, calls, seconds, tokens, money, memory << 20)
    chosen, name = _policy(policy, lm, sandbox)
    with _study(unit) as (study, found):
        path = out or study.folder / "agent" / f"{_file_name(f'{_label(found)}-{policy}-{seed}')}.jsonl"
        answer = _run(study, found, question, chosen, name, budget, seed, path)
    if json:
        emit(answer.as_dict() | {"transcript": str(path), "page": str(path.with_suffix(".html"))})
        return
    _print(answer, path)


def _label(unit: Unit) -> str:
    return f"{unit.site}-{unit.index}{'' if unit.polarity == '+' else unit.polarity}"


def _file_name(label: str) -> str:
    return label.replace("/", "_").replace("@", "_")


def _policy(policy: str, lm: str | None, sandbox: str) -> tuple[Policy | str, str]:
    from glossator.agents.sandbox import SANDBOXES

    if sandbox not in SANDBOXES:
        raise UserError("unknown sandbox", value=sandbox, allowed=", ".join(SANDBOXES))
    if policy != "lm" and lm is not None:
        raise UserError("--lm is for --policy lm", value=policy, fix="Add --policy lm")
    if policy == "scripted":
        return policy, policy
    if policy == "lm":
        if lm is None:
            raise UserError("--policy lm needs a language model", fix="Name one: --lm openai:gpt-4.1-mini")
        from glossator.agents.driven import LanguageModelPolicy
        from glossator.language_models.opening import open_language_model

        opened = LanguageModelPolicy(open_language_model(lm), sandbox)
        return opened, opened.name
    if policy == "person":
        from glossator.agents.driven import PersonPolicy

        return PersonPolicy(_typed, _shown, sandbox), policy
    raise UserError("unknown policy", value=policy, allowed="scripted, lm, person")


def _shown(text: str) -> None:
    """A prompt or what code printed, line by line as it is, without what a terminal would obey."""
    out = console()
    for line in text.splitlines():
        out.print(clean(line) if line.strip() else "", markup=False, highlight=False, soft_wrap=True)


def _typed() -> str:
    """Lines of code up to an empty one."""
    say("Code, then an empty line:")
    lines: list[str] = []
    for line in sys.stdin:
        if not line.strip():
            if lines:
                break
            continue
        lines.append(line.rstrip("\n"))
    if not lines:
        raise UserError("the input has ended without a final answer", fix="End with final_answer(None)")
    return "\n".join(lines)


@contextlib.contextmanager
def _study(unit: str) -> Iterator[tuple[Study, Unit]]:
    """The study that has the unit; one of this unit alone is made where there is none."""
    from glossator.store.find import study_with
    from glossator.store.study import open_study, unit_of

    folder, _, name = unit.rpartition("#")
    if folder:
        with open_study(folder) as study:
            yield study, unit_of(study, name)
        return
    try:
        study, found = study_with(unit, None)
    except UserError:
        if unit.count("/") < 2:
            raise
        study, found = _made(unit)
    with study:
        yield study, found


def _made(unit: str) -> tuple[Study, Unit]:
    from glossator.study import StudySpec, run_study
    from glossator.subjects.image_models import takes_images
    from glossator.units import parse_unit

    found = parse_unit(unit)
    folder = MADE / _file_name(f"{found.subject}-{_label(found)}")
    say(f"{found} is in no study here; recording it into {folder}")
    corpus = RENDERS if takes_images(found.subject) else StudySpec.corpus
    spec = StudySpec(
        subject=found.subject, sites=(found.site,), units=(found.index,), polarities=(found.polarity,), corpus=corpus
    )
    study = run_study(spec, folder)
    assert study is not None
    return study, found


class _Rows:
    """The study's table of experiments, for one unit."""

    def __init__(self, adding: Any, unit: Unit):
        self.adding, self.unit = adding, unit

    def experiment(self, kind: str, request: Any, *, prediction: Any = None) -> int:
        return int(self.adding.experiment(kind, request, unit=self.unit, prediction=prediction))

    def result(self, experiment: int, result: Any) -> None:
        self.adding.result(experiment, result)


def _run(
    study: Study, unit: Unit, question: str, policy: Policy | str, name: str, budget: Any, seed: int, path: Path
) -> Answer:
    from glossator.agents import Answer, Transcript, experiment
    from glossator.explorer.export import experiment_file
    from glossator.explorer.pages.experiments import pictures_of_study
    from glossator.store.adding import adding
    from glossator.study.context import StudyContext

    transcript = Transcript(path)
    ended = transcript.recorded and transcript.recorded[-1]["kind"] == "answer"
    if ended:
        _check_recorded(transcript.recorded, study, unit, question, name, budget, seed, path)
        say(f"The experiment is in {path}; remove the file, or name another with --out or --seed, for a new one")
        answer = Answer.from_dict(transcript.recorded[-1]["result"])
        steps = transcript.recorded
    else:
        tested, makers = _under_test(study, unit, scripted=policy == "scripted")
        with adding(study) as more:
            rows = _Rows(more, unit)
            asked = {"question": question, "policy": name, "seed": seed, "transcript": str(path)}
            row = rows.experiment("agent", asked)
            answer = experiment(
                tested, makers, policy, budget, seed, question=question, name=name, transcript=transcript, rows=rows
            )
            rows.result(row, answer.as_dict())
        steps = transcript.steps
    images = steps[0]["request"]["takes"] == "images"
    shown = pictures_of_study(steps, unit, StudyContext.to_show(study)) if images else {}
    experiment_file(path.with_suffix(".html"), steps, shown)
    return answer


def _check_recorded(
    steps: list[dict[str, Any]], study: Study, unit: Unit, question: str, name: str, budget: Any, seed: int, path: Path
) -> None:
    """Raise `UserError` for a finished transcript that answers something else. One that does not lie in the study's
    folder may be of an earlier study, which the unit's responses tell."""
    from glossator.agents import Transcript
    from glossator.agents.workbench import Workbench, started

    if not path.resolve().is_relative_to(study.folder.resolve()):
        tested, makers = _under_test(study, unit)
        Workbench(tested, makers, budget, seed, question=question, policy=name, transcript=Transcript(None, steps))
        return
    asked = {"unit": str(unit)} | started(question, name, seed, budget)
    held = {key: steps[0]["request"].get(key) for key in asked}
    for key, value in asked.items():
        if held[key] != value:
            raise UserError(
                f"the recorded transcript is of another experiment ({key})", value=held[key], allowed=str(value),
                fix=f"Use another --out, or remove {path}",
            )  # fmt: skip


def _under_test(study: Study, unit: Unit, *, scripted: bool = False) -> tuple[UnderTest, Makers | None]:
    """The unit with its subject loaded, of what was recorded the explain split alone, and who makes its inputs.

    scripted: whether the policy begins with edits of recorded images, so that these have to be scenes.
    """
    from glossator.agents import Makers, SceneStudio, image_unit, token_unit
    from glossator.inputs import Images
    from glossator.scenes import SceneImages
    from glossator.study.context import StudyContext
    from glossator.study.sources import check_unchanged, kept_readouts

    check_unchanged(study.spec, study.recording)
    context = StudyContext.to_show(study)
    subject, readouts = context.resources.subject, kept_readouts(study.recording)
    if subject.takes == "images":
        inputs = study.recording.inputs
        if not isinstance(inputs, Images) or inputs.annotations is None:
            raise UserError(
                "the agent cannot tell what these images show", value=study.spec.corpus, fix="Use --inputs renders:2000"
            )
        if scripted and not isinstance(inputs, SceneImages):
            raise UserError(
                "the scripted agent edits the strongest images, and these are no rendered scenes",
                value=study.spec.corpus, allowed="a study of --inputs renders:2000",
                fix="Make one, or let a language model that sees images experiment (--policy lm)",
            )  # fmt: skip
        return image_unit(subject, unit, context.evidence(unit).explain, readouts), Makers(SceneStudio())
    if subject.takes != "tokens":
        raise UserError("the agent works on units of tokens and images", value=str(unit), allowed="see docs/agent.md")
    best = study.result(unit).best()
    explanation = None if best is None or best.method != "program" else best.explanation(unit)
    tested = token_unit(
        subject,
        unit,
        context.evidence(unit).explain,
        study.spec.width,
        readouts,
        context.resources.lexicon,
        explanation,
    )
    return tested, None


def _print(answer: Answer, path: Path) -> None:
    out = console()
    out.print(answer.unit, style="bold")
    print_indented(out, clean(answer.headline or f"No claim: {answer.reason}"), "bold" if answer.headline else "", by=2)
    if answer.program:
        print_indented(out, clean(answer.program), by=2)
    if answer.findings:
        out.print()
        out.print("  Tests on new inputs, each with what a hypothesis names beside one without it")
    for one in sorted(answer.findings, key=lambda one: (one.control, ORDER.index(one.verdict))):
        print_indented(out, f"{one.outcome}: {clean(one.statement)}", by=4)
        print_indented(out, _evidence(one), "dim", by=6)
    if answer.other_limits:
        out.print()
        out.print("  Limits")
        for limit in answer.other_limits:
            print_indented(out, f"- {clean(limit)}", by=4)
    out.print()
    spent = f"{answer.spent['inputs']:g} inputs were run"
    print_indented(out, f"{spent}; every step: {path.with_suffix('.html')}; transcript: {path}", "dim", by=2)


def _evidence(one: Finding) -> str:
    """How a test went, and how sure that is."""
    role = "negative control, expected to fail: " if one.control else ""
    if not one.trials:
        return f"{role}no pair was tested"
    effect = "" if one.effect is None else f"; mean difference {number(one.effect)}"
    told = f"{role}{one.successes} of {one.trials} pairs as predicted{effect}; e-value {number(one.e_above)}"
    if one.verdict != "confirmed":
        return told
    return f"{told}; at least {100 * one.at_least:.0f} % of such pairs go as predicted (95 % confidence)"
