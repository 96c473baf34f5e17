"""Transformers over patches of a spectrogram: any length, alone or beside longer clips."""

from abc import abstractmethod
from functools import partial
from typing import Any, NamedTuple, Self

import torch
from einops import rearrange
from torch import Tensor, nn

from lightning_modules.networks.encoders.encoder import Stages
from lightning_modules.networks.encoders.published import PublishedEncoder

LayerNorm = partial(nn.LayerNorm, eps=1e-6)  # of vision transformers


def transformer_blocks(depth: int, width: int, num_heads: int, *, drop_path: float = 0.0) -> nn.ModuleList:
    """Blocks of a vision transformer, which norm what they read.

    Args:
        depth: Their number.
        width: Of a token.
        num_heads: Heads of attention.
        drop_path: Share of clips that the last block passes by in training; the first passes none by.
    """
    from timm.models.vision_transformer import Block  # takes a second

    norm: Any = LayerNorm  # timm calls it, though it asks for a class
    rates = torch.linspace(0, drop_path, depth, device="cpu").tolist()
    return nn.ModuleList(
        Block(width, num_heads, qkv_bias=True, norm_layer=norm, drop_path=rate) for rate in rates
    )


def draw_linear(network: nn.Module) -> None:
    """Draws the linear layers of a network as vision transformers begin."""
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=0.02)
            nn.init.zeros_(module.bias)


def num_columns(length: Tensor, patch: int, stride: int) -> Tensor:
    """Columns of patches that lie within clips of so many frames; one at least."""
    return ((length - patch) // stride + 1).clamp(min=1)


def check_features(features: Tensor, num_mel_bins: int, patch: int, name: str) -> None:
    """Refuses what no patch fits into.

    Raises:
        ValueError: Other than (batch, num_mel_bins, patch or more).
    """
    if features.dim() != 3 or features.shape[1] != num_mel_bins or features.shape[2] < patch:
        raise ValueError(
            f"features {tuple(features.shape)}: {name} expects (batch, {num_mel_bins}, at least {patch})"
        )


class Windows(NamedTuple):
    """Columns of patches in windows of equal size, one after another.

    Attributes:
        patches: (batch * window, column, row, width).
        own: int64 (batch, window), columns of the clip itself; 0 where it ended before.
        total: Columns of the longest clip of the batch.
    """

    patches: Tensor
    own: Tensor
    total: int

    @classmethod
    def of(cls, patches: Tensor, columns: Tensor, size: int) -> Self:
        """Cuts (batch, column, row, width), of which `columns` (batch,) are the clips' own."""
        total = patches.shape[1]
        size = min(size, total)
        count = -(-total // size)
        patches = nn.functional.pad(patches, (0, 0, 0, 0, 0, count * size - total))
        begins = torch.arange(count, device=columns.device) * size
        own = (columns[:, None] - begins).clamp(0, size)
        return cls(rearrange(patches, "b (n t) f d -> (b n) t f d", n=count), own, total)

    def keep(self, places: Tensor) -> Self:
        """Leaves out all columns of each window but some, int64 (column,) in their order."""
        size, count = self.patches.shape[1], self.own.shape[1]
        last = self.total - (count - 1) * size
        total = (count - 1) * len(places) + int((places < last).sum())
        own = (places < self.own.unsqueeze(2)).sum(dim=2)
        return self._replace(patches=self.patches[:, places], own=own, total=total)

    def mask(self, num_class_tokens: int) -> Tensor:
        """Which tokens are heard, bool (batch * window, 1, 1, token); a window past the end hears itself."""
        _, size, rows, _ = self.patches.shape
        places = torch.arange(num_class_tokens + size * rows, device=self.own.device)
        heard = num_class_tokens + self.own.clamp(min=1).flatten() * rows
        return (places < heard[:, None])[:, None, None]

    def join(self, tokens: Tensor, num_class_tokens: int) -> Tensor:
        """Puts windows (batch * window, token, width) side by side: (batch, token, width).

        Class tokens become their mean, in which each window counts by its columns.
        """
        count, rows = self.own.shape[1], self.patches.shape[2]
        if count == 1:
            return tokens
        tokens = tokens.unflatten(0, (-1, count))
        share = (self.own / self.own.sum(dim=1, keepdim=True)).to(tokens.dtype)
        classes = torch.einsum("bnkd,bn->bkd", tokens[:, :, :num_class_tokens], share)
        patches = tokens[:, :, num_class_tokens:].flatten(1, 2)[:, : self.total * rows]
        return torch.cat([classes, patches], dim=1)


class PatchEncoder(PublishedEncoder):
    """An encoder with a table of positions, whose blocks attend to all of a window.

    A clip of more columns of patches than the table has positions is encoded in windows of the table's size, one after
    another; class tokens are then the mean over the windows, in which each counts by its columns. What follows a
    clip in a batch (`length`) is heard by none of its tokens, so that it is encoded as if alone.

    Attributes:
        num_mel_bins: Of the spectrogram.
        patch: Frames of a patch.
        stride: Frames from patch to patch.
    """

    num_mel_bins: int
    patch: int = 16
    stride: int = 16

    @property
    def blocks(self) -> Any:
        """The blocks, which stand under this name in published files, from the input to the output."""
        return self.__getattr__("blocks")  # the module, as if there were no property

    @property
    def shortest(self) -> tuple[int, ...]:
        """Shape of the shortest features that it hears, (mel, frame)."""
        return self.num_mel_bins, self.patch

    @property
    @abstractmethod
    def window(self) -> int:
        """Columns that the table of positions has."""

    @abstractmethod
    def embed(self, features: Tensor) -> Tensor:
        """Patches (batch, column, row, width) of features (batch, mel, frame), without positions."""

    @abstractmethod
    def place(self, patches: Tensor) -> Tensor:
        """Adds positions to a window of patches (batch, column, row, width)."""

    def kept(self, num_columns: int) -> Tensor | None:
        """Which columns of a window are encoded, int64 (column,); None is all."""
        return None

    def begin(self, tokens: Tensor) -> Tensor:
        """What the first block reads of tokens (batch, token, width): class tokens come first."""
        return tokens

    @property
    def after_blocks(self) -> list[nn.Module]:
        """The norm after the last block, of encoders that have one."""
        return [module for name, module in self.named_children() if name == "norm"]

    def encode(self, inputs: Tensor, length: Tensor | None, *, depth: int, last: bool) -> Stages:
        """Computes the hidden states of features (batch, mel, frame); see `Encoder.encode`."""
        check_features(inputs, self.num_mel_bins, self.patch, type(self).__name__)
        patches = self.embed(inputs)
        columns = torch.full((inputs.shape[0],), patches.shape[1], device=inputs.device)
        if length is not None:
            columns = num_columns(length, self.patch, self.stride).clamp(max=patches.shape[1])
        windows = Windows.of(patches, columns, self.window)
        windows = windows._replace(patches=self.place(windows.patches))
        if (kept := self.kept(windows.patches.shape[1])) is not None:
            windows = windows.keep(kept)
        is_full = length is None and windows.own.shape[1] == 1
        mask = None if is_full else windows.mask(self.num_class_tokens)
        states = [self.begin(windows.patches.flatten(1, 2))]
        for block in self.blocks[:depth]:
            states.append(block(states[-1], attn_mask=mask))
        if last:
            tokens = states[-1]
            for norm in self.after_blocks:
                tokens = norm(tokens)
            states.append(tokens)
        states = [windows.join(tokens, self.num_class_tokens) for tokens in states]
        return Stages(states, states.pop() if last else None, windows.own.sum(dim=1))
