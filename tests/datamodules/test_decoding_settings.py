"""What files become waveforms by is a setting of every data module: the resampler, and whether cut files are taken."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from datamodules import audio
from datamodules.check import check
from datamodules.clips import Clip
from datamodules.folders.clip_list import ClipList
from datamodules.hearing import End, Listening, Piece, Sounds
from datamodules.pack.verify import verify
from datamodules.pack.writer import pack
from datamodules.production.mapping.mapping_examples import MappingExamples
from datamodules.production.pairs.drum_hits import DrumHits
from datamodules.production.pairs.effect_pairs import EffectPairs
from datamodules.production.pairs.noisy_mixtures import NoisyMixtures
from datamodules.production.pairs.noisy_pairs import NoisyPairs

RATE, TARGET, SIZE = 44100, 16000, 44100
SPLITS = {"splits": {"train": "train", "test": "test"}, "validation": 0.0}


def _sound() -> np.ndarray:
    """Float64 (time,): a tone that 16 kHz cannot hold, of which torchaudio leaves some, and noise."""
    time = np.arange(SIZE) / RATE
    return 0.3 * np.sin(2 * np.pi * 8500 * time) + np.random.default_rng(0).uniform(-0.2, 0.2, SIZE)


def _cut(path: Path, *, samples: int = 30000) -> None:
    """Cuts a 16-bit WAV file off behind some samples."""
    path.write_bytes(path.read_bytes()[: 44 + 2 * samples])


def _write(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, _sound(), RATE, subtype="PCM_16")
    return path


def _clip_list(root: Path, **settings) -> tuple[torch.Tensor, Path]:
    path = _write(root / "train/a/1.wav")
    _write(root / "test/a/2.wav")
    data = ClipList(root=str(root), **SPLITS, sample_rate=TARGET, in_memory=True, **settings)
    data.rows["train"] = data.read_rows("train")
    return data.dataset("train", None)[0, 0].waveform[0], path


def _noisy_pairs(root: Path, **settings) -> tuple[torch.Tensor, Path]:
    for split in ("train", "validation", "test"):
        paths = [_write(root / split / side / "a.wav") for side in ("noisy", "clean")]
        if settings.get("allow_truncated"):
            _cut(paths[0])
            _cut(paths[1])
    data = NoisyPairs(root=str(root), sample_rate=TARGET, **settings)
    data.setup("test")
    return data.dataset("test")[0, 0].waveform[0], paths[0]


def _mixtures(root: Path, **settings) -> tuple[torch.Tensor, Path]:
    paths = [_write(root / f"{number}.wav") for number in range(3)]
    data = NoisyMixtures(clean=str(root), sample_rate=TARGET, window=TARGET, **settings)
    source = data._source(data.clean_root, "test", "zero")
    assert source is not None
    return source[0, 0].waveform[0], paths[0]


def _mapping(root: Path, **settings) -> tuple[torch.Tensor, Path]:
    path = _write(root / "a.wav")
    (root / "train.csv").write_text("path,level\na.wav,0.5\n")
    data = MappingExamples(root=str(root), outputs=["level"], sample_rate=TARGET, **settings)
    data.setup()
    return next(iter(data.train_dataloader())).inputs[0], path


def _drum_hits(root: Path, **settings) -> tuple[torch.Tensor, Path]:
    paths = [_write(root / "kick" / f"{kit}__1.wav") for kit in "abcdefgh"]
    data = DrumHits(root=str(root), sample_rate=TARGET, **settings)
    data.setup("test")
    hits: Any = data.dataset("test")
    sound, _ = hits._sound(0, 0)
    return sound, paths[0]


MODULES = [_clip_list, _noisy_pairs, _mixtures, _mapping, _drum_hits]


@pytest.mark.parametrize("make", MODULES)
def test_files_are_resampled_by_soxr_unless_another_is_named(make, tmp_path) -> None:
    for name in (None, "soxr_hq", "torchaudio"):
        root = tmp_path / str(name)
        found, path = make(root, **({} if name is None else {"resampler": name}))
        expected = audio.resample(audio.read(path)[0][0], RATE, TARGET, name or "soxr_hq")
        if make is _drum_hits:
            expected = expected / expected.abs().max()
        torch.testing.assert_close(found[: len(expected)], expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("make", [_noisy_pairs, _mapping])
def test_cut_files_are_taken_where_that_is_allowed(make, tmp_path) -> None:
    if make is _mapping:
        _, path = make(tmp_path, allow_truncated=True)
        _cut(path)
        data = MappingExamples(
            root=str(tmp_path), outputs=["level"], sample_rate=TARGET, allow_truncated=True
        )
        data.setup()
        found = next(iter(data.train_dataloader())).inputs[0][: 30000 * TARGET // RATE]
    else:
        found, path = make(tmp_path, allow_truncated=True)
    part = audio.read(path, allow_truncated=True)[0][0]
    assert len(part) == 30000
    expected = audio.resample(part, RATE, TARGET, "soxr_hq")
    torch.testing.assert_close(found, expected[: len(found)], atol=1e-6, rtol=0)
    assert abs(len(found) - len(expected)) <= 1


def test_an_effect_takes_captures_that_were_cut_alike(tmp_path) -> None:
    for name in ("input.wav", "target.wav"):
        _cut(_write(tmp_path / name))
    settings = {"root": str(tmp_path), "sample_rate": RATE, "chunk": 1000}
    with pytest.raises(audio.AudioError, match="truncated: has 30000 samples and lacks 14100"):
        EffectPairs(**settings).setup("fit")
    data = EffectPairs(**settings, allow_truncated=True)
    data.setup("test")
    item = data.dataset("test")[0, 0]
    torch.testing.assert_close(
        item.waveform[0], torch.from_numpy(_sound()[27000:30000]).float(), atol=2**-15, rtol=0
    )


def test_check_and_pack_take_the_setting_of_the_data(tmp_path) -> None:
    root = tmp_path / "root"
    _cut(_write(root / "train/a/1.wav"))
    _cut(_write(root / "test/a/2.wav"), samples=29000)

    def problems(**settings) -> list[str]:
        data = ClipList(root=str(root), **SPLITS, **settings)
        splits = check(data)["splits"]
        return splits["train"]["problems"] + splits["test"]["problems"]

    assert ["truncated" in line for line in problems()] == [True, True]
    assert problems(allow_truncated=True) == []

    assert pack(root, tmp_path / "refusing").keys() == {"train/a/1.wav", "test/a/2.wav"}
    packed = tmp_path / "packed"
    assert pack(root, packed, allow_truncated=True) == {}
    assert verify(root, packed, allow_truncated=True) == []
    assert audio.info(packed / "train/a/1.wav") == (RATE, 30000, 1)  # and is whole there


@pytest.mark.parametrize("crop_s", [0.25, None])
def test_what_hears_whole_files_takes_the_setting(crop_s: float | None, tmp_path) -> None:
    path = _write(tmp_path / "a.wav")
    _cut(path)
    listening = Listening(sample_rate=RATE, crop_s=crop_s, padding="zero", mono=True)
    *_, refused = Sounds([Clip("a", str(path))], listening).hear(0)
    assert isinstance(refused, End)
    assert refused.num_pieces == 0
    assert "truncated: has 30000 samples" in refused.fault
    allowing = Listening(**{**vars(listening), "allow_truncated": True})
    *pieces, end = Sounds([Clip("a", str(path))], allowing).hear(0)
    assert isinstance(end, End)
    assert (end.fault, end.seconds) == ("", 30000 / RATE)
    last = pieces[-1]
    assert isinstance(last, Piece)
    assert last.mark.stop_s == pytest.approx(30000 / RATE, abs=1e-3)
