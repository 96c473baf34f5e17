"""Long signals in pieces: exactly where a network's context is finite, by overlap and add where it is not."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

Apply = Callable[[Tensor], Tensor]


def in_blocks(
    apply: Apply, waveform: Tensor, *, past: int, look_ahead: int, block: int, batch_size: int = 16
) -> Tensor:
    """Run (batch, 1, time) through a network of finite context; the result does not depend on `block`.

    Args:
        apply: (pieces, 1, past + block + look_ahead) -> (pieces, 1, block), the samples that have all their context.
        waveform: What lies before and after it is silence.
        past: Samples of context before an output sample.
        look_ahead: And after it.
        block: Output samples of a piece.
        batch_size: Pieces at once.

    Returns:
        (batch, 1, time).
    """
    batch, _, time = waveform.shape
    padded = F.pad(waveform, (past, look_ahead + -time % block))
    pieces = rearrange(
        padded.unfold(-1, past + block + look_ahead, block), "batch 1 piece time -> (batch piece) 1 time"
    )
    done = torch.cat([apply(part) for part in pieces.split(batch_size)])
    return rearrange(done, "(batch piece) 1 time -> batch 1 (piece time)", batch=batch)[..., :time]


def overlap_add(apply: Apply, waveform: Tensor, *, window: int, batch_size: int = 16) -> Tensor:
    """Run (batch, 1, time) in windows that overlap by half and are cross-faded, so that no seam is left.

    Args:
        apply: (pieces, 1, window) -> the same shape.
        waveform: What lies before and after it is silence.
        window: Samples of a piece, even: those that the network was trained on.
        batch_size: Pieces at once.

    Returns:
        (batch, 1, time).
    """
    batch, _, time = waveform.shape
    hop = window // 2
    padded = F.pad(waveform, (hop, hop + -time % hop))
    pieces = rearrange(padded.unfold(-1, window, hop), "batch 1 piece time -> (batch piece) 1 time")
    fade = torch.hann_window(
        window, dtype=waveform.dtype, device=waveform.device
    )  # adds up to 1 at half a window
    done = torch.cat([apply(part) * fade for part in pieces.split(batch_size)])
    columns = rearrange(done, "(batch piece) 1 time -> batch time piece", batch=batch)
    total = F.fold(columns, (1, padded.shape[-1]), kernel_size=(1, window), stride=(1, hop))
    return total[:, 0, :, hop : hop + time]
