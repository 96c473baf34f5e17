"""The front ends of the ensemble: from microphones to what autoencoders see, by eight pipelines."""

import copy
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from einops import rearrange
from torch import Tensor, nn
from torchaudio.functional import melscale_fbanks

from lightning_modules.frontends import NMF, NMU, NNE, WPE, BlindDereverberation, RoomDereverberation
from lightning_modules.frontends.extractor import Extractor
from lightning_modules.frontends.stft import STFT

_MIN_ENERGY = 1e-7  # of a mel band of a frame, far below the noise of 16-bit recordings


class Pipeline(NamedTuple):
    """A front end: whether it dereverberates, and what extracts anomalous sound."""

    dereverberation: bool
    extraction: str


_ALL = [Pipeline(each, name) for each in (False, True) for name in ("none", "NMF", "NMU", "NNE")]
PIPELINES = dict(zip("ABCDEFGH", _ALL, strict=True))
"""The labels of Kawaguchi et al. 2019, Fig. 3."""


class FrontEnds(nn.Module):
    """Log mel energies of blocks of frames after dereverberation or not, and extraction of anomalous sound or not.

    Source: Kawaguchi et al. 2019, "Anomaly detection based on an ensemble of dereverberation and anomalous sound
    extraction", section 3.

    Args:
        dereverberation: Of the pipelines E to H; null is `RoomDereverberation`, the paper's is `BlindDereverberation`.
        nmf: Extractor of the pipelines B and F; its atoms, learnt for each of them, are those of NMU and NNE too.
        nmu: Extractor of the pipelines C and G.
        nne: Extractor of the pipelines D and H.
        pipelines: Which there are, e.g. ``A`` or ``ABCDEFGH``.
        microphones: How many of the microphones are kept; null is all. Dereverberation hears all of them.
        sample_rate: In Hz.
        n_fft: Length of the Fourier transform and of the Hann window in samples.
        hop_length: Samples from frame to frame.
        n_mels: Number of mel bands.
        block: Frames of a block; blocks do not overlap.
    """

    filters: Tensor

    def __init__(
        self,
        dereverberation: BlindDereverberation | RoomDereverberation | WPE | None = None,
        nmf: NMF | None = None,
        nmu: NMU | None = None,
        nne: NNE | None = None,
        *,
        pipelines: str = "ABCDEFGH",
        microphones: int | None = None,
        sample_rate: int = 16000,
        n_fft: int = 512,
        hop_length: int = 256,
        n_mels: int = 40,
        block: int = 5,
    ) -> None:
        super().__init__()
        if not pipelines or not set(pipelines) <= set(PIPELINES):
            raise ValueError(f"pipelines {pipelines!r}: expected letters from {''.join(PIPELINES)}")
        self.pipelines = "".join(sorted(set(pipelines)))
        self.microphones = microphones
        self.block = block
        self.feature_dim = n_mels * block
        self.stft = STFT(n_fft, hop_length=hop_length)
        self.dereverberation = dereverberation if dereverberation is not None else RoomDereverberation()
        num_bins = n_fft // 2 + 1
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
        filters = melscale_fbanks(num_bins, 0.0, sample_rate / 2, n_mels, sample_rate)
        self.register_buffer("filters", filters.T.contiguous(), persistent=False)  # (mel, bin)

    def forward(self, waveform: Tensor) -> Tensor:
        """(batch, microphone, time) to (batch, pipeline, microphone * block, band * frame)."""
        return self.blocks(self.residuals(self.spectra(waveform)))

    def spectra(self, waveform: Tensor) -> dict[bool, Tensor]:
        """Complex spectra (batch, microphone, bin, frame), without and with dereverberation."""
        spectrum = self.stft(waveform)
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
        amplitude = torch.stack(list(residuals.values()), dim=1).to(self.filters.dtype)
        with torch.autocast(amplitude.device.type, enabled=False):
            log_mel = (self.filters @ amplitude.square()).clamp_min_(_MIN_ENERGY).log_()
        return rearrange(
            log_mel[..., : log_mel.shape[-1] // self.block * self.block],
            "clip pipeline mic mel (block frame) -> clip pipeline (mic block) (mel frame)",
            frame=self.block,
        )

    def resynthesise(
        self, residuals: Mapping[str, Tensor], spectra: Mapping[bool, Tensor], num_samples: int
    ) -> dict[str, Tensor]:
        """What each pipeline lets hear, in the phases of its input: (batch, microphone, time) each."""
        return {
            label: self.stft.inverse(residual * spectra[PIPELINES[label].dereverberation].sgn(), num_samples)
            for label, residual in residuals.items()
        }

    def fit(self, spectra: Sequence[Mapping[bool, Tensor]]) -> None:
        """Learns the atoms of normal sound from `spectra` of training clips, unless they are known."""
        fitted: dict[bool, nn.Module] = {}
        for label, extractor in self.extractors.items():
            assert isinstance(extractor, Extractor)
            dereverberated = PIPELINES[label].dereverberation
            if dereverberated in fitted:
                extractor.load_state_dict(fitted[dereverberated].state_dict())
            elif not extractor.is_fitted:
                extractor.fit(clip for each in spectra for clip in each[dereverberated].abs().flatten(0, 1))
            fitted[dereverberated] = extractor
