"""Features that were computed elsewhere, in place of the waveforms that they came from."""

from typing import Any

from torch import Tensor, nn


class Packed(nn.Module):
    """Lets features through and makes those of waveforms: what learnt from a pack of features hears audio too.

    Args:
        frontend: (batch, channel, time) and the clips' lengths (batch,) -> (batch, channel, mel, frame), as the pack
            was made.
    """

    def __init__(self, frontend: nn.Module) -> None:
        super().__init__()
        self.frontend = frontend

    @property
    def settings(self) -> dict[str, Any]:
        """Those of the front end."""
        return self.frontend.settings  # pyright: ignore[reportReturnType]

    def forward(self, waveform: Tensor, length: Tensor | None = None) -> Tensor:
        """Returns (batch, channel, mel, frame) of waveforms (batch, channel, time), or of such features themselves."""
        return waveform if waveform.dim() == 4 else self.frontend(waveform, length)
