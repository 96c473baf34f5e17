"""What learns: networks, front ends, objectives, metrics, Lightning modules, and the commands that run them."""

from pkgutil import resolve_name
from typing import TYPE_CHECKING

import datamodules.former_names

if TYPE_CHECKING:
    from lightning_modules.trained.load import load_model

__all__ = ["load_model"]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> object:
    """Imports the door on first use: commands and workers start without torch."""
    if name != "load_model":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return resolve_name(f"{__name__}.trained.load:{name}")
