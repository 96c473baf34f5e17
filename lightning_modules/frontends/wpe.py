"""Weighted prediction error (WPE) dereverberation."""

from torch import Tensor

from lightning_modules.frontends.linear_prediction import BinByBin, LinearPrediction


class WPE(BinByBin):
    """Remove the late reverberation that the past of all channels predicts (Yoshioka and Nakatani 2012).

    In every frequency bin, x_t - G^H z_t, where z_t stacks the frames from `delay` on back and G minimises the
    sum of |x_t - G^H z_t|^2 / lambda_t; G and lambda_t, the power of the result, alternate. Gradients flow
    through all of it. Equal to ``nara_wpe`` with ``psd_context=0, statistics_mode="full"``.

    Stationary tones are predictable as well and go with the reverberation; `RoomDereverberation` spares them.

    Args:
        taps: Number of past frames that predict.
        delay: Frames back to the youngest of them; 3 keep 48 ms at 16 kHz.
        iterations: Alternations of power and filter.
        n_fft: Length of the Fourier transform and the Hann window in samples.
        hop_length: Samples from frame to frame.
        floor: Least power of a frame, relative to the loudest one of its bin.
        chunk_bins: Bins of the batch at work at once; each takes about 3 * taps spectra of its size.

    Raises:
        ValueError: For orders below 1.
    """

    iterations: int

    def __init__(
        self,
        taps: int = 8,
        *,
        delay: int = 3,
        iterations: int = 3,
        n_fft: int = 512,
        hop_length: int = 256,
        floor: float = 1e-10,
        chunk_bins: int = 16,
    ) -> None:
        orders = {"taps": taps, "delay": delay, "iterations": iterations, "chunk_bins": chunk_bins}
        super().__init__(n_fft=n_fft, hop_length=hop_length, **orders)
        self.floor = floor

    def _dereverberate_bins(self, bins: Tensor) -> Tensor:
        prediction = LinearPrediction(bins, delay=self.delay, taps=self.taps)
        return prediction.error(iterations=self.iterations, floor=self.floor)
