"""Scores of files, cut and filled as the evaluation of the run did."""

import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from datamodules.clips import Batch, Clip, ClipDataset, collate
from datamodules.clips.recordings import Decoded
from datamodules.clips.search import clips_to_predict
from datamodules.hearing import Listening
from datamodules.loading.samplers import EvaluationBatchSampler
from lightning_modules.package.engine_names import Engine
from lightning_modules.package.engines import choose
from lightning_modules.package.folder import Package
from lightning_modules.package.graphs import NAMES

CLIPS_AT_ONCE = 16  # of one length


def package_score(
    package: Package, device: torch.device, engine: Engine = "auto"
) -> Callable[[Batch], Tensor]:
    """What scores a batch, on a device, to which the package goes; remarks on the engine go to standard error.

    Raises:
        ValueError: The engine cannot score here.
    """
    graph = None if package.folder is None else package.folder / NAMES["onnx"]
    chosen = choose(package.scorer.to(device), package.listening, engine, graph)
    if chosen.remark:
        print(chosen.remark, file=sys.stderr)
    return lambda batch: chosen.score(batch.waveform.to(device), batch.length.to(device))


@torch.inference_mode()
def scores_of(
    score: Callable[[Batch], Tensor],
    clips: Sequence[Clip],
    listening: Listening,
    *,
    batch_size: int = CLIPS_AT_ONCE,
    recordings: Decoded | None = None,
) -> Iterator[Tensor]:
    """Yields the score of every clip in order, () or (class,), on the CPU, as soon as it is known.

    Args:
        score: A batch -> (batch,) or (batch, class).
        clips: What to score.
        listening: How they are cut. Whole clips are scored one by one: no score depends on another clip's length.
        batch_size: Crops at once.
        recordings: The clips, where they are decoded.
    """
    if listening.stop_s is not None:
        clips = [replace(clip, stop_s=listening.stop_s) for clip in clips]
    dataset = ClipDataset(clips, **listening.cut, recordings=recordings)
    num_views = listening.num_views  # in float64, as a test averages them
    sampler = EvaluationBatchSampler(
        len(dataset), batch_size=1 if listening.crop_s is None else batch_size, num_views=num_views
    )
    collate_fn = partial(collate, padding=listening.padding)
    for batch in DataLoader(dataset, batch_sampler=sampler, collate_fn=collate_fn):
        scores = score(batch).cpu()
        views = scores.double().unflatten(0, (-1, num_views)).unbind(1)
        yield from (sum(views, start=torch.zeros(())) / num_views).to(scores.dtype)


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
