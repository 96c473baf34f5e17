"""Kaldi's log mel filter bank, for whole batches."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchaudio.compliance import kaldi

from lightning_modules.frontends.length import check_length

_WINDOWS = {
    "hanning": lambda size: torch.hann_window(size, periodic=False),
    "hamming": lambda size: torch.hamming_window(size, periodic=False),
    "povey": lambda size: torch.hann_window(size, periodic=False).pow(0.85),
    "rectangular": torch.ones,
}


class Fbank(nn.Module):
    """Kaldi filter bank energies, equal to `torchaudio.compliance.kaldi.fbank` of every clip.

    Every frame loses its mean, is pre-emphasised by 0.97, windowed and padded to a power of two samples; the
    result is the natural logarithm of the power in HTK mel bands. Kaldi itself hears 16-bit integers:
    multiply the waveform by 32768 where its values matter.

    Args:
        sample_rate: In Hz.
        num_mel_bins: Number of bands.
        frame_length: Window in milliseconds.
        frame_shift: From frame to frame in milliseconds.
        window_type: "povey", "hanning", "hamming" or "rectangular".
        low_freq: Lower edge of the lowest band in Hz.
        high_freq: Upper edge of the highest band in Hz; 0 or less counts from half the sample rate.
        snip_edges: True keeps only frames that lie in the clip; False mirrors the clip at its ends.
        dither: Standard deviation of Gaussian noise on the waveform, in training only.

    Raises:
        ValueError: For an unknown window.
    """

    window: Tensor
    filters: Tensor

    def __init__(
        self,
        sample_rate: int = 16000,
        *,
        num_mel_bins: int = 80,
        frame_length: float = 25.0,
        frame_shift: float = 10.0,
        window_type: str = "povey",
        low_freq: float = 20.0,
        high_freq: float = 0.0,
        snip_edges: bool = True,
        dither: float = 0.0,
    ) -> None:
        super().__init__()
        if window_type not in _WINDOWS:
            raise ValueError(f"window_type {window_type!r}: expected one of {', '.join(_WINDOWS)}")
        self.win_length = int(sample_rate * frame_length * 0.001)
        self.hop_length = int(sample_rate * frame_shift * 0.001)
        self.n_fft = 1 << (self.win_length - 1).bit_length()
        self.snip_edges = snip_edges
        self.dither = dither
        filters, _ = kaldi.get_mel_banks(
            num_mel_bins, self.n_fft, sample_rate, low_freq, high_freq, vtln_low=100.0, vtln_high=-500.0,
            vtln_warp_factor=1.0,
        )  # fmt: skip
        self.register_buffer("window", _WINDOWS[window_type](self.win_length), persistent=False)
        self.register_buffer("filters", F.pad(filters, (0, 1)), persistent=False)  # (mel, bin)

    def forward(self, waveform: Tensor) -> Tensor:
        """Analyse clips.

        Args:
            waveform: (..., time).

        Returns:
            float32 (..., num_mel_bins, frame), at least log(1.2e-7).

        Raises:
            ValueError: For clips shorter than one window.
        """
        check_length(waveform, self.win_length)
        with torch.autocast(waveform.device.type, enabled=False):
            waveform = waveform.to(self.window.dtype)
            if self.training and self.dither > 0:
                waveform = waveform + self.dither * torch.randn_like(waveform)
            if not self.snip_edges:
                waveform = self._mirror_edges(waveform)
            spectrum = torch.view_as_real(torch.fft.rfft(self._frames(waveform), self.n_fft)).square_()
            power = spectrum[..., 0] + spectrum[..., 1]  # (..., frame, bin)
            return (power @ self.filters.T).clamp_(min=torch.finfo(torch.float32).eps).log_().mT

    def _frames(self, waveform: Tensor) -> Tensor:
        """Centred, pre-emphasised and windowed frames: (..., time) -> (..., frame, sample)."""
        frames = waveform.unfold(-1, self.win_length, self.hop_length)
        frames = frames - frames.mean(dim=-1, keepdim=True)
        # In place, but in Kaldi's order of operations: quiet bands amplify any other rounding.
        previous = 0.97 * torch.cat([frames[..., :1], frames[..., :-1]], dim=-1)
        frames -= previous
        frames *= self.window
        return frames

    def _mirror_edges(self, waveform: Tensor) -> Tensor:
        """Extend clips so that one frame is centred in every hop; Kaldi repeats the edge sample itself."""
        num_samples = waveform.shape[-1]
        num_frames = (num_samples + self.hop_length // 2) // self.hop_length
        before = self.win_length // 2 - self.hop_length // 2
        after = max((num_frames - 1) * self.hop_length + self.win_length - before - num_samples, 0)
        mirrored = waveform.flip(-1)
        left = mirrored[..., num_samples - before :] if before > 0 else waveform[..., :0]
        return torch.cat([left, waveform[..., max(-before, 0) :], mirrored[..., :after]], dim=-1)
