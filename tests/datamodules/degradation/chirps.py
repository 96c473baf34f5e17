"""A sound whose place can be told, whatever was done to it."""

import numpy as np
from scipy.signal import correlate, correlation_lags

from datamodules.degradation.signals import Signal


def chirp(rate: int, seconds: float = 1.5) -> Signal:
    """Float32 (1, time), from 2.9 kHz down to 0.4 kHz: another one than delays are measured with."""
    time = np.arange(round(seconds * rate)) / rate
    return (0.4 * np.cos(2 * np.pi * (2900 * time - 1250 / seconds * time**2)))[None].astype(np.float32)


def delay(heard: Signal, sound: Signal) -> int:
    """Samples by which the first channel of `heard` comes later."""
    lags = correlation_lags(heard.shape[1], sound.shape[1])
    return int(lags[correlate(heard[0], sound[0], method="fft").argmax()])
