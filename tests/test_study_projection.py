"""What a run is foreseen to cost, against what it then costs.

The language model is scripted; what it says has about the length of real answers, and its usage is counted by the same
rule by which prompts are foreseen, which another test holds to a real tokenizer.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

from glossator.explainers.bills_prompt import bills_prompt
from glossator.language_models import Answer, Request, Usage
from glossator.language_models.costs import total
from glossator.language_models.projection import OF_A_MESSAGE, rough_tokens
from glossator.store.spec import READ_EVIDENCE, StudySpec
from glossator.study import run_study
from glossator.study.context import StudyContext
from glossator.study.jobs import studied
from glossator.study.models import StudyModels
from glossator.study.projection import SENTENCE, project, times
from study_cases import lm_spec, register_lm_methods, said, small_spec, write_corpus

FEW = replace(READ_EVIDENCE, explain_random=8, min_firing_windows=2)


@pytest.fixture(scope="module")
def subject(tiny_folder: Path) -> Path:
    write_corpus(tiny_folder.parent / "corpus.jsonl")
    return tiny_folder


@pytest.fixture(scope="module", autouse=True)
def methods() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        register_lm_methods(patch)
        yield


def talk(request: Request) -> Answer:
    """Explains, writes sentences, revises, and reads windows."""
    asked = "\n".join(m.content for m in request.messages) if request.prompt is None else request.prompt
    if asked.rstrip().endswith("Sentences:"):
        text = "\n".join(f"{i}. The fox that jumps over it was lazy in the cannery of {i} dogs." for i in range(5))
    elif asked.startswith(("How much", "Judge")):
        text = str(said(request))
    else:
        kind = crc32(asked.encode())
        text = f"words for animals that somebody keeps, and what they are fed, kind {kind} {request.sample}"
    prompt = rough_tokens(asked) + OF_A_MESSAGE
    return Answer(text, usage=Usage(1, prompt, rough_tokens(text), 0.0))


def foreseen_and_paid(spec: StudySpec, folder: Path) -> tuple[Usage, Usage]:
    """What is foreseen for all units of a study, and what it then costs."""
    study = run_study(spec, folder, progress=False)
    assert study is not None
    with study:
        context = StudyContext.of(spec, study.recording, models=StudyModels(spec.language_models))
        units = studied(spec, study.recording)
        ok = [result.unit for result in study.results() if result.status == "ok"]
        one = project(units, context)
        assert one is not None
        return times(one, len(ok)), total(study.costs)


@pytest.mark.parametrize("changes", [
    {"explainers": ("asking",), "candidates": 3},
    {"explainers": ("bills",), "candidates": 2},
    {"explainers": ("revised",), "candidates": 2},
    {"explainers": ("revised",), "candidates": 2, "options": {"revised": {"control": "random-sentences"}}},
    {"explainers": ("revised",), "candidates": 2, "options": {"revised": {"first": "program", "sentences": 6}}},
])  # fmt: skip
def test_no_less_is_foreseen_than_is_paid_and_not_much_more(subject: Path, tmp_path: Path, changes: dict) -> None:
    spec = lm_spec(subject, lm="scripted:test_study_projection:talk", evidence=FEW, units=4, **changes)
    foreseen, paid = foreseen_and_paid(spec, tmp_path / "s")
    assert paid.calls <= foreseen.calls <= 1.5 * paid.calls
    assert paid.prompt_tokens <= foreseen.prompt_tokens <= 1.5 * paid.prompt_tokens
    assert paid.completion_tokens <= foreseen.completion_tokens


def test_what_a_model_in_this_process_computes_is_foreseen(subject: Path, tmp_path: Path) -> None:
    """Not as prompts of their own: the beginning of them is computed once."""
    from tiny_models import byte_level_tokenizer, save_tiny

    folder = save_tiny(tmp_path / "reader", "llama", byte_level_tokenizer())
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 16384}))
    spec = small_spec(subject, lm=f"inprocess:{folder}", explainers=("program",), candidates=2, units=2, evidence=FEW,
                      simulator="lm-one-at-a-time")  # fmt: skip
    foreseen, paid = foreseen_and_paid(spec, tmp_path / "s")
    assert paid.calls <= foreseen.calls <= 1.5 * paid.calls
    assert paid.prompt_tokens <= foreseen.prompt_tokens <= 1.5 * paid.prompt_tokens


def test_the_rule_of_thumb_for_tokens(smollm2: Any) -> None:
    """Records, windows and prose: more than SmolLM2's tokenizer counts, and not twice as many."""
    from glossator.simulators.prompts import all_at_once_start, one_at_a_time_start

    records = bills_prompt([([" the", " harbour", ",", " 1987", "\\n"], [0.0, 9.0, 0.5, 0.0, 1.0])] * 5).text
    prose = SENTENCE * 5
    for text in (records, all_at_once_start("X"), one_at_a_time_start("X"), prose):
        tokens = len(smollm2.tokenizer.encode([text])[0])
        assert tokens <= rough_tokens(text) <= 1.6 * tokens, text
