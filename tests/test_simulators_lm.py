"""The simulators that read English, against plain forward passes, against each other and with other tokenizers."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch

from glossator import registry
from glossator.errors import MissingPower, UserError
from glossator.explanations import Explanation, Provenance
from glossator.inputs.tokens import TokenWindows, Vocabulary
from glossator.language_models import (
    CHAT,
    COMPLETION,
    LOGPROBS,
    PROMPT_LOGPROBS,
    Answer,
    LanguageModel,
    Request,
    TokenLogprob,
    in_process_attention,
)
from glossator.language_models.in_process import InProcess
from glossator.simulators import Simulation, Simulator
from glossator.simulators.all_at_once import AllAtOnceSimulator
from glossator.simulators.in_process_reading import in_process_model
from glossator.simulators.one_at_a_time import OneAtATimeSimulator
from glossator.simulators.prompts import asked_how_ten_is_written, pieces_of
from glossator.simulators.sampled import JsonSimulator
from glossator.simulators.shared_prefix import SharedPrefix
from glossator.subjects.tokenizer import FastTextTokenizer
from glossator.units import parse_unit
from tiny_models import byte_level_tokenizer, sentencepiece_tokenizer, tiny_model

TEXTS = ["The quick brown fox jumps.", "In 1987 the cannery\n\tclosed", "naïve, but it — works", "x"]
SHARING = ["llama", "gpt2", "gpt_neox", "qwen3"]


def big(family: str, **settings):
    """A tiny model with room for the prompts."""
    from transformers import AutoConfig, AutoModelForCausalLM

    small = tiny_model(family)
    config = small.config.to_dict()
    for name in ("max_position_embeddings", "n_positions"):
        if name in config:
            config[name] = 4096
    config.update(settings)
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**config))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.6)
    return model.eval().requires_grad_(False)


def model_of(family: str = "llama", tokenizer=None, **settings) -> InProcess:
    return InProcess(
        big(family, **settings), FastTextTokenizer(tokenizer or byte_level_tokenizer(), "tiny"), f"inprocess:{family}"
    )


class Served(LanguageModel):
    """The same model as a server would give it: nothing but requests."""

    def __init__(self, model: InProcess, powers=frozenset({CHAT, COMPLETION, LOGPROBS, PROMPT_LOGPROBS})):
        self.model, self.powers, self.name, self.asked = model, powers, "served", []

    def ask(self, requests):
        self.asked += requests
        return self.model.ask(requests)


def explanation(text: str = "words for animals") -> Explanation:
    return Explanation(parse_unit("tiny/mlp.0/1"), text, Provenance("test"))


def windows(tokenizer=None, texts=TEXTS) -> TokenWindows:
    tokenizer = FastTextTokenizer(tokenizer or byte_level_tokenizer(), "subject")
    rows = tokenizer.encode(texts)
    width = max(map(len, rows))
    tokens = np.zeros((len(rows), width), np.int32)
    for i, row in enumerate(rows):
        tokens[i, : len(row)] = row
    lengths = np.array([len(row) for row in rows], np.int32)
    ids = np.arange(len(rows))
    return TokenWindows(tokens, lengths, np.arange(width) < lengths[:, None], ids, ids, tokenizer.vocabulary)


def naive(reader, text: str, some: TokenWindows, every: int = 1) -> list[dict[int, np.ndarray]]:
    """For each window: place -> levels, from a plain forward pass of the whole model over what that place sees."""
    prefix = reader.prefix.then(reader._plain(_middle(reader, text))).ids
    found = []
    for pieces in pieces_of(some):
        asked = reader.layout(pieces)
        rows = {}
        for token in range(len(asked.read) - 1, -1, -every):
            place = asked.read[token]
            seen = np.arange(place + 1) if asked.sees is None else np.flatnonzero(asked.sees[place])
            ids = torch.tensor([[*prefix, *asked.ids[seen].tolist()]])
            with torch.no_grad():
                logits = reader.model.model(input_ids=ids, logits_to_keep=1).logits[0, -1, reader.answers]
            rows[token] = torch.softmax(logits.double(), -1).numpy()
        found.append(rows)
    return found


def assert_same(simulation, expected: list[dict[int, np.ndarray]]) -> None:
    for row, places in enumerate(expected):
        for token, p in places.items():
            np.testing.assert_allclose(simulation.distribution.probabilities[row, token], p, atol=1e-5)
            np.testing.assert_allclose(simulation.expected[row, token], p @ np.arange(11), atol=1e-4)


def _middle(reader, text: str) -> str:
    return f"\nA neuron that looks for: {text}\n" + ("" if reader.single else "<start>\n")


@pytest.mark.parametrize("family", [*SHARING, "opt", "gemma2"])
@pytest.mark.parametrize("simulator", [AllAtOnceSimulator, OneAtATimeSimulator])
def test_shared_prefix_and_few_logits_change_nothing(family, simulator):
    found = simulator(model_of(family))
    reader = found.in_process
    some = windows(texts=TEXTS[:3])
    if reader is None:
        assert simulator is OneAtATimeSimulator and family in ("opt", "gemma2")
        return
    assert reader.prefix.is_shared == (family != "gemma2") or family == "opt"
    simulation = found.simulate(explanation(), some)
    assert_same(simulation, naive(reader, "words for animals", some, every=6))
    assert simulation.expected[0].std() > 1e-3  # the places differ, so that a wrong one would be seen


@pytest.mark.parametrize("simulator", [AllAtOnceSimulator, OneAtATimeSimulator])
def test_the_way_through_requests_gives_the_same(simulator):
    model = model_of()
    some = windows(texts=["The quick brown fox", "In 1987"])
    here = simulator(model).simulate(explanation(), some)
    served = Served(model)
    # A server hands out a few alternatives; with all of them every level is among them.
    there = simulator(served, top=len(model.tokenizer.vocabulary), ten="X").simulate(explanation(), some)
    assert served.asked and not there.missing
    valid = some.valid
    np.testing.assert_allclose(here.expected[valid], there.expected[valid], atol=1e-4)
    np.testing.assert_allclose(
        here.distribution.probabilities[valid], there.distribution.probabilities[valid], atol=1e-5
    )


@pytest.mark.parametrize("simulator", [AllAtOnceSimulator, OneAtATimeSimulator])
def test_another_tokenizer_than_the_subjects(simulator):
    found = simulator(model_of(tokenizer=sentencepiece_tokenizer()))
    some = windows()
    simulation = found.simulate(explanation(), some)
    assert np.isfinite(simulation.expected).all() and not simulation.missing
    assert_same(simulation, naive(found.in_process, "words for animals", some, every=6))


def test_a_token_is_read_after_all_of_its_pieces():
    """The level of a token may depend on that token and on what stands before it, and on nothing after it."""
    found = OneAtATimeSimulator(model_of(tokenizer=sentencepiece_tokenizer()))
    whole, cut = windows(texts=["The quick brown fox"]), windows(texts=["The quick brown cat"])
    same = int(np.argmax(whole.tokens[0] != cut.tokens[0][: whole.width]))
    first, second = (found.simulate(explanation(), some).expected[0] for some in (whole, cut))
    np.testing.assert_allclose(first[:same], second[:same], atol=1e-5)
    assert abs(first[same] - second[same]) > 1e-4


def test_explanations_matter_and_batches_do_not():
    model = model_of()
    found, some = AllAtOnceSimulator(model), windows()
    one, other = (found.simulate(explanation(text), some).expected for text in ("words for animals", "numbers"))
    assert np.abs(one - other)[some.valid].max() > 2e-4
    again = found.simulate(explanation("words for animals"), some).expected
    np.testing.assert_array_equal(one, again)
    alone = np.concatenate([found.simulate(explanation(), some.take(np.array([i]))).expected for i in range(len(some))])
    np.testing.assert_allclose(alone, one, atol=1e-4)


def test_bytes_that_are_no_character_are_shown():
    vocabulary = Vocabulary("cut", (b"caf\xc3", b"\xa9", b"\n", b"\t|"))
    row = np.array([[0, 1, 2, 3]], np.int32)
    some = TokenWindows(row, np.array([4], np.int32), row >= 0, np.zeros(1, int), np.zeros(1, int), vocabulary)
    assert pieces_of(some) == [["caf\\xc3", "\\xa9", "\\n", "\\t|"]]
    for simulator in (AllAtOnceSimulator, OneAtATimeSimulator):
        assert np.isfinite(simulator(model_of()).simulate(explanation(), some).expected).all()


def test_a_window_that_does_not_fit_is_refused():
    narrow = AllAtOnceSimulator(model_of(max_position_embeddings=1400))
    assert np.isfinite(narrow.simulate(explanation(), windows(texts=["x"])).expected).all()
    with pytest.raises(MissingPower, match="1400"):
        narrow.simulate(explanation(), windows(texts=["x " * 200]))


def test_nothing_to_simulate():
    some = windows().take(np.array([], int))
    assert AllAtOnceSimulator(model_of()).simulate(explanation(), some).expected.shape == some.tokens.shape


class Answers(LanguageModel):
    """Plumbing only: a model whose answers are written here."""

    name = "answers"

    def __init__(self, answer, powers=frozenset({CHAT, COMPLETION, LOGPROBS, PROMPT_LOGPROBS})):
        self.answer, self.powers, self.asked = answer, powers, []

    def ask(self, requests):
        self.asked += requests
        return [self.answer(request) for request in requests]


def test_powers_are_asked_for():
    chat = Answers(None, frozenset({CHAT}))
    with pytest.raises(MissingPower, match="lm-one-at-a-time"):
        AllAtOnceSimulator(chat)
    with pytest.raises(MissingPower, match="lm-json"):
        OneAtATimeSimulator(chat)
    with pytest.raises(MissingPower, match="lm-all-at-once"):
        JsonSimulator(Answers(None, frozenset({COMPLETION})))
    for wrong in ({"samples": 0}, {"form": "poem"}):
        with pytest.raises(UserError):
            JsonSimulator(chat, **wrong)


def test_ten_is_written_as_the_model_can():
    def echo(*texts):
        return lambda request: Answer("", prompt_tokens=tuple(TokenLogprob(t, -1.0) for t in texts))

    assert asked_how_ten_is_written(Answers(echo("Levels:", "\t", "10", "\t", "10", "\n"))) == "10"
    assert asked_how_ten_is_written(Answers(echo("Levels:", "\t", "1", "0", "\t", "1", "0", "\n"))) == "X"
    chat = frozenset({CHAT, LOGPROBS})

    def say(*texts):
        return lambda request: Answer("".join(texts), tokens=tuple(TokenLogprob(t, -1.0) for t in texts))

    assert asked_how_ten_is_written(Answers(say("10"), chat)) == "10"
    assert asked_how_ten_is_written(Answers(say("1", "0"), chat)) == "X"
    assert asked_how_ten_is_written(Answers(say("ten"), chat)) == "10"
    assert AllAtOnceSimulator(model_of())._known_ten == "X"


def test_failures_are_missing():
    some = windows(texts=["The fox", "x"])
    refused = Answers(lambda request: Answer("", finish="refusal", failure="the model refused to answer"))
    for simulator in (
        AllAtOnceSimulator(refused, ten="10"),
        OneAtATimeSimulator(refused, ten="10"),
        JsonSimulator(refused),
    ):
        simulation = simulator.simulate(explanation(), some)
        assert np.isnan(simulation.expected[some.valid]).all()
        assert simulation.missing == {"the model refused to answer": int(some.valid.sum())}


def test_one_question_for_every_token_that_counts():
    some = windows(texts=["The quick fox", "x"])
    some = dataclasses.replace(some, valid=some.valid & (np.arange(some.width) > 0))
    top = {"0": math.log(0.5), "10": math.log(0.25), "ten": math.log(0.25)}
    model = Answers(lambda request: Answer("0", tokens=(TokenLogprob("0", 0.0, top),)), frozenset({CHAT, LOGPROBS}))
    simulation = OneAtATimeSimulator(model, ten="10").simulate(explanation(), some)
    np.testing.assert_allclose(simulation.expected[some.valid], 10 / 3)
    assert len(model.asked) == some.valid.sum() and not simulation.missing
    assert model.asked[0].messages[1].content.endswith("\t") and model.asked[0].max_tokens == 1


def test_sampled_answers():
    some = windows(texts=["The fox", "In 1987"])
    texts = [[token.strip() for token in row] for row in pieces_of(some)]

    def answer(request: Request) -> Answer:
        asked = request.messages[1].content.split("<start>\n")[1].removesuffix("<end>").split("\n")[:-1]
        row = [token.strip() for token in asked]
        if row == texts[1] and request.sample == 0:
            return Answer("{}", value={"activations": []})
        items = [{"token": token, "activation": request.sample * 2.0} for token in asked]
        return Answer("", value={"activations": items})

    simulation = JsonSimulator(Answers(answer), samples=3).simulate(explanation(), some)
    np.testing.assert_allclose(simulation.expected[0][some.valid[0]], 2.0)
    np.testing.assert_allclose(simulation.expected[1][some.valid[1]], 3.0)
    one = JsonSimulator(Answers(answer)).simulate(explanation(), some)
    assert np.isnan(one.expected[1][some.valid[1]]).all() and one.distribution is None
    assert one.missing == {"the answer has the wrong number of tokens": int(some.valid[1].sum())}
    lines = Answers(lambda request: Answer("\n".join(f"{t}\t3" for t in pieces_of(some)[0])))
    np.testing.assert_allclose(
        JsonSimulator(lines, form="lines").simulate(explanation(), some).expected[0][some.valid[0]], 3
    )
    assert lines.asked[0].schema is None


def test_behind_a_cache_and_a_ledger_it_is_still_the_model_in_this_process():
    from glossator.language_models import open_language_model

    model = model_of()
    opened = open_language_model(model)
    assert in_process_model(opened) is model
    some = windows()
    direct = AllAtOnceSimulator(model).simulate(explanation(), some)
    np.testing.assert_array_equal(AllAtOnceSimulator(opened).simulate(explanation(), some).expected, direct.expected)
    assert opened.ledger.total().prompt_tokens > 4 * some.lengths.sum()


@pytest.mark.parametrize("simulator", [AllAtOnceSimulator, OneAtATimeSimulator])
def test_attention_without_the_kernel_of_torch(simulator, monkeypatch):
    model, some = model_of(), windows(texts=TEXTS[:2])
    with_kernel = simulator(model).simulate(explanation(), some).expected
    monkeypatch.setattr(in_process_attention, "_ON_CPU", "no_such_kernel")
    plainly = simulator(model)
    assert plainly.in_process.prefix.is_shared
    np.testing.assert_allclose(plainly.simulate(explanation(), some).expected, with_kernel, atol=1e-4)


def test_a_model_that_takes_no_masks_gets_whole_prompts():
    model, some = model_of(), windows(texts=TEXTS[:2])
    shared = AllAtOnceSimulator(model).simulate(explanation(), some).expected
    model.model.config._attn_implementation = "eager"
    model.takes_masks = False
    whole = AllAtOnceSimulator(model)
    assert not whole.in_process.prefix.is_shared and OneAtATimeSimulator(model).in_process is None
    np.testing.assert_allclose(whole.simulate(explanation(), some).expected, shared, atol=1e-4)


def test_the_model_is_left_as_it_was():
    model = model_of()
    before = model.model.config._attn_implementation
    AllAtOnceSimulator(model).simulate(explanation(), windows())
    assert model.model.config._attn_implementation == before
    with pytest.raises(ValueError, match="softcap"):
        in_process_attention.attend(None, *[torch.ones(1, 1, 1, 1)] * 3, None, softcap=30.0)


def test_tokens_without_a_value_give_no_score():
    from glossator.scorers.lab import Lab, score_explanation
    from scorer_cases import LEXICON, UNIT, TokenWorld

    class Gaps(Simulator):
        def __init__(self, gap: bool):
            self.gap = gap

        def simulate(self, explanation, windows, grid=None):
            expected = (windows.tokens % 7).astype(float)
            if self.gap:
                expected[:, 0] = np.nan
            return Simulation(expected, "0..10", missing={"the model refused to answer": len(windows)})

    evidence = TokenWorld().evidence()
    whole, gaps = (
        score_explanation(UNIT, explanation(), evidence, Lab(LEXICON, simulator=Gaps(gap)), ["correlation"])
        for gap in (False, True)
    )
    assert all(score.value is not None for score in whole)
    assert [score.value for score in gaps] == [None] and "refused" in gaps[0].reason


def test_the_benchmark_measures_what_it_says(tmp_path):
    big("llama").save_pretrained(tmp_path)
    byte_level_tokenizer().save_pretrained(tmp_path)
    options = {"quick": True, "model": str(tmp_path), "width": 16, "windows": 4}
    found = registry.load("benchmarks", "simulation")(options)
    assert set(found["layouts"]) == {"lm-one-at-a-time", "lm-all-at-once"}
    for layout in found["layouts"].values():
        assert layout["ratio"] > 0 and layout["floor"] > 0
        seconds = {task: layout["seconds"][task][0][0] for task in ("bare", "layout", "simulate")}
        assert layout["ratio"] == pytest.approx(seconds["bare"] / seconds["simulate"])
        assert layout["floor"] == pytest.approx(seconds["bare"] / seconds["layout"])
        assert layout["distance"] == pytest.approx(layout["ratio"] / layout["floor"])
    assert found["ratio"] == found["layouts"]["lm-one-at-a-time"]["ratio"]
    # A tab as a branch at every token; a tab, `unknown` and a line break at every token.
    assert found["layouts"]["lm-one-at-a-time"]["simulator_tokens_per_token"] >= 2
    assert found["layouts"]["lm-all-at-once"]["simulator_tokens_per_token"] >= 4
    assert found["tokens"] == 64
    with pytest.raises(UserError, match="unknown option"):
        registry.load("benchmarks", "simulation")({"window": 3})


def test_registered():
    for name in ("lm-all-at-once", "lm-one-at-a-time", "lm-json"):
        assert registry.load("simulators", name)(model_of()).prompt
    assert SharedPrefix(model_of(), [1, 2]).is_shared


@pytest.mark.slow
def test_smollm2_reads_a_record(smollm2):
    """Real weights: in process as through requests, where the answer hangs on the explanation."""
    model = InProcess.of_subject(smollm2)
    text = " The farm had twenty cows, three hens and a dog."
    row = smollm2.tokenizer.encode([text])[0][None]
    ids = np.zeros(1, np.int64)
    some = TokenWindows(
        row, np.array([row.shape[1]], np.int32), np.ones_like(row, bool), ids, ids, smollm2.tokenizer.vocabulary
    )
    for simulator in (AllAtOnceSimulator, OneAtATimeSimulator):
        here = simulator(model).simulate(explanation("numbers and words for amounts"), some)
        there = simulator(Served(model), top=3000).simulate(explanation("numbers and words for amounts"), some)
        assert not there.missing
        np.testing.assert_allclose(here.expected, there.expected, atol=1e-3)
        other = simulator(model).simulate(explanation("names of rivers"), some)
        assert np.abs(other.expected - here.expected).max() > 0.1
