"""The best checkpoints of a run whose folder was moved."""

import shutil

import pytest
import torch
from plain_method import PlainMethod, quiet_trainer
from torch.utils.data import DataLoader

from lightning_modules.callbacks.standard import Checkpoints, best_checkpoint
from lightning_modules.run.folder import Run

VALUES = [0.5, 0.3, 0.4, 0.2]  # an epoch each


class Told(PlainMethod):
    """Whose figure is known beforehand."""

    def training_step(self, batch, batch_idx):
        self.log("val/eer", VALUES[self.current_epoch], on_step=False, on_epoch=True)
        return self.weight.sum()

    def train_dataloader(self):
        return DataLoader(torch.zeros(1, 1))  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("moved", [False, True])
def test_as_many_are_kept_where_the_folder_was_moved(moved, tmp_path):
    run = Run(experiment="e", id="x", root=str(tmp_path / "runs"))
    train(run, epochs=2)
    if moved:
        shutil.move(tmp_path / "runs", tmp_path / "elsewhere")
        run = Run(experiment="e", id="x", root=str(tmp_path / "elsewhere"))
    train(run, epochs=4, checkpoint=run.last_checkpoint)
    assert {path.name for path in run.checkpoints.glob("best*")} == {
        "best=0.300000-epoch=0001.ckpt",
        "best=0.200000-epoch=0003.ckpt",
    }


def train(run, *, epochs, checkpoint=None):
    trainer = quiet_trainer(run.root, *best_checkpoint(run, Checkpoints(save_top_k=2)), max_epochs=epochs)
    trainer.fit(Told(), ckpt_path=checkpoint, weights_only=True)
    trainer.save_checkpoint(run.last_checkpoint)
