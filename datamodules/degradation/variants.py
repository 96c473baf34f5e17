"""Degraded variants of training clips that a pack holds, among which training draws in place of degrading anew.

``.variants/settings.json`` in a packed root says what made them, and ``.variants/0``, ``.variants/1``, ... are packed
roots of their own, each with the same files, all of one rate.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch.utils.data import Dataset

from datamodules.audio.packed import SHARDS
from datamodules.clips.table import Clip, ClipTable

FOLDER = ".variants"
"""Folder of the variants in a packed root; a dot keeps it from whoever searches the root for audio."""

SETTINGS = "settings.json"
"""File in it: what made the variants."""


class DrawnVariant(Dataset[Any]):
    """Items of one of several data sets, which are variants of the same clips; the draw of a request decides.

    Args:
        variants: Data sets of the same rows.
    """

    def __init__(self, variants: Sequence[Dataset[Any]]) -> None:
        self._variants = variants

    def __getitem__(self, item: tuple[int, int]) -> Any:
        _, draw = item
        return self._variants[draw % len(self._variants)][item]  # crops follow the draw's upper bits


def variant_roots(root: Path, settings: Mapping[str, Any]) -> list[Path]:
    """Packed roots of the variants in a packed root, none unless all are there and were made with these settings."""
    try:
        kept = json.loads((root / FOLDER / SETTINGS).read_text(encoding="utf-8"))
        places = [root / FOLDER / str(number) for number in range(kept["count"])]
        is_whole = all((place / SHARDS / "clips.npy").is_file() for place in places)
        return places if is_whole and kept["settings"] == settings else []
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{root / FOLDER / SETTINGS}: damaged ({error}): delete the folder and pack again"
        ) from None


def variant_rows(rows: Sequence[Clip], root: Path, place: Path) -> ClipTable:
    """Rows of a root's clips as they lie in another.

    Raises:
        ValueError: A clip is in none of them.
    """
    outside = next((clip.path for clip in rows if not Path(clip.path).is_relative_to(root)), None)
    if outside is not None:
        raise ValueError(
            f"{outside}: outside of data.root {root}, whose variants alone are packed: set degrade to null"
        )
    return ClipTable([replace(clip, path=str(place / Path(clip.path).relative_to(root))) for clip in rows])
