"""Which clips a front end can analyse."""

from torch import Tensor


def check_length(waveform: Tensor, num_samples: int) -> None:
    """Refuse clips of fewer samples than one window.

    Raises:
        ValueError: For such clips.
    """
    if waveform.shape[-1] < num_samples:
        found = waveform.shape[-1]
        raise ValueError(
            f"clip of {found} samples: expected at least one window of {num_samples}; leave it out, or set"
            " data.train_crop_s and data.eval_crop_s, to which shorter clips are filled"
        )


def single_channel(waveform: Tensor) -> Tensor:
    """Waveforms (batch, 1, time) without their channel axis, (batch, time).

    Raises:
        ValueError: For clips of several channels.
    """
    if waveform.dim() != 3 or waveform.shape[1] != 1:
        raise ValueError(f"waveform {tuple(waveform.shape)}: expected (batch, 1, time); set data.mono: true")
    return waveform.squeeze(1)
