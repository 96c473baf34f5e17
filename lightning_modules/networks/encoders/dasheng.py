"""Dasheng, a masked autoencoder's encoder of sound.

Source: Dinkel et al., "Scaling up masked audio encoder learning for general audio classification" (Interspeech 2024).
"""

from collections import OrderedDict
from pathlib import Path

import torch
from einops import rearrange
from torch import Tensor, nn

from lightning_modules.networks.encoders.encoder import Layers, Trainable
from lightning_modules.networks.encoders.lora import LoRA
from lightning_modules.networks.encoders.patches import LayerNorm, PatchEncoder, transformer_blocks
from lightning_modules.networks.encoders.published import Parts, part, read


class Dasheng(PatchEncoder):
    """Patches of all bands and 4 frames, 25 a second; the plain constructor gives Dasheng-base.

    Dasheng 0.6B is ``depth=32, width=1280, num_heads=16``, 1.2B ``depth=40, width=1536, num_heads=24``. As in the
    published code a clip of more than 10.08 s is encoded in windows of that length, one after another, the last of
    which is shorter.

    Args:
        weights: A published file; null begins at random.
        depth: Number of blocks.
        width: Of a token.
        num_heads: Heads of attention.
        num_mel_bins: Bands of the spectrogram.
        num_columns: Columns of 4 frames that the table of positions has.
        layers: Of `Encoder`, as are ``trainable`` and ``lora``.
    """

    patch = stride = 4

    def __init__(
        self,
        weights: str | None = None,
        *,
        depth: int = 12,
        width: int = 768,
        num_heads: int = 12,
        num_mel_bins: int = 64,
        num_columns: int = 252,
        layers: Layers = "last",
        trainable: Trainable = "all",
        lora: LoRA | None = None,
    ) -> None:
        super().__init__(layers=layers, trainable=trainable, lora=lora)
        self.width, self.num_mel_bins = width, num_mel_bins
        bands = nn.BatchNorm2d(num_mel_bins, momentum=0.01)
        self.init_bn = nn.ModuleDict({"1": bands})  # the second of three in the published sequence
        kernel = (num_mel_bins, self.patch)
        self.patch_embed = nn.Sequential(OrderedDict(proj=nn.Conv2d(1, width, kernel, kernel)))
        self.time_pos_embed = nn.Parameter(torch.randn(1, width, 1, num_columns) * 0.02)
        self.freq_pos_embed = nn.Parameter(torch.randn(1, width, 1, 1) * 0.02)
        self.add_module("blocks", transformer_blocks(depth, width, num_heads))
        self.norm = LayerNorm(width)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        self.begin_with(weights)
        self.choose()

    @property
    def window(self) -> int:
        """Columns that the table of positions has."""
        return self.time_pos_embed.shape[3]

    def embed(self, features: Tensor) -> Tensor:
        """Patches (batch, column, 1, width) of features (batch, mel, frame)."""
        bands = self.init_bn["1"](features.unsqueeze(-1)).squeeze(-1)
        return rearrange(self.patch_embed(bands.unsqueeze(1)), "b d f t -> b t f d")

    def place(self, patches: Tensor) -> Tensor:
        """Adds positions to a window of patches (batch, column, 1, width)."""
        positions = self.time_pos_embed[..., : patches.shape[1]] + self.freq_pos_embed
        return patches + rearrange(positions, "1 d f t -> 1 t f d")

    def parts(self, path: str | Path) -> Parts:
        """Reads a published file; left are the tables of the published front end."""
        state = read(path)
        return part(state, head={}, dropped=r"front_end\.")
