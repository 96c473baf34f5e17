"""Folders that cannot be written are named before the first step; a full disk leaves the old checkpoint whole."""

import os
import subprocess

import pytest
import torch

from lightning_modules.run.checkpoints import AtomicCheckpointIO, read_checkpoint
from lightning_modules.run.lock import probe, take


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 2 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"cannot mount a small disk: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_full_disk_keeps_the_old_checkpoint(small_disk):
    target = small_disk / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"step": 1, "weights": torch.zeros(300_000)}, target)
    with pytest.raises(OSError, match=r"last\.ckpt: not saved .*untouched"):
        AtomicCheckpointIO().save_checkpoint({"step": 2, "weights": torch.zeros(300_000)}, target)
    assert read_checkpoint(target)["step"] == 1
    assert [path.name for path in small_disk.iterdir()] == ["last.ckpt"]


def test_small_disk_is_noticed_before_training(small_disk):
    probe(small_disk / "checkpoints", 1_000_000)
    with pytest.raises(
        OSError, match=r"checkpoints: cannot be written \(No space left.*3\.0 MB with --run\.root"
    ):
        probe(small_disk / "checkpoints", 3_000_000)
    assert not list((small_disk / "checkpoints").iterdir())


def test_read_only_disk_is_noticed_before_training(small_disk):
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    for check in (lambda: take(small_disk / "run"), lambda: probe(small_disk / "checkpoints", 1)):
        with pytest.raises(OSError, match=r"cannot be written \(Read-only file system\).*--run\.root"):
            check()


def test_temporary_folder_is_not_used(small_disk, tmp_path, monkeypatch):
    (small_disk / "filler").write_bytes(os.urandom(2_000_000))
    monkeypatch.setenv("TMPDIR", str(small_disk))
    target = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"weights": torch.zeros(1_000_000)}, target)
    assert read_checkpoint(target)["weights"].numel() == 1_000_000


def test_removed_folder_is_made_again(tmp_path):
    target = tmp_path / "checkpoints" / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"step": 1}, target)
    target.unlink()
    target.parent.rmdir()
    AtomicCheckpointIO().save_checkpoint({"step": 2}, target)
    assert read_checkpoint(target)["step"] == 2
