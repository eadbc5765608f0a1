"""The in-process language model against the plain forward pass of the same weights, and its rules for answers."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from glossator.errors import MissingPower, UserError
from glossator.language_models import Message, Request
from glossator.language_models.in_process import InProcess, open_in_process
from glossator.language_models.in_process_cache import goes_on
from glossator.language_models.in_process_generation import Row, common_prefix
from glossator.language_models.in_process_head import Head
from glossator.language_models.in_process_prompts import opening
from glossator.language_models.json_answers import value_in
from glossator.subjects.generation import draw_token
from glossator.subjects.tokenizer import FastTextTokenizer
from tiny_models import byte_level_tokenizer, sentencepiece_tokenizer, tiny_model

FAMILIES = ["llama", "gpt2", "gpt_neox", "opt", "qwen3", "gemma2"]
TEXTS = ["The quick brown fox", "In 1987", "The quick brown dog jumps over", "def add(a", "The quick brown fo"]


def in_process(family: str = "llama", **options) -> InProcess:
    return InProcess(tiny_model(family), FastTextTokenizer(byte_level_tokenizer(), "tiny"), "tiny", **options)


@pytest.fixture(scope="module")
def lm() -> InProcess:
    return in_process()


def plain_logits(lm: InProcess, ids: list[int]) -> torch.Tensor:
    with torch.inference_mode():
        logits = lm.model(input_ids=torch.tensor([ids]), use_cache=False).logits[0].float()
    return logits[:, : len(lm.tokenizer.vocabulary)]


def greedy(lm: InProcess, prompt: str, n: int) -> list[int]:
    """Token by token, the whole text anew each time."""
    ids = list(lm.tokenizer.encode([prompt])[0])
    written = []
    for _ in range(n):
        written.append(int(plain_logits(lm, ids + written)[-1].argmax()))
        if written[-1] in lm._end:
            return written[:-1]
    return written


@pytest.mark.parametrize("family", FAMILIES)
def test_a_batch_writes_what_the_bare_model_writes(family):
    lm = in_process(family)
    answers = lm.ask([Request(prompt=text, max_tokens=12, logprobs=2) for text in TEXTS])
    for text, answer in zip(TEXTS, answers, strict=True):
        expected = greedy(lm, text, 12)
        assert answer.text == lm.tokenizer.decode(np.array(expected, int))
        ids = [*lm.tokenizer.encode([text])[0], *expected]
        logprobs = torch.log_softmax(plain_logits(lm, ids), -1)
        start = len(ids) - len(expected) - 1
        for i, token in enumerate(answer.tokens):
            assert token.logprob == pytest.approx(float(logprobs[start + i, expected[i]]), abs=1e-4)
            assert max(token.top.values()) == pytest.approx(float(logprobs[start + i].max()), abs=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_logits_apart_from_the_model_are_its_own(family):
    model = tiny_model(family)
    head, ids = Head(model), torch.tensor([[3, 4, 5, 6]])
    with torch.inference_mode():
        own = model(input_ids=ids).logits
        states = head.states(input_ids=ids)
        torch.testing.assert_close(head.logits(states), own, atol=1e-5, rtol=1e-5)
        some = torch.tensor([7, 300])
        torch.testing.assert_close(head.logits(states, some), own[..., some], atol=1e-5, rtol=1e-5)


def test_an_unknown_change_of_the_logits_is_refused():
    model = tiny_model("llama")
    forward = model.forward

    def bent(*args, **kwargs):
        output = forward(*args, **kwargs)
        output.logits = output.logits.sinh()
        return output

    model.forward = bent
    with pytest.raises(UserError, match="separately"):
        Head(model)


def test_prompt_logprobs(lm):
    (answer,) = lm.ask([Request(prompt="The quick brown", max_tokens=0, prompt_logprobs=3)])
    ids = list(lm.tokenizer.encode(["The quick brown"])[0])
    logprobs = torch.log_softmax(plain_logits(lm, ids), -1)
    assert answer.text == "" and answer.usage.completion_tokens == 0
    assert answer.prompt_tokens[0].logprob is None
    assert "".join(t.text for t in answer.prompt_tokens) == "The quick brown"
    for i, token in enumerate(answer.prompt_tokens[1:]):
        assert token.logprob == pytest.approx(float(logprobs[i, ids[i + 1]]), abs=1e-5)
        assert len(token.top) == 3
        assert sorted(token.top.values(), reverse=True) == pytest.approx(logprobs[i].topk(3).values.tolist(), abs=1e-5)


def test_samples_do_not_depend_on_their_neighbours(lm):
    requests = [Request(prompt=text, max_tokens=10, temperature=1.0, sample=s) for text in TEXTS for s in range(3)]
    together = [a.text for a in lm.ask(requests)]
    assert together == [lm.ask([request])[0].text for request in requests]
    assert together == [a.text for a in reversed(lm.ask(requests[::-1]))]
    assert together == [a.text for a in in_process(batch_tokens=20).ask(requests)]
    assert len(set(together[:3])) == 3
    assert together != [a.text for a in in_process(seed=1).ask(requests)]


def test_a_sample_does_not_turn_on_the_last_bits_of_the_logits():
    """What another batch changes of a logit, some 1e-6, tells only tied tokens apart."""

    def chosen(noise: float, temperature: float = 1.0, top_p: float = 1.0) -> list[int]:
        vocabulary, bits = 2000, np.random.default_rng(3)
        logits = [bits.normal(size=vocabulary).astype(np.float32) for _ in range(400)]
        moved = [row + (noise * bits.normal(size=vocabulary)).astype(np.float32) for row in logits]
        rngs = [np.random.default_rng(seed) for seed in range(400)]
        return [draw_token(torch.from_numpy(m), temperature, rng, top_p) for m, rng in zip(moved, rngs, strict=True)]

    for settings in ({}, {"temperature": 0.7}, {"top_p": 0.9}):
        assert chosen(0.0, **settings) == chosen(1e-5, **settings)
    assert len(set(chosen(0.0))) > 300


def row_of(lm: InProcess, seed: int, temperature: float = 1.0, top_p: float = 1.0) -> Row:
    return Row([1], 1, temperature, top_p, (), 0, np.random.default_rng(seed))


def test_samples_of_one_prompt_are_computed_from_it_once(lm, monkeypatch):
    """Ten samples of two prompts pass two prompts through the model, and say what each says alone."""
    requests = [Request(prompt=text, max_tokens=6, temperature=1.0, sample=s) for text in TEXTS[:2] for s in range(5)]
    alone = [lm.ask([request])[0] for request in requests]
    batches, states = [], lm.head.states
    monkeypatch.setattr(lm.head, "states", lambda **kw: batches.append(kw["input_ids"].shape[0]) or states(**kw))
    together = lm.ask(requests)
    assert batches[0] == 2 and max(batches) == 10
    assert [(a.text, a.usage) for a in together] == [(a.text, a.usage) for a in alone]


def turns(last: str) -> Request:
    before = (Message("system", "Of it."), Message("user", "fox"), Message("assistant", "dog"))
    return Request((*before, Message("user", last)), max_tokens=6, logprobs=1)


@pytest.mark.parametrize("family", FAMILIES)
def test_what_prompts_start_with_is_read_once_and_changes_no_answer(family, monkeypatch):
    """The turns before the last are read once for all that follow, and an answer is to the bit what it is alone."""
    questions = ["the", "dog or fox"]
    lm, *others = (in_process(family) for _ in range(3))
    for one in (lm, *others):
        one._end = frozenset()  # these models would end at once
    fresh = [other.ask([turns(question)])[0] for other, question in zip(others, questions, strict=True)]
    widths: list[int] = []
    with torch.inference_mode():
        goes_on(lm.head)  # tried once, with passes of its own
    states = lm.head.states
    monkeypatch.setattr(lm.head, "states", lambda **kw: widths.append(kw["input_ids"].shape[1]) or states(**kw))
    lengths = [len(lm.prompts.ids(turns(question))) for question in questions]
    found = [lm.ask([turns(questions[0])])[0]]
    first, widths[:] = widths[:], []
    found.append(lm.ask([turns(questions[1])])[0])
    assert found == fresh
    asked = turns(questions[1])
    if family != "gemma2":  # its windows keep no beginning
        assert first[0] + first[1] == lengths[0]
        assert first[0] == lm.prompts.before_last(asked, lm.prompts.ids(asked))
        assert widths[0] == lengths[1] - first[0] and first[0] >= 20
    ids = lm.prompts.ids(turns(questions[0]))
    assert found[0].tokens[0].logprob == pytest.approx(
        float(torch.log_softmax(plain_logits(lm, ids), -1)[-1].max()), abs=1e-4
    )


def test_temperature_and_top_p_follow_the_distribution(lm):
    ids = list(lm.tokenizer.encode(["The"])[0])
    p = torch.softmax(plain_logits(lm, ids)[-1] / 2, -1)
    best = p.argsort(descending=True)[:2].tolist()
    request = Request(prompt="The", max_tokens=1, temperature=2.0)
    drawn = [a.text for a in lm.ask([dataclasses.replace(request, sample=s) for s in range(600)])]
    share = drawn.count(lm.tokenizer.vocabulary.texts[best[0]]) / 600
    assert share == pytest.approx(float(p[best[0]]), abs=4 * float(p[best[0]] * (1 - p[best[0]]) / 600) ** 0.5)
    narrow = dataclasses.replace(request, top_p=float(p[best].sum()) - 1e-4)
    kept = {a.text for a in lm.ask([dataclasses.replace(narrow, sample=s) for s in range(100)])}
    assert kept <= {lm.tokenizer.vocabulary.texts[i] for i in best}


def test_stop_strings_cut_text_and_tokens(lm):
    whole = lm.ask([Request(prompt="In 1987", max_tokens=16)])[0].text
    stop = whole[4:7]
    (answer,) = lm.ask([Request(prompt="In 1987", max_tokens=16, stop=("never there", stop), logprobs=1)])
    assert answer.text == whole[: whole.find(stop)] and answer.finish == "stop"
    assert 0 < len(answer.tokens) < answer.usage.completion_tokens <= 16
    assert answer.usage.completion_tokens < 16


def test_special_tokens_in_messages_stay_text(lm):
    def ids(text: str) -> list[int]:
        return lm.prompts.ids(Request(messages=(Message("system", "Judge."), Message("user", text))))

    end = lm.tokenizer.hub_tokenizer.eos_token_id
    assert end not in ids("a <|endoftext|> b")
    assert lm.tokenizer.decode(np.array(ids("a <|endoftext|> b"))) == "Judge.\n\nUser: a <|endoftext|> b\n\nAssistant:"
    assert end not in lm.prompts.ids(Request(prompt="<|endoftext|>"))


def test_own_template_and_an_open_answer():
    template = (
        "{% for m in messages %}<|endoftext|>{{ m['content'] }}{% endfor %}{% if add_generation_prompt %}>{% endif %}"
    )
    lm = in_process(chat_template=template)
    end = lm.tokenizer.hub_tokenizer.eos_token_id
    asked = Request(messages=(Message("user", "fox"), Message("assistant", "The <|endoftext|>")))
    ids = lm.prompts.ids(asked)
    assert ids[0] == end and ids.count(end) == 2
    assert lm.tokenizer.decode(np.array(ids)).endswith("The <|endoftext|>")


def one_of(**properties) -> dict:
    return {"type": "object", "properties": properties, "required": list(properties)}


@pytest.mark.parametrize(
    ("schema", "begun"),
    [
        (one_of(colour={"type": "string"}, n={"type": "number"}), '{"colour": "'),
        (one_of(**{'say "n"': {"type": "number"}}), '{"say \\"n\\"":'),
        (one_of(levels={"type": "array"}), '{"levels": ['),
        ({"type": "array"}, "["),
        ({"type": "object"}, "{"),
        ({}, ""),
    ],
)
def test_an_answer_in_json_is_begun_for_the_model(lm, schema, begun):
    asked = Request(messages=(Message("user", "fox"),), schema=schema, max_tokens=3)
    plain, told = (lm.prompts.ids(dataclasses.replace(asked, schema=s)) for s in (None, schema))
    assert lm.tokenizer.decode(np.array(told)).rstrip().endswith(begun)
    (answer,) = lm.ask([asked])
    assert answer.text.startswith(begun) and answer.usage.completion_tokens <= 3
    if begun:
        assert len(answer.text) > len(begun) or answer.finish == "stop"
        open_already = dataclasses.replace(asked, messages=(*asked.messages, Message("assistant", "The")))
        assert opening(open_already) == "" == opening(Request(prompt="fox", schema=schema))
    else:
        assert told == plain


def test_failures_and_refusals(lm):
    long, empty, fine = lm.ask(
        [Request(prompt="fox " * 200), Request(prompt=""), Request(prompt="fox", max_tokens=500)]
    )
    assert long.failure and "64" in long.failure and long.usage.calls == 0
    assert empty.failure == "the prompt is empty"
    assert fine.failure is None and fine.finish == "length" and fine.usage.prompt_tokens + len(fine.text) >= 64
    with pytest.raises(MissingPower, match="images"):
        lm.ask([Request(messages=(Message("user", "?", images=(b"png",)),))])
    with pytest.raises(UserError, match="output layer"):
        InProcess(tiny_model("bert"), FastTextTokenizer(byte_level_tokenizer(), "tiny"), "tiny")


def test_common_prefix():
    assert common_prefix([[1, 2, 3], [1, 2, 4, 5]]) == 2
    assert common_prefix([[1, 2], [1, 2]]) == 1
    assert common_prefix([[5], [5, 6]]) == 0


def test_opened_from_a_folder(tiny_folder):
    lm = open_in_process(str(tiny_folder))
    assert lm.name.startswith("inprocess:tiny@")
    assert open_in_process(str(tiny_folder), dtype="bfloat16").name.endswith(":bfloat16")
    assert lm.ask([Request(prompt="The", max_tokens=3)])[0].failure is None


def test_sentencepiece(tmp_path):
    tokenizer = FastTextTokenizer(sentencepiece_tokenizer(), "sp")
    lm = InProcess(tiny_model("llama"), tokenizer, "sp")
    answer = lm.ask([Request(prompt="the fox", max_tokens=5, logprobs=1)])[0]
    assert answer.failure is None and answer.usage.prompt_tokens >= 2


def test_smollm2_answers(smollm2):
    lm = InProcess.of_subject(smollm2)
    chat = Request(messages=(Message("user", "What is the capital of France?"),), max_tokens=12)
    json = Request(messages=chat.messages, max_tokens=24, schema=one_of(capital={"type": "string"}))
    count = Request(prompt="1, 2, 3, 4,", max_tokens=20, stop=(" 7",))
    first, second, third = lm.ask([chat, count, json])
    assert "Paris" in first.text and first.finish == "stop"
    assert second.text == " 5, 6,"
    assert value_in(third.text, json.schema)["capital"].startswith("Paris")


@pytest.mark.parametrize("family", ["mamba", "rwkv", "jamba", "recurrent_gemma", "gemma2"])
def test_each_token_is_the_likeliest_after_all_text_before_it(family):
    """Also in models that hand on no keys and values, and whatever else is asked."""
    from families import family_subject

    lm = InProcess.of_subject(family_subject(family))
    short, long = (
        Request(prompt=p, max_tokens=6, temperature=0.0, logprobs=1) for p in ("It rains", "It rained again")
    )
    alone, together = lm.ask([short])[0], lm.ask([short, long, short])
    assert [answer.text for answer in (together[0], together[2])] == [alone.text] * 2
    ids = lm.prompts.ids(short)
    assert len(alone.tokens) == 6
    for token in alone.tokens:
        with torch.inference_mode():
            right = lm.model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1].float().log_softmax(-1)
        assert token.logprob == pytest.approx(float(right.max()), abs=1e-3)
        ids.append(int(right.argmax()))


NO_SYSTEM = (
    "{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{{ '[' + m['role'] + ']' + m['content'] }}{% endfor %}{% if add_generation_prompt %}{{ '[model]' }}{% endif %}"
)
LEAVES_SYSTEM_OUT = NO_SYSTEM.replace("{{ raise_exception('System role not supported') }}", "{% continue %}").replace(
    "{% if m['role'] == 'system' %}{% continue %}{% endif %}", "{% if m['role'] != 'system' %}"
).replace("{% endfor %}", "{% endif %}{% endfor %}", 1)  # fmt: skip


@pytest.mark.parametrize("template", [NO_SYSTEM, LEAVES_SYSTEM_OUT])
def test_a_template_without_a_system_turn_gets_its_text_with_the_first_question(template: str) -> None:
    lm = in_process(chat_template=template)
    turns = (Message("system", "Be brief."), Message("user", "a"), Message("assistant", "b"), Message("user", "c"))
    assert lm.prompts._render(turns, [m.content for m in turns]) == "[user]Be brief.\n\na[assistant]b[user]c[model]"
    assert lm.prompts._render(turns[:1], ["Be brief."]) == "[user]Be brief.[model]"


def test_a_raw_prompt_is_left_open_by_a_tokenizer_that_ends_every_text() -> None:
    from tokenizers.processors import TemplateProcessing

    tokenizer = byte_level_tokenizer()
    first = tokenizer.convert_ids_to_tokens(0)
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"{first} $A {first}", special_tokens=[(first, 0)]
    )
    lm = InProcess(tiny_model("llama"), FastTextTokenizer(tokenizer, "tiny"), "tiny")
    plain = list(lm.tokenizer.backend.encode("The fox", add_special_tokens=False).ids)
    assert list(lm.tokenizer.backend.encode("The fox").ids) == [0, *plain, 0]
    assert lm.prompts.ids(Request(prompt="The fox")) == [0, *plain]


def test_outputs_that_are_no_numbers_are_no_answer() -> None:
    model = tiny_model("llama")
    with torch.no_grad():
        model.get_input_embeddings().weight[5] = float("nan")
    lm = InProcess(model, FastTextTokenizer(byte_level_tokenizer(), "tiny"), "tiny")
    nan, fine = (lm.tokenizer.vocabulary.texts[i] for i in (5, 40))
    for request in (
        Request(prompt=nan, max_tokens=4),
        Request(prompt=nan, max_tokens=1, logprobs=3),
        Request(prompt=f"{fine}{nan}{fine}", max_tokens=0, prompt_logprobs=3),
    ):
        assert "are NaN" in (lm.ask([request])[0].failure or "")
    assert lm.ask([Request(prompt=fine, max_tokens=1)])[0].failure is None


def test_a_model_that_sees_ahead_cannot_answer():
    import dataclasses

    from families import family_subject

    with pytest.raises(UserError, match="not a causal language model"):
        InProcess.of_subject(dataclasses.replace(family_subject("bert"), causal=True, suffix=()))
