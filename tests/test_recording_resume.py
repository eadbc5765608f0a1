"""A recording that is killed and started again ends with the same bytes; damage is named, not read."""

from __future__ import annotations

import errno
import functools
import multiprocessing
import os
import random
import shutil
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from glossator.errors import UserError
from glossator.recording import dense, open_recording, record, recorder, recording_spec, store, verify
from glossator.recording.claiming import claim
from glossator.recording.disk import BLOCK
from glossator.recording.recorder import part_is_recorded, planned, record_part
from recording_fakes import FakeDictionary, FakeSubject, fake_windows

SITES = ("mlp.0", "relu.0", "sae:x@resid.0")
LATE = 49  # of the steps below: two shards are finished, and a third is not
STEPS = ("fsync", "rename", "replace", "posix_fallocate")


class Slow(FakeSubject):
    def activations(self, tokens, lengths, sites):
        time.sleep(0.01)
        return super().activations(tokens, lengths, sites)


def record_it(folder, subject=None, **settings):
    subject, windowed, readouts = subject or FakeSubject(), fake_windows(60), {SITES[2]: FakeDictionary()}
    settings = dict(batch_tokens=5 * 16, shard_bytes=2 * 5 * 16 * 2 * 24, top_k=6, panel_windows=20) | settings
    spec = recording_spec(subject, windowed, SITES, readouts=readouts, **settings)
    return record(spec, subject, windowed, folder, readouts=readouts, progress=False)


def bytes_of(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def child(folder, kill_at_step, in_place=True):
    """Record; with a number, die right before that call of one of STEPS. in_place: shards put their part of the panel
    where it belongs, however small it is."""
    dense.IN_PLACE_BYTES = 0 if in_place else dense.IN_PLACE_BYTES
    calls = 0

    def counted(original):
        @functools.wraps(original)
        def call(*args, **kwargs):
            nonlocal calls
            calls += 1
            if calls == kill_at_step:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*args, **kwargs)

        return call

    for name in STEPS:
        setattr(os, name, counted(getattr(os, name)))
    record_it(folder, Slow())


@pytest.fixture(scope="module")
def context():
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(["glossator.recording.recorder", "glossator.corpora", "glossator.subjects.sites"])
    return found


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed") / "r"
    record_it(folder)
    return bytes_of(folder)


def start(context, folder, *args):
    process = context.Process(target=child, args=(folder, *(args or [None])))
    process.start()
    return process


def kill_at_random_moments(context, folder, moments, seed):
    rng = random.Random(seed)
    kills = 0
    for _ in range(moments):
        process = start(context, folder)
        process.join(rng.uniform(0.02, 0.6))
        kills += process.is_alive()
        process.kill()
        process.join()
    return kills


def test_killed_at_random_moments(tmp_path, context, undisturbed):
    kills = 0
    for number in range(3):
        kills += kill_at_random_moments(context, tmp_path / str(number), 1, number)
        record_it(tmp_path / str(number))
        assert bytes_of(tmp_path / str(number)) == undisturbed
    assert kills


@pytest.mark.slow
def test_killed_at_many_random_moments(tmp_path, context, undisturbed):
    kills = 0
    for number in range(12):
        kills += kill_at_random_moments(context, tmp_path / str(number), 1 + number % 3, number)
        record_it(tmp_path / str(number))
        assert bytes_of(tmp_path / str(number)) == undisturbed
    assert kills >= 10


def kill_before_step(context, folder, step, in_place=True):
    process = start(context, folder, step, in_place)
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode != 0


@pytest.mark.parametrize("in_place", [True, False])
@pytest.mark.parametrize("step", [2, LATE])
def test_killed_right_before_a_step(tmp_path, context, undisturbed, step, in_place):
    assert kill_before_step(context, tmp_path / "r", step, in_place)
    record_it(tmp_path / "r")
    assert bytes_of(tmp_path / "r") == undisturbed


@pytest.mark.slow
def test_killed_right_before_every_fourth_step(tmp_path, context, undisturbed):
    step = 1
    while kill_before_step(context, tmp_path / str(step), step):
        record_it(tmp_path / str(step))
        assert bytes_of(tmp_path / str(step)) == undisturbed
        step += 4
    assert step > 70


def test_finished_shards_are_not_recorded_again(tmp_path, context, undisturbed):
    whole = FakeSubject()
    record_it(tmp_path / "whole", whole)
    assert kill_before_step(context, tmp_path / "r", LATE)
    done = len([p for p in (tmp_path / "r" / "shards").iterdir() if p.name.isdigit()])
    assert done >= 2
    rest = FakeSubject()
    record_it(tmp_path / "r", rest)
    assert rest.passes == whole.passes - 1 - 2 * done  # a first look, two batches a shard


def test_shards_of_an_earlier_version_are_refused_at_once(tmp_path, context):
    assert kill_before_step(context, tmp_path / "r", LATE)
    (tmp_path / "r" / "shards" / "begun.npy").unlink()
    subject = FakeSubject()
    with pytest.raises(UserError, match=r"shards of an earlier version.*Delete the recording"):
        record_it(tmp_path / "r", subject)
    assert not subject.passes


def test_other_powers_to_begin_with_are_found(tmp_path, context):
    assert kill_before_step(context, tmp_path / "r", LATE)
    begun = tmp_path / "r" / "shards" / "begun.npy"
    powers = np.load(begun)
    powers[3] += 1
    np.save(begun, powers)
    with pytest.raises(UserError, match=r"damaged.*its units began with other powers"):
        record_it(tmp_path / "r")


def test_hand_made_shards_of_another_size_are_named(tmp_path, context):
    assert kill_before_step(context, tmp_path / "r", LATE)
    victim = next(p for p in (tmp_path / "r" / "shards" / "000000000").rglob("positions.npy"))
    victim.write_bytes(victim.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"positions\.npy.*Delete the shard .*000000000 and record again"):
        record_it(tmp_path / "r")


def test_a_flipped_bit_in_a_shard_is_found_before_it_is_used(tmp_path, context, undisturbed):
    assert kill_before_step(context, tmp_path / "r", LATE)
    shard = tmp_path / "r" / "shards" / "000000000"
    for victim in sorted(shard.rglob("*.npy")):
        whole = victim.read_bytes()
        victim.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        with pytest.raises(UserError, match=rf"{victim.name}.*Delete the shard"):
            record_it(tmp_path / "r")
        victim.write_bytes(whole)
    panel = tmp_path / "r" / "dense" / "panel.npy"
    whole = panel.read_bytes()
    panel.write_bytes(whole[:BLOCK] + bytes([whole[BLOCK] ^ 1]) + whole[BLOCK + 1 :])
    with pytest.raises(UserError, match=r"panel\.npy.*Delete the shard .*000000000 and"):
        record_it(tmp_path / "r")
    shutil.rmtree(shard)
    record_it(tmp_path / "r")
    assert bytes_of(tmp_path / "r") == undisturbed


@pytest.mark.parametrize("seconds", [0.0, 0.005])
def test_shards_end_with_time_as_well_and_change_no_byte(tmp_path, monkeypatch, undisturbed, seconds):
    monkeypatch.setattr(recorder, "SHARD_SECONDS", seconds)
    shown, show = [], recorder.show_shard
    monkeypatch.setattr(recorder, "show_shard", lambda *args: (shown.append(args[1]), show(*args)))
    record_it(tmp_path / "r", shard_bytes=1 << 30)
    if not seconds:
        assert [shard.end - shard.first for shard in shown] == [5] * 12
    theirs = {name: data for name, data in undisturbed.items() if name != "manifest.json"}
    assert {name: data for name, data in bytes_of(tmp_path / "r").items() if name in theirs} == theirs


def in_parts(folder, parts):
    """Record some parts of a recording of 4; returns what finishes it."""
    subject, windowed, readouts = FakeSubject(), fake_windows(500), {SITES[2]: FakeDictionary()}
    spec = recording_spec(subject, windowed, SITES, readouts=readouts, batch_tokens=5 * 16, top_k=6, panel_windows=20)
    plan = planned(spec, subject, windowed.inputs, readouts)
    assert len(plan.parts) == 4
    for part in parts:
        assert part not in range(4) or not part_is_recorded(folder, plan, part)
        record_part(spec, subject, windowed, folder, part, readouts=readouts)
        assert part_is_recorded(folder, plan, part)
    return functools.partial(record, spec, subject, windowed, folder, readouts=readouts, progress=False)


def test_parts_recorded_apart_in_any_order_change_no_byte(tmp_path, monkeypatch):
    in_parts(tmp_path / "alone", [])()
    alone = bytes_of(tmp_path / "alone")
    monkeypatch.setattr(recorder, "SHARD_SECONDS", 0.01)
    for parts in ([2, 0, 3, 1], [3], [1, 2]):
        folder = tmp_path / "".join(map(str, parts))
        in_parts(folder, parts)()
        assert bytes_of(folder) == alone
    with pytest.raises(UserError, match="no such part"):
        in_parts(tmp_path / "other", [4])


def at_a_part(folder, part):
    recorder.SHARD_SECONDS = 0.0
    spec, subject, windowed, _ = in_parts(folder, []).args
    record_part(spec, subject, windowed, folder, part, readouts={SITES[2]: FakeDictionary()})


@pytest.mark.parametrize("moment", ["exists", "iterdir"])
def test_a_folder_that_another_process_claims_meanwhile_is_shared(tmp_path, monkeypatch, moment):
    subject, windowed, folder = FakeSubject(), fake_windows(10), tmp_path / "r"
    spec, looked = recording_spec(subject, windowed, SITES[:1]), getattr(Path, moment)

    def other_first(place):
        monkeypatch.setattr(Path, moment, looked)
        before = looked(place) if moment == "exists" else None  # what was seen is of before
        claim(spec, folder)
        return before if moment == "exists" else looked(place)

    if moment == "iterdir":
        folder.mkdir()
    monkeypatch.setattr(Path, moment, other_first)
    claim(spec, folder)
    assert (folder / "plan.json").exists() and (folder / "shards").is_dir()


def test_two_processes_may_be_at_the_same_part(tmp_path, context):
    in_parts(tmp_path / "alone", [])()
    again = [context.Process(target=at_a_part, args=(tmp_path / "r", part)) for part in (0, 0, 1)]
    for process in again:
        process.start()
    for process in again:
        process.join()
    assert [process.exitcode for process in again] == [0] * 3
    in_parts(tmp_path / "r", [2])()
    assert bytes_of(tmp_path / "r") == bytes_of(tmp_path / "alone")


class Visited(FakeSubject):
    """Runs several batches at once."""

    concurrent = True


@pytest.mark.parametrize("seconds", [0.0, 5.0])
def test_a_shard_that_is_finished_beside_the_next_changes_no_byte(tmp_path, monkeypatch, seconds):
    monkeypatch.setattr(recorder, "SHARD_SECONDS", seconds)
    rooms, room = [], recorder.Room
    monkeypatch.setattr(recorder, "Room", lambda *args: rooms.append(args) or room(*args))
    before = torch.get_num_threads()
    for number, subject in enumerate((FakeSubject(), Visited())):
        torch.set_num_threads(1 + number)
        try:
            windowed = fake_windows(60)
            spec = recording_spec(subject, windowed, SITES[:1], batch_tokens=5 * 16, top_k=6, panel_windows=20)
            record(spec, subject, windowed, tmp_path / str(number), progress=False)
        finally:
            torch.set_num_threads(before)
    assert len(rooms) == 1 + 2
    assert bytes_of(tmp_path / "0") == bytes_of(tmp_path / "1")


def test_chunks_taken_in_by_several_threads_change_no_byte(tmp_path, monkeypatch):
    monkeypatch.setattr(dense, "CHUNK_VALUES", 2 * 16 * 24)
    threads, take_in = set(), dense.take_in
    monkeypatch.setattr(dense, "take_in", lambda *args: (threads.add(threading.get_ident()), take_in(*args))[1])
    before = torch.get_num_threads()
    for number in (1, 4):
        threads.clear()
        torch.set_num_threads(number)
        try:
            record_it(tmp_path / str(number))
        finally:
            torch.set_num_threads(before)
    assert threading.get_ident() not in threads and len(threads) >= 2
    assert bytes_of(tmp_path / "1") == bytes_of(tmp_path / "4")


def test_a_file_that_cannot_be_read_is_not_called_damaged(tmp_path, monkeypatch):
    record_it(tmp_path / "r")

    def refused(path, *args, **kwargs):
        if str(path).endswith("panel.npy"):
            raise PermissionError(errno.EACCES, "Permission denied")
        return opened(path, *args, **kwargs)

    opened = open
    monkeypatch.setattr("builtins.open", refused)
    with pytest.raises(UserError, match=r"Permission denied\. It may be intact") as caught:
        open_recording(tmp_path / "r")
    assert "Delete" not in str(caught.value)


@pytest.mark.parametrize(
    "edit", [('"windows": 60', '"windows": 61'), ("dense/panel.npy", "dense/panels.npy"), ("{", "[")]
)
def test_an_edited_manifest_is_damaged(tmp_path, edit):
    record_it(tmp_path / "r")
    path = tmp_path / "r" / "manifest.json"
    path.write_text(path.read_text().replace(*edit))
    with pytest.raises(UserError, match=r"damaged.*manifest\.json"):
        open_recording(tmp_path / "r")


def test_another_panel_of_the_same_size_is_found_on_opening(tmp_path):
    record_it(tmp_path / "r")
    path = tmp_path / "r" / "dense" / "panel.npy"
    data = bytearray(path.read_bytes())
    data[BLOCK:] = random.Random(0).randbytes(len(data) - BLOCK)
    path.write_bytes(bytes(data))
    with pytest.raises(UserError, match=r"checksum is wrong.*panel\.npy"):
        open_recording(tmp_path / "r")


def test_a_truncated_file_is_named_on_opening(tmp_path):
    record_it(tmp_path / "r")
    for name in ("dense/panel.npy", "sparse-0/gaps.npy", "windows/tokens.npy"):
        path = tmp_path / "r" / name
        whole = path.read_bytes()
        path.write_bytes(whole[:-3])
        with pytest.raises(UserError, match=f"{path.name}.*Delete the recording"):
            open_recording(tmp_path / "r")
        path.unlink()
        with pytest.raises(UserError, match="missing"):
            open_recording(tmp_path / "r")
        path.write_bytes(whole)
    verify(open_recording(tmp_path / "r"))


def test_a_flipped_bit_is_found_by_verify(tmp_path):
    recording = record_it(tmp_path / "r")
    path = tmp_path / "r" / "dense" / "extra_values.npy"
    data = bytearray(path.read_bytes())
    data[-7] ^= 4
    path.write_bytes(bytes(data))
    with pytest.raises(UserError, match=r"extra_values\.npy"):
        verify(recording)


def test_a_full_disk_is_one_clear_error_and_the_recording_goes_on_later(tmp_path, monkeypatch, undisturbed):
    write, calls = store.ArrayWriter.write, 0

    def full(self, piece):
        nonlocal calls
        calls += 1
        if calls > 20:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(self, piece)

    monkeypatch.setattr(store.ArrayWriter, "write", full)
    with pytest.raises(UserError, match="No space left on device"):
        record_it(tmp_path / "r")
    assert not (tmp_path / "r" / "manifest.json").exists()
    monkeypatch.undo()
    record_it(tmp_path / "r")
    assert bytes_of(tmp_path / "r") == undisturbed


def test_a_folder_that_cannot_be_made_is_one_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        record_it(tmp_path / "file" / "r")


def test_an_unfinished_recording_of_another_spec_is_left_alone(tmp_path, context):
    assert kill_before_step(context, tmp_path / "r", LATE)
    before = bytes_of(tmp_path / "r")
    with pytest.raises(UserError, match="another spec"):
        record_it(tmp_path / "r", top_k=5)
    assert bytes_of(tmp_path / "r") == before


def test_a_folder_with_something_else_is_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="neither empty"):
        record_it(tmp_path)
    assert [p.name for p in Path(tmp_path).iterdir()] == ["notes.txt"]


def test_a_newer_format_is_refused(tmp_path):
    record_it(tmp_path / "r")
    path = tmp_path / "r" / "manifest.json"
    path.write_text(path.read_text().replace("glossator-recording/5", "glossator-recording/9"))
    with pytest.raises(UserError, match="glossator-recording/9"):
        open_recording(tmp_path / "r")
