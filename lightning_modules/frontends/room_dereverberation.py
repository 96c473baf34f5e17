"""Dereverberation that removes no more than a clip itself proves to be late reverberation."""

import torch
from einops import rearrange
from torch import Tensor

from lightning_modules.frontends.linear_prediction import (
    Dereverberation,
    LinearPrediction,
    LoadedCholesky,
    folds,
    inner,
    inverse_power,
    past,
)

_FLOOR = 1e-10  # least power of a frame that weighs, relative to the loudest one of its bin
_TONAL = 0.5  # share of a bin's energy that one filter must predict to be a tone's
_CERTAINTY = (
    3  # power of the evidence that weighs: a source's own correlation holds on other frames too, by little
)
_NUM_FOLDS = 4  # spans of a clip, each predicted by filters fitted to the others


class RoomDereverberation(Dereverberation):
    """Linear prediction of late reverberation, subtracted by as much as holds on frames that it was not fitted to.

    WPE takes all that the past predicts for reverberation: the tones of a fan, too, and in a dry room, what chance
    predicts. Here

    - the filters of tonal bins are fitted to whitened ones, after Kinoshita et al. 2009 (Suppression of late
      reverberation effect on speech signal using long-term multiple-step linear prediction): where one filter common
      to all channels, which hardly tells a room, predicts more than half of a bin `delay` frames later, that is
      removed first. The filters are then applied to the bins as they are.
    - the weight of the late part is the room's. Its evidence is the factor by which predictions must be multiplied to
      come closest to frames that are not of their fit, the median over the bins of a clip, between 0 and 1; the weight
      is its cube.
    - the weaker the weight w, the less may a bin stand out: it loses at most 1 / (1 - w) times the share of its energy
      that the median bin loses. Rooms reverberate at all frequencies, tones are few.

    A dry clip passes. One microphone suffices, but with it less is predictable.

    Args:
        taps: Number of past frames that predict.
        delay: Frames back to the youngest of them; 3 keep 48 ms at 16 kHz.
        iterations: Alternations of power and filter.
        whitening_taps: Number of past frames, from `delay` on, by which a source predicts itself.
        ridge: Inverse of the variance that coefficients of the filters are expected to have.
        n_fft: Length of the Fourier transform and the Hann window in samples.
        hop_length: Samples from frame to frame.
        chunk_bins: Bins of the batch at work at once.

    Raises:
        ValueError: For orders below 1 and a negative ridge.
    """

    iterations: int
    whitening_taps: int

    def __init__(
        self,
        taps: int = 7,
        *,
        delay: int = 3,
        iterations: int = 2,
        whitening_taps: int = 2,
        ridge: float = 3.0,
        n_fft: int = 512,
        hop_length: int = 256,
        chunk_bins: int = 16,
    ) -> None:
        super().__init__(
            n_fft=n_fft,
            hop_length=hop_length,
            taps=taps,
            delay=delay,
            iterations=iterations,
            whitening_taps=whitening_taps,
            chunk_bins=chunk_bins,
        )
        if ridge < 0:
            raise ValueError(f"ridge {ridge}: expected 0 or more")
        self.ridge = ridge

    def _dereverberate_clips(self, clips: Tensor) -> Tensor:
        chunks = [self._late(chunk) for chunk in clips.flatten(0, 1).split(self.chunk_bins)]
        late, evidence, share = (
            torch.cat(each).unflatten(0, clips.shape[:2]) for each in zip(*chunks, strict=True)
        )
        room = _median(evidence).clamp(0, 1) ** _CERTAINTY
        usual = torch.where(share > 0, _median(share) / ((1 - room) * share), 1).clamp_max(1).sqrt()
        return clips - (room * usual)[..., None, None] * late

    def _late(self, bins: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Predicted late part of (n, t, m): itself, its factor on frames out of the fit and its share of the energy.

        The factor is NaN where nothing is predicted, the share in silence: (n,) each.
        """
        whitened = bins - self_prediction(bins, delay=self.delay, taps=self.whitening_taps)
        prediction = LinearPrediction(whitened, delay=self.delay, taps=self.taps)
        error = whitened
        for _ in range(self.iterations - 1):
            weight = _weight(error)
            correlation = prediction.correlation(weight)
            correlation.diagonal(dim1=-2, dim2=-1).add_(self.ridge)
            filters = LoadedCholesky(correlation).solve(prediction.project(whitened * weight.unsqueeze(-1)))
            error = whitened - prediction.predict(filters)
        filters, unseen = self._cross_fit(prediction, whitened, _weight(error))
        evidence = _energy(unseen, whitened) / _energy(unseen, unseen)
        late = LinearPrediction(bins, delay=self.delay, taps=self.taps).predict(filters)
        return late, evidence, _energy(late, late) / _energy(bins, bins)

    def _cross_fit(
        self, prediction: LinearPrediction, target: Tensor, weight: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Filters (n, k, m) fitted to all frames, and what those fitted to the other folds predict of each."""
        in_folds = prediction.folded(_NUM_FOLDS)
        correlation = in_folds.correlation(folds(weight, _NUM_FOLDS))
        projection = in_folds.project(folds(target * weight.unsqueeze(-1), _NUM_FOLDS))
        correlation, projection = (each.unflatten(0, (-1, _NUM_FOLDS)) for each in (correlation, projection))
        total, aim = correlation.sum(dim=1), projection.sum(dim=1)
        # The last is the fit to all folds, the others leave out one each.
        left = torch.cat([total.unsqueeze(1) - correlation, total.unsqueeze(1)], dim=1)
        right = torch.cat([aim.unsqueeze(1) - projection, aim.unsqueeze(1)], dim=1)
        left.diagonal(dim1=-2, dim2=-1).add_(self.ridge)
        filters = LoadedCholesky(left.flatten(0, 1)).solve(right.flatten(0, 1))
        filters = filters.unflatten(0, (-1, _NUM_FOLDS + 1))
        unseen = in_folds.predict(filters[:, :-1].flatten(0, 1)).unflatten(0, (-1, _NUM_FOLDS)).flatten(1, 2)
        return filters[:, -1], unseen[:, : target.shape[1]]


def self_prediction(bins: Tensor, *, delay: int, taps: int) -> Tensor:
    """What one filter for all channels predicts of tonal bins (n, t, m), 0 for others: the same shape."""
    values = rearrange(past(bins, delay=delay, taps=taps), "n t (tap m) -> n (t m) tap", tap=taps)
    target = bins.flatten(1).unsqueeze(-1)
    filters = LoadedCholesky(values.mH @ values).solve(values.mH @ target)
    predicted = (values @ filters).view_as(bins)
    is_tonal = _energy(predicted, predicted) > _TONAL * _energy(bins, bins)
    return predicted * is_tonal[:, None, None]


def _weight(error: Tensor) -> Tensor:
    """One over the power of frames (n, t, m) per channel: (n, t)."""
    return 2 * inverse_power(error, _FLOOR)


def _energy(left: Tensor, right: Tensor) -> Tensor:
    return inner(left, right).sum(dim=-1)


def _median(values: Tensor) -> Tensor:
    """Over the last axis, which stays, NaN left out; 0 where all are."""
    return values.nanmedian(dim=-1, keepdim=True).values.nan_to_num(0)
