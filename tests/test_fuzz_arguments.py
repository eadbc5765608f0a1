"""Arguments that nobody should type, and paths that cannot be used."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import fuzzing
from study_cases import write_corpus

LONG = "x" * 300
ODD_NUMBERS = ("-1", "0", "1e5", "²", "٣", "9" * 30, "9" * 5000, "0x10", "1_000", "nan", "inf", "", " ", "3,", ",",
               "5-2", "0-99999999999", "1-2-3", "all", "ALL", "1.5", "--", "+", "\u202e")  # fmt: skip
FLAGS = ("--units", "--unit", "--tokens", "--width", "--seed", "--side", "--dtype", "--device", "--site", "--corpus",
         "--explainer", "--simulator", "--card", "--scorer", "--directions", "--out", "--text-column", "--budget",
         "--prices", "--lm-cache", "--subject")  # fmt: skip


@pytest.fixture
def base(tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A command that would work, in a folder that holds what else may be named."""
    write_corpus(tmp_path / "corpus.jsonl", 60)
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe.jsonl")
    (tmp_path / "bad.toml").write_text("= = =")
    (tmp_path / "folder" / "foreign").write_text("x")
    (tmp_path / "bad.npy").write_bytes(b"\x93NUMPY\x01\x00")
    monkeypatch.chdir(tmp_path)
    return ["record", "--subject", str(tiny_folder), "--site", "mlp.0", "--units", "2", "--width", "32",
            "--tokens", "2000", "--corpus", "corpus.jsonl", "--out", "out", "--quiet"]  # fmt: skip


@pytest.mark.parametrize("value", ODD_NUMBERS)
def test_odd_numbers(value: str, base: list[str]) -> None:
    for flag in ("--units", "--tokens", "--width", "--seed"):
        code, _, err = fuzzing.holds([*base, f"{flag}={value}"], (flag, value))
        assert code == 0 or err.count("\n") == 1, err


PATHS = (LONG, "file/below", "folder", "/dev/null", "/dev/null/x", "/proc/1/x", ".", "corpus.jsonl", "pipe.jsonl",
         "~nobody/x", "a\nb", "../" * 200 + "x", "\udcff")  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_paths_that_cannot_be_used(path: str, base: list[str], tmp_path: Path) -> None:
    for flag in ("--corpus", "--directions", "--prices", "--subject"):
        fuzzing.holds([*base, f"{flag}={path}"], (flag, path))
    if not path.startswith("../") and path not in ("a\nb", "~nobody/x", "\udcff"):
        code, _, err = fuzzing.holds([*base, f"--out={path}"], path)
        assert code == 2 and err.count("\n") == 1, err
    assert (tmp_path / "folder" / "foreign").read_text() == "x"
    for command in (["run", path], ["studies", path], ["show", "mlp.0/1", "--study", path], ["units", path],
                    ["search", "x", "--study", path], ["grid", path], ["sasc", f"{path}:f"]):  # fmt: skip
        fuzzing.holds(command, path)


@pytest.mark.parametrize("seed", fuzzing.seeds(4, 150))
def test_any_arguments(seed: int, base: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng([seed, 5])
    names = ["record", "show", "search", "studies", "units", "explain", "score", "grid", "bench", "human", "directions"]
    texts = [t for t in (*fuzzing.NASTY_TEXTS, *ODD_NUMBERS, *PATHS) if "\0" not in t and not t.startswith("scripted")]
    with fuzzing.canary(tmp_path, monkeypatch):
        for _ in range(6):
            if rng.random() < 0.6:
                given = [*base, str(rng.choice(FLAGS)), str(rng.choice(texts))]
            else:
                given = [
                    str(rng.choice(names)),
                    *(str(t) for t in rng.choice([*texts, *FLAGS, "--json"], rng.integers(0, 4))),
                ]
            fuzzing.holds(given, seed)
