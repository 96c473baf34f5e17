"""The score of genuine speech."""

from torch import Tensor

from lightning_modules.package.scorers.scorer import Scorer, at_least_float32


class SpoofingScorer(Scorer):
    """Logit of bona fide speech, of networks with two logits or with one."""

    over_windows = "min"
    tells_filling = False
    meaning = "logit of bona fide speech: higher = more likely bona fide, lower = more likely spoofed"

    def forward(self, waveform: Tensor, length: Tensor | None = None) -> Tensor:
        """Score clips.

        Args:
            waveform: (batch, 1, time) in [-1, 1].
            length: Not needed, what fills a crop is heard.

        Returns:
            (batch,), of at least float32.
        """
        features = waveform if self.frontend is None else self.frontend(waveform)
        return at_least_float32(self.network(features).logits[:, -1])
