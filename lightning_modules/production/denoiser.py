"""Training of a denoiser, its evaluation beside spectral subtraction, and whole recordings."""

from collections.abc import Sequence
from typing import Any, Literal, cast

import torch
import torch.nn.functional as F
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor, nn

from datamodules.production.pairs.pairs import Pair, PairBatch
from lightning_modules.frontends.spectral_subtraction import SpectralSubtraction
from lightning_modules.production.denoiser_report import denoiser_report, figures_of_pairs
from lightning_modules.production.overlap import in_blocks, overlap_add
from lightning_modules.production.pair_module import PairModule
from lightning_modules.run.pretrained import Weights
from lightning_modules.run.rows import Report

_SILENT = 1e-5  # RMS below which a signal's level stays as it is


class Denoiser(PairModule):
    """Trains a network to give back the clean signal of a noisy one.

    Where the network's context is finite (`receptive_field`, `look_ahead`), whole recordings are processed exactly,
    with silence before and after; else in cross-faded windows.

    Args:
        network: (batch, 1, time) and knobs -> (batch, 1, time - receptive_field + 1), or the same time without
            ``receptive_field``.
        loss: Mean absolute or mean squared error. The "energy-conserving" loss of Rethage et al. (2018) is twice the
            former, for the noise is the input minus the signal.
        objective: (estimate, target), (batch, 1, time) each -> loss, in place of `loss`.
        window: Samples of a window, or of a block of output, in which recordings are processed.
        pad_training: Put silence around training windows, as around a recording; otherwise the ends of a window are
            context only, and the loss leaves them out, as in Rethage et al.
        level: RMS that inputs are scaled to, and outputs scaled back from (Rethage et al.: 0.06); None scales nothing.
        weights: What the network begins with, see `EvaluatedModule`.
        optimizer: Made from the trainable parameters.
        lr_scheduler: Made from the optimizer; see `optimization.configure` for when it steps.
    """

    logged = ("snr_gain",)

    def __init__(
        self,
        network: nn.Module,
        *,
        loss: Literal["mae", "mse"] = "mae",
        objective: nn.Module | None = None,
        window: int = 2048,
        pad_training: bool = True,
        level: float | None = None,
        weights: str | Weights | None = None,
        optimizer: OptimizerCallable = torch.optim.Adam,
        lr_scheduler: LRSchedulerCallable | None = None,
    ) -> None:
        super().__init__(network, weights=weights, optimizer=optimizer, lr_scheduler=lr_scheduler)
        if loss not in ("mae", "mse"):
            raise ValueError(f"loss {loss!r}: expected mae or mse")
        if window < 2 or window % 2:
            raise ValueError(f"window {window}: expected an even number of samples, at least 2")
        self.window, self.pad_training, self.level = window, pad_training, level
        self.objective = objective if objective is not None else F.l1_loss if loss == "mae" else F.mse_loss
        receptive_field, look_ahead = cast(Any, network.receptive_field), cast(Any, network.look_ahead)
        self.look_ahead: int = look_ahead or 0
        self.past: int = (receptive_field or 1) - 1 - self.look_ahead
        self.baseline = SpectralSubtraction()

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
        if not self.pad_training:
            self.require_samples(batch, self.past + self.look_ahead + 1)
        if self.pad_training:
            waveform = F.pad(waveform, (self.past, self.look_ahead))
        else:
            target = target[..., self.past : target.shape[-1] - self.look_ahead]
        loss = self.objective(self.network(waveform, batch.knobs).float(), target)
        self.log("train/loss", loss.detach(), prog_bar=True, batch_size=1)
        return loss

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
        if self.network.receptive_field is None:
            return overlap_add(self.network, waveform * gain, knobs, window=self.window) / gain
        context = {"past": self.past, "look_ahead": self.look_ahead}
        return in_blocks(self.network, waveform * gain, knobs, **context, block=self.window) / gain

    def score(self, batch: PairBatch) -> Tensor:
        """Evaluates pairs; those of a window's length are denoised in one piece."""
        noisy, clean = batch.waveform, batch.target
        estimate = self(noisy).float() if noisy.shape[-1] <= self.window else self.render(noisy)
        return figures_of_pairs(
            noisy, estimate, clean, blind=self.baseline(noisy), oracle=self.baseline(noisy, noisy - clean)
        )

    def summary(self, pairs: Sequence[Pair], figures: Tensor) -> Report:
        """Evaluates mixtures, clean signals and noise by themselves."""
        return denoiser_report(pairs, figures)
