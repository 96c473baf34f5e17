"""Moves the hits of a recording to a grid by cutting it between them."""

from itertools import accumulate

import torch
import torch.nn.functional as F
from torch import Tensor

_FADE_S = 0.002
_BEFORE_S = 0.012, 0.003  # how long before a hit the cut may lie


def quantise(
    waveform: Tensor, onsets_s: Tensor, *, sample_rate: int, step_s: float, offset_s: float = 0.0
) -> Tensor:
    """Moves every hit, with all that follows up to the next one, to the nearest line.

    Pieces are cut at the quietest place shortly before a hit. They fade into each other so that they add up to the
    recording where they are not moved apart, and where they overlap they add: no sound is lost but at the ends. Hits
    that are nearest to the same line move together, as a flam.

    Args:
        waveform: (channel, time).
        onsets_s: (hit,) where hits begin, in seconds, ascending.
        sample_rate: In Hz.
        step_s: Distance of lines in seconds.
        offset_s: Place of a line in seconds.

    Returns:
        (channel, time).
    """
    lines = ((onsets_s - offset_s) / step_s).round()
    first = torch.searchsorted(lines, lines)  # of the hits of a line
    moves_s = (lines * step_s + offset_s - onsets_s)[first]
    fade = round(_FADE_S * sample_rate)
    cuts = [_quietest(waveform, float(onset), sample_rate) for onset in onsets_s]
    # what is before the first hit moves with it; of hits within a fade, a cut may not lie before the last
    bounds = [-fade, *accumulate(cuts[1:], max), waveform.shape[1] + fade]
    result = torch.zeros_like(waveform)
    for begin, end, move_s in zip(bounds, bounds[1:], moves_s.tolist(), strict=False):
        _add(result, waveform, begin, end, fade=fade, move=round(move_s * sample_rate))
    return result if len(onsets_s) else waveform.clone()


def _add(result: Tensor, waveform: Tensor, begin: int, end: int, *, fade: int, move: int) -> None:
    """Adds the piece between two cuts, faded over `fade` samples around each, `move` samples later."""
    time = torch.arange(max(begin - fade, 0), min(end + fade, waveform.shape[1]), device=waveform.device)
    rise, fall = (((time - cut + fade + 0.5) / (2 * fade)).clamp(0, 1) for cut in (begin, end))
    weight = rise - fall  # adds up to 1 over all pieces, however near their cuts are
    place = time + move
    inside = (place >= 0) & (place < result.shape[1])
    result[:, place[inside]] += (waveform[:, time] * weight)[:, inside]


def _quietest(waveform: Tensor, onset_s: float, sample_rate: int) -> int:
    """The sample before a hit around which a fade's length is softest."""
    fade = round(_FADE_S * sample_rate)
    begin, end = (max(round((onset_s - before_s) * sample_rate), 0) for before_s in _BEFORE_S)
    power = waveform.square().sum(dim=0)[max(begin - fade, 0) : end + fade]
    if len(power) <= 2 * fade:
        return begin
    return begin + int(F.avg_pool1d(power[None], 2 * fade, 1)[0].argmin())
