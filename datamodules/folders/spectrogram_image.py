"""Spectrograms of 8 bits in images, and where a folder of them keeps what."""

import torch
from einops import rearrange
from torch import Tensor
from torchvision.io import ImageReadMode, decode_png, encode_png, read_file

INDEX = "pack.json"
"""File of settings, twins, and lowest and highest value of every spectrogram."""

SUFFIX = ".png"
"""Of an image, behind the sound's own name."""

_LEVELS = 255


def encode(features: Tensor) -> tuple[bytes, float, float]:
    """Write a spectrogram as a grey PNG image, channels one below the other.

    Args:
        features: float32 (channel, mel, frame).

    Returns:
        The image, and the values that its 0 and 255 stand for; the error is at most half a step between.
    """
    low, high = (value.item() for value in features.aminmax())
    step = (high - low) / _LEVELS or 1.0
    levels = ((features - low) / step).round().to(torch.uint8)
    image = rearrange(levels, "channel mel frame -> 1 (channel mel) frame")
    return encode_png(image, compression_level=9).numpy().tobytes(), low, high


def decode(path: str, low: float, high: float, *, num_channels: int) -> Tensor:
    """Read what `encode` wrote: float32 (channel, mel, frame).

    Raises:
        ValueError: If it is no such image.
    """
    try:
        image = decode_png(read_file(path), ImageReadMode.GRAY)
    except RuntimeError as error:
        raise ValueError(f"{path}: no PNG image ({error}): pack the library again") from None
    if image.shape[1] % num_channels:
        raise ValueError(
            f"{path}: {image.shape[1]} rows are not those of {num_channels} channels: pack the library again"
        )
    levels = rearrange(image, "1 (channel mel) frame -> channel mel frame", channel=num_channels)
    return low + levels * ((high - low) / _LEVELS)
