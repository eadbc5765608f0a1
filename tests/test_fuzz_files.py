"""Files that were damaged, edited or made to harm: corpora, specs, studies, recordings, direction sets."""

from __future__ import annotations

import contextlib
import gzip
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import fuzzing
from glossator.corpora import make_windows, open_corpus
from glossator.errors import UserError
from glossator.files import fingerprint
from glossator.recording.store import crc32_of, sample_of
from glossator.study import run_study
from study_cases import small_spec, write_corpus


@pytest.fixture(scope="module")
def texts() -> list[str]:
    rng = np.random.default_rng(0)
    words = ["one", "zwei", "три", "四", "naïve", "it's", "\u202e", "a,b", '"x"', "end."]
    return [" ".join(rng.choice(words, 30)) for _ in range(40)]


def write_all(folder: Path, texts: list[str]) -> list[Path]:
    """The same texts as every kind of file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    lines = "".join(json.dumps({"text": t, "id": str(i)}) + "\n" for i, t in enumerate(texts)).encode()
    quoted = [t.replace('"', '""') for t in texts]
    (folder / "a.jsonl").write_bytes(lines)
    (folder / "a.jsonl.gz").write_bytes(gzip.compress(lines))
    (folder / "a.csv").write_text("id,text\n" + "".join(f'{i},"{t}"\n' for i, t in enumerate(quoted)))
    (folder / "a.txt").write_text("\n\n".join(texts))
    table = pa.table({"text": texts, "id": range(len(texts))})
    pq.write_table(table, folder / "a.parquet", row_group_size=10)
    with pa.OSFile(str(folder / "a.arrow"), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    with pa.output_stream(str(folder / "a.jsonl.zst"), compression="zstd") as out:
        out.write(lines)
    return sorted(p for p in folder.iterdir() if p.is_file())


@pytest.mark.parametrize("seed", fuzzing.seeds(3, 40))
def test_corpora(seed: int, texts: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng([seed, 1])
    with fuzzing.canary(tmp_path, monkeypatch) as mark:
        for path in write_all(tmp_path, texts):
            whole = path.read_bytes()
            for _ in range(12):
                path.write_bytes(fuzzing.damaged(rng, whole, mark))
                with contextlib.suppress(UserError):
                    corpus = open_corpus(path, str(rng.choice(["text", "id", "body"])) if rng.random() < 0.2 else None)
                    for document in corpus.documents():
                        document.text.encode()
                        document.id.encode()
                    make_windows(corpus, OfBytes(), 32)
            path.unlink()


class OfBytes:
    """One token a byte."""

    from glossator.inputs.tokens import Vocabulary

    vocabulary = Vocabulary("bytes", tuple(bytes([i]) for i in range(256)))

    def encode(self, texts: list[str]) -> list[np.ndarray]:
        return [np.frombuffer(text.encode(), np.uint8).astype(np.int32) for text in texts]


@pytest.fixture(scope="module")
def finished(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    write_corpus(tiny_folder.parent / "corpus.jsonl")
    folder = tmp_path_factory.mktemp("studies") / "whole"
    made = run_study(small_spec(tiny_folder, units=2, max_tokens=3000), folder, progress=False)
    assert made is not None
    made.close()
    return folder


def commands(study: Path, unit: str) -> list[list[str]]:
    return [
        ["studies", str(study.parent)],
        ["studies", str(study.parent), "--json"],
        ["show", unit, "--study", str(study)],
        ["show", unit, "--study", str(study), "--json"],
        ["search", "fox", "--study", str(study)],
        ["run", str(study), "--quiet"],
        ["score", unit, "--study", str(study), "--json"],
        ["score", unit, "--study", str(study), "--program", '1*token(" fox")'],
        ["explain", str(study), "--quiet"],
        ["verify", str(study)],
        ["verify", str(study), "--json"],
        ["try", unit, "the fox jumps", "--study", str(study), "--json"],
        ["human", "export", str(study), "--task", "simulation", "--out", str(study.parent / "tasks")],
    ]


def make_fit(study: Path) -> None:
    """Write sizes and checksums of the files anew, so that what reads them is tried and not the checks alone."""
    for manifest in (study / "recording" / "manifest.json", study / "manifest.json"):
        with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError, OSError):
            stored = json.loads(manifest.read_text())
            for name in stored["files"]:
                path = manifest.parent / name
                new = {"size": path.stat().st_size, "crc32": crc32_of(path), "sample": sample_of(path)}
                stored["files"][name] |= {key: new[key] for key in stored["files"][name]}
            stored.pop("fingerprint") if manifest.parent.name == "recording" else None
            more = {"fingerprint": fingerprint(stored)} if manifest.parent.name == "recording" else {}
            manifest.write_text(json.dumps(stored | more))


@pytest.mark.parametrize("seed", fuzzing.seeds(12, 300))
def test_studies(seed: int, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng([seed, 2])
    unit = f"mlp.0/{json.loads((finished / 'recording' / 'manifest.json').read_text())['spec']['units']['mlp.0'][0]}"
    study = tmp_path / "studies" / "s"
    shutil.copytree(finished, study)
    files = sorted(path for path in study.rglob("*") if path.is_file())
    small = [path for path in files if path.suffix in (".json", ".sqlite")]
    with fuzzing.canary(tmp_path, monkeypatch) as mark:
        path = rng.choice(small if rng.random() < 0.7 else files)  # type: ignore[arg-type]
        about = (str(path.relative_to(study)), fuzzing.damaged_file(rng, path, mark))
        if path in small and rng.random() < 0.6:  # what arrays hold is known by their checksums alone
            make_fit(study)
        for command in rng.permutation(np.array(commands(study, unit), dtype=object))[:3]:
            fuzzing.holds(command, about, (0, 1, 2) if command[0] == "verify" else (0, 2))


SPEC = {
    "subject": "", "sites": ["mlp.0"], "units": [1, 2], "polarities": ["+"], "corpus": "", "max_tokens": 2000,
    "width": 32, "dtype": "float32", "device": "cpu", "explainers": ["token-list"], "candidates": 2,
    "card": "observational",
    "scorers": ["correlation"], "calibration": "linear", "seed": 0, "options": {"token-list": {"n": 5}},
    "evidence": {"sampler": "top", "test_top": 5, "min_firing_windows": 2},
}  # fmt: skip


@pytest.mark.parametrize("seed", fuzzing.seeds(6, 200))
def test_specs(seed: int, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng([seed, 3])
    write_corpus(tmp_path / "corpus.jsonl", 60)
    spec = SPEC | {"subject": str(tiny_folder), "corpus": str(tmp_path / "corpus.jsonl")}
    monkeypatch.chdir(tmp_path)
    with fuzzing.canary(tmp_path, monkeypatch) as mark:
        for name in ("spec.json", "spec.toml"):
            path = tmp_path / name
            if name == "spec.json":
                changed = fuzzing.damaged_json(rng, spec)
                if isinstance(changed, dict) and str(changed.get("lm", "")).startswith("scripted:"):
                    continue  # that is asked for
                path.write_bytes(json.dumps(changed).encode("utf-8", "surrogatepass"))
            else:
                about = "\n".join(
                    f"{key} = {json.dumps(value)}" for key, value in spec.items() if not isinstance(value, dict)
                )
                path.write_bytes(fuzzing.damaged(rng, about.encode(), mark))
            fuzzing.holds(["record", str(path), "--quiet", "--out", str(tmp_path / "out")], path.read_bytes()[:500])


@pytest.fixture(scope="module")
def directions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from glossator.readouts.directions import direction_set

    vectors = np.random.default_rng(0).normal(size=(3, 32))
    made = direction_set("some", "resid.0", vectors, np.zeros(32), made={"method": "random"})
    return made.save(tmp_path_factory.mktemp("directions") / "some")


@pytest.mark.parametrize("seed", fuzzing.seeds(4, 100))
def test_directions(
    seed: int, tiny_folder: Path, directions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng([seed, 4])
    folder = tmp_path / "some"
    shutil.copytree(directions, folder)
    write_corpus(tmp_path / "corpus.jsonl", 60)
    with fuzzing.canary(tmp_path, monkeypatch) as mark:
        path = rng.choice(sorted(p for p in folder.iterdir() if p.is_file()))  # type: ignore[arg-type]
        about = (path.name, fuzzing.damaged_file(rng, path, mark))
        text = ["--corpus", str(tmp_path / "corpus.jsonl"), "--width", "32", "--tokens", "2000"]
        given = ["--directions", str(folder), "--subject", str(tiny_folder), "--out", str(tmp_path / "out")]
        fuzzing.holds(["record", *given, *text, "--quiet"], about)
