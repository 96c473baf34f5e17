"""Proxy outliers: which sounds stand in for anomalies (Primus et al., DCASE 2020 workshop, section 3.2).

============  ======================================================================================
same_type     (a) training clips of other instances of the target's machine
other_types   (b) of other machines with the target's recording conditions
all           (c) of all others with the target's recording conditions
other_corpus  (d) of machines with other recording conditions
everything    of all others
tau           (e) TAU Urban Acoustic Scenes 2020 Mobile
audioset      (f) clips of the balanced AudioSet, but for those shorter than 9.76 s
folder        any folder of audio files
============  ======================================================================================
"""

import csv
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Literal

from datamodules import audio
from datamodules.audio.search import audio_files
from datamodules.clips import Clip
from datamodules.protocol import ProtocolError

ProxyOutliers = Literal[
    "same_type", "other_types", "all", "other_corpus", "everything", "tau", "audioset", "folder"
]
FOREIGN: frozenset[ProxyOutliers] = frozenset({"tau", "audioset", "folder"})
"""Sets of another corpus, from a folder of their own."""

_SHORTEST_AUDIOSET_S = 305 * 512 / 16000  # the published code asks for the window's 256 frames and 50 more
_FOREIGN = {"machine": "", "section": "", "domain": "", "instance": ""}


def recording_condition(machine: str, named: Mapping[str, str]) -> str:
    """What recordings of a machine share: the corpus they come from, unless `named` tells."""
    return named.get(machine, "ToyADMOS" if machine.startswith("Toy") else "MIMII")


def select(
    kind: ProxyOutliers,
    normals: Sequence[Clip],
    *,
    targets: set[str],
    condition: Callable[[str], str],
    way_out: str = "choose another set, one machine and id, or set recording_conditions",
) -> list[Clip]:
    """Normal training clips of other instances as outliers, with target 1.

    Args:
        kind: Which of them, one of the sets made of machines.
        normals: Training clips of all instances.
        targets: Instances whose anomalies are looked for; never among the outliers.
        condition: Machine -> name of its recording conditions.
        way_out: What to do where there are none.

    Raises:
        ValueError: If there are none.
    """
    machines = {target.split("/")[0] for target in targets}
    conditions = {condition(machine) for machine in machines}

    def fits(machine: str) -> bool:
        alike = condition(machine) in conditions
        return {
            "same_type": machine in machines,
            "other_types": alike and machine not in machines,
            "all": alike,
            "other_corpus": not alike,
            "everything": True,
        }[kind]

    others = [clip for clip in normals if clip.attributes["instance"] not in targets]
    found = [clip for clip in others if fits(clip.attributes["machine"])]
    if not found:
        instances = sorted({clip.attributes["instance"] for clip in others})
        raise ValueError(
            f"proxy_outliers {kind}: none for {', '.join(sorted(targets))} among the training clips of"
            f" {', '.join(instances) or 'no other instance'}: {way_out}"
        )
    return [replace(clip, target=1) for clip in found]


def foreign_clips(kind: ProxyOutliers, root: Path | None) -> list[Clip]:
    """Clips of another corpus as outliers, with target 1 and empty attributes, in the order of their paths.

    Of TAU Urban Acoustic Scenes the training part, if ``evaluation_setup/fold1_train.csv`` tells, else all of
    ``audio``.

    Raises:
        ValueError: If the folder is not given, missing, or without audio.
    """
    if root is None or not root.is_dir():
        raise ValueError(
            f"proxy_root {root}: no such folder: proxy_outliers {kind} needs a folder of audio files"
        )
    training = root / "evaluation_setup" / "fold1_train.csv"
    if kind == "tau" and training.exists():
        paths = sorted(root / name for name in _first_column(training))
    else:
        folder = root / "audio" if kind == "tau" else root
        paths = audio_files(folder)
        if not paths:
            raise ValueError(
                f"proxy_root {folder}: no audio file for proxy_outliers {kind}: unpack the clips there"
            )
    return [
        Clip(f"{root.name}/{path.relative_to(root).as_posix()}", str(path), 1, _FOREIGN) for path in paths
    ]


def too_short(clips: Sequence[Clip], *, allow_truncated: bool = False) -> dict[str, str]:
    """Key -> reason of the clips that the published code leaves out of AudioSet."""

    def seconds(clip: Clip) -> float:
        header = audio.info(clip.path, allow_truncated=allow_truncated)
        return header.num_frames / header.sample_rate

    with ThreadPoolExecutor(16) as pool:  # waits for the disk
        found = zip(clips, pool.map(seconds, clips), strict=True)
        return {
            clip.key: f"lasts {length_s:.2f} s, less than {_SHORTEST_AUDIOSET_S} s"
            for clip, length_s in found
            if length_s < _SHORTEST_AUDIOSET_S
        }


def _first_column(path: Path) -> list[str]:
    """File names of a tab-separated table with a header."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        names = [row[0] for row in csv.reader(file, delimiter="\t") if row][1:]
    if not names:
        raise ProtocolError(f"{path}: names no clip: unpack the data set's meta data again")
    return names
