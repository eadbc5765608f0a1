"""A real model answers alike in this process and behind a server, and alike once more with the server down."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from glossator.language_models import Message, Request, open_language_model
from lm_server import serve

REQUESTS = [
    Request((Message("system", "Be brief."), Message("user", "What is the capital of France?")), max_tokens=12),
    Request((Message("user", "Is snow white? Answer yes or no."),), max_tokens=2, logprobs=5),
    Request(prompt="The quick brown fox", max_tokens=6, logprobs=3),
    Request(prompt="Café Noël: naïve “quotes” 日本", max_tokens=0, prompt_logprobs=4),
    Request(prompt="Once upon a time", max_tokens=3, logprobs=2, prompt_logprobs=2),
]
SAMPLED = Request((Message("user", "Say something."),), max_tokens=8, temperature=1.0, sample=3)
POWERS = "powers=chat,completion,logprobs,prompt-logprobs"


@pytest.mark.parametrize("kind", ["vllm", "server"])
def test_in_this_process_behind_a_server_and_from_the_cache(smollm2: object, tmp_path: Path, kind: str) -> None:
    from glossator.language_models.in_process import InProcess

    here = InProcess.of_subject(smollm2)
    direct = open_language_model(here).ask(REQUESTS)
    assert "Paris" in direct[0].text
    path = tmp_path / "answers.sqlite"
    with serve(here) as server:
        spec = server.spec(f"kind={kind}&{POWERS}")
        served = open_language_model(spec, cache=path).ask([*REQUESTS, SAMPLED])
    for one, other in zip(direct, served, strict=False):
        assert (one.text, one.finish, one.usage.calls) == (other.text, other.finish, other.usage.calls)
        if kind == "vllm" and other.prompt_tokens and not other.prompt_tokens[0].text:
            # vLLM does not give the first token: it is what the others leave, unless one of them is part of a letter
            assert "\\xe6" in "".join(token.text for token in one.prompt_tokens)
            one, other = (replace(answer, prompt_tokens=answer.prompt_tokens[1:]) for answer in (one, other))
        for tokens, others in ((one.tokens, other.tokens), (one.prompt_tokens, other.prompt_tokens)):
            assert [token.text for token in tokens] == [token.text for token in others]
            assert [token.logprob for token in tokens] == pytest.approx([token.logprob for token in others], abs=1e-4)
            assert [list(token.top) for token in tokens] == [list(token.top) for token in others]
    assert open_language_model(spec, cache=path).ask([*REQUESTS, SAMPLED]) == served
