"""Topics of explanations: planted groups are told apart, shuffled ones are not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from glossator import registry
from glossator.cli import main
from glossator.corpora import probe_set
from glossator.corpora.wordnet import load_wordnet
from glossator.errors import UserError
from glossator.explainers import Explainer
from glossator.explanations import Explanation, Provenance
from glossator.explorer.shares import share_plot
from glossator.inputs import Texts
from glossator.recording import EvidenceSpec
from glossator.store.topics import _natural, nmf, permuted, terms_of, tf_idf, topics_of
from glossator.study import StudySpec, run_study
from glossator.subjects.functions import FunctionSubject

FOOD = (
    "bread and butter",
    "cooked rice",
    "soup of beans",
    "cheese",
    "meals with meat",
    "fresh fruit",
    "apple pie",
    "milk",
)
ROADS = ("cars on a road", "railway trains", "ships at sea", "a bus", "bicycles", "aircraft", "trucks", "carriages")


class Topical(Explainer):
    """Says of each unit what was planted for its index."""

    reads = frozenset({"texts"})

    def explain(self, evidence, *, n, seed):
        said = planted()[0]
        return [[Explanation(one.unit, said[one.unit.index], Provenance("topical"))] for one in evidence]


def planted(n: int = 24, purity: float = 0.85, seed: int = 0) -> tuple[list[str], list[str]]:
    rng = np.random.default_rng(seed)
    said, groups = [], []
    for group, (own, other) in {"early": (FOOD, ROADS), "late": (ROADS, FOOD)}.items():
        for _ in range(n):
            said.append(str(rng.choice(own if rng.random() < purity else other)))
            groups.append(group)
    return said, groups


def test_planted_topics_are_found_and_their_shares_differ():
    said, groups = planted()
    found = topics_of(said, groups, topics=2)
    assert found.groups == (("early", 24), ("late", 24)) and found.p < 0.01
    by_words = {" ".join(topic.words): topic for topic in found.topics}
    food = next(topic for words, topic in by_words.items() if "about food" in words)
    assert food.q < 0.01 and food.shares[0][0] > 0.5 > 0.25 > food.shares[1][0]
    low, high = food.shares[0][1:]
    assert low < food.shares[0][0] < high and food.example in FOOD
    assert 0.8 < sum(topic.share for topic in found.topics) < 1.000001, "some explanations are in no topic"


def test_shuffled_groups_do_not_differ():
    said, groups = planted()
    rng = np.random.default_rng(1)
    p = [topics_of(said, list(rng.permutation(groups)), topics=2, seed=seed).p for seed in range(12)]
    assert np.mean(np.array(p) < 0.05) <= 2 / 12


def test_permutation_p_is_even_under_the_null():
    rng = np.random.default_rng(2)
    p = [permuted(rng.random((30, 3)), rng.integers(0, 2, 30), seed)[1] for seed in range(40)]
    assert (
        0.25 < np.mean(p) < 0.75 and min(p) > 0.0005 and permuted(rng.random((9, 2)), np.zeros(9, int)) == (None, None)
    )


def test_words_fields_and_weights():
    wordnet = load_wordnet()
    assert terms_of("The breads, and 3 dogs", wordnet) == ["bread", "about food", "dog", "about animal"]
    names, weights = tf_idf([["a", "b"], ["a", "c"], ["c"], [], ["d"]])
    assert names == ["a", "c", "d"] and np.diff(weights.indptr).tolist() == [1, 2, 1, 0, 1]
    np.testing.assert_allclose(np.linalg.norm(weights.toarray(), axis=1), [1, 1, 1, 0, 1])
    loadings, parts = nmf(weights[:3], 2)
    np.testing.assert_allclose(loadings @ parts, weights[:3].toarray(), atol=0.02)


def test_a_plot_has_all_topics_and_escapes_names():
    said, groups = planted()
    plot = share_plot(topics_of(said, ["<b>" if g == "early" else g for g in groups], topics=2), "shares")
    assert plot.startswith("<svg") and "&lt;b&gt;" in plot and "<b>" not in plot and plot.count("q 0.") == 2


def test_groups_in_their_natural_order():
    assert sorted(["mlp.12", "area.5²", "mlp.2"], key=_natural) == ["area.5²", "mlp.2", "mlp.12"]


def test_too_little_is_said():
    with pytest.raises(UserError, match="too few explanations"):
        topics_of(["bread"] * 5, ["a"] * 5)
    with pytest.raises(UserError, match="too few topics"):
        topics_of(["bread"] * 9, ["a"] * 9, topics=1)


def test_a_study_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(registry.BUILT_IN["explainers"], "topical", f"{__name__}:Topical")
    inputs = Texts.of([f"text {n}" for n in range(120)])
    subject = FunctionSubject(lambda texts: np.array([[int(t[5:]) + u for u in range(48)] for t in texts]), "f")
    spec = StudySpec(
        subject="f", sites=("output",), units="all", explainers=("topical",), scorers=("detection",), simulator="name",
        evidence=EvidenceSpec(min_firing_windows=0),
    )  # fmt: skip
    folder = tmp_path / "s"
    run_study(spec, folder, subject=subject, corpus=probe_set(inputs), progress=False)
    assert main(["topics", str(folder), "--topics", "2"]) == 0
    said = capsys.readouterr().out
    assert "topic" in said and (folder / "topics.svg").exists()
    rows = [f"{i},{'v1' if i < 24 else 'v2'}" for i in range(40)]
    (tmp_path / "regions.csv").write_text("\n".join(["unit,group", *rows]))
    given = ["--groups", str(tmp_path / "regions.csv"), "--topics", "2", "--plot", str(tmp_path / "p.svg")]
    assert main(["topics", str(folder), *given, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["without_group"] == 8 and told["topics"]["p"] < 0.05 and (tmp_path / "p.svg").exists()
    wrong = {"--by colour": "bad --by", "--groups none.csv": "cannot be read", "--by layer": "no layer",
             "--method progam": "no unit has an explanation by this method"}  # fmt: skip
    for arguments, error in wrong.items():
        assert main(["topics", str(folder), *arguments.split()]) == 2
        assert error in capsys.readouterr().err
