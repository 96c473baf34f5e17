"""Panotti's mel spectrogram: decibels of the squared power, over a fixed number of frames."""

from torch import Tensor, nn
from torch.nn import functional as F

from lightning_modules.frontends.mel_decibel import MelDecibel

_FLOOR_DB = -100.0  # librosa's smallest amplitude, 1e-5


class PanottiMelgram(nn.Module):
    """``librosa.amplitude_to_db`` of a power mel spectrogram, as ``make_melgram`` of drscotthawley/panotti.

    The power is taken for an amplitude there: the 80 dB below the peak of a clip are 40 dB of its sound. Clips are
    cut, or filled with silence, to `num_frames`.

    Args:
        sample_rate: In Hz.
        num_mels: Number of Slaney mel bands.
        num_frames: Frames of the spectrogram.
        n_fft: Length of the Fourier transform and of the Hann window in samples.
        hop_length: Samples from frame to frame.
        top_db: Range below the peak of a clip.
    """

    def __init__(
        self,
        sample_rate: int = 22050,
        *,
        num_mels: int = 96,
        num_frames: int = 44,
        n_fft: int = 2048,
        hop_length: int = 512,
        top_db: float = 80.0,
    ) -> None:
        super().__init__()
        self.settings = {
            "sample_rate": sample_rate,
            "num_mels": num_mels,
            "num_frames": num_frames,
            "n_fft": n_fft,
            "hop_length": hop_length,
            "top_db": top_db,
        }
        self.num_samples = (num_frames - 1) * hop_length
        self.top_db = top_db
        self.mel = MelDecibel(
            sample_rate, n_fft=n_fft, hop_length=hop_length, n_mels=num_mels, unit_variance=False, top_db=None
        )

    def forward(self, waveform: Tensor, length: Tensor | None = None) -> Tensor:
        """Analyse clips.

        Args:
            waveform: (batch, channel, time); shorter clips of a batch filled with silence (``padding: zero``).
            length: Not needed, silence is part of the spectrogram.

        Returns:
            float32 (batch, channel, num_mels, num_frames), from the peak of each channel down by at most `top_db`.
        """
        missing = self.num_samples - waveform.shape[-1]
        if missing > 0:
            waveform = F.pad(waveform, (0, missing))
        decibel = (2 * self.mel(waveform)[..., : self.settings["num_frames"]]).clamp_min(_FLOOR_DB)
        return decibel.maximum(decibel.amax(dim=(-2, -1), keepdim=True) - self.top_db)
