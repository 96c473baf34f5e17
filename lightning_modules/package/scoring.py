"""Batches of pieces of files, and results of their scores: what scores them may be a package or a Trainer's loop."""

from collections.abc import Iterator, Sequence

from torch import Tensor

from datamodules.clips import Batch, Clip
from datamodules.hearing import Batches, Listening, Sounds
from lightning_modules.package.scorers import Scorer
from lightning_modules.package.tally import Result, Tally


class Scoring:
    """One pass over files.

    Args:
        clips: The files.
        listening: How the test cuts them.
        scorer: What scores.
        batch_size: Pieces at once.
        num_workers: Processes that decode; see `worker_settings`.
        share: Number of this process and of all, among which files are dealt.
        keep_windows: See `Tally`.

    Attributes:
        listening: As given.
        batches: To be scored, each once.
        tally: What is known of the files.
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        listening: Listening,
        scorer: Scorer,
        *,
        batch_size: int,
        num_workers: int | None = 0,
        share: tuple[int, int] = (0, 1),
        keep_windows: bool = False,
    ) -> None:
        self.listening = listening
        sounds = Sounds(
            clips,
            listening,
            min_samples=scorer.min_samples,
            num_channels=_channels_of(scorer),
            share=share,
        )
        self.tally = Tally(clips, sounds.rows, listening, scorer, keep_windows=keep_windows)
        self.batches = Batches(sounds, self.tally.end, batch_size=batch_size, num_workers=num_workers)

    def take(self, batch: Batch, scores: Tensor) -> Iterator[Result]:
        """Takes the scores of a batch, (batch,) or (batch, class); yields what is known of the files that are done."""
        for number, score in zip(batch.index.tolist(), scores.cpu(), strict=True):
            self.tally.add(self.batches.marks.pop(number), score)
        yield from self.tally.results()


def _channels_of(scorer: Scorer) -> int | None:
    """Channels that the network of a scorer takes, where it says so: `input_size` (channel, band, frame)."""
    size = getattr(scorer.network, "input_size", ())
    return size[0] if len(size) == 3 else None
