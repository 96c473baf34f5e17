"""The least that is a method: what tests of callbacks and commands train."""

import torch
from lightning.pytorch import Trainer

from lightning_modules.base import EvaluatedModule
from lightning_modules.run.rows import Report


class PlainMethod(EvaluatedModule):
    """Has parts, a weight and no scores."""

    def __init__(self, network=None, **parts):
        super().__init__(network, optimizer=lambda weights: torch.optim.SGD(weights, lr=0.1))
        self.weight = torch.nn.Parameter(torch.ones(1))
        for name, part in parts.items():
            self.add_module(name, part)

    def scorer(self):
        """None."""

    def report(self, datamodule, split):
        return Report(keys=(), scores=(), metrics={})


def quiet_trainer(folder, *callbacks, **settings):
    """A trainer on the CPU that says nothing, and writes what its callbacks write."""
    return Trainer(
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=list(callbacks),
        default_root_dir=folder,
        **settings,
    )
