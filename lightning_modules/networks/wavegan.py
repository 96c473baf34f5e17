"""WaveGAN (Donahue, McAuley, Puckette, "Adversarial audio synthesis", ICLR 2019).

Layers, paddings and initial weights of github.com/chrisdonahue/wavegan, whose convolutions pad as TensorFlow's
``same``: an odd sample goes to the right. A layer of the discriminator makes one sample of four and doubles the
channels, a layer of the generator does the reverse.
"""

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

KERNEL_SIZE = 25
_FIRST = 16  # samples after the generator's projection and before the discriminator's
_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.ConvTranspose1d, nn.ConvTranspose2d)
_SHUFFLED = 4  # layers of the discriminator whose phase is shuffled, never the last


def strides_of(num_samples: int) -> list[int]:
    """Strides of the discriminator's layers for an output of `num_samples`: fours, and at last two where it must be.

    Raises:
        ValueError: If it is no power of two from 1024 on.
    """
    octaves, rest = (num_samples // _FIRST).bit_length() - 1, num_samples & (num_samples - 1)
    if rest or octaves < 6:
        raise ValueError(
            f"num_samples is {num_samples} where a power of two of 1024 or more was expected: 16384, 32768 and"
            " 65536 are published"
        )
    return [4] * (octaves // 2) + [2] * (octaves % 2)


class Upsample(nn.Module):
    """(batch, channel, time) -> (batch, `num_out`, `stride` * time).

    Args:
        num_in: Channels of the input.
        num_out: Channels of the output.
        stride: Samples made of one.
        nearest: Repeat samples and convolve, which does not ring at the rates between; else a transposed
            convolution.
    """

    def __init__(self, num_in: int, num_out: int, *, stride: int, nearest: bool) -> None:
        super().__init__()
        self.stride, self.nearest = stride, nearest
        self.convolution = (
            nn.Conv1d(num_in, num_out, KERNEL_SIZE, padding="same")
            if nearest
            else nn.ConvTranspose1d(num_in, num_out, KERNEL_SIZE, stride, padding=(KERNEL_SIZE - stride) // 2)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Upsamples; the sample that the odd kernel adds on the right is cut off."""
        if self.nearest:
            return self.convolution(x.repeat_interleave(self.stride, dim=2))
        return self.convolution(x)[..., : self.stride * x.shape[2]]


class WaveGANGenerator(nn.Module):
    """Maps z (batch, `latent_dim`), uniform in [-1, 1], to waveforms (batch, 1, `num_samples`) in [-1, 1].

    Args:
        num_samples: Length of a waveform.
        dim: Channels of the last hidden layer; they double with each layer before it.
        latent_dim: Size of z.
        upsample: ``zeros`` (transposed convolution) or ``nearest``, see `Upsample`.
        batch_norm: Normalise every layer but the last.
        post_filter: Taps of a learned filter over the waveform, 512 in the paper; 0 is none.
    """

    def __init__(
        self,
        *,
        num_samples: int,
        dim: int,
        latent_dim: int,
        upsample: str,
        batch_norm: bool,
        post_filter: int,
    ) -> None:
        super().__init__()
        strides = strides_of(num_samples)
        channels = [dim * 2**layer for layer in reversed(range(len(strides)))]
        self.project = nn.Linear(latent_dim, _FIRST * channels[0])
        self.layers = nn.ModuleList(
            Upsample(num_in, num_out, stride=stride, nearest=upsample == "nearest")
            for num_in, num_out, stride in zip(channels, [*channels[1:], 1], strides, strict=True)
        )
        self.norms = nn.ModuleList(_norm(num, batch_norm) for num in channels)
        self.post_filter = nn.Conv1d(1, 1, post_filter, bias=False, padding="same") if post_filter else None
        self.apply(initialise)

    def forward(self, z: Tensor) -> Tensor:
        """Generates waveforms."""
        x = rearrange(self.project(z), "batch (time channel) -> batch channel time", time=_FIRST)
        for norm, layer in zip(self.norms, self.layers, strict=True):
            x = layer(F.relu(norm(x)))
        waveform = torch.tanh(x)
        return waveform if self.post_filter is None else self.post_filter(waveform)


class WaveGANDiscriminator(nn.Module):
    """Maps waveforms (batch, 1, `num_samples`) to a score (batch,), unbounded, high where they seem real.

    Args:
        num_samples: Length of a waveform.
        dim: Channels of the first layer; they double with each.
        batch_norm: Normalise every layer but the first.
        phase_shuffle: Samples by which the phase of a layer's output moves at most.
    """

    def __init__(self, *, num_samples: int, dim: int, batch_norm: bool, phase_shuffle: int) -> None:
        super().__init__()
        self.strides, self.phase_shuffle = strides_of(num_samples), phase_shuffle
        channels = [dim * 2**layer for layer in range(len(self.strides))]
        self.layers = nn.ModuleList(
            nn.Conv1d(num_in, num_out, KERNEL_SIZE, stride)
            for num_in, num_out, stride in zip([1, *channels], channels, self.strides, strict=False)
        )
        self.norms = nn.ModuleList(_norm(num, batch_norm and layer > 0) for layer, num in enumerate(channels))
        self.score = nn.Linear(_FIRST * channels[-1], 1)
        self.apply(initialise)

    def forward(self, x: Tensor) -> Tensor:
        """Scores waveforms."""
        parts = zip(self.layers, self.norms, self.strides, strict=True)
        for number, (layer, norm, stride) in enumerate(parts, start=1):
            padding = KERNEL_SIZE - stride
            x = F.leaky_relu(norm(layer(F.pad(x, (padding // 2, padding - padding // 2)))), 0.2)
            if number <= _SHUFFLED and number < len(self.layers):
                x = shuffle_phase(x, self.phase_shuffle)
        return self.score(rearrange(x, "batch channel time -> batch (time channel)")).squeeze(1)


class WaveGAN(nn.Module):
    """A generator of waveforms and the discriminator that teaches it.

    With the defaults they have 19,065,345 and 17,427,969 parameters.

    Args:
        num_samples: Length of a waveform: 16384, 32768 and 65536 are published; any power of two from 1024 on.
        dim: Channels of the layers next to the waveform; 64 in the paper.
        latent_dim: Size of z.
        upsample: ``zeros`` is the paper's transposed convolution, ``nearest`` its alternative of section 5.1.
        batch_norm: Normalise layers; not with a gradient penalty, which is per waveform.
        phase_shuffle: n of the paper's section 3.3, in samples; one draw a batch, as in the official code.
        post_filter: Taps of the learned filter after the generator; 0 is none.
    """

    def __init__(
        self,
        num_samples: int = 16384,
        *,
        dim: int = 64,
        latent_dim: int = 100,
        upsample: str = "zeros",
        batch_norm: bool = False,
        phase_shuffle: int = 2,
        post_filter: int = 0,
    ) -> None:
        super().__init__()
        if upsample not in ("zeros", "nearest"):
            raise ValueError(f"upsample is {upsample!r} where 'zeros' or 'nearest' was expected")
        self.num_samples, self.latent_dim = num_samples, latent_dim
        self.generator = WaveGANGenerator(
            num_samples=num_samples,
            dim=dim,
            latent_dim=latent_dim,
            upsample=upsample,
            batch_norm=batch_norm,
            post_filter=post_filter,
        )
        self.discriminator = WaveGANDiscriminator(
            num_samples=num_samples, dim=dim, batch_norm=batch_norm, phase_shuffle=phase_shuffle
        )

    def analyse(self, waveform: Tensor) -> Tensor:
        """What the discriminator sees of (batch, 1, `num_samples`): the waveforms themselves."""
        return waveform

    def forward(self, z: Tensor) -> Tensor:
        """Maps z (batch, `latent_dim`) to waveforms (batch, 1, `num_samples`)."""
        return self.generator(z)


def shuffle_phase(x: Tensor, most: int) -> Tensor:
    """Moves (batch, channel, time) by up to `most` samples either way, reflected at the edge it moves away from."""
    if not most:
        return x
    shift = int(torch.randint(-most, most + 1, ()))
    left, right = max(shift, 0), max(-shift, 0)
    return F.pad(x, (left, right), mode="reflect")[..., right : right + x.shape[2]]


def _norm(num_channels: int, batch_norm: bool) -> nn.Module:
    return nn.BatchNorm1d(num_channels) if batch_norm else nn.Identity()


def initialise(module: nn.Module) -> None:
    """Weights after Glorot, biases 0, as TensorFlow's layers begin; torch's own beginnings are smaller."""
    if isinstance(module, _LAYERS):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
