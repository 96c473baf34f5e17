"""Packing that is killed goes on where it was; shards are copied to a node's disk once."""

import fcntl
import multiprocessing
import os
import shutil
import signal
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from datamodules import audio
from datamodules.audio import pack_cache, packed
from datamodules.pack.verify import verify
from datamodules.pack.writer import pack, read_list

NUM_FILES = 120
FORK = multiprocessing.get_context("fork")  # quick; nothing here has threads that hold locks


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    for i in range(NUM_FILES):
        sound = np.random.default_rng(i).uniform(-0.5, 0.5, 16_000)
        soundfile.write(folder / f"{i}.flac", sound, 16000)
    return folder


def _pack_slowly(root: Path, into: Path) -> None:
    blocks = audio.blocks

    def slowly(path: Path, **settings: bool) -> Iterator[np.ndarray]:
        time.sleep(0.01)
        yield from blocks(path, **settings)

    audio.blocks = slowly
    pack(root, into, shard_bytes=100_000)


def test_killed_at_any_moment_it_loses_and_repeats_nothing(root, tmp_path) -> None:
    into = tmp_path / "packed"
    for shards in (1, 6, 13, None):
        process = FORK.Process(target=_pack_slowly, args=(root, into))
        process.start()
        while process.is_alive() and (shards is None or len(list(into.glob("shards/*.npz"))) < shards):
            time.sleep(0.001)
        before = {path: path.stat().st_mtime_ns for path in into.glob("shards/*.npz")}
        if shards is not None:
            process.kill()
            assert not (into / "shards" / "clips.npy").exists()
        process.join()
        assert process.exitcode == (0 if shards is None else -signal.SIGKILL)
        assert all(path.stat().st_mtime_ns == time_ns for path, time_ns in before.items())
    names = [name for path in into.glob("shards/*.npz") for name in read_list(path)[0]]
    assert sorted(names) == sorted(f"{i}.flac" for i in range(NUM_FILES))
    assert not list(into.rglob(".*.part"))
    assert verify(root, into) == []


def test_two_runs_into_one_folder_are_refused(root, tmp_path) -> None:
    (tmp_path / "packed" / "shards").mkdir(parents=True)
    with (tmp_path / "packed" / "shards" / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(ValueError, match="another run packs into it"):
            pack(root, tmp_path / "packed")


def test_a_fault_of_the_disk_ends_a_run_and_keeps_whole_shards(root, tmp_path, monkeypatch) -> None:
    replace, calls = Path.replace, []

    def full(self: Path, target: Path) -> Path:
        calls.append(target)
        if len(calls) > 6:
            raise OSError(28, "No space left on device")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        pack(root, tmp_path / "packed", shard_bytes=200_000)
    monkeypatch.undo()
    assert list((tmp_path / "packed" / "shards").glob("*.npz"))
    pack(root, tmp_path / "packed")
    assert verify(root, tmp_path / "packed") == []


@pytest.fixture
def packed_root(root, tmp_path) -> Path:
    pack(root, tmp_path / "packed", shard_bytes=1_000_000)
    return tmp_path / "packed"


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Iterator[Path]:
    monkeypatch.setenv("PACK_CACHE", str(tmp_path / "cache"))
    packed._open_shard.cache_clear()
    yield tmp_path / "cache"
    packed._open_shard.cache_clear()


def test_shards_are_copied_when_first_read(root, packed_root, cache) -> None:
    assert torch.equal(audio.read(packed_root / "3.flac")[0], audio.read(root / "3.flac")[0])
    (copy,) = cache.glob("*.bin")
    shard = packed.find(packed_root / "3.flac").shard  # pyright: ignore[reportOptionalMemberAccess]
    assert copy.read_bytes() == Path(shard).read_bytes()
    packed._open_shard.cache_clear()
    Path(shard).rename(f"{shard}.gone")
    with pytest.raises(audio.AudioError, match=r"cannot be opened"):
        audio.read(packed_root / "3.flac")
    Path(f"{shard}.gone").rename(shard)
    os.utime(shard)  # another shard of the same name is another copy
    audio.read(packed_root / "3.flac")
    assert len(list(cache.glob("*.bin"))) == 2


def test_a_copy_that_a_crash_of_the_node_cut_short_is_made_again(root, packed_root, cache) -> None:
    audio.read(packed_root / "3.flac")
    (copy,) = cache.glob("*.bin")
    os.truncate(copy, 10)
    packed._open_shard.cache_clear()
    assert torch.equal(audio.read(packed_root / "3.flac")[0], audio.read(root / "3.flac")[0])


def test_processes_copy_a_shard_once(packed_root, cache, tmp_path, monkeypatch) -> None:
    copyfile = shutil.copyfile

    def told(source: str, target: Path) -> None:
        with (tmp_path / "copies").open("a") as file:
            file.write("x")
        time.sleep(0.1)
        copyfile(source, target)

    monkeypatch.setattr(shutil, "copyfile", told)
    processes = [FORK.Process(target=audio.read, args=(packed_root / "0.flac",)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert (tmp_path / "copies").read_text() == "x"


def test_a_full_cache_is_told_once_and_done_without(root, packed_root, cache, monkeypatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 10, 0))  # pyright: ignore
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for i in range(NUM_FILES):
            assert audio.read(packed_root / f"{i}.flac")[0].shape == (1, 16_000)
    (warning,) = caught
    assert f"PACK_CACHE {cache}: the disk is full: shards are read from {packed_root}/shards" in str(
        warning.message
    )
    assert not list(cache.glob("*.bin"))


def test_a_copy_that_breaks_off_leaves_nothing(packed_root, cache, monkeypatch) -> None:
    def breaks(source: str, target: Path) -> None:
        target.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", breaks)
    shard = packed.find(packed_root / "0.flac").shard  # pyright: ignore[reportOptionalMemberAccess]
    with pytest.warns(UserWarning, match="No space left on device"):
        assert pack_cache.local_copy(shard) == shard
    assert [path.suffix for path in cache.iterdir()] == [".lock"]
