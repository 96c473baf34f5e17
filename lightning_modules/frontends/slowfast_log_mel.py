"""The input of AudioSlowFast."""

import torch
from torch import Tensor, nn

from lightning_modules.frontends.length import single_channel
from lightning_modules.frontends.log_mel import LogMel
from lightning_modules.frontends.spec_augment import SpecAugment


class SlowFastLogMel(nn.Module):
    """Logarithm of the magnitude in mel bands; what a clip lacks of the crop repeats its last frame.

    Source: the code of Kazakos et al., "Slow-Fast Auditory Streams for Audio Recognition" (ICASSP 2021). The defaults
    are those of VGGSound, with crops of 5.119 s 512 frames; EPIC-KITCHENS has 24 kHz, windows of 10 ms, hops of 5 ms
    and crops of 1.999 s, 400 frames. Training masks two bands and two spans by the mean of the clip, as wide
    as SpecAugment draws them; the published code draws a second time within each, so that its masks are half as wide.
    Its time warping is left out, for a bug makes it take the value of a bin for the number of the frame to move.

    Args:
        sample_rate: In Hz.
        win_length: Length of the Hann window in samples.
        hop_length: Samples from frame to frame.
        band_width: Widest band that training masks; 0 masks none.
        span_width: Widest span of frames that training masks; 0 masks none.
    """

    def __init__(
        self,
        sample_rate: int = 16000,
        *,
        win_length: int = 320,
        hop_length: int = 160,
        band_width: int = 27,
        span_width: int = 25,
    ) -> None:
        super().__init__()
        self.log_mel = LogMel(
            sample_rate,
            n_fft=2048,
            win_length=win_length,
            hop_length=hop_length,
            n_mels=128,
            power=1.0,
            pad_mode="constant",
            offset=1e-6,
        )
        self.spec_augment = SpecAugment(band_width, span_width=span_width, num_bands=2, num_spans=2)

    def forward(self, waveform: Tensor, length: Tensor | None = None) -> Tensor:
        """Analyse clips.

        Args:
            waveform: (batch, 1, time) in [-1, 1].
            length: int64 (batch,), samples of each clip before it was padded; None where all are whole.

        Returns:
            float32 (batch, 128, 1 + time // hop_length).

        Raises:
            ValueError: For clips shorter than one window or of several channels.
        """
        features = self._analyse(single_channel(waveform), length)
        if not self.training:
            return features
        mean = features.mean(dim=(1, 2), keepdim=True)
        return self.spec_augment(features - mean) + mean

    def _analyse(self, waveform: Tensor, length: Tensor | None) -> Tensor:
        """(batch, time) -> (batch, mel, frame)."""
        if length is None:
            return self.log_mel(waveform)
        sample = torch.arange(waveform.shape[1], device=waveform.device)
        features = self.log_mel(waveform * (sample < length[:, None]))
        frame = torch.arange(features.shape[2], device=waveform.device)
        frame = frame.minimum(length[:, None] // self.log_mel.hop_length)  # (batch, frame)
        return features.gather(2, frame[:, None].expand_as(features))
