"""Sets of directions: what they refuse, their values, on disk, and where they come from."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from direction_cases import PlantedSubject, planted_values, planted_vectors
from glossator.errors import UserError
from glossator.fitting import (
    SiteValues,
    difference_of_means,
    linear_probe,
    principal_directions,
    random_directions,
    text_vectors,
)
from glossator.fitting.sources import centre_and_covariance
from glossator.readouts import DirectionSet, direction_set, load_directions
from glossator.units import Unit


@pytest.fixture(scope="module")
def values(tmp_path_factory: pytest.TempPathFactory) -> SiteValues:
    return planted_values(tmp_path_factory.mktemp("planted") / "r")


def two(**changes) -> DirectionSet:
    return direction_set(**{"name": "mine", "site": "mlp.0", "vectors": [[3.0, 4.0], [0.0, -2.0]], **changes})


def test_values_are_distances_from_the_centre_along_unit_vectors() -> None:
    directions = two(centre=[1.0, 1.0], subject="s")
    np.testing.assert_allclose(directions.vectors, [[0.6, 0.8], [0, -1]], atol=1e-7)
    np.testing.assert_allclose(directions.values(np.array([[2.0, 1.0], [1.0, 0.0]])), [[0.6, 0], [-0.8, 1]], atol=1e-6)
    assert directions.unit(1, "-") == Unit("s", "mine@mlp.0", 1, "-") and directions.width == 2
    assert directions.largest_cosine() == pytest.approx(0.8)
    assert directions.take([0]).largest_cosine() is None


def test_a_set_comes_back_from_disk_as_it_was(tmp_path: Path) -> None:
    directions = two(centre=[1.0, 1.0], subject="s", made={"method": "given", "n": 2})
    back = load_directions(directions.save(tmp_path / "a"), site="mlp.0", subject="s")
    assert back.fingerprint == directions.fingerprint and dict(back.made) == {"method": "given", "n": 2}
    assert (back.vectors == directions.vectors).all() and (back.centre == directions.centre).all()
    again = directions.save(tmp_path / "b")
    for name in ("directions.safetensors", "directions.json"):
        assert (again / name).read_bytes() == (tmp_path / "a" / name).read_bytes()
    for wrong in ({"site": "mlp.1"}, {"subject": "t"}):
        with pytest.raises(UserError, match="belong to another"):
            load_directions(tmp_path / "a", **wrong)


def test_a_damaged_or_missing_set_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no directions here"):
        load_directions(tmp_path)
    folder = two().save(tmp_path)
    stored = json.loads((folder / "directions.json").read_text())
    two(vectors=[[1.0, 0.0]]).save(folder)
    (folder / "directions.json").write_text(json.dumps(stored))
    with pytest.raises(UserError, match="differ from those that were saved"):
        load_directions(folder)
    (folder / "directions.safetensors").write_bytes(b"no")
    with pytest.raises(UserError, match="cannot be read"):
        load_directions(folder)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "a@b"}, "bad name"),
        ({"site": "x@mlp.0"}, "bad site"),
        ({"vectors": [[0.0, 0.0]]}, "length 0"),
        ({"vectors": [[np.nan, 0.0]]}, "not finite"),
        ({"vectors": np.zeros((0, 2))}, "wrong shape"),
        ({"centre": [1.0]}, "wrong shape"),
        ({"vectors": "no"}, "not numbers"),
    ],
)
def test_what_no_set_can_be(changes: dict, words: str) -> None:
    with pytest.raises(UserError, match=words):
        two(**changes)


def test_vectors_of_another_norm_and_width_are_refused(values: SiteValues) -> None:
    with pytest.raises(UserError, match="not have norm 1"):
        DirectionSet("x", "mlp.0", np.array([[2.0, 0.0]]), np.zeros(2))
    with pytest.raises(UserError, match="width"):
        two().values(np.zeros((3, 5)))
    with pytest.raises(UserError, match="width"):
        values.project(two())
    with pytest.raises(UserError, match="another site"):
        values.project(two(site="mlp.3"))
    with pytest.raises(UserError, match="no such direction"):
        two().unit(2)


def test_difference_of_means_points_from_one_group_to_the_other() -> None:
    rng = np.random.default_rng(0)
    low = rng.normal(size=(20, 5))
    found = difference_of_means("d", "mlp.0", low + np.array([0, 2, 0, 0, 0]), low)
    np.testing.assert_allclose(found.vectors[0], [0, 1, 0, 0, 0], atol=1e-6)
    np.testing.assert_allclose(found.values(low.mean(axis=0)), [-1], atol=1e-5)


@pytest.mark.parametrize("make", [difference_of_means, linear_probe])
def test_groups_that_cannot_be_compared(make) -> None:
    good = np.random.default_rng(0).normal(size=(8, 3))
    with pytest.raises(UserError, match="positive group is empty"):
        make("d", "mlp.0", np.zeros((0, 3)), good)
    with pytest.raises(UserError, match="different widths"):
        make("d", "mlp.0", good, np.zeros((8, 4)))
    with pytest.raises(UserError, match=r"same mean|zero variance"):
        make("d", "mlp.0", np.ones((8, 3)), np.ones((8, 3)))
    with pytest.raises(UserError, match="not finite"):
        make("d", "mlp.0", good * np.nan, good)


@pytest.mark.parametrize("loss", ["logistic", "ridge"])
def test_probes_find_what_tells_groups_apart_and_say_how_well(loss) -> None:
    rng = np.random.default_rng(0)
    scales = np.array([1.0, 30.0, 0.2, 1.0])
    groups = [rng.normal(size=(200, 4)) * scales + 5 + np.array([0, 0, shift, 0]) for shift in (0.5, -0.5)]
    found = linear_probe("p", "mlp.0", *groups, loss=loss, penalty=0.01)
    assert abs(found.vectors[0, 2]) > 0.98 and found.made["held_out"] == [50, 50]
    assert found.made["held_out_accuracy"] > 0.97
    assert (found.values(groups[0]) > 0).mean() > 0.97 and (found.values(groups[1]) < 0).mean() > 0.97
    same = linear_probe("p", "mlp.0", *groups, loss=loss, penalty=0.01)
    assert same.fingerprint == found.fingerprint


def test_a_probe_of_chance_has_chance_accuracy_on_what_it_did_not_see() -> None:
    rng = np.random.default_rng(0)
    found = linear_probe("p", "mlp.0", rng.normal(size=(200, 300)), rng.normal(size=(200, 300)), penalty=1e-4)
    assert 0.3 < found.made["held_out_accuracy"] < 0.7


def test_ridge_gives_the_same_by_rows_and_by_columns() -> None:
    rng = np.random.default_rng(0)
    wide = [rng.normal(size=(10, 40)) + shift for shift in (0.5, 0)]
    ours = linear_probe("p", "mlp.0", *wide, loss="ridge", held_out=0.1)
    doubled = linear_probe("p", "mlp.0", *[np.tile(g, (10, 1)) for g in wide], loss="ridge", held_out=0.1)
    assert ours.vectors.shape == doubled.vectors.shape  # more rows than columns now, and of about the same direction
    assert float(ours.vectors[0] @ doubled.vectors[0]) > 0.8


def test_probe_settings() -> None:
    groups = [np.random.default_rng(i).normal(size=(8, 3)) for i in (0, 1)]
    with pytest.raises(UserError, match="unknown loss"):
        linear_probe("p", "mlp.0", *groups, loss="hinge")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="too few texts"):
        linear_probe("p", "mlp.0", groups[0][:3], groups[1])
    with pytest.raises(UserError, match="bad settings"):
        linear_probe("p", "mlp.0", *groups, held_out=1.0)


def test_principal_directions_are_those_of_the_explain_split(values: SiteValues) -> None:
    found = principal_directions("pca", values, 3)
    tokens = values.tokens("explain").astype(np.float64)
    covariance = np.cov(tokens, bias=True)
    np.testing.assert_allclose(found.centre, tokens.mean(axis=1), atol=1e-4)
    spread = np.array([v @ covariance @ v for v in found.vectors.astype(np.float64)])
    largest = np.linalg.eigvalsh(covariance)[::-1][:3]
    np.testing.assert_allclose(spread, largest, rtol=1e-4)
    np.testing.assert_allclose(found.made["variance"], largest / np.trace(covariance), atol=1e-5)
    assert (found.vectors.max(axis=1) >= -found.vectors.min(axis=1)).all()


def test_random_directions_are_seeded_and_of_their_kind(values: SiteValues) -> None:
    def draw(**settings) -> DirectionSet:
        return random_directions("r", values, 200, **settings)

    assert draw().fingerprint == draw().fingerprint != draw(seed=1).fingerprint
    _, covariance = centre_and_covariance(values)
    spreads = [
        np.mean([v @ covariance @ v for v in draw(kind=kind).vectors.astype(float)])
        for kind in ("isotropic", "covariance")
    ]
    assert spreads[0] == pytest.approx(np.trace(covariance) / values.width, rel=0.2) and spreads[1] > 1.5 * spreads[0]
    with pytest.raises(UserError, match="unknown kind"):
        draw(kind="odd")
    with pytest.raises(UserError, match="bad number"):
        random_directions("r", values, 0)


def test_a_site_that_never_varies_is_refused(tmp_path: Path) -> None:
    constant = planted_values(tmp_path / "r", PlantedSubject(spread=0.0), n=60)
    with pytest.raises(UserError, match="zero variance"):
        principal_directions("pca", constant, 2)


def test_texts_become_one_vector_each(tiny_subject) -> None:
    texts = ["one two three", "four", "five six " * 60]
    mean = text_vectors(tiny_subject, "mlp.1", texts)
    last = text_vectors(tiny_subject, "mlp.1", texts, pool="last")
    assert mean.shape == last.shape == (3, 64)
    alone = text_vectors(tiny_subject, "mlp.1", texts[:1])
    np.testing.assert_allclose(alone[0], mean[0], atol=1e-5)
    assert np.abs(mean - last).max() > 1e-3
    for wrong, words in (([], "empty"), (["a", ""], "no valid token")):
        with pytest.raises(UserError, match=words):
            text_vectors(tiny_subject, "mlp.1", wrong)


def test_planted_directions_are_orthogonal() -> None:
    np.testing.assert_allclose(planted_vectors() @ planted_vectors().T, np.eye(2), atol=1e-12)
