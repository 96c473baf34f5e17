"""Faults of audio files, each told in one line with the way out."""

from pathlib import Path
from typing import NoReturn

CHECK_COMMAND = "`python -m datamodules.check --config FILE` lists every bad file"


class AudioError(ValueError):
    """A file that cannot be used; one line that names the file and the way out."""


class NoAudioTrackError(AudioError):
    """A container without an audio track."""


def fail(path: str | Path, fault: str, way_out: str) -> NoReturn:
    """Raise `AudioError` for a file."""
    raise AudioError(f"{path}: {fault}; {way_out} ({CHECK_COMMAND})") from None


def fail_truncated(path: str | Path, has: int, lacks: int | None) -> NoReturn:
    """Raise `AudioError` for a file that was cut off; `lacks` is None where nothing tells how many samples."""
    number = "an unknown number" if lacks is None else lacks
    way_out = "copy or download it again"
    if has:
        way_out += (
            ", or use what is there with --data.allow_truncated=true (--allow_truncated where a command has no data"
            " section)"
        )
    fail(path, f"truncated: has {has} samples and lacks {number}", way_out)
