"""The front-end ensemble: autoencoders behind dereverberation and extraction of anomalous sound."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn
from torchmetrics.functional.audio import scale_invariant_signal_distortion_ratio

from datamodules.base import ClipDataModule
from datamodules.clips import Batch
from lightning_modules.asd.detector import AnomalousSoundDetector
from lightning_modules.asd.ensemble_report import ENSEMBLES, ensemble_report
from lightning_modules.asd.front_ends import FrontEnds
from lightning_modules.asd.many_steps import ManyStepsPerBatch
from lightning_modules.asd.threshold_report import with_thresholds
from lightning_modules.base import Split
from lightning_modules.metrics.row_table import RowTable
from lightning_modules.networks import Autoencoder
from lightning_modules.package.scorers import Scorer
from lightning_modules.package.scorers.scorer import at_least_float32
from lightning_modules.run.fitted import Fitted
from lightning_modules.run.rows import Report


class FrontEndEnsemble(ManyStepsPerBatch, AnomalousSoundDetector):
    """Trains one autoencoder behind each front end at once and scores by any ensemble of them.

    Source: Kawaguchi et al. 2019, section 3.3. A clip's score is eq. 8: reconstruction errors, standardised by those
    of the training clips, averaged over time, microphones and the pipelines of an ensemble.

    Front ends run once over the training clips, whose features stay in memory (float32, 100 kB a pipeline,
    microphone and 10 s). Clips of a batch have one length.

    Args:
        front_ends: The pipelines A to H, or some of them.
        ensemble: Pipelines whose average is the score, the paper's proposal by default.
        hidden_dims: Of the autoencoders.
        standardize: Scale the inputs to mean 0 and variance 1 on the training clips.
        windows_per_step: Blocks of an optimizer step.
        **settings: Of `AnomalousSoundDetector`.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        front_ends: FrontEnds | None = None,
        *,
        ensemble: str = ENSEMBLES["proposed"],
        hidden_dims: Sequence[int] = (40, 40, 40),
        standardize: bool = True,
        windows_per_step: int = 512,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        self.automatic_optimization = False
        self.front_ends = front_ends if front_ends is not None else FrontEnds()
        self.pipelines = self.front_ends.pipelines
        self.ensemble = "".join(sorted(set(ensemble) & set(self.pipelines))) or self.pipelines
        self.standardize = standardize
        self.windows_per_step = windows_per_step
        dim = self.front_ends.feature_dim
        self.autoencoders = nn.ModuleDict(
            {label: Autoencoder(dim, hidden_dims=hidden_dims) for label in self.pipelines}
        )
        self.register_buffer("mean", torch.zeros(len(self.pipelines), 1, dim))
        self.register_buffer("std", torch.ones(len(self.pipelines), 1, dim))
        self.error_moments: Tensor | None = None  # (2, pipeline): μ and σ of the training errors
        self.branches, self.improvements = RowTable(), RowTable()
        self.gathered_branches: Tensor | None = None  # (clip, pipeline), sorted by index
        self.gathered_improvements: Tensor | None = None  # in dB
        self._cache: dict[int, Tensor] = {}

    def on_before_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Refuses clips of several lengths, while these are still on the CPU."""
        if (shortest := int(batch.length.min())) < batch.waveform.shape[-1]:
            key = batch.key[int(batch.length.argmin())]
            raise ValueError(
                f"clip {key} has {shortest} samples beside clips of {batch.waveform.shape[-1]}: cut all to one length"
                " with data.eval_crop_s"
            )
        return batch

    @torch.no_grad()
    def on_fit_start(self) -> None:
        """Learns the atoms of normal sound and runs the front ends over the training clips, once a run.

        Raises:
            ValueError: On several processes.
        """
        if self.trainer.world_size > 1:
            raise ValueError(
                "the front-end ensemble trains in one process: set trainer.devices=1 and num_nodes=1"
            )
        batches = list(self.reference_batches())
        spectra = [self._amplitudes(batch) for batch in batches]
        self.front_ends.fit(spectra)
        for batch, each in zip(batches, spectra, strict=True):
            features = self.front_ends.blocks(self.front_ends.residuals(each))
            self._cache |= dict(zip(batch.index.tolist(), features, strict=True))
        if self.standardize:
            features = torch.cat(list(self._cache.values()), dim=1)
            self.mean.copy_(features.mean(1, keepdim=True))
            self.std.copy_(features.std(1, keepdim=True).clamp_min(1e-3))

    def _amplitudes(self, batch: Batch) -> dict[bool, Tensor]:
        """Returns amplitude spectra: half the memory of complex ones, and all that extraction needs."""
        return {key: each.abs() for key, each in self.front_ends.spectra(batch.waveform).items()}

    def training_windows(self, batch: Batch) -> tuple[Tensor]:
        """Returns (window, pipeline, band * frame), scaled."""
        scaled = (self._training_features(batch) - self.mean) / self.std
        return (rearrange(scaled, "clip pipeline window dim -> (clip window) pipeline dim"),)

    def _training_features(self, batch: Batch) -> Tensor:
        """What the front ends make of training clips, from memory where this process has trained."""
        if not self._cache:
            return self.front_ends(batch.waveform)
        return torch.stack([self._cache[index] for index in batch.index.tolist()])

    def window_losses(self, windows: Tensor) -> Tensor:
        """Returns the sum of the pipelines' errors; their autoencoders share nothing, so each is trained alone."""
        return self.scorer().errors(windows).sum(1)

    def scorer(self) -> "EnsembleScorer":
        """Returns front ends, autoencoders and the average of eq. 8 over the pipelines of `ensemble`."""
        return EnsembleScorer(
            self.front_ends,
            self.autoencoders,
            scale=(self.mean, self.std),
            error_moments=self.error_moments,
            members=[self.pipelines.index(label) for label in self.ensemble],
        )

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Collects scores and, where the data has references, how much better they are heard."""
        spectra = self.front_ends.spectra(batch.waveform)
        residuals = self.front_ends.residuals(spectra)
        scorer = self.scorer()
        branches = scorer.branches(self.front_ends.blocks(residuals))
        self.branches.update(branches, batch.index)
        self.improvements.update(self.sdr_improvement(batch, spectra, residuals), batch.index)
        self.collected.update(scorer.average(branches), batch.index)

    def sdr_improvement(
        self, batch: Batch, spectra: Mapping[bool, Tensor], residuals: Mapping[str, Tensor]
    ) -> Tensor:
        """Gain of scale-invariant SDR over the mixture, of the extracted sound in the phases of its input.

        A data module that knows the anomalous sound alone gives it as ``reference(index)``.

        Returns:
            dB (batch, pipeline), averaged over microphones; NaN for clips without a reference.
        """
        found = torch.full((len(batch.key), len(self.pipelines)), torch.nan, device=self.device)
        references = {row: self.data.reference(int(index)) for row, index in enumerate(batch.index)}
        rows = [row for row, reference in references.items() if reference is not None]
        if not rows:
            return found
        microphones = self.front_ends.microphones
        sound = torch.stack([each for each in references.values() if each is not None]).to(self.device)
        sound = sound[:, :microphones]
        before = scale_invariant_signal_distortion_ratio(batch.waveform[rows, :microphones], sound)
        heard = self.front_ends.resynthesise(residuals, spectra, sound.shape[-1])
        for number, label in enumerate(self.pipelines):
            after = scale_invariant_signal_distortion_ratio(heard[label][rows], sound)
            found[rows, number] = (after - before).mean(1)
        return found

    def on_test_epoch_end(self) -> None:
        """Gathers the scores of all ranks."""
        super().on_test_epoch_end()
        self.gathered_branches = self.branches.gathered()[1]
        self.gathered_improvements = self.improvements.gathered()[1]

    @torch.no_grad()
    def reference_scores(self) -> tuple[Tensor, Tensor]:
        """Measures μ and σ of eq. 8 on the normal training clips; returns their instance and score, (clip,) each."""
        table = RowTable().to(self.device)
        for batch in self.reference_batches():
            errors = self.scorer().clip_errors(self._training_features(batch))
            moments = [
                errors.mean(-1),
                errors.square().mean(-1),
                self.instance_index(batch)[:, None].double(),
            ]
            table.update(torch.cat(moments, dim=1), batch.index)
        rows = table.gathered()[1]
        mean, square = (part.mean(0) for part in rows[:, :-1].chunk(2, dim=1))
        self.error_moments = torch.stack([mean, (square - mean.square()).clamp_min(1e-24).sqrt()])
        branches = (rows[:, : len(self.pipelines)] - mean) / self.error_moments[1]
        return rows[:, -1].long(), self.scorer().average(branches)

    @property
    def can_score(self) -> bool:
        """Whether μ and σ are measured."""
        return self.error_moments is not None

    def fitted(self) -> Fitted:
        """Thresholds, μ and σ."""
        moments = {} if self.error_moments is None else {"error_moments": self.error_moments}
        return replace(super().fitted(), tensors=moments)

    def restore(self, fitted: Fitted) -> None:
        """Takes back what `fitted` gave."""
        super().restore(fitted)
        moments = fitted.tensors.get("error_moments")
        self.error_moments = None if moments is None else moments.to(self.device)

    def report(self, datamodule: ClipDataModule, split: Split) -> Report:
        """The paper's Table 1: AUC of every pipeline and ensemble at every input SNR."""
        clips, scores = self.scored(datamodule, split)
        assert self.gathered_branches is not None
        assert self.gathered_improvements is not None
        branches, improvements = (
            dict(zip(self.pipelines, each.cpu().unbind(1), strict=True))
            for each in (self.gathered_branches, self.gathered_improvements)
        )
        report = ensemble_report(clips, scores, branches, improvements, thresholds=self.thresholds)
        return with_thresholds(report, clips, self.found)


class EnsembleScorer(Scorer):
    """Reconstruction errors, standardised by those of the training clips, averaged over time, microphones, pipelines.

    Args:
        front_ends: The pipelines.
        autoencoders: One a pipeline.
        scale: Mean and standard deviation of their inputs, (pipeline, 1, dim) each.
        error_moments: (2, pipeline), μ and σ of the training errors; None before they were measured.
        members: Numbers of the pipelines that are averaged.
    """

    obstacle = "front ends and scores are fitted to the training clips"
    over_windows = "max"
    meaning = "standardised reconstruction error: higher = more anomalous"

    def __init__(
        self,
        front_ends: FrontEnds,
        autoencoders: nn.ModuleDict,
        *,
        scale: tuple[Tensor, Tensor],
        error_moments: Tensor | None,
        members: Sequence[int],
    ) -> None:
        super().__init__(autoencoders, front_ends)
        self.scale, self.error_moments, self.members = scale, error_moments, list(members)

    def forward(
        self, waveform: Tensor, length: Tensor | None = None, instance: Tensor | None = None
    ) -> Tensor:
        """Returns one float64 score a clip of (batch, channel, time), all of one length."""
        assert self.frontend is not None
        return self.average(self.branches(self.frontend(waveform)))

    def average(self, branches: Tensor) -> Tensor:
        """Returns the mean over the members, (batch,), of (batch, pipeline)."""
        return branches[:, self.members].mean(1)

    def branches(self, features: Tensor) -> Tensor:
        """Standardised errors of eq. 8 averaged over time and microphones, float64 (batch, pipeline)."""
        if self.error_moments is None:
            raise ValueError(
                "the ensemble was not fitted: test it first, or copy fitted/ of its run's folder along"
            )
        mean, std = self.error_moments
        return (self.clip_errors(features).mean(-1) - mean) / std

    def clip_errors(self, features: Tensor) -> Tensor:
        """Errors e of every microphone and block, float64 (batch, pipeline, microphone * block)."""
        mean, std = self.scale
        windows = rearrange((features - mean) / std, "clip pipeline window dim -> (clip window) pipeline dim")
        errors = self.errors(windows).double()
        return rearrange(errors, "(clip window) pipeline -> clip pipeline window", clip=len(features))

    def errors(self, windows: Tensor) -> Tensor:
        """Mean squared errors (window, pipeline) of (window, pipeline, dim)."""
        parts = zip(self.network.children(), windows.unbind(1), strict=True)
        return torch.stack(
            [at_least_float32(autoencoder(x) - x).square().mean(1) for autoencoder, x in parts], dim=1
        )
