"""Scores of files, cut and filled as the evaluation of the run did."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from datamodules.clips import Clip, ClipDataset, collate
from datamodules.clips.search import clips_to_predict
from datamodules.loading.samplers import EvaluationBatchSampler
from lightning_modules.package.folder import Package

_CLIPS_AT_ONCE = 16  # of one length; whole clips are scored one by one


@torch.inference_mode()
def score_clips(
    package: Package, clips: Sequence[Clip], device: torch.device
) -> Iterator[tuple[str, Tensor]]:
    """Yields key and score, () or (class,), of every clip in order, as soon as it is known."""
    listening = package.listening
    dataset = ClipDataset(
        clips,
        sample_rate=listening.sample_rate,
        crop_s=listening.crop_s,
        padding=listening.padding,
        mono=listening.mono,
    )
    sampler = EvaluationBatchSampler(
        len(dataset),
        batch_size=1 if listening.crop_s is None else _CLIPS_AT_ONCE,
        num_views=listening.num_views,
    )
    scorer = package.scorer.to(device)
    for batch in DataLoader(
        dataset, batch_sampler=sampler, collate_fn=partial(collate, padding=listening.padding)
    ):
        scores = scorer(batch.waveform.to(device), batch.length.to(device)).cpu()
        views = scores.unflatten(0, (-1, listening.num_views)).mean(1)
        yield from zip(batch.key[:: listening.num_views], views, strict=True)


@contextmanager
def clips_of(sources: Sequence[str], stdin: BinaryIO, *, pcm_rate: int | None) -> Iterator[list[Clip]]:
    """Clips of files, folders, lists, and of one recording on standard input where a source is ``-``.

    Args:
        sources: What the user named.
        stdin: Standard input, read to its end: an audio file, or raw samples.
        pcm_rate: Sample rate in Hz of raw signed 16-bit little-endian mono samples; None expects an audio file.
    """
    clips = clips_to_predict([source for source in sources if source != "-"])
    if "-" not in sources:
        yield clips
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "stdin"
        content = stdin.read()
        if pcm_rate is None:
            path.write_bytes(content)
        else:
            samples = np.frombuffer(content, "<i2", count=len(content) // 2)
            soundfile.write(path, samples, pcm_rate, format="WAV", subtype="PCM_16")
        yield [*clips, Clip(key="-", path=str(path))]
