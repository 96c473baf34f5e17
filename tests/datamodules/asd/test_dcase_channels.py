"""Which channel of DCASE 2026 is heard: in training, tests, predictions and packages alike."""

from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from datamodules import DCASE, ClipList
from datamodules.audio import AudioError
from datamodules.clips import Clip, ClipDataset
from datamodules.hearing import Listening
from datamodules.hearing.pieces import Piece
from datamodules.hearing.sounds import Sounds

NAMES = [
    "train/section_00_source_train_normal_0000_x_1.wav",
    "test/section_00_target_test_anomaly_0000_x_1.wav",
]


@pytest.fixture
def corpus(tmp_path):
    """Clips of a machine whose near channel is 0.2 and whose far channel is -0.2."""
    for name in NAMES:
        path = tmp_path / "dev_data/raw/valveEmu" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.tile([0.2, -0.2], (1600, 1)), 16000, subtype="FLOAT")
    return tmp_path


def data(corpus, **settings) -> DCASE:
    chosen: dict[str, Any] = {"year": 2026, "train_crop_s": None, "eval_crop_s": None, "num_workers": 0}
    return DCASE(root=str(corpus), batch_size=1, drop_last=False, **(chosen | settings))


@pytest.mark.parametrize("in_memory", [False, True])
@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, [0.2]),
        ({"channel": "near"}, [0.2]),
        ({"channel": "far"}, [-0.2]),
        ({"channel": "both"}, [0.2, -0.2]),
        ({"mono": False}, [0.2, -0.2]),
        ({"channel": "mean"}, [0.0]),
        ({"channel": "far", "year": 2025}, [-0.2]),
        ({"channel": 1}, [-0.2]),
    ],
)
def test_the_channel_that_is_heard(settings, expected, in_memory, corpus):
    module = data(corpus, in_memory=in_memory, **settings)
    for loader in (module.train_dataloader(), module.test_dataloader()):
        (batch,) = loader
        torch.testing.assert_close(batch.waveform[0], torch.tensor(expected)[:, None].expand(-1, 1600))


def test_channels_of_another_year_are_not_averaged_unasked(corpus):
    with pytest.raises(
        ValueError,
        match=r"anomaly_0000_x_1\.wav: has 2 channels, and clips of 2025 have one: set data.year to 2026",
    ) as caught:
        data(corpus, year=2025).setup("test")
    assert "\n" not in str(caught.value)


def test_a_prediction_hears_what_the_test_heard(corpus, tmp_path):
    path = next(corpus.glob("dev_data/raw/*/test/*.wav"))
    for channel, expected in (("near", 0.2), ("far", -0.2)):
        listening = Listening.of(data(corpus, channel=channel))
        pieces = [each for each in Sounds([Clip("a", str(path))], listening) if isinstance(each, Piece)]
        assert [piece.item.waveform.unique().tolist() for piece in pieces] == [[pytest.approx(expected)]]
        (waveform, *_) = ClipDataset([Clip("a", str(path))], **listening.cut)[0, 0]
        assert waveform.unique().tolist() == [pytest.approx(expected)]
    mono = tmp_path / "mono.wav"
    soundfile.write(mono, np.full(1600, 0.1), 16000)
    (end,) = Sounds([Clip("a", str(mono))], listening)
    assert end.fault.startswith("has 1 channel, and channel 1, counted from 0, is to be heard")  # pyright: ignore
    with pytest.raises(AudioError, match=r"mono\.wav: has 1 channel, and channel 1"):
        ClipDataset([Clip("a", str(mono))], **listening.cut)[0, 0]


def test_a_channel_is_counted_from_0():
    with pytest.raises(ValueError, match="channel -1: channels are counted from 0, or null hears all"):
        ClipList(root="nowhere", channel=-1)


def test_any_data_set_knows_the_words(corpus):
    """So that a checkpoint's channel goes on with other data."""
    root = corpus / "dev_data/raw"
    places: dict[str, Any] = {"root": str(root), "folders": ["machine", "split"], "label": "normal"}
    module = ClipList(**places, channel="far", validation=0, eval_crop_s=None, num_workers=0)
    module.setup("test")
    (batch,) = module.test_dataloader()
    assert batch.waveform.unique().tolist() == [pytest.approx(-0.2)]
