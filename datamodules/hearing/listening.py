"""What a clip becomes before it is scored."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datamodules.audio import Resampler
    from datamodules.base import ClipDataModule
    from datamodules.clips import Padding


@dataclass(frozen=True, kw_only=True)
class Listening:
    """What a clip becomes before it is scored, as in the evaluation of the run.

    Attributes:
        sample_rate: What waveforms are resampled to, in Hz.
        crop_s: Seconds from the beginning that are scored; None scores whole clips.
        padding: How a shorter clip is filled, see `datamodules.clips.pad`.
        mono: Average the channels; otherwise keep them.
        channel: The one that is heard alone, of several, counted from 0; None is all.
        num_views: Crops whose scores are averaged, evenly spaced from a clip's beginning to its end.
        stop_s: Seconds from its beginning at which a file counts as ended; None hears all of it.
        published_crop: Whether a published rule says what of a test clip is scored; none does of a user's own data.
        resampler: By what; packages that do not say are of versions that had torchaudio alone.
        allow_truncated: Take what there is of files that were cut off.
    """

    sample_rate: int
    crop_s: float | None
    padding: "Padding"
    mono: bool
    num_views: int = 1
    stop_s: float | None = None
    published_crop: bool = True
    resampler: "Resampler" = "torchaudio"
    allow_truncated: bool = False
    channel: int | None = None

    @classmethod
    def of(cls, datamodule: "ClipDataModule") -> "Listening":
        """What the test of a data module makes of clips."""
        return cls(
            sample_rate=datamodule.sample_rate,
            crop_s=datamodule.eval_crop_s,
            padding=datamodule.padding,
            mono=datamodule.mono,
            channel=datamodule.channel,
            num_views=datamodule.num_views,
            stop_s=datamodule.stop_s,
            published_crop=datamodule.published_crop,
            resampler=datamodule.resampler,
            allow_truncated=datamodule.allow_truncated,
        )

    @property
    def channels(self) -> dict[str, Any]:
        """Which channels are heard, as settings of `datamodules.clips.recordings.heard`."""
        return {"mono": self.mono, "channel": self.channel}

    @property
    def cut(self) -> dict[str, Any]:
        """The rule as settings of `datamodules.clips.ClipDataset`."""
        return {
            "sample_rate": self.sample_rate,
            "crop_s": self.crop_s,
            "padding": self.padding,
            **self.channels,
            "resampler": self.resampler,
            "allow_truncated": self.allow_truncated,
        }
