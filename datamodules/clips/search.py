"""Files behind clips: which are absent, and clips of what is named for prediction."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from datamodules.audio.errors import CHECK_COMMAND, AudioError
from datamodules.audio.reading import SUFFIXES
from datamodules.audio.search import audio_files, names_in
from datamodules.clips.table import Clip
from datamodules.protocol import read_rows


def missing_files(clips: Iterable[Clip]) -> list[Clip]:
    """Clips whose file is absent, found by one listing a folder rather than one look-up a file."""
    listings: dict[str, set[str]] = {}
    missing = []
    for clip in clips:
        folder, name = os.path.split(clip.path)
        if folder not in listings:
            listings[folder] = names_in(folder)
        if name not in listings[folder]:
            missing.append(clip)
    return missing


def require_files(clips: Sequence[Clip]) -> None:
    """Refuse a split of which files are absent.

    Raises:
        AudioError: With the first of them and their number.
    """
    if missing := missing_files(clips):
        raise AudioError(
            f"{missing[0].path}: no such file, and {len(missing)} of {len(clips)} files of its split are"
            f" missing: unpack the audio there or correct the data root ({CHECK_COMMAND})"
        )


def clips_to_predict(sources: Iterable[str | Path]) -> list[Clip]:
    """Unlabelled clips of audio files, folders (searched in depth) and ``.txt`` lists (one path a line).

    The key is the file's name without its ending, or its path where two files share that name.

    Raises:
        ValueError: If a source does not exist or a folder holds no audio.
    """
    paths = list(dict.fromkeys(path for source in sources for path in _audio_files(Path(source))))
    stems = Counter(path.stem for path in paths)
    return [Clip(key=path.stem if stems[path.stem] == 1 else str(path), path=str(path)) for path in paths]


def _audio_files(source: Path) -> Iterator[Path]:
    if source.is_dir():
        found = audio_files(source)
        if not found:
            raise ValueError(
                f"predict: no audio file in folder {source}: name a folder with {sorted(SUFFIXES)}"
            )
        yield from found
    elif source.name not in names_in(source.parent):
        raise ValueError(
            f"predict: {source} does not exist: name audio files, folders, or .txt lists of paths"
        )
    elif source.suffix == ".txt":
        for _, (name,) in read_rows(source, num_columns=1):
            yield source.parent / name
    else:
        yield source
