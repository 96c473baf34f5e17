"""Lets a method score a whole loop with weights that do not change in it."""

from lightning.pytorch import Callback, LightningModule, Trainer

from lightning_modules.base import EvaluatedModule


class FixedWeights(Callback):
    """Tells the method at the ends of loops of evaluation; see `EvaluatedModule.scores_fixed_weights`."""

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """A loop of validation begins, perhaps within training."""
        _tell(pl_module, True)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """It has ended."""
        _tell(pl_module, False)

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """A loop of tests begins."""
        _tell(pl_module, True)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """It has ended."""
        _tell(pl_module, False)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """It has not come to its end."""
        _tell(pl_module, False)


def _tell(method: LightningModule, is_fixed: bool) -> None:
    if isinstance(method, EvaluatedModule):
        method.scores_fixed_weights(is_fixed)
