"""The data of the explorer's pages: it says what the study says, each part is bounded, and nothing is made up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from glossator.cli.show import as_json
from glossator.errors import UserError
from glossator.evidence import SPLITS
from glossator.explorer.exemplars import ShownInput, histogram, shown_inputs
from glossator.explorer.pages.compare import Side, compare
from glossator.explorer.pages.experiments import experiment_page
from glossator.explorer.pages.lists import MOST_ROWS, columns, points, unit_list
from glossator.explorer.pages.meaning import Meanings
from glossator.explorer.pages.parts import to_json
from glossator.explorer.pages.study import BINS, agreement, distribution, study_page
from glossator.explorer.pages.unit import unit_page
from glossator.explorer.pages.windows import STEPS, TOP, UnitWindows, in_steps, unit_windows, window_shown
from glossator.inputs import Grid
from glossator.store.adding import adding
from glossator.store.lists import Wanted
from glossator.store.summary import agreement_of_columns, means
from glossator.study import Study, UnitResult, run_study
from glossator.study.context import StudyContext
from glossator.units import Unit
from study_cases import register, small_spec, write_corpus
from test_study_store import CATS, RESULTS, stored


@pytest.fixture(scope="module")
def study(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    write_corpus(tiny_folder.parent / "corpus.jsonl")
    spec = small_spec(tiny_folder, sites=("mlp.0", "mlp.1"), explainers=("token-list", "lookup"))
    found = run_study(spec, tmp_path_factory.mktemp("pages") / "s", progress=False)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def context(study: Study) -> StudyContext:
    return StudyContext.to_show(study)


@pytest.fixture(scope="module")
def both(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    with pytest.MonkeyPatch.context() as patch:
        register(patch, "scorers", acting="Acting")
        write_corpus(tiny_folder.parent / "corpus.jsonl")
        spec = small_spec(tiny_folder, card="both", scorers=("correlation", "acting"), units=(1, 2, 3, 4, 5))
        found = run_study(spec, tmp_path_factory.mktemp("pages") / "both", progress=False)
        assert found is not None
    return found


def test_a_unit_says_what_the_study_says(study: Study) -> None:
    for place, result in enumerate(study.results(), 1):
        page = unit_page(study, result.unit)
        assert (page.unit, page.place, page.of) == (result.unit.short, place, 10)
        assert page.statistics == result.statistics
        assert page.explanations[page.best].method == result.best().method
        for shown, chosen in zip(page.explanations, result.explanations, strict=True):
            assert (shown.text, shown.evidence) == (chosen.text, chosen.provenance["evidence"])
            for told, score in zip(shown.scores, chosen.scores, strict=True):
                assert (told.name, told.reason, told.n, told.how) == (score.name, score.reason, score.n, score.how)
                assert told.value == (None if score.value is None else pytest.approx(score.value, rel=1e-3))
                assert {b.baseline for b in told.baselines} == set(score.baselines)
                for beside in told.baselines:
                    if (margin := score.margins.get(beside.baseline)) is not None:
                        assert beside.margin == pytest.approx(margin.value, rel=1e-3)
                        assert beside.q == (None if margin.q is None else pytest.approx(margin.q, rel=1e-3))
    first, second = study.names()[:2]
    assert unit_page(study, study.result(next(study.results()).unit).unit).next == short_name(second)
    assert unit_page(study, next(study.results()).unit).previous is None
    assert first != second


def short_name(name: str) -> str:
    return "/".join(name.rsplit("/", 2)[1:])


def test_an_unknown_unit_is_named_with_near_ones(study: Study) -> None:
    with pytest.raises(UserError, match="no such unit"):
        unit_page(study, replace(next(study.results()).unit, index=63))


def test_headlines_modes_and_failures_are_shown(tmp_path: Path) -> None:
    with stored(tmp_path / "s", RESULTS) as study:
        cats, boom, _ = (unit_page(study, result.unit) for result in study.results())
    (first, *_) = cats.explanations
    assert [(named.text, named.weak, named.share) for named in first.named] == [("pets that purr", True, 0.25)]
    assert first.scores[1].value is None and first.scores[1].reason == "no window has a firing token"
    assert (boom.status, boom.reason, boom.best, boom.explanations) == ("failed", "boom", None, [])


def test_experiments_stand_on_the_page_of_their_unit(tmp_path: Path) -> None:
    with stored(tmp_path / "s", RESULTS) as study:
        unit = next(study.results()).unit
        with adding(study) as more:
            number = more.experiment("texts", {"texts": ["a cat"]}, unit=unit, prediction={"fires": True})
            more.result(number, {"values": [1.5]})
        (listed,) = unit_page(study, unit).experiments
        told = experiment_page(study, listed.number)
    assert (listed.kind, listed.unit, listed.ended) == ("texts", unit.short, True)
    assert (told.kind, told.prediction, told.result) == ("texts", {"fires": True}, {"values": [1.5]})


def test_lists_are_ordered_filtered_and_cut_into_pages(study: Study) -> None:
    whole = unit_list(study, limit=MOST_ROWS)
    values = [unit.score for unit in whole.units]
    assert whole.total == len(values) and whole.after is None
    assert values == sorted(values, reverse=True)
    found, after = [], None
    while True:
        part = unit_list(study, limit=3, after=after)
        assert part.total == whole.total
        found += part.units
        after = part.after
        if after is None:
            break
    assert found == whole.units
    only = unit_list(study, Wanted({"site": "mlp.1"}), "place")
    assert only.total == 5 and {unit.unit.split("/")[0] for unit in only.units} == {"mlp.1"}
    middle = sorted(values)[3:6]
    inside = unit_list(study, Wanted(between={"score": (middle[0], middle[-1] + 1e-3)}))
    assert {unit.score for unit in inside.units} >= set(middle[1:-1])
    assert all(middle[0] <= unit.score <= middle[-1] + 1e-3 for unit in inside.units)
    rate = unit_page(study, next(study.results()).unit).statistics["firing_rate"]
    assert unit_list(study, Wanted(between={"density": (rate, rate)}), "place").total >= 1


@pytest.mark.parametrize(
    "wrong",
    [
        lambda study: unit_list(study, limit=0),
        lambda study: unit_list(study, limit=MOST_ROWS + 1),
        lambda study: unit_list(study, after=99),
        lambda study: unit_list(study, order="loudest"),
        lambda study: unit_list(study, Wanted(words="the"), order="loudest"),
        lambda study: unit_list(study, Wanted({"id": "1"})),
        lambda study: unit_list(study, Wanted(between={"id": (0, 1)})),
        lambda study: unit_list(study, Wanted(words="!?")),
        lambda study: points(study, "score", "height"),
        lambda study: points(study, most=0),
        lambda study: distribution(study, "nothing"),
        lambda study: compare(Side(study), Side(study), "nothing"),
    ],
)
def test_what_cannot_be_asked_is_a_user_error(study: Study, wrong) -> None:
    with pytest.raises(UserError):
        wrong(study)


def test_lists_are_searched_by_words_and_by_name(tmp_path: Path) -> None:
    with stored(tmp_path / "s", RESULTS) as study:
        assert [u.unit for u in unit_list(study, Wanted(words="purring"), "place").units] == ["mlp.0/1"]
        assert [u.unit for u in unit_list(study, Wanted(words="maint"), "place").units] == ["mlp.0/3"]
        assert unit_list(study, Wanted(words="dogs"), "place").total == 0
        assert [u.unit for u in unit_list(study, Wanted(words="mlp.0/2-"), "place").units] == ["mlp.0/2-"]
        assert [u.unit for u in unit_list(study, Wanted(words="3"), "place").units] == ["mlp.0/3"]


def test_what_a_search_finds_is_cut_into_pages_in_any_order(study: Study) -> None:
    words = [one.explanations[0].text.split()[-1] for one in study.results() if one.explanations]
    word = next(word for word in words if 2 < len({*study.matches(word)}) < study.size)
    found = {*study.matches(word)}
    for order in ("best", "worst", "place"):
        whole = unit_list(study, Wanted(words=word), order, limit=MOST_ROWS)
        assert whole.units == [
            row for row in unit_list(study, order=order, limit=MOST_ROWS).units if row.place in found
        ]
        first = unit_list(study, Wanted(words=word), order, limit=2)
        rest = unit_list(study, Wanted(words=word), order, after=first.after, limit=MOST_ROWS)
        assert [*first.units, *rest.units] == whole.units and rest.after is None and len(whole.units) == whole.total
    outside = next(place for place in range(1, study.size + 1) if place not in found)
    with pytest.raises(UserError, match="not among the results"):
        unit_list(study, Wanted(words=word), "place", after=outside)


def test_what_is_looked_up_in_indices_is_what_the_rows_say(study: Study) -> None:
    rows = study.page("place", limit=MOST_ROWS)
    assert study.size == len(rows) == sum(study.counts.values())
    assert study.sites == [*dict.fromkeys(row.unit.site for row in rows)]
    assert study.methods == sorted({row.method for row in rows if row.method is not None})


def test_columns_hold_what_lists_show(study: Study) -> None:
    listed = unit_list(study, order="place", limit=10).units
    given = columns(study, 3, 4)
    assert given.unit == [unit.unit for unit in listed[2:6]]
    for name in ("score", "low", "causal", "q", "density", "text", "method"):
        assert getattr(given, name) == [getattr(unit, name) for unit in listed[2:6]]
    assert columns(study, 9, 4).unit == [unit.unit for unit in listed[8:]]


def test_points_are_of_units_that_have_both(both: Study) -> None:
    found = points(both)
    rows = [row for row in both.page("place") if row.score is not None and row.causal is not None]
    assert found.place == [row.place for row in rows] and found.of == 4
    assert found.x == [pytest.approx(row.score, rel=1e-3) for row in rows]
    assert found.y == [pytest.approx(row.causal, rel=1e-3) for row in rows]
    assert (found.x_name, found.y_name) == (both.ranked_by, "acting")
    few = points(both, most=2)
    assert (few.of, len(few.place)) == (4, 2)


def test_a_study_is_described_without_its_units(study: Study, both: Study) -> None:
    page = study_page(study)
    assert page.units == 10 and page.counts["ok"] == 10
    assert {(site.site, site.units) for site in page.sites} == {("mlp.0", 5), ("mlp.1", 5)}
    assert page.why_empty["causal"] == "not computed, as the card is observational; use --card both"
    assert page.told[0] == study.ranked_by
    assert set(page.scores) == {s.name for r in study.results() for e in r.explanations for s in e.scores}
    facts = dict(page.facts)
    assert "tokens in" in facts["Inputs"] and "test" in facts["Splits"]
    assert study_page(both).main == {"observational": "correlation.random-only", "causal": "acting"}


def test_distributions_are_the_means_and_count_every_unit(study: Study) -> None:
    name = "correlation.random-only"
    found = distribution(study, name)
    expected = {(m.site, m.method): m for m in means(study) if m.score == name}
    assert len(found.groups) == len(expected) == 4
    for group in found.groups:
        mean, own = expected[group.site, group.method], group.rows[0]
        assert own.mean.value == pytest.approx(mean.value.value, rel=1e-3)
        assert own.mean.low == pytest.approx(mean.value.low, rel=1e-3)
        assert [row.name for row in group.rows[1:]] == list(mean.baselines)
        for row in group.rows:
            assert sum(row.bins) == row.n and len(row.bins) == BINS
        for row in group.rows[1:]:
            assert row.over.value == pytest.approx(mean.over[row.name].value, rel=1e-3)
            assert row.above == mean.above.get(row.name)


def test_the_columns_of_the_card_are_correlated(both: Study, study: Study) -> None:
    expected = agreement_of_columns(both)
    told = agreement(both)
    assert (told.n, told.reason) == (expected.n, expected.reason)
    assert agreement(study) is None


def test_sides_are_compared_unit_by_unit(study: Study, both: Study) -> None:
    one, other = Side(study, "token-list"), Side(study, "lookup")
    found = compare(one, other)
    expected = {str(r.unit): [r.best(m) for m in ("token-list", "lookup")] for r in study.results()}
    assert found.paired == len(expected) == len(found.units)
    gaps = []
    for name, x, y in zip(found.units, found.x, found.y, strict=True):
        (full,) = [key for key in expected if key.endswith(f"/{name}")]
        values = [next(s.value for s in e.scores if s.name == study.ranked_by) for e in expected[full]]
        assert [x, y] == [pytest.approx(v, rel=1e-3) for v in values]
        gaps.append(values[0] - values[1])
    assert found.difference.value == pytest.approx(np.mean(gaps), rel=1e-3)
    assert compare(one, one).difference.value == 0
    sites = compare(Side(study, site="mlp.0"), Side(study, site="mlp.1"))
    assert (sites.a.n, sites.b.n, sites.paired, sites.units) == (5, 5, 0, [])
    common = {n.split("/", 1)[1] for n in study.names()} & {n.split("/", 1)[1] for n in both.names()}
    assert compare(Side(study), Side(both)).paired == len(common)


def test_windows_hold_the_true_and_the_predicted_activations(study: Study, context: StudyContext) -> None:
    result = next(study.results())
    data = unit_windows(result, context)
    given = {tuple(w.pieces): w for w in shown_inputs(result, context, TOP, 0)}
    top = data.groups[0]
    assert (top.kind, len(top.windows)) == ("top", TOP)
    for place in top.windows:
        shown = data.windows[place]
        window = given[tuple(data.pieces[i] for i in shown.pieces)]
        for steps, values in ((shown.true, window.true), (shown.predicted, window.predicted)):
            scaled = np.asarray(steps) * data.largest / STEPS
            assert np.allclose(scaled, np.clip(values, -data.largest, data.largest), atol=data.largest / 900)
    tops = [max(data.windows[place].true) for place in top.windows]
    assert tops == sorted(tops, reverse=True)
    assert max(abs(step) for window in data.windows for step in window.true) == STEPS


def test_every_group_holds_what_it_says(study: Study, context: StudyContext) -> None:
    kinds = set()
    for result in study.results():
        data = unit_windows(result, context)
        threshold = context.evidence(result.unit).statistics.input_threshold * STEPS / data.largest
        for group in data.groups:
            kinds.add(group.kind)
            assert group.share is None or 0 <= group.share <= 1
            for window in (data.windows[place] for place in group.windows):
                counts = np.isin(np.arange(len(window.true)), window.out, invert=True)
                true = np.where(counts, window.true, -STEPS)
                peak = int(true.argmax())
                if group.kind == "interval":
                    low, high = (end * STEPS / data.largest for end in (group.low, group.high))
                    assert low - 2 <= true[peak] <= high + 2
                if group.kind == "missed":
                    assert true[peak] >= threshold - 2 and window.predicted[peak] <= true[peak] / 4 + 2
                if group.kind == "false-alarm":
                    foreseen = np.where(counts, [p if p is not None else -STEPS for p in window.predicted], -STEPS)
                    assert foreseen.max() >= threshold - 2 and true[int(foreseen.argmax())] <= threshold + 2
    assert {"top", "interval", "random"} <= kinds and kinds & {"missed", "false-alarm"}


def test_intervals_hold_all_firing_inputs_and_none_twice(study: Study, context: StudyContext) -> None:
    result = next(study.results())
    evidence = context.evidence(result.unit)
    random, maxima = np.asarray(evidence.test.in_random), evidence.test.maxima
    shares = [group.share for group in unit_windows(result, context).groups if group.kind == "interval"]
    fires = (maxima[random] > evidence.statistics.input_threshold).mean()
    assert sum(shares) == pytest.approx(fires, abs=1e-3 * len(shares))


def test_windows_without_predictions_come_at_once(study: Study, context: StudyContext) -> None:
    data = unit_windows(next(study.results()), context, predict=False)
    assert all(window.predicted is None for window in data.windows)
    assert {group.kind for group in data.groups} <= {"top", "interval", "random"}
    assert data.why_unpredicted == "not asked for"


def test_windows_are_of_the_test_split(study: Study, context: StudyContext) -> None:
    recording = study.recording
    of_document = dict(zip(np.asarray(recording.windows.documents), np.asarray(recording.split_of_input), strict=True))
    splits = {recording.group_ids[d]: split for d, split in of_document.items()}
    for window in unit_windows(next(study.results()), context).windows:
        assert splits[window.group] == SPLITS.index("test")


def test_the_histogram_counts_every_valid_token_of_the_panel(study: Study, context: StudyContext) -> None:
    unit = next(study.results()).unit
    found = histogram(unit, context)
    assert found.counts.sum() == study.recording.valid_places(next(iter(study.recording.sites)))
    data = unit_windows(next(study.results()), context)
    assert data.histogram.counts == found.counts.tolist()


def test_top_tokens_are_those_with_the_largest_means(study: Study, context: StudyContext) -> None:
    unit, recording = next(study.results()).unit, study.recording
    told = unit_windows(next(study.results()), context).top_tokens
    valid = recording.valid(unit.site)[recording.panel]
    values, tokens = recording.panel_values(unit)[valid], recording.windows.tokens[recording.panel][valid]
    for one in told:
        (number,) = [t for t in np.unique(tokens) if recording.vocabulary.texts[t] == one.token]
        assert (one.count, one.mean) == (
            (tokens == number).sum(),
            pytest.approx(values[tokens == number].mean(), rel=1e-2),
        )
    assert [t.mean for t in told] == sorted((t.mean for t in told), reverse=True)


def test_what_was_not_predicted_is_no_number() -> None:
    window = ShownInput(
        "top", "d", ("a", "b", "c"), np.array([True, True, False]), np.array([2.0, 1.0, 0.0]),
        np.array([1.0, np.nan, 0.0]), Grid("tokens", (3,)),
    )  # fmt: skip
    shown = window_shown(window, 2.0, {})
    assert (shown.predicted, shown.out) == ([500, None, 0], [2])
    assert in_steps(np.array([np.nan]), 1.0) == [None]
    assert (window.peak(window.true), window.peak(window.predicted)) == (2.0, 1.0)
    told = as_json("s", RESULTS[0], [window])["windows"][0]["predicted"]
    assert told == [1.0, None, 0.0]


def test_pages_are_json_that_reads_back(study: Study, context: StudyContext) -> None:
    from glossator.explorer.pages.parts import adapter

    for value in (study_page(study), unit_list(study), unit_windows(next(study.results()), context)):
        assert adapter(type(value)).validate_json(to_json(value)) == value
    assert adapter(UnitWindows).json_schema()["title"] == "UnitWindows"


def test_a_study_without_its_recording_has_pages(tmp_path: Path) -> None:
    results = [
        UnitResult(Unit("toy", "mlp.0", i), "ok", "", {"mean": 0.5, "firing_rate": i / 10}, (CATS[0],))
        for i in range(3)
    ]
    with stored(tmp_path / "s", results) as study:
        assert unit_list(study).total == 3
        assert "Inputs" not in dict(study_page(study).facts)
        assert [unit.density for unit in unit_list(study, order="place").units] == [0, 0.1, 0.2]


class Letters:
    """Embeds a text as how often each letter stands in it."""

    name, fingerprint, width = "letters", "l", 26

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        counts = np.array([[text.lower().count(chr(97 + i)) for i in range(26)] for text in texts], np.float32)
        return counts / np.maximum(np.linalg.norm(counts, axis=1, keepdims=True), 1e-9)


def test_units_are_found_by_meaning(tmp_path: Path) -> None:
    texts = ["cats", "dogs", "cats", "keeping, kept"]
    results = [
        UnitResult(Unit("toy", "mlp.0", i), "ok", "", {"mean": 0.5}, (replace(CATS[1], text=text, rank=0),))
        for i, text in enumerate(texts)
    ]
    with stored(tmp_path / "s", results) as study:
        meanings = Meanings(study, Letters())
        assert len(meanings.vectors) == 3  # each text once
        found = meanings.close_to(study, "acts", 3)
        assert [unit.unit for unit in found.units] == ["mlp.0/0", "mlp.0/2", "mlp.0/1"]
        assert found.cosine[:2] == [1.0, 1.0] and found.cosine[2] < 1 and found.total == 4
        some = meanings.close_to(study, "acts", 3, Wanted(places=[2, 3]))
        assert [unit.unit for unit in some.units] == ["mlp.0/2", "mlp.0/1"] and some.total == 2
        none = meanings.close_to(study, "acts", 3, Wanted(where={"status": "failed"}))
        assert (none.units, none.cosine, none.total) == ([], [], 0)
        for text, limit in (("", 3), ("a", 0), ("a", MOST_ROWS + 1)):
            with pytest.raises(UserError):
                meanings.close_to(study, text, limit)


def test_a_side_of_which_nothing_is_explained_has_no_mean(tmp_path: Path) -> None:
    with (
        stored(tmp_path / "a", RESULTS) as ours,
        stored(tmp_path / "b", [replace(RESULTS[0], explanations=())]) as theirs,
    ):
        found = compare(Side(ours), Side(theirs), ours.ranked_by)
    assert found.b.value is None and found.b.reason and found.paired == 0
