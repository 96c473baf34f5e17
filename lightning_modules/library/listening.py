"""A trained tagger at work on any files: decoded by workers as in training, the rest on the device, in batches."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from datamodules import audio
from datamodules.base import ClipDataModule
from datamodules.clips import Batch, Clip, ClipDataset, Item, Padding, collate
from datamodules.hearing import Listening
from datamodules.loading.loader import worker_settings
from datamodules.loading.samplers import EvaluationBatchSampler, Request
from lightning_modules.config.parts import build_parts, read_config
from lightning_modules.production import Tagger
from lightning_modules.trained.checkpoint import trained_parts

_MIN_S = 0.005  # a click of fewer samples has no spectrum to speak of
_SILENT = 1e-4  # largest sample, -80 dB below full scale
_MAX_CHANNELS = 2  # more are no recording of one sound, but tracks


class Fault(NamedTuple):
    """Why a file, by its number, cannot be listened to."""

    index: int
    reason: str


class CarefulClips(Dataset[Item | Fault]):
    """Clips, or what is wrong with them.

    Args:
        clips: Files, decoded as in training.
        num_channels: What the tagger was trained on, if the clips keep their channels.
    """

    def __init__(self, clips: ClipDataset, *, num_channels: int | None) -> None:
        self.clips, self.num_channels = clips, num_channels

    def __getitem__(self, request: Request) -> Item | Fault:
        index, _ = request
        path = self.clips.clip(index).path
        try:
            rate, num_frames, num_channels = audio.info(path, allow_truncated=self.clips.allow_truncated)
            if fault := self._fault(num_channels, num_frames / rate):
                return Fault(index, fault)
            item = self.clips[request]
        except audio.AudioError as error:
            reason = str(error).removeprefix(f"{path}: ").removesuffix(f" ({audio.CHECK_COMMAND})")
            return Fault(index, reason)
        return Fault(index, "silent") if item.waveform.abs().max() < _SILENT else item

    def _fault(self, num_channels: int, seconds: float) -> str:
        if self.num_channels is not None and num_channels != self.num_channels:
            return f"{num_channels} channels where the tagger was trained on {self.num_channels}: mix it down"
        if num_channels > _MAX_CHANNELS:
            return f"{num_channels} channels: mix it down to stereo or mono"
        if seconds < _MIN_S:
            return f"too short: {seconds * 1000:.2g} ms where {_MIN_S * 1000:g} were expected"
        return ""


def collate_careful(
    found: Sequence[Item | Fault], padding: Padding
) -> tuple[Batch | None, list[tuple[int, str]]]:
    """A batch of what can be listened to, and the number and the reason of what cannot."""
    items = [item for item in found if isinstance(item, Item)]
    faults = [(fault.index, fault.reason) for fault in found if isinstance(fault, Fault)]
    return (collate(items, padding) if items else None), faults


class Listener:
    """A tagger, built from its checkpoint alone, or untrained from a configuration.

    Args:
        ckpt_path: Checkpoint of a `Tagger`.
        config: Configuration, where there is no checkpoint yet.
        device: ``auto`` is the accelerator, if there is one.
        allow_truncated: Hear what there is of files that were cut off, as where the tagger was trained on such.
        num_workers: Processes that decode; None follows the CPUs.

    Attributes:
        classes: Classes or tags, in the order of probabilities.
        identity: Hash of the checkpoint.
        is_multi_tag: Whether a sound may have any number of tags.

    Raises:
        ValueError: If it is a checkpoint of something else.
    """

    def __init__(
        self,
        ckpt_path: str | None = None,
        *,
        config: str | None = None,
        device: str = "auto",
        allow_truncated: bool = False,
        num_workers: int | None = None,
    ) -> None:
        assert ckpt_path or config
        parts = trained_parts(ckpt_path) if ckpt_path else build_parts(read_config(str(config)))
        model, data = parts.model, parts.datamodule
        if not isinstance(model, Tagger):
            raise ValueError(f"{ckpt_path or config}: {type(model).__name__} where a Tagger was expected")
        self.identity = hashlib.sha256(Path(ckpt_path).read_bytes()).hexdigest()[:16] if ckpt_path else ""
        if device == "auto":
            accelerator = torch.accelerator.current_accelerator(check_available=True)
            device = accelerator.type if accelerator else "cpu"
        self.model = model.eval().to(device)
        self.data: ClipDataModule = data
        data.allow_truncated |= allow_truncated
        self.is_multi_tag = model.is_multi_tag
        self.classes = list(model.heads) if self.is_multi_tag else list(model.heads.get("class", ()))
        self._num_workers = num_workers

    def probabilities(self, paths: Sequence[str]) -> Iterator[tuple[int, list[float] | str]]:
        """Number of each file and the probability of every class, or why there is none."""
        one_of_each = slice(1, None, 2) if self.is_multi_tag else slice(None)  # without "no tag"
        for index, row in self.hear(paths, self.model.score):
            yield index, row if isinstance(row, str) else row[one_of_each].tolist()

    def embeddings(self, paths: Sequence[str]) -> Iterator[tuple[int, Tensor | str]]:
        """Number of each file and its embedding, float32 (dim,), or why there is none."""
        return self.hear(paths, lambda batch: self.model(batch.waveform, batch.length).embedding)

    def features(self, paths: Sequence[str]) -> Iterator[tuple[int, Tensor | str]]:
        """Number of each file and what the network gets, float32 (channel, mel, frame), or why there is none."""
        return self.hear(paths, lambda batch: self.model.frontend(batch.waveform, batch.length))

    @torch.inference_mode()
    def hear(self, paths: Sequence[str], what: Callable[[Batch], Tensor]) -> Iterator[tuple[int, Any]]:
        """Number of each file and its row of what `what` makes of a batch, on the CPU, or why there is none."""
        data = self.data
        clips = ClipDataset(
            [Clip(key="", path=path, stop_s=data.stop_s) for path in paths],
            **Listening.of(data).cut,
        )
        network: Any = self.model.network
        num_channels = None if data.mono else network.input_size[0]
        loader = DataLoader(
            CarefulClips(clips, num_channels=num_channels),
            batch_sampler=EvaluationBatchSampler(
                len(paths), batch_size=1 if data.eval_crop_s is None else data.eval_batch_size
            ),
            collate_fn=partial(collate_careful, padding=data.padding),
            **worker_settings(self._num_workers, persistent=False),
        )
        for batch, faults in loader:
            yield from faults
            if batch is not None:
                batch = self.model.transfer_batch_to_device(batch, self.model.device, 0)
                yield from zip(batch.index.tolist(), what(batch).float().cpu(), strict=True)
