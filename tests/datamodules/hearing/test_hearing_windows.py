"""Windows of recordings that come in blocks: where they lie, and that they are the recording's own samples."""

import numpy as np
import pytest

from datamodules.hearing.windows import windows


def found(num_samples, block, size, hop):
    recording = np.arange(2 * num_samples, dtype=np.float32).reshape(2, -1)
    blocks = (recording[:, begin : begin + block] for begin in range(0, num_samples, block))
    starts = []
    for start, samples in windows(blocks, size, hop):
        np.testing.assert_array_equal(samples, recording[:, start : start + size])
        starts.append(start)
    return starts


@pytest.mark.parametrize("block", [1, 7, 100, 1000, 5000])
@pytest.mark.parametrize("at_once", [1, 1 << 18])
def test_the_last_window_ends_with_the_recording(block, at_once, monkeypatch):
    monkeypatch.setattr("datamodules.hearing.windows._AT_ONCE", at_once)
    assert found(1000, block, 100, 50) == list(range(0, 901, 50))
    assert found(1020, block, 100, 50) == [*range(0, 901, 50), 920]
    assert found(100, block, 100, 50) == [0]
    assert found(101, block, 100, 50) == [0, 1]
    assert found(99, block, 100, 50) == []
    assert found(20, block, 5, 2.5) == [0, 2, 5, 8, 10, 12, 15]


def test_gaps_between_windows_are_passed_over():
    assert found(1000, 30, 10, 400) == [0, 400, 800, 990]
