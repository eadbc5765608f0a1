"""Continuations under steering, and scenes of one's own: the same as the parts they are made of."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from glossator.causal.generating import generate
from glossator.causal.running import run
from glossator.causal.steering import random_directions, unit_push
from glossator.cli import main
from glossator.errors import MissingPower, UserError
from glossator.inputs import Images
from glossator.study import Study, StudySpec, run_study
from glossator.study.steered import MOST_TOKENS, steer
from glossator.study.trying import Bench, bench_for, tried_scene
from study_cases import small_spec, write_corpus

PROMPT = "the lazy fox jumps over"


@pytest.fixture(scope="module")
def bench(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    write_corpus(tiny_folder.parent / "corpus.jsonl")
    study = run_study(small_spec(tiny_folder), tmp_path_factory.mktemp("steered") / "s", progress=False)
    assert study is not None
    with bench_for(study) as opened:
        yield opened


def test_the_random_direction_moves_the_stream_as_far_as_the_unit(bench: Bench) -> None:
    assert bench.study is not None
    unit = next(bench.study.results()).unit
    found = steer(bench, unit, PROMPT, 0.02, new_tokens=6, seed=3)
    by = {one.way: one for one in found.written}
    assert [*by] == ["none", "up", "down", "random-direction"]
    assert by["up"].nats == pytest.approx(0.02, rel=0.06) and found.why_not is None and by["none"].nats == 0
    windows, push = bench.windows([PROMPT]), unit_push(unit)
    (random,) = random_directions(bench.subject, push.site, 1, 3)
    assert random.site == found.site

    def stream(edits):
        return np.concatenate([b.values[found.site].numpy() for b in run(bench.subject, windows, edits,
                               sites=[found.site])])[:, : windows.width]  # fmt: skip

    for way, strength in ((push, by["up"].strength), (random, by["random-direction"].strength)):
        moved = np.linalg.norm(stream([way.edit(strength, windows.valid)]) - stream([]), axis=-1)
        assert moved[windows.valid].mean() == pytest.approx(found.norm, rel=1e-3)


def test_what_is_untouched_is_what_the_model_writes(bench: Bench) -> None:
    assert bench.study is not None
    unit = next(bench.study.results()).unit
    found = steer(bench, unit, PROMPT, 3.0, new_tokens=8)
    by = {one.way: one.text for one in found.written}
    assert [by["none"]] == generate(bench.subject, [PROMPT], new_tokens=8, temperature=0.0)
    assert len(set(by.values())) > 1
    assert steer(bench, unit, PROMPT, 3.0, new_tokens=8) == found


def test_what_cannot_be_steered_says_why(bench: Bench) -> None:
    assert bench.study is not None
    unit = next(bench.study.results()).unit
    with pytest.raises(UserError, match="too long"):
        steer(bench, unit, "the fox " * MOST_TOKENS)
    with pytest.raises(UserError, match="not of images"):
        tried_scene(bench, unit, "a dog")


def test_a_scene_is_run_as_the_recording_would_run_it(tmp_path: Path) -> None:
    spec = StudySpec(subject="renders-cnn", sites=("layers.1",), units=(3,), corpus="renders:60")
    study = run_study(spec, tmp_path / "s", progress=False)
    assert isinstance(study, Study)
    with bench_for(study) as bench:
        unit = next(study.results()).unit
        one = tried_scene(bench, unit, "a red dog on grass and a zork", 1)
        assert any("zork" in missing for missing in one.picture.missing)
        assert one.picture.pixels.shape[0] == study.recording.inputs.pixels.shape[1]
        pixels = Images.of(one.picture.pixels[None])
        np.testing.assert_allclose(bench.values(unit.site, [unit.index], pixels)[0, :, 0] * unit.sign, one.true)
        assert one.predicted is None or one.predicted.shape == one.true.shape
        again = tried_scene(bench, unit, "a red dog on grass and a zork", 1)
        np.testing.assert_array_equal(again.picture.pixels, one.picture.pixels)
        with pytest.raises(MissingPower):
            steer(bench, unit, "a text")


def test_the_command_runs_a_unit_of_images_on_scenes(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    spec = StudySpec(subject="renders-cnn", sites=("layers.1", "noun"), units=(3,), corpus="renders:60")
    study = run_study(spec, tmp_path / "s", progress=False)
    assert isinstance(study, Study)
    sentences = ["a red dog on grass and a zork", "two cars at night"]
    capsys.readouterr()
    for name, grid in (("layers.1/3", "cells 24 x 24"), ("noun/3", "")):
        arguments = ["try", name, *sentences, "--study", str(tmp_path / "s"), "--seed", "1"]
        assert main([*arguments, "--json"]) == 0
        told = json.loads(capsys.readouterr().out)["scenes"]
        unit = next(one.unit for one in study.results() if str(one.unit).endswith(name))
        with bench_for(study) as bench:
            one = tried_scene(bench, unit, sentences[0], 1)
        np.testing.assert_allclose(told[0]["true"], one.true, atol=1e-4)
        assert (
            told[0]["missing"] == ["not understood: zork"]
            and told[1]["missing"] == []
            and told[0]["grid"] == list(one.grid.shape)
        )
        assert main(arguments) == 0
        printed = " ".join(capsys.readouterr().out.split())
        assert "Not as asked: not understood: zork" in printed and printed.count("Peak ") == 2 and grid in printed
    assert main([*arguments, "--at", "1"]) == 2 and "is of images" in capsys.readouterr().err
    assert main(["try", "renders-cnn/noun/5", "a dog"]) == 2 and "needs a study" in capsys.readouterr().err
