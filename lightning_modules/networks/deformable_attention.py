"""Attention to keys at learnt places of a map.

Source: Xia et al., "Vision transformer with deformable attention" (CVPR 2022) and its published code, which decides
where the text leaves room; Zhu, "DATAR: Deformable audio transformer for audio event recognition" (ICASSP 2024),
section 3.1, which takes it to spectrograms. Names of parameters are those of the published DAT checkpoints.
Shape letters: b clip, g group, c channel, h mel row and w frame column of a map, k those of the grid of keys.
"""

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from lightning_modules.networks.size_cache import cached_by_size


class ChannelNorm(nn.Module):
    """Layer normalization over the channels of a map (b, c, h, w)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        """Normalize."""
        return self.norm(x.movedim(1, -1)).movedim(-1, 1)


@cached_by_size
def reference_points(height: int, width: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Cell centres of a uniform grid, as (y, x) in (-1, 1), where -1 and 1 are the outer edges.

    Returns:
        (height, width, 2).
    """
    y, x = ((2 * torch.arange(n, dtype=dtype, device=device) + 1) / n - 1 for n in (height, width))
    return torch.stack(torch.meshgrid(y, x, indexing="ij"), dim=-1)


def _sample(maps: Tensor, points: Tensor) -> Tensor:
    """Values of maps (b, c, h, w) at points (b, m, n, 2) given as (x, y), interpolated: (b, c, m, n).

    As published, -1 and 1 are here the centres of the outer cells: a reference point lies up to half a cell further
    inside than the centre of its cell.
    """
    return F.grid_sample(maps, points, align_corners=True)


class CellConvolution(nn.Conv2d):
    """A 1x1 convolution of cells (b, h, w, c), in whose order attention reads them.

    Args:
        dim: Channels c.
    """

    def __init__(self, dim: int) -> None:
        super().__init__(dim, dim, 1)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        """Project each cell."""
        return F.linear(input, self.weight.flatten(1), self.bias)


class DeformableAttention(nn.Module):
    """Multi-head attention of every cell to keys sampled at query-dependent offsets: (b, c, h, w) -> the same.

    One offset network serves all groups of channels. Positions, offsets and interpolation are computed in at least
    float32 under any precision: half precision would miss a place among 256 frames by a quarter of a cell.

    Args:
        dim: Channels c.
        num_heads: Number of heads.
        num_groups: Groups of channels and heads with offsets of their own.
        map_size: Rows and columns that the table of relative position biases is made for. Maps may have any size:
            the table spans their extent.
        kernel_size: Of the offset network, odd.
        key_stride: Rows and columns of the map per key, one number or (mel, frame). No weight depends on it.
        offset_range_factor: Greatest offset in halves of a cell of the grid of keys.
        deformable: False leaves the keys at their reference points, without an offset network, and keeps the
            interpolated relative position bias.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        num_groups: int,
        *,
        map_size: tuple[int, int],
        kernel_size: int,
        key_stride: int | tuple[int, int] = 1,
        offset_range_factor: float = 2.0,
        deformable: bool = True,
    ) -> None:
        super().__init__()
        if offset_range_factor <= 0:
            raise ValueError(
                f"offset_range_factor={offset_range_factor} must be above 0; see deformable=False"
            )
        self.num_heads = num_heads
        self.num_groups = num_groups
        mel, frame = (key_stride, key_stride) if isinstance(key_stride, int) else key_stride
        self.key_stride = (mel, frame)
        self.offset_range_factor = offset_range_factor
        group_dim = dim // num_groups
        self.conv_offset = None
        if deformable:
            self.conv_offset = nn.Sequential(
                nn.Conv2d(
                    group_dim, group_dim, kernel_size, self.key_stride, kernel_size // 2, groups=group_dim
                ),
                ChannelNorm(group_dim),
                nn.GELU(),
                nn.Conv2d(group_dim, 2, 1, bias=False),  # a bias would move all keys alike
            )
        self.proj_q = CellConvolution(dim)
        self.proj_k = CellConvolution(dim)
        self.proj_v = CellConvolution(dim)
        self.proj_out = CellConvolution(dim)
        self.rpe_table = nn.Parameter(torch.empty(num_heads, 2 * map_size[0] - 1, 2 * map_size[1] - 1))
        nn.init.trunc_normal_(self.rpe_table, std=0.01)

    def positions(self, queries: Tensor) -> Tensor:
        """Places of the keys that queries (b, c, h, w) ask for.

        Returns:
            (y, x) with -1 and 1 at the edges of the map, which offsets may cross, (b * g, kh, kw, 2), of at least
            float32.
        """
        dtype = torch.promote_types(queries.dtype, torch.float32)
        if self.conv_offset is None:
            height, width = (
                -(-n // step) for n, step in zip(queries.shape[2:], self.key_stride, strict=True)
            )
            points = reference_points(height, width, dtype, queries.device)
            return points.expand(queries.shape[0] * self.num_groups, -1, -1, -1)
        raw = self.conv_offset(rearrange(queries, "b (g c) h w -> (b g) c h w", g=self.num_groups))
        height, width = raw.shape[2:]
        y, x = raw.to(dtype).tanh().unbind(dim=1)
        factor = self.offset_range_factor
        offsets = torch.stack([y * (factor / height), x * (factor / width)], dim=-1)
        return reference_points(height, width, dtype, queries.device) + offsets

    def forward(self, x: Tensor) -> Tensor:
        """Attend."""
        size = x.shape[2:]
        queries = self.proj_q(x.movedim(1, -1))  # (b, h, w, c)
        positions = self.positions(queries.movedim(-1, 1))
        with torch.autocast(x.device.type, enabled=False):
            groups = rearrange(x.to(positions.dtype), "b (g c) h w -> (b g) c h w", g=self.num_groups)
            sampled = _sample(groups, positions.flip(-1)).to(x.dtype)
            bias = self._bias(positions, size)
        sampled = rearrange(sampled, "(b g) c h w -> b h w (g c)", g=self.num_groups)
        q, k, v = (
            rearrange(t, "b h w (head c) -> b head (h w) c", head=self.num_heads)
            for t in (queries, self.proj_k(sampled), self.proj_v(sampled))
        )
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype))
        out = rearrange(out, "b head (h w) c -> b h w (head c)", h=size[0])
        return self.proj_out(out).movedim(-1, 1)

    def _bias(self, positions: Tensor, size: torch.Size) -> Tensor:
        """Bias of each query and key by their displacement: (b, heads, h * w, kh * kw)."""
        places = reference_points(size[0], size[1], positions.dtype, positions.device)
        # Displacements reach from -2 to 2, the table from -1 to 1.
        displacements = (places.flip(-1).flatten(0, 1) / 2)[:, None] - (positions.flip(-1).flatten(1, 2) / 2)[
            :, None
        ]
        tables = rearrange(
            self.rpe_table.to(positions.dtype), "(g head) h w -> g head h w", g=self.num_groups
        )
        tables = tables.repeat(positions.shape[0] // self.num_groups, 1, 1, 1)
        return rearrange(
            _sample(tables, displacements), "(b g) head m n -> b (g head) m n", g=self.num_groups
        )
