"""Variants of training clips lie in the pack, are those of the chain, and are drawn by the request alone."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from datamodules import ClipList
from datamodules.audio.search import audio_files
from datamodules.pack.__main__ import main
from datamodules.pack.verify import verify

NUM_TRAINING = 5
DEGRADE = "{snr5: 0.9, mulaw|g722: 0.9}"


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """Six sounds of two classes at 8 kHz, of which one will validate, and two to test on."""
    folder = tmp_path_factory.mktemp("sounds")
    for i in range(8):
        path = folder / ("train" if i < 6 else "test") / "ab"[i % 2] / f"{i}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, 0.3 * np.sin(np.arange(3000 + 300 * i) * 0.1 * (i + 1)), 8000)
    return folder


@pytest.fixture(scope="module")
def packed(root, tmp_path_factory) -> Path:
    into = tmp_path_factory.mktemp("pack") / "packed"
    assert main(_arguments(root, into)) == 0
    return into


def _arguments(root: Path, into: Path, degrade: str = DEGRADE, count: int = 3) -> list[str]:
    data = ["--data=ClipList", f"--data.root={root}", "--data.splits={train: train, test: test}"]
    crops = ["--data.sample_rate=16000", "--data.near_duplicates=null", "--data.num_workers=0"]
    return [*data, *crops, f"--data.degrade={degrade}", "--into", str(into), "--variants", str(count)]


def _data(root: Path, **settings) -> ClipList:
    settings = {
        "degrade": {"snr5": 0.9, "mulaw|g722": 0.9},
        "num_workers": 0,
        "train_crop_s": None,
        **settings,
    }
    return ClipList(
        root=str(root),
        splits={"train": "train", "test": "test"},
        near_duplicates=None,
        batch_size=1,
        **settings,
    )


def _sounds(data: ClipList, epochs: int) -> list[tuple[str, bytes]]:
    loader = data.train_dataloader()
    return [(batch.key[0], batch.waveform.numpy().tobytes()) for _ in range(epochs) for batch in loader]


def test_training_draws_among_the_variants_of_each_clip(packed, caplog) -> None:
    data = _data(packed)
    drawn = _sounds(data, 30)
    assert "training draws among 3 packed variants of each clip" in caplog.text
    by_key = {key: {sound for other, sound in drawn if other == key} for key, _ in drawn}
    assert [len(each) for each in by_key.values()] == [3] * NUM_TRAINING
    clean = dict(_sounds(_data(packed, degrade=None), 1))
    for key, sounds in by_key.items():
        reference = np.frombuffer(clean[key], np.float32)
        for sound in sounds - {clean[key]}:
            samples = np.frombuffer(sound, np.float32)
            assert len(samples) == len(reference)
            assert np.corrcoef(samples, reference)[0, 1] > 0.7


def test_variants_are_those_of_workers_too_and_of_any_run(packed) -> None:
    expected = _sounds(_data(packed), 2)
    assert _sounds(_data(packed, num_workers=2), 2) == expected
    assert _sounds(_data(packed), 2) == expected


def test_the_rest_of_the_pack_does_not_know_of_them(root, packed) -> None:
    assert [path.relative_to(packed) for path in audio_files(packed)] == [
        path.relative_to(root) for path in audio_files(root)
    ]
    assert verify(root, packed) == []
    for split in ("reference_dataloader", "test_dataloader"):
        pairs = zip(getattr(_data(packed), split)(), getattr(_data(root), split)(), strict=True)
        assert all(torch.equal(a.waveform, b.waveform) for a, b in pairs)


def test_other_settings_degrade_anew(packed) -> None:
    for settings in ({"degrade": {"snr5": 0.8}}, {"resampler": "torchaudio"}):
        data = _data(packed, **settings)
        assert len({sound for _, sound in _sounds(data, 10)}) > 3 * NUM_TRAINING


def test_another_run_adds_variants_and_other_settings_are_refused(root, packed, tmp_path, capsys) -> None:
    shutil.copytree(packed, tmp_path / "packed")
    assert main(_arguments(root, tmp_path / "packed", count=4)) == 0
    assert verify(root, tmp_path / "packed") == []
    kept = dict(_sounds(_data(packed), 3)).values()
    more = {sound for _, sound in _sounds(_data(tmp_path / "packed"), 30)}
    assert set(kept) < more
    assert len(more) == 4 * NUM_TRAINING
    assert main(_arguments(root, tmp_path / "packed", degrade="{opus: 1.0}")) == 1
    assert "settings.json: of other settings than these" in capsys.readouterr().err


def test_damage_and_a_missing_chain_are_one_line(root, packed, tmp_path, capsys) -> None:
    shutil.copytree(packed, tmp_path / "packed")
    (shard,) = (tmp_path / "packed/.variants/1/shards").glob("*.bin")
    shard.write_bytes(shard.read_bytes()[:-2] + b"xx")
    assert "are damaged: copy the shard again" in verify(root, tmp_path / "packed")[0]
    (tmp_path / "packed/.variants/settings.json").write_text("{")
    with pytest.raises(ValueError, match=r"settings\.json: damaged .*delete the folder and pack again"):
        _data(tmp_path / "packed").train_dataloader()
    with pytest.raises(SystemExit) as stop:
        main(_arguments(root, tmp_path / "new", degrade="null"))
    assert stop.value.code == 2
    assert "--variants: nothing says how clips are degraded" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
