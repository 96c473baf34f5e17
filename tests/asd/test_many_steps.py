"""Schedules of methods that step their optimizer several times a batch."""

import pytest
import torch
from lightning.pytorch.cli import ReduceLROnPlateau
from plain_method import PlainMethod, quiet_trainer
from torch.optim.lr_scheduler import StepLR
from torch.utils.data import DataLoader

from lightning_modules.asd.many_steps import ManyStepsPerBatch
from lightning_modules.optimization import CosineDecay

BATCHES, EPOCHS = 3, 2


class Many(ManyStepsPerBatch, PlainMethod):
    """Five steps a batch, of a loss that never falls."""

    windows_per_step = 2

    def __init__(self, schedule):
        super().__init__()
        self.automatic_optimization = False
        self.optimizer_factory = lambda weights: torch.optim.SGD(weights, lr=1.0)
        self.lr_scheduler_factory = schedule
        self.rates = []

    def training_windows(self, batch):
        return (torch.zeros(10, 1),)

    def window_losses(self, rows):
        return rows[:, 0] * self.weight + 1

    def on_train_batch_start(self, batch, batch_idx):
        self.rates.append(self.trainer.optimizers[0].param_groups[0]["lr"])

    def train_dataloader(self):
        return DataLoader(torch.zeros(BATCHES, 1))  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        (CosineDecay, [1.0, 0.9330127, 0.75, 0.5, 0.25, 0.0669873, 0.0]),
        (lambda optimizer: StepLR(optimizer, 1), [1.0, 1.0, 1.0, 0.1, 0.1, 0.1, 0.01]),
        (
            lambda optimizer: ReduceLROnPlateau(optimizer, "train/loss", patience=0),
            [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.1],
        ),
    ],
    ids=["of the run", "of epochs", "of a value"],
)
def test_schedules_end_with_the_run(schedule, rates, tmp_path):
    model = Many(schedule)
    quiet_trainer(tmp_path, max_epochs=EPOCHS, enable_checkpointing=False).fit(model)
    assert model.global_step == 5 * BATCHES * EPOCHS
    found = [*model.rates, model.trainer.optimizers[0].param_groups[0]["lr"]]
    assert found == pytest.approx(rates, abs=1e-7)
