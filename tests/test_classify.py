"""Linear classifiers on latents: the optimum, planted latents among the largest coefficients, files and refusals."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from glossator.cli import main
from glossator.corpora.labelled import open_labelled
from glossator.errors import UserError
from glossator.fitting.classifying import bag_of_words, classify, features_of
from glossator.fitting.logistic import fit, path
from glossator.readouts.dictionary import Dictionary
from glossator.subjects import load_subject
from study_cases import write_corpus

TOPICS = {"animals": ("fox", "dogs", "jumps"), "code": ("return", "1987", "(a, b):")}


def topic_rows(number: int = 60, seed: int = 0) -> list[dict[str, str]]:
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(number):
        label = list(TOPICS)[i % 2]
        words = [*rng.choice(["the", "over", "lazy", "in", "cannery"], 12), *rng.choice(TOPICS[label], 5)]
        rows.append({"text": " ".join(rng.permutation(words)) + f" {i}", "label": label, "from": f"s{i // 2}"})
    return rows


@pytest.fixture(scope="module")
def labelled_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("labelled") / "topics.jsonl"
    place.write_text("\n".join(map(json.dumps, topic_rows())))
    return place


@pytest.mark.parametrize("penalty", ["l1", "l2"])
def test_fits_are_optimal(penalty: str) -> None:
    """The gradient of the cross-entropy is that of the penalty, and within it where a coefficient is 0."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(200, 20)) * rng.uniform(0.1, 5, 20) + 1
    features[:, 7] = 3.0  # never varies
    labels = np.argmax(3 * features[:, :3] / features[:, :3].std(0) + rng.normal(size=(200, 3)), axis=1)
    for found in path(features, labels, 3, penalty):  # type: ignore[arg-type]
        scaled = features * np.where(found.scale > 0, 1 / np.where(found.scale > 0, found.scale, 1), 0)
        logits = scaled @ found.weights + found.bias
        chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        slope = scaled.T @ (chances - np.eye(3)[labels]) / 200
        if penalty == "l2":
            np.testing.assert_allclose(slope + found.strength * found.weights, 0, atol=2e-3)
        else:
            on = found.weights != 0
            np.testing.assert_allclose(slope[on], -found.strength * np.sign(found.weights[on]), atol=2e-3)
            assert np.abs(slope[~on]).max(initial=0) <= found.strength + 2e-3
        assert (found.weights[7] == 0).all()
        np.testing.assert_allclose((chances - np.eye(3)[labels]).mean(0), 0, atol=2e-3)
    chosen = fit(features, labels, np.arange(200), penalty)  # type: ignore[arg-type]
    assert (chosen.predict(features) == labels).mean() > 0.7
    assert np.abs(chosen.contrasts[:3]).max() > np.abs(chosen.contrasts[3:]).max()


def planted_dictionary(tiny_folder: Path, latents: int = 200, place: int = 117) -> Dictionary:
    """Random unit rows but one, which points from one topic's tokens to the other's, as other texts have them."""
    subject = load_subject(str(tiny_folder))
    rows = topic_rows(80, seed=9)
    nothing = Dictionary(
        name="sae", reads_at="resid.1", writes_at="resid.1", encoder=torch.eye(32), encoder_bias=torch.zeros(32),
        decoder=torch.eye(32), decoder_bias=torch.zeros(32),
    )  # fmt: skip
    sites = features_of(subject, nothing, tuple(row["text"] for row in rows), 64)[1]
    is_code = np.array([row["label"] == "code" for row in rows])
    planted = torch.from_numpy(sites[is_code].mean(0) - sites[~is_code].mean(0))
    encoder = torch.randn((latents, 32), generator=torch.Generator().manual_seed(1))
    encoder[place] = planted
    encoder = encoder / encoder.norm(dim=1, keepdim=True)
    centre = torch.from_numpy(sites.mean(0))
    return Dictionary(
        name="sae", reads_at="resid.1", writes_at="resid.1", encoder=encoder, encoder_bias=torch.zeros(latents),
        decoder=encoder, decoder_bias=centre, centre=centre, activation="relu",
    )  # fmt: skip


@pytest.mark.parametrize("penalty", ["l1", "l2"])
def test_the_planted_latent_is_among_the_largest(penalty: str) -> None:
    """300 sparse latents, of which one has a little more in texts of the topic."""
    rng = np.random.default_rng(5)
    labels = rng.integers(2, size=300)
    latents = rng.exponential(size=(300, 300)) * (rng.random((300, 300)) < 0.2)
    latents[:, 117] += 1.5 * labels * (rng.random(300) < 0.8)
    texts = open_labelled_of([{"text": f"{i} the fox", "label": f"topic {label}"} for i, label in enumerate(labels)])
    found = classify(texts, latents, rng.normal(size=(300, 8)), penalty)  # type: ignore[arg-type]
    (planted,) = [row for row in found.largest(25) if row["latent"] == 117]
    assert planted["label"] == "topic 1" and planted["coefficient"] > 0 and planted == found.largest(1)[0]
    assert found.over["embeddings"].value > 0.1 and found.over["embeddings"].low > 0


def test_a_planted_direction_of_a_model_decides(tiny_folder: Path, labelled_file: Path) -> None:
    subject, made = load_subject(str(tiny_folder)), planted_dictionary(tiny_folder)
    texts = open_labelled(labelled_file)
    found = classify(texts, *features_of(subject, made, texts.texts, 64))
    (planted,) = [row for row in found.largest(25) if row["latent"] == 117]
    assert planted["label"] == "code" and planted["coefficient"] > 0
    assert found.accuracy.value >= 0.8 and found.accuracy.low < 0.95
    assert set(found.baselines) == {"most frequent", "bag of words", "embeddings"}
    assert found.over["most frequent"].value > 0 and found.baselines["bag of words"] == 1.0
    assert found.train + found.test == 60


def test_labels_that_mean_nothing_are_not_learnt(tiny_folder: Path) -> None:
    rng = np.random.default_rng(3)
    texts = open_labelled_of([{"text": f"{i} the fox", "label": str(rng.integers(2))} for i in range(200)])
    found = classify(texts, rng.normal(size=(200, 50)), rng.normal(size=(200, 8)))
    assert 0.3 < found.accuracy.value < 0.7 and not found.over["most frequent"].value > 0.15


def open_labelled_of(rows: list[dict[str, str]]):
    from glossator.corpora.labelled import LabelledTexts

    names = tuple(sorted({row["label"] for row in rows}))
    labels = np.array([names.index(row["label"]) for row in rows])
    return LabelledTexts(tuple(row["text"] for row in rows), labels, names, np.arange(len(rows)), {})


def test_files_say_the_same_in_every_format(labelled_file: Path, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = topic_rows()
    with (tmp_path / "t.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["text", "label", "from"])
        writer.writeheader()
        writer.writerows(rows)
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "t.parquet")
    first = open_labelled(labelled_file)
    for place in (tmp_path / "t.csv", tmp_path / "t.parquet"):
        other = open_labelled(place)
        assert other.texts == first.texts and other.names == first.names == ("animals", "code")
        np.testing.assert_array_equal(other.labels, first.labels)
    grouped = open_labelled(labelled_file, group="from")
    assert len(set(grouped.groups)) == 30 and len(set(first.groups)) == 60
    assert len(open_labelled(labelled_file, most=12)) == 24
    embedded = open_labelled("embedded:kind", most=12)
    assert {"code", "speech", "dictionary"} <= set(embedded.names) and embedded.left_out == {
        "language-ar": 9, "language-el": 6, "language-hi": 5
    }  # fmt: skip
    words = bag_of_words(["The fox, the dog", "the fox"])
    np.testing.assert_allclose(np.sort(words("THE the fox cat")), np.log1p([1, 2]))


def test_words_are_the_same_in_every_process() -> None:
    code = """
import random
from glossator.fitting.classifying import bag_of_words
rng = random.Random(0)
texts = [" ".join(f"w{rng.randrange(6000)}" for _ in range(200)) for _ in range(60)]
print(bag_of_words(texts)(" ".join(f"w{i}" for i in range(3000))).tolist())
"""
    told = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(told) == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"text": "a", "label": "x"}', "fewer than two labels have 10 texts"),
        ('{"text": "a"}', "row 1 of t.jsonl has no column of this name: 'label'"),
        ("[1]", "line 1 of t.jsonl is no JSON object"),
        ("{", "line 1 of t.jsonl is no JSON object"),
    ],
)
def test_bad_files_are_refused(content: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text(content)
    with pytest.raises(UserError, match=words):
        open_labelled(tmp_path / "t.jsonl")
    for name, what in (("embedded:topic", "no such labels"), (tmp_path / "no.csv", "no such file")):
        with pytest.raises(UserError, match=what):
            open_labelled(name)


def test_the_command_classifies_and_explains(tiny_folder: Path, labelled_file: Path, tmp_path: Path, capsys) -> None:
    corpus = write_corpus(tiny_folder.parent / "corpus.jsonl")
    planted_dictionary(tiny_folder).save(tmp_path / "sae")
    command = ["classify", str(labelled_file), "--dictionary", str(tmp_path / "sae"), "--subject", str(tiny_folder)]
    command += ["--corpus", str(corpus), "--tokens", "6000", "--out", str(tmp_path / "out")]
    assert main([*command, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["accuracy"]["value"] >= 0.8 and told["labels"] == ["animals", "code"]
    rows = told["coefficients"]
    assert 117 in [row["latent"] for row in rows] and all({"headline", "correlation"} <= set(row) for row in rows)
    assert any(row["headline"] for row in rows) and "Named(" not in str(rows)
    assert json.loads((tmp_path / "out" / "classify.json").read_text())["coefficients"] == rows
    assert main(command) == 0  # the study is there
    said = capsys.readouterr().out
    assert "held-out texts of 2 labels" in said and "bag of words 1.00" in said and "117" in said
    assert main([*command[:3], "nowhere", *command[4:]]) == 2
    assert main([*command, "--penalty", "l3"]) == 2
    assert "unknown penalty" in capsys.readouterr().err


def test_texts_that_are_nearly_copies_stay_together(tmp_path: Path) -> None:
    """A word is changed, or something is written before: else the classifier has seen what it is tested on."""
    rng = np.random.default_rng(0)
    footer = [f"f{n}" for n in range(20)]
    rows = []
    for i in range(24):
        words = [f"w{n}" for n in rng.integers(0, 500, 60)]
        changed = [*words[:30], "another", *words[31:]]
        for text in (words, changed, ["forwarded", "by", "me", *words, *words[:3]]):
            rows.append({"text": " ".join([*text, *footer]), "label": f"label {i % 2}", "from": f"row {len(rows)}"})
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + chr(10) for row in rows))
    for group in (None, "from"):
        groups = open_labelled(path, group=group).groups
        assert len(set(groups)) == 24 and all(len(set(groups[i : i + 3])) == 1 for i in range(0, 72, 3))


def test_labels_that_are_missing_are_no_label_and_numbers_are_written_as_numbers(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    stars = [1.0, 5.0, None, float("nan")] * 15
    pq.write_table(pa.table({"text": [f"text {i}" for i in range(60)], "label": stars}), tmp_path / "t.parquet")
    assert open_labelled(tmp_path / "t.parquet").names == ("1", "5")
    lines = [f"text {i},{label}" for i, label in enumerate(["1", "5", "", " "] * 15)]
    (tmp_path / "t.csv").write_text("\n".join(["text,label", *lines, "short"]), encoding="utf-8-sig")
    found = open_labelled(tmp_path / "t.csv")
    assert found.names == ("1", "5") and len(found) == 30 and not found.left_out
    (tmp_path / "t.jsonl").write_text(
        "".join(json.dumps({"text": f"text {i}", "label": 1, "from": None}) + "\n" for i in range(20))
        + "".join(json.dumps({"text": f"other {i}", "label": 5.0, "from": None}) + "\n" for i in range(20))
    )
    found = open_labelled(tmp_path / "t.jsonl", group="from")
    assert found.names == ("1", "5") and len(set(found.groups)) == 40
