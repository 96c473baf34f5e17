"""Long signals in pieces: exactly where a network's context is finite, by overlap and add where it is not."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

Network = Callable[[Tensor, Tensor | None], Tensor]


def in_blocks(
    network: Network,
    waveform: Tensor,
    knobs: Tensor | None = None,
    *,
    past: int,
    look_ahead: int,
    block: int,
    batch_size: int = 16,
) -> Tensor:
    """Run (batch, 1, time) through a network of finite context; the result does not depend on `block`.

    Args:
        network: (piece, 1, past + block + look_ahead) and knobs -> (piece, 1, block), the samples that have all their
            context.
        waveform: What lies before and after it is silence.
        knobs: (1, knob), one setting for all.
        past: Samples of context before an output sample.
        look_ahead: And after it.
        block: Output samples of a piece.
        batch_size: Pieces at once.

    Returns:
        (batch, 1, time), float32.
    """
    batch, _, time = waveform.shape
    padded = F.pad(waveform, (past, look_ahead + -time % block))
    pieces = rearrange(
        padded.unfold(-1, past + block + look_ahead, block), "batch 1 piece time -> (batch piece) 1 time"
    )
    done = torch.cat([_run(network, part, knobs) for part in pieces.split(batch_size)])
    return rearrange(done, "(batch piece) 1 time -> batch 1 (piece time)", batch=batch)[..., :time]


def overlap_add(
    network: Network, waveform: Tensor, knobs: Tensor | None = None, *, window: int, batch_size: int = 16
) -> Tensor:
    """Run (batch, 1, time) in windows that overlap by half and are cross-faded, so that no seam is left.

    Args:
        network: (piece, 1, window) and knobs -> (piece, 1, window).
        waveform: What lies before and after it is silence.
        knobs: (1, knob), one setting for all.
        window: Samples of a piece, even: those that the network was trained on.
        batch_size: Pieces at once.

    Returns:
        (batch, 1, time), float32.
    """
    batch, _, time = waveform.shape
    hop = window // 2
    padded = F.pad(waveform, (hop, hop + -time % hop))
    pieces = rearrange(padded.unfold(-1, window, hop), "batch 1 piece time -> (batch piece) 1 time")
    fade = torch.hann_window(window, device=waveform.device)  # adds up to 1 at half a window
    done = torch.cat([_run(network, part, knobs) * fade for part in pieces.split(batch_size)])
    columns = rearrange(done, "(batch piece) 1 time -> batch time piece", batch=batch)
    total = F.fold(columns, (1, padded.shape[-1]), kernel_size=(1, window), stride=(1, hop))
    return total[:, 0, :, hop : hop + time]


def _run(network: Network, pieces: Tensor, knobs: Tensor | None) -> Tensor:
    return network(pieces, None if knobs is None else knobs.expand(len(pieces), -1)).float()
