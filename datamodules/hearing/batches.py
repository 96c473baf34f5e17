"""Pieces of sounds in batches of one shape."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import torch

from datamodules.clips import Batch, Padding, collate
from datamodules.hearing.pieces import End, Mark, Piece
from datamodules.loading.loader import Loader, worker_settings

if TYPE_CHECKING:
    from datamodules.hearing.sounds import Sounds


class Batches:
    """Batches of the pieces of sounds; an iteration hears every sound once.

    Whole clips are scored one by one: no score depends on another clip's length.

    Args:
        sounds: What is heard.
        at_end: Told of each sound once all its pieces were given out, perhaps before they are scored.
        batch_size: Pieces at once, where all are as long as the crop of the test.
        num_workers: Processes that decode; see `worker_settings`.

    Attributes:
        marks: `Batch.index` -> what the piece is, of all that were given out; the caller takes them out.
    """

    def __init__(
        self,
        sounds: "Sounds",
        at_end: Callable[[End], object],
        *,
        batch_size: int,
        num_workers: int | None = 0,
    ) -> None:
        self._at_end = at_end
        self._size = 1 if sounds.listening.crop_s is None else batch_size
        self._padding: Padding = sounds.listening.padding
        self._loader = Loader(
            sounds, batch_size=None, collate_fn=_as_it_is, **worker_settings(num_workers, persistent=False)
        )
        self.marks: dict[int, Mark] = {}
        self._number = 0

    def __iter__(self) -> Iterator[Batch]:
        waiting: list[Piece] = []
        for found in self._loader:
            if isinstance(found, End):
                self._at_end(found)
                continue
            if waiting and (
                len(waiting) == self._size or found.item.waveform.shape != waiting[0].item.waveform.shape
            ):
                yield self._batch(waiting)
                waiting = []
            waiting.append(found)
        if waiting:
            yield self._batch(waiting)

    def _batch(self, pieces: list[Piece]) -> Batch:
        numbers = range(self._number, self._number + len(pieces))
        self._number += len(pieces)
        self.marks |= zip(numbers, (piece.mark for piece in pieces), strict=True)
        return collate([piece.item for piece in pieces], self._padding)._replace(
            index=torch.tensor([*numbers])
        )


def _as_it_is(found: Any) -> Any:
    return found
