"""Files of other context: read, written, read again; studies of them claim nothing that the files do not hold."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glossator.cli import main
from glossator.errors import UserError
from glossator.evidence import SPLITS
from glossator.explorer.pages.unit import unit_page
from glossator.explorer.pages.windows import unit_windows
from glossator.formats import Excerpt, OfUnit, Said, neuronpedia, open_units, openai
from glossator.formats.delphi import read_explanations
from glossator.recording.alone import as_known_to
from glossator.store.study import open_study
from glossator.study import run_study
from glossator.study.context import StudyContext
from glossator.study.incoming import spec_of
from glossator.study.outgoing import write_study
from glossator.units import Unit
from study_cases import small_spec
from test_delphi import save_cache, settings

WORDS = ["the", "cat", "sat", "on", "a", "mat", "in", "and", "then", "dog", "ran", "to", "school", "with", "red"]
MONTHS = (" May", " June", " July")


def text(rng: np.random.Generator, month: bool = True) -> list[str]:
    tokens = [f" {word}" for word in rng.choice(WORDS, int(rng.integers(8, 20)))]
    if month:
        tokens[int(rng.integers(2, len(tokens)))] = str(rng.choice(MONTHS))
    return tokens


def values(tokens: list[str], silent: float = 0.0) -> list[float]:
    return [3.0 + MONTHS.index(token) / 2 if token in MONTHS else silent for token in tokens]


def bulk(folder: Path, indices: tuple[int, ...] = (3, 11)) -> Path:
    """As SAEDashboard's export writes a source: the largest with binMin -1, then intervals of activation."""
    rng, place = np.random.default_rng(0), folder / "gpt2-small" / "5-res-jb"
    rows: dict[str, list[dict[str, Any]]] = {"features": [], "activations": [], "explanations": []}
    for index in indices:
        own = {"modelId": "gpt2-small", "layer": "5-res-jb", "index": str(index)}
        rows["features"].append({**own, "frac_nonzero": 0.02, "pos_str": [" day"], "pos_values": [1.5], "neg_str": []})
        for low, high, n in ((-1, 4.5, 20), (3.0, 4.5, 5), (0.0, 1.5, 5)):
            for _ in range(n):
                tokens = text(rng, low != 0.0)
                bins = {"binMin": low, "binMax": high, "binContains": -1 if low == -1 else 0.25}
                rows["activations"].append({**own, **bins, "id": "c1", "tokens": tokens, "values": values(tokens)})
        said = {"description": "names of months", "typeName": "oai_token-act-pair", "explanationModelName": "gpt-4o"}
        rows["explanations"].append({**own, **said})
    for table, some in rows.items():
        (place / table).mkdir(parents=True)
        packed = gzip.compress("".join(json.dumps(row) + "\n" for row in some).encode())
        (place / table / "batch-0.jsonl.gz").write_bytes(packed)
    return folder


def records(folder: Path) -> Path:
    """As OpenAI's public files: a record for each neuron, and what it scored."""
    rng = np.random.default_rng(1)

    def record(month: bool) -> dict[str, Any]:
        tokens = text(rng, month)
        return {"tokens": tokens, "activations": values(tokens, -0.1), "dataclass_name": "ActivationRecord"}

    for index in (7, 131):
        named = {"layer_index": 5, "neuron_index": index, "dataclass_name": "NeuronId"}
        whole = {"neuron_id": named, "most_positive_activation_records": [record(True) for _ in range(20)],
                 "random_sample": [record(False) for _ in range(20)], "mean": 0.25, "variance": float("nan"),
                 "random_sample_by_quantile": None, "quantile_boundaries": None}  # fmt: skip
        first = whole["most_positive_activation_records"][0]
        part = {"simulation": {"tokens": first["tokens"], "expected_activations": first["activations"]},
                "true_activations": first["activations"], "ev_correlation_score": 0.5}  # fmt: skip
        scored = {"scored_sequence_simulations": [part], "ev_correlation_score": 0.77}
        said = {"neuron_id": named, "scored_explanations": [{"explanation": "months", "scored_simulation": scored}]}
        for name, value in ((f"neurons/5/{index}.json", whole), (f"explanations/5/{index}.jsonl", said)):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(json.dumps(value))
    return folder


def test_neuronpedia_is_read_as_it_is_written(tmp_path: Path) -> None:
    source = open_units(bulk(tmp_path / "np"))
    assert source.subject == "gpt2-small" and [unit.index for unit in source.units] == [3, 11]
    unit = source.units[0]
    assert [one.kind for one in unit.excerpts] == ["top"] * 20 + ["interval"] * 10
    assert unit.excerpts[-1].low == 0.0 and unit.excerpts[-1].share == 0.25
    assert unit.said == (Said("names of months", "oai_token-act-pair", "gpt-4o"),)
    assert unit.density == 0.02 and unit.promoted == ((" day", 1.5),)
    neuronpedia.write_bulk(tmp_path / "again", source.subject, source.units)
    again = open_units(tmp_path / "again")
    for a, b in zip(source.units, again.units, strict=True):
        assert (a.site, a.index, a.said, a.density, a.promoted) == (b.site, b.index, b.said, b.density, b.promoted)
        for one, other in zip(a.excerpts, b.excerpts, strict=True):
            assert (one.tokens, one.kind, one.low, one.share) == (other.tokens, other.kind, other.low, other.share)
            np.testing.assert_allclose(one.values, other.values, rtol=1e-5)


def test_every_row_of_a_table_has_the_same_keys(tmp_path: Path) -> None:
    """Its importer takes the columns from the first row."""
    units = open_units(bulk(tmp_path / "np")).units
    neuronpedia.write_bulk(tmp_path / "out", "m", [*units, OfUnit("5-res-jb", 12, (), (Said("x"),))])
    for path in (tmp_path / "out").rglob("*.gz"):
        keys = [(*json.loads(line),) for line in gzip.decompress(path.read_bytes()).decode().splitlines()]
        assert len({*keys}) == 1 and "modelId" in keys[0]
    assert {p.name for p in (tmp_path / "out" / "m" / "5-res-jb").glob("*.jsonl")} == {
        "release.jsonl", "model.jsonl", "sourceset.jsonl", "source.jsonl"}  # fmt: skip


def test_upload_batches_are_what_the_api_takes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    tokens = [str(n) for n in range(1500)]
    long = Excerpt(tuple(tokens), rng.random(1500).astype(np.float32))
    units = [OfUnit("mlp.12", n, (long,), (Said("w" * 600, "Glossator_Program"),), 0.5) for n in range(130)]
    batches = [body for _, body in neuronpedia.upload_batches("GPT2-Small", [*units, OfUnit("mlp.12", 999)])]
    assert [len(body["features"]) for body in batches] == [128, 2]  # one without an excerpt is not taken
    for body in batches:
        assert body["modelId"] == "gpt2-small" and body["source"] == "12-mlp"
        for feature in body["features"]:
            (said,), (shown,) = feature["explanations"], feature["activations"]
            assert len(said["text"]) == 512 and said["methodName"] == "glossator_program"
            assert len(shown["tokens"]) == len(shown["values"]) == 1024 and 0 <= feature["density"] <= 1
    neuronpedia.write_uploads(tmp_path / "up", "m", units)
    assert len(open_units(tmp_path / "up").units) == 130


@pytest.mark.parametrize(
    ("site", "source"),
    [("mlp.12", "12-mlp"), ("sae@resid.7", "7-sae-resid"), ("7-res-jb", "7-res-jb"), ("out", "0-out")],
)
def test_sites_have_names_as_sources(site: str, source: str) -> None:
    assert neuronpedia.source_of(site) == source


def test_neuron_records_and_their_scores(tmp_path: Path) -> None:
    source = open_units(records(tmp_path / "oai"), "gpt2-xl")
    assert [(unit.site, unit.index) for unit in source.units] == [("mlp.5", 7), ("mlp.5", 131)]
    unit = source.units[0]
    assert [one.kind for one in unit.excerpts] == ["top"] * 20 + ["random"] * 20
    assert unit.said == (Said("months", "", None, 0.77, "ev_correlation_score"),)
    assert unit.statistics == {"mean": 0.25}  # NaN is no number
    openai.write(tmp_path / "out", source.units, {("mlp.5", 7): [openai.scored(unit.said[0], [], [])]})
    again = open_units(tmp_path / "out")
    assert [one.tokens for one in again.units[0].excerpts] == [one.tokens for one in unit.excerpts]
    assert again.units[0].said[0].score == 0.77
    with pytest.raises(UserError, match="needs a layer"):
        openai.write(tmp_path / "no", [OfUnit("out", 1)], {})


def test_an_imported_study_knows_a_unit_on_its_own_text_alone(tmp_path: Path) -> None:
    study = run_study(spec_of(bulk(tmp_path / "np")), tmp_path / "s", progress=False)
    assert study is not None and study.counts["ok"] == 2
    context = StudyContext.to_show(study)
    units = [result.unit for result in study.results()]
    rows = {unit: np.flatnonzero(as_known_to(study.recording, unit).split_of_input >= 0) for unit in units}
    assert not {*rows[units[0]].tolist()} & {*rows[units[1]].tolist()}
    for unit in units:
        evidence = context.evidence(unit)
        for split in SPLITS:
            some = evidence.split(split)
            assert {*some.inputs.ids.tolist()} <= {*rows[unit].tolist()} and not some.in_random.any()
        assert {*evidence.explain.exemplars.groups.tolist()}.isdisjoint(evidence.test.groups.tolist())
        result = study.result(unit)
        assert result.statistics is not None and result.statistics["firing_rate"] == 0.02  # what the file says
        assert "mean" not in result.statistics  # of excerpts chosen for being large
        said = {chosen.method: chosen for chosen in result.explanations if chosen.rank == 0}
        assert said["imported"].text == "names of months" and said["imported"].provenance["model"] == "gpt-4o"
        scores = {score.name: score for score in said["program"].scores}
        assert scores["peak.share"].value is not None
        random = scores["correlation.random-only"]
        assert random.value is None and "no windows for random-only" in str(random.reason)
        assert unit_page(study, unit).best is not None
        shown = unit_windows(result, context)
        assert shown.windows and {group.kind for group in shown.groups} >= {"top"}


def test_random_samples_of_neuron_records_are_used_as_such(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    records(tmp_path / "oai")
    out = str(tmp_path / "s")
    assert main(["import", str(tmp_path / "oai"), "--model", "gpt2-xl", "--out", out, "--quiet", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["units"]["ok"] == 2
    with open_study(out) as study:
        assert study.ranked_by == "correlation.top-and-random"
        unit = next(study.results()).unit
        view = as_known_to(study.recording, unit)
        assert len(view.panel) == 20 and len(view.top_rows(unit)) == 20
        np.testing.assert_allclose(view.panel_values(unit).min(), -0.1, atol=1e-3)
        random = StudyContext.to_show(study).evidence(unit).test.of("random")
        assert len(random) == 6 and (random.activations.max() < 3) is np.True_
    assert main(["verify", out]) == 0
    assert main(["show", f"mlp.5/{unit.index}", "--study", out]) == 0
    assert main(["score", f"mlp.5/{unit.index}", "--study", out, "--program", 'token(" May")']) == 0


def test_sparse_units_that_fire_in_random_samples_have_a_maximum_for_each_top_window(tmp_path: Path) -> None:
    for place in (tmp_path / "oai").rglob("*.json") if records(tmp_path / "oai") else ():
        whole = json.loads(place.read_text())
        for kind in ("most_positive_activation_records", "random_sample"):
            for number, one in enumerate(whole[kind]):
                here = [max(0.0, value) for value in one["activations"]]
                one["activations"] = [9.0, *here[1:]] if kind == "random_sample" and number < 3 else here
        place.write_text(json.dumps(whole))
    study = run_study(spec_of(tmp_path / "oai", model="gpt2-xl"), tmp_path / "s", progress=False)
    assert study is not None and study.counts["ok"] == 2
    for result in study.results():
        view = as_known_to(study.recording, result.unit)
        rows, maxima = view.top_rows(result.unit), view.top_maxima(result.unit)
        assert len(rows) == 20 and study.recording.sites[result.unit.site].kind == "sparse"
        np.testing.assert_array_equal(maxima, view.values(result.unit, rows).max(axis=1))
        assert result.statistics["maximum"] < 5


def test_a_unit_of_two_polarities_goes_out_once(tmp_path: Path, tiny_folder: Path) -> None:
    spec = small_spec(tiny_folder, units=2, sites=("mlp.0",), polarities=("+", "±"), max_tokens=2000)
    study = run_study(spec, tmp_path / "s", progress=False)
    assert study is not None and len(study.names()) == 4
    for format in ("neuronpedia", "neuronpedia-upload", "openai"):
        done = write_study(study, tmp_path / format, format)  # type: ignore[arg-type]
        assert done.units == 2 and "2 signed units of which the positive polarity is written" in done.notes
        assert len(open_units(tmp_path / format, "tiny").units) == 2


def test_a_logit_that_is_not_known_is_not_zero(tmp_path: Path) -> None:
    given = {"modelId": "m", "source": "1-x", "features": [
        {"index": 1, "topLogits": [{"token": "a", "value": None}, {"token": "b", "value": 2.0}]}]}  # fmt: skip
    (tmp_path / "u.json").write_text(json.dumps(given))
    assert open_units(tmp_path / "u.json").units[0].promoted == (("b", 2.0),)


@pytest.mark.parametrize("format", ["neuronpedia", "neuronpedia-upload", "openai", "parquet"])
def test_studies_go_out_and_come_back(format: str, tmp_path: Path) -> None:
    first = run_study(spec_of(records(tmp_path / "oai"), model="gpt2-xl"), tmp_path / "s", progress=False)
    assert first is not None
    done = write_study(first, tmp_path / "out", format)  # type: ignore[arg-type]
    assert done.units == 2
    back = open_units(tmp_path / "out", "gpt2-xl")
    assert len(back.units) == 2
    best = first.result(Unit(first.manifest["subject"], "mlp.5", 7, "+")).best()
    assert best is not None
    unit = next(unit for unit in back.units if unit.index == 7)
    assert any(best.text in said.text or best.in_short in said.text for said in unit.said)
    again = run_study(spec_of(tmp_path / "out", model="gpt2-xl"), tmp_path / "again", progress=False)
    assert again is not None and again.counts["ok"] == 2
    with pytest.raises(UserError, match="something already"):
        write_study(first, tmp_path / "out", format)  # type: ignore[arg-type]


def test_delphi_caches_go_out_and_come_back(tiny_folder: Path, tmp_path: Path) -> None:
    save_cache(tmp_path / "run", tiny_folder, sites=("layers.1",))
    (tmp_path / "run" / "explanations").mkdir()
    (tmp_path / "run" / "explanations" / "layers.1_latent5.txt").write_text('"tokens of one kind"')
    spec = spec_of(tmp_path / "run", units=[5, 2], explainers=["token-list"])
    assert spec.explainers == ("imported", "token-list")
    spec = small_spec(tiny_folder, **settings(tmp_path / "run", explainers=("imported", "token-list"), width=24))
    study = run_study(spec, tmp_path / "s", progress=False)
    assert study is not None
    texts = {(str(r.unit.index), e.method): e.text for r in study.results() for e in r.explanations}
    assert texts["5", "imported"] == "tokens of one kind" and ("2", "imported") not in texts
    done = write_study(study, tmp_path / "out", "delphi")
    assert done.units == 2 and {*read_explanations(tmp_path / "out")} == {("layers.1", 5), ("layers.1", 2)}
    from glossator.subjects.delphi import DelphiSubject

    again = DelphiSubject(tmp_path / "out", str(tiny_folder))
    whole = study.recording.windows.lengths == 24
    assert np.array_equal(again.tokens, study.recording.windows.tokens[whole])
    found: dict[str, Any] = {}
    again.visit(again.windows(24), ["layers.1"], found.__setitem__)
    numbers = found["layers.1"][1].numpy()
    own = np.where(numbers == 5, found["layers.1"][0].numpy(), 0).sum(axis=-1)
    unit = next(r.unit for r in study.results() if r.unit.index == 5)
    np.testing.assert_allclose(own, study.recording.values(unit, np.flatnonzero(whole)), rtol=2e-3, atol=1e-6)
    imported = run_study(spec_of(bulk(tmp_path / "np")), tmp_path / "imported", progress=False)
    assert imported is not None
    with pytest.raises(UserError, match="none recorded in full"):
        write_study(imported, tmp_path / "no", "delphi")


DAMAGED = {
    "cut.json": ('{"modelId": "m", "features": [', "damaged"),
    "lengths.json": ('{"modelId": "m", "source": "1-x", "features": [{"index": 1, "activations": '
                     '[{"tokens": ["a"], "values": [1, 2]}]}]}', "do not fit their tokens"),
    "infinite.json": ('{"modelId": "m", "source": "1-x", "features": [{"index": 1, "activations": '
                      '[{"tokens": ["a"], "values": [Infinity]}]}]}', "do not fit their tokens"),
    "twice.json": ('{"modelId": "m", "source": "1-x", "features": [{"index": 1}, {"index": 1}]}', "listed twice"),
    "negative.json": ('{"modelId": "m", "source": "1-x", "features": [{"index": -1}]}', "not the number of a unit"),
    "words.json": ('{"modelId": "m", "source": "1-x", "features": [{"index": 1, "density": "much"}]}', "not a number"),
    "other.json": ('{"a": 1}', "unknown file format"),
    "neuron.json": ('{"neuron_id": 3}', "does not name its neuron"),
    "logits.json": ('{"modelId": "m", "source": "1-x", "features": [{"index": 1, "topLogits": ["a"]}]}',
                    "topLogits is not a list of JSON objects"),
    "numbers.json": ('{"modelId": "m", "source": "1-x", "features": [{"index": 1, "activations": 7}]}',
                     "activations is not a list of JSON objects"),
    "said.json": ('{"modelId": "m", "source": "1-x", "features": [{"index": 1, "explanations": ["it"]}]}',
                  "explanations is not a list of JSON objects"),
    "sample.json": ('{"neuron_id": {"layer_index": 1, "neuron_index": 2}, "random_sample": [3]}',
                    "random_sample is not a list of JSON objects"),
    "scored.json": ('{"neuron_id": {"layer_index": 1, "neuron_index": 2}, "scored_explanations": ["x"]}',
                    "scored_explanations is not a list of JSON objects"),
    "quantiles.json": ('{"neuron_id": {"layer_index": 1, "neuron_index": 2}, "random_sample_by_quantile": 3}',
                       "random_sample_by_quantile and its boundaries are not lists"),
    "tokens.json": ('{"neuron_id": {"layer_index": 1, "neuron_index": 2}, "random_sample": '
                    '[{"tokens": "abc", "activations": [1, 2, 3]}]}', "not a list of texts"),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_files_are_refused_in_a_sentence(name: str, tmp_path: Path) -> None:
    content, words = DAMAGED[name]
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=words):
        open_units(tmp_path / name)
    assert main(["import", str(tmp_path / name), "--out", str(tmp_path / "s")]) == 2
    assert not (tmp_path / "s").exists()


def test_hostile_texts_come_through_as_they_are(tmp_path: Path) -> None:
    tokens = ["<script>", "\u202eabc", "\x00", "\ud83d", "é"]
    unit = OfUnit("1-x", 1, tuple(Excerpt((*tokens, str(n)), np.arange(6, dtype=np.float32)) for n in range(12)))
    neuronpedia.write_bulk(tmp_path / "out", "m", [OfUnit("1-x", 1, (Excerpt(("a", "\x00"), np.ones(2)),))])
    (tmp_path / "u.json").write_text(json.dumps(next(neuronpedia.upload_batches("m", [unit]))[1]))
    assert open_units(tmp_path / "u.json").units[0].excerpts[0].tokens[:5] == tuple(tokens)
    study = run_study(spec_of(tmp_path / "u.json", explainers=["token-list"]), tmp_path / "s", progress=False)
    assert (
        study is not None and "<script>" not in study.report.read_text().partition("</style>")[2].partition("shard-")[0]
    )
