"""W&B alerts, by mail or Slack as the user has set there, when a run ends before its time."""

from lightning.pytorch import Callback, LightningModule, Trainer

from lightning_modules.callbacks.finite_loss import NonFiniteLossError
from lightning_modules.callbacks.preemption import Preempted
from lightning_modules.run.tracking import wandb_loggers


class Alerts(Callback):
    """Sends one alert for an exception that ends training, a preemption among them."""

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Names the cause and the step; Ctrl-C needs no alert."""
        if isinstance(exception, KeyboardInterrupt):
            return
        if isinstance(exception, Preempted):
            title, text, level = "preempted", "the same command continues the run", "WARN"
        else:
            is_nan = isinstance(exception, NonFiniteLossError)
            title, level = "loss is not finite" if is_nan else "training failed", "ERROR"
            text = f"{type(exception).__name__}: {exception}"
        for logger in wandb_loggers(trainer):
            logger.tell(
                lambda run: run.alert(title=title, text=f"step {trainer.global_step}: {text}", level=level)
            )
