"""The progress bar reads metrics where they are logged, and nowhere else."""

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from torch.utils.data import DataLoader, TensorDataset

from lightning_modules.callbacks.progress import LoggedProgressBar


class Toy(LightningModule):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def training_step(self, batch, batch_idx):
        loss = self.weight.sum()
        self.log("train/loss", loss, prog_bar=True)
        return loss

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Counted(LoggedProgressBar):
    def __init__(self):
        super().__init__()
        self.read_at = []

    def get_metrics(self, trainer, pl_module):
        self.read_at.append(trainer.global_step)
        return super().get_metrics(trainer, pl_module)


@pytest.mark.parametrize(("every", "expected"), [(1, [*range(1, 13)]), (5, [5, 10])])
def test_metrics_are_read_where_they_are_logged(every, expected, tmp_path):
    bar = Counted()
    trainer = Trainer(
        accelerator="cpu",
        max_steps=12,
        log_every_n_steps=every,
        callbacks=[bar],
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    trainer.fit(Toy(), DataLoader(TensorDataset(torch.zeros(12, 1))))
    assert sorted({step for step in bar.read_at if step}) == expected
