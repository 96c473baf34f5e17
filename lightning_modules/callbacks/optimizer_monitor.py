"""Learning rate and gradient norm, in the same row of metrics.csv as the losses."""

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch.optim import Optimizer


class OptimizerMonitor(Callback):
    """Logs ``train/lr`` and ``train/gradient_norm`` (2-norm before clipping) of the logged steps alone.

    Of several parameter groups the first one's rate counts, of several optimizers the last that stepped.
    """

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer
    ) -> None:
        """Measures; the norm stays on the device until the loggers read it together with the loss."""
        if not trainer._logger_connector.should_update_logs:
            return
        groups = optimizer.param_groups
        gradients = [each.grad for group in groups for each in group["params"] if each.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients)
        figures = {"train/lr": float(groups[0]["lr"]), "train/gradient_norm": norm}
        pl_module.log_dict(figures, batch_size=1)
