"""Shortest clip that a front end can analyse."""

from torch import Tensor


def check_length(waveform: Tensor, num_samples: int) -> None:
    """Refuse clips of fewer samples than one window.

    Raises:
        ValueError: For such clips.
    """
    if waveform.shape[-1] < num_samples:
        found = waveform.shape[-1]
        raise ValueError(
            f"clip of {found} samples: expected at least one window of {num_samples}; pad or drop it"
        )
