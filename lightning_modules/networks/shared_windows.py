"""First layers of windows that overlap, computed once for all of them.

A window's own margins are filled with zeros where the spectrogram goes on: only its outermost columns see them, and
these are computed for each window.
Shape letters: b clip, n window, c channel, f row, t column of a spectrogram.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from lightning_modules.networks.output import Output


class Layers(NamedTuple):
    """Layers that turn a spectrogram (b, f, t) into maps (b, c, f', t'), and the rest of the network.

    Attributes:
        forward: The layers.
        rest: From their maps to the output of the network.
        stride: Frames from column to column.
        margin: Frames that are enough for the first column, and for the second to see nothing of the beginning.
    """

    forward: Callable[[Tensor], Tensor]
    rest: Callable[[Tensor], Output]
    stride: int
    margin: int


class SharedWindows:
    """Maps of windows of a spectrogram, to those of each window alone but for rounding.

    Args:
        layers: Of which the outermost column on either side sees the end of its input, and no other does.
        spectrogram: (b, f, t).
        first: int64 (n,), where windows begin.
        size: Frames of a window.
    """

    def __init__(self, layers: Layers, spectrogram: Tensor, first: Tensor, size: int) -> None:
        self._layers, self._spectrogram, self._size = layers, spectrogram, size
        self._whole = {
            phase: layers.forward(spectrogram[..., phase:])
            for phase in (first % layers.stride).unique().tolist()
        }

    @classmethod
    def pays(cls, layers: Layers, spectrogram: Tensor, first: Tensor, size: int) -> bool:
        """Whether there are so many windows that half the work is saved; they must be wide enough to have an inside."""
        phases = min(layers.stride, len(first))
        work = phases * len(spectrogram) * spectrogram.shape[-1] + 2 * len(first) * layers.margin
        return size >= 2 * layers.margin and 2 * work < len(first) * size

    def outputs(self, clip: Tensor, first: Tensor) -> Output:
        """Outputs of the network for windows of the clips (n,) that begin at frames (n,)."""
        return self._layers.rest(self.maps(clip, first))

    def maps(self, clip: Tensor, first: Tensor) -> Tensor:
        """Maps (n, c, f', t') of windows of the clips (n,) that begin at frames (n,), channels last."""
        stride, margin = self._layers.stride, self._layers.margin
        left = self._outermost(clip, first, 0, margin)[..., :1]
        begin = (self._size - margin) // stride * stride
        right = self._outermost(clip, first, begin, self._size - begin)
        num_columns = begin // stride + right.shape[-1]
        found = self._insides(clip, first, num_columns)
        found[..., :1], found[..., -1:] = left, right[..., -1:]
        return found

    def _insides(self, clip: Tensor, first: Tensor, num_columns: int) -> Tensor:
        stride, parts = self._layers.stride, []
        order = []
        for phase, whole in self._whole.items():
            mine = (first % stride == phase).nonzero()[:, 0]
            columns = (first[mine] // stride)[:, None, None] + torch.arange(num_columns, device=first.device)
            rows = torch.arange(whole.shape[2], device=first.device)[:, None]
            parts.append(whole.permute(0, 2, 3, 1)[clip[mine][:, None, None], rows, columns])
            order.append(mine)
        return torch.cat(parts)[torch.cat(order).argsort()].permute(0, 3, 1, 2)

    def _outermost(self, clip: Tensor, first: Tensor, begin: int, size: int) -> Tensor:
        """Maps of a part of each window that ends, or begins, with it."""
        strips = self._spectrogram.unfold(-1, size, 1)
        return self._layers.forward(strips[clip, :, first + begin])
