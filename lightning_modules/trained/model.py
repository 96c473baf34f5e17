"""A trained model as a notebook uses it: a waveform or a file -> its score."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from datamodules.clips import Batch, Clip
from datamodules.clips.recordings import Span, heard
from datamodules.hearing import Listening
from lightning_modules.package.files import CLIPS_AT_ONCE, scores_of
from lightning_modules.package.scorers import ClassScorer, Scorer


class TrainedModel:
    """Scores sounds as ``python -m lightning_modules.test`` does; made by `load_model`.

    A score is a float; of a classifier the probabilities by class or tag, ``{"dog": 0.9, "cat": 0.1}``, and of one with
    several heads those of each, ``{"verb": {"cut": 0.7, ...}, "noun": {...}}``.

    Args:
        scorer: Front end, network and scoring rule.
        listening: How clips are cut.
        score: A batch of clips on the CPU -> (batch,) or (batch, class).
        device: Where that happens.
        thresholds: Machine instance -> score above which a clip counts as anomalous.
        batch_size: Crops at once.

    Attributes:
        sample_rate: What sounds are resampled to, in Hz.
        classes: Names of classes or tags; of several heads, those of each; empty where a score is one number.
        meaning: What a score says.
    """

    def __init__(
        self,
        scorer: Scorer,
        listening: Listening,
        score: Callable[[Batch], Tensor],
        *,
        device: torch.device,
        thresholds: Mapping[str, float],
        batch_size: int = CLIPS_AT_ONCE,
    ) -> None:
        self.meaning, self.sample_rate, self.device = scorer.meaning, listening.sample_rate, device
        self.thresholds = dict(thresholds)
        self._heads = {head: list(names) for head, names in scorer.heads.items()}
        self._is_multi_tag = isinstance(scorer, ClassScorer) and scorer.is_multi_tag
        self._network = type(scorer.network).__name__
        self._listening, self._score, self._batch_size = listening, score, batch_size

    def hearing(self, *, allow_truncated: bool) -> "TrainedModel":
        """The model itself, which from now on may take files that were cut off; one that does already goes on so."""
        allowed = allow_truncated or self._listening.allow_truncated
        self._listening = replace(self._listening, allow_truncated=allowed)
        return self

    @property
    def classes(self) -> list[str] | dict[str, list[str]]:
        """As the keys of a score."""
        if self._is_multi_tag:
            return list(self._heads)
        return self._heads if len(self._heads) > 1 else next(iter(self._heads.values()), [])

    def score(
        self,
        sound: str | os.PathLike[str] | Any,
        *,
        sample_rate: int | None = None,
        instance: str | None = None,
    ) -> Any:
        """Scores one sound.

        Args:
            sound: An audio file, or a waveform: a tensor or array of floats in [-1, 1], (time,) or (channel, time).
            sample_rate: Of a waveform, in Hz; None is the model's own.
            instance: Machine instance of the sound, such as ``fan/id_00``, for detectors that score by it.

        Raises:
            ValueError: The sound cannot be scored.
        """
        if isinstance(sound, str | os.PathLike):
            if sample_rate is not None:
                raise ValueError(f"{sound}: a file names its own sample rate: leave sample_rate out")
            return self.score_files([sound], instance=instance)[0]
        rate = self.sample_rate if sample_rate is None else int(sample_rate)
        if rate < 1 or rate != (sample_rate or rate):
            raise ValueError(f"sample_rate {sample_rate}: expected whole samples a second")
        waveform = Waveform(as_samples(sound), rate, self._listening)
        return self._scores([_clip("waveform", instance)], waveform)[0]

    def score_files(
        self, paths: Iterable[str | os.PathLike[str]], *, instance: str | None = None
    ) -> list[Any]:
        """Scores audio files, several at once; returns their scores in the same order.

        A batch of another size can change the last digits of a score, by what the hardware adds up first.

        Raises:
            ValueError: A file cannot be scored.
        """
        return self._scores([_clip(os.fspath(path), instance) for path in paths])

    def _scores(self, clips: Sequence[Clip], waveform: "Waveform | None" = None) -> list[Any]:
        scores = scores_of(
            self._score, clips, self._listening, batch_size=self._batch_size, recordings=waveform
        )
        return [self._named(score) for score in scores]

    def _named(self, score: Tensor) -> Any:
        values = score.tolist()
        if not self._heads:
            return values
        if self._is_multi_tag:  # of each pair, the tag is there
            return dict(zip(self._heads, values[1::2], strict=True))
        parts = iter(values)
        by_head = {head: {name: next(parts) for name in names} for head, names in self._heads.items()}
        return by_head if len(by_head) > 1 else next(iter(by_head.values()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._network}, {self._listening}, {self.device})"


class Waveform(NamedTuple):
    """A sound at hand in place of a file, as `ClipDataset` asks for it: samples (channel, time) at a rate in Hz."""

    samples: Tensor
    rate: int
    listening: Listening

    def span(self, index: int) -> Span:
        """All of it, or until a file counts as ended."""
        stop_s, size = self.listening.stop_s, self.samples.shape[1]
        return Span(self.rate, 0, size if stop_s is None else min(round(stop_s * self.rate), size))

    def read(self, index: int, part: Span) -> Tensor:
        """Samples (channel, time) of a part, of the channels that are heard of a file."""
        samples = self.samples[:, part.begin : part.end].contiguous()
        return heard(samples, **self.listening.channels)


def as_samples(waveform: Any) -> Tensor:
    """Returns float32 (channel, time) on the CPU.

    Raises:
        ValueError: It is no waveform, or holds no sound.
    """
    try:
        is_tensor = isinstance(waveform, Tensor)
        samples = waveform if is_tensor else torch.from_numpy(np.ascontiguousarray(waveform))
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"{type(waveform).__name__}: expected the path of an audio file, or a waveform as tensor or array ({error})"
        ) from None
    if not samples.is_floating_point():
        raise ValueError(
            f"waveform of {samples.dtype}: expected floats in [-1, 1]; divide 16-bit samples by 32768"
        )
    samples = samples.detach().cpu().float()
    if samples.ndim == 1:
        samples = samples[None]
    if samples.ndim != 2 or len(samples) > max(samples.shape[1], 1):
        raise ValueError(
            f"waveform of shape {tuple(samples.shape)}: expected (time,) or (channel, time); soundfile gives (time,"
            " channel), to be transposed"
        )
    if not samples.numel():
        raise ValueError("waveform: holds no samples")
    if not samples.isfinite().all():
        raise ValueError("waveform: holds NaN or infinite samples")
    return samples


def _clip(path: str, instance: str | None) -> Clip:
    return Clip(path, path, attributes={} if instance is None else {"instance": instance})
