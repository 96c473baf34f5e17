"""Training of a denoiser, its evaluation beside spectral subtraction, and whole recordings."""

from typing import Any, Literal, cast

import torch
import torch.nn.functional as F
from lightning.pytorch import LightningModule
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor, nn

from datamodules.pairs import PairBatch, PairDataModule
from lightning_modules import optimization
from lightning_modules.frontends.spectral_subtraction import SpectralSubtraction
from lightning_modules.metrics.row_table import MeanTable
from lightning_modules.production.denoiser_report import COLUMNS, denoiser_report, figures_of_pairs
from lightning_modules.production.overlap import in_blocks, overlap_add
from lightning_modules.results import Report

_SILENT = 1e-5  # RMS below which a signal's level stays as it is


class Denoiser(LightningModule):
    """Trains a network to give back the clean signal of a noisy one.

    Where the network's context is finite (`receptive_field`, `look_ahead`), whole recordings are processed exactly,
    with silence before and after; else in cross-faded windows.

    Args:
        network: (batch, 1, time) and knobs -> (batch, 1, time - receptive_field + 1), or the same time without
            ``receptive_field``.
        loss: Mean absolute or mean squared error. The "energy-conserving" loss of Rethage et al. (2018) is twice the
            former, for the noise is the input less the signal.
        window: Samples of a window, or of a block of output, in which recordings are processed.
        pad_training: Put silence around training windows, as around a recording; else the ends of windows are context
            that no loss counts, as Rethage et al. do.
        level: RMS that inputs are brought to, and outputs back from (Rethage et al.: 0.06); None leaves them.
        optimizer: Made from the trainable parameters.
        lr_scheduler: Made from the optimizer; see `optimization.configure` for when it steps.

    Attributes:
        sample_rate: Of the training data, in Hz; checkpoints keep it.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        loss: Literal["mae", "mse"] = "mae",
        window: int = 2048,
        pad_training: bool = True,
        level: float | None = None,
        optimizer: OptimizerCallable = torch.optim.Adam,
        lr_scheduler: LRSchedulerCallable | None = None,
    ) -> None:
        super().__init__()
        if loss not in ("mae", "mse"):
            raise ValueError(f"loss {loss!r}: expected mae or mse")
        if window < 2 or window % 2:
            raise ValueError(f"window {window}: expected an even number of samples, at least 2")
        self.network, self.window, self.pad_training, self.level = network, window, pad_training, level
        self.loss = F.l1_loss if loss == "mae" else F.mse_loss
        receptive_field, look_ahead = cast(Any, network.receptive_field), cast(Any, network.look_ahead)
        self.look_ahead: int = look_ahead or 0
        self.past: int = (receptive_field or 1) - 1 - self.look_ahead
        self.optimizer_factory, self.lr_scheduler_factory = optimizer, lr_scheduler
        self.baseline = SpectralSubtraction()
        self.figures = MeanTable()
        self.sample_rate = 0
        self.gathered: tuple[Tensor, Tensor] | None = None  # index and figures of the last split's pairs

    def setup(self, stage: str) -> None:
        """Takes the sample rate from the data.

        Raises:
            ValueError: The checkpoint was trained at another rate.
        """
        if self.sample_rate not in (0, self._data.sample_rate):
            raise ValueError(
                f"trained at {self.sample_rate} Hz, and the data have {self._data.sample_rate} Hz: set data.sample_rate"
            )
        self.sample_rate = self._data.sample_rate

    @property
    def _data(self) -> PairDataModule:
        return cast(PairDataModule, self.trainer.datamodule)  # pyright: ignore[reportAttributeAccessIssue]

    def forward(self, waveform: Tensor, knobs: Tensor | None = None) -> Tensor:
        """Denoises windows (batch, 1, time) to the same shape."""
        gain = self._gain(waveform)
        return self.network(F.pad(waveform * gain, (self.past, self.look_ahead)), knobs) / gain

    def _gain(self, waveform: Tensor) -> Tensor:
        """What brings each clip to the network's level, (batch, 1, 1)."""
        rms = waveform.float().square().mean(dim=(1, 2), keepdim=True).sqrt()
        return (
            torch.ones_like(rms) if self.level is None else torch.where(rms > _SILENT, self.level / rms, 1.0)
        )

    def training_step(self, batch: PairBatch, batch_idx: int) -> Tensor:
        """Returns the error of the network's output, at its own level."""
        gain = self._gain(batch.waveform)
        waveform, target = batch.waveform * gain, batch.target * gain
        if self.pad_training:
            waveform = F.pad(waveform, (self.past, self.look_ahead))
        else:
            target = target[..., self.past : target.shape[-1] - self.look_ahead]
        loss = self.loss(self.network(waveform, batch.knobs).float(), target)
        self.log("train/loss", loss.detach(), prog_bar=True, batch_size=1)
        return loss

    def configure_optimizers(self) -> Any:
        """Builds the optimizer and its schedule."""
        return optimization.configure(self, self.optimizer_factory, self.lr_scheduler_factory)

    @torch.no_grad()
    def render(self, waveform: Tensor, knobs: Tensor | None = None) -> Tensor:
        """Denoises recordings of any length.

        Args:
            waveform: (batch, 1, time) at `sample_rate`.
            knobs: One setting for the whole recording, (1, knob), where the network has any.

        Returns:
            The same shape, in float32.
        """
        gain = self._gain(waveform)

        def apply(pieces: Tensor) -> Tensor:
            settings = None if knobs is None else knobs.expand(len(pieces), -1)
            return self.network(pieces, settings).float()

        if self.network.receptive_field is None:
            return overlap_add(apply, waveform * gain, window=self.window) / gain
        context = {"past": self.past, "look_ahead": self.look_ahead}
        return in_blocks(apply, waveform * gain, **context, block=self.window) / gain

    def validation_step(self, batch: PairBatch, batch_idx: int) -> None:
        """Collects the figures of pairs; those of a window's length are denoised in one piece."""
        noisy, clean = batch.waveform, batch.target
        estimate = self(noisy).float() if noisy.shape[-1] <= self.window else self.render(noisy)
        figures = figures_of_pairs(
            noisy, estimate, clean, blind=self.baseline(noisy), oracle=self.baseline(noisy, noisy - clean)
        )
        self.figures.update(figures, batch.index)

    test_step = validation_step

    def on_validation_epoch_end(self) -> None:
        """Logs ``val/snr_gain`` of mixtures, in dB, over all pairs of all ranks."""
        self.on_test_epoch_end()
        metrics = self.report(self._data, "validation").metrics
        self.log("val/snr_gain", metrics["snr_gain"], prog_bar=True)

    def on_test_epoch_end(self) -> None:
        """Gathers the figures of all ranks."""
        index, figures = self.figures.compute()
        self.gathered = index.flatten(), figures.reshape(-1, len(COLUMNS))  # torchmetrics squeezes one row
        self.figures.reset()

    def report(self, datamodule: PairDataModule, split: Literal["validation", "test"]) -> Report:
        """Evaluates what the last validation or test loop gathered."""
        assert self.gathered is not None, "a validation or test loop comes first"
        index, figures = (column.cpu() for column in self.gathered)
        return denoiser_report([datamodule.pairs[split][row] for row in index.tolist()], figures.double())

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keeps the sample rate."""
        checkpoint["sample_rate"] = self.sample_rate

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restores the sample rate."""
        self.sample_rate = checkpoint["sample_rate"]
