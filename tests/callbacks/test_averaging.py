"""Averages of weights: of the head that the data ask for, and such as are saved."""

from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging, ModelCheckpoint
from plain_method import PlainMethod, quiet_trainer
from torch.utils.data import DataLoader

from lightning_modules.callbacks.averaging import StochasticWeightAveraging
from lightning_modules.callbacks.module_setup import ModuleSetup
from lightning_modules.config import cli

STEPS = 4  # an epoch


class Falling(PlainMethod):
    """A weight that falls by a tenth at every step, and is noted as each epoch begins."""

    def __init__(self):
        super().__init__()
        self.begun = []

    def training_step(self, batch, batch_idx):
        return self.weight.sum()

    def on_train_epoch_start(self):
        self.begun.append(float(self.weight))

    def train_dataloader(self):
        return DataLoader(torch.zeros(STEPS, 1))  # pyright: ignore[reportArgumentType]


def test_stochastic_average_is_in_the_last_checkpoint_of_a_network_without_batch_norm(tmp_path):
    model = Falling()
    average = StochasticWeightAveraging(swa_lrs=0.1, swa_epoch_start=2, annealing_epochs=1)
    last = ModelCheckpoint(tmp_path, save_last=True)
    quiet_trainer(tmp_path, average, last, max_epochs=4).fit(model)
    averaged = model.begun[1:4]  # the epochs 2 to 4, as they begin; the fifth trains nothing
    saved = torch.load(tmp_path / "last.ckpt", weights_only=True)["state_dict"]["weight"]
    assert float(saved) == pytest.approx(sum(averaged) / 3, rel=1e-6)
    assert float(saved) == float(model.weight)


def test_moving_average_has_the_head_of_the_datas_classes(tmp_path):
    class Late(Falling):
        def setup(self, stage):
            if not hasattr(self, "head"):
                self.head = torch.nn.Linear(1, 7)

    average: Any = EMAWeightAveraging(decay=0.5)
    quiet_trainer(tmp_path, ModuleSetup(), average, max_epochs=1).fit(Late())
    assert average._average_model.module.head.weight.shape == (7, 1)


@pytest.mark.parametrize("check", [[], ["--check"]])
def test_every_run_sets_its_model_up_before_other_callbacks(check):
    arguments = ["--config=configs/ssd_lcnn.yaml", "--config=configs/overlays/ema.yaml", *check]
    trainer: Any = cli.build("fit", "", [*arguments, "--tracking.wandb=disabled"]).trainer
    kinds = [type(each) for each in trainer.callbacks]
    assert kinds.index(ModuleSetup) < kinds.index(EMAWeightAveraging)


def test_two_averages_are_refused(tmp_path):
    both = [EMAWeightAveraging(), StochasticWeightAveraging(swa_lrs=0.1)]
    with pytest.raises(
        ValueError, match="EMAWeightAveraging and StochasticWeightAveraging both replace the weights"
    ):
        quiet_trainer(tmp_path, *both, max_epochs=2).fit(Falling())
