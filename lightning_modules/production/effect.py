"""Training of a network that imitates an audio effect, with knobs or without."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor, nn
from torch.nn import functional as F

from datamodules.production.pairs.pairs import Pair, PairBatch
from lightning_modules.metrics.functional.audio import multi_resolution_stft, powers
from lightning_modules.networks import SignalTrain
from lightning_modules.production.effect_report import effect_report, figures_of_pairs
from lightning_modules.production.overlap import in_blocks
from lightning_modules.production.pair_module import PairModule
from lightning_modules.run.pretrained import Weights
from lightning_modules.run.rows import Report

Loss = Literal["log_cosh", "l1_stft", "esr"]
_QUIET = 1e-4  # power, -40 dB to full scale: quieter clips weigh less


class LearnedEffect(PairModule):
    """Trains a network of finite context to make an effect's output from its input.

    The pairs' knobs go to the network; recordings of any length are processed in blocks, exactly.

    Args:
        network: (batch, 1, time) and knobs -> (batch, 1, time - receptive_field + 1), or, where it has a ``stride``,
            the last multiple of it.
        loss: ``log_cosh`` of SignalTrain (Hawley et al., 2019); ``l1_stft``, mean absolute error and multi-resolution
            spectral distance, of micro-TCN (Steinmetz and Reiss, 2022); ``esr``, each clip's error over its energy.
        objective: (estimate, target), (batch, 1, time) each -> loss, in place of `loss`.
        spectral_decay: Weight of SignalTrain's penalty on the network's own magnitudes, times exp(7 f / bins).
        block: Output samples at a time when recordings are processed, rounded up to the network's stride.
        weights: What the network begins with, see `EvaluatedModule`.
        optimizer: Made from the trainable parameters.
        lr_scheduler: Made from the optimizer; see `optimization.configure` for when it steps.

    Attributes:
        knobs: Name of each knob -> its range, in its own unit; checkpoints keep them.
    """

    logged = ("esr", "mae", "mr_stft")

    def __init__(
        self,
        network: nn.Module,
        *,
        loss: Loss = "l1_stft",
        objective: nn.Module | None = None,
        spectral_decay: float = 0.0,
        block: int = 65536,
        weights: str | Weights | None = None,
        optimizer: OptimizerCallable = torch.optim.Adam,
        lr_scheduler: LRSchedulerCallable | None = None,
    ) -> None:
        super().__init__(network, weights=weights, optimizer=optimizer, lr_scheduler=lr_scheduler)
        if loss not in ("log_cosh", "l1_stft", "esr"):
            raise ValueError(f"loss {loss!r}: expected log_cosh, l1_stft or esr")
        if spectral_decay and not isinstance(network, SignalTrain):
            raise ValueError(
                f"spectral_decay {spectral_decay}: {type(network).__name__} has no magnitudes; set it to 0"
            )
        self.loss, self.objective, self.spectral_decay = loss, objective, spectral_decay
        shape = cast(Any, network)
        self.stride = getattr(network, "stride", 1)
        self.look_ahead: int = shape.look_ahead
        self.past: int = shape.receptive_field - 1 - shape.look_ahead
        self.block = block
        self.knobs: Mapping[str, Sequence[float]] = {}

    def setup(self, stage: str) -> None:
        """Takes sample rate and knobs from the data.

        Raises:
            ValueError: They are not those of the checkpoint, or the network has another number of knobs.
        """
        is_new = not self.sample_rate
        super().setup(stage)
        data = self.data
        knobs = {name: list(limits) for name, limits in zip(data.knob_names, data.knob_ranges, strict=True)}
        if not is_new and self.knobs != knobs:
            raise ValueError(
                f"trained with the knobs {dict(self.knobs)}, and the data have {knobs}: take data of the same effect,"
                " or train anew"
            )
        if len(knobs) != self.network.num_knobs:
            raise ValueError(
                f"the data have {len(knobs)} knobs {list(knobs)}, the network {self.network.num_knobs}: set"
                f" model.network.num_knobs to {len(knobs)}"
            )
        self.knobs = knobs

    def training_step(self, batch: PairBatch, batch_idx: int) -> Tensor:
        """Returns the loss over those samples of the chunks that have all their context."""
        self.require_samples(batch, self.past + self.look_ahead + self.stride)
        if self.spectral_decay:
            estimate, magnitude = self.network.with_magnitude(batch.waveform, batch.knobs)
            ramp = torch.linspace(0, 7, magnitude.shape[1] + 1, device=magnitude.device)[:-1].exp()
            penalty = self.spectral_decay * (magnitude * ramp[:, None]).abs().mean()
        else:
            estimate, penalty = self.network(batch.waveform, batch.knobs), 0.0
        end = batch.target.shape[-1] - self.look_ahead
        target = batch.target[..., end - estimate.shape[-1] : end]
        with torch.autocast(estimate.device.type, enabled=False):
            loss = self._distance(estimate.float(), target.float()) + penalty
        self.log("train/loss", loss.detach(), prog_bar=True, batch_size=1)
        return loss

    def _distance(self, estimate: Tensor, target: Tensor) -> Tensor:
        if self.objective is not None:
            return self.objective(estimate, target)
        if self.loss == "log_cosh":
            return log_cosh(estimate - target).mean()
        if self.loss == "esr":
            error, power = powers(estimate, target)
            return (error / power.clamp_min(_QUIET)).mean()  # pooled, quiet clips would count for nothing
        return F.l1_loss(estimate, target) + multi_resolution_stft(estimate, target).mean()

    @torch.no_grad()
    def render(self, waveform: Tensor, knobs: Tensor | None = None, *, block: int | None = None) -> Tensor:
        """Processes recordings of any length; the result does not depend on `block`.

        Args:
            waveform: (batch, 1, time) at `sample_rate`; before and after it is silence.
            knobs: (1, knob) in [-0.5, 0.5], one setting for all; None without knobs.
            block: Output samples at a time.

        Returns:
            The same shape, in float32.
        """
        size = min(block or self.block, waveform.shape[-1])
        size = -(-size // self.stride) * self.stride
        context = {"past": self.past, "look_ahead": self.look_ahead}
        # more than one piece at once leave the CPU's cache: half as fast
        return in_blocks(self.network, waveform, knobs, **context, block=size, batch_size=1)

    def score(self, batch: PairBatch) -> Tensor:
        """Evaluates whole recordings."""
        estimates = [
            self.render(waveform[None], knobs[None])
            for waveform, knobs in zip(batch.waveform, batch.knobs, strict=True)
        ]
        return figures_of_pairs(
            batch.waveform, torch.cat(estimates), batch.target, sample_rate=self.sample_rate
        )

    def summary(self, pairs: Sequence[Pair], figures: Tensor) -> Report:
        """Pools the errors of a split."""
        return effect_report(pairs, figures, list(self.knobs))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keeps sample rate and knobs."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["knobs"] = dict(self.knobs)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restores sample rate and knobs."""
        super().on_load_checkpoint(checkpoint)
        self.knobs = checkpoint["knobs"]


def log_cosh(error: Tensor) -> Tensor:
    """Logarithm of the hyperbolic cosine of errors of any size: x² / 2 of small ones, |x| - log 2 of great ones."""
    size = error.abs()
    small = (2 * (size.clamp_max(1) / 2).sinh().square()).log1p()  # cosh x is 1 + 2 sinh²(x / 2)
    return torch.where(size < 1, small, size + F.softplus(-2 * size) - math.log(2))
