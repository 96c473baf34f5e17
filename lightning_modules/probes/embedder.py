"""A frozen network as what it says of a clip: one vector, or one of every layer."""

from functools import singledispatch
from typing import Any, Literal

import torch
from torch import Tensor, nn

from datamodules.clips import Batch
from lightning_modules.asd.window_detector import WindowDetector
from lightning_modules.base import EvaluatedModule
from lightning_modules.event import EventClassifier
from lightning_modules.frontends.windows import place_windows, take_windows
from lightning_modules.networks.encoder_classifier import EncoderClassifier
from lightning_modules.networks.encoders.encoder import Encoder, Hidden
from lightning_modules.networks.output import Output
from lightning_modules.ssd import SyntheticSpeechDetector

Pooling = Literal["mean", "class"]


class Embedder(nn.Module):
    """Embeds clips by a network's encoder, whatever its back end, or by its embedding where it has none.

    Args:
        network: Of a method; it is frozen, and its encoder told which layers to give.
        all_layers: Give every layer of an encoder, from the input of its first block on, rather than what it ends in.
        pooling: What of an encoder's hidden states is taken: their ``mean`` over a clip's time, or that of its
            ``class`` tokens.

    Raises:
        ValueError: Layers or pooling are asked for, and the network has no encoder.
    """

    def __init__(
        self, network: nn.Module, *, all_layers: bool = False, pooling: Pooling | None = None
    ) -> None:
        super().__init__()
        self.pooling: Pooling = pooling or "mean"
        self.layers = "last"
        self.part: Any = network
        if isinstance(network, EncoderClassifier):
            self.layers = "all" if all_layers else "last"
            self.part = network.encoder
            self.part.layers = self.layers
        elif all_layers or pooling:
            option = "--layers" if all_layers else "--pooling"
            raise ValueError(
                f"{option}: {type(network).__name__} has one embedding: it is for networks of an encoder and a back"
                " end, as lightning_modules.networks.encoder_classifier.EncoderClassifier"
            )
        self.requires_grad_(False).eval()

    def forward(self, inputs: Tensor, length: Tensor | None = None) -> Tensor:
        """Embed clips, or windows of them.

        Args:
            inputs: What the network hears, (batch, ..., time).
            length: int64 (batch,), of each clip in steps of ``inputs``; None where all fill the batch.

        Returns:
            float32 (batch, layer, dim).

        Raises:
            ValueError: The network has no such embedding.
        """
        if isinstance(self.part, Encoder):
            return self._pooled(self.part(inputs, length)).float()
        output = self.part(inputs)
        if not isinstance(output, Output):
            raise ValueError(f"{type(self.part).__name__} gives no embedding: name a network that does")
        return output.embedding.flatten(1)[:, None].float()

    def _pooled(self, hidden: Hidden) -> Tensor:
        if self.pooling == "class":
            if hidden.class_tokens is None:
                raise ValueError(
                    f"--pooling class: {type(self.part).__name__} has no class tokens: take mean"
                )
            return hidden.class_tokens.mean(dim=2)
        within = torch.arange(hidden.states.shape[2], device=hidden.length.device) < hidden.length[:, None]
        weight = within / within.sum(dim=1, keepdim=True)  # (batch, time)
        return torch.einsum("bltd,bt->bld", hidden.states.float(), weight.to(hidden.states.device))


@singledispatch
def embed(method: EvaluatedModule, embedder: Embedder, batch: Batch) -> Tensor:  # noqa: ARG001
    """Embeddings of a batch's clips on the method's device, float32 (clip, layer, dim).

    Raises:
        ValueError: The method has no network that embeds clips.
    """
    raise ValueError(
        f"no embedding is known for {type(method).__name__}: probes take detectors of synthetic speech, detectors of"
        " anomalies that hear windows, event classifiers and taggers; one of yours registers with"
        " lightning_modules.probes.embedder.embed.register"
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
