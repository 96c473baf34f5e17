"""What every method does in training, whatever it is."""

import pytest
import torch
from plain_method import PlainMethod, quiet_trainer
from torch.utils.data import DataLoader


class Weighted(PlainMethod):
    """Whose gradient is the batch itself, learnt at a rate of 1."""

    def training_step(self, batch, batch_idx):
        return (self.weight * batch).sum()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=1.0)

    def train_dataloader(self):
        return DataLoader(torch.tensor([1.0, 3.0, 10.0, 30.0, 100.0]))  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("accumulate", "steps"),
    [
        (1, [1.0, 3.0, 10.0, 30.0, 100.0]),
        (2, [2.0, 20.0, 100.0]),
        (3, [14 / 3, 65.0]),
        (8, [28.8]),
    ],
)
def test_a_step_is_the_mean_of_its_batches_however_few_are_left(accumulate, steps, tmp_path):
    model = Weighted()
    settings = {"max_epochs": 2, "accumulate_grad_batches": accumulate, "enable_checkpointing": False}
    quiet_trainer(tmp_path, **settings).fit(model)
    assert model.global_step == 2 * len(steps)
    assert float(model.weight) == pytest.approx(1.0 - 2 * sum(steps), rel=1e-6)
