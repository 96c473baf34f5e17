"""The one channel of clips."""

from torch import Tensor


def single_channel(waveform: Tensor) -> Tensor:
    """Waveforms (batch, 1, time) without their channel axis, (batch, time).

    Raises:
        ValueError: For clips of several channels.
    """
    if waveform.dim() != 3 or waveform.shape[1] != 1:
        raise ValueError(f"waveform {tuple(waveform.shape)}: expected (batch, 1, time); set data.mono: true")
    return waveform.squeeze(1)
