"""A pack of 8-bit spectrograms in place of a folder of sounds: what trains a tagger where the audio may not go."""

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch
from einops import rearrange
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.io import ImageReadMode, decode_png, encode_png, read_file

from datamodules.audio_folder import _PARTS, AudioFolder, Part
from datamodules.base import SplitName
from datamodules.clips import Clip, ClipDataset, Item
from datamodules.near_duplicates import Survey
from datamodules.samplers import Request

INDEX = "pack.json"
SUFFIX = ".png"  # behind the sound's own name
_LEVELS = 255
_ENTRIES = {"sample_rate", "crop_s", "channels", "twins", "files"}


def encode(features: Tensor) -> tuple[bytes, float, float]:
    """Write a spectrogram as a grey PNG image, channels one below the other.

    Args:
        features: float32 (channel, mel, frame).

    Returns:
        The image, and the values that its 0 and 255 stand for; the error is at most half a step between.
    """
    low, high = (value.item() for value in features.aminmax())
    step = (high - low) / _LEVELS or 1.0
    levels = ((features - low) / step).round().to(torch.uint8)
    image = rearrange(levels, "channel mel frame -> 1 (channel mel) frame")
    return encode_png(image, compression_level=9).numpy().tobytes(), low, high


def decode(path: str, low: float, high: float, *, num_channels: int) -> Tensor:
    """Read what `encode` wrote: float32 (channel, mel, frame).

    Raises:
        ValueError: If it is no such image.
    """
    try:
        image = decode_png(read_file(path), ImageReadMode.GRAY)
    except RuntimeError as error:
        raise ValueError(f"{path}: no PNG image ({error}): pack the library again") from None
    if image.shape[1] % num_channels:
        raise ValueError(
            f"{path}: {image.shape[1]} rows are not those of {num_channels} channels: pack the library again"
        )
    levels = rearrange(image, "1 (channel mel) frame -> channel mel frame", channel=num_channels)
    return low + levels * ((high - low) / _LEVELS)


class SpectrogramDataset(Dataset[Item]):
    """Spectrograms of a split, in the place of waveforms.

    Args:
        clips: The rows.
        ranges: Lowest and highest value of each.
        num_channels: Of every spectrogram.
    """

    def __init__(
        self, clips: Sequence[Clip], ranges: Sequence[tuple[float, float]], *, num_channels: int
    ) -> None:
        self.clips, self.num_channels = list(clips), num_channels
        self.ranges = torch.tensor(ranges, dtype=torch.float64).reshape(-1, 2)
        self.crop = 0  # all are of one length: batches keep the order of the split

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, request: Request) -> Item:
        index, _ = request
        clip = self.clips[index]
        features = decode(clip.path, *self.ranges[index].tolist(), num_channels=self.num_channels)
        return Item(features, features.shape[-1], clip, index)


class SpectrogramFolder(AudioFolder):
    """A pack that ``python -m lightning_modules.sort --spectrograms-only PACK`` wrote, as `AudioFolder`.

    Splits, sources and twins are those of the audio. ``Batch.waveform`` is float32 (batch, channel, mel, frame), which
    the front end `Packed` lets through. Only what `predict` names is audio.

    Args:
        root: Folder of the pack.
        **settings: Of `AudioFolder`, for the sounds that are to be told apart by what is trained.
    """

    demo_root = None

    def __init__(self, *, root: str, **settings: Any) -> None:
        super().__init__(root=root, **settings)

    @cached_property
    def _index(self) -> dict[str, Any]:
        path = self.root / INDEX
        try:
            index = json.loads(path.read_text())
        except FileNotFoundError:
            raise ValueError(
                f"{path}: no such file: set root to a folder that --spectrograms-only wrote"
            ) from None
        except ValueError as error:
            raise ValueError(f"{path}: damaged ({error}): pack the library again") from None
        if not isinstance(index, dict) or not index.keys() >= _ENTRIES:
            raise ValueError(f"{path}: damaged (entries are missing): pack the library again")
        for name, ours in (("sample_rate", self.sample_rate), ("crop_s", self.eval_crop_s)):
            if index[name] != ours:
                raise ValueError(
                    f"{path}: {name} is {index[name]}, and the configuration has {ours}: give the same"
                )
        return index

    @cached_property
    def _files(self) -> list[tuple[str, Part | None, list[str]]]:
        if self.labels is not None:
            return [file for file in super()._files if file[0] in self._index["files"]]
        files = []
        for key in sorted(self._index["files"]):
            place = key.split("/")
            part = _PARTS.get(place[0].lower())
            if labels := place[1:-1][:1] if part else place[:-1][:1]:
                files.append((key, part, labels))
        return files

    @cached_property
    def _clips(self) -> list[Clip]:
        return [replace(clip, path=clip.path + SUFFIX) for clip in super()._clips]

    @cached_property
    def _survey(self) -> Survey:
        if self.near_duplicates is None:
            return Survey({}, [])
        row = {clip.key: number for number, clip in enumerate(self._clips)}
        twins = ((row[a], row[b]) for a, b in self._index["twins"] if a in row and b in row)
        return Survey({}, sorted((min(pair), max(pair)) for pair in twins))

    def _dataset(self, split: SplitName, crop_s: float | None) -> ClipDataset | SpectrogramDataset:
        if split == "predict":
            return super()._dataset(split, crop_s)
        clips = self.clips[split]
        ranges = [self._index["files"][clip.key] for clip in clips]
        return SpectrogramDataset(clips, ranges, num_channels=self._index["channels"])
