"""Attention within windows of a map, as the deformable attention transformer (DAT) has it.

Sources: Liu et al., "Swin Transformer: Hierarchical vision transformer using shifted windows" (ICCV 2021); Xia et
al., "Vision transformer with deformable attention" (CVPR 2022), whose shift is ceil(window / 2). Names of parameters
and buffers are those of the published DAT checkpoints.
Shape letters: b clip, c channel, h mel row and w frame column of a map.
"""

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from torch import Tensor, nn

from lightning_modules.networks.size_cache import cached_by_size

_MASKED = -100.0  # the published value


def _relative_position_index(window: int) -> Tensor:
    """Row of the table of biases for each pair of places in a window, (window ** 2, window ** 2)."""
    row, column = torch.arange(window**2).div(window, rounding_mode="floor"), torch.arange(window**2) % window
    down, right = (place[:, None] - place[None, :] + window - 1 for place in (row, column))
    return down * (2 * window - 1) + right


def _regions(size: int, window: int, shift: int, device: torch.device) -> Tensor:
    """0 outside the last window along an axis, 1 and 2 for what was and was not beside it before the shift."""
    place = torch.arange(size, device=device)
    return (place >= size - window).long() + (place >= size - shift).long()


@cached_by_size
def _shift_mask(height: int, width: int, window: int, shift: int, device: torch.device) -> Tensor:
    """Mask of pairs that only the shift made neighbours, for a map of whole windows.

    Returns:
        0 or `_MASKED`, (windows, window ** 2, window ** 2).
    """
    rows, columns = (_regions(size, window, shift, device) for size in (height, width))
    region = 3 * rows[:, None] + columns
    region = rearrange(region, "(r1 h1) (r2 w1) -> (r1 r2) (h1 w1)", h1=window, w1=window)
    return _MASKED * (region[:, :, None] != region[:, None, :]).float()


class LocalAttention(nn.Module):
    """Multi-head attention within windows, with a learnt bias for each relative position: (b, c, h, w) -> the same.

    Maps of any size: they are padded with zeros to whole windows below and to the right. As in the published code
    for detection, the padding is not masked.

    Args:
        dim: Channels c.
        num_heads: Number of heads.
        window: Rows and columns of a window.
    """

    def __init__(self, dim: int, num_heads: int, window: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.window = window
        self.proj_qkv = nn.Linear(dim, 3 * dim)
        self.proj_out = nn.Linear(dim, dim)
        self.relative_position_bias_table = nn.Parameter(torch.empty((2 * window - 1) ** 2, num_heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.01)
        self.relative_position_index: Tensor
        self.register_buffer("relative_position_index", _relative_position_index(window))

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *args) -> None:
        """Keep the buffers, which follow from the settings, whatever a checkpoint holds."""
        state_dict |= {prefix + name: buffer for name, buffer in self.named_buffers(recurse=False)}
        super()._load_from_state_dict(state_dict, prefix, *args)

    def bias(self, height: int, width: int) -> Tensor:
        """Bias of a map of whole windows, (1, windows * heads, window ** 2, window ** 2)."""
        num_windows = height * width // self.window**2
        return repeat(self._position_bias(), "head m n -> 1 (window head) m n", window=num_windows)

    def _position_bias(self) -> Tensor:
        """(heads, window ** 2, window ** 2)."""
        bias = self.relative_position_bias_table[self.relative_position_index.flatten()]
        return rearrange(bias, "(m n) head -> head m n", m=self.window**2)

    def forward(self, x: Tensor) -> Tensor:
        """Attend."""
        _, _, height, width = x.shape
        x = self._attend(self._qkv(rearrange(x, "b c h w -> b h w c")))
        return rearrange(self.proj_out(x[:, :height, :width]), "b h w c -> b c h w")

    def _qkv(self, x: Tensor) -> Tensor:
        """Queries, keys and values of whole windows, (b, h', w', 3 c); those of the padding are the bias."""
        _, height, width, _ = x.shape
        qkv = self.proj_qkv(x)
        if not any(padding := self._padding(x)):
            return qkv
        padded = self.proj_qkv.bias.to(qkv.dtype).expand(len(x), height + padding[5], width + padding[3], -1)
        padded = padded.clone()
        padded[:, :height, :width] = qkv
        return padded

    def _padding(self, x: Tensor) -> tuple[int, ...]:
        """What (b, h, w, c) lacks to whole windows, for `F.pad`."""
        height, width = x.shape[1:3]
        return 0, 0, 0, -width % self.window, 0, -height % self.window

    def _attend(self, qkv: Tensor) -> Tensor:
        """Attend within the windows of (b, h, w, 3 c)."""
        height, width = qkv.shape[1:3]
        # Windows stand beside heads, so that one bias (1, window head, m, n) serves the whole batch.
        q, k, v = rearrange(
            qkv,
            "b (r1 h1) (r2 w1) (three head c) -> three b (r1 r2 head) (h1 w1) c",
            three=3,
            head=self.num_heads,
            h1=self.window,
            w1=self.window,
        )
        x = F.scaled_dot_product_attention(q, k, v, attn_mask=self.bias(height, width).to(q.dtype))
        return rearrange(
            x,
            "b (r1 r2 head) (h1 w1) c -> b (r1 h1) (r2 w1) (head c)",
            r1=height // self.window,
            head=self.num_heads,
            h1=self.window,
        )


class ShiftWindowAttention(LocalAttention):
    """The same in windows moved by `shift` = ceil(window / 2) rows and columns, so that neighbours meet.

    Args:
        dim: Channels c.
        num_heads: Number of heads.
        window: Rows and columns of a window, at least 2.
        map_size: Rows and columns for which the mask is kept; those of other sizes are made when first met.
    """

    def __init__(self, dim: int, num_heads: int, window: int, *, map_size: tuple[int, int]) -> None:
        super().__init__(dim, num_heads, window)
        self.shift = (window + 1) // 2
        height, width = (-(-size // window) * window for size in map_size)
        self.padded_size = (height, width)
        self.attn_mask: Tensor
        mask = _shift_mask(height, width, window, self.shift, self.relative_position_index.device)
        self.register_buffer("attn_mask", mask.clone())

    def bias(self, height: int, width: int) -> Tensor:
        """As `LocalAttention.bias`, with the mask of the shift added."""
        mask = self.attn_mask
        if (height, width) != self.padded_size:
            mask = _shift_mask(height, width, self.window, self.shift, self.attn_mask.device)
        return (mask[:, None] + self._position_bias()).flatten(0, 1).unsqueeze(0)

    def _qkv(self, x: Tensor) -> Tensor:
        return self.proj_qkv(F.pad(x, self._padding(x)).roll((-self.shift, -self.shift), dims=(1, 2)))

    def _attend(self, qkv: Tensor) -> Tensor:
        return super()._attend(qkv).roll((self.shift, self.shift), dims=(1, 2))
