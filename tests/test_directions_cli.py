"""`glossator directions`: make and find from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from direction_cases import planted_values
from glossator.cli import main
from glossator.readouts import load_directions


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return planted_values(tmp_path_factory.mktemp("planted") / "recording", n=240).recording.folder


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main(["directions", *map(str, arguments)])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_found_directions_are_saved_with_what_explains_them(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--site", "mlp.0", "--n", 2, "--rounds", 2, "--steps", 8]
    code, out, _ = run(capsys, "find", recording.parent, *options, "--out", tmp_path / "a", "--json")
    shown = json.loads(out)
    assert code == 0 and len(shown["directions"]) == 2 and shown["max_cosine"] <= 0.3
    saved = load_directions(tmp_path / "a", site="mlp.0", subject="planted")
    rows = json.loads((tmp_path / "a" / "explanations.json").read_text())
    assert [row["unit"] for row in rows] == [str(unit) for unit in saved.units()] and rows == shown["directions"]
    assert all(row["scores"][0]["baselines"].keys() == {"lookup", "token-list", "mismatched"} for row in rows)
    code, out, _ = run(capsys, "find", recording, *options, "--out", tmp_path / "b")
    assert code == 0 and "round 0" in out and "planted/found@mlp.0/1" in out and "Largest |cosine|" in out
    for name in ("directions.safetensors", "directions.json", "explanations.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_made_directions_are_saved(recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = ["--site", "mlp.0", "--recording", recording, "--n", 3, "--out", tmp_path]
    for method in ("principal", "random"):
        code, out, _ = run(capsys, "make", method, *made, "--json")
        assert code == 0 and json.loads(out)["directions"] == 3 and len(load_directions(tmp_path)) == 3


def test_directions_from_texts(tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = {"up": "red green blue yellow", "down": "one two three four"}
    for name, words in texts.items():
        lines = [f"{word} {name} {i}" for i, word in enumerate(words.split() * 3)]
        (tmp_path / f"{name}.txt").write_text("\n".join(lines))
    groups = ["--positive", tmp_path / "up.txt", "--negative", tmp_path / "down.txt"]
    site = ["--subject", tiny_folder, "--site", "mlp.1", "--out", tmp_path / "d"]
    code, out, _ = run(capsys, "make", "ridge", *groups, *site)
    assert code == 0 and "3 and 3 held-out texts" in out
    code, out, _ = run(capsys, "make", "difference", *groups, *site, "--name", "colours")
    assert code == 0 and "colours@mlp.1" in out and load_directions(tmp_path / "d").made["positive"] == 12
    np.save(tmp_path / "v.npy", np.ones((2, 64)))
    code, out, _ = run(capsys, "make", "vectors", "--vectors", tmp_path / "v.npy", *site)
    assert code == 0 and len(load_directions(tmp_path / "d")) == 2


def test_mistakes_are_one_sentence(
    recording: Path, tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["--out", tmp_path / "o"]
    (tmp_path / "empty.txt").write_text("\n\n")
    (tmp_path / "full.txt").write_text("a\nb\n")
    np.save(tmp_path / "v.npy", np.ones((2, 5)))
    empty = ["--positive", tmp_path / "empty.txt", "--negative", tmp_path / "full.txt"]
    vectors = ["--vectors", tmp_path / "v.npy", "--subject", tiny_folder]
    np.save(tmp_path / "64.npy", np.ones((2, 64)))
    fitting = ["--vectors", tmp_path / "64.npy", "--subject", tiny_folder]
    for name, array in (("complex", np.full((1, 64), 1j)), ("huge", np.full((1, 64), 1e300)), ("no", np.array(["a"]))):
        np.save(tmp_path / f"{name}.npy", array)
    np.savez(tmp_path / "several.npz", np.ones(64))
    for arguments, words in (
        (("make", "odd", "--site", "mlp.0", *out), "unknown method"),
        (("make", "logistic", "--site", "mlp.0", *empty, *out), "a group of texts is empty"),
        (("make", "logistic", "--site", "mlp.0", *out), "needs a file of texts"),
        (("make", "principal", "--site", "mlp.0", *out), "needs a recording"),
        (("make", "random", "--site", "mlp.3", "--recording", recording, *out), "was not recorded"),
        (("make", "vectors", "--site", "mlp.1", *out), "needs vectors"),
        (("make", "vectors", "--site", "mlp.1", *vectors, *out), "not have the width of mlp.1: 5"),
        (("make", "vectors", "--site", "mlp.99", *fitting, *out), "no such site: 'mlp.99'"),
        (("make", "vectors", "--site", "nonsense", *fitting, *out), "no such site"),
        (("make", "vectors", "--site", "mlp.1", "--vectors", tmp_path / "complex.npy", *out), "not real numbers"),
        (("make", "vectors", "--site", "mlp.1", "--vectors", tmp_path / "huge.npy", *out), "not finite"),
        (("make", "vectors", "--site", "mlp.1", "--vectors", tmp_path / "no.npy", *out), "not numbers"),
        (("make", "vectors", "--site", "mlp.1", "--vectors", tmp_path / "several.npz", *out), "cannot be read"),
        (("make", "vectors", "--site", "mlp.1", *fitting, "--out", tmp_path / "v.npy"), "is a file"),
        (("find", recording, "--site", "mlp.0", "--out", tmp_path / "v.npy" / "o"), "is a file"),
        (("find", tmp_path, "--site", "mlp.0", *out), "no recording here"),
        (("find", recording, "--site", "mlp.0", "--start", "odd", *out), "unknown start"),
    ):
        code, printed, error = run(capsys, *arguments)
        assert code == 2 and words in error and error.count("\n") == 1 and not printed, (arguments, error)
    assert not (tmp_path / "o").exists()
