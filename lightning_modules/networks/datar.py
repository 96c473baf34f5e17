"""DATAR: a pyramid of windowed and deformable attention for audio event recognition.

Sources: Zhu, "DATAR: Deformable audio transformer for audio event recognition" (ICASSP 2024), on the network of Xia et
al., "Vision transformer with deformable attention" (CVPR 2022), as its first published code has it. Names of layers are
those of that code's checkpoints.
Shape letters: b clip, c channel, h mel row and w frame column of a map.
"""

import math
from collections import OrderedDict
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_modules.networks.datar_weights import adapt_official
from lightning_modules.networks.deformable_attention import ChannelNorm, DeformableAttention
from lightning_modules.networks.output import Output
from lightning_modules.networks.weights import load_strictly, read_weights
from lightning_modules.networks.window_attention import LocalAttention, ShiftWindowAttention

_PATCH = 4
_REDUCTION = 32  # from the spectrogram to the last map
_OFFSET_KERNELS = (5, 3)  # of the third and fourth stage


class MLP(nn.Module):
    """Two pointwise layers, four times as wide between them: (b, c, h, w) -> the same."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.chunk = nn.Sequential(
            OrderedDict(linear1=nn.Linear(dim, 4 * dim), act=nn.GELU(), linear2=nn.Linear(4 * dim, dim))
        )

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layers to each cell."""
        return self.chunk(x.movedim(1, -1)).movedim(-1, 1)


class Stage(nn.Module):
    """Blocks of attention and MLP at one resolution: (b, c, h, w) -> the same.

    Args:
        dim: Channels c.
        attentions: Of the blocks.
        drop_path_rates: Probability, for each block, that a clip skips its attention, and its MLP.
    """

    def __init__(self, dim: int, attentions: Sequence[nn.Module], drop_path_rates: Sequence[float]) -> None:
        from timm.layers.drop import DropPath  # takes a second

        super().__init__()
        self.layer_norms = nn.ModuleList(ChannelNorm(dim) for _ in range(2 * len(attentions)))
        self.attns = nn.ModuleList(attentions)
        self.mlps = nn.ModuleList(MLP(dim) for _ in attentions)
        self.drop_path = nn.ModuleList(DropPath(rate) for rate in drop_path_rates)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the blocks."""
        norms = iter(self.layer_norms)
        for attention, mlp, drop_path in zip(self.attns, self.mlps, self.drop_path, strict=True):
            x = x + drop_path(attention(next(norms)(x)))
            x = x + drop_path(mlp(next(norms)(x)))
        return x


def _check(
    depths: Sequence[int], windows: Sequence[int], key_strides: Sequence[int | tuple[int, int]]
) -> None:
    if len(depths) != 4 or min(depths) < 1:
        raise ValueError(f"depths={tuple(depths)}: expected blocks of four stages, at least 1 in each")
    if len(windows) != 4 or min(windows) < 2:
        raise ValueError(f"windows={tuple(windows)}: expected sizes for four stages, at least 2 in each")
    if len(key_strides) != 2:
        raise ValueError(f"key_strides={tuple(key_strides)}: expected two, of the third and fourth stage")


class DATAR(nn.Module):
    """Deformable audio transformer; the plain constructor gives the tiny size.

    Two stages alternate attention within windows and within shifted windows, two attention within windows and
    deformable attention. A spectrogram is padded with zeros, after its last band and frame, to multiples of 32.

    Args:
        num_classes: Number of logits.
        input_size: Mel bands and frames that the tables of relative position biases are made for. Clips may have any:
            the tables span whatever comes.
        in_channels: Of the spectrogram.
        dim: Channels of the first stage, which double from stage to stage.
        depths: Blocks of the four stages.
        head_dim: Channels of a head.
        group_dim: Channels, in deformable attention, that share offsets.
        windows: Rows and columns of a window in the four stages. With (8, 8, 8, 4), clips of 128 bands and 1024
            frames need no padding; windows of 7 are the published ones.
        key_strides: In stages 3 and 4, rows and columns of the map per key of deformable attention, one number or (mel,
            frame). 1, as published, costs time and memory quadratic in the number of frames; a stride that grows with
            it makes them linear. No weight depends on it.
        offset_range_factor: Greatest offset in halves of a cell of the grid of keys.
        deformable: False is the paper's ablation "without deformable", which it does not define: keys stay at their
            reference points, and the interpolated relative position bias is kept.
        drop_path_rate: Stochastic depth of the last block; it grows linearly from 0 at the first.
        adaptor: Applied to spectrograms (b, c, mel, frame) first, such as `InputAdaptor`.
    """

    cost_note = (
        "Zhu's 93.3 GMAC are not reproduced: no size of this network needs them at 128 x 1024; base takes 39.7, with"
        " the products of attention 43.0"
    )

    def __init__(
        self,
        num_classes: int = 309,
        *,
        input_size: tuple[int, int] = (128, 1024),
        in_channels: int = 1,
        dim: int = 96,
        depths: Sequence[int] = (2, 2, 6, 2),
        head_dim: int = 32,
        group_dim: int = 128,
        windows: Sequence[int] = (7, 7, 7, 7),
        key_strides: Sequence[int | tuple[int, int]] = (1, 1),
        offset_range_factor: float = 2.0,
        deformable: bool = True,
        drop_path_rate: float = 0.2,
        adaptor: nn.Module | None = None,
    ) -> None:
        super().__init__()
        _check(depths, windows, key_strides)
        if dim % head_dim or 4 * dim % group_dim or group_dim % head_dim:
            sizes = f"dim={dim}, head_dim={head_dim}, group_dim={group_dim}"
            raise ValueError(
                f"{sizes}: expected whole heads in dim and in group_dim, whole groups in 4 * dim"
            )
        dims = [dim * 2**stage for stage in range(4)]
        self.in_channels = in_channels
        self.embedding_dim = dims[-1]
        self.adaptor = adaptor
        self.patch_proj = nn.Sequential(nn.Conv2d(in_channels, dim, _PATCH, _PATCH), ChannelNorm(dim))
        self.stages = nn.ModuleList()
        drop_path_rates = torch.linspace(0, drop_path_rate, sum(depths), device="cpu").split(list(depths))
        for stage, (width, rates) in enumerate(zip(dims, drop_path_rates, strict=True)):
            mel, frame = (math.ceil(size / _REDUCTION) * 2 ** (3 - stage) for size in input_size)
            local = partial(LocalAttention, width, width // head_dim, windows[stage])
            if stage < 2:
                other = partial(
                    ShiftWindowAttention, width, width // head_dim, windows[stage], map_size=(mel, frame)
                )
            else:
                other = partial(
                    DeformableAttention,
                    width,
                    width // head_dim,
                    width // group_dim,
                    map_size=(mel, frame),
                    kernel_size=_OFFSET_KERNELS[stage - 2],
                    key_stride=key_strides[stage - 2],
                    offset_range_factor=offset_range_factor,
                    deformable=deformable,
                )
            attentions = [other() if block % 2 else local() for block in range(depths[stage])]
            self.stages.append(Stage(width, attentions, rates.tolist()))
        self.down_projs = nn.ModuleList(
            nn.Sequential(nn.Conv2d(narrow, wide, 2, 2, bias=False), ChannelNorm(wide))
            for narrow, wide in pairwise(dims)
        )
        self.cls_norm = ChannelNorm(dims[-1])
        self.num_classes = num_classes
        self.cls_head = nn.Linear(dims[-1], num_classes)

    @property
    def blocks(self) -> list[nn.Module]:
        """The parts that hold nearly all parameters and activations."""
        kinds = LocalAttention | DeformableAttention | MLP
        return [part for part in self.modules() if isinstance(part, kinds)]

    @classmethod
    def tiny(cls, num_classes: int = 309, **settings) -> "DATAR":
        """28 million parameters."""
        return cls(num_classes, **settings)

    @classmethod
    def small(cls, num_classes: int = 309, **settings) -> "DATAR":
        """49 million parameters."""
        return cls(num_classes, **{"depths": (2, 2, 18, 2), "drop_path_rate": 0.3} | settings)

    @classmethod
    def base(cls, num_classes: int = 309, **settings) -> "DATAR":
        """87 million parameters."""
        return cls(num_classes, **{"dim": 128, "depths": (2, 2, 18, 2), "drop_path_rate": 0.5} | settings)

    def reset_classifier(self, num_classes: int) -> None:
        """Replace the head by an untrained one of other classes."""
        self.num_classes = num_classes
        self.cls_head = nn.Linear(self.embedding_dim, num_classes).to(self.cls_head.weight)

    def load_official(self, path: str | Path) -> Self:
        """Load a checkpoint of the published DAT code of 2022, of any image size, window and classes.

        Kernels of three colours are added up, tables of relative position biases stretched, and a head of other
        classes is left out; the log names all that does not load as it is.

        Raises:
            ValueError: When the file holds another model.
        """
        load_strictly(self, adapt_official(self, read_weights(path), path), path)
        return self

    def forward(self, features: Tensor) -> Output:
        """Classify clips.

        Args:
            features: (batch, mel, frame) of one channel, or (batch, channel, mel, frame), of any size.

        Returns:
            Embedding (batch, 8 dim), the mean of the last map, and logits (batch, num_classes), both of the type of
            the weights.

        Raises:
            ValueError: For features of another shape.
        """
        if features.ndim == 3:
            features = features.unsqueeze(1)
        if features.ndim != 4 or features.shape[1] != self.in_channels:
            expected = f"(batch, {self.in_channels}, mel, frame)"
            raise ValueError(
                f"features {tuple(features.shape)}: this DATAR expects {expected}, see in_channels"
            )
        if self.adaptor is not None:
            features = self.adaptor(features)
        mel, frame = features.shape[2:]
        x = self.patch_proj(F.pad(features, (0, -frame % _REDUCTION, 0, -mel % _REDUCTION)))
        first, *others = self.stages
        x = first(x)
        for down_proj, stage in zip(self.down_projs, others, strict=True):
            x = stage(down_proj(x))
        with torch.autocast(x.device.type, enabled=False):  # half precision would tie scores
            embedding = self.cls_norm(x.to(self.cls_head.weight.dtype)).mean(dim=(2, 3))
            return Output(embedding, self.cls_head(embedding))
