"""PaSST, the patchout spectrogram transformer.

Source: Koutini et al., "Efficient training of audio transformers with patchout" (Interspeech 2022).
"""

from collections import OrderedDict
from pathlib import Path

import torch
from einops import rearrange
from torch import Tensor, nn

from lightning_modules.networks.encoders.encoder import Layers, Rows, Trainable
from lightning_modules.networks.encoders.lora import LoRA
from lightning_modules.networks.encoders.patches import (
    LayerNorm,
    PatchEncoder,
    draw_linear,
    transformer_blocks,
)
from lightning_modules.networks.encoders.published import Parts, part, read


class PaSST(PatchEncoder):
    """Overlapping patches of 16 x 16, positions of row and column apart, a class and a distillation token.

    The plain constructor gives PaSST-S of 10 s at 32 kHz. Published are others of `stride` 16, 7 blocks (PaSST-L), and
    20 or 30 s (``num_columns`` 199 and 299); the files tell. Of a clip shorter than the table its first positions are
    taken; a longer one is encoded in windows, see `PatchEncoder`. The published wrapper averages logits over windows
    that overlap and whose ends are mirrored.

    Args:
        weights: A published file; null begins at random.
        depth: Number of blocks.
        width: Of a token.
        num_heads: Heads of attention.
        num_mel_bins: Bands of the spectrogram.
        num_columns: Columns of patches that the table of positions has.
        stride: From patch to patch, in bands and in frames.
        patchout: Columns that training leaves out at random of every batch, of so many as the table has: the published
            structured patchout in time. Of a shorter clip it is as large a share.
        layers: Of `Encoder`, as are ``trainable``, ``lora`` and ``rows``.
    """

    num_class_tokens = 2

    def __init__(
        self,
        weights: str | None = None,
        *,
        depth: int = 12,
        width: int = 768,
        num_heads: int = 12,
        num_mel_bins: int = 128,
        num_columns: int = 99,
        stride: int = 10,
        patchout: int = 0,
        layers: Layers = "last",
        trainable: Trainable = "all",
        lora: LoRA | None = None,
        rows: Rows = "mean",
    ) -> None:
        super().__init__(layers=layers, trainable=trainable, lora=lora, rows=rows)
        self.width, self.num_mel_bins, self.stride, self.patchout = width, num_mel_bins, stride, patchout
        self.num_rows = (num_mel_bins - self.patch) // stride + 1
        self.patch_embed = nn.Sequential(OrderedDict(proj=nn.Conv2d(1, width, self.patch, stride)))
        self.cls_token = nn.Parameter(torch.empty(1, 1, width))
        self.dist_token = nn.Parameter(torch.empty(1, 1, width))
        self.new_pos_embed = nn.Parameter(torch.empty(1, 2, width))  # of the two tokens
        self.freq_new_pos_embed = nn.Parameter(torch.empty(1, width, self.num_rows, 1))
        self.time_new_pos_embed = nn.Parameter(torch.empty(1, width, 1, num_columns))
        self.add_module("blocks", transformer_blocks(depth, width, num_heads))
        self.norm = LayerNorm(width)
        self._initialize()
        self.begin_with(weights)
        self.choose()

    @property
    def window(self) -> int:
        """Columns that the table of positions has."""
        return self.time_new_pos_embed.shape[3]

    def embed(self, features: Tensor) -> Tensor:
        """Patches (batch, column, row, width) of features (batch, mel, frame)."""
        return rearrange(self.patch_embed(features.unsqueeze(1)), "b d f t -> b t f d")

    def place(self, patches: Tensor) -> Tensor:
        """Adds positions to a window of patches (batch, column, row, width)."""
        columns = self.time_new_pos_embed[..., : patches.shape[1]]
        return patches + rearrange(columns + self.freq_new_pos_embed, "1 d f t -> 1 t f d")

    def kept(self, num_columns: int) -> Tensor | None:
        """Leaves out columns in training."""
        if not (self.training and self.patchout):
            return None
        left_out = round(num_columns * self.patchout / self.window)
        return torch.randperm(num_columns, device=self.cls_token.device)[left_out:].sort().values

    def begin(self, tokens: Tensor) -> Tensor:
        """Puts class and distillation token before the patches."""
        classes = torch.cat([self.cls_token, self.dist_token], dim=1) + self.new_pos_embed
        return torch.cat([classes.expand(tokens.shape[0], -1, -1), tokens], dim=1)

    def parts(self, path: str | Path) -> Parts:
        """Reads a published file; left is the head of the distillation token, which the published code never reads."""
        state = read(path)
        state = {name.removeprefix("net."): tensor for name, tensor in state.items()}
        return part(state, head={"head.0": "norm", "head.1": ""}, dropped=r"head_dist\.|device_proxy$")

    def _initialize(self) -> None:
        for name, parameter in self.named_parameters():
            if name.endswith(("_token", "pos_embed")):
                nn.init.trunc_normal_(parameter, std=0.02)
        draw_linear(self)
