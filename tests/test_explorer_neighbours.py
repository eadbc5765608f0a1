"""What stands beside a unit: related units, output tokens, and what its scores were computed from."""

from __future__ import annotations

import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dictionary_cases import save_saelens
from glossator.errors import MissingPower, UserError
from glossator.explorer.export import export_folder
from glossator.explorer.opened import OpenedStudy
from glossator.explorer.pages.evidence import MOST_SHOWN, score_evidence
from glossator.explorer.pages.neighbours import MOST, Firing, written_by
from glossator.explorer.pages.unit import unit_page
from glossator.explorer.pages.windows import STEPS
from glossator.language_models import Answer, Request, TokenLogprob
from glossator.store.study import unit_of
from glossator.study import Study, run_study
from glossator.study.context import StudyContext
from glossator.study.sources import kept_readouts
from glossator.subjects import load_subject
from study_cases import register, small_spec, write_corpus


@pytest.fixture(scope="module")
def study(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Neurons of two layers, both polarities, and latents of a random dictionary."""
    write_corpus(tiny_folder.parent / "corpus.jsonl")
    place = tmp_path_factory.mktemp("neighbours")
    spec = small_spec(
        tiny_folder, sites=("mlp.0", "mlp.1", "sae@resid.0"), units=12, polarities=("+", "-"),
        readouts=(f"dictionary:{save_saelens(place / 'sae')}",), scorers=("correlation", "detection", "peak"),
    )  # fmt: skip
    found = run_study(spec, place / "s", progress=False)
    assert found is not None
    return found


def test_each_polarity_names_the_other(study: Study) -> None:
    pairs = {result.unit: unit_page(study, result.unit).opposite for result in study.results()}
    signed = {unit: other for unit, other in pairs.items() if "@" not in unit.site}
    assert {unit.polarity for unit in signed} == {"+", "-"}
    for unit, other in signed.items():
        assert other == replace(unit, polarity="-" if unit.polarity == "+" else "+").short
        assert signed[unit_of(study, other)] == unit.short


def test_units_that_share_their_strongest_inputs(study: Study) -> None:
    """Against sets of rows, taken one unit after the other."""
    recording, index = study.recording, Firing(study, study.recording)
    units = [result.unit for result in study.results() if result.unit.site in recording.sites]
    tops = {unit: set(recording.top_rows(unit).tolist()) for unit in units}
    seen = set()
    for unit in units:
        told = index.beside(study, unit)
        seen.add(unit.site)
        others = [o for o in units if (o.site, o.index) != (unit.site, unit.index) and len(tops[o] & tops[unit]) > 1]
        alike = {o: len(tops[o] & tops[unit]) / np.sqrt(len(tops[o]) * len(tops[unit])) for o in others}
        expected = sorted(alike.values(), reverse=True)[:MOST]
        assert len(told.units) == len(expected)
        by_name = {unit.short: unit for unit in units}
        for one, best in zip(told.units, expected, strict=True):
            other = by_name[one.unit]
            assert alike[other] == pytest.approx(best)
            assert one.shared == len(tops[other] & tops[unit])
            assert one.of == min(len(tops[other]), len(tops[unit]))
            assert one.by_chance == pytest.approx(
                len(tops[other]) * len(tops[unit]) / len(recording.split_of_input), rel=1e-3
            )
            both = np.array(sorted(tops[other] & tops[unit]))
            valid = recording.valid(unit.site)[both]
            peaks = [np.where(valid, recording.values(u, both), -np.inf).argmax(axis=1) for u in (unit, other)]
            assert one.same_peak == (peaks[0] == peaks[1]).sum()
    assert seen == {"mlp.0", "mlp.1", "sae@resid.0"}


def test_units_that_write_alike(study: Study, tiny_folder: Path) -> None:
    readouts, subject = kept_readouts(study.recording), load_subject(str(tiny_folder))
    assert written_by(study, "mlp.0", readouts) is None  # only the model knows
    for site in ("sae@resid.0", "mlp.0"):
        units = [result.unit for result in study.results() if result.unit.site == site]
        rows = {
            unit: (
                readouts[site].decoder[unit.index].numpy()
                if "@" in site
                else subject.model.model.layers[0].mlp.down_proj.weight[:, unit.index].detach().numpy()
            )
            * unit.sign
            for unit in units
        }
        written = written_by(study, site, readouts, subject)
        told = written.beside(study, units[0])
        by_name = {unit.short: unit for unit in units}
        assert told.units and units[0].short not in {one.unit for one in told.units}
        for one in told.units:
            a, b = rows[units[0]], rows[by_name[one.unit]]
            assert one.cosine == pytest.approx(a @ b / np.linalg.norm(a) / np.linalg.norm(b), abs=1e-3)
        sizes = [abs(one.cosine) for one in told.units]
        assert sizes == sorted(sizes, reverse=True)
    with pytest.raises(MissingPower):
        written_by(study, "sae@resid.0", {}, subject)


def test_what_is_served_and_exported(study: Study, tmp_path: Path) -> None:
    from explorer_cases import units_of

    opened = OpenedStudy("s", study.folder)
    units = [result.unit for result in study.results()]
    latent = next(unit for unit in units if "@" in unit.site)
    told = opened.neighbours(units[0].short, "firing")
    assert opened.neighbours(units[0].short, "firing") == told
    assert opened.neighbours(units[0].short, "weights").units
    tokens = opened.runs.output(latent.short)
    strengths = [token.strength for token in tokens.raises]
    assert strengths == sorted(strengths, reverse=True) and (tokens.why or min(strengths, default=9) > tokens.chance)
    export_folder(study, tmp_path / "out")
    pages = {one["page"]["unit"]: one["neighbours"] for one in units_of(tmp_path / "out")}
    assert [one["unit"] for one in pages[units[0].short]["firing"]["units"]] == [one.unit for one in told.units]
    assert set(pages[latent.short]) == {"firing", "weights"} and set(pages[units[0].short]) == {"firing"}


def test_a_score_is_computed_from_its_evidence(study: Study) -> None:
    """The dots are the score's windows; the correlation of what is drawn there is the score."""
    context = StudyContext.to_show(study)
    result = next(r for r in study.results() if r.best() is not None and r.best().scores)
    best = result.best()
    for score in best.scores:
        if score.value is None or not score.name.startswith(("correlation", "detection", "peak")):
            continue
        told = score_evidence(result, best.method, score.name, context)
        assert told.what == "windows" and len(told.true) == sum(score.how["windows"].values())
        assert {kind: told.kinds.count(kind) for kind in {*told.kinds}} == score.how["windows"]
        assert len(told.windows) == min(MOST_SHOWN, len(told.true)) == len(told.shown)
        for at, window in zip(told.shown, told.windows, strict=True):
            counts = np.isin(np.arange(len(window.true)), window.out, invert=True)
            peak = max(0.0, float(np.array(window.true)[counts].max() * told.largest / STEPS))
            assert peak == pytest.approx(told.true[at], abs=told.largest / 400)
    assert score_evidence(result, best.method, "correlation.random-only", context).kinds[0] == "random"
    with pytest.raises(UserError, match="no such score"):
        score_evidence(result, best.method, "correlation", context)
    with pytest.raises(UserError, match="no explanation by this method"):
        score_evidence(result, "nobody", "correlation.random-only", context)


def judge(request: Request) -> Answer:
    """Says yes with a probability that hangs on the text alone."""
    share = (1 + zlib.crc32(request.messages[-1].content.encode()) % 97) / 99
    yes, no = np.log(share), np.log(1 - share)
    return Answer("yes", tokens=(TokenLogprob("yes", yes, {"yes": yes, "no": no}),))


def test_answers_and_interventions(tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A judge's answers are said again; of ablation and steering the windows are drawn in which the model was run, of
    other interventions it is said why there are none."""
    register(monkeypatch, "scorers", acting="Acting")
    write_corpus(tiny_folder.parent / "corpus.jsonl")
    scorers = ("correlation", "lm-detection", "acting", "ablation", "output-side")
    lm = "scripted:test_explorer_neighbours:judge"
    spec = small_spec(tiny_folder, card="both", scorers=scorers, units=(1, 2), lm=lm)
    study = run_study(spec, tmp_path / "s", progress=False)
    assert study is not None
    with study as found:
        context = StudyContext.to_show(found)
        result = next(found.results())
        best = result.best()
        by_name = {score.name: score for score in best.scores}
        told = score_evidence(result, best.method, "lm-detection.auroc", context)
        asked = by_name["lm-detection.auroc"].how
        assert told.what == "answers" and len(told.true) == asked["asked"]
        assert told.kinds.count("firing") == asked["items"]["firing"]
        right, given = np.array(told.true), np.array(told.said)
        yes = np.where(given > 0.5, 1.0, 0.0)
        accuracy = ((yes == right)[right == 1].mean() + (yes == right)[right == 0].mean()) / 2
        assert by_name["lm-detection.balanced-accuracy"].value == pytest.approx(accuracy)
        told = score_evidence(result, best.method, "acting", context)
        assert told.what == "" and told.why
        told, ablation = score_evidence(result, best.method, "ablation", context), by_name["ablation"]
        assert told.what == "windows" and "in the unit's place" in told.why
        assert len(told.true) == ablation.how["windows"]["random"] and {*told.kinds} == {"random"}
        assert len({*told.groups}) == ablation.n
        told = score_evidence(result, best.method, "output-side.auroc", context)
        steered = context.evidence(result.unit).split("test").of("random").windows
        assert told.what == "windows" and "pushed" in told.why and len(told.true) == min(24, len(steered))
        (tmp_path / "s" / "answers.sqlite").unlink()
        told = score_evidence(result, best.method, "lm-detection.auroc", StudyContext.to_show(found))
        assert (told.what, told.why) == ("", "the answers are not beside the study")
