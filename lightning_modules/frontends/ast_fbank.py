"""The input of AST: Kaldi's filter bank of fixed length, masked, then normalised by the corpus."""

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_modules.frontends.centre import centre
from lightning_modules.frontends.fbank import Fbank
from lightning_modules.frontends.spec_augment import SpecAugment

Pad = Literal["zero", "repeat"]


class ASTFbank(nn.Module):
    """Log mel features as AST computes them (Gong et al. 2021, section 2.1), of whole batches on the device.

    Windows of 25 ms, only those that lie in the clip; then short clips are padded, bands and spans are masked (in
    training only), and all becomes (x - mean) / (2 std). Padding and masks are 0 *before* that, as in the reference:
    with AudioSet's statistics 0.467 after it, which is louder than the average frame.

    The statistics belong to corpus, sample rate and hop: AudioSet's are the default, CAV-MAE gives -5.081 and 4.4849
    for VGGSound, OGM-GE -4.503877 and 5.141276 for Kinetics-Sounds, all at 16 kHz.

    At 43 kHz, Zhu (2024) covers 10 s by 1024 frames: ``frame_shift=9.768`` makes a hop of 420 samples, of which
    1024 are 430,080 samples; 10 ms would give 998 frames at any sample rate.

    Args:
        sample_rate: In Hz.
        num_mel_bins: Number of bands.
        num_frames: Frames of every clip, cut or padded at its end; None keeps those of the batch.
        multiple: Where `num_frames` is None, the batch is padded to a multiple of so many frames: 16 fills the last
            patch of EAT.
        mean: Of the features of the training clips.
        std: Their standard deviation.
        band_width: Widest band that training masks; 0 masks none.
        span_width: Widest span of frames that training masks; 0 masks none.
        pad: ``zero`` puts zeros behind a clip's own frames, ``repeat`` its frames again and again.
        frame_shift: From frame to frame in milliseconds, rounded down to whole samples.

    Raises:
        ValueError: For an unknown `pad`, or a standard deviation or number of frames that is not positive.
    """

    def __init__(
        self,
        sample_rate: int = 16000,
        *,
        num_mel_bins: int = 128,
        num_frames: int | None = 1024,
        multiple: int = 1,
        mean: float = -4.2677393,
        std: float = 4.5689974,
        band_width: int = 48,
        span_width: int = 192,
        pad: Pad = "zero",
        frame_shift: float = 10.0,
    ) -> None:
        super().__init__()
        if pad not in get_args(Pad):
            raise ValueError(f"pad {pad!r}: expected one of {', '.join(get_args(Pad))}")
        if std <= 0 or (num_frames is not None and num_frames < 1):
            raise ValueError(f"std={std} and num_frames={num_frames} must be positive; null keeps all frames")
        self._num_frames = num_frames
        self.multiple = multiple
        self.mean = mean
        self.std = std
        self.pad = pad
        self.fbank = Fbank(
            sample_rate, num_mel_bins=num_mel_bins, frame_shift=frame_shift, window_type="hanning"
        )
        self.spec_augment = SpecAugment(band_width, span_width=span_width)

    def forward(self, waveform: Tensor, length: Tensor | None = None) -> Tensor:
        """Analyse clips; one shorter than a window counts as a window that ends in silence.

        Args:
            waveform: (batch, 1, time).
            length: int64 (batch,), samples of each clip before it was padded; None where all are whole.

        Returns:
            float32 (batch, num_mel_bins, num_frames).

        Raises:
            ValueError: For clips of several channels.
        """
        if waveform.dim() != 3 or waveform.shape[1] != 1:
            raise ValueError(
                f"waveform of shape {tuple(waveform.shape)}: expected (batch, 1, time); set data.mono: true"
            )
        if length is not None and length.device.type == "cpu" and bool((length >= waveform.shape[2]).all()):
            length = None  # nothing to mask; elsewhere masking is cheaper than waiting for the answer
        win_length, hop_length = self.fbank.win_length, self.fbank.hop_length
        # Kaldi subtracts the mean of every frame, but its quiet bands remember the rounding of AST's subtraction.
        waveform = centre(waveform.to(self.fbank.window.dtype), length)[:, 0]
        if self._num_frames is not None:
            waveform = waveform[:, : (self._num_frames - 1) * hop_length + win_length]
        features = self.fbank(F.pad(waveform, (0, max(win_length - waveform.shape[1], 0))))
        own = None if length is None else self._own_frames(length)
        features = self._fill(features, own)
        return (self.spec_augment(features) - self.mean) / (2 * self.std)

    def num_frames(self, length: Tensor) -> Tensor:
        """Frames that clips of `length` samples (batch,) have, padding that is heard like sound included."""
        if self._num_frames is not None:
            return torch.full_like(length, self._num_frames)
        return -(-self._own_frames(length) // self.multiple) * self.multiple

    def _own_frames(self, length: Tensor) -> Tensor:
        return ((length - self.fbank.win_length) // self.fbank.hop_length + 1).clamp(min=1)

    def _fill(self, features: Tensor, own: Tensor | None) -> Tensor:
        """Bring (batch, mel, frame), of which `own` (batch,) frames are each clip's, to `num_frames`."""
        available = features.shape[2]
        wanted = self._num_frames or -(-available // self.multiple) * self.multiple
        place = torch.arange(wanted, device=features.device)
        if self.pad == "repeat" and (own is not None or wanted > available):
            source = place % (available if own is None else own.clamp(max=available).unsqueeze(1))
            source = source.expand(len(features), wanted).unsqueeze(1)  # (batch, 1, frame)
            return features.gather(2, source.expand(-1, features.shape[1], -1))
        features = F.pad(features, (0, wanted - available))
        return (
            features if own is None else features.masked_fill((place >= own.unsqueeze(1)).unsqueeze(1), 0.0)
        )
