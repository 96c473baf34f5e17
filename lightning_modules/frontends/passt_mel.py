"""The input of PaSST: a logarithmic mel spectrogram of what is pre-emphasised."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchaudio.compliance import kaldi
from torchaudio.functional import spectrogram

from lightning_modules.frontends.length import check_length, single_channel
from lightning_modules.frontends.spec_augment import SpecAugment


class PaSSTMel(nn.Module):
    """Log mel features as PaSST computes them (Koutini et al. 2022, section 4.1): (log(power + 1e-5) + 4.5) / 5.

    Windows of 25 ms, centred on multiples of the hop, whose power is summed up in Kaldi's mel bands. Masks are 0
    before the last step, as in the published code.

    Args:
        sample_rate: In Hz.
        n_fft: Length of the Fourier transform in samples.
        win_length: Length of the symmetric Hann window in samples.
        hop_length: Samples from frame to frame.
        num_mel_bins: Number of bands.
        high_freq: Upper edge of the highest band in Hz.
        band_width: Widest band that training masks; 0 masks none.
        span_width: Widest span of frames that training masks; 0 masks none.
    """

    window: Tensor
    filters: Tensor

    def __init__(
        self,
        sample_rate: int = 32000,
        *,
        n_fft: int = 1024,
        win_length: int = 800,
        hop_length: int = 320,
        num_mel_bins: int = 128,
        high_freq: float = 15000.0,
        band_width: int = 48,
        span_width: int = 192,
    ) -> None:
        super().__init__()
        self.n_fft, self.hop_length = n_fft, hop_length
        filters, _ = kaldi.get_mel_banks(
            num_mel_bins, n_fft, sample_rate, 0.0, high_freq, vtln_low=100.0, vtln_high=-500.0, vtln_warp_factor=1.0
        )  # fmt: skip
        self.register_buffer("window", torch.hann_window(win_length, periodic=False), persistent=False)
        self.register_buffer("filters", F.pad(filters, (0, 1)), persistent=False)  # (mel, bin)
        self.spec_augment = SpecAugment(band_width, span_width=span_width)

    def forward(self, waveform: Tensor, length: Tensor | None = None) -> Tensor:
        """Analyse clips.

        Args:
            waveform: (batch, 1, time).
            length: Unused: what a clip was filled with is heard; of its mirror image (``padding: mirror``) its own
                frames are those of the clip alone, and `num_frames` counts them.

        Returns:
            float32 (batch, num_mel_bins, frame).

        Raises:
            ValueError: For clips of several channels, and those shorter than half a transform.
        """
        check_length(waveform, self.n_fft // 2 + 2)
        clips = single_channel(waveform).to(self.window.dtype)
        with torch.autocast(waveform.device.type, enabled=False):
            clips = clips[:, 1:] - 0.97 * clips[:, :-1]
            power = spectrogram(
                clips,
                pad=0,
                window=self.window,
                n_fft=self.n_fft,
                hop_length=self.hop_length,
                win_length=len(self.window),
                power=2.0,
                normalized=False,
            )
            features = (self.filters @ power).add_(1e-5).log_()
            return (self.spec_augment(features) + 4.5) / 5

    def num_frames(self, length: Tensor) -> Tensor:
        """Frames of clips of `length` samples."""
        return 1 + (length - 1) // self.hop_length
