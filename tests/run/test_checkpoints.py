"""Checkpoints survive crashes and full disks, and refuse code and other models."""

import errno
import os
import pickle

import pytest
import torch
import yaml
from torch import nn

from datamodules.files import remove_leftovers
from lightning_modules.run.checkpoints import (
    AtomicCheckpointIO,
    carried_config,
    load_weights,
    read_checkpoint,
)


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "checkpoints" / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"state_dict": nn.Linear(2, 3).state_dict(), "global_step": 7}, path)
    return path


def test_round_trip_leaves_only_the_checkpoint(saved):
    assert read_checkpoint(saved)["global_step"] == 7
    assert [p.name for p in saved.parent.iterdir()] == ["last.ckpt"]


@pytest.mark.parametrize(
    "failure", [OSError(errno.ENOSPC, "No space left on device"), RuntimeError("write failed")]
)
def test_failed_write_keeps_the_old_checkpoint(saved, monkeypatch, failure):
    def fail(_, file):
        file.write(b"half a checkpoint")
        raise failure

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(OSError, match=r"last\.ckpt: not saved .*before it is untouched"):
        AtomicCheckpointIO().save_checkpoint({"global_step": 8}, saved)
    assert read_checkpoint(saved)["global_step"] == 7
    assert [p.name for p in saved.parent.iterdir()] == ["last.ckpt"]


def test_leftovers_of_a_killed_writer_are_removed(saved):
    (saved.parent / ".abc.tmp").write_bytes(b"torn")
    remove_leftovers(saved.parent)
    assert [p.name for p in saved.parent.iterdir()] == ["last.ckpt"]


def test_code_in_a_checkpoint_is_refused_and_not_run(tmp_path):
    class Payload:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "executed"),)

    path = tmp_path / "evil.ckpt"
    with path.open("wb") as file:
        pickle.dump({"state_dict": Payload()}, file)
    with pytest.raises(ValueError, match=r"evil\.ckpt: "):
        read_checkpoint(path)
    torch.save({"state_dict": Payload()}, path)
    with pytest.raises(ValueError, match=r"evil\.ckpt: refused.*(mkdir|system)"):
        read_checkpoint(path)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"RIFF....WAVE", b"]G"])
def test_damaged_checkpoint_is_named(tmp_path, content):
    path = tmp_path / "bad.ckpt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"bad\.ckpt: (damaged|refused)"):
        read_checkpoint(path)


def test_truncated_checkpoint_is_named(saved):
    saved.write_bytes(saved.read_bytes()[:-200])
    with pytest.raises(ValueError, match=r"last\.ckpt: damaged"):
        read_checkpoint(saved)


def test_missing_checkpoint_is_named(tmp_path):
    with pytest.raises(ValueError, match="no such checkpoint"):
        read_checkpoint(tmp_path / "none.ckpt")


def test_checkpoint_of_another_model_names_the_keys(saved):
    with pytest.raises(
        ValueError, match=r"last\.ckpt: checkpoint of another model .*weight: \(3, 2\) instead of \(4, 2\)"
    ):
        load_weights(nn.Linear(2, 4), saved)


def test_training_only_entries_may_be_missing_on_either_side(saved):
    class WithBank(nn.Linear):
        def __init__(self):
            super().__init__(2, 3)
            self.bank = nn.Linear(5, 5)

    module = WithBank()
    load_weights(module, saved, training_only=("bank.",))
    assert torch.equal(module.weight, read_checkpoint(saved)["state_dict"]["weight"])
    with pytest.raises(ValueError, match=r"2 missing \(bank\.weight, \.\.\.\)"):
        load_weights(module, saved)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"in_memory": False, "seed": 0}, "torchaudio"),  # of clips, of a version before there was another
        ({"window": 2048, "seed": 0}, "torchaudio"),  # of pairs
        ({"class_outputs": [], "sample_rate": 16000}, "torchaudio"),  # of a mapping
        ({"seed": 0, "resampler": None}, None),  # soxr_hq
        ({"seed": 0, "resampler": "soxr_hq"}, "soxr_hq"),
        ({"sample_rate": 16000}, "no key"),  # of a user's own, which takes no other settings
    ],
)
def test_data_of_an_older_checkpoint_keep_its_resampler(arguments, expected):
    config = {"model": {}, "data": {"class_path": "X", "init_args": arguments}}
    carried = carried_config({"config": yaml.safe_dump(config)})
    assert carried is not None
    assert carried["data"]["init_args"].get("resampler", "no key") == expected
    assert carried_config({}) is None
