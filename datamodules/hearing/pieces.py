"""What a file is scored by: pieces of it, and what is known at its end."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from datamodules.hearing.condition import Condition

if TYPE_CHECKING:
    from datamodules.clips import Item


class Mark(NamedTuple):
    """What a piece is.

    Attributes:
        row: Number of its file.
        start_s: Where it begins in the file, in seconds.
        stop_s: Where it ends.
        is_score: Whether the rule of the test hears it; the mean over such pieces of a file is what a test gives.
        is_window: Whether it is one of the windows that cover the file; silent ones are none.
    """

    row: int
    start_s: float
    stop_s: float
    is_score: bool
    is_window: bool


class Piece(NamedTuple):
    """A part of a file, cut, resampled and filled as a clip of a test is."""

    mark: Mark
    item: "Item"


@dataclass
class End:
    """What is known of a file once all of it was heard.

    Attributes:
        row: Number of the file.
        num_pieces: Pieces that came of it.
        seconds: Its length.
        heard_s: Seconds that the rule of the test hears; 0 where that hears whole files, and this is too long.
        condition: What is odd about it.
        fault: Why it cannot be scored, whatever pieces came before; empty where it can.
    """

    row: int
    num_pieces: int = 0
    seconds: float = 0.0
    heard_s: float = 0.0
    condition: Condition = field(default_factory=Condition)
    fault: str = ""
