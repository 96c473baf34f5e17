"""A loss that is not finite never reaches the weights."""

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from torch.utils.data import DataLoader

from lightning_modules.callbacks.finite_loss import FiniteLoss, NonFiniteLossError


class Toy(LightningModule):
    def __init__(self, bad_batch, value):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))
        self.bad_batch, self.value = bad_batch, value
        self.before_bad = None

    def training_step(self, batch, batch_idx):
        if batch_idx == self.bad_batch:
            self.before_bad = self.weight.detach().clone()
            return self.weight.sum() * self.value
        return self.weight.sum()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def train(module, tmp_path, **settings):
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        callbacks=[FiniteLoss()],
        default_root_dir=tmp_path,
        **settings,
    )
    batches = DataLoader(list(torch.zeros(4)), batch_size=1)  # pyright: ignore[reportArgumentType]
    trainer.fit(module, batches)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_stops_before_the_step(tmp_path, value):
    module = Toy(bad_batch=2, value=value)
    with pytest.raises(NonFiniteLossError, match="NaN or infinite at step 2"):
        train(module, tmp_path)
    assert module.before_bad is not None
    assert torch.equal(module.weight, module.before_bad)
    assert module.weight.item() == pytest.approx(0.8)


def test_sees_every_micro_batch_of_an_accumulated_step(tmp_path):
    module = Toy(bad_batch=0, value=float("nan"))
    with pytest.raises(NonFiniteLossError):
        train(module, tmp_path, accumulate_grad_batches=2)
    assert module.weight.item() == 1.0


def test_finite_training_is_untouched(tmp_path):
    module = Toy(bad_batch=-1, value=0.0)
    train(module, tmp_path)
    assert module.weight.item() == pytest.approx(0.6)
