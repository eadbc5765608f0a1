"""A subject's fingerprint follows the content of its weights, config and tokenizer, and nothing else."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from glossator.subjects import fingerprints, load_subject
from glossator.subjects.identity import known_fingerprints
from tiny_models import byte_level_tokenizer, save_tiny, tiny_model, wordpiece_tokenizer


@pytest.fixture
def folder(tiny_folder, tmp_path):
    return shutil.copytree(tiny_folder, tmp_path / "tiny")


def known(folder) -> str:
    return known_fingerprints(str(folder))["subject_fingerprint"]


def test_equal_content_is_equal(folder, tiny_subject, tmp_path):
    assert load_subject(str(folder)).fingerprint == known(folder) == tiny_subject.fingerprint
    weights = folder / "model.safetensors"
    save_file(load_file(weights), weights, {"format": "pt", "note": "saved again"})
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(dict(sorted(config.items(), reverse=True)) | {"dtype": "bfloat16"}))
    assert known(folder) == tiny_subject.fingerprint
    parts = tmp_path / "parts" / "tiny"
    tiny_model("llama").save_pretrained(parts, max_shard_size="20KB")
    byte_level_tokenizer().save_pretrained(parts)
    assert len(list(parts.glob("*.safetensors"))) > 2
    assert known(parts) == load_subject(str(parts)).fingerprint == tiny_subject.fingerprint


def test_another_process_finds_the_same(folder, tiny_subject):
    code = f"from glossator.subjects.identity import known_fingerprints as k; print(k({str(folder)!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert tiny_subject.fingerprint in done.stdout


def test_one_bit_of_a_weight_counts(folder, tiny_subject):
    found = {tiny_subject.fingerprint}
    path = folder / "model.safetensors"
    for key, tensor in list(load_file(path).items())[:4]:
        other = tensor.clone()
        other.view(torch.int32).view(-1)[-1] ^= 1
        save_file(load_file(path) | {key: other}, path, {"format": "pt"})
        found.add(known(folder))
    assert len(found) == 5


def test_a_write_is_seen_whatever_the_file_says_of_itself(folder, monkeypatch):
    """Same size, same date: the time of the change, which no program sets, tells."""
    import os

    path = folder / "model.safetensors"
    stat = path.stat()
    monkeypatch.setattr(fingerprints, "_SETTLED_SECONDS", -1.0)
    before = known(folder)
    time.sleep(0.05)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert path.stat().st_mtime_ns == stat.st_mtime_ns
    assert known(folder) != before


def test_files_that_rest_are_read_once(folder, monkeypatch):
    monkeypatch.setattr(fingerprints, "_SETTLED_SECONDS", -1.0)
    before = known(folder)
    monkeypatch.setattr(fingerprints, "_read", None)
    assert known(folder) == before


def test_config_and_tokenizer_count(folder, tiny_subject):
    config = folder / "config.json"
    config.write_text(config.read_text().replace('"rms_norm_eps": 1e-06', '"rms_norm_eps": 1e-05'))
    other = known(folder)
    assert other != tiny_subject.fingerprint
    spec = json.loads((folder / "tokenizer.json").read_text())
    spec["pre_tokenizer"]["add_prefix_space"] = True
    (folder / "tokenizer.json").write_text(json.dumps(spec))
    assert known(folder) not in (other, tiny_subject.fingerprint)


def test_values_in_memory_count(tiny_subject):
    model, tokenizer = tiny_model("llama"), tiny_subject.tokenizer
    before = fingerprints.of_model(model, tokenizer)
    assert before == fingerprints.of_model(tiny_model("llama"), tokenizer)
    with torch.no_grad():
        model.model.layers[1].mlp.up_proj.weight[0, 0] += 1e-3
    assert fingerprints.of_model(model, tokenizer) != before


def test_buffers_count(tiny_subject):
    model = tiny_model("llama")
    before = fingerprints.of_model(model, tiny_subject.tokenizer)
    model.model.rotary_emb.inv_freq *= 2
    assert fingerprints.of_model(model, tiny_subject.tokenizer) != before


def test_pickles_have_fingerprints_too(folder, tiny_subject):
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")
    first = load_subject(str(folder)).fingerprint
    weights["lm_head.weight"][0, 0] += 1
    torch.save(weights, folder / "pytorch_model.bin")
    assert load_subject(str(folder)).fingerprint != first


def test_an_alias_whose_weights_were_changed_is_another_subject(tmp_path, monkeypatch):
    """The checksum in the cache's manifest is of what was downloaded, not of what lies there now."""
    from glossator.subjects import aliases, weights

    folder = save_tiny(tmp_path / "weights" / "tiny", "bert", wordpiece_tokenizer())
    config = json.loads((folder / "config.json").read_text())
    entry = aliases.Alias("tiny", "tiny-weights", "1.0", "0" * 64, 1, "none", "a random BERT", {}, config)
    monkeypatch.setitem(aliases.ALIASES, "tiny", entry)
    monkeypatch.setenv("GLOSSATOR_CACHE", str(tmp_path))
    weights.write_manifest(folder, entry)
    before = load_subject("tiny")
    path = folder / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-2] ^= 0x40
    path.write_bytes(data)
    after = load_subject("tiny")
    assert after.fingerprint != before.fingerprint
    assert any(
        not np.array_equal(a, b) for a, b in zip(before.model.parameters(), after.model.parameters(), strict=True)
    )
