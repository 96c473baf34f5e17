"""A data set whose 20th clip goes wrong in the worker that reads it, as FAULT says."""

import os
import signal
from dataclasses import replace
from typing import Any

from folders import Folders  # pyright: ignore[reportMissingImports]

import datamodules.base
from datamodules.clips.dataset import ClipDataset


class TwoArgumentsError(Exception):
    """One that cannot be made again of its text alone, as a loader does."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")


class OddClips(ClipDataset):
    """Goes wrong once."""

    seen = 0

    def __getitem__(self, item: Any) -> Any:
        """The clip, or what FAULT says."""
        self.seen += 1
        fault = os.environ["FAULT"] if self.seen == 20 else ""
        if fault == "exception":
            raise TwoArgumentsError("a.wav", "broken")
        if fault == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        found = super().__getitem__(item)
        return found._replace(clip=replace(found.clip, key=lambda: 0)) if fault == "pickle" else found


class Odd(Folders):
    """Clips as ever, but for one."""


datamodules.base.ClipDataset = OddClips  # pyright: ignore[reportPrivateImportUsage]
