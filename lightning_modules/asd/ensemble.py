"""The front-end ensemble: dereverberation and extraction of anomalous sound before autoencoders."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol, cast

import torch
from einops import rearrange
from torch import Tensor, nn
from torchaudio.functional import melscale_fbanks
from torchmetrics.functional.audio import scale_invariant_signal_distortion_ratio

from datamodules.clips import Batch
from lightning_modules.asd.detector import AnomalousSoundDetector, MachineData
from lightning_modules.asd.ensemble_report import ENSEMBLES, PIPELINES, ensemble_report
from lightning_modules.asd.many_steps import ManyStepsPerBatch
from lightning_modules.checkpoints import FITTED
from lightning_modules.frontends import NMF, NMU, NNE, WPE, BlindDereverberation
from lightning_modules.frontends.extractor import Extractor
from lightning_modules.frontends.stft import STFT
from lightning_modules.metrics.row_table import RowTable
from lightning_modules.networks import Autoencoder
from lightning_modules.results import Report

_MIN_ENERGY = 1e-7  # of a mel band of a frame, far below the noise of 16-bit recordings


class RoomData(MachineData, Protocol):
    """What the ensemble asks of a data module."""

    def reference(self, index: int) -> Tensor | None:
        """The anomalous sound alone in test clip `index`, (channel, time); None where it is not known."""
        ...


class FrontEndEnsemble(ManyStepsPerBatch, AnomalousSoundDetector):
    """Trains one autoencoder behind each of eight front ends at once and scores by any ensemble of them.

    Source: Kawaguchi et al. 2019, "Anomaly detection based on an ensemble of dereverberation and anomalous sound
    extraction", section 3. A pipeline is an entry of `ensemble_report.PIPELINES`: dereverberated or not, and
    extracted by nothing, NMF, NMU or NNE. Log mel energies of five frames make the input of its autoencoder. A
    clip's score is eq. 8: reconstruction errors, standardised by those of the training clips, averaged over time,
    microphones and the pipelines of an ensemble.

    Front ends run once over the training clips, whose features stay in memory (float32, 100 kB a pipeline,
    microphone and 10 s). Clips of a batch have one length.

    Args:
        dereverberation: Of the pipelines E to H.
        nmf: Extractor of the pipelines B and F; its atoms, learnt for each of them, are those of NMU and NNE too.
        nmu: Extractor of the pipelines C and G.
        nne: Extractor of the pipelines D and H.
        pipelines: Which to train, e.g. ``A`` or ``ABCDEFGH``.
        ensemble: Pipelines whose average is the score, the paper's proposal by default.
        microphones: How many of the microphones are scored; null is all. Dereverberation hears all of them.
        sample_rate: In Hz.
        n_fft: Length of the Fourier transform and of the Hann window in samples.
        hop_length: Samples from frame to frame.
        n_mels: Number of mel bands.
        block: Frames of an autoencoder's input; blocks do not overlap.
        hidden_dims: Of the autoencoders.
        standardize: Scale the inputs to mean 0 and variance 1 on the training clips.
        windows_per_step: Blocks of an optimizer step.
        **settings: Of `AnomalousSoundDetector`.
    """

    filters: Tensor
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        *,
        dereverberation: BlindDereverberation | WPE | None = None,
        nmf: NMF | None = None,
        nmu: NMU | None = None,
        nne: NNE | None = None,
        pipelines: str = "ABCDEFGH",
        ensemble: str = ENSEMBLES["proposed"],
        microphones: int | None = None,
        sample_rate: int = 16000,
        n_fft: int = 512,
        hop_length: int = 256,
        n_mels: int = 40,
        block: int = 5,
        hidden_dims: Sequence[int] = (40, 40, 40),
        standardize: bool = True,
        windows_per_step: int = 512,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        if not pipelines or not set(pipelines) <= set(PIPELINES):
            raise ValueError(f"pipelines {pipelines!r}: expected letters from {''.join(PIPELINES)}")
        self.automatic_optimization = False
        self.pipelines = "".join(sorted(set(pipelines)))
        self.ensemble = "".join(sorted(set(ensemble) & set(pipelines))) or self.pipelines
        self.microphones = microphones
        self.block = block
        self.standardize = standardize
        self.windows_per_step = windows_per_step
        self.stft = STFT(n_fft, hop_length=hop_length)
        self.dereverberation = dereverberation if dereverberation is not None else BlindDereverberation()
        num_bins, dim = n_fft // 2 + 1, n_mels * block
        extractors = {
            "NMF": nmf if nmf is not None else NMF(num_bins),
            "NMU": nmu if nmu is not None else NMU(num_bins),
            "NNE": nne if nne is not None else NNE(num_bins),
        }
        self.extractors = nn.ModuleDict(
            {
                label: copy.deepcopy(extractors[PIPELINES[label].extraction])
                for label in self.pipelines
                if PIPELINES[label].extraction in extractors
            }
        )
        self.autoencoders = nn.ModuleDict(
            {label: Autoencoder(dim, hidden_dims=hidden_dims) for label in self.pipelines}
        )
        filters = melscale_fbanks(num_bins, 0.0, sample_rate / 2, n_mels, sample_rate)
        self.register_buffer("filters", filters.T.contiguous(), persistent=False)  # (mel, bin)
        self.register_buffer("mean", torch.zeros(len(self.pipelines), 1, dim))
        self.register_buffer("std", torch.ones(len(self.pipelines), 1, dim))
        self.error_moments: Tensor | None = (
            None  # (2, pipeline): mean and deviation of training errors, μ and σ
        )
        self.branches, self.improvements = RowTable(), RowTable()
        self.gathered_branches: Tensor | None = None  # (clip, pipeline), sorted by index
        self.gathered_improvements: Tensor | None = None  # in dB
        self._cache: dict[int, Tensor] = {}

    @property
    def data(self) -> RoomData:
        """The data module of the running loop."""
        return cast(RoomData, super().data)

    def spectra(self, batch: Batch) -> dict[bool, Tensor]:
        """Complex spectra (batch, microphone, bin, frame), without and with dereverberation.

        Raises:
            ValueError: For clips of several lengths.
        """
        if (shortest := int(batch.length.min())) < batch.waveform.shape[-1]:
            key = batch.key[int(batch.length.argmin())]
            raise ValueError(
                f"clip {key} has {shortest} samples beside clips of {batch.waveform.shape[-1]}: cut all to one length"
                " with data.eval_crop_s"
            )
        spectrum = self.stft(batch.waveform)
        wanted = {PIPELINES[label].dereverberation for label in self.pipelines}
        found = {False: spectrum} if False in wanted else {}
        if True in wanted:
            found[True] = self.dereverberation.dereverberate(spectrum)
        return {key: each[:, : self.microphones] for key, each in found.items()}

    def residuals(self, spectra: Mapping[bool, Tensor]) -> dict[str, Tensor]:
        """Amplitudes (batch, microphone, bin, frame) that each pipeline leaves."""
        residuals = {}
        for label in self.pipelines:
            amplitude = spectra[PIPELINES[label].dereverberation].abs()
            if label in self.extractors:
                frames = self.extractors[label](amplitude.flatten(0, 1))
                amplitude = frames.unflatten(0, amplitude.shape[:2])
            residuals[label] = amplitude
        return residuals

    def blocks(self, residuals: Mapping[str, Tensor]) -> Tensor:
        """Log mel energies of blocks of frames: (batch, pipeline, microphone * block, band * frame)."""
        amplitude = torch.stack(list(residuals.values()), dim=1).float()
        with torch.autocast(amplitude.device.type, enabled=False):
            log_mel = (self.filters @ amplitude.square()).clamp_min_(_MIN_ENERGY).log_()
        return rearrange(
            log_mel[..., : log_mel.shape[-1] // self.block * self.block],
            "clip pipeline mic mel (block frame) -> clip pipeline (mic block) (mel frame)",
            frame=self.block,
        )

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
        spectra = [{key: each.abs() for key, each in self.spectra(batch).items()} for batch in batches]
        self._fit_extractors(spectra)
        for batch, each in zip(batches, spectra, strict=True):
            features = self.blocks(self.residuals(each))
            self._cache |= dict(zip(batch.index.tolist(), features, strict=True))
        if self.standardize:
            features = torch.cat(list(self._cache.values()), dim=1)
            self.mean.copy_(features.mean(1, keepdim=True))
            self.std.copy_(features.std(1, keepdim=True).clamp_min(1e-3))

    def _fit_extractors(self, spectra: Sequence[Mapping[bool, Tensor]]) -> None:
        fitted: dict[bool, nn.Module] = {}
        for label, extractor in self.extractors.items():
            assert isinstance(extractor, Extractor)
            dereverberated = PIPELINES[label].dereverberation
            if dereverberated in fitted:
                extractor.load_state_dict(fitted[dereverberated].state_dict())
            elif not extractor.is_fitted:
                extractor.fit(clip for each in spectra for clip in each[dereverberated].flatten(0, 1))
            fitted[dereverberated] = extractor

    def training_windows(self, batch: Batch) -> tuple[Tensor]:
        """Returns (window, pipeline, band * frame), scaled."""
        scaled = (self._training_features(batch) - self.mean) / self.std
        return (rearrange(scaled, "clip pipeline window dim -> (clip window) pipeline dim"),)

    def _training_features(self, batch: Batch) -> Tensor:
        """`features` of training clips, from memory where this process has trained."""
        if not self._cache:
            return self.features(batch)
        return torch.stack([self._cache[index] for index in batch.index.tolist()])

    def window_losses(self, windows: Tensor) -> Tensor:
        """Returns the sum of the pipelines' errors; their autoencoders share nothing, so each is trained alone."""
        return self._errors(windows).sum(1)

    def _errors(self, windows: Tensor) -> Tensor:
        """Mean squared errors (window, pipeline) of (window, pipeline, dim)."""
        parts = zip(self.autoencoders.values(), windows.unbind(1), strict=True)
        return torch.stack([(autoencoder(x) - x).float().square().mean(1) for autoencoder, x in parts], dim=1)

    def features(self, batch: Batch) -> Tensor:
        """Returns (batch, pipeline, microphone * block, band * frame)."""
        return self.blocks(self.residuals(self.spectra(batch)))

    def clip_errors(self, features: Tensor) -> Tensor:
        """Errors e of every microphone and block, float64 (batch, pipeline, microphone * block)."""
        windows = rearrange(
            (features - self.mean) / self.std, "clip pipeline window dim -> (clip window) pipeline dim"
        )
        errors = self._errors(windows).double()
        return rearrange(errors, "(clip window) pipeline -> clip pipeline window", clip=len(features))

    def branch_scores(self, features: Tensor) -> Tensor:
        """Standardised errors of eq. 8 averaged over time and microphones, float64 (batch, pipeline)."""
        assert self.error_moments is not None
        mean, std = self.error_moments
        return (self.clip_errors(features).mean(-1) - mean) / std

    def score(self, batch: Batch) -> Tensor:
        """Returns one float64 score a clip, (batch,): the average over the pipelines of `ensemble`."""
        return self._members(self.branch_scores(self.features(batch)), self.ensemble).mean(1)

    def _members(self, branches: Tensor, labels: str) -> Tensor:
        return branches[:, [self.pipelines.index(label) for label in labels]]

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Collects scores and, where the data has references, how much better they are heard."""
        spectra = self.spectra(batch)
        residuals = self.residuals(spectra)
        branches = self.branch_scores(self.blocks(residuals))
        self.branches.update(branches, batch.index)
        self.improvements.update(self.sdr_improvement(batch, spectra, residuals), batch.index)
        self.scores.update(self._members(branches, self.ensemble).mean(1), batch.target, batch.index)

    def sdr_improvement(
        self, batch: Batch, spectra: Mapping[bool, Tensor], residuals: Mapping[str, Tensor]
    ) -> Tensor:
        """Gain of scale-invariant SDR over the mixture, of the extracted sound in the phases of its input.

        Returns:
            dB (batch, pipeline), averaged over microphones; NaN for clips without a reference.
        """
        found = torch.full((len(batch.key), len(self.pipelines)), torch.nan, device=self.device)
        references = {row: self.data.reference(int(index)) for row, index in enumerate(batch.index)}
        rows = [row for row, reference in references.items() if reference is not None]
        if not rows:
            return found
        sound = torch.stack([each for each in references.values() if each is not None]).to(self.device)
        sound = sound[:, : self.microphones]
        before = scale_invariant_signal_distortion_ratio(batch.waveform[rows, : self.microphones], sound)
        for number, label in enumerate(self.pipelines):
            phase = spectra[PIPELINES[label].dereverberation][rows].sgn()
            extracted = self.stft.inverse(residuals[label][rows] * phase, sound.shape[-1])
            after = scale_invariant_signal_distortion_ratio(extracted, sound)
            found[rows, number] = (after - before).mean(1)
        return found

    def on_test_epoch_end(self) -> None:
        """Gathers the scores of all ranks."""
        super().on_test_epoch_end()
        self.gathered_branches = self.branches.compute()[1]
        self.gathered_improvements = self.improvements.compute()[1]
        self.branches.reset()
        self.improvements.reset()

    def on_train_start(self) -> None:
        """Forgets what was fitted to earlier weights."""
        super().on_train_start()
        self.error_moments = None

    @torch.no_grad()
    def reference_scores(self) -> tuple[Tensor, Tensor]:
        """Measures μ and σ of eq. 8 on the normal training clips; returns their instance and score, (clip,) each."""
        table = RowTable().to(self.device)
        for batch in self.reference_batches():
            errors = self.clip_errors(self._training_features(batch))
            moments = [
                errors.mean(-1),
                errors.square().mean(-1),
                self.instance_index(batch)[:, None].double(),
            ]
            table.update(torch.cat(moments, dim=1), batch.index)
        rows = table.compute()[1]
        mean, square = (part.mean(0) for part in rows[:, :-1].chunk(2, dim=1))
        self.error_moments = torch.stack([mean, (square - mean.square()).clamp_min(1e-24).sqrt()])
        branches = (rows[:, : len(self.pipelines)] - mean) / self.error_moments[1]
        return rows[:, -1].long(), self._members(branches, self.ensemble).mean(1)

    def fitted(self) -> dict[str, Any]:
        """Thresholds, μ and σ."""
        return {**super().fitted(), "error_moments": self.error_moments}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restores the order of the classes and what scoring fitted."""
        super().on_load_checkpoint(checkpoint)
        if FITTED in checkpoint:
            self.error_moments = checkpoint[FITTED]["error_moments"].to(self.device)

    def report(self, datamodule: MachineData, split: Literal["validation", "test"]) -> Report:
        """The paper's Table 1: AUC of every pipeline and ensemble at every input SNR."""
        assert self.gathered is not None, "a test loop comes first"
        assert self.gathered_branches is not None
        assert self.gathered_improvements is not None
        index, scores, _ = (column.cpu() for column in self.gathered)
        clips = [datamodule.clips[split][row] for row in index.tolist()]
        branches, improvements = (
            dict(zip(self.pipelines, each.cpu().unbind(1), strict=True))
            for each in (self.gathered_branches, self.gathered_improvements)
        )
        return ensemble_report(clips, scores, branches, improvements, thresholds=self.thresholds)
