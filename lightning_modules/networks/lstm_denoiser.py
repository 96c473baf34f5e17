"""Recurrent encoder and decoder that denoise short frames of samples (after Hawley 2018)."""

import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn


class LSTMDenoiser(nn.Module):
    """Bidirectional LSTM over frames of samples, LSTM over what it found, a linear layer back to samples.

    Hawley (2018) gives no sizes; with the defaults there are 404,544 parameters.

    Args:
        frame_length: Samples that enter a step of the recurrence together.
        hidden_dim: Cells of the encoder, in each direction, and of the decoder.

    Attributes:
        receptive_field: None, for it is the whole input.
        look_ahead: None likewise: the last sample may change the first of the output.
    """

    receptive_field = look_ahead = None

    def __init__(self, frame_length: int = 64, hidden_dim: int = 128) -> None:
        super().__init__()
        if frame_length < 1 or hidden_dim < 1:
            raise ValueError(
                f"frame_length {frame_length}, hidden_dim {hidden_dim}: expected at least 1 of each"
            )
        self.frame_length = frame_length
        self.encoder = nn.LSTM(frame_length, hidden_dim, batch_first=True, bidirectional=True)
        self.decoder = nn.LSTM(2 * hidden_dim, hidden_dim, batch_first=True)
        self.output = nn.Linear(hidden_dim, frame_length)

    def forward(self, waveform: Tensor, knobs: Tensor | None = None) -> Tensor:
        """Denoise (batch, 1, time) to the same shape; there are no `knobs`."""
        time = waveform.shape[-1]
        padded = F.pad(waveform, (0, -time % self.frame_length))
        frames = rearrange(padded, "batch 1 (frame sample) -> batch frame sample", sample=self.frame_length)
        encoded, _ = self.encoder(frames)
        decoded, _ = self.decoder(encoded)
        denoised = rearrange(self.output(decoded), "batch frame sample -> batch 1 (frame sample)")
        return denoised[..., :time]
