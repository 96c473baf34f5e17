"""Clips kept in memory are the clips decoded anew, bit for bit, in this process and in workers."""

import numpy as np
import pytest
import soundfile
import torch

from datamodules import DCASE
from datamodules.audio import AudioError
from datamodules.clips import Clip, ClipDataset
from datamodules.clips.recordings import Recordings


@pytest.fixture
def clips(tmp_path) -> list[Clip]:
    random = np.random.default_rng(0)
    for name, rate, channels, size in (("a", 16000, 1, 9000), ("b", 44100, 2, 20000), ("c", 8000, 3, 700)):
        soundfile.write(tmp_path / f"{name}.wav", random.uniform(-0.5, 0.5, (size, channels)), rate)
    path = {name: str(tmp_path / f"{name}.wav") for name in "abc"}
    return [
        *(Clip(name, path[name]) for name in "abc"),
        Clip("part of a", path["a"], start_s=0.1, stop_s=0.3),
        Clip("end of b", path["b"], start_s=0.2),
    ]


@pytest.mark.parametrize("mono", [True, False])
@pytest.mark.parametrize("crop_s", [None, 0.05, 1.0])
def test_items_are_the_same_bit_for_bit(mono, crop_s, clips) -> None:
    settings = {"crop_s": crop_s, "mono": mono, "padding": "mirror"}
    decoded = ClipDataset(clips, **settings)
    kept = ClipDataset(clips, recordings=Recordings(clips, mono=mono), **settings)
    np.testing.assert_array_equal(kept.lengths(), decoded.lengths())
    for index in range(len(clips)):
        for draw in (0, 2**63 + 12345, 2**64 - 1):
            ours, theirs = kept[index, draw], decoded[index, draw]
            assert torch.equal(ours.waveform, theirs.waveform)
            assert ours[1:] == theirs[1:]


def test_files_are_read_once(clips, tmp_path) -> None:
    recordings = Recordings(clips, mono=True)
    for path in tmp_path.iterdir():
        path.unlink()
    assert ClipDataset(clips, crop_s=0.05, recordings=recordings)[1, 7].waveform.shape == (1, 800)
    with pytest.raises(AudioError, match="no such file"):
        Recordings(clips, mono=True)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_batches_are_the_same_with_and_without_memory(num_workers, demo_machines) -> None:
    settings = {"root": str(demo_machines), "batch_size": 6, "train_crop_s": 0.3, "eval_crop_s": None}
    kept = DCASE(in_memory=True, num_workers=num_workers, **settings)
    decoded = DCASE(num_workers=0, **settings)
    for ours, theirs in (
        (kept.train_dataloader(), decoded.train_dataloader()),
        (kept.reference_dataloader(), decoded.reference_dataloader()),
        (kept.test_dataloader(), decoded.test_dataloader()),
    ):
        for batch, twin in zip(ours, theirs, strict=True):
            assert batch.key == twin.key
            assert torch.equal(batch.waveform, twin.waveform)
