"""8-bit spectrograms in place of a folder of sounds: what trains a tagger where the audio may not go."""

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from datamodules.base import SplitName
from datamodules.clips import Clip, ClipDataset, Item
from datamodules.degradation import Chain
from datamodules.folders.audio_folder import AudioFolder
from datamodules.folders.near_duplicates import Survey
from datamodules.folders.sound_files import SoundFiles
from datamodules.folders.spectrogram_image import INDEX, SUFFIX, decode
from datamodules.loading.samplers import Request

_ENTRIES = {"sample_rate", "crop_s", "channels", "twins", "files"}


class SpectrogramFiles(SoundFiles):
    """Images of sounds that are elsewhere.

    Args:
        root: Folder of the images.
        sample_rate: That of the sounds, in Hz.
        crop_s: What is heard of a sound, in seconds from its beginning.

    Raises:
        ValueError: If its index is missing or damaged, or was made with other settings.
    """

    suffix = SUFFIX

    def __init__(self, root: Path, *, sample_rate: int, crop_s: float | None) -> None:
        super().__init__(root)
        path = root / INDEX
        try:
            index = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ValueError(
                f"{path}: no such file: set root to a folder that --spectrograms-only wrote"
            ) from None
        except ValueError as error:
            raise ValueError(f"{path}: damaged ({error}): pack the library again") from None
        if not isinstance(index, dict) or not index.keys() >= _ENTRIES:
            raise ValueError(f"{path}: damaged (entries are missing): pack the library again")
        for name, key, ours in (
            ("sample_rate", "sample_rate", sample_rate),
            ("crop_s", "eval_crop_s", crop_s),
        ):
            if index[name] != ours:
                raise ValueError(
                    f"{path}: made with {name} {index[name]}, and data.{key} is {ours}: set that to {index[name]}"
                )
        self.num_channels: int = index["channels"]
        self.ranges: dict[str, tuple[float, float]] = index["files"]
        self._twins: list[tuple[str, str]] = index["twins"]

    def keys(self) -> Sequence[str]:
        """Path of every sound that has a spectrogram, sorted."""
        return sorted(self.ranges)

    def has(self, key: str) -> bool:
        """Whether a sound has a spectrogram."""
        return key in self.ranges

    def survey(self, keys: Sequence[str], threshold: float, *, allow_truncated: bool) -> Survey:
        """Near duplicates as they were heard; spectrograms do not tell."""
        row = {key: number for number, key in enumerate(keys)}
        twins = ((row[a], row[b]) for a, b in self._twins if a in row and b in row)
        return Survey({}, {}, sorted((min(pair), max(pair)) for pair in twins))


class SpectrogramDataset(ClipDataset):
    """Spectrograms of a split, all of one length, as features without samples.

    Args:
        clips: The rows.
        files: Whose images they are.
    """

    def __init__(self, clips: Sequence[Clip], files: SpectrogramFiles) -> None:
        super().__init__(clips)
        self.equal, self.num_channels = True, files.num_channels
        ranges = [files.ranges[clip.key] for clip in clips]
        self.ranges = torch.tensor(ranges, dtype=torch.float64).reshape(-1, 2)

    def __getitem__(self, item: Request) -> Item:
        clip = self.clip(index := item[0])
        features = decode(clip.path, *self.ranges[index].tolist(), num_channels=self.num_channels)
        return Item(torch.zeros(self.num_channels, 0), features.shape[-1], clip, index, features)


class SpectrogramFolder(AudioFolder):
    """What ``python -m lightning_modules.sort --spectrograms-only FOLDER`` wrote, as `AudioFolder`.

    Splits, sources and twins are those of the audio. Batches have ``features``, float32 (batch, channel, mel, frame),
    as the front end of that command makes them, and no samples. Only what `predict` names is audio.

    Args:
        root: Folder of the spectrograms.
        **settings: Of `AudioFolder`, for the sounds that are to be told apart by what is trained.
    """

    demo_root = None

    def __init__(self, *, root: str, **settings: Any) -> None:
        super().__init__(root=root, **settings)
        for name, chain in (("degrade", self.degrade), ("condition", self.condition)):
            if chain is not None:
                raise ValueError(
                    f"{name}: spectrograms have no sound to degrade: leave it out, or name the audio"
                )

    @cached_property
    def files(self) -> SpectrogramFiles:
        """The images, whose index is read on the first look."""
        return SpectrogramFiles(self.root, sample_rate=self.sample_rate, crop_s=self.eval_crop_s)

    def dataset(self, split: SplitName, crop_s: float | None, *, degrade: Chain | None = None) -> ClipDataset:
        """Spectrograms of a split, or clips to predict on."""
        if split == "predict":
            return super().dataset(split, crop_s)
        return SpectrogramDataset(self.rows[split], self.files)
