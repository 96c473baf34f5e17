"""What the steps of a chain share: signals, their power and range."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Signal = NDArray[np.float32]
"""(channel, time), nominally in [-1, 1]."""


def power(signal: NDArray[Any]) -> float:
    """Mean square over channels and time."""
    return float(np.mean(np.square(signal, dtype=np.float64)))


def within_range(signal: NDArray[Any]) -> Signal:
    """The signal, made softer as a whole where it would be clipped."""
    peak = np.abs(signal).max(initial=0)
    return signal / peak if peak > 1 else signal
