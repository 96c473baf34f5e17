"""Tracks in HDF5 files: only the wanted samples are read, and every fault has its one line."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from datamodules import audio
from datamodules.clips import Clip, ClipDataset, collate

SAMPLES = np.random.default_rng(0).uniform(-1, 1, 24000)


@pytest.fixture
def tracks(tmp_path) -> Path:
    path = tmp_path / "audio.hdf5"
    with h5py.File(path, "w") as file:
        file["P01_01"] = SAMPLES.astype(np.float32)
        file["double"] = SAMPLES
        file["slow"] = SAMPLES[:100]
        file["slow"].attrs["sample_rate"] = 8000
        file["empty"] = np.zeros(0, np.float32)
        file["stereo"] = np.zeros((2, 5), np.float32)
        file["integer"] = np.zeros(5, np.int16)
        file["nan"] = np.full(5, np.nan)
        file.create_group("P02/nested")
    return path


def test_header(tracks) -> None:
    assert audio.info(tracks / "P01_01") == (24000, 24000, 1)
    assert audio.info(tracks / "slow") == (8000, 100, 1)
    assert {"P01_01", "slow"} < audio.track_names(tracks)


@pytest.mark.parametrize("name", ["P01_01", "double"])
@pytest.mark.parametrize(("start", "frames"), [(0, None), (100, 50), (23990, 50), (23990, None)])
def test_parts(tracks, name, start, frames) -> None:
    waveform, rate = audio.read(str(tracks / name), start, frames)
    wanted = SAMPLES[start:] if frames is None else SAMPLES[start : start + frames]
    assert rate == 24000
    assert waveform.dtype == torch.float32
    assert torch.equal(waveform, torch.from_numpy(wanted).float()[None])


def test_only_the_wanted_samples_are_read(tracks, monkeypatch) -> None:
    asked = []
    plain = h5py.Dataset.__getitem__
    monkeypatch.setattr(
        h5py.Dataset, "__getitem__", lambda self, item: asked.append(item) or plain(self, item)
    )
    audio.read(tracks / "P01_01", 100, 50)
    assert asked == [slice(100, 150)]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("P09_09", "P09_09: no such track in the HDF5 file; add it"),
        ("P02", "P02: a group, not a track; write"),
        ("stereo", r"stereo: shape \(2, 5\) of type float32, not a track; write"),
        ("integer", r"integer: shape \(5,\) of type int16, not a track; write"),
        ("empty", "empty: holds no samples"),
        ("nan", "nan: holds NaN or infinite samples"),
    ],
)
def test_faults(tracks, name, message) -> None:
    with pytest.raises(audio.AudioError, match=message) as error:
        audio.read(tracks / name)
    assert "\n" not in str(error.value)


def test_start_beyond_the_end(tracks) -> None:
    with pytest.raises(audio.AudioError, match="holds no samples from sample 24000 on"):
        audio.read(tracks / "P01_01", 24000, 5)


def test_a_file_that_is_not_hdf5(tmp_path) -> None:
    (tmp_path / "audio.hdf5").write_bytes(b"RIFF" * 300)
    with pytest.raises(audio.AudioError, match=r"P01_01: not readable as HDF5 \(.*signature not found\)"):
        audio.info(tmp_path / "audio.hdf5/P01_01")
    with pytest.raises(audio.AudioError, match=r"audio\.hdf5: not readable as HDF5"):
        audio.track_names(tmp_path / "audio.hdf5")


def test_a_truncated_file(tracks) -> None:
    tracks.write_bytes(tracks.read_bytes()[:50000])
    with pytest.raises(audio.AudioError, match="not readable as HDF5"):
        audio.read(tracks / "P01_01")


def test_forked_workers_read_what_the_parent_opened(tracks) -> None:
    clips = [
        Clip(f"{start}", str(tracks / "P01_01"), 0, {}, start / 10, start / 10 + 0.1) for start in range(9)
    ]
    dataset = ClipDataset(clips, sample_rate=24000)
    assert dataset.lengths().tolist() == [2400] * 9
    requests = [[(row, 0)] for row in range(9)]
    loader = DataLoader(dataset, batch_sampler=requests, collate_fn=collate, num_workers=2)
    waveform = torch.cat([batch.waveform[0, 0] for batch in loader])
    assert torch.equal(waveform, torch.from_numpy(SAMPLES[: 9 * 2400]).float())
