"""The input of BEATs: Kaldi's filter bank, normalised by the corpus that it was trained on."""

import torch.nn.functional as F
from torch import Tensor, nn

from lightning_modules.frontends.fbank import Fbank
from lightning_modules.frontends.length import single_channel
from lightning_modules.frontends.spec_augment import SpecAugment

_LOUDEST = 2**15  # Kaldi hears 16-bit integers


class BEATsFbank(nn.Module):
    """Log mel features as BEATs computes them (Chen et al. 2023, section 3.1): (feature - mean) / (2 std).

    Windows of 25 ms every 10 ms, only those that lie in the clip. Masks have the mean of the corpus, 0.

    Args:
        sample_rate: In Hz.
        num_mel_bins: Number of bands.
        mean: Of the features.
        std: Their standard deviation.
        band_width: Widest band that training masks; 0 masks none.
        span_width: Widest span of frames that training masks; 0 masks none.
    """

    def __init__(
        self,
        sample_rate: int = 16000,
        *,
        num_mel_bins: int = 128,
        mean: float = 15.41663,
        std: float = 6.55582,
        band_width: int = 0,
        span_width: int = 0,
    ) -> None:
        super().__init__()
        self.mean, self.std = mean, std
        self.fbank = Fbank(sample_rate, num_mel_bins=num_mel_bins)
        self.spec_augment = SpecAugment(band_width, span_width=span_width)

    def forward(self, waveform: Tensor, length: Tensor | None = None) -> Tensor:
        """Analyse clips; one shorter than a window ends in silence.

        Args:
            waveform: (batch, 1, time).
            length: Unused: the frames of a clip are the same beside longer ones; `num_frames` counts them.

        Returns:
            float32 (batch, num_mel_bins, frame).

        Raises:
            ValueError: For clips of several channels.
        """
        clips = single_channel(waveform).to(self.fbank.window.dtype) * _LOUDEST
        features = self.fbank(F.pad(clips, (0, max(self.fbank.win_length - clips.shape[1], 0))))
        return self.spec_augment((features - self.mean) / (2 * self.std))

    def num_frames(self, length: Tensor) -> Tensor:
        """Frames of clips of `length` samples."""
        return ((length - self.fbank.win_length) // self.fbank.hop_length + 1).clamp(min=1)
