"""SpecGAN (Donahue, McAuley, Puckette, "Adversarial audio synthesis", ICLR 2019): WaveGAN's sister on spectrograms.

Layers, paddings, initial weights and scaling of github.com/chrisdonahue/wavegan. Two things are other than there, both
to keep the beginning of a hit: frames are centred on multiples of the hop, where the official ones begin, which leaves
the first 8 ms to the rising slope of one window; and Griffin-Lim takes the fast steps of Perraudin et al. (2013).
"""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
import torchaudio
from einops import rearrange
from torch import Tensor, nn

from lightning_modules.networks.wavegan import initialise

NUM_BINS, HOP = 128, 128
_KERNEL_SIZE, _NUM_LAYERS = 5, 5
_FIRST_BINS = NUM_BINS // 2**_NUM_LAYERS
_FLOOR = 1e-6  # under the logarithm
_CLIP = 3.0  # standard deviations that become 1
_LEAST_STD = 1e-3  # of a bin that never changes, as above the band of resampled clips


class ScaledSpectrogram(nn.Module):
    """Log magnitudes of 256-point spectra, each bin scaled by the mean and deviation of training clips.

    Args:
        num_samples: Length of a waveform, a multiple of 128.
        num_iterations: Of Griffin-Lim, 16 in the paper.
    """

    mean: Tensor
    std: Tensor
    num_clips: Tensor
    window: Tensor

    def __init__(self, num_samples: int, *, num_iterations: int) -> None:
        super().__init__()
        self.num_samples, self.num_iterations = num_samples, num_iterations
        self.register_buffer("mean", torch.zeros(NUM_BINS, 1))
        self.register_buffer("std", torch.ones(NUM_BINS, 1))
        self.register_buffer("num_clips", torch.tensor(0))  # that the moments are of
        self.register_buffer("window", torch.hann_window(2 * NUM_BINS), persistent=False)

    @property
    def is_fitted(self) -> bool:
        """Whether the moments have been measured or loaded."""
        return bool(self.num_clips > 0)

    def log_magnitude(self, waveform: Tensor) -> Tensor:
        """Logarithms (batch, 1, 128, frame) of (batch, 1, 128 * frame), without the topmost bin and the last frame."""
        with torch.autocast(waveform.device.type, enabled=False):
            spectrum = torch.stft(
                waveform[:, 0].float(), 2 * NUM_BINS, HOP, window=self.window, return_complex=True
            )
            return (spectrum[:, None, :-1, :-1].abs() + _FLOOR).log()

    def fit(self, waveforms: Iterable[Tensor]) -> None:
        """Takes the moments of each bin from batches (batch, 1, time) of the training clips."""
        total = torch.zeros(2, NUM_BINS, 1, dtype=torch.float64, device=self.mean.device)
        num_clips = num_frames = 0
        for waveform in waveforms:
            values = rearrange(self.log_magnitude(waveform), "clip 1 bin frame -> bin (clip frame)").double()
            total += torch.stack([values.sum(dim=1, keepdim=True), values.square().sum(dim=1, keepdim=True)])
            num_clips, num_frames = num_clips + len(waveform), num_frames + values.shape[1]
        mean, square = total / num_frames
        self.mean.copy_(mean)
        self.std.copy_((square - mean.square()).clamp_min(_LEAST_STD**2).sqrt())
        self.num_clips.fill_(num_clips)

    def forward(self, waveform: Tensor) -> Tensor:
        """Analyses (batch, 1, time): (batch, 1, 128, frame) in [-1, 1]."""
        return ((self.log_magnitude(waveform) - self.mean) / (_CLIP * self.std)).clamp(-1, 1)

    def inverse(self, spectrogram: Tensor) -> Tensor:
        """Synthesises (batch, 1, 128, frame) in [-1, 1]: (batch, 1, time), phases after Griffin-Lim from zero."""
        with torch.autocast(spectrogram.device.type, enabled=False):
            magnitude = (spectrogram[:, 0].float() * (_CLIP * self.std) + self.mean).exp()
            waveform = torchaudio.functional.griffinlim(
                F.pad(magnitude, (0, 1, 0, 1)),
                self.window,
                n_fft=2 * NUM_BINS,
                hop_length=HOP,
                win_length=2 * NUM_BINS,
                power=1.0,
                n_iter=self.num_iterations,
                momentum=0.99,
                length=self.num_samples,
                rand_init=False,
            )
        return waveform[:, None]


class SpecGANGenerator(nn.Module):
    """Maps z (batch, `latent_dim`), uniform in [-1, 1], to spectrograms (batch, 1, 128, `num_frames`) in [-1, 1].

    Args:
        num_frames: Frames of a spectrogram, a multiple of 32.
        dim: Channels of the last hidden layer; they double with each layer before it.
        latent_dim: Size of z.
    """

    def __init__(self, *, num_frames: int, dim: int, latent_dim: int) -> None:
        super().__init__()
        channels = [dim * 2**layer for layer in reversed(range(_NUM_LAYERS))]
        self.project = nn.Linear(latent_dim, _FIRST_BINS * (num_frames // 2**_NUM_LAYERS) * channels[0])
        self.layers = nn.ModuleList(
            nn.ConvTranspose2d(num_in, num_out, _KERNEL_SIZE, stride=2, padding=1)
            for num_in, num_out in zip(channels, [*channels[1:], 1], strict=True)
        )
        self.apply(initialise)

    def forward(self, z: Tensor) -> Tensor:
        """Generates spectrograms; what the odd kernel adds at the end is cut off, as TensorFlow's ``same`` does."""
        x = rearrange(
            self.project(z),
            "batch (bin frame channel) -> batch channel bin frame",
            bin=_FIRST_BINS,
            channel=self.layers[0].in_channels,
        )
        for layer in self.layers:
            x = layer(F.relu(x))[..., :-1, :-1]
        return torch.tanh(x)


class SpecGANDiscriminator(nn.Module):
    """Maps spectrograms (batch, 1, 128, `num_frames`) to a score (batch,), unbounded, high where they seem real.

    Args:
        num_frames: Frames of a spectrogram, a multiple of 32.
        dim: Channels of the first layer; they double with each.
    """

    def __init__(self, *, num_frames: int, dim: int) -> None:
        super().__init__()
        channels = [dim * 2**layer for layer in range(_NUM_LAYERS)]
        self.layers = nn.ModuleList(
            nn.Conv2d(num_in, num_out, _KERNEL_SIZE, stride=2)
            for num_in, num_out in zip([1, *channels], channels, strict=False)
        )
        self.score = nn.Linear(_FIRST_BINS * (num_frames // 2**_NUM_LAYERS) * channels[-1], 1)
        self.apply(initialise)

    def forward(self, x: Tensor) -> Tensor:
        """Scores spectrograms; an odd sample of the padding goes to the end, as with TensorFlow's ``same``."""
        for layer in self.layers:
            x = F.leaky_relu(layer(F.pad(x, (1, 2, 1, 2))), 0.2)
        return self.score(rearrange(x, "batch channel bin frame -> batch (bin frame channel)")).squeeze(1)


class SpecGAN(nn.Module):
    """A generator of spectrograms, the discriminator that teaches it, and the way to waveforms.

    With the defaults they have 19,065,345 and 17,427,969 parameters, as many as `WaveGAN`'s.

    Args:
        num_samples: Length of a waveform, a multiple of 4096: 16384, 128 x 128 values, is published.
        dim: Channels of the layers next to the spectrogram; 64 in the paper.
        latent_dim: Size of z.
        griffin_lim: Iterations that find the phases.
    """

    def __init__(
        self, num_samples: int = 16384, *, dim: int = 64, latent_dim: int = 100, griffin_lim: int = 16
    ) -> None:
        super().__init__()
        step = HOP * 2**_NUM_LAYERS
        if num_samples < step or num_samples % step:
            raise ValueError(
                f"num_samples is {num_samples} where a multiple of {step} was expected: 16384 is published"
            )
        self.num_samples, self.latent_dim = num_samples, latent_dim
        self.spectrogram = ScaledSpectrogram(num_samples, num_iterations=griffin_lim)
        self.generator = SpecGANGenerator(num_frames=num_samples // HOP, dim=dim, latent_dim=latent_dim)
        self.discriminator = SpecGANDiscriminator(num_frames=num_samples // HOP, dim=dim)

    def analyse(self, waveform: Tensor) -> Tensor:
        """What the discriminator sees of (batch, 1, `num_samples`): spectrograms (batch, 1, 128, frame)."""
        return self.spectrogram(waveform)

    def forward(self, z: Tensor) -> Tensor:
        """Maps z (batch, `latent_dim`) to waveforms (batch, 1, `num_samples`)."""
        return self.spectrogram.inverse(self.generator(z))
