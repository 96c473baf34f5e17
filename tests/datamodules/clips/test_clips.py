"""Crops, padding, batches: against the rules of the official AASIST loader, and by their own properties."""

import os
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st

from datamodules import audio
from datamodules.audio import AudioError
from datamodules.clips import Clip, ClipDataset, collate, pad
from datamodules.clips.recordings import Recordings, Span

RATE = 16000


@pytest.fixture
def ramp(tmp_path: Path) -> str:
    """A file of which each sample tells its own place."""
    path = tmp_path / "ramp.wav"
    soundfile.write(path, np.arange(8000) / 8192, RATE, subtype="FLOAT")
    return str(path)


def _places(waveform: torch.Tensor) -> list[int]:
    return (waveform[0] * 8192).round().int().tolist()


@given(n=st.integers(1, 50), length=st.integers(1, 120))
def test_repetition_is_the_official_tiling(n: int, length: int) -> None:
    x = np.arange(1, n + 1, dtype=np.float32)
    # clovaai/aasist data_utils.pad: the first `length` samples of the clip repeated
    expected = np.tile(x, length // n + 1)[:length]
    padded = pad(torch.from_numpy(x)[None, :length], length, "repeat")
    np.testing.assert_array_equal(padded[0].numpy(), expected)


@given(n=st.integers(1, 50), length=st.integers(1, 200))
def test_mirroring_is_reflection_at_any_length(n: int, length: int) -> None:
    x = np.arange(n, dtype=np.float32)
    expected = np.pad(x, (0, max(length - n, 0)), mode="reflect")
    np.testing.assert_array_equal(pad(torch.from_numpy(x)[None], length, "mirror")[0].numpy(), expected)


@pytest.mark.parametrize("length", [3000 + 256, 4000, 9999])
def test_a_mirrored_clip_has_the_frames_of_the_clip_alone(length: int) -> None:
    x = torch.from_numpy(np.random.default_rng(0).standard_normal((1, 3000)))
    window = torch.hann_window(512, dtype=torch.float64)
    alone = torch.stft(x, 512, 128, window=window, return_complex=True)
    padded = torch.stft(pad(x, length, "mirror"), 512, 128, window=window, return_complex=True)
    torch.testing.assert_close(padded[..., : alone.shape[-1]], alone, rtol=1e-12, atol=1e-12)


def test_official_loader_agrees() -> None:
    folder = os.environ.get("AASIST_REFERENCE")
    if not folder:
        pytest.skip("set AASIST_REFERENCE to a clone of clovaai/aasist")
    sys.path.insert(0, folder)
    import data_utils  # pyright: ignore[reportMissingImports]

    for n in (1, 7, 64599, 64600, 64601, 200000):
        x = np.random.default_rng(n).standard_normal(n).astype(np.float32)
        ours = pad(torch.from_numpy(x)[None, :64600], 64600, "repeat")[0].numpy()
        np.testing.assert_array_equal(ours, data_utils.pad(x))


def test_evaluation_takes_the_beginning(ramp) -> None:
    item = ClipDataset([Clip("a", ramp)], crop_s=0.1)[0, 0]
    assert _places(item.waveform) == list(range(1600))
    assert item.length == 1600


@given(draw=st.integers(0, 2**64 - 1))
def test_draw_alone_places_a_crop_within_the_clip(draw: int, tmp_path_factory) -> None:
    path = tmp_path_factory.getbasetemp() / "shared_ramp.wav"
    if not path.exists():
        soundfile.write(path, np.arange(8000) / 8192, RATE, subtype="FLOAT")
    dataset = ClipDataset([Clip("a", str(path))], crop_s=0.25)
    places = _places(dataset[0, draw].waveform)
    assert places == list(range(places[0], places[0] + 4000))
    assert places[0] == draw * 4001 // 2**64  # evenly over the 4001 places
    assert _places(dataset[0, draw].waveform) == places


def test_first_and_last_place_are_reached(ramp) -> None:
    dataset = ClipDataset([Clip("a", ramp)], crop_s=0.25)
    assert _places(dataset[0, 0].waveform)[0] == 0
    assert _places(dataset[0, 2**64 - 1].waveform)[-1] == 7999


def test_short_clip_repeats_and_tells_its_true_length(ramp) -> None:
    item = ClipDataset([Clip("a", ramp)], crop_s=1.25)[0, 123]
    assert _places(item.waveform) == list(range(8000)) * 2 + list(range(4000))
    assert item.length == 8000
    item = ClipDataset([Clip("a", ramp)], crop_s=1.25, padding="zero")[0, 123]
    assert item.waveform[0, 8000:].abs().max() == 0
    assert item.waveform.shape == (1, 20000)


def test_clip_is_a_part_of_its_file(ramp) -> None:
    clips = [
        Clip("a", ramp, start_s=0.1, stop_s=0.2),
        Clip("b", ramp, start_s=0.4),
        Clip("c", ramp, start_s=9.0),
    ]
    dataset = ClipDataset(clips)
    assert _places(dataset[0, 2**63].waveform) == list(range(1600, 3200))
    assert _places(dataset[1, 0].waveform) == list(range(6400, 8000))
    with pytest.raises(
        AudioError, match=r"ramp\.wav: clip c from 9\.0 s to the end is empty: the file lasts 0\.500 s"
    ):
        dataset[2, 0]


def test_one_sample_clip(tmp_path) -> None:
    path = tmp_path / "one.wav"
    soundfile.write(path, np.array([0.5]), RATE)
    item = ClipDataset([Clip("a", str(path))], crop_s=0.01)[0, 7]
    assert item.waveform.tolist() == [[0.5] * 160]
    assert item.length == 1


def test_other_rates_are_resampled_and_channels_averaged(tmp_path) -> None:
    path = tmp_path / "stereo.wav"
    time = np.arange(22050) / 44100
    tone = 0.5 * np.sin(2 * np.pi * 440 * time)
    soundfile.write(path, np.stack([tone, 0 * tone], axis=1), 44100, subtype="FLOAT")
    item = ClipDataset([Clip("a", str(path))], crop_s=0.25)[0, 0]
    expected = 0.25 * torch.sin(2 * torch.pi * 440 * torch.arange(4000) / RATE)
    torch.testing.assert_close(item.waveform[0, 50:-50], expected[50:-50], atol=1e-3, rtol=0)
    assert ClipDataset([Clip("a", str(path))], crop_s=0.25, mono=False)[0, 0].waveform.shape == (2, 4000)
    assert ClipDataset([Clip("a", str(path))]).lengths().tolist() == [8000]


class Film:
    """A file that decodes to 900 of the 1000 samples that its header says."""

    def span(self, index: int) -> Span:
        return Span(RATE, 0, 1000)

    def read(self, index: int, part: Span) -> torch.Tensor:
        return torch.arange(900.0)[None, part.begin : part.end]


def test_a_whole_clip_is_as_long_as_its_header_says(tmp_path) -> None:
    dataset = ClipDataset([Clip("a", "film.mp4")], recordings=Film(), padding="zero")
    item = dataset[0, 0]
    assert dataset.lengths().tolist() == [item.waveform.shape[1]] == [1000]
    assert item.length == 900
    assert item.waveform[0, 898:902].tolist() == [898, 899, 0, 0]


@pytest.mark.parametrize("resampler", ["soxr_hq", "torchaudio"])
def test_clips_are_resampled_by_what_is_named(resampler, tmp_path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, 44100), 44100)
    item = ClipDataset([Clip("a", str(path))], crop_s=0.25, resampler=resampler)[0, 0]
    expected = audio.resample(audio.read(path, 0, 11025)[0], 44100, 16000, resampler)
    torch.testing.assert_close(item.waveform, expected, atol=0, rtol=0)


@pytest.mark.parametrize("in_memory", [False, True])
def test_what_there_is_of_a_file_that_was_cut_off_is_taken_where_that_is_allowed(in_memory, tmp_path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.full(8000, 0.5), 16000)
    path.write_bytes(path.read_bytes()[: 44 + 2 * 5000])
    clips = [Clip("a", str(path))]
    with pytest.raises(AudioError, match="truncated: has 5000 samples and lacks 3000"):
        ClipDataset(clips)[0, 0]
    recordings = Recordings(clips, mono=True, allow_truncated=True) if in_memory else None
    dataset = ClipDataset(clips, allow_truncated=True, recordings=recordings)
    assert dataset.lengths().tolist() == [5000]
    assert dataset[0, 0].waveform.shape == (1, 5000)


def test_a_whole_clip_is_as_long_after_resampling_as_its_header_says(tmp_path) -> None:
    size = next(
        size for size in range(441_000, 442_000) if size * 160 % 441 == 1
    )  # torchaudio gives one less
    soundfile.write(tmp_path / "a.wav", np.zeros(size), 44100)
    dataset = ClipDataset([Clip("a", str(tmp_path / "a.wav"))])
    assert dataset.lengths().tolist() == [dataset[0, 0].waveform.shape[1]] == [size * 160 // 441 + 1]


def test_collate_pads_to_the_longest_and_keeps_rows_apart(tmp_path) -> None:
    clips = []
    for i, size in enumerate((100, 250, 40)):
        path = tmp_path / f"{i}.wav"
        soundfile.write(path, np.full(size, 0.1 * (i + 1)), RATE, subtype="FLOAT")
        clips.append(Clip(f"k{i}", str(path), i % 2, {"attack": f"A{i}"}))
    dataset = ClipDataset(clips)
    batch = collate([dataset[2, 0], dataset[0, 0], dataset[1, 0]])
    assert batch.waveform.shape == (3, 1, 250)
    torch.testing.assert_close(batch.waveform[:, 0].mean(dim=1), torch.tensor([0.3, 0.1, 0.2]))
    assert batch.length.tolist() == [40, 100, 250]
    assert (batch.index.tolist(), batch.target.tolist()) == ([2, 0, 1], [0, 0, 1])
    assert batch.key == ["k2", "k0", "k1"]
    assert batch.attributes == {"attack": ["A2", "A0", "A1"]}
    zeros = collate([dataset[2, 0], dataset[1, 0]], padding="zero")
    assert zeros.waveform[0, 0, 40:].abs().max() == 0


def test_mixed_channels_are_refused_by_name(tmp_path) -> None:
    for channels in (1, 2):
        soundfile.write(tmp_path / f"{channels}.wav", np.zeros((10, channels)), RATE)
    dataset = ClipDataset([Clip(str(n), str(tmp_path / f"{n}.wav")) for n in (1, 2)], mono=False)
    with pytest.raises(ValueError, match=r"2\.wav: 2 channels beside 1 of .*1\.wav; average"):
        collate([dataset[0, 0], dataset[1, 0]])


@given(st.lists(st.tuples(st.text(max_size=9), st.text(max_size=9)), min_size=1, max_size=9))
def test_rows_survive_storage_and_pickling(rows) -> None:
    clips = [
        Clip(a, b, i, {"x": a + b}, 0.5 * i, None if i % 2 else 9.0 + i) for i, (a, b) in enumerate(rows)
    ]
    dataset = pickle.loads(pickle.dumps(ClipDataset(clips)))
    assert [dataset.clip(i) for i in range(len(dataset))] == clips


def test_two_hundred_thousand_clips_stay_small() -> None:
    shared = {"speaker": "LA_0001", "attack": "A07"}
    clips = [
        Clip(f"LA_E_{i:07d}", f"/scratch/data/asvspoof/LA/eval/flac/LA_E_{i:07d}.flac", 0, shared)
        for i in range(200_000)
    ]
    assert len(pickle.dumps(ClipDataset(clips))) < 30e6


@pytest.mark.parametrize("crop_s", [0.0, -1.0, float("nan"), float("inf"), 1e-9])
def test_impossible_crops_are_refused(crop_s) -> None:
    with pytest.raises(ValueError, match="holds no sample"):
        ClipDataset([], crop_s=crop_s)
