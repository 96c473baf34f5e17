"""The input of Dasheng: a mel spectrogram in decibels."""

from torch import Tensor

from lightning_modules.frontends.length import single_channel
from lightning_modules.frontends.mel_decibel import MelDecibel


class DashengMel(MelDecibel):
    """64 HTK mel bands in decibels as Dasheng computes them (Dinkel et al. 2024), every 10 ms at 16 kHz.

    Nothing lies below a clip's loudest band and frame minus `top_db`. The published code takes the loudest of the whole
    batch, so that a quiet clip has other features beside a loud one; here it has those of the clip alone.

    Args:
        sample_rate: In Hz.
        n_fft: Length of the Fourier transform and of the Hann window in samples.
        hop_length: Samples from frame to frame.
        num_mel_bins: Number of bands.
        top_db: Dynamic range of a clip in decibels; None keeps all of it.
    """

    def __init__(
        self,
        sample_rate: int = 16000,
        *,
        n_fft: int = 512,
        hop_length: int = 160,
        num_mel_bins: int = 64,
        top_db: float | None = 120.0,
    ) -> None:
        super().__init__(
            sample_rate,
            n_fft=n_fft,
            hop_length=hop_length,
            n_mels=num_mel_bins,
            f_max=8000.0,
            unit_variance=False,
            top_db=top_db,
            mel_scale="htk",
        )

    def forward(self, waveform: Tensor, length: Tensor | None = None) -> Tensor:
        """Analyse clips.

        Args:
            waveform: (batch, 1, time); clips shorter than the longest are continued by their mirror image
                (``padding: mirror``), so that their own frames are those of the clip alone.
            length: int64 (batch,), samples of each clip; None where all are whole.

        Returns:
            float32 (batch, num_mel_bins, 1 + time // hop_length); `num_frames` tells which are a clip's own.

        Raises:
            ValueError: For clips of several channels, and those shorter than half a window.
        """
        return super().forward(single_channel(waveform), length)
