"""The model takes what it needs from the data before anything copies it."""

from lightning.pytorch import Callback, LightningModule, Trainer


class ModuleSetup(Callback):
    """Sets the model up before other callbacks; Lightning does it after them.

    Averages of the weights copy the model in their `setup`, when its head must have the classes of the data. A
    model's `setup` comes twice, and changes nothing the second time. Stands before all other callbacks.
    """

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Sets the model up."""
        pl_module.setup(stage)
