"""Encoders of speech: wav2vec 2.0, XLS-R, MMS, WavLM and HuBERT.

Sources: Baevski et al., "wav2vec 2.0: A Framework for Self-Supervised Learning of Speech Representations" (NeurIPS
2020); Babu et al., "XLS-R: Self-supervised Cross-lingual Speech Representation Learning at Scale" (Interspeech 2022);
Pratap et al., "Scaling Speech Technology to 1,000+ Languages" (JMLR 2024); Chen et al., "WavLM: Large-Scale
Self-Supervised Pre-Training for Full Stack Speech Processing" (IEEE JSTSP 2022); Hsu et al., "HuBERT: Self-Supervised
Speech Representation Learning by Masked Prediction of Hidden Units" (IEEE/ACM TASLP 2021).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from lightning_modules.networks.encoders.architectures import ARCHITECTURES
from lightning_modules.networks.encoders.encoder import Encoder, Layers, Stages, Trainable
from lightning_modules.networks.encoders.hugging_face import build_model
from lightning_modules.networks.encoders.lora import LoRA, adapted
from lightning_modules.networks.encoders.speech_weights import encoder_tensors, load_speech
from lightning_modules.networks.encoders.time_mask import TimeMask
from lightning_modules.networks.weights import load_strictly

Name = Literal[
    "wav2vec2_base",
    "wav2vec2_large",
    "xlsr_300m",
    "xlsr_1b",
    "xlsr_2b",
    "mms_300m",
    "mms_1b",
    "wavlm_base",
    "wavlm_large",
    "hubert_base",
    "hubert_large",
]
_SHORTEST = 400  # samples of a time step
_KERNELS_AND_STRIDES = ((10, 5), (3, 2), (3, 2), (3, 2), (3, 2), (2, 2), (2, 2))


@dataclass(kw_only=True)
class Sizes:
    """Sizes that differ from those of the named encoder; null is as there.

    Attributes:
        width: Of a token, a multiple of 16 and of ``heads``.
        depth: Number of blocks.
        heads: Of attention.
        feed_forward: Width of a block's hidden layer.
        conv_width: Channels of the convolutions.
    """

    width: int | None = None
    depth: int | None = None
    heads: int | None = None
    feed_forward: int | None = None
    conv_width: int | None = None


class SpeechEncoder(Encoder):
    """Hears waveforms of 16 kHz and gives a hidden state every 20 ms.

    A clip has the same hidden states alone and in a batch of longer ones, where ``length`` is given. What training
    adds, the dropouts, ``layer_drop`` and ``mask``, is off unless asked for, and touches no part that does not train.

    Args:
        name: Which public encoder.
        weights: A folder of Hugging Face, a file of it, of fairseq or of a fine-tuned detector; null begins anew.
        sizes: What differs from the named encoder, for small ones.
        layers: Which hidden states it gives, see `Encoder`.
        trainable: How much of it trains, see `Encoder`.
        lora: What is adapted, for ``trainable: lora``.
        normalize: Give each clip zero mean and unit variance first; false feeds the waveform as it is. As the recipe
            says that is followed.
        dropout: Of the hidden states, within blocks and before them.
        attention_dropout: Of the weights of attention.
        activation_dropout: Within feed-forward parts.
        projection_dropout: After the projection of the convolutions' output.
        layer_drop: Probability that a block passes on what it got.
        mask: Of the input of the blocks, for ``trainable: all``.
        gradient_checkpointing: Compute blocks again in the backward pass instead of keeping what they computed.

    Raises:
        ValueError: Sizes do not fit each other, the weights are of another encoder, or transformers is not installed.
    """

    shortest = (1, _SHORTEST)

    def __init__(
        self,
        name: Name,
        *,
        weights: str | None = None,
        sizes: Sizes | None = None,
        layers: Layers = "last",
        trainable: Trainable = "all",
        lora: LoRA | None = None,
        normalize: bool = False,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        activation_dropout: float = 0.0,
        projection_dropout: float = 0.0,
        layer_drop: float = 0.0,
        mask: TimeMask | None = None,
        gradient_checkpointing: bool = False,
    ) -> None:
        super().__init__(layers=layers, trainable=trainable, lora=lora)
        if mask is not None and trainable != "all":
            raise ValueError(f"mask: masks what frozen blocks hear, with trainable={trainable}: leave it out")
        changed = {key: value for key, value in asdict(sizes or Sizes()).items() if value is not None}
        architecture = replace(ARCHITECTURES[name], **changed)
        if architecture.width % architecture.heads or architecture.width % 16:
            raise ValueError(
                f"sizes.width={architecture.width}: must be a multiple of 16 and of {architecture.heads} heads"
            )
        self.width, self.normalize, self.layer_drop, self.mask = (
            architecture.width,
            normalize,
            layer_drop,
            mask,
        )
        self.gradient_checkpointing = gradient_checkpointing
        self._architecture, self._norm_first = architecture, architecture.layer_norm
        with torch.device("meta" if weights is not None else torch.get_default_device()):
            self.model = build_model(
                architecture,
                hidden_dropout=dropout,
                attention_dropout=attention_dropout,
                activation_dropout=activation_dropout,
                feat_proj_dropout=projection_dropout,
            )
        if weights is not None:
            self.weights_sha256 = load_speech(self.model, weights, architecture)
        self.model.masked_spec_embed.requires_grad_(mask is not None)
        self.choose()

    def load_state(self, tensors: dict[str, Tensor], path: str | Path) -> None:
        """Load the encoder of a published detector; what is adapted by LoRA is what was fine-tuned.

        Args:
            tensors: By the names of fairseq.
            path: Where they are from, for messages.

        Raises:
            ValueError: They are of another encoder.
        """
        model, frozen = self.model, {}
        for name, _ in adapted(model):
            frozen |= {f"{name}.{kind}": f"{name}.base_layer.{kind}" for kind in ("weight", "bias")}
        found = encoder_tensors(tensors, path, self._architecture)
        state = {frozen.get(name, name): tensor for name, tensor in found.items()}
        own = {name: tensor for name, tensor in model.state_dict().items() if ".lora_" in name}
        load_strictly(model, state | own, path)

    @property
    def blocks(self) -> Sequence[nn.Module]:
        """The transformer's."""
        return self.model.encoder.layers

    @property
    def after_blocks(self) -> Sequence[nn.Module]:
        """The last norm, of encoders that norm before each part of a block."""
        return (self.model.encoder.layer_norm,) if self._norm_first else ()

    def as_packaged(self) -> dict[str, Any]:
        """Nothing that acts in training."""
        return super().as_packaged() | {"mask": None, "gradient_checkpointing": False}

    def encode(self, inputs: Tensor, length: Tensor | None, *, depth: int, last: bool) -> Stages:
        """Computes the hidden states.

        Args:
            inputs: Waveforms, (batch, 1, time) or (batch, time), of at least 400 samples.
            length: int64 (batch,), in samples; None where all fill the batch.
            depth: Number of blocks that are needed.
            last: Whether what the encoder ends in is needed.

        Raises:
            ValueError: Clips are shorter, or have several channels.
        """
        waveform = _mono(inputs)
        batch, time = waveform.shape
        samples = torch.full((batch,), time, device=waveform.device) if length is None else length
        is_padded = length is not None and bool((length < time).any())
        if min(time, int(samples.min()) if is_padded else time) < _SHORTEST:
            raise ValueError(
                f"a clip of {int(samples.min())} samples: an encoder of speech needs at least {_SHORTEST}, 25 ms"
            )
        features = self._features(waveform, samples if is_padded else None)
        steps = samples
        for kernel, stride in _KERNELS_AND_STRIDES:
            steps = (steps - kernel) // stride + 1
        heard = _heard(steps, features.shape[1]) if is_padded else None
        return self._transformed(features, steps, heard, depth=depth, last=last)

    def _features(self, waveform: Tensor, samples: Tensor | None) -> Tensor:
        """What convolutions make of waveforms, (batch, step, conv_width); ``samples`` of clips where they differ."""
        if self.normalize:
            waveform = _standardized(waveform, samples)
        first, *rest = self.model.feature_extractor.conv_layers
        hidden = waveform[:, None].to(first.conv.weight.dtype)
        if samples is None or self._norm_first:
            hidden = first(hidden)
        else:  # its norm is over time: over that of the clip
            kernel, stride = _KERNELS_AND_STRIDES[0]
            hidden = first.conv(hidden)
            normed = _standardized(hidden, (samples - kernel) // stride + 1, eps=first.layer_norm.eps)
            scale, offset = first.layer_norm.weight[:, None], first.layer_norm.bias[:, None]
            hidden = first.activation(normed.to(hidden.dtype) * scale + offset)
        for layer in rest:
            hidden = layer(hidden)
        return hidden.mT

    def _transformed(
        self, features: Tensor, steps: Tensor, heard: Tensor | None, *, depth: int, last: bool
    ) -> Stages:
        encoder = self.model.encoder
        projected = self.model.feature_projection(features)
        states = projected[0] if isinstance(projected, tuple) else projected  # HuBERT gives one
        if self.mask is not None and self.training:
            masked = self.mask.draw(steps, states.shape[1])[..., None]
            states = torch.where(masked, self.model.masked_spec_embed.to(states.dtype), states)
        if heard is not None:
            states = states.masked_fill(~heard[..., None], 0)
        states = states + encoder.pos_conv_embed(states)
        if not self._norm_first:
            states = encoder.layer_norm(states)
        states = encoder.dropout(states)
        stages, shared = [states], {}
        if heard is not None:
            shared["attention_mask"] = heard[:, None, None]
        for block in self.blocks[:depth]:
            states, shared = self._passed(block, states, shared)
            stages.append(states)
        ending = encoder.layer_norm(states) if last and self._norm_first else states
        return Stages(stages, ending if last else None, steps)

    def _passed(
        self, block: nn.Module, states: Tensor, shared: dict[str, Any]
    ) -> tuple[Tensor, dict[str, Any]]:
        """What a block makes of hidden states, and what the next one shares with it."""
        if self.gradient_checkpointing and torch.is_grad_enabled():
            computed = checkpoint(block, states, use_reentrant=False, **shared)
        else:
            computed = block(states, **shared)
        if isinstance(computed, tuple):  # WavLM's first block knows positions
            computed, shared = computed[0], shared | {"position_bias": computed[1]}
        if self.layer_drop and block.training:  # and computed it is, so that each rank has a gradient of all
            computed = torch.where(torch.rand((), device=states.device) < self.layer_drop, states, computed)
        return computed, shared


def _mono(inputs: Tensor) -> Tensor:
    if inputs.ndim == 3 and inputs.shape[1] == 1:
        return inputs[:, 0]
    if inputs.ndim == 2:
        return inputs
    raise ValueError(
        f"waveforms {tuple(inputs.shape)}: an encoder of speech hears (batch, 1, time) or (batch, time), one channel"
    )


def _heard(length: Tensor, time: int) -> Tensor:
    """Where clips have not ended, bool (batch, time)."""
    return torch.arange(time, device=length.device) < length[:, None]


def _standardized(values: Tensor, length: Tensor | None, eps: float = 1e-5) -> Tensor:
    """Give zero mean and unit variance over the time of each clip, and zeros after it.

    Args:
        values: (batch, ..., time).
        length: int64 (batch,); None where all fill the batch.
        eps: Of the variance.

    Returns:
        As ``values``, of at least float32.
    """
    values = values.to(torch.promote_types(values.dtype, torch.float32))
    if length is None:
        return F.layer_norm(values, values.shape[-1:], eps=eps)
    shape = (len(length), *(1 for _ in values.shape[1:]))
    heard = _heard(length, values.shape[-1]).reshape(*shape[:-1], -1)
    deviation = (values - (values * heard).sum(-1, keepdim=True) / length.reshape(shape)) * heard
    variance = deviation.square().sum(-1, keepdim=True) / length.reshape(shape)
    return deviation * (variance + eps).rsqrt()
