"""What must hold in every family of models: each invariant on tiny random models of the table in `families.py`.

All families are slow tests together; some that differ in kind are in the fast ones.
"""

from __future__ import annotations

import itertools
import re
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch

from causal_cases import tiny_windows
from families import CAUSAL, ENCODERS, LAYERS, family_subject
from glossator.causal import Add, Edit, Set, Units, run_each
from glossator.causal.restart import restart_of
from glossator.errors import MissingPower, UserError
from glossator.language_models import Request
from glossator.language_models.in_process import InProcess
from glossator.language_models.in_process_cache import goes_on
from glossator.subjects import SiteInfo, TransformerSubject, capture, edit
from glossator.subjects.token_weights import written

ROOT = Path(__file__).resolve().parent.parent
FAST = ("bloom", "gemma2", "granite", "llama", "mamba", "opt", "qwen2_moe", "bert", "fnet", "roberta")
LAST = LAYERS - 1
EVERY = pytest.mark.parametrize(
    "family",
    [pytest.param(name, marks=() if name in FAST else pytest.mark.slow) for name in (*CAUSAL, *ENCODERS)],
)
EVERY_CAUSAL = pytest.mark.parametrize(
    "family", [pytest.param(name, marks=() if name in FAST else pytest.mark.slow) for name in CAUSAL]
)


@lru_cache(maxsize=1)
def subject_of(family: str) -> TransformerSubject:
    return family_subject(family)


def windows(width: int = 9) -> tuple[np.ndarray, np.ndarray]:
    tokens = np.random.default_rng(1).integers(3, 300, (4, width)).astype(np.int32)
    return tokens, np.array([width, width - 4, 1, width - 2], np.int32)


def near(one: torch.Tensor, other: torch.Tensor, scale: torch.Tensor | None = None) -> bool:
    size = float((other if scale is None else scale).abs().max())
    return float((one - other).abs().max()) <= 2e-4 * size


@EVERY
def test_values_are_each_tokens_own(family):
    """(rows, positions, width) at every site, the same alone and in a padded batch."""
    subject, (tokens, lengths) = subject_of(family), windows()
    names = [site.name for site in subject.sites()]
    together = subject.activations(tokens, lengths, names)
    for name in names:
        assert together[name].shape == (4, 9, subject.site(name).width)
        assert together[name].abs().max() > 1e-4
    for row, length in enumerate(lengths):
        alone = subject.activations(tokens[row : row + 1, :length], lengths[row : row + 1], names)
        for name in names:
            assert near(together[name][row, :length], alone[name][0], together[name]), name


@EVERY
def test_every_width_up_to_the_widest_runs_and_the_next_is_refused(family):
    subject = subject_of(family)
    widest = subject.max_width or 50
    for width in range(1, widest + 1):
        subject.forward(np.full((1, width), 50, np.int32), np.array([width], np.int32))
    if subject.max_width is not None:
        assert widest > 40
        with pytest.raises(UserError, match=f"at most {widest}"):
            subject.forward(np.full((1, widest + 1), 50, np.int32), np.array([widest + 1], np.int32))


def blocks_parts(subject: TransformerSubject) -> dict[str, SiteInfo]:
    """All modules inside the last block."""
    path = subject.site(f"resid.{LAST}").module
    return {
        name: SiteInfo(name, None, "dense", name, "output")
        for name, _ in subject.model.named_modules()
        if name.startswith(f"{path}.")
    }


def added_by(parts: dict[str, torch.Tensor], rest: torch.Tensor) -> dict[str, float] | None:
    """One or two modules whose outputs, times a number each, are `rest`; none where it is nothing."""
    fit = {n: v for n, v in parts.items() if isinstance(v, torch.Tensor) and v.shape == rest.shape}
    for count in (0, 1, 2):
        for names in itertools.combinations(fit, count):
            if not names:
                if float(rest.abs().max()) < 1e-4:
                    return {}
                continue
            columns = torch.stack([fit[n].double().flatten() for n in names], 1)
            factors = torch.linalg.lstsq(columns, rest.double().flatten()[:, None]).solution[:, 0]
            if near((columns @ factors).reshape(rest.shape), rest.double()) and float(factors.abs().min()) > 1e-3:
                return dict(zip(names, factors.tolist(), strict=True))
    return None


def passes(subject: TransformerSubject, parts, change: tuple[str, int, float] | None = None):
    """Difference of the stream at the last block, values of attention, and of all its modules, under one push."""
    tokens = np.random.default_rng(2).integers(3, 300, (3, 7)).astype(np.int32)
    names = [f"resid.{LAST - 1}", f"resid.{LAST}", f"attn.{LAST}"]
    sites = [site for site in subject.sites() if site.name in names]
    push = edit(subject.model, subject.site(change[0]), lambda x: pushed(x, *change[1:])) if change else None
    with torch.inference_mode(), capture(subject.model, [*parts.values(), *sites]) as found:
        if push is None:
            subject.model(**subject.pass_inputs(tokens, np.full(3, 7, np.int32)))
        else:
            with push:
                subject.model(**subject.pass_inputs(tokens, np.full(3, 7, np.int32)))
    values = {n: v.clone() if isinstance(v, torch.Tensor) else v for n, v in found.items()}
    return values[names[1]] - values[names[0]], values.get(names[2]), {n: values.get(n) for n in parts}


def pushed(values: torch.Tensor, unit: int, by: float) -> torch.Tensor:
    values = values.clone()
    values[..., unit] += by
    return values


@EVERY
def test_the_stream_moves_by_what_is_added_and_written_is_what_a_push_adds(family):
    subject = subject_of(family)
    names = {site.name for site in subject.sites()}
    if f"resid.{LAST}" not in names:
        return
    parts = blocks_parts(subject)
    moved, attention, outputs = passes(subject, parts)
    adds = f"attn.{LAST}" in names and subject.site(f"attn.{LAST}").scale is not None
    rest = added_by(outputs, moved - attention) if adds else None
    if adds and family not in STREAM_IS_RESCALED:
        assert rest is not None, "what attention adds and one or two other modules are not the whole"
        assert not any(subject.site(f"attn.{LAST}").module == name for name in rest)
    for kind in ("attn", "head", "mlp"):
        name = f"{kind}.{LAST}"
        if name not in names:
            continue
        if subject.site(name).scale is None:
            with pytest.raises(MissingPower, match="depends on the token"):
                written(subject, name, [3])
            continue
        if kind != "mlp" and rest is None:
            continue
        effect, _, changed = passes(subject, parts, (name, 3, 2.0))
        difference = effect - moved
        if kind != "mlp":  # the feed-forward reads what attention adds: what it makes of it is no write
            for module, factor in rest.items():
                difference = difference - factor * (changed[module] - outputs[module])
        expected = torch.from_numpy(2.0 * written(subject, name, [3])[0]).expand_as(difference)
        assert float((difference - expected).abs().max()) <= 1e-4 * float(moved.abs().max()) + 1e-3 * float(
            expected.abs().max()
        ), name


STREAM_IS_RESCALED = {
    "doge": "multiplies the stream by a gain in each block",
    "gpt_neox_japanese": "adds a bias of its own beside attention in its last block",
}
"""Families whose blocks do more to the stream than add to it; write vectors are right there, sums are not the whole."""


@EVERY_CAUSAL
def test_a_pass_begun_in_the_middle_is_the_whole_pass(family):
    subject = subject_of(family)
    if restart_of(subject) is None:
        return
    some = tiny_windows(subject, n=3, width=8)
    names = {site.name for site in subject.sites()}
    edits = [[Edit(f"resid.{LAST}", Units(1), Add(3.0))]] if f"resid.{LAST}" in names else []
    edits += [
        [Edit(f"{kind}.{LAST}", Units(3), Set(2.0))] for kind in ("mlp", "head", "attn") if f"{kind}.{LAST}" in names
    ]
    found = {}
    for restart in (True, False):
        for batch, edited in run_each(subject, some, edits, restart=restart):
            found[restart] = [batch.log_probs, *(log_probs for _, log_probs in edited)]
    for ours, whole in zip(found[True], found[False], strict=True):
        assert near(ours, whole)
    for changed in found[False][1:]:
        assert not near(changed, found[False][0])


@EVERY_CAUSAL
def test_answers_are_the_likeliest_tokens_after_all_text_before_them(family):
    """In this process, alone and beside another question."""
    lm = InProcess.of_subject(subject_of(family))
    short, long = (Request(prompt=p, max_tokens=5, temperature=0.0, logprobs=1) for p in ("It rains", "It rained on"))
    alone, together = lm.ask([short])[0], lm.ask([short, long])[0]
    assert alone.text == together.text
    ids = lm.prompts.ids(short)
    for token in alone.tokens:
        with torch.inference_mode():
            right = lm.model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1].float().log_softmax(-1)
        assert token.logprob == pytest.approx(float(right[: lm.head.size].max()), abs=2e-3)
        ids.append(int(right[: lm.head.size].argmax()))


def family_row(family: str) -> str:
    """What `docs/families.md` says of a family."""
    subject = subject_of(family)
    sites = subject.sites()
    kinds = list(dict.fromkeys(site.name.partition(".")[0] for site in sites))
    known = [kind for kind in kinds if kind == "resid" or all(s.scale for s in sites if s.name.startswith(f"{kind}."))]
    positions = "any" if subject.max_width is None else str(subject.max_width + len(subject.prefix + subject.suffix))
    if family in ENCODERS:
        last = "windows run by length" if subject.runs_by_length else "encoder"
        cells = ["–", last]
    else:
        keeps = goes_on(InProcess.of_subject(subject).head)
        cells = ["yes" if restart_of(subject) else "no", "yes" if keeps else "no: reads the whole text"]
    return f"| {' | '.join([family, ', '.join(kinds) or 'modules', ', '.join(known) or '–', positions, *cells])} |"


@EVERY
def test_the_docs_say_what_holds_in_this_family(family):
    assert family_row(family) in (ROOT / "docs" / "families.md").read_text().splitlines()


def test_the_readme_names_the_families_of_the_table():
    text = (ROOT / "README.md").read_text()
    for title, table in (("Causal language models", CAUSAL), ("Encoders", ENCODERS)):
        found = re.search(rf"\*\*{title}\*\* \((\d+)\): (.*?)\n\n", text, re.DOTALL)
        assert found, title
        assert re.findall(r"[\w.-]+", found[2]) == sorted(table)
        assert int(found[1]) == len(table)


if __name__ == "__main__":
    for each in (*CAUSAL, *ENCODERS):
        print(family_row(each), flush=True)  # noqa: T201
