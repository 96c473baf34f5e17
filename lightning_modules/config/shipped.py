"""Where the shipped configurations lie."""

from pathlib import Path

import lightning_modules


def shipped(name: str) -> Path:
    """The file of a shipped configuration, such as ``ssd_aasist.yaml``."""
    return Path(lightning_modules.__file__).parents[1] / "configs" / name
