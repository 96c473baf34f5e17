"""Lightning's progress bar, without a wait for the GPU at every step."""

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import RichProgressBar


class LoggedProgressBar(RichProgressBar):
    """Shows the metrics of the steps that are logged; Lightning's reads them, from the GPU, at every step."""

    def _update_metrics(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.training or trainer._logger_connector.should_update_logs:
            super()._update_metrics(trainer, pl_module)
