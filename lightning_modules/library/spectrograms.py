"""Writing a library as 8-bit spectrograms, to train on elsewhere while the audio stays."""

import json
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import track

from datamodules.files import new_folder
from datamodules.folders.audio_folder import AudioFolder
from datamodules.folders.near_duplicates import survey
from datamodules.folders.spectrogram_image import INDEX, SUFFIX, encode
from lightning_modules.library.scan import scan

if TYPE_CHECKING:
    from lightning_modules.library.listening import Listener


@dataclass
class Written:
    """What came of it.

    Attributes:
        num_files: Spectrograms in the folder.
        num_bytes: Of all its files.
        faults: Path -> why it has none.
    """

    num_files: int = 0
    num_bytes: int = 0
    faults: dict[str, str] = field(default_factory=dict)


def write_spectrograms(
    library: Path, target: Path, *, listener: "Listener", progress: bool = False
) -> Written:
    """Write the features of every sound as ``<target>/<its path>.png``, and ``pack.json``; all of it or nothing.

    The list of tags that the configuration names goes along, and which sounds are the same recording, which
    spectrograms do not tell.

    Raises:
        ValueError: If the folder exists.
        OSError: If the disk refuses.
    """
    if target.exists():
        raise ValueError(f"{target}: exists: name another folder with --spectrograms-only")
    found = scan(library)
    done = Written(faults=dict(found.faults))
    paths = [f"{library}/{file.path}" for file in found.files]
    ranges: dict[str, tuple[float, float]] = {}
    num_channels = 1
    with new_folder(target) as folder:
        heard: Iterable[Any] = listener.features(paths)
        if progress:
            console = Console(stderr=True)
            heard = track(heard, "listening", total=len(paths), transient=True, console=console)
        for index, features in heard:
            name = found.files[index].path
            if isinstance(features, str):
                done.faults[name] = features
                continue
            image, *limits = encode(features)
            path = folder / f"{name}{SUFFIX}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(image)
            ranges[name], num_channels = (limits[0], limits[1]), len(features)
            done.num_bytes += len(image)
        data = listener.data
        is_folder = isinstance(data, AudioFolder)
        threshold, labels = (data.near_duplicates, data.labels) if is_folder else (None, None)
        index = {
            "sample_rate": data.sample_rate,
            "crop_s": data.eval_crop_s,
            "features": listener.model.frontend.settings,
            "channels": num_channels,
            "twins": _twins(library, sorted(ranges), threshold),
            "files": dict(sorted(ranges.items())),
        }
        done.num_bytes += (folder / INDEX).write_text(json.dumps(index, indent=0), encoding="utf-8")
        if labels and (library / labels).is_file():
            shutil.copy(library / labels, folder / labels)
    done.num_files = len(ranges)
    return done


def _twins(library: Path, names: list[str], threshold: float | None) -> list[tuple[str, str]]:
    if threshold is None:
        return []
    pairs = survey([f"{library}/{name}" for name in names], threshold=threshold).pairs
    return [(names[a], names[b]) for a, b in pairs]
