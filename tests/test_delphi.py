"""Latents that delphi has cached are studied without their model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from glossator.cli import main
from glossator.errors import MissingPower, UserError
from glossator.inputs import Texts
from glossator.store.study import open_study
from glossator.study import run_study
from glossator.subjects.base import check_takes
from glossator.subjects.delphi import DelphiSubject
from glossator.subjects.named import open_subject
from study_cases import small_spec

ROWS, POSITIONS, LATENTS, SPLITS = 160, 48, 30, 4


def save_cache(run: Path, model: Path, sites: tuple[str, ...] = ("layers.1", "layers.1.mlp")) -> dict[str, np.ndarray]:
    """As delphi 0.1.3 saves one: latents in ranges, places from 0 in each, float16; the values (rows, positions, n)."""
    rng = np.random.default_rng(0)
    tokens = rng.integers(3, 300, (ROWS, POSITIONS)).astype(np.int64)
    found = {}
    for number, site in enumerate(sites):
        values = rng.gamma(2.0, size=(ROWS, POSITIONS, LATENTS)) * (rng.random((ROWS, POSITIONS, LATENTS)) < 0.02)
        values[..., 5] = np.where(tokens % 7 == number, 3.0 + (tokens % 5) / 4, 0)
        found[site] = values.astype(np.float16).astype(np.float32)
        (run / "latents" / site).mkdir(parents=True)
        places, edges = np.argwhere(values), np.linspace(0, LATENTS, SPLITS + 1).astype(int)
        for first, end in zip(edges[:-1], edges[1:] - 1, strict=True):
            inside = places[(places[:, 2] >= first) & (places[:, 2] <= end)]
            stored = {
                "locations": (inside - [0, 0, first]).astype(np.uint16),
                "activations": values[tuple(inside.T)].astype(np.float16),
                "tokens": tokens,
            }
            save_file(stored, run / "latents" / site / f"{first}_{end}.safetensors")
        config = {"model_name": str(model), "cache_ctx_len": POSITIONS, "n_splits": SPLITS}
        (run / "latents" / site / "config.json").write_text(json.dumps(config))
    return found | {"tokens": tokens}


def settings(run: Path, **changes):
    given = {"subject": f"delphi:{run}", "corpus": f"delphi:{run}", "sites": ("layers.1",), "units": (5, 2)}
    return {**given, "max_tokens": None, "width": 20, **changes}


def test_a_cache_becomes_a_recording_of_the_same_values(tiny_folder: Path, tmp_path: Path) -> None:
    true = save_cache(tmp_path / "run", tiny_folder)
    spec = small_spec(tiny_folder, **settings(tmp_path / "run", sites=("layers.1", "layers.1.mlp"), units="all"))
    study = run_study(spec, tmp_path / "s", progress=False)
    assert study is not None
    recording = study.recording
    windows = recording.inputs
    assert len(windows) == ROWS * 3 and windows.lengths.tolist()[:3] == [20, 20, 8]
    joined = np.concatenate([windows.tokens[i, : windows.lengths[i]] for i in range(len(windows))])
    assert np.array_equal(joined, true["tokens"].ravel())
    assert not windows.valid[::3, 0].any() and windows.valid[1::3].all()
    for site in ("layers.1", "layers.1.mlp"):
        assert recording.sites[site].kind == "sparse" and recording.sites[site].width == LATENTS
        for unit in recording.units(site):
            wanted = np.zeros((ROWS, 60), np.float32)
            wanted[:, :POSITIONS] = true[site][..., unit]
            found = recording.values(next(u for u in recording.all_units() if u.site == site and u.index == unit),
                                     np.arange(len(windows)))  # fmt: skip
            np.testing.assert_allclose(found, wanted.reshape(-1, 20) * windows.valid, rtol=1e-3, atol=1e-6)


def test_a_study_of_cached_latents(tiny_folder: Path, tmp_path: Path, capsys) -> None:
    save_cache(tmp_path / "run", tiny_folder)
    how = ["--explainer", "token-list", "--scorer", "correlation", "--quiet"]
    what = ["--subject", f"delphi:{tmp_path / 'run'}", "--site", "layers.1", "--unit", "5", "--width", "24"]
    assert main(["run", *what, *how, "--card", "both", "--scorer", "ablation", "--out", str(tmp_path / "s")]) == 2
    assert "cannot be intervened on" in capsys.readouterr().err and not (tmp_path / "s").exists()
    assert main(["run", *what, *how, "--out", str(tmp_path / "s")]) == 0
    assert main(["run", str(tmp_path / "s"), "--quiet"]) == 0  # finished, so that it is only opened
    with open_study(tmp_path / "s") as study:
        (result,) = study.results()
        assert str(result.unit) == f"delphi-{tiny_folder.name}/layers.1/5"
        scores = {s.name: s for e in result.explanations for s in e.scores}
        assert scores["correlation.top-and-random"].baselines["lookup"] > 0.95  # it is a function of the token
    assert main(["verify", str(tmp_path / "s")]) == 0


def test_windows_in_any_order(tiny_folder: Path, tmp_path: Path) -> None:
    true = save_cache(tmp_path / "run", tiny_folder)
    subject = open_subject(f"delphi:{tmp_path / 'run' / 'latents'}")
    windows = subject.windows(16)
    rows = np.array([40, 3, 4, 100])
    found = {}
    subject.visit(windows.take(rows), ["layers.1"], found.__setitem__)
    values, numbers = (a.numpy() for a in found["layers.1"])
    dense = np.zeros((4, 16, LATENTS), np.float32)
    np.add.at(dense, (*np.indices(numbers.shape)[:2], numbers), values)
    np.testing.assert_array_equal(dense, true["layers.1"].reshape(-1, 16, LATENTS)[rows])
    with pytest.raises(MissingPower, match="delphi-tiny takes tokens"):
        check_takes(subject, Texts.of(["a"]))


def spoiled(run: Path, what: str) -> None:
    site = run / "latents" / "layers.1"
    file = sorted(site.glob("*.safetensors"))[0]
    from safetensors.numpy import load_file

    arrays = load_file(file)
    if what == "config":
        (site / "config.json").write_text("[]")
    elif what == "nobody":
        (site / "config.json").write_text("{}")
    elif what == "damaged":
        file.write_bytes(b"nothing")
    elif what == "tokens":
        save_file({**arrays, "tokens": arrays["tokens"] + 5000}, file)
    elif what == "order":
        save_file({**arrays, **{k: np.ascontiguousarray(arrays[k][::-1]) for k in ("locations", "activations")}}, file)
    elif what == "places":
        save_file({**arrays, "locations": arrays["locations"] + np.uint16(200)}, file)
    elif what == "shape":
        save_file({**arrays, "activations": arrays["activations"][1:]}, file)


def read_all(run: Path) -> None:
    subject = DelphiSubject(run)
    subject.visit(subject.windows(16), ["layers.1"], lambda *_: None)


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("config", "config is damaged"), ("nobody", r"does not name its model.*#TOKENIZER"), ("damaged", "no tokens"),
        ("tokens", "not of this tokenizer"), ("order", "not in order"), ("places", "no tokens or latents for"),
        ("shape", "wrong shape"),
    ],
)  # fmt: skip
def test_what_is_no_cache_is_refused_in_a_sentence(what: str, words: str, tiny_folder: Path, tmp_path: Path) -> None:
    save_cache(tmp_path / "run", tiny_folder, sites=("layers.1",))
    spoiled(tmp_path / "run", what)
    with pytest.raises(UserError, match=words):
        read_all(tmp_path / "run")
    with pytest.raises(UserError, match="no cached latents here"):
        DelphiSubject(tmp_path)
