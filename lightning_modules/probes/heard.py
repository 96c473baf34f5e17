"""How clips come to a method's network: through its front end, and in windows where it hears these."""

from functools import singledispatch

import torch
from torch import Tensor

from datamodules.clips import Batch
from lightning_modules.asd.window_detector import WindowDetector
from lightning_modules.base import EvaluatedModule
from lightning_modules.event import EventClassifier
from lightning_modules.frontends.windows import place_windows, take_windows
from lightning_modules.probes.embedder import Embedder
from lightning_modules.ssd import SyntheticSpeechDetector


@singledispatch
def embed(method: EvaluatedModule, embedder: Embedder, batch: Batch) -> Tensor:  # noqa: ARG001
    """Embeddings of a batch's clips on the method's device, float32 (clip, layer, dim).

    Raises:
        ValueError: The method has no network that embeds clips.
    """
    raise ValueError(
        f"no embedding is known for {type(method).__name__}: probes take detectors of synthetic speech, detectors of"
        " anomalies that hear windows, event classifiers and taggers; one of yours registers with"
        " lightning_modules.probes.heard.embed.register"
    )


@embed.register
def _(method: SyntheticSpeechDetector, embedder: Embedder, batch: Batch) -> Tensor:
    return embedder(method.frontend(batch.waveform))


@embed.register
def _(method: EventClassifier, embedder: Embedder, batch: Batch) -> Tensor:
    return embedder(
        method.frontend(batch.waveform, batch.length) if batch.features is None else batch.features
    )


@embed.register
def _(method: WindowDetector, embedder: Embedder, batch: Batch) -> Tensor:
    """The mean over a clip's windows."""
    features, num_frames = method.features(batch)
    clip, first = place_windows(num_frames, method.window, method.hop)
    windows = torch.cat(
        [
            embedder(take_windows(features, clip[part], first[part], method.window))
            for part in torch.arange(len(clip), device=clip.device).split(method.windows_per_pass)
        ]
    )
    total = windows.new_zeros(len(batch.index), *windows.shape[1:], dtype=torch.float64)
    counts = clip.bincount(minlength=len(total))
    return (total.index_add_(0, clip, windows.double()) / counts[:, None, None]).float()
