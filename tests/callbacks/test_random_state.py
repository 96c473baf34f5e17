"""Random states survive a checkpoint."""

import random

import numpy as np
import torch
from lightning.pytorch import Trainer

from lightning_modules.callbacks.random_state import RandomState
from lightning_modules.run.checkpoints import AtomicCheckpointIO, read_checkpoint


def draws():
    return torch.rand(3).tolist(), np.random.rand(3).tolist(), random.random()  # noqa: NPY002


def test_state_survives_a_checkpoint_file(tmp_path):
    trainer = Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False)
    draws()
    np.random.randn()  # noqa: NPY002  leaves a cached second normal number
    checkpoint = {}
    RandomState().on_save_checkpoint(trainer, None, checkpoint)  # pyright: ignore[reportArgumentType]
    expected = draws()
    AtomicCheckpointIO().save_checkpoint(checkpoint, tmp_path / "x.ckpt")

    restored = RandomState()
    restored.on_load_checkpoint(trainer, None, read_checkpoint(tmp_path / "x.ckpt"))  # pyright: ignore[reportArgumentType]
    draws()
    restored.on_train_batch_start()
    assert draws() == expected
    after = draws()
    restored.on_train_batch_start()
    assert draws() != after, "the state is restored once"
