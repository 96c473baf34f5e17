"""Degraded batches depend on seed, epoch and clip alone; conditions on the clip's key alone."""

from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from datamodules import AudioFolder, SpectrogramFolder
from datamodules.base import ClipDataModule
from datamodules.clips import Batch, Clip

RATE = 16000
DEGRADE = {"rt60_0.17..0.2": 0.3, "snr0..20": 0.7, "mp3|amrnb|g722": 0.8}


class Tones(ClipDataModule):
    """Numbered tones of different lengths in a folder; a test clip is a tone of training."""

    classes = ("a", "b")

    def split(self, name):
        return [
            Clip(f"tone{i}", str(self.root / f"{i}.wav"), i % 2) for i in range(8 if name == "train" else 5)
        ]

    def write_scores(self, path, keys, scores, decisions=None):
        raise AssertionError("nothing is scored")


@pytest.fixture(scope="module")
def tones(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tones")
    for i in range(8):
        time = np.arange(6000 + 500 * i) / RATE
        soundfile.write(folder / f"{i}.wav", 0.3 * np.sin(2 * np.pi * (300 + 50 * i) * time), RATE)
    return folder


def data(root: Path, **settings: Any) -> Tones:
    """Crops of 0.2 s, batches of 3."""
    settings = {"train_crop_s": 0.2, "eval_crop_s": 0.2, "num_workers": 0, **settings}
    return Tones(root=str(root), batch_size=3, eval_batch_size=3, seed=7, **settings)


def epochs(module: Tones, count: int = 2) -> list[Batch]:
    """Training batches of some epochs."""
    loader = module.train_dataloader()
    return [batch for _ in range(count) for batch in loader]


def equal(batches: list[Batch], others: list[Batch]) -> bool:
    """Whether keys and all bits of the sound agree."""
    return len(batches) == len(others) and all(
        a.key == b.key and torch.equal(a.waveform, b.waveform) for a, b in zip(batches, others, strict=True)
    )


@pytest.fixture(scope="module")
def in_process(tones) -> list[Batch]:
    return epochs(data(tones, degrade=DEGRADE))


@pytest.mark.parametrize("num_workers", [1, 4])
def test_the_number_of_workers_changes_no_bit(num_workers, tones, in_process) -> None:
    assert equal(epochs(data(tones, degrade=DEGRADE, num_workers=num_workers)), in_process)


def test_resumption_changes_no_bit(tones, in_process) -> None:
    for stop in range(1, 4):
        first = data(tones, degrade=DEGRADE)
        loader = first.train_dataloader()
        assert equal(list(islice(chain.from_iterable(loader for _ in range(2)), stop)), in_process[:stop])
        resumed = data(tones, degrade=DEGRADE)
        resumed.load_state_dict(first.state_dict())
        rest = epochs(resumed)
        assert equal(rest[: 4 - stop], in_process[stop:]), stop


def test_epochs_seeds_and_clips_differ(tones, in_process) -> None:
    clean = epochs(data(tones))
    assert [batch.key for batch in clean] == [batch.key for batch in in_process]
    changed = [
        not torch.equal(a, b)
        for x, y in zip(clean, in_process, strict=True)
        for a, b in zip(x.waveform, y.waveform, strict=True)
    ]
    assert 6 < sum(changed) <= len(changed) == 12  # 97 % of them
    noise = [
        y - x
        for x, y in zip(epochs(data(tones, degrade={"snr10": 1.0})), clean, strict=True)
        for x, y in zip(x.waveform, y.waveform, strict=True)
    ]
    assert len({each.numpy().tobytes() for each in noise}) == 12


def test_other_loaders_of_training_clips_are_clean(tones) -> None:
    degraded, clean = data(tones, degrade=DEGRADE), data(tones)
    assert equal(list(degraded.reference_dataloader()), list(clean.reference_dataloader()))
    assert equal(list(degraded.test_dataloader()), list(clean.test_dataloader()))


def by_key(module: Tones, split: str = "test") -> dict[str, torch.Tensor]:
    loader = module.test_dataloader() if split == "test" else module.val_dataloader()
    return {key: sound for batch in loader for key, sound in zip(batch.key, batch.waveform, strict=True)}


def test_a_condition_depends_on_the_key_alone(tones) -> None:
    condition = "amrnb+snr10+rt60_0.17"
    found = by_key(data(tones, condition=condition))
    assert found.keys() == {f"tone{i}" for i in range(5)}
    changes: list[dict[str, Any]] = [
        {"num_workers": 1},
        {"seed": 1},
        {"eval_batch_size": 1},
        {"in_memory": True},
    ]
    for settings in changes:
        module = Tones(
            root=str(tones),
            train_crop_s=0.2,
            eval_crop_s=0.2,
            condition=condition,
            **{"num_workers": 0, **settings},
        )
        for split in ("test", "validation"):
            again = by_key(module, split)
            assert all(torch.equal(again[key], sound) for key, sound in found.items()), (settings, split)


def test_a_condition_is_heard_by_the_whole_clip_before_it_is_cropped(tones) -> None:
    whole = data(tones, condition="snr10_white", eval_crop_s=None)
    crops, wholes = by_key(data(tones, condition="snr10_white")), by_key(whole)
    clean = by_key(data(tones, eval_crop_s=None))
    for key, crop in crops.items():
        assert torch.equal(crop, wholes[key][:, :3200])
        noise = (wholes[key] - clean[key]).double().square().mean()
        ratio = 10 * torch.log10(clean[key].double().square().mean() / noise)
        assert abs(ratio.item() - 10) < 0.1
    assert len({(wholes[key] - clean[key]).numpy().tobytes() for key in wholes}) == 5


def test_training_is_clean_under_a_condition(tones) -> None:
    assert equal(epochs(data(tones, condition="snr0")), epochs(data(tones)))


def test_spectrograms_refuse_what_needs_sound(tmp_path) -> None:
    for settings in ({"degrade": {"opus": 0.5}}, {"condition": "opus"}):
        with pytest.raises(
            ValueError, match=rf"^{next(iter(settings))}: spectrograms have no sound to degrade"
        ):
            SpectrogramFolder(root=str(tmp_path), **settings)


def test_folders_stand_below_data(tones, tmp_path) -> None:
    with pytest.raises(ValueError, match=r"missing: no such folder: set noise to a folder of audio"):
        AudioFolder(root=str(tones), condition="snr10", noise=str(tmp_path / "missing"))
