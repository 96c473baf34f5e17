"""Where the editions of ASVspoof keep protocols and audio, and what stands in which column."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Edition = Literal["2019_LA", "2019_PA", "2021_LA", "2021_DF", "2021_PA", "5"]


@dataclass(frozen=True)
class Layout:
    """Where a split lies under the root, and in which columns of its protocol things stand."""

    protocol: str
    folder: str
    num_columns: int
    columns: Mapping[str, int]


def _layout_2021(track: str, num_columns: int, **columns: int) -> Layout:
    protocol, folder = f"keys/{track}/CM/trial_metadata.txt", f"ASVspoof2021_{track}_eval/flac"
    return Layout(protocol, folder, num_columns, {"speaker": 0, "key": 1, **columns})


def _layout_5(protocol: str, folder: str) -> Layout:
    return Layout(protocol, folder, 10, {"speaker": 0, "key": 1, "codec": 3, "attack": 7, "label": 8})


def _splits_2019(track: str, **columns: int) -> dict[str, Layout]:
    name = f"ASVspoof2019_{track}"
    protocol = f"{name}_cm_protocols/ASVspoof2019.{track}.cm"
    columns = {"speaker": 0, "key": 1, "attack": 3, "label": 4, **columns}
    parts = {"train": ("train", "trn"), "validation": ("dev", "trl"), "test": ("eval", "trl")}
    return {
        split: Layout(f"{protocol}.{part}.{ending}.txt", f"{name}_{part}/flac", 5, columns)
        for split, (part, ending) in parts.items()
    }


LAYOUTS: dict[Edition, dict[str, Layout]] = {
    "2019_LA": _splits_2019("LA"),
    "2019_PA": _splits_2019("PA", environment=2),
    "2021_LA": {"test": _layout_2021("LA", 8, codec=2, transmission=3, attack=4, label=5, subset=7)},
    "2021_DF": {"test": _layout_2021("DF", 13, codec=2, source=3, attack=4, label=5, subset=7, vocoder=8)},
    "2021_PA": {"test": _layout_2021("PA", 12, room=2, microphone=3, attack=7, label=9, subset=11)},
    "5": {
        "train": _layout_5("ASVspoof5.train.tsv", "flac_T"),
        "validation": _layout_5("ASVspoof5.dev.track_1.tsv", "flac_D"),
        "test": _layout_5("ASVspoof5.eval.track_1.tsv", "flac_E_eval"),
    },
}
