"""EAT and SSLAM, the efficient audio transformer: one network, trained in two ways.

Sources: Chen et al., "EAT: Self-supervised pre-training with efficient audio transformer" (IJCAI 2024); Alex et al.,
"SSLAM: Enhancing self-supervised models with audio mixtures" (ICLR 2025).
"""

from collections import OrderedDict
from pathlib import Path

import torch
from einops import rearrange
from torch import Tensor, nn

from lightning_modules.networks.encoders.encoder import Layers, Rows, Trainable
from lightning_modules.networks.encoders.lora import LoRA
from lightning_modules.networks.encoders.patches import LayerNorm, PatchEncoder, draw_linear
from lightning_modules.networks.encoders.published import Parts, part, read

_FAIRSEQ = {
    "modality_encoders.IMAGE.context_encoder.norm.": "pre_norm.",
    "modality_encoders.IMAGE.": "",
}


class EATBlock(nn.Module):
    """Attention and perceptron, each added to what it read and then normed.

    Args:
        width: Of a token.
        num_heads: Heads of attention.
        drop_path: Share of clips that either passes by in training.
    """

    def __init__(self, width: int, num_heads: int, *, drop_path: float = 0.0) -> None:
        from timm.layers.attention import Attention
        from timm.layers.drop import DropPath
        from timm.layers.mlp import Mlp

        super().__init__()
        self.attn = Attention(width, num_heads, qkv_bias=True)
        self.norm1 = LayerNorm(width)
        self.mlp = Mlp(width, 4 * width)
        self.norm2 = LayerNorm(width)
        self.drop_path = DropPath(drop_path)

    def forward(self, tokens: Tensor, attn_mask: Tensor | None = None) -> Tensor:
        """Maps (batch, token, width) to the same; ``attn_mask`` is true for tokens that are heard."""
        tokens = self.norm1(tokens + self.drop_path(self.attn(tokens, attn_mask=attn_mask)))
        return self.norm2(tokens + self.drop_path(self.mlp(tokens)))


class EAT(PatchEncoder):
    """Patches of 16 x 16, fixed positions and a class token; the plain constructor gives EAT-base and SSLAM.

    EAT-large is ``depth=24, width=1024, num_heads=16``. There is no norm after the last block: ``last`` is what it
    gives. The published code pads clips with silence to 1024 frames and hears it like sound, and so does this encoder
    what its front end padded (`ASTFbank`). The table of positions lasts 2 minutes.

    Args:
        weights: A folder or file of Hugging Face's layout, or a file of fairseq's; null begins at random.
        depth: Number of blocks.
        width: Of a token.
        num_heads: Heads of attention.
        num_mel_bins: Bands of the spectrogram.
        num_columns: Columns of 16 frames that the table of positions has.
        drop_path: Share of clips that the last block passes by in training, falling to none at the first.
        layers: Of `Encoder`, as are ``trainable``, ``lora`` and ``rows``.
    """

    num_class_tokens = 1

    def __init__(
        self,
        weights: str | None = None,
        *,
        depth: int = 12,
        width: int = 768,
        num_heads: int = 12,
        num_mel_bins: int = 128,
        num_columns: int = 768,
        drop_path: float = 0.0,
        layers: Layers = "last",
        trainable: Trainable = "all",
        lora: LoRA | None = None,
        rows: Rows = "mean",
    ) -> None:
        super().__init__(layers=layers, trainable=trainable, lora=lora, rows=rows)
        self.width, self.num_mel_bins = width, num_mel_bins
        self.num_rows = num_mel_bins // self.patch
        self.local_encoder = nn.Sequential(OrderedDict(proj=nn.Conv2d(1, width, self.patch, self.patch)))
        self.extra_tokens = nn.Parameter(torch.empty(1, 1, width))
        self.fixed_positional_encoder = nn.Module()
        self.fixed_positional_encoder.register_buffer(
            "positions", sinusoids(num_columns, self.num_rows, width)
        )
        self.pre_norm = LayerNorm(width)
        rates = torch.linspace(0, drop_path, depth, device="cpu").tolist()
        self.add_module("blocks", nn.ModuleList(EATBlock(width, num_heads, drop_path=rate) for rate in rates))
        self._initialize()
        self.begin_with(weights)
        self.choose()

    @property
    def window(self) -> int:
        """Columns that the table of positions has."""
        return self._positions.shape[1] // self.num_rows

    @property
    def _positions(self) -> Tensor:
        return self.fixed_positional_encoder.get_buffer("positions")

    def embed(self, features: Tensor) -> Tensor:
        """Patches (batch, column, row, width) of features (batch, mel, frame)."""
        return rearrange(self.local_encoder(features.mT.unsqueeze(1)), "b d t f -> b t f d")

    def place(self, patches: Tensor) -> Tensor:
        """Adds positions to a window of patches (batch, column, row, width)."""
        return patches + self._positions.unflatten(1, (-1, self.num_rows))[:, : patches.shape[1]]

    def begin(self, tokens: Tensor) -> Tensor:
        """Puts the class token before the patches, and norms."""
        return self.pre_norm(torch.cat([self.extra_tokens.expand(tokens.shape[0], -1, -1), tokens], dim=1))

    def parts(self, path: str | Path) -> Parts:
        """Reads a file of Hugging Face's layout or of fairseq's; left are decoder and average of pre-training."""
        state = read(path)
        named = {}
        for name, tensor in state.items():
            name = name.removeprefix("model.")
            prefix = next((prefix for prefix in _FAIRSEQ if name.startswith(prefix)), "")
            named[_FAIRSEQ.get(prefix, "") + name.removeprefix(prefix)] = tensor
        return part(named, head={"fc_norm": "norm", "head": ""}, dropped=r"_ema\.|decoder\.")

    def _initialize(self) -> None:
        nn.init.trunc_normal_(self.extra_tokens, std=0.02)
        draw_linear(self)


def sinusoids(num_columns: int, num_rows: int, width: int) -> Tensor:
    """Fixed positions (1, column * row, width): sines and cosines of the row, then of the column."""
    frequencies = 10000.0 ** -(torch.arange(width // 4) / (width / 4))
    grid = torch.meshgrid(torch.arange(num_columns), torch.arange(num_rows), indexing="ij")
    angles = [places.flatten()[:, None] * frequencies for places in reversed(grid)]
    return torch.cat([wave for angle in angles for wave in (angle.sin(), angle.cos())], dim=1)[None]
