"""Training of a network that imitates an audio effect, with knobs or without."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor, nn
from torch.nn import functional as F

from datamodules.pairs import PairBatch, PairDataModule
from lightning_modules import optimization
from lightning_modules.metrics.functional.audio import esr, multi_resolution_stft
from lightning_modules.metrics.row_table import MeanTable
from lightning_modules.production.effect_report import COLUMNS, effect_report, figures_of_pairs, split_metrics
from lightning_modules.production.overlap import in_blocks
from lightning_modules.results import Report

Loss = Literal["log_cosh", "l1_stft", "esr"]


class LearnedEffect(LightningModule):
    """Trains a network of finite context to make an effect's output of its input.

    The pairs' knobs go to the network; recordings of any length are processed in blocks, exactly.

    Args:
        network: (batch, 1, time) and knobs -> (batch, 1, time - receptive_field + 1), or, where it has a ``stride``,
            the last multiple of it.
        loss: ``log_cosh`` of SignalTrain (Hawley et al., 2019); ``l1_stft``, mean absolute error and multi-resolution
            spectral distance, of micro-TCN (Steinmetz and Reiss, 2022); ``esr``, error energy over target energy.
        spectral_decay: Weight of SignalTrain's penalty on the network's own magnitudes, times exp(7 f / bins).
        block: Output samples at a time when recordings are processed, rounded up to the network's stride.
        optimizer: Made from the trainable parameters.
        lr_scheduler: Made from the optimizer; see `optimization.configure` for when it steps.

    Attributes:
        sample_rate: Of the training data, in Hz; checkpoints keep it.
        knobs: Name of each knob -> its range, in its own unit; checkpoints keep them.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        loss: Loss = "l1_stft",
        spectral_decay: float = 0.0,
        block: int = 65536,
        optimizer: OptimizerCallable = torch.optim.Adam,
        lr_scheduler: LRSchedulerCallable | None = None,
    ) -> None:
        super().__init__()
        if loss not in ("log_cosh", "l1_stft", "esr"):
            raise ValueError(f"loss {loss!r}: expected log_cosh, l1_stft or esr")
        if spectral_decay and not hasattr(network, "with_magnitude"):
            raise ValueError(
                f"spectral_decay {spectral_decay}: {type(network).__name__} has no magnitudes; set it to 0"
            )
        self.network, self.loss, self.spectral_decay = network, loss, spectral_decay
        shape = cast(Any, network)
        self.stride: int = getattr(network, "stride", 1)
        self.look_ahead: int = shape.look_ahead
        self.past: int = shape.receptive_field - 1 - shape.look_ahead
        self.block = -(-block // self.stride) * self.stride
        self.optimizer_factory, self.lr_scheduler_factory = optimizer, lr_scheduler
        self.figures = MeanTable()
        self.sample_rate = 0
        self.knobs: Mapping[str, Sequence[float]] = {}
        self.gathered: tuple[Tensor, Tensor] | None = None  # index and figures of the last split's pairs

    def setup(self, stage: str) -> None:
        """Takes sample rate and knobs from the data.

        Raises:
            ValueError: They are not those of the checkpoint, or the network has another number of knobs.
        """
        data = self._data
        data.setup({"validate": "validate", "test": "test"}.get(stage, "fit"))
        knobs = {name: list(limits) for name, limits in zip(data.knob_names, data.knob_ranges, strict=True)}
        if self.sample_rate and (self.sample_rate, self.knobs) != (data.sample_rate, knobs):
            raise ValueError(
                f"trained at {self.sample_rate} Hz with knobs {dict(self.knobs)}, and the data have {data.sample_rate}"
                f" Hz and {knobs}: take data of the same effect, or start anew"
            )
        if len(knobs) != self.network.num_knobs:
            raise ValueError(
                f"the data have {len(knobs)} knobs {list(knobs)}, the network {self.network.num_knobs}: set"
                f" model.network.num_knobs to {len(knobs)}"
            )
        self.sample_rate, self.knobs = data.sample_rate, knobs

    @property
    def _data(self) -> PairDataModule:
        return cast(PairDataModule, self.trainer.datamodule)  # pyright: ignore[reportAttributeAccessIssue]

    def forward(self, waveform: Tensor, knobs: Tensor | None = None) -> Tensor:
        """What the network makes of (batch, 1, time): fewer samples, by its context."""
        return self.network(waveform, knobs)

    def training_step(self, batch: PairBatch, batch_idx: int) -> Tensor:
        """Returns the loss over those samples of the chunks that have all their context."""
        if self.spectral_decay:
            estimate, magnitude = self.network.with_magnitude(batch.waveform, batch.knobs)  # pyright: ignore[reportCallIssue]
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
        if self.loss == "log_cosh":
            return log_cosh(estimate - target).mean()
        if self.loss == "esr":
            return esr(estimate, target)
        return F.l1_loss(estimate, target) + multi_resolution_stft(estimate, target).mean()

    def configure_optimizers(self) -> Any:
        """Builds the optimizer and its schedule."""
        return optimization.configure(self, self.optimizer_factory, self.lr_scheduler_factory)

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
        block = self.block if block is None else -(-block // self.stride) * self.stride

        def apply(pieces: Tensor) -> Tensor:
            return self.network(pieces, None if knobs is None else knobs.expand(len(pieces), -1)).float()

        return in_blocks(
            apply, waveform, past=self.past, look_ahead=self.look_ahead, block=block, batch_size=4
        )

    def validation_step(self, batch: PairBatch, batch_idx: int) -> None:
        """Collects the figures of whole recordings."""
        estimates = [
            self.render(waveform[None], knobs[None])
            for waveform, knobs in zip(batch.waveform, batch.knobs, strict=True)
        ]
        figures = figures_of_pairs(
            batch.waveform, torch.cat(estimates), batch.target, sample_rate=self.sample_rate
        )
        self.figures.update(figures, batch.index)

    test_step = validation_step

    def on_validation_epoch_end(self) -> None:
        """Logs ``val/esr`` and the like over all recordings of all ranks."""
        self.on_test_epoch_end()
        assert self.gathered is not None
        metrics = split_metrics(self.gathered[1].double())
        self.log_dict({f"val/{name}": metrics[name] for name in ("esr", "mae", "mr_stft")}, prog_bar=True)

    def on_test_epoch_end(self) -> None:
        """Gathers the figures of all ranks."""
        index, figures = self.figures.compute()
        self.gathered = index.flatten(), figures.reshape(-1, len(COLUMNS))  # torchmetrics squeezes one row
        self.figures.reset()

    def report(self, datamodule: PairDataModule, split: Literal["validation", "test"]) -> Report:
        """Evaluates what the last validation or test loop gathered."""
        assert self.gathered is not None, "a validation or test loop comes first"
        index, figures = (column.cpu() for column in self.gathered)
        pairs = [datamodule.pairs[split][row] for row in index.tolist()]
        return effect_report(pairs, figures.double(), list(self.knobs))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keeps sample rate and knobs."""
        checkpoint["sample_rate"], checkpoint["knobs"] = self.sample_rate, dict(self.knobs)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restores sample rate and knobs."""
        self.sample_rate, self.knobs = checkpoint["sample_rate"], checkpoint["knobs"]


def log_cosh(error: Tensor) -> Tensor:
    """Logarithm of the hyperbolic cosine, without its overflow beyond 88."""
    size = error.abs()
    return size + F.softplus(-2 * size) - torch.log(torch.tensor(2.0, dtype=error.dtype, device=error.device))
