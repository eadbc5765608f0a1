"""Flags that describe a study, shared by all commands that run one."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from glossator.errors import UserError
from glossator.units import parse_unit

if TYPE_CHECKING:
    from glossator.engines import Engine
    from glossator.study import StudySpec
    from glossator.study.models import Access

STUDIES = Path("studies")
_WHAT = "A spec (TOML), the folder of a study to resume, or one unit such as smollm2-135m/mlp.12/345."


def _flags(
    what: str | None = typer.Argument(None, help=_WHAT, show_default=False),
    subject: str | None = typer.Option(
        None,
        help="Model (smollm2-135m, minilm, efficientnet-lite0, folder, hub id), function:FILE.py:NAME, responses:FILE, "
        "delphi:FOLDER.",
    ),
    site: list[str] | None = typer.Option(None, help="Site such as mlp.12; repeatable, or separate sites with commas."),
    units: str | None = typer.Option(None, help="Number of random units (64), 'all', or indices: 3,17,40-49."),
    unit: list[int] | None = typer.Option(None, help="Index of one unit; repeatable."),
    side: str | None = typer.Option(
        None, "--polarity", "--side", help="Polarity of each unit: + (default), -, both, or ± for the signed value."
    ),
    corpus: str | None = typer.Option(
        None,
        "--corpus",
        "--inputs",
        help="'embedded', or JSONL, CSV, text, Parquet, Arrow, or a folder of these; images: a folder, .npy or .npz, "
        "or renders:N for N rendered scenes.",
    ),
    text_column: str | None = typer.Option(None, help="Field or column of the corpus with the text (text)."),
    tokens: str | None = typer.Option(None, help="Number of corpus tokens to use (65536), or 'all'."),
    width: int | None = typer.Option(None, help="Tokens per window (64)."),
    dtype: str | None = typer.Option(None, help="float32 (default), bfloat16 or float16."),
    device: str | None = typer.Option(None, help="cpu (default), cuda, cuda:N, mps, or auto."),
    explainer: list[str] | None = typer.Option(None, help="Explainer (program); repeatable."),
    lm: str | None = typer.Option(
        None, help="Language model: inprocess:smollm2-135m, openai:MODEL, anthropic:MODEL, http://HOST:PORT/v1#MODEL."
    ),
    simulator: str | None = typer.Option(
        None, help="Simulator to use. Default: programs are executed, text is simulated by the language model."
    ),
    card: str | None = typer.Option(
        None, help="Columns of scores: observational (default), causal (interventions, takes longer), or both."
    ),
    scorer: list[str] | None = typer.Option(
        None, help="Scorer; repeatable. Default: correlation, explained-variance, detection, firing, peak; ablation."
    ),
    baseline: list[str] | None = typer.Option(
        None, help="Baseline beside lookup, token-list and mismatched, such as random-weights; repeat it for more."
    ),
    directions: list[str] | None = typer.Option(
        None, help="Folder of directions to study as units (see glossator directions); repeatable."
    ),
    dictionary: list[str] | None = typer.Option(
        None, help="Sparse autoencoder or transcoder whose latents are units: PATH, or PATH@SITE; repeatable."
    ),
    readout: list[str] | None = typer.Option(
        None, help="Readout to study as units, KIND:PATH@SITE, such as directions:joy; repeatable."
    ),
    seed: int | None = typer.Option(None, help="Random seed (0)."),
    out: Path | None = typer.Option(
        None, help="Folder of the study. Default: a folder below studies/, named after the spec."
    ),
) -> None:
    """Those that describe a spec; their defaults are those of the spec."""


BUDGET = typer.Option(None, help="Spending limit for language models: dollars (2.50), or '200000 tokens'.")
LM_CACHE = typer.Option(None, help="Cache file of its answers. Default: answers.sqlite beside the results.")
PRICES = typer.Option(None, help="TOML file with model prices, in dollars per million tokens.")
TRUST = typer.Option(
    None, help="Model such as scripted:MODULE:OBJ whose code a spec file or a study may import; repeatable."
)
OFFLINE = typer.Option(False, "--offline", help="Send no requests; use only cached answers.")


def _access_flags(
    budget: str | None = BUDGET,
    lm_cache: Path | None = LM_CACHE,
    prices: Path | None = PRICES,
    key_variable: list[str] | None = typer.Option(
        None, help="Environment variable that a spec file or a study may use as an API key; repeatable."
    ),
    trust: list[str] | None = TRUST,
    offline: bool = OFFLINE,
) -> None:
    """Cost and access of language models, which are not part of the spec."""


def make_access(
    budget: str | None = None,
    lm_cache: Path | None = None,
    prices: Path | None = None,
    offline: bool = False,
    key_variable: list[str] | None = None,
    lm: str | None = None,
    trust: list[str] | None = None,
    subject: str | None = None,
) -> Access:
    """Access to language models as the flags say; `UserError` for an unreadable budget or price list.

    lm, subject: as typed on the command line, so they may name a key variable, or code.
    """
    from glossator.language_models.ledger import Ledger
    from glossator.language_models.specs import parse_spec
    from glossator.study.models import Access

    typed = parse_spec(lm).options.get("key_variable") if lm else None
    return Access(
        lm_cache,
        Ledger(budget, prices),
        offline,
        key_variables=frozenset([*(key_variable or ()), *([typed] if typed else [])]),
        trusted=frozenset([*(trust or ()), *(typed for typed in (lm, subject) if typed)]),
    )


def _engine_flags(
    engine: str | None = typer.Option(None, help="Where to explain and score units: local (default), slurm, ray."),
    workers: int | None = typer.Option(None, min=1, help="Number of processes. Default: one per core of this machine."),
    engine_options: Path | None = typer.Option(
        None, help="TOML file with engine options, such as partition, time, gpus, memory."
    ),
) -> None:
    """Where a study runs; not part of the spec."""


def make_engine(engine: str | None = None, workers: int | None = None, engine_options: Path | None = None) -> Engine:
    """The engine named by the flags; `UserError` for an unknown engine or option."""
    from glossator import registry
    from glossator.specs import check_known, read_table

    made = registry.load("engines", engine or "local")
    options = read_table(engine_options) if engine_options is not None else {}
    known = [name for name in inspect.signature(made).parameters if name != "workers"]
    check_known(f"option of the engine {engine or 'local'}", options, known)
    return made(workers=workers, **options)


FLAGS: dict[str, Callable[..., None]] = {"folder": _flags, "access": _access_flags, "engine": _engine_flags}


def takes_flags(command: Callable[..., None]) -> Callable[..., None]:
    """Turn a command that takes `access`, `engine`, or `spec` and `folder` into one that takes the flags which describe
    them, and its own."""
    delayed = {"StudySpec": Any, "Access": Any, "Engine": Any}  # a command imports them for its annotations alone
    given = inspect.signature(command, locals=delayed, eval_str=True).parameters
    groups = {name: inspect.signature(f, eval_str=True).parameters for name, f in FLAGS.items() if name in given}

    @functools.wraps(command)
    def wrapped(**values: Any) -> None:
        flags = {name: {flag: values.pop(flag) for flag in group} for name, group in groups.items()}
        typed = {**values, **flags.get("folder", {})}
        if "access" in groups:
            values["access"] = make_access(**flags["access"], lm=typed.get("lm"), subject=typed.get("subject"))
        if "engine" in groups:
            values["engine"] = make_engine(**flags["engine"])
        if "folder" in groups:
            values["spec"], values["folder"] = read_spec(**flags["folder"])
        command(**values)

    described = {*groups, "spec"} if "folder" in groups else {*groups}
    own = [p for p in given.values() if p.name not in described]
    shared = [p for group in groups.values() for p in group.values()]
    taken = [*shared, *own] if "folder" in groups else [*own, *shared]
    parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in taken]
    wrapped.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    wrapped.__annotations__ = {p.name: p.annotation for p in parameters}
    return wrapped


def read_spec(what: str | None, out: Path | None, **flags: Any) -> tuple[StudySpec, Path]:
    """The spec and folder of the study given by the arguments; flags override a file."""
    from glossator.specs import read_table
    from glossator.store.spec import make_spec

    values, folder = dict[str, Any](), out
    if what is not None:
        path = Path(what)
        if path.is_dir():
            if not (path / "spec.json").exists():
                raise UserError(
                    "no study in this folder", value=what, fix="Give a spec, a unit, or --subject and --site"
                )
            values, folder = read_table(path / "spec.json"), out or path
        elif path.is_file():
            values = read_table(path)
        elif path.suffix in (".toml", ".json"):
            raise UserError("no such spec", value=what)
        else:
            wanted = parse_unit(what)
            values = {
                "subject": wanted.subject,
                "sites": [wanted.site],
                "units": [wanted.index],
                "polarities": [wanted.polarity],
            }
    dictionaries = [f"dictionary:{place}" for place in flags.pop("dictionary", None) or ()]
    flags["readout"] = [*(flags.get("readout") or ()), *dictionaries]
    values |= _given(**flags)
    given = [*(f"directions:{folder}" for folder in flags.get("directions") or ()), *flags["readout"]]
    if given:
        values = _of_readouts(given, "sites" not in values) | values
    spec = make_spec(values)
    return spec, folder or STUDIES / _name(spec)


def _given(
    *,
    unit: list[int] | None = None,
    units: str | None = None,
    side: str | None = None,
    tokens: str | None = None,
    **flags: Any,
) -> dict[str, Any]:
    """The fields of a spec set by flags."""
    from glossator.scorers.baselines import DEFAULT_BASELINES

    renamed = {name.removesuffix("s"): name for name in ("sites", "explainers", "scorers", "readouts", "baselines")}
    found = {renamed.get(name, name): value for name, value in flags.items() if value not in (None, [], ())}
    if "sites" in found:
        found["sites"] = [part for site in found["sites"] for part in site.split(",") if part]
    if "baselines" in found:
        found["baselines"] = [*dict.fromkeys([*DEFAULT_BASELINES, *found["baselines"]])]
    if unit and units:
        raise UserError("--unit and --units are both given", fix="Use one of them")
    if unit:
        found["units"] = list(unit)
    elif units:
        found["units"] = read_units(units)
    if side:
        sides = {"+": ["+"], "-": ["-"], "both": ["+", "-"], "±": ["±"]}
        if side not in sides:
            raise UserError("unknown polarity", value=side, allowed="+, -, both or ±")
        found["polarities"] = sides[side]
    if tokens:
        found["max_tokens"] = None if tokens == "all" else _number("--tokens", tokens, "a number or 'all'")
    return found


def _of_readouts(given: list[str], alone: bool) -> dict[str, Any]:
    """Spec fields implied by readouts: their subject, how the text they were found on was split and, if only they are
    studied, their sites and all of their units, of which sparse ones have too many."""
    from glossator.readouts import load_readout

    readouts = [load_readout(text) for text in given]
    subject = next((str(one.made.get("subject_spec") or one.subject) for one in readouts if one.subject), None)
    text: Any = next((one.made["text"] for one in readouts if one.made.get("text")), {})
    found: dict[str, Any] = {key: text[key] for key in ("max_tokens", "width", "seed") if key in text}
    found |= {} if subject is None else {"subject": subject}
    if not alone:
        return found
    every = {} if any(one.sparse for one in readouts) else {"units": "all"}
    return found | {"sites": [one.site_name for one in readouts]} | every


def read_units(text: str) -> int | str | list[int]:
    """`64` is a number of units, `all` all of them, `3,17,40-49` a list of indices."""
    allowed = "a number of random units (64), 'all', or indices (3,17,40-49)"
    if text == "all":
        return text
    if _is_number(text):
        return int(text)
    indices: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        begin = _number("--units", first, allowed)
        end = _number("--units", last, allowed) if dash else begin
        if end < begin or end - begin > 10_000_000:
            raise UserError("invalid --units", value=part[:80], allowed=allowed)
        indices += range(begin, end + 1)
    return indices


def _number(flag: str, text: str, allowed: str) -> int:
    if not _is_number(text):
        raise UserError(f"invalid {flag}", value=text[:80], allowed=allowed)
    return int(text)


def _is_number(text: str) -> bool:
    """ASCII digits that fit in a 64-bit integer."""
    return text.isascii() and text.isdigit() and len(text) < 19


def _name(spec: StudySpec) -> str:
    """A descriptive folder name, the same for the same spec."""
    subject = Path(spec.subject).name
    sites = spec.sites[0] if len(spec.sites) == 1 else f"{spec.sites[0]}-and-{len(spec.sites) - 1}-more"
    return f"{subject}-{sites}-{spec.fingerprint[:8]}".replace("/", "-")
