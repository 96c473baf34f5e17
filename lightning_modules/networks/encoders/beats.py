"""BEATs: bidirectional encoder representations from audio transformers.

Source: Chen et al., "BEATs: Audio pre-training with acoustic tokenizers" (ICML 2023); its positions are those of WavLM.
Shape letters: b clip, n token, h head, d width of a head.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from lightning_modules.networks.encoders.encoder import Layers, Rows, Stages, Trainable
from lightning_modules.networks.encoders.lora import LoRA
from lightning_modules.networks.encoders.patches import check_features, num_columns
from lightning_modules.networks.encoders.published import Parts, PublishedEncoder, content_of, part, read

_PATCH = 16
# What all published BEATs have in common, by the names of their configurations.
_FIXED = {
    "deep_norm": True,
    "layer_norm_first": False,
    "relative_position_embedding": True,
    "gru_rel_pos": True,
    "activation_fn": "gelu",
    "input_patch_size": _PATCH,
    "conv_bias": False,
}
_SIZES = {
    "encoder_layers": "depth",
    "encoder_embed_dim": "width",
    "encoder_attention_heads": "num_heads",
    "encoder_ffn_embed_dim": "ffn_width",
    "embed_dim": "patch_width",
    "conv_pos": "kernel_size",
    "conv_pos_groups": "groups",
    "num_buckets": "num_buckets",
    "max_distance": "max_distance",
}


class PositionConv(nn.Module):
    """A grouped convolution along the tokens, whose kernel has a length for each place and a direction.

    Args:
        width: Of a token.
        kernel_size: In tokens; before an even one lies a token more than behind.
        groups: Of channels.
    """

    def __init__(self, width: int, kernel_size: int, groups: int) -> None:
        super().__init__()
        self.groups = groups
        self.bias = nn.Parameter(torch.zeros(width))
        self.weight_v = nn.Parameter(torch.randn(width, width // groups, kernel_size))
        self.weight_v.data *= (4 / (kernel_size * width)) ** 0.5
        self.weight_g = nn.Parameter(self.weight_v.detach().norm(dim=(0, 1), keepdim=True))

    def forward(self, tokens: Tensor) -> Tensor:
        """Maps (batch, width, token) to the same."""
        weight = self.weight_g * self.weight_v / self.weight_v.norm(dim=(0, 1), keepdim=True)
        size = weight.shape[2]
        found = F.conv1d(tokens, weight, self.bias, padding=size // 2, groups=self.groups)
        return found[..., : tokens.shape[2]]


class RelativePositions(nn.Embedding):
    """A bias of attention for each head, by the distance between two tokens.

    Distances up to a quarter of the buckets have one each, for either direction; farther ones share them by their
    logarithm.

    Args:
        num_buckets: Number of biases of a head.
        num_heads: Heads of attention.
        max_distance: From which on all distances are one.
    """

    def __init__(self, num_buckets: int, num_heads: int, max_distance: int) -> None:
        super().__init__(num_buckets, num_heads)
        nn.init.normal_(self.weight, std=0.02)
        self.max_distance = max_distance

    def between(self, num_tokens: int) -> Tensor:
        """Biases (head, token that hears, token that is heard)."""
        place = torch.arange(num_tokens, device=self.weight.device)
        return self(self._bucket(place - place[:, None])).permute(2, 0, 1)

    def _bucket(self, distance: Tensor) -> Tensor:
        half = self.num_embeddings // 2
        near = half // 2
        size = distance.abs()
        share = torch.log(size.clamp(min=1).float() / near) / math.log(self.max_distance / near)
        far = (near + (share * (half - near)).long()).clamp(max=half - 1)
        return torch.where(size < near, size, far) + half * (distance > 0)


class GatedAttention(nn.Module):
    """Attention whose bias by distance every query weighs for itself.

    Args:
        width: Of a token.
        num_heads: Heads of attention.
        positions: Shared by all blocks; every one of them has it in its state.
        dropout: Of attention.
    """

    def __init__(self, width: int, num_heads: int, positions: RelativePositions, *, dropout: float) -> None:
        super().__init__()
        self.num_heads, self.dropout = num_heads, dropout
        self.relative_attention_bias = positions
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.q_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)
        self.grep_linear = nn.Linear(width // num_heads, 8)
        self.grep_a = nn.Parameter(torch.ones(1, num_heads, 1, 1))

    def forward(self, tokens: Tensor, distances: Tensor, is_padding: Tensor | None = None) -> Tensor:
        """Maps (batch, token, width) to the same.

        Args:
            tokens: What attends to itself.
            distances: Biases (head, token, token).
            is_padding: (batch, token), what no token hears; None where all are sound.
        """
        query, key, value = (
            rearrange(project(tokens), "b n (h d) -> b h n d", h=self.num_heads)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        first, second = self.grep_linear(query).unflatten(-1, (2, 4)).sum(-1).sigmoid().chunk(2, dim=-1)
        bias = (first * (second * self.grep_a - 1) + 2) * distances  # (b, h, n, n)
        if is_padding is not None:
            bias = bias.masked_fill(is_padding[:, None, None], -torch.inf)
        heard = F.scaled_dot_product_attention(
            query, key, value, bias, dropout_p=self.dropout if self.training else 0.0
        )
        return self.out_proj(rearrange(heard, "b h n d -> b n (h d)"))


class BEATsBlock(nn.Module):
    """Attention and perceptron, each added to a multiple of what it read and then normed (DeepNorm).

    Args:
        width: Of a token.
        num_heads: Heads of attention.
        ffn_width: Of the hidden layer of the perceptron.
        residual: The multiple.
        positions: Shared by all blocks.
        dropout: Of what is added, and of attention.
    """

    def __init__(
        self,
        width: int,
        num_heads: int,
        ffn_width: int,
        *,
        residual: float,
        positions: RelativePositions,
        dropout: float,
    ) -> None:
        super().__init__()
        self.residual = residual
        self.self_attn = GatedAttention(width, num_heads, positions, dropout=dropout)
        self.self_attn_layer_norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, ffn_width)
        self.fc2 = nn.Linear(ffn_width, width)
        self.final_layer_norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor, distances: Tensor, is_padding: Tensor | None = None) -> Tensor:
        """Maps (batch, token, width) to the same; see `GatedAttention`."""
        heard = self.dropout(self.self_attn(tokens, distances, is_padding))
        tokens = self.self_attn_layer_norm(self.residual * tokens + heard)
        perceived = self.dropout(self.fc2(F.gelu(self.fc1(tokens))))
        return self.final_layer_norm(self.residual * tokens + perceived)


class BEATs(PublishedEncoder):
    """Patches of 16 x 16 and relative positions; the plain constructor has the sizes of all published BEATs.

    It takes any length, and what follows a clip in a batch is not heard. There is no norm after the last block: `last`
    is what it gives. All blocks share one table of relative positions, which trains where all of the encoder does.

    Args:
        weights: A published file, whose own configuration gives all sizes; null begins at random.
        depth: Number of blocks.
        width: Of a token.
        num_heads: Heads of attention.
        ffn_width: Of the hidden layer of the perceptrons.
        patch_width: Of a patch before the first projection.
        num_mel_bins: Bands of the spectrogram.
        kernel_size: Of the convolution that tells positions, in tokens.
        groups: Of its channels.
        num_buckets: Of relative positions.
        max_distance: From which on all distances are one, in tokens.
        dropout: Of what the blocks add, of their input and of attention, in training.
        layers: Of `Encoder`, as are ``trainable``, ``lora`` and ``rows``.

    Raises:
        ValueError: The file of weights has no configuration, or not that of a BEATs, or is of another network.
    """

    def __init__(
        self,
        weights: str | None = None,
        *,
        depth: int = 12,
        width: int = 768,
        num_heads: int = 12,
        ffn_width: int = 3072,
        patch_width: int = 512,
        num_mel_bins: int = 128,
        kernel_size: int = 128,
        groups: int = 16,
        num_buckets: int = 320,
        max_distance: int = 800,
        dropout: float = 0.0,
        layers: Layers = "last",
        trainable: Trainable = "all",
        lora: LoRA | None = None,
        rows: Rows = "mean",
    ) -> None:
        super().__init__(layers=layers, trainable=trainable, lora=lora, rows=rows)
        self.sizes = {
            "depth": depth,
            "width": width,
            "num_heads": num_heads,
            "ffn_width": ffn_width,
            "patch_width": patch_width,
            "kernel_size": kernel_size,
            "groups": groups,
            "num_buckets": num_buckets,
            "max_distance": max_distance,
        }
        if weights is not None:
            self.sizes = configured_sizes(content_of(weights), weights)
        self.num_mel_bins, self.num_rows = num_mel_bins, num_mel_bins // _PATCH
        self._build(**self.sizes, dropout=dropout)
        self.begin_with(weights)
        self.choose()

    def _build(
        self,
        depth: int,
        width: int,
        num_heads: int,
        ffn_width: int,
        patch_width: int,
        kernel_size: int,
        groups: int,
        num_buckets: int,
        max_distance: int,
        dropout: float,
    ) -> None:
        self.width = width
        self.patch_embedding = nn.Conv2d(1, patch_width, _PATCH, _PATCH, bias=False)
        self.layer_norm = nn.LayerNorm(patch_width)
        self.post_extract_proj = nn.Linear(patch_width, width)
        positions = RelativePositions(num_buckets, num_heads, max_distance)
        blocks = (
            BEATsBlock(
                width,
                num_heads,
                ffn_width,
                residual=(2 * depth) ** 0.25,
                positions=positions,
                dropout=dropout,
            )
            for _ in range(depth)
        )
        self.encoder = nn.Module()
        self.encoder.pos_conv = nn.Sequential(PositionConv(width, kernel_size, groups), nn.GELU())
        self.encoder.layers = nn.ModuleList(blocks)
        self.encoder.layer_norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        self._initialize()

    def _initialize(self) -> None:
        """Projections as in DeepNorm, what they add to the residuals the smaller the deeper the stack."""
        for name, module in self.named_modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)
                kind = name.rpartition(".")[2]
                if kind in ("q_proj", "k_proj"):
                    nn.init.xavier_normal_(module.weight)
                elif kind in ("v_proj", "out_proj", "fc1", "fc2"):
                    nn.init.xavier_normal_(module.weight, gain=(8 * self.sizes["depth"]) ** -0.25)

    def as_built(self) -> dict[str, Any]:
        """Sizes, which are the file's."""
        return dict(self.sizes)

    @property
    def blocks(self) -> list[nn.Module]:
        """The blocks from the input to the output."""
        return list(self.encoder.get_submodule("layers").children())

    @property
    def _positions(self) -> RelativePositions:
        block = self.blocks[0]
        assert isinstance(block, BEATsBlock)
        return block.self_attn.relative_attention_bias

    @property
    def shortest(self) -> tuple[int, ...]:
        """Shape of the shortest features that it hears, (mel, frame)."""
        return self.num_mel_bins, _PATCH

    def choose(self) -> None:
        """Lets only that train which shall; the table of positions, which is of all blocks, with all of them."""
        super().choose()
        self._positions.requires_grad_(self.trainable == "all" and self._top > 0)

    def encode(self, inputs: Tensor, length: Tensor | None, *, depth: int, last: bool) -> Stages:
        """Computes the hidden states of features (batch, mel, frame); see `Encoder.encode`."""
        check_features(inputs, self.num_mel_bins, _PATCH, type(self).__name__)
        patches = rearrange(self.patch_embedding(inputs.mT.unsqueeze(1)), "b d t f -> b t f d")
        total = patches.shape[1]
        columns = torch.full((inputs.shape[0],), total, device=inputs.device)
        is_padding = None
        tokens = self.post_extract_proj(self.layer_norm(patches.flatten(1, 2)))
        tokens = self.dropout(tokens)
        if length is not None:
            columns = num_columns(length, _PATCH, _PATCH).clamp(max=total)
            places = torch.arange(tokens.shape[1], device=inputs.device)
            is_padding = places >= (columns * self.num_rows)[:, None]
            tokens = tokens.masked_fill(is_padding.unsqueeze(2), 0.0)
        where = self.encoder.get_submodule("pos_conv")(tokens.mT).mT
        states = [self.dropout(self.encoder.get_submodule("layer_norm")(tokens + where))]
        distances = self._positions.between(tokens.shape[1]) if depth else None
        for block in self.blocks[:depth]:
            states.append(block(states[-1], distances, is_padding))
        return Stages(states, states[-1] if last else None, columns)

    def parts(self, path: str | Path) -> Parts:
        """Reads a published file, whose configuration must be that of this network."""
        content = content_of(str(path))  # of the file itself, if its tensors were read before
        found = configured_sizes(content, path)
        for key, name in _SIZES.items():
            if found[name] != self.sizes[name]:
                raise ValueError(
                    f"{path}: cfg.{key}={found[name]}, and this BEATs has {name}={self.sizes[name]}: name the file in"
                    " the encoder's init_args.weights, by which it is built"
                )
        return part(read(path), head={"predictor": ""})


def configured_sizes(content: Any, path: str | Path) -> dict[str, int]:
    """Arguments of `BEATs` by the configuration within a published file.

    Raises:
        ValueError: It is missing, or incomplete, or not that of a published BEATs.
    """
    cfg = content.get("cfg") if isinstance(content, Mapping) else None
    if not isinstance(cfg, Mapping):
        raise ValueError(
            f"{path}: no cfg, the configuration that published BEATs carry beside model: take the original file, as a"
            " network of default values would give other embeddings"
        )
    missing = [key for key in [*_FIXED, *_SIZES] if key not in cfg]
    if missing:
        raise ValueError(f"{path}: cfg lacks {', '.join(missing)}: take the original file")
    for key, value in _FIXED.items():
        if cfg[key] != value:
            raise ValueError(
                f"{path}: cfg.{key}={cfg[key]}, where all published BEATs have {value}: this configuration is not that"
                " of the weights: take the original file"
            )
    return {name: cfg[key] for key, name in _SIZES.items()}
