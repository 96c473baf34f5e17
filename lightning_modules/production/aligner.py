"""Time alignment of drum hits: a network that is trained to find where a hit begins, and cuts that move it."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor

from datamodules import audio
from datamodules.production.pairs.pairs import Pair, PairBatch
from lightning_modules import optimization
from lightning_modules.metrics.functional.onset import detect_onsets
from lightning_modules.networks.shift_predictor import ShiftPredictor
from lightning_modules.production.aligner_report import align_report, figures_of_pair
from lightning_modules.production.pair_module import PairModule
from lightning_modules.production.quantise import quantise
from lightning_modules.run.pretrained import Weights
from lightning_modules.run.rows import Report

_GUARD_S = 0.01  # how long before the next hit the network's view ends


class TimeAligner(PairModule):
    """Trains a `ShiftPredictor` on windows of one hit, by the mean error of its shifts in milliseconds.

    The true shift of a window is the lag of the greatest cross-correlation with its target: the pair tells all. Sample
    by sample, silence would be nearer to the target than a hit that lies 1 ms beside it.

    Args:
        network: Finds the hit of a window and moves it to the middle.
        weights: What the network begins with, see `EvaluatedModule`.
        optimizer: Made from the trainable parameters.
        lr_scheduler: Made from the optimizer; see `optimization.configure` for when it steps.
    """

    network: ShiftPredictor
    logged = ("onset_ms", "within_5ms")  # mean distance from the line; a share

    def __init__(
        self,
        network: ShiftPredictor,
        *,
        weights: str | Weights | None = None,
        optimizer: OptimizerCallable = torch.optim.AdamW,
        lr_scheduler: LRSchedulerCallable | None = None,
    ) -> None:
        super().__init__(network, weights=weights, optimizer=optimizer, lr_scheduler=lr_scheduler)
        self.sample_rate = network.sample_rate

    def training_step(self, batch: PairBatch, batch_idx: int) -> Tensor:
        """Returns the mean error of the shifts in milliseconds."""
        late = lag(batch.waveform, batch.target, most=self.network.max_shift)
        loss = F.l1_loss(self.network.onset(batch.waveform), late.float()) * (1000 / self.sample_rate)
        self.log("train/loss", loss.detach(), prog_bar=True, batch_size=1)
        return loss

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Parameters that decay, and biases and norms, which do not."""
        return optimization.decay_weights_only(self)

    def score(self, batch: PairBatch) -> Tensor:
        """Evaluates windows, whose hit is moved to the middle, and bars, whose hits are moved to their grid."""
        tempi = [float(bpm) for bpm in batch.attributes["bpm"]]
        if any(tempi):  # bars differ in length: a batch is one
            moved = self.align(batch.waveform[0], self.sample_rate, bpm=tempi[0])[None]
        else:
            moved = self(batch.waveform)
        rows = [
            figures_of_pair(
                batch.waveform[row, 0],
                moved[row, 0].float(),
                batch.target[row, 0],
                lines_s=[float(line) for line in batch.attributes["lines_s"][row].split()],
                sample_rate=self.sample_rate,
            )
            for row in range(len(batch.key))
        ]
        return torch.tensor(rows, device=self.device)

    def summary(self, pairs: Sequence[Pair], figures: Tensor) -> Report:
        """Evaluates windows and bars by themselves."""
        return align_report(pairs, figures)

    @torch.no_grad()
    def align(
        self,
        waveform: Tensor,
        rate: int,
        *,
        bpm: float,
        steps_per_beat: int = 2,
        offset_s: float = 0.0,
        resampler: audio.Resampler = "soxr_hq",
    ) -> Tensor:
        """Moves every hit of a recording to the nearest step of a tempo's grid.

        Thresholds find the hits, the network where each begins; what lies between is cut and moved by whole samples.

        Args:
            waveform: (channel, time) of any length.
            rate: Its sample rate in Hz.
            bpm: Beats a minute.
            steps_per_beat: Steps that hits may lie on.
            offset_s: Where the first beat lies, in seconds.
            resampler: What takes the recording to the network's rate.

        Returns:
            (channel, time); the recording itself where it holds no hit.
        """
        if not 0 < bpm < 1000 or steps_per_beat < 1:
            raise ValueError(
                f"a grid of {bpm} bpm in {steps_per_beat} steps a beat: give a tempo of the recording"
            )
        onsets = self.onsets(waveform, rate, resampler=resampler)
        return quantise(
            waveform, onsets, sample_rate=rate, step_s=60 / (bpm * steps_per_beat), offset_s=offset_s
        )

    def onsets(self, waveform: Tensor, rate: int, *, resampler: audio.Resampler = "soxr_hq") -> Tensor:
        """Where the hits of (channel, time) begin, float64 (hit,) in seconds, ascending."""
        mono = audio.resample(waveform.mean(dim=0), rate, self.sample_rate, resampler)
        coarse = detect_onsets(mono, sample_rate=self.sample_rate)
        if not len(coarse):
            return torch.zeros(0, dtype=torch.float64)
        half = self.network.window // 2
        padded = F.pad(mono, (half, half))
        windows = torch.stack([padded[begin : begin + 2 * half] for begin in coarse.tolist()])
        following = torch.cat([coarse.diff(), torch.tensor([2 * half])])
        guard = round(_GUARD_S * self.sample_rate)
        place = torch.arange(-half, half)
        windows = windows.masked_fill((place + guard >= following[:, None]).to(windows.device), 0.0)
        fine = self.network.onset(windows[:, None].to(self.device))
        return (coarse + fine.double().cpu()).sort().values / self.sample_rate


def lag(waveform: Tensor, target: Tensor, *, most: int) -> Tensor:
    """How much later `waveform` is than `target`, both (batch, 1, time): int64 (batch,) samples, up to `most`."""
    size = 2 * waveform.shape[-1]
    spectrum = torch.fft.rfft(waveform.float(), size) * torch.fft.rfft(target.float(), size).conj()
    correlation = torch.fft.irfft(spectrum, size).roll(most, dims=-1)[:, 0, : 2 * most + 1]
    return correlation.argmax(dim=1) - most
