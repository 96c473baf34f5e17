"""Spectrogram of the published baseline of VGGSound, as `scipy.signal.spectrogram` computes it."""

import torch
from scipy.signal import get_window
from torch import Tensor, nn

from lightning_modules.frontends.length import check_length, single_channel

_OFFSET = 1e-7  # of the power density
_MIN_STD = 1e-9


class VGGSoundSpectrogram(nn.Module):
    """Logarithm of the power density, over a whole clip of zero mean and unit variance.

    Source: the code of Chen et al., "VGGSound: A large-scale audio-visual dataset" (ICASSP 2020). Frames lie in the
    clip, lose their mean and are tapered at both ends by an eighth. A clip shorter than its crop is repeated, however
    the data module padded it.

    Args:
        sample_rate: In Hz.
        n_fft: Samples of a frame.
        hop_length: Samples from frame to frame.
    """

    window: Tensor
    density: Tensor

    def __init__(self, sample_rate: int = 16000, *, n_fft: int = 512, hop_length: int = 159) -> None:
        super().__init__()
        self.n_fft = n_fft
        self.hop_length = hop_length
        window = torch.from_numpy(get_window(("tukey", 0.25), n_fft))
        density = torch.full((n_fft // 2 + 1, 1), 2 / sample_rate).double() / window.square().sum()
        density[:: n_fft // 2] /= 2  # all other bins stand for a negative frequency, too
        self.register_buffer("window", window.float(), persistent=False)
        self.register_buffer("density", density.float(), persistent=False)

    def forward(self, waveform: Tensor, length: Tensor | None = None) -> Tensor:
        """Analyse clips.

        Args:
            waveform: (batch, 1, time), cut to [-1, 1].
            length: int64 (batch,), samples of each clip before it was padded; None where all are whole.

        Returns:
            float32 (batch, n_fft // 2 + 1, (time - n_fft) // hop_length + 1).

        Raises:
            ValueError: For clips shorter than one frame or of several channels.
        """
        check_length(waveform, self.n_fft)
        with torch.autocast(waveform.device.type, enabled=False):
            waveform = single_channel(waveform).to(self.window.dtype).clamp(-1, 1)
            if length is not None:
                place = torch.arange(waveform.shape[1], device=waveform.device)
                waveform = waveform.gather(1, place % length[:, None])
            frames = waveform.unfold(1, self.n_fft, self.hop_length)  # (batch, frame, sample)
            frames = frames - frames.mean(dim=2, keepdim=True)
            frames *= self.window
            spectrum = torch.fft.rfft(frames).mT
            power = spectrum.real.square() + spectrum.imag.square()
            # log(density + offset) less log(offset), which the mean takes away: exact for quiet clips, too.
            features = (power * (self.density / _OFFSET)).log1p_()
            features -= features.mean(dim=(1, 2), keepdim=True)
            return features / (features.square().mean(dim=(1, 2), keepdim=True).sqrt() + _MIN_STD)
