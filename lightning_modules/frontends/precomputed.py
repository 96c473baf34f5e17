"""What older checkpoints and configurations put around a front end where features came ready-made."""

from typing import Any

from torch import Tensor, nn


class Precomputed(nn.Module):
    """A front end in a wrapper, as those trained on spectrograms had one; now such batches pass it by.

    Args:
        frontend: (batch, channel, time) and the clips' lengths (batch,) -> (batch, channel, mel, frame).
    """

    def __init__(self, frontend: nn.Module) -> None:
        super().__init__()
        self.frontend = frontend

    @property
    def settings(self) -> dict[str, Any]:
        """Those of the front end."""
        return self.frontend.settings  # pyright: ignore[reportReturnType]

    def forward(self, waveform: Tensor, length: Tensor | None = None) -> Tensor:
        """Maps waveforms (batch, channel, time) to (batch, channel, mel, frame), as the front end does."""
        return self.frontend(waveform, length)
