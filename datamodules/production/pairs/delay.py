"""How far one recording lags another that it was made from."""

import numpy as np
from scipy.fft import next_fast_len
from torch import Tensor

_LONGEST = 8192  # samples, either way
_FIRST = 0.5  # of the strongest tap: the first arrival
_CLEAR = 12.0  # an arrival stands out by this from the spread of all taps


def measure_delay(source: Tensor, target: Tensor) -> int | None:
    """Samples by which (time,) `target` lags `source`; negative where it leads, None where no arrival stands out.

    The first strong tap of the linear system that best explains the target: a room or a cabinet behind the effect
    may answer stronger later. Exact to a sample for a pure delay, also behind a memoryless distortion.
    """
    size = next_fast_len(source.numel() + _LONGEST)
    before, after = (np.fft.rfft(signal.double().numpy(), size) for signal in (source, target))
    power = np.abs(before) ** 2
    response = np.fft.irfft(after * np.conj(before) / (power + 0.01 * power.mean() + 1e-12), size)
    taps = np.abs(np.concatenate([response[-_LONGEST:], response[:_LONGEST]]))
    if taps.max() < _CLEAR * np.sqrt(np.mean(taps**2)):
        return None
    arrival = int(np.argmax(taps >= _FIRST * taps.max()))
    falls = np.flatnonzero(np.diff(taps[arrival:]) <= 0)  # a narrow band widens the tap: climb to its top
    return arrival + int(falls[0]) - _LONGEST
