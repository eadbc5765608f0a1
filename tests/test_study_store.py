"""The store: what goes in comes out, the same rows give the same bytes, damage and newer versions are refused."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from glossator.engines import in_parallel, processes
from glossator.errors import UserError
from glossator.explanations import Peaks
from glossator.files import plain, write_json
from glossator.programs import parse_program
from glossator.scores import Score
from glossator.store import schema
from glossator.store import study as store
from glossator.store.database import DATABASE, build_database
from glossator.store.results import Named, StoredPeaks, as_stored, packed, unpacked
from glossator.store.study import FORMAT
from glossator.study import Chosen, Study, StudySpec, UnitResult, open_study
from glossator.units import Unit

SPEC = StudySpec("toy", ("mlp.0",), units=(1, 2, 3), explainers=("token-list",))


def chosen(text: str, rank: int = 0, scores: tuple[Score, ...] = ()) -> Chosen:
    provenance: dict = {
        "method": "token-list",
        "settings": {},
        "evidence": "e",
        "seed": 0,
        "model": None,
        "prompt": None,
    }
    provenance["cost"] = {"calls": 2.0}
    return Chosen("token-list", rank, text, '0.0 + 1.0*token(" cat")', 30.5, 0.5, provenance, scores)


SCORES = (
    Score("correlation.top-and-random", 0.5, "Pearson r", 0.4, 0.6, 20, baselines={"lookup": 0.7, "mismatched": None}),
    Score("detection.auroc.random-only", None, "AUROC", reason="no window has a firing token", how={"windows": 3}),
)
PETS = Named("pets that purr", '0.0 + 1.0*token(" cat")', weak=True)
CATS = (
    replace(
        chosen("cats and kittens", 0, SCORES),
        headline=PETS,
        modes=(replace(PETS, share=0.25, strength=2.0),),
        peaks=StoredPeaks(("cat", "kitten"), '0.0 + 2.0*token(" cat")'),
    ),
    chosen("felines", 1),
)
RESULTS = [
    UnitResult(Unit("toy", "mlp.0", 1), "ok", "", {"mean": 0.5}, CATS),
    UnitResult(Unit("toy", "mlp.0", 2, "-"), "failed", "boom", None),
    UnitResult(Unit("toy", "mlp.0", 3), "ok", "", {"mean": 1.5}, (chosen("keeping, kept, maintaining"),)),
]


def test_a_forked_process_reads_through_a_connection_of_its_own(tmp_path: Path) -> None:
    with open_study(write_study(tmp_path)) as study:
        ours = id(study._connection)
        found = in_parallel(lambda unit: (study.result(unit), id(study._connection)), [r.unit for r in RESULTS], 2)
        assert [result for result, _ in found] == RESULTS
        assert all(theirs != ours for _, theirs in found) and id(study._connection) == ours


LIMITS = (("all", 50), ("two", 2))


def write_study(folder: Path, results: list[UnitResult] = RESULTS) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    build_database(folder / DATABASE, SPEC, map(packed, results), {"recording": "r"})
    size = (folder / DATABASE).stat().st_size
    files = {DATABASE: {"size": size}}
    write_json(folder / "manifest.json", {"format": FORMAT, "spec": plain(SPEC), "subject": "toy", "files": files})
    return folder


def stored(folder: Path, results: list[UnitResult]) -> Study:
    """A study of these results, opened."""
    return open_study(write_study(folder, results))


def test_what_goes_in_comes_out(tmp_path: Path) -> None:
    with open_study(write_study(tmp_path)) as study:
        assert list(study.results()) == RESULTS
        assert study.spec == SPEC
        assert study.counts == {"ok": 2, "insufficient": 0, "abstained": 0, "failed": 1}
        assert study.result(Unit("toy", "mlp.0", 2, "-")) == RESULTS[1]
        assert Unit("toy", "mlp.0", 1) in study
        assert Unit("toy", "mlp.0", 1, "-") not in study


def test_peaks_come_back_and_stand_with_the_first_candidate() -> None:
    explanation = CATS[0].explanation(Unit("toy", "mlp.0", 1))
    assert explanation.peaks == Peaks(("cat", "kitten"), parse_program('0.0 + 2.0*token(" cat")'))
    first, second = (as_stored(explanation, None, rank, None) for rank in (0, 1))
    assert first.peaks == CATS[0].peaks and second.peaks is None and second.headline == first.headline


def test_results_survive_their_files() -> None:
    assert [unpacked(json.loads(json.dumps(packed(r)))) for r in RESULTS] == RESULTS


def test_sites_are_in_the_order_of_their_first_units(tmp_path: Path) -> None:
    units = [Unit("toy", "a", 1, "-"), Unit("toy", "b", 1), Unit("toy", "a", 1), Unit("toy", "c", 2, "±")]
    with open_study(write_study(tmp_path, [UnitResult(unit, "abstained", "", None) for unit in units])) as study:
        assert study.sites == ["a", "b", "c"] and study.size == 4 and study.methods == []


def test_an_unknown_unit_lists_near_ones(tmp_path: Path) -> None:
    with open_study(write_study(tmp_path)) as study, pytest.raises(UserError, match=r"toy/mlp\.0/1"):
        study.result(Unit("toy", "mlp.0", 9))


@pytest.mark.parametrize(
    ("words", "texts"),
    [
        ("cat", ["cats and kittens"]),
        ("maintain", ["keeping, kept, maintaining"]),
        ("kept keep", ["keeping, kept, maintaining"]),
        ("feli", ["felines"]),
        ("purring", ["cats and kittens"]),
        ("dog", []),
        ('"cats" AND (', ["cats and kittens"]),
    ],
)
def test_search(tmp_path: Path, words: str, texts: list[str]) -> None:
    with open_study(write_study(tmp_path)) as study:
        assert [found.text for _, found in study.search(words)] == texts


def test_rows_are_the_same_whichever_process_makes_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = [replace(RESULTS[i % 3], unit=Unit("toy", "mlp.0", i)) for i in range(1_000)]
    write_study(tmp_path / "ahead", results)
    monkeypatch.setattr(processes, "can_fork", lambda: False)
    write_study(tmp_path / "here", results)
    assert (tmp_path / "ahead" / DATABASE).read_bytes() == (tmp_path / "here" / DATABASE).read_bytes()
    with open_study(tmp_path / "here") as study:
        assert list(study.results()) == results


def test_search_for_nothing_is_refused(tmp_path: Path) -> None:
    with open_study(write_study(tmp_path)) as study, pytest.raises(UserError, match="nothing to search"):
        study.search("!!")


def test_words_that_stand_in_most_explanations_find_the_best_units_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = replace(SCORES[0], name="correlation.random-only")
    results = [
        UnitResult(Unit("toy", "mlp.0", i), "ok", "", {}, (chosen("a cat", 0, (replace(named, value=value),)),))
        for i, value in enumerate((0.2, 0.9, 0.5, 0.7))
    ]
    results.insert(1, UnitResult(Unit("toy", "mlp.0", 9), "ok", "", {}, (chosen("a cat"),)))
    with stored(tmp_path, results) as study:
        places = {name: [unit.rpartition("/")[2] for unit, _ in study.search("cat", limit)] for name, limit in LIMITS}
        assert places == {"all": ["0", "9", "1", "2", "3"], "two": ["0", "9"]}
        monkeypatch.setattr(store, "RANKED_MATCHES", 4)
        places = {name: [unit.rpartition("/")[2] for unit, _ in study.search("cat", limit)] for name, limit in LIMITS}
        assert places == {"all": ["1", "2", "0", "9"], "two": ["1", "2"]}


@pytest.mark.parametrize(
    ("words", "places"),
    [
        ("cat kitten", "32"),
        ("kitten cat", "32"),
        ("cat dog", "41"),
        ("kitten", "32"),
        ("cat _ kitten", "32"),
        ("_", ""),
    ],
)
def test_words_that_stand_in_most_explanations_do_not_count_for_the_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, places: str
) -> None:
    texts = ("cat", "cat dog", "cat kitten", "cat kitten kitten", "cat dog", "dog", "dog")
    named = replace(SCORES[0], name="correlation.random-only")
    scored = [(replace(named, value=number / 10),) for number, _ in enumerate(texts)]
    units = [Unit("toy", "mlp.0", i) for i, _ in enumerate(texts)]
    with stored(
        tmp_path,
        [
            UnitResult(u, "ok", "", {}, (chosen(text, 0, score),))
            for u, text, score in zip(units, texts, scored, strict=True)
        ],
    ) as study:
        monkeypatch.setattr(store, "RANKED_MATCHES", 3)
        assert "".join(unit.rpartition("/")[2] for unit, _ in study.search(words)) == places


def test_search_looks_at_text_and_not_at_programs(tmp_path: Path) -> None:
    with open_study(write_study(tmp_path)) as study:
        assert study.search("token") == []


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    first, second = write_study(tmp_path / "a"), write_study(tmp_path / "b")
    assert (first / DATABASE).read_bytes() == (second / DATABASE).read_bytes()
    build_database(first / DATABASE, SPEC, map(packed, RESULTS), {"recording": "r"})
    assert (first / DATABASE).read_bytes() == (second / DATABASE).read_bytes()
    assert sorted(p.name for p in first.iterdir()) == sorted([DATABASE, "manifest.json"])


def test_the_file_is_whole_sqlite(tmp_path: Path) -> None:
    connection = sqlite3.connect(write_study(tmp_path) / DATABASE)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    connection.close()


def test_a_missing_value_never_looks_like_a_score(tmp_path: Path) -> None:
    connection = sqlite3.connect(write_study(tmp_path) / DATABASE)
    with pytest.raises(sqlite3.IntegrityError):
        connection.execute("UPDATE scores SET reason = 'because' WHERE value IS NOT NULL")
    connection.close()


def test_a_newer_schema_is_refused_with_its_version(tmp_path: Path) -> None:
    folder = write_study(tmp_path)
    connection = sqlite3.connect(folder / DATABASE)
    connection.execute("UPDATE meta SET value = '70' WHERE key = 'schema'")
    connection.commit()
    connection.close()
    with pytest.raises(UserError, match="version 70") as error:
        open_study(folder)
    assert "Update glossator" in str(error.value)


def test_an_older_schema_is_read_after_the_missing_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_study(tmp_path)
    before = (folder / DATABASE).read_bytes()
    step = "ALTER TABLE units ADD COLUMN stars INTEGER NOT NULL DEFAULT 5"
    monkeypatch.setattr(schema, "STEPS", [*schema.STEPS, step])
    monkeypatch.setattr(schema, "VERSION", schema.VERSION + 1)
    with open_study(folder) as study:
        assert list(study.results()) == RESULTS
        assert study.query("SELECT DISTINCT stars FROM units") == [(5,)]
        assert [text.text for _, text in study.search("cat")] == ["cats and kittens"]
    assert (folder / DATABASE).read_bytes() == before


def test_another_format_is_refused(tmp_path: Path) -> None:
    folder = write_study(tmp_path)
    manifest = json.loads((folder / "manifest.json").read_text())
    write_json(folder / "manifest.json", {**manifest, "format": "glossator-study/9"})
    with pytest.raises(UserError, match="glossator-study/9"):
        open_study(folder)


def damage_header(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[:100] = b"\x13" * 100
    path.write_bytes(bytes(data))


def damage_pages(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    path.write_bytes(bytes(data))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-4096])


@pytest.mark.parametrize("damage", [damage_header, damage_pages, cut, Path.unlink])
def test_a_damaged_study_is_refused(tmp_path: Path, damage) -> None:
    folder = write_study(tmp_path)
    damage(folder / DATABASE)
    with pytest.raises(UserError, match="damaged"):
        list(_open_all(folder))


def _open_all(folder: Path) -> list[UnitResult]:
    with open_study(folder) as study:
        return list(study.results())


def test_a_damaged_manifest_is_refused(tmp_path: Path) -> None:
    folder = write_study(tmp_path)
    (folder / "manifest.json").write_text("{")
    with pytest.raises(UserError, match="manifest is damaged"):
        open_study(folder)


def test_no_study_and_an_unfinished_one_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no study here"):
        open_study(tmp_path)
    (tmp_path / "spec.json").write_text("{}")
    with pytest.raises(UserError, match="not finished"):
        open_study(tmp_path)


def test_nothing_is_left_when_the_database_cannot_be_made(tmp_path: Path) -> None:
    bad = UnitResult(Unit("toy", "mlp.0", 1), "ok", "", {"mean": float("nan")})
    with pytest.raises(ValueError):
        build_database(tmp_path / DATABASE, SPEC, map(packed, [bad]), {})
    assert list(tmp_path.iterdir()) == []


def test_a_study_is_opened_for_reading_only(tmp_path: Path) -> None:
    with open_study(write_study(tmp_path)) as study, pytest.raises(UserError):
        study.query("DELETE FROM units")
    assert isinstance(study, Study)
