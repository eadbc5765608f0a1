"""Hypotheses: planted differences hold on the other half, shuffled labels give nothing, near-duplicates do not leak."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from glossator.cli import main
from glossator.corpora.labelled import LabelledTexts, open_labelled
from glossator.errors import UserError
from glossator.fitting.hypotheses import beside_words, chosen, halves, near_duplicates, on_test_half
from test_classify import topic_rows


def labelled(n: int = 240, seed: int = 0) -> LabelledTexts:
    rng = np.random.default_rng(seed)
    texts = tuple(" ".join(rng.choice(["a", "b", "c", "d", "e"], 10)) + f" {i}" for i in range(n))
    return LabelledTexts(texts, np.arange(n) % 2, ("first", "second"), np.arange(n), {})


def values(texts: LabelledTexts, features: int = 60, seed: int = 1) -> np.ndarray:
    """Features 3 and 7 differ between the sets, in opposite directions."""
    found = np.random.default_rng(seed).normal(size=(len(texts), features)).astype(np.float32)
    found[:, 3] += 1.5 * texts.labels
    found[:, 7] -= 1.2 * texts.labels
    return found


@pytest.mark.parametrize("how", ["lasso", "effect"])
def test_planted_differences_are_found_and_tested(how: str):
    texts = labelled()
    split, given = halves(texts), values(texts)
    picked = chosen(given, texts, split, 6, how)  # type: ignore[arg-type]
    assert {3, 7} <= {feature for feature, _ in picked[:3]}
    found = {one.feature: one for one in on_test_half(given, picked, texts, split)}
    assert found[3].effect.value > 0.5 and found[7].effect.value < -0.4 and max(found[3].q, found[7].q) < 0.01
    assert found[3].effect.low < found[3].effect.value < found[3].effect.high
    others = [one for feature, one in found.items() if feature not in (3, 7)]
    assert all(one.q > 0.05 for one in others), "what was chosen by chance does not hold on the other half"
    beside = beside_words(given, [feature for feature, _ in picked], texts, split)
    assert beside["accuracy"].value > beside["baselines"]["bag of words"] + 0.1


def test_an_accuracy_of_all_has_an_interval():
    texts = labelled(160)
    given = texts.labels[:, None].astype(np.float32) + np.linspace(0, 0.1, 160, dtype=np.float32)[:, None]
    accuracy = beside_words(given, [0], texts, halves(texts))["accuracy"]
    assert accuracy.value == accuracy.high == 1.0 and 0.9 < accuracy.low < 1.0


def test_shuffled_labels_give_nothing():
    significant, texts = 0, labelled()
    for seed in range(20):
        shuffled = replace(texts, labels=np.random.default_rng(seed).permutation(texts.labels))
        given = np.random.default_rng(100 + seed).normal(size=(len(texts), 60))
        split = halves(shuffled, seed)
        found = on_test_half(given, chosen(given, shuffled, split, 10, "effect"), shuffled, split)
        significant += sum(one.q <= 0.05 for one in found)
    assert significant <= 4, "of 200"


def test_near_duplicates_are_of_one_half():
    texts = labelled(120)
    long = [" ".join(f"w{i}x{j}" for j in range(20)) for i in range(60)]
    pairs = tuple(f"{long[i // 2]} {'again' if i % 2 else 'once'} {i}" for i in range(120))
    texts = replace(texts, texts=pairs, labels=(np.arange(120) // 2) % 2)
    groups = near_duplicates(texts)
    assert len(set(groups.tolist())) == 60 and (groups[::2] == groups[1::2]).all()
    split = halves(texts)
    assert not set(groups[split.choose]) & set(groups[split.test])
    assert abs(len(split.choose) - len(split.test)) <= 4
    joined = near_duplicates(replace(texts, groups=np.arange(120) // 4))
    assert len(set(joined.tolist())) == 30, "groups of a column and shared runs are joined"


def test_a_feature_without_differences_has_no_effect():
    texts = labelled()
    split, given = halves(texts), values(texts)
    given[:, 5] = 2.0
    (one,) = on_test_half(given, [(5, 0.0)], texts, split)
    assert one.effect.value is None and one.q is None and "same for all" in one.effect.reason


def test_what_cannot_be_compared_is_said():
    texts = labelled()
    with pytest.raises(UserError, match="two sets"):
        halves(replace(texts, labels=np.arange(240) % 3, names=("a", "b", "c")))
    with pytest.raises(UserError, match="too few different texts"):
        halves(labelled(30))
    with pytest.raises(UserError, match="unknown way"):
        chosen(values(texts), texts, halves(texts), 3, "luck")  # type: ignore[arg-type]


@pytest.mark.slow
def test_on_the_command_line(tmp_path: Path, tiny_folder: Path, capsys: pytest.CaptureFixture):
    file = tmp_path / "topics.jsonl"
    file.write_text("\n".join(map(json.dumps, topic_rows(160))))
    model = ["--subject", str(tiny_folder), "--site", "mlp.1", "--candidates", "4", "--out", str(tmp_path / "h")]
    assert main(["hypotheses", str(file), *model, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["sets"] == ["animals", "code"] and len(told["hypotheses"]) == 4 and told["significant"] >= 2
    assert all("headline" in one for one in told["hypotheses"])
    assert (tmp_path / "h" / "hypotheses.json").exists()
    assert main(["hypotheses", str(file), *model, "--no-explain", "--labels", "code,animals"]) == 0
    assert "Units that separate animals" in capsys.readouterr().out
    kept = (tmp_path / "h" / "hypotheses.json").read_bytes()
    for arguments, said in (
        ([str(file), *model, "--per-label", "60"], "holds another study"),
        ([str(file), "--labels", "code,cats"], "no such label"),
        ([str(file), "--subject", str(tiny_folder)], "no units are named"),
        ([str(file), *model, "--choose", "luck"], "unknown way"),
        (["none.csv", *model], "no such file"),
    ):
        assert main(["hypotheses", *arguments]) == 2
        assert said in capsys.readouterr().err
    assert (tmp_path / "h" / "hypotheses.json").read_bytes() == kept
    assert len(open_labelled(file)) == 160
