"""Averages of weights that are validated, saved and tested like any others."""

from lightning.pytorch import LightningModule, Trainer, callbacks


class StochasticWeightAveraging(callbacks.StochasticWeightAveraging):
    """Lightning's, whose average is the result of one epoch more, without training, in every network.

    In that epoch Lightning re-estimates batch statistics. Networks without any got no such epoch: their average came
    after the last validation and checkpoint, and was lost. And it ends with a step of the optimizer, by the gradient
    that the last training batch left.
    """

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Copies the model.

        Raises:
            ValueError: Another average replaces the weights, too.
        """
        others = [each for each in trainer.callbacks if isinstance(each, callbacks.WeightAveraging)]  # pyright: ignore[reportAttributeAccessIssue]
        if others:
            raise ValueError(
                f"trainer.callbacks: {type(others[0]).__name__} and {type(self).__name__} both replace the weights by"
                " their average: keep one, such as the overlay ema or swa"
            )
        super().setup(trainer, pl_module, stage)

    @staticmethod
    def pl_module_contains_batch_norm(pl_module: LightningModule) -> bool:  # noqa: ARG004
        """Always; it is what Lightning asks before it adds the epoch."""
        return True

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Averages, and leaves that step nothing to go by."""
        super().on_train_epoch_start(trainer, pl_module)
        if trainer.fit_loop._skip_backward:
            pl_module.zero_grad()
