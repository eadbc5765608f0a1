"""Pages of directions, dictionaries, voxels and topics: their data, and in a browser, on real small studies."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from direction_cases import planted_values
from explorer_cases import assert_legible, page_of, serving, shards_of, until
from glossator.cli import main
from glossator.explorer.export import export_folder
from glossator.explorer.pages.compare import Side, compare
from glossator.explorer.pages.readouts import MOST_STEPS, readouts_page, similarity, thin
from glossator.explorer.pages.study import study_page
from glossator.explorer.pages.voxels import MOST_VOXELS, _shown, voxels_page
from glossator.readouts import load_directions, load_readout
from glossator.readouts.formats import load_dictionary
from glossator.store.study import open_study
from glossator.study import Study, run_study
from study_cases import small_spec, write_corpus
from test_study_store import write_study
from voxel_cases import NOUNS, simulated


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("readouts")


@pytest.fixture(scope="module")
def latents(tiny_folder: Path, place: Path) -> Study:
    """Of a dictionary that was trained here, beside one that was trained on the network with random weights."""
    corpus = write_corpus(tiny_folder.parent / "corpus.jsonl")
    what = ["--subject", str(tiny_folder), "--site", "resid.1", "--latents", "64", "--k", "4", "--batch", "512"]
    text = ["--corpus", str(corpus), "--tokens", "6000", "--width", "32", "--train-tokens", "16000"]
    assert main(["dictionary", "train", *what, *text, "--quiet", "--out", str(place / "sae")]) == 0
    spec = small_spec(
        tiny_folder, sites=("sae@resid.1",), units=8, readouts=(f"dictionary:{place / 'sae'}",),
        scorers=("correlation",), baselines=("lookup", "random-weights"),
    )  # fmt: skip
    found = run_study(spec, place / "latents", progress=False)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def directions(place: Path) -> Study:
    """A study that keeps directions which were found, with the log of the search."""
    recording = planted_values(place / "recording", n=240).recording.folder
    how = ["--site", "mlp.0", "--n", "2", "--starts", "3", "--rounds", "2", "--steps", "8", "--controls", "3"]
    assert main(["directions", "find", str(recording), *how, "--quiet", "--out", str(place / "found")]) == 0
    folder = write_study(place / "directions")
    shutil.copytree(place / "found", folder / "readouts" / "directions" / "found@mlp.0")
    return open_study(folder)


@pytest.fixture(scope="module")
def voxels(place: Path, tiny_folder: Path) -> Study:
    rng, words = np.random.default_rng(0), [*NOUNS, "the", "of", "saw", "old", "near", "was", "grey", "wide"]
    lines = [json.dumps({"text": " ".join(rng.choice(words, 30))}) for _ in range(80)]
    (place / "words.jsonl").write_text("\n".join(lines))
    simulated(runs=5, seconds=200.0, null=3).scans.save(place / "story.npz")
    fit = ["voxels", "fit", str(place / "story.npz"), "--subject", str(tiny_folder), "--site", "resid.1"]
    assert main([*fit, "--out", str(place / "v")]) == 0
    spec = small_spec(
        tiny_folder, sites=("v@resid.1",), units="all", readouts=(f"voxels:{place / 'v'}",), polarities=("±",),
        corpus=str(place / "words.jsonl"), scorers=("correlation",), baselines=("lookup",),
    )  # fmt: skip
    found = run_study(spec, place / "voxels", progress=False)
    assert found is not None
    return found


def test_a_training_is_shown_as_it_was_noted(latents: Study, place: Path) -> None:
    assert study_page(latents).pages == ["readouts"]
    (told,) = readouts_page(latents).readouts
    log = json.loads((place / "sae" / "training.json").read_text())
    training = told.training
    assert training.steps == [*range(1, log["steps"] + 1)] and told.studied == 8 and told.width == 64
    for name in ("fvu", "l0", "dead_share"):
        assert getattr(training, name) == pytest.approx(log[f"{name}_of_batches"], rel=1e-3)
    assert training.l0[-1] == pytest.approx(4, abs=0.5)
    held = log["held_out"]
    assert training.held["fvu"] == pytest.approx(held["fvu"], rel=1e-3)
    assert training.held["components_fvu"] < 1 and training.held["loss, zero"] > 0
    assert sum(training.density.counts) + training.silent == 64
    assert training.silent == pytest.approx(64 * held["silent_share"])
    assert told.beside.steps == training.steps and told.beside.held["fvu"] != training.held["fvu"]
    assert told.density.n == 8 and sum(told.density.counts) <= 8
    shutil.move(place / "sae", place / "elsewhere")  # the study keeps its own copy
    try:
        assert readouts_page(latents).readouts[0] == told
    finally:
        shutil.move(place / "elsewhere", place / "sae")


def test_latents_of_dictionaries_that_were_trained_apart_are_not_paired(latents: Study) -> None:
    own = compare(Side(latents), Side(latents))
    assert own.paired == own.a.n and own.difference.value == 0
    with open_study(latents.folder / "random-weights") as random:
        found = compare(Side(latents), Side(random))
    assert found.a == own.a and found.b.n > 0
    assert (found.paired, found.units, found.difference.value) == (0, [], None) and found.difference.reason


def test_likeness_is_that_of_the_decoder(latents: Study, place: Path) -> None:
    rows = load_dictionary(place / "sae", site="resid.1").decoder.numpy()
    (told,) = readouts_page(latents).readouts
    cosine = np.abs(rows @ rows.T) / np.outer(*[np.linalg.norm(rows, axis=1)] * 2)
    np.fill_diagonal(cosine, -1)
    edges = told.similarity.units.edges
    assert told.similarity.units.counts == np.histogram(cosine.max(axis=1), edges)[0].tolist()
    assert told.similarity.largest == pytest.approx(cosine.max(), rel=1e-3)
    assert cosine[tuple(told.similarity.pair)] == pytest.approx(cosine.max(), rel=1e-5)
    assert sum(told.similarity.random.counts) == 64
    assert similarity(rows[:1]) is None and similarity(None) is None


def test_principal_components_are_the_control_of_a_dictionary() -> None:
    import torch

    from glossator.fitting.dictionary_measures import densities, unexplained

    rng = np.random.default_rng(0)
    values = rng.normal(size=(500, 6)) * [8, 4, 2, 1, 1, 1] + 3
    variances = np.linalg.svd(values - values.mean(0), compute_uv=False) ** 2
    told = torch.from_numpy(values)
    found = unexplained(told.T @ told, told.sum(0), 500, 2)
    assert found == pytest.approx(variances[2:].sum() / variances.sum())
    assert unexplained(0.0, told.sum(0), 500, 2) is None
    found = densities(np.array([0, 1, 1000, 1000]), 1000)
    assert found["silent"] == 1 and sum(found["counts"]) == 3 and found["counts"][0] == 1 and found["counts"][-1] == 2


def test_long_curves_are_thinned_by_means() -> None:
    curve = [float(i) for i in range(10 * MOST_STEPS)]
    steps, (thinned, nothing) = thin([curve, [None] * len(curve)])
    assert len(thinned) == MOST_STEPS and np.mean(thinned) == pytest.approx(np.mean(curve), rel=1e-3)
    assert steps[-1] == len(curve) and set(nothing) == {None}
    assert thin([[], []]) == ([], [[], []])


def test_a_search_is_shown_with_its_controls(directions: Study, place: Path) -> None:
    (told,) = readouts_page(directions).readouts
    search, log = told.search, json.loads((place / "found" / "search.json").read_text())
    rows = json.loads((place / "found" / "explanations.json").read_text())
    assert len(search.paths) == 3 and {len(path) for path in search.paths} == {3}
    assert told.facts[1] == ("method", "found") and told.training is None
    for one, row in zip(search.kept, rows, strict=True):
        assert (one.start, one.round, one.text) == (row["start"], row["round"], row["explanation"])
        path = search.paths[one.start]
        assert one.select == path[one.round].select == max(r.select for r in path if r.select is not None)
        value = row["scores"][0]["value"]
        assert one.test == (None if value is None else pytest.approx(value, rel=1e-3))
        assert set(one.baselines) == {"lookup", "token-list", "mismatched"}
        assert all(set(r.after) == {"explain", "select"} for r in path[:-1]) and path[-1].after == {}
    assert [group.name for group in search.groups] == ["found", "principal", "random", "random, covariance"]
    assert all(len(group.values) == 3 for group in search.groups[1:]) and log["restarted"] == search.restarted
    assert told.similarity.units.n == len(load_directions(place / "found")) == 2


def test_what_is_damaged_is_said(directions: Study, tmp_path: Path) -> None:
    folder = tmp_path / "s"
    shutil.copytree(directions.folder, folder)
    log = folder / "readouts" / "directions" / "found@mlp.0" / "search.json"
    log.write_text('{"paths": [[{"select": "high"}], 3], "kept": {"a": 1}, "controls": [1]}')
    with open_study(folder) as study:
        (told,) = readouts_page(study).readouts
        assert told.search.paths[0][0].select is None and told.search.kept == [] and told.search.groups == []
        log.write_text("{")
        (told,) = readouts_page(study).readouts
        assert "is damaged" in told.wrong
        (folder / "topics.json").write_text('{"by": 1}')
        assert "topics cannot be read" in voxels_page(study).wrong


def test_voxels_stand_beside_their_ceilings(voxels: Study, place: Path) -> None:
    assert study_page(voxels).pages == ["voxels"]
    (told,) = voxels_page(voxels).encodings
    model = load_readout(f"voxels:{place / 'v'}")
    assert [v.voxel for v in told.voxels] == list(model.voxels) and told.predicted == len(model.predicted)
    for v in told.voxels:
        assert v.r == pytest.approx(model.r[v.index], rel=1e-3)
        assert v.predicted == (model.refused(v.index) is None) == (v.index in model.predicted)
        assert v.unit == f"v@resid.1/{v.index}±" and voxels.named(v.unit) == [f"tiny/{v.unit}"]
        assert (v.ceiling is None) == bool(np.isnan(model.ceiling[v.index]))
    assert dict(told.facts)["time"].endswith("delays of 2, 4, 6, 8 s")


def test_of_very_many_voxels_the_best_and_some_others_are_given() -> None:
    r = np.random.default_rng(0).normal(size=81_000)
    r[7] = np.nan
    shown = _shown(r)
    assert len(shown) == len({*shown}) == MOST_VOXELS and shown == sorted(shown)
    assert {*np.argsort(-np.nan_to_num(r, nan=-9))[: MOST_VOXELS // 2].tolist()} <= {*shown}
    rest = np.sort(r[shown])[: MOST_VOXELS // 2]  # thinned evenly: every quarter has as many
    assert (
        np.abs(np.searchsorted(np.sort(np.nan_to_num(r, nan=-9)), rest[::250]) / 80_000 - [0, 0.25, 0.5, 0.75]).max()
        < 0.01
    )


def test_topics_are_kept_beside_the_study(tmp_path: Path) -> None:
    from dataclasses import replace

    from glossator.units import Unit
    from test_study_store import CATS, UnitResult

    texts = ["a cat purrs", "cats and dogs", "a dog barks", "dogs and wolves", "red paint", "blue and red",
             "green paint", "a blue colour", "cats purr", "red and green"]  # fmt: skip
    results = [
        UnitResult(Unit("toy", "mlp.0", i), "ok", "", {"mean": 0.5},
                   (replace(CATS[0], text=text, headline=None, modes=(), rank=0),))
        for i, text in enumerate(texts)
    ]  # fmt: skip
    folder = write_study(tmp_path / "s", results)
    (tmp_path / "groups.csv").write_text("unit,group\n" + "\n".join(f"{i},{'ab'[i > 4]}" for i in range(10)))
    assert main(["topics", str(folder), "--topics", "2", "--groups", str(tmp_path / "groups.csv")]) == 0
    with open_study(folder) as study:
        assert study_page(study).pages == ["voxels"]
        found = voxels_page(study)
    assert found.encodings == [] and found.topics.by == "group" and found.topics.units == 10
    assert [name for name, _ in found.topics.topics.groups] == ["a", "b"]
    for topic in found.topics.topics.topics:
        assert 0 <= topic.p <= 1 and len(topic.shares) == 2


@pytest.fixture(scope="module")
def served(latents: Study, directions: Study, voxels: Study) -> Iterator[str]:
    assert main(["topics", str(voxels.folder), "--topics", "2"]) in (0, 2)  # so few voxels may have none
    with serving([latents.folder, directions.folder, voxels.folder]) as address:
        yield address


PAGES = ("#/latents/readouts", "#/directions/readouts", "#/voxels/voxels")


def test_a_short_way_through_these_pages(chromium: Any, served: str, latents: Study, tmp_path: Path) -> None:
    with page_of(chromium) as page:
        page.goto(f"{served}#/latents")
        page.click("text=Directions and dictionaries")
        page.wait_for_selector(".curves .curve.control", state="attached")  # beside the network with random weights
        assert page.locator(".bars").count() == 3
        page.goto(f"{served}#/directions/readouts")
        page.wait_for_selector(".rounds li.best")
        page.select_option(".row select", index=2)
        until(lambda: "start 3" in page.locator(".keys").first.inner_text())
        page.goto(f"{served}#/voxels/voxels")
        page.wait_for_selector("table tbody td a")
        before = page.locator("table tbody tr").count()
        page.check("text=also those that are not predicted")
        until(lambda: page.locator("table tbody tr").count() > before and "all=1" in page.url)
        page.locator("table tbody td a").first.click()
        page.wait_for_selector(".windows .window")
    done = export_folder(latents, tmp_path / "out")
    assert {"readouts"} == {name for name in shards_of(tmp_path / "out") if name in ("readouts", "voxels")}
    with page_of(chromium) as page:
        page.goto(f"{done.path.resolve().as_uri()}#/tiny/readouts")
        page.wait_for_selector(".curves .curve", state="attached")  # a level line has no height


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_they_fit_and_are_legible(chromium: Any, served: str, width: int, theme: str) -> None:
    with page_of(chromium, width, theme) as page:
        for where in PAGES:
            page.goto(served + where)
            page.reload()
            page.wait_for_selector("main .card table")
            page.wait_for_load_state("networkidle")
            assert_legible(page, where, width)
